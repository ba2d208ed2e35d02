//! Everything that touches the world: sockets, files, clocks, tasks. [`run`] is the order in which
//! they start and stop; [`core`] is the one task that owns what changes.

pub mod ami;
pub mod answer;
pub mod catalog;
pub mod control;
pub mod core;
pub mod decide;
pub mod disk;
pub mod event;
pub mod export;
pub mod journal;
pub mod net;
pub mod rewrite;
mod run;
pub mod serve;
pub mod sitekey;
pub mod source;
pub mod store;
pub mod systemd;
pub mod tftp;
pub mod watch;

pub use run::main;
