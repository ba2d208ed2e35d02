//! A private Asterisk, 22 unless said, and a bare connection to its manager interface.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

/// What one frame says, by key; of repeated keys the first.
pub(crate) type Fields = HashMap<String, String>;

/// A running Asterisk; it is stopped when this is dropped.
pub(crate) struct Pbx {
    pub(crate) etc: PathBuf,
    pub(crate) sip: SocketAddr,
    pub(crate) ami: SocketAddr,
    stream: BufReader<TcpStream>,
    run: TempDir,
}

impl Pbx {
    pub(crate) fn start() -> Self {
        Self::of("22", &[])
    }

    /// An Asterisk 16 with both drivers, chan_sip's peers and chan_pjsip's endpoints of the lab, and
    /// the address of chan_pjsip.
    pub(crate) fn both() -> (Self, SocketAddr) {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab");
        let text = |name: &str| fs::read_to_string(tests.join(name)).unwrap();
        let conf = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(conf.path().join(name), text).unwrap();
        for name in ["extensions.conf", "manager.conf", "rtp.conf", "sip.conf", "sip_more.conf"] {
            write(name, &text(&format!("conf16/{name}")));
        }
        write("pjsip_notify.conf", &text("conf22/pjsip_notify.conf"));
        write("pjsip.conf", &text("conf22/pjsip.conf").replace("@SIP_PORT@", "@PJSIP_PORT@"));
        let mut modules = text("conf16/modules.conf");
        for line in text("conf22/modules.conf").lines().filter(|line| line.starts_with("load=")) {
            if !modules.contains(line) {
                modules += &format!("{line}\n");
            }
        }
        write("modules.conf", &modules);
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let set = format!("PJSIP_PORT={}", port.port());
        (Self::of("16", &["--set", &set, "--conf", conf.path().to_str().unwrap()]), port)
    }

    fn of(version: &str, options: &[&str]) -> Self {
        let run = tempfile::tempdir().unwrap();
        let start = ["start", version, "--run", run.path().to_str().unwrap()];
        let out = lab(&[&start[..], options].concat());
        let value = |name: &str| {
            let line = out.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("no {name} in {out}")).trim_matches('\'').to_owned()
        };
        let local = |name: &str| format!("127.0.0.1:{}", value(name)).parse().unwrap();
        let ami: SocketAddr = local("AMI_PORT");
        let stream = BufReader::new(TcpStream::connect(ami).unwrap());
        stream.get_ref().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut pbx = Self { etc: value("ETC").into(), sip: local("SIP_PORT"), ami, stream, run };
        pbx.line();
        pbx.ask("Action: Login\r\nUsername: admin\r\nSecret: lab-admin\r\nEvents: off");
        pbx
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap();
        assert!(!line.is_empty(), "the manager interface was closed");
        String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()
    }

    /// All frames up to the answer to a Ping that is sent behind the action.
    pub(crate) fn ask(&mut self, action: &str) -> Vec<Fields> {
        let both = format!("{action}\r\n\r\nAction: Ping\r\nActionID: last\r\n\r\n");
        self.stream.get_mut().write_all(both.as_bytes()).unwrap();
        let mut frames = Vec::new();
        let mut frame = Fields::new();
        loop {
            let line = self.line();
            if let Some((key, value)) = line.split_once(':') {
                frame.entry(key.to_owned()).or_insert_with(|| value.trim().to_owned());
            } else if line.is_empty() {
                let frame = std::mem::take(&mut frame);
                if frame.get("ActionID").is_some_and(|id| id == "last") {
                    return frames;
                }
                frames.push(frame);
            }
        }
    }

    /// The objects of a list, by name.
    pub(crate) fn objects(&mut self, action: &str) -> HashMap<String, Fields> {
        let named = |frame: Fields| Some((frame.get("ObjectName")?.clone(), frame));
        self.ask(&format!("Action: {action}")).into_iter().filter_map(named).collect()
    }

    pub(crate) fn endpoint(&mut self, name: &str) -> Option<Fields> {
        let frames = self.ask(&format!("Action: PJSIPShowEndpoint\r\nEndpoint: {name}"));
        frames.into_iter().find(|f| f.get("ObjectType").is_some_and(|kind| kind == "endpoint"))
    }

    /// A console command, from the outside.
    pub(crate) fn rx(&self, command: &str) -> String {
        let run = self.run.path().to_str().unwrap();
        lab(&[&["rx", "--run", run][..], &command.split(' ').collect::<Vec<_>>()].concat())
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.etc.join(file), text).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.etc.join(file)).unwrap()
    }

    /// Makes Asterisk read its files again, and waits until it has.
    pub(crate) fn reload_until(&mut self, endpoint: &str) {
        self.rx("module reload res_pjsip.so");
        for _ in 0..200 {
            if self.endpoint(endpoint).is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        let log = fs::read_to_string(self.run.path().join("log/full")).unwrap_or_default();
        panic!("not loaded: {:#?}", log.lines().rev().take(20).collect::<Vec<_>>());
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.run.path().join("log/full")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Pbx {
    fn drop(&mut self) {
        lab(&["stop", "--run", self.run.path().to_str().unwrap()]);
    }
}

fn lab(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/asterisk");
    let output = Command::new(script).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tests/lab/asterisk {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
