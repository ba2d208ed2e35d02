//! What the operator asks of changes and roll-outs: plans, approvals, the way back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use crate::base::{Mac, Time};
use crate::control::{
    Answer, ErrorKind, FailedPhone, KeptGeneration, PhoneDiff, PhonePlan, Plan, RolloutOrder,
    RolloutStatus,
};
use crate::family::Artifact;
use crate::model::site::PushMode;
use crate::plan::diff::{self, Change};
use crate::plan::generation::PhonePart;
use crate::plan::intents::{Hold, HoldWhy};
use crate::plan::offer::Offer;
use crate::plan::rollout::{Phase, Rollout, forecast, sizes};

/// A boot is taken to last so long where none was seen yet: 20 s until the phone is idle long enough, and a
/// minute to start (phones.md §2.11).
const BOOT: Duration = Duration::from_secs(80);

impl Core {
    /// What is on disk against what each phone is proved to run, or else is offered.
    pub(super) fn diff(&self) -> Vec<PhoneDiff> {
        let Some(look) = &self.look else { return Vec::new() };
        let mut running: BTreeMap<_, _> = self.offer.phones.clone();
        running.extend(self.ran.iter().map(|(mac, part)| (*mac, part.clone())));
        let old = Offer::new(self.offer.newest.clone(), running);
        diff::phones(&old, &look.built.phones, &self.keys())
    }

    /// What reads the keys of a file.
    pub(super) fn keys(&self) -> impl Fn(&str, &Artifact) -> Vec<(String, String, bool)> {
        |family, artifact| self.families.get(family).map(|f| f.keys(artifact)).unwrap_or_default()
    }

    /// What would come of the sources as they are on disk.
    pub(super) fn plan(&self, now: Time) -> Plan {
        let look = self.look.as_ref();
        let built = look.map(|look| look.built.clone()).unwrap_or_default();
        let changes = diff::phones(&self.offer, &built.phones, &self.keys());
        let staged = changes.iter().filter(|diff| self.is_staged(diff, &built.phones)).count();
        let waves = &self.site.waves;
        let phones = changes.into_iter().map(|diff| {
            let when = self.when(&diff, &built.phones, now);
            PhonePlan { diff, when }
        });
        Plan {
            held: look.and_then(|look| look.hold.clone()),
            phones: phones.collect(),
            waves: sizes(staged, waves),
            seconds: forecast(staged, waves, self.site.pacing.rate, BOOT).as_secs(),
            window: waves.window.filter(|_| !self.is_open(now)).map(|window| window.to_string()),
            push: if self.site.push == PushMode::Manual { "manual" } else { "auto" }.into(),
        }
    }

    /// Whether a change comes to its phone by waves.
    fn is_staged(&self, diff: &PhoneDiff, built: &BTreeMap<Mac, Arc<PhonePart>>) -> bool {
        let credentials = |part: Option<&Arc<PhonePart>>| part.map(|part| part.credentials);
        let offered = credentials(self.offer.phones.get(&diff.mac));
        diff.change == Change::Changed && offered == credentials(built.get(&diff.mac))
    }

    fn when(&self, diff: &PhoneDiff, built: &BTreeMap<Mac, Arc<PhonePart>>, now: Time) -> String {
        let hold = built.get(&diff.mac).and_then(|part| self.intents.holds(part));
        let staged = || self.is_staged(diff, built);
        match (diff.change, hold.map(|hold| &hold.why)) {
            (Change::Added, _) => "at its next boot".into(),
            (Change::Removed, _) => "keeps what it has, and gets no files any more".into(),
            (Change::Changed, Some(HoldWhy::Ended(id))) => {
                format!("not: roll-out {id} ended before it; handset push gives it")
            }
            (Change::Changed, Some(_)) => "not: it was taken back; handset push gives it".into(),
            (Change::Changed, None) if !staged() => {
                "when Asterisk has loaded its credentials".into()
            }
            (Change::Changed, None) if !self.reachable(diff.mac) => "when it is back".into(),
            (Change::Changed, None) if !self.is_open(now) => "in the quiet hours".into(),
            (Change::Changed, None) => "in its wave".into(),
        }
    }

    /// Carries `handset apply` out.
    pub(super) fn apply(
        &mut self,
        accept_removals: bool,
        loaded: bool,
        only: &[String],
        now: Time,
    ) -> Answer {
        let mut done = Vec::new();
        if accept_removals && self.accept() {
            done.push("what is on disk is let through".to_owned());
        }
        if loaded && self.declare_loaded() {
            done.push("Asterisk is taken to have loaded what is on disk".to_owned());
        }
        let mut phones = Vec::new();
        for word in only {
            match self.named(word) {
                Ok(macs) => phones.extend(macs),
                Err(refusal) => return refusal,
            }
        }
        if !phones.is_empty() {
            self.wish(&phones, now);
            self.let_through(&phones, now);
            done.push(format!("what is new goes to {}", diff::count(phones.len(), "phone")));
        }
        if !accept_removals && !loaded && only.is_empty() {
            done.extend(self.resume_planned().map(|id| format!("roll-out {id} begins")));
        }
        if done.is_empty() {
            let message = "nothing waits for an approval: handset plan shows what is on disk";
            return unavailable(message.into());
        }
        Answer::Done(done.join("; "))
    }

    /// Begins the roll-out that waits for the operator's word, if one does.
    pub(super) fn resume_planned(&mut self) -> Option<u64> {
        let rollout = self.rollouts.open().filter(|r| r.phase == Phase::Planned)?;
        rollout.resume();
        let id = rollout.id;
        self.rollouts_changed();
        Some(id)
    }

    /// Gives these phones their newest parts, whatever held them back but Asterisk.
    pub(super) fn let_through(&mut self, phones: &[Mac], now: Time) {
        let before = self.intents.held.len();
        self.intents.held.retain(|mac, _| !phones.contains(mac));
        self.wishes_changed |= self.intents.held.len() < before;
        let waiting: Vec<Mac> =
            phones.iter().filter(|mac| self.offer.waiting().contains(mac)).copied().collect();
        if !waiting.is_empty() {
            self.release(&waiting, now);
        }
    }

    /// Carries `handset rollout` out.
    pub(super) fn direct(&mut self, order: RolloutOrder, now: Time) -> Answer {
        if order == RolloutOrder::Resume {
            return self.resume(now);
        }
        let Some(rollout) = self.rollouts.open() else {
            return unavailable("there is no roll-out on its way".into());
        };
        let id = rollout.id;
        let done = match order {
            RolloutOrder::Abort => {
                rollout.abort(now);
                self.hold_rest(id, now);
                "is ended: phones that have it keep it, the others do not get it"
            }
            _ if rollout.pause() => "is paused",
            _ => return unavailable(format!("roll-out {id} does not run")),
        };
        self.rollouts_changed();
        Answer::Done(format!("roll-out {id} {done}"))
    }

    /// Lets the roll-out go on, and gives what earlier ones brought to the phones that they did not come to.
    fn resume(&mut self, now: Time) -> Answer {
        let resumed = self.rollouts.open().filter(|r| r.phase != Phase::Running);
        let resumed = resumed.is_some_and(Rollout::resume);
        let held = self.intents.held.len();
        self.stirred.extend(self.intents.held.keys());
        self.intents.held.retain(|_, hold| !matches!(hold.why, HoldWhy::Ended(_)));
        let freed = held - self.intents.held.len();
        if !resumed && freed == 0 {
            return unavailable("there is no roll-out that stands still".into());
        }
        self.wishes_changed = true;
        if self.rollouts.open().is_none() {
            self.begin_rollout(now);
        }
        self.rollouts_changed();
        let id = self.rollouts.current.as_ref().map_or(0, |rollout| rollout.id);
        Answer::Done(format!("roll-out {id} goes on"))
    }

    fn rollouts_changed(&mut self) {
        self.store.save_rollouts(&self.rollouts);
        self.stirred.extend(self.offer.waiting());
        self.changed = true;
    }

    /// Offers phones what they had before.
    pub(super) fn rollback(
        &mut self,
        words: &[String],
        all: bool,
        generation: Option<u64>,
        now: Time,
    ) -> Answer {
        let mut phones: BTreeSet<Mac> = BTreeSet::new();
        if all {
            phones.extend(self.offer.phones.keys());
        }
        for word in words {
            match self.named(word) {
                Ok(macs) => phones.extend(macs),
                Err(refusal) => return refusal,
            }
        }
        if let Some(id) = generation
            && id != self.offer.newest.id
            && !self.store.reaches(id)
        {
            return unavailable(format!("generation {id} is not kept: handset rollout status"));
        }
        let mut back = BTreeMap::new();
        let mut other_credentials = 0;
        for mac in phones {
            let Some(offered) = self.offer.phones.get(&mac) else { continue };
            let part = match generation {
                Some(id) => self.store.part_in(mac, id),
                None => self.store.part_of(mac, |part| part.token() != offered.token()),
            };
            let Some(part) = part.filter(|part| part != offered) else { continue };
            match part.credentials == offered.credentials {
                true => drop(back.insert(mac, part)),
                false => other_credentials += 1,
            }
        }
        let count = back.len();
        if count > 0 {
            self.hold_back(&back, now);
            self.put_back(&back);
        }
        let mut said = format!("back to older files: {}", diff::count(count, "phone"));
        if other_credentials > 0 {
            said += &format!(
                "; {other_credentials} had other credentials then, which Asterisk does not accept any more: \
                 they keep what they have"
            );
        }
        if count == 0 { unavailable(said) } else { Answer::Done(said) }
    }

    /// Keeps phones that are brought back from what they are taken from, and a roll-out from bringing
    /// it to more.
    fn hold_back(&mut self, back: &BTreeMap<Mac, Arc<PhonePart>>, now: Time) {
        for (mac, part) in back {
            let newest = self.offer.newest.phones.get(mac).and_then(|newest| newest.token());
            match newest.filter(|token| part.token() != Some(*token)) {
                Some(token) => {
                    let hold = Hold { token, at: now, why: HoldWhy::Operator };
                    self.intents.held.insert(*mac, hold);
                }
                None => drop(self.intents.held.remove(mac)),
            }
        }
        self.wishes_changed = true;
        self.changed = true;
    }

    /// Lets the removals of what is on disk through.
    fn accept(&mut self) -> bool {
        let Some(look) = &self.look else { return false };
        self.intents.accepted = Some(look.fingerprint.clone());
        self.store.save_intents(&self.intents);
        true
    }

    /// The roll-outs, for people.
    pub(super) fn told_rollouts(&self, now: Time) -> Answer {
        let past = self.rollouts.past.iter();
        let rollouts = self.rollouts.current.iter().chain(past);
        let kept = self.store.generations().map(|(id, phones)| KeptGeneration { id, phones });
        Answer::Rollouts {
            rollouts: rollouts.map(|rollout| self.told_rollout(rollout, now)).collect(),
            kept: kept.collect(),
        }
    }

    /// The one that is on its way, or was the last.
    pub(super) fn rollout_status(&self, now: Time) -> Option<RolloutStatus> {
        self.rollouts.current.as_ref().map(|rollout| self.told_rollout(rollout, now))
    }

    fn told_rollout(&self, rollout: &Rollout, now: Time) -> RolloutStatus {
        let waiting = if rollout.is_open() { self.candidates().count() } else { 0 };
        let (word, why) = phase(&rollout.phase);
        let runs = rollout.phase == Phase::Running;
        let closed = self.site.waves.window.filter(|_| runs && !self.is_open(now));
        let failed = rollout.failed.iter();
        let pace = self.site.pacing.rate;
        RolloutStatus {
            id: rollout.id,
            generation: rollout.generation,
            began: rollout.began.to_string(),
            ended: rollout.ended.map(|at| at.to_string()),
            phase: word.into(),
            why: why.or_else(|| closed.map(|window| format!("waits for {window}"))),
            total: rollout.total,
            proved: rollout.proved,
            in_flight: rollout.flying().count(),
            deferred: rollout.deferred.len(),
            waiting,
            wave: rollout.wave,
            wave_size: rollout.size,
            seconds_left: (runs && closed.is_none())
                .then(|| forecast(waiting, &self.site.waves, pace, BOOT).as_secs()),
            failed: failed.map(|(mac, why)| FailedPhone { mac: *mac, why: why.clone() }).collect(),
        }
    }
}

fn phase(phase: &Phase) -> (&'static str, Option<String>) {
    match phase {
        Phase::Planned => ("planned", Some("push = manual: handset apply begins it".into())),
        Phase::Running => ("running", None),
        Phase::Paused => ("paused", Some("handset rollout resume goes on".into())),
        Phase::Stopped(why) => ("stopped", Some(why.clone())),
        Phase::Done => ("done", None),
        Phase::Aborted => ("aborted", None),
        Phase::Superseded => ("superseded", None),
    }
}

fn unavailable(message: String) -> Answer {
    Answer::Error { kind: ErrorKind::Unavailable, message }
}
