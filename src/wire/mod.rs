//! Packets and state machines of the protocols, without I/O.

pub mod agi;
pub mod ami;
pub mod dhcp;
pub mod http;
pub mod sip;
pub mod tftp;
