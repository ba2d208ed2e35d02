//! IPv4 networks and ranges of addresses.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 network, as `192.0.2.0/24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Net {
    first: u32,
    bits: u8,
}

impl Net {
    /// The network of `bits` leading bits that `address` lies in; more than 32 are 32.
    pub fn around(address: Ipv4Addr, bits: u8) -> Self {
        let bits = bits.min(32);
        Self { first: address.to_bits() & mask(bits), bits }
    }

    /// Its lowest address, the name of the network.
    pub fn address(self) -> Ipv4Addr {
        self.first.into()
    }

    /// How many leading bits its addresses share.
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// The subnet mask (option 1).
    pub fn mask(self) -> Ipv4Addr {
        mask(self.bits).into()
    }

    /// Its highest address (option 28).
    pub fn broadcast(self) -> Ipv4Addr {
        (self.first | !mask(self.bits)).into()
    }

    /// Whether an address lies in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.bits) == self.first
    }

    /// Whether a host may have the address: inside, and neither the network's name nor its broadcast
    /// address, which networks of 31 and 32 bits do without (RFC 3021).
    pub fn hosts(self, address: Ipv4Addr) -> bool {
        let edge = address == self.address() || address == self.broadcast();
        self.contains(address) && (self.bits >= 31 || !edge)
    }
}

fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

impl FromStr for Net {
    type Err = ();

    /// Reads `ADDRESS/BITS`; the address may be any of the network.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = text.split_once('/').ok_or(())?;
        let bits = bits.parse::<u8>().ok().filter(|bits| *bits <= 32).ok_or(())?;
        Ok(Self::around(address.parse().map_err(|_| ())?, bits))
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.bits)
    }
}

/// Addresses from the first to the last, both included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Range {
    /// The lowest.
    pub first: Ipv4Addr,
    /// The highest; nothing is in a range whose last lies before its first.
    pub last: Ipv4Addr,
}

impl Range {
    /// Whether an address lies in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        self.first <= address && address <= self.last
    }
}
