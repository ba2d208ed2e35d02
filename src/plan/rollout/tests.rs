//! Roll-outs against phones that do what the test says.

use std::cell::RefCell;

use super::*;
use crate::model::site::Waves;

const MINUTE: Duration = Duration::from_secs(60);

fn mac(n: u16) -> Mac {
    let [high, low] = n.to_be_bytes();
    Mac::new([0, 0x18, 0xb9, 0, high, low]).unwrap()
}

/// Phones under a clock that the test moves.
struct Desk {
    now: Time,
    rollout: Rollout,
    waves: Waves,
    open: bool,
    /// The kinds of the phones that wait, and whether each can be told.
    waiting: BTreeMap<Mac, (String, bool)>,
    fates: RefCell<BTreeMap<Mac, Fate>>,
    /// Who was given the change, in order.
    given: Vec<Mac>,
}

impl Desk {
    fn new(phones: u16) -> Self {
        let now = Time(1_000_000);
        Self {
            now,
            rollout: Rollout::new(1, 2, usize::from(phones), false, now),
            waves: Waves::default(),
            open: true,
            waiting: (1..=phones).map(|n| (mac(n), ("7960".into(), true))).collect(),
            fates: RefCell::default(),
            given: Vec::new(),
        }
    }

    /// One step; how many phones it gave the change.
    fn step(&mut self) -> usize {
        let waiting = || {
            let candidate = |(mac, (kind, ready)): (&Mac, &(String, bool))| Candidate {
                mac: *mac,
                kind: kind.clone(),
                ready: *ready,
            };
            self.waiting.iter().map(candidate).collect()
        };
        let fate = |mac, _| self.fates.borrow().get(&mac).copied().unwrap_or(Fate::Flying);
        let ground = Ground {
            waiting: &waiting,
            fate: &fate,
            waves: &self.waves,
            patience: MINUTE * 5,
            open: self.open,
        };
        let step = self.rollout.step(&ground, self.now);
        step.release.iter().for_each(|mac| drop(self.waiting.remove(mac)));
        self.given.extend(&step.release);
        step.release.len()
    }

    fn all(&mut self, fate: Fate) -> &mut Self {
        self.fates.borrow_mut().extend(self.given.iter().map(|mac| (*mac, fate)));
        self
    }

    fn lose(&mut self, n: usize) {
        let waves = self.waves.clone();
        self.rollout.lose(self.given[n], "it did not come back".into(), &waves);
    }

    fn wait(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.after(time);
        self
    }
}

#[test]
fn a_change_goes_to_canaries_and_then_in_growing_waves() {
    let mut desk = Desk::new(100);
    let mut waves = Vec::new();
    for _ in 0..10 {
        waves.push(desk.step());
        assert_eq!(desk.step(), 0, "nobody more before these are proved");
        desk.all(Fate::Proved);
        if !desk.rollout.is_open() {
            break;
        }
    }
    assert_eq!(waves, [3, 12, 48, 37, 0]);
    assert_eq!((&desk.rollout.phase, desk.rollout.proved), (&Phase::Done, 100));
    assert_eq!(sizes(100, &desk.waves), [3, 12, 48, 37]);
}

#[test]
fn no_more_phones_are_in_flight_than_allowed() {
    let mut desk = Desk::new(100);
    desk.waves.in_flight = 5;
    desk.step();
    desk.all(Fate::Proved);
    assert_eq!((desk.step(), desk.step()), (5, 0));
    desk.fates.borrow_mut().insert(desk.given[4], Fate::Proved);
    assert_eq!((desk.step(), desk.rollout.queue.len()), (1, 6));
}

#[test]
fn canaries_come_from_every_kind_before_a_second_of_any() {
    let mut desk = Desk::new(10);
    for (n, kind) in [(9, "7940"), (10, "7940 old")] {
        desk.waiting.insert(mac(n), (kind.into(), true));
    }
    desk.step();
    assert_eq!(desk.given.iter().copied().collect::<BTreeSet<_>>(), [1, 9, 10].map(mac).into());
}

#[test]
fn one_lost_canary_ends_it_and_nobody_else_is_touched() {
    let mut desk = Desk::new(100);
    desk.step();
    desk.lose(1);
    assert!(matches!(desk.rollout.phase, Phase::Stopped(_)), "{:?}", desk.rollout.phase);
    desk.all(Fate::Proved);
    assert_eq!((desk.wait(MINUTE * 60).step(), desk.given.len()), (0, 3));
    assert!(desk.rollout.resume());
    assert_eq!(desk.step(), 12, "the operator's word lets it go on");
}

#[test]
fn later_a_share_of_failures_is_borne_and_no_more() {
    let mut desk = Desk::new(1000);
    for _ in 0..4 {
        desk.step();
        desk.all(Fate::Proved);
    }
    // 3 + 12 + 48 are proved, 100 more are on their way.
    desk.fates.borrow_mut().clear();
    assert_eq!(desk.given.len(), 163);
    for n in [100, 101, 102] {
        desk.lose(n);
        assert_eq!(desk.rollout.phase, Phase::Running, "{n}");
    }
    desk.lose(103);
    assert!(matches!(desk.rollout.phase, Phase::Stopped(_)));
}

#[test]
fn phones_that_are_away_hold_nothing_up_once_it_is_known_to_be_good() {
    let mut desk = Desk::new(20);
    for n in 11..=20 {
        desk.waiting.insert(mac(n), ("7960".into(), false));
    }
    desk.step();
    assert_eq!(desk.given, [1, 2, 3].map(mac));
    desk.all(Fate::Proved);
    assert_eq!(desk.step(), 7, "those that can be told");
    desk.fates.borrow_mut().insert(mac(4), Fate::Away);
    desk.fates.borrow_mut().extend((5..=10).map(|n| (mac(n), Fate::Proved)));
    assert_eq!(desk.step(), 10, "the others find it when they return");
    desk.step();
    assert_eq!(desk.rollout.phase, Phase::Done);
    assert_eq!(desk.rollout.deferred.len(), 11);
}

#[test]
fn with_everybody_away_a_few_may_find_it_and_the_rest_wait_for_their_proof() {
    let mut desk = Desk::new(20);
    desk.waiting.values_mut().for_each(|phone| phone.1 = false);
    assert_eq!(desk.step(), 3);
    desk.all(Fate::Away);
    assert_eq!(desk.wait(MINUTE * 60).step(), 0);
    desk.waiting.insert(mac(9), ("7960".into(), true));
    assert_eq!(desk.step(), 1, "one that is there is a better canary");
    assert_eq!(desk.given[3], mac(9));
}

#[test]
fn a_deaf_phone_is_left_behind_after_a_time() {
    let mut desk = Desk::new(20);
    desk.step();
    desk.fates.borrow_mut().extend([(mac(1), Fate::Proved), (mac(2), Fate::Proved)]);
    assert_eq!(desk.wait(MINUTE * 4).step(), 0);
    assert_eq!(desk.wait(MINUTE).step(), 12);
    assert_eq!(desk.rollout.deferred, BTreeSet::from([mac(3)]));
}

#[test]
fn out_of_hours_planned_or_paused_nobody_is_given_it() {
    let mut desk = Desk::new(20);
    desk.open = false;
    assert_eq!(desk.step(), 0);
    desk.open = true;
    assert!(desk.rollout.pause() && !desk.rollout.pause());
    assert_eq!(desk.step(), 0);
    assert!(desk.rollout.resume() && !desk.rollout.resume());
    assert_eq!(desk.step(), 3);
    let mut planned = Rollout::new(2, 3, 20, true, desk.now);
    std::mem::swap(&mut planned, &mut desk.rollout);
    assert_eq!(desk.step(), 0);
    desk.rollout.abort(desk.now);
    assert!(!desk.rollout.resume() && !desk.rollout.is_open());
}

#[test]
fn saves_in_a_row_put_no_more_canaries_at_risk_than_one() {
    let mut rollouts = Rollouts::default();
    let mut desk = Desk::new(100);
    rollouts.begin(2, 100, false, desk.now);
    for generation in 3..20 {
        desk.rollout = rollouts.current.take().unwrap();
        desk.step();
        rollouts.current = Some(desk.rollout.clone());
        rollouts.begin(generation, 100, false, desk.now);
    }
    assert_eq!(desk.given.len(), 3);
    desk.rollout = rollouts.current.take().unwrap();
    desk.all(Fate::Proved);
    assert_eq!((desk.step(), desk.rollout.wave), (3, 1), "older proofs prove nothing about this");
    assert_eq!(rollouts.past.len(), PAST);
}

#[test]
fn the_forecast_adds_a_boot_for_each_wave_to_the_pace() {
    let waves = Waves { in_flight: 1000, ..Waves::default() };
    let boot = Duration::from_secs(80);
    assert_eq!(forecast(15, &waves, 5.0, boot).as_secs(), 80 * 2 + 3);
    assert_eq!(forecast(0, &waves, 5.0, boot), Duration::ZERO);
}
