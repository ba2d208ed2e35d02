//! Who the kernel says is at an address: the route to it, and on our own links its neighbour entry
//! (rtnetlink(7)). Asked for one address when a secret is, in two requests that the kernel answers at
//! once; nothing here waits.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourHeader, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::sys::socket::{
    self, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
};
use tracing::warn;

use crate::base::{HashMap, Mac};

/// Where an address is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// This host's own.
    Own,
    /// Behind a router, or on a link without neighbour entries: the kernel knows no MAC.
    Beyond,
    /// On a link of ours, with this MAC.
    Near(Mac),
    /// On a link of ours; the kernel is finding out its MAC.
    Sought,
}

/// An answer holds for so long: a phone asks for all files of a boot within some seconds.
const HOLDS: Duration = Duration::from_secs(3);
/// So many answers are remembered.
const MANY: usize = 8192;
/// An answer about one route or one neighbour is far shorter.
const ANSWER: usize = 8192;

/// Asks the kernel, and remembers for a moment what it said.
#[derive(Debug, Default)]
pub struct Neighbours {
    known: Mutex<HashMap<IpAddr, (Place, Instant)>>,
    kernel: Mutex<Option<Kernel>>,
    complained: AtomicBool,
}

impl Neighbours {
    /// Where an address is. When the kernel cannot be asked, nothing is known of it, which never
    /// opens anything; that is logged once.
    pub fn place(&self, address: IpAddr) -> Place {
        // Without its interface a link-local address names nobody.
        if matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
            return Place::Beyond;
        }
        let now = Instant::now();
        let known =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&address).copied();
        if let Some((place, _)) = known.filter(|(_, at)| now.duration_since(*at) < HOLDS) {
            return place;
        }
        let place = self.ask(address).unwrap_or_else(|error| {
            if !self.complained.swap(true, Ordering::Relaxed) {
                warn!(%error, "the kernel does not tell its neighbours: who is at an address is unknown");
            }
            Place::Beyond
        });
        if place == Place::Sought {
            seek(address);
        } else {
            self.remember(address, place, now);
        }
        place
    }

    fn remember(&self, address: IpAddr, place: Place, now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MANY {
            // All of it: picking the old ones would cost a flood of addresses little and us much.
            known.clear();
        }
        known.insert(address, (place, now));
    }

    fn ask(&self, address: IpAddr) -> io::Result<Place> {
        let mut slot = self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kernel = match slot.take() {
            Some(kernel) => kernel,
            None => Kernel::open()?,
        };
        // After an error the socket may hold answers to other questions: it is not used again.
        let place = kernel.place(address)?;
        *slot = Some(kernel);
        Ok(place)
    }
}

/// Makes the kernel look for the MAC of an address: it does so for whatever is sent there. Port 9
/// discards (RFC 863).
fn seek(address: IpAddr) {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    if let Ok(socket) = UdpSocket::bind((any, 0)) {
        // What does not go out is tried again at the next request.
        let _ = socket.set_nonblocking(true).and_then(|()| socket.send_to(&[], (address, 9)));
    }
}

/// A line to the kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    socket: OwnedFd,
    sequence: u32,
}

impl Kernel {
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket::socket(
            socket::AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkRoute,
        )?;
        Ok(Self { socket, sequence: 0 })
    }

    fn place(&mut self, address: IpAddr) -> io::Result<Place> {
        let question = RouteNetlinkMessage::GetRoute(route_to(address));
        let Some(RouteNetlinkMessage::NewRoute(route)) = self.exchange(question)? else {
            return Ok(Place::Beyond);
        };
        if route.header.kind == RouteType::Local {
            return Ok(Place::Own);
        }
        let Some(interface) = direct(&route) else { return Ok(Place::Beyond) };
        let question = RouteNetlinkMessage::GetNeighbour(neighbour_at(address, interface));
        Ok(match self.exchange(question)? {
            Some(RouteNetlinkMessage::NewNeighbour(entry)) => neighbour(&entry),
            _ => Place::Sought,
        })
    }

    /// The MAC of a neighbour's entry, if the kernel would send there.
    pub(super) fn mac(&mut self, address: IpAddr, interface: u32) -> io::Result<Option<Mac>> {
        let question = RouteNetlinkMessage::GetNeighbour(neighbour_at(address, interface));
        Ok(match self.exchange(question)? {
            Some(RouteNetlinkMessage::NewNeighbour(entry)) => match neighbour(&entry) {
                Place::Near(mac) => Some(mac),
                _ => None,
            },
            _ => None,
        })
    }

    /// Makes, replaces or removes an entry; one that is gone already is removed.
    pub(super) fn change(&mut self, change: RouteNetlinkMessage) -> io::Result<()> {
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
        self.exchange_with(change, flags).map(drop)
    }

    /// Asks one thing; none when the kernel has no such entry.
    fn exchange(
        &mut self,
        question: RouteNetlinkMessage,
    ) -> io::Result<Option<RouteNetlinkMessage>> {
        self.exchange_with(question, NLM_F_REQUEST)
    }

    fn exchange_with(
        &mut self,
        question: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Option<RouteNetlinkMessage>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        (header.flags, header.sequence_number) = (flags, self.sequence);
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let fd = self.socket.as_raw_fd();
        sendto(fd, &bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        let mut buffer = [0; ANSWER];
        let length = recv(fd, &mut buffer, MsgFlags::empty())?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(
            buffer.get(..length).unwrap_or_default(),
        );
        let answer = answer.map_err(io::Error::other)?;
        if answer.header.sequence_number != self.sequence {
            return Err(io::Error::other("an answer to another question"));
        }
        match answer.payload {
            NetlinkPayload::InnerMessage(inner) => Ok(Some(inner)),
            // An error of zero says that all went well.
            NetlinkPayload::Error(error) if error.code.is_none() => Ok(None),
            NetlinkPayload::Error(error) => absent(error.to_io()),
            _ => Ok(None),
        }
    }
}

/// The errors that say "there is none".
fn absent(error: io::Error) -> io::Result<Option<RouteNetlinkMessage>> {
    let code = error.raw_os_error().map(Errno::from_raw);
    match code {
        Some(Errno::ENOENT | Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EACCES) => Ok(None),
        _ => Err(error),
    }
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn route_to(address: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(address),
        destination_prefix_length: if address.is_ipv4() { 32 } else { 128 },
        ..RouteHeader::default()
    };
    message.attributes = vec![RouteAttribute::Destination(RouteAddress::from(address))];
    message
}

/// The interface of a route without a router.
fn direct(route: &RouteMessage) -> Option<u32> {
    let mut interface = None;
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) | RouteAttribute::MultiPath(_) => {
                return None;
            }
            RouteAttribute::Oif(index) => interface = Some(*index),
            _ => {}
        }
    }
    interface.filter(|_| route.header.kind == RouteType::Unicast)
}

pub(super) fn neighbour_at(address: IpAddr, interface: u32) -> NeighbourMessage {
    let destination = match address {
        IpAddr::V4(v4) => NeighbourAddress::Inet(v4),
        IpAddr::V6(v6) => NeighbourAddress::Inet6(v6),
    };
    let mut message = NeighbourMessage::default();
    message.header = NeighbourHeader {
        family: family(address),
        ifindex: interface,
        ..NeighbourHeader::default()
    };
    message.attributes = vec![NeighbourAttribute::Destination(destination)];
    message
}

/// What an entry says. A stale one holds too: the answer goes to that MAC and to nobody else.
fn neighbour(entry: &NeighbourMessage) -> Place {
    match entry.header.state {
        NeighbourState::Reachable
        | NeighbourState::Stale
        | NeighbourState::Delay
        | NeighbourState::Probe
        | NeighbourState::Permanent => {}
        NeighbourState::Noarp => return Place::Beyond,
        _ => return Place::Sought,
    }
    let bytes = entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => <[u8; 6]>::try_from(&**bytes).ok(),
        _ => None,
    });
    bytes.and_then(|bytes| Mac::new(bytes).ok()).map_or(Place::Beyond, Place::Near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_addresses_are_nobodys() {
        let neighbours = Neighbours::default();
        for own in ["127.0.0.1", "127.9.8.7", "::1"] {
            assert_eq!(neighbours.place(own.parse().unwrap()), Place::Own, "{own}");
        }
        assert!(!neighbours.complained.load(Ordering::Relaxed));
    }

    #[test]
    fn an_entry_counts_while_the_kernel_sends_there() {
        use NeighbourState::*;
        let check = |state, bytes: &[u8], expected| {
            let mut entry = neighbour_at("192.0.2.7".parse().unwrap(), 2);
            entry.header.state = state;
            entry.attributes.push(NeighbourAttribute::LinkLayerAddress(bytes.to_vec()));
            assert_eq!(neighbour(&entry), expected, "{state:?} {bytes:?}");
        };
        let mac = [0, 0x18, 0xb9, 0, 0, 1];
        let near = Place::Near(Mac::new(mac).unwrap());
        for state in [Reachable, Stale, Delay, Probe, Permanent] {
            check(state, &mac, near);
        }
        for state in [Incomplete, Failed, NeighbourState::None] {
            check(state, &mac, Place::Sought);
        }
        check(Noarp, &mac, Place::Beyond);
        check(Reachable, &[0; 6], Place::Beyond);
        check(Reachable, &[1; 20], Place::Beyond);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (neighbours, now) = (Neighbours::default(), Instant::now());
        for number in 0..2 * MANY {
            let address = Ipv4Addr::from_bits(u32::try_from(number).unwrap());
            neighbours.remember(address.into(), Place::Beyond, now);
        }
        assert_eq!(neighbours.known.lock().unwrap().len(), MANY);
        neighbours.remember("192.0.2.1".parse().unwrap(), Place::Own, now);
        assert_eq!(neighbours.known.lock().unwrap().len(), 1);
    }
}
