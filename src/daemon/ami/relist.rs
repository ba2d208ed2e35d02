//! Listing all peers: SIPpeers, PJSIPShowEndpoints and the contacts, then the details of those that
//! are followed.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::endpoints::Endpoints;
use super::pipeline::{Ask, Pipeline, Why};
use crate::base::Tech;
use crate::plan::observed::{PeerFacts, Visible};
use crate::wire::ami::pjsip::{self, Contact};
use crate::wire::ami::{Frame, peer};

/// More peers than this are left out.
const PEERS_MAX: usize = 100_000;

/// Which driver a name is meant for, where both have it.
pub(super) type Techs = BTreeMap<String, Tech>;

/// All peers by name: the driver, and the name as bytes.
pub(super) type Known = BTreeMap<String, (Tech, Bytes)>;

/// A list being made.
#[derive(Default)]
pub(super) struct Relist {
    /// Of both drivers, chan_sip's before chan_pjsip's.
    rows: BTreeMap<(String, Tech), Row>,
    /// Details that are still to come.
    waiting: usize,
    /// Details of some peer could not be had.
    incomplete: bool,
    /// All lists have ended.
    ended: bool,
}

struct Row {
    name: Bytes,
    facts: PeerFacts,
}

impl Relist {
    /// An item of SIPpeers or PJSIPShowEndpoints.
    pub(super) fn item(&mut self, frame: &Frame) {
        let Some((name, facts)) = peer::entry(frame).or_else(|| pjsip::entry(frame)) else {
            return;
        };
        if self.rows.len() < PEERS_MAX {
            self.rows.insert((facts.peer.clone(), facts.tech), Row { name, facts });
        }
    }

    /// A registered contact; `now` in seconds since 1970.
    pub(super) fn contact(&mut self, contact: &Contact, now: u64) {
        if let Some(row) = self.rows.get_mut(&(contact.endpoint.clone(), Tech::Pjsip)) {
            pjsip::add(&mut row.facts, contact, now);
        }
    }

    /// All lists have ended: of two peers of one name one is kept, the details of those followed
    /// are asked for, and all names are given back.
    pub(super) fn listed<'a>(
        &mut self,
        follow: impl Iterator<Item = &'a String>,
        techs: &Techs,
        endpoints: &Endpoints,
        pipeline: &mut Pipeline,
    ) -> Known {
        self.keep_one_of_each(techs);
        let all =
            self.rows.iter().map(|((peer, tech), row)| (peer.clone(), (*tech, row.name.clone())));
        let known: Known = all.collect();
        for peer in follow {
            let Some((tech, name)) = known.get(peer) else { continue };
            let name = name.clone();
            let ask = match tech {
                Tech::Sip => Ask::Peer { name, listed: true },
                Tech::Pjsip => {
                    if let Some(shown) = endpoints.shown(peer) {
                        self.show(peer, shown.clone());
                        continue;
                    }
                    Ask::Endpoint { name, why: Why::Listed }
                }
            };
            pipeline.bulk(ask);
            self.waiting += 1;
        }
        self.ended = true;
        known
    }

    fn show(&mut self, endpoint: &str, shown: Visible) {
        if let Some(row) = self.rows.get_mut(&(endpoint.to_owned(), Tech::Pjsip)) {
            row.facts.visible = Some(shown);
        }
    }

    /// Where both drivers have a name: the one that is meant, else the one that is registered, else
    /// chan_sip's.
    fn keep_one_of_each(&mut self, techs: &Techs) {
        let both: Vec<String> = self
            .rows
            .keys()
            .filter(|(name, tech)| {
                *tech == Tech::Pjsip && self.rows.contains_key(&(name.clone(), Tech::Sip))
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in both {
            let registered = |tech: Tech| {
                self.rows.get(&(name.clone(), tech)).is_some_and(|row| row.facts.address.is_some())
            };
            let pjsip = registered(Tech::Pjsip) && !registered(Tech::Sip);
            let usual = if pjsip { Tech::Pjsip } else { Tech::Sip };
            let kept = techs.get(&name).copied().unwrap_or(usual);
            let dropped = if kept == Tech::Sip { Tech::Pjsip } else { Tech::Sip };
            self.rows.remove(&(name, dropped));
        }
    }

    /// What became of a question for a peer's details, asked for this list or for an event
    /// meanwhile: the newest answer counts.
    pub(super) fn fresh(&mut self, peer: (&str, Tech), details: &Details, for_list: bool) {
        self.waiting = self.waiting.saturating_sub(usize::from(for_list));
        let key = (peer.0.to_owned(), peer.1);
        match details {
            Details::Fresh(facts) => {
                if let Some(row) = self.rows.get_mut(&key) {
                    row.facts.clone_from(facts);
                }
            }
            Details::Gone => drop(self.rows.remove(&key)),
            Details::Unknown => self.incomplete |= for_list,
        }
    }

    /// Whether nothing is to come.
    pub(super) fn is_complete(&self) -> bool {
        self.ended && self.waiting == 0
    }

    /// The list; none when details are missing, which must not look like a change.
    pub(super) fn rows(self) -> Option<Vec<PeerFacts>> {
        (!self.incomplete).then(|| self.rows.into_values().map(|row| row.facts).collect())
    }
}

/// What became of a question for a peer's details.
pub(super) enum Details {
    Fresh(Box<PeerFacts>),
    /// There is no such peer.
    Gone,
    /// No answer, or one that cannot be read.
    Unknown,
}
