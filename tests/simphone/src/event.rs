//! What a phone tells about itself.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Which program a phone runs while it boots (phones.md §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The SCCP application, which asks its list for a call manager.
    Sccp,
    /// The universal application loader, which hunts for a file that fixes the protocol.
    Ual,
    /// The SIP application, which reads `SIPDefault.cnf` and `SIP<MAC>.cnf`.
    SipApp,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallState {
    /// An INVITE was sent.
    Dialing,
    /// An INVITE came in.
    Ringing,
    /// Answered.
    Talking,
    /// Hung up by either side.
    Ended,
    /// Refused, or never answered.
    Failed,
}

/// One line as the phone runs it; holds no password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineInfo {
    /// 1 to 6.
    pub line: u8,
    /// The user part that is registered.
    pub name: String,
    /// The name sent with calls.
    pub displayname: String,
    /// The text beside the line key.
    pub shortname: String,
    /// Where the line registers: host and port.
    pub proxy: String,
}

/// One thing that happened to a phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the fields say what the variants' texts name")]
pub enum Event {
    /// A program starts, and why.
    Boot { stage: Stage, reason: String },
    /// A read request goes out for the first time.
    Request { file: String },
    /// A file came whole.
    Got { file: String, bytes: usize },
    /// The server answered with a TFTP ERROR.
    NotFound { file: String, code: u16 },
    /// No answer at all, after every repeat.
    TimedOut { file: String },
    /// The data stopped in the middle, after every new try.
    Stalled { file: String },
    /// A load was named; whether its `.loads` file was there.
    Load { name: String, found: bool, running: String },
    /// The phone refuses this part of a file; what it had before stays.
    Refused { file: String, line: usize, key: String, why: String },
    /// A key that this firmware does not know, and ignores.
    UnknownKey { file: String, line: usize, key: String },
    /// The files are read: the lines that the phone now has, its `sync`, and the keys whose flash
    /// value changed.
    Config { lines: Vec<LineInfo>, sync: String, changed: Vec<String> },
    /// No usable line: the phone asks for its own file again and again.
    Unprovisioned,
    /// Asterisk accepted a line for so many seconds.
    Registered { line: u8, user: String, expires: u32 },
    /// A line was taken off on purpose.
    Unregistered { line: u8, user: String },
    /// A line was refused; without a status, nobody answered.
    RegisterFailed { line: u8, user: String, status: Option<u16>, why: String },
    /// A NOTIFY came; without an answer, the phone was told to ignore it.
    Notify { package: Option<String>, answered: Option<u16> },
    /// The lamp of a line.
    MessagesWaiting { line: u8, waiting: bool },
    /// `syncinfo.xml` was read (or was not there) and compared.
    Sync { theirs: Option<String>, mine: String, restart: bool },
    /// The phone goes down and boots again.
    Restart { reason: String },
    /// A call, and the other side's number.
    Call { state: CallState, with: String, status: Option<u16> },
    /// What stands on the display when nothing goes on.
    Trouble { text: String },
    /// A SIP message (only when asked for), told by its first line.
    Sip { sent: bool, peer: String, text: String },
    /// The phone is off.
    Stopped,
}

/// An event with its time and its phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Counts up by one a report of this phone, from 1.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at: u64,
    /// Twelve lower-case hex digits.
    pub mac: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Milliseconds since 1970, 0 for a clock before that.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
