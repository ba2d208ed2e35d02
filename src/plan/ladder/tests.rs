//! A phone's way up, event by event.

use std::sync::Arc;

use super::*;
use crate::base::{Body, Key};
use crate::family::{Artifact, Audience, Step};
use crate::plan::generation::Generation;

const OWN: &str = "SIP0018B9000001.cnf";
const TARGET: &str = "P0S3-8-11-00";
const LOADER_LOAD: &str = "P003-8-11-00";
const BRIDGE: &str = "P0S3-05-3-00";

fn digest(text: &str) -> Digest {
    Key::new([1; 32]).digest("test", [text.as_bytes()])
}

fn mac() -> Mac {
    "0018b9000001".parse().unwrap()
}

fn variant(load: &str) -> Variant {
    let token = digest(load);
    let artifact = |name: &str, role, text: String| Artifact {
        name: FileName::new(name).unwrap(),
        body: Body::from(text.into_bytes()),
        digest: digest(name),
        audience: if role == Role::Own { Audience::Phone } else { Audience::Asker },
        role,
        secret: role == Role::Own,
    };
    let own = format!("image_version: \"{load}\"\nsync: \"{token}\"\n");
    let mut artifacts = vec![
        artifact(OWN, Role::Own, own),
        artifact("syncinfo.xml", Role::Sync, format!("<SYNC=\"{token}\"/>")),
    ];
    if !load.is_empty() {
        artifacts.push(artifact("OS79XX.TXT", Role::Firmware, load.into()));
        artifacts.push(artifact("XMLDefault.cnf.xml", Role::Firmware, load.into()));
    }
    Variant { step: Step(load.into()), token, artifacts }
}

fn ladder(missing: &str) -> Ladder {
    let rung = |at: serde_json::Value, load: &str, file: &str, key: bool| {
        serde_json::json!({
            "at": at, "load": load, "digest": digest(load),
            "key": key.then_some("image_version"),
            "files": [{ "name": file, "bytes": format!("names {load}"), "digest": digest(file) }],
            "without_own": file.starts_with("XML"),
            "missing": if load == missing { vec!["gone"] } else { Vec::new() },
        })
    };
    let at = |program: &str, signed: Option<bool>, releases: Option<(u16, u16)>| serde_json::json!({ "program": program, "signed": signed, "releases": releases });
    let rungs = [
        rung(at("sccp", Some(true), None), LOADER_LOAD, "OS79XX.TXT", false),
        rung(at("sccp", None, None), BRIDGE, "OS79XX.TXT", false),
        rung(at("sip", None, Some((2, 4))), BRIDGE, "OS79XX.TXT", true),
        rung(at("sip", None, Some((5, 6))), LOADER_LOAD, "OS79XX.TXT", true),
        rung(at("loader", None, None), TARGET, "XMLDefault.cnf.xml", false),
    ];
    serde_json::from_value(serde_json::json!({
        "family": "f", "target": TARGET, "loader": LOADER_LOAD, "top": 7,
        "signs": [["CTLSEP{MAC}.tlv", "loader"], ["SEP{MAC}.cnf", "sccp"]],
        "rungs": rungs, "never": [],
    }))
    .unwrap()
}

struct Way {
    offer: Offer,
    seen: Seen,
    now: Time,
}

impl Way {
    fn new(missing: &str) -> Self {
        let part = Arc::new(PhonePart {
            mac: mac(),
            family: "f".into(),
            model: "7940".into(),
            lines: Vec::new(),
            variants: vec![variant(""), variant(TARGET)],
            credentials: digest("c"),
            event: "check-sync".into(),
        });
        let newest = Generation {
            ladders: Arc::new(vec![ladder(missing)]),
            phones: [(mac(), part)].into(),
            ..Generation::default()
        };
        let phones = newest.phones.clone();
        Self { offer: Offer::new(Arc::new(newest), phones), seen: Seen::default(), now: Time(1) }
    }

    fn part(&self) -> &PhonePart {
        &self.offer.phones[&mac()]
    }

    fn climb(&mut self, change: impl FnOnce(&mut Climb, &Ladder, Time)) -> &mut Self {
        self.now = self.now.after(Duration::from_secs(60));
        let ladder = self.offer.newest.ladders[0].clone();
        change(self.seen.climb.get_or_insert_default(), &ladder, self.now);
        self
    }

    fn asks(&mut self, name: &str) -> &mut Self {
        let program = self.offer.sign(name, Some(mac())).unwrap();
        self.climb(|climb, ladder, now| climb.sign(ladder, program, now))
    }

    fn fetches(&mut self, name: &str) -> &mut Self {
        self.climb(|climb, ladder, now| climb.fetched(ladder, name, now))
    }

    fn registers(&mut self, major: u16) -> &mut Self {
        self.climb(|climb, _, now| climb.agent(major, now))
    }

    /// What `OS79XX.TXT`, `XMLDefault.cnf.xml` and the own file name: to the application, and to a
    /// loader that searches.
    fn check(&mut self, usual: &str, hunting: &str) -> &mut Self {
        let choice = self.offer.choice(self.part(), Some(&self.seen));
        let ladder = self.offer.ladder(self.part());
        let told = |given, name| {
            let file = self.part().file(given, ladder, &FileName::new(name).unwrap());
            let Some(file) = file else { return "-".to_owned() };
            let text = String::from_utf8(file.bytes.to_vec()).unwrap();
            let loads = [TARGET, LOADER_LOAD, BRIDGE];
            if file.role == Role::Own {
                assert!(text.contains(&file.digest.to_string()), "{text}");
            }
            loads.iter().find(|load| text.contains(**load)).map_or("plain", |l| &l[..4]).to_owned()
        };
        let all =
            |given| ["OS79XX.TXT", "XMLDefault.cnf.xml", OWN].map(|n| told(given, n)).join(" ");
        assert_eq!((all(choice.usual).as_str(), all(choice.hunting).as_str()), (usual, hunting));
        self
    }
}

#[test]
fn from_the_box_to_the_target() {
    let mut way = Way::new("");
    // Nothing is known: no conversion, but a loader without an application can only go up.
    way.check("- - plain", "- P0S3 -");
    way.asks("SEP0018B9000001.cnf").check("P0S3 - plain", "- P0S3 -");
    way.fetches("P0S3-05-3-00.bin").check("P0S3 - plain", "- P0S3 -");
    way.registers(5).check("P003 - P003", "P003 - P003");
    assert_eq!(way.seen.climb.as_ref().unwrap().runs.unwrap().to_string(), "SIP 5.3");
    way.fetches("P003-8-11-00.sbn").check("P003 - P003", "- P0S3 -");
    way.asks("CTLSEP0018B9000001.tlv").check("P0S3 P0S3 P0S3", "- P0S3 -");
    way.fetches("P0S3-8-11-00.sb2").check("P0S3 P0S3 P0S3", "P0S3 P0S3 P0S3");
    way.registers(8).check("P0S3 P0S3 P0S3", "P0S3 P0S3 P0S3");
    assert_eq!(way.seen.climb.as_ref().unwrap().runs.unwrap().to_string(), "SIP 8.11");
    // It starts through its loader ever after.
    way.asks("CTLSEP0018B9000001.tlv").check("P0S3 P0S3 P0S3", "P0S3 P0S3 P0S3");
    assert_eq!(way.offer.wanted(way.part(), Some(&way.seen)), Some(digest(TARGET)));
}

#[test]
fn the_own_file_tells_that_an_application_on_the_way_runs() {
    let own = |climb: &mut Climb, ladder: &Ladder, now| climb.own_file(ladder, now);
    let mut way = Way::new("");
    way.asks("SEP0018B9000001.cnf").climb(own).check("P0S3 - plain", "- P0S3 -");
    way.fetches("P0S3-05-3-00.bin").climb(own).check("P003 - P003", "P003 - P003");
    // An application asks for it before and after: that tells nothing.
    let mut other = Way::new("");
    other.registers(4).fetches("P0S3-05-3-00.bin").climb(own).check("P0S3 - P0S3", "P0S3 - P0S3");
}

#[test]
fn a_flash_that_failed_is_tried_again_and_one_that_goes_on_failing_ends_it() {
    let mut way = Way::new("");
    way.asks("SEP0018B9000001.cnf");
    for _ in 0..FETCHED {
        way.fetches("P0S3-05-3-00.bin")
            .asks("SEP0018B9000001.cnf")
            .check("P0S3 - plain", "- P0S3 -");
    }
    way.fetches("P0S3-05-3-00.bin").check("- - plain", "- - plain");
    let off = stands(&way.offer, way.part(), Some(&way.seen)).unwrap().off;
    assert_eq!(off.unwrap(), "it fetched P0S3-05-3-00.bin 3 times, and does not keep it");
    way.climb(|climb, _, _| assert!(climb.retry())).check("P0S3 - plain", "- P0S3 -");
}

#[test]
fn a_phone_that_does_not_take_what_it_is_told_is_taken_off_and_hours_heal_it() {
    let mut way = Way::new("");
    way.asks("SEP0018B9000001.cnf");
    for _ in 0..TOLD {
        way.climb(|climb, _, now| climb.told(BRIDGE, now)).check("P0S3 - plain", "- P0S3 -");
    }
    let mut patient = Way::new("");
    patient.asks("SEP0018B9000001.cnf");
    for _ in 0..TOLD * 2 {
        patient.now = patient.now.after(LATELY);
        patient.climb(|climb, _, now| climb.told(BRIDGE, now)).check("P0S3 - plain", "- P0S3 -");
    }
    way.climb(|climb, _, now| climb.told(BRIDGE, now)).check("- - plain", "- - plain");
}

#[test]
fn an_application_that_is_not_there_any_more_is_not_waited_for() {
    let mut way = Way::new("");
    way.registers(6);
    for _ in 0..STARTS {
        way.asks("CTLSEP0018B9000001.tlv").check("P003 - P003", "P003 - P003");
    }
    way.asks("CTLSEP0018B9000001.tlv").check("P0S3 P0S3 P0S3", "- P0S3 -");
}

#[test]
fn with_an_image_missing_nothing_is_told_that_leads_there() {
    let mut way = Way::new(BRIDGE);
    way.asks("SEP0018B9000001.cnf").check("- - plain", "- P0S3 -");
    let stays = stands(&way.offer, way.part(), Some(&way.seen)).unwrap().stays;
    assert_eq!(stays.unwrap(), "not sent to P0S3-05-3-00: gone");
    let mut way = Way::new(LOADER_LOAD);
    way.registers(6).check("- - plain", "- - plain");
    way.registers(7).check("P0S3 P0S3 P0S3", "P0S3 P0S3 P0S3");
}

#[test]
fn the_kind_that_call_manager_software_asks_for_tells_whether_it_takes_signed_images_only() {
    let mut way = Way::new("");
    way.asks("SEP0018B9000001.cnf").check("P0S3 - plain", "- P0S3 -");
    way.climb(|climb, _, _| climb.asked("sbn")).check("P003 - plain", "- P0S3 -");
    way.climb(|climb, _, _| climb.asked("bin")).check("P0S3 - plain", "- P0S3 -");
}

#[test]
fn a_phone_known_to_run_signed_firmware_needs_no_step() {
    let mut way = Way::new("");
    way.seen.signed = true;
    way.check("P0S3 P0S3 P0S3", "P0S3 P0S3 P0S3");
    let mut none = Way::new("");
    none.offer.phones.values_mut().for_each(|part| drop(Arc::make_mut(part).variants.pop()));
    none.seen.signed = true;
    none.check("- - plain", "- - plain");
}
