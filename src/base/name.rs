//! The name of a served file: a key, and never a way out of the served tree.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Relative, printable ASCII, at most 128 bytes, no empty part and no part `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(Arc<str>);

/// Why a text names no servable file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a servable file name")]
pub struct NameError;

impl FileName {
    /// Takes a canonical name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let parts_fit = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let bytes_fit = text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'\\');
        if text.len() <= 128 && parts_fit && bytes_fit {
            Ok(Self(text.into()))
        } else {
            Err(NameError)
        }
    }

    /// Takes a name as phones ask for it: leading `/` and `./` are dropped (phones.md §2.3, §3.1:
    /// `tftp_cfg_dir` and an empty locale put them there).
    pub fn requested(bytes: &[u8]) -> Result<Self, NameError> {
        let mut text = std::str::from_utf8(bytes).map_err(|_| NameError)?;
        while let Some(rest) = text.strip_prefix('/').or_else(|| text.strip_prefix("./")) {
            text = rest;
        }
        Self::new(text)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

impl std::borrow::Borrow<str> for FileName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FileName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> String {
        name.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_what_phones_put_in_front() {
        for text in ["SIP.cnf", "/SIP.cnf", "./SIP.cnf", "//./SIP.cnf"] {
            assert_eq!(FileName::requested(text.as_bytes()).unwrap().as_str(), "SIP.cnf");
        }
    }

    #[test]
    fn refuses_every_way_out() {
        let long = "a".repeat(129);
        for text in [
            "", "/", "..", "../x", "a/../b", "a//b", "a/", "a\0b", "a\\b", "ä", ".", "a/./b", &long,
        ] {
            assert!(FileName::requested(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
