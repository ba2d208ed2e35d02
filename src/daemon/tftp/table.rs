//! The open transfers: one for each address and port, so many for each host and in all. When the house
//! is full, the oldest one whose client never acknowledged anything makes room for a newcomer: made-up
//! addresses cannot keep phones out.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Limits;
use crate::base::{HashMap, Time};
use crate::daemon::event::Ticket;
use crate::daemon::net::Source;
use crate::wire::tftp::Transfer;

/// One transfer.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) asker: SocketAddr,
    /// The address of ours that was asked.
    pub(super) asked: Source,
    /// The socket that it runs over.
    pub(super) port: usize,
    /// The RRQ, as it came.
    pub(super) request: Box<[u8]>,
    pub(super) ticket: Option<Ticket>,
    pub(super) began: Instant,
    pub(super) at: Time,
    /// None while a static file is being read.
    pub(super) transfer: Option<Transfer>,
    /// The transfer's progress when its request was repeated last.
    pub(super) repeated_at: Option<u64>,
}

impl Session {
    /// Whether the client showed that it is there.
    fn proved(&self) -> bool {
        self.transfer.as_ref().is_some_and(Transfer::proved)
    }
}

/// A session's name: its place, and which one of those that had the place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Id {
    pub(super) place: usize,
    turn: u64,
}

#[derive(Debug)]
struct Place {
    turn: u64,
    session: Option<Box<Session>>,
}

#[derive(Debug)]
pub(super) struct Table {
    all: usize,
    per_host: usize,
    places: Vec<Place>,
    free: Vec<usize>,
    askers: HashMap<SocketAddr, usize>,
    hosts: HashMap<IpAddr, usize>,
    /// Sessions in the order in which they began; of ended and proved ones some are left in it.
    newcomers: VecDeque<Id>,
}

impl Table {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            all: limits.transfers,
            per_host: limits.per_host,
            places: Vec::new(),
            free: Vec::new(),
            askers: HashMap::default(),
            hosts: HashMap::default(),
            newcomers: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.askers.len()
    }

    /// The session of an asker.
    pub(super) fn of(&self, asker: SocketAddr) -> Option<Id> {
        let place = *self.askers.get(&asker)?;
        Some(Id { place, turn: self.places.get(place)?.turn })
    }

    pub(super) fn get(&mut self, id: Id) -> Option<&mut Session> {
        let place = self.places.get_mut(id.place).filter(|place| place.turn == id.turn)?;
        place.session.as_deref_mut()
    }

    /// The session that has a place now.
    pub(super) fn at(&self, place: usize) -> Option<Id> {
        let found = self.places.get(place)?;
        found.session.as_ref().map(|_| Id { place, turn: found.turn })
    }

    /// All sessions.
    pub(super) fn ids(&self) -> Vec<Id> {
        (0..self.places.len()).filter_map(|place| self.at(place)).collect()
    }

    /// Whether one more session for this host is allowed. Where the house is full, also who has to
    /// leave for it.
    pub(super) fn room(&mut self, host: IpAddr) -> Result<Option<Id>, Full> {
        if self.hosts.get(&host).is_some_and(|count| *count >= self.per_host) {
            return Err(Full);
        }
        if self.len() < self.all {
            return Ok(None);
        }
        while let Some(id) = self.newcomers.pop_front() {
            if self.get(id).is_some_and(|session| !session.proved()) {
                return Ok(Some(id));
            }
        }
        Err(Full)
    }

    /// Gives a session its place. The asker has none, and [`Table::room`] was asked.
    pub(super) fn add(&mut self, session: Session) -> Id {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { turn: 0, session: None });
            self.places.len() - 1
        });
        *self.hosts.entry(session.asker.ip()).or_default() += 1;
        self.askers.insert(session.asker, place);
        let found = &mut self.places[place];
        found.turn += 1;
        found.session = Some(Box::new(session));
        let id = Id { place, turn: found.turn };
        self.newcomers.push_back(id);
        self.forget();
        id
    }

    /// Takes a session out.
    pub(super) fn remove(&mut self, id: Id) -> Option<Session> {
        let place = self.places.get_mut(id.place).filter(|place| place.turn == id.turn)?;
        let session = *place.session.take()?;
        self.free.push(id.place);
        self.askers.remove(&session.asker);
        if let Some(count) = self.hosts.get_mut(&session.asker.ip()) {
            *count -= 1;
            if *count == 0 {
                self.hosts.remove(&session.asker.ip());
            }
        }
        Some(session)
    }

    /// Keeps the queue of newcomers as short as there are sessions.
    fn forget(&mut self) {
        let stale = |table: &mut Self, id| table.get(id).is_none_or(|session| session.proved());
        while let Some(id) = self.newcomers.front().copied() {
            if !stale(self, id) {
                break;
            }
            self.newcomers.pop_front();
        }
        if self.newcomers.len() > 2 * self.len() + 64 {
            let mut all = std::mem::take(&mut self.newcomers);
            all.retain(|id| !stale(self, *id));
            self.newcomers = all;
        }
    }
}

/// The host has enough, or the house has, and nobody is there who never showed himself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Full;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::tftp::{Mode, Pace, Terms};

    fn session(asker: &str) -> Session {
        let asker: SocketAddr = asker.parse().unwrap();
        let terms = Terms { block: 512, window: 1, timeout: None, oack: Vec::new() };
        let body = Bytes::from_static(&[0; 600]);
        Session {
            asker,
            asked: Source { ip: asker.ip(), interface: 0 },
            port: 0,
            request: Box::default(),
            ticket: None,
            began: Instant::now(),
            at: Time(0),
            transfer: Some(Transfer::new(body, Mode::Octet, terms, Pace::default())),
            repeated_at: None,
        }
    }

    fn take(table: &mut Table, asker: &str) -> Result<Id, Full> {
        let session = session(asker);
        let leaves = table.room(session.asker.ip())?;
        if let Some(id) = leaves {
            table.remove(id).unwrap();
        }
        Ok(table.add(session))
    }

    fn prove(table: &mut Table, id: Id) {
        let now = std::time::Duration::ZERO;
        let transfer = table.get(id).unwrap().transfer.as_mut().unwrap();
        transfer.next_datagram(now).unwrap();
        transfer.receive(&[0, 4, 0, 1], now);
        assert!(transfer.proved());
    }

    fn table(all: usize, per_host: usize) -> Table {
        Table::new(&Limits { transfers: all, per_host, ..Limits::default() })
    }

    #[test]
    fn places_are_bounded_for_each_host_and_come_back() {
        let mut table = table(9, 2);
        let one = take(&mut table, "10.0.0.1:1").unwrap();
        take(&mut table, "10.0.0.1:2").unwrap();
        assert_eq!(take(&mut table, "10.0.0.1:3"), Err(Full));
        take(&mut table, "10.0.0.2:1").unwrap();
        assert!(table.remove(one).is_some() && table.remove(one).is_none());
        let again = take(&mut table, "10.0.0.1:3").unwrap();
        assert!(again.place == one.place && again != one && table.get(one).is_none());
        table.ids().into_iter().for_each(|id| drop(table.remove(id)));
        assert!(table.hosts.is_empty() && table.askers.is_empty() && table.len() == 0);
    }

    #[test]
    fn who_never_showed_himself_makes_room_and_others_do_not() {
        let mut table = table(3, 9);
        let ids = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]
            .map(|asker| take(&mut table, asker).unwrap());
        prove(&mut table, ids[0]);
        let new = take(&mut table, "10.0.0.4:1").unwrap();
        assert!(table.get(ids[1]).is_none() && table.get(ids[2]).is_some());
        prove(&mut table, ids[2]);
        prove(&mut table, new);
        assert_eq!(take(&mut table, "10.0.0.5:1"), Err(Full));
    }

    #[test]
    fn the_queue_of_newcomers_stays_short() {
        let mut table = table(9, 9);
        let first = take(&mut table, "10.0.0.1:1").unwrap();
        for _ in 0..1000 {
            let id = take(&mut table, "10.0.0.2:1").unwrap();
            table.remove(id).unwrap();
        }
        assert!(table.newcomers.len() <= 70 && table.get(first).is_some());
        assert!(table.newcomers.contains(&first));
    }

    #[test]
    fn an_open_transfer_takes_little_memory() {
        assert!(size_of::<Session>() <= 600, "{}", size_of::<Session>());
    }
}
