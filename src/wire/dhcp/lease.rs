//! One lease, as it is kept and stored.

use std::net::Ipv4Addr;

use thiserror::Error;

use crate::base::{Mac, Time};

/// What an address is to the client that it was last given to. An offer is no lease, and is never stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
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
    /// Its stored form: version 1, state, address, client, since and until (milliseconds since 1970), then
    /// option 61 and the host name, each after its length. Numbers have their high byte first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION, self.state.number()];
        out.extend_from_slice(&self.address.octets());
        out.extend_from_slice(&self.mac.bytes());
        out.extend_from_slice(&self.since.0.to_be_bytes());
        out.extend_from_slice(&self.until.0.to_be_bytes());
        for text in [self.id.as_slice(), self.host.as_bytes()] {
            let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
            out.push(length);
            out.extend_from_slice(&text[..usize::from(length)]);
        }
        out
    }

    /// Reads a stored form back.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RowFault> {
        Self::read(bytes).ok_or(RowFault)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<2>()?;
        let (address, rest) = rest.split_first_chunk::<4>()?;
        let (mac, rest) = rest.split_first_chunk::<6>()?;
        let (since, rest) = rest.split_first_chunk::<8>()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (id, rest) = text(rest)?;
        let (host, rest) = text(rest)?;
        Some(Self {
            address: Ipv4Addr::from(*address),
            mac: Mac::new(*mac).ok()?,
            state: State::of(head[1])?,
            since: Time(u64::from_be_bytes(*since)),
            until: Time(u64::from_be_bytes(*until)),
            id: id.to_vec(),
            host: String::from_utf8(host.to_vec()).ok()?,
        })
        .filter(|_| head[0] == VERSION && rest.is_empty())
    }

    /// Whether nobody else may have the address now.
    pub fn holds(&self, now: Time) -> bool {
        now < self.until
    }
}

const VERSION: u8 = 1;

impl State {
    fn number(self) -> u8 {
        match self {
            State::Bound => 1,
            State::Released => 2,
            State::Declined => 3,
        }
    }

    fn of(number: u8) -> Option<Self> {
        [State::Bound, State::Released, State::Declined]
            .into_iter()
            .find(|state| state.number() == number)
    }
}

/// What follows its own length, and the rest.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> Lease {
        Lease {
            address: [192, 0, 2, 9].into(),
            mac: Mac::new([0, 0x18, 0xb9, 1, 2, 3]).unwrap(),
            state: State::Bound,
            since: Time(1_700_000_000_000),
            until: Time(1_700_000_086_400),
            id: vec![1, 0, 0x18, 0xb9, 1, 2, 3],
            host: "SEP0018B9010203".to_owned(),
        }
    }

    #[test]
    fn what_is_stored_is_read_again() {
        for state in [State::Bound, State::Released, State::Declined] {
            let lease = Lease { state, ..lease() };
            assert_eq!(Lease::from_bytes(&lease.to_bytes()), Ok(lease));
        }
    }

    #[test]
    fn the_stored_form_stays() {
        let bytes: String = lease().to_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            bytes,
            "0101c00002090018b90102030000018bcfe568000000018bcfe6b9800701\
             0018b90102030f534550303031384239303130323033"
        );
    }

    #[test]
    fn damaged_rows_are_refused() {
        let whole = lease().to_bytes();
        for length in 0..whole.len() {
            assert_eq!(Lease::from_bytes(&whole[..length]), Err(RowFault), "{length}");
        }
        assert_eq!(Lease::from_bytes(&[whole.as_slice(), b"x"].concat()), Err(RowFault));
        for (at, byte) in [(0, 2), (1, 0), (1, 4), (6, 1), (38, 0xff)] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            assert_eq!(Lease::from_bytes(&bytes), Err(RowFault), "{at}");
        }
    }
}
