//! One peer while its sections are applied, as chan_sip's `build_peer` does it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::codecs::{self, Codecs};
use super::general::Defaults;
use super::options::{self, NatFlags, is_true};
use super::{CallerId, Dtmf, Kind, Peer, Places, Tech, Transport, callerid};
use crate::base::{Secret, Span, Spanned};
use crate::conf::{Entry, Iter, Section};
use crate::model::tag::Tag;

/// Something in a peer that Asterisk takes otherwise than it was meant.
#[derive(Clone)]
pub(super) enum Slip {
    /// An unknown `dtmfmode=`.
    Dtmf(String),
    /// An item of `allow=`/`disallow=` that is no format.
    Codec(String),
    /// A mailbox without a context.
    Mailbox(String),
}

/// The lists of codecs that peers have, each kept once.
#[derive(Default)]
pub(super) struct Shelf(HashSet<Arc<[&'static str]>>);

impl Shelf {
    fn keep(&mut self, list: &[&'static str]) -> Arc<[&'static str]> {
        if let Some(known) = self.0.get(list) {
            return known.clone();
        }
        let list: Arc<[_]> = list.into();
        self.0.insert(list.clone());
        list
    }
}

/// A peer that may still be changed by a later section of the same name.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) tags: Vec<Arc<Tag>>,
    pub(super) slips: Vec<(Span, Slip)>,
    /// Where the list of codecs was last changed.
    pub(super) codecs_span: Option<Span>,
    pub(super) type_span: Option<Span>,
    /// The last `host=` that is not `dynamic`.
    pub(super) host_span: Option<Span>,
    peer: bool,
    user: bool,
    dynamic: bool,
    secret: Option<Spanned<Secret>>,
    md5secret: Option<Spanned<()>>,
    caller: CallerId,
    codecs: Arc<[&'static str]>,
    /// What takes their place, while a section is applied.
    changed: Option<Codecs>,
    dtmf: Dtmf,
    /// What the section being applied says at all takes the place of what was before it.
    said_nat: Option<NatFlags>,
    nat: NatFlags,
    language: Arc<str>,
    vmexten: Option<Arc<str>>,
    transport: Option<Transport>,
    mailboxes: Vec<String>,
    /// Mailboxes of earlier sections, until the section being applied names them.
    unnamed: BTreeSet<String>,
    places: Places,
}

impl Draft {
    /// A peer of which nothing is known but the defaults.
    pub(super) fn new(span: Span, defaults: &Defaults) -> Self {
        Self {
            name: String::new(),
            span,
            tags: Vec::new(),
            slips: Vec::new(),
            codecs_span: None,
            type_span: None,
            host_span: None,
            peer: false,
            user: false,
            dynamic: false,
            secret: None,
            md5secret: None,
            caller: CallerId::default(),
            codecs: defaults.codecs.clone(),
            changed: None,
            dtmf: defaults.dtmf,
            said_nat: None,
            nat: defaults.nat,
            language: defaults.language.clone(),
            vmexten: defaults.vmexten.clone(),
            transport: None,
            mailboxes: Vec::new(),
            unnamed: BTreeSet::new(),
            places: defaults.places,
        }
    }

    /// What a new peer is after the values that its section inherits, unless that depends on its name.
    pub(super) fn stem(
        shared: Iter<'_>,
        span: Span,
        defaults: &Defaults,
        shelf: &mut Shelf,
    ) -> Option<Self> {
        if shared.clone().any(|entry| entry.name.is("hasvoicemail")) {
            return None;
        }
        let mut stem = Self::new(span, defaults);
        shared.for_each(|entry| stem.option(entry, defaults));
        stem.settle(shelf);
        Some(stem)
    }

    /// Applies a section. What came from an earlier one of the same name stays, but for the spelling
    /// of the name, the transports, and mailboxes that are not named again.
    pub(super) fn apply(&mut self, section: &Section, defaults: &Defaults, shelf: &mut Shelf) {
        self.transport = None;
        self.unnamed = self.mailboxes.iter().cloned().collect();
        self.options(section, section.entries.iter(), defaults, shelf);
    }

    /// Applies those values of a section that are not in the stem.
    pub(super) fn grow(&mut self, section: &Section, defaults: &Defaults, shelf: &mut Shelf) {
        self.options(section, section.entries.own(), defaults, shelf);
    }

    fn options<'e>(
        &mut self,
        section: &Section,
        entries: impl IntoIterator<Item = &'e Entry>,
        defaults: &Defaults,
        shelf: &mut Shelf,
    ) {
        self.name = section.name.chars().into_owned();
        self.span = section.span;
        entries.into_iter().for_each(|entry| self.option(entry, defaults));
        self.settle(shelf);
        self.nat = self.said_nat.take().unwrap_or(self.nat);
        if !self.unnamed.is_empty() {
            self.mailboxes.retain(|name| !self.unnamed.contains(name));
            self.unnamed.clear();
        }
    }

    fn settle(&mut self, shelf: &mut Shelf) {
        if let Some(list) = self.changed.take() {
            self.codecs = shelf.keep(&list);
        }
    }

    fn option(&mut self, entry: &Entry, defaults: &Defaults) {
        let mut buffer = [0; options::LONGEST];
        let name = options::folded(entry.name.as_bytes(), &mut buffer);
        let value = &*entry.value.chars();
        self.places.note(name, entry.span);
        match name {
            b"type" => self.kind(value, entry.span),
            b"host" => self.host(value, entry.span),
            b"secret" => {
                self.secret = set(entry).map(|span| Spanned::new(Secret::new(value), span));
            }
            b"md5secret" => self.md5secret = set(entry).map(|span| Spanned::new((), span)),
            b"callerid" => self.caller = callerid::parse(value),
            b"fullname" => self.caller.name = value.to_owned(),
            b"trunkname" => self.caller.name.clear(),
            b"cid_number" => self.caller.number = value.to_owned(),
            b"allow" => self.codecs(value, true, entry.span),
            b"disallow" => self.codecs(value, false, entry.span),
            b"dtmfmode" => self.dtmf(value, entry.span),
            b"nat" => self.said_nat.get_or_insert_default().apply(value),
            b"mailbox" => self.mailbox(value, entry.span),
            b"hasvoicemail" if is_true(value) && self.mailboxes.is_empty() => self.own_mailbox(),
            b"vmexten" => self.vmexten = Some(value).filter(|v| !v.is_empty()).map(Arc::from),
            b"language" => self.language = value.into(),
            b"transport" => self.transport = first_allowed(value, defaults),
            _ => {}
        }
    }

    /// `peer` and `user` add up, `friend` is both.
    fn kind(&mut self, value: &str, span: Span) {
        self.peer |= ["peer", "friend"].iter().any(|w| value.eq_ignore_ascii_case(w));
        self.user |= ["user", "friend"].iter().any(|w| value.eq_ignore_ascii_case(w));
        self.type_span = Some(span);
    }

    fn host(&mut self, value: &str, span: Span) {
        self.dynamic = value.eq_ignore_ascii_case("dynamic");
        self.host_span = (!self.dynamic).then_some(span);
    }

    fn codecs(&mut self, value: &str, allowing: bool, span: Span) {
        let list = self.changed.get_or_insert_with(|| self.codecs.to_vec());
        let missed = codecs::update(list, value, allowing);
        self.slips.extend(missed.into_iter().map(|item| (span, Slip::Codec(item.to_owned()))));
        self.codecs_span = Some(span);
    }

    fn dtmf(&mut self, value: &str, span: Span) {
        let mode = options::dtmf(value);
        if mode.is_none() {
            self.slips.push((span, Slip::Dtmf(value.to_owned())));
        }
        self.dtmf = mode.unwrap_or_default();
    }

    fn mailbox(&mut self, value: &str, span: Span) {
        for name in options::mailboxes(value) {
            if !name.contains('@') {
                self.slips.push((span, Slip::Mailbox(name.to_owned())));
            }
            self.add_mailbox(name);
        }
    }

    fn add_mailbox(&mut self, name: &str) {
        self.unnamed.remove(name);
        if !self.mailboxes.iter().any(|known| known == name) {
            self.mailboxes.push(name.to_owned());
        }
    }

    fn own_mailbox(&mut self) {
        let context = if self.name.contains('@') { "" } else { "@default" };
        self.add_mailbox(&format!("{}{context}", self.name));
    }

    /// The peer as it stands, with its tag.
    pub(super) fn finish(self, tag: Option<Arc<Tag>>, defaults: &Defaults) -> Peer {
        Peer {
            name: Spanned::new(self.name, self.span),
            tech: Tech::Sip,
            auth_user: None,
            registrar: None,
            tag,
            kind: match (self.peer, self.user) {
                (true, true) => Kind::Friend,
                (false, _) => Kind::User,
                (true, false) => Kind::Peer,
            },
            dynamic: self.dynamic,
            secret: self.secret,
            md5secret: self.md5secret,
            caller: self.caller,
            codecs: self.codecs,
            dtmf: self.dtmf,
            mailboxes: self.mailboxes,
            vmexten: self.vmexten,
            nat: self.nat.nat(),
            language: self.language,
            transport: self.transport.unwrap_or(defaults.transport),
            places: self.places,
        }
    }
}

impl Places {
    /// Remembers where a setting of chan_sip stands.
    pub(super) fn note(&mut self, name: &[u8], span: Span) {
        let place = match name {
            b"callerid" | b"fullname" | b"trunkname" => &mut self.caller,
            b"allow" | b"disallow" => &mut self.codecs,
            b"dtmfmode" => &mut self.dtmf,
            b"mailbox" | b"hasvoicemail" => &mut self.mailboxes,
            b"vmexten" => &mut self.vmexten,
            b"nat" => &mut self.nat,
            b"language" => &mut self.language,
            _ => return,
        };
        *place = span.into();
    }
}

/// The place of a value that is not empty: an empty one is as good as none.
fn set(entry: &Entry) -> Option<Span> {
    (!entry.value.is_empty()).then_some(entry.span)
}

/// The first transport of the list that `[general]` has enabled.
fn first_allowed(value: &str, defaults: &Defaults) -> Option<Transport> {
    options::transports(value).find(|transport| match transport {
        Transport::Tcp => defaults.tcp,
        Transport::Tls => defaults.tls,
        Transport::Udp | Transport::Ws => true,
    })
}
