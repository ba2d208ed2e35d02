//! `handset trace`, `unknown` and `adopt`, with the daemon, a TFTP client and a phone.

use std::fs;

use crate::site::{SOON, Site, mac, phone, phones, quiet};

const STRANGER: &str = "00:18:b9:00:00:02";

/// What a factory-new 7940 asks for (phones.md §2.2).
const FACTORY: [&str; 5] = [
    "OS79XX.TXT",
    "SEP0018B9000002.cnf.xml",
    "XMLDefault.cnf.xml",
    "SEP0018B9000002.cnf",
    "SEPDefault.cnf",
];

fn trace(site: &Site, words: &[&str]) -> String {
    site.handset_ok(&[&["trace", "--no-follow"], words].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_from_the_box_is_told_as_a_story_also_after_a_kill() {
    let mut site = Site::start(&phones(1)).await;
    FACTORY.iter().for_each(|name| assert_eq!(site.fetch(name), None));
    let told = |site: &Site| trace(site, &[STRANGER]);
    site.until("the story is told", SOON, |site| told(site).contains("SEPDefault")).await;
    let story = told(&site);
    for text in [
        "starts (not tagged, 127.",
        "  asks for OS79XX.TXT: not there",
        "! this is SCCP firmware of release 3 to 7",
        "! waits for an OS79XX.TXT that names its next firmware",
        "-> no peer has its tag: handset adopt 00:18:b9:00:00:02 PEER; then put the images",
    ] {
        assert!(story.contains(text), "{text}: {story}");
    }
    let json = trace(&site, &[STRANGER, "--json"]);
    let first: serde_json::Value = serde_json::from_str(json.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        (first["file"].as_str(), first["outcome"].as_str()),
        (Some("OS79XX.TXT"), Some("missing"))
    );
    // What is older than a second or two is on disk.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    site.kill();
    site.run().await;
    assert_eq!(told(&site), story);
    assert!(trace(&site, &["--all", "--since", "1h"]).contains("SEPDefault.cnf"));
    let unknown = site.handset_ok(&["unknown"]);
    assert!(unknown.contains("runs SCCP firmware of release 3 to 7"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_no_more_than_unknown() {
    let mut site = Site::start(&phones(1)).await;
    assert_eq!(site.fetch("SIP0018B9000002.cnf"), None);
    site.until("it is listed", SOON, |site| site.handset_ok(&["unknown"]).contains(STRANGER)).await;
    site.kill();
    let path = site.path("state/handset.redb");
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes.iter_mut().skip(half).for_each(|byte| *byte ^= 0x5a);
    fs::write(&path, bytes).unwrap();
    site.run().await;
    trace(&site, &["--all", "--since", "1h"]);
    assert!(site.fetch("SIPDefault.cnf").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_that_was_mistyped_is_named_with_its_line() {
    let site = Site::start(&phones(1).replace(&mac(1), "00:18:b9:00:00:01")).await;
    assert_eq!(site.fetch("SIP0018B9000010.cnf"), None);
    let near = |site: &Site| site.handset_ok(&["unknown"]);
    site.until("it is listed", SOON, |site| near(site).contains("00:18:b9:00:00:10")).await;
    let line = site.sip_conf().lines().position(|line| line.contains("MAC=")).unwrap() + 1;
    let told = near(&site);
    assert!(
        told.contains(&format!("sip.conf:{line} has {} (two digits are swapped)", mac(1))),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn adopting_a_phone_writes_its_tag_and_serves_it() {
    let untagged = phone(2).replace(&format!(" ;MAC={}", mac(2)), "");
    let site = Site::start(&(phones(1) + &untagged)).await;
    let before = site.sip_conf();
    let shown = site.handset_ok(&["adopt", &mac(2), "102", "--dry-run"]);
    assert!(shown.contains("+[102](desk) ;MAC=00:18:b9:00:00:02"), "{shown}");
    assert_eq!(site.sip_conf(), before);
    let told = site.handset_ok(&["adopt", &mac(2), "102", "--model", "7940", "--no-follow"]);
    assert!(told.contains("handsetd serves the files of 00:18:b9:00:00:02"), "{told}");
    assert!(site.own_file(2).unwrap().contains("hush-102-hush"));
    let out = site.handset(&["adopt", &mac(3), "nobody"]);
    assert_eq!(out.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_is_told_to_its_register() {
    let site = Site::start(&phones(1)).await;
    let phone = site.boot(1).await;
    let told = |site: &Site| trace(site, &["101"]);
    site.until("it is up", SOON, |site| told(site).contains("is up as 101")).await;
    let story = told(&site);
    for text in [
        "starts (peer 101",
        "fetches SIP0018B9000001.cnf",
        "registers as 101",
        "this is SIP firmware",
    ] {
        assert!(story.contains(text), "{text}: {story}");
    }
    drop(phone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_asked_for_shows_each_file_that_it_has_also_after_a_kill() {
    let mut site = Site::start(&phones(1)).await;
    let _desk = site.boot(1).await;
    quiet(1.5).await;
    site.kill();
    site.run_with("info").await;
    let json = site.handset_ok(&["status", "101", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    let files = status[0]["seen"]["files"].as_array().unwrap();
    let file = |name: &str| files.iter().find(|file| file["name"] == name).unwrap();
    let own = file("SIP0018B9000001.cnf");
    assert_eq!(own["outcome"], "complete", "{own}");
    assert_eq!(own["digest"], status[0]["running"], "{own}");
    assert_eq!(own["bytes"], site.own_file(1).unwrap().len(), "{own}");
    let shared = file("SIPDefault.cnf");
    assert!(shared["digest"].is_string() && shared["digest"] != own["digest"], "{shared}");
    assert!(files.iter().any(|file| file["outcome"] == "missing" && file["digest"].is_null()));
    let text = site.handset_ok(&["status", "101"]);
    assert!(text.contains("LAST ASKED FOR") && text.contains("SIP0018B9000001.cnf"), "{text}");
    assert!(!site.handset_ok(&["status"]).contains("LAST ASKED FOR"));
}
