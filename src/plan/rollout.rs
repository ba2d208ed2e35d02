//! A change on its way to phones: canaries first, then growing waves, and an end to it all when phones
//! fetch it and do not come back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{Mac, Time};
use crate::model::site::Waves;

/// One change of the sources, brought to the phones that it concerns.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rollout {
    /// Counts up for ever.
    pub id: u64,
    /// The generation that it brings.
    pub generation: u64,
    /// When it began.
    pub began: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// How it stands.
    pub phase: Phase,
    /// So many phones it concerned at its begin.
    pub total: usize,
    /// The number of the wave that is on its way, from 1; 0 before the first.
    pub wave: u32,
    /// How many phones that wave has.
    pub size: usize,
    /// Phones of the wave that are not given the change yet.
    queue: VecDeque<Mac>,
    /// Phones that were given it, and when: they are waited for.
    flying: BTreeMap<Mac, Time>,
    /// Phones that are on their way by the roll-out before: they are waited for too.
    #[serde(default)]
    carried: BTreeMap<Mac, Time>,
    /// So many are proved to run it.
    pub proved: usize,
    /// Phones that were given it and are not waited for: away, in a call, or deaf.
    pub deferred: BTreeSet<Mac>,
    /// Phones that fetched it and did not come back, with what was seen.
    pub failed: BTreeMap<Mac, String>,
}

/// All roll-outs that are remembered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rollouts {
    /// The number of the last one.
    pub last: u64,
    /// The one that is on its way, or was the last.
    pub current: Option<Rollout>,
    /// Those before it, the newest first.
    pub past: VecDeque<Rollout>,
}

/// So many past ones are remembered.
const PAST: usize = 10;

impl Rollouts {
    /// A new one takes the place of the current one. What is on its way there stays counted, and what
    /// the operator halted stays so.
    pub fn begin(&mut self, generation: u64, total: usize, planned: bool, now: Time) -> u64 {
        self.last += 1;
        let mut next = Rollout::new(self.last, generation, total, planned, now);
        if let Some(mut old) = self.current.take() {
            if old.phase == Phase::Paused {
                next.phase = Phase::Paused;
            }
            next.carried = old.superseded(now);
            old.deferred.clear();
            self.past.push_front(old);
            self.past.truncate(PAST);
        }
        self.current = Some(next);
        self.last
    }

    /// The one that is not over.
    pub fn open(&mut self) -> Option<&mut Rollout> {
        self.current.as_mut().filter(|rollout| rollout.is_open())
    }

    /// The clock was set back: nothing lies in the future.
    pub fn set_back(&mut self, now: Time) {
        for rollout in self.current.iter_mut().chain(&mut self.past) {
            let Rollout { began, ended, flying, carried, .. } = rollout;
            let waited = flying.values_mut().chain(carried.values_mut());
            waited.chain([began]).chain(ended).for_each(|at| at.set_back(now));
        }
    }

    /// What a phone waits for that has not been given its change.
    pub fn in_words(&self) -> String {
        let Some(Rollout { id, phase, wave, .. }) = self.current.as_ref().filter(|r| r.is_open())
        else {
            return "waits for a roll-out".into();
        };
        match phase {
            Phase::Planned => "its new files wait: push = manual, handset apply gives them".into(),
            Phase::Paused => format!("waits: roll-out {id} is paused"),
            Phase::Stopped(why) => format!("waits: roll-out {id} stopped, {why}"),
            _ => format!("waits for its wave of roll-out {id}, now at wave {wave}"),
        }
    }
}

/// How a roll-out stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It waits for the operator's word (`push = manual`).
    Planned,
    /// It goes on by itself.
    Running,
    /// The operator halted it.
    Paused,
    /// It halted by itself: why.
    Stopped(String),
    /// Every phone was given it.
    Done,
    /// The operator ended it.
    Aborted,
    /// A newer change took its place.
    Superseded,
}

/// What came of giving a phone the change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is proved to run it.
    Proved,
    /// It is on its way.
    Flying,
    /// It cannot take it now: not registered, or in a call.
    Away,
}

/// What a step looks at.
pub struct Ground<'a> {
    /// The phones that shall have the change and were not given it.
    pub waiting: &'a dyn Fn() -> Vec<Candidate>,
    /// What came of a phone since it was given it.
    pub fate: &'a dyn Fn(Mac, Time) -> Fate,
    /// `[push]`.
    pub waves: &'a Waves,
    /// A phone that is given the change and shows nothing is waited for so long.
    pub patience: Duration,
    /// The quiet hours allow it.
    pub open: bool,
}

/// A phone that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The phone.
    pub mac: Mac,
    /// What makes phones alike: model and firmware.
    pub kind: String,
    /// It can be told now.
    pub ready: bool,
}

/// What a step wants.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// The phones that are given the change now.
    pub release: Vec<Mac>,
    /// Something is different from before.
    pub changed: bool,
}

impl Rollout {
    /// A change that concerns `total` phones.
    pub fn new(id: u64, generation: u64, total: usize, planned: bool, now: Time) -> Self {
        Self {
            id,
            generation,
            began: now,
            ended: None,
            phase: if planned { Phase::Planned } else { Phase::Running },
            total,
            wave: 0,
            size: 0,
            queue: VecDeque::new(),
            flying: BTreeMap::new(),
            carried: BTreeMap::new(),
            proved: 0,
            deferred: BTreeSet::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Whether anything may still come of it.
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// The phones that are waited for.
    pub fn flying(&self) -> impl Iterator<Item = Mac> {
        self.flying.keys().copied()
    }

    /// The phones have been waited for without anybody looking: their time begins anew.
    pub fn wait_anew(&mut self, now: Time) {
        self.flying.values_mut().chain(self.carried.values_mut()).for_each(|since| *since = now);
    }

    /// A newer change takes its place, unless it is over: tells the phones that are on their way.
    fn superseded(&mut self, now: Time) -> BTreeMap<Mac, Time> {
        if self.is_open() {
            self.end(Phase::Superseded, now);
        }
        let mut carried = std::mem::take(&mut self.carried);
        carried.append(&mut self.flying);
        carried
    }

    /// The operator ends it; what phones run they keep.
    pub fn abort(&mut self, now: Time) {
        self.end(Phase::Aborted, now);
        self.flying.clear();
    }

    /// The operator halts it: no phone more is given it. False when it does not run.
    pub fn pause(&mut self) -> bool {
        self.turn(|phase| *phase == Phase::Running, Phase::Paused)
    }

    /// It goes on. False when it runs or is over.
    pub fn resume(&mut self) -> bool {
        self.turn(|phase| !matches!(phase, Phase::Running), Phase::Running)
    }

    fn turn(&mut self, from: impl FnOnce(&Phase) -> bool, to: Phase) -> bool {
        let turns = self.is_open() && from(&self.phase);
        if turns {
            self.phase = to;
        }
        turns
    }

    fn end(&mut self, phase: Phase, now: Time) {
        self.queue.clear();
        self.ended = Some(now);
        self.phase = phase;
    }

    /// Forgets the phones of the roll-out before that are accounted for.
    fn unburden(&mut self, ground: &Ground<'_>, now: Time) -> bool {
        let before = self.carried.len();
        self.carried.retain(|mac, since| {
            (ground.fate)(*mac, *since) == Fate::Flying && now.since(*since) < ground.patience
        });
        self.carried.len() < before
    }

    /// Watches the phones that were given it, and gives it to more where that is due. With nothing new
    /// it wants nothing.
    pub fn step(&mut self, ground: &Ground<'_>, now: Time) -> Step {
        let mut step = Step::default();
        if !self.is_open() {
            return step;
        }
        step.changed = self.unburden(ground, now);
        self.judge(ground, &mut step, now);
        if self.phase == Phase::Running && ground.open {
            self.go_on(ground, &mut step, now);
        }
        step.changed |= !step.release.is_empty();
        step
    }

    fn judge(&mut self, ground: &Ground<'_>, step: &mut Step, now: Time) {
        let fates: Vec<(Mac, Time, Fate)> = self
            .flying
            .iter()
            .map(|(mac, since)| (*mac, *since, (ground.fate)(*mac, *since)))
            .collect();
        for (mac, since, fate) in fates {
            match fate {
                Fate::Proved => self.proved += 1,
                // Without any proof the first phones are waited for, wherever they are.
                Fate::Away if self.proved == 0 => continue,
                Fate::Away => drop(self.deferred.insert(mac)),
                Fate::Flying if now.since(since) < ground.patience => continue,
                Fate::Flying => drop(self.deferred.insert(mac)),
            }
            self.flying.remove(&mac);
            step.changed = true;
        }
    }

    /// A phone fetched the change and did not come back: it gets no more of it, and with too many of
    /// them nobody does.
    pub fn lose(&mut self, mac: Mac, why: String, waves: &Waves) {
        if !self.is_open() {
            return;
        }
        self.flying.remove(&mac);
        self.carried.remove(&mac);
        self.deferred.remove(&mac);
        self.failed.insert(mac, why);
        if self.is_bad(waves) && matches!(self.phase, Phase::Running | Phase::Paused) {
            let (failed, all) = (self.failed.len(), self.failed.len() + self.proved);
            self.phase = Phase::Stopped(format!(
                "{failed} of the {all} phones that fetched it did not register again"
            ));
            self.queue.clear();
        }
    }

    /// One that is lost is enough while few have it.
    fn is_bad(&self, waves: &Waves) -> bool {
        let known = self.failed.len() + self.proved;
        self.wave <= 1 || self.failed.len() * 100 > known * usize::from(waves.failures)
    }

    fn go_on(&mut self, ground: &Ground<'_>, step: &mut Step, now: Time) {
        if self.queue.is_empty() {
            self.refill(ground, step, now);
        }
        while self.flying.len() < ground.waves.in_flight.max(1) {
            let Some(mac) = self.queue.pop_front() else { break };
            self.flying.insert(mac, now);
            step.release.push(mac);
        }
    }

    /// The next wave, once all phones of the last one are accounted for.
    fn refill(&mut self, ground: &Ground<'_>, step: &mut Step, now: Time) {
        let away = |(mac, since): (&Mac, &Time)| (ground.fate)(*mac, *since) == Fate::Away;
        if !self.flying.is_empty() && (self.proved > 0 || !self.flying.iter().all(away)) {
            return;
        }
        let waiting = (ground.waiting)();
        if waiting.is_empty() {
            if self.flying.is_empty() {
                step.changed = true;
                self.end(Phase::Done, now);
            }
            return;
        }
        let any = waiting.iter().any(|phone| phone.ready);
        self.queue = match (self.proved, any) {
            // The first were given it, and none of them can be looked at yet.
            (0, false) if !self.flying.is_empty() => return,
            (0, _) => match ground.waves.canaries.saturating_sub(self.carried.len()) {
                0 => return,
                room => canaries(&waiting, room),
            },
            (_, true) => {
                let size = self.size.max(1).saturating_mul(usize::from(ground.waves.growth.max(1)));
                let ready = waiting.iter().filter(|phone| phone.ready);
                ready.take(size).map(|phone| phone.mac).collect()
            }
            // It is good: those that are away find it when they return.
            (_, false) => {
                let rest: Vec<Mac> = waiting.iter().map(|phone| phone.mac).collect();
                self.deferred.extend(&rest);
                step.release.extend(rest);
                return;
            }
        };
        self.wave = if self.proved == 0 { 1 } else { self.wave + 1 };
        self.size = self.queue.len();
        step.changed = true;
    }
}

/// The first phones: of every kind one before a second of any, the most common kinds first, those that
/// can be told before those that cannot.
fn canaries(waiting: &[Candidate], most: usize) -> VecDeque<Mac> {
    let ready = waiting.iter().any(|phone| phone.ready);
    let mut kinds: BTreeMap<&str, VecDeque<Mac>> = BTreeMap::new();
    for phone in waiting.iter().filter(|phone| phone.ready == ready) {
        kinds.entry(&phone.kind).or_default().push_back(phone.mac);
    }
    let mut kinds: Vec<VecDeque<Mac>> = kinds.into_values().collect();
    kinds.sort_by_key(|all| std::cmp::Reverse(all.len()));
    let mut chosen = VecDeque::new();
    while chosen.len() < most.max(1) && !kinds.is_empty() {
        let room = most.max(1) - chosen.len();
        chosen.extend(kinds.iter_mut().take(room).filter_map(VecDeque::pop_front));
        kinds.retain(|all| !all.is_empty());
    }
    chosen
}

/// How long phones take at least that are given a change in waves: so many at the pace of `rate` in a
/// second, `boot` for each.
pub fn forecast(phones: usize, waves: &Waves, rate: f64, boot: Duration) -> Duration {
    sizes(phones, waves).into_iter().fold(Duration::ZERO, |sum, size| {
        // far below where the casts would lose anything
        #[allow(clippy::cast_precision_loss)]
        let (size, room) = (size as f64, waves.in_flight.max(1) as f64);
        let pace = (boot.as_secs_f64() / room).max(if rate > 0.0 { 1.0 / rate } else { 0.0 });
        sum + boot + Duration::from_secs_f64((size * pace).min(1e9))
    })
}

/// How many phones each wave has, where all go well.
pub fn sizes(phones: usize, waves: &Waves) -> Vec<usize> {
    let (mut left, mut size, mut sizes) = (phones, waves.canaries.max(1), Vec::new());
    while left > 0 {
        size = size.min(left);
        sizes.push(size);
        left -= size;
        size = size.saturating_mul(usize::from(waves.growth.max(1)));
    }
    sizes
}

#[cfg(test)]
mod tests;
