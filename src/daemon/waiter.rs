//! Those who wait on the command line for phones to be done.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::mpsc;

use super::core::Core;
use crate::base::{Mac, Time};
use crate::control::{Answer, State};
use crate::plan::rollout::Phase;

/// Somebody who waits for a push to end.
pub(super) struct Waiter {
    answers: mpsc::Sender<Answer>,
    /// The phones, as they were last told.
    phones: BTreeMap<Mac, Option<State>>,
    /// Those that are not done.
    open: BTreeSet<Mac>,
}

impl Core {
    /// Answers `--wait` until all these phones are done.
    pub(super) fn await_push(&mut self, answers: mpsc::Sender<Answer>, phones: Vec<Mac>) {
        self.stirred.extend(&phones);
        let open = phones.iter().copied().collect();
        let phones = phones.into_iter().map(|mac| (mac, None)).collect();
        self.waiters.push(Waiter { answers, phones, open });
    }

    /// Tells those who wait what is new about the phones of `fresh`.
    pub(super) fn inform(&mut self, fresh: &BTreeSet<Mac>, now: Time) {
        let mut waiters = std::mem::take(&mut self.waiters);
        waiters.retain_mut(|waiter| {
            let mut news = Vec::new();
            for mac in fresh {
                let Some(last) = waiter.phones.get_mut(mac) else { continue };
                let state = self.agenda.get(*mac).map(|stand| stand.state);
                match self.moves(*mac) {
                    true => drop(waiter.open.insert(*mac)),
                    false => drop(waiter.open.remove(mac)),
                }
                if state.is_some() && *last != state {
                    *last = state;
                    news.extend(self.phone_status(*mac, now));
                }
            }
            let finished = waiter.open.is_empty();
            if news.is_empty() && !finished {
                return !waiter.answers.is_closed();
            }
            // A reader that does not take its news is let go.
            waiter.answers.try_send(Answer::Progress { phones: news, finished }).is_ok()
                && !finished
        });
        self.waiters = waiters;
    }

    /// Whether anything is still to come of a phone by itself.
    fn moves(&self, mac: Mac) -> bool {
        let Some(stand) = self.agenda.get(mac) else { return false };
        let told = self.intents.pushes.contains_key(&mac)
            && (stand.due.is_some() || stand.state == State::Pushing);
        let runs = self.rollouts.current.as_ref().is_some_and(|r| r.phase == Phase::Running);
        let waits = stand.state == State::Pending && self.offer.waiting().contains(&mac);
        told || runs && waits
    }
}
