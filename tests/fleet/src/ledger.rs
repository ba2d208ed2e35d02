//! What one phone did, as the phone itself tells it.

use std::collections::{BTreeMap, BTreeSet};

use simphone::{CallState, Event, Report};

/// More restarts than this of one phone are only counted.
const KEPT: usize = 2000;

/// Why a phone went down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// `syncinfo.xml` held another token than its own.
    CheckSync,
    /// The power was cut, by the fault plan.
    Power,
    /// The phone itself: a transfer that stalled.
    Own,
}

/// One restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restart {
    /// When the phone went down. All times are milliseconds since 1970.
    pub at: u64,
    /// Why.
    pub cause: Cause,
    /// The token that it ran.
    pub from: String,
    /// The token that it was told, for [`Cause::CheckSync`].
    pub told: Option<String>,
    /// The token that it came back with.
    pub to: Option<String>,
    /// The keys that changed in its flash, without `sync`.
    pub changed: Vec<String>,
    /// For how many milliseconds it had been in a call, if it was in one.
    pub in_call: Option<u64>,
    /// When it had read its files.
    pub read: Option<u64>,
    /// When all its lines were registered again.
    pub back: Option<u64>,
}

/// The account of one phone.
#[derive(Clone, Default, Debug)]
pub struct Ledger {
    /// In order, at most 2,000.
    pub restarts: Vec<Restart>,
    /// Restarts beyond those.
    pub more_restarts: u64,
    /// Milliseconds off the air: from a restart until all lines are registered.
    pub off_air: u64,
    /// Since when it has been off the air, if it is.
    pub off_since: Option<u64>,
    /// Files received whole, by name without the MAC.
    pub fetches: BTreeMap<String, u64>,
    /// Check-sync NOTIFYs heard.
    pub notifies: u64,
    /// For each of them that came in a call: when, and when the call had begun.
    pub told_in_call: Vec<(u64, u64)>,
    /// Calls that were answered.
    pub calls: u64,
    /// REGISTERs that were refused or not answered.
    pub refused: u64,
    /// Parts of its files that it could not take: file, key and reason. At most 20.
    pub complaints: Vec<String>,
    /// The token that it runs.
    pub sync: String,
    /// Since when it has been in a call.
    pub call_since: Option<u64>,
    lines: BTreeSet<u8>,
    registered: BTreeSet<u8>,
    told: Option<String>,
}

impl Ledger {
    /// Takes one report.
    pub fn take(&mut self, report: &Report) {
        let at = report.at;
        match &report.event {
            Event::Got { file, .. } => {
                *self.fetches.entry(kind(file, &report.mac)).or_default() += 1;
            }
            Event::Notify { package, .. } if package.as_deref() == Some("check-sync") => {
                self.notifies += 1;
                self.told_in_call.extend(self.call_since.map(|since| (at, since)));
            }
            Event::Sync { theirs, restart: true, .. } => self.told.clone_from(theirs),
            Event::Restart { reason } => self.went_down(at, reason),
            Event::Config { lines, sync, changed } => {
                self.lines = lines.iter().map(|line| line.line).collect();
                self.read(at, sync, changed);
            }
            Event::Registered { line, .. } => {
                self.registered.insert(*line);
                self.registered(at);
            }
            Event::Unregistered { line, .. } => {
                self.registered.remove(line);
            }
            Event::RegisterFailed { line, .. } => {
                self.registered.remove(line);
                self.refused += 1;
            }
            Event::Call { state, .. } => self.call(at, *state),
            Event::Refused { file, key, why, .. } if self.complaints.len() < 20 => {
                self.complaints.push(format!("{file}: {key}: {why}"));
            }
            Event::Stopped => self.registered.clear(),
            _ => {}
        }
    }

    /// Whether all its lines are registered.
    pub fn on_air(&self) -> bool {
        !self.lines.is_empty() && self.lines.is_subset(&self.registered)
    }

    /// Restarts for a check-sync.
    pub fn told_restarts(&self) -> impl Iterator<Item = &Restart> {
        self.restarts.iter().filter(|restart| restart.cause == Cause::CheckSync)
    }

    /// Milliseconds off the air until `now`.
    pub fn off_air_until(&self, now: u64) -> u64 {
        self.off_air + self.off_since.map_or(0, |since| now.saturating_sub(since))
    }

    fn went_down(&mut self, at: u64, reason: &str) {
        let cause = match reason {
            "check-sync" => Cause::CheckSync,
            "power cycle" => Cause::Power,
            _ => Cause::Own,
        };
        let restart = Restart {
            at,
            cause,
            from: self.sync.clone(),
            told: self.told.take().filter(|_| cause == Cause::CheckSync),
            to: None,
            changed: Vec::new(),
            in_call: self.call_since.take().map(|since| at.saturating_sub(since)),
            read: None,
            back: None,
        };
        match self.restarts.len() {
            0..KEPT => self.restarts.push(restart),
            _ => self.more_restarts += 1,
        }
        self.registered.clear();
        self.off_since.get_or_insert(at);
    }

    fn read(&mut self, at: u64, sync: &str, changed: &[String]) {
        sync.clone_into(&mut self.sync);
        let Some(last) = self.restarts.last_mut().filter(|last| last.read.is_none()) else {
            return;
        };
        last.to = Some(sync.to_owned());
        last.changed = changed.iter().filter(|key| *key != "sync").cloned().collect();
        last.read = Some(at);
    }

    fn registered(&mut self, at: u64) {
        if !self.on_air() {
            return;
        }
        self.off_air += self.off_since.take().map_or(0, |since| at.saturating_sub(since));
        if let Some(last) = self.restarts.last_mut().filter(|last| last.back.is_none()) {
            last.back = Some(at);
        }
    }

    fn call(&mut self, at: u64, state: CallState) {
        match state {
            CallState::Talking => {
                self.calls += 1;
                self.call_since.get_or_insert(at);
            }
            CallState::Dialing | CallState::Ringing => {
                self.call_since.get_or_insert(at);
            }
            CallState::Ended | CallState::Failed => self.call_since = None,
        }
    }
}

/// The name of a file without the MAC in it.
fn kind(file: &str, mac: &str) -> String {
    file.replace(&mac.to_uppercase(), "#")
}

#[cfg(test)]
mod tests {
    use simphone::{CallState, Event, LineInfo, Report};

    use super::{Cause, Ledger};

    fn line(line: u8) -> LineInfo {
        let text = String::new;
        LineInfo { line, name: text(), displayname: text(), shortname: text(), proxy: text() }
    }

    fn config(sync: &str, changed: &[&str]) -> Event {
        let changed = changed.iter().map(|&key| key.to_owned()).collect();
        Event::Config { lines: vec![line(1), line(2)], sync: sync.into(), changed }
    }

    fn registered(line: u8) -> Event {
        Event::Registered { line, user: "x".into(), expires: 60 }
    }

    fn ledger(events: &[(u64, Event)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (seq, (at, event)) in (1..).zip(events) {
            let event = event.clone();
            ledger.take(&Report { seq, at: *at, mac: "0018b9000001".into(), event });
        }
        ledger
    }

    #[test]
    fn a_restart_lasts_until_all_lines_are_registered() {
        let sync = Event::Sync { theirs: Some("b".into()), mine: "a".into(), restart: true };
        let ledger = ledger(&[
            (0, config("a", &["line1_name", "sync"])),
            (1, registered(1)),
            (2, registered(2)),
            (10, sync),
            (11, Event::Restart { reason: "check-sync".into() }),
            (15, config("b", &["line1_displayname", "sync"])),
            (20, registered(1)),
            (31, registered(2)),
        ]);
        let restart = &ledger.restarts[0];
        assert_eq!((restart.cause, restart.back), (Cause::CheckSync, Some(31)));
        assert_eq!((restart.from.as_str(), restart.to.as_deref()), ("a", Some("b")));
        assert_eq!(restart.told.as_deref(), Some("b"));
        assert_eq!(restart.changed, ["line1_displayname"]);
        assert_eq!((ledger.off_air, ledger.on_air()), (20, true));
    }

    #[test]
    fn what_comes_in_a_call_is_told_with_the_calls_age() {
        let call = |state| Event::Call { state, with: "600".into(), status: None };
        let notify = Event::Notify { package: Some("check-sync".into()), answered: Some(200) };
        let ledger = ledger(&[
            (5, call(CallState::Dialing)),
            (6, call(CallState::Talking)),
            (9, notify.clone()),
            (10, call(CallState::Ended)),
            (12, notify),
            (20, call(CallState::Dialing)),
            (21, Event::Restart { reason: "power cycle".into() }),
        ]);
        assert_eq!((ledger.told_in_call, ledger.notifies, ledger.calls), (vec![(9, 5)], 2, 1));
        assert!(ledger.restarts[0].in_call == Some(1) && ledger.restarts[0].cause == Cause::Power);
        assert_eq!(ledger.off_since, Some(21));
    }

    #[test]
    fn files_are_counted_without_the_mac() {
        let got = |file: &str| Event::Got { file: file.into(), bytes: 1 };
        let ledger = ledger(&[(0, got("SIP0018B9000001.cnf")), (1, got("syncinfo.xml"))]);
        assert_eq!(ledger.fetches.keys().collect::<Vec<_>>(), ["SIP#.cnf", "syncinfo.xml"]);
    }
}
