//! DHCP (RFC 2131) for desk phones: packets, the lease book, and the server's decisions, without sockets
//! and without a clock.
//!
//! The way of a datagram: [`parse`] → [`Server::receive`] → [`Reaction`]. Who carries a reaction out makes
//! its changes durable first, then sends, then tells: an address that a client was given and that we forgot
//! would be given twice.

mod book;
mod encode;
mod lease;
mod net;
pub mod option;
mod packet;
mod reaction;
mod route;
mod server;
mod site;

pub use book::{BACK, Book, GAP, KEPT, MAX_DECLINED, MAX_LEASES};
pub use encode::{MIN_LENGTH, Room, encode};
pub use lease::{Change, Lease, RowFault, State};
pub use net::{Net, Range};
pub use option::{Options, Setting};
pub use packet::{Fault, Flaw, Kind, MAX_DATAGRAM, Message, parse};
pub use reaction::{Alert, Arrival, Fact, Found, Home, Outgoing, Probe, Reaction, Reason, Said};
pub use route::{CLIENT_PORT, Destination, SERVER_PORT};
pub use server::{MAX_LOOKS, MAX_PROBES, OFFER, PATIENCE, Server};
pub use site::{Boot, Client, Clients, Mode, Scope, Site};
