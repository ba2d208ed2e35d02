//! What to say in a session, and what the answers and events mean. No I/O: bytes in, bytes and
//! news out, time as an argument.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use jiff::tz::TimeZone;
use tokio::time::Instant;

use self::devices::Devices;
use self::endpoints::unlisted;
use self::reload::Reloading;
use super::endpoints::Endpoints;
use super::news::News;
use super::notify::Notifies;
use super::pipeline::{Ask, Pipeline, Reply, Why, explain, is_unknown};
use super::relist::{Details, Known, Relist, Techs};
use super::{Lost, Timing};
use crate::base::{Mac, Tech};
use crate::daemon::event::{AmiNews, Order};
use crate::plan::observed::{Notified, PeerFacts};
use crate::wire::ami::message::{chars, core_startup, is_sip_reload};
use crate::wire::ami::peer::{self, Change};
use crate::wire::ami::{Action, Decoder, Frame, Item, TooLarge, pjsip};

mod devices;
mod endpoints;
mod notices;
mod reload;

/// More peers than this are not followed.
const FOLLOW_MAX: usize = 100_000;

/// chan_pjsip's NOTIFYs are a module of their own.
const NO_NOTIFY: &str =
    "Asterisk has not loaded res_pjsip_notify.so (it needs a pjsip_notify.conf)";

/// Two starts of Asterisk that are computed this close (in seconds) are one: uptimes are cut.
const START_JITTER: u64 = 2;

/// Where the connection stands.
enum State {
    Down,
    /// Logged in; Asterisk may still be loading its modules, until then.
    Booting {
        version: String,
        until: Instant,
    },
    Up,
}

/// Lives as long as the task; a connection begins with [`Session::begin`] and ends with
/// [`Session::lost`].
pub(super) struct Session {
    timing: Timing,
    clock: fn() -> u64,
    zone: TimeZone,
    /// To be written.
    pub out: BytesMut,
    /// To be told.
    pub news: News,
    follow: BTreeSet<String>,
    /// Which driver a name is meant for.
    techs: Techs,
    /// When Asterisk started, as told last.
    started: Option<u64>,
    state: State,
    decoder: Decoder,
    pipeline: Pipeline,
    notifies: Notifies,
    /// Drivers that are not loaded, and why not; looked for again from time to time.
    absent: BTreeMap<Tech, String>,
    probe_at: Instant,
    endpoints: Endpoints,
    devices: Devices,
    reloading: Reloading,
    /// All peers of the last list; none while that is out of date.
    known: Option<Known>,
    relist: Option<Relist>,
    next_list: Instant,
    /// A list that is due soon after the next one.
    second_look: bool,
    /// Peers whose details are due, and when.
    due: BTreeSet<(Tech, Bytes)>,
    due_at: Option<Instant>,
    /// When something was heard last.
    heard: Instant,
    /// Why there is no session, as told last.
    down: Option<Lost>,
}

impl Session {
    pub(super) fn new(timing: Timing, clock: fn() -> u64, zone: TimeZone) -> Self {
        Self {
            timing,
            clock,
            zone,
            out: BytesMut::new(),
            news: News::default(),
            follow: BTreeSet::new(),
            techs: Techs::new(),
            started: None,
            state: State::Down,
            decoder: Decoder::new(),
            pipeline: Pipeline::default(),
            notifies: Notifies::default(),
            absent: BTreeMap::new(),
            probe_at: Instant::now(),
            endpoints: Endpoints::default(),
            devices: Devices::default(),
            reloading: Reloading::default(),
            known: None,
            relist: None,
            next_list: Instant::now(),
            second_look: false,
            due: BTreeSet::new(),
            due_at: None,
            heard: Instant::now(),
            down: None,
        }
    }

    /// A connection is logged in.
    pub(super) fn begin(&mut self, decoder: Decoder, version: String, now: Instant) {
        self.decoder = decoder;
        self.heard = now;
        self.state = State::Booting { version, until: now + self.timing.booted };
    }

    /// The connection is lost, or could not be made. What was not answered is answered now. The
    /// same reason is told once, until there is a session again; returns whether it was told.
    pub(super) fn lost(&mut self, lost: &Lost) -> bool {
        self.state = State::Down;
        (self.known, self.relist, self.second_look) = (None, None, false);
        self.absent.clear();
        self.endpoints.forget();
        self.devices.forget();
        self.due.clear();
        self.due_at = None;
        self.out.clear();
        let text = format!("the AMI session ended before the answer: {}", lost.reason);
        for ask in self.pipeline.abandon() {
            self.failed(&ask, &text);
        }
        self.fail_notifies(&text);
        let news = self.down.as_ref() != Some(lost);
        if news {
            self.down = Some(lost.clone());
            self.news.push(AmiNews::Down { reason: lost.reason.clone(), refused: lost.refused });
        }
        news
    }

    /// Says good-bye after everything that is still to be written.
    pub(super) fn log_off(&mut self) {
        if let Ok(bytes) = Action::new("Logoff", "bye").encode() {
            self.out.extend_from_slice(&bytes);
        }
    }

    /// An order of the core.
    pub(super) fn order(&mut self, order: Order, now: Instant) {
        match order {
            Order::Follow(peers) => self.follow(peers, now),
            Order::Techs(techs) => self.set_techs(techs, now),
            Order::Poll(peers) => self.poll(peers, now),
            Order::Relist => self.next_list = now,
            Order::Reload if self.is_up() => self.reload(),
            Order::Reload => self.news.push(AmiNews::ReloadAnswered(Err("no AMI session".into()))),
            Order::Notify { mac, peer, lines, event, own } => {
                self.take_notify(notices::Notify { mac, peer, lines, event, own });
            }
        }
    }

    fn follow(&mut self, peers: Vec<String>, now: Instant) {
        let follow: BTreeSet<String> = peers.into_iter().take(FOLLOW_MAX).collect();
        if !follow.is_subset(&self.follow) {
            self.next_list = now;
            self.devices.missing();
        }
        self.follow = follow;
    }

    fn set_techs(&mut self, techs: Techs, now: Instant) {
        if techs != self.techs {
            self.next_list = now;
        }
        self.techs = techs;
    }

    fn is_up(&self) -> bool {
        matches!(self.state, State::Up)
    }

    /// Bytes came in; [`Session::advance`] reads them.
    pub(super) fn bytes(&mut self, bytes: &[u8], now: Instant) {
        self.heard = now;
        self.decoder.push(bytes);
    }

    /// Reads what came in, does what is due, and says when to call again at the latest.
    pub(super) fn advance(&mut self, now: Instant) -> Result<Instant, Lost> {
        while let Some(item) = self.decoder.next() {
            match item {
                Ok(Item::Frame(frame)) => self.frame(&frame, now)?,
                Ok(Item::Banner(_)) => {}
                Err(TooLarge) => self.next_list = now,
            }
        }
        if let State::Booting { until, .. } = self.state
            && until <= now
        {
            self.go_up(now);
            self.pipeline.urgent(Ask::Start);
        }
        if self.is_up() {
            self.advance_up(now)?;
        }
        Ok(self.wake(now))
    }

    fn advance_up(&mut self, now: Instant) -> Result<(), Lost> {
        self.pipeline.check(&self.timing, now)?;
        if self.news.must_relist() {
            self.next_list = now;
            self.devices.missing();
        }
        if self.next_list <= now && self.relist.is_none() {
            self.list(now);
        }
        if self.due_at.is_some_and(|at| at <= now) {
            self.ask_due();
        }
        self.ask_polled(now);
        self.decide_notifies(now);
        if self.pipeline.is_idle() && self.heard + self.timing.ping <= now {
            self.pipeline.urgent(Ask::Ping);
        }
        for (ask, reply) in self.pipeline.send(&mut self.out, now) {
            self.reply(&ask, reply, &Frame::default(), now)?;
        }
        Ok(())
    }

    fn wake(&self, now: Instant) -> Instant {
        if let State::Booting { until, .. } = self.state {
            return until;
        }
        let list = self.relist.is_none().then_some(self.next_list);
        let ping = self.pipeline.is_idle().then_some(self.heard + self.timing.ping);
        let times =
            [list, ping, self.due_at, self.endpoints.poll_at, self.pipeline.deadline(&self.timing)];
        times.into_iter().flatten().min().unwrap_or(now + self.timing.ping)
    }

    /// Everything begins: lists are complete from here on.
    fn go_up(&mut self, now: Instant) {
        if let State::Booting { version, .. } = std::mem::replace(&mut self.state, State::Up) {
            self.news.push(AmiNews::Up { version });
        }
        self.down = None;
        self.next_list = now;
    }

    fn list(&mut self, now: Instant) {
        if self.probe_at <= now {
            self.probe_at = now + self.timing.probe;
            self.absent.clear();
        }
        self.relist = Some(Relist::default());
        let sip = !self.absent.contains_key(&Tech::Sip);
        self.pipeline.urgent(if sip { Ask::Peers } else { Ask::Endpoints });
        let second = std::mem::take(&mut self.second_look);
        self.next_list = now + if second { self.timing.second_look } else { self.timing.relist };
    }

    fn ask_due(&mut self) {
        self.due_at = None;
        for (tech, name) in std::mem::take(&mut self.due) {
            self.pipeline.urgent(match tech {
                Tech::Sip => Ask::Peer { name, listed: false },
                Tech::Pjsip => Ask::Endpoint { name, why: Why::Changed },
            });
        }
    }

    fn frame(&mut self, frame: &Frame, now: Instant) -> Result<(), Lost> {
        let Some(replies) = self.pipeline.answered(frame, now) else {
            return self.event(frame, now);
        };
        for (ask, reply) in replies {
            self.reply(&ask, reply, frame, now)?;
        }
        Ok(())
    }

    fn event(&mut self, frame: &Frame, now: Instant) -> Result<(), Lost> {
        if frame.is_event("Shutdown") {
            return Err(Lost::new("Asterisk is shutting down"));
        }
        if frame.is_event("FullyBooted") {
            self.booted(frame, now);
        } else if is_sip_reload(frame) || self.is_pjsip_reload(frame) {
            self.news.push(AmiNews::Reloaded);
            self.reloaded(now);
        } else if let Some((name, change)) = peer::status(frame) {
            let registered = change == Change::Registered;
            self.peer_event(Tech::Sip, name, registered, now);
        } else if let Some((name, change)) = pjsip::status(frame) {
            let registered = self.endpoints.event(&chars(&name), change, now);
            self.peer_event(Tech::Pjsip, name, registered, now);
        } else {
            self.device_event(frame);
        }
        Ok(())
    }

    fn booted(&mut self, frame: &Frame, now: Instant) {
        self.go_up(now);
        match frame.number::<u64>("Uptime") {
            Some(uptime) => self.tell_start((self.clock)().saturating_sub(uptime)),
            None => self.pipeline.urgent(Ask::Start),
        }
    }

    fn tell_start(&mut self, start: u64) {
        let same = |told: &u64| told.abs_diff(start) <= START_JITTER;
        let start = self.started.filter(same).unwrap_or(start);
        self.started = Some(start);
        self.news.push(AmiNews::Started(start));
    }

    fn peer_event(&mut self, tech: Tech, name: Bytes, registered: bool, now: Instant) {
        let peer = chars(&name).into_owned();
        if !self.follow.contains(&peer) || !self.is_meant(&peer, tech) {
            return;
        }
        if registered {
            self.news.push(AmiNews::Registered { peer });
        }
        self.due.insert((tech, name));
        self.due_at.get_or_insert(now + self.timing.settle);
    }

    fn reply(&mut self, ask: &Ask, reply: Reply, frame: &Frame, now: Instant) -> Result<(), Lost> {
        match (ask, reply) {
            (Ask::Peers, reply) => return self.peers_reply(reply, frame, now),
            (Ask::Channels, reply) => self.channels_reply(reply, frame, now),
            (Ask::Devices, reply) => self.devices_reply(&reply, frame),
            (Ask::Endpoints, reply) => return self.endpoints_reply(reply, frame, now),
            (Ask::Contacts, reply) => self.contacts_reply(&reply, frame, now),
            (Ask::Peer { name, listed }, reply) => {
                self.peer_reply((name, *listed), &reply, frame, now);
            }
            (Ask::Endpoint { name, why }, reply) => {
                self.endpoint_reply(name, why, &reply, frame, now);
            }
            (Ask::Reload(_), Reply::Done) => self.reload_answered(None, now),
            (Ask::Notify { mac, .. }, Reply::Done) => self.notified(*mac, Notified::Sent),
            (Ask::Start, Reply::Done) => self.start_reply(frame),
            (ask, Reply::Failed(text)) => self.failed(ask, &text),
            (Ask::Ping, Reply::Done) | (_, Reply::Item) => {}
        }
        Ok(())
    }

    fn peers_reply(&mut self, reply: Reply, frame: &Frame, now: Instant) -> Result<(), Lost> {
        match reply {
            Reply::Item => {
                if let Some(relist) = &mut self.relist {
                    relist.item(frame);
                }
            }
            Reply::Done => self.list_endpoints(now),
            Reply::Failed(text) if is_unknown(&text) && !self.absent.contains_key(&Tech::Pjsip) => {
                self.absent.insert(Tech::Sip, text);
                self.list_endpoints(now);
            }
            Reply::Failed(text) => return Err(unlisted(&text)),
        }
        Ok(())
    }

    fn finish_list(&mut self, now: Instant) {
        match self.relist.take_if(|relist| relist.is_complete()).map(Relist::rows) {
            Some(Some(rows)) => {
                self.news.push(AmiNews::Peers(rows));
                self.ask_devices();
            }
            Some(None) => self.next_list = now + self.timing.second_look,
            None => {}
        }
    }

    /// What became of a question for a peer's details.
    fn peer_reply(&mut self, ask: (&Bytes, bool), reply: &Reply, frame: &Frame, now: Instant) {
        let (name, listed) = ask;
        let details = match reply {
            Reply::Failed(text) if text.ends_with("not found.") => Details::Gone,
            Reply::Failed(_) | Reply::Item => Details::Unknown,
            Reply::Done => peer::details(frame)
                .map_or(Details::Unknown, |facts| Details::Fresh(Box::new(facts))),
        };
        self.take_details((&chars(name), Tech::Sip), details, listed, now);
    }

    /// The details of a peer of either driver have come.
    fn take_details(&mut self, peer: (&str, Tech), details: Details, listed: bool, now: Instant) {
        if let Some(relist) = &mut self.relist {
            relist.fresh(peer, &details, listed);
        }
        if listed {
            return self.finish_list(now);
        }
        match details {
            Details::Fresh(facts) => self.news.push(AmiNews::Peer(*facts)),
            // Whatever the next list says of it, it is not registered.
            Details::Gone => {
                let (peer, tech) = (peer.0.to_owned(), peer.1);
                self.news.push(AmiNews::Peer(PeerFacts { peer, tech, ..PeerFacts::default() }));
            }
            Details::Unknown => self.next_list = now + self.timing.second_look,
        }
    }

    fn start_reply(&mut self, frame: &Frame) {
        let local = core_startup(frame).and_then(|local| local.to_zoned(self.zone.clone()).ok());
        if let Some(start) = local.and_then(|at| u64::try_from(at.timestamp().as_second()).ok()) {
            self.tell_start(start);
        }
    }

    fn failed(&mut self, ask: &Ask, text: &str) {
        match ask {
            Ask::Notify { mac, .. } if text == "Could not create address" => {
                self.notified(*mac, Notified::NoAddress);
            }
            Ask::Notify { mac, tech: Tech::Pjsip, .. } if is_unknown(text) => {
                self.notified(*mac, Notified::Failed(NO_NOTIFY.into()));
            }
            Ask::Notify { mac, .. } => self.notified(*mac, Notified::Failed(explain(text))),
            Ask::Reload(_) => self.reload_answered(Some(explain(text)), self.heard),
            Ask::Endpoint { why: Why::Notify { mac, .. }, .. } => {
                self.notified(*mac, Notified::Failed(explain(text)));
            }
            // Their answers are handled where they come in, and worthless when the session ends.
            Ask::Ping | Ask::Start | Ask::Peers | Ask::Peer { .. } | Ask::Channels => {}
            Ask::Devices => {}
            Ask::Endpoints | Ask::Contacts | Ask::Endpoint { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
