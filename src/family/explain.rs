//! Where each value of a phone's own file comes from.

use crate::base::{Diagnostic, Span};
use crate::model::phone::Phone;

use super::render::{Context, Pair, Whence};
use super::values;

/// One key of a phone's own file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// The value must not be shown.
    pub secret: bool,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was written here.
    Written(Span),
    /// It was worked out from what is written here.
    From(Span),
    /// The phone has no counterpart of what is written here; this comes nearest.
    Nearest(Span),
    /// It was worked out, and no file says from what: in words.
    Made(&'static str),
    /// The family's table.
    Default,
    /// The family's table, for a line without an account.
    Unused,
}

impl Context<'_> {
    /// Every key of the phone's own file, in the order of the file, also of a phone that is held back.
    /// Where firmware is asked for and may be named, the file that names it is meant. Fails for a model
    /// that the family does not have.
    pub fn explain(&self, phone: &Phone) -> Result<Vec<Explained>, Diagnostic> {
        let model = self.model(phone)?;
        let mut said = Vec::new();
        let (raw, firmware) = self.raw(phone, &mut said);
        let pairs = self.pairs(phone, model, raw, firmware.as_ref(), &mut said);
        let token = self.phone(phone).ok().and_then(|(v, _)| Some(v.last()?.token.to_string()));
        let explained = |pair: Pair<'_>| Explained {
            secret: self.family.is_secret(pair.name),
            key: pair.name.to_owned(),
            // A phone that is held back has no token.
            value: if pair.value == self.marker {
                token.clone().unwrap_or_default()
            } else {
                pair.value
            },
            origin: origin(pair.whence),
        };
        Ok(pairs.into_iter().map(explained).collect())
    }
}

fn origin(whence: Whence<'_>) -> Origin {
    match whence {
        Whence::Raw(span) => Origin::Written(span),
        Whence::Default => Origin::Default,
        Whence::Unused => Origin::Unused,
        Whence::Setting(origin, fallback) => match origin.span.filter(|_| origin.exact) {
            Some(span) if fallback => Origin::Nearest(span),
            Some(span) if origin.written => Origin::Written(span),
            Some(span) => Origin::From(span),
            None => Origin::Made(made(origin)),
        },
    }
}

/// What stands behind a value that no line of a file brought.
fn made(origin: values::Origin<'_>) -> &'static str {
    match origin.thing {
        "sync token" => "from all of this file",
        "phone password" => "from the site key",
        "server address" => "this host's address",
        "timezone" => "this host's time zone",
        _ => "Asterisk's default",
    }
}
