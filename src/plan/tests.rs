//! The plan against a hand-set clock: what is told to whom, when, and when it counts as done.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::agenda::Agenda;
use super::generation::{Generation, LinePart, PhonePart};
use super::intents::Intents;
use super::observed::{Got, Notified, Observed, PeerFacts, Visible};
use super::offer::{Offer, Parts, Passage, changes, offer};
use super::reconcile::{Action, Pace, Via, fulfilled, reconcile};
use super::standing::{Proof, Rules, Standing, State, standing};
use crate::base::{Body, Digest, FileName, Key, Mac, Time};
use crate::family::{Artifact, Audience, Role, Step, Variant};
use crate::model::site::{DirectMode, Pacing, PushMode};

fn digest(text: &str) -> Digest {
    Key::new([1; 32]).digest("test", [text.as_bytes()])
}

fn mac(n: u8) -> Mac {
    Mac::new([0, 0x18, 0xb9, 0, 0, n]).unwrap()
}

fn peer(n: u8, line: u8) -> String {
    format!("{n}{line:02}")
}

/// Phone `n` with two lines whose files and credentials say `text` and `secret`.
fn part(n: u8, text: &str, secret: &str) -> Arc<PhonePart> {
    let artifact = |name: String, audience, role| Artifact {
        name: FileName::new(&name).unwrap(),
        body: Body::from(format!("{text} {secret}").into_bytes()),
        digest: digest(text),
        audience,
        role,
        secret: role == Role::Own,
    };
    let artifacts = vec![
        artifact(format!("SIP{}.cnf", mac(n).upper()), Audience::Phone, Role::Own),
        artifact("syncinfo.xml".into(), Audience::Asker, Role::Sync),
    ];
    let line = |number| LinePart {
        number,
        peer: peer(n, number),
        tech: crate::base::Tech::Sip,
        label: String::new(),
        visible: Visible::default(),
    };
    Arc::new(PhonePart {
        mac: mac(n),
        family: "cisco-79x0".into(),
        model: "7960".into(),
        lines: vec![line(1), line(2)],
        variants: vec![Variant {
            step: Step::default(),
            token: digest(&format!("{text}{secret}")),
            artifacts,
        }],
        credentials: digest(secret),
        event: "check-sync".into(),
    })
}

fn live(text: &str) -> Artifact {
    let name = FileName::new("dialplan.xml").unwrap();
    Artifact {
        name,
        body: Body::from(text.as_bytes().to_vec()),
        digest: digest(text),
        audience: Audience::Shared,
        role: Role::Live,
        secret: false,
    }
}

fn generation(parts: &[Arc<PhonePart>], dialplan: &str) -> Arc<Generation> {
    let phones = parts.iter().map(|p| (p.mac, p.clone())).collect();
    let shared = Arc::new(vec![live(dialplan)]);
    Arc::new(Generation { id: 1, shared, phones, ..Generation::default() })
}

/// A site under a clock that the test moves.
struct Desk {
    now: Time,
    offer: Offer,
    observed: Observed,
    intents: Intents,
    pacing: Pacing,
    pace: Pace,
    mode: PushMode,
    foreign: bool,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Desk {
    fn new(phones: u8) -> Self {
        let parts: Vec<_> = (1..=phones).map(|n| part(n, "old", "s")).collect();
        let pacing = Pacing {
            rate: 5.0,
            retry: MINUTE,
            retry_max: MINUTE * 15,
            proof: MINUTE * 3,
            unknown: Duration::from_secs(30),
            direct: DirectMode::Unreachable,
        };
        Self {
            now: Time(1_000_000),
            offer: offer(&generation(&parts, "dial"), None, Passage::FREE),
            observed: Observed::default(),
            intents: Intents::default(),
            pacing,
            pace: Pace::default(),
            mode: PushMode::Auto,
            foreign: false,
        }
    }

    /// All phones booted from the offer and registered.
    fn running(phones: u8) -> Self {
        let mut desk = Self::new(phones);
        (1..=phones).for_each(|n| desk.boot(n));
        desk
    }

    fn wait(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.after(time);
        self
    }

    fn edit(&mut self, n: u8, text: &str, secret: &str, loaded: bool) -> &mut Self {
        let mut phones = self.offer.newest.phones.clone();
        phones.insert(mac(n), part(n, text, secret));
        let parts: Vec<_> = phones.into_values().collect();
        let passage = Passage { loaded, ..Passage::FREE };
        self.offer = offer(&generation(&parts, "dial"), Some(&self.offer), passage);
        self
    }

    fn fetch(&mut self, n: u8) -> &mut Self {
        let token = self.offer.phones[&mac(n)].variants[0].token;
        self.got(n, Role::Own, "SIP.cnf", token).got(n, Role::Live, "dialplan.xml", digest("dial"))
    }

    fn got(&mut self, n: u8, role: Role, name: &str, digest: Digest) -> &mut Self {
        self.observed.fetched(mac(n), Got { role, name, digest }, [127, 0, 1, n].into(), self.now);
        self
    }

    fn sync(&mut self, n: u8) -> &mut Self {
        let token = self.offer.phones[&mac(n)].variants[0].token;
        self.got(n, Role::Sync, "syncinfo.xml", token)
    }

    fn register(&mut self, n: u8, line: u8) -> &mut Self {
        let address = Some(([127, 0, 1, n], 5060).into());
        self.observed.registered(&peer(n, line), Some(mac(n)), self.now);
        let facts =
            PeerFacts { peer: peer(n, line), address, expires: Some(60), ..PeerFacts::default() };
        self.observed.told_about(facts, self.now);
        self.observed.prove(mac(n), &self.offer, &|_| false, self.now);
        self
    }

    fn boot(&mut self, n: u8) {
        self.fetch(n).wait(Duration::from_secs(2)).register(n, 1).register(n, 2);
    }

    fn rules(&self) -> Rules<'_> {
        Rules { mode: self.mode, pacing: &self.pacing, foreign: self.foreign, since: Time(0) }
    }

    /// Runs the reconciler and records its orders as the core does; the phones that are told.
    fn told(&mut self) -> Vec<u8> {
        self.told_with(&Notified::Sent)
    }

    /// The same with another answer of Asterisk's.
    fn told_with(&mut self, result: &Notified) -> Vec<u8> {
        let actions = self.actions();
        let told = actions.into_iter().map(|Action::Notify { mac, about, .. }| {
            self.observed.ordered(mac, about, self.now);
            self.observed.notified(mac, result.clone());
            mac.bytes()[5]
        });
        told.collect()
    }

    /// What the reconciler orders now, with each result as if told at once.
    fn via(&mut self, result: &Notified) -> Vec<Via> {
        let actions = self.actions();
        let told = actions.into_iter().map(|Action::Notify { mac, about, via, .. }| {
            self.observed.ordered(mac, about, self.now);
            self.observed.notified(mac, result.clone());
            via
        });
        told.collect()
    }

    fn actions(&mut self) -> Vec<Action> {
        let mut agenda = Agenda::default();
        for part in self.offer.phones.values() {
            agenda.set(part.mac, Some(self.standing(part)));
        }
        let (offer, observed) = (&self.offer, &self.observed);
        reconcile(&agenda, offer, observed, &self.pacing, &mut self.pace, self.now)
    }

    fn state(&self, n: u8) -> State {
        self.standing(&self.offer.phones[&mac(n)]).state
    }

    fn standing(&self, part: &PhonePart) -> Standing {
        standing(part, &self.offer, &self.observed, &self.intents, &self.rules(), self.now)
    }

    /// The phones whose wishes are fulfilled.
    fn fulfilled(&self) -> Vec<Mac> {
        let wishes = self.intents.pushes.iter();
        let done =
            wishes.filter(|(mac, asked)| fulfilled(&self.offer, &self.observed, **mac, **asked));
        done.map(|(mac, _)| *mac).collect()
    }
}

#[test]
fn a_phone_that_runs_what_it_shall_is_left_alone() {
    let mut desk = Desk::running(3);
    assert_eq!(desk.state(1), State::Current);
    for _ in 0..100 {
        assert_eq!(desk.wait(MINUTE).told(), [0; 0]);
    }
}

#[test]
fn only_the_changed_phone_is_told_and_only_once() {
    let mut desk = Desk::running(20);
    desk.edit(7, "new", "s", true);
    assert_eq!(desk.state(7), State::Pending);
    assert_eq!(desk.wait(Duration::from_secs(1)).told(), [7]);
    assert_eq!(desk.state(7), State::Pushing);
    assert_eq!(desk.told(), [0; 0], "running it again does nothing");
    assert_eq!(desk.wait(Duration::from_secs(50)).told(), [0; 0]);
    desk.sync(7).fetch(7);
    assert_eq!(desk.state(7), State::Pushing);
    desk.wait(Duration::from_secs(5)).register(7, 1);
    assert_eq!(desk.state(7), State::Pushing, "one of two lines proves nothing");
    desk.register(7, 2);
    assert_eq!(desk.state(7), State::Current);
    assert_eq!(desk.wait(MINUTE * 30).told(), [0; 0]);
}

#[test]
fn a_change_to_all_is_paced() {
    let mut desk = Desk::running(20);
    (1..=20).for_each(|n| {
        desk.edit(n, "new", "s", true);
    });
    let mut told = Vec::new();
    for _ in 0..40 {
        let now = desk.wait(Duration::from_millis(100)).told();
        assert!(now.len() <= 1, "at 5 a second no two go out together: {now:?}");
        told.extend(now);
    }
    told.sort_unstable();
    assert_eq!(told, (1..=20).collect::<Vec<u8>>());
}

#[test]
fn silence_is_answered_with_growing_pauses() {
    let mut desk = Desk::running(1);
    desk.edit(1, "new", "s", true);
    let mut at = Vec::new();
    for second in 0..3600_u64 {
        if !desk.wait(Duration::from_secs(1)).told().is_empty() {
            at.push(second);
        }
    }
    assert_eq!(at, [0, 60, 180, 420, 900, 1800, 2700]);
    assert_eq!(desk.state(1), State::Failed);
    desk.boot(1);
    assert_eq!(desk.state(1), State::Current, "it came back by itself");
}

#[test]
fn a_fetch_without_a_registration_fails_after_its_time() {
    let mut desk = Desk::running(1);
    desk.edit(1, "new", "s", true);
    desk.told();
    desk.wait(Duration::from_secs(30)).fetch(1);
    assert_eq!(desk.wait(MINUTE * 2).told(), [0; 0]);
    assert_eq!(desk.state(1), State::Pushing);
    desk.wait(MINUTE * 2);
    assert_eq!((desk.state(1), desk.told()), (State::Failed, vec![]));
    desk.register(1, 1).register(1, 2);
    assert_eq!(desk.state(1), State::Current);
}

#[test]
fn a_fetch_that_is_heard_of_late_counts_before_the_one_that_never_registered() {
    let mut desk = Desk::new(1);
    let other = digest("a load on the way");
    desk.got(1, Role::Own, "SIP.cnf", other).wait(MINUTE);
    let fetched = desk.now;
    desk.wait(Duration::from_millis(5)).register(1, 1).register(1, 2);
    assert_eq!(desk.observed.phones[&mac(1)].running.map(|r| r.token), Some(other));
    let now = std::mem::replace(&mut desk.now, fetched);
    desk.fetch(1);
    desk.now = now;
    desk.observed.prove(mac(1), &desk.offer, &|_| false, now);
    let wanted = desk.offer.phones[&mac(1)].variants[0].token;
    assert_eq!(desk.observed.phones[&mac(1)].running.map(|r| r.token), Some(wanted));
}

#[test]
fn a_stranger_who_fetches_a_phones_file_proves_nothing() {
    let mut desk = Desk::running(1);
    desk.edit(1, "new", "s", true);
    let token = desk.offer.phones[&mac(1)].variants[0].token;
    let got = Got { role: Role::Own, name: "SIP.cnf", digest: token };
    desk.observed.fetched(mac(1), got, [127, 0, 9, 9].into(), desk.now);
    desk.wait(Duration::from_secs(5)).register(1, 1).register(1, 2);
    assert_eq!(desk.state(1), State::Pending, "it registered from where nobody fetched");
    assert_eq!(desk.told(), [1]);
    desk.fetch(1).wait(Duration::from_secs(5)).register(1, 1).register(1, 2);
    assert_eq!(desk.state(1), State::Current);
}

#[test]
fn a_phone_that_moved_is_believed_where_it_turns_up() {
    let mut desk = Desk::running(1);
    desk.edit(1, "new", "s", true);
    let token = desk.offer.phones[&mac(1)].variants[0].token;
    desk.wait(MINUTE);
    let moved: std::net::IpAddr = [127, 0, 7, 7].into();
    let got = Got { role: Role::Own, name: "SIP.cnf", digest: token };
    desk.observed.fetched(mac(1), got, moved, desk.now);
    desk.wait(Duration::from_secs(2));
    for line in [1, 2] {
        desk.observed.registered(&peer(1, line), Some(mac(1)), desk.now);
        let facts = PeerFacts {
            peer: peer(1, line),
            address: Some((moved, 5060).into()),
            ..PeerFacts::default()
        };
        desk.observed.told_about(facts, desk.now);
    }
    assert_eq!(desk.observed.prove(mac(1), &desk.offer, &|_| false, desk.now), Some(token));
    assert_eq!(desk.state(1), State::Current);
}

#[test]
fn a_call_defers_and_does_not_count() {
    let mut desk = Desk::running(1);
    desk.edit(1, "new", "s", true);
    assert_eq!(desk.told(), [1]);
    desk.observed.notified(mac(1), Notified::InCall);
    assert_eq!(desk.state(1), State::InCall);
    assert_eq!(desk.wait(Duration::from_secs(4)).told(), [0; 0]);
    assert_eq!(desk.wait(Duration::from_secs(2)).told(), [1]);
}

#[test]
fn what_asterisk_could_not_send_is_tried_again_soon_and_then_shown() {
    let mut desk = Desk::running(1);
    desk.edit(1, "new", "s", true);
    let mut at = Vec::new();
    for second in 0..60_u64 {
        let result = Notified::Failed("no peer".into());
        if !desk.wait(Duration::from_secs(1)).told_with(&result).is_empty() {
            at.push((second, desk.state(1)));
        }
    }
    let seconds: Vec<u64> = at.iter().map(|(s, _)| *s).collect();
    assert_eq!(seconds, [0, 1, 3, 7, 15, 30, 45]);
    assert_eq!((at[2].1, at[3].1), (State::Pending, State::Failed));
}

#[test]
fn the_offline_are_told_when_they_return() {
    let mut desk = Desk::running(1);
    desk.pacing.direct = DirectMode::Never;
    let gone = |line| PeerFacts { peer: peer(1, line), ..PeerFacts::default() };
    desk.observed.listed(vec![gone(1), gone(2)], desk.now);
    desk.edit(1, "new", "s", true);
    assert_eq!(desk.wait(MINUTE).told(), [0; 0]);
    assert_eq!(desk.state(1), State::Pending);
    desk.register(1, 2);
    assert_eq!(desk.wait(MINUTE).told(), [1]);
}

#[test]
fn what_nobody_knows_is_asked_slowly() {
    let mut desk = Desk::new(4);
    (1..=4).for_each(|n| {
        desk.register(n, 1).register(n, 2);
    });
    assert_eq!(desk.state(1), State::Unknown);
    let mut told = Vec::new();
    for _ in 0..600 {
        told.extend(desk.wait(Duration::from_millis(100)).told());
    }
    assert_eq!(told.len(), 2, "one in 30 s");
    // It finds the tokens equal and restarts not: its next REGISTER tells.
    desk.sync(1).wait(MINUTE * 2).register(1, 1).register(1, 2);
    assert_eq!(desk.state(1), State::Current);
}

#[test]
fn manual_means_manual_and_a_wish_is_fulfilled_once() {
    let mut desk = Desk::running(2);
    desk.mode = PushMode::Manual;
    desk.edit(1, "new", "s", true).wait(MINUTE);
    assert_eq!(desk.told(), [0; 0]);
    desk.intents.pushes = BTreeMap::from([(mac(1), desk.now), (mac(2), desk.now)]);
    let mut told = desk.told();
    told.extend(desk.wait(Duration::from_secs(1)).told());
    assert_eq!(told, [1, 2]);
    desk.wait(Duration::from_secs(20)).sync(1).sync(2);
    assert_eq!(desk.fulfilled(), [mac(2)], "2 is current and has looked");
    desk.boot(1);
    assert_eq!(desk.fulfilled(), [mac(1), mac(2)]);
}

#[test]
fn a_new_dial_plan_needs_a_look_and_no_restart() {
    let mut desk = Desk::running(1);
    let parts: Vec<_> = desk.offer.phones.values().cloned().collect();
    desk.offer = offer(&generation(&parts, "dial 2"), Some(&desk.offer), Passage::FREE);
    assert_eq!(desk.wait(MINUTE).told(), [1]);
    desk.sync(1);
    desk.got(1, Role::Live, "dialplan.xml", digest("dial 2"));
    assert_eq!(desk.state(1), State::Current);
}

#[test]
fn changed_credentials_wait_for_asterisk_and_nothing_else_does() {
    let mut desk = Desk::running(2);
    let old = desk.offer.phones[&mac(1)].clone();
    desk.edit(1, "old", "changed", false).edit(2, "label", "s", false);
    assert_eq!(desk.offer.phones[&mac(1)], old);
    assert_eq!(desk.offer.waiting(), &BTreeSet::from([mac(1)]));
    assert_eq!(desk.wait(MINUTE).told(), [2]);
    let newest = desk.offer.newest.clone();
    desk.offer = offer(&newest, Some(&desk.offer), Passage::FREE);
    assert_eq!(desk.wait(MINUTE).told(), [1]);
}

#[test]
fn the_pace_is_the_rate_however_often_it_is_asked() {
    for (rate, pause) in [(50.0, 50), (50.0, 7), (7.0, 50), (0.5, 50)] {
        let mut desk = Desk::running(200);
        desk.pacing.rate = rate;
        (1..=200).for_each(|n| {
            desk.edit(n, "new", "s", true);
        });
        desk.told();
        let begun = desk.now;
        let mut told = 0;
        while desk.now.since(begun) < Duration::from_secs(3) {
            told += desk.wait(Duration::from_millis(pause)).told().len();
        }
        let ideal = 3.0 * rate;
        let told = f64::from(u32::try_from(told).unwrap());
        assert!(
            (ideal - 2.0..=ideal + 2.0).contains(&told),
            "{told} of {ideal} at {rate}, {pause}"
        );
    }
}

#[test]
fn what_no_roll_out_has_come_to_keeps_its_files_and_credentials_go_ahead() {
    let desk = Desk::running(3);
    let parts = [part(1, "new", "s"), part(2, "old", "changed"), part(3, "old", "s")];
    let passage = |released| Passage { loaded: true, released };
    let held = offer(&generation(&parts, "dial"), Some(&desk.offer), passage(&|_| false));
    assert_eq!(held.waiting(), &BTreeSet::from([mac(1)]));
    assert_eq!(held.unloaded(), &BTreeSet::new());
    let newest = held.newest.clone();
    let given = offer(&newest, Some(&held), passage(&|phone| *phone == mac(1)));
    assert_eq!((given.waiting(), &given.phones), (&BTreeSet::new(), &newest.phones));
}

#[test]
fn a_phone_that_fetched_and_does_not_register_is_lost_after_its_time() {
    let mut desk = Desk::running(1);
    desk.edit(1, "new", "s", true).wait(MINUTE).told();
    let fetched = desk.now;
    desk.fetch(1);
    let stand = desk.standing(&desk.offer.phones[&mac(1)]);
    assert_eq!(
        (stand.proof, stand.wake),
        (Proof::Waiting(fetched.after(MINUTE * 3)), Some(fetched.after(MINUTE * 3)))
    );
    desk.wait(MINUTE * 3);
    let stand = desk.standing(&desk.offer.phones[&mac(1)]);
    assert!(matches!(stand.proof, Proof::Lost(_)) && stand.state == State::Failed);
}

#[test]
fn a_new_phone_is_offered_at_once_and_a_removed_one_is_gone() {
    let mut desk = Desk::running(2);
    desk.edit(3, "new", "s", false);
    assert!(desk.offer.phones.contains_key(&mac(3)));
    let rest: Vec<_> =
        desk.offer.newest.phones.values().filter(|p| p.mac != mac(2)).cloned().collect();
    desk.offer = offer(&generation(&rest, "dial"), Some(&desk.offer), Passage::FREE);
    assert!(!desk.offer.phones.contains_key(&mac(2)));
    assert_eq!(
        desk.offer.owner(&FileName::new(&format!("SIP{}.cnf", mac(2).upper())).unwrap()),
        None
    );
}

#[test]
fn the_export_holds_own_files_and_a_constant_that_equals_no_token() {
    let mut with_token = (*part(1, "text", "s")).clone();
    let token = with_token.variants[0].token.to_string();
    with_token.variants[0].artifacts[1].body = Body::from(format!("SYNC=\"{token}\"").into_bytes());
    let desk = offer(&generation(&[Arc::new(with_token)], "dial"), None, Passage::FREE);
    let files = desk.files();
    let names: Vec<&str> = files.keys().map(FileName::as_str).collect();
    assert_eq!(names, ["SIP0018B9000001.cnf", "dialplan.xml", "syncinfo.xml"]);
    assert_eq!(files["syncinfo.xml"], "SYNC=\"always-restart\"");
}

#[test]
fn behind_another_tftp_server_each_change_is_told_once() {
    let mut desk = Desk::new(1);
    desk.foreign = true;
    desk.register(1, 1).register(1, 2);
    let token = |desk: &Desk| desk.offer.phones[&mac(1)].variants[0].token;
    desk.observed.phones.entry(mac(1)).or_default().assumed = Some(token(&desk));
    assert_eq!(desk.wait(MINUTE).told(), [0; 0]);
    desk.edit(1, "new", "s", true);
    assert_eq!(desk.told(), [1]);
    desk.observed.phones.entry(mac(1)).or_default().assumed = Some(token(&desk));
    assert_eq!(desk.wait(MINUTE * 60).told(), [0; 0]);
}

#[test]
fn an_expiry_that_rose_tells_of_a_lost_event() {
    let mut desk = Desk::running(1);
    let facts = |line, expires| PeerFacts {
        peer: peer(1, line),
        address: Some(([127, 0, 1, 1], 5060).into()),
        expires: Some(expires),
        ..PeerFacts::default()
    };
    desk.edit(1, "new", "s", true).fetch(1).wait(Duration::from_secs(1));
    desk.observed.listed(vec![facts(1, 30), facts(2, 30)], desk.now);
    let looked = desk.now;
    desk.wait(Duration::from_secs(10));
    desk.observed.listed(vec![facts(1, 19), facts(2, 60)], desk.now);
    let proved = |peer: &str| desk.observed.peers[peer].registered.is_some_and(|r| r >= looked);
    assert!(!proved(&peer(1, 1)), "it only ran down");
    assert!(proved(&peer(1, 2)));
}

#[test]
fn only_parts_that_are_not_the_very_same_have_moved() {
    let (one, two, three) = (part(1, "a", "s"), part(2, "a", "s"), part(3, "a", "s"));
    let parts = |all: &[&Arc<PhonePart>]| -> Parts {
        all.iter().map(|part| (part.mac, (*part).clone())).collect()
    };
    let (old, new) = (parts(&[&one, &two]), parts(&[&two, &three]));
    let moved: Vec<_> =
        changes(&old, &new).iter().map(|m| (m.mac, m.old.is_some(), m.new.is_some())).collect();
    assert_eq!(moved, [(mac(1), true, false), (mac(3), false, true)]);
    assert!(changes(&new, &new.clone()).is_empty());
    let again = parts(&[&part(2, "b", "s"), &three]);
    assert_eq!(changes(&new, &again).len(), 1);
    assert_eq!(changes(&Parts::new(), &new).len(), 2);
}

mod place;
mod reach;
