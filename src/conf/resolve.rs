//! Sections as Asterisk collects them: templates, `(+)`, inheritance by copying, `+=`.

use std::collections::HashMap;
use std::collections::hash_map;
use std::hash::{BuildHasher, RandomState};
use std::iter;

use bytes::Bytes;

use super::entries::{Entries, Joined, Lineage};
use super::ere::Exhausted;
use super::filter::Filter;
use super::lex::{Line, View};
use super::{Age, Entry, Section};
use crate::base::{Span, Text};

/// Bytes of a section's name that Asterisk keeps.
pub(super) const NAME: usize = 79;

/// The most values and sections that one reading holds (some 400 MiB): 100,000 peers of 35 lines.
const ENTRIES: usize = 4_000_000;

/// The most values with every inherited one counted where it is inherited.
const INHERITED: usize = 20_000_000;

/// The most steps of looking through sections and copying values for `+=` and `(+filter)`.
const FUEL: u64 = 1 << 28;

/// Why a header or a key cannot be taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No section of this name to inherit from.
    NoBase(Text, Span),
    /// No section for a `(+)`.
    NoTarget(Span),
    /// Asterisk would copy a section into itself for ever.
    Endless(Span),
    /// More work or memory than one reading may take.
    TooMuch,
}

impl From<Exhausted> for Refusal {
    fn from(_: Exhausted) -> Self {
        Refusal::TooMuch
    }
}

/// All sections read so far.
pub(super) struct Store {
    pub(super) sections: Vec<Section>,
    /// The section most recently opened anywhere: a file begins in it.
    pub(super) current: Option<usize>,
    /// What else is known of each of them.
    slots: Vec<Slot>,
    /// By the hashes of their names: growing then does not look at all names again.
    named: HashMap<u64, Same>,
    hasher: RandomState,
    joined: Joined,
    entries: usize,
    inherited: usize,
    fuel: u64,
    age: Age,
}

/// Beside a section.
#[derive(Default)]
struct Slot {
    /// What its heirs get, until it changes.
    heritage: Option<Lineage>,
    /// The next one whose name has the same hash.
    next: Option<usize>,
}

/// The first and the last section whose names have the same hash.
struct Same {
    first: usize,
    last: usize,
}

/// What a header's options act on: the section that it begins, or one found by `(+)`.
enum Target {
    New(Section),
    Old(usize),
}

impl Store {
    pub(super) fn new(age: Age) -> Self {
        Self {
            sections: Vec::new(),
            current: None,
            slots: Vec::new(),
            named: HashMap::new(),
            hasher: RandomState::new(),
            joined: Joined::default(),
            entries: 0,
            inherited: 0,
            fuel: FUEL,
            age,
        }
    }

    /// Opens a section, or finds the one that a `(+)` names.
    pub(super) fn header(
        &mut self,
        line: Line<'_>,
        whole: Span,
        name: View<'_>,
        options: Option<View<'_>>,
    ) -> Result<usize, Refusal> {
        let mut target = Target::New(Section {
            name: name.part(0..name.bytes.len().min(NAME)).text(line),
            template: false,
            bases: Vec::new(),
            span: name.span(line, whole),
            entries: self.sections.last().map(|s| Entries::like(&s.entries)).unwrap_or_default(),
        });
        for option in options.into_iter().flat_map(split) {
            let span = option.span(line, whole);
            match option.bytes {
                b"!" => self.target(&mut target).template = true,
                [b'+', filter @ ..] => {
                    target = self.append_to(target, name.bytes, filter, span)?;
                }
                _ => self.inherit(&mut target, option.text(line), span)?,
            }
        }
        let index = match target {
            Target::Old(index) => index,
            Target::New(section) => self.open(section)?,
        };
        Ok(index)
    }

    fn open(&mut self, section: Section) -> Result<usize, Refusal> {
        self.count(1, 0)?;
        let index = self.sections.len();
        if let Some(last) = self.sections.last_mut() {
            last.entries.shrink();
        }
        match self.named.entry(self.hash(section.name.as_bytes())) {
            hash_map::Entry::Vacant(place) => {
                place.insert(Same { first: index, last: index });
            }
            hash_map::Entry::Occupied(mut same) => {
                let last = std::mem::replace(&mut same.get_mut().last, index);
                self.slots[last].next = Some(index);
            }
        }
        self.sections.push(section);
        self.slots.push(Slot::default());
        self.current = Some(index);
        Ok(index)
    }

    fn target<'a>(&'a mut self, target: &'a mut Target) -> &'a mut Section {
        match target {
            Target::New(section) => section,
            Target::Old(index) => &mut self.sections[*index],
        }
    }

    /// The first section of this name for which `filter` holds; an empty name is any section's.
    fn find(&mut self, name: &[u8], filter: &Filter) -> Result<Option<usize>, Exhausted> {
        let mut fuel = self.fuel;
        let found = if name.is_empty() {
            first(0..self.sections.len(), &self.sections, filter, &mut fuel)
        } else {
            first(self.named(name), &self.sections, filter, &mut fuel)
        };
        self.fuel = fuel;
        found
    }

    /// The sections of this name, in order. Its case does not count.
    fn named(&self, name: &[u8]) -> impl Iterator<Item = usize> {
        let of_hash = self.named.get(&self.hash(name)).map(|same| same.first);
        iter::successors(of_hash, |at| self.slots[*at].next)
            .filter(move |at| self.sections[*at].name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Names are cut to what fits here; longer ones are nobody's.
    fn hash(&self, name: &[u8]) -> u64 {
        let mut small = [0; NAME];
        let small = &mut small[..name.len().min(NAME)];
        small.copy_from_slice(&name[..small.len()]);
        small.make_ascii_lowercase();
        self.hasher.hash_one(small)
    }

    /// `(+…)`: what the header had inherited moves to the end of the section found.
    fn append_to(
        &mut self,
        target: Target,
        name: &[u8],
        filter: &[u8],
        span: Span,
    ) -> Result<Target, Refusal> {
        let found =
            self.find(name, &Filter::new(filter, self.age))?.ok_or(Refusal::NoTarget(span))?;
        if let Target::New(section) = target {
            self.changes(found);
            self.sections[found].template |= section.template;
            self.sections[found].entries.take(section.entries, &mut self.joined);
            self.current = Some(found);
        }
        Ok(Target::Old(found))
    }

    /// Copies the values that the base has now.
    fn inherit(&mut self, target: &mut Target, name: Text, span: Span) -> Result<(), Refusal> {
        let Some(base) = self.any(name.as_bytes()) else {
            return Err(Refusal::NoBase(name, span));
        };
        if matches!(target, Target::Old(index) if *index == base)
            && !self.sections[base].entries.is_empty()
        {
            return Err(Refusal::Endless(span));
        }
        let lineage = self.heritage(base)?;
        if let Target::Old(index) = target {
            // It may hold values of its own already, behind which nothing can be shared.
            self.changes(*index);
            self.count(lineage.iter().map(|part| part.len()).sum(), 0)?;
        }
        let name = self.sections[base].name.clone();
        let Self { sections, joined, .. } = self;
        let into = match target {
            Target::New(section) => section,
            Target::Old(index) => &mut sections[*index],
        };
        into.bases.reserve_exact(1);
        into.bases.push(name);
        into.entries.inherit(lineage, joined);
        Ok(())
    }

    /// What an heir of a section gets.
    fn heritage(&mut self, base: usize) -> Result<Lineage, Refusal> {
        let entries = &self.sections[base].entries;
        self.inherited = self.inherited.saturating_add(entries.len());
        let lineage = match &self.slots[base].heritage {
            Some(lineage) => lineage.clone(),
            None => {
                let (lineage, copied) = entries.bequeath();
                self.count(copied, 0)?;
                self.slots[base].heritage.insert(lineage).clone()
            }
        };
        self.count(lineage.len(), 0)?;
        Ok(lineage)
    }

    /// Its heirs so far have what it was.
    fn changes(&mut self, section: usize) {
        self.slots[section].heritage = None;
    }

    fn count(&mut self, more: usize, inherited: usize) -> Result<(), Refusal> {
        self.entries = self.entries.saturating_add(more);
        self.inherited = self.inherited.saturating_add(inherited);
        let fits = self.entries <= ENTRIES && self.inherited <= INHERITED;
        if fits { Ok(()) } else { Err(Refusal::TooMuch) }
    }

    /// The first section of this name, a template or not; an empty name is any section's.
    fn any(&self, name: &[u8]) -> Option<usize> {
        if name.is_empty() {
            return (!self.sections.is_empty()).then_some(0);
        }
        self.named(name).next()
    }

    /// `name = value`.
    pub(super) fn set(&mut self, section: usize, entry: Entry) -> Result<(), Refusal> {
        self.count(1, 0)?;
        self.changes(section);
        self.sections[section].entries.push(entry);
        Ok(())
    }

    /// `name += more`: extends the last value of exactly this name, and stores the result over the
    /// first one that equals it without case (any of that name when it was empty), as Asterisk does.
    pub(super) fn append(
        &mut self,
        section: usize,
        mut entry: Entry,
        more: &[u8],
    ) -> Result<(), Refusal> {
        let entries = &mut self.sections[section].entries;
        let Some(old) = entries.iter().rev().find(|e| e.name == entry.name) else {
            self.fuel = spend(self.fuel, entries.len())?;
            return self.set(section, entry);
        };
        let was = old.value.clone();
        self.fuel = spend(self.fuel, entries.len() + was.as_bytes().len() + more.len())?;
        entry.value = joined(was.as_bytes(), more);
        let same = |e: &Entry| {
            e.name.as_bytes().eq_ignore_ascii_case(entry.name.as_bytes())
                && (was.is_empty() || e.value.as_bytes().eq_ignore_ascii_case(was.as_bytes()))
        };
        if let Some(first) = entries.iter().position(same) {
            // An inherited one becomes the section's own, and all with it.
            let copied = if entries.iter().nth(first).is_some_and(|e| e.inherited) {
                entries.len()
            } else {
                0
            };
            entries.replace(first, entry);
            self.changes(section);
            self.count(copied, 0)?;
        }
        Ok(())
    }

    /// Names that could have been meant.
    pub(super) fn nearest(&self, name: &Text) -> Option<String> {
        let wanted = name.chars();
        let names: Vec<_> = self.sections.iter().take(1000).map(|s| s.name.chars()).collect();
        let names = names.iter().map(AsRef::as_ref).filter(|n: &&str| n.len() <= NAME);
        if wanted.len() > NAME {
            return None;
        }
        crate::base::nearest::nearest(wanted.as_ref(), names).map(str::to_owned)
    }
}

fn first(
    mut candidates: impl Iterator<Item = usize>,
    sections: &[Section],
    filter: &Filter,
    fuel: &mut u64,
) -> Result<Option<usize>, Exhausted> {
    candidates
        .find_map(|at| match filter.holds(&sections[at], fuel) {
            Ok(false) => None,
            Ok(true) => Some(Ok(at)),
            Err(error) => Some(Err(error)),
        })
        .transpose()
}

fn spend(fuel: u64, steps: usize) -> Result<u64, Refusal> {
    fuel.checked_sub(steps as u64).ok_or(Refusal::TooMuch)
}

/// Old and new text with the outer blanks gone.
fn joined(old: &[u8], more: &[u8]) -> Text {
    let all = [old, more].concat();
    let start = all.iter().position(|b| *b > 32).unwrap_or(all.len());
    let end = all.iter().rposition(|b| *b > 32).map_or(start, |at| at + 1);
    Text::new(Bytes::from(all).slice(start..end))
}

/// The options between their commas; nothing is one empty option.
pub(super) fn split(options: View<'_>) -> impl Iterator<Item = View<'_>> {
    let mut rest = Some(options);
    std::iter::from_fn(move || {
        let now = rest?;
        let comma = now.find(b',');
        rest = comma.map(|at| now.from(at + 1));
        Some(now.part(0..comma.unwrap_or(now.bytes.len())))
    })
}
