//! One peer while its sections are applied, as chan_sip's `build_peer` does it.

use super::codecs::{self, Codecs};
use super::general::Defaults;
use super::options::{self, NatFlags, is_true};
use super::{CallerId, Dtmf, Kind, Peer, Places, Tech, Transport, callerid};
use crate::base::{Secret, Span, Spanned};
use crate::conf::{Entry, Section};
use crate::model::tag::Tag;

/// Something in a peer that Asterisk takes otherwise than it was meant.
pub(super) enum Slip {
    /// An unknown `dtmfmode=`.
    Dtmf(String),
    /// An item of `allow=`/`disallow=` that is no format.
    Codec(String),
    /// A mailbox without a context.
    Mailbox(String),
}

/// A peer that may still be changed by a later section of the same name.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) tags: Vec<Tag>,
    pub(super) slips: Vec<(Span, Slip)>,
    /// Where the list of codecs was last changed.
    pub(super) codecs_span: Option<Span>,
    pub(super) type_span: Span,
    /// The last `host=` that is not `dynamic`.
    pub(super) host_span: Option<Span>,
    peer: bool,
    user: bool,
    dynamic: bool,
    secret: Option<Spanned<Secret>>,
    md5secret: Option<Spanned<()>>,
    caller: CallerId,
    codecs: Codecs,
    dtmf: Dtmf,
    nat: NatFlags,
    language: String,
    vmexten: Option<String>,
    transport: Option<Transport>,
    /// With each mailbox, whether the section being applied has named it.
    mailboxes: Vec<(String, bool)>,
    places: Places,
}

impl Draft {
    /// A peer of which nothing is known but the defaults.
    pub(super) fn new(section: &Section, defaults: &Defaults) -> Self {
        Self {
            name: section.name.chars().into_owned(),
            span: section.span,
            tags: Vec::new(),
            slips: Vec::new(),
            codecs_span: None,
            type_span: section.span,
            host_span: None,
            peer: false,
            user: false,
            dynamic: false,
            secret: None,
            md5secret: None,
            caller: CallerId::default(),
            codecs: defaults.codecs.clone(),
            dtmf: defaults.dtmf,
            nat: defaults.nat,
            language: defaults.language.clone(),
            vmexten: defaults.vmexten.clone(),
            transport: None,
            mailboxes: Vec::new(),
            places: defaults.places,
        }
    }

    /// Applies a section. What came from an earlier one of the same name stays, but for the spelling
    /// of the name, the transports, and mailboxes that are not named again.
    pub(super) fn apply(&mut self, section: &Section, defaults: &Defaults) {
        self.name = section.name.chars().into_owned();
        self.span = section.span;
        self.transport = None;
        self.mailboxes.iter_mut().for_each(|(_, named)| *named = false);
        let mut nat = None;
        for entry in &section.entries {
            self.option(entry, &mut nat, defaults);
        }
        self.nat = nat.unwrap_or(self.nat);
        self.mailboxes.retain(|(_, named)| *named);
    }

    fn option(&mut self, entry: &Entry, nat: &mut Option<NatFlags>, defaults: &Defaults) {
        let value = &*entry.value.chars();
        let name = entry.name.chars().to_ascii_lowercase();
        self.places.note(&name, entry.span);
        match name.as_str() {
            "type" => self.kind(value, entry.span),
            "host" => self.host(value, entry.span),
            "secret" => self.secret = set(entry).map(|span| Spanned::new(Secret::new(value), span)),
            "md5secret" => self.md5secret = set(entry).map(|span| Spanned::new((), span)),
            "callerid" => self.caller = callerid::parse(value),
            "fullname" => self.caller.name = value.to_owned(),
            "trunkname" => self.caller.name.clear(),
            "cid_number" => self.caller.number = value.to_owned(),
            "allow" => self.codecs(value, true, entry.span),
            "disallow" => self.codecs(value, false, entry.span),
            "dtmfmode" => self.dtmf(value, entry.span),
            "nat" => nat.get_or_insert_default().apply(value),
            "mailbox" => self.mailbox(value, entry.span),
            "hasvoicemail" if is_true(value) && self.mailboxes.is_empty() => self.own_mailbox(),
            "vmexten" => self.vmexten = Some(value.to_owned()).filter(|v| !v.is_empty()),
            "language" => self.language = value.to_owned(),
            "transport" => self.transport = first_allowed(value, defaults),
            _ => {}
        }
    }

    /// `peer` and `user` add up, `friend` is both.
    fn kind(&mut self, value: &str, span: Span) {
        self.peer |= ["peer", "friend"].iter().any(|w| value.eq_ignore_ascii_case(w));
        self.user |= ["user", "friend"].iter().any(|w| value.eq_ignore_ascii_case(w));
        self.type_span = span;
    }

    fn host(&mut self, value: &str, span: Span) {
        self.dynamic = value.eq_ignore_ascii_case("dynamic");
        self.host_span = (!self.dynamic).then_some(span);
    }

    fn codecs(&mut self, value: &str, allowing: bool, span: Span) {
        let missed = codecs::update(&mut self.codecs, value, allowing);
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
        match self.mailboxes.iter_mut().find(|(known, _)| known == name) {
            Some((_, named)) => *named = true,
            None => self.mailboxes.push((name.to_owned(), true)),
        }
    }

    fn own_mailbox(&mut self) {
        let context = if self.name.contains('@') { "" } else { "@default" };
        self.add_mailbox(&format!("{}{context}", self.name));
    }

    /// The peer as it stands, with its tag.
    pub(super) fn finish(self, tag: Option<Tag>, defaults: &Defaults) -> Peer {
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
            codecs: self.codecs.into_iter().map(str::to_owned).collect(),
            dtmf: self.dtmf,
            mailboxes: self.mailboxes.into_iter().map(|(name, _)| name).collect(),
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
    pub(super) fn note(&mut self, name: &str, span: Span) {
        let place = match name {
            "callerid" | "fullname" | "trunkname" => &mut self.caller,
            "allow" | "disallow" => &mut self.codecs,
            "dtmfmode" => &mut self.dtmf,
            "mailbox" | "hasvoicemail" => &mut self.mailboxes,
            "vmexten" => &mut self.vmexten,
            "nat" => &mut self.nat,
            "language" => &mut self.language,
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
