//! What the core learns of phones on the firmware ladder: from the names that they ask for, the images
//! that they fetch, and what they call themselves. Plain bookkeeping; the rules: [`crate::plan::ladder`].

use std::net::IpAddr;
use std::time::Duration;

use tracing::{info, warn};

use super::core::Core;
use super::event::{Outcome, Transfer};
use crate::base::{HashMap, Mac, Time};
use crate::family::Role;
use crate::family::ladder::Ladder;
use crate::plan::generation::PhonePart;
use crate::plan::ladder::{Climb, Given};
use crate::plan::offer::Offer;

/// A MAC in a name tells for so long who is at an address.
const NAMED: Duration = Duration::from_secs(600);
/// So many addresses are remembered.
const NAMED_MAX: usize = 4096;

/// Who was heard of at which address; nobody, where several were.
#[derive(Debug, Default)]
pub(super) struct Heard(HashMap<IpAddr, (Option<Mac>, Time)>);

impl Heard {
    fn at(&mut self, address: IpAddr, mac: Mac, now: Time) {
        if self.0.len() >= NAMED_MAX {
            self.0.retain(|_, (_, at)| now.since(*at) < NAMED);
        }
        let other = self.0.get(&address).filter(|(_, at)| now.since(*at) < NAMED);
        let alone = other.is_none_or(|(known, _)| *known == Some(mac));
        if self.0.len() < NAMED_MAX {
            self.0.insert(address, (Some(mac).filter(|_| alone), now));
        }
    }

    fn who(&self, address: IpAddr, now: Time) -> Option<Mac> {
        let (mac, at) = self.0.get(&address)?;
        mac.filter(|_| now.since(*at) < NAMED)
    }
}

impl Core {
    /// What a request tells about the firmware of who asked.
    pub(super) fn climbing(&mut self, transfer: &Transfer, now: Time) {
        if self.offer.newest.ladders.is_empty() {
            return;
        }
        let offer = self.offer.clone();
        let name = transfer.name.trim_start_matches(['.', '/']);
        let address = transfer.asker.ip().to_canonical();
        let complete = transfer.outcome == Outcome::Complete;
        let ticket = transfer.ticket;
        let within = Mac::within(name.as_bytes());
        if let Some(mac) = within {
            self.heard.at(address, mac, now);
        }
        let named = within.filter(|mac| offer.phones.contains_key(mac));
        if let Some(mac) = named {
            if ticket.is_some_and(|ticket| complete && ticket.role == Role::Own) {
                self.change(&offer, mac, |climb, ladder| climb.own_file(ladder, now));
            }
            if let Some(program) = offer.sign(name, named) {
                self.change(&offer, mac, |climb, ladder| climb.sign(ladder, program, now));
            }
        } else if let Some(ticket) = ticket.filter(|t| complete && t.role == Role::Firmware) {
            if let Some((mac, load)) = ticket.mac.and_then(|mac| self.told(&offer, mac, name)) {
                self.change(&offer, mac, |climb, _| climb.told(&load, now));
            }
        } else if offer.newest.ladders.iter().any(|ladder| ladder.image(name).is_some())
            && let Some(mac) = self.whose(address, now)
        {
            let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
            self.change(&offer, mac, |climb, ladder| match complete {
                true => climb.fetched(ladder, name, now),
                false => climb.asked(kind),
            });
        }
    }

    /// The load that a file names to a phone on its way.
    fn told(&self, offer: &Offer, mac: Mac, name: &str) -> Option<(Mac, String)> {
        let part = offer.phones.get(&mac)?;
        let ladder = offer.ladder(part)?;
        let choice = offer.choice(part, self.observed.phones.get(&mac));
        let rung = |given| match given {
            Given::Rung(number) => ladder.rungs.get(usize::from(number)),
            Given::Plain | Given::Target => None,
        };
        let mut rungs = [choice.usual, choice.hunting].into_iter().filter_map(rung);
        let rung = rungs.find(|rung| rung.files.iter().any(|told| told.name.as_str() == name))?;
        Some((mac, rung.load.clone()))
    }

    /// Whose address it is, as far as anything tells.
    fn whose(&self, address: IpAddr, now: Time) -> Option<Mac> {
        let neighbour = self.access.neighbour(address);
        let known = neighbour.filter(|mac| self.offer.phones.contains_key(mac));
        known.or_else(|| self.askers.only(address)).or_else(|| self.heard.who(address, now))
    }

    /// A line of a phone is registered: what it calls itself tells what it runs, unless that was said
    /// before the phone last showed something else.
    pub(super) fn agent(&mut self, mac: Mac, now: Time) {
        if self.offer.newest.ladders.is_empty() {
            return;
        }
        let offer = self.offer.clone();
        let Some(part) = offer.phones.get(&mac).filter(|part| offer.ladder(part).is_some()) else {
            return;
        };
        let seen = self.observed.phones.get(&mac);
        let climb = seen.and_then(|seen| seen.climb.as_ref());
        // What is known of a phone that needs no step is enough.
        if climb.is_none() && seen.is_some_and(|seen| seen.signed) {
            return;
        }
        let since = climb.map_or(Time(0), |climb| climb.since);
        let told = part.peers().find_map(|peer| {
            let peer = self.observed.peers.get(peer)?;
            // An event tells of a REGISTER before Asterisk is asked what it brought.
            let told = |at: Time| at > since && peer.heard >= at;
            let fresh = since == Time(0) || peer.registered.is_some_and(told);
            peer.facts.user_agent.as_deref().filter(|_| fresh && peer.facts.address.is_some())
        });
        let family = self.families.get(&part.family);
        let major = told.and_then(|agent| family?.user_agent(agent)?.sip);
        let Some(major) = major else { return };
        self.change(&offer, mac, |climb, _| climb.agent(major, now));
    }

    /// Changes what is known of a phone's way, and tells what came of it.
    fn change(&mut self, offer: &Offer, mac: Mac, change: impl FnOnce(&mut Climb, &Ladder)) {
        let Some(ladder) = offer.phones.get(&mac).and_then(|part| offer.ladder(part)) else {
            return;
        };
        let seen = self.observed.phones.entry(mac).or_default();
        let mut climb = seen.climb.as_deref().cloned().unwrap_or_default();
        if climb.runs.is_none() && seen.signed {
            // It needs no step: its own loader asks at every start.
            let before = climb.clone();
            change(&mut climb, ladder);
            if climb.arriving == before.arriving {
                return;
            }
        } else {
            change(&mut climb, ladder);
        }
        if seen.climb.as_deref() == Some(&climb) {
            return;
        }
        let before = seen.climb.as_deref().cloned().unwrap_or_default();
        match (&climb.off, climb.runs) {
            (Some(why), _) if before.off.is_none() => {
                warn!(phone = %mac, why, "taken off the firmware ladder");
            }
            (_, Some(runs)) if before.runs != climb.runs => {
                info!(phone = %mac, %runs, "seen running");
            }
            _ => {}
        }
        seen.climb = Some(Box::new(climb));
        self.dirty.insert(mac);
        self.stirred.insert(mac);
        self.changed = true;
    }

    /// Where another server serves what we export, a phone is taken to run what was there first.
    pub(super) fn assume(&mut self, part: &PhonePart) {
        if self.site.tftp.listen.is_none() {
            let seen = self.observed.phones.entry(part.mac).or_default();
            seen.assumed = seen.assumed.or_else(|| part.chosen(false).map(|v| v.token));
        }
    }

    /// Puts phones back onto the ladder: how many were off it.
    pub(super) fn retry(&mut self, phones: &[Mac]) -> usize {
        let mut back = 0;
        for mac in phones {
            let climb = self.observed.phones.get_mut(mac).and_then(|seen| seen.climb.as_mut());
            if climb.is_some_and(|climb| climb.retry()) {
                back += 1;
                self.dirty.insert(*mac);
                self.stirred.insert(*mac);
                self.changed = true;
            }
        }
        back
    }
}
