//! What the core answers over the control socket.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::control::Call;
use super::core::Core;
use super::trace::follow;
use crate::base::{Mac, Time};
use crate::control::{
    Answer, Ask, ErrorKind, LineStatus, OwnWish, PhoneDiff, PhoneStatus, PushLine, State, Status,
    UnknownAsker,
};
use crate::family::Artifact;
use crate::plan::{diff, offer};

fn no_dhcp() -> Answer {
    let message = "there is no DHCP service: set mode in the section [dhcp] of handset.conf and restart handsetd";
    Answer::Error { kind: ErrorKind::Unavailable, message: message.into() }
}

/// Somebody who waits for a push to end.
pub(super) struct Waiter {
    answers: mpsc::Sender<Answer>,
    phones: BTreeMap<Mac, Option<State>>,
}

impl Core {
    /// Answers a call; one that waits is answered by and by. True when the disk must be looked at
    /// again for it.
    pub fn answer(&mut self, call: Call, now: Time) -> bool {
        let Call { ask, answers } = call;
        let looks = matches!(ask, Ask::Apply { .. } | Ask::Own { wish: OwnWish::Move, .. });
        let answer = match ask {
            Ask::Status { phone } => self.status(phone.as_deref(), now),
            Ask::Diff => Answer::Diff(self.diff()),
            Ask::Leases => match &self.dhcp {
                Some(service) => {
                    service.leases(answers);
                    return false;
                }
                None => no_dhcp(),
            },
            Ask::Own { peer, tech, wish } => self.own(&peer, tech, wish, now),
            Ask::Opened => Answer::Opened(self.access.all_open()),
            Ask::Open { what, seconds } => self.open(&what, seconds),
            Ask::Close { what } => self.close_again(&what),
            Ask::Firmware => self.firmware(),
            Ask::FirmwareRetry { phone } => self.firmware_retry(phone.as_deref()),
            Ask::Apply { accept_removals, loaded } => self.apply(accept_removals, loaded),
            Ask::Unknown => Answer::Unknown(self.unknown_phones()),
            Ask::Trace { phones, since, follow } => match self.trace(&phones, since, follow, now) {
                Ok((start, news)) => {
                    tokio::spawn(follow::run(start, news, answers));
                    return false;
                }
                Err(refusal) => refusal,
            },
            Ask::Push { phones, all, dry_run, wait } => match self.push(&phones, all, dry_run, now)
            {
                Ok((macs, lines)) => {
                    // A fresh channel has room; an asker who went away needs no answer.
                    let _ = answers.try_send(Answer::Push { phones: lines });
                    if wait && !dry_run {
                        self.await_push(answers, macs);
                    }
                    return false;
                }
                Err(refusal) => refusal,
            },
        };
        let _ = answers.try_send(answer);
        looks
    }

    pub(super) fn named(&self, word: &str) -> Result<Vec<Mac>, Answer> {
        let found = self.offer.named(word);
        if found.is_empty() {
            let held = self
                .look
                .as_ref()
                .and_then(|l| word.parse::<Mac>().ok().and_then(|mac| l.held.get(&mac)));
            let message = match held {
                Some(why) => format!("{word} has no files: {why}"),
                None => format!(
                    "no phone is called '{word}': give a MAC, a peer or a label; handset status lists them"
                ),
            };
            return Err(Answer::Error { kind: ErrorKind::NoSuchPhone, message });
        }
        Ok(found)
    }

    fn status(&self, word: Option<&str>, now: Time) -> Answer {
        let macs: Vec<Mac> = match word.map(|word| self.named(word)) {
            Some(Err(refusal)) => return refusal,
            Some(Ok(macs)) => macs,
            None => self.offer.phones.keys().copied().collect(),
        };
        let mut phones: Vec<PhoneStatus> =
            macs.into_iter().filter_map(|mac| self.phone_status(mac, now)).collect();
        if word.is_none() {
            phones.extend(self.without_files());
            phones.sort_by_key(|phone| phone.mac);
        }
        let alerts = self.alerts(&mut phones, word.is_none());
        let off_ladder = phones.iter().filter_map(|phone| self.off_ladder(phone.mac)).collect();
        let look = self.look.as_ref();
        let newest = &self.offer.newest;
        Answer::Status(Box::new(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            generation: newest.id,
            generated: newest.made.to_string(),
            held: self.held(),
            reload: self.reload_in_words(),
            ami: if self.site.ami.is_some() { self.session.text.clone() } else { "off".into() },
            diagnostics: look.map(|l| l.messages.clone()).unwrap_or_default(),
            phones,
            unknown: self.unknown(),
            alerts,
            opened: self.access.all_open(),
            off_ladder,
            dhcp: self.dhcp.as_ref().map(|service| service.alerts(now)).unwrap_or_default(),
        }))
    }

    fn held(&self) -> Option<String> {
        let look = self.look.as_ref();
        look.map_or(Some("the sources have not been read yet".into()), |l| l.hold.clone()).or_else(
            || self.store.trouble().map(|why| format!("the state cannot be written: {why}")),
        )
    }

    fn reload_in_words(&self) -> String {
        let known = self.loaded.known.as_deref();
        let current =
            self.look.as_ref().is_some_and(|look| known == Some(look.fingerprint.as_str()));
        match (&self.loaded.error, current, known) {
            (_, true, _) => "loaded".into(),
            _ if self.look.as_ref().is_some_and(|look| look.unfit) => {
                "waiting: a phone that is served is held back by an error, correct it first".into()
            }
            (Some(error), ..) => format!("waiting: {error}"),
            (None, false, Some(_)) => match self.offer.waiting().len() {
                0 => "waiting".into(),
                count => format!(
                    "waiting ({count} phones keep their old files until Asterisk has loaded)"
                ),
            },
            (None, false, None) => "unknown".into(),
        }
    }

    fn unknown(&self) -> Vec<UnknownAsker> {
        let tagged = |mac: &Mac| self.offer.phones.contains_key(mac);
        let strangers = self.observed.unknown.iter().filter(|(mac, _)| !tagged(mac));
        let told = strangers.map(|(mac, asker)| UnknownAsker {
            mac: *mac,
            address: asker.address().map(|a| a.to_string()).unwrap_or_default(),
            asked: asker.asked.clone(),
            last_seen: asker.at.to_string(),
        });
        told.collect()
    }

    /// Phones that are tagged and whose files could never be made.
    fn without_files(&self) -> Vec<PhoneStatus> {
        let Some(look) = &self.look else { return Vec::new() };
        let lost = look.held.iter().filter(|(mac, _)| !self.offer.phones.contains_key(mac));
        let status = lost.map(|(mac, why)| PhoneStatus {
            mac: *mac,
            family: self.site.default_family.clone(),
            model: String::new(),
            lines: Vec::new(),
            wanted: None,
            running: None,
            state: State::Failed,
            detail: Some(why.clone()),
            last_seen: None,
            alerts: Vec::new(),
        });
        status.collect()
    }

    /// One phone for people.
    pub(super) fn phone_status(&self, mac: Mac, now: Time) -> Option<PhoneStatus> {
        let part = self.offer.phones.get(&mac)?;
        let stand = self.standing(mac, now)?;
        let seen = self.observed.phones.get(&mac);
        let line = |line: &crate::plan::generation::LinePart| {
            let facts = self.observed.peers.get(&line.peer).map(|p| &p.facts);
            let address = facts.and_then(|f| f.address);
            LineStatus {
                line: line.number,
                peer: line.peer.clone(),
                label: line.label.clone(),
                registered: address.is_some(),
                address: address.map(|a| a.to_string()),
                user_agent: facts.and_then(|f| f.user_agent.clone()),
            }
        };
        let held = self.look.as_ref().and_then(|look| look.held.get(&mac));
        let waits = self.offer.waiting().contains(&mac);
        let detail = match held {
            Some(why) => format!("its last good files are served: {why}"),
            None if waits => "its new files wait until Asterisk has loaded its credentials".into(),
            None => match self.firmware_in_words(part) {
                Some(words) if stand.detail.is_empty() => words,
                Some(words) => format!("{}; {words}", stand.detail),
                None => stand.detail,
            },
        };
        Some(PhoneStatus {
            mac,
            family: part.family.to_string(),
            model: part.model.to_string(),
            lines: part.lines.iter().map(line).collect(),
            wanted: stand.wanted,
            running: seen.and_then(|s| s.running).map(|r| r.token),
            state: stand.state,
            detail: (!detail.is_empty()).then_some(detail),
            last_seen: seen.and_then(|s| s.last).map(|at| at.to_string()),
            alerts: Vec::new(),
        })
    }

    fn push(
        &mut self,
        words: &[String],
        all: bool,
        dry_run: bool,
        now: Time,
    ) -> Result<(Vec<Mac>, Vec<PushLine>), Answer> {
        let mut macs: Vec<Mac> =
            if all { self.offer.phones.keys().copied().collect() } else { Vec::new() };
        for word in words {
            macs.extend(self.named(word)?);
        }
        macs.sort_unstable();
        macs.dedup();
        if macs.is_empty() {
            let message = "no phone to push to: name one, or use --all".into();
            return Err(Answer::Error { kind: ErrorKind::NoSuchPhone, message });
        }
        if !dry_run {
            self.wish(&macs, now);
        }
        let lines = macs.iter().filter_map(|mac| self.push_line(*mac, now)).collect();
        Ok((macs, lines))
    }

    /// Wishes pushes, durably.
    pub(super) fn wish(&mut self, phones: &[Mac], now: Time) {
        self.intents.pushes.extend(phones.iter().map(|mac| (*mac, now)));
        self.store.save_intents(&self.intents);
    }

    /// Lets the removals of what is on disk through.
    fn accept(&mut self) -> bool {
        let Some(look) = &self.look else { return false };
        self.intents.accepted = Some(look.fingerprint.clone());
        self.store.save_intents(&self.intents);
        true
    }

    fn push_line(&self, mac: Mac, now: Time) -> Option<PushLine> {
        let part = self.offer.phones.get(&mac)?;
        let running = self.observed.phones.get(&mac).and_then(|s| s.running).map(|r| r.token);
        let reachable = part.peers().any(|peer| self.observed.contact(peer).is_some());
        let current = running.is_some() && running == self.standing(mac, now)?.wanted;
        let what = match (reachable, current) {
            (false, _) => "not registered: it is told when it returns, or fetches when it boots",
            (true, true) => "is current: looks, and does not restart",
            (true, false) => "looks, and restarts when its configuration differs",
        };
        Some(PushLine {
            mac,
            peers: part.peers().map(str::to_owned).collect(),
            what: what.into(),
            due: reachable,
        })
    }

    /// What is on disk against what each phone is proved to run, or else is offered.
    fn diff(&self) -> Vec<PhoneDiff> {
        let Some(look) = &self.look else { return Vec::new() };
        let mut running: BTreeMap<_, _> = self.offer.phones.clone();
        running.extend(self.ran.iter().map(|(mac, part)| (*mac, part.clone())));
        let old = offer::Offer::new(self.offer.newest.clone(), running);
        let keys = |family: &str, artifact: &Artifact| {
            self.families.get(family).map(|f| f.keys(artifact)).unwrap_or_default()
        };
        diff::phones(&old, &look.built.phones, &keys)
    }

    fn apply(&mut self, accept_removals: bool, loaded: bool) -> Answer {
        let mut done = Vec::new();
        if accept_removals && self.accept() {
            done.push("what is on disk is let through");
        }
        if loaded && self.declare_loaded() {
            done.push("Asterisk is taken to have loaded what is on disk");
        }
        if done.is_empty() {
            let message = "nothing to apply: use --accept-removals or --loaded".into();
            return Answer::Error { kind: ErrorKind::Unavailable, message };
        }
        Answer::Done(done.join("; "))
    }

    /// Answers `--wait` until all these phones are done.
    pub(super) fn await_push(&mut self, answers: mpsc::Sender<Answer>, phones: Vec<Mac>) {
        self.waiters
            .push(Waiter { answers, phones: phones.into_iter().map(|mac| (mac, None)).collect() });
    }

    pub(super) fn inform(&mut self, now: Time) {
        let mut waiters = std::mem::take(&mut self.waiters);
        waiters.retain_mut(|waiter| {
            let mut news = Vec::new();
            let mut finished = true;
            for (mac, last) in &mut waiter.phones {
                let Some(stand) = self.standing(*mac, now) else { continue };
                let moving = self.intents.pushes.contains_key(mac)
                    && (stand.due.is_some() || stand.state == State::Pushing);
                finished &= !moving;
                if *last != Some(stand.state) {
                    *last = Some(stand.state);
                    news.extend(self.phone_status(*mac, now));
                }
            }
            if news.is_empty() && !finished {
                return !waiter.answers.is_closed();
            }
            // A reader that does not take its news is let go.
            waiter.answers.try_send(Answer::Progress { phones: news, finished }).is_ok()
                && !finished
        });
        self.waiters = waiters;
    }
}
