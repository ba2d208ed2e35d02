//! Messages: read without trusting a byte.

use std::fmt;
use std::net::Ipv4Addr;

use thiserror::Error;

use super::option::{self, Options};
use crate::base::Mac;

/// The longest datagram that is read. Nobody's message is longer than an Ethernet frame; jumbo frames are
/// cut off by who reads the socket.
pub const MAX_DATAGRAM: usize = 2048;

/// What a message says (option 53).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// DHCPDISCOVER: the client looks for servers.
    Discover,
    /// DHCPOFFER.
    Offer,
    /// DHCPREQUEST: the client asks for an address.
    Request,
    /// DHCPDECLINE: the address is in use by another.
    Decline,
    /// DHCPACK.
    Ack,
    /// DHCPNAK.
    Nak,
    /// DHCPRELEASE: the client gives its address back.
    Release,
    /// DHCPINFORM: the client has an address and wants options.
    Inform,
}

impl Kind {
    /// Its number in option 53.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The kind of a number.
    pub fn of(number: u8) -> Option<Self> {
        use Kind::{Ack, Decline, Discover, Inform, Nak, Offer, Release, Request};
        let all = [Discover, Offer, Request, Decline, Ack, Nak, Release, Inform];
        all.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Whether servers send it.
    pub fn by_server(self) -> bool {
        matches!(self, Kind::Offer | Kind::Ack | Kind::Nak)
    }
}

/// One DHCP message on Ethernet, from either side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What it says. It decides whether it is a BOOTREQUEST or a BOOTREPLY.
    pub kind: Kind,
    /// How many relays it passed.
    pub hops: u8,
    /// The client's number of the exchange. A 7940 uses the same at every boot: no key of anything.
    pub xid: u32,
    /// Seconds since the client began, as it says.
    pub secs: u16,
    /// The client cannot take unicast yet.
    pub broadcast: bool,
    /// The client's address, when it has one and can answer for it.
    pub ciaddr: Ipv4Addr,
    /// The address that the client is given.
    pub yiaddr: Ipv4Addr,
    /// The server to boot from.
    pub siaddr: Ipv4Addr,
    /// The relay's address on the client's network; zero without a relay.
    pub giaddr: Ipv4Addr,
    /// The client (`chaddr`).
    pub mac: Mac,
    /// Server host name, up to its first NUL; empty when it held options.
    pub sname: Vec<u8>,
    /// Boot file name, likewise.
    pub file: Vec<u8>,
    /// Without [`option::KIND`], [`option::OVERLOAD`], pads and the end.
    pub options: Options,
}

impl Message {
    /// An empty message of a client, or of a server to that client.
    pub fn new(kind: Kind, mac: Mac, xid: u32) -> Self {
        let none = Ipv4Addr::UNSPECIFIED;
        Self {
            kind,
            hops: 0,
            xid,
            secs: 0,
            broadcast: false,
            ciaddr: none,
            yiaddr: none,
            siaddr: none,
            giaddr: none,
            mac,
            sname: Vec::new(),
            file: Vec::new(),
            options: Options::default(),
        }
    }

    /// The vendor class without the NUL at the end that many phones count in (phones.md §4.1).
    pub fn class(&self) -> Option<&[u8]> {
        self.options.trimmed(option::CLASS)
    }
}

/// Why a datagram is no message that we can use, and where that shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{flaw} at byte {at}")]
pub struct Fault {
    /// The offset in the datagram.
    pub at: usize,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// What is wrong with a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// It ends before the magic cookie does.
    Short,
    /// Longer than [`MAX_DATAGRAM`].
    Long,
    /// `op` is neither request nor reply, or not what the kind of message needs.
    Op,
    /// `htype` and `hlen` are not Ethernet's.
    Hardware,
    /// `chaddr` is no address of one machine.
    Address,
    /// The magic cookie is another: BOOTP without options.
    Cookie,
    /// An option's length leads past the end of its field.
    Cut,
    /// Option 53 is missing: BOOTP.
    NoKind,
    /// Option 53 is unknown.
    Kind,
    /// An option whose length is fixed has another; its number.
    Length(u8),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Short => f.write_str("the message ends early"),
            Flaw::Long => f.write_str("the message is too long"),
            Flaw::Op => f.write_str("wrong op code"),
            Flaw::Hardware => f.write_str("not an Ethernet client"),
            Flaw::Address => f.write_str("no client's hardware address"),
            Flaw::Cookie => f.write_str("no DHCP magic cookie"),
            Flaw::Cut => f.write_str("an option leads past its field"),
            Flaw::NoKind => f.write_str("no message type (BOOTP)"),
            Flaw::Kind => f.write_str("unknown message type"),
            Flaw::Length(code) => write!(f, "option {code} has a wrong length"),
        }
    }
}

/// Reads one datagram.
pub fn parse(datagram: &[u8]) -> Result<Message, Fault> {
    let _ = datagram;
    Err(Fault { at: 0, flaw: Flaw::Short })
}
