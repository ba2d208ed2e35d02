//! The values of one section. What is inherited is shared with all who inherit it: a site of 20,000
//! peers from a few templates holds each template once.

use std::collections::HashMap;
use std::iter::{Chain, FlatMap};
use std::marker::PhantomData;
use std::slice;
use std::sync::Arc;

use super::Entry;

/// Some values that several sections have.
pub(super) type Shared = Arc<[Entry]>;

/// All that a section inherits: one and the same for all who inherit the same.
pub(super) type Lineage = Arc<[Shared]>;

/// Values in order, inherited ones first unless `(+)` put some later.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    lineage: Option<Lineage>,
    own: Vec<Entry>,
}

type Inherited<'a> = FlatMap<
    slice::Iter<'a, Shared>,
    slice::Iter<'a, Entry>,
    fn(&'a Shared) -> slice::Iter<'a, Entry>,
>;

/// See [`Entries::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a>(Chain<Inherited<'a>, slice::Iter<'a, Entry>>);

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back()
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a Entry;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

fn values(shared: &Shared) -> slice::Iter<'_, Entry> {
    shared.iter()
}

impl Entries {
    /// All of them, in order; from the end, too.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.parts().iter().flat_map(values as _).chain(&self.own))
    }

    /// Those in front that are shared with all who inherit the same; see [`Lineages`].
    pub fn shared(&self) -> Iter<'_> {
        Iter(self.parts().iter().flat_map(values as _).chain(&[]))
    }

    /// Those behind the shared ones.
    pub fn own(&self) -> &[Entry] {
        &self.own
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum::<usize>() + self.own.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.lineage.is_none()
    }

    /// The first.
    pub fn first(&self) -> Option<&Entry> {
        self.iter().next()
    }

    /// The last.
    pub fn last(&self) -> Option<&Entry> {
        self.iter().next_back()
    }

    /// Empty, with room for as many own values as `other` has: neighbours are often alike.
    pub(super) fn like(other: &Entries) -> Self {
        Self { lineage: None, own: Vec::with_capacity(other.own.len().min(64)) }
    }

    /// Puts one behind all.
    pub fn push(&mut self, entry: Entry) {
        self.own.push(entry);
    }

    /// The parts that are shared.
    fn parts(&self) -> &[Shared] {
        self.lineage.as_deref().unwrap_or_default()
    }

    /// Everything that an heir gets, and how many values had to be copied for it.
    pub(super) fn bequeath(&self) -> (Lineage, usize) {
        let own = self.own.iter().map(|entry| Entry { inherited: true, ..entry.clone() });
        match &self.lineage {
            Some(lineage) if self.own.is_empty() => (lineage.clone(), 0),
            _ if self.own.is_empty() => (Lineage::default(), 0),
            _ => {
                let parts = self.parts().iter().cloned().chain([own.collect()]);
                (parts.collect(), self.own.len())
            }
        }
    }

    /// Puts what is inherited behind all.
    pub(super) fn inherit(&mut self, lineage: Lineage, joined: &mut Joined) {
        if lineage.is_empty() {
        } else if self.own.is_empty() {
            self.lineage = Some(match self.lineage.take() {
                Some(first) => joined.join(first, lineage),
                None => lineage,
            });
        } else {
            self.own.extend(lineage.iter().flat_map(values).cloned());
        }
    }

    /// Puts all of another section behind all.
    pub(super) fn take(&mut self, other: Entries, joined: &mut Joined) {
        other.lineage.into_iter().for_each(|lineage| self.inherit(lineage, joined));
        self.own.extend(other.own);
    }

    /// Puts another in the place of the one with this number.
    pub(super) fn replace(&mut self, at: usize, entry: Entry) {
        let inherited = self.len() - self.own.len();
        let own = match at.checked_sub(inherited) {
            Some(own) => own,
            None => {
                self.own = self.iter().cloned().collect();
                self.lineage = None;
                at
            }
        };
        if let Some(place) = self.own.get_mut(own) {
            *place = entry;
        }
    }

    /// Gives back what was reserved for more.
    pub(super) fn shrink(&mut self) {
        self.own.shrink_to_fit();
    }
}

/// Which lineage, among those that are alive.
fn address(lineage: &Lineage) -> usize {
    lineage.as_ptr().addr()
}

/// Two lineages one behind the other, made once for all who inherit both.
#[derive(Default)]
pub(super) struct Joined(HashMap<[usize; 2], Union>);

/// The parts stay alive with it, so that their addresses stay theirs.
struct Union {
    whole: Lineage,
    _parts: [Lineage; 2],
}

impl Joined {
    fn join(&mut self, first: Lineage, second: Lineage) -> Lineage {
        let union = self.0.entry([&first, &second].map(address)).or_insert_with(|| Union {
            whole: first.iter().chain(second.iter()).cloned().collect(),
            _parts: [first, second],
        });
        union.whole.clone()
    }
}

/// What a reader finds out about inherited values, once for all sections that inherit the same.
pub struct Lineages<'a, T> {
    known: HashMap<usize, T>,
    of: PhantomData<&'a Entries>,
}

impl<T> Default for Lineages<'_, T> {
    fn default() -> Self {
        Self { known: HashMap::new(), of: PhantomData }
    }
}

impl<'a, T> Lineages<'a, T> {
    /// What is known of the values that `entries` shares; `judge` finds it out from
    /// [`Entries::shared`] when nothing is known yet.
    pub fn of(&mut self, entries: &'a Entries, judge: impl FnOnce(Iter<'a>) -> T) -> &T {
        let key = entries.lineage.as_ref().map_or(0, address);
        self.known.entry(key).or_insert_with(|| judge(entries.shared()))
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(all: I) -> Self {
        Self { lineage: None, own: all.into_iter().collect() }
    }
}
