//! What is to be written in one go, and how two such wishes become one.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::Table;

/// The SHA-256 of a blob: its key in [`Table::Blobs`]. It never leaves the state directory (of a
/// file with a secret it would be a password oracle).
pub type BlobHash = [u8; 32];

/// Changes that become durable together or not at all. The last word on a key counts.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Blobs that stay; the others go before `changes` is applied.
    pub(super) keep_blobs: Option<BTreeSet<BlobHash>>,
    /// Per table and key the new value, or none to remove it.
    pub(super) changes: BTreeMap<Table, BTreeMap<Vec<u8>, Option<Bytes>>>,
    size: usize,
}

impl Batch {
    /// A batch that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: impl AsRef<[u8]>, value: impl Into<Bytes>) {
        self.set(table, key.as_ref().to_vec(), Some(value.into()));
    }

    /// Removes `key`; without it nothing happens.
    pub fn remove(&mut self, table: Table, key: impl AsRef<[u8]>) {
        self.set(table, key.as_ref().to_vec(), None);
    }

    /// Sets the manifest of generation `id`.
    pub fn put_generation(&mut self, id: u64, manifest: impl Into<Bytes>) {
        self.put(Table::Generations, id.to_be_bytes(), manifest);
    }

    /// Forgets generation `id` (its blobs stay until [`Batch::retain_blobs`]).
    pub fn remove_generation(&mut self, id: u64) {
        self.remove(Table::Generations, id.to_be_bytes());
    }

    /// Stores bytes under their SHA-256, which is returned. The same bytes are stored once.
    pub fn put_blob(&mut self, bytes: Bytes) -> BlobHash {
        let hash = BlobHash::from(Sha256::digest(&bytes));
        self.put(Table::Blobs, hash, bytes);
        hash
    }

    /// Removes every blob that is not in `keep`, also those put into this batch before.
    pub fn retain_blobs(&mut self, keep: BTreeSet<BlobHash>) {
        if let Some(blobs) = self.changes.get_mut(&Table::Blobs) {
            blobs.retain(|key, _| BlobHash::try_from(&key[..]).is_ok_and(|h| keep.contains(&h)));
        }
        self.size = self.changes.values().flatten().map(|(k, v)| cost(k, v.as_ref())).sum();
        self.keep_blobs = Some(match self.keep_blobs.take() {
            Some(before) => before.intersection(&keep).copied().collect(),
            None => keep,
        });
    }

    /// Adds what came `later`: applying the result equals applying both in order.
    pub fn merge(&mut self, later: Batch) {
        if let Some(keep) = later.keep_blobs {
            self.retain_blobs(keep);
        }
        for (table, changes) in later.changes {
            for (key, value) in changes {
                self.set(table, key, value);
            }
        }
    }

    /// True when nothing would change.
    pub fn is_empty(&self) -> bool {
        self.keep_blobs.is_none() && self.changes.values().all(BTreeMap::is_empty)
    }

    /// About how many bytes it holds in memory.
    pub fn size(&self) -> usize {
        self.size
    }

    fn set(&mut self, table: Table, key: Vec<u8>, value: Option<Bytes>) {
        let keys = self.changes.entry(table).or_default();
        self.size += cost(&key, value.as_ref());
        let key_len = key.len();
        if let Some(old) = keys.insert(key, value) {
            self.size -= key_len + old.map_or(0, |v| v.len());
        }
    }
}

fn cost(key: &[u8], value: Option<&Bytes>) -> usize {
    key.len() + value.map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(batch: &Batch, table: Table, key: &[u8]) -> Option<Option<Bytes>> {
        batch.changes.get(&table).and_then(|keys| keys.get(key)).cloned()
    }

    #[test]
    fn the_later_word_on_a_key_replaces_the_earlier() {
        let mut one = Batch::new();
        one.put(Table::Observed, "a", "1");
        one.put(Table::Observed, "b", "1");
        let mut two = Batch::new();
        two.put(Table::Observed, "a", "22");
        two.remove(Table::Observed, "b");
        one.merge(two);
        assert_eq!(value(&one, Table::Observed, b"a"), Some(Some("22".into())));
        assert_eq!(value(&one, Table::Observed, b"b"), Some(None));
        assert_eq!(one.size(), 4);
    }

    #[test]
    fn retaining_drops_blobs_that_wait_and_spares_those_that_follow() {
        let mut one = Batch::new();
        let kept = one.put_blob("kept".into());
        let gone = one.put_blob("gone".into());
        let mut two = Batch::new();
        two.retain_blobs(BTreeSet::from([kept]));
        let after = two.put_blob("after".into());
        one.merge(two);
        assert_eq!(value(&one, Table::Blobs, &kept), Some(Some("kept".into())));
        assert_eq!(value(&one, Table::Blobs, &gone), None);
        assert_eq!(value(&one, Table::Blobs, &after), Some(Some("after".into())));
        assert_eq!(one.size(), 32 + 4 + 32 + 5);
    }

    #[test]
    fn two_retains_keep_what_both_keep() {
        let (a, b, c) = ([1; 32], [2; 32], [3; 32]);
        let mut one = Batch::new();
        one.retain_blobs(BTreeSet::from([a, b]));
        one.retain_blobs(BTreeSet::from([b, c]));
        assert_eq!(one.keep_blobs, Some(BTreeSet::from([b])));
    }
}
