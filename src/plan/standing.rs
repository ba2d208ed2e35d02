//! Where a phone stands between what it runs and what it shall run. One function for `status` and
//! for the reconciler, so that they cannot disagree.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::generation::PhonePart;
use super::intents::Intents;
use super::observed::{Notified, Observed, Seen, Told, refusal};
use super::offer::Offer;
use super::place::{Reach, names};
use crate::base::{Digest, Time};
use crate::family::{Artifact, Role};
use crate::model::site::{DirectMode, Pacing, PushMode};

/// Where a phone stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is proved to run what it shall run.
    Current,
    /// It runs something else and is not told yet.
    Pending,
    /// It was told, or fetches.
    Pushing,
    /// It would be told, but is in a call.
    InCall,
    /// It fetched and did not come back, or its files could not be made.
    Failed,
    /// Nothing is known about what it runs.
    Unknown,
}

impl State {
    /// Every state, as a person wants to read them.
    pub const ALL: [State; 6] = [
        State::Current,
        State::Pending,
        State::Pushing,
        State::InCall,
        State::Failed,
        State::Unknown,
    ];

    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            State::Current => "current",
            State::Pending => "pending",
            State::Pushing => "pushing",
            State::InCall => "in-call",
            State::Failed => "failed",
            State::Unknown => "unknown",
        }
    }
}

/// What decides about pushes, beside the facts.
#[derive(Clone, Debug)]
pub struct Rules<'a> {
    /// `push =`.
    pub mode: PushMode,
    /// `[push]`.
    pub pacing: &'a Pacing,
    /// Files are served by somebody else from the export: fetches are not seen.
    pub foreign: bool,
    /// When this daemon began to look: no proof can be missing from before.
    pub since: Time,
}

/// Where a phone stands, and when it is to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// For people.
    pub state: State,
    /// The same in words.
    pub detail: String,
    /// When a NOTIFY is due; none for never, as things are.
    pub due: Option<Time>,
    /// It is asked only because what it runs is unknown: slowly.
    pub slow: bool,
    /// The token that it shall run.
    pub wanted: Option<Digest>,
    /// What a NOTIFY is about: the token and the files that apply live.
    pub about: Option<Digest>,
    /// What is proved.
    pub proof: Proof,
    /// When time alone changes this; none for never.
    pub wake: Option<Time>,
}

/// What is proved about the configuration that a phone shall run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Proof {
    /// It runs it.
    Runs,
    /// It fetched it, and still has time to register.
    Waiting(Time),
    /// It fetched it and did not come back: what was seen.
    Lost(String),
    /// Nothing.
    #[default]
    Missing,
}

/// While a phone is in a call, look again so often.
const CALL_RECHECK: Duration = Duration::from_secs(5);
/// While a phone is in a call by the state of its device, its channels are asked for so often.
const CALL_ASKED: Duration = Duration::from_secs(60);
/// From the end of a call to the next look.
const CALL_ENDS: Duration = Duration::from_millis(300);
/// After Asterisk could not send, try again after this, doubled each time up to `SEND_RETRY`.
const SEND_FIRST: Duration = Duration::from_secs(1);
const SEND_RETRY: Duration = Duration::from_secs(15);
/// After so many failures in a row it is no passing trouble.
const UNSENT: u32 = 4;
/// After so many NOTIFYs without a fetch the phone counts as failed; it is still told, rarely.
const PATIENCE: u32 = 5;

/// Where the phone of `part` stands.
pub fn standing(
    part: &PhonePart,
    offer: &Offer,
    observed: &Observed,
    intents: &Intents,
    rules: &Rules<'_>,
    now: Time,
) -> Standing {
    let none = Seen::default();
    let seen = observed.phones.get(&part.mac).unwrap_or(&none);
    let Some(wanted) = offer.wanted(part, Some(seen)) else {
        return stand(State::Failed, "it has no files", None);
    };
    let live = offer.newest.shared.iter().filter(|a| a.role == Role::Live);
    let about = live.clone().fold(wanted, |about, artifact| about.mix(artifact.digest));
    let asked = intents.pushes.get(&part.mac).copied();
    let proof = if rules.foreign { Proof::Missing } else { proof(seen, wanted, rules, now) };
    let found = match &proof {
        _ if rules.foreign => foreign(seen, wanted, about, rules.pacing),
        Proof::Runs if asked.is_none() && live.clone().all(|a| applied(seen, a)) => {
            stand(State::Current, "", None)
        }
        Proof::Waiting(until) => {
            let text = "it fetched its files; waiting for it to register";
            Standing { wake: Some(*until), ..stand(State::Pushing, text, None) }
        }
        Proof::Lost(why) if asked.is_none_or(|a| seen.fetched.is_some_and(|f| f.at > a)) => {
            stand(State::Failed, why.as_str(), None)
        }
        _ => {
            let current = proof == Proof::Runs;
            tell(&Look { part, seen, observed, rules, asked, wanted, about, current }, now)
        }
    };
    Standing { wanted: Some(wanted), about: Some(about), proof, ..found }
}

fn stand(state: State, detail: impl Into<String>, due: Option<Time>) -> Standing {
    Standing {
        state,
        detail: detail.into(),
        due,
        slow: false,
        wanted: None,
        about: None,
        proof: Proof::Missing,
        wake: None,
    }
}

fn proof(seen: &Seen, wanted: Digest, rules: &Rules<'_>, now: Time) -> Proof {
    let Some(fetched) = seen.fetched.filter(|f| seen.running.is_none_or(|r| r.at < f.at)) else {
        return if seen.running.is_some_and(|r| r.token == wanted) {
            Proof::Runs
        } else {
            Proof::Missing
        };
    };
    if fetched.token != wanted {
        return Proof::Missing;
    }
    let until = fetched.at.max(rules.since).after(rules.pacing.proof);
    if now < until {
        return Proof::Waiting(until);
    }
    Proof::Lost(format!(
        "it fetched its files at {} and did not register all its lines again",
        fetched.at
    ))
}

/// A file that applies without a restart is current when the phone fetched these very bytes. Where it
/// never fetched one that we saw, nothing is known, and its next boot brings it.
fn applied(seen: &Seen, artifact: &Artifact) -> bool {
    seen.live.get(artifact.name.as_str()).is_none_or(|digest| *digest == artifact.digest)
}

/// Behind another TFTP server nothing can be proved: a phone is told once for each change.
fn foreign(seen: &Seen, wanted: Digest, about: Digest, pacing: &Pacing) -> Standing {
    if seen.assumed.is_none_or(|assumed| assumed == wanted) {
        return stand(
            State::Unknown,
            "another TFTP server serves it: what it runs cannot be proved",
            None,
        );
    }
    let told = seen.told.as_ref().filter(|t| t.token == about);
    let due = told.map_or(Time(0), |told| match told.result {
        Notified::Silent | Notified::Answered(_) => unreached(told, pacing),
        _ => told.at.after(SEND_RETRY),
    });
    stand(State::Pending, "its exported files changed", Some(due))
}

/// What decides when a phone that should look is told.
struct Look<'a> {
    part: &'a PhonePart,
    seen: &'a Seen,
    observed: &'a Observed,
    rules: &'a Rules<'a>,
    asked: Option<Time>,
    wanted: Digest,
    about: Digest,
    current: bool,
}

/// It should look: now, later, or not at all.
fn tell(look: &Look<'_>, now: Time) -> Standing {
    let known = look.seen.running.is_some() || look.seen.fetched.is_some();
    let state = if known { State::Pending } else { State::Unknown };
    let idle =
        |detail: &str| stand(if look.current { State::Current } else { state }, detail, None);
    let direct = look.rules.pacing.direct == DirectMode::Unreachable;
    let away = match look.observed.reach(look.part, look.seen) {
        Some(Reach::Peer(_)) => false,
        // It may be there and have lost its registration, as after a change of its password.
        Some(Reach::Last { .. }) if direct && !look.current => true,
        _ => return idle("not registered: it fetches its files when it boots"),
    };
    if look.rules.mode == PushMode::Manual && look.asked.is_none() {
        return idle("push = manual: handset push tells it");
    }
    let fresh = |told: &&Told| told.token == look.about && look.asked.is_none_or(|a| told.at >= a);
    let Some(told) = look.seen.told.as_ref().filter(fresh) else {
        let what = if known { "to be told" } else { "what it runs is not known; it will be asked" };
        let lost = || stranded(look.seen, look.wanted).is_some();
        let slow = look.asked.is_none() && (!known || away && !lost());
        return defer(look, Standing { slow, ..stand(state, what, Some(now)) }, now);
    };
    let slow = away && stranded(look.seen, look.wanted).is_none();
    defer(look, Standing { slow, ..after(look, told, state) }, now)
}

/// A call that Asterisk told of defers what is due, until its end is told. That may be missed, and
/// chan_sip's counters stick at times: now and then it is asked which channels there really are.
fn defer(look: &Look<'_>, found: Standing, now: Time) -> Standing {
    let Some(due) = found.due.filter(|due| *due <= now) else { return found };
    let devices =
        names(look.part, look.seen).filter_map(|peer| look.observed.peers.get(peer)?.device);
    let busy = devices.filter(|(state, _)| state.in_call()).max_by_key(|(_, since)| *since);
    let Some((state, since)) = busy else { return found };
    let asked = look.seen.told.as_ref().filter(|told| told.result == Notified::InCall);
    let since = asked.map_or(since, |told| told.at.max(since));
    let detail = format!("{}: it is told when it is idle", state.text());
    let due = Some(due.max(since.after(CALL_ASKED)));
    Standing { state: State::InCall, detail, due, ..found }
}

/// When a phone that was in a call is asked for again: soon after a call of it ended.
fn after_call(look: &Look<'_>, told: &Told) -> Time {
    let freed =
        names(look.part, look.seen).filter_map(|peer| look.observed.peers.get(peer)?.freed).max();
    match freed {
        Some(freed) if freed > told.at => freed.after(CALL_ENDS),
        // The end of a call is told of before its channel is gone.
        Some(freed) if told.at.since(freed) < CALL_RECHECK => told.at.after(CALL_ENDS),
        _ => told.at.after(CALL_RECHECK),
    }
}

/// It was told: what came of it, and when to try again.
fn after(look: &Look<'_>, told: &Told, state: State) -> Standing {
    let pacing = look.rules.pacing;
    match &told.result {
        Notified::Ordered => stand(State::Pushing, "told", Some(told.at.after(pacing.retry))),
        Notified::InCall => stand(
            State::InCall,
            "in a call: it is told when it is idle",
            Some(after_call(look, told)),
        ),
        Notified::NoAddress => {
            let text = "Asterisk cannot send to it: it is registered, and not reachable";
            stand(state, text, Some(unsent(told)))
        }
        Notified::Failed(why) => {
            // A peer is not listed for a moment while chan_sip reloads it: that heals.
            let state = if told.unsent < UNSENT { state } else { State::Failed };
            stand(state, format!("Asterisk did not send: {why}"), Some(unsent(told)))
        }
        Notified::Sent | Notified::Answered(200..=299) => {
            let wait = pacing
                .retry
                .saturating_mul(1 << told.sent.saturating_sub(1).min(16))
                .min(pacing.retry_max);
            let due = Some(told.at.after(wait));
            if told.sent < PATIENCE {
                stand(State::Pushing, "told; waiting for it to fetch", due)
            } else {
                stand(
                    State::Failed,
                    format!("told {} times, and it did not fetch its files", told.sent),
                    due,
                )
            }
        }
        Notified::Answered(code) => {
            let text = format!("it refused handset's own NOTIFY: {}", refusal(*code));
            stand(State::Failed, text, Some(unreached(told, pacing)))
        }
        Notified::Silent => {
            let text = match look.observed.reach(look.part, look.seen) {
                Some(Reach::Peer(_)) => {
                    "neither Asterisk nor handset gets an answer from it; it is registered"
                }
                _ => "not registered, and not where it was: it fetches its files when it boots",
            };
            let due =
                if reached(look) { told.at.after(SEND_RETRY) } else { unreached(told, pacing) };
            stand(state, text, Some(due))
        }
    }
}

/// Whether Asterisk has an answer from it now (chan_sip's word).
fn reached(look: &Look<'_>) -> bool {
    let mut peers = names(look.part, look.seen).filter_map(|peer| look.observed.peers.get(peer));
    peers.any(|seen| seen.facts.status.starts_with("OK"))
}

/// After so many failures in a row, which take [`SEND_FIRST`] to [`SEND_RETRY`] apart some 30 s, a phone is
/// told by ourselves.
const UNREACHED: u32 = 5;

/// Where a phone was that fetched something else than it shall run now, and has not registered since: it
/// is told there.
pub fn stranded(seen: &Seen, wanted: Digest) -> Option<SocketAddr> {
    let since = seen.running.map(|run| run.at);
    let fetched = seen.fetched.filter(|fetched| since.is_some_and(|since| since < fetched.at));
    seen.contact.filter(|to| fetched.is_some_and(|f| f.token != wanted) && to.port() != 0)
}

/// Whether the next NOTIFY to `peer` is to be our own: Asterisk has had no address for long, or it was our own
/// that the phone did not take, and Asterisk does not reach it meanwhile.
pub fn direct(told: Option<&Told>, status: &str, mode: DirectMode) -> bool {
    let Some(told) = told.filter(|t| t.unsent >= UNREACHED) else { return false };
    mode == DirectMode::Unreachable
        && match told.result {
            Notified::NoAddress => true,
            Notified::Silent | Notified::Answered(_) => !status.starts_with("OK"),
            _ => false,
        }
}

/// When a phone that did not take our own NOTIFY is told again.
fn unreached(told: &Told, pacing: &Pacing) -> Time {
    let times = told.unsent.saturating_sub(UNREACHED + 1).min(16);
    told.at.after(pacing.retry.saturating_mul(1 << times).min(pacing.retry_max))
}

fn unsent(told: &Told) -> Time {
    let wait = SEND_FIRST.saturating_mul(1 << told.unsent.saturating_sub(1).min(8));
    told.at.after(wait.min(SEND_RETRY))
}
