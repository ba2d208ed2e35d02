//! From the first tag to a phone that is shown registered and current.

use std::time::{Duration, Instant};

use handset::control::{PhoneStatus, State};

use crate::site::{HEAD, SOON, Site, mac, phone, phones};

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_makes_a_phone() {
    let site = Site::start(HEAD).await;
    assert_eq!(site.own_file(1), None);
    let two_lines = format!(
        "{HEAD}[101](desk) ;MAC={mac}\ncallerid=\"Ada Quill\" <101>\nsecret=hush-1\nmailbox=101@default\n\n\
         [102](desk) ;MAC=0018.b900.0001 line=2 label=Door\ncallerid=\"Front Door\" <102>\nsecret=hush-2\n",
        mac = mac(1)
    );
    let saved = Instant::now();
    site.save(&two_lines);
    site.until("its file is served", Duration::from_secs(10), |site| site.own_file(1).is_some())
        .await;
    let took = saved.elapsed();
    assert!(took < Duration::from_secs(1), "served {took:?} after the save");

    let desk = site.boot(1).await;
    let names: Vec<_> =
        desk.state().lines.iter().map(|l| (l.name.clone(), l.shortname.clone())).collect();
    assert_eq!(names, [("101".into(), "Ada Quill".into()), ("102".into(), "Door".into())]);

    let json = site.handset_ok(&["status", "--json"]);
    let all: Vec<PhoneStatus> = serde_json::from_str(&json).unwrap();
    let [shown] = all.as_slice() else { panic!("{json}") };
    assert_eq!((shown.mac.to_string(), shown.state), (mac(1), State::Current));
    assert_eq!(shown.wanted, shown.running);
    assert!(shown.last_seen.is_some());
    for (line, peer) in shown.lines.iter().zip(["101", "102"]) {
        assert_eq!((line.peer.as_str(), line.registered), (peer, true));
        assert!(line.address.as_deref().unwrap().ends_with(":15060"), "{line:?}");
        assert_eq!(line.user_agent.as_deref(), Some("Cisco-CP7960G/8.0"));
    }
    let table = site.handset_ok(&["status", "102"]);
    assert!(table.contains("Cisco-CP7960G/8.0") && table.contains("current"), "{table}");
    // Its own values arrived: nothing was refused, and the voice mail key dials.
    let refused: Vec<_> = desk
        .history()
        .into_iter()
        .filter(|r| matches!(r.event, simphone::Event::Refused { .. }))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(desk.state().flash.get("messages_uri"), "8500");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_found_by_every_name_and_others_are_not() {
    let site = Site::start(&phones(2)).await;
    site.until("both are there", SOON, |site| site.status().phones.len() == 2).await;
    for word in ["101", "00:18:B9:00:00:01", "0018b9000001", "0018.b900.0001"] {
        let json = site.handset_ok(&["status", "--json", word]);
        let all: Vec<PhoneStatus> = serde_json::from_str(&json).unwrap();
        assert_eq!(all.len(), 1, "{word}");
    }
    let out = site.handset(&["status", "999"]);
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.contains("no phone is called '999'") && said.contains("handset status"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_listed_with_the_tag_to_write() {
    let site = Site::start(&phones(1)).await;
    assert_eq!(site.fetch("SIP0018B9000077.cnf"), None);
    site.until("it is listed", SOON, |site| !site.status().unknown.is_empty()).await;
    let table = site.handset_ok(&["status"]);
    assert!(table.contains(";MAC=00:18:b9:00:00:77"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_in_a_tag_takes_no_phone_its_files() {
    let site = Site::start(&phones(2)).await;
    let own = site.own_file(2).unwrap();
    site.edit(&mac(2), "00:18:b9:00:00:0");
    site.until("it is told", SOON, |site| {
        site.status().diagnostics.iter().any(|d| d.code == "H0201")
    })
    .await;
    assert_eq!(site.own_file(2), Some(own));
    let detail = site.phone(2).detail.unwrap();
    assert!(detail.contains("its last good files are served"), "{detail}");
    assert!(site.phone(1).detail.is_none_or(|d| !d.contains("last good")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_raw_key_is_reported() {
    let mut site = Site::prepare(&phones(1));
    site.sections = "speed_line2=8500".into();
    site.run().await;
    assert!(site.own_file(1).unwrap().contains("speed_line2: \"8500\""));
    site.sections = String::new();
    site.write_config();
    let told = |site: &Site| site.status().diagnostics.into_iter().find(|d| d.code == "H0605");
    site.until("it is reported", SOON, |site| told(site).is_some()).await;
    assert!(told(&site).unwrap().help.unwrap().contains("speed_line2 ="));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_phone_holds_back_only_itself() {
    let long = "x".repeat(32);
    let sip_conf = phones(2) + &phone(3).replace("hush-103-hush", &long);
    let site = Site::start(&sip_conf).await;
    site.until("three are shown", SOON, |site| site.status().phones.len() == 3).await;
    assert!(site.own_file(1).is_some() && site.own_file(3).is_none());
    let third = site.phone(3);
    assert_eq!(third.state, State::Failed);
    assert!(third.detail.as_deref().unwrap().contains("31"), "{third:?}");
    let check = site.handset(&["check", "--short"]);
    assert_eq!(check.status.code(), Some(1));
    let said = String::from_utf8(check.stdout).unwrap();
    let line = sip_conf.lines().position(|l| l.contains(&long)).unwrap() + 1;
    assert!(said.contains(&format!("sip.conf:{line}:")) && !said.contains(&long), "{said}");
}
