//! Whose turn it is when more requests wait than can be answered at once: the first ones of every host
//! come before the many of one.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::daemon::net::Arrival;

/// Requests of one host that are answered in the order in which they came, while others wait.
const SHARE: u32 = 32;

/// Requests that may be put back, of one host and in all. The phone asks again for what is above.
const PUT_BACK: u32 = 1024;
const PUT_BACK_ALL: usize = 8192;

/// Hosts that are counted; as many cannot be phones that have their turn.
const HOSTS: usize = 1 << 16;

/// What waits for its turn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    hosts: HashMap<IpAddr, u32>,
    later: VecDeque<(Arrival, Box<[u8]>)>,
}

/// What is to be done with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    Now,
    Later,
    Never,
}

impl Turns {
    /// Whose turn it is; `more` says that others wait behind. What is for later is kept.
    pub(super) fn take(&mut self, more: bool, arrival: &Arrival, request: &[u8]) -> Turn {
        if !more && self.hosts.is_empty() {
            return Turn::Now;
        }
        if self.hosts.len() >= HOSTS {
            self.hosts.clear();
        }
        let asked = self.hosts.entry(arrival.from.ip()).or_default();
        *asked += 1;
        if *asked <= SHARE {
            return Turn::Now;
        }
        if *asked > SHARE + PUT_BACK || self.later.len() >= PUT_BACK_ALL {
            return Turn::Never;
        }
        self.later.push_back((*arrival, request.into()));
        Turn::Later
    }

    /// The next of those that were put back, once nobody else waits.
    pub(super) fn next(&mut self) -> Option<(Arrival, Box<[u8]>)> {
        let next = self.later.pop_front();
        if next.is_none() {
            self.hosts = HashMap::new();
            self.later = VecDeque::new();
        }
        next
    }

    /// Whether somebody was put back.
    pub(super) fn waits(&self) -> bool {
        !self.later.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::net::Source;

    fn arrival(host: &str) -> Arrival {
        let ip = host.parse().unwrap();
        Arrival { from: (ip, 1).into(), asked: Source { ip, interface: 0 }, length: 1 }
    }

    #[test]
    fn the_many_of_one_host_come_after_the_first_of_all() {
        let mut turns = Turns::default();
        let many: Vec<_> =
            (0..2000).map(|_| turns.take(true, &arrival("10.0.0.1"), b"x")).collect();
        assert_eq!(turns.take(true, &arrival("10.0.0.2"), b"y"), Turn::Now);
        let count = |turn| many.iter().filter(|one| **one == turn).count();
        assert_eq!([Turn::Now, Turn::Later, Turn::Never].map(count), [32, 1024, 944]);
        assert_eq!(turns.take(false, &arrival("10.0.0.1"), b"z"), Turn::Never);
        assert!((0..1024).all(|_| turns.next().is_some_and(|(_, request)| *request == *b"x")));
        assert!(turns.next().is_none() && !turns.waits());
        assert_eq!(turns.take(false, &arrival("10.0.0.1"), b"z"), Turn::Now);
    }

    #[test]
    fn nobody_is_counted_where_nobody_waits() {
        let mut turns = Turns::default();
        assert!((0..99).all(|_| turns.take(false, &arrival("10.0.0.1"), b"x") == Turn::Now));
        assert!(turns.hosts.is_empty());
    }

    #[test]
    fn what_is_put_back_is_bounded_in_all() {
        let mut turns = Turns::default();
        for host in 0..40 {
            for _ in 0..2000 {
                turns.take(true, &arrival(&format!("10.0.0.{host}")), b"x");
            }
        }
        assert_eq!(turns.later.len(), PUT_BACK_ALL);
    }
}
