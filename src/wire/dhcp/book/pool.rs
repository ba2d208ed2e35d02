//! Which addresses can be picked: those that nobody had, and those that somebody had, by when they are free.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::super::net::Net;
use super::super::site::Site;
use crate::base::Time;

/// The pools of all scopes, without gaps between what is configured and what is known: an address of a pool
/// is either fresh, or has an entry in the book and is due at some time.
#[derive(Clone, Debug, Default)]
pub(super) struct Pools {
    /// Disjoint, by first address.
    all: Vec<Pool>,
    /// Addresses inside of them that are not for picking.
    kept: BTreeSet<Ipv4Addr>,
}

#[derive(Clone, Debug)]
struct Pool {
    scope: usize,
    first: u32,
    last: u32,
    /// First and last of runs of addresses that nobody had.
    fresh: BTreeMap<u32, u32>,
    due: BTreeSet<(Time, u32)>,
}

impl Pools {
    /// All fresh. Where pools overlap, the first scope has the addresses.
    pub(super) fn of(site: &Site) -> Self {
        let mut all: Vec<Pool> = Vec::new();
        for (scope, given) in site.scopes.iter().enumerate() {
            for range in &given.pools {
                let (first, last) = hosts(given.net);
                let (first, last) =
                    (first.max(range.first.to_bits()), last.min(range.last.to_bits()));
                for (first, last) in outside(&all, first, last) {
                    let fresh = BTreeMap::from([(first, last)]);
                    all.push(Pool { scope, first, last, fresh, due: BTreeSet::new() });
                }
            }
        }
        all.sort_by_key(|pool| pool.first);
        let kept: BTreeSet<_> = site.reserved.keys().chain(&site.ours).copied().collect();
        let mut pools = Self { all, kept: BTreeSet::new() };
        for address in &kept {
            pools.use_up(*address);
        }
        Self { kept, ..pools }
    }

    fn pool(&mut self, address: Ipv4Addr) -> Option<&mut Pool> {
        let bits = address.to_bits();
        let at = self.all.partition_point(|pool| pool.last < bits);
        self.all.get_mut(at).filter(|pool| pool.first <= bits && !self.kept.contains(&address))
    }

    /// Whether the address can be picked at some time.
    pub(super) fn contains(&self, address: Ipv4Addr) -> bool {
        let bits = address.to_bits();
        let at = self.all.partition_point(|pool| pool.last < bits);
        self.all.get(at).is_some_and(|pool| pool.first <= bits) && !self.kept.contains(&address)
    }

    fn use_up(&mut self, address: Ipv4Addr) {
        let bits = address.to_bits();
        let Some(pool) = self.pool(address) else { return };
        let run = pool.fresh.range(..=bits).next_back().map(|(first, last)| (*first, *last));
        let Some((first, last)) = run.filter(|(_, last)| bits <= *last) else { return };
        pool.fresh.remove(&first);
        if first < bits {
            pool.fresh.insert(first, bits - 1);
        }
        if bits < last {
            pool.fresh.insert(bits + 1, last);
        }
    }

    /// The address is known, and free from a time on.
    pub(super) fn take(&mut self, address: Ipv4Addr, due: Time) {
        self.use_up(address);
        if let Some(pool) = self.pool(address) {
            pool.due.insert((due, address.to_bits()));
        }
    }

    /// The opposite of [`Self::take`]: the address is fresh again.
    pub(super) fn give(&mut self, address: Ipv4Addr, due: Time) {
        let bits = address.to_bits();
        let Some(pool) = self.pool(address) else { return };
        if !pool.due.remove(&(due, bits)) {
            return;
        }
        let (mut first, mut last) = (bits, bits);
        if let Some((before, end)) = pool.fresh.range(..bits).next_back().map(|(f, l)| (*f, *l))
            && end.checked_add(1) == Some(bits)
        {
            first = before;
        }
        if let Some(end) = bits.checked_add(1).and_then(|next| pool.fresh.remove(&next)) {
            last = end;
        }
        pool.fresh.insert(first, last);
    }

    /// The next address of a scope: fresh where `fresh` allows it, else the one that was due first.
    pub(super) fn next(&self, scope: usize, now: Time, fresh: bool) -> Option<Ipv4Addr> {
        let mine = || self.all.iter().filter(|pool| pool.scope == scope);
        let new = mine().find_map(|pool| pool.fresh.first_key_value().map(|(first, _)| *first));
        let old =
            || mine().filter_map(|pool| pool.due.first()).min().filter(|(due, _)| *due <= now);
        new.filter(|_| fresh).or_else(|| old().map(|(_, bits)| *bits)).map(Ipv4Addr::from)
    }
}

/// The first and the last address that hosts of a network may have.
fn hosts(net: Net) -> (u32, u32) {
    let (first, last) = (net.address().to_bits(), net.broadcast().to_bits());
    let edge = u32::from(!net.hosts(net.address()));
    (first + edge, last - edge)
}

/// What of a range lies in no pool yet.
fn outside(all: &[Pool], first: u32, last: u32) -> Vec<(u32, u32)> {
    let mut parts = vec![(first, last)];
    for pool in all {
        parts = parts.into_iter().flat_map(|(f, l)| cut(f, l, pool.first, pool.last)).collect();
    }
    parts.retain(|(first, last)| first <= last);
    parts
}

/// `first..=last` without what lies in `from..=to`; an empty part has its last before its first.
fn cut(first: u32, last: u32, from: u32, to: u32) -> Vec<(u32, u32)> {
    if first > last || to < first || last < from {
        return vec![(first, last)];
    }
    let before = (first < from).then(|| (first, from - 1));
    let after = (to < last).then(|| (to + 1, last));
    before.into_iter().chain(after).collect()
}

#[cfg(test)]
impl Pools {
    /// How many addresses are fresh, and how many are due at some time.
    pub(super) fn count(&self) -> (usize, usize) {
        let run = |(first, last): (&u32, &u32)| (last - first + 1) as usize;
        let fresh = self.all.iter().flat_map(|pool| pool.fresh.iter().map(run)).sum();
        (fresh, self.all.iter().map(|pool| pool.due.len()).sum())
    }
}
