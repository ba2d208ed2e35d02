//! A private Asterisk and its answers to GetConfig.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long one answer may take; the slowest valid case needs some milliseconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// A running Asterisk with an AMI session.
pub(crate) struct Asterisk {
    pub(crate) version: u32,
    dir: TempDir,
    ami: TcpStream,
    buffer: Vec<u8>,
}

fn lab(args: &[&str]) -> Output {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/asterisk");
    Command::new(program).args(args).stdin(Stdio::null()).output().expect("tests/lab/asterisk")
}

fn ok(args: &[&str]) -> String {
    let out = lab(args);
    let (told, errors) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(
        out.status.success(),
        "asterisk {args:?} failed (is it missing? run `make setup`): {told}{errors}"
    );
    told.into_owned()
}

/// The lab's configuration without a log: millions of warnings are of no use.
fn conf(version: u32, dir: &Path) -> PathBuf {
    let (from, to) = (format!("tests/lab/conf{version}"), dir.join("conf"));
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(from);
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    fs::write(to.join("logger.conf"), "[general]\n[logfiles]\n").unwrap();
    to
}

fn connect(version: u32, dir: &Path) -> TcpStream {
    let run = dir.join("run");
    let env = ok(&[
        "start",
        &version.to_string(),
        "--conf",
        dir.join("conf").to_str().unwrap(),
        "--run",
        run.to_str().unwrap(),
        "--verbose",
        "0",
    ]);
    let port = env.lines().find_map(|l| l.strip_prefix("AMI_PORT=")).expect("a port").to_owned();
    let ami = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    ami.set_read_timeout(Some(PATIENCE)).unwrap();
    ami.set_nodelay(true).unwrap();
    ami
}

impl Asterisk {
    /// Starts one and logs in.
    pub(crate) fn start(version: u32) -> Self {
        let dir = tempfile::Builder::new().prefix("handset-parity.").tempdir_in("/tmp").unwrap();
        conf(version, dir.path());
        let ami = connect(version, dir.path());
        let mut asterisk = Self { version, dir, ami, buffer: Vec::new() };
        asterisk.login();
        asterisk
    }

    fn login(&mut self) {
        self.buffer.clear();
        let login = "Action: Login\r\nUsername: admin\r\nSecret: lab-admin\r\nEvents: off\r\n\r\n";
        self.ami.write_all(login.as_bytes()).unwrap();
        let answer = self.answer().unwrap();
        assert!(answer.windows(17).any(|w| w == b"Response: Success"), "{}", answer.escape_ascii());
    }

    /// After a crash, or instead of waiting for ever.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.ami = connect(self.version, self.dir.path());
        self.login();
    }

    fn stop(&self) {
        lab(&["stop", "--run", self.dir.path().join("run").to_str().unwrap()]);
    }

    /// Its configuration directory.
    pub(crate) fn etc(&self) -> PathBuf {
        self.dir.path().join("run/etc")
    }

    /// Lays out what Debian ships in its configuration directory; the paths in there.
    pub(crate) fn samples(&self) -> Vec<String> {
        let from = PathBuf::from(ok(&["samples", &self.version.to_string()]).trim());
        let (etc, mut names) = (self.etc(), Vec::new());
        for (from, to) in [(from.clone(), "samples"), (from.join("manager.d"), "manager.d")] {
            fs::create_dir_all(etc.join(to)).unwrap();
            for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
                if entry.path().is_file() {
                    let name = format!("{to}/{}", entry.file_name().to_str().unwrap());
                    fs::copy(entry.path(), etc.join(&name)).unwrap();
                    names.push(name);
                }
            }
        }
        names.sort();
        names
    }

    /// Up to the empty line.
    fn answer(&mut self) -> io::Result<Vec<u8>> {
        let mut seen = 0;
        loop {
            if let Some(at) = self.buffer[seen..].windows(4).position(|w| w == b"\r\n\r\n") {
                let rest = self.buffer.split_off(seen + at + 4);
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            seen = self.buffer.len().saturating_sub(3);
            let mut part = [0; 65536];
            match self.ami.read(&mut part)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => self.buffer.extend_from_slice(&part[..len]),
            }
        }
    }

    /// What it reads from a file, as [`handset::conf::show::json`] has it; an error when it crashed
    /// or hangs.
    pub(crate) fn get_config(&mut self, top: &str) -> io::Result<Value> {
        let ask =
            format!("Action: GetConfig\r\nFilename: {top}\r\nFilter: TEMPLATES=include\r\n\r\n");
        self.ami.write_all(ask.as_bytes())?;
        Ok(told(&self.answer()?))
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One character a byte.
fn chars(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

fn told(answer: &[u8]) -> Value {
    let text = chars(answer);
    if text.contains("Message: Config file not found\r\n") {
        return json!("missing");
    }
    if text.contains("Message: Config file has invalid format\r\n") {
        return json!("invalid");
    }
    assert!(text.starts_with("Response: Success\r\n"), "{}", answer.escape_ascii());
    let mut sections: Vec<Value> = Vec::new();
    for line in text.split("\r\n").skip(1) {
        let Some((key, value)) = line.split_once(": ") else { continue };
        let kind = key.split('-').next().unwrap_or_default();
        if kind == "Category" {
            sections.push(json!({"name": value, "template": false, "templates": "", "lines": []}));
        }
        let Some(section) = sections.last_mut() else { continue };
        match kind {
            "IsTemplate" => section["template"] = true.into(),
            "Templates" => section["templates"] = value.into(),
            "Line" => section["lines"].as_array_mut().unwrap().push(value.into()),
            _ => {}
        }
    }
    sections.into()
}
