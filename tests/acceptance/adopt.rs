//! From the box to the first call with one command: a factory-new phone that nobody has a tag for is
//! listed, adopted, led up the firmware ladder, and its story told as the article of 2012 tells it.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use handset::control::UnknownPhone;

use crate::firmware::{ALL, WAY, arrives, fetched, site, switch_on};
use crate::site::{HEAD, SOON, Site, mac, phone};

/// `handset adopt`, as somebody who looks at it until it ends.
fn adopt(site: &Site, words: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_handset"));
    command.arg("--config").arg(site.config()).arg("adopt").args(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What it said, once it has ended by itself with success.
async fn said(mut child: Child) -> String {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() >= WAY {
            child.kill().unwrap();
            panic!("it goes on: {:?}", child.wait_with_output());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap()
}

fn unknown(site: &Site) -> Vec<UnknownPhone> {
    serde_json::from_str(&site.handset_ok(&["unknown", "--json"])).unwrap()
}

/// The lines of a story in order, each by a part of it; others may stand between.
fn told_in_order(story: &str, steps: &[&str]) {
    let mut lines = story.lines();
    for step in steps {
        assert!(
            lines.any(|line| line.contains(step)),
            "{step:?} is not there, or not here:\n{story}"
        );
    }
}

/// The way of the article: its requests, and its images in its order.
const ARTICLE: &[&str] = &[
    "starts (",
    "  asks for OS79XX.TXT: not there",
    "  asks for SEP0018B9000001.cnf.xml: not there",
    "! this is SCCP firmware of release 3 to 7, as from the factory",
    "  asks for XMLDefault.cnf.xml: not there",
    "  asks for SEP0018B9000001.cnf: not there",
    "  asks for SEPDefault.cnf: not there",
    "! waits for an OS79XX.TXT that names its next firmware",
    "  fetches OS79XX.TXT",
    "  fetches P0S3-05-3-00.bin",
    "! has P0S3-05-3-00.bin and restarts as SIP firmware of release 2 to 5.3",
    "starts (peer 101",
    "  fetches OS79XX.TXT",
    "  fetches P003-8-11-00.sbn",
    "! has P003-8-11-00.sbn and restarts as the universal application loader",
    "starts (peer 101",
    "  asks for CTLSEP0018B9000001.tlv: not there",
    "! this is the universal application loader, which is no telephone yet",
    "  asks for SEP0018B9000001.cnf.xml: not there",
    "  asks for SIP0018B9000001.cnf: not there",
    "  asks for MGC0018B9000001.cnf: not there",
    "  fetches XMLDefault.cnf.xml",
    "  fetches P0S3-8-11-00.loads",
    "  fetches P0S3-8-11-00.sb2",
    "! has P0S3-8-11-00.sb2 and restarts as SIP firmware",
    "starts (peer 101",
    "  fetches SIPDefault.cnf",
    "! this is SIP firmware",
    "  fetches SIP0018B9000001.cnf",
    "  registers as 101",
    "! is up as 101",
];

#[tokio::test(flavor = "multi_thread")]
async fn from_the_box_to_a_registration_with_one_command() {
    let untagged = HEAD.to_owned() + &phone(1).replace(&format!(" ;MAC={}", mac(1)), "");
    let site = site(&untagged, &ALL).await;
    let desk = switch_on(&site, 1, simphone::Firmware::factory()).await;

    let runs = |phone: &UnknownPhone| phone.firmware.is_some();
    site.until("it is listed", SOON, |site| unknown(site).iter().any(runs)).await;
    let listed = site.handset_ok(&["unknown"]);
    print!("$ handset unknown\n{listed}");
    for text in [
        "00:18:b9:00:00:01 Cisco (cisco-79x0)",
        "runs SCCP firmware of release 3 to 7, as from the factory",
        "write ;MAC=00:18:b9:00:00:01, or: handset adopt 00:18:b9:00:00:01 PEER",
    ] {
        assert!(listed.contains(text), "{text}: {listed}");
    }
    assert_eq!(fetched(&desk), Vec::<String>::new());

    let followed = said(adopt(&site, &[&mac(1), "101"])).await;
    print!("$ handset adopt {} 101\n{followed}", mac(1));
    let state = desk.state();
    assert_eq!(state.installed.as_ref().unwrap().app, "P0S3-8-11-00", "it ended too early");
    assert!(state.all_registered());
    arrives(&site, &desk).await;
    assert_eq!(fetched(&desk), ["P0S3-05-3-00.bin", "P003-8-11-00.sbn", "P0S3-8-11-00.sb2"]);
    site.until_current(1).await;
    assert_eq!(unknown(&site), Vec::new());
    told_in_order(&followed, &ARTICLE[8..]);

    let story = site.handset_ok(&["trace", &mac(1), "--since", "1h", "--no-follow"]);
    print!("$ handset trace {} --since 1h --no-follow\n{story}", mac(1));
    told_in_order(&story, ARTICLE);
    for text in ["loops", "not given to this address", "falls silent", "put the images"] {
        assert!(!story.contains(text), "{text}: {story}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sip_phone_on_6_3_is_followed_until_it_runs_the_target() {
    let untagged = HEAD.to_owned() + &phone(1).replace(&format!(" ;MAC={}", mac(1)), "");
    let site = site(&untagged, &ALL).await;
    let desk = switch_on(&site, 1, simphone::Firmware::running("P0S3-06-3-00")).await;
    site.until("it is listed", SOON, |site| !unknown(site).is_empty()).await;
    let followed = said(adopt(&site, &[&mac(1), "101", "--model", "7940"])).await;
    print!("{followed}");
    let state = desk.state();
    assert_eq!(state.installed.as_ref().unwrap().app, "P0S3-8-11-00", "it ended too early");
    assert!(state.all_registered());
    assert_eq!(fetched(&desk), ["P003-8-11-00.sbn", "P0S3-8-11-00.sb2"]);
}
