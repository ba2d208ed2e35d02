//! A SIP account that Asterisk knows, fully inherited: nobody above sees templates again.
//!
//! [`from_sip`] reads sip.conf as chan_sip does (asterisk-conf.md §3): `general` takes the first
//! `[general]`, `build` applies the options of one section in their order, `callerid`, `codecs` and
//! `options` know the values.

pub mod callerid;
pub mod codecs;

mod build;
mod general;
pub mod keyed;
mod options;
pub mod pjsip;
mod sip;
mod spoilt;
mod users;

#[cfg(test)]
mod tests;

pub use keyed::keyed_tags;
pub use pjsip::{PjsipReading, from_pjsip};
pub use sip::{CODES, Refused, SipReading, from_sip, from_sip_and_users};

use std::sync::Arc;

pub use crate::base::Tech;
use crate::base::{Place, Secret, Spanned};
use crate::model::tag::Tag;

/// One account. Whatever is missing here, Asterisk's own default has been put in; what comes from
/// `[general]` or a template is shared with the other accounts that have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its name: the SIP user, and the digest user name unless `auth_user` is another
    /// (asterisk-conf.md §3.3, §4).
    pub name: Spanned<String>,
    /// Which of Asterisk's channel drivers has it. Both may have one of the same name.
    pub tech: Tech,
    /// The digest user name, where it is not `name` (chan_pjsip).
    pub auth_user: Option<String>,
    /// Where it registers, where that is its own matter (chan_pjsip); else what the file says.
    pub registrar: Option<Arc<Registrar>>,
    /// Its tag.
    pub tag: Option<Arc<Tag>>,
    /// Its `type`.
    pub kind: Kind,
    /// `host=dynamic`: it may register.
    pub dynamic: bool,
    /// `secret`.
    pub secret: Option<Spanned<Secret>>,
    /// `md5secret`: hides the password (asterisk-conf.md §3.3).
    pub md5secret: Option<Spanned<()>>,
    /// `callerid`, `fullname`, `cid_number`.
    pub caller: CallerId,
    /// Asterisk's names of formats, in order of preference.
    pub codecs: Arc<[&'static str]>,
    /// `dtmfmode`.
    pub dtmf: Dtmf,
    /// `mailbox`: `box@context`, in order.
    pub mailboxes: Vec<String>,
    /// `vmexten`, when set here or in `[general]`.
    pub vmexten: Option<Arc<str>>,
    /// `nat`.
    pub nat: Nat,
    /// `language`.
    pub language: Arc<str>,
    /// `transport`: the first one that is allowed.
    pub transport: Transport,
    /// Where its settings stand.
    pub places: Places,
}

/// Where the settings of a peer stand that are lists or made of several; empty where Asterisk's own
/// default holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Places {
    /// The last of `callerid`, `fullname`, `trunkname` that set the name.
    pub caller: Place,
    /// The last `allow` or `disallow`.
    pub codecs: Place,
    /// `dtmfmode`.
    pub dtmf: Place,
    /// The last `mailbox`.
    pub mailboxes: Place,
    /// `vmexten`.
    pub vmexten: Place,
    /// The last `nat`; of chan_pjsip the option that decided.
    pub nat: Place,
    /// `language`.
    pub language: Place,
}

/// `type=`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// May be called and register.
    Peer,
    /// May only call: cannot register.
    User,
    /// Both.
    Friend,
}

/// A caller's name and number, either may be empty.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct CallerId {
    /// The name.
    pub name: String,
    /// The number.
    pub number: String,
}

/// `dtmfmode=`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Dtmf {
    /// RFC 2833 (RFC 4733) telephone events.
    #[default]
    Rfc2833,
    /// Tones in the audio.
    Inband,
    /// SIP INFO.
    Info,
    /// RFC 2833 if offered, else in the audio.
    Auto,
}

/// `nat=`: what Asterisk does about addresses that do not fit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Nat {
    /// Answers or requests go to the source port whether the phone asked or not: `force_rport`,
    /// `yes`, `rewrite_contact`. A 7940 with `nat_enable: 0` then hears nothing (phones.md §2.16).
    pub force_rport: bool,
    /// `auto_force_rport`: only when the phone is behind a NAT.
    pub auto_force_rport: bool,
    /// `comedia` or `auto_comedia`.
    pub comedia: bool,
}

/// How SIP travels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Transport {
    /// UDP.
    #[default]
    Udp,
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
    /// Web sockets: no desk phone speaks them.
    Ws,
}

/// What `[general]` says about the registrar itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Registrar {
    /// `udpbindaddr`/`bindaddr` when it is one address, no wildcard.
    pub address: Option<std::net::IpAddr>,
    /// The UDP port, 5060 unless set.
    pub port: u16,
    /// `realm`, else `asterisk`.
    pub realm: String,
    /// `minexpiry`, seconds.
    pub min_expiry: u32,
    /// `maxexpiry`, seconds.
    pub max_expiry: u32,
    /// `defaultexpiry`, seconds.
    pub default_expiry: u32,
    /// Where the address stands.
    pub address_place: Place,
    /// Where the port stands.
    pub port_place: Place,
    /// Where the longest of the expiries stands.
    pub expiry_place: Place,
}
