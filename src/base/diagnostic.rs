//! What is wrong, where, and what to do about it.

use serde::{Deserialize, Serialize};

use super::span::Span;

/// A kind of message. Every module keeps its codes as statics beside the code that raises them;
/// [`crate::CODES`] lists all.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `H` and four digits: 01xx language, 02xx tags, 03xx handset.conf, 04xx peers and phones,
    /// 05xx families and files, 06xx generations and the guard, 07xx the phone book and HTTP, 09xx the doctor.
    pub id: &'static str,
    /// The kind in a few words.
    pub title: &'static str,
    /// What it means and what to do, for people who look the code up.
    pub explain: &'static str,
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Works, perhaps not as meant.
    Warning,
    /// Something is held back because of it.
    Error,
}

/// One message about one place, with other places that matter to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its kind.
    pub code: &'static Code,
    /// How bad it is.
    pub level: Level,
    /// What is wrong, in lower case, without a full stop, never with a secret in it.
    pub message: String,
    /// Where; none only when it concerns the site as a whole.
    pub span: Option<Span>,
    /// Other places, with what they have to do with it.
    pub related: Vec<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A message of a kind at a level.
    pub fn new(level: Level, code: &'static Code, message: impl Into<String>) -> Self {
        Self { code, level, message: message.into(), span: None, related: Vec::new(), help: None }
    }

    /// An [`Level::Error`].
    pub fn error(code: &'static Code, message: impl Into<String>) -> Self {
        Self::new(Level::Error, code, message)
    }

    /// A [`Level::Warning`].
    pub fn warning(code: &'static Code, message: impl Into<String>) -> Self {
        Self::new(Level::Warning, code, message)
    }

    /// A [`Level::Note`].
    pub fn note(code: &'static Code, message: impl Into<String>) -> Self {
        Self::new(Level::Note, code, message)
    }

    /// Points at the place.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Points at one more place.
    #[must_use]
    pub fn see(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push((span, text.into()));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}
