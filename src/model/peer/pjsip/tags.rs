//! Which phone each endpoint belongs to: from the comments of its sections and from keys.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::Refused;
use super::super::keyed::{self, Notes, Pair};
use super::keys::Type;
use super::object::{Field, Object};
use super::{All, codes, type_of, wizard};
use crate::base::{Diagnostic, Span};
use crate::conf::{Conf, Section};
use crate::model::tag::Tag;

/// The tags by endpoint, and what is wrong with them.
pub(super) struct Found {
    tags: HashMap<String, Arc<Tag>>,
    pub(super) refused: Vec<Refused>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Found {
    /// The tag of an endpoint.
    pub(super) fn of(&self, endpoint: &str) -> Option<Arc<Tag>> {
        self.tags.get(endpoint).cloned()
    }
}

/// Finds all tags.
pub(super) fn find(
    all: &All<'_>,
    pjsip: (&Conf, &[Option<Arc<Tag>>]),
    wizards: Option<(&Conf, &[Option<Arc<Tag>>])>,
) -> Found {
    let mut search = Search::new(all);
    for (section, tag) in tagged(pjsip) {
        match type_of(section).filter(|_| !section.template) {
            Some(kind) => search.comment(kind, section, tag),
            None => search.refuse(section, tag, "no endpoint"),
        }
    }
    for (section, tag) in wizards.into_iter().flat_map(tagged) {
        if wizard::is_wizard(section) {
            search.comment(Type::Endpoint, section, tag);
        } else {
            search.refuse(section, tag, "no wizard");
        }
    }
    for kind in [Type::Endpoint, Type::Aor, Type::Auth, Type::Phoneprov] {
        all.of(kind).iter().for_each(|object| search.keyed(kind, object));
    }
    search.finish()
}

fn tagged<'c>(
    (conf, tags): (&'c Conf, &'c [Option<Arc<Tag>>]),
) -> impl Iterator<Item = (&'c Section, &'c Tag)> {
    conf.sections.iter().zip(tags).filter_map(|(section, tag)| Some((section, tag.as_deref()?)))
}

struct Search<'o, 'a> {
    all: &'o All<'a>,
    /// The endpoints that use an AOR or an auth.
    users: HashMap<(Type, String), Vec<&'o str>>,
    tags: Vec<(String, Tag)>,
    notes: Notes,
    refused: Vec<Refused>,
    told: BTreeSet<(&'static str, Option<Span>)>,
}

impl<'o, 'a> Search<'o, 'a> {
    fn new(all: &'o All<'a>) -> Self {
        let mut users: HashMap<(Type, String), Vec<&'o str>> = HashMap::new();
        for endpoint in all.of(Type::Endpoint).iter() {
            for (kind, key) in [(Type::Aor, "aors"), (Type::Auth, "auth")] {
                for name in endpoint.items(key) {
                    users.entry((kind, name.to_owned())).or_default().push(&endpoint.name);
                }
            }
        }
        Self {
            all,
            users,
            tags: Vec::new(),
            notes: Notes::default(),
            refused: Vec::new(),
            told: BTreeSet::new(),
        }
    }

    /// The endpoint that a tag on this object belongs to; else what the object is instead.
    fn endpoint(&self, kind: Type, name: &str, phoneprov: Option<&str>) -> Result<String, String> {
        match kind {
            Type::Endpoint => Ok(name.to_owned()),
            // One without an endpoint= is taken for the one of its own name.
            Type::Phoneprov => Ok(phoneprov.unwrap_or(name).to_owned()),
            Type::Aor | Type::Auth => {
                let word = kind.word();
                match self.users.get(&(kind, name.to_owned())).map_or(&[][..], Vec::as_slice) {
                    [one] => Ok((*one).to_owned()),
                    [] => Err(format!("type={word} and used by no endpoint")),
                    _ => Err(format!("type={word} and used by several endpoints")),
                }
            }
            Type::Transport | Type::Global => Err(format!("type={}", kind.word())),
        }
    }

    fn comment(&mut self, kind: Type, section: &Section, tag: &Tag) {
        let names = section.all("endpoint").last().map(|entry| entry.value.chars().into_owned());
        let name = section.name.chars();
        match self.endpoint(kind, &name, names.as_deref()) {
            Ok(endpoint) => self.tie(endpoint, tag, (&name, section.span)),
            Err(what) => self.refuse(section, tag, &what),
        }
    }

    fn keyed(&mut self, kind: Type, object: &Object<'_>) {
        let keys = if kind == Type::Phoneprov { &keyed::PHONEPROV } else { &keyed::PJSIP };
        let pairs = object.fields.iter().map(pair);
        let Some(tag) = keyed::read(keys, pairs, &mut self.notes) else { return };
        let named = object.last("endpoint").map(|field| field.value.clone().into_owned());
        match self.endpoint(kind, &object.name, named.as_deref()) {
            Ok(endpoint) => self.tie(endpoint, &tag, (&object.name, object.span)),
            Err(what) => self.drop((&object.name, object.span), &tag, &what),
        }
    }

    fn tie(&mut self, endpoint: String, tag: &Tag, section: (&str, Span)) {
        let endpoints = self.all.of(Type::Endpoint);
        if endpoints.get(&endpoint).is_some() {
            return self.tags.push((endpoint, tag.clone()));
        }
        let trouble = match (endpoints.fault(&endpoint), endpoints.twice) {
            (Some(fault), _) => codes::not_loaded(Type::Endpoint, &endpoint, fault)
                .see(tag.span(), "the phone is tied to it here"),
            (None, Some(places)) => codes::twice(Type::Endpoint, places),
            (None, None) => codes::no_endpoint(tag.span(), section, "tied to no endpoint"),
        };
        self.give_up(tag, trouble);
    }

    fn refuse(&mut self, section: &Section, tag: &Tag, what: &str) {
        self.drop((&section.name.chars(), section.span), tag, what);
    }

    fn drop(&mut self, section: (&str, Span), tag: &Tag, what: &str) {
        self.give_up(tag, codes::no_endpoint(tag.span(), section, what));
    }

    fn give_up(&mut self, tag: &Tag, trouble: Diagnostic) {
        self.refused.push(Refused { mac: tag.mac.clone(), reason: trouble.message.clone() });
        // Two sections of one name are told of once, whatever is tied to them.
        if self.told.insert((trouble.code.id, trouble.span)) {
            self.notes.list.push(trouble);
        }
    }

    fn finish(mut self) -> Found {
        let mut groups: HashMap<String, Vec<Tag>> = HashMap::new();
        let mut order = Vec::new();
        for (endpoint, tag) in std::mem::take(&mut self.tags) {
            let group = groups.entry(endpoint.clone()).or_default();
            if group.is_empty() {
                order.push(endpoint);
            }
            group.push(tag);
        }
        let mut tags = HashMap::new();
        for endpoint in order {
            let group = groups.remove(&endpoint).unwrap_or_default();
            match keyed::merge(group.iter().cloned()) {
                Ok(Some(tag)) => drop(tags.insert(endpoint, Arc::new(tag))),
                Ok(None) => {}
                Err(two) => {
                    self.refused.extend(keyed::refused(group.iter()));
                    self.notes.list.push(keyed::differ(&endpoint, &two));
                }
            }
        }
        Found { tags, refused: self.refused, diagnostics: self.notes.list }
    }
}

fn pair<'f>(field: &'f Field<'_>) -> Pair<'f> {
    Pair { key: &field.key, value: &field.value, span: field.span, inherited: field.inherited }
}
