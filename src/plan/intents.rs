//! Durable decisions of the operator and of roll-outs: inputs of the plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::generation::PhonePart;
use crate::base::{Digest, Mac, Time};

/// All wishes that stand.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Intents {
    /// The fingerprint of the sources whose removals are meant.
    pub accepted: Option<String>,
    /// Phones that shall be told, and since when.
    pub pushes: BTreeMap<Mac, Time>,
    /// Parts that phones shall not be given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<Mac, Hold>,
}

/// One part that a phone shall not be given; any other that the sources make passes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hold {
    /// What tells the part ([`PhonePart::token`]).
    pub token: Digest,
    /// Since when.
    pub at: Time,
    /// Why.
    pub why: HoldWhy,
}

/// Why a phone is kept from a part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldWhy {
    /// It fetched it and did not come back, with what was seen.
    Lost(String),
    /// Roll-out number so and so ended before it came to it.
    Ended(u64),
    /// The operator took it back.
    Operator,
}

impl Intents {
    /// The clock was set back: nothing lies in the future.
    pub fn set_back(&mut self, now: Time) {
        let holds = self.held.values_mut().map(|hold| &mut hold.at);
        self.pushes.values_mut().chain(holds).for_each(|at| at.set_back(now));
    }

    /// Why a phone is kept from `part`, if it is.
    pub fn holds(&self, part: &PhonePart) -> Option<&Hold> {
        self.held.get(&part.mac).filter(|hold| Some(hold.token) == part.token())
    }
}
