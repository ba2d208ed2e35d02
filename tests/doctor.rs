//! `handset doctor` in a network: a switch with the server, on which the daemon and the doctor run, and a
//! DHCP server of somebody else's, each in a network namespace of its own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);
const SERVER: &str = "10.66.0.1";
/// Nobody has this address.
const NOBODY: &str = "10.66.0.99";

/// A user that is not root.
const OTHER: u32 = 65_534;
const AS_OTHER: &[&str] = &["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

fn netns(args: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/netns");
    Command::new(script).args(args).stdin(Stdio::null()).output().unwrap()
}

/// The network, what runs in it, and its folder; all ended when dropped.
struct Site {
    net: String,
    dir: TempDir,
    daemon: Option<Child>,
    dhcp: Option<Child>,
    /// What the daemon is started with: nothing, or a change of user.
    before: &'static [&'static str],
}

impl Site {
    fn start(server_address: &str, listen: &str) -> Self {
        Self::start_as(&[], server_address, listen)
    }

    fn start_as(before: &'static [&'static str], server_address: &str, listen: &str) -> Self {
        let made = netns(&["up", "1"]);
        assert!(
            made.status.success(),
            "this test builds network namespaces: it needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN, \
             and iproute2 (make setup): {made:?}"
        );
        let net = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let mut site =
            Self { net, dir: tempfile::tempdir().unwrap(), daemon: None, dhcp: None, before };
        let dir = site.dir.path().display();
        let text = format!(
            "[general]\nsip_conf={dir}/sip.conf\nserver_address={server_address}\n\
             timezone=Europe/Berlin\nstate_dir={dir}/state\ncontrol_socket={dir}/control\n\
             [tftp]\nlisten={listen}\n"
        );
        fs::write(site.path("handset.conf"), text).unwrap();
        let peer = "[201] ;MAC=0018b9000001\ntype=friend\nhost=dynamic\nsecret=hush-1-Hush7\n";
        fs::write(site.path("sip.conf"), format!("[general]\n{peer}")).unwrap();
        let address =
            netns(&["exec", &site.net, "ph1", "ip", "addr", "add", "10.66.0.2/24", "dev", "eth0"]);
        assert!(address.status.success(), "{address:?}");
        if !before.is_empty() {
            for path in [site.dir.path().to_owned(), site.path("sip.conf")] {
                std::os::unix::fs::chown(path, Some(OTHER), Some(OTHER)).unwrap();
            }
        }
        site.run();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn spawn(&self, host: &str, args: &[&str], log: &str) -> Child {
        let log = File::create(self.path(log)).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}.{host}", self.net)]).args(args);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command.spawn().unwrap()
    }

    fn run(&mut self) {
        let config = self.path("handset.conf");
        let words = [env!("CARGO_BIN_EXE_handsetd"), "--config", config.to_str().unwrap()];
        self.daemon = Some(self.spawn("srv", &[self.before, &words[..]].concat(), "log"));
        self.until("it has read its sources", |site| {
            let out = site.handset(&["status"]);
            out.status.success()
                && String::from_utf8_lossy(&out.stdout).contains("00:18:b9:00:00:01")
        });
    }

    /// A DHCP server that sends phones to `tftp`, in place of the one before.
    fn serve(&mut self, tftp: &str) {
        self.stop_dhcp();
        let leases = format!("--dhcp-leasefile={}", self.path("leases").display());
        let (list, text) =
            (format!("--dhcp-option-force=150,{tftp}"), format!("--dhcp-option-force=66,{tftp}"));
        let boot = format!("--dhcp-boot=x,,{tftp}");
        let args = [
            "dnsmasq",
            "--keep-in-foreground",
            "--port=0",
            "--conf-file=/dev/null",
            "--no-ping",
            "--user=root",
            "--pid-file=",
            "--log-dhcp",
            "--log-facility=-",
            "--dhcp-range=10.66.0.100,10.66.0.150",
            &leases,
            &list,
            &text,
            &boot,
        ];
        self.dhcp = Some(self.spawn("ph1", &args, "dnsmasq"));
        self.until("dnsmasq runs", |site| {
            fs::read_to_string(site.path("dnsmasq")).unwrap().contains("DHCP, IP range")
        });
    }

    fn stop_dhcp(&mut self) {
        if let Some(mut child) = self.dhcp.take() {
            kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
            child.wait().unwrap();
        }
    }

    fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            let log = fs::read_to_string(self.path("log")).unwrap();
            assert!(began.elapsed() < SOON, "not within {SOON:?}: {what}\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// On the server.
    fn handset(&self, args: &[&str]) -> Output {
        let config = self.path("handset.conf");
        let words = [env!("CARGO_BIN_EXE_handset"), "--config", config.to_str().unwrap()];
        netns(&[&["exec", &self.net, "srv"], &words[..], args].concat())
    }

    /// The doctor names this step and code first; its text.
    #[track_caller]
    fn check(&self, args: &[&str], step: &str, code: &str) -> String {
        let began = Instant::now();
        let out = self.handset(&[&["doctor"], args].concat());
        let text = String::from_utf8(out.stdout).unwrap();
        assert_eq!(out.status.code(), Some(1), "{text}{:?}", out.stderr);
        let first = text.split("\nThe first broken step is ").nth(1).unwrap_or_default();
        assert!(first.starts_with(&format!("{step}.\n  {code}: ")), "{text}");
        assert!(began.elapsed() < SOON && !text.contains("hush-"), "{text}");
        text
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for child in [&mut self.daemon, &mut self.dhcp].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        netns(&["down", &self.net]);
    }
}

#[test]
fn an_offer_that_leads_elsewhere_is_named_and_no_lease_is_taken() {
    let mut site = Site::start(SERVER, "0.0.0.0:69");
    site.check(&[], "DHCP", "H0910");
    let status = site.handset(&["status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("never") && !status.contains("waits"), "{status}");
    site.serve("10.66.0.9");
    for args in [&[][..], &["201"], &["--interface", "eth0"]] {
        let text = site.check(args, "DHCP", "H0911");
        assert!(
            text.contains("10.66.0.2 offers option 150 = 10.66.0.9, and handset is 10.66.0.1"),
            "{text}"
        );
    }
    // With the right address what is broken is that there is no Asterisk.
    site.serve(SERVER);
    let text = site.check(&["201"], "SIP", "H0941");
    for words in [
        "DHCP           ok           10.66.0.2 offers 10.66.0.1",
        "TFTP           ok           a missing file is refused within ",
        "SIP0018B9000001.cnf is refused to this machine, as it should be (guard = strict)",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let log = fs::read_to_string(site.path("dnsmasq")).unwrap();
    assert!(log.contains("DHCPOFFER") && !log.contains("DHCPACK"), "{log}");
    assert_eq!(fs::read_to_string(site.path("leases")).unwrap_or_default(), "");
}

#[test]
fn silence_is_told_from_a_service_that_listens_elsewhere() {
    let mut site = Site::start(NOBODY, "10.66.0.1:69");
    site.serve(NOBODY);
    let text = site.check(&["--interface", "eth0"], "TFTP", "H0920");
    assert!(text.contains("10.66.0.99:69 does not answer, and does not refuse"), "{text}");
    drop(site);
    let mut site = Site::start(NOBODY, "0.0.0.0:69");
    site.serve(NOBODY);
    let text = site.check(&["--interface", "eth0"], "TFTP", "H0922");
    assert!(text.contains("10.66.0.99:69 does not answer, 127.0.0.1 does"), "{text}");
}

#[test]
fn what_root_may_read_and_the_daemon_may_not_is_named() {
    let site = Site::start_as(AS_OTHER, SERVER, "0.0.0.0:6969");
    let sources = site.path("sip.conf");
    let close = |owner| {
        std::os::unix::fs::chown(&sources, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&sources, fs::Permissions::from_mode(0o600)).unwrap();
    };
    close(OTHER);
    let text = site.check(&[], "DHCP", "H0910");
    assert!(text.contains(" may read all 4 files and folders"), "{text}");
    assert!(text.contains("TFTP           warning      TFTP listens on port 6969"), "{text}");
    close(0);
    let text = site.check(&[], "configuration", "H0905");
    assert!(text.contains("/sip.conf has mode 0600") && text.contains("may not read /"), "{text}");
}
