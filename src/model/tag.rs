//! The comment that ties a peer to a phone: `;MAC=00:18:b9:ff:ff:ff model=7960 line=2`.

use crate::base::{Mac, Span, Spanned};

/// A valid tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The phone.
    pub mac: Spanned<Mac>,
    /// `model=`.
    pub model: Option<Spanned<String>>,
    /// `line=`, 1–99.
    pub line: Option<Spanned<u8>>,
    /// `label=`: the text beside the line key.
    pub label: Option<Spanned<String>>,
    /// `profile=`: the section of handset.conf whose raw keys apply.
    pub profile: Option<Spanned<String>>,
}

impl Tag {
    /// Where the MAC stands.
    pub fn span(&self) -> Span {
        self.mac.span
    }
}
