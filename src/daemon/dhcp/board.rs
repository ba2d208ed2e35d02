//! What others read of the DHCP service: whose address each is, what an administrator should hear, counters.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::base::{Mac, Time};
use crate::control::DhcpAlert;
use crate::wire::dhcp::{Change, Lease, State};

/// So many things are told of; the oldest make way.
const ALERTS_MAX: usize = 200;
/// What was not heard again for so long is history.
const ALERTS_FOR: Duration = Duration::from_secs(86_400);

/// Written by the service, read by the core and the file services.
#[derive(Debug, Default)]
pub struct Board {
    owners: RwLock<HashMap<Ipv4Addr, (Mac, Time)>>,
    alerts: Mutex<BTreeMap<String, (u64, Time)>>,
    /// Datagrams that were no DHCP message that we can read.
    pub garbage: AtomicU64,
    /// Replies that were sent.
    pub sent: AtomicU64,
    /// Replies that could not be sent.
    pub unsent: AtomicU64,
    /// Replies that the disk was too slow for.
    pub above_limit: AtomicU64,
    /// Exchanges that the core was too busy to hear of.
    pub unreported: AtomicU64,
}

impl Board {
    /// Whose address it is by our lease, now.
    pub fn owner(&self, address: Ipv4Addr, now: Time) -> Option<Mac> {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        owners.get(&address).filter(|(_, until)| now < *until).map(|(mac, _)| *mac)
    }

    /// So many replies were to be sent, and so many of them could not.
    pub(super) fn answered(&self, all: usize, failed: u64) {
        let sent = u64::try_from(all).unwrap_or(0).saturating_sub(failed);
        self.sent.fetch_add(sent, Ordering::Relaxed);
        self.unsent.fetch_add(failed, Ordering::Relaxed);
    }

    /// How many addresses are given to clients now.
    pub fn leases(&self, now: Time) -> usize {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        owners.values().filter(|(_, until)| now < *until).count()
    }

    pub(super) fn note(&self, changes: &[Change]) {
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                Change::Put(lease) if lease.state == State::Bound => {
                    owners.insert(lease.address, (lease.mac, lease.until));
                }
                Change::Put(Lease { address, .. }) | Change::Remove(address) => {
                    owners.remove(address);
                }
            }
        }
    }

    /// Something an administrator should hear; true when it was not told of within a day.
    pub(super) fn alert(&self, text: String, now: Time) -> bool {
        let mut alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        alerts.retain(|_, (_, last)| now.since(*last) < ALERTS_FOR);
        if let Some((count, last)) = alerts.get_mut(&text) {
            (*count, *last) = (count.saturating_add(1), now);
            return false;
        }
        if alerts.len() >= ALERTS_MAX {
            let oldest = alerts.iter().min_by_key(|(_, (_, last))| *last).map(|(t, _)| t.clone());
            oldest.map(|text| alerts.remove(&text));
        }
        alerts.insert(text, (1, now));
        true
    }

    /// What was told of within a day, newest first.
    pub fn alerts(&self, now: Time) -> Vec<DhcpAlert> {
        let alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told: Vec<(Time, DhcpAlert)> = alerts
            .iter()
            .filter(|(_, (_, last))| now.since(*last) < ALERTS_FOR)
            .map(|(text, (count, last))| {
                let alert = DhcpAlert { text: text.clone(), count: *count, last: last.to_string() };
                (*last, alert)
            })
            .collect();
        told.sort_by_key(|(last, _)| std::cmp::Reverse(*last));
        told.into_iter().map(|(_, alert)| alert).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_told_once_a_day_and_counted() {
        let board = Board::default();
        let (day, text) = (86_400_000, "no address is left".to_owned());
        assert!(board.alert(text.clone(), Time(1)));
        assert!(!board.alert(text.clone(), Time(day)));
        let told = board.alerts(Time(day + 1));
        assert_eq!((told.len(), told[0].count), (1, 2));
        assert!(board.alerts(Time(2 * day)).is_empty());
        assert!(board.alert(text, Time(2 * day)));
        for number in 0..2 * ALERTS_MAX {
            board.alert(format!("alert {number}"), Time(2 * day + 1));
        }
        assert_eq!(board.alerts(Time(2 * day + 1)).len(), ALERTS_MAX);
    }
}
