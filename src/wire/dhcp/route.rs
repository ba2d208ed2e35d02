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
    /// For a `reply` that has kept the addresses and the flag of its message. `routed` is the client's
    /// address when it asked by unicast from a network that no interface here is in: no broadcast would reach
    /// it.
    pub fn of(reply: &Message, routed: Option<Ipv4Addr>) -> Self {
        let none = Ipv4Addr::UNSPECIFIED;
        let to = |address| Self::To(SocketAddrV4::new(address, CLIENT_PORT));
        let informed = reply.kind == Kind::Ack && reply.yiaddr == none;
        if informed && reply.ciaddr != none {
            // RFC 2131 §4.3.5: the answer to DHCPINFORM goes to ciaddr, also past a relay.
            return to(reply.ciaddr);
        }
        if reply.giaddr != none {
            return Self::To(SocketAddrV4::new(reply.giaddr, SERVER_PORT));
        }
        match reply.kind {
            Kind::Nak => routed.map_or(Self::Broadcast, to),
            _ if reply.ciaddr != none => to(reply.ciaddr),
            _ if reply.broadcast || reply.yiaddr == none => Self::Broadcast,
            _ => Self::Link(reply.yiaddr, reply.mac),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_goes_where_its_client_can_hear_it() {
        let mac = Mac::new([0, 0x18, 0xb9, 1, 2, 3]).unwrap();
        let (relay, old, new) = ([10, 9, 0, 1].into(), [10, 9, 0, 5].into(), [10, 9, 0, 6].into());
        let check = |kind, edit: &dyn Fn(&mut Message), routed, expected| {
            let mut reply = Message::new(kind, mac, 1);
            edit(&mut reply);
            assert_eq!(Destination::of(&reply, routed), expected, "{reply:?}");
        };
        let to = |address, port| Destination::To(SocketAddrV4::new(address, port));
        let fresh = |m: &mut Message| m.yiaddr = new;
        check(Kind::Offer, &fresh, None, Destination::Link(new, mac));
        let flag = |m: &mut Message| (m.yiaddr, m.broadcast) = (new, true);
        check(Kind::Offer, &flag, None, Destination::Broadcast);
        let relayed = |m: &mut Message| (m.yiaddr, m.giaddr, m.broadcast) = (new, relay, true);
        check(Kind::Ack, &relayed, None, to(relay, 67));
        let renewed = |m: &mut Message| (m.yiaddr, m.ciaddr) = (old, old);
        check(Kind::Ack, &renewed, None, to(old, 68));
        let informed = |m: &mut Message| (m.ciaddr, m.giaddr) = (old, relay);
        check(Kind::Ack, &informed, None, to(old, 68));
        check(Kind::Ack, &|_| (), None, Destination::Broadcast);
        check(Kind::Nak, &|_| (), None, Destination::Broadcast);
        check(Kind::Nak, &|_| (), Some(old), to(old, 68));
        let refused = |m: &mut Message| m.giaddr = relay;
        check(Kind::Nak, &refused, None, to(relay, 67));
    }
}
