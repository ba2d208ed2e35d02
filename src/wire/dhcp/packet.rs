//! Messages: read without trusting a byte.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Range;

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

/// Where the header's fields are (RFC 2131 §2).
const CHADDR: usize = 28;
const SNAME: usize = 44;
const FILE: usize = 108;
const COOKIE: usize = 236;
const OPTIONS: usize = 240;
/// The magic cookie before the options (RFC 2131 §3).
pub(super) const MAGIC: [u8; 4] = [99, 130, 83, 99];

/// Reads one datagram. What is odd and harmless is let pass: no end option, pads, an option more than once
/// (RFC 3396), bytes behind the end.
pub fn parse(datagram: &[u8]) -> Result<Message, Fault> {
    if datagram.len() > MAX_DATAGRAM {
        return Err(Fault { at: MAX_DATAGRAM, flaw: Flaw::Long });
    }
    let (head, _) = datagram
        .split_first_chunk::<OPTIONS>()
        .ok_or(Fault { at: datagram.len(), flaw: Flaw::Short })?;
    let mac = hardware(head)?;
    if head[COOKIE..] != MAGIC {
        return Err(Fault { at: COOKIE, flaw: Flaw::Cookie });
    }
    let mut reading = Reading::default();
    reading.field(datagram, OPTIONS..datagram.len())?;
    let overload = match reading.options.get(option::OVERLOAD) {
        Some(&[which]) => which,
        _ => 0,
    };
    // RFC 3396 §5: the options field, then file, then sname.
    if overload & 1 == 1 {
        reading.field(datagram, FILE..COOKIE)?;
    }
    if overload & 2 == 2 {
        reading.field(datagram, SNAME..FILE)?;
    }
    reading.lengths()?;
    let text = |taken: bool, field: &[u8]| match taken {
        true => Vec::new(),
        false => field.iter().copied().take_while(|byte| *byte != 0).collect(),
    };
    Ok(Message {
        kind: reading.kind(head[0])?,
        hops: head[3],
        xid: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        secs: u16::from_be_bytes([head[8], head[9]]),
        broadcast: head[10] & 0x80 != 0,
        ciaddr: address(head, 12),
        yiaddr: address(head, 16),
        siaddr: address(head, 20),
        giaddr: address(head, 24),
        mac,
        sname: text(overload & 2 == 2, &head[SNAME..FILE]),
        file: text(overload & 1 == 1, &head[FILE..COOKIE]),
        options: reading.options.without(&[option::KIND, option::OVERLOAD]),
    })
}

fn address(head: &[u8; OPTIONS], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3])
}

fn hardware(head: &[u8; OPTIONS]) -> Result<Mac, Fault> {
    if !matches!(head[0], 1 | 2) {
        return Err(Fault { at: 0, flaw: Flaw::Op });
    }
    if head[1..3] != [1, 6] {
        return Err(Fault { at: 1, flaw: Flaw::Hardware });
    }
    let mut bytes = [0; 6];
    bytes.copy_from_slice(&head[CHADDR..CHADDR + 6]);
    Mac::new(bytes).map_err(|_| Fault { at: CHADDR, flaw: Flaw::Address })
}

/// The options as they are gathered, and where each began.
#[derive(Default)]
struct Reading {
    options: Options,
    began: Vec<(u8, usize)>,
}

impl Reading {
    fn field(&mut self, datagram: &[u8], field: Range<usize>) -> Result<(), Fault> {
        let cut = |at| Fault { at, flaw: Flaw::Cut };
        let (mut at, field) = (field.start, &datagram[..field.end]);
        while let Some(&code) = field.get(at) {
            match code {
                0 => at += 1,
                255 => break,
                _ => {
                    let length = usize::from(*field.get(at + 1).ok_or(cut(at))?);
                    let value = field.get(at + 2..at + 2 + length).ok_or(cut(at))?;
                    self.began.push((code, at));
                    self.options.join(code, value);
                    at += 2 + length;
                }
            }
        }
        Ok(())
    }

    fn began(&self, code: u8) -> usize {
        self.began.iter().find(|(c, _)| *c == code).map_or(OPTIONS, |(_, at)| *at)
    }

    /// Checks the options whose length is fixed and that decide something.
    fn lengths(&self) -> Result<(), Fault> {
        const FIXED: [(u8, usize); 7] = [
            (option::REQUESTED, 4),
            (option::LEASE, 4),
            (option::OVERLOAD, 1),
            (option::KIND, 1),
            (option::SERVER, 4),
            (option::MAX_SIZE, 2),
            (option::SUBNET, 4),
        ];
        for (code, length) in FIXED {
            if self.options.get(code).is_some_and(|value| value.len() != length) {
                return Err(Fault { at: self.began(code), flaw: Flaw::Length(code) });
            }
        }
        Ok(())
    }

    fn kind(&self, op: u8) -> Result<Kind, Fault> {
        let value = self.options.get(option::KIND).and_then(|value| value.first());
        let number = value.ok_or(Fault { at: OPTIONS, flaw: Flaw::NoKind })?;
        let unknown = Fault { at: self.began(option::KIND), flaw: Flaw::Kind };
        let kind = Kind::of(*number).ok_or(unknown)?;
        if kind.by_server() != (op == 2) {
            return Err(Fault { at: 0, flaw: Flaw::Op });
        }
        Ok(kind)
    }
}

#[cfg(test)]
mod tests;
