//! Everything that touches the world: sockets, files, clocks, tasks.

pub mod ami;
pub mod event;
