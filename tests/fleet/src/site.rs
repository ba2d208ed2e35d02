//! A site in a folder of its own: a real Asterisk of the lab, handset.conf, and the built `handsetd`.
//! All of it ends when the [`Site`] is dropped.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::conf::{Conf, Pbx};

/// Where all phones listen for SIP, each at its own address.
pub const PHONE_PORT: u16 = 15_060;
/// How long the daemon may take to start, to stop and to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a site is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// What Asterisk is told.
    pub pbx: Pbx,
    /// Lines of `[general]` of handset.conf.
    pub general: String,
    /// Lines of `[push]`.
    pub push: String,
    /// More sections.
    pub sections: String,
    /// The folder of `handsetd` and `handset`.
    pub programs: PathBuf,
    /// More environment of the daemon.
    pub environment: Vec<(String, String)>,
    /// Where the daemon's log is copied to at the end.
    pub log: Option<PathBuf>,
}

impl Options {
    /// Quick pauses that suit phones whose own pauses are a tenth of the real ones.
    pub fn quick(programs: PathBuf) -> Self {
        Self {
            pbx: Pbx { qualify: 30, expires: 60 },
            general: String::new(),
            push: "rate=50\nretry=5s\nretry_max=30s\nproof=20s\nunknown=1s\n".into(),
            sections: String::new(),
            programs,
            environment: Vec::new(),
            log: None,
        }
    }
}

/// Where cargo put the programs: `HANDSET_BIN`, else the folder of this program or above it.
///
/// # Errors
/// There is no `handsetd`.
pub fn programs() -> io::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let named = std::env::var_os("HANDSET_BIN").map(PathBuf::from);
    let places = named.into_iter().chain(here.ancestors().skip(1).take(2).map(Path::to_owned));
    let found = places.into_iter().find(|place| place.join("handsetd").is_file());
    found.ok_or_else(|| {
        error("no handsetd beside this program: run `cargo build -p handset --bins`")
    })
}

fn error(text: impl Into<String>) -> io::Error {
    io::Error::other(text.into())
}

/// See the module's text.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
    options: Options,
    /// Asterisk's own AMI port.
    pub ami: u16,
    /// The port of AMI that the daemon is told.
    pub daemon_ami: u16,
    sip: String,
    etc: PathBuf,
    /// Where phones fetch their files.
    pub tftp: SocketAddr,
    daemon: Option<Child>,
}

/// One phone as the daemon sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// `current`, `pending`, …
    pub state: String,
    /// The token of what it shall run.
    pub wanted: Option<String>,
    /// The token of what it is proved to run.
    pub running: Option<String>,
    /// The state in words.
    pub detail: Option<String>,
    /// Whether Asterisk has a contact for all its lines.
    pub registered: bool,
}

/// What the daemon says.
#[derive(Clone, Debug)]
pub struct Status {
    /// The generation on offer.
    pub generation: u64,
    /// Why a newer one is held back.
    pub held: Option<String>,
    /// The AMI session in words.
    pub ami: String,
    /// By MAC, in lower case with colons.
    pub phones: BTreeMap<String, Seen>,
}

impl Site {
    /// Starts Asterisk with `conf`; the daemon is started by [`Site::run`].
    ///
    /// # Errors
    /// The folder cannot be made, or the lab's Asterisk does not start.
    pub fn prepare(options: Options, conf: &Conf) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("handset-fleet.").tempdir_in("/tmp")?;
        let from = dir.path().join("conf");
        copy_files(&lab().join("conf16"), &from)?;
        fs::write(from.join("sip.conf"), conf.text(&options.pbx))?;
        // A phone that loses its power in a call leaves half of one behind: not for an hour.
        let plan = fs::read_to_string(from.join("extensions.conf"))?;
        fs::write(from.join("extensions.conf"), plan.replace("Wait(3600)", "Wait(30)"))?;
        let run = dir.path().join("pbx").display().to_string();
        let out = asterisk(&[
            "start",
            "16",
            "--conf",
            &from.display().to_string(),
            "--run",
            &run,
            "--verbose",
            "0",
        ])?;
        let env = String::from_utf8_lossy(&out.stdout).into_owned();
        let value = |name: &str| {
            let line = env.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            line.map(|v| v.trim_matches('\'').to_owned())
                .ok_or_else(|| error(format!("no {name} in {env}")))
        };
        let ami = value("AMI_PORT")?.parse().map_err(|_| error("AMI_PORT is no number"))?;
        let (sip, etc) = (value("SIP_PORT")?, PathBuf::from(value("ETC")?));
        let tftp = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        fs::create_dir(dir.path().join("tftp"))?;
        fs::create_dir(dir.path().join("state"))?;
        Ok(Self { dir, options, ami, daemon_ami: ami, sip, etc, tftp, daemon: None })
    }

    /// More environment for the daemon, from its next start on.
    pub fn environment(&mut self, more: Vec<(String, String)>) {
        self.options.environment.extend(more);
    }

    /// Where the daemon's log will be kept.
    pub fn kept_log(&self) -> Option<&Path> {
        self.options.log.as_deref()
    }

    /// A path in the site's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The text of a sip.conf of this site.
    pub fn text(&self, conf: &Conf) -> String {
        conf.text(&self.options.pbx).replace("@SIP_PORT@", &self.sip)
    }

    /// Asterisk's `sip.conf`.
    pub fn sip_conf(&self) -> PathBuf {
        self.etc.join("sip.conf")
    }

    fn write_config(&self) -> io::Result<()> {
        let Options { general, push, sections, .. } = &self.options;
        let (dir, etc) = (self.dir.path().display(), self.etc.display());
        let text = format!(
            "[general]\nsip_conf={etc}/sip.conf\nserver_address=127.0.0.1\nstate_dir={dir}/state\n\
             control_socket={dir}/control\ntimezone=Europe/Berlin\ntrusted_nets=127.0.0.0/8\n{general}\n\
             [ami]\nhost=127.0.0.1\nport={}\nusername=provision\nsecret=lab-secret\n[push]\n{push}\n\
             [tftp]\nlisten={}\nroot={dir}/tftp\n[cisco-79x0]\nvoip_control_port={PHONE_PORT}\n{sections}\n",
            self.daemon_ami, self.tftp
        );
        fs::write(self.path("handset.conf"), text)
    }

    /// Starts the daemon, and waits until it has read its sources.
    ///
    /// # Errors
    /// It cannot be started, ends, or is not ready within a minute.
    pub fn run(&mut self) -> io::Result<()> {
        self.write_config()?;
        let log = fs::File::options().create(true).append(true).open(self.path("daemon.log"))?;
        let child = Command::new(self.options.programs.join("handsetd"))
            .args(["--log", "info", "--config"])
            .arg(self.path("handset.conf"))
            .envs(self.options.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.daemon = Some(child);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.daemon.as_mut().and_then(|child| child.try_wait().ok()?) {
                return Err(error(format!("handsetd ended: {status}\n{}", self.log_end())));
            }
            let read =
                |status: Status| status.held.is_none_or(|held| !held.contains("not been read yet"));
            if self.status().is_ok_and(read) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(error(format!("handsetd is not ready after {PATIENCE:?}\n{}", self.log_end())))
    }

    /// The daemon's process.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    /// kill -9.
    ///
    /// # Errors
    /// It had ended before.
    pub fn kill(&mut self) -> io::Result<()> {
        let mut child = self.daemon.take().ok_or_else(|| error("handsetd does not run"))?;
        if let Some(status) = child.try_wait()? {
            return Err(error(format!(
                "handsetd had ended by itself: {status}\n{}",
                self.log_end()
            )));
        }
        child.kill()?;
        child.wait().map(|_| ())
    }

    /// SIGTERM; its exit code.
    ///
    /// # Errors
    /// It does not run, or does not end within a minute.
    pub fn stop(&mut self) -> io::Result<i32> {
        let mut child = self.daemon.take().ok_or_else(|| error("handsetd does not run"))?;
        let _ = kill(pid(&child), Signal::SIGTERM);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait()? {
                return Ok(status.code().unwrap_or(-1));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(error("handsetd did not stop"))
    }

    /// Whether the daemon is there, as far as it should be.
    pub fn daemon_lives(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Everything that the daemon logged.
    pub fn log(&self) -> String {
        fs::read(self.path("daemon.log"))
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    /// The last lines of the log.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Asks the daemon for its status.
    ///
    /// # Errors
    /// It does not answer, or not so.
    pub fn status(&self) -> io::Result<Status> {
        let answer = self.ask(&json!({ "status": { "phone": null } }))?;
        let status = answer.get("status").ok_or_else(|| error(format!("no status: {answer}")))?;
        Ok(Status {
            generation: status["generation"].as_u64().unwrap_or_default(),
            held: text(&status["held"]),
            ami: text(&status["ami"]).unwrap_or_default(),
            phones: status["phones"].as_array().into_iter().flatten().filter_map(seen).collect(),
        })
    }

    /// Asks the daemon anything; the first line of the answer.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ask(&self, ask: &Value) -> io::Result<Value> {
        let mut stream = UnixStream::connect(self.path("control"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{}\n", json!({ "version": 1, "ask": ask })).as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Runs the real command line.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn handset(&self, arguments: &[&str]) -> io::Result<Output> {
        let mut command = Command::new(self.options.programs.join("handset"));
        command.arg("--config").arg(self.path("handset.conf")).args(arguments).stdin(Stdio::null());
        command.output()
    }

    /// An Asterisk console command; what it prints.
    ///
    /// # Errors
    /// Asterisk does not run.
    pub fn asterisk(&self, command: &str) -> io::Result<String> {
        let out = asterisk(&["rx", "--run", &self.path("pbx").display().to_string(), command])?;
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// Stops Asterisk.
    ///
    /// # Errors
    /// The lab's script fails.
    pub fn stop_asterisk(&self) -> io::Result<()> {
        asterisk(&["stop", "--run", &self.path("pbx").display().to_string()]).map(|_| ())
    }

    /// Starts Asterisk again on its old ports, from the files as they are.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_asterisk(&self) -> io::Result<()> {
        let again = self.path("conf-again");
        let _ = fs::remove_dir_all(&again);
        copy_files(&self.etc, &again)?;
        let (run, ami) = (self.path("pbx").display().to_string(), self.ami.to_string());
        let conf = again.display().to_string();
        asterisk(&[
            "start",
            "16",
            "--conf",
            &conf,
            "--run",
            &run,
            "--sip",
            &self.sip,
            "--ami",
            &ami,
            "--verbose",
            "0",
        ])
        .map(|_| ())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(log) = &self.options.log {
            let _ = fs::copy(self.path("daemon.log"), log);
        }
        if self.path("pbx/env").exists() {
            let _ = self.stop_asterisk();
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn seen(phone: &Value) -> Option<(String, Seen)> {
    let lines = phone["lines"].as_array()?;
    let seen = Seen {
        state: text(&phone["state"])?,
        wanted: text(&phone["wanted"]),
        running: text(&phone["running"]),
        detail: text(&phone["detail"]),
        registered: lines.iter().all(|line| line["registered"].as_bool() == Some(true)),
    };
    Some((text(&phone["mac"])?, seen))
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)?.flatten().filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab")
}

fn asterisk(arguments: &[&str]) -> io::Result<Output> {
    let out = Command::new(lab().join("asterisk")).args(arguments).stdin(Stdio::null()).output()?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        return Err(error(format!("asterisk {arguments:?} (make setup installs the lab): {said}")));
    }
    Ok(out)
}
