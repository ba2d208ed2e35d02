//! The lease book: who has which address, which is next, and what time it is for leases.
//!
//! Clocks jump: a board without a battery starts in 1970 and is set a minute later, a virtual machine sleeps,
//! somebody mistypes the date. A lease that ends too early is given to a second client, one that ends too late
//! costs an address for a while. So the book counts only time that it saw pass: when the clock goes forward by
//! more than [`GAP`] between two readings, or back by more than [`BACK`], nothing of it counts, and the ends of
//! all leases move with the clock. It is read with every message and every minute, so that no true time is
//! left out while the daemon runs. After a stop it is: leases live longer by that, which harms nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::lease::{Change, Lease, State};
use super::site::Site;
use crate::base::{Mac, Time};

mod pool;
use pool::Pools;

/// How many addresses the book knows at most; who is new then gets an expired one or none.
pub const MAX_LEASES: usize = 200_000;
/// The longest time between two readings of the clock that counts as passed.
pub const GAP: Duration = Duration::from_secs(10 * 60);
/// How far the clock may go back without being taken for one that was set: leases just wait for it.
pub const BACK: Duration = Duration::from_secs(60);
/// How long a lease that ended is remembered, for its client to get the same address again.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many addresses one client may have in quarantine: more would be an easy way to close a pool.
pub const MAX_DECLINED: usize = 8;

/// Who has which address, and which is next.
#[derive(Clone, Debug, Default)]
pub struct Book {
    entries: BTreeMap<Ipv4Addr, Entry>,
    owners: BTreeSet<(Mac, Ipv4Addr)>,
    pools: Pools,
    reserved: BTreeMap<Ipv4Addr, Mac>,
    reservations: BTreeSet<(Mac, Ipv4Addr)>,
    clock: Time,
}

/// What is known of an address: the last lease, and an offer that is open.
#[derive(Clone, Debug, Default)]
struct Entry {
    lease: Option<Lease>,
    offer: Option<(Mac, Time)>,
}

impl Entry {
    /// From when on anybody may have it.
    fn due(&self) -> Time {
        let lease = self.lease.as_ref().map(|lease| lease.until);
        lease.max(self.offer.map(|(_, until)| until)).unwrap_or_default()
    }

    fn macs(&self) -> impl Iterator<Item = Mac> {
        let offered = self.offer.map(|(mac, _)| mac);
        self.lease.as_ref().map(|lease| lease.mac).into_iter().chain(offered)
    }

    /// The client that alone may have it now.
    fn holder(&self, now: Time) -> Option<Holder> {
        let lease = self.lease.as_ref().filter(|lease| lease.holds(now));
        let offer = self.offer.filter(|(_, until)| now < *until);
        match (lease, offer) {
            (Some(lease), _) if lease.state == State::Declined => Some(Holder::Nobody),
            (Some(lease), _) => Some(Holder::Client(lease.mac)),
            (None, Some((mac, _))) => Some(Holder::Client(mac)),
            (None, None) => None,
        }
    }
}

/// Who alone may have an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holder {
    Client(Mac),
    /// In quarantine.
    Nobody,
}

impl Book {
    /// All leases that are known, also those that ended, by address.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.entries.values().filter_map(|entry| entry.lease.as_ref())
    }

    /// The lease of an address.
    pub fn get(&self, address: Ipv4Addr) -> Option<&Lease> {
        self.entries.get(&address)?.lease.as_ref()
    }

    /// The open offers: address, client, and until when they are kept.
    pub fn offers(&self) -> impl Iterator<Item = (Ipv4Addr, Mac, Time)> {
        let open = |(address, entry): (&Ipv4Addr, &Entry)| {
            entry.offer.map(|(mac, until)| (*address, mac, until))
        };
        self.entries.iter().filter_map(open)
    }

    /// The time for leases: what [`Self::read_clock`] was told last, save small steps back.
    pub fn now(&self) -> Time {
        self.clock
    }

    /// Takes pools and reservations over; leases and offers stay.
    pub(super) fn configure(&mut self, site: &Site) {
        self.reserved.clone_from(&site.reserved);
        self.reservations = site.reserved.iter().map(|(address, mac)| (*mac, *address)).collect();
        self.pools = Pools::of(site);
        for (address, entry) in &self.entries {
            self.pools.take(*address, entry.due());
        }
    }

    /// Takes stored rows in. The clock goes on from when the last of them was written.
    pub(super) fn restore(&mut self, rows: impl Iterator<Item = Lease>, now: Time) -> Vec<Change> {
        for lease in rows.take(MAX_LEASES) {
            self.clock = self.clock.max(lease.since);
            self.edit(lease.address, |entry| entry.lease = Some(lease));
        }
        if self.entries.is_empty() {
            self.clock = now;
        }
        self.read_clock(now)
    }

    /// Learns how late it is. When the clock was set, every lease moves with it, and must be stored again.
    pub(super) fn read_clock(&mut self, now: Time) -> Vec<Change> {
        let was = self.clock;
        let unread = was == Time::default() && self.entries.is_empty();
        let jumped = now.since(was) > GAP || was.since(now) > BACK;
        self.clock = if jumped { now } else { was.max(now) };
        if jumped && !unread { self.shift(was, now) } else { Vec::new() }
    }

    /// Moves all times by what lies between two readings.
    fn shift(&mut self, was: Time, now: Time) -> Vec<Change> {
        let moved = |time: Time| Time(time.0.saturating_add(now.0).saturating_sub(was.0));
        for (address, entry) in &mut self.entries {
            let due = entry.due();
            if let Some(lease) = &mut entry.lease {
                (lease.since, lease.until) = (moved(lease.since), moved(lease.until));
            }
            entry.offer = entry.offer.map(|(mac, until)| (mac, moved(until)));
            self.pools.give(*address, due);
            self.pools.take(*address, entry.due());
        }
        self.leases().cloned().map(Change::Put).collect()
    }

    /// Changes what is known of an address, and what is found by it.
    fn edit(&mut self, address: Ipv4Addr, change: impl FnOnce(&mut Entry)) {
        let mut entry = match self.entries.remove(&address) {
            Some(entry) => {
                for mac in entry.macs() {
                    self.owners.remove(&(mac, address));
                }
                self.pools.give(address, entry.due());
                entry
            }
            None => Entry::default(),
        };
        change(&mut entry);
        if entry.lease.is_some() || entry.offer.is_some() {
            self.owners.extend(entry.macs().map(|mac| (mac, address)));
            self.pools.take(address, entry.due());
            self.entries.insert(address, entry);
        }
    }

    /// The addresses that are reserved for a client.
    pub(super) fn reservations(&self, mac: Mac) -> impl Iterator<Item = Ipv4Addr> {
        let all = (mac, Ipv4Addr::UNSPECIFIED)..=(mac, Ipv4Addr::BROADCAST);
        self.reservations.range(all).map(|(_, address)| *address)
    }

    /// For whom an address is reserved.
    pub(super) fn reserved_for(&self, address: Ipv4Addr) -> Option<Mac> {
        self.reserved.get(&address).copied()
    }

    /// The addresses that a client has, had or was offered.
    pub(super) fn owned(&self, mac: Mac) -> impl Iterator<Item = Ipv4Addr> {
        let all = (mac, Ipv4Addr::UNSPECIFIED)..=(mac, Ipv4Addr::BROADCAST);
        self.owners.range(all).map(|(_, address)| *address)
    }

    /// Whether the address is on offer to the client.
    pub(super) fn is_offered(&self, mac: Mac, address: Ipv4Addr) -> bool {
        let offer = self.entries.get(&address).and_then(|entry| entry.offer);
        offer.is_some_and(|(to, until)| to == mac && self.clock < until)
    }

    /// Whether the client has or had a lease of the address.
    pub(super) fn is_lessee(&self, mac: Mac, address: Ipv4Addr) -> bool {
        self.get(address).is_some_and(|lease| lease.mac == mac && lease.state != State::Declined)
    }

    /// Whether another client has the address, by a lease, an offer or a reservation, or nobody may.
    pub(super) fn is_anothers(&self, mac: Mac, address: Ipv4Addr) -> bool {
        let holder = self.entries.get(&address).and_then(|entry| entry.holder(self.clock));
        holder.is_some_and(|holder| holder != Holder::Client(mac))
            || self.reserved_for(address).is_some_and(|owner| owner != mac)
    }

    /// The other client that has a lease of the address.
    pub(super) fn held_by(&self, mac: Mac, address: Ipv4Addr) -> Option<Mac> {
        match self.entries.get(&address)?.holder(self.clock)? {
            Holder::Client(holder) if holder != mac => Some(holder),
            _ => None,
        }
    }

    /// Whether pools give the address out.
    pub(super) fn in_pool(&self, address: Ipv4Addr) -> bool {
        self.pools.contains(address)
    }

    /// The next address of a scope for somebody new: one that nobody had, else the one that has been free for
    /// longest.
    pub(super) fn next(&self, scope: usize) -> Option<Ipv4Addr> {
        let room = self.entries.len() < MAX_LEASES;
        self.pools.next(scope, self.clock, room)
    }

    /// Whether there is room for one more address.
    pub(super) fn has_room(&self, address: Ipv4Addr) -> bool {
        self.entries.contains_key(&address) || self.entries.len() < MAX_LEASES
    }

    /// Keeps an address for a client until it asks for it.
    pub(super) fn offer(&mut self, address: Ipv4Addr, mac: Mac, span: Duration) {
        let until = self.clock.after(span);
        self.edit(address, |entry| entry.offer = Some((mac, until)));
    }

    /// Takes an offer back.
    pub(super) fn withdraw(&mut self, mac: Mac) {
        let offered: Vec<_> = self.owned(mac).collect();
        for address in offered {
            self.edit(address, |entry| entry.offer = entry.offer.filter(|(to, _)| *to != mac));
        }
    }

    /// Gives an address to its client, whose other addresses among `others` become free.
    pub(super) fn bind(&mut self, lease: Lease, others: impl Fn(Ipv4Addr) -> bool) -> Vec<Change> {
        let (mac, address) = (lease.mac, lease.address);
        let old: Vec<_> = self.owned(mac).filter(|old| *old != address && others(*old)).collect();
        let mut changes: Vec<_> =
            old.into_iter().filter_map(|old| self.release(mac, old)).collect();
        self.withdraw(mac);
        changes.push(self.put(lease));
        changes
    }

    fn put(&mut self, lease: Lease) -> Change {
        let stored = Change::Put(lease.clone());
        self.edit(lease.address, |entry| {
            entry.offer.take_if(|(to, _)| *to == lease.mac);
            entry.lease = Some(lease);
        });
        stored
    }

    /// Takes an address back from its client, to whom it is given again if it comes in time.
    pub(super) fn release(&mut self, mac: Mac, address: Ipv4Addr) -> Option<Change> {
        let lease = self.get(address).filter(|l| l.mac == mac && l.state == State::Bound)?;
        let end = lease.until.min(self.clock);
        let lease =
            Lease { state: State::Released, since: self.clock, until: end, ..lease.clone() };
        Some(self.put(lease))
    }

    /// Puts an address that its client declined into quarantine, unless the client has too many there: then it
    /// is only taken back.
    pub(super) fn decline(&mut self, address: Ipv4Addr, mac: Mac, span: Duration) -> Change {
        let now = self.clock;
        let there = |at: &Ipv4Addr| {
            self.get(*at).is_some_and(|lease| lease.state == State::Declined && lease.holds(now))
        };
        let full = self.owned(mac).filter(there).count() >= MAX_DECLINED;
        let state = if full { State::Released } else { State::Declined };
        self.set_apart(address, mac, state, if full { Duration::ZERO } else { span })
    }

    /// Puts an address where another machine was found into quarantine.
    pub(super) fn quarantine(&mut self, address: Ipv4Addr, by: Mac, span: Duration) -> Change {
        self.set_apart(address, by, State::Declined, span)
    }

    fn set_apart(&mut self, address: Ipv4Addr, mac: Mac, state: State, span: Duration) -> Change {
        let (since, until) = (self.clock, self.clock.after(span));
        let (id, host) = (Vec::new(), String::new());
        self.put(Lease { address, mac, state, since, until, id, host })
    }

    /// Forgets offers that nobody took up, and leases that ended [`KEPT`] ago.
    pub(super) fn tidy(&mut self) -> Vec<Change> {
        let now = self.clock;
        let stale = |entry: &Entry| entry.offer.is_some_and(|(_, until)| until <= now);
        let old = |lease: &Lease| now.since(lease.until) > KEPT;
        let over = |entry: &Entry| stale(entry) || entry.lease.as_ref().is_some_and(old);
        let all: Vec<_> =
            self.entries.iter().filter(|(_, e)| over(e)).map(|(address, _)| *address).collect();
        let mut changes = Vec::new();
        for address in all {
            self.edit(address, |entry| {
                entry.offer = entry.offer.filter(|(_, until)| now < *until);
                if entry.lease.take_if(|lease| old(lease)).is_some() {
                    changes.push(Change::Remove(address));
                }
            });
        }
        changes
    }
}

#[cfg(test)]
mod tests;
