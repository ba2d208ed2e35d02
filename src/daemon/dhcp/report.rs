//! Tells the core and the log what was said: few messages to the core, however many exchanges there are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::{info, warn};

use super::board::Board;
use crate::daemon::event::Event;
use crate::plan::boot::{Exchange, Said};

/// A lone message is told within this time.
const TICK: Duration = Duration::from_millis(20);
/// More than so many at once are told after the longer time.
const MANY: usize = 64;
/// The core looks over its fleet once for each message.
const BUSY: Duration = Duration::from_millis(500);
/// So many wait for a busy core.
const QUEUE: usize = 16_384;
/// Lines in the log in one second.
const LINES: u32 = 50;

/// Gathers what is to be told.
pub(super) struct Reporter {
    core: mpsc::Sender<Event>,
    board: Arc<Board>,
    waiting: Vec<Exchange>,
    due: Option<Instant>,
    /// The beginning of the second of the log, its lines, and what had no room.
    second: Instant,
    lines: u32,
    more: u64,
}

impl Reporter {
    pub(super) fn new(core: mpsc::Sender<Event>, board: Arc<Board>) -> Self {
        let second = Instant::now();
        Self { core, board, waiting: Vec::new(), due: None, second, lines: 0, more: 0 }
    }

    /// To be told.
    pub(super) fn said(&mut self, exchange: Exchange, now: Instant) {
        self.log(&exchange, now);
        if self.waiting.len() >= QUEUE {
            self.board.unreported.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.waiting.push(exchange);
        self.due.get_or_insert(now + TICK);
    }

    /// When [`Reporter::tick`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Tells what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        if self.waiting.is_empty() {
            self.due = None;
            return;
        }
        let many = self.waiting.len() > MANY;
        let batch = std::mem::take(&mut self.waiting);
        match self.core.try_send(Event::Dhcp(batch)) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {
                // The next of a storm waits a while.
                self.due = many.then_some(now + BUSY);
            }
            Err(mpsc::error::TrySendError::Full(event)) => {
                if let Event::Dhcp(batch) = event {
                    self.waiting = batch;
                }
                self.due = Some(now + BUSY);
            }
        }
    }

    fn log(&mut self, exchange: &Exchange, now: Instant) {
        if now >= self.second + Duration::from_secs(1) {
            if std::mem::take(&mut self.more) > 0 {
                info!("dhcp: more messages than there are lines for");
            }
            (self.second, self.lines) = (now, 0);
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines > LINES {
            self.more += 1;
            return;
        }
        let (phone, address) = (exchange.mac, exchange.address);
        let address = address.map(|a| a.to_string()).unwrap_or_default();
        match &exchange.said {
            Said::Nak(why) => info!(%phone, address, why, "dhcp: NAK"),
            Said::Silent(why) => info!(%phone, address, why, "dhcp: not answered"),
            Said::Foreign { server, wrong: Some(wrong) } => {
                warn!(%phone, address, %server, wrong, "dhcp: another server");
            }
            Said::Foreign { server, wrong: None } => {
                info!(%phone, address, %server, "dhcp: another server");
            }
            said => info!(%phone, address, "dhcp: {}", word(said)),
        }
    }
}

fn word(said: &Said) -> &'static str {
    match said {
        Said::Discover => "DISCOVER",
        Said::Request => "REQUEST",
        Said::Decline => "DECLINE",
        Said::Release => "RELEASE",
        Said::Inform => "INFORM",
        Said::Offer => "OFFER",
        Said::Ack => "ACK",
        Said::Nak(_) => "NAK",
        Said::Silent(_) => "not answered",
        Said::Foreign { .. } => "another server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Mac, Time};

    fn exchange(number: u64) -> Exchange {
        let mac = Mac::new([0, 0x18, 0xb9, 0, 0, 1]).unwrap();
        Exchange {
            mac,
            at: Time(number),
            said: Said::Discover,
            address: None,
            class: None,
            interface: None,
        }
    }

    fn batch(events: &mut mpsc::Receiver<Event>) -> Option<usize> {
        match events.try_recv().ok()? {
            Event::Dhcp(all) => Some(all.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn exchanges_are_told_together_and_a_storm_less_often() {
        let (core, mut events) = mpsc::channel(9);
        let mut reporter = Reporter::new(core, Arc::default());
        let now = Instant::now();
        (0..2).for_each(|n| reporter.said(exchange(n), now));
        reporter.tick(now);
        assert_eq!(batch(&mut events), None);
        reporter.tick(now + TICK);
        assert_eq!((batch(&mut events), reporter.due()), (Some(2), None));
        (0..100).for_each(|n| reporter.said(exchange(n), now));
        reporter.tick(now + TICK);
        assert_eq!((batch(&mut events), reporter.due()), (Some(100), Some(now + TICK + BUSY)));
    }

    #[test]
    fn a_busy_core_hears_later_and_what_is_above_the_bound_is_counted() {
        let (core, mut events) = mpsc::channel(1);
        let board = Arc::new(Board::default());
        let mut reporter = Reporter::new(core, board.clone());
        let now = Instant::now();
        reporter.said(exchange(0), now);
        reporter.tick(now + TICK);
        (0..QUEUE + 7).for_each(|_| reporter.said(exchange(0), now));
        reporter.tick(now + BUSY);
        assert_eq!(board.unreported.load(Ordering::Relaxed), 7);
        assert_eq!(batch(&mut events), Some(1));
        reporter.tick(now + 2 * BUSY + TICK);
        assert_eq!(batch(&mut events), Some(QUEUE));
    }
}
