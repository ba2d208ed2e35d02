//! Everything that touches the world: sockets, files, clocks, tasks.

pub mod event;
pub mod export;
pub mod journal;
pub mod watch;
