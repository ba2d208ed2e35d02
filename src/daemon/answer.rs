//! What the core answers over the control socket.

use std::time::Duration;

use super::control::Call;
use super::core::Core;
use super::trace::{follow, history};
use crate::base::{Mac, Time};
use crate::control::{
    Answer, Ask, ErrorKind, LineStatus, OwnWish, PhoneSeen, PhoneStatus, PushLine, Select, Status,
    UnknownAsker,
};
use crate::plan::boot::story::notify;
use crate::plan::observed::{PeerSeen, Seen};

fn no_dhcp() -> Answer {
    let message = "there is no DHCP service: set mode in the section [dhcp] of handset.conf and restart handsetd";
    Answer::Error { kind: ErrorKind::Unavailable, message: message.into() }
}

/// What was seen of a phone last, for people.
fn last_seen(seen: &Seen) -> PhoneSeen {
    let told = seen.told.as_ref();
    PhoneSeen {
        fetched: seen.fetched.map(|fetch| fetch.at.to_string()),
        compared: seen.sync.map(|sync| sync.at.to_string()),
        proved: seen.running.map(|run| run.at.to_string()),
        address: seen.address.map(|address| address.to_string()),
        told: told.map(|told| (told.at.to_string(), notify(&told.result))),
        ..PhoneSeen::default()
    }
}

impl Core {
    /// Answers a call; one that waits is answered by and by. True when the disk must be looked at
    /// again for it.
    pub fn answer(&mut self, call: Call, now: Time) -> bool {
        let Call { ask, answers } = call;
        let looks = matches!(ask, Ask::Apply { .. } | Ask::Own { wish: OwnWish::Move, .. });
        let answer = match ask {
            Ask::Status { phone, select } => {
                match (self.status(phone.as_deref(), &select, now), phone) {
                    (Answer::Status(status), Some(_)) => {
                        let history = self.ledger.history(self.store.journal());
                        tokio::spawn(history::complete(history, status, answers));
                        return false;
                    }
                    (answer, _) => answer,
                }
            }
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
            Ask::Apply { accept_removals, loaded, only } => {
                self.apply(accept_removals, loaded, &only, now)
            }
            Ask::Plan => Answer::Plan(Box::new(self.plan(now))),
            Ask::Rollouts => self.told_rollouts(now),
            Ask::Rollout(order) => self.direct(order, now),
            Ask::Rollback { phones, all, generation } => {
                self.rollback(&phones, all, generation, now)
            }
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

    fn status(&self, word: Option<&str>, select: &Select, now: Time) -> Answer {
        let page = match self.page(word, select, now) {
            Ok(page) => page,
            Err(refusal) => return refusal,
        };
        let mut phones = page.phones;
        let alerts = self.alerts(&mut phones, word.is_none());
        let off_ladder = match word {
            Some(_) => phones.iter().filter_map(|phone| self.off_ladder(phone.mac)).collect(),
            None => self.all_off_ladder(),
        };
        let (diagnostics, more_diagnostics) = self.told_diagnostics(select);
        let newest = &self.offer.newest;
        Answer::Status(Box::new(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            generation: newest.id,
            generated: newest.made.to_string(),
            held: self.held(),
            reload: self.reload_in_words(),
            ami: if self.site.ami.is_some() { self.session.text.clone() } else { "off".into() },
            diagnostics,
            more_diagnostics,
            counts: self.counts(),
            registered: self.tally.registered(),
            matched: page.matched,
            phones,
            unknown: self.unknown(),
            alerts,
            opened: self.access.all_open(),
            rollout: self.rollout_status(now),
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
        let current = self.look.as_ref().is_some_and(|look| self.loaded.is(&look.fingerprint));
        match (&self.loaded.error, current, known) {
            (_, true, _) => "loaded".into(),
            _ if self.look.as_ref().is_some_and(|look| look.unfit) => {
                "waiting: a phone that is served is held back by an error, correct it first".into()
            }
            (Some(error), ..) => format!("waiting: {error}"),
            (None, false, Some(_)) => match self.offer.unloaded().len() {
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

    /// One phone for people.
    pub(super) fn phone_status(&self, mac: Mac, now: Time) -> Option<PhoneStatus> {
        let part = self.offer.phones.get(&mac)?;
        let stand = self.standing(mac, now)?;
        let seen = self.observed.phones.get(&mac);
        let line = |line: &crate::plan::generation::LinePart| {
            let peer = self.observed.peers.get(&line.peer);
            let facts = peer.map(|p| &p.facts);
            let address = facts.and_then(|f| f.address);
            let expires = peer.zip(facts.and_then(|f| f.expires)).filter(|_| address.is_some());
            let end = |(peer, seconds): (&PeerSeen, u32)| {
                peer.heard.after(Duration::from_secs(seconds.into())).to_string()
            };
            LineStatus {
                line: line.number,
                peer: line.peer.clone(),
                label: line.label.clone(),
                registered: address.is_some(),
                address: address.map(|a| a.to_string()),
                user_agent: facts.and_then(|f| f.user_agent.clone()),
                expires: expires.map(end),
                rtt: facts.and_then(|f| f.rtt),
                device: peer.and_then(|p| p.device).map(|(state, _)| state.text().to_owned()),
            }
        };
        let held = self.look.as_ref().and_then(|look| look.held.get(&mac));
        let detail = match held {
            Some(why) => format!("its last good files are served: {why}"),
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
            seen: seen.map(last_seen).unwrap_or_default(),
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
            match all {
                true => drop(self.resume_planned()),
                false => self.let_through(&macs, now),
            }
        }
        let lines = macs.iter().filter_map(|mac| self.push_line(*mac, now)).collect();
        Ok((macs, lines))
    }

    /// Wishes pushes, durably.
    pub(super) fn wish(&mut self, phones: &[Mac], now: Time) {
        self.intents.pushes.extend(phones.iter().map(|mac| (*mac, now)));
        self.stirred.extend(phones);
        self.wishes_changed = true;
        self.changed = true;
    }

    fn push_line(&self, mac: Mac, now: Time) -> Option<PushLine> {
        let part = self.offer.phones.get(&mac)?;
        let running = self.observed.phones.get(&mac).and_then(|s| s.running).map(|r| r.token);
        let reachable = self.reachable(mac);
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
}
