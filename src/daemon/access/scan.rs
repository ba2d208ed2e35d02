//! Who asks for the files of many MACs that are not its own.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::base::{HashMap, Mac};

/// More MACs than this from one address within [`WINDOW`] make a scanner: a desk with its phones, and a
/// small site behind one address, stay below.
const MACS: usize = 16;
/// MACs are counted for so long; a scanner is one until it has been quiet for so long.
const WINDOW: Duration = Duration::from_secs(600);
/// A scanner is answered so often.
const PACE: Duration = Duration::from_secs(1);
/// So many addresses are watched.
const MANY: usize = 4096;

/// What to do about a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    /// Nothing is wrong.
    Quiet,
    /// This one makes the address a scanner.
    Begins,
    /// A scanner, answered this time.
    Answered,
    /// A scanner, met with silence.
    Silent,
}

/// The addresses that are watched.
#[derive(Debug, Default)]
pub(super) struct Scans(HashMap<IpAddr, Watched>);

#[derive(Debug)]
struct Watched {
    macs: BTreeSet<Mac>,
    since: Instant,
    last: Instant,
    answered: Option<Instant>,
}

impl Scans {
    /// An address asked for a file of a MAC that is not known to be its own.
    pub(super) fn note(&mut self, address: IpAddr, mac: Mac, now: Instant) -> Sign {
        let address = network(address);
        self.make_room(address, now);
        let fresh = || Watched { macs: BTreeSet::new(), since: now, last: now, answered: None };
        let watched = self.0.entry(address).or_insert_with(fresh);
        if watched.over(now) {
            *watched = fresh();
        }
        watched.last = now;
        match watched.answered {
            Some(at) if now.duration_since(at) < PACE => Sign::Silent,
            Some(_) => {
                watched.answered = Some(now);
                Sign::Answered
            }
            None => {
                watched.macs.insert(mac);
                if watched.macs.len() <= MACS {
                    return Sign::Quiet;
                }
                (watched.macs, watched.answered) = (BTreeSet::new(), Some(now));
                Sign::Begins
            }
        }
    }

    /// Whether an address is a scanner.
    pub(super) fn is_scanner(&self, address: IpAddr) -> bool {
        self.0.get(&network(address)).is_some_and(|watched| watched.answered.is_some())
    }

    /// Makes room for another address: what is over goes, and if that is not enough the half that has
    /// been quiet the longest (half, so that a flood of addresses does not pay for each). Scanners stay
    /// the longest: who floods must not hide one.
    fn make_room(&mut self, address: IpAddr, now: Instant) {
        if self.0.len() < MANY || self.0.contains_key(&address) {
            return;
        }
        self.0.retain(|_, watched| !watched.over(now));
        if self.0.len() >= MANY {
            let age = |watched: &Watched| (watched.answered.is_some(), watched.last);
            let mut ages: Vec<_> = self.0.values().map(age).collect();
            let (_, middle, _) = ages.select_nth_unstable(MANY / 2);
            let middle = *middle;
            self.0.retain(|_, watched| age(watched) > middle);
        }
    }
}

impl Watched {
    fn over(&self, now: Instant) -> bool {
        let from = if self.answered.is_some() { self.last } else { self.since };
        now.duration_since(from) >= WINDOW
    }
}

/// A host has as many IPv6 addresses as it likes within its /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(number: usize) -> Mac {
        let [.., a, b] = number.to_be_bytes();
        Mac::new([0, 0x18, 0xb9, 0, a, b]).unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_asks_for_more_than_sixteen_is_a_scanner_until_it_is_quiet() {
        let (mut scans, began, home) = (Scans::default(), Instant::now(), address("192.0.2.9"));
        let at = |millis| began + Duration::from_millis(millis);
        let mut check = |number, millis, expected| {
            assert_eq!(scans.note(home, mac(number), at(millis)), expected, "{number} {millis}");
        };
        for number in 0..16 {
            check(number, 0, Sign::Quiet);
            check(number, 1, Sign::Quiet);
        }
        check(16, 10, Sign::Begins);
        check(17, 11, Sign::Silent);
        check(18, 1009, Sign::Silent);
        check(19, 1010, Sign::Answered);
        check(20, 1011, Sign::Silent);
        check(21, 599_000, Sign::Answered);
        check(22, 1_198_999, Sign::Answered);
        check(23, 1_799_000, Sign::Quiet);
        assert!(!scans.is_scanner(home));
    }

    #[test]
    fn slow_asking_is_no_scan_and_neighbours_do_not_add_up() {
        let (mut scans, began) = (Scans::default(), Instant::now());
        for number in 0..64 {
            let now = began + WINDOW / 16 * u32::try_from(number).unwrap();
            assert_eq!(scans.note(address("192.0.2.9"), mac(number), now), Sign::Quiet);
            let other = IpAddr::from([198, 51, 100, u8::try_from(number).unwrap()]);
            assert_eq!(scans.note(other, mac(number), began), Sign::Quiet);
        }
    }

    #[test]
    fn one_host_with_many_addresses_of_a_network_is_one() {
        let (mut scans, began) = (Scans::default(), Instant::now());
        for number in 0..16 {
            let from = address(&format!("2001:db8::{number}"));
            assert_eq!(scans.note(from, mac(number), began), Sign::Quiet);
        }
        assert_eq!(scans.note(address("2001:db8::9:9"), mac(16), began), Sign::Begins);
        assert!(scans.is_scanner(address("2001:db8::1")));
    }

    #[test]
    fn a_flood_of_addresses_takes_no_memory_and_hides_no_scanner() {
        let (mut scans, began, home) = (Scans::default(), Instant::now(), address("192.0.2.9"));
        for number in 0..=16 {
            scans.note(home, mac(number), began);
        }
        for number in 0..3 * u32::try_from(MANY).unwrap() {
            scans.note(std::net::Ipv4Addr::from_bits(number).into(), mac(1), began);
        }
        assert!(scans.0.len() <= MANY);
        assert!(scans.is_scanner(home));
    }
}
