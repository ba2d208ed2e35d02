//! Calls are respected, and phones that cannot be told are said to be so.

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
async fn a_phone_that_does_not_come_back_is_shown() {
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
