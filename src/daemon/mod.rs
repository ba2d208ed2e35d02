//! Everything that touches the world: sockets, files, clocks, tasks.

pub mod disk;
pub mod event;
