//! Thousands of simulated phones in one process against a real Asterisk and the built `handsetd`.
//!
//! The phones are those of `tests/simphone`; they are also the judges: what a phone fetched, whether it
//! restarted and why is told by the phone, not by the daemon. This crate shares no code with handset:
//! it speaks to the daemon as the command line does, and reads the answers as plain JSON.
//!
//! Reading order: [`conf`] (a sip.conf that can be edited), [`site`] (Asterisk, daemon), [`fleet`] (the
//! phones, with [`fault`]s by seed), [`ledger`] (what a phone did), [`edit`] (random edits), [`judge`]
//! (what must be true at the end), [`series`] (the long runs).

pub mod clock;
pub mod conf;
pub mod disk;
pub mod edit;
pub mod fault;
pub mod fleet;
pub mod judge;
pub mod ledger;
pub mod process;
pub mod proxy;
pub mod random;
pub mod series;
pub mod site;
