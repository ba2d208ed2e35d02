//! Listing all peers: SIPpeers, then the details of those that are followed.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::pipeline::{Ask, Pipeline};
use crate::plan::observed::PeerFacts;
use crate::wire::ami::Frame;
use crate::wire::ami::peer;

/// More peers than this are left out.
const PEERS_MAX: usize = 100_000;

/// A list being made.
#[derive(Default)]
pub(super) struct Relist {
    rows: BTreeMap<String, PeerFacts>,
    names: BTreeMap<String, Bytes>,
    /// Details that are still to come.
    waiting: usize,
    /// Details of some peer could not be had.
    incomplete: bool,
    /// SIPpeers has ended.
    ended: bool,
}

impl Relist {
    /// An item of SIPpeers.
    pub(super) fn item(&mut self, frame: &Frame) {
        let Some((name, facts)) = peer::entry(frame) else { return };
        if self.rows.len() < PEERS_MAX {
            self.names.insert(facts.peer.clone(), name);
            self.rows.insert(facts.peer.clone(), facts);
        }
    }

    /// SIPpeers has ended: asks for the details of those followed, and gives back all names.
    pub(super) fn listed<'a>(
        &mut self,
        follow: impl Iterator<Item = &'a String>,
        pipeline: &mut Pipeline,
    ) -> BTreeMap<String, Bytes> {
        for name in follow.filter_map(|name| self.names.get(name)) {
            pipeline.bulk(Ask::Peer { name: name.clone(), listed: true });
            self.waiting += 1;
        }
        self.ended = true;
        std::mem::take(&mut self.names)
    }

    /// What became of a question for a peer's details, asked for this list or for an event
    /// meanwhile: the newest answer counts.
    pub(super) fn fresh(&mut self, peer: &str, details: &Details, for_list: bool) {
        self.waiting = self.waiting.saturating_sub(usize::from(for_list));
        match details {
            Details::Fresh(facts) => {
                if let Some(row) = self.rows.get_mut(peer) {
                    row.clone_from(facts);
                }
            }
            Details::Gone => drop(self.rows.remove(peer)),
            Details::Unknown => self.incomplete |= for_list,
        }
    }

    /// Whether nothing is to come.
    pub(super) fn is_complete(&self) -> bool {
        self.ended && self.waiting == 0
    }

    /// The list; none when details are missing, which must not look like a change.
    pub(super) fn rows(self) -> Option<Vec<PeerFacts>> {
        (!self.incomplete).then(|| self.rows.into_values().collect())
    }
}

/// What became of a question for a peer's details.
pub(super) enum Details {
    Fresh(PeerFacts),
    /// There is no such peer.
    Gone,
    /// No answer, or one that cannot be read.
    Unknown,
}
