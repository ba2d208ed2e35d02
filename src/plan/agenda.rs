//! Where every phone stands, kept up to date: what it costs to look follows what changed, not how
//! many phones there are.

use std::collections::{BTreeMap, BTreeSet};

use super::standing::{Standing, State};
use crate::base::{HashMap, Mac, Time};

/// The standings, and what is due by them.
#[derive(Debug, Default)]
pub struct Agenda {
    phones: HashMap<Mac, Standing>,
    due: BTreeSet<(bool, Time, Mac)>,
    wake: BTreeSet<(Time, Mac)>,
    counts: BTreeMap<State, usize>,
}

impl Agenda {
    /// A phone stands so from now on; with none there is no such phone any more.
    pub fn set(&mut self, mac: Mac, new: Option<Standing>) {
        let old = match new {
            Some(new) => {
                self.due.extend(new.due.map(|due| (new.slow, due, mac)));
                self.wake.extend(new.wake.map(|wake| (wake, mac)));
                *self.counts.entry(new.state).or_default() += 1;
                let kept = (new.slow, new.due, new.wake);
                self.phones.insert(mac, new).map(|old| (old, kept))
            }
            None => self.phones.remove(&mac).map(|old| (old, (false, None, None))),
        };
        let Some((old, (slow, due, wake))) = old else { return };
        if let Some(at) = old.due.filter(|at| Some(*at) != due || old.slow != slow) {
            self.due.remove(&(old.slow, at, mac));
        }
        if let Some(at) = old.wake.filter(|at| Some(*at) != wake) {
            self.wake.remove(&(at, mac));
        }
        if let Some(count) = self.counts.get_mut(&old.state) {
            *count -= 1;
        }
    }

    /// Where a phone stood when it was last looked at.
    pub fn get(&self, mac: Mac) -> Option<&Standing> {
        self.phones.get(&mac)
    }

    /// The phones that are told now, those waiting longest first; those that are only asked what they
    /// run come last.
    pub fn due(&self, now: Time) -> impl Iterator<Item = (Mac, &Standing)> {
        let until = |slow: bool| {
            let first = self.due.range((slow, Time(0), Mac::LEAST)..);
            first.take_while(move |(kind, at, _)| *kind == slow && *at <= now)
        };
        let due = until(false).chain(until(true));
        due.filter_map(|(_, _, mac)| Some((*mac, self.phones.get(mac)?)))
    }

    /// The phones that time alone has changed.
    pub fn woken(&mut self, now: Time) -> Vec<Mac> {
        let later =
            self.wake.split_off(&(now.after(std::time::Duration::from_millis(1)), Mac::LEAST));
        let woken = std::mem::replace(&mut self.wake, later);
        woken.into_iter().map(|(_, mac)| mac).collect()
    }

    /// How many phones stand so.
    pub fn count(&self, state: State) -> usize {
        self.counts.get(&state).copied().unwrap_or_default()
    }

    /// How many phones there are.
    pub fn len(&self) -> usize {
        self.phones.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.phones.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::standing::Proof;

    fn mac(last: u8) -> Mac {
        Mac::new([0, 0x18, 0xb9, 0, 0, last]).unwrap()
    }

    fn standing(state: State, due: Option<u64>, slow: bool, wake: Option<u64>) -> Option<Standing> {
        Some(Standing {
            state,
            detail: String::new(),
            due: due.map(Time),
            slow,
            wanted: None,
            about: None,
            proof: Proof::Missing,
            wake: wake.map(Time),
        })
    }

    fn due(agenda: &Agenda, now: u64) -> Vec<Mac> {
        agenda.due(Time(now)).map(|(mac, _)| mac).collect()
    }

    #[test]
    fn who_waits_longest_comes_first_and_who_is_only_asked_comes_last() {
        let mut agenda = Agenda::default();
        agenda.set(mac(1), standing(State::Unknown, Some(1), true, None));
        agenda.set(mac(2), standing(State::Pending, Some(7), false, None));
        agenda.set(mac(3), standing(State::Pending, Some(5), false, None));
        agenda.set(mac(4), standing(State::Pending, Some(9), false, None));
        assert_eq!(due(&agenda, 8), [mac(3), mac(2), mac(1)]);
    }

    #[test]
    fn a_new_standing_takes_the_place_of_the_old_one_everywhere() {
        let mut agenda = Agenda::default();
        agenda.set(mac(1), standing(State::Pending, Some(5), false, Some(3)));
        agenda.set(mac(1), standing(State::Pending, Some(5), false, Some(3)));
        assert_eq!((due(&agenda, 9), agenda.count(State::Pending)), (vec![mac(1)], 1));
        agenda.set(mac(1), standing(State::Current, None, false, Some(4)));
        assert_eq!((due(&agenda, 9), agenda.count(State::Pending)), (vec![], 0));
        assert_eq!((agenda.count(State::Current), agenda.len()), (1, 1));
        assert_eq!((agenda.woken(Time(3)), agenda.woken(Time(4))), (vec![], vec![mac(1)]));
        agenda.set(mac(1), None);
        assert!(agenda.is_empty() && agenda.count(State::Current) == 0);
    }
}
