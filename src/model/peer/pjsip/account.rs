//! One endpoint with its auth, AOR and transport → one peer, and what keeps a phone from using it.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::codecs::{self, Codecs};
use super::super::options;
use super::super::{Dtmf, Kind, Nat, Peer, Places, Registrar, Tech, Transport, callerid};
use super::All;
use super::codes;
use super::keys::Type;
use super::object::{Field, Object, Objects};
use crate::base::{Diagnostic, Place, Secret, Spanned};
use crate::model::tag::Tag;

/// chan_pjsip's own expiries in seconds: the least, the most, the one that is taken when none is
/// asked.
const EXPIRIES: [(&str, u32); 3] =
    [("minimum_expiration", 60), ("maximum_expiration", 7200), ("default_expiration", 3600)];

/// The objects that make one account.
pub(super) struct Account<'o, 'a> {
    all: &'o All<'a>,
    pub(super) endpoint: &'o Object<'a>,
    /// The first one that Asterisk has and that holds a password, else the first one.
    auth: Option<&'o Object<'a>>,
    /// The one with the endpoint's name.
    aor: Option<&'o Object<'a>>,
}

impl<'o, 'a> Account<'o, 'a> {
    pub(super) fn of(endpoint: &'o Object<'a>, all: &'o All<'a>) -> Self {
        let auths = || endpoint.items("auth").filter_map(|name| all.of(Type::Auth).get(name));
        let auth =
            auths().find(|auth| !auth.text("password").is_empty()).or_else(|| auths().next());
        let own = endpoint.items("aors").find(|name| *name == endpoint.name);
        let aor = own.and_then(|name| all.of(Type::Aor).get(name));
        Self { all, endpoint, auth, aor }
    }

    /// The peer, as Asterisk has it.
    pub(super) fn peer(&self, tag: Option<Arc<Tag>>) -> Peer {
        let endpoint = self.endpoint;
        let name = endpoint.name.clone().into_owned();
        let user = self.auth.map(|auth| auth.text("username").to_owned());
        let (registrar, transport) = self.registrar();
        Peer {
            auth_user: user.filter(|user| *user != name),
            name: Spanned::new(name, endpoint.span),
            tech: Tech::Pjsip,
            registrar: Some(Arc::new(registrar)),
            tag,
            kind: Kind::Friend,
            dynamic: self.aor.is_some_and(|aor| aor.number("max_contacts", 0) > 0),
            secret: self.auth.and_then(secret),
            md5secret: self.auth.and_then(digest_only),
            caller: callerid::parse(endpoint.text("callerid")),
            codecs: codecs_of(endpoint).into(),
            dtmf: dtmf(endpoint.text("dtmf_mode")),
            mailboxes: self.mailboxes(),
            vmexten: self.vmexten(),
            nat: nat(endpoint),
            language: endpoint.text("language").into(),
            transport,
            places: self.places(),
        }
    }

    /// Where the settings stand, in the order in which they are looked for.
    fn places(&self) -> Places {
        let endpoint = |keys: &[&str]| {
            let fields = last_of(self.endpoint, keys);
            fields.map(|field| field.span.into()).unwrap_or_default()
        };
        let both = |key: &str| {
            let objects = [Some(self.endpoint), self.aor].into_iter().flatten();
            let mut fields = objects.filter_map(|object| object.last(key));
            fields.find(|field| !field.value.is_empty()).map(|f| f.span.into())
        };
        let global = || self.all.global().map(|g| at(g, "default_voicemail_extension"));
        Places {
            caller: endpoint(&["callerid"]),
            codecs: endpoint(&["allow", "disallow"]),
            dtmf: endpoint(&["dtmf_mode"]),
            mailboxes: both("mailboxes").unwrap_or_default(),
            vmexten: both("voicemail_extension").or_else(global).unwrap_or_default(),
            nat: endpoint(&["force_rport", "rewrite_contact"]),
            language: endpoint(&["language"]),
        }
    }

    /// Those of the endpoint are told unasked; those of the AOR to a phone that subscribes.
    fn mailboxes(&self) -> Vec<String> {
        let of = |object: &Object<'_>| -> Vec<String> {
            options::mailboxes(object.text("mailboxes")).map(str::to_owned).collect()
        };
        let own = of(self.endpoint);
        if own.is_empty() { self.aor.map(of).unwrap_or_default() } else { own }
    }

    fn vmexten(&self) -> Option<Arc<str>> {
        let own = [Some(self.endpoint), self.aor].into_iter().flatten();
        let texts = own.map(|object| object.text("voicemail_extension"));
        let default = self.all.global().map(|global| global.text("default_voicemail_extension"));
        texts.chain(default).find(|text| !text.is_empty()).map(Arc::from)
    }

    fn registrar(&self) -> (Registrar, Transport) {
        let named = self.all.of(Type::Transport).get(self.endpoint.text("transport"));
        let (address, port, transport) = bound(named.or_else(|| self.all.transport()));
        let realm = self.auth.map(|auth| auth.text("realm")).filter(|realm| !realm.is_empty());
        let [min_expiry, max_expiry, default_expiry] =
            EXPIRIES.map(|(key, default)| self.aor.map_or(default, |aor| aor.number(key, default)));
        let realm = realm.map_or_else(|| self.all.realm(), str::to_owned);
        let bound_at = bound_at(named.or_else(|| self.all.transport()));
        let expiry_place = self.aor.map_or(Place::default(), |aor| at(aor, "maximum_expiration"));
        let registrar = Registrar {
            address,
            port,
            realm,
            min_expiry,
            max_expiry,
            default_expiry,
            address_place: bound_at,
            port_place: bound_at,
            expiry_place,
        };
        (registrar, transport)
    }

    /// What keeps the phone from using the account at all, if anything.
    pub(super) fn unusable(&self) -> Option<Diagnostic> {
        self.not_identified().or_else(|| self.no_password()).or_else(|| self.not_registrable())
    }

    fn not_identified(&self) -> Option<Diagnostic> {
        let lists = |object: &Object<'_>, key| {
            let unset = object.last(key).is_none_or(|field| field.value.is_empty());
            unset || object.items(key).any(|way| way.eq_ignore_ascii_case("username"))
        };
        let trouble = |place| codes::not_identified(self.endpoint, place);
        if !lists(self.endpoint, "identify_by") {
            return Some(trouble(self.endpoint.place("identify_by")));
        }
        let order = "endpoint_identifier_order";
        let global = self.all.global().filter(|global| !lists(global, order))?;
        Some(trouble(global.place(order)))
    }

    fn no_password(&self) -> Option<Diagnostic> {
        let auths = self.all.of(Type::Auth);
        let lost = |name: &&str| auths.get(name).is_none();
        if let Some(name) = self.endpoint.items("auth").find(lost) {
            return Some(absent(Type::Auth, auths, name, || {
                codes::missing(self.endpoint, "auth", name)
            }));
        }
        match self.auth {
            None => Some(codes::no_auth(self.endpoint)),
            Some(auth) => auth.text("password").is_empty().then(|| codes::no_password(auth)),
        }
    }

    fn not_registrable(&self) -> Option<Diagnostic> {
        let Some(aor) = self.aor else {
            let named = self.endpoint.items("aors").any(|name| name == self.endpoint.name);
            let none = || codes::no_aor(self.endpoint);
            let aors = self.all.of(Type::Aor);
            return Some(if named {
                absent(Type::Aor, aors, &self.endpoint.name, none)
            } else {
                none()
            });
        };
        (aor.number("max_contacts", 0) == 0).then(|| codes::no_contacts(aor))
    }

    /// What else should be told about a tagged account.
    pub(super) fn slips(&self) -> Vec<Diagnostic> {
        let mut slips = Vec::new();
        let endpoint = self.endpoint;
        if codecs_of(endpoint).is_empty() {
            slips.push(codes::no_codec(endpoint));
        }
        for name in options::mailboxes(endpoint.text("mailboxes")).filter(|m| !m.contains('@')) {
            slips.push(codes::bare_mailbox(name, endpoint.place("mailboxes")));
        }
        let alone = |aor: &&Object<'_>| {
            aor.number("max_contacts", 0) == 1
                && !aor.flag("remove_existing", false)
                && !aor.flag("remove_unavailable", false)
        };
        slips.extend(self.aor.filter(alone).map(codes::stuck));
        let transports = self.all.of(Type::Transport);
        let transport = endpoint.text("transport");
        if !transport.is_empty() && transports.get(transport).is_none() {
            let mut trouble = absent(Type::Transport, transports, transport, || {
                codes::missing(endpoint, "transport", transport)
            });
            trouble.level = crate::base::Level::Warning;
            slips.push(trouble);
        }
        slips
    }
}

/// Why an object is not there: Asterisk rejects it, loads none of its type, or there is no section.
fn absent(
    kind: Type,
    objects: &Objects<'_>,
    name: &str,
    otherwise: impl FnOnce() -> Diagnostic,
) -> Diagnostic {
    match (objects.fault(name), objects.twice) {
        (Some(fault), _) => codes::not_loaded(kind, name, fault),
        (None, Some(places)) => codes::twice(kind, places),
        (None, None) => otherwise(),
    }
}

fn secret(auth: &Object<'_>) -> Option<Spanned<Secret>> {
    let field = auth.last("password").filter(|field| !field.value.is_empty())?;
    Some(Spanned::new(Secret::new(field.value.clone().into_owned()), field.span))
}

/// Only a digest of the password is known.
fn digest_only(auth: &Object<'_>) -> Option<Spanned<()>> {
    if !auth.text("password").is_empty() {
        return None;
    }
    let digest = ["md5_cred", "password_digest"].into_iter().filter_map(|key| auth.last(key));
    digest.map(|field| Spanned::new((), field.span)).next()
}

/// `allow` and `disallow` in their order; nothing to begin with.
fn codecs_of(endpoint: &Object<'_>) -> Codecs {
    let mut list = Codecs::new();
    for field in &endpoint.fields {
        let allowing = field.is("allow");
        if allowing || field.is("disallow") {
            // What is unknown has rejected the endpoint before.
            let _ = codecs::update(&mut list, &field.value, allowing);
        }
    }
    list
}

/// `auto_info` is INFO where telephone events are not offered, as `auto` is tones; a phone offers
/// them. With `none` Asterisk passes on what is in the audio.
fn dtmf(mode: &str) -> Dtmf {
    match mode.to_ascii_lowercase().as_str() {
        "inband" | "none" => Dtmf::Inband,
        "info" => Dtmf::Info,
        "auto" | "auto_info" => Dtmf::Auto,
        _ => Dtmf::Rfc2833,
    }
}

/// `force_rport` (which is on unless set) sends answers, and `rewrite_contact` requests, to the port
/// that a packet came from. `rtp_symmetric` is chan_sip's `comedia`.
fn nat(endpoint: &Object<'_>) -> Nat {
    let force = endpoint.flag("force_rport", true) || endpoint.flag("rewrite_contact", false);
    Nat {
        force_rport: force,
        auto_force_rport: false,
        comedia: endpoint.flag("rtp_symmetric", false),
    }
}

/// Address (no wildcard), port and kind of a transport; UDP at 5060 where there is none.
pub(super) fn bound(transport: Option<&Object<'_>>) -> (Option<IpAddr>, u16, Transport) {
    let Some(object) = transport else { return (None, 5060, Transport::Udp) };
    let kind = protocol(object);
    let usual = if kind == Transport::Tls { 5061 } else { 5060 };
    let (address, port) = match options::address(object.text("bind")) {
        Some((address, port)) => (Some(address), port),
        None => (None, None),
    };
    (address.filter(|ip| !ip.is_unspecified()), port.unwrap_or(usual), kind)
}

/// Where [`bound`] has its answer from.
pub(super) fn bound_at(transport: Option<&Object<'_>>) -> Place {
    transport.map_or(Place::default(), |object| at(object, "bind"))
}

fn at(object: &Object<'_>, key: &str) -> Place {
    Place(object.last(key).map(|field| field.span))
}

/// The last field of one of these keys.
fn last_of<'o, 'a>(object: &'o Object<'a>, keys: &[&str]) -> Option<&'o Field<'a>> {
    object.fields.iter().rev().find(|field| keys.iter().any(|key| field.is(key)))
}

pub(super) fn protocol(transport: &Object<'_>) -> Transport {
    match transport.text("protocol").to_ascii_lowercase().as_str() {
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        "ws" | "wss" => Transport::Ws,
        _ => Transport::Udp,
    }
}
