//! Everything that touches the world: sockets, files, clocks, tasks.

pub mod catalog;
pub mod control;
pub mod disk;
pub mod event;
pub mod tftp;
