//! What to do now. Run again with nothing new, it asks for nothing new.

use std::net::SocketAddr;

use super::intents::Intents;
use super::observed::Observed;
use super::offer::Offer;
use super::standing::{Rules, Standing, direct, standing};
use crate::base::{Digest, Mac, Time};

/// Who tells a phone to look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Via {
    /// Asterisk, to the contact of the peer.
    Asterisk,
    /// We do, with a NOTIFY of our own, once Asterisk says that the phone is in no call.
    Direct {
        /// Where the phone is.
        to: SocketAddr,
        /// The name of a line that it runs.
        user: String,
    },
}

/// One thing to do. Carrying it out twice does no harm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Tell a phone to look.
    Notify {
        /// The phone.
        mac: Mac,
        /// What it is about, see [`Standing::about`].
        about: Digest,
        /// The peer whose contact is told: one NOTIFY to one line is enough (phones.md §2.11).
        peer: String,
        /// All its peers.
        lines: Vec<String>,
        /// The Event header.
        event: String,
        /// Who sends it.
        via: Via,
    },
}

/// How far the pace allows to go: when the last phone was told, and the last unknown one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pace {
    /// The last NOTIFY.
    pub told: Time,
    /// The last one to a phone that is only asked because nothing is known.
    pub asked: Time,
}

/// The NOTIFYs that are due and that the pace allows, those waiting longest first.
pub fn reconcile(
    offer: &Offer,
    observed: &Observed,
    intents: &Intents,
    rules: &Rules<'_>,
    pace: &mut Pace,
    now: Time,
) -> Vec<Action> {
    let mut room = allowed(rules.pacing.rate, pace.told, now);
    if room == 0 {
        return Vec::new();
    }
    let mut due: Vec<(Time, Mac, Standing)> = offer
        .phones
        .values()
        .filter_map(|part| {
            let stand = standing(part, offer, observed, intents, rules, now);
            let at = stand.due.filter(|due| *due <= now)?;
            Some((at, part.mac, stand))
        })
        .collect();
    due.sort_by_key(|(at, mac, stand)| (stand.slow, *at, *mac));
    let mut actions = Vec::new();
    for (_, mac, stand) in due {
        if room == 0 {
            break;
        }
        if stand.slow {
            if now.since(pace.asked) < rules.pacing.unknown {
                continue;
            }
            pace.asked = now;
        }
        let Some(action) = notify(offer, observed, rules, mac, &stand) else { continue };
        actions.push(action);
        pace.told = now;
        room -= 1;
    }
    actions
}

/// How many may be told: what the rate has let build up since the last, at most a fifth of a second's.
fn allowed(rate: f64, last: Time, now: Time) -> usize {
    let built = now.since(last).as_secs_f64() * rate;
    let most = (rate / 5.0).max(1.0);
    // the cast saturates, and `most` is small and not negative
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = built.min(most) as usize;
    whole
}

fn notify(
    offer: &Offer,
    observed: &Observed,
    rules: &Rules<'_>,
    mac: Mac,
    stand: &Standing,
) -> Option<Action> {
    let part = offer.phones.get(&mac)?;
    let peer = part.peers().find(|peer| observed.contact(peer).is_some())?;
    Some(Action::Notify {
        mac,
        about: stand.about?,
        peer: peer.to_owned(),
        lines: part.peers().map(str::to_owned).collect(),
        event: part.event.to_string(),
        via: via(observed, rules, mac, peer, stand.about?),
    })
}

/// Who tells it. What has a contact registered by the name that its phone runs.
fn via(observed: &Observed, rules: &Rules<'_>, mac: Mac, peer: &str, about: Digest) -> Via {
    let told = observed.phones.get(&mac).and_then(|seen| seen.told.as_ref());
    let told = told.filter(|told| told.token == about);
    let facts = observed.peers.get(peer).map(|seen| &seen.facts);
    let to = facts.and_then(|facts| facts.address).filter(|to| to.port() != 0);
    let status = facts.map_or("", |facts| &facts.status);
    match to.filter(|_| direct(told, status, rules.pacing.direct)) {
        Some(to) => Via::Direct { to, user: peer.to_owned() },
        None => Via::Asterisk,
    }
}

/// The wishes that are fulfilled: the phone runs what it shall, and has looked since it was asked to.
pub fn fulfilled(offer: &Offer, observed: &Observed, intents: &Intents) -> Vec<Mac> {
    let done = |(mac, asked): (&Mac, &Time)| {
        let Some(part) = offer.phones.get(mac) else { return Some(*mac) };
        let seen = observed.phones.get(mac)?;
        let wanted = offer.wanted(part, Some(seen))?;
        let looked = seen.sync.filter(|s| s.token == wanted && s.at > *asked).is_some();
        let booted = seen.fetched.is_some_and(|f| f.at > *asked);
        let runs = seen.running.is_some_and(|r| r.token == wanted);
        (runs && (looked || booted)).then_some(*mac)
    };
    intents.pushes.iter().filter_map(done).collect()
}
