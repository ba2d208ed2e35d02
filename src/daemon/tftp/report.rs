//! How the core and the log hear of transfers: the core in batches, so that a building that boots at
//! once is a few hundred messages; the log line by line as long as it is calm, then a sum for each
//! second.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::Counters;
use crate::daemon::event::{Event, Outcome, Transfer};

/// Transfers in one message.
const BATCH: usize = 1024;

/// How long the first of a batch waits for others: shortly when it is calm, and longer after a batch
/// of [`MANY`], because the core looks over its whole fleet once for each.
const TICK: Duration = Duration::from_millis(20);
const BUSY: Duration = Duration::from_millis(500);
const MANY: usize = 64;

/// So many do not wait for others.
const ENOUGH: usize = 12_288;

/// Ended transfers that may wait for a busy core.
const QUEUE: usize = 16_384;

/// Lines in one second.
const LINES: u32 = 50;

/// Tells of ended transfers.
pub(super) struct Reporter {
    report: mpsc::Sender<Event>,
    counters: Arc<Counters>,
    /// Batches, all but the last of them full.
    waiting: VecDeque<Vec<Transfer>>,
    /// Transfers in them.
    count: usize,
    /// When the first of them has to go out.
    due: Option<Instant>,
    /// How long the first one waits for others.
    tick: Duration,
    log: Log,
}

impl Reporter {
    pub(super) fn new(report: mpsc::Sender<Event>, counters: Arc<Counters>) -> Self {
        let log = Log { second: Instant::now(), lines: 0, complete: 0, others: 0 };
        Self { report, counters, waiting: VecDeque::new(), count: 0, due: None, tick: TICK, log }
    }

    /// A transfer ended.
    pub(super) fn ended(&mut self, transfer: Transfer, now: Instant) {
        self.log.line(&transfer, now);
        self.counters.ended.count(&transfer.outcome, transfer.bytes);
        if self.count >= QUEUE {
            self.counters.unreported.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.wait(transfer);
        self.due.get_or_insert(now + self.tick);
        if self.count == ENOUGH {
            self.pass_on(now);
        }
    }

    fn wait(&mut self, transfer: Transfer) {
        self.count += 1;
        if let Some(last) = self.waiting.back_mut().filter(|last| last.len() < BATCH) {
            return last.push(transfer);
        }
        let mut batch = Vec::with_capacity(if self.tick == BUSY { BATCH } else { 1 });
        batch.push(transfer);
        self.waiting.push_back(batch);
    }

    /// When [`Reporter::tick`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.log.due()).min()
    }

    /// Passes on what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.pass_on(now);
        }
        self.log.tick(now);
    }

    /// Hands a batch to the core; while the core is busy, what ended waits here.
    fn pass_on(&mut self, now: Instant) {
        self.tick = if self.count < MANY { TICK } else { BUSY };
        while !self.waiting.is_empty() {
            let Ok(room) = self.report.try_reserve() else {
                self.due = Some(now + TICK);
                if self.report.is_closed() {
                    self.waiting.clear();
                    self.count = 0;
                }
                return;
            };
            let Some(batch) = self.waiting.pop_front() else { break };
            self.count -= batch.len();
            room.send(Event::Transfers(batch));
        }
        self.due = None;
    }

    /// Passes on all that is left, within `patience`.
    pub(super) fn close(mut self, patience: Duration) {
        let until = Instant::now() + patience;
        self.pass_on(Instant::now());
        while !self.waiting.is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
            self.pass_on(Instant::now());
        }
        self.log.sum();
    }
}

/// The one line of a request, as long as there are not too many.
struct Log {
    second: Instant,
    lines: u32,
    complete: u64,
    others: u64,
}

impl Log {
    fn line(&mut self, transfer: &Transfer, now: Instant) {
        self.tick(now);
        let Transfer { asker, name: file, ticket, outcome, bytes, millis, .. } = transfer;
        if *outcome == Outcome::NotFound && !tracing::enabled!(tracing::Level::DEBUG) {
            // Every boot of a 7940 asks for three or more names that do not exist.
            return;
        }
        self.lines += 1;
        if self.lines > LINES {
            let sum = match outcome {
                Outcome::Complete => &mut self.complete,
                _ => &mut self.others,
            };
            *sum += 1;
            return;
        }
        let phone = ticket.and_then(|ticket| ticket.mac).map(|mac| mac.to_string());
        let phone = phone.as_deref().unwrap_or("-");
        if transfer.outcome == Outcome::NotFound {
            debug!(%asker, phone, file, %outcome, bytes, ms = millis, "tftp");
        } else {
            info!(%asker, phone, file, %outcome, bytes, ms = millis, "tftp");
        }
    }

    fn due(&self) -> Option<Instant> {
        (self.complete + self.others > 0).then(|| self.second + Duration::from_secs(1))
    }

    fn tick(&mut self, now: Instant) {
        if now >= self.second + Duration::from_secs(1) {
            self.sum();
            self.second = now;
            self.lines = 0;
        }
    }

    fn sum(&mut self) {
        let (complete, others) =
            (std::mem::take(&mut self.complete), std::mem::take(&mut self.others));
        if complete > 0 {
            info!(complete, "tftp: more files than there are lines for");
        }
        if others > 0 {
            warn!(others, "tftp: more requests without a complete file than there are lines for");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(number: usize) -> Transfer {
        Transfer {
            asker: "10.0.0.1:1".parse().unwrap(),
            name: "f".to_owned(),
            ticket: None,
            outcome: Outcome::Complete,
            bytes: number as u64,
            millis: 0,
            at: crate::base::Time(0),
            agent: None,
        }
    }

    fn batch(events: &mut mpsc::Receiver<Event>) -> Option<Vec<usize>> {
        match events.try_recv().ok()? {
            Event::Transfers(transfers) => {
                Some(transfers.iter().map(|t| usize::try_from(t.bytes).unwrap()).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn transfers_are_reported_together_in_order_and_later_when_there_are_many() {
        let (report, mut events) = mpsc::channel(9);
        let mut reporter = Reporter::new(report, Arc::default());
        let now = Instant::now();
        (0..BATCH + 9).for_each(|n| reporter.ended(transfer(n), now));
        reporter.tick(now);
        assert_eq!((batch(&mut events), reporter.due()), (None, Some(now + TICK)));
        reporter.tick(now + TICK);
        assert_eq!(batch(&mut events).unwrap(), (0..BATCH).collect::<Vec<_>>());
        assert_eq!(batch(&mut events).unwrap(), (BATCH..BATCH + 9).collect::<Vec<_>>());
        assert!(reporter.waiting.is_empty() && reporter.due.is_none());
        reporter.ended(transfer(1), now);
        assert_eq!(reporter.due(), Some(now + BUSY));
        reporter.tick(now + BUSY);
        reporter.ended(transfer(2), now);
        assert_eq!(reporter.due(), Some(now + TICK));
    }

    #[test]
    fn a_busy_core_hears_later_and_what_is_above_the_bound_is_counted() {
        let (report, mut events) = mpsc::channel(1);
        let counters = Arc::new(Counters::default());
        let mut reporter = Reporter::new(report, Arc::clone(&counters));
        let mut now = Instant::now();
        let kept = BATCH + QUEUE;
        (0..kept + 7).for_each(|n| reporter.ended(transfer(n), now));
        assert_eq!(counters.unreported.load(Ordering::Relaxed), 7);
        let mut heard = Vec::new();
        while let Some(batch) = batch(&mut events) {
            assert!(batch.len() <= BATCH);
            heard.extend(batch);
            now += BUSY;
            reporter.tick(now);
        }
        assert_eq!(heard, (0..kept).collect::<Vec<_>>());
    }

    #[test]
    fn a_core_that_is_gone_keeps_nothing() {
        let (report, events) = mpsc::channel(1);
        drop(events);
        let mut reporter = Reporter::new(report, Arc::default());
        (0..ENOUGH).for_each(|n| reporter.ended(transfer(n), Instant::now()));
        assert!(reporter.waiting.is_empty());
        reporter.close(Duration::from_secs(9));
    }
}
