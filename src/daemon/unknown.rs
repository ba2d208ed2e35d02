//! What the core does with news beside proving things: it writes them down, tells those who follow, and
//! remembers who has no tag.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::core::Core;
use super::event::{Outcome, Transfer};
use super::strange::Strange;
use super::trace::follow::Start;
use super::trace::{Bounds, Feed};
use crate::base::{FileName, Mac, Time};
use crate::control::{Answer, ErrorKind, UnknownPhone};
use crate::family::makers::maker;
use crate::family::stage::Stages;
use crate::family::{Family, Role};
use crate::plan::boot::fact::{Fact, What};
use crate::plan::boot::{Exchange, fact};
use crate::plan::generation::PhonePart;
use crate::plan::observed::{Asker, Notified};
use crate::plan::offer::Owner;
use crate::plan::unknown::nearest;

/// Who has no tag is written down so often.
const SAVE: Duration = Duration::from_secs(5);

/// What is to be written down about those without a tag.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    dirty: bool,
    saved: Time,
}

impl Strangers {
    pub(super) fn set_back(&mut self, now: Time) {
        self.saved.set_back(now);
    }
}

impl Core {
    /// The stages of the families in force.
    pub(super) fn learn(&mut self) {
        let families = self.families.families.values().map(AsRef::as_ref);
        self.ledger.learn(Arc::new(Stages::new(families)));
    }

    /// What phones without a tag get.
    pub(super) fn show_strangers(&self) {
        let look = self.look.as_ref();
        // What is held back may hold tags.
        let look = look.filter(|look| self.site.unknown_file && look.hold.is_none());
        self.out.served.send_modify(|served| {
            let served = Arc::make_mut(served);
            let old = served.strange.take();
            served.strange = look.map(|look| {
                let tagged = look.tags.iter().map(|tag| tag.mac).collect();
                Arc::new(Strange::new(&self.families, tagged, old.as_deref()))
            });
        });
    }

    /// A request for a file came to its end. `named`: the phone whose MAC the name has.
    pub(super) fn note(&mut self, transfer: Transfer, named: Option<Mac>, now: Time) {
        let address = transfer.asker.ip().to_canonical();
        let ticket = transfer.ticket;
        let known = named.or_else(|| ticket?.mac).or_else(|| self.askers.only(address));
        let tagged = known.is_some_and(|mac| self.offer.phones.contains_key(&mac));
        if named.is_some() && !tagged && self.access.is_scanner(address) {
            // Its guesses are no phones; `status` counts it.
            self.forget_at(address);
            return;
        }
        let missing = transfer.outcome == Outcome::NotFound;
        let hidden = missing && named.is_some() && tagged && self.is_refused(&transfer.name);
        let own = ticket.is_some_and(|ticket| ticket.role == Role::Own);
        let name = (!tagged).then(|| transfer.name.clone());
        let complete = transfer.outcome == Outcome::Complete;
        let end = transfer.at.after(Duration::from_millis(transfer.millis));
        let agent = transfer.agent.clone();
        let mac = self.ledger.file(transfer, known, hidden, now);
        let Some(mac) = mac else { return };
        if tagged && !own {
            return;
        }
        match (self.offer.phones.get(&mac), name) {
            (Some(part), _) if own => self.awaits(&part.clone(), end, now),
            (None, Some(name)) => {
                self.stranger(mac, address, &name, complete, now);
                if let (Some(agent), Some(asker)) = (agent, self.observed.unknown.get_mut(&mac)) {
                    asker.agent = Some(fact::short(&agent));
                }
            }
            _ => {}
        }
    }

    /// A phone has its own file since `end`: its next REGISTER is worth a line, also one that was heard of
    /// before the fetch was.
    fn awaits(&mut self, part: &PhonePart, end: Time, now: Time) {
        self.ledger.awaits(part.peers());
        let registered = |peer: &&str| {
            let seen = self.observed.peers.get(*peer);
            seen.and_then(|seen| seen.registered).is_some_and(|at| at >= end)
        };
        let done: Vec<&str> = part.peers().filter(registered).collect();
        done.into_iter().for_each(|peer| self.note_registered(part.mac, peer, now));
    }

    /// Whether a phone with a tag has a file of that name, and gets it when it is known who asks.
    fn is_refused(&self, name: &str) -> bool {
        let Ok(name) = FileName::requested(name.as_bytes()) else { return false };
        let Some(Owner::Phone(mac)) = self.offer.owner(&name) else { return false };
        let Some(part) = self.offer.phones.get(&mac) else { return true };
        let choice = self.offer.choice(part, self.observed.phones.get(&mac));
        // A loader must not find it: that is no refusal.
        let hunts = self.ledger.hunts(mac);
        !hunts || part.file(choice.hunting, self.offer.ladder(part), &name).is_some()
    }

    fn stranger(&mut self, mac: Mac, address: IpAddr, name: &str, complete: bool, now: Time) {
        let stage = self.ledger.stage(mac).map(|stage| stage.title.clone());
        let image = complete && self.ledger.stages().image(name).is_some();
        let asker = self.observed.stranger(mac, now);
        asker.moves(address);
        asker.asked = fact::short(name);
        asker.stage = stage.or_else(|| asker.stage.take());
        if image {
            asker.image = Some(fact::short(name));
        }
        self.strangers.dirty = true;
    }

    /// A scanner's guesses are no phones.
    fn forget_at(&mut self, address: IpAddr) {
        let before = self.observed.unknown.len();
        let guessed = |asker: &Asker| asker.addresses == [address] && asker.class.is_none();
        self.observed.unknown.retain(|_, asker| !guessed(asker));
        self.strangers.dirty |= self.observed.unknown.len() != before;
    }

    /// A DHCP message. A client without a tag is listed when a family recognises it.
    pub(super) fn note_exchange(&mut self, exchange: &Exchange, now: Time) {
        let tagged = self.offer.phones.contains_key(&exchange.mac);
        let class = exchange.class.as_deref().map(str::as_bytes);
        let listed = self.observed.unknown.contains_key(&exchange.mac);
        let mut families = self.families.families.values();
        let fits = families.any(|family| family.recognises(exchange.mac, class));
        if !tagged && !listed && !fits {
            return;
        }
        let fact = Fact::exchange(exchange);
        if !tagged {
            let asker = self.observed.stranger(exchange.mac, now);
            if let Some(address) = fact.address {
                asker.moves(address);
            }
            if let Some(class) = &exchange.class {
                asker.class = Some(fact::short(class));
            }
            if exchange.interface.is_some() {
                asker.interface.clone_from(&exchange.interface);
            }
            self.strangers.dirty = true;
        }
        self.ledger.other(fact, now);
    }

    /// A REGISTER: the first one after the phone fetched its file is worth a line.
    pub(super) fn note_registered(&mut self, mac: Mac, peer: &str, now: Time) {
        if self.ledger.awaited(peer) {
            let address = self.observed.contact(peer).map(|at| at.ip().to_canonical());
            let what = What::Registered(peer.to_owned());
            self.ledger.other(Fact { at: now, mac: Some(mac), address, what }, now);
        }
    }

    /// A proof: all its lines are registered.
    pub(super) fn note_proved(&mut self, mac: Mac, now: Time) {
        let Some(part) = self.offer.phones.get(&mac).cloned() else { return };
        part.peers().for_each(|peer| self.note_registered(mac, peer, now));
    }

    /// What came of a NOTIFY.
    pub(super) fn note_notified(&mut self, mac: Mac, result: &Notified, now: Time) {
        let what = What::Notified(result.clone());
        self.ledger.other(Fact { at: now, mac: Some(mac), address: None, what }, now);
    }

    /// Tells those who follow, and writes down what is due.
    pub(super) fn tell(&mut self, now: Time) {
        for fact in self.ledger.expired(now) {
            // Nobody there named itself: the neighbour table may know who it was.
            let mac = fact.address.and_then(|address| self.access.neighbour(address));
            if let (Some(mac), Some(address), What::File(file)) = (mac, fact.address, &fact.what)
                && !self.offer.phones.contains_key(&mac)
            {
                self.stranger(mac, address, &file.name, false, now);
            }
            self.ledger.other(Fact { mac, ..fact }, now);
        }
        let bounds = self.bounds();
        self.ledger.look(&mut self.store, bounds, self.session.up, now);
        if self.strangers.dirty && now.since(self.strangers.saved) >= SAVE {
            self.save_strangers(now);
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds { age: self.site.journal_age, bytes: self.site.journal_bytes }
    }

    fn save_strangers(&mut self, now: Time) {
        self.strangers = Strangers { dirty: false, saved: now };
        let (tagged, age) = (&self.offer.phones, self.site.journal_age);
        let listed = |mac: &Mac, at: Time| !tagged.contains_key(mac) && now.since(at) < age;
        self.observed.unknown.retain(|mac, asker| listed(mac, asker.at));
        self.store.save_unknown(&self.observed.unknown);
    }

    /// Everything becomes durable.
    pub(super) fn write_down(&mut self, now: Time) {
        let bounds = self.bounds();
        self.ledger.write(&mut self.store, bounds, now);
        if self.strangers.dirty {
            self.save_strangers(now);
        }
    }

    /// Somebody wants to know what phones do.
    pub(super) fn trace(
        &mut self,
        words: &[String],
        since: Option<u64>,
        follow: bool,
        now: Time,
    ) -> Result<(Start, mpsc::Receiver<Feed>), Answer> {
        let mut only = BTreeSet::new();
        for word in words {
            match (self.named(word), word.parse::<Mac>()) {
                (Ok(macs), _) => only.extend(macs),
                (Err(_), Ok(mac)) => drop(only.insert(mac)),
                (Err(refusal), Err(_)) => return Err(refusal),
            }
        }
        let Some(news) = self.ledger.follow(self.session.up) else {
            let message = "too many follow already".into();
            return Err(Answer::Error { kind: ErrorKind::Unavailable, message });
        };
        let since = since.map(|seconds| Time(now.0.saturating_sub(seconds.saturating_mul(1000))));
        let start = Start {
            history: self.ledger.history(self.store.journal()),
            stages: self.ledger.stages(),
            served: self.out.served.subscribe(),
            only: (!only.is_empty()).then_some(only),
            since,
            follow,
            hears: self.session.up,
        };
        Ok((start, news))
    }

    /// Who asks and has no tag, the newest first.
    pub(super) fn unknown_phones(&self) -> Vec<UnknownPhone> {
        let tagged = |mac: &Mac| self.offer.phones.contains_key(mac);
        let mut all: Vec<(&Mac, &Asker)> =
            self.observed.unknown.iter().filter(|(mac, _)| !tagged(mac)).collect();
        all.sort_by_key(|(_, asker)| std::cmp::Reverse(asker.at));
        all.into_iter().map(|(mac, asker)| self.unknown_phone(*mac, asker)).collect()
    }

    fn unknown_phone(&self, mac: Mac, asker: &Asker) -> UnknownPhone {
        let (family, model) = self.looks_like(mac, asker);
        let image = asker.image.as_ref().map(|image| format!("took {image}"));
        let told: Vec<String> = asker.stage.iter().cloned().chain(image).collect();
        UnknownPhone {
            mac,
            maker: maker(mac, asker.class.as_deref().map(str::as_bytes)).map(str::to_owned),
            family,
            model: model.clone(),
            firmware: (!told.is_empty()).then(|| told.join("; ")),
            class: asker.class.clone(),
            user_agent: asker.agent.clone(),
            interface: asker.interface.clone(),
            addresses: asker.addresses.iter().map(ToString::to_string).collect(),
            asked: (!asker.asked.is_empty()).then(|| asker.asked.clone()),
            first_seen: asker.first.to_string(),
            last_seen: asker.at.to_string(),
            near: self.near(mac),
            tag: model
                .map_or_else(|| format!(";MAC={mac}"), |model| format!(";MAC={mac} model={model}")),
        }
    }

    /// The family and the model: by the vendor class, what it calls itself over HTTP, what it asks for, and
    /// its MAC.
    fn looks_like(&self, mac: Mac, asker: &Asker) -> (Option<String>, Option<String>) {
        let class = asker.class.as_deref().map(str::as_bytes);
        let agent = asker.agent.as_deref();
        let families = || self.families.families.values().map(AsRef::as_ref);
        let by = |pattern: &dyn Fn(&Family) -> Option<Option<String>>| {
            families().find_map(|f: &Family| Some((Some(f.name.clone()), pattern(f)?)))
        };
        let by_class = by(&|family| Some(family.dhcp_class(class?)?.model.clone()));
        let by_agent = by(&|family| Some(family.user_agent(agent?)?.model.clone()));
        let family = |told: &Option<(Option<String>, _)>| told.as_ref()?.0.clone();
        let model = |told: &Option<(_, Option<String>)>| told.as_ref()?.1.clone();
        let stages = self.ledger.stages();
        let by_name = || {
            let id = stages.fitting(&[stages.symbol(&asker.asked)?]).first().copied()?;
            stages.family(id).map(str::to_owned)
        };
        let by_mac = || families().find(|f| f.recognises(mac, class)).map(|f| f.name.clone());
        let named = family(&by_class).or_else(|| family(&by_agent));
        (named.or_else(by_name).or_else(by_mac), model(&by_class).or_else(|| model(&by_agent)))
    }

    /// The tag that differs the least, of phones that were never heard of.
    fn near(&self, mac: Mac) -> Option<String> {
        let look = self.look.as_ref()?;
        let heard = |mac: &Mac| self.observed.phones.get(mac).is_some_and(|s| s.last.is_some());
        let tags = look.tags.iter().filter(|tag| !heard(&tag.mac));
        let (tag, how) = nearest(mac, tags.map(|tag| (tag.mac, tag)))?;
        Some(format!("{}:{} has {} ({how})", tag.file, tag.line, tag.mac))
    }
}
