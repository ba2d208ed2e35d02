//! The loop: waits for the sockets, hands what comes to the desk, sends what the desk wants sent.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::count;
use super::desk::Desk;
use super::fair::Turns;
use super::table::Id;
use crate::daemon::event::Outcome;
use crate::daemon::net::batch::{BATCH, Came, Inbox, Room};
use crate::daemon::net::{self, Listener};
use crate::daemon::serve::Unreadable;
use crate::wire::tftp::packet::MAX_REQUEST;

/// Batches that are taken out of one socket before the others have their turn.
const BATCHES: usize = 8;

/// Requests that waited and are answered before the running transfers are looked at again.
const SOME: usize = 32;

/// While so many transfers run, requests wait for some of them to end: what phones, kernel and this
/// thread know of so few stays in the processor's caches.
const AT_ONCE: usize = 64;

/// They wait no longer than that: who takes long, or never answers, holds nobody up.
const MOMENT: Duration = Duration::from_millis(1);

/// The longest sleep.
const SLEEP: Duration = Duration::from_secs(10);

/// What others tell an engine.
pub(super) type Mailbox = net::mailbox::Mailbox<Letters>;

#[derive(Debug, Default)]
pub(super) struct Letters {
    stop: bool,
    loaded: Vec<(Id, Result<Bytes, Unreadable>)>,
}

impl Mailbox {
    /// A static file was read, or not.
    pub(super) fn loaded(&self, id: Id, body: Result<Bytes, Unreadable>) {
        self.put(|letters| letters.loaded.push((id, body)));
    }

    /// No request is to be read any more.
    pub(super) fn stop(&self) {
        self.put(|letters| letters.stop = true);
    }
}

/// One thread's part of the service.
pub(super) struct Engine {
    epoll: Epoll,
    /// The listeners, then the ports of each, as the desk's plan says.
    sockets: Vec<Listener>,
    /// Sockets that are waited for because they took no more.
    blocked: Vec<bool>,
    /// How much is taken out of each socket at once.
    rooms: Vec<Room>,
    mailbox: Arc<Mailbox>,
    desk: Desk,
    requests: Inbox,
    packets: Inbox,
    /// Running transfers may go on until then.
    stops: Option<Instant>,
    /// When some of those that waited had their turn last.
    turned: Instant,
}

/// The name of the mailbox among the sockets' numbers.
const MAILBOX: u64 = u64::MAX;

impl Engine {
    /// An engine with these sockets.
    pub(super) fn new(
        sockets: Vec<Listener>,
        mailbox: Arc<Mailbox>,
        desk: Desk,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(mailbox.wake(), EpollEvent::new(EpollFlags::EPOLLIN, MAILBOX))?;
        for (number, socket) in sockets.iter().enumerate() {
            epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        }
        Ok(Self {
            epoll,
            blocked: vec![false; sockets.len()],
            rooms: vec![Room::default(); sockets.len()],
            sockets,
            mailbox,
            desk,
            // One byte more than a request may have shows those that are longer.
            requests: Inbox::new(MAX_REQUEST + 1),
            packets: Inbox::new(MAX_REQUEST + 4),
            stops: None,
            turned: Instant::now(),
        })
    }

    /// Serves until the mailbox says stop, and what runs then has ended or had its time.
    pub(super) fn run(mut self) {
        let mut events = [EpollEvent::empty(); 32];
        while !self.over() {
            let ready = match self.epoll.wait(&mut events, self.patience(Instant::now())) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(_) => {
                    count(&self.desk.counters.socket_errors);
                    std::thread::sleep(Duration::from_millis(5));
                    0
                }
            };
            let ready = events.get(..ready).unwrap_or_default();
            for number in ready.iter().map(EpollEvent::data) {
                match self.number(number) {
                    Some(number) if number < self.desk.plan.doors => self.requests(number),
                    Some(number) => self.packets(number),
                    None => self.letters(),
                }
            }
            self.waiting();
            self.timers();
            self.flush();
        }
        let patience = self.desk.limits.stop;
        self.desk.reporter.close(patience);
    }

    /// How long there is nothing to do.
    fn patience(&self, now: Instant) -> EpollTimeout {
        if !self.desk.turns.is_empty() {
            let sleep = if self.is_full(now) { MOMENT } else { Duration::ZERO };
            return EpollTimeout::try_from(sleep).unwrap_or(EpollTimeout::ZERO);
        }
        let due = [self.desk.timers.next(), self.desk.reporter.due(), self.stops];
        let sleep = due.into_iter().flatten().min().map_or(SLEEP, |due| {
            // Rounded up: a wait of less than a millisecond would be none.
            due.saturating_duration_since(now).min(SLEEP) + Duration::from_millis(1)
        });
        EpollTimeout::try_from(sleep).unwrap_or(EpollTimeout::ZERO)
    }

    /// Takes in what waits at a listener: all of it, because a socket holds little. Who asks anew from the
    /// port of a transfer may have acknowledged its last block just before: that is heard first.
    fn requests(&mut self, door: usize) {
        for _ in 0..BATCHES {
            let socket = (&self.sockets[door], &mut self.rooms[door]);
            let Some(came) = receive(&mut self.requests, socket, &self.desk) else { return };
            let askers = self.requests.datagrams().map(|(arrival, _)| arrival.from);
            let busy: BTreeSet<usize> = askers.filter_map(|from| self.desk.port_of(from)).collect();
            busy.into_iter().for_each(|port| self.packets(port));
            let now = Instant::now();
            for (arrival, datagram) in self.requests.datagrams() {
                self.desk.asked(door, arrival, datagram, came.count == BATCH, now);
            }
            if !came.more {
                return;
            }
        }
    }

    /// Takes in what waits at a port, and answers it.
    fn packets(&mut self, port: usize) {
        for _ in 0..BATCHES {
            let socket = (&self.sockets[port], &mut self.rooms[port]);
            let Some(came) = receive(&mut self.packets, socket, &self.desk) else { return };
            let now = Instant::now();
            for (arrival, datagram) in self.packets.datagrams() {
                self.desk.heard(port, arrival, datagram, now);
            }
            self.send(port);
            if !came.more {
                return;
            }
        }
    }

    /// The socket behind a number, unless it is the mailbox.
    fn number(&self, number: u64) -> Option<usize> {
        usize::try_from(number).ok().filter(|number| *number < self.sockets.len())
    }

    /// Answers some of those that had to wait.
    fn waiting(&mut self) {
        if self.desk.turns.is_empty() {
            return;
        }
        let now = Instant::now();
        if self.is_full(now) {
            return;
        }
        self.turned = now;
        for _ in 0..SOME {
            let Some(next) = self.desk.turns.next() else { return };
            if let Some(port) = self.desk.port_of(next.arrival.from) {
                self.packets(port);
            }
            self.desk.take(next.door, &next.arrival, &next.datagram, now);
        }
    }

    /// Whether those that wait shall wait for running transfers.
    fn is_full(&self, now: Instant) -> bool {
        self.desk.table.len() >= AT_ONCE && now.saturating_duration_since(self.turned) < MOMENT
    }

    fn letters(&mut self) {
        let letters = self.mailbox.empty();
        let now = Instant::now();
        for (id, body) in letters.loaded {
            self.desk.loaded(id, body, now);
        }
        if letters.stop && self.stops.is_none() {
            self.stops = Some(now + self.desk.limits.stop);
            self.desk.turns = Turns::default();
            for door in self.sockets.iter().take(self.desk.plan.doors) {
                // A listener that cannot be taken out is one that is not there.
                let _ = self.epoll.delete(door);
            }
        }
    }

    fn timers(&mut self) {
        let now = Instant::now();
        while let Some(place) = self.desk.timers.pop(now) {
            self.desk.due(place, now);
        }
        self.desk.reporter.tick(now);
    }

    /// Sends everything, as far as the sockets take it.
    fn flush(&mut self) {
        (0..self.sockets.len()).for_each(|number| self.send(number));
    }

    fn send(&mut self, number: usize) {
        let outbox = &mut self.desk.outboxes[number];
        if !outbox.is_empty() {
            outbox.flush(&self.sockets[number]);
            let failed = std::mem::take(&mut outbox.failed);
            self.desk.counters.socket_errors.fetch_add(failed, Ordering::Relaxed);
        }
        let blocked = !outbox.is_empty();
        if blocked != self.blocked[number] {
            self.blocked[number] = blocked;
            let mut flags = EpollFlags::EPOLLIN;
            flags.set(EpollFlags::EPOLLOUT, blocked);
            let mut event = EpollEvent::new(flags, number as u64);
            // A listener that is not listened to any more: its last answers may be lost.
            let _ = self.epoll.modify(&self.sockets[number], &mut event);
        }
    }

    /// Whether the stop was asked for, and everything that ran has ended. What takes too long then is
    /// ended here.
    fn over(&mut self) -> bool {
        let Some(stops) = self.stops else { return false };
        let now = Instant::now();
        if now >= stops {
            for id in self.desk.table.ids() {
                self.desk.end(id, Outcome::Failed("the service stopped".to_owned()), now);
            }
        }
        self.desk.table.len() == 0
    }
}

/// Takes in one batch, if there is one. An error of a socket never ends the service.
fn receive(inbox: &mut Inbox, (socket, room): (&Listener, &mut Room), desk: &Desk) -> Option<Came> {
    match inbox.receive(socket, room) {
        Ok(came) => Some(came),
        Err(error) => {
            if error.kind() != io::ErrorKind::WouldBlock {
                count(&desk.counters.socket_errors);
            }
            None
        }
    }
}
