//! Bytes that are meant to be read: Asterisk's files have no declared charset.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// A name or value of a configuration file, byte for byte as Asterisk has it. Large sites have
/// hundreds of thousands: each is small, and a part of its file.
#[derive(Clone, Default)]
pub struct Text {
    whole: Option<Arc<Bytes>>,
    start: u32,
    end: u32,
}

impl Text {
    /// Wraps bytes; what is behind 4 GiB is lost.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let len = bytes.len();
        Self::part(&Arc::new(bytes), 0..len)
    }

    /// A part of a file that has less than 4 GiB.
    pub fn part(whole: &Arc<Bytes>, part: Range<usize>) -> Self {
        let narrow = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { whole: Some(whole.clone()), start: narrow(part.start), end: narrow(part.end) }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        let part = self.start as usize..self.end as usize;
        self.whole.as_ref().and_then(|whole| whole.get(part)).unwrap_or_default()
    }

    /// The characters: UTF-8 where the bytes are valid UTF-8, else Latin-1 (which never fails).
    pub fn chars(&self) -> Cow<'_, str> {
        let bytes = self.as_bytes();
        match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(bytes.iter().map(|b| char::from(*b)).collect()),
        }
    }

    /// Compares without ASCII case, as most consumers of Asterisk's files do.
    pub fn is(&self, word: &str) -> bool {
        self.as_bytes().eq_ignore_ascii_case(word.as_bytes())
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chars())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.chars())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self::new(Bytes::copy_from_slice(bytes))
    }
}
