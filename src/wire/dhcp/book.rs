//! The lease book: who has which address.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::lease::Lease;

/// How many rows the book keeps at most.
pub const MAX_LEASES: usize = 200_000;

/// Who has which address, and which is next.
#[derive(Clone, Debug, Default)]
pub struct Book {
    rows: BTreeMap<Ipv4Addr, Lease>,
}

impl Book {
    /// All rows, by address.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.rows.values()
    }

    /// The row of an address.
    pub fn get(&self, address: Ipv4Addr) -> Option<&Lease> {
        self.rows.get(&address)
    }
}
