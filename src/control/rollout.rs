//! Roll-outs, as the command line shows them.

use serde::{Deserialize, Serialize};

use super::{KeyChange, PhoneDiff};
use crate::base::Mac;

/// What the operator wants of the roll-out that is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutOrder {
    /// Give it to no phone more for now.
    Pause,
    /// Go on, also after it stopped by itself, or where it waits for this word.
    Resume,
    /// End it. Phones that have it keep it; the others never get it.
    Abort,
}

/// A roll-out. This is the object of `handset rollout status --json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// Its number.
    pub id: u64,
    /// The generation that it brings.
    pub generation: u64,
    /// When it began, RFC 3339.
    pub began: String,
    /// When it ended, RFC 3339.
    pub ended: Option<String>,
    /// `planned`, `running`, `paused`, `stopped`, `done`, `aborted` or `superseded`.
    pub phase: String,
    /// Why it stands still, if it does.
    pub why: Option<String>,
    /// So many phones it concerned at its begin.
    pub total: usize,
    /// So many are proved to run it.
    pub proved: usize,
    /// So many were given it and are waited for.
    pub in_flight: usize,
    /// So many were given it and take it later: away, in a call, or deaf.
    pub deferred: usize,
    /// So many were not given it yet.
    pub waiting: usize,
    /// The number of its wave, from 1.
    pub wave: u32,
    /// How many phones that has.
    pub wave_size: usize,
    /// How long it takes at least from now, seconds; null when it stands still.
    pub seconds_left: Option<u64>,
    /// The phones that fetched it and did not come back.
    pub failed: Vec<FailedPhone>,
}

/// A phone that did not come back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailedPhone {
    /// The phone.
    pub mac: Mac,
    /// What was seen, and what it was given.
    pub why: String,
}

/// What would come of the sources as they are on disk. This is the object of `handset plan --json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Why it is not let through, if it is not.
    pub held: Option<String>,
    /// The phones that would change.
    pub phones: Vec<PhonePlan>,
    /// How many phones each wave would have.
    pub waves: Vec<usize>,
    /// How long the waves take at least, seconds.
    pub seconds: u64,
    /// The hours in which changes begin, when they are not open now.
    pub window: Option<String>,
    /// `auto` or `manual`.
    pub push: String,
}

/// One phone of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PhonePlan {
    /// What changes, key by key, secrets masked.
    #[serde(flatten)]
    pub diff: PhoneDiff,
    /// When it is given its new files, in words.
    pub when: String,
}

impl PhonePlan {
    /// The keys that change.
    pub fn keys(&self) -> &[KeyChange] {
        &self.diff.keys
    }
}

/// A generation that can be brought back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeptGeneration {
    /// Its number.
    pub id: u64,
    /// So many phones' files it changed.
    pub phones: usize,
}
