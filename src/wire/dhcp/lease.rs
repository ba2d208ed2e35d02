//! One lease, as it is kept and stored.

use std::net::Ipv4Addr;

use thiserror::Error;

use crate::base::{Mac, Time};

/// What an address is to the client that it was last given to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// Offered, or held while somebody looks whether it is free. Never stored.
    Offered,
    /// Given (DHCPACK).
    Bound,
    /// Given back; the client gets it again if it comes before the address is needed.
    Released,
    /// Found in use by another machine (DHCPDECLINE, or our own look): nobody gets it for a time.
    Declined,
}

/// An address and the client that has or had it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The client. Its hardware address, not option 61, says who it is.
    pub mac: Mac,
    /// What it is.
    pub state: State,
    /// Since when.
    pub since: Time,
    /// Until when nobody else gets it.
    pub until: Time,
    /// Option 61 as the client sent it last, at most 255 bytes; for people only.
    pub id: Vec<u8>,
    /// Option 12 as the client sent it last, cleaned, at most 64 bytes; for people only.
    pub host: String,
}

/// One step to make durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Store this row, in place of the one of the same address.
    Put(Lease),
    /// Forget the row of this address.
    Remove(Ipv4Addr),
}

/// Why stored bytes are no lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a stored lease")]
pub struct RowFault;

impl Lease {
    /// Its stored form, whose first byte is a version.
    pub fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Reads a stored form back.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RowFault> {
        let _ = bytes;
        Err(RowFault)
    }

    /// Whether nobody else may have the address now.
    pub fn holds(&self, now: Time) -> bool {
        now < self.until
    }
}
