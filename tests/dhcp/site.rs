//! The network, the daemon in it, and its folder; all ended when dropped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub(crate) const SOON: Duration = Duration::from_secs(30);
pub(crate) const SERVER: &str = "10.66.0.1";

/// The scope of the network that the clients are in.
pub(crate) const SCOPE: &str =
    "[dhcp 10.66.0.0/24]\npool=10.66.0.100-10.66.0.150\nrouter=10.66.0.254\ndomain=lab.example\n";

pub(crate) fn run(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab")
}

fn netns(args: &[&str]) -> Output {
    run(lab().join("netns"), args)
}

pub(crate) struct Site {
    pub(crate) net: String,
    dir: TempDir,
    daemon: Option<Child>,
    helpers: Vec<Child>,
}

impl Site {
    /// A server, and a client for each MAC. `dhcp` is what handset.conf says about DHCP, `sip` the tagged peers.
    pub(crate) fn start(macs: &[&str], dhcp: &str, sip: &str) -> Self {
        let mut site = Self::network(macs);
        site.configure(dhcp, sip);
        site.run();
        site
    }

    pub(crate) fn network(macs: &[&str]) -> Self {
        let count = macs.len().to_string();
        let args: Vec<&str> =
            ["up", &count].into_iter().chain(macs.iter().flat_map(|m| ["--mac", *m])).collect();
        let made = netns(&args);
        assert!(
            made.status.success(),
            "this test builds network namespaces: it needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN, \
             and iproute2 (make setup): {made:?}"
        );
        let net = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let dir = tempfile::Builder::new().prefix("handset-dhcp.").tempdir_in("/tmp").unwrap();
        Self { net, dir, daemon: None, helpers: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn configure(&self, dhcp: &str, sip: &str) {
        let dir = self.dir.path().display();
        fs::write(self.path("sip.conf"), format!("[general]\n{sip}")).unwrap();
        let text = format!(
            "[general]\nsip_conf={dir}/sip.conf\nserver_address={SERVER}\ntimezone=Europe/Berlin\n\
             state_dir={dir}/state\ncontrol_socket={dir}/control\n[tftp]\nlisten={SERVER}:69\n{dhcp}"
        );
        fs::write(self.path("handset.conf"), text).unwrap();
    }

    /// The daemon in the server's namespace, until it serves.
    pub(crate) fn run(&mut self) {
        self.run_by(&[]);
    }

    /// Likewise, by other words in front of it.
    pub(crate) fn run_by(&mut self, before: &[&str]) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let conf = self.path("handset.conf");
        let words = [before, &[env!("CARGO_BIN_EXE_handsetd")]].concat();
        let mut command = self.inside("srv", words[0]);
        command.args(&words[1..]).args(["--config", conf.to_str().unwrap(), "--log", "debug"]);
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.daemon = Some(child);
        self.until("the daemon answers", |site| site.try_handset(&["status"]).status.success());
    }

    /// A command in a host's namespace, not yet started. It is the command itself, so that it can be ended.
    pub(crate) fn inside(&self, host: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}.{host}", self.net)]).arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// Starts something that ends with the site.
    pub(crate) fn helper(&mut self, host: &str, program: &str, args: &[&str], log: &str) {
        let log = File::create(self.path(log)).unwrap();
        let mut command = self.inside(host, program);
        let child = command.args(args).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        self.helpers.push(child.unwrap_or_else(|e| panic!("{program}: {e} (make setup)")));
    }

    pub(crate) fn ip(&self, host: &str, words: &str) {
        let space = format!("{}.{host}", self.net);
        let args: Vec<&str> = ["-n", &space].into_iter().chain(words.split(' ')).collect();
        let out = run("ip", &args);
        assert!(out.status.success(), "ip {args:?}: {out:?}");
    }

    /// Moves a client behind a router.
    pub(crate) fn behind(&self, host: &str, router: &str) {
        let out = netns(&["behind", &self.net, host, router]);
        assert!(out.status.success(), "{out:?}");
    }

    pub(crate) fn try_handset(&self, args: &[&str]) -> Output {
        let conf = self.path("handset.conf");
        let all: Vec<&str> =
            ["--config", conf.to_str().unwrap()].into_iter().chain(args.iter().copied()).collect();
        run(env!("CARGO_BIN_EXE_handset"), &all)
    }

    pub(crate) fn handset(&self, args: &[&str]) -> String {
        let out = self.try_handset(args);
        assert!(out.status.success(), "{args:?} {out:?} {}", self.log());
        String::from_utf8(out.stdout).unwrap()
    }

    /// The leases as `address mac state`, one a line.
    pub(crate) fn leases(&self) -> Vec<String> {
        let text = self.handset(&["dhcp", "leases"]);
        let words = |line: &str| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
        text.lines().skip(1).map(words).collect()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + SOON;
        while !holds(self) {
            assert!(Instant::now() < end, "not within {SOON:?}: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the daemon, in order or not.
    pub(crate) fn end(&mut self, signal: Signal) {
        if let Some(mut daemon) = self.daemon.take() {
            kill(Pid::from_raw(i32::try_from(daemon.id()).unwrap()), signal).unwrap();
            daemon.wait().unwrap();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for mut child in self.daemon.take().into_iter().chain(self.helpers.drain(..)) {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        netns(&["down", &self.net]);
    }
}
