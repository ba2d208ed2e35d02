//! The plan's values on disk: generations, what waits to be offered, intents, observed facts, and what
//! was decided once for the site. Lost state means "unknown".

mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;
use tracing::{error, warn};

use super::journal::{Batch, BlobHash, Journal, Table, WriterHandle};
use crate::base::{Digest, FileName, Mac, Time, hex};
use crate::family::Audience;
use crate::family::ladder::Ladder;
use crate::model::site::Waves;
use crate::plan::generation::{Generation, PhonePart};
use crate::plan::intents::Intents;
use crate::plan::observed::{Asker, Seen};
use crate::plan::offer::{Moved, Offer, Parts, changes};
use crate::plan::rollout::Rollouts;
use rows::Texts;

/// What was decided once and is kept, so that the same inputs give the same bytes for ever.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Decided {
    /// `server_address`, chosen at the first start.
    pub server_address: Option<std::net::IpAddr>,
    /// `timezone`, chosen at the first start.
    pub timezone: Option<String>,
    /// The fingerprint of the site key.
    pub key: Option<Digest>,
    /// The raw keys that phones were ever offered, as `section/key`.
    pub raw_keys: std::collections::BTreeSet<String>,
    /// The fingerprint of the sip.conf that Asterisk is known to have loaded.
    pub loaded: Option<String>,
    /// It was asked to load another one since.
    pub reloading: bool,
}

/// What a restart finds.
#[derive(Debug, Default)]
pub struct Restored {
    /// The newest generation that was offered, and what each phone was offered.
    pub offer: Arc<Offer>,
    /// Standing wishes.
    pub intents: Intents,
    /// Facts about phones.
    pub phones: BTreeMap<Mac, Seen>,
    /// What was decided.
    pub decided: Decided,
    /// Who asked without a tag.
    pub unknown: BTreeMap<Mac, Asker>,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    made: Time,
    /// What everybody gets, as a row.
    #[serde(with = "crate::base::latin1")]
    shared: Bytes,
    /// The ways to the loads that phones shall run.
    #[serde(default)]
    ladders: Arc<Vec<Ladder>>,
    /// The phones whose parts it replaced: those are in [`Table::Before`].
    moved: Vec<Mac>,
    /// The texts that the replaced parts refer to.
    texts: Vec<String>,
}

/// A generation that is kept.
#[derive(Debug)]
struct Kept {
    id: u64,
    moved: Vec<Mac>,
    texts: BTreeSet<BlobHash>,
}

/// What is new could not be made durable.
#[derive(Debug, Error)]
#[error("the disk does not take the state, what is new since it last did is lost: {0}")]
pub struct Unwritten(String);

/// A slow disk has so long to take what waits for it.
const FLUSH: Duration = Duration::from_secs(5);

/// Writes changes behind the core's back, in order. [`Table::Parts`] has the newest generation; what
/// each of the kept ones replaced leads back to those before.
#[derive(Debug)]
pub struct Store {
    journal: Journal,
    writer: WriterHandle,
    /// The kept generations, oldest first.
    kept: Vec<Kept>,
    /// So many are kept.
    keep: usize,
    texts: Texts,
    saved: Arc<Offer>,
}

impl Store {
    /// Reads everything back, and writes to `writer` from now on.
    pub fn restore(journal: &Journal, writer: WriterHandle) -> (Self, Restored) {
        let texts = Texts::stored(
            rows(journal, Table::Blobs)
                .into_iter()
                .filter_map(|(key, bytes)| Some((BlobHash::try_from(key).ok()?, bytes))),
        );
        let mut store = Self {
            journal: journal.clone(),
            writer,
            kept: Vec::new(),
            keep: Waves::default().keep,
            texts,
            saved: Arc::default(),
        };
        store.saved = Arc::new(store.offer(journal));
        let restored = Restored {
            offer: store.saved.clone(),
            intents: one(journal, Table::Intents, "intents").unwrap_or_default(),
            decided: one(journal, Table::Meta, "decided").unwrap_or_default(),
            phones: by_phone(journal, Table::Observed, read),
            unknown: one(journal, Table::Meta, "unknown").unwrap_or_default(),
        };
        (store, restored)
    }

    fn offer(&mut self, journal: &Journal) -> Offer {
        let mut newest = Generation::default();
        let manifests = journal.generations().unwrap_or_else(|error| {
            error!(%error, "cannot read the kept generations");
            Vec::new()
        });
        for (id, bytes) in manifests {
            let Some(manifest) = read::<Manifest>(&bytes) else { continue };
            let Manifest { made, shared, ladders, moved, texts } = manifest;
            let texts = texts.iter().filter_map(|hash| hex::decode(hash)).collect();
            self.kept.push(Kept { id, moved, texts });
            let shared = Arc::new(self.texts.read(&shared).unwrap_or_default());
            newest = Generation { id, made, shared, ladders, ..Generation::default() };
        }
        let part = |row: &[u8]| self.texts.read(row).map(Arc::new);
        newest.phones = by_phone(journal, Table::Parts, part);
        intern(&mut newest.phones);
        let mut offered = newest.phones.clone();
        offered.extend(by_phone(journal, Table::Offers, part));
        offered.retain(|mac, _| newest.phones.contains_key(mac));
        Offer::new(Arc::new(newest), offered)
    }

    /// Saves an offer and, when it is new, the generation behind it: in one transaction.
    pub fn save_offer(&mut self, offer: Arc<Offer>) {
        let mut batch = Batch::new();
        if self.saved.newest.id != offer.newest.id {
            self.put_generation(&mut batch, &offer.newest);
        }
        for mac in self.saved.waiting().difference(offer.waiting()) {
            batch.remove(Table::Offers, mac.to_string());
        }
        for mac in offer.waiting() {
            let Some(part) = offer.phones.get(mac) else { continue };
            if self.saved.phones.get(mac) != Some(part) || !self.saved.waiting().contains(mac) {
                let row = self.texts.write(&**part, &mut batch);
                batch.put(Table::Offers, mac.to_string(), row);
            }
        }
        self.saved = offer;
        self.sweep(&mut batch);
        self.submit(batch);
    }

    fn put_generation(&mut self, batch: &mut Batch, newest: &Generation) {
        let saved = self.saved.clone();
        let mut moved = changes(&saved.newest.phones, &newest.phones);
        moved.retain(|m| m.old != m.new);
        for Moved { mac, old, new } in &moved {
            match new {
                Some(part) => {
                    let row = self.texts.write(&***part, batch);
                    batch.put(Table::Parts, mac.to_string(), row);
                }
                None => batch.remove(Table::Parts, mac.to_string()),
            }
            let row = old.map(|part| self.texts.write(&**part, batch)).unwrap_or_default();
            batch.put(Table::Before, before(newest.id, *mac), row);
        }
        let texts = self.texts.used(moved.iter().filter_map(|m| m.old).map(AsRef::as_ref));
        let moved: Vec<Mac> = moved.iter().map(|m| m.mac).collect();
        let manifest = Manifest {
            made: newest.made,
            shared: self.texts.write(&*newest.shared, batch),
            ladders: newest.ladders.clone(),
            moved: moved.clone(),
            texts: texts.iter().map(|hash| hex::encode(hash)).collect(),
        };
        batch.put_generation(newest.id, json(&manifest));
        self.kept.push(Kept { id: newest.id, moved, texts });
        let surplus = self.kept.len().saturating_sub(self.keep);
        for Kept { id, moved, .. } in self.kept.drain(..surplus) {
            batch.remove_generation(id);
            moved.iter().for_each(|mac| batch.remove(Table::Before, before(id, *mac)));
        }
    }

    /// Removes the texts that nothing refers to any more.
    fn sweep(&mut self, batch: &mut Batch) {
        let parts = self.saved.newest.phones.values().chain(self.saved.phones.values());
        let mut used = self.texts.used(parts.map(AsRef::as_ref));
        self.kept.iter().for_each(|kept| used.extend(&kept.texts));
        if self.texts.retain(&used) {
            batch.retain_blobs(used);
        }
    }

    /// What is on disk, for those who read it beside the core.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Adds a row of events, and removes those that are too old or too many.
    pub fn append(&mut self, key: &[u8], row: Vec<u8>, gone: impl IntoIterator<Item = Vec<u8>>) {
        let mut batch = Batch::new();
        gone.into_iter().for_each(|key| batch.remove(Table::Events, key));
        batch.put(Table::Events, key, row);
        self.submit(batch);
    }

    /// Who asks without a tag.
    pub fn save_unknown(&mut self, unknown: &BTreeMap<Mac, Asker>) {
        let mut batch = Batch::new();
        batch.put(Table::Meta, "unknown", json(unknown));
        self.submit(batch);
    }

    /// Saves the wishes.
    pub fn save_intents(&mut self, intents: &Intents) {
        let mut batch = Batch::new();
        batch.put(Table::Intents, "intents", json(intents));
        self.submit(batch);
    }

    /// The roll-outs that are remembered.
    pub fn rollouts(&self) -> Rollouts {
        one(&self.journal, Table::Intents, "rollouts").unwrap_or_default()
    }

    /// Saves the roll-outs.
    pub fn save_rollouts(&mut self, rollouts: &Rollouts) {
        let mut batch = Batch::new();
        batch.put(Table::Intents, "rollouts", json(rollouts));
        self.submit(batch);
    }

    /// So many generations are kept from the next one on.
    pub fn keep(&mut self, generations: usize) {
        self.keep = generations.max(1);
    }

    /// The kept generations, the newest first: number, and how many phones it changed.
    pub fn generations(&self) -> impl Iterator<Item = (u64, usize)> {
        self.kept.iter().rev().map(|kept| (kept.id, kept.moved.len()))
    }

    /// Whether a generation can be brought back: it is kept, or what replaced it is.
    pub fn reaches(&self, generation: u64) -> bool {
        let oldest = self.kept.first().map(|kept| kept.id);
        oldest.is_some_and(|oldest| {
            (oldest.saturating_sub(1)..=self.saved.newest.id).contains(&generation)
        })
    }

    /// The newest of a phone's kept parts that fits, of those before the newest generation.
    pub fn part_of(&self, mac: Mac, fits: impl Fn(&PhonePart) -> bool) -> Option<Arc<PhonePart>> {
        self.before(mac).map(|(_, part)| part).find(|part| fits(part)).map(Arc::new)
    }

    /// A phone's part in a kept generation; none when it had none then.
    pub fn part_in(&self, mac: Mac, generation: u64) -> Option<Arc<PhonePart>> {
        let replaced = self.before(mac).take_while(|(id, _)| *id > generation).last();
        let newest = || self.saved.newest.phones.get(&mac).cloned();
        replaced.map(|(_, part)| Arc::new(part)).or_else(newest)
    }

    /// What generations replaced of a phone's files, the newest first.
    fn before(&self, mac: Mac) -> impl Iterator<Item = (u64, PhonePart)> {
        let moved = self.kept.iter().rev().filter(move |kept| kept.moved.contains(&mac));
        moved.filter_map(move |kept| {
            let row = self.journal.get(Table::Before, before(kept.id, mac));
            let row = row.inspect_err(|error| error!(%error, "cannot read an older generation"));
            Some((kept.id, self.texts.read(&row.ok()??)?))
        })
    }

    /// Saves what was decided.
    pub fn save_decided(&mut self, decided: &Decided) {
        let mut batch = Batch::new();
        batch.put(Table::Meta, "decided", json(decided));
        self.submit(batch);
    }

    /// Saves the facts about these phones; of one that is not there any more they are forgotten.
    pub fn save_phones<'a>(&mut self, phones: impl IntoIterator<Item = (Mac, Option<&'a Seen>)>) {
        let mut batch = Batch::new();
        for (mac, seen) in phones {
            match seen {
                Some(seen) => batch.put(Table::Observed, mac.to_string(), json(seen)),
                None => batch.remove(Table::Observed, mac.to_string()),
            }
        }
        self.submit(batch);
    }

    fn submit(&mut self, batch: Batch) {
        if let Err(error) = self.writer.submit(batch) {
            error!(%error, "state is lost when the daemon ends now");
        }
    }

    /// The last error of the disk, if it does not take what is written.
    pub fn trouble(&self) -> Option<String> {
        self.writer.health().borrow().error.clone()
    }

    /// Attempts to write that failed since the last that did not.
    pub fn failures(&self) -> u32 {
        self.writer.health().borrow().failures
    }

    /// Waits until all is durable, for as long as a slow disk may take; a full one never does.
    pub async fn flush(&self) -> Result<(), Unwritten> {
        match tokio::time::timeout(FLUSH, self.writer.flush()).await {
            Ok(true) => Ok(()),
            _ => Err(Unwritten(self.trouble().unwrap_or_else(|| "no answer from it".into()))),
        }
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> Bytes {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .expect("these values have string keys and no failing parts")
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes)
        .inspect_err(|error| warn!(%error, "a stored value cannot be read and is left out"))
        .ok()
}

fn one<T: DeserializeOwned>(journal: &Journal, table: Table, key: &str) -> Option<T> {
    let found =
        journal.get(table, key).inspect_err(|error| error!(%error, key, "cannot read the state"));
    read(&found.ok()??)
}

fn rows(journal: &Journal, table: Table) -> Vec<(Vec<u8>, Bytes)> {
    journal.scan(table).unwrap_or_else(|error| {
        error!(%error, "cannot read the state");
        Vec::new()
    })
}

fn by_phone<T>(
    journal: &Journal,
    table: Table,
    value: impl Fn(&[u8]) -> Option<T>,
) -> BTreeMap<Mac, T> {
    let row = |(key, row): (Vec<u8>, Bytes)| {
        Some((std::str::from_utf8(&key).ok()?.parse().ok()?, value(&row)?))
    };
    rows(journal, table).into_iter().filter_map(row).collect()
}

/// The key of what generation `id` replaced.
fn before(id: u64, mac: Mac) -> Vec<u8> {
    [&id.to_be_bytes()[..], mac.to_string().as_bytes()].concat()
}

/// Holds the words and names that all parts have in common once, and no more room than they take.
fn intern(parts: &mut Parts) {
    let mut words: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut names: BTreeSet<FileName> = BTreeSet::new();
    for part in parts.values_mut().filter_map(Arc::get_mut) {
        for word in [&mut part.family, &mut part.model, &mut part.event] {
            once(&mut words, word);
        }
        part.lines.shrink_to_fit();
        part.variants.shrink_to_fit();
        for variant in &mut part.variants {
            variant.artifacts.shrink_to_fit();
            let shared = variant.artifacts.iter_mut().filter(|a| a.audience != Audience::Phone);
            shared.for_each(|artifact| once(&mut names, &mut artifact.name));
        }
    }
}

/// Holds equal values once.
fn once<T: Clone + Ord>(known: &mut BTreeSet<T>, value: &mut T) {
    match known.get(value) {
        Some(same) => *value = same.clone(),
        None => drop(known.insert(value.clone())),
    }
}
