//! What a phone keeps although the text that gave it is gone or cannot be read any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::generation::Generation;
use crate::base::{Diagnostic, Level, Mac};
use crate::model::peer::Peer;
use crate::model::site::Site;

/// Phones that were served and whose tag cannot be read now, with what is wrong with it: an error on the
/// line of a peer that was theirs. They are held back instead of being taken for removed.
pub fn spoilt(
    previous: &Generation,
    tagged: impl Fn(Mac) -> bool,
    peers: &[Arc<Peer>],
    said: &[Diagnostic],
) -> BTreeMap<Mac, String> {
    let errors = said.iter().filter(|d| d.level == Level::Error && d.code.id.starts_with("H02"));
    let errors: BTreeMap<_, _> =
        errors.filter_map(|d| Some(((d.span?.file, d.span?.line), d))).collect();
    if errors.is_empty() {
        return BTreeMap::new();
    }
    let wrong = |peer: &Peer| {
        errors.get(&(peer.name.span.file, peer.name.span.line)).map(|d| d.message.clone())
    };
    let wrong: BTreeMap<_, _> = peers
        .iter()
        .filter(|peer| peer.tag.is_none())
        .filter_map(|peer| Some(((peer.tech, peer.name.value.as_str()), wrong(peer)?)))
        .collect();
    let gone = previous.phones.values().filter(|part| !tagged(part.mac));
    gone.filter_map(|part| {
        let why = part.lines.iter().find_map(|line| wrong.get(&(line.tech, line.peer.as_str())))?;
        Some((part.mac, why.clone()))
    })
    .collect()
}

/// The raw keys of a site, as `section/key`.
pub fn raw_keys(site: &Site) -> BTreeSet<String> {
    let keys = |(section, settings): (&String, &crate::model::site::FamilySettings)| {
        settings.keys.keys().map(|key| format!("{section}/{key}")).collect::<Vec<_>>()
    };
    site.families.iter().flat_map(keys).collect()
}

/// The raw keys that were offered once, are set no more, and are not written anyway: a phone keeps the
/// value of such a key in its flash (phones.md §2.7).
pub fn withdrawn<'a>(
    offered: &'a BTreeSet<String>,
    now: &'a BTreeSet<String>,
    written: impl Fn(&str, &str) -> bool,
) -> Vec<&'a str> {
    let lost = offered.difference(now).map(String::as_str);
    lost.filter(|name| name.rsplit_once('/').is_some_and(|(section, key)| !written(section, key)))
        .collect()
}
