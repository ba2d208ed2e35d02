//! A site for one test: a real Asterisk, `handsetd`, phones; all ended when it is dropped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use handset::control::client::ask;
use handset::control::{Answer, Ask, PhoneStatus, State, Status};
use simphone::{Config, Model, Phone};
use tempfile::TempDir;

/// Generous: what takes longer is a failure, whatever the machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Where the phones listen for SIP.
pub(crate) const PHONE_PORT: u16 = 15_060;

static NETS: AtomicU8 = AtomicU8::new(10);

pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) ami_port: u16,
    pub(crate) sip_port: String,
    pub(crate) tftp: SocketAddr,
    pub(crate) etc: PathBuf,
    /// More lines of `[general]` of handset.conf, and more sections.
    pub(crate) general: String,
    pub(crate) sections: String,
    pub(crate) ami_secret: String,
    /// The file that is edited.
    pub(crate) top: String,
    /// Whether the state has a small disk of its own, as long as the daemon runs.
    pub(crate) small_disk: bool,
    net: u8,
    daemon: Option<Child>,
}

/// The MAC of phone `n`.
pub(crate) fn mac(n: u8) -> String {
    format!("00:18:b9:00:00:{n:02x}")
}

/// A `[general]` that suits 7940s, and a template for desks.
pub(crate) const HEAD: &str = "[general]
context=phones
udpbindaddr=127.0.0.1:@SIP_PORT@
allowguest=no
alwaysauthreject=yes
srvlookup=no
realm=acceptance
nat=no
minexpiry=5
maxexpiry=3600
defaultexpiry=60
qualify=yes
qualifyfreq=2
t1min=100
vmexten=8500
disallow=all
allow=ulaw

[desk](!)
type=friend
host=dynamic
context=phones
language=en

";

/// `[general]`, the template, and phones 1 to `count` with one line each: peer `100+n`.
pub(crate) fn phones(count: u8) -> String {
    HEAD.to_owned() + &(1..=count).map(phone).collect::<String>()
}

/// The section of phone `n`'s only peer.
pub(crate) fn phone(n: u8) -> String {
    let name = 100 + u32::from(n);
    format!(
        "[{name}](desk) ;MAC={}\ncallerid=\"User {n}\" <{name}>\nsecret=hush-{name}-hush\n\n",
        mac(n)
    )
}

impl Site {
    /// Starts Asterisk with `sip_conf` (`@SIP_PORT@` is filled in) and the daemon.
    pub(crate) async fn start(sip_conf: &str) -> Self {
        let mut site = Self::prepare(sip_conf);
        site.run().await;
        site
    }

    /// Starts Asterisk 16 alone; set more and call [`Site::run`].
    pub(crate) fn prepare(sip_conf: &str) -> Self {
        Self::prepare_version("16", &[("sip.conf", sip_conf)])
    }

    /// Starts an Asterisk with the lab's configuration and these files.
    pub(crate) fn prepare_version(version: &str, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("handset-test.").tempdir_in("/tmp").unwrap();
        let conf = dir.path().join("conf");
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/lab/conf{version}"));
        fs::create_dir(&conf).unwrap();
        for entry in fs::read_dir(&demo).unwrap().flatten() {
            fs::copy(entry.path(), conf.join(entry.file_name())).unwrap();
        }
        for name in ["sip.conf", "pjsip.conf", "pjsip_wizard.conf"] {
            let _ = fs::remove_file(conf.join(name));
        }
        for (name, text) in files {
            fs::write(conf.join(name), text).unwrap();
        }
        let run = dir.path().join("pbx");
        let out = lab(&[
            "start",
            version,
            "--conf",
            conf.to_str().unwrap(),
            "--run",
            run.to_str().unwrap(),
        ]);
        let env = String::from_utf8(out.stdout).unwrap();
        let value = |name: &str| {
            let line = env.lines().find_map(|l| l.strip_prefix(&format!("{name}=")));
            line.unwrap_or_else(|| panic!("no {name} in {env}")).trim_matches('\'').to_owned()
        };
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        fs::create_dir(dir.path().join("tftp")).unwrap();
        Self {
            ami_port: value("AMI_PORT").parse().unwrap(),
            sip_port: value("SIP_PORT"),
            etc: value("ETC").into(),
            tftp: port,
            general: String::new(),
            sections: String::new(),
            ami_secret: "lab-secret".into(),
            top: "sip.conf".into(),
            small_disk: false,
            net: NETS.fetch_add(1, Ordering::Relaxed),
            daemon: None,
            dir,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("handset.conf")
    }

    pub(crate) fn write_config(&self) {
        let text = format!(
            "[general]\nsip_conf={etc}/sip.conf\nserver_address=127.0.0.1\nstate_dir={dir}/state\n\
             control_socket={dir}/control\ntimezone=Europe/Berlin\ntrusted_nets=127.0.0.0/8\n{general}\n\
             [ami]\nhost=127.0.0.1\nport={ami}\nusername=provision\nsecret={secret}\n\
             [push]\nretry=5s\nproof=20s\nunknown=1s\n\
             [tftp]\nlisten={tftp}\nroot={dir}/tftp\n\
             ; not 5060, which something on the machine may hold for all addresses\n\
             [cisco-79x0]\nvoip_control_port={PHONE_PORT}\n{sections}\n",
            etc = self.etc.display(),
            dir = self.dir.path().display(),
            general = self.general,
            ami = self.ami_port,
            secret = self.ami_secret,
            tftp = self.tftp,
            sections = self.sections,
        );
        fs::write(self.config(), text).unwrap();
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) async fn run(&mut self) {
        self.write_config();
        self.run_with("info").await;
    }

    pub(crate) async fn run_with(&mut self, log: &str) {
        let file = File::options().create(true).append(true).open(self.path("daemon.log")).unwrap();
        let child = self
            .handsetd()
            .args(["--log", log, "--config"])
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        self.daemon = Some(child);
        let read = |status: Box<Status>| {
            status.held.is_none_or(|held| !held.contains("not been read yet"))
        };
        self.until("the daemon has read its sources", SOON, |site| {
            site.try_status().is_some_and(read)
        })
        .await;
    }

    /// The command that becomes the daemon's process.
    fn handsetd(&self) -> Command {
        let daemon = env!("CARGO_BIN_EXE_handsetd");
        if !self.small_disk {
            return Command::new(daemon);
        }
        let state = self.path("state");
        fs::create_dir_all(&state).unwrap();
        let mount = "mount -t tmpfs -o size=64m,mode=0700 state \"$0\" && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !nix::unistd::getuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["sh", "-c", mount]).arg(state).arg(daemon);
        command
    }

    /// Fills the small disk to its last byte.
    pub(crate) fn fill_disk(&self) {
        let root = format!("/proc/{}/root", self.daemon.as_ref().unwrap().id());
        let ballast = format!("{root}{}/ballast", self.path("state").display());
        let mut ballast = File::create(ballast).unwrap();
        for block in [1 << 20, 4096, 1] {
            let block = vec![0; block];
            while ballast.write_all(&block).is_ok() {}
        }
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        let mut child = self.daemon.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and its exit code.
    pub(crate) async fn stop(&mut self) -> i32 {
        let mut child = self.daemon.take().unwrap();
        nix::sys::signal::kill(pid(&child), nix::sys::signal::SIGTERM).unwrap();
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(began.elapsed() < SOON, "the daemon did not stop");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap()
    }

    pub(crate) fn sip_conf(&self) -> String {
        fs::read_to_string(self.etc.join("sip.conf")).unwrap()
    }

    pub(crate) fn conf(&self) -> String {
        fs::read_to_string(self.etc.join(&self.top)).unwrap()
    }

    /// Saves sip.conf as most editors do: another file, renamed over.
    pub(crate) fn save(&self, text: &str) {
        let temp = self.etc.join(".conf.swp");
        fs::write(&temp, text.replace("@SIP_PORT@", &self.sip_port)).unwrap();
        fs::rename(temp, self.etc.join(&self.top)).unwrap();
    }

    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = self.conf();
        assert!(text.contains(from), "no {from:?} in {}", self.top);
        self.save(&text.replace(from, to));
    }

    pub(crate) fn try_status(&self) -> Option<Box<Status>> {
        match ask(
            &self.path("control"),
            Ask::Status { phone: None, select: Default::default() },
            false,
        )
        .ok()?
        .next()?
        .ok()?
        {
            Answer::Status(status) => Some(status),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn status(&self) -> Box<Status> {
        self.try_status().unwrap_or_else(|| panic!("the daemon does not answer:\n{}", self.log()))
    }

    pub(crate) fn phone(&self, n: u8) -> PhoneStatus {
        let status = self.status();
        let found = status.phones.iter().find(|p| p.mac.to_string() == mac(n));
        found.unwrap_or_else(|| panic!("no phone {n} in {status:#?}")).clone()
    }

    /// Runs the real command line.
    pub(crate) fn handset(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_handset"));
        command.arg("--config").arg(self.config()).args(args).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// The same, which must succeed; its output.
    pub(crate) fn handset_ok(&self, args: &[&str]) -> String {
        let out = self.handset(args);
        assert!(out.status.success(), "handset {args:?}: {out:?}\n{}", self.log());
        String::from_utf8(out.stdout).unwrap()
    }

    /// An Asterisk console command.
    pub(crate) fn asterisk(&self, command: &str) -> String {
        let out = lab(&["rx", "--run", self.path("pbx").to_str().unwrap(), command]);
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    pub(crate) fn stop_asterisk(&self) {
        lab(&["stop", "--run", self.path("pbx").to_str().unwrap()]);
    }

    /// Starts Asterisk again on its old ports, from the files as they are.
    pub(crate) fn start_asterisk(&self) {
        let conf = self.path("conf-again");
        let _ = fs::remove_dir_all(&conf);
        fs::create_dir(&conf).unwrap();
        for entry in fs::read_dir(&self.etc).unwrap().flatten().filter(|e| e.path().is_file()) {
            fs::copy(entry.path(), conf.join(entry.file_name())).unwrap();
        }
        let (run, ami) = (self.path("pbx"), self.ami_port.to_string());
        let args = [
            "start",
            "16",
            "--conf",
            conf.to_str().unwrap(),
            "--run",
            run.to_str().unwrap(),
            "--sip",
            &self.sip_port,
            "--ami",
            &ami,
        ];
        lab(&args);
    }

    pub(crate) fn phone_config(&self, n: u8) -> Config {
        let address = Ipv4Addr::new(127, self.net, 0, n);
        let mut config = Config::new([0, 0x18, 0xb9, 0, 0, n], Model::M7960, address, self.tftp);
        config.idle = Duration::from_millis(500);
        config.register_expires = Some(20);
        config
    }

    /// Switches phone `n` on and waits until it is registered and shown current.
    pub(crate) async fn boot(&self, n: u8) -> Phone {
        let phone = self.switch_on(n).await;
        self.until_current(n).await;
        phone
    }

    pub(crate) async fn switch_on(&self, n: u8) -> Phone {
        let phone = simphone::spawn(self.phone_config(n)).await;
        if let Err(why) = phone.wait(SOON, simphone::State::all_registered).await {
            panic!("{why}\n{}", self.log());
        }
        phone
    }

    pub(crate) async fn until_current(&self, n: u8) {
        let here = |phone: PhoneStatus| {
            phone.state == State::Current && phone.lines.iter().all(|l| l.registered)
        };
        self.until("it is current", SOON, |site| here(site.phone(n))).await;
    }

    pub(crate) async fn until(
        &self,
        what: &str,
        limit: Duration,
        mut holds: impl FnMut(&Self) -> bool,
    ) {
        let began = Instant::now();
        while !holds(self) {
            assert!(
                began.elapsed() < limit,
                "not within {limit:?}: {what}\n{:#?}\n{}",
                self.try_status(),
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fetches over TFTP as a phone would, from `address`; none for an ERROR.
    pub(crate) fn fetch_from(&self, address: Ipv4Addr, name: &str) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = [b"\0\x01", name.as_bytes(), b"\0octet\0"].concat();
        socket.send_to(&request, self.tftp).unwrap();
        let (mut all, mut packet) = (Vec::new(), [0; 516]);
        loop {
            let (length, from) = socket.recv_from(&mut packet).unwrap();
            if packet[1] != 3 {
                return None;
            }
            all.extend_from_slice(&packet[4..length]);
            socket.send_to(&[0, 4, packet[2], packet[3]], from).unwrap();
            if length < 516 {
                return Some(all);
            }
        }
    }

    pub(crate) fn fetch(&self, name: &str) -> Option<Vec<u8>> {
        self.fetch_from(Ipv4Addr::new(127, self.net, 9, 9), name)
    }

    /// The phone's own file as text.
    pub(crate) fn own_file(&self, n: u8) -> Option<String> {
        let name = format!("SIP{}.cnf", mac(n).replace(':', "").to_uppercase());
        self.fetch(&name).map(|bytes| bytes.into_iter().map(char::from).collect())
    }
}

/// The files of an export.
pub(crate) fn exported(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir)
        .unwrap()
        .flatten()
        .filter(|e| !e.file_name().to_string_lossy().starts_with('.'));
    files.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

/// Time for something to go wrong in.
pub(crate) async fn quiet(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

fn pid(child: &Child) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap())
}

fn lab(args: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/asterisk");
    let out = Command::new(&script).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(
        out.status.success(),
        "{} {args:?} (make setup installs the lab): {out:?}",
        script.display()
    );
    out
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.path("pbx/env").exists() {
            lab(&["stop", "--run", self.path("pbx").to_str().unwrap()]);
        }
    }
}
