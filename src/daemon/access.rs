//! Who gets a file with a secret: gathers what is known about the asker, lets `plan::access` decide,
//! and keeps count of what was refused. Read and written by the file services at each such request.

mod alerts;
mod scan;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use self::alerts::{Alerts, Topic};
use self::scan::{Scans, Sign};
use super::askers::Askers;
use super::dhcp::Board;
use super::neighbours::{Neighbours, Place};
use super::now;
use crate::base::{Cidr, Mac, Time};
use crate::control::{Alert, Opened, Opening, Reason};
use crate::model::site::GuardMode;
use crate::plan::access::{Evidence, Verdict, verdict};

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pass {
    /// It is answered.
    Give,
    /// It is answered as if there were no such file.
    Hide,
    /// It is not answered: the asker is too fast, or who it is will be known when it asks again.
    Ignore,
}

/// So many phones and networks are open at one time.
const OPEN_MAX: usize = 256;
/// So many contradicted phones are remembered.
const CONTRADICTED_MAX: usize = 4096;

/// The guard of the files with secrets.
pub struct Access {
    /// Where the kernel has an address.
    places: Box<dyn Fn(IpAddr) -> Place + Send + Sync>,
    /// Our DHCP service, which knows whose address it gave.
    leases: OnceLock<Arc<Board>>,
    policy: RwLock<(GuardMode, Vec<Cidr>)>,
    opened: Mutex<Vec<(Opening, Instant)>>,
    alerts: Mutex<Alerts>,
    scans: Mutex<Scans>,
    /// When a neighbour entry contradicted that a phone is where it was proved to be.
    contradicted: Mutex<HashMap<Mac, Time>>,
}

impl Default for Access {
    /// Asks the kernel.
    fn default() -> Self {
        let neighbours = Neighbours::default();
        Self::new(move |address| neighbours.place(address))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Access {
    /// Strict, with nothing trusted or open.
    pub fn new(places: impl Fn(IpAddr) -> Place + Send + Sync + 'static) -> Self {
        Self {
            places: Box::new(places),
            leases: OnceLock::new(),
            policy: RwLock::default(),
            opened: Mutex::default(),
            alerts: Mutex::default(),
            scans: Mutex::default(),
            contradicted: Mutex::default(),
        }
    }

    /// Believes the leases of our DHCP service, from now on.
    pub fn believe(&self, leases: Arc<Board>) {
        // There is one service; it stays.
        let _ = self.leases.set(leases);
    }

    /// Whose address it is by a lease of ours.
    fn lease(&self, address: IpAddr) -> Option<Mac> {
        match (self.leases.get(), address) {
            (Some(board), IpAddr::V4(v4)) => board.owner(v4, now()),
            _ => None,
        }
    }

    /// The settings from now on.
    pub fn set(&self, mode: GuardMode, trusted: &[Cidr]) {
        let new = (mode, trusted.to_vec());
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// Whether the file of `phone` goes to `address`.
    pub fn pass(&self, phone: Mac, address: IpAddr, askers: &Askers) -> Pass {
        let mode = self.mode();
        if mode == GuardMode::Off {
            return Pass::Give;
        }
        let place = (self.places)(address);
        let evidence = self.evidence(phone, address, place, askers);
        let verdict = verdict(phone, &evidence);
        if verdict == Verdict::Unknown && place == Place::Sought {
            return Pass::Ignore;
        }
        if verdict.gives(mode) {
            lock(&self.alerts).given(phone);
            return Pass::Give;
        }
        let (reason, owner) = match verdict {
            Verdict::Anothers(owner) => (Reason::Anothers, Some(owner)),
            _ => (Reason::Unknown, None),
        };
        if evidence.proved.is_some() && owner.is_some() {
            self.contradict(phone);
        }
        self.refused(Topic { reason, address, phone: Some(phone) }, phone, owner)
    }

    /// An address asked for a file of `mac` that is not there, whether that is a phone of ours or not:
    /// who guesses shall not learn it.
    pub fn guessed(&self, mac: Mac, address: IpAddr, askers: &Askers) -> Pass {
        if self.mode() == GuardMode::Off || self.trusts(address) || self.is_open(None, address) {
            return Pass::Hide;
        }
        // A whole site may share an address behind NAT.
        let lives = || askers.is_at(mac, address);
        let lived = || askers.proved(mac).is_some_and(|(at, _)| at == address);
        // Who asks for no more than its own file is not worth a question to the kernel.
        let neighbour =
            || lock(&self.scans).is_scanner(address) && self.neighbour(address) == Some(mac);
        if lives() || lived() || neighbour() {
            return Pass::Hide;
        }
        self.noted(Topic { reason: Reason::Scan, address, phone: None }, mac).unwrap_or(Pass::Hide)
    }

    /// Whom the neighbour table has at an address, else whom we gave it to.
    pub fn neighbour(&self, address: IpAddr) -> Option<Mac> {
        match (self.places)(address) {
            Place::Near(mac) => Some(mac),
            _ => self.lease(address),
        }
    }

    /// Whether an address is surely this phone's: nobody else learns whether it has a tag.
    pub fn vouches(&self, mac: Mac, address: IpAddr) -> bool {
        self.neighbour(address) == Some(mac)
    }

    /// Whether an address guesses the MACs of phones.
    pub fn is_scanner(&self, address: IpAddr) -> bool {
        lock(&self.scans).is_scanner(address)
    }

    /// Opens a phone or a network to askers that nobody knows, for a while; false when too much is open.
    pub fn open(&self, what: Opening, time: Duration) -> bool {
        let mut opened = self.opened();
        opened.retain(|(known, _)| *known != what);
        if opened.len() >= OPEN_MAX {
            return false;
        }
        opened.push((what, Instant::now() + time));
        true
    }

    /// Closes it again; false when it was not open.
    pub fn close(&self, what: &Opening) -> bool {
        let mut opened = self.opened();
        let before = opened.len();
        opened.retain(|(known, _)| known != what);
        opened.len() < before
    }

    /// What is open.
    pub fn all_open(&self) -> Vec<Opened> {
        let now = Instant::now();
        let left = |(what, end): &(Opening, Instant)| Opened {
            what: what.clone(),
            seconds: end.saturating_duration_since(now).as_secs(),
        };
        self.opened().iter().map(left).collect()
    }

    /// What was refused within the last day.
    pub fn alerts(&self) -> Vec<Alert> {
        lock(&self.alerts).list(now())
    }

    /// What was refused since the start, by reason.
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        lock(&self.alerts).refusals()
    }

    fn mode(&self) -> GuardMode {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).0
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let policy = self.policy.read().unwrap_or_else(PoisonError::into_inner);
        policy.1.iter().any(|net| net.contains(address))
    }

    /// What is still open.
    fn opened(&self) -> MutexGuard<'_, Vec<(Opening, Instant)>> {
        let (mut opened, now) = (lock(&self.opened), Instant::now());
        opened.retain(|(_, end)| *end > now);
        opened
    }

    fn is_open(&self, phone: Option<Mac>, address: IpAddr) -> bool {
        self.opened().iter().any(|(what, _)| match what {
            Opening::Phone(mac) => phone == Some(*mac),
            Opening::Net(net) => net.contains(address),
        })
    }

    fn evidence(&self, phone: Mac, address: IpAddr, place: Place, askers: &Askers) -> Evidence {
        let neighbour = if let Place::Near(mac) = place { Some(mac) } else { None };
        let proved = askers.proved(phone).filter(|(at, _)| *at == address).map(|(_, time)| time);
        let contradicted = lock(&self.contradicted).get(&phone).copied();
        let proved = proved.filter(|time| contradicted.is_none_or(|since| *time > since));
        // Our own addresses are nobody's: only the operator vouches for them.
        let foreign = place != Place::Own;
        Evidence {
            neighbour,
            lease: self.lease(address),
            registered: foreign && askers.whole(phone) == Some(address),
            proved: proved.filter(|_| foreign).map(|time| now().since(time)),
            trusted: self.trusts(address),
            opened: self.is_open(Some(phone), address),
        }
    }

    /// The clock was set back: what is proved from now on outweighs what was contradicted before.
    pub(super) fn set_back(&self, now: Time) {
        lock(&self.contradicted).values_mut().for_each(|at| at.set_back(now));
    }

    fn contradict(&self, phone: Mac) {
        let mut contradicted = lock(&self.contradicted);
        if contradicted.len() >= CONTRADICTED_MAX {
            let oldest = contradicted.iter().min_by_key(|(_, at)| **at).map(|(mac, _)| *mac);
            oldest.map(|mac| contradicted.remove(&mac));
        }
        contradicted.insert(phone, now());
    }

    fn refused(&self, topic: Topic, phone: Mac, owner: Option<Mac>) -> Pass {
        self.noted(topic, phone).unwrap_or_else(|| {
            lock(&self.alerts).refused(topic, owner, (now(), Instant::now()));
            Pass::Hide
        })
    }

    /// What a request for a file of `mac` makes of its asker; none when that is nothing special.
    fn noted(&self, topic: Topic, mac: Mac) -> Option<Pass> {
        let at = (now(), Instant::now());
        let scan = Topic { reason: Reason::Scan, phone: None, ..topic };
        let sign = lock(&self.scans).note(topic.address, mac, at.1);
        match sign {
            Sign::Quiet => return None,
            Sign::Begins => lock(&self.alerts).fold(scan, at),
            Sign::Answered | Sign::Silent => lock(&self.alerts).refused(scan, None, at),
        }
        Some(if sign == Sign::Silent { Pass::Ignore } else { Pass::Hide })
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
