//! Events become facts: what each one changes about what the core knows.

use std::collections::BTreeSet;
use std::net::IpAddr;

use tracing::{info, warn};

use super::core::{Core, Session};
use super::event::{AmiNews, Event, Outcome, OwnNotify, Transfer};
use crate::base::{Mac, Time};
use crate::plan::boot::Exchange;
use crate::plan::observed::{Got, Notified, refusal};
use crate::plan::reconcile::Via;

impl Core {
    /// Takes an event in.
    pub fn take(&mut self, event: Event, now: Time) {
        self.changed |= !matches!(event, Event::Disk | Event::Rescan);
        match event {
            Event::Disk | Event::Rescan => {}
            Event::Transfers(all) => self.transfers(all, now),
            Event::Ami(news) => self.ami(news, now),
            Event::Answered { mac, result } => self.answered(mac, result, now),
            Event::Dhcp(all) => all.iter().for_each(|e| self.exchange(e, now)),
        }
    }

    fn transfers(&mut self, mut all: Vec<Transfer>, now: Time) {
        // They come in the order of their ends; boots are told in that of the requests.
        all.sort_by_cached_key(|transfer| transfer.at);
        for transfer in all {
            let named = Mac::within(transfer.name.as_bytes());
            self.transfer(&transfer, named, now);
            self.note(transfer, named, now);
        }
    }

    fn transfer(&mut self, transfer: &Transfer, named: Option<Mac>, now: Time) {
        self.climbing(transfer, now);
        if let Some(ticket) = transfer.ticket {
            let Some(mac) = ticket.mac else { return };
            self.dirty.insert(mac);
            self.stirred.insert(mac);
            // Without the last acknowledgement nothing is proved; a phone that has it all will say so
            // when it is asked, by not restarting.
            if transfer.outcome == Outcome::Complete {
                let name = transfer.name.trim_start_matches(['.', '/']);
                let got = Got { role: ticket.role, name, digest: ticket.digest };
                self.observed.fetched(mac, got, transfer.asker.ip().to_canonical(), transfer.at);
                // Its REGISTER may have been told of before its fetch.
                self.prove(mac, now);
            } else {
                self.observed.heard(mac, now);
            }
            return;
        }
        let Some(mac) = named else { return };
        if self.offer.phones.contains_key(&mac) {
            self.dirty.insert(mac);
            self.observed.heard(mac, now);
        }
    }

    fn exchange(&mut self, exchange: &Exchange, now: Time) {
        if self.offer.phones.contains_key(&exchange.mac) {
            self.observed.heard(exchange.mac, now);
        }
        self.note_exchange(exchange, now);
    }

    fn ami(&mut self, news: AmiNews, now: Time) {
        match news {
            AmiNews::Up { version } => {
                self.session = Session { up: true, text: format!("up ({version})") };
                self.loaded.asked = None;
            }
            AmiNews::Down { reason, refused } => {
                let what = if refused { "login refused" } else { "down" };
                self.session = Session { up: false, text: format!("{what}: {reason}") };
                self.unlisted();
            }
            AmiNews::Started(seconds) => {
                // By a clock of Asterisk's own: where that is ahead, nobody can tell what was before the start.
                let at = Some(Time(seconds.saturating_mul(1000))).filter(|at| *at <= now);
                self.loaded.sign = self.loaded.sign.max(at);
            }
            AmiNews::Peers(all) => {
                for facts in &all {
                    self.recognise(&facts.peer, facts.user_agent.as_deref());
                }
                let owners: BTreeSet<Mac> =
                    all.iter().filter_map(|f| self.owners.get(&f.peer)).copied().collect();
                self.observed.listed(all, now);
                // Also those whose peers are not in the list any more.
                self.stirred.extend(self.owners.values());
                owners.into_iter().for_each(|mac| self.prove(mac, now));
            }
            AmiNews::Peer(facts) => {
                self.recognise(&facts.peer, facts.user_agent.as_deref());
                let owner = self.owners.get(&facts.peer).copied();
                self.stirred.extend(owner);
                self.observed.told_about(facts, now);
                if let Some(mac) = owner {
                    self.prove(mac, now);
                }
            }
            AmiNews::Registered { peer } => {
                let owner = self.owners.get(&peer).copied();
                self.dirty.extend(owner);
                self.stirred.extend(owner);
                self.observed.registered(&peer, owner, now);
                if let Some(mac) = owner {
                    self.prove(mac, now);
                    self.note_registered(mac, &peer, now);
                }
            }
            AmiNews::Reloaded => self.loaded.sign = Some(now),
            AmiNews::ReloadAnswered(Ok(())) => self.loaded.sign = Some(now),
            AmiNews::ReloadAnswered(Err(error)) => {
                warn!(%error, "Asterisk did not reload");
                self.loaded.error = Some(error);
            }
            AmiNews::Notified { mac, result } => self.answered(mac, result, now),
            AmiNews::Free(own) => {
                let mac = own.mac;
                if let Err(error) = self.out.notify.try_send(own) {
                    let why = format!("no NOTIFY of our own can be sent: {error}");
                    self.answered(mac, Notified::Failed(why), now);
                }
            }
            AmiNews::Devices(all) => {
                self.stirred.extend(self.owners.values());
                self.observed.devices(all, now);
            }
            AmiNews::Device { peer, state } => {
                self.stirred.extend(self.owners.get(&peer));
                self.observed.device(&peer, state, now);
            }
            AmiNews::HungUp { peer } => {
                self.stirred.extend(self.owners.get(&peer));
                self.observed.hung_up(&peer, now);
            }
        }
    }

    fn prove(&mut self, mac: Mac, now: Time) {
        self.agent(mac, now);
        let Self { askers, observed, offer, .. } = self;
        let shared = |address: IpAddr| askers.shared(address);
        let running = observed.prove(mac, offer, &shared, now);
        if observed.settle(mac, offer) {
            self.dirty.insert(mac);
        }
        if let Some(running) = running {
            self.dirty.insert(mac);
            self.stirred.insert(mac);
            self.ran.remove(&mac);
            self.pardons.insert(mac, now);
            info!(phone = %mac, %running, "proved: it runs this");
            self.note_proved(mac, now);
        }
    }

    /// Nothing is known about registrations any more.
    pub(super) fn unlisted(&mut self) {
        self.observed.unlisted();
        self.stirred.extend(self.owners.values());
    }

    /// The NOTIFY that we send ourselves.
    pub(super) fn notice(&self, mac: Mac, event: &str, via: Via) -> Option<OwnNotify> {
        let Via::Direct { to, user } = via else { return None };
        let host = self.decided.server_address.map(|host| host.to_string()).unwrap_or_default();
        Some(OwnNotify { mac, to, user, host, event: event.to_owned() })
    }

    fn answered(&mut self, mac: Mac, result: Notified, now: Time) {
        self.note_notified(mac, &result, now);
        self.notified(mac, result);
    }

    fn notified(&mut self, mac: Mac, result: Notified) {
        self.tally.notified(&result);
        match &result {
            Notified::Answered(code) if result.is_sent() => {
                info!(phone = %mac, code, "told to look by our own NOTIFY");
            }
            Notified::Answered(code) => {
                warn!(phone = %mac, why = refusal(*code), "refused our own NOTIFY");
            }
            Notified::Silent => info!(phone = %mac, "did not answer our own NOTIFY"),
            Notified::Sent => info!(phone = %mac, "told to look"),
            Notified::InCall => info!(phone = %mac, "in a call: told later"),
            other => warn!(phone = %mac, result = ?other, "could not be told"),
        }
        if self.site.tftp.listen.is_none() && result.is_sent() {
            let wanted = self.offer.phones.get(&mac).and_then(|p| p.chosen(false)).map(|v| v.token);
            self.observed.phones.entry(mac).or_default().assumed = wanted;
        }
        self.dirty.insert(mac);
        self.stirred.insert(mac);
        self.observed.notified(mac, result);
    }

    /// A user agent that only signed firmware has opens the firmware variant.
    fn recognise(&mut self, peer: &str, agent: Option<&str>) {
        let (Some(mac), Some(agent)) = (self.owners.get(peer).copied(), agent) else { return };
        let Some(part) = self.offer.phones.get(&mac) else { return };
        let signed = self.families.get(&part.family).is_some_and(|f| f.firmware_fits(agent));
        let seen = self.observed.phones.entry(mac).or_default();
        if signed && !seen.signed {
            seen.signed = true;
            self.dirty.insert(mac);
        }
    }
}
