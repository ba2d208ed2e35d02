//! What to do now. Run again with nothing new, it asks for nothing new.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::agenda::Agenda;
use super::observed::{Observed, Seen};
use super::offer::Offer;
use super::place::{Reach, names};
use super::standing::{Standing, direct, stranded};
use crate::base::{Digest, Mac, Time};
use crate::model::site::{DirectMode, Pacing};

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

/// How far the pace allows to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pace {
    /// Up to here the time is used up by NOTIFYs.
    pub told: Time,
    /// The last one to a phone that is only asked because nothing is known.
    pub asked: Time,
}

/// The NOTIFYs that are due and that the pace allows, those waiting longest first.
pub fn reconcile(
    agenda: &Agenda,
    offer: &Offer,
    observed: &Observed,
    pacing: &Pacing,
    pace: &mut Pace,
    now: Time,
) -> Vec<Action> {
    let mut room = allowed(pacing.rate, pace, now);
    let mut actions = Vec::new();
    if room == 0 {
        return actions;
    }
    let mut told: u32 = 0;
    for (mac, stand) in agenda.due(now) {
        if stand.slow && now.since(pace.asked) < pacing.unknown {
            break;
        }
        let Some(action) = notify(offer, observed, pacing, mac, stand) else { continue };
        actions.push(action);
        told += 1;
        if stand.slow {
            pace.asked = now;
        }
        room -= 1;
        if room == 0 {
            break;
        }
    }
    // What was not used is not lost: the pace is that of the rate, however often this is asked.
    pace.told = pace.told.after(Duration::from_secs_f64(f64::from(told) / pacing.rate));
    actions
}

/// How many may be told: what the rate has let build up, at most a fifth of a second's.
fn allowed(rate: f64, pace: &mut Pace, now: Time) -> usize {
    let most = Duration::from_secs_f64((1.0 / rate).max(0.2));
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    pace.told = pace.told.max(Time(now.0.saturating_sub(most)));
    let built = now.since(pace.told).as_secs_f64() * rate;
    // A hair less than a whole one, by the rounding of fractions, is one.
    // the cast saturates, and `built` is small and not negative
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = (built + 1e-6) as usize;
    whole
}

fn notify(
    offer: &Offer,
    observed: &Observed,
    pacing: &Pacing,
    mac: Mac,
    stand: &Standing,
) -> Option<Action> {
    let part = offer.phones.get(&mac)?;
    let none = Seen::default();
    let seen = observed.phones.get(&mac).unwrap_or(&none);
    let reach = observed.reach(part, seen)?;
    let peer = match reach {
        Reach::Peer(peer) => peer,
        Reach::Last { user, .. } => user,
    };
    let all: BTreeSet<&str> = names(part, seen).chain(part.peers()).collect();
    Some(Action::Notify {
        mac,
        about: stand.about?,
        peer: peer.to_owned(),
        lines: all.into_iter().map(str::to_owned).collect(),
        event: part.event.to_string(),
        via: via(observed, pacing, seen, reach, stand),
    })
}

/// Who tells it. What has a contact registered by the name that its phone runs; one that fetched something
/// else and did not register since is told where it was: Asterisk does not reach it.
fn via(
    observed: &Observed,
    pacing: &Pacing,
    seen: &Seen,
    reach: Reach<'_>,
    stand: &Standing,
) -> Via {
    let (user, to) = match reach {
        Reach::Last { to, user } => (user, Some(to)),
        Reach::Peer(peer) => {
            let told = seen.told.as_ref().filter(|told| Some(told.token) == stand.about);
            let facts = observed.peers.get(peer).map(|seen| &seen.facts);
            let to = facts.and_then(|facts| facts.address).filter(|to| to.port() != 0);
            let status = facts.map_or("", |facts| &facts.status);
            let lost = stand.wanted.and_then(|wanted| stranded(seen, wanted));
            let lost = lost.filter(|_| pacing.direct == DirectMode::Unreachable);
            (peer, lost.or_else(|| to.filter(|_| direct(told, status, pacing.direct))))
        }
    };
    to.map_or(Via::Asterisk, |to| Via::Direct { to, user: user.to_owned() })
}

/// Whether the wish that a phone be told, of `asked`, is fulfilled: the phone runs what it shall, and
/// has looked since.
pub fn fulfilled(offer: &Offer, observed: &Observed, mac: Mac, asked: Time) -> bool {
    let Some(part) = offer.phones.get(&mac) else { return true };
    let Some(seen) = observed.phones.get(&mac) else { return false };
    let Some(wanted) = offer.wanted(part, Some(seen)) else { return false };
    let looked = seen.sync.filter(|s| s.token == wanted && s.at > asked).is_some();
    let booted = seen.fetched.is_some_and(|f| f.at > asked);
    let runs = seen.running.is_some_and(|r| r.token == wanted);
    runs && (looked || booted)
}
