//! What is computed from peers and site before a template runs: every value has a name that a
//! manifest may use (`value NAME`), and remembers the setting that it came from.

use std::borrow::Cow;
use std::fmt;

use crate::base::{Key, Place, Span};
use crate::model::peer::{Dtmf, Peer, Registrar};
use crate::model::phone::Phone;
use crate::model::zone::{Change, Week};

use super::Surroundings;
use super::clock::Clock;

/// The computed values of a phone as a whole.
pub(super) const PHONE: &[&str] = &[
    "server",
    "firmware",
    "sync",
    "phone_password",
    "directory_url",
    "services_url",
    "logo_url",
    "register_expires",
    "nat",
    "messages",
    "codecs",
    "dtmf",
    "ntp_server",
    "time_zone",
    "dst",
    "dst_offset",
    "dst_start_month",
    "dst_start_weekday",
    "dst_start_week",
    "dst_start_time",
    "dst_stop_month",
    "dst_stop_weekday",
    "dst_stop_week",
    "dst_stop_time",
];

/// The computed values of one line.
pub(super) const LINE: &[&str] = &[
    "server",
    "registrar_port",
    "line_name",
    "line_authname",
    "line_password",
    "line_displayname",
    "line_label",
];

/// A computed value.
#[derive(Clone, Debug)]
pub(super) struct Computed<'a> {
    /// What it is.
    pub(super) words: Words<'a>,
    /// What it came from.
    pub(super) origin: Origin<'a>,
}

/// One word, or several of which the first is taken that the family has a word for.
#[derive(Clone, Debug)]
pub(super) enum Words<'a> {
    One(Cow<'a, str>),
    First(&'a [&'static str]),
}

/// The setting that brought a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    /// What it is, in the words of Asterisk.
    pub(super) thing: &'static str,
    /// Whose it is.
    pub(super) peer: Option<&'a str>,
    /// Where it stands, else the place of the peer.
    pub(super) span: Option<Span>,
    /// The setting itself stands there, not only the peer that it holds for.
    pub(super) exact: bool,
    /// The value is the setting as it was written, or a part of it.
    pub(super) written: bool,
}

impl Origin<'_> {
    /// As it was written.
    fn as_written(mut self) -> Self {
        self.written = self.exact;
        self
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "the {} of peer `{peer}`", self.thing),
            None => write!(f, "the {}", self.thing),
        }
    }
}

/// What values of one phone are computed from.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) phone: &'a Phone,
    pub(super) around: &'a Surroundings<'a>,
    pub(super) clock: &'a Clock,
    /// The server's address as text.
    pub(super) server: &'a str,
    /// The load that the variant names.
    pub(super) firmware: Option<&'a str>,
    /// Where the setting that asks for it stands.
    pub(super) firmware_at: Option<Span>,
    /// Stands for the sync token until it is known.
    pub(super) marker: &'a str,
}

fn one<'a>(text: impl Into<Cow<'a, str>>, origin: Origin<'a>) -> Option<Computed<'a>> {
    Some(Computed { words: Words::One(text.into()), origin })
}

const fn site(thing: &'static str, span: Option<Span>) -> Origin<'static> {
    Origin { thing, peer: None, span, exact: span.is_some(), written: false }
}

fn of<'a>(peer: &'a Peer, thing: &'static str, place: impl Into<Place>) -> Origin<'a> {
    let Place(place) = place.into();
    let span = place.or(Some(peer.name.span));
    Origin { thing, peer: Some(&peer.name.value), span, exact: place.is_some(), written: false }
}

impl<'a> Inputs<'a> {
    /// A value of [`PHONE`]; none when there is nothing to say.
    pub(super) fn phone_value(&self, name: &str) -> Option<Computed<'a>> {
        let first = &self.phone.lines.first()?.peer;
        match name {
            "server" => one(self.server, self.server_origin()),
            "firmware" => one(self.firmware?, site("firmware", self.firmware_at).as_written()),
            "sync" => one(self.marker, site("sync token", None)),
            "phone_password" => {
                one(password(self.around.key, self.phone), site("phone password", None))
            }
            "register_expires" => {
                let own = self.phone.lines.first().and_then(|l| l.peer.registrar.as_deref());
                let place = own.unwrap_or(self.around.registrar).expiry_place.0;
                one(register_expires(self.phone, self.around), site("registration time", place))
            }
            "nat" => {
                let peer = self.phone.lines.iter().map(|l| &l.peer).find(|p| p.nat.force_rport);
                let word = if peer.is_some() { "yes" } else { "no" };
                let peer = peer.unwrap_or(first);
                one(word, of(peer, "`nat`", peer.places.nat))
            }
            "messages" => {
                let with_box = self.phone.lines.iter().map(|l| &l.peer);
                let peer = with_box
                    .filter(|p| !p.mailboxes.is_empty())
                    .find(|p| p.vmexten.as_ref().is_some_and(|v| !v.is_empty()))?;
                one(
                    peer.vmexten.as_deref()?,
                    of(peer, "`vmexten`", peer.places.vmexten).as_written(),
                )
            }
            "codecs" => Some(Computed {
                words: Words::First(&first.codecs),
                origin: of(first, "`allow`", first.places.codecs),
            }),
            "dtmf" => one(dtmf(first.dtmf), of(first, "`dtmfmode`", first.places.dtmf)),
            "ntp_server" => {
                if !self.clock.known {
                    return None;
                }
                match self.around.site.ntp_server.as_ref() {
                    Some(server) => {
                        let origin = site("ntp_server", Some(server.span)).as_written();
                        one(server.value.as_str(), origin)
                    }
                    None => one(self.server, self.server_origin()),
                }
            }
            "directory_url" | "services_url" => {
                let path = name.strip_suffix("_url")?;
                one(format!("{}/{path}", self.http()?), site("HTTP service", self.http_at()))
            }
            "logo_url" => {
                let set = self.around.site.http.logo.as_ref();
                let logo = set.filter(|logo| self.around.statics.contains(&logo.value))?;
                let origin = site("`logo`", Some(logo.span));
                one(format!("{}/{}", self.http()?, logo.value), origin)
            }
            name => self.clock_value(name),
        }
    }

    /// What the URLs of our own HTTP service begin with, if there is one.
    fn http(&self) -> Option<String> {
        self.around.site.http.base(self.around.server)
    }

    fn http_at(&self) -> Option<Span> {
        self.around.site.http.listen.as_ref().map(|listen| listen.span)
    }

    fn clock_value(&self, name: &str) -> Option<Computed<'a>> {
        let origin = site("timezone", self.around.site.timezone.as_ref().map(|z| z.span));
        let dst = self.clock.dst.as_ref();
        match name {
            "time_zone" => one(self.clock.code.as_deref()?, origin),
            "dst" => one(if dst.is_some() { "yes" } else { "no" }, origin),
            "dst_offset" => one((dst?.delta / 3600).to_string(), origin),
            name => {
                let (change, part) = match name.strip_prefix("dst_start_") {
                    Some(part) => (dst?.start, part),
                    None => (dst?.stop, name.strip_prefix("dst_stop_")?),
                };
                one(change_part(change, part)?, origin)
            }
        }
    }

    /// A value of [`LINE`]; none for a line without an account.
    pub(super) fn line_value(&self, name: &str, line: u8) -> Option<Computed<'a>> {
        let line = self.phone.lines.iter().find(|l| l.number == line)?;
        let peer = &line.peer;
        let named = peer.name.span;
        match name {
            "server" => one(self.server, self.server_origin()),
            "registrar_port" => {
                let registrar = registrar(peer, self.around);
                let origin = site("SIP port of Asterisk", registrar.port_place.0);
                one(registrar.port.to_string(), origin.as_written())
            }
            "line_authname" if peer.auth_user.is_some() => one(
                peer.auth_user.as_deref()?,
                of(peer, "user name of the auth", named).as_written(),
            ),
            "line_name" | "line_authname" => {
                one(peer.name.value.as_str(), of(peer, "name", named).as_written())
            }
            "line_password" => {
                let secret = peer.secret.as_ref().filter(|s| !s.value.reveal().is_empty())?;
                one(secret.value.reveal(), of(peer, "secret", secret.span).as_written())
            }
            "line_label" if !line.label.is_empty() => {
                let label = peer.tag.as_ref().and_then(|t| t.label.as_ref());
                let span = label.map_or(named, |l| l.span);
                one(line.label.as_str(), of(peer, "label", span).as_written())
            }
            "line_displayname" | "line_label" if peer.caller.name.is_empty() => {
                one(peer.name.value.as_str(), of(peer, "name", named).as_written())
            }
            "line_displayname" | "line_label" => {
                let origin = of(peer, "caller name", peer.places.caller);
                one(peer.caller.name.as_str(), origin.as_written())
            }
            _ => None,
        }
    }

    /// The address that handset.conf names, else the one that Asterisk binds to, else the host's.
    fn server_origin(&self) -> Origin<'static> {
        let set = self.around.site.server_address.as_ref().map(|a| a.span);
        let bound = self.around.registrar.address.filter(|bound| *bound == self.around.server);
        let bound = bound.and(self.around.registrar.address_place.0);
        site("server address", set.or(bound)).as_written()
    }
}

fn dtmf(mode: Dtmf) -> &'static str {
    match mode {
        Dtmf::Rfc2833 => "rfc2833",
        Dtmf::Inband => "inband",
        Dtmf::Info => "info",
        Dtmf::Auto => "auto",
    }
}

/// Where an account registers: chan_pjsip's have each their own.
fn registrar<'a>(peer: &'a Peer, around: &Surroundings<'a>) -> &'a Registrar {
    peer.registrar.as_deref().unwrap_or(around.registrar)
}

/// What the phone asks for, seconds: its own default, kept within what the registrars of all its
/// lines grant.
fn register_expires(phone: &Phone, around: &Surroundings<'_>) -> String {
    let all = || phone.lines.iter().map(|line| registrar(&line.peer, around));
    let least = all().map(|registrar| registrar.min_expiry).max().unwrap_or(0);
    let most = all().map(|registrar| registrar.max_expiry.max(1)).min().unwrap_or(3600);
    3600.max(least).min(most).to_string()
}

/// Letters and digits that cannot be taken for each other.
const READABLE: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The password of the phone's own menus: from the site key, 60 bits, typable.
fn password(key: &Key, phone: &Phone) -> String {
    let digest = key.digest("phone password", [phone.mac.bytes().as_slice()]);
    let chosen = digest.bytes().into_iter().take(12);
    chosen.map(|b| char::from(READABLE[usize::from(b & 31)])).collect()
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

fn change_part(change: Change, part: &str) -> Option<Cow<'static, str>> {
    Some(match part {
        "month" => (*MONTHS.get(usize::from(change.month).checked_sub(1)?)?).into(),
        "weekday" => (*DAYS.get(usize::from(change.weekday))?).into(),
        "week" => match change.week {
            Week::Nth(nth) => nth.to_string().into(),
            Week::Last => "last".into(),
        },
        "time" => format!("{:02}", change.time / 3600).into(),
        _ => return None,
    })
}
