//! What the phone's task and its handle share: the reports, and the state that follows from them.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use tokio::sync::{broadcast, watch};

use crate::event::{CallState, Event, LineInfo, Report, Stage, now_ms};
use crate::firmware::Firmware;
use crate::flash::Flash;
use crate::{Config, Faults, Observer};

/// Reports that a slow subscriber may lag behind.
const LAG: usize = 1024;

/// What a phone is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Without power.
    #[default]
    Off,
    /// In SCCP: without a call manager it only asks its list.
    Sccp,
    /// In the loader.
    Loader,
    /// The SIP application reads its files.
    Booting,
    /// It has no line, and asks for its own file again and again.
    Unprovisioned,
    /// It has lines.
    Running,
    /// Stopped with a text on the display, until the power is cut.
    Stuck,
}

/// A snapshot of a phone.
#[derive(Clone, Debug, Default, Serialize)]
pub struct State {
    /// What the phone is at.
    pub phase: Phase,
    /// Power-ons and restarts so far.
    pub boots: u64,
    /// The lines that the phone has.
    pub lines: Vec<LineInfo>,
    /// The lines that Asterisk accepted, with the seconds granted.
    pub registered: BTreeMap<u8, u32>,
    /// How often any line was accepted, refreshes too.
    pub registrations: u64,
    /// The phone's own `sync`.
    pub sync: String,
    /// What it remembers; holds passwords, so it is never printed.
    #[serde(skip)]
    pub flash: Flash,
    /// NOTIFYs that came, repeats of the same one not counted.
    pub notifies: u64,
    /// OPTIONS that came.
    pub options: u64,
    /// How often each file was received whole.
    pub fetches: BTreeMap<String, u64>,
    /// How often each file was asked for.
    pub requests: BTreeMap<String, u64>,
    /// Off the hook.
    pub in_call: bool,
    /// What is in its flash, where that is simulated.
    pub installed: Option<Firmware>,
    /// Lines whose message lamp is on.
    pub waiting: Vec<u8>,
}

impl State {
    /// Whether every line that the phone has is registered, and there is one.
    pub fn all_registered(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|l| self.registered.contains_key(&l.line))
    }

    fn fold(&mut self, event: &Event) {
        match event {
            Event::Boot { stage: Stage::Sccp, .. } => self.phase = Phase::Sccp,
            Event::Boot { stage: Stage::Ual, .. } => self.phase = Phase::Loader,
            Event::Boot { stage: Stage::SipApp, .. } => self.phase = Phase::Booting,
            Event::Request { file } => *self.requests.entry(file.clone()).or_default() += 1,
            Event::Got { file, .. } => *self.fetches.entry(file.clone()).or_default() += 1,
            Event::Config { lines, sync, .. } => {
                self.phase = Phase::Running;
                self.lines.clone_from(lines);
                self.sync.clone_from(sync);
            }
            Event::Unprovisioned => {
                self.phase = Phase::Unprovisioned;
                self.lines.clear();
            }
            Event::Registered { line, expires, .. } => {
                self.registered.insert(*line, *expires);
                self.registrations += 1;
            }
            Event::Unregistered { line, .. } | Event::RegisterFailed { line, .. } => {
                self.registered.remove(line);
            }
            Event::Notify { .. } => self.notifies += 1,
            Event::MessagesWaiting { line, waiting } => {
                self.waiting.retain(|n| n != line);
                if *waiting {
                    self.waiting.push(*line);
                }
            }
            Event::Restart { .. } | Event::Stopped => {
                self.registered.clear();
                self.in_call = false;
                self.phase = Phase::Off;
            }
            Event::Call { state, .. } => {
                self.in_call = !matches!(state, CallState::Ended | CallState::Failed);
            }
            _ => {}
        }
    }
}

/// See the module's text.
pub(crate) struct Shared {
    mac: String,
    state: watch::Sender<State>,
    /// Made for the first who listens: it has room for all that he may lag behind.
    events: OnceLock<broadcast::Sender<Report>>,
    /// The newest reports, and the number of the last one.
    history: Mutex<(VecDeque<Report>, u64)>,
    /// Reports kept for whoever asks later.
    keep: usize,
    observer: Option<Observer>,
    address: Mutex<Ipv4Addr>,
    faults: Mutex<Faults>,
}

impl Shared {
    pub(crate) fn new(config: &Config) -> Self {
        let flash = config.flash.clone();
        let sync = flash.get("sync").to_owned();
        Self {
            mac: config.mac.iter().map(|b| format!("{b:02x}")).collect(),
            state: watch::Sender::new(State { flash, sync, ..State::default() }),
            events: OnceLock::new(),
            history: Mutex::default(),
            keep: config.history,
            observer: config.observer.clone(),
            address: Mutex::new(config.address),
            faults: Mutex::default(),
        }
    }

    /// Reports one event to everybody.
    pub(crate) fn tell(&self, event: Event) {
        let mut history = lock(&self.history);
        history.1 += 1;
        let report = Report { seq: history.1, at: now_ms(), mac: self.mac.clone(), event };
        if self.keep > 0 {
            history.0.push_back(report.clone());
        }
        if history.0.len() > self.keep {
            history.0.pop_front();
        }
        drop(history);
        self.change(|state| state.fold(&report.event));
        if let Some(observer) = &self.observer {
            observer.tell(&report);
        }
        if let Some(events) = self.events.get() {
            // Nobody has to listen any more.
            let _ = events.send(report);
        }
    }

    /// Changes what no event tells.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<Report> {
        self.events.get_or_init(|| broadcast::Sender::new(LAG)).subscribe()
    }

    /// The reports after number `seq`.
    pub(crate) fn history(&self, seq: u64) -> Vec<Report> {
        let history = lock(&self.history);
        history.0.iter().filter(|report| report.seq > seq).cloned().collect()
    }

    /// The number of the newest report.
    pub(crate) fn mark(&self) -> u64 {
        lock(&self.history).1
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        *lock(&self.address)
    }

    pub(crate) fn set_address(&self, address: Ipv4Addr) {
        *lock(&self.address) = address;
    }

    pub(crate) fn faults(&self) -> Faults {
        *lock(&self.faults)
    }

    pub(crate) fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut lock(&self.faults));
    }
}

/// A panic of another holder leaves nothing half-done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
