//! Where phones are: whose contact Asterisk has at a peer, and how a phone can be told.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::generation::PhonePart;
use super::observed::{Asker, Notified, Observed, Seen, Told};
use super::offer::Offer;
use crate::base::{HashMap, Mac};

/// The phones by where they were last proved to be.
pub type Places = HashMap<SocketAddr, Mac>;

/// Where a phone can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach<'a> {
    /// A peer of it has a contact.
    Peer(&'a str),
    /// None has; it was here, and ran a line of this name.
    Last {
        /// The contact that it had.
        to: SocketAddr,
        /// The line.
        user: &'a str,
    },
}

/// The peers that a phone runs, as far as is known.
pub fn names<'a>(part: &'a PhonePart, seen: &'a Seen) -> impl Iterator<Item = &'a str> + Clone {
    let left = seen.left.iter().map(String::as_str);
    let lines = part.lines.iter().map(|line| line.peer.as_str());
    left.chain(lines.filter(|_| seen.left.is_empty()))
}

/// So many peers that a phone ran before are remembered.
const BEFORE_MAX: usize = 16;

impl Seen {
    /// The phone shall run other peers than those of `old`. It runs `old`, if that is proved or was
    /// fetched since; else what it ran before. Tells whether that is news.
    pub fn leave(&mut self, old: &PhonePart) -> bool {
        let Some(running) = self.running else { return false };
        let fetches = [self.fetched, self.doubtful].into_iter().flatten();
        let last = fetches.max_by_key(|fetch| fetch.at).filter(|fetch| fetch.at > running.at);
        if !self.left.is_empty() && !last.is_some_and(|fetch| old.is_run(fetch.token)) {
            return false;
        }
        self.left = old.peers().map(str::to_owned).collect();
        self.before.retain(|peer| !self.left.contains(peer));
        self.before.extend_from_slice(&self.left);
        let over = self.before.len().saturating_sub(BEFORE_MAX);
        self.before.drain(..over);
        true
    }
}

impl Observed {
    /// What was known before a restart: nothing about registrations.
    pub fn restored(phones: BTreeMap<Mac, Seen>, unknown: BTreeMap<Mac, Asker>) -> Self {
        let contacts = phones.iter().filter_map(|(mac, seen)| Some((seen.contact?, *mac)));
        Self { places: contacts.collect(), phones, unknown, ..Self::default() }
    }

    /// Where a phone can be told: at the peers that it runs; else where it was when something was last
    /// proved.
    pub fn reach<'a>(&self, part: &'a PhonePart, seen: &'a Seen) -> Option<Reach<'a>> {
        let mut names = names(part, seen);
        let here = names.clone().find(|peer| self.found(peer, seen).is_some()).map(Reach::Peer);
        // One that has no line of that name runs what it shall run already, or what it ran before.
        let refused = |told: &&Told| told.result == Notified::Answered(404);
        let refused = seen.told.as_ref().filter(refused).map_or(0, |told| told.unsent);
        let last = || {
            let to = seen.contact.filter(|to| to.port() != 0 && seen.running.is_some());
            let before = seen.before.iter().map(String::as_str);
            let users = names.next().into_iter().chain(part.peers().next()).chain(before);
            let user = users.clone().cycle().nth(refused as usize % users.count().max(1));
            Some(Reach::Last { to: to?, user: user? })
        };
        here.or_else(last)
    }

    /// The contact of a phone at a peer that it runs. At one that it shall leave only where the phone was
    /// proved to be: the one that shall have the peer may be there already.
    pub fn found(&self, peer: &str, seen: &Seen) -> Option<SocketAddr> {
        let own =
            |at: &SocketAddr| seen.address.is_none_or(|known| known == at.ip().to_canonical());
        self.its(peer, seen).filter(|at| seen.left.is_empty() || own(at))
    }

    /// The contact at a peer, unless it is that of the phone that had the peer before: one that has not
    /// restarted yet goes on registering with it, and Asterisk has but the last one.
    pub(super) fn its(&self, peer: &str, seen: &Seen) -> Option<SocketAddr> {
        self.contact(peer).filter(|at| seen.contact == Some(*at) || !self.had(peer, *at))
    }

    /// Whether the phone that was proved to be at a place had the peer before.
    fn had(&self, peer: &str, at: SocketAddr) -> bool {
        let there = self.places.get(&at).and_then(|mac| self.phones.get(mac));
        let there = there.filter(|seen| seen.contact == Some(at));
        there.is_some_and(|seen| seen.before.iter().any(|before| before == peer))
    }

    /// Whether Asterisk has a contact for the peer.
    pub fn contact(&self, peer: &str) -> Option<SocketAddr> {
        self.peers.get(peer).and_then(|p| p.facts.address)
    }

    /// Where a phone fetched its own file and Asterisk has its contact, there it is, whether or not a
    /// REGISTER was seen that proves what it runs. Tells whether that is news.
    pub fn settle(&mut self, mac: Mac, offer: &Offer) -> bool {
        let seen = self.phones.get(&mac).filter(|seen| seen.left.is_empty());
        let (Some(part), Some(seen)) = (offer.phones.get(&mac), seen) else { return false };
        let Some(fetched) = seen.fetched else { return false };
        let mut contacts = part.peers().filter_map(|peer| self.its(peer, seen));
        let here = contacts.find(|at| at.ip().to_canonical() == fetched.from);
        let moved = here.filter(|here| seen.contact != Some(*here));
        moved.into_iter().for_each(|to| self.moved(mac, to));
        moved.is_some()
    }

    /// A phone is at a place.
    pub(super) fn moved(&mut self, mac: Mac, to: SocketAddr) {
        let seen = self.phones.entry(mac).or_default();
        if let Some(left) = seen.contact.replace(to)
            && self.places.get(&left) == Some(&mac)
        {
            self.places.remove(&left);
        }
        self.places.insert(to, mac);
    }
}
