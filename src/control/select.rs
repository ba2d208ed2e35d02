//! Which phones a status is asked of: at 20,000 phones nobody wants them all.

use serde::{Deserialize, Serialize};

use super::State;

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
