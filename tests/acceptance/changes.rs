//! Who is told about a change, and who is not.

use std::time::Duration;

use handset::control::State;
use simphone::Phone;

use crate::site::{SOON, Site, phones, quiet};

const COUNT: u8 = 20;

async fn office() -> (Site, Vec<Phone>) {
    let site = Site::start(&phones(COUNT)).await;
    let mut desks = Vec::new();
    for n in 1..=COUNT {
        desks.push(simphone::spawn(site.phone_config(n)).await);
    }
    site.until("all are current", SOON * 2, |site| {
        site.status().phones.iter().all(|p| p.state == State::Current)
    })
    .await;
    (site, desks)
}

fn notified(desks: &[Phone]) -> Vec<u64> {
    desks.iter().map(|desk| desk.state().notifies).collect()
}

fn boots(desks: &[Phone]) -> Vec<u64> {
    desks.iter().map(|desk| desk.state().boots).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_changed_phone_is_told_and_proved() {
    let (site, desks) = office().await;
    assert_eq!(
        notified(&desks),
        [0; COUNT as usize],
        "nobody needed to be told at the first start"
    );
    let before = site.phone(7).wanted;
    site.edit("\"User 7\"", "\"Seven of Nine\"");
    site.until("the wish is seen", SOON, |site| site.phone(7).wanted != before).await;
    site.until_current(7).await;
    quiet(2.0).await;
    let mut expected = vec![0; COUNT.into()];
    expected[6] = 1;
    assert_eq!(notified(&desks), expected);
    expected.iter_mut().for_each(|n| *n += 1);
    assert_eq!(boots(&desks), expected);
    assert_eq!(desks[6].state().lines[0].displayname, "Seven of Nine");
    assert!(
        site.asterisk("sip show peer 107").contains("Seven of Nine"),
        "Asterisk was asked to reload"
    );

    // Comments and white space: nobody is told, nobody restarts.
    let text = site.sip_conf().replace("callerid=", "callerid =   ");
    site.save(&format!("; a comment\n\n{text}\n;-- a block\n--;\n"));
    quiet(3.0).await;
    assert_eq!(notified(&desks), expected.iter().map(|n| n - 1).collect::<Vec<_>>());

    // A setting of all: all are told, at the pace, and all come back.
    let pace = Duration::from_millis(200);
    site.edit("allow=ulaw", "allow=alaw");
    site.until("all want something else", SOON, |site| {
        site.status().phones.iter().any(|p| p.state != State::Current)
    })
    .await;
    site.until("all are current again", SOON * 2, |site| {
        site.status().phones.iter().all(|p| p.state == State::Current)
    })
    .await;
    expected.iter_mut().for_each(|n| *n += 1);
    assert_eq!(boots(&desks), expected);
    let mut times: Vec<u64> = desks.iter().flat_map(last_notify).collect();
    times.sort_unstable();
    assert_eq!(times.len(), usize::from(COUNT));
    let spread = Duration::from_millis(times[times.len() - 1] - times[0]);
    assert!(
        spread >= pace * u32::from(COUNT - 2),
        "20 phones at 5 a second were told within {spread:?}"
    );
    assert!(desks.iter().all(|d| d.state().flash.get("preferred_codec") == "g711alaw"));
}

fn last_notify(desk: &Phone) -> Option<u64> {
    let history = desk.history();
    history.iter().rev().find(|r| matches!(r.event, simphone::Event::Notify { .. })).map(|r| r.at)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_current_phone_that_is_told_looks_and_does_not_restart() {
    let site = Site::start(&phones(1)).await;
    let desk = site.boot(1).await;
    let out = site.handset_ok(&["push", "101", "--wait"]);
    assert!(out.contains("does not restart") && out.contains("1 of 1 proved"), "{out}");
    let state = desk.state();
    assert_eq!((state.notifies, state.boots), (1, 1));
    assert_eq!(state.fetches.get("syncinfo.xml"), Some(&1), "{state:?}");
    let equal = |r: &simphone::Report| matches!(&r.event, simphone::Event::Sync { restart: false, theirs: Some(theirs), mine } if theirs == mine);
    assert!(desk.history().iter().any(equal));
    assert_eq!(site.phone(1).state, State::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_dial_plan_is_taken_without_a_restart() {
    let site = Site::start(&phones(2)).await;
    let desks = [site.boot(1).await, site.boot(2).await];
    let fetched =
        |n: usize| desks[n].state().fetches.get("dialplan.xml").copied().unwrap_or_default();
    site.until("both have the old one", SOON, |_| fetched(0) == 1 && fetched(1) == 1).await;
    let family = site.path("families/cisco-79x0");
    std::fs::create_dir_all(&family).unwrap();
    let plan = "<DIALTEMPLATE>\n<TEMPLATE MATCH=\"8500\" Timeout=\"0\"/>\n</DIALTEMPLATE>\n";
    std::fs::write(family.join("dialplan.xml.j2"), plan).unwrap();
    site.until("both took it", SOON, |_| fetched(0) == 2 && fetched(1) == 2).await;
    quiet(1.5).await;
    assert_eq!(boots(&desks), [1, 1]);
    assert_eq!(notified(&desks), [1, 1]);
    assert!(site.status().phones.iter().all(|p| p.state == State::Current));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_push_manual_the_diff_tells_and_push_does() {
    let mut site = Site::prepare(&phones(2));
    site.general = "push=manual".into();
    site.run().await;
    let desk = site.boot(1).await;
    site.edit("\"User 1\"", "\"Other Name\"");
    site.until("it wants something else", SOON, |site| site.phone(1).state == State::Pending).await;
    quiet(2.0).await;
    assert_eq!(desk.state().notifies, 0);
    let diff = site.handset_ok(&["diff"]);
    assert!(diff.contains("line1_displayname: \"User 1\" -> \"Other Name\""), "{diff}");
    let dry = site.handset_ok(&["push", "101", "--dry-run"]);
    assert!(dry.contains("restarts when its configuration differs"), "{dry}");
    assert_eq!(desk.state().notifies, 0);
    let out = site.handset_ok(&["push", "101", "--wait"]);
    assert!(out.contains("1 of 1 proved"), "{out}");
    assert_eq!((desk.state().boots, site.phone(1).state), (2, State::Current));
    let diff = site.handset_ok(&["diff"]);
    assert!(diff.contains("every phone runs"), "{diff}");
}
