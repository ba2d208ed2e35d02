//! Which phone a request belongs to, and where that phone stands: bounded, for the file services.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::track::{At, TOGETHER, Track, Turn};
use crate::base::{HashMap, Mac, Time};
use crate::family::stage::{Stages, Symbol};

/// A MAC inside a name asked for from an address says who is there for so long (all files of one boot
/// follow each other within a minute, phones.md §2.3).
const NAMED: Duration = Duration::from_secs(90);
/// A request without a MAC waits for so long for the one with it (`OS79XX.TXT` comes first).
pub const WAITS: Duration = Duration::from_secs(30);
/// So many phones share an address (NAT) and are told apart.
const SHARED_MAX: usize = 16;
/// So many requests wait at an address.
const WAITING_MAX: usize = 16;

/// Who asks from which address, and what was asked there by nobody knows whom yet.
#[derive(Clone, Debug)]
pub struct Addresses<T> {
    here: HashMap<IpAddr, Here<T>>,
    max: usize,
}

#[derive(Clone, Debug)]
struct Here<T> {
    /// The phones that named themselves, with the time.
    phones: Vec<(Mac, Time)>,
    waiting: Vec<(Symbol, Time, T)>,
    last: Time,
}

impl<T> Addresses<T> {
    /// At most so many addresses.
    pub fn new(max: usize) -> Self {
        Self { here: HashMap::default(), max }
    }

    /// A phone is at an address: its file was asked for there, or it was given the address. What waited
    /// there and may have been its is returned: one request of each name.
    pub fn named(&mut self, address: IpAddr, mac: Mac, now: Time) -> Vec<(Symbol, Time, T)> {
        let here = self.entry(address, now);
        here.phones.retain(|(known, at)| *known != mac && now.since(*at) < NAMED);
        if here.phones.len() >= SHARED_MAX {
            here.phones.remove(0);
        }
        here.phones.push((mac, now));
        let mut taken = Vec::<(Symbol, Time, T)>::new();
        for (symbol, at, what) in std::mem::take(&mut here.waiting) {
            if now.since(at) >= WAITS {
                continue;
            }
            if taken.iter().any(|(known, ..)| *known == symbol) {
                here.waiting.push((symbol, at, what));
            } else {
                taken.push((symbol, at, what));
            }
        }
        taken
    }

    /// A phone that named itself at an address goes on asking there. What waits there is another's.
    pub fn goes_on(&mut self, address: IpAddr, mac: Mac, now: Time) {
        let Some(here) = self.here.get_mut(&address) else { return };
        here.phones.retain(|(known, _)| *known != mac);
        here.phones.push((mac, now));
        here.last = here.last.max(now);
    }

    /// A request without a MAC from an address where nobody is known waits.
    pub fn wait(&mut self, address: IpAddr, symbol: Symbol, now: Time, what: T) {
        let here = self.entry(address, now);
        here.waiting.retain(|(_, at, _)| now.since(*at) < WAITS);
        if here.waiting.len() >= WAITING_MAX {
            here.waiting.remove(0);
        }
        here.waiting.push((symbol, now, what));
    }

    /// What waits at an address.
    pub fn waiting(&self, address: IpAddr, now: Time) -> impl Iterator<Item = Symbol> {
        let here = self.here.get(&address).into_iter().flat_map(|here| &here.waiting);
        here.filter(move |(_, at, _)| now.since(*at) < WAITS).map(|(symbol, ..)| *symbol)
    }

    /// The phones that named themselves at an address a moment ago.
    pub fn phones(&self, address: IpAddr, now: Time) -> impl Iterator<Item = Mac> {
        let here = self.here.get(&address).into_iter().flat_map(|here| &here.phones);
        here.filter(move |(_, at)| now.since(*at) < NAMED).map(|(mac, _)| *mac)
    }

    /// The only phone that named itself at an address a moment ago, which is still there with this
    /// request: as [`choose`] and [`Addresses::goes_on`], for an address where nothing waits.
    pub fn alone(&mut self, address: IpAddr, now: Time) -> Option<Mac> {
        let here = self.here.get_mut(&address).filter(|here| here.waiting.is_empty())?;
        let [(mac, at)] = here.phones.as_mut_slice() else { return None };
        if now.since(*at) >= NAMED {
            return None;
        }
        *at = now;
        here.last = here.last.max(now);
        Some(*mac)
    }

    /// Takes out what has waited in vain.
    pub fn expired(&mut self, now: Time) -> Vec<T> {
        let mut gone = Vec::new();
        for here in self.here.values_mut() {
            for (symbol, at, what) in std::mem::take(&mut here.waiting) {
                if now.since(at) >= WAITS {
                    gone.push(what);
                } else {
                    here.waiting.push((symbol, at, what));
                }
            }
        }
        gone
    }

    fn entry(&mut self, address: IpAddr, now: Time) -> &mut Here<T> {
        if self.here.len() >= self.max && !self.here.contains_key(&address) {
            halve(&mut self.here, |here| here.last);
        }
        let fresh = || Here { phones: Vec::new(), waiting: Vec::new(), last: now };
        let here = self.here.entry(address).or_insert_with(fresh);
        here.last = here.last.max(now);
        here
    }
}

/// Forgets the half that was quiet the longest: a flood does not pay for each newcomer.
pub fn halve<K, V>(map: &mut HashMap<K, V>, last: impl Fn(&V) -> Time) {
    let mut times: Vec<Time> = map.values().map(&last).collect();
    if times.is_empty() {
        return;
    }
    let middle = times.len() / 2;
    let (_, cut, _) = times.select_nth_unstable(middle);
    let cut = *cut;
    map.retain(|_, value| last(value) > cut);
}

/// What is known at one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Who asks, where that is known.
    pub mac: Option<Mac>,
    /// What the request is.
    pub turn: Turn,
    /// Where the phone stands with it.
    pub at: At,
}

/// So many phones, and so many addresses, are remembered.
pub const MANY: usize = 16_384;

/// The stages of all phones that ask for files. Give it each request once, as it comes.
#[derive(Clone, Debug)]
pub struct Tracker {
    stages: Arc<Stages>,
    addresses: Addresses<()>,
    phones: HashMap<Mac, Track>,
}

impl Tracker {
    /// Knows these stages, and no phone.
    pub fn new(stages: Arc<Stages>) -> Self {
        Self { stages, addresses: Addresses::new(MANY), phones: HashMap::default() }
    }

    /// The stages.
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Other stages from now on: what was known by the old ones is forgotten.
    pub fn set(&mut self, stages: Arc<Stages>) {
        if !Arc::ptr_eq(&self.stages, &stages) {
            *self = Self::new(stages);
        }
    }

    /// A file is asked for. `known` is who the neighbour table, a lease or a registration says that the
    /// asker is; a MAC in the name counts before it.
    pub fn asked(&mut self, address: IpAddr, known: Option<Mac>, name: &str, now: Time) -> Asked {
        let symbol = self.stages.symbol(name);
        let named = Mac::within(name.as_bytes());
        if let Some(mac) = named.or(known) {
            let stages = self.stages.clone();
            for (earlier, at, ()) in self.addresses.named(address, mac, now) {
                self.track(mac).asked(&stages, Some(earlier), at);
            }
            return self.turn(mac, symbol, now);
        }
        let Some(symbol) = symbol else {
            let mac = self.only(address, now);
            let at = mac.and_then(|mac| self.at(mac)).unwrap_or_default();
            return Asked { mac, turn: Turn::Other, at };
        };
        let chosen = choose(&self.addresses, &self.phones, &self.stages, address, symbol, now);
        if let Some(mac) = chosen {
            self.addresses.goes_on(address, mac, now);
            return self.turn(mac, Some(symbol), now);
        }
        self.addresses.wait(address, symbol, now, ());
        let waiting: Vec<Symbol> = self.addresses.waiting(address, now).collect();
        let mut fits = self.stages.fitting(&waiting);
        if fits.is_empty() {
            fits = self.stages.fitting(&[symbol]);
        }
        let turn = Turn::Begins { boot: true, again: 0 };
        Asked { mac: None, turn, at: At { fits, ..At::default() } }
    }

    /// A file was fetched to its end.
    pub fn fetched(&mut self, mac: Mac, name: &str) {
        let stages = self.stages.clone();
        if stages.image(name).is_some() {
            self.track(mac).fetched(&stages, name);
        }
    }

    /// A phone registered.
    pub fn registered(&mut self, mac: Mac) {
        if let Some(track) = self.phones.get_mut(&mac) {
            track.registered();
        }
    }

    /// Where a phone stands; none for one that never asked.
    pub fn at(&self, mac: Mac) -> Option<At> {
        self.phones.get(&mac).map(|track| track.at(&self.stages))
    }

    /// The only phone that named itself at an address a moment ago.
    pub fn only(&self, address: IpAddr, now: Time) -> Option<Mac> {
        let mut all = self.addresses.phones(address, now);
        let first = all.next();
        first.filter(|_| all.next().is_none())
    }

    /// How many phones and addresses are remembered.
    pub fn sizes(&self) -> (usize, usize) {
        (self.phones.len(), self.addresses.here.len())
    }

    fn turn(&mut self, mac: Mac, symbol: Option<Symbol>, now: Time) -> Asked {
        let stages = self.stages.clone();
        let track = self.track(mac);
        let turn = track.asked(&stages, symbol, now);
        Asked { mac: Some(mac), turn, at: track.at(&stages) }
    }

    fn track(&mut self, mac: Mac) -> &mut Track {
        if self.phones.len() >= MANY && !self.phones.contains_key(&mac) {
            halve(&mut self.phones, Track::last);
        }
        self.phones.entry(mac).or_default()
    }
}

/// Who at an address asks for something without a MAC: the only phone there; of several the one whose
/// list goes on with it, and of those the one that has been quiet the longest.
pub fn choose<T, P: AsRef<Track>>(
    addresses: &Addresses<T>,
    phones: &HashMap<Mac, P>,
    stages: &Stages,
    address: IpAddr,
    symbol: Symbol,
    now: Time,
) -> Option<Mac> {
    let mut here = addresses.phones(address, now);
    let (first, second) = (here.next()?, here.next());
    if second.is_none() {
        return Some(first);
    }
    let mut list = Vec::new();
    let waits = |mac: Mac| {
        let track = phones.get(&mac)?.as_ref();
        if now.since(track.last()) >= TOGETHER {
            return None;
        }
        list.clear();
        list.extend_from_slice(track.list());
        let repeats = list.contains(&symbol);
        list.push(symbol);
        let fits = list.len() > 1 && stages.fits(&list);
        fits.then_some((repeats, track.last(), mac))
    };
    let all = [Some(first), second].into_iter().flatten().chain(here);
    all.filter_map(waits).min().map(|(.., mac)| mac)
}

impl AsRef<Track> for Track {
    fn as_ref(&self) -> &Track {
        self
    }
}
