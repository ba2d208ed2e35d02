//! TFTP (RFC 1350) with options (RFC 2347, 2348, 2349, 7440): packets and the sending side of a
//! transfer, without sockets and without a clock.

pub mod netascii;
pub mod options;
pub mod packet;
pub mod transfer;

pub use options::{Bounds, Terms, asked_block, asked_window, settle};
pub use packet::{Datagram, Fault, Mode, Options, Packet, Request, parse, printable};
pub use transfer::{End, Pace, Transfer};
