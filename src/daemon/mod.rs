//! Everything that touches the world: sockets, files, clocks, tasks. [`run`] is the order in which
//! they start and stop; [`core`] is the one task that owns what changes.

pub mod access;
pub mod agi;
pub mod ami;
pub mod answer;
pub mod askers;
pub mod asterisk;
pub mod catalog;
mod climb;
pub mod control;
pub mod core;
pub mod decide;
pub mod dhcp;
pub mod disk;
pub mod event;
pub mod export;
mod firmware;
pub mod http;
pub mod journal;
pub mod look;
mod looker;
pub mod metrics;
pub mod neighbours;
pub mod net;
mod news;
pub mod notify;
mod opening;
mod operator;
mod page;
mod push;
mod reload;
pub mod rewrite;
mod rollout;
mod root;
mod run;
mod saving;
pub mod serve;
pub mod sitekey;
pub mod source;
pub mod stable;
pub mod store;
pub mod strange;
pub mod systemd;
pub mod tftp;
mod trace;
mod trim;
mod unknown;
mod waiter;
pub mod watch;

pub use run::main;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::Time;

/// Now, for the layers that own no clock.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
