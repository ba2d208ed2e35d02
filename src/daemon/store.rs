//! The plan's values on disk: generations and offers by content, intents, observed facts, and what
//! was decided once for the site. Lost state means "unknown".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tracing::{error, warn};

use super::journal::{Batch, BlobHash, Journal, Table, WriterHandle};
use crate::base::{Digest, Mac, Time, hex};
use crate::family::Artifact;
use crate::plan::generation::{Generation, PhonePart};
use crate::plan::intents::Intents;
use crate::plan::observed::Seen;
use crate::plan::offer::Offer;

/// So many generations are kept.
const KEPT: usize = 5;

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
}

/// What a restart finds.
#[derive(Debug, Default)]
pub struct Restored {
    /// The newest generation that was offered.
    pub generation: Option<Arc<Generation>>,
    /// What each phone was offered.
    pub offered: BTreeMap<Mac, Arc<PhonePart>>,
    /// Standing wishes.
    pub intents: Intents,
    /// Facts about phones.
    pub phones: BTreeMap<Mac, Seen>,
    /// What was decided.
    pub decided: Decided,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    made: Time,
    shared: String,
    phones: BTreeMap<Mac, String>,
}

/// Writes changes behind the core's back, in order.
#[derive(Debug)]
pub struct Store {
    writer: WriterHandle,
    /// The blobs of the kept generations, oldest first.
    kept: Vec<(u64, BTreeSet<BlobHash>)>,
    /// The parts that have a blob already.
    known: BTreeMap<Mac, Vec<(Arc<PhonePart>, BlobHash)>>,
    offered: BTreeMap<Mac, BlobHash>,
    newest: Option<u64>,
}

impl Store {
    /// Reads everything back, and writes to `writer` from now on.
    pub fn restore(journal: &Journal, writer: WriterHandle) -> (Self, Restored) {
        let mut store = Self {
            writer,
            kept: Vec::new(),
            known: BTreeMap::new(),
            offered: BTreeMap::new(),
            newest: None,
        };
        let mut restored = Restored {
            intents: one(journal, Table::Intents, "intents").unwrap_or_default(),
            decided: one(journal, Table::Meta, "decided").unwrap_or_default(),
            phones: all(journal, Table::Observed),
            ..Restored::default()
        };
        store.restore_generations(journal, &mut restored);
        let offers: BTreeMap<Mac, String> = all(journal, Table::Offers);
        for (mac, hash) in offers {
            let Some((hash, part)) = store.part(journal, mac, &hash) else { continue };
            store.offered.insert(mac, hash);
            restored.offered.insert(mac, part);
        }
        (store, restored)
    }

    fn restore_generations(&mut self, journal: &Journal, restored: &mut Restored) {
        let rows = journal.generations().unwrap_or_else(|error| {
            error!(%error, "cannot read the kept generations");
            Vec::new()
        });
        for (id, bytes) in rows {
            let Some(manifest) = read::<Manifest>(&bytes) else { continue };
            let hashes =
                manifest.phones.values().chain([&manifest.shared]).filter_map(|h| hex::decode(h));
            self.kept.push((id, hashes.collect()));
            self.newest = Some(id);
            // Only the newest is needed whole; the others wait on disk.
            restored.generation = self.generation(journal, id, &manifest).map(Arc::new);
        }
    }

    fn generation(
        &mut self,
        journal: &Journal,
        id: u64,
        manifest: &Manifest,
    ) -> Option<Generation> {
        let shared: Vec<Artifact> = read(&blob(journal, hex::decode(&manifest.shared)?)?)?;
        let mut phones = BTreeMap::new();
        for (mac, hash) in &manifest.phones {
            phones.insert(*mac, self.part(journal, *mac, hash)?.1);
        }
        Some(Generation { id, made: manifest.made, shared: Arc::new(shared), phones })
    }

    fn part(
        &mut self,
        journal: &Journal,
        mac: Mac,
        hash: &str,
    ) -> Option<(BlobHash, Arc<PhonePart>)> {
        let hash = hex::decode(hash)?;
        let known = self.known.entry(mac).or_default();
        if let Some((part, _)) = known.iter().find(|(_, h)| *h == hash) {
            return Some((hash, part.clone()));
        }
        let part: Arc<PhonePart> = Arc::new(read(&blob(journal, hash)?)?);
        known.push((part.clone(), hash));
        Some((hash, part))
    }

    /// Saves an offer and, when it is new, the generation behind it: in one transaction.
    pub fn save_offer(&mut self, offer: &Offer) {
        let mut batch = Batch::new();
        if self.newest != Some(offer.newest.id) {
            self.put_generation(&mut batch, &offer.newest);
        }
        let mut offered = BTreeMap::new();
        for (mac, part) in &offer.phones {
            let hash = self.put_part(&mut batch, *mac, part);
            if self.offered.get(mac) != Some(&hash) {
                batch.put(Table::Offers, mac.to_string(), json(&hex::encode(&hash)));
            }
            offered.insert(*mac, hash);
        }
        for mac in self.offered.keys().filter(|mac| !offered.contains_key(mac)) {
            batch.remove(Table::Offers, mac.to_string());
        }
        self.offered = offered;
        self.known.retain(|mac, parts| {
            let newest = offer.newest.phones.get(mac);
            let current = offer.phones.get(mac);
            parts.retain(|(part, _)| {
                [newest, current].iter().flatten().any(|p| Arc::ptr_eq(p, part))
            });
            !parts.is_empty()
        });
        self.submit(batch);
    }

    fn put_generation(&mut self, batch: &mut Batch, generation: &Generation) {
        let shared = batch.put_blob(json(&*generation.shared));
        let hashes: BTreeMap<Mac, BlobHash> = generation
            .phones
            .iter()
            .map(|(mac, part)| (*mac, self.put_part(batch, *mac, part)))
            .collect();
        let phones = hashes.iter().map(|(mac, hash)| (*mac, hex::encode(hash))).collect();
        let manifest = Manifest { made: generation.made, shared: hex::encode(&shared), phones };
        batch.put_generation(generation.id, json(&manifest));
        self.newest = Some(generation.id);
        self.kept.push((generation.id, hashes.into_values().chain([shared]).collect()));
        if self.kept.len() > KEPT {
            self.forget(batch);
        }
    }

    fn forget(&mut self, batch: &mut Batch) {
        for (id, _) in self.kept.drain(..self.kept.len() - KEPT) {
            batch.remove_generation(id);
        }
        let held = self.known.values().flatten().map(|(_, hash)| *hash);
        let keep = self
            .kept
            .iter()
            .flat_map(|(_, hashes)| hashes)
            .copied()
            .chain(self.offered.values().copied());
        // `known` holds what this very batch has put as well.
        let keep: BTreeSet<BlobHash> = keep.chain(held).collect();
        let mut last = Batch::new();
        last.retain_blobs(keep);
        self.submit(last);
    }

    fn put_part(&mut self, batch: &mut Batch, mac: Mac, part: &Arc<PhonePart>) -> BlobHash {
        let known = self.known.entry(mac).or_default();
        if let Some((_, hash)) = known.iter().find(|(p, _)| Arc::ptr_eq(p, part)) {
            return *hash;
        }
        let hash = batch.put_blob(json(&**part));
        known.push((part.clone(), hash));
        hash
    }

    /// Saves the wishes.
    pub fn save_intents(&mut self, intents: &Intents) {
        let mut batch = Batch::new();
        batch.put(Table::Intents, "intents", json(intents));
        self.submit(batch);
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

    /// Waits until all is durable.
    pub async fn flush(&self) {
        if !self.writer.flush().await {
            warn!("the state's writer has ended early");
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

fn all<T: DeserializeOwned>(journal: &Journal, table: Table) -> BTreeMap<Mac, T> {
    let rows = journal.scan_text(table).unwrap_or_else(|error| {
        error!(%error, "cannot read the state");
        Vec::new()
    });
    rows.into_iter().filter_map(|(key, value)| Some((key.parse().ok()?, read(&value)?))).collect()
}

fn blob(journal: &Journal, hash: BlobHash) -> Option<Bytes> {
    journal.blob(&hash).inspect_err(|error| error!(%error, "cannot read the state")).ok()?
}
