//! The objects of one type: which sections become one, and why others do not (asterisk-conf.md §4).

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::options::is_true;
use super::keys::{self, Kind, Type};
use crate::base::Span;
use crate::conf::{Entry, Section};

/// One `key = value` of an object.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) value: Cow<'a, str>,
    pub(super) key_span: Span,
    pub(super) span: Span,
    /// Copied from another section.
    pub(super) inherited: bool,
}

impl<'a> Field<'a> {
    pub(super) fn read(entry: &'a Entry) -> Self {
        Self {
            key: entry.name.chars(),
            value: entry.value.chars(),
            key_span: entry.name_span,
            span: entry.span,
            inherited: entry.inherited,
        }
    }

    pub(super) fn is(&self, key: &str) -> bool {
        self.key.eq_ignore_ascii_case(key)
    }
}

/// A section as an object of one type.
#[derive(Clone, Debug)]
pub(super) struct Object<'a> {
    /// Its name: case counts.
    pub(super) name: Cow<'a, str>,
    /// The place of its section.
    pub(super) span: Span,
    pub(super) fields: Vec<Field<'a>>,
}

impl<'a> Object<'a> {
    pub(super) fn of(section: &'a Section) -> Self {
        Self {
            name: section.name.chars(),
            span: section.span,
            fields: section.entries.iter().map(Field::read).collect(),
        }
    }

    /// The last value of a key: what counts for all but lists.
    pub(super) fn last(&self, key: &str) -> Option<&Field<'a>> {
        self.fields.iter().rev().find(|field| field.is(key))
    }

    /// The last value, empty where there is none.
    pub(super) fn text(&self, key: &str) -> &str {
        self.last(key).map_or("", |field| &field.value)
    }

    /// Yes or no; what is no word for yes is no.
    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        self.last(key).map_or(default, |field| is_true(&field.value))
    }

    /// A number, which was found to be one.
    pub(super) fn number(&self, key: &str, default: u32) -> u32 {
        self.last(key).and_then(|field| keys::number(&field.value)).unwrap_or(default)
    }

    /// The items of the last value of a list.
    pub(super) fn items(&self, key: &str) -> impl Iterator<Item = &str> {
        keys::items(self.text(key))
    }

    /// The place of the last value of a key, else of the section.
    pub(super) fn place(&self, key: &str) -> Span {
        self.last(key).map_or(self.span, |field| field.span)
    }
}

/// Why Asterisk rejects an object. Values can be secrets: only harmless ones are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A key that the type does not know, and the known one that was probably meant.
    Key { key: String, span: Span, near: Option<&'static str> },
    /// A value that the key does not take.
    Value { key: String, span: Span, near: Option<&'static str> },
    /// Something without which there is no such object.
    Lacks { what: &'static str, span: Span },
}

/// The objects of one type, in load order.
#[derive(Default)]
pub(super) struct Objects<'a> {
    list: Vec<Object<'a>>,
    named: HashMap<String, usize>,
    /// Rejected ones by name.
    faults: HashMap<String, Fault>,
    /// The first two sections of one name: the whole type is not loaded from pjsip.conf.
    pub(super) twice: Option<(Span, Span)>,
}

impl<'a> Objects<'a> {
    /// Takes a section of pjsip.conf, unless the type is lost.
    pub(super) fn take(&mut self, kind: Type, object: Object<'a>) {
        if self.twice.is_some() {
            return;
        }
        if let Some(first) = self.get(&object.name) {
            self.twice = Some((first.span, object.span));
            self.list.clear();
            self.named.clear();
            return;
        }
        self.add(kind, object);
    }

    /// Takes what the wizard made: it is asked after pjsip.conf, and replaces what it made before.
    pub(super) fn wizard(&mut self, kind: Type, object: Object<'a>, from: usize) {
        match self.named.get(&*object.name) {
            Some(at) if *at < from => {}
            Some(at) => {
                let at = *at;
                match fault(kind, &object) {
                    None => self.list[at] = object,
                    Some(fault) => drop(self.faults.insert(object.name.into_owned(), fault)),
                }
            }
            None => self.add(kind, object),
        }
    }

    /// The wizard could not make an object.
    pub(super) fn lacks(&mut self, name: String, what: &'static str, span: Span) {
        if !self.named.contains_key(&name) {
            self.faults.insert(name, Fault::Lacks { what, span });
        }
    }

    fn add(&mut self, kind: Type, object: Object<'a>) {
        match fault(kind, &object) {
            Some(fault) => drop(self.faults.insert(object.name.into_owned(), fault)),
            None => {
                self.named.insert(object.name.clone().into_owned(), self.list.len());
                self.list.push(object);
            }
        }
    }

    /// An object that Asterisk has.
    pub(super) fn get(&self, name: &str) -> Option<&Object<'a>> {
        self.named.get(name).map(|at| &self.list[*at])
    }

    /// Why Asterisk has none of this name, when there is a section for it.
    pub(super) fn fault(&self, name: &str) -> Option<&Fault> {
        self.faults.get(name)
    }

    /// All, in load order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Object<'a>> {
        self.list.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
}

/// Why Asterisk rejects an object, if so: the first thing that it trips over.
fn fault(kind: Type, object: &Object<'_>) -> Option<Fault> {
    object.fields.iter().find_map(|field| in_field(kind, field)).or_else(|| match kind {
        Type::Auth => lacking_auth(object),
        Type::Transport => object
            .text("bind")
            .is_empty()
            .then_some(Fault::Lacks { what: "bind", span: object.span }),
        _ => None,
    })
}

fn in_field(kind: Type, field: &Field<'_>) -> Option<Fault> {
    let key = || field.key.clone().into_owned();
    match kind.kind(&field.key) {
        None => {
            let near = kind.nearest(&field.key);
            Some(Fault::Key { key: key(), span: field.key_span, near })
        }
        Some(Kind::Text) => None,
        Some(taken) => (!taken.takes(&field.value)).then(|| {
            let near = taken.nearest(&field.value);
            Fault::Value { key: key(), span: field.span, near }
        }),
    }
}

/// An auth needs a user name and something to compare the password with.
fn lacking_auth(auth: &Object<'_>) -> Option<Fault> {
    let lacks = |what| Some(Fault::Lacks { what, span: auth.span });
    if auth.text("username").is_empty() {
        return lacks("username");
    }
    let oauth = auth.text("auth_type").eq_ignore_ascii_case("google_oauth");
    let any = |keys: &[&str]| keys.iter().any(|key| !auth.text(key).is_empty());
    if !oauth && !any(&["password", "md5_cred", "password_digest"]) {
        return lacks("password");
    }
    if oauth && !any(&["refresh_token"]) {
        return lacks("refresh_token");
    }
    let md5 = auth.last("md5_cred").filter(|cred| !matches!(cred.value.len(), 0 | 32));
    md5.map(|cred| Fault::Value { key: "md5_cred".into(), span: cred.span, near: None })
}
