//! How many connections there may be: in all, and from one host.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) struct Seats {
    all: Arc<Semaphore>,
    per_host: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place; free again when dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    host: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Seats {
    pub(super) fn new(all: usize, per_host: usize) -> Arc<Self> {
        let all = Arc::new(Semaphore::new(all));
        Arc::new(Self { all, per_host, taken: Mutex::default() })
    }

    /// Waits for a place among all.
    pub(super) async fn place(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.all).acquire_owned().await {
            Ok(place) => place,
            // Nobody closes it.
            Err(_) => std::future::pending().await,
        }
    }

    /// None when the host has all that it may have.
    pub(super) fn take(
        self: &Arc<Self>,
        place: OwnedSemaphorePermit,
        from: IpAddr,
    ) -> Option<Seat> {
        let host = host(from);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let seats = taken.entry(host).or_default();
        if *seats >= self.per_host {
            return None;
        }
        *seats += 1;
        Some(Seat { seats: Arc::clone(self), host, _place: place })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seats) = taken.get_mut(&self.host) {
            *seats -= 1;
            if *seats == 0 {
                taken.remove(&self.host);
            }
        }
    }
}

/// One host has a whole /64 of IPv6.
fn host(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_gets_its_share_and_leaves_no_trace() {
        let seats = Seats::new(5, 2);
        let take = async |ip: &str| seats.take(seats.place().await, ip.parse().unwrap());
        let first = [take("10.0.0.1").await, take("10.0.0.1").await];
        assert!(first.iter().all(Option::is_some) && take("10.0.0.1").await.is_none());
        let other = [take("2001:db8::1").await, take("2001:db8::2").await];
        assert!(other.iter().all(Option::is_some) && take("2001:db8::3").await.is_none());
        assert!(take("2001:db8:0:1::1").await.is_some());
        assert_eq!(seats.all.available_permits(), 1);
        drop((first, other));
        assert!(seats.taken.lock().unwrap().is_empty());
        assert_eq!(seats.all.available_permits(), 5);
    }
}
