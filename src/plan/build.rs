//! Phones × families → a generation. One bad phone keeps its last good part; the others move on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash as _, Hasher};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::generation::{Generation, LinePart, PhonePart};
use super::observed::Visible;
use crate::base::{Body, Diagnostic, Digest, FileName, Key, Mac};
use crate::family::ladder::Ladder;
use crate::family::{Artifact, Audience, Step, Variant};
use crate::model::peer::Peer;
use crate::model::phone::Phone;

/// A phone's files, or why there are none; either with what is to be said.
pub type Rendered = Result<(Vec<Variant>, Vec<Diagnostic>), Vec<Diagnostic>>;

/// The way of a family's phones to a load; none for a family without a ladder.
pub type MakeLadder<'a> = dyn Fn(&str, &str) -> Result<Option<Ladder>, Diagnostic> + 'a;

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
    /// Makes the way of a family's phones to a load.
    pub ladder: &'a MakeLadder<'a>,
}

/// What was made.
pub struct Built {
    /// The generation.
    pub generation: Generation,
    /// What is to be said.
    pub diagnostics: Vec<Diagnostic>,
    /// Phones that keep their last good part, or have none.
    pub held: BTreeSet<Mac>,
    /// How many phones' files were made anew.
    pub rendered: usize,
}

/// What need not be made again: the outcome for each phone of the last build. Good for as long as
/// everything but the phones is the same.
#[derive(Default)]
pub struct Cache {
    made: BTreeMap<Mac, Made>,
    common: Common,
}

/// What came of a phone.
struct Made {
    of: Print,
    /// None where it is held back.
    part: Option<Arc<PhonePart>>,
    said: Vec<Diagnostic>,
}

/// A digest of all that a phone's files are made of, and of all places that are pointed at where there is
/// something to say about it. It stays in memory: of a password it would be an oracle.
type Print = [u8; 16];

/// What many parts have in common and hold once.
#[derive(Default)]
struct Common {
    /// By model, profile, step and number of the file.
    texts: HashMap<(Arc<str>, Option<String>, Step, usize), Body>,
    words: BTreeSet<Arc<str>>,
    /// Names that files of all phones have.
    names: BTreeSet<FileName>,
}

impl Cache {
    /// Everything has to be made anew: something changed that all phones depend on.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Makes generation `id`. What became of a phone that did not change is taken from the cache, a part with
/// the same bytes as the previous generation's from that.
pub fn build(
    id: u64,
    made: crate::base::Time,
    inputs: Inputs<'_>,
    previous: &Generation,
    cache: &mut Cache,
) -> Built {
    let mut built = Built {
        generation: Generation { id, made, ..Generation::default() },
        diagnostics: Vec::new(),
        held: inputs.held.clone(),
        rendered: 0,
    };
    let mut before = std::mem::take(&mut cache.made).into_iter().peekable();
    let mut parts = Vec::with_capacity(inputs.phones.len());
    let mut fresh = Vec::with_capacity(inputs.phones.len());
    let mut prints = Prints::default();
    for (mac, phone) in inputs.phones {
        while before.next_if(|(known, _)| known < mac).is_some() {}
        let known = before.next_if(|(known, _)| known == mac).map(|(_, made)| made);
        let known = known.filter(|m| m.of == prints.of(phone, !m.said.is_empty()));
        let made = known.unwrap_or_else(|| {
            built.rendered += 1;
            outcome(phone, &inputs, previous, &mut prints, &mut cache.common)
        });
        match &made.part {
            Some(part) => parts.push((*mac, part.clone())),
            None => drop(built.held.insert(*mac)),
        }
        built.diagnostics.extend(made.said.iter().cloned());
        fresh.push((*mac, made));
    }
    cache.made = fresh.into_iter().collect();
    let phones = &mut built.generation.phones;
    *phones = parts.into_iter().collect();
    let kept = built.held.iter().filter_map(|mac| Some((*mac, previous.phones.get(mac)?.clone())));
    phones.extend(kept);
    let same = *previous.shared == inputs.shared;
    built.generation.shared = if same { previous.shared.clone() } else { Arc::new(inputs.shared) };
    let ladders = ladders(&built.generation, inputs.ladder, &mut built.diagnostics);
    let same = *previous.ladders == ladders;
    built.generation.ladders = if same { previous.ladders.clone() } else { Arc::new(ladders) };
    built
}

/// One way for each load that phones of a family shall run.
fn ladders(
    generation: &Generation,
    make: &MakeLadder<'_>,
    said: &mut Vec<Diagnostic>,
) -> Vec<Ladder> {
    let parts = generation.phones.values();
    let wanted: BTreeSet<(&str, &str)> =
        parts.filter_map(|part| Some((&*part.family, part.target()?))).collect();
    let made = wanted.into_iter().map(|(family, target)| make(family, target));
    made.filter_map(|ladder| {
        ladder.unwrap_or_else(|wrong| {
            said.push(wrong);
            None
        })
    })
    .collect()
}

fn outcome(
    phone: &Phone,
    inputs: &Inputs<'_>,
    previous: &Generation,
    prints: &mut Prints,
    common: &mut Common,
) -> Made {
    let (part, said) = match (inputs.render)(phone) {
        Ok((variants, said)) => {
            let part = make(phone, variants, inputs, common);
            (Some(shared_with(previous, part)), said)
        }
        Err(said) => (None, said),
    };
    Made { of: prints.of(phone, !said.is_empty()), part, said }
}

/// Makes [`Print`]s; keeps the room that it takes.
#[derive(Default)]
struct Prints(Vec<u8>);

impl Hasher for Prints {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

impl Prints {
    fn of(&mut self, phone: &Phone, places: bool) -> Print {
        self.0.clear();
        phone.hash(self);
        if places {
            phone.places().for_each(|place| place.hash(self));
        }
        let full = Sha256::digest(&self.0);
        let mut cut = Print::default();
        cut.copy_from_slice(&full[..16]);
        cut
    }
}

impl Common {
    fn word(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        let new: Arc<str> = word.into();
        self.words.insert(new.clone());
        new
    }

    /// Holds what the files of one model have in common once. A text that too little fits any more makes
    /// way for the newest.
    fn share(&mut self, phone: &Phone, variants: Vec<Variant>) -> Vec<Variant> {
        let model = self.word(&phone.model);
        let mut share = |step: &Step, number: usize, artifact: Artifact| {
            let name = common_name(&mut self.names, &artifact);
            let key = (model.clone(), phone.profile.clone(), step.clone(), number);
            let body = match self.texts.get(&key) {
                Some(text) => artifact.body.like(text),
                None => artifact.body,
            };
            if body.parts().1.is_empty() {
                self.texts.insert(key, body.clone());
            }
            Artifact { name, body, ..artifact }
        };
        let each = |variant: Variant| {
            let files = variant.artifacts.into_iter().enumerate();
            let artifacts = files.map(|(number, a)| share(&variant.step, number, a)).collect();
            Variant { artifacts, ..variant }
        };
        variants.into_iter().map(each).collect()
    }
}

/// The name of a file, held once where phones have it in common.
fn common_name(names: &mut BTreeSet<FileName>, artifact: &Artifact) -> FileName {
    if artifact.audience == Audience::Phone {
        return artifact.name.clone();
    }
    if let Some(known) = names.get(&artifact.name) {
        return known.clone();
    }
    names.insert(artifact.name.clone());
    artifact.name.clone()
}

fn shared_with(previous: &Generation, part: PhonePart) -> Arc<PhonePart> {
    match previous.phones.get(&part.mac) {
        Some(old) if **old == part => old.clone(),
        _ => Arc::new(part),
    }
}

fn make(
    phone: &Phone,
    variants: Vec<Variant>,
    inputs: &Inputs<'_>,
    common: &mut Common,
) -> PhonePart {
    let line = |line: &crate::model::phone::Line| LinePart {
        number: line.number,
        peer: line.peer.name.value.clone(),
        tech: line.peer.tech,
        label: line.label.clone(),
        visible: visible(&line.peer),
    };
    PhonePart {
        mac: phone.mac,
        family: common.word(&phone.family),
        model: common.word(&phone.model),
        variants: common.share(phone, variants),
        lines: phone.lines.iter().map(line).collect(),
        credentials: credentials(phone, inputs),
        event: common.word(&(inputs.event)(&phone.family)),
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
