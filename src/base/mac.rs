//! A MAC address that can belong to a phone.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::hex;

/// Six bytes that name one phone: never all zero, never a group address.
///
/// Displayed in lower case with colons; [`Mac::upper`] and [`Mac::lower`] give the bare forms that
/// the families' file names use.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac([u8; 6]);

// As one number: every request of every phone looks for its MAC in a dozen maps.
impl Ord for Mac {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for Mac {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Mac {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.number());
    }
}

/// Why a text is no MAC address of a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MacError {
    /// Not twelve hexadecimal digits in one of the usual groupings.
    #[error(
        "a MAC is 12 hex digits: bare, in pairs joined by ':' or '-', or in fours joined by '.'"
    )]
    Form,
    /// All bits zero.
    #[error("the MAC 00:00:00:00:00:00 belongs to no phone")]
    Zero,
    /// The lowest bit of the first octet is set: broadcast or multicast.
    #[error("this is a group (multicast or broadcast) address, not a phone's own")]
    Group,
}

impl Mac {
    /// The first in the order of addresses.
    pub const LEAST: Self = Self([0, 0, 0, 0, 0, 1]);

    /// Checks that `bytes` can be a phone's own address.
    pub fn new(bytes: [u8; 6]) -> Result<Self, MacError> {
        if bytes == [0; 6] {
            return Err(MacError::Zero);
        }
        if bytes[0] & 1 == 1 {
            return Err(MacError::Group);
        }
        Ok(Self(bytes))
    }

    /// The six bytes.
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }

    fn number(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// Its twelve digits in lower case.
    pub fn digits(self) -> [u8; 12] {
        let mut digits = [0; 12];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = hex::letter(byte >> 4);
            pair[1] = hex::letter(byte);
        }
        digits
    }

    /// Twelve upper-case digits without separators, as in `SIP0018B9FFFFFF.cnf`.
    pub fn upper(self) -> String {
        self.lower().to_ascii_uppercase()
    }

    /// Twelve lower-case digits without separators.
    pub fn lower(self) -> String {
        hex::encode(&self.0)
    }

    /// The address inside the name of a file: the last twelve of a run of hexadecimal digits
    /// (`SEP0018B9…`, `MGC0018B9…`, whose C is a digit too).
    pub fn within(name: &[u8]) -> Option<Self> {
        Self::found(name).map(|(_, mac)| mac)
    }

    /// As [`Mac::within`], with the place of the first of the twelve digits.
    pub fn found(name: &[u8]) -> Option<(usize, Self)> {
        // Every request of a boot comes by here several times: one look at each byte.
        let (mut run, mut value) = (0_usize, 0_u64);
        for at in 0..=name.len() {
            if let Some(digit) = name.get(at).copied().and_then(hex::digit) {
                (run, value) = (run + 1, value << 4 | u64::from(digit));
                continue;
            }
            if run >= 12 {
                let [_, _, bytes @ ..] = value.to_be_bytes();
                if let Ok(mac) = Self::new(bytes) {
                    return Some((at - 12, mac));
                }
            }
            run = 0;
        }
        None
    }

    /// Whether the address was made up by somebody instead of assigned to a maker.
    pub fn locally_administered(self) -> bool {
        self.0[0] & 2 == 2
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let group = match text.bytes().find(|b| !b.is_ascii_hexdigit()) {
            None => 12,
            Some(b':' | b'-') => 2,
            Some(b'.') => 4,
            Some(_) => return Err(MacError::Form),
        };
        let separator = text.chars().find(|c| !c.is_ascii_hexdigit()).unwrap_or(':');
        let mut digits = String::with_capacity(12);
        for part in text.split(separator) {
            if part.len() != group || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(MacError::Form);
            }
            digits.push_str(part);
        }
        Self::new(hex::decode(&digits).ok_or(MacError::Form)?)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b':'; 17];
        for (pair, byte) in text.chunks_mut(3).zip(self.0) {
            pair[0] = hex::letter(byte >> 4);
            pair[1] = hex::letter(byte);
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for Mac {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_usual_spelling() {
        for text in ["00:18:b9:ff:ff:fe", "00-18-B9-FF-FF-FE", "0018.b9ff.fffe", "0018B9FFFFFE"] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), "00:18:b9:ff:ff:fe", "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_phone() {
        let form = [
            "",
            "00:18:b9:ff:ff",
            "00:18-b9:ff:ff:fe",
            "0:18:b9:ff:ff:fe",
            "0018b9fffffg",
            "00:18:b9:ff:ff:fe:",
            "é018b9ffffff",
        ];
        for text in form {
            assert_eq!(text.parse::<Mac>(), Err(MacError::Form), "{text}");
        }
        assert_eq!("00:00:00:00:00:00".parse::<Mac>(), Err(MacError::Zero));
        assert_eq!("01:00:5e:00:00:01".parse::<Mac>(), Err(MacError::Group));
    }

    #[test]
    fn is_found_in_every_name_of_a_boot() {
        let names = [
            "SIP0018B9FFFFFE.cnf",
            "./SIP0018B9FFFFFE.cnf",
            "MGC0018B9FFFFFE.cnf",
            "CTLSEP0018B9FFFFFE.tlv",
            "0018b9fffffe-phone.cfg",
        ];
        for name in names {
            let (at, found) = Mac::found(name.as_bytes()).unwrap();
            assert_eq!(found.to_string(), "00:18:b9:ff:ff:fe", "{name}");
            assert_eq!(name[at..at + 12].to_lowercase(), found.lower(), "{name}");
        }
        for name in
            ["SIPDefault.cnf", "OS79XX.TXT", "000000000000.cfg", "FFFFFFFFFFFF.cfg", "\u{e9}", ""]
        {
            assert_eq!(Mac::within(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn prints_bare_forms() {
        let mac: Mac = "00:18:b9:ab:cd:ef".parse().unwrap();
        assert_eq!((mac.upper().as_str(), mac.lower().as_str()), ("0018B9ABCDEF", "0018b9abcdef"));
    }
}
