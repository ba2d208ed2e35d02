//! Facts with a time about phones and peers, never wishes.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What Asterisk says about one peer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PeerFacts {
    /// Its name.
    pub peer: String,
    /// Where Asterisk sends to; none when it is not registered (asterisk says `-none-`, `(null)`).
    pub address: Option<SocketAddr>,
    /// `SIP-Useragent`: empty after a reload until the next REGISTER, stale after an unregister.
    pub user_agent: Option<String>,
    /// `RegExpire`: seconds that the registration has left; none when unknown.
    pub expires: Option<u32>,
    /// `Status`: `OK (2 ms)`, `UNREACHABLE`, `LAGGED (…)`, `Unmonitored`, `UNKNOWN`.
    pub status: String,
    /// What a reload would change visibly: `Callerid`, `VoiceMailbox`, `Language`, each empty where
    /// not asked.
    pub visible: Visible,
}

/// What SIPshowpeer shows of a peer's configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Visible {
    /// `Callerid`, as `"Ada Quill" <201>`.
    pub callerid: String,
    /// `VoiceMailbox`.
    pub mailbox: String,
    /// `Language`.
    pub language: String,
}

/// What came of a NOTIFY.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notified {
    /// Handed to Asterisk's stack: no proof of anything.
    Sent,
    /// Not sent: one of the phone's peers has a channel.
    InCall,
    /// Not sent: `Could not create address` (unregistered, UNREACHABLE or LAGGED).
    NoAddress,
    /// Not sent: no session, no permission, or another answer, with the text.
    Failed(String),
}
