//! Phones are told: the core's agenda, and what follows from it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::core::Core;
use super::event::Order;
use crate::base::{Mac, Tech, Time};
use crate::plan::generation::PhonePart;
use crate::plan::intents::HoldWhy;
use crate::plan::observed::{Notified, Seen};
use crate::plan::place::Reach;
use crate::plan::reconcile::{Action, Pace, fulfilled, reconcile};
use crate::plan::standing::{Proof, Rules, Standing, State, standing};

/// With nothing new, what is due by time is looked for so often.
const SCAN: Duration = Duration::from_millis(200);

/// So long between two looks, and the clock was set, or the machine slept.
const JUMP: Duration = Duration::from_secs(30);

/// Without a session, where phones stand is looked at so often.
const REST: Duration = Duration::from_secs(1);

impl Core {
    /// Lets the file services and the AMI session know what is new about the phones that something was
    /// heard of, and looks again where these stand, and those that time has changed. Tells which.
    pub(super) fn refresh(&mut self, now: Time) -> BTreeSet<Mac> {
        let stirred = std::mem::take(&mut self.stirred);
        if std::mem::take(&mut self.changed) || !stirred.is_empty() {
            self.spread(&stirred);
        }
        self.unsettled.extend(stirred);
        // While nobody can be told, a building that boots is not looked at phone by phone.
        if !self.session.up && now.since(self.settled) < REST {
            return BTreeSet::new();
        }
        self.settled = now;
        self.unsettled.extend(self.agenda.woken(now));
        let unsettled = std::mem::take(&mut self.unsettled);
        for mac in &unsettled {
            self.give_up(*mac, now);
            let stand = self.standing(*mac, now);
            self.tally.stands(*mac, self.reachable(*mac));
            self.agenda.set(*mac, stand);
        }
        unsettled
    }

    fn spread(&mut self, stirred: &BTreeSet<Mac>) {
        let known = self.polled.len();
        self.polled.retain(|peer| self.owners.contains_key(peer));
        let mut differs = self.polled.len() != known;
        for mac in stirred {
            self.askers.set(*mac, self.whereabouts(*mac));
            let Some(part) = self.offer.phones.get(mac) else { continue };
            let mut polled = part.lines.iter().filter(|line| line.tech == Tech::Pjsip).peekable();
            let waits = polled.peek().is_some() && self.waits(part);
            for line in polled {
                differs |= if waits {
                    self.polled.insert(line.peer.clone())
                } else {
                    self.polled.remove(&line.peer)
                };
            }
        }
        if differs {
            self.order(Order::Poll(self.polled.iter().cloned().collect()));
        }
    }

    /// Whether the next REGISTER of a phone proves something: chan_pjsip tells no refresh, its endpoints
    /// are polled then.
    fn waits(&self, part: &PhonePart) -> bool {
        let seen = self.observed.phones.get(&part.mac);
        let running = seen.and_then(|s| s.running).map(|r| r.token);
        let wanted = self.offer.wanted(part, seen);
        running.is_none() || running != wanted
    }

    /// Tells the phones that are due, as far as the pace allows.
    pub(super) fn reconcile(&mut self, news: bool, now: Time) {
        if !self.session.up || (!news && now.since(self.scanned) < SCAN) {
            return;
        }
        self.scanned = now;
        let mut pace = self.pace;
        let pacing = &self.site.pacing;
        let actions = reconcile(&self.agenda, &self.offer, &self.observed, pacing, &mut pace, now);
        self.pace = pace;
        for Action::Notify { mac, about, peer, lines, event, via } in actions {
            debug!(phone = %mac, peer, "telling it to look");
            self.observed.ordered(mac, about, now);
            self.stirred.insert(mac);
            self.dirty.insert(mac);
            let own = self.notice(mac, &event, via);
            if !self.order(Order::Notify { mac, peer, lines, event, own }) {
                self.observed.notified(mac, Notified::Failed("too many orders wait".into()));
            }
        }
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            mode: self.site.push,
            pacing: &self.site.pacing,
            foreign: self.site.tftp.listen.is_none(),
            since: self.started,
        }
    }

    /// Where a phone stands. One that waits for a change is not current, whatever it runs.
    pub(super) fn standing(&self, mac: Mac, now: Time) -> Option<Standing> {
        let part = self.offer.phones.get(&mac)?;
        let stand = standing(part, &self.offer, &self.observed, &self.intents, &self.rules(), now);
        if !self.offer.waiting().contains(&mac) {
            return Some(stand);
        }
        let newest = self.offer.newest.phones.get(&mac)?;
        let hold = self.intents.holds(newest).map(|hold| &hold.why);
        let taken_back = matches!(hold, Some(HoldWhy::Lost(_)));
        if stand.state != State::Current && !taken_back {
            return Some(stand);
        }
        let wanted = match hold {
            None => self.offer.wanted(newest, self.observed.phones.get(&mac)),
            Some(_) => stand.wanted,
        };
        let (state, detail) = match hold {
            Some(HoldWhy::Lost(why)) if stand.state == State::Current => {
                (State::Failed, format!("it has its last good files again: {why}"))
            }
            Some(HoldWhy::Lost(why)) => (
                State::Failed,
                format!("{why}; its last good files are offered again: {}", stand.detail),
            ),
            Some(HoldWhy::Ended(id)) => (
                State::Pending,
                format!(
                    "roll-out {id} ended before it came to this phone; handset rollout resume gives it"
                ),
            ),
            Some(HoldWhy::Operator) => {
                (State::Current, "the operator took its newest files back".into())
            }
            None if self.offer.unloaded().contains(&mac) => (
                State::Pending,
                "its new files wait until Asterisk has loaded its credentials".into(),
            ),
            None => (State::Pending, self.rollouts.in_words()),
        };
        Some(Standing { state, detail, wanted, ..stand })
    }

    /// Ends the wish about a phone that is fulfilled, and one that was tried long enough.
    fn give_up(&mut self, mac: Mac, now: Time) {
        let Some(asked) = self.intents.pushes.get(&mac).copied() else { return };
        let failed = || self.standing(mac, now).is_some_and(|s| s.state == State::Failed);
        if fulfilled(&self.offer, &self.observed, mac, asked) || failed() {
            self.intents.pushes.remove(&mac);
            self.wishes_changed = true;
        }
    }

    /// A phone shall run other peers than it does: it is told at those that it runs.
    pub(super) fn leave(&mut self, old: &PhonePart, new: Option<&Arc<PhonePart>>) {
        let moves = new.is_some_and(|new| !new.peers().eq(old.peers()));
        let Some(seen) = self.observed.phones.get_mut(&old.mac).filter(|_| moves) else { return };
        if seen.leave(old) {
            self.dirty.insert(old.mac);
        }
        self.moved(old.mac, self.looked);
    }

    /// The clock jumped: what was waited for is waited for anew, and nothing lies in the future.
    pub(super) fn mind_clock(&mut self, now: Time) {
        let last = std::mem::replace(&mut self.looked, now);
        let back = now < last;
        if !back && now.since(last) < JUMP {
            return;
        }
        warn!(before = %last, now = %now, "the clock jumped");
        self.started = now;
        if back {
            self.set_back(now);
        }
        self.rollouts.open().into_iter().for_each(|rollout| rollout.wait_anew(now));
        self.stirred.extend(self.offer.phones.keys());
        self.changed = true;
    }

    /// Nothing lies in the future.
    pub(super) fn set_back(&mut self, now: Time) {
        self.observed.set_back(now);
        self.intents.set_back(now);
        self.rollouts.set_back(now);
        self.loaded.set_back(now);
        self.strangers.set_back(now);
        self.ledger.set_back(now);
        self.access.set_back(now);
        self.pace = Pace::default();
        let Self { scanned, settled, released, relisted, saved, moving, pardons, .. } = self;
        let own = [scanned, settled, released, relisted, saved].into_iter();
        let phones = moving.values_mut().chain(pardons.values_mut());
        let look = self.look.iter_mut().map(|look| &mut look.at);
        own.chain(phones).chain(look).for_each(|at| at.set_back(now));
    }

    /// Whether nothing that phones do can be proved: without a session there are no registrations, and
    /// without a file service no fetches.
    pub(super) fn is_blind(&self) -> bool {
        self.site.ami.is_none() || self.site.tftp.listen.is_none()
    }

    /// Whether a phone is proved to run what it is offered, and can be told of something else.
    pub(super) fn is_ready(&self, mac: Mac) -> bool {
        let stand = self.agenda.get(mac);
        stand.is_some_and(|s| s.proof == Proof::Runs && s.state != State::InCall)
            && self.reachable(mac)
    }

    /// Whether a line that it runs has a contact.
    pub(super) fn reachable(&self, mac: Mac) -> bool {
        let Some(part) = self.offer.phones.get(&mac) else { return false };
        let none = Seen::default();
        let seen = self.observed.phones.get(&mac).unwrap_or(&none);
        matches!(self.observed.reach(part, seen), Some(Reach::Peer(_)))
    }
}
