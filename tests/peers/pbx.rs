//! A private Asterisk 16 and a bare connection to its manager interface.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

/// What an answer says, by key.
pub(crate) type Fields = HashMap<String, String>;

/// A running Asterisk; it is stopped when this is dropped.
pub(crate) struct Pbx {
    pub(crate) etc: PathBuf,
    pub(crate) sip_port: u16,
    stream: BufReader<TcpStream>,
    run: TempDir,
}

impl Pbx {
    pub(crate) fn start() -> Self {
        let run = tempfile::tempdir().expect("temporary folder");
        let out = lab(&["start", "16", "--run", &run.path().display().to_string()]);
        let value = |name: &str| {
            let line = out.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("no {name} in {out}")).trim_matches('\'').to_owned()
        };
        let port = |name: &str| value(name).parse::<u16>().expect("a port");
        let stream = TcpStream::connect(("127.0.0.1", port("AMI_PORT"))).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("read timeout");
        let etc = value("ETC").into();
        let sip_port = port("SIP_PORT");
        let mut pbx = Self { etc, sip_port, stream: BufReader::new(stream), run };
        pbx.line();
        pbx.ask("Action: Login\r\nUsername: admin\r\nSecret: lab-admin\r\nEvents: off\r\n");
        pbx
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).expect("read from the manager interface");
        assert!(!line.is_empty(), "the manager interface was closed");
        String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()
    }

    /// One block of lines.
    fn block(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line() {
                line if line.is_empty() => return lines,
                line => lines.push(line),
            }
        }
    }

    /// Sends an action and gives its answer.
    fn ask(&mut self, action: &str) -> Vec<String> {
        self.stream.get_mut().write_all(format!("{action}\r\n").as_bytes()).expect("send");
        loop {
            let block = self.block();
            if block.first().is_some_and(|line| line.starts_with("Response:")) {
                return block;
            }
        }
    }

    /// The lines that a console command shows.
    pub(crate) fn console(&mut self, command: &str) -> Vec<String> {
        let answer = self.ask(&format!("Action: Command\r\nCommand: {command}\r\n"));
        answer.iter().filter_map(|line| line.strip_prefix("Output: ")).map(str::to_owned).collect()
    }

    /// All that Asterisk tells about a peer.
    pub(crate) fn show_peer(&mut self, name: &str) -> Fields {
        let answer = self.ask(&format!("Action: SIPshowpeer\r\nPeer: {name}\r\n"));
        let mut fields: Fields = answer.iter().filter_map(|line| field(line)).collect();
        let wanted = |(key, _): &(String, String)| key == "VM Extension" || key == "Prim.Transp.";
        let console = self.console(&format!("sip show peer \"{name}\""));
        fields.extend(console.iter().filter_map(|line| field(line)).filter(wanted));
        fields
    }

    /// The names of all peers.
    pub(crate) fn peers(&mut self) -> Vec<String> {
        self.ask("Action: SIPpeers\r\n");
        let mut names = Vec::new();
        loop {
            let block = self.block();
            if block.iter().any(|line| line == "Event: PeerlistComplete") {
                return names;
            }
            names.extend(
                block.iter().filter_map(|l| l.strip_prefix("ObjectName: ")).map(str::to_owned),
            );
        }
    }

    /// Makes Asterisk read sip.conf again and waits until the peer is there.
    pub(crate) fn reload_until(&mut self, marker: &str) {
        self.ask("Action: Command\r\nCommand: sip reload\r\n");
        for _ in 0..200 {
            if self.show_peer(marker).get("Response").is_some_and(|r| r == "Success") {
                return;
            }
            sleep(Duration::from_millis(25));
        }
        let log = fs::read_to_string(self.run.path().join("log/full")).unwrap_or_default();
        let end: Vec<_> = log.lines().rev().take(20).collect();
        panic!("Asterisk did not load sip.conf: {end:#?}");
    }
}

impl Drop for Pbx {
    fn drop(&mut self) {
        lab(&["stop", "--run", &self.run.path().display().to_string()]);
    }
}

/// `key: value`, without the blanks around.
fn field(line: &str) -> Option<(String, String)> {
    let (key, value) = line.split_once(':')?;
    Some((key.trim().to_owned(), value.trim().to_owned()))
}

fn lab(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/asterisk");
    let output = Command::new(script).args(arguments).output().expect("run tests/lab/asterisk");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tests/lab/asterisk {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
