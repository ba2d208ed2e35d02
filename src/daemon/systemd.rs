//! What systemd is told (`sd_notify(3)`), and what it hands over. Without systemd nothing happens.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    ControlMessage, MsgFlags, SockType, UnixAddr, getsockopt, sendmsg, sockopt,
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
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

/// The UDP socket that a socket unit opened for us under `FileDescriptorName=` `name` (`tftp`);
/// none without such a unit. By name, never by place: ports must not be swapped.
pub fn udp_socket(name: &str) -> io::Result<Option<UdpSocket>> {
    Ok(socket(name, SockType::Datagram, "datagram")?.map(UdpSocket::from))
}

/// The same for a listening TCP socket (`http`).
pub fn tcp_socket(name: &str) -> io::Result<Option<TcpListener>> {
    Ok(socket(name, SockType::Stream, "stream")?.map(TcpListener::from))
}

fn socket(name: &str, kind: SockType, what: &str) -> io::Result<Option<OwnedFd>> {
    let Some((fd, _)) = sd_notify::listen_fds_with_names()?.find(|(_, given)| given == name) else {
        return Ok(None);
    };
    let socket = own(fd)?;
    if getsockopt(&socket, sockopt::SockType)? != kind {
        let text = format!("systemd's socket {name} is no {what} socket");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(Some(socket))
}

/// A duplicate of an inherited descriptor that is ours to close. To own a bare number is unsafe
/// code; a descriptor that comes out of a message is new, and owned by whoever receives it.
fn own(fd: RawFd) -> io::Result<OwnedFd> {
    let (from, to) = UnixDatagram::pair()?;
    let fds = [fd];
    let rights = [ControlMessage::ScmRights(&fds)];
    let flags = MsgFlags::empty();
    sendmsg::<UnixAddr>(from.as_raw_fd(), &[IoSlice::new(b"x")], &rights, flags, None)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(&to, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let rights = |message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    };
    control.drain().find_map(rights).ok_or_else(|| io::ErrorKind::InvalidData.into())
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

    /// The child of the next test: answers one packet on the socket named `tftp`, and one connection
    /// on the one named `http`.
    #[test]
    #[ignore = "runs as the child process of the test below"]
    fn child_answers() {
        assert!(udp_socket("dhcp").unwrap().is_none());
        let socket = udp_socket("tftp").unwrap().unwrap();
        let mut buffer = [0; 16];
        let (length, asker) = socket.recv_from(&mut buffer).unwrap();
        socket.send_to(&buffer[..length], asker).unwrap();
        assert!(udp_socket("http").is_err(), "no datagram socket");
        assert!(tcp_socket("tftp").is_err(), "no stream socket");
        let (mut stream, _) = tcp_socket("http").unwrap().unwrap().accept().unwrap();
        std::io::Write::write_all(&mut stream, b"hello, too").unwrap();
    }

    #[test]
    fn a_socket_of_systemd_is_found_by_its_name() {
        let (socket, asker) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
        let (socket, asker) = (socket.unwrap(), asker.unwrap());
        asker.connect(socket.local_addr().unwrap()).unwrap();
        asker.send(b"hello").unwrap();
        let web = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(web.local_addr().unwrap()).unwrap();
        // The shell puts the sockets where systemd would: from 3 on.
        let script = "exec 3<&1 4<&0 1>&2
            LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:tftp exec \"$0\" \"$@\"";
        let child = Command::new("sh")
            .args(["-c", script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "daemon::systemd::tests::child_answers", "--ignored"])
            .stdin(OwnedFd::from(socket))
            .stdout(OwnedFd::from(web))
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        asker.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut buffer = [0; 16];
        let length = asker.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"hello");
        let mut heard = String::new();
        std::io::Read::read_to_string(&mut client, &mut heard).unwrap();
        assert_eq!(heard, "hello, too");
    }

    #[test]
    fn without_systemd_there_is_no_socket() {
        assert!(udp_socket("tftp").unwrap().is_none());
        assert!(tcp_socket("http").unwrap().is_none());
    }
}
