//! What may be fetched now: the newest generation, and for each phone the part that it may have.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::generation::{Generation, PhonePart};
use crate::base::{FileName, Mac};
use crate::family::{Artifact, Audience, Role, Variant};

/// Swapped whole; a transfer keeps the bytes that it began with.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The newest generation: shared files come from it.
    pub newest: Arc<Generation>,
    /// What each phone may fetch.
    pub phones: BTreeMap<Mac, Arc<PhonePart>>,
    /// Whose file a name is.
    owners: HashMap<FileName, Owner>,
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
    pub fn new(newest: Arc<Generation>, phones: BTreeMap<Mac, Arc<PhonePart>>) -> Self {
        let mut owners = HashMap::with_capacity(phones.len() + 8);
        for part in phones.values() {
            for artifact in part.variants.iter().flat_map(|v| &v.artifacts) {
                let owner = match artifact.audience {
                    Audience::Phone => Owner::Phone(part.mac),
                    Audience::Asker | Audience::Shared => Owner::Asker,
                };
                owners.insert(artifact.name.clone(), owner);
            }
        }
        for (index, artifact) in newest.shared.iter().enumerate() {
            owners.insert(artifact.name.clone(), Owner::Shared(index));
        }
        Self { newest, phones, owners }
    }

    /// Whose `name` is, if it is anybody's.
    pub fn owner(&self, name: &FileName) -> Option<Owner> {
        self.owners.get(name).copied()
    }

    /// Whether the newest part of a phone waits for Asterisk.
    pub fn waits(&self, mac: Mac) -> bool {
        let newest = self.newest.phones.get(&mac);
        newest.is_some_and(|part| self.phones.get(&mac) != Some(part))
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
        let shared =
            self.newest.shared.iter().chain(own).map(|a| (a.name.clone(), a.bytes.clone()));
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
        String::from_utf8_lossy(&artifact.bytes).replace(&variant.token.to_string(), NO_TOKEN);
    (artifact.name.clone(), Bytes::from(text))
}

/// The next offer. A phone keeps what it had while its credentials changed and Asterisk has not
/// loaded them; a new phone's files are offered at once; what is gone from the newest generation is
/// gone from the offer.
pub fn offer(newest: &Arc<Generation>, previous: Option<&Offer>, loaded: bool) -> Offer {
    let choose = |part: &Arc<PhonePart>| {
        let old = previous.and_then(|p| p.phones.get(&part.mac));
        match old {
            Some(old) if old == part => old.clone(),
            Some(old) if !loaded && old.credentials != part.credentials => old.clone(),
            _ => part.clone(),
        }
    };
    let phones = newest.phones.iter().map(|(mac, part)| (*mac, choose(part))).collect();
    Offer::new(newest.clone(), phones)
}

/// The phones whose newest part waits for Asterisk.
pub fn waiting(offer: &Offer) -> impl Iterator<Item = Mac> {
    offer.newest.phones.keys().copied().filter(|mac| offer.waits(*mac))
}
