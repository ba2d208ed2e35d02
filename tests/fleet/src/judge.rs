//! What must be true at the end of a series, and the table that says so.

use std::collections::BTreeSet;
use std::fmt;

use crate::conf::{Conf, mac_text};
use crate::edit::{Saved, Touched};
use crate::fleet::Fleet;
use crate::ledger::{Ledger, Restart};
use crate::site::Status;

/// A check-sync that crossed the first moment of a call on the way, in milliseconds.
const CROSSED: u64 = 1500;
/// How long a save may take to reach a phone that is on its way down, in milliseconds.
const OVERTAKES: u64 = 5000;
/// Examples told for a rule that was broken.
const EXAMPLES: usize = 8;

/// One line of the table.
#[derive(Clone, Debug)]
struct Row {
    what: String,
    value: String,
    /// Whether the rule holds; none for what is only told.
    holds: Option<bool>,
    examples: Vec<String>,
}

/// The table.
#[derive(Clone, Default, Debug)]
pub struct Verdict(Vec<Row>);

impl Verdict {
    /// A fact without a rule.
    pub fn tell(&mut self, what: &str, value: impl fmt::Display) {
        let (what, value) = (what.to_owned(), value.to_string());
        self.0.push(Row { what, value, holds: None, examples: Vec::new() });
    }

    /// A rule, and the value that it is about.
    pub fn rule(&mut self, what: &str, value: impl fmt::Display, holds: bool) {
        let (what, value) = (what.to_owned(), value.to_string());
        self.0.push(Row { what, value, holds: Some(holds), examples: Vec::new() });
    }

    /// There must be none of these.
    pub fn none(&mut self, what: &str, found: Vec<String>) {
        self.rule(what, found.len(), found.is_empty());
        if let Some(row) = self.0.last_mut() {
            row.examples = found;
        }
    }

    /// Whether every rule holds.
    pub fn holds(&self) -> bool {
        self.0.iter().all(|row| row.holds != Some(false))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|row| row.what.len()).max().unwrap_or_default();
        for row in &self.0 {
            let mark = match row.holds {
                None => "",
                Some(true) => "  ok",
                Some(false) => "  NO",
            };
            writeln!(f, "  {:width$}  {:>12}{mark}", row.what, row.value)?;
            for example in row.examples.iter().take(EXAMPLES) {
                writeln!(f, "      {example}")?;
            }
        }
        Ok(())
    }
}

/// The phones that do not run what `conf` gives them, with what is wrong; `exempt` ones are not looked
/// at. The daemon's word counts where it is given.
pub fn stale(
    fleet: &Fleet,
    conf: &Conf,
    status: Option<&Status>,
    exempt: &BTreeSet<usize>,
) -> Vec<String> {
    let wanted = conf.wanted().into_iter().filter(|(phone, _)| !exempt.contains(phone));
    let mut found = Vec::new();
    for (index, wanted) in wanted {
        let flash = fleet.phone(index).state().flash;
        let mac = mac_text(index, ":");
        let wrong = wanted.keys.iter().find(|(key, value)| flash.get(key) != value);
        let seen = status.and_then(|status| status.phones.get(&mac));
        let why = if let Some((key, value)) = wrong {
            let secret = key.ends_with("password");
            let value = if secret { "***" } else { value };
            Some(format!("{key} is not {value:?}"))
        } else if !fleet.ledger(index).on_air() {
            Some("not all of its lines are registered".to_owned())
        } else if let (Some(_), None) = (status, seen) {
            Some("handset does not know it".to_owned())
        } else {
            seen.filter(|seen| seen.state != "current" || !seen.registered).map(|seen| {
                format!("is {} for handset, registered: {}", seen.state, seen.registered)
            })
        };
        if let Some(why) = why {
            let detail = seen.and_then(|seen| seen.detail.clone()).unwrap_or_default();
            found.push(format!("{mac}: {why} ({detail})"));
        }
    }
    found
}

/// Adds what restarts show: needless ones, those in calls, those that came twice for one change.
pub fn restarts(verdict: &mut Verdict, ledgers: &[Ledger], saves: &[Saved]) {
    let all = || {
        let each = |(index, ledger): (usize, &Ledger)| {
            ledger.told_restarts().map(move |restart| (index, restart.clone())).collect::<Vec<_>>()
        };
        ledgers.iter().enumerate().flat_map(each)
    };
    let line = |index: usize, restart: &Restart| {
        format!("{} at {}: {} -> {:?}", mac_text(index, ":"), restart.at, restart.from, restart.to)
    };
    verdict.tell("restarts for a check-sync", all().count());
    let unchanged: Vec<_> =
        all().filter(|(_, r)| r.read.is_some() && r.changed.is_empty()).collect();
    let (overtaken, needless): (Vec<_>, Vec<_>) =
        unchanged.into_iter().partition(|(index, restart)| overtaken(*index, restart, saves));
    verdict.tell("  of them overtaken by an edit that took the change back", overtaken.len());
    verdict.none("needless restarts", needless.iter().map(|(i, r)| line(*i, r)).collect());
    let twice = ledgers.iter().enumerate().flat_map(|(index, ledger)| {
        twice(index, ledger, saves).into_iter().map(move |restart| line(index, &restart))
    });
    verdict.none("restarts for a token that had restarted it", twice.collect());
    let off: u64 = all().filter_map(|(_, r)| Some(r.back?.saturating_sub(r.at))).sum();
    verdict.tell("seconds off the air because of that, all phones", format!("{:.1}", seconds(off)));
    let longest = all().filter_map(|(_, r)| Some(r.back?.saturating_sub(r.at))).max();
    verdict.tell("  the longest restart", format!("{:.1}", seconds(longest.unwrap_or_default())));
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}

/// Whether an edit of the phone was saved between the look at `syncinfo.xml` and the end of the boot.
fn overtaken(index: usize, restart: &Restart, saves: &[Saved]) -> bool {
    let from = restart.at.saturating_sub(OVERTAKES);
    let until = restart.read.unwrap_or(u64::MAX);
    saves.iter().any(|save| (from..=until).contains(&save.at) && touches(save, index))
}

fn touches(save: &Saved, index: usize) -> bool {
    match &save.touched {
        Touched::All => true,
        Touched::Some(some) => some.contains(&index),
    }
}

/// Restarts for the same token as the one before, without an edit of the phone in between.
fn twice(index: usize, ledger: &Ledger, saves: &[Saved]) -> Vec<Restart> {
    let told: Vec<&Restart> = ledger.told_restarts().collect();
    let again = told.windows(2).filter(|pair| {
        let between = pair[0].at.saturating_sub(OVERTAKES)..=pair[1].at;
        let edited = saves.iter().any(|s| between.contains(&s.at) && touches(s, index));
        pair[0].told == pair[1].told && !edited
    });
    again.map(|pair| pair[1].clone()).collect()
}

/// Adds the check-syncs and the restarts that came in calls. A window of `blind` excuses them: neither handset nor Asterisk
/// could know of the call then.
pub fn calls(verdict: &mut Verdict, ledgers: &[Ledger], blind: &[(u64, u64)]) {
    let all = ledgers.iter().enumerate();
    let told = all.flat_map(|(index, l)| l.told_in_call.iter().map(move |told| (index, told)));
    let told = told.map(|(index, &(at, since))| (index, at, at.saturating_sub(since)));
    count_calls(verdict, "check-syncs", told, blind);
    let all = ledgers.iter().enumerate();
    let restarts = all.flat_map(|(index, ledger)| {
        ledger.told_restarts().filter_map(move |r| Some((index, r.at, r.in_call?)))
    });
    count_calls(verdict, "restarts", restarts, blind);
}

/// Of what came in calls: the phone, when, and how long the call had lasted.
fn count_calls(
    verdict: &mut Verdict,
    what: &str,
    all: impl Iterator<Item = (usize, u64, u64)>,
    blind: &[(u64, u64)],
) {
    let (mut crossed, mut excused, mut late) = (0, 0, Vec::new());
    for (index, at, age) in all {
        if age <= CROSSED {
            crossed += 1;
        } else if blind.iter().any(|(from, until)| (*from..=*until).contains(&at)) {
            excused += 1;
        } else {
            late.push(format!("{} at {at}: {age} ms after it began", mac_text(index, ":")));
        }
    }
    verdict.tell(&format!("{what} that crossed the beginning of a call"), crossed);
    if !blind.is_empty() {
        verdict.tell(&format!("{what} during a call that nobody could know of"), excused);
    }
    verdict.none(&format!("{what} during a call"), late);
}

/// Adds the phones that restarted more often than edits touched them.
pub fn unexplained(verdict: &mut Verdict, ledgers: &[Ledger], touches: &[usize]) {
    let more = ledgers.iter().zip(touches).enumerate().filter_map(|(index, (ledger, touches))| {
        let count = ledger.told_restarts().count();
        let text = || format!("{}: {count} restarts, {touches} edits", mac_text(index, ":"));
        (count > *touches).then(text)
    });
    verdict.none("phones with more restarts than edits of theirs", more.collect());
}

/// Adds the sums of what the phones did.
pub fn sums(verdict: &mut Verdict, ledgers: &[Ledger]) {
    let sum = |of: fn(&Ledger) -> u64| ledgers.iter().map(of).sum::<u64>();
    verdict.tell("calls", sum(|l| l.calls));
    verdict.tell("check-syncs heard", sum(|l| l.notifies));
    verdict.tell("REGISTERs refused or not answered", sum(|l| l.refused));
    for file in ["syncinfo.xml", "SIP#.cnf"] {
        let count: u64 = ledgers.iter().filter_map(|l| l.fetches.get(file)).sum();
        verdict.tell(&format!("{file} received whole"), count);
    }
    let complaints = ledgers.iter().flat_map(|l| l.complaints.iter().cloned()).collect();
    verdict.none("values that a phone could not take", complaints);
}

#[cfg(test)]
mod tests {
    use super::{Verdict, calls, restarts};
    use crate::edit::{Kind, Saved, Touched};
    use crate::ledger::{Cause, Ledger, Restart};

    fn restart(at: u64, told: &str, changed: &[&str]) -> Restart {
        Restart {
            at,
            cause: Cause::CheckSync,
            from: "0".into(),
            told: Some(told.into()),
            to: Some(told.into()),
            changed: changed.iter().map(|&key| key.to_owned()).collect(),
            in_call: None,
            read: Some(at + 100),
            back: Some(at + 200),
        }
    }

    fn check(all: Vec<Restart>, saves: &[(u64, Touched)], expected: bool) {
        let mut ledger = Ledger::default();
        ledger.restarts = all;
        let saved = |(at, touched): &(u64, Touched)| Saved {
            at: *at,
            kind: Kind::Name,
            touched: touched.clone(),
        };
        let saves: Vec<Saved> = saves.iter().map(saved).collect();
        let mut verdict = Verdict::default();
        restarts(&mut verdict, &[ledger], &saves);
        assert_eq!(verdict.holds(), expected, "{verdict}");
    }

    #[test]
    fn a_restart_needs_a_changed_byte() {
        check(vec![restart(10_000, "1", &["line1_name"])], &[], true);
        check(vec![restart(10_000, "1", &[])], &[], false);
        check(vec![restart(10_000, "1", &[])], &[(9000, Touched::Some(vec![1]))], false);
        check(vec![restart(10_000, "1", &[])], &[(9000, Touched::Some(vec![0]))], true);
    }

    #[test]
    fn one_change_restarts_once() {
        let two = || vec![restart(10_000, "1", &["a"]), restart(20_000, "1", &["a"])];
        check(two(), &[], false);
        check(two(), &[(15_000, Touched::All)], true);
    }

    #[test]
    fn calls_are_respected() {
        let check = |age: u64, blind: &[(u64, u64)], expected: bool| {
            let mut ledger = Ledger::default();
            let restart = restart(10_000, "1", &["a"]);
            ledger.restarts = vec![Restart { in_call: Some(age), ..restart }];
            let mut verdict = Verdict::default();
            calls(&mut verdict, &[ledger], blind);
            assert_eq!(verdict.holds(), expected, "{verdict}");
        };
        check(3000, &[], false);
        check(1000, &[], true);
        check(3000, &[(9000, 11_000)], true);
        check(3000, &[(11_000, 12_000)], false);
    }
}
