//! What happened to a phone, at one moment: what stories are made of and what the journal keeps.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::{Exchange, Said};
use crate::base::{Digest, Mac, Time};
use crate::plan::observed::Notified;

/// Texts from the network are cut to so many bytes.
const TEXT_MAX: usize = 128;

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// When; of a file when it was asked for.
    pub at: Time,
    /// The phone; none where nobody knows who it was.
    pub mac: Option<Mac>,
    /// From which address.
    pub address: Option<IpAddr>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A DHCP message, and the address that it is about.
    Dhcp(Said, Option<Ipv4Addr>),
    /// A file was asked for.
    File(Fetched),
    /// A REGISTER of this peer was accepted.
    Registered(String),
    /// What came of a NOTIFY.
    Notified(Notified),
}

/// A request for a file and its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// The name as asked for.
    pub name: String,
    /// How it ended.
    pub end: End,
    /// Bytes that arrived.
    pub bytes: u64,
    /// Milliseconds from the request to the end.
    pub millis: u64,
    /// So many such requests in a short time.
    pub times: u32,
    /// It is the file that makes the phone run what its tag says.
    pub own: bool,
    /// What was given, where that was made by us: the sync token of the phone's files, the digest of the
    /// bytes of others.
    pub digest: Option<Digest>,
}

/// How a request ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// The phone has it all.
    Complete,
    /// All was sent, the last acknowledgement is missing.
    Unconfirmed,
    /// There is no such file.
    Missing,
    /// There is one, and the guard did not give it to this address.
    Hidden,
    /// It broke off or was refused, with the reason.
    Broken(String),
}

/// As in the JSON.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Complete => "complete",
            End::Unconfirmed => "unconfirmed",
            End::Missing => "missing",
            End::Hidden => "hidden",
            End::Broken(why) => why,
        })
    }
}

impl Fact {
    /// What a DHCP message tells.
    pub fn exchange(exchange: &Exchange) -> Self {
        let address =
            exchange.address.filter(|_| matches!(exchange.said, Said::Ack | Said::Inform));
        Self {
            at: exchange.at,
            mac: Some(exchange.mac),
            address: address.map(IpAddr::V4),
            what: What::Dhcp(exchange.said.clone(), exchange.address),
        }
    }

    /// Whether both tell the same, but for the time and the bytes.
    pub fn like(&self, other: &Self) -> bool {
        let what = match (&self.what, &other.what) {
            (What::File(a), What::File(b)) => a.name == b.name && a.end == b.end,
            (a, b) => a == b,
        };
        what && self.mac == other.mac && self.address == other.address
    }
}

/// A text from the network, not longer than it may be.
pub fn short(text: &str) -> String {
    cut(text).to_owned()
}

/// As [`short`], in place.
pub fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
