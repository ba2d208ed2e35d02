//! Every artifact computed from one state of the sources: complete, immutable, published whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::observed::Visible;
use crate::base::{Digest, Mac, Tech, Time};
use crate::family::ladder::Ladder;
use crate::family::{Artifact, Step, Variant};

/// A numbered generation. Parts that did not change are shared with the one before.
#[derive(Clone, Debug, Default)]
pub struct Generation {
    /// Counts up for ever.
    pub id: u64,
    /// When it was made; not a part of its bytes.
    pub made: Time,
    /// What everybody gets.
    pub shared: Arc<Vec<Artifact>>,
    /// The ways to the loads that phones shall run.
    pub ladders: Arc<Vec<Ladder>>,
    /// What belongs to one phone each.
    pub phones: BTreeMap<Mac, Arc<PhonePart>>,
}

/// One phone's share of a generation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PhonePart {
    /// The phone.
    pub mac: Mac,
    /// Its family.
    pub family: Arc<str>,
    /// Its model.
    pub model: Arc<str>,
    /// Its lines, from 1.
    pub lines: Vec<LinePart>,
    /// Its files at each firmware step, [`Step::default`] first.
    pub variants: Vec<Variant>,
    /// Keyed digest of what Asterisk must have loaded before the phone may have these files: peer
    /// names, secrets and the realm.
    pub credentials: Digest,
    /// The NOTIFY's event that makes the phone look.
    pub event: Arc<str>,
}

/// One line of a part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinePart {
    /// From 1.
    pub number: u8,
    /// The account.
    pub peer: String,
    /// Which of Asterisk's channel drivers has it.
    #[serde(default)]
    pub tech: Tech,
    /// The label beside the key.
    pub label: String,
    /// What SIPshowpeer will show once Asterisk has loaded this.
    pub visible: Visible,
}

impl PhonePart {
    /// The variant for a phone that is at `step`: the highest that is not above it.
    pub fn variant(&self, step: &Step) -> Option<&Variant> {
        self.variants.iter().filter(|v| v.step <= *step).max_by(|a, b| a.step.cmp(&b.step))
    }

    /// The variant that names no load, or the one whose files all name the target.
    pub fn chosen(&self, target: bool) -> Option<&Variant> {
        if target {
            self.variants.iter().max_by(|a, b| a.step.cmp(&b.step))
        } else {
            self.variant(&Step::default())
        }
    }

    /// What tells this configuration from every other: the token at the lowest firmware step.
    pub fn token(&self) -> Option<Digest> {
        self.variants.first().map(|variant| variant.token)
    }

    /// Whether a phone that is proved to run `token` runs this, at whatever firmware step.
    pub fn is_run(&self, token: Digest) -> bool {
        self.variants.iter().any(|variant| variant.token == token)
    }

    /// The names of the peers of all lines.
    pub fn peers(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|l| l.peer.as_str())
    }
}

impl Generation {
    /// Whether both serve the same bytes.
    pub fn same_bytes(&self, other: &Generation) -> bool {
        self.shared == other.shared && self.ladders == other.ladders && self.phones == other.phones
    }
}
