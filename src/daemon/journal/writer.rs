//! The journal's own thread: the core hands batches over and never waits for the disk.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::watch;

use super::{Batch, Journal, JournalError};

/// What may wait for a disk that does not take it. Merging bounds what waits by the size of the
/// state itself, so that only a fault gets here.
const PENDING_LIMIT: usize = 256 << 20;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// How the writing goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Health {
    /// Batches durable so far, counted from the writer's start.
    pub durable: u64,
    /// Attempts that failed since the last success; the batches wait and are tried again.
    pub failures: u32,
    /// What the last attempt said, until one succeeds.
    pub error: Option<String>,
}

/// Too much waits already: this batch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the state cannot be written and {PENDING_LIMIT} bytes wait already")]
pub struct Backlog;

/// The other end of the writer's thread. Dropping it lets the thread write what waits (one attempt)
/// and end; [`WriterHandle::stop`] also waits for that.
#[derive(Debug)]
pub struct WriterHandle {
    shared: Arc<Shared>,
    health: watch::Receiver<Health>,
    thread: Option<JoinHandle<Result<(), JournalError>>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

/// All batches that wait, merged into one.
#[derive(Debug, Default)]
struct Queue {
    pending: Batch,
    submitted: u64,
    taken: u64,
    hurry: bool,
    stop: bool,
}

/// One attempt: what to write, and which batch is its last.
struct Work {
    batch: Batch,
    last: u64,
    stopping: bool,
}

/// Starts the thread that writes to `journal`. Batches that come while it writes become one
/// transaction; those that could not be written are kept and tried again.
pub fn spawn_writer(journal: Journal) -> io::Result<WriterHandle> {
    spawn(FIRST_RETRY, move |batch| journal.commit(batch))
}

fn spawn(
    retry: Duration,
    commit: impl Fn(&Batch) -> Result<(), JournalError> + Send + 'static,
) -> io::Result<WriterHandle> {
    let shared = Arc::new(Shared::default());
    let (report, health) = watch::channel(Health::default());
    let ours = Arc::clone(&shared);
    let thread = thread::Builder::new()
        .name("journal".into())
        .spawn(move || run(&ours, &report, retry, &commit))?;
    Ok(WriterHandle { shared, health, thread: Some(thread) })
}

impl WriterHandle {
    /// Hands a batch over; never blocks on the disk. Batches become durable in this order, those
    /// that wait together in one transaction.
    pub fn submit(&self, batch: Batch) -> Result<(), Backlog> {
        let mut queue = self.shared.lock();
        if queue.pending.size().saturating_add(batch.size()) > PENDING_LIMIT {
            return Err(Backlog);
        }
        queue.pending.merge(batch);
        queue.submitted += 1;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Where to see whether the disk takes what is written.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Waits until everything submitted before is durable, trying a failing disk at once; give it a
    /// time limit. Returns false when the thread has ended before.
    pub async fn flush(&self) -> bool {
        let last = self.shared.hurry();
        self.health.clone().wait_for(|health| health.durable >= last).await.is_ok()
    }

    /// Writes what waits (one attempt) and ends the thread. Blocks.
    pub fn stop(mut self) -> Result<(), JournalError> {
        self.shared.stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

fn run(
    shared: &Shared,
    report: &watch::Sender<Health>,
    retry: Duration,
    commit: &dyn Fn(&Batch) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    let mut delay = Duration::ZERO;
    while let Some(work) = shared.take(delay) {
        match commit(&work.batch) {
            Ok(()) => {
                delay = Duration::ZERO;
                report.send_replace(Health { durable: work.last, failures: 0, error: None });
            }
            Err(error) if work.stopping => return Err(error),
            Err(error) => {
                delay = (delay * 2).min(LAST_RETRY).max(retry);
                shared.give_back(work.batch);
                report.send_modify(|health| {
                    health.failures = health.failures.saturating_add(1);
                    health.error = Some(error.to_string());
                });
            }
        }
    }
    Ok(())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps `delay` (a flush or the end cuts it short), then until there is work. None: the end.
    fn take(&self, delay: Duration) -> Option<Work> {
        let until = Instant::now() + delay;
        let mut queue = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let due = left.is_zero() || queue.hurry || queue.stop;
            if due && queue.submitted > queue.taken {
                queue.hurry = false;
                queue.taken = queue.submitted;
                let batch = std::mem::take(&mut queue.pending);
                return Some(Work { batch, last: queue.submitted, stopping: queue.stop });
            }
            if queue.stop {
                return None;
            }
            let wait = if due { Duration::from_secs(3600) } else { left };
            queue = self.wake.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Puts what was not written before what came meanwhile.
    fn give_back(&self, mut batch: Batch) {
        let mut queue = self.lock();
        batch.merge(std::mem::take(&mut queue.pending));
        queue.pending = batch;
        // At least one of the batches counted as taken is not done.
        queue.taken = queue.taken.saturating_sub(1);
    }

    fn hurry(&self) -> u64 {
        let mut queue = self.lock();
        queue.hurry = queue.submitted > queue.taken;
        self.wake.notify_one();
        queue.submitted
    }

    fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::mpsc;

    use super::super::Table;
    use super::*;

    fn put(key: &str, value: &'static str) -> Batch {
        let mut batch = Batch::new();
        batch.put(Table::Observed, key, value);
        batch
    }

    fn rows(batch: &Batch) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all = batch.changes.values().flatten();
        all.map(|(k, v)| (text(k), v.as_deref().map_or("-".into(), text))).collect()
    }

    fn row(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[tokio::test]
    async fn batches_that_wait_become_one_transaction() {
        let (seen, commits) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let writer = spawn(FIRST_RETRY, move |batch: &Batch| {
            seen.send(rows(batch)).unwrap();
            gate.recv().unwrap();
            Ok(())
        })
        .unwrap();
        writer.submit(put("a", "1")).unwrap();
        assert_eq!(commits.recv().unwrap(), [row("a", "1")]);
        for batch in [put("a", "2"), put("b", "1"), put("a", "3")] {
            writer.submit(batch).unwrap();
        }
        go.send(()).unwrap();
        assert_eq!(commits.recv().unwrap(), [row("a", "3"), row("b", "1")]);
        assert_eq!(writer.health().borrow().durable, 1);
        go.send(()).unwrap();
        assert!(writer.flush().await);
        assert_eq!(writer.health().borrow().durable, 4);
        writer.stop().unwrap();
    }

    #[tokio::test]
    async fn what_a_full_disk_refused_is_kept_and_written_later() {
        let (seen, commits) = mpsc::channel();
        let mut answers = vec![true, false, false].into_iter();
        let answers = Mutex::new(std::iter::from_fn(move || answers.next().or(Some(true))));
        let writer = spawn(Duration::from_millis(5), move |batch: &Batch| {
            seen.send(rows(batch)).unwrap();
            match answers.lock().unwrap().next() {
                Some(true) => Ok(()),
                _ => Err(JournalError::Gone(PathBuf::from("x"))),
            }
        })
        .unwrap();
        writer.submit(put("a", "1")).unwrap();
        assert!(writer.flush().await);
        let mut health = writer.health();
        writer.submit(put("b", "1")).unwrap();
        health.wait_for(|h| h.failures > 0 && h.error.is_some()).await.unwrap();
        writer.submit(put("c", "1")).unwrap();
        assert!(writer.flush().await);
        assert_eq!(*health.borrow(), Health { durable: 3, failures: 0, error: None });
        let all: Vec<_> = commits.try_iter().collect();
        assert_eq!(all[1], [row("b", "1")]);
        assert_eq!(*all.last().unwrap(), [row("b", "1"), row("c", "1")]);
    }

    #[test]
    fn stopping_writes_what_waits_and_says_when_it_could_not() {
        let fail = |_: &Batch| Err(JournalError::Gone(PathBuf::from("x")));
        let writer = spawn(Duration::from_secs(60), fail).unwrap();
        writer.submit(put("a", "1")).unwrap();
        assert!(writer.stop().is_err());

        let (seen, commits) = mpsc::channel();
        let writer = spawn(FIRST_RETRY, move |batch: &Batch| {
            seen.send(rows(batch)).unwrap();
            Ok(())
        })
        .unwrap();
        writer.submit(put("a", "1")).unwrap();
        writer.stop().unwrap();
        assert_eq!(commits.iter().collect::<Vec<_>>(), [[row("a", "1")]]);
    }

    #[test]
    fn a_backlog_has_an_end() {
        let fail = |_: &Batch| Err(JournalError::Gone(PathBuf::from("x")));
        let writer = spawn(Duration::from_secs(60), fail).unwrap();
        let mut batch = Batch::new();
        batch.put(Table::Observed, "a", vec![0; PENDING_LIMIT / 2]);
        let mut other = Batch::new();
        other.put(Table::Observed, "b", vec![0; PENDING_LIMIT / 2]);
        writer.submit(batch).unwrap();
        // Wait for the first attempt to fail, so that both would wait together.
        while writer.health().borrow().failures == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(writer.submit(other), Err(Backlog));
        assert_eq!(writer.submit(put("a", "1")), Ok(()));
    }
}
