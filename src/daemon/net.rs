//! UDP sockets that know which of the host's addresses was asked, so that the answer comes from
//! there: a phone drops what comes from another one.

pub mod batch;
pub mod mailbox;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use nix::libc;
use nix::sys::socket::{self, ControlMessage, ControlMessageOwned, SockaddrStorage, sockopt};
use rustix::net::sockopt::Ipv4PathMtuDiscovery;

/// The receive buffer that a listener asks for, in bytes. The default of the kernel holds 256
/// requests; the rest of a building that boots at once would be lost (performance.md §0). The kernel
/// grants twice of it, room for 20,000 phones.
const RECEIVE_BUFFER: usize = 8 << 20;

/// Room for what is on its way out, in bytes: the windows of many clients leave at once.
const SEND_BUFFER: usize = 2 << 20;

/// A socket that does not block.
#[derive(Debug)]
pub struct Listener {
    socket: UdpSocket,
    local: SocketAddr,
    granted: usize,
}

/// One datagram as it came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// The sender; IPv4 as IPv4, also on a socket for both.
    pub from: SocketAddr,
    /// Where it was sent to.
    pub asked: Source,
    /// The bytes that were put into the buffer; longer datagrams are cut.
    pub length: usize,
}

/// An address of this host, as the sender of what leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    /// The address; unspecified when unknown (a multicast), and then the kernel chooses.
    pub ip: IpAddr,
    /// The index of the interface that was asked at, zero when unknown.
    pub interface: u32,
}

impl Listener {
    /// Binds to `address`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::adopt(UdpSocket::bind(address)?)
    }

    /// Takes a bound socket, as systemd hands them over.
    pub fn adopt(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        match local {
            // What comes to one address was sent to it.
            SocketAddr::V4(_) if own(local).is_some() => {}
            SocketAddr::V4(_) => socket::setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => socket::setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        let granted = grow(&socket);
        Ok(Self { socket, local, granted })
    }

    /// Another socket at the same addresses, on a free port.
    pub fn neighbour(&self) -> io::Result<Self> {
        let mut local = self.local;
        local.set_port(0);
        Self::bind(local)
    }

    /// Tells the kernel that what is sent from here fits every path: it then spares itself a number
    /// for each datagram that pieces of it would need. Larger ones are refused from then on.
    pub fn sends_small(&self) -> io::Result<()> {
        if self.local.is_ipv4() {
            rustix::net::sockopt::set_ip_mtu_discover(self, Ipv4PathMtuDiscovery::DO)?;
        }
        Ok(())
    }

    /// The address that it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Bytes of receive buffer that the kernel granted (it counts its own overhead in).
    pub fn granted(&self) -> usize {
        self.granted
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The largest datagram that gets to `peer` in one piece, in bytes of the IP packet: what is known of
/// the path, else what the interface takes.
pub fn mtu(peer: SocketAddr) -> io::Result<u32> {
    let any = match peer {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let scratch = UdpSocket::bind(any)?;
    scratch.connect(peer)?;
    Ok(match peer {
        SocketAddr::V4(_) => rustix::net::sockopt::ip_mtu(&scratch)?,
        SocketAddr::V6(_) => rustix::net::sockopt::ipv6_mtu(&scratch)?,
    })
}

/// Asks for the large buffers with force (which needs `CAP_NET_ADMIN`), else within the limits of
/// `net.core.rmem_max` and `wmem_max`; never makes smaller what a socket unit already set. Gives how
/// much may be received.
fn grow(socket: &UdpSocket) -> usize {
    let granted = |of: &UdpSocket| socket::getsockopt(of, sockopt::RcvBuf).unwrap_or(0);
    // The kernel tells twice of what was asked for.
    if granted(socket) < 2 * RECEIVE_BUFFER
        && socket::setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err()
        && within_limit().is_some_and(|possible| possible > granted(socket))
    {
        // It was possible a moment ago; if not, the smaller buffer stays.
        let _ = socket::setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
    }
    let sends = socket::getsockopt(socket, sockopt::SndBuf).unwrap_or(0);
    if sends < SEND_BUFFER
        && socket::setsockopt(socket, sockopt::SndBufForce, &SEND_BUFFER).is_err()
    {
        // What does not fit waits for room.
        let _ = socket::setsockopt(socket, sockopt::SndBuf, &SEND_BUFFER);
    }
    granted(socket)
}

/// What the kernel grants without force. It is tried on a scratch socket, because asking for it
/// would cut a buffer that was forced before down to the limit.
fn within_limit() -> Option<usize> {
    let scratch = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket::setsockopt(&scratch, sockopt::RcvBuf, &RECEIVE_BUFFER).ok()?;
    socket::getsockopt(&scratch, sockopt::RcvBuf).ok()
}

/// The address that everything comes to and leaves from, where a socket is bound to a single one: nothing
/// has to be told about it with each datagram.
fn own(local: SocketAddr) -> Option<IpAddr> {
    Some(local.ip()).filter(|ip| ip.is_ipv4() && !ip.is_unspecified() && !ip.is_multicast())
}

/// Puts together what the kernel tells of a datagram.
fn arrival(
    from: SocketAddr,
    controls: impl Iterator<Item = ControlMessageOwned>,
    length: usize,
) -> Arrival {
    let (mut ip, mut interface) = (unspecified(from), 0);
    for control in controls {
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                // The local address, also where the packet was a broadcast (ip(7)).
                ip = IpAddr::V4(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()));
                interface = u32::try_from(info.ipi_ifindex).unwrap_or(0);
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                ip = IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical();
                interface = info.ipi6_ifindex;
            }
            _ => {}
        }
    }
    if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
        ip = unspecified(from);
    }
    Arrival { from, asked: Source { ip, interface }, length }
}

/// Tells the kernel which address a datagram is to leave from.
fn source<T>(
    ipv4: bool,
    source: &Source,
    send: impl FnOnce(ControlMessage<'_>) -> nix::Result<T>,
) -> io::Result<T> {
    if ipv4 {
        let IpAddr::V4(from) = source.ip else { return Err(io::ErrorKind::InvalidInput.into()) };
        let info = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        return Ok(send(ControlMessage::Ipv4PacketInfo(&info))?);
    }
    let from = match source.ip {
        IpAddr::V4(from) => from.to_ipv6_mapped(),
        IpAddr::V6(from) => from,
    };
    let link_local = from.is_unicast_link_local();
    let info = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr { s6_addr: from.octets() },
        ipi6_ifindex: if link_local { source.interface } else { 0 },
    };
    Ok(send(ControlMessage::Ipv6PacketInfo(&info))?)
}

/// A receiver as the socket wants it: on a socket for both families IPv4 is mapped.
fn target(ipv4: bool, to: SocketAddr) -> io::Result<SockaddrStorage> {
    match to {
        SocketAddr::V4(to) if !ipv4 => Ok(mapped(to).into()),
        SocketAddr::V6(_) if ipv4 => Err(io::ErrorKind::InvalidInput.into()),
        to => Ok(to.into()),
    }
}

fn mapped(to: SocketAddrV4) -> SocketAddrV6 {
    SocketAddrV6::new(to.ip().to_ipv6_mapped(), to.port(), 0, 0)
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::from(*v4));
    }
    let v6 = SocketAddrV6::from(*storage.as_sockaddr_in6()?);
    Some(match v6.ip().to_ipv4_mapped() {
        Some(v4) => SocketAddr::new(IpAddr::V4(v4), v6.port()),
        None => SocketAddr::V6(v6),
    })
}

fn unspecified(like: SocketAddr) -> IpAddr {
    match like {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;

    use super::batch::{BATCH, Inbox, Outbox, Parcel, Room};
    use super::*;
    use crate::wire::tftp::Datagram;

    /// All that comes within a moment.
    fn receive(listener: &Listener, count: usize) -> Vec<(Arrival, Vec<u8>)> {
        let (mut inbox, until) = (Inbox::new(8), Instant::now() + Duration::from_secs(5));
        let (mut all, mut room) = (Vec::new(), Room::default());
        while all.len() < count && Instant::now() < until {
            match inbox.receive(listener, &mut room) {
                Ok(_) => all.extend(inbox.datagrams().map(|(a, bytes)| (*a, bytes.to_vec()))),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        all
    }

    fn parcel(to: SocketAddr, source: Source, body: &'static [u8]) -> Parcel {
        Parcel { to, source, datagram: Datagram::data(1, Bytes::from_static(body)) }
    }

    /// A listener on `wildcard` is asked at `asked`: all answers come from there.
    fn check(wildcard: &str, asked: &str, client: &str) {
        let listener = Listener::bind(wildcard.parse().unwrap()).unwrap();
        let other = listener.neighbour().unwrap();
        let client = UdpSocket::bind(client).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let asked = SocketAddr::new(asked.parse().unwrap(), listener.local().port());
        client.send_to(b"a question", asked).unwrap();
        let (arrival, question) = receive(&listener, 1).remove(0);
        assert_eq!((arrival.length, &question[..]), (8, &b"a questi"[..]));
        assert_eq!((arrival.from, arrival.asked.ip), (client.local_addr().unwrap(), asked.ip()));
        for from in [&listener, &other] {
            let mut outbox = Outbox::new(from.local());
            // One alone, and a piece that the kernel cuts, with a shorter end.
            for body in [&b"one"[..], b"four", b"four", b"end"] {
                outbox.push(parcel(arrival.from, arrival.asked, body));
            }
            outbox.flush(from);
            assert!(outbox.is_empty() && outbox.failed == 0);
            for body in [&b"one"[..], b"four", b"four", b"end"] {
                let mut buffer = [0; 16];
                let (length, sender) = client.recv_from(&mut buffer).unwrap();
                assert_eq!(&buffer[4..length], body);
                let port = from.local().port();
                assert_eq!((sender.ip(), sender.port()), (asked.ip(), port));
            }
        }
    }

    #[test]
    fn more_than_one_batch_comes_and_goes() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let clients: Vec<_> = (0..BATCH + 9)
            .map(|_| Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap())
            .collect();
        let mut outbox = Outbox::new(listener.local());
        let source = Source { ip: listener.local().ip(), interface: 0 };
        for client in &clients {
            outbox.push(parcel(client.local(), source, b"x"));
        }
        // To nowhere: lost, and no reason to stop.
        outbox.push(parcel("[::1]:9".parse().unwrap(), source, b"x"));
        outbox.push(parcel(clients[0].local(), source, b"y"));
        outbox.flush(&listener);
        assert!(outbox.is_empty() && outbox.failed == 1);
        for client in &clients {
            assert_eq!(receive(client, 1).remove(0).1, b"\0\x03\0\x01x");
        }
        let mut back = Outbox::new(clients[0].local());
        for n in 0..BATCH + 9 {
            let body = if n % 2 == 0 { &b"even"[..] } else { b"odd" };
            back.push(parcel(listener.local(), source, body));
        }
        back.flush(&clients[0]);
        assert_eq!(receive(&listener, BATCH + 9).len(), BATCH + 9);
    }

    #[test]
    fn datagrams_larger_than_the_path_are_sent_all_the_same() {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(mtu(client.local_addr().unwrap()).unwrap() >= 1500);
        assert!(mtu("[::1]:9".parse().unwrap()).unwrap() >= 1280);
        let mut outbox = Outbox::new(listener.local());
        let source = Source { ip: listener.local().ip(), interface: 0 };
        static LARGE: [u8; 30_000] = [7; 30_000];
        for _ in 0..3 {
            outbox.push(parcel(client.local_addr().unwrap(), source, &LARGE));
        }
        outbox.flush(&listener);
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        for _ in 0..3 {
            assert_eq!(client.recv(&mut [0; 40_000]).unwrap(), 30_004);
        }
    }

    #[test]
    fn answers_come_from_the_address_that_was_asked() {
        check("0.0.0.0:0", "127.0.0.2", "127.0.0.9:0");
        check("127.0.0.3:0", "127.0.0.3", "127.0.0.1:0");
    }

    #[test]
    fn answers_come_from_the_address_that_was_asked_over_ipv6() {
        check("[::]:0", "::1", "[::1]:0");
    }

    #[test]
    fn a_socket_for_both_families_takes_ipv4_as_ipv4() {
        check("[::]:0", "127.0.0.2", "127.0.0.9:0");
    }

    #[test]
    fn the_receive_buffer_is_larger_than_the_default() {
        let plain = UdpSocket::bind("127.0.0.1:0").unwrap();
        let default = socket::getsockopt(&plain, sockopt::RcvBuf).unwrap();
        let listener = Listener::adopt(plain).unwrap();
        assert!(listener.granted() >= default && listener.granted() > 0);
    }
}
