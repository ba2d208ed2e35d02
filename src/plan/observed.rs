//! Facts with a time about phones and peers, never wishes: a fold over events.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ladder::Climb;
pub use super::notified::{Notified, refusal};
use super::offer::Offer;
use super::place::Places;
use crate::base::{Digest, Mac, Time};
use crate::family::Role;
pub use crate::wire::ami::device::DeviceState;
pub use crate::wire::ami::peer::{PeerFacts, Visible};

/// Everything that is known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observed {
    /// Per phone; kept over restarts.
    pub phones: BTreeMap<Mac, Seen>,
    /// Per peer, as Asterisk last told; asked anew at every connect.
    pub peers: BTreeMap<String, PeerSeen>,
    /// Who asks for files and has no tag, bounded.
    pub unknown: BTreeMap<Mac, Asker>,
    pub(super) places: Places,
}

/// What is known about a phone.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// When anything was last heard of it.
    pub last: Option<Time>,
    /// Its own file, last fetched to the end from where it is known to be.
    pub fetched: Option<Fetch>,
    /// Its own file, last fetched from elsewhere: by itself, if it turns up there; else by somebody
    /// who guessed the name.
    pub doubtful: Option<Fetch>,
    /// Where it registered from when something was last proved.
    pub address: Option<IpAddr>,
    /// The contact of a line of it then, or since where it fetched its own file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<SocketAddr>,
    /// The peers that it still runs, where it shall run others: nobody else is at theirs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// The peers that it ran before it was given others: Asterisk may still have its contact there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// What it is proved to run: the sync token.
    pub running: Option<Stamped>,
    /// The sync token that it was last given on asking (`syncinfo.xml`).
    pub sync: Option<Fetch>,
    /// When it was first given that one since it was given another, or booted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Time>,
    /// Files that are applied live: the digest last fetched.
    pub live: BTreeMap<String, Digest>,
    /// The last NOTIFY.
    pub told: Option<Told>,
    /// It called itself by a name that only signed SIP firmware uses.
    pub signed: bool,
    /// Where another TFTP server serves our export: the token that it is taken to run.
    pub assumed: Option<Digest>,
    /// Its way up the firmware ladder, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub climb: Option<Box<Climb>>,
}

/// A fetch of a phone's own file, or of the token to compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fetch {
    /// The sync token in it.
    pub token: Digest,
    /// When it was asked for.
    pub at: Time,
    /// Who asked.
    #[serde(default = "nowhere")]
    pub from: IpAddr,
}

fn nowhere() -> IpAddr {
    Ipv4Addr::UNSPECIFIED.into()
}

/// A digest and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stamped {
    /// The digest.
    pub token: Digest,
    /// When.
    pub at: Time,
}

/// The NOTIFYs about one wanted state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// What they were about: the token and the live files that were wanted then.
    pub token: Digest,
    /// How many were handed to Asterisk about it.
    pub sent: u32,
    /// How many Asterisk could not send since the last one that it did.
    #[serde(default)]
    pub unsent: u32,
    /// When the last one was ordered.
    pub at: Time,
    /// What came of it.
    pub result: Notified,
}

/// A peer as Asterisk last told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PeerSeen {
    /// Asterisk's words.
    pub facts: PeerFacts,
    /// When they were heard.
    pub heard: Time,
    /// The last REGISTER that is proved.
    pub registered: Option<Time>,
    /// When its registration ends, as last told.
    pub ends: Option<Time>,
    /// Whether it is in a call, as last told, and since when; none where the AMI account hears
    /// nothing of calls. A hint: the channels are looked at before each NOTIFY.
    pub device: Option<(DeviceState, Time)>,
    /// When a call of it ended last, as far as that was heard.
    pub freed: Option<Time>,
}

/// A body that was fetched.
#[derive(Clone, Copy, Debug)]
pub struct Got<'a> {
    /// What it means.
    pub role: Role,
    /// Its name.
    pub name: &'a str,
    /// The sync token of its variant, or the digest of its bytes.
    pub digest: Digest,
}

/// Somebody without a tag.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Asker {
    /// The addresses that it asked from, the last one at the end.
    pub addresses: Vec<IpAddr>,
    /// The last name that it asked for; empty for one that was heard of by DHCP only.
    pub asked: String,
    /// When it was first heard of.
    pub first: Time,
    /// When it was last heard of.
    pub at: Time,
    /// Its DHCP vendor class.
    pub class: Option<String>,
    /// The stage of its firmware, in words.
    pub stage: Option<String>,
    /// The image that it took last.
    pub image: Option<String>,
    /// What it calls itself over HTTP.
    pub agent: Option<String>,
    /// The interface of its last DHCP message.
    pub interface: Option<String>,
}

impl Asker {
    /// Its last address.
    pub fn address(&self) -> Option<IpAddr> {
        self.addresses.last().copied()
    }

    /// It was heard of at an address.
    pub fn moves(&mut self, address: IpAddr) {
        self.addresses.retain(|known| *known != address);
        if self.addresses.len() >= ADDRESSES_MAX {
            self.addresses.remove(0);
        }
        self.addresses.push(address);
    }
}

/// So many addresses of one asker are remembered.
const ADDRESSES_MAX: usize = 4;

/// So many askers without a tag are remembered.
const UNKNOWN_MAX: usize = 256;

/// A phone that was given the token it wanted to compare, and does not ask for its own file within
/// this time, has found the two equal: a 7940 restarts at once when they differ (phones.md §2.11).
const COMPARED: Duration = Duration::from_secs(60);

/// The REGISTER of a peer that Asterisk does not list is remembered so long.
const ABSENT: Duration = Duration::from_secs(600);

/// A registration that ends so much later than the last one seen was renewed in between.
const RENEWED: Duration = Duration::from_secs(5);

impl Observed {
    /// A phone fetched a body to its end, having asked for it at `now` from `from`: it registers with
    /// what is in its own file only after that.
    pub fn fetched(&mut self, mac: Mac, got: Got<'_>, from: IpAddr, now: Time) {
        let seen = self.phones.entry(mac).or_default();
        seen.last = Some(now);
        match got.role {
            Role::Own => {
                let fetch = Some(Fetch { token: got.digest, at: now, from });
                if seen.address.is_none_or(|known| known == from) {
                    // Heard of only after the REGISTER behind it: that proved an older fetch, of files
                    // that the phone had already left behind.
                    let older = seen.fetched.is_none_or(|old| old.at < now);
                    if let Some(running) = seen.running.as_mut().filter(|r| older && r.at >= now) {
                        running.at = Time(now.0.saturating_sub(1));
                    }
                    seen.fetched = fetch;
                    seen.found = None;
                } else {
                    seen.doubtful = fetch;
                }
            }
            Role::Sync => {
                let same = seen.sync.is_some_and(|sync| sync.token == got.digest);
                seen.found = seen.found.filter(|_| same).or(Some(now));
                seen.sync = Some(Fetch { token: got.digest, at: now, from });
            }
            Role::Live => {
                seen.live.insert(got.name.to_owned(), got.digest);
            }
            Role::Firmware | Role::Plain => {}
        }
    }

    /// A phone was heard of.
    pub fn heard(&mut self, mac: Mac, now: Time) {
        self.phones.entry(mac).or_default().last = Some(now);
    }

    /// Somebody without a tag was heard of: what is known of it, to be added to.
    pub fn stranger(&mut self, mac: Mac, now: Time) -> &mut Asker {
        if self.unknown.len() >= UNKNOWN_MAX && !self.unknown.contains_key(&mac) {
            let oldest = self.unknown.iter().min_by_key(|(_, a)| a.at).map(|(mac, _)| *mac);
            oldest.map(|mac| self.unknown.remove(&mac));
        }
        let asker = self.unknown.entry(mac).or_default();
        if asker.first == Time::default() {
            asker.first = now;
        }
        asker.at = now;
        asker
    }

    /// Asterisk accepted a REGISTER of `peer`, a line of `owner`.
    pub fn registered(&mut self, peer: &str, owner: Option<Mac>, now: Time) {
        self.peers.entry(peer.to_owned()).or_default().registered = Some(now);
        if let Some(mac) = owner {
            self.phones.entry(mac).or_default().last = Some(now);
        }
    }

    /// Fresh facts about one peer.
    pub fn told_about(&mut self, facts: PeerFacts, now: Time) {
        let seen = self.peers.entry(facts.peer.clone()).or_default();
        // A Registered event may be lost at a reconnect: an expiry that rose tells of it too, and
        // that it came after the last look. One that is as before is what a reload brought back.
        let ends = facts.expires.map(|s| now.after(Duration::from_secs(s.into())));
        let renewed = match (seen.ends, ends) {
            (Some(old), Some(new)) => new > old.after(RENEWED),
            _ => seen.heard != Time::default() && seen.facts.address.is_none(),
        };
        if renewed && facts.address.is_some() {
            seen.registered = seen.registered.max(Some(seen.heard));
        }
        seen.ends = ends.or(seen.ends);
        // chan_pjsip tells no refresh; but a phone that booted registers with another Call-ID.
        if let (Some(old), Some(new)) = (&seen.facts.call_id, &facts.call_id)
            && old != new
            && facts.address.is_some()
        {
            seen.registered = Some(now);
        }
        seen.facts = facts;
        seen.heard = now;
    }

    /// The full list of peers: who is not in it is gone. chan_sip lists some not for a moment while it
    /// reloads, and tells of no REGISTER when they are back.
    pub fn listed(&mut self, all: Vec<PeerFacts>, now: Time) {
        let names: std::collections::BTreeSet<String> =
            all.iter().map(|f| f.peer.clone()).collect();
        self.peers.retain(|name, seen| {
            let listed = names.contains(name);
            if !listed {
                let facts = PeerFacts { peer: name.clone(), ..PeerFacts::default() };
                (seen.facts, seen.heard, seen.device) = (facts, now, None);
            }
            listed || seen.registered.is_some_and(|at| now.since(at) < ABSENT)
        });
        all.into_iter().for_each(|facts| self.told_about(facts, now));
    }

    /// The state of a peer's device, as Asterisk told it.
    pub fn device(&mut self, peer: &str, state: DeviceState, now: Time) {
        let seen = self.peers.entry(peer.to_owned()).or_default();
        let before = seen.device.map(|(state, _)| state);
        if before.is_some_and(DeviceState::in_call) && !state.in_call() {
            seen.freed = Some(now);
        }
        if before != Some(state) {
            seen.device = Some((state, now));
        }
    }

    /// The states of all devices that are followed: of others nothing is known.
    pub fn devices(&mut self, all: Vec<(String, DeviceState)>, now: Time) {
        let known: std::collections::BTreeMap<String, DeviceState> = all.into_iter().collect();
        for (name, seen) in &mut self.peers {
            if !known.contains_key(name) {
                seen.device = None;
            }
        }
        known.into_iter().for_each(|(peer, state)| self.device(&peer, state, now));
    }

    /// A channel of a peer ended: it may be idle now.
    pub fn hung_up(&mut self, peer: &str, now: Time) {
        self.peers.entry(peer.to_owned()).or_default().freed = Some(now);
    }

    /// The clock was set back: nothing can have happened later than now.
    pub fn set_back(&mut self, now: Time) {
        let clamp = |at: &mut Time| at.set_back(now);
        for seen in self.phones.values_mut() {
            seen.last.iter_mut().chain(&mut seen.found).for_each(clamp);
            let fetches = seen.fetched.iter_mut().chain(&mut seen.doubtful).chain(&mut seen.sync);
            fetches.for_each(|fetch| clamp(&mut fetch.at));
            seen.running.iter_mut().for_each(|running| clamp(&mut running.at));
            seen.told.iter_mut().for_each(|told| clamp(&mut told.at));
            seen.climb.iter_mut().for_each(|climb| climb.set_back(now));
        }
        self.unknown
            .values_mut()
            .flat_map(|asker| [&mut asker.first, &mut asker.at])
            .for_each(clamp);
        for seen in self.peers.values_mut() {
            clamp(&mut seen.heard);
            seen.ends = None;
            seen.registered.iter_mut().chain(&mut seen.freed).for_each(clamp);
            seen.device.iter_mut().for_each(|(_, since)| clamp(since));
        }
    }

    /// Nothing is known about registrations any more: the session is down.
    pub fn unlisted(&mut self) {
        self.peers.clear();
    }

    /// A NOTIFY for `token` was ordered.
    pub fn ordered(&mut self, mac: Mac, token: Digest, now: Time) {
        let told = &mut self.phones.entry(mac).or_default().told;
        let (sent, unsent) =
            told.as_ref().filter(|t| t.token == token).map_or((0, 0), |t| (t.sent, t.unsent));
        *told = Some(Told { token, sent, unsent, at: now, result: Notified::Ordered });
    }

    /// The answer to it.
    pub fn notified(&mut self, mac: Mac, result: Notified) {
        if let Some(told) = self.phones.get_mut(&mac).and_then(|seen| seen.told.as_mut()) {
            match result {
                _ if result.is_sent() => (told.sent, told.unsent) = (told.sent + 1, 0),
                Notified::Ordered | Notified::InCall => {}
                _ => told.unsent += 1,
            }
            told.result = result;
        }
    }

    /// What the phone fetched last, once it is proved to run it: all its lines registered since, from
    /// where it was fetched (an address that phones share, a NAT or a proxy, says nothing). To be asked
    /// after every fetch, REGISTER and look at a peer, in whatever order they are heard of; tells each
    /// proof once.
    pub fn prove(
        &mut self,
        mac: Mac,
        offer: &Offer,
        shared: &dyn Fn(IpAddr) -> bool,
        now: Time,
    ) -> Option<Digest> {
        let part = offer.phones.get(&mac)?;
        let contacts: Option<Vec<SocketAddr>> =
            part.peers().map(|peer| self.contact(peer)).collect();
        let contacts = contacts?;
        let its = self
            .phones
            .get(&mac)
            .is_some_and(|seen| part.peers().all(|peer| self.its(peer, seen).is_some()));
        let seen = self.phones.get_mut(&mac)?;
        let at = |from: IpAddr| contacts.iter().find(|c| c.ip().to_canonical() == from);
        let hidden = || contacts.iter().any(|c| shared(c.ip().to_canonical()));
        let fits = |fetch: &Fetch| at(fetch.from).is_some() || hidden();
        let newer = |fetch: &Fetch| seen.fetched.is_none_or(|f| f.at < fetch.at);
        if seen.doubtful.is_some_and(|fetch| fits(&fetch) && newer(&fetch)) {
            seen.fetched = seen.doubtful.take();
        }
        let since = |at: Time| {
            let registered = |peer| self.peers.get(peer).and_then(|p: &PeerSeen| p.registered);
            part.peers().all(|peer| registered(peer).is_some_and(|r| r >= at))
        };
        let fetched = seen.fetched.filter(|f| seen.running.is_none_or(|r| r.at < f.at));
        // It has looked since and found something else: it restarts, and fetches that before it registers.
        let leaves = |f: &Fetch| seen.sync.is_some_and(|s| s.at > f.at && s.token != f.token);
        if fetched.as_ref().is_some_and(leaves) {
            return None;
        }
        let (proof, after) = match (fetched, seen.sync) {
            (Some(fetched), _) => (fetched, fetched.at),
            (None, Some(sync)) if its && seen.running.is_none_or(|r| r.at < sync.at) => {
                (sync, seen.found.unwrap_or(sync.at).after(COMPARED))
            }
            _ => return None,
        };
        if !fits(&proof) || !since(after) {
            return None;
        }
        let contact = *at(proof.from).or(contacts.first())?;
        seen.running = Some(Stamped { token: proof.token, at: now });
        seen.address = Some(contact.ip().to_canonical());
        if part.is_run(proof.token) {
            seen.left.clear();
        }
        self.moved(mac, contact);
        Some(proof.token)
    }
}
