//! Everything that touches the world: sockets, files, clocks, tasks.

pub mod event;
pub mod export;
pub mod journal;
pub mod sitekey;
pub mod stable;
pub mod systemd;
pub mod watch;
