//! What the command line and the daemon say to each other over the control socket: one JSON object
//! a line, a request and its answers. The first field of a request is the version.

pub mod client;
mod firmware;
mod rollout;
mod status;

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::base::{Cidr, Digest, Level, Mac, Tech};
pub use crate::plan::boot::story::Kind as TraceKind;
pub use crate::plan::diff::{Change, KeyChange, PhoneDiff};
pub use crate::plan::standing::State;
pub use firmware::{
    Firmware, FirmwareImage, FirmwareLoad, FirmwarePhone, FirmwareStep, FirmwareWay,
};

pub use rollout::{FailedPhone, KeptGeneration, PhonePlan, Plan, RolloutOrder, RolloutStatus};

pub use status::{
    DhcpSeen, FileSeen, LineStatus, OffLadder, PhoneSeen, PhoneStatus, Select, Status, UnknownAsker,
};

/// Raised with every incompatible change.
pub const VERSION: u32 = 1;

/// One request line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`] of the asker.
    pub version: u32,
    /// What is wanted.
    pub ask: Ask,
}

/// What may be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// The state of the site and of all phones, or of those that a word names. Answered once, with
    /// [`Answer::Status`].
    Status {
        /// A MAC in any spelling, a peer name, or a label; none for all.
        phone: Option<String>,
        /// Which of these.
        #[serde(default)]
        select: Select,
    },
    /// Make phones fetch now. Answered with [`Answer::Push`]; with `wait` then with
    /// [`Answer::Progress`] lines until each phone is done or failed.
    Push {
        /// Words as in `Status`; empty for all phones.
        phones: Vec<String>,
        /// Also phones that are current (a check-sync does not restart them).
        all: bool,
        /// Tell what would be done, do nothing.
        dry_run: bool,
        /// Keep answering until the end.
        wait: bool,
    },
    /// What the sources on disk would change. Answered with [`Answer::Diff`].
    Diff,
    /// Let a held generation through, or say that Asterisk has loaded its configuration. Answered
    /// with [`Answer::Done`].
    Apply {
        /// The removal of phones is meant.
        accept_removals: bool,
        /// Asterisk has loaded what is on disk.
        loaded: bool,
        /// Only these phones get what is new, now; words as in `Status`. With none of all these, the
        /// roll-out that waits for the operator begins.
        #[serde(default)]
        only: Vec<String>,
    },
    /// What would come of the sources on disk. Answered with [`Answer::Plan`].
    Plan,
    /// The roll-outs: the one on its way or the last, and those before. Answered with
    /// [`Answer::Rollouts`].
    Rollouts,
    /// Change the course of a roll-out. Answered with [`Answer::Done`].
    Rollout(RolloutOrder),
    /// Offer phones what they had in an older generation. Answered with [`Answer::Done`].
    Rollback {
        /// Words as in `Status`.
        phones: Vec<String>,
        /// All phones.
        all: bool,
        /// The generation; none for what each phone had before its last change.
        generation: Option<u64>,
    },
    /// What is open to unknown askers. Answered with [`Answer::Opened`].
    Opened,
    /// Give unknown askers the files of a phone, or of a network, for a while. Answered with
    /// [`Answer::Done`].
    Open {
        /// What to open.
        what: Open,
        /// For how long.
        seconds: u64,
    },
    /// End that. Answered with [`Answer::Done`].
    Close {
        /// What to close.
        what: Open,
    },
    /// What happened to phones, and what happens. Answered with [`Answer::Trace`] lines.
    Trace {
        /// Words as in `Status`, or a MAC without a tag; empty for all phones.
        phones: Vec<String>,
        /// So many seconds back; none for the last boot of each phone.
        since: Option<u64>,
        /// Keep answering until the asker goes.
        follow: bool,
    },
    /// Who asks and has no tag. Answered with [`Answer::Unknown`].
    Unknown,
    /// The firmware: images, phones, who is off the ladder. Answered with [`Answer::Firmware`].
    Firmware,
    /// Put a phone back onto the firmware ladder, or all that are off it. Answered with
    /// [`Answer::Done`].
    FirmwareRetry {
        /// A word as in [`Ask::Status`]; none for all.
        phone: Option<String>,
    },
    /// The leases of the DHCP service. Answered with [`Answer::Leases`].
    Leases,
    /// What a phone wants for itself, over FastAGI. Answered with [`Answer::Own`].
    Own {
        /// The account that it calls from.
        peer: String,
        /// Whose account that is.
        tech: Tech,
        /// What it wants.
        wish: OwnWish,
    },
}

/// One answer line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The state.
    Status(Box<Status>),
    /// What is being done.
    Push {
        /// One a phone.
        phones: Vec<PushLine>,
    },
    /// News of a waited-for push: the phones whose state changed, `finished` on the last line.
    Progress {
        /// The phones.
        phones: Vec<PhoneStatus>,
        /// Nothing follows.
        finished: bool,
    },
    /// The changes.
    Diff(Vec<PhoneDiff>),
    /// What would come.
    Plan(Box<Plan>),
    /// The roll-outs, the newest first, and what can be brought back.
    Rollouts {
        /// The roll-outs.
        rollouts: Vec<RolloutStatus>,
        /// The generations, the newest first.
        kept: Vec<KeptGeneration>,
    },
    /// What is open.
    Opened(Vec<Opened>),
    /// What happened, in order.
    Trace(Vec<TraceLine>),
    /// Who asks and has no tag.
    Unknown(Vec<UnknownPhone>),
    /// The firmware.
    Firmware(Box<Firmware>),
    /// The leases, by address.
    Leases(Vec<LeaseLine>),
    /// The phone that an account is a line of.
    Own(Box<PhoneStatus>),
    /// Carried out, with what to tell the user.
    Done(String),
    /// Not carried out: why and what to do next.
    Error {
        /// The kind.
        kind: ErrorKind,
        /// The text.
        message: String,
    },
}

/// What a phone wants for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnWish {
    /// To know how it is.
    State,
    /// To be told to look, as by [`Ask::Push`].
    Resync,
    /// To be told at this account, though it gets another one: its tag was just changed.
    Move,
}

/// What an operator opens, in his words.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Open {
    /// A word as in [`Ask::Status`].
    Phone(String),
    /// A network.
    Net(Cidr),
}

/// What is open.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opening {
    /// A phone, wherever it is.
    Phone(Mac),
    /// All phones, in a network.
    Net(Cidr),
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phone(mac) => write!(f, "{mac}"),
            Self::Net(net) => write!(f, "{net}"),
        }
    }
}

/// One thing that is open, and for how long.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opened {
    /// What.
    pub what: Opening,
    /// How long still.
    pub seconds: u64,
}

/// Why a file with a password was refused. Displayed as in logs and JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Reason {
    /// The neighbour table has another machine at the address.
    #[serde(rename = "another's")]
    Anothers,
    /// Nobody knows who is at the address.
    #[serde(rename = "unknown")]
    Unknown,
    /// The address asks for the files of many phones.
    #[serde(rename = "scan")]
    Scan,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anothers => "another's",
            Self::Unknown => "unknown",
            Self::Scan => "scan",
        })
    }
}

/// Refusals of one kind to one address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Alert {
    /// Why.
    pub reason: Reason,
    /// Who asked.
    pub address: String,
    /// Whose file was asked for; null for a scan, which asks for many.
    pub phone: Option<Mac>,
    /// Whose address the neighbour table says it is.
    pub owner: Option<Mac>,
    /// How often.
    pub count: u64,
    /// The last time, RFC 3339.
    pub last: String,
}

/// Why something was not carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The words name no phone.
    NoSuchPhone,
    /// The asker may not.
    Denied,
    /// The request could not be read, or is of another version.
    BadRequest,
    /// It cannot be done now.
    Unavailable,
}

/// One phone of a push.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PushLine {
    /// The phone.
    pub mac: Mac,
    /// Its lines' peers.
    pub peers: Vec<String>,
    /// What is done, or why nothing is.
    pub what: String,
    /// Whether a NOTIFY will be sent.
    pub due: bool,
}

/// Something about DHCP that an administrator should know, within the last day.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DhcpAlert {
    /// What, in words.
    pub text: String,
    /// How often.
    pub count: u64,
    /// The last time, RFC 3339.
    pub last: String,
}

/// One lease. This is an object of `handset dhcp leases --json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeaseLine {
    /// The address.
    pub address: Ipv4Addr,
    /// The client.
    pub mac: Mac,
    /// `bound`, `released`, `declined` or `expired`.
    pub state: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Until when nobody else gets it, RFC 3339.
    pub until: String,
    /// What the client calls itself (option 12).
    pub host: String,
    /// The address is reserved for it.
    pub reserved: bool,
    /// It is a phone with a tag.
    pub tagged: bool,
}

/// A diagnostic on its way to a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// The code.
    pub code: String,
    /// How bad.
    pub level: Level,
    /// `file:line:column`, if it has a place.
    pub place: Option<String>,
    /// The text.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// One line of a trace. This is a line of `handset trace --json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TraceLine {
    /// When, RFC 3339.
    pub at: String,
    /// The phone; null where nobody knows who it was.
    pub mac: Option<Mac>,
    /// What the line is.
    pub kind: TraceKind,
    /// What is told.
    pub text: String,
    /// What to do about it.
    pub cure: Option<String>,
    /// The file that was asked for.
    pub file: Option<String>,
    /// How that ended: `complete`, `unconfirmed`, `missing`, `hidden`, or the reason.
    pub outcome: Option<String>,
    /// Bytes that arrived.
    pub bytes: Option<u64>,
    /// What was given, where handset made it: the phone's sync token, or the digest of a file that all get.
    pub digest: Option<Digest>,
}

/// A phone without a tag. This is the object of `handset unknown --json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnknownPhone {
    /// Its address.
    pub mac: Mac,
    /// Who made it, by its vendor class, else by its MAC.
    pub maker: Option<String>,
    /// The family that knows its vendor class, User-Agent, requests, or MAC.
    pub family: Option<String>,
    /// The model, where its vendor class or User-Agent tells it.
    pub model: Option<String>,
    /// Its firmware, as far as what it asks for and took tells.
    pub firmware: Option<String>,
    /// Its DHCP vendor class.
    pub class: Option<String>,
    /// What it calls itself over HTTP.
    pub user_agent: Option<String>,
    /// The interface of its last DHCP message.
    pub interface: Option<String>,
    /// Where it was heard of, the last address at the end.
    pub addresses: Vec<String>,
    /// The last name that it asked for.
    pub asked: Option<String>,
    /// RFC 3339.
    pub first_seen: String,
    /// RFC 3339.
    pub last_seen: String,
    /// A tag that differs by a digit or two and whose phone was never heard of: `sip.conf:212 has …`.
    pub near: Option<String>,
    /// What to write behind a section of sip.conf.
    pub tag: String,
}
