//! The values of one section. What is inherited is shared with all who inherit it: a site of 20,000
//! peers from a few templates holds each template once.

use std::iter::{Chain, FlatMap};
use std::slice;
use std::sync::Arc;

use super::Entry;

/// Some values that several sections have.
pub(super) type Shared = Arc<[Entry]>;

/// Values in order, inherited ones first unless `(+)` put some later.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    shared: Vec<Shared>,
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
        Iter(self.shared.iter().flat_map(values as _).chain(&self.own))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shared.iter().map(|part| part.len()).sum::<usize>() + self.own.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.shared.is_empty()
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
        Self { shared: Vec::new(), own: Vec::with_capacity(other.own.len().min(64)) }
    }

    /// Puts one behind all.
    pub fn push(&mut self, entry: Entry) {
        self.own.push(entry);
    }

    /// The parts that are shared.
    pub(super) fn shared(&self) -> &[Shared] {
        &self.shared
    }

    /// Everything that an heir gets: parts that are shared already, and the rest, which becomes one.
    pub(super) fn parts(&self) -> (&[Shared], Option<Shared>) {
        let own = self.own.iter().map(|entry| Entry { inherited: true, ..entry.clone() });
        (&self.shared, (!self.own.is_empty()).then(|| own.collect()))
    }

    /// Puts what is inherited behind all.
    pub(super) fn inherit(&mut self, part: Shared) {
        if part.is_empty() {
        } else if self.own.is_empty() {
            self.shared.push(part);
        } else {
            self.own.extend(part.iter().cloned());
        }
    }

    /// Puts all of another section behind all.
    pub(super) fn take(&mut self, other: Entries) {
        other.shared.into_iter().for_each(|part| self.inherit(part));
        self.own.extend(other.own);
    }

    /// Puts another in the place of the one with this number.
    pub(super) fn replace(&mut self, at: usize, entry: Entry) {
        let inherited = self.len() - self.own.len();
        let own = match at.checked_sub(inherited) {
            Some(own) => own,
            None => {
                self.own = self.iter().cloned().collect();
                self.shared.clear();
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
        self.shared.shrink_to_fit();
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(all: I) -> Self {
        Self { shared: Vec::new(), own: all.into_iter().collect() }
    }
}
