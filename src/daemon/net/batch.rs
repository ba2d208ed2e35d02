//! Many datagrams with one system call: a building that boots at once is a million of them.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;
use nix::sys::socket::{self, ControlMessage, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage};

use super::{Arrival, Listener, Source, address, arrival, own, source, target};
use crate::wire::tftp::Datagram;

/// Datagrams in one system call.
pub const BATCH: usize = 64;

/// The least that a call makes room for.
const FEW: usize = 8;

/// For how many datagrams the next call at a socket makes room. A place costs something also where
/// nothing comes, and most ports have one or two: there is room for all once a call was filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(FEW)
    }
}

impl Room {
    /// Whether so many fill it: there may be more.
    fn filled(&mut self, came: usize) -> bool {
        let filled = came >= self.0;
        if filled {
            self.0 = BATCH;
        } else if came * 4 < self.0 {
            self.0 = (self.0 / 2).max(FEW);
        }
        filled
    }
}

/// What came with one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Came {
    /// So many datagrams.
    pub count: usize,
    /// There may be more.
    pub more: bool,
}

/// Receives up to [`BATCH`] datagrams at once.
pub struct Inbox {
    headers: MultiHeaders<SockaddrStorage>,
    buffer: Vec<u8>,
    size: usize,
    arrivals: Vec<Arrival>,
}

impl Inbox {
    /// For datagrams of at most `size` bytes; longer ones are cut.
    pub fn new(size: usize) -> Self {
        Self {
            headers: room(false),
            buffer: vec![0; size * BATCH],
            size,
            arrivals: Vec::with_capacity(BATCH),
        }
    }

    /// Takes in what is there, over what it held; [`io::ErrorKind::WouldBlock`] when there was nothing.
    pub fn receive(&mut self, socket: &Listener, room: &mut Room) -> io::Result<Came> {
        self.arrivals.clear();
        let parts = self.buffer.chunks_exact_mut(self.size).take(room.0);
        let mut slices: Vec<_> = parts.map(|part| [IoSliceMut::new(part)]).collect();
        let fd = socket.as_fd().as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let messages = socket::recvmmsg(fd, &mut self.headers, slices.iter_mut(), flags, None)?;
        self.arrivals.extend(messages.map(|message| arrived(&message)));
        if let Some(ip) = own(socket.local()) {
            self.arrivals.iter_mut().for_each(|arrival| arrival.asked.ip = ip);
        }
        let count = self.arrivals.len();
        Ok(Came { count, more: room.filled(count) })
    }

    /// What [`Inbox::receive`] took in last.
    pub fn datagrams(&self) -> impl Iterator<Item = (&Arrival, &[u8])> {
        let parts = self.buffer.chunks_exact(self.size);
        self.arrivals
            .iter()
            .zip(parts)
            .map(|(arrival, part)| (arrival, part.get(..arrival.length).unwrap_or(part)))
    }
}

/// A datagram from nowhere cannot come; if it did, it would be answered to the address of nobody.
fn arrived(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Arrival {
    let from = message.address.as_ref().and_then(address);
    let from = from.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    let controls = message.cmsgs().into_iter().flatten();
    arrival(from, controls, message.bytes)
}

/// A datagram that is to be sent.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The receiver.
    pub to: SocketAddr,
    /// The address of this host that it comes from.
    pub source: Source,
    /// What it says.
    pub datagram: Datagram,
}

/// Datagrams that may wait for one socket; what comes on top is as good as lost on the way.
const WAITING: usize = 16_384;

/// Room for so many is kept.
const ROOM: usize = 2048;

/// Segments that the kernel takes in one piece, and the bytes of that piece (`UDP_MAX_SEGMENTS`).
const SEGMENTS: usize = 64;
const PIECE: usize = 60_000;

/// Sends datagrams from one socket, up to [`BATCH`] at once.
pub struct Outbox {
    /// Made when it is first needed: most sockets are never busy.
    headers: Option<MultiHeaders<SockaddrStorage>>,
    waiting: VecDeque<Parcel>,
    ipv4: bool,
    /// Everything leaves from the address that the socket is bound to.
    own: bool,
    /// The kernel cuts one piece into equal datagrams (`UDP_SEGMENT`, Linux 4.18).
    segments: bool,
    /// Datagrams that could not be sent, since the start.
    pub failed: u64,
}

impl Outbox {
    /// For a socket with a local address of this kind.
    pub fn new(local: SocketAddr) -> Self {
        let (ipv4, own) = (local.is_ipv4(), own(local).is_some());
        Self { headers: None, waiting: VecDeque::new(), ipv4, own, segments: true, failed: 0 }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// To be sent with the next [`Outbox::flush`].
    pub fn push(&mut self, parcel: Parcel) {
        if self.waiting.len() < WAITING {
            self.waiting.push_back(parcel);
        } else {
            self.failed += 1;
        }
    }

    /// Sends until all is sent or the socket takes no more now.
    pub fn flush(&mut self, socket: &impl AsFd) {
        while !self.waiting.is_empty() {
            let equal = if self.segments { self.equal() } else { 1 };
            let sent = if equal > 1 { self.piece(socket, equal) } else { self.several(socket) };
            match sent {
                Ok(sent) => drop(self.waiting.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The path has a smaller MTU than the piece's datagrams, or the device cannot.
                Err(_) if equal > 1 => self.segments = false,
                Err(_) => {
                    self.failed += 1;
                    self.waiting.pop_front();
                }
            }
        }
        self.segments = true;
        if self.waiting.capacity() > ROOM {
            self.waiting.shrink_to(BATCH);
        }
    }

    /// How many parcels from the first one on make a piece that the kernel can cut: of one length,
    /// save a shorter last one, to one receiver.
    fn equal(&self) -> usize {
        let Some(first) = self.waiting.front() else { return 0 };
        let size = length(first);
        let mut count = 1;
        for parcel in self.waiting.iter().skip(1).take(SEGMENTS.min(PIECE / size).saturating_sub(1))
        {
            let next = length(parcel);
            if parcel.to != first.to || parcel.source != first.source || next > size {
                break;
            }
            count += 1;
            if next < size {
                break;
            }
        }
        count
    }

    /// Sends so many from the front in one piece.
    fn piece(&self, socket: &impl AsFd, count: usize) -> io::Result<usize> {
        let Some(first) = self.waiting.front() else { return Ok(0) };
        let parts: Vec<_> = self.waiting.iter().take(count).flat_map(slices).collect();
        let size = u16::try_from(length(first)).map_err(|_| io::ErrorKind::InvalidInput)?;
        let segments = ControlMessage::UdpGsoSegments(&size);
        let (fd, flags) = (socket.as_fd().as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let to = target(self.ipv4, first.to)?;
        if self.own {
            socket::sendmsg(fd, &parts, &[segments], flags, Some(&to))?;
            return Ok(count);
        }
        source(self.ipv4, &first.source, |info| {
            socket::sendmsg(fd, &parts, &[info, segments], flags, Some(&to))
        })?;
        Ok(count)
    }

    /// Sends some from the front, each on its own: as far as they leave from one address, and up to
    /// where a piece begins.
    fn several(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        let Some(first) = self.waiting.front() else { return Ok(0) };
        let source_of_all = first.source;
        let of_one = |parcel: &&Parcel| parcel.source == source_of_all;
        let most = self.waiting.len().min(BATCH);
        let mut addresses = Vec::with_capacity(most);
        let mut parts = Vec::with_capacity(most);
        let mut before = None;
        for parcel in self.waiting.iter().take(BATCH).take_while(of_one) {
            if self.segments && before == Some(parcel.to) && parts.len() > 1 {
                // It and the one before it make a piece.
                addresses.pop();
                parts.pop();
                break;
            }
            match target(self.ipv4, parcel.to) {
                Ok(to) => addresses.push(Some(to)),
                Err(error) if parts.is_empty() => return Err(error),
                Err(_) => break,
            }
            parts.push(slices(parcel));
            before = Some(parcel.to);
        }
        let (fd, flags) = (socket.as_fd().as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        if self.own {
            let bare = || MultiHeaders::preallocate(BATCH, None);
            let headers = self.headers.get_or_insert_with(bare);
            let sent = socket::sendmmsg(fd, headers, parts.iter(), &addresses, [], flags)?;
            return Ok(sent.count());
        }
        let headers = self.headers.get_or_insert_with(|| room(self.ipv4));
        source(self.ipv4, &source_of_all, |info| {
            let sent =
                socket::sendmmsg(fd, headers, parts.iter(), &addresses, [info], flags)?.count();
            Ok(sent)
        })
    }
}

/// Room for the packet info of one family.
fn room(ipv4: bool) -> MultiHeaders<SockaddrStorage> {
    let space =
        if ipv4 { nix::cmsg_space!(libc::in_pktinfo) } else { nix::cmsg_space!(libc::in6_pktinfo) };
    MultiHeaders::preallocate(BATCH, Some(space))
}

fn length(parcel: &Parcel) -> usize {
    parcel.datagram.head().len() + parcel.datagram.body.len()
}

fn slices(parcel: &Parcel) -> [IoSlice<'_>; 2] {
    [IoSlice::new(parcel.datagram.head()), IoSlice::new(&parcel.datagram.body)]
}
