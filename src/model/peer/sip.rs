//! sip.conf → peers, with chan_sip's rules about which sections count.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::build::{Draft, Shelf, Slip};
use super::general::{self, Defaults};
use super::spoilt::spoilt;
use super::{Kind, Peer, Registrar, codecs, options, users};
use crate::base::nearest::nearest;
use crate::base::{Code, Diagnostic, Mac, Span, Spanned};
use crate::conf::{Conf, Lineages, Section};
use crate::model::tag::Tag;

/// What sip.conf says.
#[derive(Clone, Debug)]
pub struct SipReading {
    /// `[general]`.
    pub registrar: Registrar,
    /// Every peer that Asterisk has, tagged or not, in load order.
    pub peers: Vec<Arc<Peer>>,
    /// Tags that stand where no line can come of them: their phones are held back.
    pub refused: Vec<Refused>,
    /// What is wrong with tagged sections and with `[general]`.
    pub diagnostics: Vec<Diagnostic>,
}

/// A tag of which no line can come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The phone that the tag names, and where.
    pub mac: Spanned<Mac>,
    /// Why, in a few words.
    pub reason: String,
}

/// All codes of this module.
pub static CODES: &[&Code] = &[
    &NO_PEER,
    &CANNOT_REGISTER,
    &NO_PASSWORD,
    &TWO_TAGS,
    &BAD_DTMF,
    &BAD_CODEC,
    &NO_CODEC,
    &BARE_MAILBOX,
    &BAD_ADDRESS,
    &users::NO_SIP,
];

static NO_PEER: Code = Code {
    id: "H0401",
    title: "the tagged section is no peer",
    explain: "chan_sip makes a peer of a section only when the first `type` in it (a template's \
              comes first) is `friend`, `peer` or `user`; [general] and [authentication] never \
              become peers. Add `type=friend`, or move the tag to the section of the account.",
};

static CANNOT_REGISTER: Code = Code {
    id: "H0402",
    title: "the tagged peer cannot register",
    explain: "A phone registers only at a peer with `type=friend` or `type=peer` and \
              `host=dynamic`. With `type=user` Asterisk does not look the peer up, and with a fixed \
              host it refuses the registration.",
};

static NO_PASSWORD: Code = Code {
    id: "H0403",
    title: "the tagged peer has no password for the phone",
    explain: "The phone needs the password in clear text: `secret`. An `md5secret` takes precedence \
              over it, and no password can be computed from that. `remotesecret` is what Asterisk \
              itself uses towards others. A peer with neither would let anybody register.",
};

static TWO_TAGS: Code = Code {
    id: "H0404",
    title: "two tags for one peer",
    explain: "Sections of the same name (compared without case) are one peer to chan_sip, which \
              keeps one registration for it. So it can be one line of one phone: keep one of the \
              tags.",
};

static BAD_DTMF: Code = Code {
    id: "H0405",
    title: "unknown dtmfmode",
    explain: "chan_sip knows rfc2833, inband, info, shortinfo and auto, and takes anything else for \
              rfc2833 with a warning.",
};

static BAD_CODEC: Code = Code {
    id: "H0406",
    title: "unknown codec",
    explain: "Asterisk skips an item of allow= or disallow= that is no name of a format. Items are \
              separated by `,` or `|`; `&` is no separator.",
};

static NO_CODEC: Code = Code {
    id: "H0407",
    title: "no codec is left",
    explain: "After all allow= and disallow= the list of codecs is empty: the phone registers, and \
              every call fails.",
};

static BARE_MAILBOX: Code = Code {
    id: "H0408",
    title: "mailbox without a context",
    explain: "Asterisk stores the mailbox as written, and voicemail announces `box@context`. The \
              two never match, so the lamp of the phone stays dark.",
};

static BAD_ADDRESS: Code = Code {
    id: "H0409",
    title: "the bind address cannot be read",
    explain: "udpbindaddr and bindaddr take an IPv4 or IPv6 address, with or without a port. \
              Asterisk ignores anything else and keeps what it had.",
};

/// Reads sip.conf. `tags` holds the tag of each section ([`crate::model::tag::attach`]). Phones named
/// in tags that could not be used are refused without a further message.
pub fn from_sip(conf: &Conf, tags: &[Option<Arc<Tag>>]) -> SipReading {
    from_sip_and_users(conf, tags, None)
}

/// As [`from_sip`], with users.conf and its tags beside it.
pub fn from_sip_and_users(
    conf: &Conf,
    tags: &[Option<Arc<Tag>>],
    users: Option<(&Conf, &[Option<Arc<Tag>>])>,
) -> SipReading {
    let mut said = Vec::new();
    let accounts = users.map(|(users, tags)| users::accounts(users, tags, &mut said));
    let accounts = accounts.unwrap_or_default();
    let is_general = |s: &&Section| !s.template && s.name.is("general");
    let general = general::read(conf.sections.iter().find(is_general));
    let mut reading = Reading::new(&general.defaults, conf.sections.len());
    accounts.iter().for_each(|(section, tag)| reading.section((section, tag.as_ref())));
    for (section, tag) in conf.sections.iter().zip(tags.iter().chain(std::iter::repeat(&None))) {
        reading.section((section, tag.as_ref()));
    }
    let bad = general.bad_addresses.iter().map(|span| bad_address(*span));
    let mut result = reading.finish(general.registrar.clone());
    let both = users.into_iter().chain([(conf, tags)]);
    result.refused.extend(both.flat_map(|(conf, tags)| spoilt(conf, tags)));
    result.diagnostics.splice(0..0, bad.chain(said));
    result
}

/// A section with its tag.
type Tagged<'a> = (&'a Section, Option<&'a Arc<Tag>>);

/// The sections of one name, in their order.
struct Group<'a> {
    first: Tagged<'a>,
    more: Vec<Tagged<'a>>,
}

struct Reading<'a> {
    defaults: &'a Defaults,
    /// What new peers are after the values that they inherit.
    stems: Lineages<'a, Option<Draft>>,
    shelf: Shelf,
    groups: Vec<Group<'a>>,
    /// Names in lower case: chan_sip compares them without case.
    names: HashMap<Cow<'a, [u8]>, usize>,
    peers: Vec<Arc<Peer>>,
    refused: Vec<Refused>,
    diagnostics: Vec<Diagnostic>,
    /// A slip in a template is reported once, not for every peer that uses it.
    reported: BTreeSet<(&'static str, Span)>,
}

impl<'a> Reading<'a> {
    fn new(defaults: &'a Defaults, most: usize) -> Self {
        Self {
            defaults,
            stems: Lineages::default(),
            shelf: Shelf::default(),
            groups: Vec::with_capacity(most),
            names: HashMap::with_capacity(most),
            peers: Vec::with_capacity(most),
            refused: Vec::new(),
            diagnostics: Vec::new(),
            reported: BTreeSet::new(),
        }
    }

    fn section(&mut self, (section, tag): Tagged<'a>) {
        if section.template {
            return;
        }
        if let Some(trouble) = no_peer(section) {
            if let Some(tag) = tag {
                self.refuse(tag, trouble.see(section.span, "the section"));
            }
            return;
        }
        let index = *self.names.entry(lower(section)).or_insert(self.groups.len());
        match self.groups.get_mut(index) {
            Some(group) => group.more.push((section, tag)),
            None => self.groups.push(Group { first: (section, tag), more: Vec::new() }),
        }
    }

    fn group(&mut self, group: Group<'a>) {
        let (section, tag) = group.first;
        let mut draft = self.fresh(section);
        draft.tags.extend(tag.cloned());
        for (section, tag) in group.more {
            draft.apply(section, self.defaults, &mut self.shelf);
            draft.tags.extend(tag.cloned());
        }
        self.draft(draft);
    }

    fn fresh(&mut self, section: &'a Section) -> Draft {
        let Self { defaults, stems, shelf, .. } = self;
        let stem =
            stems.of(&section.entries, |shared| Draft::stem(shared, section.span, defaults, shelf));
        if let Some(stem) = stem {
            let mut draft = stem.clone();
            draft.grow(section, defaults, shelf);
            return draft;
        }
        let mut draft = Draft::new(section.span, defaults);
        draft.apply(section, defaults, shelf);
        draft
    }

    fn refuse(&mut self, tag: &Tag, trouble: Diagnostic) {
        self.refused.push(Refused { mac: tag.mac.clone(), reason: trouble.message.clone() });
        self.diagnostics.push(trouble.at(tag.span()));
    }

    fn finish(mut self, registrar: Registrar) -> SipReading {
        for group in std::mem::take(&mut self.groups) {
            self.group(group);
        }
        let Self { peers, refused, diagnostics, .. } = self;
        SipReading { registrar, peers, refused, diagnostics }
    }

    fn draft(&mut self, mut draft: Draft) {
        let tags = std::mem::take(&mut draft.tags);
        let tag = self.one_tag(&draft.name, tags);
        let slips = std::mem::take(&mut draft.slips);
        let kind_at = draft.type_span.unwrap_or(draft.span);
        let (host_at, codecs_at) = (draft.host_span, draft.codecs_span);
        let peer = draft.finish(tag, self.defaults);
        if let Some(tag) = &peer.tag {
            if let Some(trouble) = unusable(&peer, kind_at, host_at) {
                self.refuse(tag, trouble);
            }
            slips.into_iter().for_each(|(span, slip)| self.slip(span, &slip));
            if peer.codecs.is_empty() {
                self.report(no_codec(&peer).at(codecs_at.unwrap_or(peer.name.span)));
            }
        }
        self.peers.push(Arc::new(peer));
    }

    /// The tag of all sections of one name; two that differ refuse both phones.
    fn one_tag(&mut self, name: &str, mut tags: Vec<Arc<Tag>>) -> Option<Arc<Tag>> {
        let (first, rest) = tags.split_first()?;
        let Some(other) = rest.iter().find(|tag| *tag != first) else {
            return Some(tags.swap_remove(0));
        };
        let message = format!("the peer {name} has two different tags");
        let trouble = Diagnostic::error(&TWO_TAGS, &message)
            .at(other.span())
            .see(first.span(), "the other tag")
            .help("keep one of the two");
        self.diagnostics.push(trouble);
        let macs = tags.iter().map(|tag| tag.mac.clone());
        self.refused.extend(macs.map(|mac| Refused { mac, reason: message.clone() }));
        None
    }

    fn slip(&mut self, span: Span, slip: &Slip) {
        self.report(match slip {
            Slip::Dtmf(value) => bad_dtmf(value).at(span),
            Slip::Codec(item) => bad_codec(item).at(span),
            Slip::Mailbox(name) => bare_mailbox(name).at(span),
        });
    }

    fn report(&mut self, trouble: Diagnostic) {
        if trouble.span.is_none_or(|span| self.reported.insert((trouble.code.id, span))) {
            self.diagnostics.push(trouble);
        }
    }
}

/// Its name in lower case.
fn lower(section: &Section) -> Cow<'_, [u8]> {
    let name = section.name.as_bytes();
    if name.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// Why a section does not become a peer, if so.
fn no_peer(section: &Section) -> Option<Diagnostic> {
    let name = &section.name;
    if name.is("general") || name.is("authentication") {
        let text = format!("[{name}] is no peer, so no phone can be tied to it");
        return Some(
            Diagnostic::error(&NO_PEER, text).help("move the tag to the account's section"),
        );
    }
    let Some(kind) = section.entries.iter().find(|e| e.name.is("type")) else {
        let text = format!("[{name}] has no type, so Asterisk makes no peer of it");
        return Some(Diagnostic::error(&NO_PEER, text).help("add type=friend to the section"));
    };
    let known = ["friend", "peer", "user"].iter().any(|word| kind.value.is(word));
    let text = || format!("[{name}] has an unknown type, so Asterisk makes no peer of it");
    (!known).then(|| {
        Diagnostic::error(&NO_PEER, text())
            .see(kind.span, "the first type counts")
            .help("write type=friend")
    })
}

/// Why a tagged peer can be no line, if so.
fn unusable(peer: &Peer, kind_at: Span, host_at: Option<Span>) -> Option<Diagnostic> {
    let name = &*peer.name;
    if peer.kind == Kind::User {
        let text = format!("the peer {name} is of type user and cannot register");
        return Some(
            Diagnostic::error(&CANNOT_REGISTER, text)
                .see(kind_at, "here")
                .help("write type=friend"),
        );
    }
    if !peer.dynamic {
        let text = format!("the peer {name} is not host=dynamic and cannot register");
        let trouble = Diagnostic::error(&CANNOT_REGISTER, text).help("write host=dynamic");
        return Some(host_at.into_iter().fold(trouble, |t, span| t.see(span, "a fixed host")));
    }
    no_password(peer)
}

fn no_password(peer: &Peer) -> Option<Diagnostic> {
    let name = &*peer.name;
    if let Some(md5) = &peer.md5secret {
        let text = format!("the peer {name} has an md5secret, and no password for the phone");
        let trouble = Diagnostic::error(&NO_PASSWORD, text).see(md5.span, "hides any secret");
        return Some(trouble.help("replace md5secret by secret"));
    }
    peer.secret.is_none().then(|| {
        Diagnostic::error(&NO_PASSWORD, format!("the peer {name} has no secret"))
            .see(peer.name.span, "the peer")
            .help("add secret=… to the peer")
    })
}

fn no_codec(peer: &Peer) -> Diagnostic {
    Diagnostic::warning(&NO_CODEC, format!("no codec is left for the peer {}", &*peer.name))
        .help("allow at least one, as in allow=ulaw,alaw")
}

fn bad_dtmf(value: &str) -> Diagnostic {
    let words = options::DTMF.iter().map(|(word, _)| *word);
    let help = match nearest(value, words) {
        Some(word) => format!("write dtmfmode={word}"),
        None => "use rfc2833, inband, info, shortinfo or auto".to_owned(),
    };
    let text = format!("dtmfmode {value:?} is unknown, Asterisk takes rfc2833");
    Diagnostic::warning(&BAD_DTMF, text).help(help)
}

fn bad_codec(item: &str) -> Diagnostic {
    let text = format!("{item:?} is no codec, Asterisk skips it");
    let trouble = Diagnostic::warning(&BAD_CODEC, text);
    if item.contains('&') {
        return trouble.help("separate codecs by commas");
    }
    match nearest(item, codecs::FORMATS.iter().copied()) {
        Some(word) => trouble.help(format!("did you mean {word}?")),
        None => trouble,
    }
}

fn bare_mailbox(name: &str) -> Diagnostic {
    Diagnostic::warning(&BARE_MAILBOX, format!("the mailbox {name} has no context"))
        .help(format!("write {name}@default, or the context of voicemail.conf that holds it"))
}

fn bad_address(span: Span) -> Diagnostic {
    Diagnostic::warning(&BAD_ADDRESS, "this is no address, Asterisk ignores it")
        .at(span)
        .help("write an IPv4 or IPv6 address, with or without a port")
}
