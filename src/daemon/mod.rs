//! Everything that touches the world: sockets, files, clocks, tasks.

pub mod event;
pub mod net;
pub mod serve;
pub mod tftp;
