//! NOTIFYs that wait for the list of channels: none is sent into a call.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::Mac;
use crate::daemon::event::OwnNotify;
use crate::wire::ami::Frame;
use crate::wire::ami::peer;

/// More are refused.
const WAITING_MAX: usize = 4096;

/// An order to send one.
#[derive(Clone, Debug)]
pub(super) struct Notify {
    pub mac: Mac,
    pub peer: String,
    pub lines: Vec<String>,
    pub event: String,
    /// Sent by ourselves.
    pub own: Option<OwnNotify>,
}

#[derive(Default)]
pub(super) struct Notifies {
    waiting: Vec<Notify>,
    /// Channels were asked for and their list has not ended.
    asking: bool,
    /// Peers with a channel, of the list that is coming in or of the last one.
    busy: BTreeSet<String>,
    /// When the last list ended.
    listed: Option<Instant>,
}

impl Notifies {
    /// Takes an order, or names its phone when too many wait.
    pub(super) fn push(&mut self, notify: Notify) -> Result<(), Mac> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(notify.mac);
        }
        self.waiting.push(notify);
        Ok(())
    }

    /// Whether channels must be asked for now; the caller then does so.
    pub(super) fn must_ask(&mut self) -> bool {
        let must = !self.waiting.is_empty() && !self.asking;
        if must {
            self.asking = true;
            self.busy.clear();
            self.listed = None;
        }
        must
    }

    /// An item of CoreShowChannels.
    pub(super) fn item(&mut self, frame: &Frame) {
        self.busy.extend(peer::channel_peer(frame));
    }

    /// The list has ended.
    pub(super) fn listed(&mut self, now: Instant) {
        self.asking = false;
        self.listed = Some(now);
    }

    /// Those that can be decided with a list that is fresh enough: each with whether the phone is
    /// in a call.
    pub(super) fn decide(&mut self, now: Instant, fresh: Duration) -> Vec<(Notify, bool)> {
        if self.listed.is_none_or(|at| now.duration_since(at) > fresh) {
            return Vec::new();
        }
        let in_call = |notify: Notify| {
            let busy = notify.lines.iter().any(|line| self.busy.contains(line));
            (notify, busy)
        };
        std::mem::take(&mut self.waiting).into_iter().map(in_call).collect()
    }

    /// None of them can be decided.
    pub(super) fn abandon(&mut self) -> Vec<Notify> {
        std::mem::take(self).waiting
    }
}
