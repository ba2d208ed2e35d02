//! Who is being served: one transfer for each address and port, and so many for each host and in
//! all.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The seats, shared by the readers of requests and the running transfers.
#[derive(Debug)]
pub(super) struct Table {
    all: usize,
    per_host: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    taken: usize,
    counter: u64,
    hosts: HashMap<IpAddr, usize>,
    askers: HashMap<SocketAddr, Entry>,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    request: Bytes,
    line: Arc<Line>,
    /// The transfer's progress when its request was repeated last.
    repeated_at: Option<u64>,
}

/// What the reader of requests and a transfer tell each other.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The request came once more.
    pub(super) again: Notify,
    /// The client asks for something else from the same port.
    pub(super) replaced: CancellationToken,
    /// Blocks that the client acknowledged.
    pub(super) progress: AtomicU64,
}

/// A place at the table, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    table: Arc<Table>,
    asker: SocketAddr,
    id: u64,
    pub(super) line: Arc<Line>,
}

impl Table {
    pub(super) fn new(all: usize, per_host: usize) -> Arc<Self> {
        Arc::new(Self { all, per_host, inner: Mutex::default() })
    }

    /// Whether a transfer already answers this very request; it is told then. A running transfer
    /// for another request of the same port is ended: the client has given it up. So is one whose
    /// client, once heard, repeats its first request twice and makes no progress in between: it has
    /// started anew.
    pub(super) fn answers(&self, asker: SocketAddr, request: &[u8]) -> bool {
        let mut inner = self.lock();
        let Some(entry) = inner.askers.get_mut(&asker) else { return false };
        let progress = entry.line.progress.load(Ordering::Relaxed);
        let stuck = progress > 0 && entry.repeated_at == Some(progress);
        if entry.request == request && !stuck {
            entry.repeated_at = Some(progress);
            entry.line.again.notify_one();
            return true;
        }
        entry.line.replaced.cancel();
        inner.askers.remove(&asker);
        false
    }

    /// A place for a new transfer, unless the house or the host has enough.
    pub(super) fn take(self: &Arc<Self>, asker: SocketAddr, request: Bytes) -> Option<Seat> {
        let mut inner = self.lock();
        let of_host = inner.hosts.get(&asker.ip()).copied().unwrap_or(0);
        if inner.taken >= self.all || of_host >= self.per_host {
            return None;
        }
        inner.taken += 1;
        inner.hosts.insert(asker.ip(), of_host + 1);
        inner.counter += 1;
        let id = inner.counter;
        let line = Arc::new(Line::default());
        let entry = Entry { id, request, line: Arc::clone(&line), repeated_at: None };
        if let Some(before) = inner.askers.insert(asker, entry) {
            before.line.replaced.cancel();
        }
        Some(Seat { table: Arc::clone(self), asker, id, line })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.table.lock();
        inner.taken -= 1;
        if let Some(count) = inner.hosts.get_mut(&self.asker.ip()) {
            *count -= 1;
            if *count == 0 {
                inner.hosts.remove(&self.asker.ip());
            }
        }
        if inner.askers.get(&self.asker).is_some_and(|entry| entry.id == self.id) {
            inner.askers.remove(&self.asker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_bounded_for_all_and_for_each_host_and_come_back() {
        let table = Table::new(3, 2);
        let take = |text: &str| table.take(asker(text), Bytes::new());
        let a = take("10.0.0.1:1").unwrap();
        let b = take("10.0.0.1:2").unwrap();
        assert!(take("10.0.0.1:3").is_none(), "two for each host");
        let c = take("10.0.0.2:1").unwrap();
        assert!(take("10.0.0.3:1").is_none(), "three in all");
        drop((a, c));
        assert!(take("10.0.0.1:3").is_some());
        drop(b);
        let inner = table.lock();
        assert!(inner.taken == 0 && inner.hosts.is_empty() && inner.askers.is_empty());
    }

    #[test]
    fn another_request_from_the_same_port_ends_the_transfer() {
        let table = Table::new(9, 9);
        let port = asker("10.0.0.1:1");
        let old = table.take(port, Bytes::from_static(b"one")).unwrap();
        assert!(table.answers(port, b"one"));
        assert!(!table.answers(port, b"two") && old.line.replaced.is_cancelled());
        let new = table.take(port, Bytes::from_static(b"two")).unwrap();
        drop(old);
        assert!(table.answers(port, b"two") && !new.line.replaced.is_cancelled());
    }

    #[test]
    fn a_client_that_started_anew_gets_a_new_transfer() {
        let table = Table::new(9, 9);
        let port = asker("10.0.0.1:1");
        let seat = table.take(port, Bytes::new()).unwrap();
        assert!(table.answers(port, b"") && table.answers(port, b""), "nothing heard of it yet");
        seat.line.progress.store(5, Ordering::Relaxed);
        assert!(table.answers(port, b""), "a late duplicate");
        seat.line.progress.store(6, Ordering::Relaxed);
        assert!(table.answers(port, b""), "and it goes on");
        assert!(!table.answers(port, b"") && seat.line.replaced.is_cancelled());
    }
}
