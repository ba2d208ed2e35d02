//! Who is behind an address: kept by the core phone by phone, read by the file services at each request.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::base::{HashMap, Mac, Time};
use crate::plan::ladder::Choice;

/// What is known of one phone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Whereabouts {
    /// The addresses that it has a live registration from.
    pub registered: BTreeSet<IpAddr>,
    /// The one address that all its lines are registered from.
    pub whole: Option<IpAddr>,
    /// Where and when it was last proved to run something.
    pub proved: Option<(IpAddr, Time)>,
    /// It was told to look and has not looked yet.
    pub told: bool,
    /// Where it was told to look, registered nowhere: who asks there for no file of its own is taken for it.
    pub told_at: Option<IpAddr>,
    /// Which of its files it is given; none for one of which nothing is known that decides it.
    pub choice: Option<Choice>,
}

/// All phones' whereabouts, from both sides.
#[derive(Debug, Default)]
pub struct Askers(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    phones: BTreeMap<Mac, Whereabouts>,
    at: HashMap<IpAddr, BTreeSet<Mac>>,
    told_at: HashMap<IpAddr, BTreeSet<Mac>>,
}

/// A phone is not at an address any more.
fn leave(at: &mut HashMap<IpAddr, BTreeSet<Mac>>, address: IpAddr, mac: Mac) {
    if let Some(all) = at.get_mut(&address) {
        all.remove(&mac);
        if all.is_empty() {
            at.remove(&address);
        }
    }
}

impl Askers {
    /// What is known of a phone from now on.
    pub fn set(&self, mac: Mac, new: Whereabouts) {
        if self.read().phones.get(&mac).unwrap_or(&Whereabouts::default()) == &new {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Known { phones, at, told_at } = &mut *known;
        let old = phones.remove(&mac).unwrap_or_default();
        for address in old.registered.difference(&new.registered) {
            leave(at, *address, mac);
        }
        if let Some(address) = old.told_at {
            leave(told_at, address, mac);
        }
        if let Some(address) = new.told_at {
            told_at.entry(address).or_default().insert(mac);
        }
        for address in new.registered.difference(&old.registered) {
            at.entry(*address).or_default().insert(mac);
        }
        if new != Whereabouts::default() {
            phones.insert(mac, new);
        }
    }

    /// The only phone that is registered at an address; else the only one of those there that was told to
    /// look and has not looked yet.
    pub fn only(&self, address: IpAddr) -> Option<Mac> {
        let known = self.read();
        let Some(here) = known.at.get(&address) else {
            let told = known.told_at.get(&address).filter(|told| told.len() == 1);
            return told?.first().copied();
        };
        if let (Some(only), 1) = (here.first(), here.len()) {
            return Some(*only);
        }
        let mut told = here.iter().filter(|mac| known.phones.get(mac).is_some_and(|p| p.told));
        let first = told.next();
        first.filter(|_| told.next().is_none()).copied()
    }

    /// Whether a phone has a live registration from an address.
    pub fn is_at(&self, mac: Mac, address: IpAddr) -> bool {
        self.read().at.get(&address).is_some_and(|all| all.contains(&mac))
    }

    /// The one address that all lines of a phone are registered from.
    pub fn whole(&self, mac: Mac) -> Option<IpAddr> {
        self.read().phones.get(&mac)?.whole
    }

    /// Where and when a phone was last proved to run something.
    pub fn proved(&self, mac: Mac) -> Option<(IpAddr, Time)> {
        self.read().phones.get(&mac)?.proved
    }

    /// Whether several phones are registered at an address: a NAT or a proxy.
    pub fn shared(&self, address: IpAddr) -> bool {
        self.read().at.get(&address).is_some_and(|all| all.len() > 1)
    }

    /// Which of its files a phone is given.
    pub fn choice(&self, mac: Mac) -> Option<Choice> {
        self.read().phones.get(&mac)?.choice
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(last: u8) -> Mac {
        Mac::new([0, 0x18, 0xb9, 0, 0, last]).unwrap()
    }

    fn at(addresses: &[&str], told: bool) -> Whereabouts {
        let registered = addresses.iter().map(|a| a.parse().unwrap()).collect();
        Whereabouts { registered, told, ..Whereabouts::default() }
    }

    #[test]
    fn who_is_alone_at_an_address_is_known_and_who_shares_it_only_when_told() {
        let (askers, home) = (Askers::default(), "192.0.2.7".parse().unwrap());
        askers.set(mac(1), at(&["192.0.2.7"], false));
        assert_eq!((askers.only(home), askers.shared(home)), (Some(mac(1)), false));
        askers.set(mac(2), at(&["192.0.2.7"], true));
        assert_eq!((askers.only(home), askers.shared(home)), (Some(mac(2)), true));
        askers.set(mac(1), at(&["192.0.2.7"], true));
        assert_eq!(askers.only(home), None);
    }

    #[test]
    fn who_was_told_where_it_was_is_known_there_until_somebody_registers() {
        let (askers, home) = (Askers::default(), "192.0.2.7".parse().unwrap());
        let told = |n: u8| {
            let there = Whereabouts { told: true, told_at: Some(home), ..Whereabouts::default() };
            askers.set(mac(n), there);
        };
        told(1);
        assert_eq!((askers.only(home), askers.is_at(mac(1), home)), (Some(mac(1)), false));
        told(2);
        assert_eq!(askers.only(home), None);
        askers.set(mac(3), at(&["192.0.2.7"], false));
        assert_eq!(askers.only(home), Some(mac(3)));
        (1..=3).for_each(|n| askers.set(mac(n), Whereabouts::default()));
        assert!(askers.read().told_at.is_empty());
    }

    #[test]
    fn who_moves_or_goes_is_not_found_at_the_old_address() {
        let askers = Askers::default();
        let [old, new] = ["192.0.2.7", "192.0.2.8"].map(|a| a.parse().unwrap());
        askers.set(mac(1), at(&["192.0.2.7"], true));
        askers.set(mac(1), at(&["192.0.2.8"], false));
        assert_eq!((askers.only(old), askers.only(new)), (None, Some(mac(1))));
        askers.set(mac(1), Whereabouts::default());
        assert_eq!(askers.only(new), None);
        assert!(askers.read().phones.is_empty() && askers.read().at.is_empty());
    }
}
