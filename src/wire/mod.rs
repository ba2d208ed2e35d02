//! Packets and state machines of the protocols, without I/O.

pub mod tftp;
pub mod ami;
