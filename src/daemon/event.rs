//! What arrives at the core, and what the core orders. An event never acts by itself: it only
//! changes what is known, and the core looks again.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use crate::base::{Digest, Mac, Tech, Time};
use crate::family::Role;
use crate::plan::boot::Exchange;
use crate::plan::observed::{DeviceState, Notified, PeerFacts};

/// One fact, on its way to the core.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something may have changed on disk.
    Disk,
    /// Nothing was noticed for some time.
    Rescan,
    /// A file was asked for.
    Transfers(Vec<Transfer>),
    /// News from Asterisk.
    Ami(AmiNews),
    /// Messages of DHCP exchanges.
    Dhcp(Vec<Exchange>),
    /// What came of a NOTIFY of our own.
    Answered {
        /// The phone.
        mac: Mac,
        /// What it said.
        result: Notified,
    },
}

/// A NOTIFY that we send ourselves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnNotify {
    /// The phone.
    pub mac: Mac,
    /// Where it is.
    pub to: SocketAddr,
    /// The name of a line that it now runs: it answers 404 to any other (phones.md §2.11).
    pub user: String,
    /// The server's address as in its files.
    pub host: String,
    /// The Event header, as `check-sync`.
    pub event: String,
}

/// One finished (or refused) request for a file.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Who asked.
    pub asker: SocketAddr,
    /// The name as asked, cleaned for logs.
    pub name: String,
    /// What was given, when it was one of ours.
    pub ticket: Option<Ticket>,
    /// How it ended.
    pub outcome: Outcome,
    /// Payload bytes acknowledged.
    pub bytes: u64,
    /// Milliseconds from the request to the end.
    pub millis: u64,
    /// When the request came.
    pub at: Time,
    /// What the asker calls itself (HTTP), cleaned and bounded.
    pub agent: Option<String>,
}

/// What a served body means, handed through the transfer and back to the core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// The phone whose body it was (its own file or its variant), none for shared files.
    pub mac: Option<Mac>,
    /// What fetching it means.
    pub role: Role,
    /// The sync token of the variant, for [`Role::Own`] and [`Role::Sync`]; the digest of the bytes
    /// for the others.
    pub digest: Digest,
}

/// How a transfer ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Every byte was acknowledged; over HTTP, sent before the client closed in order.
    Complete,
    /// All was sent, the last acknowledgement is missing: not proved, and usually received.
    Unconfirmed,
    /// There is no such file for this asker.
    NotFound,
    /// The request was not one that we carry out (a write, a bad packet), with the reason.
    Refused(String),
    /// The client ended it with an ERROR packet: code and text, cleaned.
    Aborted(u16, String),
    /// The client fell silent.
    TimedOut,
    /// We could not: I/O errors of our own.
    Failed(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Complete => f.write_str("complete"),
            Outcome::Unconfirmed => f.write_str("sent, the last acknowledgement is missing"),
            Outcome::NotFound => f.write_str("not found"),
            Outcome::Refused(why) => write!(f, "refused: {why}"),
            Outcome::Aborted(code, text) => write!(f, "aborted by the client: {code} {text}"),
            Outcome::TimedOut => f.write_str("the client fell silent"),
            Outcome::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// News from the AMI session.
#[derive(Clone, Debug)]
pub enum AmiNews {
    /// Logged in and booted; a full list follows.
    Up {
        /// The banner's version.
        version: String,
    },
    /// The connection is lost or could not be made; it is retried for ever.
    Down {
        /// Why.
        reason: String,
        /// The login was refused: retried every 60 s.
        refused: bool,
    },
    /// All peers that Asterisk has, after a connect, a reload, an order, and every few minutes. The
    /// peers named by [`Order::Follow`] with their details.
    Peers(Vec<PeerFacts>),
    /// One followed peer registered, left, or changed: its details, freshly asked.
    Peer(PeerFacts),
    /// A REGISTER of this peer was accepted just now.
    Registered {
        /// The peer.
        peer: String,
    },
    /// Somebody reloaded chan_sip, chan_pjsip, or everything (not told for a console `sip reload`).
    Reloaded,
    /// The answer to [`Order::Reload`]; an error with Asterisk's text.
    ReloadAnswered(Result<(), String>),
    /// The answer to [`Order::Notify`].
    Notified {
        /// The phone.
        mac: Mac,
        /// What came of it.
        result: Notified,
    },
    /// The answer to [`Order::Notify`] with an [`OwnNotify`]: no peer of the phone has a channel, it may be
    /// sent now.
    Free(OwnNotify),
    /// The states of the devices of all followed peers, after a connect and whatever was missed: others
    /// are not known. Not told where the AMI account may not ask for them.
    Devices(Vec<(String, DeviceState)>),
    /// The state of the device of a followed peer changed.
    Device {
        /// The peer.
        peer: String,
        /// Its state now.
        state: DeviceState,
    },
    /// A channel of a followed peer ended.
    HungUp {
        /// The peer.
        peer: String,
    },
    /// When Asterisk started (seconds since 1970), told after every connect.
    Started(u64),
}

/// What the core wants from the AMI task.
#[derive(Clone, Debug)]
pub enum Order {
    /// Follow these peers: their details are asked at each list and at each event.
    Follow(Vec<String>),
    /// Which channel driver each name is meant for: told of are the peers of that one, where both
    /// have the name. Names not here: the registered one, else chan_sip's.
    Techs(BTreeMap<String, Tech>),
    /// Ask these of the followed peers every few seconds from now on: their next REGISTER is waited
    /// for, and chan_pjsip is silent about a refresh (its `expires` rises). Replaces the last
    /// order; chan_sip's peers need none.
    Poll(Vec<String>),
    /// List all peers again now.
    Relist,
    /// Reload chan_sip and chan_pjsip, whichever is loaded.
    Reload,
    /// Send a NOTIFY, unless one of the phone's peers has a channel.
    Notify {
        /// The phone, for the answer.
        mac: Mac,
        /// The peer whose contact gets it.
        peer: String,
        /// All peers of the phone: a call on any of them defers the NOTIFY.
        lines: Vec<String>,
        /// The Event header, as `check-sync`.
        event: String,
        /// Sent by ourselves: Asterisk is only asked whether the phone is in a call.
        own: Option<OwnNotify>,
    },
}
