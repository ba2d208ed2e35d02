//! Whose turn it is when more requests wait than can be answered at once. They are taken out of the
//! socket, where there is little room, and wait here: the first ones of every host before the many of
//! one. Running transfers go on meanwhile, so that those who have begun are done soon.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::base::HashMap;
use crate::daemon::net::Arrival;

/// Requests of one host that wait among those of all hosts; the others come after them.
const SHARE: u32 = 32;

/// Requests that may wait, of one host and in all. The phone asks again for what is above.
const OF_ONE: u32 = 1024;
const OF_ALL: usize = 32_768;

/// Room for so many is kept while nobody waits: in a storm that is a moment.
const KEPT: usize = 8192;

/// A request as it came, and the listener that it came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Waiting {
    pub(super) door: usize,
    pub(super) arrival: Arrival,
    pub(super) datagram: Box<[u8]>,
}

/// What waits for its turn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    hosts: HashMap<IpAddr, u32>,
    first: VecDeque<Waiting>,
    later: VecDeque<Waiting>,
}

impl Turns {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.later.is_empty()
    }

    /// Puts a request into its place. False when there is none.
    pub(super) fn wait(&mut self, waiting: Waiting) -> bool {
        if self.first.len() + self.later.len() >= OF_ALL {
            return false;
        }
        let asked = self.hosts.entry(waiting.arrival.from.ip()).or_default();
        *asked += 1;
        if *asked <= SHARE {
            self.first.push_back(waiting);
        } else if *asked <= OF_ONE {
            self.later.push_back(waiting);
        } else {
            return false;
        }
        true
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Option<Waiting> {
        let next = self.first.pop_front().or_else(|| self.later.pop_front());
        if self.is_empty() {
            // Nobody waits: everybody begins anew.
            self.hosts.clear();
            if self.hosts.capacity().max(self.first.capacity()).max(self.later.capacity()) > KEPT {
                *self = Self::default();
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::net::Source;

    fn wait(turns: &mut Turns, host: &str, request: u8) -> bool {
        let ip = host.parse().unwrap();
        let arrival =
            Arrival { from: (ip, 1).into(), asked: Source { ip, interface: 0 }, length: 1 };
        turns.wait(Waiting { door: 0, arrival, datagram: Box::new([request]) })
    }

    #[test]
    fn the_many_of_one_host_come_after_the_first_of_all() {
        let mut turns = Turns::default();
        let taken = (0..2000).filter(|_| wait(&mut turns, "10.0.0.1", b'x')).count();
        assert_eq!(taken, 1024);
        assert!(wait(&mut turns, "10.0.0.2", b'y'));
        let order: Vec<u8> = std::iter::from_fn(|| Some(turns.next()?.datagram[0])).collect();
        assert_eq!((order.len(), order[32]), (1025, b'y'));
        assert!(turns.is_empty() && turns.hosts.is_empty());
        assert!(wait(&mut turns, "10.0.0.1", b'z'));
    }

    #[test]
    fn what_waits_is_bounded_in_all() {
        let mut turns = Turns::default();
        let hosts = (0..40).map(|host| format!("10.0.0.{host}"));
        let taken: usize =
            hosts.map(|host| (0..1024).filter(|_| wait(&mut turns, &host, b'x')).count()).sum();
        assert_eq!((taken, turns.first.len()), (OF_ALL, 32 * 32));
    }
}
