//! What a phone without a tag may be given for its own file (`unknown_file`): no account and no firmware,
//! only a text for its display.

use bytes::Bytes;

use super::manifest::MANIFEST;
use super::template::Body;
use crate::base::{Digest, Key, Mac};

/// The greatest size, bytes.
const MAX: usize = 4096;
/// Where the phone's MAC stands.
const MAC: &str = "{MAC}";

/// A file for phones that nobody knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unassigned {
    /// Its name, with `{MAC}`.
    pattern: String,
    /// Its text, with `{MAC}`.
    text: String,
}

impl Unassigned {
    /// From a manifest and the file that it names; else what is wrong.
    pub(super) fn read(pattern: &str, body: Option<&Body>) -> Result<Self, String> {
        let body = body.ok_or("`text` of [unassigned] names a file that is missing")?;
        let text = std::str::from_utf8(&body.bytes).unwrap_or_default();
        let fits = text.is_ascii() && text.contains(MAC) && text.len() <= MAX;
        if !fits || pattern.matches(MAC).count() != 1 {
            return Err(format!(
                "[unassigned] needs a `file` with {MAC} in its name, and a `text` of ASCII that \
                 says {MAC}, of at most {MAX} bytes"
            ));
        }
        Ok(Self { pattern: pattern.to_owned(), text: text.to_owned() })
    }

    /// Whether a name asked for is that of this file for a phone.
    pub fn is(&self, name: &str, mac: Mac) -> bool {
        self.pattern.replace(MAC, &mac.upper()) == name
    }

    /// The file of a phone.
    pub fn bytes(&self, mac: Mac) -> Bytes {
        self.text.replace(MAC, &mac.upper()).into()
    }

    /// Tells its texts apart.
    pub fn digest(&self) -> Digest {
        Key::new([0; 32]).digest(MANIFEST.id, [self.text.as_bytes()])
    }
}
