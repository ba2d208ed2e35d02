//! Starting, watching and ending a server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::site::Site;
use super::{Options, SERVER};
use crate::procstat::{self, Watch};
use crate::proto::{self, Packet, RRQ};
use crate::sys::{receive, udp};

/// A server that can be started.
pub(super) struct Kind {
    pub(super) name: String,
    command: Vec<String>,
    /// Given to the rivals: a receive buffer as large as handsetd's.
    preload: Option<PathBuf>,
}

/// The servers that were asked for; one that is missing is an error.
pub(super) fn kinds(options: &Options, site: &Site) -> io::Result<Vec<Kind>> {
    let all = site.all().display().to_string();
    let rival = |program: &str, arguments: &str| {
        let path = options.rivals.join(program);
        if !path.exists() {
            let why = format!("{} is missing: run tests/storm/rivals", path.display());
            return Err(io::Error::other(why));
        }
        let rest = arguments.split(' ').map(|word| word.replace("ROOT", &all));
        Ok([path.display().to_string()].into_iter().chain(rest).collect())
    };
    let kind = |name: &String| {
        let command = match name.as_str() {
            "handset" => {
                let (program, config) = (options.handsetd.display(), site.config());
                vec![program.to_string(), "--config".to_owned(), config.display().to_string()]
            }
            "dnsmasq" => rival(
                "dnsmasq",
                "-k --conf-file=/dev/null --port=0 --enable-tftp --tftp-root=ROOT --tftp-max=10000 \
                 --listen-address=127.0.0.1 --bind-interfaces --user=root --quiet-tftp \
                 --log-facility=/dev/null --pid-file=",
            )?,
            "atftpd" => rival(
                "atftpd",
                "--daemon --no-fork --port 69 --bind-address 127.0.0.1 --maxthread 10000 \
                 --user root --group root --logfile /dev/null --verbose=0 ROOT",
            )?,
            "tftpd" => rival("tftpd", "-i 127.0.0.1 -p 69 -d ROOT -r -q")?,
            "in.tftpd" => rival(
                "in.tftpd",
                "--listen --foreground --ipv4 --address 127.0.0.1:69 --secure --user root ROOT",
            )?,
            other => return Err(io::Error::other(format!("no server '{other}'"))),
        };
        let preload = options.buffer.clone().filter(|_| name != "handset");
        Ok(Kind { name: name.clone(), command, preload })
    };
    options.servers.iter().map(kind).collect()
}

/// A server that runs, and ends with this.
pub(super) struct Running {
    child: Child,
    cgroup: Option<PathBuf>,
    began: Instant,
}

/// Puts itself into the cgroup, then becomes the server.
const ENTER: &str = r#"[ -z "$1" ] || echo 0 > "$1/cgroup.procs"; shift; exec "$@""#;

impl Running {
    pub(super) fn start(kind: &Kind) -> io::Result<Self> {
        let cgroup = cgroup(&kind.name);
        let group = cgroup.as_deref().unwrap_or(Path::new("")).display().to_string();
        let mut command = Command::new("sh");
        command.args(["-c", ENTER, "sh", &group]).args(&kind.command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(preload) = &kind.preload {
            command.env("LD_PRELOAD", preload);
        }
        let (child, began) = (command.spawn()?, Instant::now());
        Ok(Self { child, cgroup, began })
    }

    /// Waits until a phone's file comes. Gives the milliseconds that it took.
    pub(super) fn answers(&self, site: &Site) -> io::Result<f64> {
        let name = format!("SIP{}.cnf", super::FIRST_MAC);
        let request = proto::request(RRQ, name.as_bytes(), &[]);
        let mut buffer = [0; 2048];
        while self.began.elapsed() < Duration::from_secs(60) {
            let socket = udp(None, 0)?;
            let _ = socket.send_to(&request, SERVER);
            for _ in 0..10 {
                std::thread::sleep(Duration::from_millis(1));
                let Some((length, from)) = receive(&socket, &mut buffer) else { continue };
                if let Packet::Data(..) = proto::parse(&buffer[..length]) {
                    let took = self.began.elapsed();
                    let _ = socket.send_to(&proto::error(0, "only looking"), from);
                    return Ok(took.as_secs_f64() * 1e3);
                }
            }
        }
        let all = site.all();
        Err(io::Error::other(format!("no answer to a request for {name} ({})", all.display())))
    }

    /// Waits until what a start takes is over.
    pub(super) fn calm(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        let mut calm = 0;
        while calm < 3 && Instant::now() < until {
            let watch = Watch::start(self.cost(0));
            std::thread::sleep(Duration::from_millis(200));
            calm = if watch.finish().cpu_s < 0.015 { calm + 1 } else { 0 };
        }
    }

    pub(super) fn cost(&self, port: u16) -> procstat::Server {
        procstat::Server { pid: Some(self.child.id()), cgroup: self.cgroup.clone(), port }
    }

    /// Ends it, and all that it started.
    pub(super) fn stop(mut self) {
        self.end();
    }

    fn members(&self) -> Vec<i32> {
        let procs = self.cgroup.as_ref().map(|dir| dir.join("cgroup.procs"));
        let text = procs.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    fn end(&mut self) {
        let mut signal = Signal::SIGTERM;
        let until = Instant::now() + Duration::from_secs(8);
        loop {
            let own = i32::try_from(self.child.id()).unwrap_or(0);
            let gone = matches!(self.child.try_wait(), Ok(Some(_)) | Err(_));
            let left: Vec<_> = self.members().into_iter().filter(|pid| *pid != own).collect();
            if gone && left.is_empty() {
                break;
            }
            if !gone {
                let _ = kill(Pid::from_raw(own), signal);
            }
            for pid in &left {
                let _ = kill(Pid::from_raw(*pid), signal);
            }
            if Instant::now() > until {
                signal = Signal::SIGKILL;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        if let Some(dir) = self.cgroup.take() {
            let _ = fs::remove_dir(dir);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.cgroup.is_some() || matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// A cgroup of its own, in either version of them; none where that is not possible.
fn cgroup(name: &str) -> Option<PathBuf> {
    let bases =
        [("/sys/fs/cgroup/cpuacct", "cpuacct.usage"), ("/sys/fs/cgroup", "cgroup.controllers")];
    let base = bases.iter().find(|(dir, file)| Path::new(dir).join(file).exists())?;
    let dir = Path::new(base.0).join(format!("storm-{name}-{}", std::process::id()));
    fs::create_dir_all(&dir).ok()?;
    Some(dir)
}
