//! Two offers, told to people: key by key, secrets masked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::generation::PhonePart;
use super::offer::Offer;
use crate::base::Mac;
use crate::family::{Artifact, Audience, Role};

/// What would change for one phone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PhoneDiff {
    /// The phone.
    pub mac: Mac,
    /// Its peers.
    pub peers: Vec<String>,
    /// The change as a whole.
    pub change: Change,
    /// Key by key, secrets masked.
    pub keys: Vec<KeyChange>,
    /// Whether the phone would restart for it.
    pub restarts: bool,
}

/// The kind of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// A new phone.
    Added,
    /// A phone without a tag from now on.
    Removed,
    /// Other bytes.
    Changed,
}

/// One key of one file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyChange {
    /// The file.
    pub file: String,
    /// The key, or `line N` where the file has no keys.
    pub key: String,
    /// Before, `***` when secret.
    pub old: Option<String>,
    /// After, `***` when secret.
    pub new: Option<String>,
}

/// A number of things, in words.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Reads a file's keys: `(key, value, secret)`.
pub type Keys<'a> = dyn Fn(&str, &Artifact) -> Vec<(String, String, bool)> + 'a;

/// What `new` would change against `old`, phone by phone.
pub fn phones(
    old: &Offer,
    new: &BTreeMap<Mac, std::sync::Arc<PhonePart>>,
    keys: &Keys<'_>,
) -> Vec<PhoneDiff> {
    let gone = old.phones.values().filter(|part| !new.contains_key(&part.mac));
    let gone = gone.map(|part| whole(part, Change::Removed));
    let changed = new.values().filter_map(|part| match old.phones.get(&part.mac) {
        None => Some(whole(part, Change::Added)),
        Some(before) if before == part => None,
        Some(before) => Some(change(before, part, keys)),
    });
    let mut all: Vec<PhoneDiff> = gone.chain(changed).collect();
    all.sort_by_key(|diff| diff.mac);
    all
}

fn whole(part: &PhonePart, change: Change) -> PhoneDiff {
    let peers = part.peers().map(str::to_owned).collect();
    PhoneDiff { mac: part.mac, peers, change, keys: Vec::new(), restarts: false }
}

fn change(before: &PhonePart, part: &PhonePart, keys: &Keys<'_>) -> PhoneDiff {
    let restarts =
        before.variants.first().map(|v| v.token) != part.variants.first().map(|v| v.token);
    let mut changes = Vec::new();
    let mut old: BTreeMap<_, _> = own(before).map(|a| (a.name.as_str(), a)).collect();
    for artifact in own(part) {
        let was = old.remove(artifact.name.as_str());
        changes.extend(files(&part.family, was, Some(artifact), keys));
    }
    changes.extend(old.into_values().flat_map(|a| files(&part.family, Some(a), None, keys)));
    PhoneDiff { keys: changes, restarts, ..whole(part, Change::Changed) }
}

fn own(part: &PhonePart) -> impl Iterator<Item = &Artifact> {
    let told = |a: &&Artifact| a.audience == Audience::Phone && a.role != Role::Sync;
    part.variants.first().into_iter().flat_map(|v| &v.artifacts).filter(told)
}

/// The changed keys of one file.
pub fn files(
    family: &str,
    old: Option<&Artifact>,
    new: Option<&Artifact>,
    keys: &Keys<'_>,
) -> Vec<KeyChange> {
    let Some(name) = old.or(new).map(|a| a.name.to_string()) else { return Vec::new() };
    let read = |a: Option<&Artifact>| a.map(|a| keys(family, a)).unwrap_or_default();
    let mut before: BTreeMap<String, (String, bool)> =
        read(old).into_iter().map(|(key, value, secret)| (key, (value, secret))).collect();
    let mask = |value: String, secret: bool| if secret { "***".to_owned() } else { value };
    let mut changes = Vec::new();
    for (key, value, secret) in read(new) {
        let was = before.remove(&key);
        if was.as_ref().is_some_and(|(old, _)| *old == value) {
            continue;
        }
        let old = was.map(|(old, _)| mask(old, secret));
        changes.push(KeyChange { file: name.clone(), key, old, new: Some(mask(value, secret)) });
    }
    let lost = before.into_iter().map(|(key, (value, secret))| KeyChange {
        file: name.clone(),
        key,
        old: Some(mask(value, secret)),
        new: None,
    });
    changes.extend(lost);
    // The token changes with every other key and says nothing by itself.
    changes.retain(|c| c.key != "sync");
    changes
}
