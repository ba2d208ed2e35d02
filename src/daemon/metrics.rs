//! What Prometheus reads at `/metrics`: counters that the services keep, and facts that the core shows
//! once a second. Nobody asks the core for the page, and a storm of requests costs it nothing.

pub mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::core::Core;
use super::event::Outcome;
use super::{dhcp, http, tftp};
use crate::base::{Cidr, Level, Mac, Time};
use crate::control::{RolloutStatus, State};
use crate::plan::observed::Notified;

/// The core shows its facts so often at most.
const OFTEN: Duration = Duration::from_secs(1);

/// What the page is made of.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Those of the TFTP service.
    pub tftp: Arc<tftp::Counters>,
    /// Those of the HTTP service.
    pub http: Arc<http::Counters>,
    facts: RwLock<Option<Arc<Facts>>>,
}

impl Metrics {
    /// What the core showed last; none before its first look.
    pub fn facts(&self) -> Option<Arc<Facts>> {
        self.facts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows these from now on.
    pub fn show(&self, facts: Facts) {
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(facts));
    }
}

/// How the transfers of a service ended, since the start.
#[derive(Debug, Default)]
pub struct Ended {
    outcomes: [AtomicU64; OUTCOMES.len()],
    bytes: AtomicU64,
}

/// The values of the label `outcome`.
const OUTCOMES: [&str; 7] =
    ["complete", "unconfirmed", "not-found", "refused", "aborted", "timed-out", "failed"];

impl Ended {
    /// One more.
    pub fn count(&self, outcome: &Outcome, bytes: u64) {
        let place = match outcome {
            Outcome::Complete => 0,
            Outcome::Unconfirmed => 1,
            Outcome::NotFound => 2,
            Outcome::Refused(_) => 3,
            Outcome::Aborted(..) => 4,
            Outcome::TimedOut => 5,
            Outcome::Failed(_) => 6,
        };
        self.outcomes[place].fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OUTCOMES.into_iter().zip(self.outcomes.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The values of the label `result` of a NOTIFY.
const RESULTS: [&str; 7] =
    ["sent", "in-call", "no-address", "failed", "accepted", "rejected", "silent"];

/// What the core counts for people as it goes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    registered: BTreeSet<Mac>,
    notifies: [u64; RESULTS.len()],
    looked: Time,
    shown: Time,
    metrics: Option<Arc<Metrics>>,
}

impl Tally {
    /// A phone has a line with a contact, or none.
    pub(super) fn stands(&mut self, mac: Mac, registered: bool) {
        match registered {
            true => self.registered.insert(mac),
            false => self.registered.remove(&mac),
        };
    }

    /// How many phones are registered.
    pub(super) fn registered(&self) -> usize {
        self.registered.len()
    }

    /// What came of a NOTIFY.
    pub(super) fn notified(&mut self, result: &Notified) {
        let place = match result {
            Notified::Ordered => return,
            Notified::Sent => 0,
            Notified::InCall => 1,
            Notified::NoAddress => 2,
            Notified::Failed(_) => 3,
            Notified::Answered(_) if result.is_sent() => 4,
            Notified::Answered(_) => 5,
            Notified::Silent => 6,
        };
        self.notifies[place] += 1;
    }
}

/// What the core knows, as the page shows it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Who may read it.
    pub nets: Vec<Cidr>,
    /// Phones by state.
    pub states: BTreeMap<State, usize>,
    /// Phones with a contact.
    pub registered: usize,
    /// Phones that do not have the newest files that are meant for them.
    pub waiting: usize,
    /// Askers without a tag.
    pub untagged: usize,
    /// Whether Asterisk is connected; none where it is not to be.
    pub ami: Option<bool>,
    /// NOTIFYs by result.
    pub notifies: Vec<(&'static str, u64)>,
    /// Files with a password that were not given, by reason.
    pub refusals: Vec<(&'static str, u64)>,
    /// The newest generation.
    pub generation: u64,
    /// When it was made.
    pub made: Time,
    /// Whether a newer one is held back.
    pub held: bool,
    /// When the disk was looked at last.
    pub looked: Time,
    /// Faults of the sources: errors and warnings.
    pub faults: (usize, usize),
    /// Attempts to write the state that failed since the last that did not.
    pub journal_failures: u32,
    /// When this daemon started.
    pub started: Time,
    /// How many roll-outs there were.
    pub rollouts: u64,
    /// The one on its way, or the last.
    pub rollout: Option<RolloutStatus>,
    /// The DHCP service, where there is one.
    pub dhcp: Option<Addresses>,
}

/// What the DHCP service counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Addresses {
    /// Addresses that are given to clients.
    pub leases: usize,
    /// Replies that were sent.
    pub sent: u64,
    /// Messages that got no answer, by reason.
    pub dropped: [(&'static str, u64); 3],
}

impl Facts {
    /// Whether an asker may see them.
    pub fn may_be_read_by(&self, asker: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(asker))
    }
}

impl Core {
    /// Shows facts there from now on.
    pub(super) fn measures(&mut self, metrics: Arc<Metrics>) {
        self.tally.metrics = Some(metrics);
    }

    /// The disk was looked at.
    pub(super) fn looked(&mut self, now: Time) {
        self.tally.looked = now;
    }

    /// Shows what is known, when it is time and somebody could read it.
    pub(super) fn show_facts(&mut self, now: Time) {
        let http = &self.site.http;
        let is_off = http.metrics.is_empty() || http.listen.is_none() && http.tls_listen.is_none();
        let is_early = now >= self.tally.shown && now.since(self.tally.shown) < OFTEN;
        let is_early = is_early || self.look.is_none();
        let Some(metrics) = self.tally.metrics.clone().filter(|_| !is_early) else { return };
        self.tally.shown = now;
        metrics.show(if is_off { Facts::default() } else { self.facts(now) });
    }

    fn facts(&self, now: Time) -> Facts {
        let look = self.look.as_ref();
        let faults = |level: Level| {
            look.map_or(0, |look| look.messages.iter().filter(|m| m.level == level).count())
        };
        Facts {
            nets: self.site.http.metrics.clone(),
            states: self.counts(),
            registered: self.tally.registered(),
            waiting: self.offer.waiting().len(),
            untagged: self.observed.unknown.len(),
            ami: self.site.ami.is_some().then_some(self.session.up),
            notifies: RESULTS.into_iter().zip(self.tally.notifies).collect(),
            refusals: self.access.refusals(),
            generation: self.offer.newest.id,
            made: self.offer.newest.made,
            held: look.is_some_and(|look| look.hold.is_some()),
            looked: self.tally.looked,
            faults: (faults(Level::Error), faults(Level::Warning)),
            journal_failures: self.store.failures(),
            started: self.started,
            rollouts: self.rollouts.last,
            rollout: self.rollout_status(now),
            dhcp: self.dhcp.as_ref().map(|service| addresses(service, now)),
        }
    }
}

fn addresses(service: &dhcp::Handle, now: Time) -> Addresses {
    let board = service.board();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Addresses {
        leases: board.leases(now),
        sent: read(&board.sent),
        dropped: [
            ("garbage", read(&board.garbage)),
            ("unsent", read(&board.unsent)),
            ("above-limit", read(&board.above_limit)),
        ],
    }
}
