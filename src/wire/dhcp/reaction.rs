//! How messages come in, and what comes out.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::lease::Change;
use super::net::Net;
use super::packet::Message;
use super::route::Destination;
use crate::base::Mac;

/// One of our addresses on an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Home {
    /// The address.
    pub address: Ipv4Addr,
    /// Its network.
    pub net: Net,
}

/// How a message came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// The addresses of the interface, the one that it was sent to (or the primary one) first; not empty.
    pub homes: Vec<Home>,
    /// The sender's address and port.
    pub source: SocketAddrV4,
    /// It was sent to one of our addresses, not broadcast.
    pub unicast: bool,
}

/// What to do about a message, in this order: make `changes` durable, `send`, `probe`; tell facts and alerts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reaction {
    /// To make durable before anything is sent.
    pub changes: Vec<Change>,
    /// The reply.
    pub send: Option<Outgoing>,
    /// The address to look at; [`super::Server::probed`] is to be told the result within [`super::PATIENCE`].
    pub probe: Option<Probe>,
    /// What was said, by the client and by us, in this order.
    pub facts: Vec<Fact>,
    /// What an administrator should hear.
    pub alerts: Vec<Alert>,
}

/// A reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// What it says.
    pub message: Message,
    /// The same as bytes, as far as it fits.
    pub bytes: Vec<u8>,
    /// Where it goes. It leaves by the interface that the client's message came in by, except to an address
    /// that is routed.
    pub to: Destination,
}

/// An address to look at before it is offered: does any machine answer ARP for it?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe {
    /// The address.
    pub address: Ipv4Addr,
    /// Our address on the link.
    pub from: Ipv4Addr,
}

/// What a look at an address found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// Nobody answered.
    Free,
    /// This machine has it.
    Taken(Mac),
}

/// One message of an exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// The client.
    pub mac: Mac,
    /// The address that it is about.
    pub address: Option<Ipv4Addr>,
    /// The client's vendor class, cleaned for logs.
    pub class: Option<String>,
    /// What was said.
    pub said: Said,
}

/// What was said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// The client looks for servers.
    Discover,
    /// The client asks for an address.
    Request,
    /// The client says that the address is in use by another machine.
    Decline,
    /// The client gives the address back.
    Release,
    /// The client wants options only.
    Inform,
    /// We offered an address.
    Offer,
    /// We gave it, or options only.
    Ack,
    /// We refused it.
    Nak(Reason),
    /// We did not answer.
    Silent(Reason),
}

/// Why we refused or did not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Not a phone, and only phones are served.
    Stranger,
    /// A phone of nobody, where those get no addresses.
    Untagged,
    /// No scope for the network that the message came from.
    NoScope,
    /// No address is left.
    Exhausted,
    /// Whether the address is free is being looked at.
    Probing,
    /// The address lies in another network than the client.
    OtherNetwork,
    /// The address is in no pool, and reserved for nobody.
    NotInPool,
    /// The address is another client's, or no client's at all.
    Anothers,
    /// Another address is reserved for the client.
    Reserved(Ipv4Addr),
    /// The client chose another server.
    ChoseServer(Ipv4Addr),
    /// Nothing is known about the client's address: another server may have given it.
    NoRecord,
    /// The message lacks an address, or is none of a client.
    Malformed,
    /// Nothing needs to be answered (DECLINE, RELEASE).
    NothingToSay,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Stranger => f.write_str("not a phone that is known or recognised"),
            Reason::Untagged => f.write_str("phones without a tag get no address in this network"),
            Reason::NoScope => f.write_str("no scope for this network"),
            Reason::Exhausted => f.write_str("no free address is left"),
            Reason::Probing => f.write_str("looking whether the address is free"),
            Reason::OtherNetwork => f.write_str("the address lies in another network"),
            Reason::NotInPool => f.write_str("the address is in no pool"),
            Reason::Anothers => f.write_str("the address belongs to another"),
            Reason::Reserved(address) => write!(f, "{address} is reserved for this client"),
            Reason::ChoseServer(server) => write!(f, "the client chose {server}"),
            Reason::NoRecord => f.write_str("another server may have given the address"),
            Reason::Malformed => f.write_str("the message makes no sense"),
            Reason::NothingToSay => f.write_str("no answer is due"),
        }
    }
}

/// What an administrator should hear, once for each occasion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Alert {
    /// A scope has no free address left; told again only after it had one.
    Exhausted(Net),
    /// A client says that an address is in use by another machine.
    Declined(Ipv4Addr, Mac),
    /// Our look found this machine at an address that was to be offered.
    Conflict(Ipv4Addr, Mac),
    /// The address that is reserved for this client is held by that one.
    ReservedHeld(Ipv4Addr, Mac, Mac),
}

/// Text of a client for logs: printable ASCII, the rest as `?`, at most 64 bytes.
pub(super) fn clean(bytes: &[u8]) -> String {
    let shown = |byte: &u8| if matches!(byte, 0x20..=0x7e) { char::from(*byte) } else { '?' };
    bytes.iter().take(64).map(shown).collect()
}
