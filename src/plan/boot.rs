//! A phone's boot, told from what it asked for: DHCP, files, REGISTER. [`track`] follows one phone,
//! [`tracker`] all of them, [`story`] tells it in words from [`fact`]s.

pub mod fact;
pub mod last;
pub mod record;
pub mod script;
pub mod story;
pub mod track;
pub mod tracker;

use std::net::Ipv4Addr;

use crate::base::{Mac, Time};

/// One message of a DHCP exchange that the daemon took part in, or saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// The client (`chaddr`).
    pub mac: Mac,
    /// When.
    pub at: Time,
    /// What was said.
    pub said: Said,
    /// The address it is about: asked for, offered or given.
    pub address: Option<Ipv4Addr>,
    /// The client's vendor class (option 60), cleaned for logs, where the message had one.
    pub class: Option<String>,
    /// The interface that it came in by, where that is known.
    pub interface: Option<String>,
}

/// What a DHCP message said (RFC 2131 §3), from either side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// The client looks for servers.
    Discover,
    /// The client asks for an address.
    Request,
    /// The client says that the address is in use by another machine.
    Decline,
    /// The client gives the address back.
    Release,
    /// The client has an address and wants options only.
    Inform,
    /// We offered an address.
    Offer,
    /// We gave it.
    Ack,
    /// We refused it, with the reason.
    Nak(String),
    /// We did not answer, with the reason.
    Silent(String),
    /// Another server offered or gave an address.
    Foreign {
        /// That server.
        server: Ipv4Addr,
        /// What is wrong with its options 66 and 150; none when nothing is.
        wrong: Option<String>,
    },
}

#[cfg(test)]
mod tests;
