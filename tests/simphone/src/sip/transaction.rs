//! One request that waits for its answer: repeats after T1, 2 T1, … up to T2 (RFC 3261 §17.1).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

/// `timer_t1`, `timer_t2` and the counts of repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SipTimes {
    pub(crate) t1: Duration,
    pub(crate) t2: Duration,
    pub(crate) retx: u32,
    pub(crate) invite_retx: u32,
    /// How long after a refusal a line is registered again.
    pub(crate) retry: Duration,
    /// Sent in `Expires`.
    pub(crate) expires: u32,
    /// Seconds before the expiry at which the line is registered again.
    pub(crate) delta: u32,
}

/// Bytes on their way.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
    pub(crate) branch: String,
    next: Instant,
    interval: Duration,
    left: u32,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Repeat,
    GiveUp,
}

impl Transaction {
    pub(crate) fn new(
        to: SocketAddr,
        bytes: Vec<u8>,
        branch: String,
        times: &SipTimes,
        now: Instant,
    ) -> Self {
        Self { to, bytes, branch, next: now + times.t1, interval: times.t1, left: times.retx }
    }

    /// The same with another count of repeats.
    pub(crate) fn repeats(mut self, count: u32) -> Self {
        self.left = count;
        self
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.next
    }

    /// Whether to repeat, at `now`.
    pub(crate) fn due(&mut self, times: &SipTimes, now: Instant) -> Due {
        if now < self.next {
            return Due::Nothing;
        }
        if self.left == 0 {
            return Due::GiveUp;
        }
        self.left -= 1;
        self.interval = (self.interval * 2).min(times.t2);
        self.next = now + self.interval;
        Due::Repeat
    }
}
