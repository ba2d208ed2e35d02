//! Starting, watching and ending a server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::procstat::{self, Watch};

/// A server that runs, and ends with this.
pub(crate) struct Running {
    child: Child,
    cgroup: Option<PathBuf>,
    began: Instant,
}

/// Puts itself into the cgroup, then becomes the server.
const ENTER: &str = r#"[ -z "$1" ] || echo 0 > "$1/cgroup.procs"; shift; exec "$@""#;

impl Running {
    /// Starts a program with its arguments, in a cgroup of that name, with a shared object before it.
    pub(crate) fn start(name: &str, words: &[String], preload: Option<&Path>) -> io::Result<Self> {
        let cgroup = cgroup(name);
        let group = cgroup.as_deref().unwrap_or(Path::new("")).display().to_string();
        let mut command = Command::new("sh");
        command.args(["-c", ENTER, "sh", &group]).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(preload) = preload {
            command.env("LD_PRELOAD", preload);
        }
        let (child, began) = (command.spawn()?, Instant::now());
        Ok(Self { child, cgroup, began })
    }

    /// How long ago it was started.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether it has not ended.
    #[allow(dead_code, reason = "not asked by every benchmark")]
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until what a start takes is over.
    pub(crate) fn calm(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        let mut calm = 0;
        while calm < 3 && Instant::now() < until {
            let watch = Watch::start(self.cost(0));
            std::thread::sleep(Duration::from_millis(200));
            calm = if watch.finish().cpu_s < 0.015 { calm + 1 } else { 0 };
        }
    }

    pub(crate) fn cost(&self, port: u16) -> procstat::Server {
        procstat::Server { pid: Some(self.child.id()), cgroup: self.cgroup.clone(), port }
    }

    /// Ends it, and all that it started.
    pub(crate) fn stop(mut self) {
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
