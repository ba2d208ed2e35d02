use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use super::fact::What;
use super::story::{Kind, Narrator, Scene};
use super::track::Turn;
use super::tracker::{Addresses, Tracker};
use super::{record, script};
use crate::base::{Mac, Sources, Time};
use crate::family::library;
use crate::family::stage::Stages;

fn stages() -> Arc<Stages> {
    let none = std::collections::BTreeMap::new();
    let all = library::load(Path::new(""), &none, &mut Sources::default());
    Arc::new(Stages::new(all.families.values().map(AsRef::as_ref)))
}

fn home(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn mac(last: u8) -> Mac {
    Mac::new([0, 0x18, 0xb9, 0xff, 0xff, last]).unwrap()
}

/// One request a word, `+N` lets N seconds pass, `=NAME` fetches that file to its end.
/// Gives the stage at each request.
fn stages_of(words: &str) -> Vec<String> {
    let mut tracker = Tracker::new(stages());
    let (mut now, mut found, mut who) = (Time(1_000_000), Vec::new(), None);
    for word in words.split_whitespace() {
        if let Some(seconds) = word.strip_prefix('+') {
            now = Time(now.0 + 1000 * seconds.parse::<u64>().unwrap());
        } else if let Some(name) = word.strip_prefix('=') {
            tracker.fetched(who.unwrap(), name);
        } else {
            let asked = tracker.asked(home(1), None, word, now);
            who = asked.mac.or(who);
            let stage = asked.at.stage().and_then(|id| tracker.stages().get(id));
            found.push(stage.map_or("?".to_owned(), |stage| stage.name.clone()));
        }
    }
    found
}

const SCCP: &str =
    "OS79XX.TXT SEP0018B9FFFFFF.cnf.xml XMLDefault.cnf.xml SEP0018B9FFFFFF.cnf SEPDefault.cnf";
const LOADER: &str = "CTLSEP0018B9FFFFFF.tlv SEP0018B9FFFFFF.cnf.xml SIP0018B9FFFFFF.cnf MGC0018B9FFFFFF.cnf \
                      XMLDefault.cnf.xml SIPDefault.cnf MGCDefault.cnf";

#[test]
fn the_stage_is_known_at_the_request_itself() {
    let check =
        |words: &str, expected: &str| assert_eq!(stages_of(words).join(" "), expected, "{words}");
    check(SCCP, "? sccp sccp sccp sccp");
    check(&format!("{SCCP} +60 {SCCP}"), "? sccp sccp sccp sccp sccp sccp sccp sccp sccp");
    check(LOADER, "? ? loader loader loader loader loader");
    check("SIPDefault.cnf ./SIP0018B9FFFFFF.cnf +2 RINGLIST.DAT dialplan.xml", "sip sip sip sip");
    // The image says what asks next, before its list does.
    check(
        &format!("{SCCP} +60 OS79XX.TXT P0S3-05-3-00.bin =P0S3-05-3-00.bin +40 OS79XX.TXT"),
        "? sccp sccp sccp sccp sccp sccp sip-early",
    );
    // Unless the phone did not take it.
    check(
        &format!("{SCCP} +60 OS79XX.TXT =P0S3-05-3-00.bin +40 {SCCP}"),
        "? sccp sccp sccp sccp sccp sip-early sccp sccp sccp sccp",
    );
}

#[test]
fn phones_behind_one_address_are_told_apart() {
    let mut tracker = Tracker::new(stages());
    let mut check = |name: &str, expected: Option<u8>, stage: &str| {
        let asked = tracker.asked(home(1), None, name, Time(9));
        assert_eq!(asked.mac, expected.map(mac), "{name}");
        let found = asked.at.stage().and_then(|id| tracker.stages().get(id));
        assert_eq!(found.map_or("?", |stage| &*stage.name), stage, "{name}");
    };
    check("OS79XX.TXT", None, "?");
    check("OS79XX.TXT", None, "?");
    check("SEP0018B9FFFF01.cnf.xml", Some(1), "sccp");
    check("SEP0018B9FFFF02.cnf.xml", Some(2), "sccp");
    check("CTLSEP0018B9FFFF03.tlv", Some(3), "?");
    check("SEP0018B9FFFF03.cnf.xml", Some(3), "?");
    check("SIP0018B9FFFF03.cnf", Some(3), "loader");
    check("XMLDefault.cnf.xml", Some(1), "sccp");
    check("XMLDefault.cnf.xml", Some(2), "sccp");
    check("MGC0018B9FFFF03.cnf", Some(3), "loader");
    check("XMLDefault.cnf.xml", Some(3), "loader");
}

#[test]
fn a_list_again_is_a_loop_until_something_is_reached() {
    let mut tracker = Tracker::new(stages());
    let mut turn = |name: &str, seconds: u64| {
        tracker.asked(home(1), Some(mac(0xff)), name, Time(seconds * 1000)).turn
    };
    let names: Vec<&str> = SCCP.split_whitespace().collect();
    assert_eq!(turn(names[0], 100), Turn::Begins { boot: true, again: 0 });
    names[1..].iter().for_each(|name| assert_eq!(turn(name, 100), Turn::Next));
    assert_eq!(turn(names[0], 101), Turn::Begins { boot: false, again: 1 });
    names[1..].iter().for_each(|name| assert_eq!(turn(name, 101), Turn::Next));
    assert_eq!(turn(names[0], 170), Turn::Begins { boot: true, again: 2 });
    assert_eq!(turn(names[0], 470), Turn::Begins { boot: true, again: 0 });
    assert_eq!(turn("SIPDefault.cnf", 471), Turn::Next);
    assert_eq!(turn("SIP0018B9FFFFFF.cnf", 472), Turn::Next);
    assert_eq!(turn("SIP0018B9FFFFFF.cnf", 503), Turn::Repeats(1));
    assert_eq!(turn("SIP0018B9FFFFFF.cnf", 534), Turn::Repeats(2));
    assert_eq!(turn("x", 535), Turn::Other);
}

#[test]
fn a_flood_of_phones_takes_no_more_memory() {
    let mut tracker = Tracker::new(stages());
    for number in 0..40_000u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let mac = Mac::new([0, 0x18, 0xb9, a, b, c]).unwrap();
        let from = IpAddr::from(std::net::Ipv4Addr::from_bits(number));
        tracker.asked(from, None, &format!("SIP{}.cnf", mac.upper()), Time(number.into()));
        tracker.asked(from, None, "OS79XX.TXT", Time(number.into()));
    }
    assert!(tracker.at(mac(0xff)).is_none());
    let last = Mac::new([0, 0x18, 0xb9, 0, 0x9c, 0x3f]).unwrap();
    assert!(tracker.at(last).is_some());
    assert!(tracker.sizes().0 <= super::tracker::MANY && tracker.sizes().1 <= super::tracker::MANY);
}

/// The stories of facts, as a person reads them; `hears`: with an AMI session.
fn told(script: &str, peers: &'static str, hears: bool) -> String {
    let stages = stages();
    let peers = |_| (!peers.is_empty()).then(|| peers.to_owned());
    let scene = Scene { stages: &stages, peers: &peers, led: &|_| false, hears };
    let mut narrator = Narrator::default();
    let facts = script::facts(script);
    let end = facts.last().map_or(Time(0), |fact| Time(fact.at.0 + 600_000));
    let mut lines: Vec<_> = facts.iter().flat_map(|fact| narrator.tell(fact, &scene)).collect();
    lines.extend(narrator.tick(end, &scene));
    let mut text = String::new();
    for line in lines {
        let seconds = line.at.0 / 1000;
        let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let sign = match line.kind {
            Kind::Boot => "== ",
            Kind::Step => "   ",
            _ => " ! ",
        };
        text += &format!("{h:02}:{m:02}:{s:02}{sign}{}\n", line.text);
        if let Some(cure) = line.cure {
            text += &format!("           -> {cure}\n");
        }
    }
    text
}

#[test]
fn the_article_is_told_as_it_was_written() {
    let told = told(include_str!("seed.script"), "", true);
    insta::assert_snapshot!("article", told);
}

#[test]
fn rows_keep_every_fact() {
    let mut facts = script::facts(include_str!("seed.script"));
    let (first, row) = record::encode(&facts);
    assert_eq!(first, facts[0].at);
    facts.sort_by_key(|fact| fact.at);
    assert_eq!(record::decode(&row).unwrap(), facts);
    assert_eq!(record::decode(&row[..row.len() - 1]), None);
    assert_eq!(record::decode(b""), None);
}

#[test]
fn a_row_has_each_digest_once_and_rows_of_before_have_none() {
    let (all, own) = ("0a".repeat(16), "b1".repeat(16));
    let facts = script::facts(&format!(
        "9:0:1 0018b9fffffe 10.0.0.1 get SIPDefault.cnf 171 0 {all}\n\
         9:0:2 0018b9fffffe 10.0.0.1 own SIP0018B9FFFFFE.cnf 2842 0 {own}\n\
         9:0:3 0018b9ffffff 10.0.0.2 get SIPDefault.cnf 171 0 {all}\n\
         9:0:4 0018b9ffffff 10.0.0.2 get OS79XX.TXT missing\n"
    ));
    let (_, row) = record::encode(&facts);
    assert_eq!(record::decode(&row).unwrap(), facts);
    assert!(
        facts[..3].iter().all(|fact| matches!(&fact.what, What::File(f) if f.digest.is_some()))
    );
    let text = String::from_utf8(row).unwrap();
    assert_eq!(text.matches(&all).count(), 1, "{text}");
    let before = r#"{"at":5,"words":["x"],"who":[{"mac":null,"files":[[1,0,0,12,0,1]]}]}"#;
    let facts = record::decode(before.as_bytes()).unwrap();
    assert!(
        matches!(&facts[0].what, What::File(file) if file.bytes == 12 && file.digest.is_none())
    );
}

#[test]
fn a_row_has_names_without_the_mac_as_it_is_written_in_them() {
    let check = |name: &str, word: &str| {
        let line = format!("9:0:0 0018b9fffffe 10.0.0.1 get {name} 12");
        let facts = script::facts(&line);
        let (_, row) = record::encode(&facts);
        let words = format!("\"words\":[\"{word}\"]");
        assert!(String::from_utf8_lossy(&row).contains(&words), "{name}");
        assert_eq!(record::decode(&row).unwrap(), facts);
    };
    check("SIP0018B9FFFFFE.cnf", "SIP{MAC}.cnf");
    check("0018b9fffffe/0018b9fffffe.cfg", "{mac}/{mac}.cfg");
    check("0018B9FFFFFE/0018b9fffffe", "{MAC}/0018b9fffffe");
    check("SIP0018B9FFFFFF.cnf", "SIP0018B9FFFFFF.cnf");
}

#[test]
fn who_is_alone_at_an_address_is_still_there_with_a_request_without_a_mac() {
    let at = |seconds: u64| Time(seconds * 1000);
    let symbol = stages().symbol("OS79XX.TXT").unwrap();
    let mut addresses = Addresses::new(9);
    assert_eq!(addresses.alone(home(1), at(0)), None);
    addresses.named(home(1), mac(1), at(0));
    assert_eq!(addresses.alone(home(1), at(80)), Some(mac(1)));
    assert_eq!(addresses.phones(home(1), at(160)).collect::<Vec<_>>(), [mac(1)]);
    addresses.wait(home(1), symbol, at(160), ());
    assert_eq!(addresses.alone(home(1), at(160)), None);
    assert_eq!(addresses.named(home(1), mac(1), at(161)).len(), 1);
    assert_eq!(addresses.alone(home(1), at(251)), None);
    addresses.named(home(1), mac(1), at(251));
    addresses.named(home(1), mac(2), at(252));
    assert_eq!(addresses.alone(home(1), at(252)), None);
}

#[test]
fn the_boot_of_a_thousand_phones_is_a_small_row_and_repeats_are_summed() {
    let mut facts = Vec::new();
    for number in 0..1000u32 {
        let [_, _, a, b] = number.to_be_bytes();
        let mac = Mac::new([0, 0x18, 0xb9, 1, a, b]).unwrap();
        let names =
            ["SEP{}.cnf.xml", "SIP{}.cnf", "SIPDefault.cnf", "RINGLIST.DAT", "dialplan.xml"];
        for name in names.map(|name| name.replace("{}", &mac.upper())) {
            let given = if name.starts_with("SIP0") { number } else { 1000 };
            let line = format!(
                "9:0:{}.{number:03} {mac} 10.0.{a}.{b} get {name} 4711 12 {given:032x}",
                number % 60
            );
            facts.extend(script::facts(&line));
        }
    }
    let (_, row) = record::encode(&facts);
    assert!(row.len() < 250 * 1000, "{}", row.len());
    let looping = "9:0:0 0018b9ffffff 10.0.0.1 get CTLSEP0018B9FFFFFF.tlv missing\n\
                   9:0:0 0018b9ffffff 10.0.0.1 get SEP0018B9FFFFFF.cnf.xml 12\n"
        .repeat(1000);
    let (_, row) = record::encode(&script::facts(&looping));
    let summed = record::decode(&row).unwrap();
    assert_eq!((summed.len(), row.len() < 300), (2, true), "{}", row.len());
}
