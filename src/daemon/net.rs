//! UDP sockets that know which of the host's addresses was asked, so that the answer comes from
//! there: a phone drops what comes from another one.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    self, ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// The receive buffer that a listener asks for, in bytes. The default of the kernel holds 256
/// requests; the rest of a building that boots at once would be lost (performance.md §0).
const RECEIVE_BUFFER: usize = 4 << 20;

/// A socket that takes requests.
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
    /// The address of this host that was asked; unspecified when unknown (a multicast).
    pub to: IpAddr,
    /// The index of the interface that it came in by, zero when unknown.
    pub interface: u32,
    /// The bytes that were put into the buffer; longer datagrams are cut.
    pub length: usize,
}

impl Listener {
    /// Binds to `address`. Call it within a tokio runtime.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::adopt(std::net::UdpSocket::bind(address)?)
    }

    /// Takes a bound socket, as systemd hands them over.
    pub fn adopt(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        match local {
            SocketAddr::V4(_) => socket::setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => socket::setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        let granted = grow(&socket);
        Ok(Self { socket: UdpSocket::from_std(socket)?, local, granted })
    }

    /// The address that it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Bytes of receive buffer that the kernel granted (it counts its own overhead in).
    pub fn granted(&self) -> usize {
        self.granted
    }

    /// Waits until there may be something to receive.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Receives what is there; [`io::ErrorKind::WouldBlock`] when there is nothing more.
    pub fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        self.socket.try_io(Interest::READABLE, || receive(&self.socket, buffer))
    }

    /// Answers from the address that was asked, and from the listener's port.
    pub fn try_answer(&self, arrival: &Arrival, datagram: &[u8]) -> io::Result<()> {
        self.socket
            .try_io(Interest::WRITABLE, || answer(&self.socket, self.local, arrival, datagram))
    }
}

/// A new socket on a free port of the address that was asked.
pub fn answering(arrival: &Arrival) -> io::Result<UdpSocket> {
    let local = match arrival.to {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            SocketAddr::V6(SocketAddrV6::new(ip, 0, 0, arrival.interface))
        }
        ip => SocketAddr::new(ip, 0),
    };
    let socket = std::net::UdpSocket::bind(local)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Asks for the large buffer with force (which needs `CAP_NET_ADMIN`), else within the limit of
/// `net.core.rmem_max`; never makes smaller what a socket unit already set. Gives what there is.
fn grow(socket: &std::net::UdpSocket) -> usize {
    let granted = |of: &std::net::UdpSocket| socket::getsockopt(of, sockopt::RcvBuf).unwrap_or(0);
    // The kernel tells twice of what was asked for.
    if granted(socket) < 2 * RECEIVE_BUFFER
        && socket::setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err()
        && within_limit().is_some_and(|possible| possible > granted(socket))
    {
        // It was possible a moment ago; if not, the smaller buffer stays.
        let _ = socket::setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
    }
    granted(socket)
}

/// What the kernel grants without force. It is tried on a scratch socket, because asking for it
/// would cut a buffer that was forced before down to the limit.
fn within_limit() -> Option<usize> {
    let scratch = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket::setsockopt(&scratch, sockopt::RcvBuf, &RECEIVE_BUFFER).ok()?;
    socket::getsockopt(&scratch, sockopt::RcvBuf).ok()
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Arrival> {
    let mut control = nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = socket::recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        flags,
    )?;
    let from = message.address.as_ref().and_then(address).ok_or(io::ErrorKind::InvalidData)?;
    let (mut to, mut interface) = (unspecified(from), 0);
    for control in message.cmsgs()? {
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                // The local address, also where the packet was a broadcast (ip(7)).
                to = IpAddr::V4(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()));
                interface = u32::try_from(info.ipi_ifindex).unwrap_or(0);
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                to = IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical();
                interface = info.ipi6_ifindex;
            }
            _ => {}
        }
    }
    if to.is_multicast() || to == IpAddr::V4(Ipv4Addr::BROADCAST) {
        to = unspecified(from);
    }
    Ok(Arrival { from, to, interface, length: message.bytes })
}

fn answer(
    socket: &UdpSocket,
    local: SocketAddr,
    arrival: &Arrival,
    datagram: &[u8],
) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    let parts = [IoSlice::new(datagram)];
    let flags = MsgFlags::MSG_DONTWAIT;
    if local.is_ipv4() {
        let IpAddr::V4(from) = arrival.to else { return Err(io::ErrorKind::InvalidInput.into()) };
        let info = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let to = SockaddrStorage::from(arrival.from);
        socket::sendmsg(fd, &parts, &[ControlMessage::Ipv4PacketInfo(&info)], flags, Some(&to))?;
        return Ok(());
    }
    let (from, to) = match (arrival.to, arrival.from) {
        (IpAddr::V4(from), SocketAddr::V4(to)) => {
            (from.to_ipv6_mapped(), SocketAddrV6::new(to.ip().to_ipv6_mapped(), to.port(), 0, 0))
        }
        (IpAddr::V6(from), SocketAddr::V6(to)) => (from, to),
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let link_local = from.is_unicast_link_local();
    let info = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr { s6_addr: from.octets() },
        ipi6_ifindex: if link_local { arrival.interface } else { 0 },
    };
    let to = SockaddrStorage::from(to);
    socket::sendmsg(fd, &parts, &[ControlMessage::Ipv6PacketInfo(&info)], flags, Some(&to))?;
    Ok(())
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
    use std::time::Duration;

    use super::*;

    /// A listener on `wildcard` is asked at `asked`: both kinds of answer come from there.
    fn check(wildcard: &str, asked: &str, client: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = Listener::bind(wildcard.parse().unwrap()).unwrap();
            let client = std::net::UdpSocket::bind(client).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let asked = SocketAddr::new(asked.parse().unwrap(), listener.local().port());
            client.send_to(b"question", asked).unwrap();
            listener.readable().await.unwrap();
            let mut buffer = [0; 4];
            let arrival = listener.try_receive(&mut buffer).unwrap();
            assert_eq!((arrival.length, &buffer), (4, b"ques"));
            assert_eq!((arrival.from, arrival.to), (client.local_addr().unwrap(), asked.ip()));
            listener.try_answer(&arrival, b"one").unwrap();
            assert_eq!(client.recv_from(&mut buffer).unwrap(), (3, asked));
            let socket = answering(&arrival).unwrap();
            socket.send_to(b"two", arrival.from).await.unwrap();
            assert_eq!(client.recv_from(&mut buffer).unwrap().1.ip(), asked.ip());
            assert_eq!(
                listener.try_receive(&mut buffer).unwrap_err().kind(),
                io::ErrorKind::WouldBlock
            );
        });
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let plain = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let default = socket::getsockopt(&plain, sockopt::RcvBuf).unwrap();
        let listener = Listener::adopt(plain).unwrap();
        assert!(listener.granted() >= default && listener.granted() > 0);
    }
}
