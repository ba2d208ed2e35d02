//! Phones × families → a generation. One bad phone keeps its last good part; the others move on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::generation::{Generation, LinePart, PhonePart};
use super::observed::Visible;
use crate::base::{Diagnostic, Digest, Key, Mac, Time};
use crate::family::{Artifact, Variant};
use crate::model::peer::Peer;
use crate::model::phone::Phone;

/// A phone's files, or why there are none; either with what is to be said.
pub type Rendered = Result<(Vec<Variant>, Vec<Diagnostic>), Vec<Diagnostic>>;

/// What a generation is made of.
pub struct Inputs<'a> {
    /// The phones that can be made.
    pub phones: &'a BTreeMap<Mac, Phone>,
    /// Phones that are tagged and held back already.
    pub held: &'a BTreeSet<Mac>,
    /// What everybody gets.
    pub shared: Vec<Artifact>,
    /// Makes one phone's files.
    pub render: &'a dyn Fn(&Phone) -> Rendered,
    /// The event that makes phones of a family look.
    pub event: &'a dyn Fn(&str) -> String,
    /// The registrar's realm: a part of the credentials.
    pub realm: &'a str,
    /// The site key.
    pub key: &'a Key,
}

/// What was made.
pub struct Built {
    /// The generation.
    pub generation: Generation,
    /// What is to be said.
    pub diagnostics: Vec<Diagnostic>,
    /// Phones that keep their last good part, or have none.
    pub held: BTreeSet<Mac>,
}

/// What need not be rendered again: the phones of the last build that had nothing to say, with their
/// parts. Good for as long as everything but the phones is the same.
pub type Cache = BTreeMap<Mac, (Phone, Arc<PhonePart>)>;

/// Makes generation `id`. Parts whose phone is in the cache unchanged are taken from there, parts with
/// the same bytes as the previous generation's from that.
pub fn build(
    id: u64,
    made: Time,
    inputs: Inputs<'_>,
    previous: &Generation,
    cache: &mut Cache,
) -> Built {
    let mut parts = BTreeMap::new();
    let mut diagnostics = Vec::new();
    let mut held = inputs.held.clone();
    let mut fresh = Cache::new();
    for (mac, phone) in inputs.phones {
        if let Some((known, part)) = cache.remove(mac)
            && known == *phone
        {
            parts.insert(*mac, part.clone());
            fresh.insert(*mac, (known, part));
            continue;
        }
        match (inputs.render)(phone) {
            Ok((variants, said)) => {
                let part = shared_with(previous, make(phone, variants, &inputs));
                if said.is_empty() {
                    fresh.insert(*mac, (phone.clone(), part.clone()));
                }
                parts.insert(*mac, part);
                diagnostics.extend(said);
            }
            Err(said) => {
                held.insert(*mac);
                diagnostics.extend(said);
            }
        }
    }
    *cache = fresh;
    let kept = held.iter().filter_map(|mac| Some((*mac, previous.phones.get(mac)?.clone())));
    parts.extend(kept.collect::<Vec<_>>());
    let shared = if *previous.shared == inputs.shared {
        previous.shared.clone()
    } else {
        Arc::new(inputs.shared)
    };
    Built { generation: Generation { id, made, shared, phones: parts }, diagnostics, held }
}

fn shared_with(previous: &Generation, part: PhonePart) -> Arc<PhonePart> {
    match previous.phones.get(&part.mac) {
        Some(old) if **old == part => old.clone(),
        _ => Arc::new(part),
    }
}

fn make(phone: &Phone, variants: Vec<Variant>, inputs: &Inputs<'_>) -> PhonePart {
    let line = |line: &crate::model::phone::Line| LinePart {
        number: line.number,
        peer: line.peer.name.value.clone(),
        tech: line.peer.tech,
        label: line.label.clone(),
        visible: visible(&line.peer),
    };
    PhonePart {
        mac: phone.mac,
        family: phone.family.to_string(),
        model: phone.model.to_string(),
        lines: phone.lines.iter().map(line).collect(),
        variants,
        credentials: credentials(phone, inputs),
        event: (inputs.event)(&phone.family),
    }
}

fn credentials(phone: &Phone, inputs: &Inputs<'_>) -> Digest {
    let mut parts: Vec<&[u8]> = Vec::new();
    for line in &phone.lines {
        let realm = line.peer.registrar.as_ref().map_or(inputs.realm, |own| own.realm.as_str());
        parts.extend([realm, line.peer.tech.name(), &line.peer.name.value].map(str::as_bytes));
        parts.push(line.peer.auth_user.as_deref().unwrap_or_default().as_bytes());
        parts.push(
            line.peer.secret.as_ref().map(|s| s.value.reveal()).unwrap_or_default().as_bytes(),
        );
        // chan_pjsip's accounts have these of their own.
        parts.extend(line.peer.auth_user.as_ref().map(String::as_bytes));
        parts.extend(line.peer.registrar.as_ref().map(|registrar| registrar.realm.as_bytes()));
    }
    inputs.key.digest("credentials", parts)
}

/// What SIPshowpeer prints for this peer: `Callerid: "Ada Quill" <201>` (`"" <>` for none),
/// `VoiceMailbox`, `Language`.
pub fn visible(peer: &Peer) -> Visible {
    Visible {
        callerid: format!("\"{}\" <{}>", peer.caller.name, peer.caller.number),
        mailbox: peer.mailboxes.join(","),
        language: peer.language.to_string(),
    }
}
