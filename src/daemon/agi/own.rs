//! What the core does for a phone that calls.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::debug;

use super::super::core::Core;
use super::super::event::Order;
use crate::base::{Mac, Tech, Time};
use crate::control::{Answer, ErrorKind, OwnWish, State};
use crate::model::site::PushMode;
use crate::plan::observed::Notified;

/// Phones that run an account which is not theirs any more, until they have moved on: at the account that they
/// shall have nobody can be told, since nobody is registered there.
#[derive(Debug, Default)]
pub struct Moves(BTreeMap<Mac, Move>);

#[derive(Debug)]
struct Move {
    peer: String,
    tech: Tech,
    since: Time,
    told: Option<Time>,
}

/// A phone that did not move within this time is told at its next boot.
const PATIENCE: Duration = Duration::from_secs(900);
/// While it is in a call, try again so often.
const CALL: Duration = Duration::from_secs(2);
/// After a NOTIFY the phone idles for 20 s (phones.md §2.11).
const AGAIN: Duration = Duration::from_secs(25);

impl Core {
    /// Answers [`crate::control::Ask::Own`].
    pub(in crate::daemon) fn own(
        &mut self,
        peer: &str,
        tech: Tech,
        wish: OwnWish,
        now: Time,
    ) -> Answer {
        let Some(mac) = self.phone_of(peer, tech) else {
            let message = format!("{peer} is no line of a phone with files");
            return Answer::Error { kind: ErrorKind::NoSuchPhone, message };
        };
        match wish {
            OwnWish::State => {}
            OwnWish::Resync => {
                self.wish(&[mac], now);
                self.let_through(&[mac], now);
            }
            OwnWish::Move => {
                let moving = Move { peer: peer.to_owned(), tech, since: now, told: None };
                self.moves.0.insert(mac, moving);
            }
        }
        match self.phone_status(mac, now) {
            Some(status) => Answer::Own(Box::new(status)),
            None => {
                let message = format!("{mac} has no files");
                Answer::Error { kind: ErrorKind::Unavailable, message }
            }
        }
    }

    /// The phone that has, or has just had, an account as a line.
    fn phone_of(&self, peer: &str, tech: Tech) -> Option<Mac> {
        let mut parts = self.offer.phones.values();
        let has = parts.find(|p| p.lines.iter().any(|l| l.peer == peer && l.tech == tech));
        let moving = || self.moves.0.iter().find(|(_, m)| m.peer == peer && m.tech == tech);
        has.map(|part| part.mac).or_else(|| moving().map(|(mac, _)| *mac))
    }

    /// Tells phones at the accounts that they still run.
    pub(in crate::daemon) fn move_on(&mut self, now: Time) {
        if self.moves.0.is_empty() || !self.session.up {
            return;
        }
        let mut moves = std::mem::take(&mut self.moves);
        moves.0.retain(|mac, moving| self.moves_on(*mac, moving, now));
        self.moves = moves;
    }

    /// Whether there is still something to do.
    fn moves_on(&mut self, mac: Mac, moving: &mut Move, now: Time) -> bool {
        let Some(part) = self.offer.phones.get(&mac).cloned() else { return false };
        let Some(stand) = self.standing(mac, now) else { return false };
        let moved = !part.peers().any(|peer| peer == moving.peer);
        if moved && stand.state == State::Current || now.since(moving.since) > PATIENCE {
            return false;
        }
        let seen = self.observed.phones.get(&mac);
        let in_call =
            seen.and_then(|s| s.told.as_ref()).is_some_and(|t| t.result == Notified::InCall);
        let wait = if in_call { CALL } else { AGAIN.min(self.site.pacing.retry) };
        let early = moving.told.is_some_and(|told| now.since(told) < wait);
        let fetched = stand.state == State::Pushing && stand.due.is_none();
        // With push = auto the reconciler tells it.
        let told = self.site.push == PushMode::Auto;
        if told || !moved || early || fetched || self.observed.contact(&moving.peer).is_none() {
            return true;
        }
        let lines = part.peers().map(str::to_owned).chain([moving.peer.clone()]).collect();
        let (peer, event) = (moving.peer.clone(), part.event.to_string());
        debug!(phone = %mac, peer, "telling it to look, at the account that it leaves");
        if let Some(about) = stand.about {
            self.observed.ordered(mac, about, now);
        }
        self.changed = true;
        self.stirred.insert(mac);
        moving.told = Some(now);
        if self.out.orders.try_send(Order::Notify { mac, peer, lines, event, own: None }).is_err() {
            self.observed.notified(mac, Notified::Failed("too many orders wait".into()));
        }
        true
    }
}
