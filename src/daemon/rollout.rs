//! Roll-outs, as the core carries them out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use tracing::{info, warn};

use super::core::Core;
use crate::base::{Mac, Time};
use crate::model::site::PushMode;
use crate::plan::diff;
use crate::plan::generation::PhonePart;
use crate::plan::intents::{Hold, HoldWhy};
use crate::plan::offer::Offer;
use crate::plan::rollout::{Candidate, Fate, Ground, Phase};
use crate::plan::standing::{Proof, State};

/// Whatever happened to a phone so long ago has been heard of.
const HEARD: Duration = Duration::from_secs(2);

/// So many of the keys that differ are named as the cause.
const NAMED: usize = 3;

impl Core {
    /// Something new was read: a change that phones wait for becomes a roll-out.
    pub(super) fn begin_rollout(&mut self, now: Time) {
        let total = self.candidates().count();
        if self.is_blind() || total == 0 {
            return;
        }
        let (generation, planned) = (self.offer.newest.id, self.site.push == PushMode::Manual);
        let id = self.rollouts.begin(generation, total, planned, now);
        self.store.save_rollouts(&self.rollouts);
        info!(rollout = id, generation, phones = total, planned, "a roll-out begins");
        self.changed = true;
    }

    /// The phones that wait for nothing but a roll-out.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Arc<PhonePart>> {
        let late = self.offer.waiting().difference(self.offer.unloaded());
        let parts = late.filter_map(|mac| self.offer.newest.phones.get(mac));
        parts.filter(|part| self.intents.holds(part).is_none())
    }

    /// Takes the roll-out a step further, and takes back from phones what cost them their registration.
    pub(super) fn roll(&mut self, fresh: &BTreeSet<Mac>, now: Time) {
        for mac in fresh {
            if let Some(Proof::Lost(why)) = self.agenda.get(*mac).map(|stand| stand.proof.clone()) {
                self.take_back(*mac, &why, now);
            }
        }
        // An offer costs a look at all phones: the more there are, the more are released in one.
        let pause = Duration::from_millis(self.offer.phones.len() as u64 / 20);
        if self.rollouts.open().is_none() || now.since(self.released) < pause {
            return;
        }
        let mut rollouts = std::mem::take(&mut self.rollouts);
        let step = rollouts.open().map(|rollout| {
            let ground = Ground {
                waiting: &|| self.waiting(),
                fate: &|mac, since| self.fate(mac, since),
                waves: &self.site.waves,
                patience: self.site.pacing.proof + self.site.pacing.retry * 2,
                open: self.is_open(now),
            };
            (rollout.step(&ground, now), rollout.id, rollout.phase == Phase::Done)
        });
        self.rollouts = rollouts;
        let Some((step, id, done)) = step else { return };
        if done {
            info!(rollout = id, "the roll-out is done");
        }
        if step.changed {
            self.store.save_rollouts(&self.rollouts);
            self.changed = true;
        }
        if !step.release.is_empty() {
            self.release(&step.release, now);
        }
    }

    /// Gives phones their newest parts.
    pub(super) fn release(&mut self, phones: &[Mac], now: Time) {
        self.released = now;
        if self.site.push == PushMode::Manual {
            self.wish(phones, now);
        }
        let newest = self.newest();
        let loaded = self.is_loaded();
        self.reoffer(&newest, loaded, &phones.iter().copied().collect());
    }

    fn waiting(&self) -> Vec<Candidate> {
        let candidate = |part: &Arc<PhonePart>| Candidate {
            mac: part.mac,
            kind: self.kind(part),
            ready: self.is_ready(part.mac),
        };
        self.candidates().map(candidate).collect()
    }

    /// What makes phones alike: the model, and what the phone says that it runs.
    fn kind(&self, part: &PhonePart) -> String {
        let mut peers = part.peers().filter_map(|peer| self.observed.peers.get(peer));
        let agent = peers.find_map(|peer| peer.facts.user_agent.as_deref()).unwrap_or_default();
        format!("{} {agent}", part.model)
    }

    fn fate(&self, mac: Mac, since: Time) -> Fate {
        let Some(stand) = self.agenda.get(mac) else { return Fate::Away };
        let told = self.observed.phones.get(&mac).and_then(|seen| seen.told.as_ref());
        match (&stand.proof, stand.state) {
            (Proof::Runs, _) => Fate::Proved,
            (Proof::Waiting(_), _) => Fate::Flying,
            (_, State::InCall) => Fate::Away,
            _ if told.is_some_and(|told| told.at >= since && told.sent > 0) => Fate::Flying,
            _ if self.reachable(mac) => Fate::Flying,
            _ => Fate::Away,
        }
    }

    /// Whether changes may begin at this hour.
    pub(super) fn is_open(&self, now: Time) -> bool {
        let Some(window) = self.site.waves.window else { return true };
        let zone = self.decided.timezone.as_deref().unwrap_or("Etc/UTC");
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap_or(TimeZone::UTC);
        window.is_open(&zone, now)
    }

    /// A phone fetched what it was offered and did not come back: it is offered again what it is proved
    /// to have run, and the roll-out is told.
    fn take_back(&mut self, mac: Mac, why: &str, now: Time) {
        let Some(bad) = self.offer.phones.get(&mac).cloned() else { return };
        let running = self.observed.phones.get(&mac).and_then(|seen| seen.running);
        let Some(running) = running.filter(|run| !bad.is_run(run.token)) else { return };
        let Some(token) = bad.token() else { return };
        if self.intents.held.get(&mac).is_some_and(|hold| hold.token == token) {
            return;
        }
        let good = self.ran.get(&mac).filter(|part| part.is_run(running.token)).cloned();
        let good = good.or_else(|| self.store.part_of(mac, |part| part.is_run(running.token)));
        let cause = good.as_ref().map(|good| self.cause(good, &bad)).unwrap_or_default();
        let why = format!("{why}{cause}");
        warn!(phone = %mac, why, "the phone did not come back");
        self.intents.held.insert(mac, Hold { token, at: now, why: HoldWhy::Lost(why.clone()) });
        self.wishes_changed = true;
        if let Some(good) = good {
            self.put_back(&BTreeMap::from([(mac, good)]));
        }
        self.stop_for(mac, why, now);
    }

    /// Phones that were given up may have come back with the very files that they were taken from. A
    /// REGISTER may be heard of before the fetch that it follows: only what is still so counts.
    pub(super) fn pardon(&mut self, now: Time) {
        let ripe = self.pardons.iter().filter(|(_, proved)| now.since(**proved) >= HEARD);
        let ripe: Vec<Mac> = ripe.map(|(mac, _)| *mac).collect();
        for mac in ripe {
            self.pardons.remove(&mac);
            let running = self.observed.phones.get(&mac).and_then(|seen| seen.running);
            let newest = self.offer.newest.phones.get(&mac);
            let runs = |part: &&Arc<PhonePart>| running.is_some_and(|run| part.is_run(run.token));
            let Some(newest) = newest.filter(runs).cloned() else { continue };
            let lost = |hold: &Hold| matches!(hold.why, HoldWhy::Lost(_));
            if self.intents.holds(&newest).is_some_and(lost) {
                info!(phone = %mac, "it came back with what it was given");
                self.intents.held.remove(&mac);
                self.wishes_changed = true;
                self.put_back(&BTreeMap::from([(mac, newest)]));
            }
        }
    }

    fn stop_for(&mut self, mac: Mac, why: String, now: Time) {
        let waves = self.site.waves.clone();
        let Some(rollout) = self.rollouts.open() else { return };
        rollout.lose(mac, why, &waves);
        if let (id, Phase::Stopped(why)) = (rollout.id, &rollout.phase) {
            warn!(rollout = id, why, "the roll-out stopped");
            self.hold_rest(id, now);
        }
        self.store.save_rollouts(&self.rollouts);
    }

    /// Keeps the phones that a roll-out did not come to from what it brings.
    pub(super) fn hold_rest(&mut self, id: u64, now: Time) {
        let rest = self.candidates().filter_map(|part| {
            let why = HoldWhy::Ended(id);
            Some((part.mac, Hold { token: part.token()?, at: now, why }))
        });
        let rest: Vec<(Mac, Hold)> = rest.collect();
        self.stirred.extend(rest.iter().map(|(mac, _)| *mac));
        self.intents.held.extend(rest);
        self.wishes_changed = true;
        self.changed = true;
    }

    /// Offers these parts instead of what is offered. Credentials are always Asterisk's: a part with
    /// other ones is not offered.
    pub(super) fn put_back(&mut self, parts: &BTreeMap<Mac, Arc<PhonePart>>) {
        let mut phones = self.offer.phones.clone();
        for (mac, part) in parts {
            if let Some(slot) =
                phones.get_mut(mac).filter(|now| now.credentials == part.credentials)
            {
                *slot = part.clone();
            }
        }
        self.serve(Arc::new(Offer::new(self.newest(), phones)));
    }

    /// What differs between what a phone ran and what cost it its registration.
    fn cause(&self, good: &Arc<PhonePart>, bad: &Arc<PhonePart>) -> String {
        let offer = |part: &Arc<PhonePart>| {
            Offer::new(self.newest(), BTreeMap::from([(part.mac, part.clone())]))
        };
        let bad = BTreeMap::from([(bad.mac, bad.clone())]);
        let changes = diff::phones(&offer(good), &bad, &self.keys());
        let keys: Vec<String> = changes
            .iter()
            .flat_map(|change| &change.keys)
            .map(|key| {
                let text =
                    |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
                format!("{} {} → {}", key.key, text(&key.old), text(&key.new))
            })
            .collect();
        match keys.len() {
            0 => String::new(),
            count => {
                let more = count.saturating_sub(NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("; it was given {}{more}", keys[..count.min(NAMED)].join(", "))
            }
        }
    }
}
