//! What the command line is told of a site and its phones, and which of them it asks for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Alert, DhcpAlert, Message, Opened, RolloutStatus, State};
use crate::base::{Digest, Mac};

/// The state of the site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The generation that is offered.
    pub generation: u64,
    /// When it was made, RFC 3339.
    pub generated: String,
    /// Why a newer one is held back, if it is.
    pub held: Option<String>,
    /// Whether Asterisk is known to have loaded what is on disk: `loaded`, `waiting`, `unknown`.
    pub reload: String,
    /// The AMI session in words: `up (Asterisk Call Manager 5.0.4)`, `down: connection refused`.
    pub ami: String,
    /// What is wrong with the sources.
    pub diagnostics: Vec<Message>,
    /// So many more that a [`Select::limit`] left out.
    #[serde(default)]
    pub more_diagnostics: usize,
    /// How many phones stand how: all of the site.
    #[serde(default)]
    pub counts: BTreeMap<State, usize>,
    /// So many of them are registered.
    #[serde(default)]
    pub registered: usize,
    /// So many phones were asked for, with those on other pages.
    #[serde(default)]
    pub matched: usize,
    /// The phones, by MAC; in a [`Select::few`] that was passed, those that need a look first.
    pub phones: Vec<PhoneStatus>,
    /// Askers without a tag.
    pub unknown: Vec<UnknownAsker>,
    /// What was refused within the last day, newest first.
    #[serde(default)]
    pub alerts: Vec<Alert>,
    /// What is open to unknown askers.
    #[serde(default)]
    pub opened: Vec<Opened>,
    /// The roll-out that is on its way, or was the last.
    #[serde(default)]
    pub rollout: Option<RolloutStatus>,
    /// The phones that were taken off the firmware ladder.
    #[serde(default)]
    pub off_ladder: Vec<OffLadder>,
    /// What the DHCP service has to tell, newest first.
    #[serde(default)]
    pub dhcp: Vec<DhcpAlert>,
}

/// A phone that was taken off the firmware ladder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OffLadder {
    /// The phone.
    pub mac: Mac,
    /// Why.
    pub why: String,
}

/// Which phones, and which page of them; as it is by default, all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Select {
    /// Only those in one of these states; empty for all.
    pub states: Vec<State>,
    /// Only this model.
    pub model: Option<String>,
    /// So many are left out at the begin.
    pub offset: usize,
    /// At most so many are told of, and of what else may be long, little; none for all.
    pub limit: Option<usize>,
    /// Where the site has no more phones than this, all of them are told of, whatever the limit; where it has
    /// more, only those that are not current.
    pub few: Option<usize>,
}

/// One phone. This is the object of `handset status --json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PhoneStatus {
    /// Lower case with colons.
    pub mac: Mac,
    /// The family.
    pub family: String,
    /// The model.
    pub model: String,
    /// The lines, from 1.
    pub lines: Vec<LineStatus>,
    /// The sync token of what it shall run.
    pub wanted: Option<Digest>,
    /// The sync token of what it is proved to run; null when unknown.
    pub running: Option<Digest>,
    /// Where it stands.
    pub state: State,
    /// What `state` means for it, in words.
    pub detail: Option<String>,
    /// When it was last heard of, RFC 3339; null for never.
    pub last_seen: Option<String>,
    /// Who was refused its file within the last day.
    #[serde(default)]
    pub alerts: Vec<Alert>,
    /// What was seen of it last.
    #[serde(default)]
    pub seen: PhoneSeen,
}

/// What was seen of a phone last, RFC 3339 each; null for never.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PhoneSeen {
    /// When it fetched its own file, to the end.
    pub fetched: Option<String>,
    /// When it compared its configuration with the wanted one.
    pub compared: Option<String>,
    /// When what it runs was proved.
    pub proved: Option<String>,
    /// The address that it was proved at.
    pub address: Option<String>,
    /// When it was last told to look, and what came of it.
    pub told: Option<(String, String)>,
    /// The last DHCP message from or to it, as far as the journal reaches; where this phone is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<DhcpSeen>,
    /// How it last asked for each file, the oldest first; likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileSeen>,
}

/// A DHCP message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DhcpSeen {
    /// When, RFC 3339.
    pub at: String,
    /// What it told.
    pub text: String,
}

/// A request for a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileSeen {
    /// The name as asked for.
    pub name: String,
    /// When, RFC 3339.
    pub at: String,
    /// How it ended: `complete`, `unconfirmed`, `missing`, `hidden`, or the reason.
    pub outcome: String,
    /// Bytes that arrived.
    pub bytes: u64,
    /// What was given, where handset made it: the phone's sync token, or the digest of a file that all get.
    pub digest: Option<Digest>,
}

/// One line of a phone.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LineStatus {
    /// From 1.
    pub line: u8,
    /// The account.
    pub peer: String,
    /// The label beside the key.
    pub label: String,
    /// Whether Asterisk has a contact.
    pub registered: bool,
    /// `ip:port` of the contact.
    pub address: Option<String>,
    /// What the phone calls itself.
    pub user_agent: Option<String>,
    /// When its registration ends unless it is renewed, RFC 3339.
    #[serde(default)]
    pub expires: Option<String>,
    /// How long it took to answer Asterisk's last question, milliseconds.
    #[serde(default)]
    pub rtt: Option<u32>,
    /// `idle`, `in a call`, `ringing`, `on hold`, …, where Asterisk tells.
    #[serde(default)]
    pub device: Option<String>,
}

/// Somebody who asks for files and has no tag.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnknownAsker {
    /// The MAC from the names it asked for.
    pub mac: Mac,
    /// Its last address.
    pub address: String,
    /// The last name it asked for.
    pub asked: String,
    /// RFC 3339.
    pub last_seen: String,
}
