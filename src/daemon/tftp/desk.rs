//! What is done with each datagram: no sockets, no waiting. What is to be sent goes into the outbox of
//! the socket that it leaves from.

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::fair::{Turns, Waiting};
use super::report::Reporter;
use super::table::{Id, Session, Table};
use super::timers::Timers;
use super::{Counters, Limits, Loader, count};
use crate::daemon::event::{Outcome, Ticket, Transfer as Ended};
use crate::daemon::net::batch::{Outbox, Parcel};
use crate::daemon::net::{self, Arrival};
use crate::daemon::now as clock;
use crate::daemon::serve::{Catalog, Found, Unreadable};
use crate::wire::tftp::packet::code;
use crate::wire::tftp::transfer::stranger;
use crate::wire::tftp::{
    Bounds, Datagram, End, Fault, Packet, Request, Transfer, asked_block, asked_window, parse,
    printable, settle,
};

/// Strangers that get an answer in one second.
const STRANGERS: u32 = 200;

/// Blocks of this size fit Ethernet with IPv6, and leave room for a tunnel: what is given where the
/// path cannot be asked for its MTU.
const CAREFUL: u16 = 1428;

/// Bytes of a datagram that are not payload: IP, UDP and TFTP heads.
const HEADS_V4: u32 = 20 + 8 + 4;
const HEADS_V6: u32 = 40 + 8 + 4;

/// Everything that one engine knows.
pub(super) struct Desk {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) loader: Loader,
    pub(super) limits: Limits,
    pub(super) counters: Arc<Counters>,
    pub(super) table: Table,
    pub(super) timers: Timers,
    pub(super) turns: Turns,
    pub(super) reporter: Reporter,
    /// For the sockets by their number: the listeners, then the ports of each.
    pub(super) outboxes: Vec<Outbox>,
    pub(super) plan: Plan,
    pub(super) strangers: Strangers,
}

/// How much an acknowledgement brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// A block of 512 bytes.
    Step,
    /// A larger block.
    Block,
    /// Several blocks.
    Window,
}

impl Way {
    fn of(request: &Request<'_>) -> Self {
        if asked_window(request).is_some_and(|window| window > 1) {
            return Way::Window;
        }
        if asked_block(request).is_some_and(|size| size > 512) { Way::Block } else { Way::Step }
    }
}

/// Of the ports for windows so many also have lock-step transfers with large blocks: more would make their
/// batches small, and a single block is worth fewer guesses than a window.
const BLOCKS: usize = 8;

/// Which sockets there are: so many listeners, and for each so many ports that transfers run over:
/// first those for lock-step and small blocks, then those for windows and large ones.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) doors: usize,
    pub(super) steps: usize,
    pub(super) windows: usize,
    /// Counts on, so that each transfer has another port than the one before.
    pub(super) turn: u64,
    /// Keyed: nobody knows which port is next.
    pub(super) secret: RandomState,
}

impl Plan {
    /// A port for a transfer that was asked for at a listener, another one than `not`. Who made up his
    /// address does not hear which one it is, and so gets nothing large.
    fn port(&mut self, door: usize, way: Way, not: Option<usize>) -> usize {
        self.turn = self.turn.wrapping_add(1);
        let (skip, count, turn) = match way {
            Way::Step => (0, self.steps, self.turn & 0xffff),
            Way::Block => {
                (self.steps, BLOCKS.min(self.windows), self.secret.hash_one(self.turn) >> 32)
            }
            Way::Window => (self.steps, self.windows, self.secret.hash_one(self.turn) >> 32),
        };
        let turn = usize::try_from(turn).unwrap_or(0);
        let first = self.doors + door * (self.steps + self.windows) + skip;
        let port = first + turn % count;
        if Some(port) == not { first + (turn + 1) % count } else { port }
    }
}

/// Answers to strangers in the present second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strangers {
    second: Instant,
    answered: u32,
}

impl Strangers {
    pub(super) fn new(now: Instant) -> Self {
        Self { second: now, answered: 0 }
    }

    fn one_more(&mut self, now: Instant) -> bool {
        if now >= self.second + Duration::from_secs(1) {
            *self = Self::new(now);
        }
        self.answered += 1;
        self.answered <= STRANGERS
    }
}

/// What a session's bytes are.
enum Body {
    Here(Bytes),
    /// It is being read.
    Coming,
}

impl Desk {
    /// The port of the transfer that an asker has.
    pub(super) fn port_of(&mut self, asker: SocketAddr) -> Option<usize> {
        let id = self.table.of(asker)?;
        self.table.get(id).map(|session| session.port)
    }

    /// A datagram at a listener; `more` says that others wait behind it, and then it waits with them.
    pub(super) fn asked(
        &mut self,
        door: usize,
        arrival: &Arrival,
        datagram: &[u8],
        more: bool,
        now: Instant,
    ) {
        if !more && self.turns.is_empty() {
            return self.take(door, arrival, datagram, now);
        }
        let waiting = Waiting { door, arrival: *arrival, datagram: datagram.into() };
        if !self.turns.wait(waiting) {
            count(&self.counters.above_limit);
        }
    }

    /// Handles one datagram at a listener.
    pub(super) fn take(&mut self, door: usize, arrival: &Arrival, datagram: &[u8], now: Instant) {
        match parse(datagram) {
            Ok(Packet::Read(request)) => self.fetch(door, arrival, datagram, &request, now),
            Ok(Packet::Write(request)) => {
                let why = "access violation: this server takes no files";
                self.refuse(door, arrival, request.name, (code::ACCESS, why), now);
            }
            Ok(_) | Err(Fault::Garbage) => count(&self.counters.garbage),
            Err(fault) => {
                let name = datagram.get(2..).unwrap_or_default();
                let name = name.split(|b| *b == 0).next().unwrap_or_default();
                self.refuse(door, arrival, name, (code::ILLEGAL, &fault.to_string()), now);
            }
        }
    }

    fn refuse(
        &mut self,
        door: usize,
        arrival: &Arrival,
        name: &[u8],
        (code, why): (u16, &str),
        now: Instant,
    ) {
        self.say(door, arrival, Datagram::error(code, why));
        self.without(arrival, name, Outcome::Refused(why.to_owned()), now);
    }

    /// Answers from the listener's own port: nothing has to be kept for it.
    fn say(&mut self, door: usize, arrival: &Arrival, datagram: Datagram) {
        let parcel = Parcel { to: arrival.from, source: arrival.asked, datagram };
        self.outboxes[door].push(parcel);
    }

    /// Reports a request that needed no transfer.
    fn without(&mut self, arrival: &Arrival, name: &[u8], outcome: Outcome, now: Instant) {
        let ended = Ended {
            asker: arrival.from,
            name: printable(name),
            ticket: None,
            outcome,
            bytes: 0,
            millis: 0,
            at: clock(),
            agent: None,
        };
        self.reporter.ended(ended, now);
    }

    /// Handles one RRQ.
    fn fetch(
        &mut self,
        door: usize,
        arrival: &Arrival,
        datagram: &[u8],
        request: &Request<'_>,
        now: Instant,
    ) {
        let mut old = None;
        if let Some(id) = self.table.of(arrival.from) {
            if self.answers(id, datagram, now) {
                return count(&self.counters.repeated);
            }
            // The client has given it up.
            old = self.table.get(id).map(|session| session.port);
            self.end(id, Outcome::Aborted(0, "asked for something else".to_owned()), now);
        }
        let (found, ticket) = match self.catalog.find(arrival.from, request.name) {
            Found::Body { bytes, ticket } => (Ok(bytes), Some(ticket)),
            Found::Static(path) => (self.loader.fresh(&path).ok_or(path), None),
            Found::Ignored => return,
            Found::Missing => {
                self.say(door, arrival, Datagram::not_found());
                return self.without(arrival, request.name, Outcome::NotFound, now);
            }
        };
        let Ok(leaves) = self.table.room(arrival.from.ip()) else {
            return count(&self.counters.above_limit);
        };
        if let Some(id) = leaves {
            self.end(id, Outcome::TimedOut, now);
        }
        let port = self.plan.port(door, Way::of(request), old);
        match found {
            Ok(bytes) => {
                let id = self.open((arrival, port), datagram, ticket, Body::Here(bytes), now);
                self.pump(id, now);
            }
            Err(path) => {
                let id = self.open((arrival, port), datagram, ticket, Body::Coming, now);
                self.loader.load(id, path);
            }
        }
    }

    /// Whether a transfer already answers this very request; it does it once more then. A transfer for
    /// another request of the same port is over. So is one whose client, once heard, repeats its
    /// first request twice and makes no progress in between: it has started anew.
    fn answers(&mut self, id: Id, request: &[u8], now: Instant) -> bool {
        let Some(session) = self.table.get(id) else { return false };
        let progress = session.transfer.as_ref().map_or(0, Transfer::progress);
        let stuck = progress > 0 && session.repeated_at == Some(progress);
        if *session.request != *request || stuck {
            return false;
        }
        session.repeated_at = Some(progress);
        let elapsed = now.saturating_duration_since(session.began);
        if let Some(transfer) = &mut session.transfer {
            transfer.repeat(elapsed);
        }
        self.pump(id, now);
        true
    }

    fn open(
        &mut self,
        (arrival, port): (&Arrival, usize),
        datagram: &[u8],
        ticket: Option<Ticket>,
        body: Body,
        now: Instant,
    ) -> Id {
        let mut session = Session {
            asker: arrival.from,
            asked: arrival.asked,
            port,
            request: datagram.into(),
            ticket,
            began: now,
            at: clock(),
            transfer: None,
            repeated_at: None,
        };
        if let Body::Here(bytes) = body {
            session.transfer = begin(&self.limits, session.asker, &session.request, bytes);
        }
        self.table.add(session)
    }

    /// A static file was read, or not.
    pub(super) fn loaded(&mut self, id: Id, body: Result<Bytes, Unreadable>, now: Instant) {
        let Some(session) = self.table.get(id) else { return };
        let (to, source, port) = (session.asker, session.asked, session.port);
        let mut sorry = |datagram| self.outboxes[port].push(Parcel { to, source, datagram });
        let outcome = match body {
            Ok(bytes) => {
                session.transfer = begin(&self.limits, to, &session.request, bytes);
                // Its patience begins now, not when the disk was asked.
                session.began = now;
                return self.pump(id, now);
            }
            Err(Unreadable::Missing) => {
                sorry(Datagram::not_found());
                Outcome::NotFound
            }
            Err(Unreadable::Never(why)) => {
                sorry(Datagram::error(code::ACCESS, "cannot read the file"));
                Outcome::Failed(why)
            }
            // Asking again may help.
            Err(Unreadable::Later(why)) => Outcome::Failed(why),
        };
        self.end(id, outcome, now);
    }

    /// A datagram at the port of a transfer.
    pub(super) fn heard(&mut self, port: usize, arrival: &Arrival, datagram: &[u8], now: Instant) {
        let id = self.table.of(arrival.from);
        let session = id.and_then(|id| Some((id, self.table.get(id)?)));
        let Some((id, session)) = session.filter(|(_, session)| session.port == port) else {
            return self.turn_away(port, arrival, datagram, now);
        };
        let elapsed = now.saturating_duration_since(session.began);
        if let Some(transfer) = &mut session.transfer {
            transfer.receive(datagram, elapsed);
            self.pump(id, now);
        }
    }

    fn turn_away(&mut self, port: usize, arrival: &Arrival, datagram: &[u8], now: Instant) {
        count(&self.counters.strangers);
        if stranger(datagram).is_some() && self.strangers.one_more(now) {
            let answer = Datagram::error(code::UNKNOWN_TID, "unknown transfer");
            self.say(port, arrival, answer);
        }
    }

    /// The time of a place has come, or so it was thought.
    pub(super) fn due(&mut self, place: usize, now: Instant) {
        let Some(id) = self.table.at(place) else { return };
        let Some(session) = self.table.get(id) else { return };
        let elapsed = now.saturating_duration_since(session.began);
        if let Some(transfer) = &mut session.transfer {
            transfer.tick(elapsed);
            self.pump(id, now);
        }
    }

    /// Sends what may be sent, and sees whether that was all.
    fn pump(&mut self, id: Id, now: Instant) {
        let Some(session) = self.table.get(id) else { return };
        let Some(transfer) = &mut session.transfer else { return };
        let elapsed = now.saturating_duration_since(session.began);
        let (to, source) = (session.asker, session.asked);
        while let Some(datagram) = transfer.next_datagram(elapsed) {
            self.outboxes[session.port].push(Parcel { to, source, datagram });
        }
        match transfer.end() {
            Some(end) => {
                let outcome = outcome(end);
                self.end(id, outcome, now);
            }
            None => self.timers.set(id.place, session.began + transfer.deadline()),
        }
    }

    /// Ends a transfer: nothing of it is kept.
    pub(super) fn end(&mut self, id: Id, outcome: Outcome, now: Instant) {
        let Some(session) = self.table.remove(id) else { return };
        let Ok(Packet::Read(request)) = parse(&session.request) else { return };
        let millis = now.saturating_duration_since(session.began).as_millis();
        let ended = Ended {
            asker: session.asker,
            name: printable(request.name),
            ticket: session.ticket,
            outcome,
            bytes: session.transfer.as_ref().map_or(0, Transfer::bytes),
            millis: u64::try_from(millis).unwrap_or(u64::MAX),
            at: session.at,
            agent: None,
        };
        self.reporter.ended(ended, now);
    }
}

/// A transfer on the terms of its request.
fn begin(limits: &Limits, asker: SocketAddr, request: &[u8], body: Bytes) -> Option<Transfer> {
    // Only an RRQ became a session.
    let Ok(Packet::Read(request)) = parse(request) else { return None };
    let bounds = within_path(limits.bounds, &request, asker);
    let terms = settle(&request, body.len() as u64, bounds);
    Some(Transfer::new(body, request.mode, terms, limits.pace))
}

/// The bounds for a client: no block that the path to it cannot carry in one piece.
fn within_path(bounds: Bounds, request: &Request<'_>, asker: SocketAddr) -> Bounds {
    if asked_block(request).is_none_or(|asked| asked <= 512) {
        return bounds;
    }
    let heads = if asker.is_ipv4() { HEADS_V4 } else { HEADS_V6 };
    let fits = net::mtu(asker).ok().and_then(|mtu| mtu.checked_sub(heads));
    let fits = fits.map_or(CAREFUL, |fits| u16::try_from(fits).unwrap_or(u16::MAX));
    Bounds { block: bounds.block.min(fits).max(8), ..bounds }
}

fn outcome(end: &End) -> Outcome {
    match end {
        End::Complete => Outcome::Complete,
        End::Unconfirmed => Outcome::Unconfirmed,
        End::Aborted(code, text) => Outcome::Aborted(*code, text.clone()),
        End::TimedOut => Outcome::TimedOut,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ports_of_windows_cannot_be_foretold_and_no_port_comes_twice_where_it_matters() {
        let mut plan =
            Plan { doors: 2, steps: 2, windows: 32, turn: 0, secret: RandomState::default() };
        let steps: Vec<_> = (0..4).map(|_| plan.port(1, Way::Step, None)).collect();
        assert_eq!(steps, [37, 36, 37, 36]);
        assert_eq!(plan.port(0, Way::Step, Some(3)), 2);
        let blocks: HashSet<_> = (0..200).map(|_| plan.port(0, Way::Block, None)).collect();
        assert_eq!(blocks, (4..4 + BLOCKS).collect());
        let windows: Vec<_> = (0..200).map(|_| plan.port(0, Way::Window, None)).collect();
        assert!(windows.iter().all(|port| (4..36).contains(port)));
        assert!(windows.iter().collect::<HashSet<_>>().len() > 16);
        assert!(windows.windows(3).any(|w| w[1] != w[0] + 1 || w[2] != w[1] + 1));
        assert!((0..200).all(|_| plan.port(1, Way::Window, Some(40)) != 40));
    }
}
