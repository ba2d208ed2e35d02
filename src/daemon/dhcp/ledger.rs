//! Leases on disk before their ACKs leave: a thread that commits whatever has gathered in one transaction, then
//! sends the replies that waited for it. What comes while it writes is its next transaction.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{error, info, warn};

use super::board::Board;
use super::post::{Parcel, send};
use crate::daemon::journal::{Batch, Journal, JournalError, Table};
use crate::daemon::net::Listener;
use crate::wire::dhcp::{Change, Lease};

/// What may wait for the disk; what comes on top is asked for again.
const WAITING: usize = 16_384;
/// What a failing disk did not take is tried again after so long.
const RETRY: Duration = Duration::from_secs(1);

/// Hands changes and the replies that depend on them to the thread.
#[derive(Debug)]
pub(super) struct Ledger {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Desk {
    pile: Mutex<Pile>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Pile {
    batch: Batch,
    parcels: Vec<Parcel>,
    stop: bool,
}

/// The leases that were stored, without what cannot be read.
pub(super) fn stored(journal: &Journal) -> Vec<Lease> {
    let rows = journal.scan(Table::Leases).unwrap_or_else(|why| {
        error!("the leases cannot be read, they are unknown: {why}");
        Vec::new()
    });
    let all = rows.len();
    let leases: Vec<Lease> = rows
        .into_iter()
        .filter_map(|(key, row)| {
            let address = <[u8; 4]>::try_from(key).ok().map(Ipv4Addr::from)?;
            Lease::from_bytes(&row).ok().filter(|lease| lease.address == address)
        })
        .collect();
    if leases.len() < all {
        warn!(lost = all - leases.len(), "stored leases that are damaged are unknown");
    }
    leases
}

impl Ledger {
    /// Starts the thread.
    pub(super) fn start(
        journal: Journal,
        socket: Arc<Listener>,
        board: Arc<Board>,
    ) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let ours = Arc::clone(&desk);
        let commit = move |batch: &Batch| journal.commit(batch);
        let deliver = move |parcels: &[Parcel]| {
            board.answered(parcels.len(), send(&socket, parcels));
        };
        let thread = std::thread::Builder::new()
            .name("leases".to_owned())
            .spawn(move || run(&ours, &commit, &deliver))?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// To be durable before these parcels leave. False when too many wait: the changes are taken, the parcels
    /// are not.
    pub(super) fn put(&self, changes: Batch, parcels: &mut Vec<Parcel>) -> bool {
        let mut pile = self.desk.pile.lock().unwrap_or_else(PoisonError::into_inner);
        pile.batch.merge(changes);
        let room = pile.parcels.len() + parcels.len() <= WAITING;
        if room {
            pile.parcels.append(parcels);
        }
        self.desk.wake.notify_one();
        room
    }

    /// Writes what waits, and ends.
    pub(super) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.desk.pile.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.desk.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.end();
    }
}

/// Adds the changes of one reaction.
pub(super) fn note(batch: &mut Batch, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Put(lease) => {
                batch.put(Table::Leases, lease.address.octets(), lease.to_bytes());
            }
            Change::Remove(address) => batch.remove(Table::Leases, address.octets()),
        }
    }
}

fn run(
    desk: &Desk,
    commit: &dyn Fn(&Batch) -> Result<(), JournalError>,
    deliver: &dyn Fn(&[Parcel]),
) {
    let mut failing = false;
    while let Some((batch, parcels, last)) = desk.take(failing) {
        match commit(&batch) {
            Ok(()) if failing => {
                info!("leases are stored again");
                failing = false;
            }
            Ok(()) => {}
            Err(why) => {
                if !failing {
                    error!("leases cannot be stored; they are given all the same: {why}");
                }
                failing = true;
                desk.give_back(batch);
            }
        }
        // Phones must boot though the disk is full: at a restart these leases are learnt again from
        // their renewals.
        deliver(&parcels);
        if last {
            return;
        }
    }
}

impl Desk {
    /// Waits for work; a failing disk is left alone for a moment, except for new replies. True: the end.
    fn take(&self, failing: bool) -> Option<(Batch, Vec<Parcel>, bool)> {
        let mut pile = self.pile.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let rests = failing && pile.parcels.is_empty();
            if (!pile.batch.is_empty() || !pile.parcels.is_empty()) && !rests || pile.stop {
                let nothing = pile.batch.is_empty() && pile.parcels.is_empty();
                let work =
                    (std::mem::take(&mut pile.batch), std::mem::take(&mut pile.parcels), pile.stop);
                return (!nothing).then_some(work);
            }
            let wait = if failing { RETRY } else { Duration::from_secs(3600) };
            let (woken, timeout) =
                self.wake.wait_timeout(pile, wait).unwrap_or_else(PoisonError::into_inner);
            pile = woken;
            if failing && timeout.timed_out() && !pile.batch.is_empty() {
                let batch = std::mem::take(&mut pile.batch);
                return Some((batch, std::mem::take(&mut pile.parcels), pile.stop));
            }
        }
    }

    fn give_back(&self, mut batch: Batch) {
        let mut pile = self.pile.lock().unwrap_or_else(PoisonError::into_inner);
        batch.merge(std::mem::take(&mut pile.batch));
        pile.batch = batch;
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::mpsc;

    use super::*;

    fn parcel(last: u8) -> Parcel {
        let to = format!("192.0.2.{last}:68").parse().unwrap();
        Parcel { to, interface: 0, source: Ipv4Addr::UNSPECIFIED, bytes: vec![last] }
    }

    fn put(desk: &Desk, last: u8) {
        let mut pile = desk.pile.lock().unwrap();
        pile.batch.put(Table::Leases, [192, 0, 2, last], vec![last]);
        pile.parcels.push(parcel(last));
        desk.wake.notify_one();
    }

    /// What happened, in order: `c` and the size of a commit, `d` and the parcels delivered.
    fn watched(fail_first: bool) -> (Arc<Desk>, mpsc::Receiver<String>, mpsc::Sender<()>) {
        let (seen, log) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let desk = Arc::new(Desk::default());
        let ours = Arc::clone(&desk);
        std::thread::spawn(move || {
            let fails = std::cell::Cell::new(fail_first);
            let commit = |batch: &Batch| {
                seen.send(format!("c{}", batch.size() / 5)).unwrap();
                gate.recv().unwrap();
                match fails.replace(false) {
                    true => Err(JournalError::Gone(PathBuf::from("x"))),
                    false => Ok(()),
                }
            };
            let deliver = |parcels: &[Parcel]| seen.send(format!("d{}", parcels.len())).unwrap();
            run(&ours, &commit, &deliver);
        });
        (desk, log, go)
    }

    fn next(log: &mpsc::Receiver<String>) -> String {
        log.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn replies_leave_after_their_leases_are_durable_and_what_gathers_is_one_commit() {
        let (desk, log, go) = watched(false);
        put(&desk, 1);
        assert_eq!(next(&log), "c1");
        (2..=9).for_each(|last| put(&desk, last));
        assert!(log.try_recv().is_err());
        go.send(()).unwrap();
        assert_eq!([next(&log), next(&log)], ["d1", "c8"]);
        go.send(()).unwrap();
        assert_eq!(next(&log), "d8");
    }

    #[test]
    fn a_disk_that_fails_keeps_no_phone_from_its_lease_and_gets_everything_later() {
        let (desk, log, go) = watched(true);
        put(&desk, 1);
        go.send(()).unwrap();
        assert_eq!([next(&log), next(&log)], ["c1", "d1"]);
        put(&desk, 2);
        go.send(()).unwrap();
        assert_eq!([next(&log), next(&log)], ["c2", "d1"]);
    }
}
