//! Datagrams of DHCP: in and out in batches, each with its interface.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _};
use std::sync::Arc;

use nix::libc;
use nix::sys::socket::{
    self, AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockFlag,
    SockType, SockaddrIn, SockaddrStorage, sockopt,
};

use crate::daemon::net::Listener;
use crate::wire::dhcp::MAX_DATAGRAM;

/// Datagrams in one system call.
pub(super) const BATCH: usize = 64;

/// How a datagram came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Came {
    pub(super) from: SocketAddrV4,
    /// Our address on the interface, or the one that was asked.
    pub(super) local: Ipv4Addr,
    /// Where it was sent to: an address of ours, or a broadcast.
    pub(super) to: Ipv4Addr,
    /// The index of the interface.
    pub(super) interface: u32,
    length: usize,
}

/// Takes datagrams in.
pub(super) struct Inbox {
    headers: MultiHeaders<SockaddrStorage>,
    buffer: Vec<u8>,
    came: Vec<Came>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let space = nix::cmsg_space!(libc::in_pktinfo);
        Self {
            headers: MultiHeaders::preallocate(BATCH, Some(space)),
            buffer: vec![0; MAX_DATAGRAM * BATCH],
            came: Vec::with_capacity(BATCH),
        }
    }

    /// One that holds nothing, in place of one that is being read.
    pub(super) fn none() -> Self {
        Self { headers: MultiHeaders::preallocate(0, None), buffer: Vec::new(), came: Vec::new() }
    }

    /// Takes in what is there, over what it held: how many came.
    pub(super) fn receive(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        self.came.clear();
        let parts = self.buffer.chunks_exact_mut(MAX_DATAGRAM);
        let mut slices: Vec<_> = parts.map(|part| [IoSliceMut::new(part)]).collect();
        let fd = socket.as_fd().as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let messages = socket::recvmmsg(fd, &mut self.headers, slices.iter_mut(), flags, None)?;
        for message in messages {
            let from = message.address.as_ref().and_then(SockaddrStorage::as_sockaddr_in);
            let from = from.map_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), |f| (*f).into());
            let (none, length) = (Ipv4Addr::UNSPECIFIED, message.bytes);
            let mut came = Came { from, local: none, to: none, interface: 0, length };
            for control in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::Ipv4PacketInfo(info) = control {
                    came.local = info.ipi_spec_dst.s_addr.to_ne_bytes().into();
                    came.to = info.ipi_addr.s_addr.to_ne_bytes().into();
                    came.interface = u32::try_from(info.ipi_ifindex).unwrap_or(0);
                }
            }
            self.came.push(came);
        }
        Ok(self.came.len())
    }

    /// What was taken in last.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (Came, &[u8])> {
        let parts = self.buffer.chunks_exact(MAX_DATAGRAM);
        self.came
            .iter()
            .zip(parts)
            .map(|(came, part)| (*came, &part[..came.length.min(part.len())]))
    }
}

/// A datagram that is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Parcel {
    pub(super) to: SocketAddrV4,
    /// The index of the interface that it leaves by; zero: as the route says.
    pub(super) interface: u32,
    /// Our address that it comes from.
    pub(super) source: Ipv4Addr,
    pub(super) bytes: Vec<u8>,
}

/// Sends parcels, those of one way together. What the socket does not take is lost like on any wire: the
/// client asks again. Gives how many were not sent.
pub(super) fn send(socket: &Arc<Listener>, parcels: &[Parcel]) -> u64 {
    let mut failed = 0;
    let way = |parcel: &Parcel| (parcel.interface, parcel.source);
    for group in parcels.chunk_by(|a, b| way(a) == way(b)) {
        for batch in group.chunks(BATCH) {
            failed += several(socket, batch);
        }
    }
    failed
}

fn several(socket: &Arc<Listener>, mut batch: &[Parcel]) -> u64 {
    let mut failed = 0;
    while let Some(first) = batch.first() {
        let info = libc::in_pktinfo {
            ipi_ifindex: i32::try_from(first.interface).unwrap_or(0),
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(first.source.octets()) },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let parts: Vec<[IoSlice<'_>; 1]> =
            batch.iter().map(|parcel| [IoSlice::new(&parcel.bytes)]).collect();
        let to: Vec<Option<SockaddrIn>> =
            batch.iter().map(|parcel| Some(SockaddrIn::from(parcel.to))).collect();
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(
            batch.len(),
            Some(nix::cmsg_space!(libc::in_pktinfo)),
        );
        let fd = socket.as_fd().as_raw_fd();
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        let sent = socket::sendmmsg(fd, &mut headers, &parts, &to, control, MsgFlags::MSG_DONTWAIT);
        let sent = sent.map_or(0, Iterator::count);
        if sent == 0 {
            // The first one cannot be sent now, or at all.
            failed += 1;
            batch = &batch[1..];
        } else {
            batch = batch.get(sent..).unwrap_or_default();
        }
    }
    failed
}

/// The server's socket.
pub(super) fn server(port: u16) -> io::Result<Listener> {
    ready(open(port, false)?)
}

/// A socket at the clients' port: what is broadcast to clients reaches every socket there.
pub(super) fn client() -> io::Result<Listener> {
    ready(open(crate::wire::dhcp::CLIENT_PORT, true)?)
}

/// Makes a bound socket, as systemd hands them over, ours.
pub(super) fn ready(socket: UdpSocket) -> io::Result<Listener> {
    socket.set_broadcast(true)?;
    Listener::adopt(socket)
}

fn open(port: u16, shared: bool) -> io::Result<UdpSocket> {
    let fd = socket::socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )?;
    if shared {
        socket::setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    let any = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port));
    socket::bind(fd.as_raw_fd(), &any)?;
    Ok(UdpSocket::from(fd))
}
