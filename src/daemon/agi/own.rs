//! What the core does for a phone that calls.

use std::time::Duration;

use super::super::core::Core;
use crate::base::{Mac, Tech, Time};
use crate::control::{Answer, ErrorKind, OwnWish};

/// A phone whose account does not change within this time is not told of a later change for it.
const PATIENCE: Duration = Duration::from_secs(900);

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
            OwnWish::Move => drop(self.moving.insert(mac, now)),
        }
        match self.phone_status(mac, now) {
            Some(status) => Answer::Own(Box::new(status)),
            None => {
                let message = format!("{mac} has no files");
                Answer::Error { kind: ErrorKind::Unavailable, message }
            }
        }
    }

    /// The phone that has an account as a line, or still runs it.
    fn phone_of(&self, peer: &str, tech: Tech) -> Option<Mac> {
        let mut parts = self.offer.phones.values();
        let has = parts.find(|p| p.lines.iter().any(|l| l.peer == peer && l.tech == tech));
        let runs = || {
            let mut all = self.observed.phones.iter();
            all.find(|(_, seen)| seen.left.iter().any(|left| left == peer)).map(|(mac, _)| *mac)
        };
        has.map(|part| part.mac).or_else(runs)
    }

    /// A phone shall run other accounts now: where it asked for that itself, it is told, also with
    /// push = manual.
    pub(in crate::daemon) fn moved(&mut self, mac: Mac, now: Time) {
        let asked = self.moving.remove(&mac);
        if asked.is_some_and(|asked| now.since(asked) <= PATIENCE) {
            self.wish(&[mac], now);
        }
    }
}
