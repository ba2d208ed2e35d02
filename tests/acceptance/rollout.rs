//! Changes that come in waves, and their way back.

use std::time::{Duration, Instant};

use handset::control::client::ask;
use handset::control::{Answer, Ask, RolloutOrder, RolloutStatus, State};
use simphone::Phone;

use crate::site::{SOON, Site, phones, quiet};

const COUNT: u8 = 12;

/// An office whose phones are current. `push` are more lines of `[push]`.
async fn office(count: u8, push: &str) -> (Site, Vec<Phone>) {
    let mut site = Site::prepare(&phones(count));
    site.sections = format!("[push]\n{push}\n");
    site.run().await;
    let mut desks = Vec::new();
    for n in 1..=count {
        desks.push(simphone::spawn(site.phone_config(n)).await);
    }
    site.until("all are current", SOON * 2, |site| all(site, State::Current)).await;
    (site, desks)
}

fn all(site: &Site, state: State) -> bool {
    site.status().phones.iter().all(|p| p.state == state && p.lines.iter().all(|l| l.registered))
}

fn boots(desks: &[Phone]) -> Vec<u64> {
    desks.iter().map(|desk| desk.state().boots).collect()
}

fn rollout(site: &Site) -> Option<RolloutStatus> {
    site.status().rollout
}

fn has(site: &Site, phase: &str) -> bool {
    rollout(site).is_some_and(|rollout| rollout.phase == phase)
}

/// Asks the daemon for something that it carries out.
fn order(site: &Site, what: Ask) -> String {
    match ask(&site.path("control"), what, false).unwrap().next().unwrap().unwrap() {
        Answer::Done(text) => text,
        other => panic!("{other:?}\n{}", site.log()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_costs_phones_their_registration_is_taken_back_from_the_canaries() {
    let (mut site, desks) = office(COUNT, "proof=4s\ncanaries=2").await;
    // The proxy of all phones, on an address that nobody has.
    site.sections += "[cisco-79x0]\nproxy1_address=127.9.9.9\n";
    let began = Instant::now();
    site.write_config();
    let mut lost = Duration::ZERO;
    let mut last = began;
    loop {
        let off = desks.iter().filter(|desk| !desk.state().all_registered()).count();
        lost += last.elapsed() * u32::try_from(off).unwrap();
        last = Instant::now();
        let back = off == 0 && has(&site, "stopped");
        if back && desks.iter().filter(|desk| desk.state().boots == 3).count() == 2 {
            break;
        }
        assert!(began.elapsed() < SOON * 2, "{:#?}\n{}", site.status(), site.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("a bad proxy for {COUNT} phones: {:.1} phone-seconds off the air", lost.as_secs_f64());
    // Two booted into it and out of it again; nobody else moved.
    let mut count = boots(&desks);
    count.sort_unstable();
    assert_eq!(count, [vec![1; 10], vec![3; 2]].concat());
    site.until("the canaries run their last good files", SOON, |site| {
        site.status().phones.iter().all(|p| p.running.is_some() && p.lines[0].registered)
    })
    .await;
    let told = rollout(&site).unwrap();
    assert!(told.failed.iter().all(|phone| phone.why.contains("proxy1_address")), "{told:#?}");
    assert!(told.why.is_some_and(|why| why.contains("did not register")));
    quiet(2.0).await;
    // The cure does.
    site.sections = site.sections.replace("127.9.9.9", "127.0.0.1");
    site.write_config();
    site.until("it is as before", SOON, |site| all(site, State::Current)).await;
    quiet(2.0).await;
    let sum = boots(&desks).iter().sum::<u64>();
    assert_eq!(
        sum,
        10 + 6,
        "nobody had to restart for the cure: {:?}\n{}",
        boots(&desks),
        site.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_change_comes_in_waves_and_is_done() {
    let (site, desks) = office(COUNT, "canaries=2\nrate=100").await;
    site.edit("callerid=\"User", "callerid=\"Nobody");
    let mut most = 0;
    site.until("the canaries were first", SOON * 2, |site| {
        let told = rollout(site);
        if let Some(told) = told.as_ref().filter(|told| told.wave == 1) {
            let moved = boots(&desks).iter().filter(|n| **n > 1).count();
            most = most.max(moved);
            assert!(moved <= 2, "{told:?}");
        }
        told.is_some_and(|told| told.phase == "done")
    })
    .await;
    assert!(most > 0, "the first wave was never seen");
    assert!(all(&site, State::Current));
    assert_eq!(boots(&desks), vec![2; COUNT.into()]);
    let told = rollout(&site).unwrap();
    assert_eq!((told.total, told.proved, told.failed.len()), (12, 12, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_push_manual_nothing_is_given_before_the_operator_says_so() {
    let (mut site, desks) = office(4, "rate=100").await;
    site.general = "push=manual".into();
    site.write_config();
    quiet(1.0).await;
    let old = site.own_file(1);
    site.edit("callerid=\"User", "callerid=\"Nobody");
    site.until("it is planned", SOON, |site| has(site, "planned")).await;
    assert_eq!((site.own_file(1), site.phone(1).state), (old, State::Pending));
    match ask(&site.path("control"), Ask::Plan, false).unwrap().next().unwrap().unwrap() {
        Answer::Plan(plan) => {
            assert_eq!((plan.phones.len(), plan.waves), (4, vec![3, 1]));
            assert!(plan.phones.iter().all(|phone| phone.diff.restarts), "{:?}", plan.phones);
        }
        other => panic!("{other:?}"),
    }
    site.handset_ok(&["apply", "--only", "102"]);
    site.until_current(2).await;
    assert_eq!(boots(&desks), [1, 2, 1, 1]);
    site.handset_ok(&["apply"]);
    site.until("all are current", SOON, |site| all(site, State::Current)).await;
    assert_eq!(boots(&desks), [2, 2, 2, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_are_brought_back_to_what_they_had_and_stay_there() {
    let (site, desks) = office(4, "rate=100").await;
    let old: Vec<_> = (1..=4).map(|n| site.own_file(n)).collect();
    site.edit("callerid=\"User", "callerid=\"Nobody");
    site.until("it is done", SOON, |site| has(site, "done")).await;
    let back = Ask::Rollback { phones: vec!["101".into()], all: false, generation: None };
    assert!(order(&site, back).ends_with(": 1 phone"));
    site.until("101 restarts", SOON, |_| desks[0].state().boots == 3).await;
    site.until_current(1).await;
    assert_eq!(site.own_file(1), old[0]);
    let back = Ask::Rollback { phones: vec![], all: true, generation: Some(1) };
    assert!(order(&site, back).contains("3 phones"));
    site.until("all are back", SOON, |site| all(site, State::Current)).await;
    assert_eq!((1..=4).map(|n| site.own_file(n)).collect::<Vec<_>>(), old);
    quiet(2.0).await;
    assert_eq!(boots(&desks), [3; 4]);
    // What is newer than what was taken back passes.
    site.edit("\"Nobody 2\"", "\"Somebody 2\"");
    site.until("102 has it", SOON, |_| desks[1].state().lines[0].displayname == "Somebody 2").await;
    site.until_current(2).await;
    assert_eq!(boots(&desks), [3, 4, 3, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_hours_only_credentials_follow() {
    let hour = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::get("Europe/Berlin").unwrap());
    let from = (hour.hour() + 6) % 24;
    let (site, desks) = office(3, &format!("window={from:02}:00-{:02}:00", (from + 1) % 24)).await;
    site.edit("\"User 1\"", "\"Other 1\"");
    site.edit("secret=hush-102-hush", "secret=changed-102-hush");
    site.until("102 follows Asterisk", SOON, |_| desks[1].state().boots == 2).await;
    site.until_current(2).await;
    quiet(2.0).await;
    assert_eq!((boots(&desks), site.phone(1).state), (vec![1, 2, 1], State::Pending));
    assert!(rollout(&site).unwrap().why.is_some_and(|why| why.contains(&format!("{from:02}:00"))));
    site.handset_ok(&["push", "101", "--wait"]);
    assert_eq!(boots(&desks), [2, 2, 1], "the operator's word is not bound to hours");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_out_can_be_halted_resumed_and_ended() {
    let (site, desks) = office(8, "canaries=1\ngrowth=1\nrate=100").await;
    site.edit("callerid=\"User", "callerid=\"Nobody");
    site.until("the first has it", SOON, |site| rollout(site).is_some_and(|r| r.proved > 0)).await;
    order(&site, Ask::Rollout(RolloutOrder::Pause));
    quiet(3.0).await;
    let halted = boots(&desks);
    quiet(3.0).await;
    assert_eq!(boots(&desks), halted);
    assert!(halted.contains(&1), "it was not halted in time: {halted:?}");
    order(&site, Ask::Rollout(RolloutOrder::Resume));
    site.until("it goes on", SOON, |_| boots(&desks) != halted).await;
    order(&site, Ask::Rollout(RolloutOrder::Abort));
    quiet(3.0).await;
    let ended = boots(&desks);
    quiet(3.0).await;
    assert_eq!((boots(&desks), has(&site, "aborted")), (ended.clone(), true));
    assert!(ended.contains(&1), "it was not ended in time: {ended:?}");
    site.handset_ok(&["push", "--wait", "108"]);
    assert_eq!(desks[7].state().boots, 2);
    // The operator may think better of it.
    order(&site, Ask::Rollout(RolloutOrder::Resume));
    site.until("all have it", SOON * 2, |site| all(site, State::Current)).await;
    assert_eq!(boots(&desks), [2; 8]);
}
