//! A real Asterisk 16 of the lab.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

pub(crate) struct Asterisk {
    run: tempfile::TempDir,
    env: HashMap<String, String>,
}

fn script() -> PathBuf {
    let lab = std::env::var_os("HANDSET_LAB").map(PathBuf::from);
    lab.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab").into()).join("asterisk")
}

impl Asterisk {
    pub(crate) fn start() -> Self {
        let run = tempfile::tempdir().expect("a folder");
        let mut asterisk = Self { run, env: HashMap::new() };
        asterisk.again();
        asterisk
    }

    /// Starts it again with the ports that it had, from the lab's own configuration.
    pub(crate) fn again(&mut self) {
        let mut args = Vec::new();
        for (option, key) in [("--sip", "SIP_PORT"), ("--ami", "AMI_PORT")] {
            args.extend(self.env.get(key).map(|port| [option.to_owned(), port.clone()]));
        }
        let told = self.lab("start 16", &args.concat());
        let pairs = told.lines().filter_map(|line| line.split_once('='));
        self.env = pairs.map(|(k, v)| (k.into(), v.trim_matches('\'').into())).collect();
    }

    pub(crate) fn stop(&self) {
        self.lab("stop", &[]);
    }

    pub(crate) fn rx(&self, command: &str) -> String {
        self.lab("rx", &command.split(' ').map(String::from).collect::<Vec<_>>())
    }

    fn lab(&self, verb: &str, rest: &[String]) -> String {
        let mut command = Command::new(script());
        command.args(verb.split(' ')).arg("--run").arg(self.run.path()).args(rest);
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{command:?}: {}", said(&output.stderr));
        said(&output.stdout)
    }

    /// Sends one action with the account that may do everything.
    pub(crate) fn admin(&self, action: &str) {
        let mut stream = TcpStream::connect(self.ami()).expect("a connection");
        let login = "Action: Login\r\nUsername: admin\r\nSecret: lab-admin\r\nEvents: off\r\n\r\n";
        let logoff = "\r\n\r\nAction: Logoff\r\n\r\n";
        stream.write_all([login, action, logoff].concat().as_bytes()).expect("sent");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("answers");
        assert_eq!(said.matches("Response: Success").count(), 2, "{said}");
    }

    fn local(&self, key: &str) -> SocketAddr {
        format!("127.0.0.1:{}", self.env[key]).parse().expect("a port")
    }

    pub(crate) fn ami(&self) -> SocketAddr {
        self.local("AMI_PORT")
    }

    pub(crate) fn sip(&self) -> SocketAddr {
        self.local("SIP_PORT")
    }

    /// A file that Asterisk reads.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(&self.env["ETC"]).join(name)
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        // Nothing to be done about a failure here, and a panic would hide the test's own.
        let _ = Command::new(script()).arg("stop").arg("--run").arg(self.run.path()).output();
    }
}
