//! Values that must not be seen, the site key, and the keyed digests made with it.

use std::fmt;

use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::hex;

/// A text that prints as `***`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for artifacts and logins, never for logs or messages.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Secret {
    /// Whether a guess is right, in a time that tells no more than the length.
    pub fn is(&self, guess: &[u8]) -> bool {
        let right = self.0.as_bytes();
        let differs = right.iter().zip(guess).fold(0, |differs, (a, b)| differs | (a ^ b));
        right.len() == guess.len() && differs == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The site key: made once, kept in a 0600 file beside handset.conf, an input of every generation.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// Wraps 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// HMAC-SHA256 over the parts, each preceded by its length so that no two lists collide,
    /// cut to 128 bits. `purpose` keeps digests for different uses apart.
    pub fn digest<'a>(
        &self,
        purpose: &'a str,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Digest {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        for part in std::iter::once(purpose.as_bytes()).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let full = mac.finalize().into_bytes();
        let mut cut = [0; 16];
        cut.copy_from_slice(&full[..16]);
        Digest(cut)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// A keyed digest, shown as 32 hexadecimal digits. It tells whether two things are the same and
/// nothing about what they are (an unkeyed digest would be a password oracle).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 16]);

impl Digest {
    /// The bytes.
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// One digest that changes when either does.
    #[must_use]
    pub fn mix(self, other: Digest) -> Digest {
        let mut mixed = self.0;
        mixed.iter_mut().zip(other.0).for_each(|(a, b)| *a ^= b);
        Digest(mixed)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        hex::decode(&text).map(Self).ok_or_else(|| "a digest is 32 hex digits".into())
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = Key::new([7; 32]);
        let one = key.digest("t", [b"ab".as_slice(), b"c"]);
        assert_ne!(one, key.digest("t", [b"a".as_slice(), b"bc"]));
        assert_ne!(one, key.digest("u", [b"ab".as_slice(), b"c"]));
        assert_eq!(one, key.digest("t", [b"ab".as_slice(), b"c"]));
        assert_eq!(Digest::try_from(one.to_string()), Ok(one));
    }

    #[test]
    fn a_guess_is_right_only_as_a_whole() {
        for (guess, right) in [("geheim", true), ("geheiM", false), ("gehei", false), ("", false)] {
            assert_eq!(Secret::new("geheim").is(guess.as_bytes()), right, "{guess}");
        }
    }

    #[test]
    fn secrets_print_as_stars() {
        assert_eq!(format!("{:?} {:?}", Secret::new("geheim"), Key::new([1; 32])), "*** Key(***)");
    }
}
