//! pjsip.conf and pjsip_wizard.conf → peers, with chan_pjsip's rules (asterisk-conf.md §4; tests/pjsip
//! asks a real Asterisk 22).
//!
//! [`object`] collects the sections of each type and rejects what Asterisk rejects by the tables of
//! [`keys`]; [`wizard`] makes more objects; [`account`] joins an endpoint with its auth, AOR and
//! transport; [`tags`] finds the phone of each endpoint.
//!
//! Here an endpoint's `force_rport` (on unless set) and `rewrite_contact` both become
//! [`super::Nat::force_rport`], `rtp_symmetric` becomes [`super::Nat::comedia`]: a 7940 then must send
//! from the port that it listens on (`nat_enable: 1`), or it hears no answer (phones.md §2.16).

mod account;
mod codes;
mod keys;
mod object;
mod tags;
mod wizard;

#[cfg(test)]
mod tests;

pub use codes::CODES;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::account::Account;
use self::keys::Type;
use self::object::{Object, Objects};
use self::wizard::Made;
use super::spoilt::spoilt;
use super::{Peer, Refused, Registrar};
use crate::base::{Code, Diagnostic, Place, Span};
use crate::conf::{Conf, Section};
use crate::model::tag::Tag;

/// What pjsip.conf and pjsip_wizard.conf say.
#[derive(Clone, Debug)]
pub struct PjsipReading {
    /// The first UDP transport (else the first one) and chan_pjsip's defaults: where a phone
    /// registers whose endpoint names no transport. Each peer has its own in [`Peer::registrar`].
    pub registrar: Registrar,
    /// Every endpoint that Asterisk has, tagged or not: those of pjsip.conf in their order, then
    /// those of the wizard.
    pub peers: Vec<Arc<Peer>>,
    /// Tags that stand where no line can come of them: their phones are held back.
    pub refused: Vec<Refused>,
    /// What is wrong with tagged endpoints.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads pjsip.conf and pjsip_wizard.conf, each with the tags of its sections
/// ([`crate::model::tag::attach`]). Keys that tie an endpoint to a phone (`@mac=`,
/// `set_var=PHONE_MAC=`, phoneprov objects) count beside the comments. Phones named in tags that
/// could not be used are refused without a further message.
pub fn from_pjsip(
    pjsip: &Conf,
    wizard: Option<&Conf>,
    tags_of_pjsip: &[Option<Arc<Tag>>],
    tags_of_wizard: &[Option<Arc<Tag>>],
) -> PjsipReading {
    let all = All::read(pjsip, wizard);
    let mut found = tags::find(&all, (pjsip, tags_of_pjsip), wizard.map(|w| (w, tags_of_wizard)));
    let mut reading = Reading {
        diagnostics: std::mem::take(&mut found.diagnostics),
        refused: std::mem::take(&mut found.refused),
        told: BTreeSet::new(),
    };
    let peers = all.of(Type::Endpoint).iter().map(|endpoint| {
        let tag = found.of(&endpoint.name);
        Arc::new(reading.peer(&Account::of(endpoint, &all), tag))
    });
    let peers = peers.collect();
    let Reading { mut refused, diagnostics, .. } = reading;
    refused.extend(spoilt(pjsip, tags_of_pjsip));
    refused.extend(wizard.into_iter().flat_map(|conf| spoilt(conf, tags_of_wizard)));
    PjsipReading { registrar: all.registrar(), peers, refused, diagnostics }
}

struct Reading {
    refused: Vec<Refused>,
    diagnostics: Vec<Diagnostic>,
    /// What concerns many endpoints at one place (a template, a shared auth) is told once.
    told: BTreeSet<(&'static str, Option<Span>)>,
}

impl Reading {
    fn peer(&mut self, account: &Account<'_, '_>, tag: Option<Arc<Tag>>) -> Peer {
        if let Some(tag) = &tag {
            if let Some(trouble) = account.unusable() {
                let reason = trouble.message.clone();
                self.refused.push(Refused { mac: tag.mac.clone(), reason });
                self.tell(trouble.see(tag.span(), "the phone is tied to it here"));
            }
            account.slips().into_iter().for_each(|slip| self.tell(slip));
        }
        account.peer(tag)
    }

    fn tell(&mut self, trouble: Diagnostic) {
        let Code { id, .. } = trouble.code;
        if self.told.insert((id, trouble.span)) {
            self.diagnostics.push(trouble);
        }
    }
}

/// All objects that a phone depends on.
pub(super) struct All<'a> {
    objects: [Objects<'a>; Type::ALL.len()],
}

impl<'a> All<'a> {
    fn read(pjsip: &'a Conf, wizard: Option<&'a Conf>) -> Self {
        let mut all = Self { objects: Default::default() };
        for section in &pjsip.sections {
            if let Some(kind) = type_of(section).filter(|_| !section.template) {
                all.objects[kind as usize].take(kind, Object::of(section));
            }
        }
        let from = Type::ALL.map(|kind| all.of(kind).len());
        for section in wizard.iter().flat_map(|conf| &conf.sections) {
            if wizard::is_wizard(section) {
                Type::ALL.into_iter().for_each(|kind| all.make(section, kind, from[kind as usize]));
            }
        }
        all
    }

    fn make(&mut self, section: &'a Section, kind: Type, from: usize) {
        let objects = &mut self.objects[kind as usize];
        match wizard::make(section, kind) {
            Made::Nothing => {}
            Made::Object(object) => objects.wizard(kind, object, from),
            Made::Lacks { name, what } => objects.lacks(name, what, section.span),
        }
    }

    /// The objects of a type.
    fn of(&self, kind: Type) -> &Objects<'a> {
        &self.objects[kind as usize]
    }

    /// The settings of chan_pjsip as a whole.
    fn global(&self) -> Option<&Object<'a>> {
        self.of(Type::Global).iter().next()
    }

    fn realm(&self) -> String {
        let set = self.global().map(|global| global.text("default_realm"));
        set.filter(|realm| !realm.is_empty()).unwrap_or("asterisk").to_owned()
    }

    /// What an endpoint uses that names none: the first for UDP, which every phone speaks.
    fn transport(&self) -> Option<&Object<'a>> {
        let transports = || self.of(Type::Transport).iter();
        let udp = |t: &&Object<'_>| account::protocol(t) == super::Transport::Udp;
        transports().find(udp).or_else(|| transports().next())
    }

    fn registrar(&self) -> Registrar {
        let (address, port, _) = account::bound(self.transport());
        Registrar {
            address,
            port,
            realm: self.realm(),
            min_expiry: 60,
            max_expiry: 7200,
            default_expiry: 3600,
            address_place: account::bound_at(self.transport()),
            port_place: account::bound_at(self.transport()),
            expiry_place: Place::default(),
        }
    }
}

/// The type of a section: what its first `type` says, in exactly this case.
fn type_of(section: &Section) -> Option<Type> {
    let first = section.entries.iter().find(|entry| entry.name.is("type"))?;
    Type::named(first.value.as_bytes())
}
