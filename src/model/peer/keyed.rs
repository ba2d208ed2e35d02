//! Tags that are written as keys, which survive every tool that rewrites a file (asterisk-conf.md
//! §2.4): `macaddress=` and `setvar=PHONE_MAC=…` of chan_sip, `@mac=` of any object of pjsip.conf,
//! `MAC=` of a phoneprov object.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Refused;
use crate::base::{Code, Diagnostic, Mac, Span, Spanned};
use crate::conf::{Conf, Entry, Lineages, Section};
use crate::model::tag::{Tag, Tags};

/// All codes of this module.
pub static CODES: &[&Code] = &[&TWO_TAGS, &BAD_KEY, &INHERITED];

static TWO_TAGS: Code = Code {
    id: "H0442",
    title: "the tags of one account differ",
    explain: "An account can be tied to its phone by the comment `;MAC=`, and by keys: macaddress= or \
              setvar=PHONE_MAC= in sip.conf, @mac=, set_var=PHONE_MAC= or a phoneprov section in \
              pjsip.conf. All that are there must name the same phone and line; where they differ, \
              none is used.",
};

static BAD_KEY: Code = Code {
    id: "H0443",
    title: "a bad value of a key that ties an account to a phone",
    explain: "The MAC is written as in the comment `;MAC=` (00:18:b9:12:34:56, 00-18-b9-12-34-56, \
              0018.b912.3456 or 0018b9123456), the line is a number from 1 to 99.",
};

static INHERITED: Code = Code {
    id: "H0444",
    title: "a phone's MAC comes from a template",
    explain: "Keys are inherited from templates, so that one MAC would tie many accounts to one phone. \
              A MAC counts only in the account's own section.",
};

/// The variable that names the phone, for `setvar=` and `set_var=`.
const VARIABLE: &str = "PHONE_MAC";

/// Which keys tell what.
pub(super) struct Keys {
    mac: &'static str,
    model: &'static str,
    line: &'static str,
    label: &'static str,
    profile: &'static str,
    variable: &'static str,
}

const CHAN_SIP: Keys = Keys {
    mac: "macaddress",
    model: "",
    line: "linenumber",
    label: "label",
    profile: "profile",
    variable: "setvar",
};

/// An object of pjsip.conf.
pub(super) const PJSIP: Keys = Keys {
    mac: "@mac",
    model: "@model",
    line: "@line",
    label: "@label",
    profile: "@profile",
    variable: "set_var",
};

/// A phoneprov object.
pub(super) const PHONEPROV: Keys = Keys {
    mac: "MAC",
    model: "MODEL",
    line: "LINE",
    label: "LABEL",
    profile: "PROFILE",
    variable: "",
};

/// One key and its value.
pub(super) struct Pair<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    pub(super) span: Span,
    pub(super) inherited: bool,
}

/// The tag of each section of sip.conf or users.conf, from its comment and its keys.
#[derive(Clone, Debug, Default)]
pub struct Keyed {
    /// By the section's index; for [`super::from_sip`].
    pub tags: Tags,
    /// Phones of tags that contradict each other.
    pub refused: Vec<Refused>,
    /// What is wrong with the keys.
    pub diagnostics: Vec<Diagnostic>,
}

/// Adds what the keys of chan_sip's sections say to what their comments say (`tags`, from
/// [`crate::model::tag::attach`]). Templates and `[general]` have no tag.
pub fn keyed_tags(conf: &Conf, mut tags: Tags) -> Keyed {
    let mut notes = Notes::default();
    let mut refused_now = Vec::new();
    let mut shared = Lineages::default();
    tags.resize(conf.sections.len(), None);
    for (section, tag) in conf.sections.iter().zip(&mut tags) {
        // Nearly every section has no such key.
        let named = *shared.of(&section.entries, |mut entries| entries.any(names_phone))
            || section.entries.own().iter().any(names_phone);
        let key = if named && bears_tags(section) { of_section(section, &mut notes) } else { None };
        let Some(key) = key else { continue };
        *tag = match merge(tag.iter().map(|tag| Tag::clone(tag)).chain([key])) {
            Ok(merged) => merged.map(Arc::new),
            Err(two) => {
                refused_now.extend(refused(two.iter()));
                notes.list.push(differ(&section.name.chars(), &two));
                None
            }
        };
    }
    Keyed { tags, refused: refused_now, diagnostics: notes.list }
}

/// Whether a key may bring a MAC.
fn names_phone(entry: &Entry) -> bool {
    let value = entry.value.as_bytes();
    let variable = || value.windows(VARIABLE.len()).any(|part| part == VARIABLE.as_bytes());
    entry.name.is(CHAN_SIP.mac) || entry.name.is(CHAN_SIP.variable) && variable()
}

fn bears_tags(section: &Section) -> bool {
    !section.template && !section.name.is("general") && !section.name.is("authentication")
}

fn of_section(section: &Section, notes: &mut Notes) -> Option<Tag> {
    let all: Vec<_> = section
        .entries
        .iter()
        .map(|e| (e.name.chars(), e.value.chars(), e.span, e.inherited))
        .collect();
    let pairs = all.iter().map(|(key, value, span, inherited)| Pair {
        key,
        value,
        span: *span,
        inherited: *inherited,
    });
    read(&CHAN_SIP, pairs, notes)
}

/// What is wrong; an inherited key is told of once, not for each section that inherits it.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) list: Vec<Diagnostic>,
    told: BTreeSet<Span>,
}

impl Notes {
    fn once(&mut self, span: Span, note: Diagnostic) {
        if self.told.insert(span) {
            self.list.push(note.at(span));
        }
    }
}

/// The tag that keys make; none without a MAC, or with a bad value.
pub(super) fn read<'a>(
    keys: &Keys,
    pairs: impl Iterator<Item = Pair<'a>>,
    notes: &mut Notes,
) -> Option<Tag> {
    let mut found = Found::default();
    pairs.for_each(|pair| found.take(keys, &pair));
    let (value, span, inherited) = found.mac?;
    if inherited {
        let text = "this MAC is inherited by every section that uses this one, and is not used";
        let note = Diagnostic::warning(&INHERITED, text);
        notes.once(span, note.help("write it into the section of each account"));
        return None;
    }
    let Ok(mac) = value.parse::<Mac>() else {
        let note = Diagnostic::error(&BAD_KEY, "this is no MAC of a phone");
        notes.once(span, note.help("write it as 00:18:b9:12:34:56"));
        return None;
    };
    let line = match found.line.map(|(value, span)| (line(value), span)) {
        None => None,
        Some((Some(line), span)) => Some(Spanned::new(line, span)),
        Some((None, span)) => {
            notes.once(span, Diagnostic::error(&BAD_KEY, "a line is a number from 1 to 99"));
            return None;
        }
    };
    let owned =
        |part: Option<(&str, Span)>| part.map(|(value, span)| Spanned::new(value.to_owned(), span));
    Some(Tag {
        mac: Spanned::new(mac, span),
        model: owned(found.model),
        line,
        label: owned(found.label),
        profile: owned(found.profile),
        firmware: None,
        ip: None,
        guest: None,
    })
}

fn line(value: &str) -> Option<u8> {
    value.parse().ok().filter(|line| (1..=99).contains(line))
}

type Part<'a> = Option<(&'a str, Span)>;

#[derive(Default)]
struct Found<'a> {
    mac: Option<(&'a str, Span, bool)>,
    model: Part<'a>,
    line: Part<'a>,
    label: Part<'a>,
    profile: Part<'a>,
}

impl<'a> Found<'a> {
    /// The last value of a key counts.
    fn take(&mut self, keys: &Keys, pair: &Pair<'a>) {
        let is = |key: &str| !key.is_empty() && pair.key.eq_ignore_ascii_case(key);
        let part = (!pair.value.is_empty()).then_some((pair.value, pair.span));
        if is(keys.mac) {
            self.mac = part.map(|(value, span)| (value, span, pair.inherited));
        } else if is(keys.variable) {
            let value = pair.value.split_once('=').filter(|(name, _)| name.trim() == VARIABLE);
            self.mac = value.map(|(_, mac)| (mac.trim(), pair.span, pair.inherited)).or(self.mac);
        } else if is(keys.model) {
            self.model = part;
        } else if is(keys.line) {
            self.line = part;
        } else if is(keys.label) {
            self.label = part;
        } else if is(keys.profile) {
            self.profile = part;
        }
    }
}

/// One tag of several that agree: what one leaves out another may tell. Two that differ otherwise.
pub(super) fn merge(tags: impl Iterator<Item = Tag>) -> Result<Option<Tag>, Box<[Tag; 2]>> {
    let mut merged: Option<Tag> = None;
    for tag in tags {
        merged = Some(match merged {
            None => tag,
            Some(first) if agree(&first, &tag) => both(first, tag),
            Some(first) => return Err(Box::new([first, tag])),
        });
    }
    Ok(merged)
}

fn agree(a: &Tag, b: &Tag) -> bool {
    fn same<T: PartialEq>(a: &Option<Spanned<T>>, b: &Option<Spanned<T>>) -> bool {
        a.is_none() || b.is_none() || a == b
    }
    a.mac == b.mac
        && same(&a.model, &b.model)
        && same(&a.line, &b.line)
        && same(&a.label, &b.label)
        && same(&a.profile, &b.profile)
        && same(&a.firmware, &b.firmware)
        && same(&a.ip, &b.ip)
        && same(&a.guest, &b.guest)
}

fn both(a: Tag, b: Tag) -> Tag {
    Tag {
        mac: a.mac,
        model: a.model.or(b.model),
        line: a.line.or(b.line),
        label: a.label.or(b.label),
        profile: a.profile.or(b.profile),
        firmware: a.firmware.or(b.firmware),
        ip: a.ip.or(b.ip),
        guest: a.guest.or(b.guest),
    }
}

/// The phones of tags that cannot be used.
pub(super) fn refused<'a>(tags: impl Iterator<Item = &'a Tag>) -> impl Iterator<Item = Refused> {
    tags.map(|tag| Refused {
        mac: tag.mac.clone(),
        reason: "the tags of one of its accounts differ".into(),
    })
}

/// The message about two tags that differ.
pub(super) fn differ(name: &str, two: &[Tag; 2]) -> Diagnostic {
    let [first, second] = two;
    let text = if first.mac == second.mac {
        format!("[{name}] is tied to {} in two ways that differ", second.mac.value)
    } else {
        format!("[{name}] is tied to {} and to {}", first.mac.value, second.mac.value)
    };
    Diagnostic::error(&TWO_TAGS, text)
        .at(second.span())
        .see(first.span(), "the other one")
        .help("one account is one line of one phone: keep one of the two")
}
