//! pjsip_wizard.conf → the objects that res_pjsip_config_wizard makes of its sections.

use std::borrow::Cow;

use super::super::options::is_true;
use super::keys::Type;
use super::object::{Field, Object};
use crate::base::Span;
use crate::conf::{Entry, Section};

/// What a wizard section makes of one type.
pub(super) enum Made<'a> {
    /// Nothing, as it should be.
    Nothing,
    /// An object.
    Object(Object<'a>),
    /// No object of this name, because something is missing.
    Lacks { name: String, what: &'static str },
}

/// Whether a section is a wizard: any value of `type`, in exactly this case, may say so.
pub(super) fn is_wizard(section: &Section) -> bool {
    let says = |e: &Entry| e.name.as_bytes() == b"type" && e.value.as_bytes() == b"wizard";
    !section.template && section.entries.iter().any(says)
}

/// What a section makes of a type.
pub(super) fn make(section: &Section, kind: Type) -> Made<'_> {
    match kind {
        Type::Endpoint => Made::Object(endpoint(section)),
        Type::Aor => Made::Object(object(section, "", "aor/")),
        Type::Auth => auth(section),
        Type::Phoneprov => phoneprov(section),
        Type::Transport | Type::Global => Made::Nothing,
    }
}

/// The last value of an option; its name's case does not count, as nearly everywhere.
fn option<'a>(section: &'a Section, name: &str) -> Option<&'a Entry> {
    section.last(name)
}

fn is_on(section: &Section, name: &str) -> bool {
    option(section, name).is_some_and(|entry| is_true(&entry.value.chars()))
}

/// The options with a prefix (whose case counts), without it.
fn object<'a>(section: &'a Section, suffix: &str, prefix: &str) -> Object<'a> {
    let name = match suffix {
        "" => section.name.chars(),
        suffix => Cow::Owned(format!("{}{suffix}", section.name)),
    };
    let fields = section.entries.iter().filter_map(|entry| cut(entry, prefix)).collect();
    Object { name, span: section.span, fields }
}

fn cut<'a>(entry: &'a Entry, prefix: &str) -> Option<Field<'a>> {
    let mut field = Field::read(entry);
    field.key = match field.key {
        Cow::Borrowed(key) => Cow::Borrowed(key.strip_prefix(prefix)?),
        Cow::Owned(key) => Cow::Owned(key.strip_prefix(prefix)?.to_owned()),
    };
    (!field.key.is_empty()).then_some(field)
}

fn added<'a>(key: &'a str, value: impl Into<Cow<'a, str>>, span: Span) -> Field<'a> {
    Field { key: key.into(), value: value.into(), key_span: span, span, inherited: false }
}

/// What the wizard adds comes behind what the user wrote, and wins.
fn endpoint(section: &Section) -> Object<'_> {
    let mut endpoint = object(section, "", "endpoint/");
    endpoint.fields.push(added("aors", section.name.chars(), section.span));
    if let Some(transport) = option(section, "transport").filter(|t| !t.value.is_empty()) {
        endpoint.fields.push(added("transport", transport.value.chars(), transport.span));
    }
    if is_on(section, "accepts_auth") {
        endpoint.fields.push(added("auth", format!("{}-iauth", section.name), section.span));
    }
    endpoint
}

fn auth(section: &Section) -> Made<'_> {
    if !is_on(section, "accepts_auth") {
        return Made::Nothing;
    }
    let mut auth = object(section, "-iauth", "inbound_auth/");
    // The outbound one comes first, and where it fails the wizard ends.
    if is_on(section, "sends_auth") && option(section, "outbound_auth/username").is_none() {
        return Made::Lacks { name: auth.name.into_owned(), what: "outbound_auth/username" };
    }
    if auth.last("username").is_none() {
        return Made::Lacks { name: auth.name.into_owned(), what: "inbound_auth/username" };
    }
    if auth.last("auth_type").is_none() {
        auth.fields.push(added("auth_type", "userpass", section.span));
    }
    Made::Object(auth)
}

fn phoneprov(section: &Section) -> Made<'_> {
    if !is_on(section, "has_phoneprov") {
        return Made::Nothing;
    }
    let mut phoneprov = object(section, "-phoneprov", "phoneprov/");
    if phoneprov.last("MAC").is_none() {
        return Made::Lacks { name: phoneprov.name.into_owned(), what: "phoneprov/MAC" };
    }
    phoneprov.fields.push(added("endpoint", section.name.chars(), section.span));
    Made::Object(phoneprov)
}
