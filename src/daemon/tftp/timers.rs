//! When each place of the table has to be looked at. A deadline that moves on costs nothing: there is
//! one entry for each place, and it is put back when it comes up too early.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    /// The entry that counts, for each place.
    set: Vec<Option<Instant>>,
}

impl Timers {
    /// The place wants to be looked at by then; an earlier entry comes first, and asks again.
    pub(super) fn set(&mut self, place: usize, due: Instant) {
        if self.set.len() <= place {
            self.set.resize(place + 1, None);
        }
        if self.set[place].is_none_or(|set| set > due) {
            self.set[place] = Some(due);
            self.heap.push(Reverse((due, place)));
        }
    }

    /// The time of the first entry.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// A place whose time has come, or had come before it was put off.
    pub(super) fn pop(&mut self, now: Instant) -> Option<usize> {
        while self.next().is_some_and(|due| due <= now) {
            let Reverse((due, place)) = self.heap.pop()?;
            if self.set.get(place).is_some_and(|set| *set == Some(due)) {
                self.set[place] = None;
                return Some(place);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_entry_counts_for_each_place() {
        let (mut timers, start) = (Timers::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        timers.set(3, at(5));
        timers.set(3, at(9));
        timers.set(1, at(4));
        assert_eq!((timers.next(), timers.heap.len()), (Some(at(4)), 2));
        timers.set(3, at(2));
        assert_eq!((timers.pop(at(1)), timers.pop(at(3))), (None, Some(3)));
        assert_eq!((timers.pop(at(9)), timers.pop(at(9))), (Some(1), None));
        assert!(timers.heap.is_empty() && timers.next().is_none());
    }
}
