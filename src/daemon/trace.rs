//! What happens to phones, as it happens: every fact gets its phone, goes to those who follow, and into
//! the journal, in one row a second. Nothing is told in words here unless somebody listens.

pub(super) mod follow;
pub(super) mod history;

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::warn;

use super::event::{Outcome, Transfer};
use super::journal::{Journal, Table};
use super::store::Store;
use crate::base::{HashMap, Mac, Time};
use crate::family::Role;
use crate::family::stage::{Runs, Stage, StageId, Stages, Symbol};
use crate::plan::boot::fact::{End, Fact, Fetched, What, cut, short};
use crate::plan::boot::record;
use crate::plan::boot::track::Track;
use crate::plan::boot::tracker::{Addresses, MANY, choose, halve};
use history::History;

/// So long facts wait for others of their row, and so many do not wait.
const TOGETHER: Duration = Duration::from_secs(1);
const ENOUGH: usize = 8192;
/// Rows of so many are written in storms only.
const MANY_FACTS: usize = 1024;
/// What nobody knows the phone of is looked through so often.
const EXPIRE: Duration = Duration::from_secs(10);
/// Rows that may not be on disk yet.
const RECENT: usize = 16;
/// So many may follow at one time.
pub(super) const FOLLOWERS: usize = 8;

/// News for one who follows.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    /// What happened.
    pub(super) facts: Arc<[Fact]>,
    /// REGISTERs are heard of.
    pub(super) hears: bool,
}

/// A row, with its key.
pub(super) type Row = (Vec<u8>, Arc<Vec<Fact>>);

/// How much the journal may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) age: Duration,
    pub(super) bytes: u64,
}

/// The facts of all phones.
pub(super) struct Ledger {
    stages: Arc<Stages>,
    addresses: Addresses<Fact>,
    phones: HashMap<Mac, Track>,
    pending: Vec<Fact>,
    /// So many of them are told already.
    told: usize,
    since: Option<Time>,
    expired: Time,
    recent: VecDeque<Row>,
    /// The rows on disk, oldest first, with their sizes.
    rows: VecDeque<(Vec<u8>, u64)>,
    bytes: u64,
    followers: Vec<mpsc::Sender<Feed>>,
    /// Peers whose next REGISTER is worth a line.
    awaited: HashSet<String>,
}

impl Ledger {
    /// Goes on where the journal ends.
    pub(super) fn new(journal: &Journal) -> Self {
        let mut rows = VecDeque::new();
        let read = journal.each(Table::Events, &[], |key, row| {
            rows.push_back((key.to_vec(), size(key, row)));
            true
        });
        if let Err(error) = read {
            warn!(%error, "the journal of events cannot be read: it begins anew");
        }
        Self {
            stages: Arc::default(),
            addresses: Addresses::new(MANY),
            phones: HashMap::default(),
            pending: Vec::new(),
            told: 0,
            since: None,
            expired: Time::default(),
            recent: VecDeque::new(),
            bytes: rows.iter().map(|(_, size)| size).sum(),
            rows,
            followers: Vec::new(),
            awaited: HashSet::new(),
        }
    }

    /// Other stages from now on.
    pub(super) fn learn(&mut self, stages: Arc<Stages>) {
        self.stages = stages;
        self.phones.clear();
    }

    /// A request for a file came to its end. `mac`: whose it is, where that is known: first by the name;
    /// `hidden`: the guard did not give it. The phone that it turns out to be.
    pub(super) fn file(
        &mut self,
        transfer: Transfer,
        mac: Option<Mac>,
        hidden: bool,
        now: Time,
    ) -> Option<Mac> {
        let address = transfer.asker.ip().to_canonical();
        let symbol = self.stages.symbol(cut(&transfer.name));
        let named = mac.or_else(|| Mac::within(transfer.name.as_bytes()));
        let fact = Fact {
            at: transfer.at,
            mac: named,
            address: Some(address),
            what: what(transfer, hidden),
        };
        if let Some(mac) = named {
            self.is_at(address, mac, now);
            self.put(fact, symbol, now);
            return Some(mac);
        }
        if let Some(mac) = self.addresses.alone(address, now) {
            self.put(Fact { mac: Some(mac), ..fact }, symbol, now);
            return Some(mac);
        }
        let found = match symbol {
            Some(symbol) => {
                choose(&self.addresses, &self.phones, &self.stages, address, symbol, now)
            }
            None => {
                let mut here = self.addresses.phones(address, now);
                here.next().filter(|_| here.next().is_none())
            }
        };
        match (found, symbol) {
            (Some(mac), _) => {
                self.addresses.goes_on(address, mac, now);
                self.put(Fact { mac: Some(mac), ..fact }, symbol, now);
            }
            (None, Some(symbol)) => self.addresses.wait(address, symbol, now, fact),
            (None, None) => self.put(fact, None, now),
        }
        found
    }

    /// A phone is at an address: what waited there was its.
    fn is_at(&mut self, address: IpAddr, mac: Mac, now: Time) {
        for (_, _, earlier) in self.addresses.named(address, mac, now) {
            self.place(Fact { mac: Some(mac), ..earlier }, now);
        }
    }

    /// Something else happened to a phone.
    pub(super) fn other(&mut self, fact: Fact, now: Time) {
        if let (Some(address), Some(mac)) = (fact.address, fact.mac) {
            self.is_at(address, mac, now);
        }
        self.place(fact, now);
    }

    fn place(&mut self, fact: Fact, now: Time) {
        let symbol = match &fact.what {
            What::File(file) => self.stages.symbol(&file.name),
            _ => None,
        };
        self.put(fact, symbol, now);
    }

    /// `symbol`: of the file's name.
    fn put(&mut self, fact: Fact, symbol: Option<Symbol>, now: Time) {
        if let Some(mac) = fact.mac {
            if self.phones.len() >= MANY && !self.phones.contains_key(&mac) {
                halve(&mut self.phones, Track::last);
            }
            follow_track(self.phones.entry(mac).or_default(), &fact, symbol, &self.stages);
        }
        self.since.get_or_insert(now);
        self.pending.push(fact);
    }

    /// The next REGISTERs of these peers are worth a line.
    pub(super) fn awaits<'a>(&mut self, peers: impl Iterator<Item = &'a str>) {
        if self.awaited.len() < MANY {
            self.awaited.extend(peers.map(str::to_owned));
        }
    }

    /// Whether a REGISTER of this peer is worth a line: the first one after its phone fetched its file.
    pub(super) fn awaited(&mut self, peer: &str) -> bool {
        self.awaited.remove(peer)
    }

    /// What a phone runs, where its requests tell it.
    pub(super) fn stage(&self, mac: Mac) -> Option<&Stage> {
        self.stages.get(self.phones.get(&mac)?.at(&self.stages).stage()?)
    }

    /// Whether a phone is, or may be, in its loader, as far as its requests tell.
    pub(super) fn hunts(&self, mac: Mac) -> bool {
        let loads = |id: &StageId| self.stages.get(*id).is_some_and(|s| s.runs == Runs::Loader);
        self.phones.get(&mac).is_some_and(|track| track.at(&self.stages).fits.iter().any(loads))
    }

    pub(super) fn set_back(&mut self, now: Time) {
        self.expired.set_back(now);
    }

    /// What nobody named himself for in time.
    pub(super) fn expired(&mut self, now: Time) -> Vec<Fact> {
        if now.since(self.expired) < EXPIRE {
            return Vec::new();
        }
        self.expired = now;
        self.addresses.expired(now)
    }

    /// Tells those who follow, and writes down what has waited long enough.
    pub(super) fn look(&mut self, store: &mut Store, bounds: Bounds, hears: bool, now: Time) {
        self.tell(hears);
        let due = self.since.is_some_and(|since| now.since(since) >= TOGETHER);
        if due || self.pending.len() >= ENOUGH {
            self.write(store, bounds, now);
        }
    }

    fn tell(&mut self, hears: bool) {
        let news = self.pending.get(self.told..).unwrap_or_default();
        if !news.is_empty() && !self.followers.is_empty() {
            let feed = Feed { facts: news.into(), hears };
            // Who does not take what is told is cut off.
            self.followers.retain(|follower| follower.try_send(feed.clone()).is_ok());
        }
        self.told = self.pending.len();
    }

    /// Writes down what is there.
    pub(super) fn write(&mut self, store: &mut Store, bounds: Bounds, now: Time) {
        self.since = None;
        self.told = 0;
        let mut facts = std::mem::take(&mut self.pending);
        if facts.is_empty() {
            return;
        }
        let (_, row) = record::encode(&facts);
        let key = self.next_key(now);
        let size = size(&key, &row);
        self.rows.push_back((key.clone(), size));
        self.bytes += size;
        let gone = self.surplus(bounds, now);
        store.append(&key, row, gone);
        if facts.len() >= MANY_FACTS {
            // A building boots: the next row has as many.
            self.pending.reserve(facts.len());
        }
        facts.shrink_to_fit();
        self.recent.push_back((key, Arc::new(facts)));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// Rows stay in the order in which they are written, also when the clock is set back.
    fn next_key(&self, now: Time) -> Vec<u8> {
        let time = |key: &[u8]| key.first_chunk().map(|at| u64::from_be_bytes(*at));
        let last = self.rows.back().and_then(|(key, _)| time(key));
        key(last.map_or(now, |last| now.max(Time(last.saturating_add(1)))))
    }

    /// The rows that are too old or too many.
    fn surplus(&mut self, bounds: Bounds, now: Time) -> Vec<Vec<u8>> {
        let oldest =
            Time(now.0.saturating_sub(u64::try_from(bounds.age.as_millis()).unwrap_or(u64::MAX)));
        let oldest = key(oldest);
        let mut gone = Vec::new();
        while let Some((key, size)) = self.rows.front() {
            if self.bytes <= bounds.bytes && *key >= oldest {
                break;
            }
            self.bytes -= size;
            gone.extend(self.rows.pop_front().map(|(key, _)| key));
        }
        gone
    }

    /// Somebody follows from now on; none when too many do.
    pub(super) fn follow(&mut self, hears: bool) -> Option<mpsc::Receiver<Feed>> {
        self.followers.retain(|follower| !follower.is_closed());
        if self.followers.len() >= FOLLOWERS {
            return None;
        }
        self.tell(hears);
        let (feed, news) = mpsc::channel(64);
        self.followers.push(feed);
        Some(news)
    }

    /// What happened until now.
    pub(super) fn history(&self, journal: &Journal) -> History {
        History {
            journal: journal.clone(),
            recent: self.recent.iter().cloned().collect(),
            pending: self.pending.as_slice().into(),
        }
    }

    /// The stages.
    pub(super) fn stages(&self) -> Arc<Stages> {
        self.stages.clone()
    }
}

fn follow_track(track: &mut Track, fact: &Fact, symbol: Option<Symbol>, stages: &Stages) {
    match &fact.what {
        What::File(file) => {
            track.asked(stages, symbol, fact.at);
            if matches!(file.end, End::Complete | End::Unconfirmed) {
                track.fetched(stages, &file.name);
            }
        }
        What::Registered(_) => track.registered(),
        What::Dhcp(..) | What::Notified(_) => {}
    }
}

fn what(transfer: Transfer, hidden: bool) -> What {
    let own = transfer.ticket.is_some_and(|ticket| ticket.role == Role::Own);
    let digest = transfer.ticket.map(|ticket| ticket.digest);
    let end = match transfer.outcome {
        Outcome::Complete => End::Complete,
        Outcome::Unconfirmed => End::Unconfirmed,
        Outcome::NotFound if hidden => End::Hidden,
        Outcome::NotFound => End::Missing,
        other => End::Broken(short(&other.to_string())),
    };
    let Transfer { name, bytes, millis, .. } = transfer;
    let name = if name.len() > 128 { short(&name) } else { name };
    What::File(Fetched { name, end, bytes, millis, times: 1, own, digest })
}

/// The key of a row written at a time.
pub(super) fn key(at: Time) -> Vec<u8> {
    at.0.to_be_bytes().to_vec()
}

fn size(key: &[u8], row: &[u8]) -> u64 {
    (key.len() + row.len()) as u64
}

#[cfg(test)]
mod tests;
