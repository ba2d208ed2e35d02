//! Calls are respected, and phones that cannot be told are said to be so.

use std::time::Duration;

use handset::control::State;

use crate::site::{SOON, Site, phones, quiet};

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_in_a_call_is_told_after_it() {
    let site = Site::start(&phones(1)).await;
    let desk = site.boot(1).await;
    desk.call("600").await.unwrap();
    site.edit("\"User 1\"", "\"Busy Bee\"");
    site.until("it is seen to talk", SOON, |site| site.phone(1).state == State::InCall).await;
    quiet(2.0).await;
    assert_eq!((desk.state().notifies, desk.state().boots), (0, 1));
    desk.hang_up().await;
    site.until_current(1).await;
    assert_eq!((desk.state().notifies, desk.state().boots), (1, 2));
    assert_eq!(desk.state().lines[0].displayname, "Busy Bee");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_asterisk_cannot_reach_is_told_when_it_answers_again() {
    let site = Site::start(&phones(1)).await;
    let desk = site.boot(1).await;
    desk.answer_options(false);
    site.until("it is unreachable", SOON, |site| {
        site.asterisk("sip show peer 101").contains("UNREACHABLE")
    })
    .await;
    site.edit("\"User 1\"", "\"Far Away\"");
    let says = |site: &Site| site.phone(1).detail.is_some_and(|d| d.contains("cannot send"));
    site.until("status says why", SOON, says).await;
    assert_eq!(desk.state().notifies, 0);
    desk.answer_options(true);
    site.until_current(1).await;
    assert_eq!((desk.state().notifies, desk.state().boots), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_does_not_come_back_is_shown_and_gets_its_last_good_files_again() {
    let site = Site::start(&phones(1)).await;
    let desk = site.boot(1).await;
    desk.never_register_after_fetch(true);
    site.edit("\"User 1\"", "\"Lost\"");
    site.until("it failed", SOON * 2, |site| site.phone(1).state == State::Failed).await;
    assert!(site.phone(1).detail.unwrap().contains("did not register"));
    let out = site.handset(&["status", "101"]);
    assert_eq!(out.status.code(), Some(1));
    desk.never_register_after_fetch(false);
    desk.power_cycle().await;
    let runs = |site: &Site| {
        let phone = site.phone(1);
        phone.lines[0].registered
            && phone.detail.is_some_and(|d| d.contains("last good files again"))
    };
    site.until("it runs what it had", SOON, runs).await;
    assert_eq!(desk.state().lines[0].displayname, "User 1");
    site.handset_ok(&["push", "101", "--wait"]);
    assert_eq!(desk.state().lines[0].displayname, "Lost");
    site.until_current(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_ignores_us_is_told_again() {
    let site = Site::start(&phones(1)).await;
    let desk = site.boot(1).await;
    desk.ignore_notify(true);
    site.edit("\"User 1\"", "\"Stubborn\"");
    site.until("it is told", SOON, |_| desk.state().notifies >= 1).await;
    assert_eq!(site.phone(1).state, State::Pushing);
    desk.ignore_notify(false);
    site.until_current(1).await;
    assert_eq!(desk.state().boots, 2);
}

/// The account that hears of calls, and peers whose calls chan_sip counts.
async fn hearing(count: u8) -> Site {
    let mut site =
        Site::prepare(&phones(count).replace("[general]\n", "[general]\ncallcounter=yes\n"));
    let manager = site.etc.join("manager.conf");
    let text = std::fs::read_to_string(&manager).unwrap();
    let (head, tail) = text.split_once("[provision]").unwrap();
    let more = tail.replacen(
        "read=system\nwrite=system\n",
        "read=system,call\nwrite=system,reporting\n",
        1,
    );
    assert_ne!(more, tail);
    std::fs::write(&manager, format!("{head}[provision]{more}")).unwrap();
    site.asterisk("manager reload");
    site.run().await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn where_calls_are_heard_of_the_push_follows_the_call_within_a_second() {
    let site = hearing(1).await;
    let desk = site.boot(1).await;
    for name in ["One", "Two", "Three"] {
        let before = desk.state().notifies;
        desk.call("600").await.unwrap();
        let text = site.conf();
        let old = text.split("callerid=\"").nth(1).unwrap().split('"').next().unwrap();
        site.edit(&format!("\"{old}\""), &format!("\"{name}\""));
        site.until("it is seen to talk", SOON, |site| site.phone(1).state == State::InCall).await;
        quiet(1.0).await;
        assert!(!site.log().contains("could not be told"), "{}", site.log());
        assert_eq!(desk.state().notifies, before);
        desk.hang_up().await;
        let limit = Duration::from_secs(1);
        site.until("it is told", limit, |_| desk.state().notifies > before).await;
        site.until_current(1).await;
    }
    assert_eq!(desk.state().boots, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_answers_no_options_is_told_by_ourselves() {
    let site = Site::start(&phones(1)).await;
    let desk = site.boot(1).await;
    desk.answer_options(false);
    site.until("it is unreachable", SOON, |site| {
        site.asterisk("sip show peer 101").contains("UNREACHABLE")
    })
    .await;
    site.edit("\"User 1\"", "\"Far Away\"");
    site.until("it is told", SOON * 2, |_| desk.state().notifies == 1).await;
    site.until("our NOTIFY was taken", SOON, |site| {
        site.log().contains("told to look by our own NOTIFY")
    })
    .await;
    site.until_current(1).await;
    assert_eq!((desk.state().notifies, desk.state().boots), (1, 2));
    assert_eq!(desk.state().lines[0].displayname, "Far Away");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_answers_no_options_and_talks_is_not_told_by_ourselves_either() {
    let site = Site::start(&phones(1)).await;
    let desk = site.boot(1).await;
    desk.call("600").await.unwrap();
    desk.answer_options(false);
    site.until("it is unreachable", SOON, |site| {
        site.asterisk("sip show peer 101").contains("UNREACHABLE")
    })
    .await;
    site.edit("\"User 1\"", "\"Far Away\"");
    quiet(45.0).await;
    assert_eq!((desk.state().notifies, desk.state().boots), (0, 1));
    assert_eq!(site.phone(1).state, State::InCall);
    desk.hang_up().await;
    site.until("it is told after the call", SOON * 3, |_| desk.state().notifies == 1).await;
    site.until_current(1).await;
    assert_eq!(desk.state().boots, 2);
}
