//! Which phone misbehaves, how and when: all of it follows from the seed.

use std::time::Duration;

use crate::random::Random;

/// What is wrong with a phone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// Boots, reads its files, and registers nothing; when it heals, its power is cut once.
    NeverReturns,
    /// Takes one block of its own file and acknowledges nothing.
    FetchHalf,
    /// Does not even answer a NOTIFY.
    IgnoresNotify,
    /// Loses its power every few seconds.
    Loops,
    /// Loses its power once and comes back with another address.
    ChangesAddress,
    /// Does not answer OPTIONS: Asterisk thinks it unreachable.
    Mute,
    /// Without power for the whole time.
    Unplugged,
}

/// All of them.
pub const FAULTS: [Fault; 7] = [
    Fault::NeverReturns,
    Fault::FetchHalf,
    Fault::IgnoresNotify,
    Fault::Loops,
    Fault::ChangesAddress,
    Fault::Mute,
    Fault::Unplugged,
];

/// Longer than any series.
const FOR_EVER: Duration = Duration::from_secs(7 * 86_400);

/// One phone that misbehaves for a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Misbehaviour {
    /// Its number.
    pub phone: usize,
    /// How.
    pub fault: Fault,
    /// When it begins, counted from the start of the series.
    pub from: Duration,
    /// When it ends.
    pub until: Duration,
    /// Whether it never does.
    pub for_ever: bool,
}

/// `percent` of the phones misbehave once, somewhen within `length`, for 5 to 60 s, and one in ten of them
/// for ever; in order of time.
pub fn plan(phones: usize, percent: u64, length: Duration, seed: u64) -> Vec<Misbehaviour> {
    let mut random = Random::new(seed, 2);
    let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let mut all = Vec::new();
    for phone in 0..phones {
        if !random.chance(percent) {
            continue;
        }
        let from = random.between(0, length);
        let until = (from + random.between(5_000, 60_000)).min(length);
        let (from, until) = (Duration::from_millis(from), Duration::from_millis(until));
        let (fault, last) = (*random.pick(&FAULTS), random.chance(10));
        let for_ever = last && !matches!(fault, Fault::ChangesAddress);
        let until = if for_ever { FOR_EVER } else { until };
        all.push(Misbehaviour { phone, fault, from, until, for_ever });
    }
    all.sort_by_key(|one| one.from);
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::plan;

    #[test]
    fn the_plan_follows_from_the_seed() {
        let length = Duration::from_secs(600);
        let one = plan(300, 20, length, 5);
        assert_eq!(one, plan(300, 20, length, 5));
        assert_ne!(one, plan(300, 20, length, 6));
        assert!((30..90).contains(&one.len()), "{}", one.len());
        assert!(one.iter().all(|m| m.from <= m.until && (m.until <= length) != m.for_ever));
    }
}
