//! Durable decisions of the operator: inputs of the plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::{Mac, Time};

/// All wishes that stand.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Intents {
    /// The fingerprint of the sources whose removals are meant.
    pub accepted: Option<String>,
    /// Phones that shall be told, and since when.
    pub pushes: BTreeMap<Mac, Time>,
}
