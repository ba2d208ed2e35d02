//! Thin wrappers over the system calls that the hot loops use.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::socket::{
    MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeValLike as _;

/// Nanoseconds since the first call.
pub(crate) fn now_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// A UDP socket that does not block, bound to `from` where given.
pub(crate) fn udp(from: Option<SocketAddrV4>, receive_buffer: usize) -> io::Result<UdpSocket> {
    let any = SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0);
    let socket = UdpSocket::bind(from.unwrap_or(any))?;
    socket.set_nonblocking(true)?;
    if receive_buffer > 0 {
        // The smaller one only makes the run worse, and the kernel grants what it may.
        let _ = setsockopt(&socket, sockopt::RcvBuf, &receive_buffer);
    }
    Ok(socket)
}

/// What is there, and from whom.
pub(crate) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddrV4)> {
    match socket.recv_from(buffer) {
        Ok((length, SocketAddr::V4(from))) => Some((length, from)),
        _ => None,
    }
}

/// Receives up to so many datagrams in one call.
pub(crate) struct Batch {
    size: usize,
    buffer: Vec<u8>,
    headers: MultiHeaders<SockaddrIn>,
    came: Vec<(usize, SocketAddrV4)>,
}

impl Batch {
    pub(crate) fn new(count: usize, size: usize) -> Self {
        let headers = MultiHeaders::preallocate(count, None);
        Self { size, buffer: vec![0; count * size], headers, came: Vec::with_capacity(count) }
    }

    /// How many came; none when nothing was there.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, flags: MsgFlags) -> usize {
        self.came.clear();
        let mut parts: Vec<_> =
            self.buffer.chunks_exact_mut(self.size).map(|p| [IoSliceMut::new(p)]).collect();
        let fd = socket.as_raw_fd();
        if let Ok(all) = recvmmsg(fd, &mut self.headers, parts.iter_mut(), flags, None) {
            let from = |a: Option<SockaddrIn>| a.map(|a| SocketAddrV4::new(a.ip(), a.port()));
            self.came.extend(all.filter_map(|m| Some((m.bytes, from(m.address)?))));
        }
        self.came.len()
    }

    pub(crate) fn get(&self, index: usize) -> (&[u8], SocketAddrV4) {
        let (length, from) = self.came[index];
        (&self.buffer[index * self.size..][..length], from)
    }

    /// Sends one payload to all that were received.
    pub(crate) fn reply_all(&mut self, socket: &UdpSocket, payload: &[u8]) {
        let to: Vec<_> = self.came.iter().map(|(_, from)| Some(SockaddrIn::from(*from))).collect();
        let parts: Vec<_> = to.iter().map(|_| [IoSlice::new(payload)]).collect();
        let fd = socket.as_raw_fd();
        let _ = sendmmsg(fd, &mut self.headers, parts.iter(), to, [], MsgFlags::empty());
    }
}

/// Who has something to say.
pub(crate) struct Poll {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, events: vec![EpollEvent::empty(); 512] })
    }

    /// A socket leaves by being closed.
    pub(crate) fn add(&self, socket: &impl AsFd, data: u64) -> io::Result<()> {
        Ok(self.epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, data))?)
    }

    pub(crate) fn wait(&mut self, wait: Duration) -> usize {
        let wait = EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::ZERO);
        self.epoll.wait(&mut self.events, wait).unwrap_or(0)
    }

    pub(crate) fn data(&self, index: usize) -> u64 {
        self.events[index].data()
    }
}

/// CPU seconds of this process, or of this thread.
pub(crate) fn cpu(thread: bool) -> f64 {
    let who = if thread { UsageWho::RUSAGE_THREAD } else { UsageWho::RUSAGE_SELF };
    getrusage(who).map_or(0.0, |usage| {
        (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
    })
}

/// Raises the limit on open files as far as it goes towards `want`.
pub(crate) fn raise_nofile(want: u64) -> u64 {
    let what = Resource::RLIMIT_NOFILE;
    let Ok((soft, hard)) = getrlimit(what) else { return 1024 };
    if soft < want && setrlimit(what, want, hard.max(want)).is_err() {
        let _ = setrlimit(what, hard, hard);
    }
    getrlimit(what).map_or(soft, |(soft, _)| soft)
}

/// Xorshift: the same numbers for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 33) % limit.max(1)
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && ((self.next() >> 11) as f64 / (1u64 << 53) as f64) < probability
    }
}
