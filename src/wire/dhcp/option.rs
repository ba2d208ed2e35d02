//! Options (RFC 2132): their numbers, those of a message, and those that a site wants sent.

use std::net::Ipv4Addr;

/// Subnet mask.
pub const MASK: u8 = 1;
/// Seconds east of UTC.
pub const TIME_OFFSET: u8 = 2;
/// Routers.
pub const ROUTER: u8 = 3;
/// Time servers (RFC 868).
pub const TIME_SERVER: u8 = 4;
/// Name servers.
pub const DNS: u8 = 6;
/// Host name.
pub const HOST: u8 = 12;
/// Domain name.
pub const DOMAIN: u8 = 15;
/// Broadcast address.
pub const BROADCAST: u8 = 28;
/// NTP servers.
pub const NTP: u8 = 42;
/// Vendor's own.
pub const VENDOR: u8 = 43;
/// Address asked for.
pub const REQUESTED: u8 = 50;
/// Lease time in seconds.
pub const LEASE: u8 = 51;
/// `file` and `sname` hold options.
pub const OVERLOAD: u8 = 52;
/// Kind of message.
pub const KIND: u8 = 53;
/// Server identifier.
pub const SERVER: u8 = 54;
/// Parameter request list.
pub const WANTED: u8 = 55;
/// Text for people.
pub const MESSAGE: u8 = 56;
/// Longest message that the client takes.
pub const MAX_SIZE: u8 = 57;
/// Seconds until the client renews (T1).
pub const RENEW: u8 = 58;
/// Seconds until the client asks any server (T2).
pub const REBIND: u8 = 59;
/// Vendor class.
pub const CLASS: u8 = 60;
/// Client identifier.
pub const CLIENT: u8 = 61;
/// TFTP server as text.
pub const TFTP_NAME: u8 = 66;
/// Relay agent's own (RFC 3046).
pub const RELAY: u8 = 82;
/// Subnet selection (RFC 3011).
pub const SUBNET: u8 = 118;
/// VLAN of some makers' phones.
pub const VLAN: u8 = 132;
/// TFTP servers as addresses (Cisco, RFC 5859).
pub const TFTP_ADDRESSES: u8 = 150;

/// The options of one message: each code once, in the order of the first appearance, values joined (RFC 3396).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options(Vec<(u8, Vec<u8>)>);

impl Options {
    /// The value of an option.
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.0.iter().find(|(c, _)| *c == code).map(|(_, value)| value.as_slice())
    }

    /// The value as one address.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        let bytes: [u8; 4] = self.get(code)?.try_into().ok()?;
        Some(bytes.into())
    }

    /// The value as a number of 32 bits.
    pub fn number(&self, code: u8) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(code)?.try_into().ok()?))
    }

    /// The value without NULs at its end, which some clients count in.
    pub fn trimmed(&self, code: u8) -> Option<&[u8]> {
        let value = self.get(code)?;
        let end = value.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        Some(&value[..end])
    }

    /// Appends to an option, or begins it.
    pub fn join(&mut self, code: u8, value: &[u8]) {
        match self.0.iter_mut().find(|(c, _)| *c == code) {
            Some((_, there)) => there.extend_from_slice(value),
            None => self.0.push((code, value.to_vec())),
        }
    }

    /// Sets an option, in its old place or at the end.
    pub fn set(&mut self, code: u8, value: impl Into<Vec<u8>>) {
        match self.0.iter_mut().find(|(c, _)| *c == code) {
            Some((_, there)) => *there = value.into(),
            None => self.0.push((code, value.into())),
        }
    }

    /// The same without some.
    #[must_use]
    pub fn without(mut self, codes: &[u8]) -> Self {
        self.0.retain(|(code, _)| !codes.contains(code));
        self
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.0.iter().map(|(code, value)| (*code, value.as_slice()))
    }
}

/// One option that the site, a scope or a family wants sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Its number.
    pub code: u8,
    /// Its bytes.
    pub value: Vec<u8>,
    /// Also to clients that did not ask for it.
    pub always: bool,
}

impl Setting {
    /// An option of bytes, sent to those who ask for it.
    pub fn bytes(code: u8, value: impl Into<Vec<u8>>) -> Self {
        Self { code, value: value.into(), always: false }
    }

    /// An option of text.
    pub fn text(code: u8, value: &str) -> Self {
        Self::bytes(code, value)
    }

    /// An option of addresses.
    pub fn addresses(code: u8, addresses: &[Ipv4Addr]) -> Self {
        Self::bytes(code, addresses.iter().flat_map(Ipv4Addr::octets).collect::<Vec<u8>>())
    }

    /// An option of a number of 32 bits with a sign ([`TIME_OFFSET`]).
    pub fn seconds(code: u8, seconds: i32) -> Self {
        Self::bytes(code, seconds.to_be_bytes())
    }

    /// The same, sent to everybody.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.always = true;
        self
    }
}
