//! A network: an address and how many of its leading bits count.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `192.0.2.0/24`; a bare address is a network of one. IPv4 addresses that are written as IPv6
/// (`::ffff:…`) are IPv4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CidrError {
    /// Not `ADDRESS/BITS` and no address.
    #[error("a network is written as 192.0.2.0/24 or 2001:db8::/64")]
    Form,
    /// Bits behind the prefix are set.
    #[error("the address has bits behind its prefix: the network would be {0}")]
    Host(Cidr),
}

impl Cidr {
    /// The networks of this host alone.
    pub fn loopback() -> [Self; 2] {
        let (v4, v6) = (Ipv4Addr::new(127, 0, 0, 0).into(), Ipv6Addr::LOCALHOST.into());
        [Self { address: v4, length: 8 }, Self { address: v6, length: 128 }]
    }

    /// Whether an address lies in it.
    pub fn contains(self, address: IpAddr) -> bool {
        let same = matches!(
            (self.address, address.to_canonical()),
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_))
        );
        same && masked(address.to_canonical(), self.length) == self.address
    }
}

/// The address with all bits behind the first `length` cleared.
fn masked(address: IpAddr, length: u8) -> IpAddr {
    let length = u32::from(length);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(length)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().map_err(|_| CidrError::Form)?;
        let address = address.to_canonical();
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let digits = |l: &&str| l.len() <= 3 && l.bytes().all(|b| b.is_ascii_digit());
        let length = match length {
            None => whole,
            Some(length) => {
                Some(length).filter(digits).and_then(|l| l.parse().ok()).ok_or(CidrError::Form)?
            }
        };
        if length > whole {
            return Err(CidrError::Form);
        }
        let net = Self { address: masked(address, length), length };
        if net.address == address { Ok(net) } else { Err(CidrError::Host(net)) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(net: Cidr) -> String {
        net.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_begin_alike() {
        let check = |net: &str, address: &str, expected| {
            let net: Cidr = net.parse().unwrap();
            assert_eq!(net.contains(address.parse().unwrap()), expected, "{net} {address}");
        };
        check("127.0.0.0/8", "127.9.8.7", true);
        check("127.0.0.0/8", "128.0.0.1", false);
        check("127.0.0.0/8", "::ffff:127.0.0.1", true);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.6", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:9::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        check("::/0", "2001:db8::1", true);
        check("::/0", "192.0.2.1", false);
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_was_probably_meant() {
        let host = |net: &str| Err(CidrError::Host(net.parse().unwrap()));
        assert_eq!("10.1.2.3/8".parse::<Cidr>(), host("10.0.0.0/8"));
        assert_eq!("2001:db8::1/64".parse::<Cidr>(), host("2001:db8::/64"));
        for text in ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "a/8"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Form), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "0.0.0.0/0"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
    }
}
