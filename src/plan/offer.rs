//! What may be fetched now: the newest generation, and for each phone the part that it may have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::generation::{Generation, PhonePart};
use crate::base::{FileName, Mac};
use crate::family::{Artifact, Audience, Role, Variant};

/// Parts by phone.
pub type Parts = BTreeMap<Mac, Arc<PhonePart>>;

/// A phone whose part is another one.
#[derive(Clone, Copy, Debug)]
pub struct Moved<'a> {
    /// The phone.
    pub mac: Mac,
    /// Before; none for a new phone.
    pub old: Option<&'a Arc<PhonePart>>,
    /// After; none for one that is gone.
    pub new: Option<&'a Arc<PhonePart>>,
}

/// The phones whose parts are not the very same: unchanged parts are shared, and none is looked into.
pub fn changes<'a>(old: &'a Parts, new: &'a Parts) -> Vec<Moved<'a>> {
    let mut moved = Vec::new();
    let mut before = old.iter().peekable();
    let gone =
        |(mac, part): (&Mac, &'a Arc<PhonePart>)| Moved { mac: *mac, old: Some(part), new: None };
    for (mac, part) in new {
        while let Some(lost) = before.next_if(|(known, _)| *known < mac) {
            moved.push(gone(lost));
        }
        let old = before.next_if(|(known, _)| *known == mac).map(|(_, old)| old);
        if !old.is_some_and(|old| Arc::ptr_eq(old, part)) {
            moved.push(Moved { mac: *mac, old, new: Some(part) });
        }
    }
    moved.extend(before.map(gone));
    moved
}

/// Swapped whole; a transfer keeps the bytes that it began with.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The newest generation: shared files come from it.
    pub newest: Arc<Generation>,
    /// What each phone may fetch.
    pub phones: Parts,
    /// The names whose body depends on who asks.
    askers: Vec<FileName>,
    /// The phones that are offered another part than their newest.
    waiting: BTreeSet<Mac>,
    /// Those of them that wait for Asterisk.
    unloaded: BTreeSet<Mac>,
}

/// Whose a name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Everybody's: the number in [`Generation::shared`].
    Shared(usize),
    /// One phone's.
    Phone(Mac),
    /// It depends on who asks.
    Asker,
}

impl Offer {
    /// An offer of these parts.
    pub fn new(newest: Arc<Generation>, phones: Parts) -> Self {
        let mut askers: Vec<FileName> = Vec::new();
        for artifact in phones.values().flat_map(|p| &p.variants).flat_map(|v| &v.artifacts) {
            if artifact.audience != Audience::Phone && !askers.contains(&artifact.name) {
                askers.push(artifact.name.clone());
            }
        }
        let offered = |mac: &Mac, part: &Arc<PhonePart>| phones.get(mac) == Some(part);
        let late = newest.phones.iter().filter(|(mac, part)| !offered(mac, part));
        let waiting: BTreeSet<Mac> = late.map(|(mac, _)| *mac).collect();
        let credentials = |parts: &Parts, mac: &Mac| parts.get(mac).map(|part| part.credentials);
        let differs = |mac: &&Mac| credentials(&phones, mac) != credentials(&newest.phones, mac);
        let unloaded = waiting.iter().filter(differs).copied().collect();
        Self { newest, phones, askers, waiting, unloaded }
    }

    /// Whose `name` is, if it is anybody's.
    pub fn owner(&self, name: &FileName) -> Option<Owner> {
        if let Some(index) = self.newest.shared.iter().position(|a| a.name == *name) {
            return Some(Owner::Shared(index));
        }
        if self.askers.contains(name) {
            return Some(Owner::Asker);
        }
        let part = self.phones.get(&Mac::within(name.as_str().as_bytes())?)?;
        let mut files = part.variants.iter().flat_map(|v| &v.artifacts);
        files.any(|a| a.name == *name).then_some(Owner::Phone(part.mac))
    }

    /// The phones that are offered another part than their newest.
    pub fn waiting(&self) -> &BTreeSet<Mac> {
        &self.waiting
    }

    /// Those of them whose credentials Asterisk has not loaded.
    pub fn unloaded(&self) -> &BTreeSet<Mac> {
        &self.unloaded
    }

    /// A shared file.
    pub fn shared(&self, index: usize) -> Option<&Artifact> {
        self.newest.shared.get(index)
    }

    /// What a foreign TFTP server is given: shared files, and each phone's own ones. Of the files that
    /// depend on the asker only the one that tells the wanted token can be had there, and it holds a
    /// constant that equals no token, so that a check-sync always restarts (design §6).
    pub fn files(&self) -> BTreeMap<FileName, Bytes> {
        let parts = self.phones.values().filter_map(|part| part.chosen(false));
        let own =
            parts.clone().flat_map(|v| &v.artifacts).filter(|a| a.audience == Audience::Phone);
        let sync = parts.take(1).flat_map(|v| {
            v.artifacts.iter().filter(|a| a.role == Role::Sync).map(move |a| constant(a, v))
        });
        let shared = self.newest.shared.iter().chain(own).map(|a| (a.name.clone(), a.bytes()));
        shared.chain(sync).collect()
    }

    /// The phones that a word names: a MAC in any spelling, a peer's name, or a label.
    pub fn named(&self, word: &str) -> Vec<Mac> {
        if let Ok(mac) = word.parse::<Mac>()
            && self.phones.contains_key(&mac)
        {
            return vec![mac];
        }
        let by = |fits: &dyn Fn(&PhonePart) -> bool| -> Vec<Mac> {
            self.phones.values().filter(|p| fits(p)).map(|p| p.mac).collect()
        };
        let peers = by(&|p| p.peers().any(|name| name == word));
        if peers.is_empty() { by(&|p| p.lines.iter().any(|l| l.label == word)) } else { peers }
    }
}

/// Equals no token: those are hexadecimal.
const NO_TOKEN: &str = "always-restart";

fn constant(artifact: &Artifact, variant: &Variant) -> (FileName, Bytes) {
    let text =
        String::from_utf8_lossy(&artifact.bytes()).replace(&variant.token.to_string(), NO_TOKEN);
    (artifact.name.clone(), Bytes::from(text))
}

/// What lets phones move to their newest parts.
#[derive(Clone, Copy)]
pub struct Passage<'a> {
    /// Asterisk has loaded their credentials.
    pub loaded: bool,
    /// The roll-out has come to a phone.
    pub released: &'a dyn Fn(&Mac) -> bool,
}

impl Passage<'_> {
    /// Everything passes.
    pub const FREE: Self = Self { loaded: true, released: &|_| true };

    /// Credentials follow Asterisk, ahead of every roll-out; what serves the same bytes moves nobody.
    fn lets(&self, old: &PhonePart, new: &PhonePart) -> bool {
        match old.credentials == new.credentials {
            true => old.variants == new.variants || (self.released)(&new.mac),
            false => self.loaded,
        }
    }
}

/// The next offer. A phone keeps what it had until its newest part passes; a new phone's files are
/// offered at once; what is gone from the newest generation is gone from the offer.
pub fn offer(newest: &Arc<Generation>, previous: Option<&Offer>, passage: Passage<'_>) -> Offer {
    let choose = |part: &Arc<PhonePart>| {
        let old = previous.and_then(|p| p.phones.get(&part.mac));
        match old {
            Some(old) if old == part => old.clone(),
            Some(old) if !passage.lets(old, part) => old.clone(),
            _ => part.clone(),
        }
    };
    let phones = newest.phones.iter().map(|(mac, part)| (*mac, choose(part))).collect();
    Offer::new(newest.clone(), phones)
}
