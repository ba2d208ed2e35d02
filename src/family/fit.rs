//! Whether a computed value fits the key that takes it, and what is said when it does not.

use crate::base::{Code, Diagnostic};

use super::key::{Misfit, Source};
use super::values::{Computed, Words};

/// A value of sip.conf that the phone would refuse.
pub(super) static LIMIT: Code = Code {
    id: "H0504",
    title: "beyond the phone's limits",
    explain: "The phone refuses a value that is longer than its buffer, and keeps the old one \
              (phones.md §2.9). The phone's last good files stay until the setting is shorter.",
};

/// A character that the phone's files cannot carry.
pub(super) static CHARACTER: Code = Code {
    id: "H0505",
    title: "character beyond the phone",
    explain: "The phone's files are ISO 8859-1 without control characters, `\"` and `;`. The \
              phone's last good files stay until the setting is changed.",
};

/// A setting that the phones have no counterpart for.
pub(super) static COUNTERPART: Code = Code {
    id: "H0517",
    title: "no counterpart on the phone",
    explain: "The phone cannot do what the setting of the peer asks for; it gets what comes \
              nearest.",
};

/// What was said about a phone's values, with the key or the computed value that it was about.
pub(super) type Said = Vec<(String, Diagnostic)>;

/// The family's word for a computed value, and whether it has one of its own.
pub(super) fn spelt<'b>(source: &'b Source, computed: &'b Computed<'_>) -> (Option<&'b str>, bool) {
    let found = match &computed.words {
        Words::One(word) => source.spelt(word),
        Words::First(words) => words.iter().find_map(|word| source.spelt(word)),
    };
    match found {
        Some(word) => (Some(word), true),
        None => (source.spelt("other"), false),
    }
}

pub(super) fn no_counterpart(source: &Source, computed: &Computed<'_>, said: &mut Said) {
    if said.iter().any(|(about, _)| *about == source.name) {
        return;
    }
    let origin = &computed.origin;
    let asked = match &computed.words {
        Words::One(word) => format!("`{word}`"),
        Words::First([]) => "nothing".to_owned(),
        Words::First(words) => format!("`{}`", words.join(", ")),
    };
    let known = source.map.iter().map(|(from, _)| from.as_str()).filter(|w| *w != "other");
    let known: Vec<&str> = known.collect();
    let what = format!("{origin} is {asked}; the phone has only {}", known.join(", "));
    let diagnostic = Diagnostic::warning(&COUNTERPART, what);
    let diagnostic = match origin.span {
        Some(span) => diagnostic.at(span),
        None => diagnostic,
    };
    said.push((source.name.clone(), diagnostic));
}

/// The setting that brought a value is named and pointed at, the value of a secret never shown.
pub(super) fn refused(computed: &Computed<'_>, misfit: &Misfit, secret: bool) -> Diagnostic {
    let origin = &computed.origin;
    let (code, what, help) = match misfit {
        Misfit::Long(found, max) => (
            &LIMIT,
            format!("{origin} has {found} characters; the phone takes at most {max}"),
            Some("shorten it: the phone refuses a longer one and keeps what it had"),
        ),
        Misfit::Char(_) if secret => {
            let what = format!("{origin} holds a character that the phone's file cannot carry");
            (&CHARACTER, what, Some("use letters, digits and signs other than `\"` and `;`"))
        }
        Misfit::Char(c) => {
            let what = format!("{origin} holds {c:?}, which the phone's file cannot carry");
            (
                &CHARACTER,
                what,
                Some("the file is ISO 8859-1 without `\"`, `;` and control characters"),
            )
        }
        Misfit::Form(wanted) => (&LIMIT, format!("{origin} does not fit: {wanted}"), None),
    };
    let mut diagnostic = Diagnostic::error(code, what);
    diagnostic.span = origin.span;
    diagnostic.help = help.map(str::to_owned);
    diagnostic
}
