//! How often a PIN may be guessed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::base::Time;

/// So many wrong PINs from one phone, or for one extension, are free.
const FREE: u32 = 3;
/// Then nobody may try for so long, doubled with each further one.
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);
/// So many wrong ones in all within an hour; then nobody may try.
const ALL: usize = 50;
const HOUR: Duration = Duration::from_secs(3600);
/// Phones and extensions that are remembered.
const KNOWN: usize = 4096;

/// What came of a try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Not looked at: too many wrong ones before.
    Locked,
    /// The wrong PIN.
    Wrong,
    /// The right one.
    Right,
}

/// Wrong PINs of late.
#[derive(Debug, Default)]
pub(super) struct Tries {
    known: BTreeMap<String, Wrong>,
    all: VecDeque<Time>,
}

#[derive(Clone, Copy, Debug)]
struct Wrong {
    count: u32,
    last: Time,
}

impl Wrong {
    fn locked(self, now: Time) -> bool {
        let Some(over) = self.count.checked_sub(FREE) else { return false };
        let wait = FIRST.saturating_mul(1 << over.min(16)).min(LONGEST);
        now.since(self.last) < wait
    }
}

impl Tries {
    /// Whether a phone or an extension may try now.
    pub(super) fn may(&self, who: &str, now: Time) -> bool {
        let recent = self.all.iter().filter(|at| now.since(**at) < HOUR).count();
        recent < ALL && !self.known.get(who).is_some_and(|wrong| wrong.locked(now))
    }

    /// Judges a try of a phone for an extension, and remembers it. A right PIN forgives the phone's wrong ones, not
    /// the extension's.
    pub(super) fn judge(&mut self, phone: &str, extension: &str, fits: bool, now: Time) -> Verdict {
        let (phone, extension) = (format!("from {phone}"), format!("to {extension}"));
        if !self.may(&phone, now) || !self.may(&extension, now) {
            return Verdict::Locked;
        }
        if fits {
            self.known.remove(&phone);
            return Verdict::Right;
        }
        self.all.push_back(now);
        if self.all.len() > ALL {
            self.all.pop_front();
        }
        for who in [phone, extension] {
            self.forget(now);
            let wrong = self.known.entry(who).or_insert(Wrong { count: 0, last: now });
            if now.since(wrong.last) >= LONGEST {
                wrong.count = 0;
            }
            (wrong.count, wrong.last) = (wrong.count.saturating_add(1), now);
        }
        Verdict::Wrong
    }

    /// Whether a phone may be asked for a PIN at all.
    pub(super) fn may_call(&self, phone: &str, now: Time) -> bool {
        self.may(&format!("from {phone}"), now)
    }

    fn forget(&mut self, now: Time) {
        if self.known.len() >= KNOWN {
            self.known.retain(|_, wrong| now.since(wrong.last) < LONGEST);
        }
        if self.known.len() >= KNOWN {
            let oldest = self.known.iter().min_by_key(|(_, w)| w.last).map(|(who, _)| who.clone());
            oldest.map(|who| self.known.remove(&who));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time(1_700_000_000_000 + seconds * 1000)
    }

    #[test]
    fn three_are_free_then_the_wait_doubles() {
        let mut tries = Tries::default();
        for second in 0..3 {
            assert_eq!(tries.judge("g1", "201", false, at(second)), Verdict::Wrong);
        }
        // Also the right one is not looked at.
        assert_eq!(tries.judge("g1", "202", true, at(3)), Verdict::Locked);
        assert_eq!(tries.judge("g2", "201", true, at(3)), Verdict::Locked);
        assert_eq!(tries.judge("g2", "202", true, at(3)), Verdict::Right);
        assert!(!tries.may_call("g1", at(61)) && tries.may_call("g1", at(62)));
        assert_eq!(tries.judge("g1", "201", false, at(62)), Verdict::Wrong);
        assert!(!tries.may_call("g1", at(62 + 119)) && tries.may_call("g1", at(62 + 120)));
    }

    #[test]
    fn a_right_one_forgives_the_phone_and_not_the_extension() {
        let mut tries = Tries::default();
        for second in 0..2 {
            tries.judge("g1", "201", false, at(second));
        }
        assert_eq!(tries.judge("g1", "201", true, at(2)), Verdict::Right);
        tries.judge("g1", "202", false, at(3));
        assert!(tries.may_call("g1", at(3)));
        assert_eq!(tries.judge("g2", "201", false, at(4)), Verdict::Wrong);
        assert_eq!(tries.judge("g3", "201", true, at(5)), Verdict::Locked);
    }

    #[test]
    fn many_phones_together_are_stopped_and_little_is_remembered() {
        let mut tries = Tries::default();
        for n in 0..10_000 {
            tries.judge(&format!("g{n}"), &format!("{n}"), false, at(n));
        }
        assert!(tries.known.len() <= KNOWN + 1 && tries.all.len() <= ALL);
        let mut tries = Tries::default();
        for n in 0..50 {
            assert_eq!(
                tries.judge(&format!("g{n}"), &format!("{n}"), false, at(n)),
                Verdict::Wrong
            );
        }
        assert_eq!(tries.judge("new", "999", true, at(60)), Verdict::Locked);
        assert_eq!(tries.judge("new", "999", true, at(3700)), Verdict::Right);
    }
}
