//! What systemd is told (`sd_notify(3)`), and what it hands over. Without systemd nothing happens.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The daemon serves: the unit is started, or its reload is over.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&line(status))]);
}

/// SIGHUP came, and the sources are read again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The daemon ends in order.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// One line for `systemctl status`.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(&line(text))]);
}

/// A line break would begin another assignment.
fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}

/// Systemd's watchdog. Only the core's own loop feeds it: a stuck core is a dead daemon.
#[derive(Debug)]
pub struct Watchdog {
    every: Duration,
    fed: Option<Instant>,
}

impl Watchdog {
    /// The watchdog of this unit, if it has one (`WatchdogSec=`).
    pub fn from_env() -> Option<Self> {
        sd_notify::watchdog_enabled().map(Self::with_limit)
    }

    fn with_limit(limit: Duration) -> Self {
        // A third: one feeding may come late, and the next is still in time.
        Self { every: limit / 3, fed: None }
    }

    /// How often to feed it: the longest that the core's loop may sleep.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Feeds it when it is time; to be called at each turn of the core's loop.
    pub fn feed(&mut self, now: Instant) {
        if self.is_hungry(now) {
            self.fed = Some(now);
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// Half of the time passed: a loop that sleeps for `every` finds it so each time.
    fn is_hungry(&self, now: Instant) -> bool {
        self.fed.is_none_or(|fed| now.saturating_duration_since(fed) >= self.every / 2)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_watchdog_is_fed_often_enough_and_not_at_every_turn() {
        let mut dog = Watchdog::with_limit(Duration::from_secs(30));
        assert_eq!(dog.every(), Duration::from_secs(10));
        let begin = Instant::now();
        assert!(dog.is_hungry(begin));
        dog.feed(begin);
        assert!(!dog.is_hungry(begin + Duration::from_secs(4)));
        assert!(dog.is_hungry(begin + Duration::from_secs(5)));
    }

    /// The child of the next test: a daemon's life in five messages.
    #[test]
    #[ignore = "runs as the child process of the test below"]
    fn child_lives() {
        ready("serving\nMAINPID=1");
        reloading();
        status("2 phones");
        Watchdog::from_env().unwrap().feed(Instant::now());
        stopping();
    }

    #[test]
    fn systemd_hears_every_step() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "daemon::systemd::tests::child_lives", "--ignored"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "3000000")
            .env_remove("WATCHDOG_PID")
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        let hear = || {
            let mut buffer = [0; 256];
            let length = socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        assert_eq!(hear(), "READY=1\nSTATUS=serving MAINPID=1\n");
        assert!(hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!(hear(), "STATUS=2 phones\n");
        assert_eq!(hear(), "WATCHDOG=1\n");
        assert_eq!(hear(), "STOPPING=1\n");
    }
}
