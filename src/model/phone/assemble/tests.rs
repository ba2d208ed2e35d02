use super::*;
use crate::base::Spanned;
use crate::model::peer::from_sip;
use crate::model::site::FamilySettings;
use crate::model::testing;

fn models() -> Vec<ModelFacts> {
    let facts = |family: &str, model: &str, lines| ModelFacts {
        family: family.into(),
        model: model.into(),
        lines,
    };
    vec![facts("spa", "504G", 4), facts("cisco-79x0", "7940", 2), facts("cisco-79x0", "7960", 6)]
}

/// One tagged account for each text, which is what follows `MAC=` of the tag.
fn sip(tags: &[&str]) -> String {
    let account = |(n, tag): (usize, &&str)| {
        format!("[{}] ;MAC={tag}\ntype=friend\nhost=dynamic\nsecret=x\n", 101 + n)
    };
    tags.iter().enumerate().map(account).collect()
}

fn assemble_with(tags: &[&str], site: &Site) -> (Assembly, Vec<String>) {
    let read = testing::read(&sip(tags));
    let reading = from_sip(&read.conf, &read.tags);
    assert_eq!(read.short(&reading.diagnostics), [""; 0]);
    let assembly = assemble(&reading.peers, &reading.refused, &models(), site);
    let texts = read.short(&assembly.diagnostics);
    (assembly, texts)
}

/// The phones as `model: line=peer …`, in the order of their MACs.
fn check(tags: &[&str], expected: &[&str]) {
    let (assembly, texts) = assemble_with(tags, &Site::default());
    let show = |phone: &Phone| {
        let lines = phone.lines.iter().map(|l| format!(" {}={}", l.number, &*l.peer.name));
        format!("{}:{}", phone.model, lines.collect::<String>())
    };
    let phones: Vec<_> = assembly.phones.values().map(show).collect();
    assert_eq!(
        (phones, texts),
        (expected.iter().map(|s| (*s).to_owned()).collect(), vec![]),
        "{tags:?}"
    );
}

/// One phone that is held back for one reason, beside another one that is not.
fn check_held(tags: &[&str], expected: &str) {
    let mut all = tags.to_vec();
    all.push("00:18:b9:00:00:99");
    let (assembly, texts) = assemble_with(&all, &Site::default());
    assert_eq!(texts, [expected], "{tags:?}");
    assert_eq!((assembly.phones.len(), assembly.held.len()), (1, 1), "{tags:?}");
}

const A: &str = "00:18:b9:00:00:01";

#[test]
fn two_tags_with_one_mac_are_two_lines_in_load_order() {
    check(&[A, "00:18:b9:00:00:02", "0018.b900.0001"], &["7940: 1=101 2=103", "7940: 1=102"]);
}

#[test]
fn given_lines_stand_and_the_others_fill_the_free_ones() {
    check(&[A, "00:18:b9:00:00:01 line=1", A], &["7960: 1=102 2=101 3=103"]);
    check(&["00:18:b9:00:00:01 line=2", A], &["7940: 1=102 2=101"]);
}

#[test]
fn a_claimed_peer_has_the_place_of_its_guest() {
    // 102 is a guest's peer with a number and a model; 103 is claimed there.
    let (front, guest) = ("00:18:b9:00:00:01 line=1", "00:18:b9:00:00:01 line=2 model=7960");
    check(&[front, guest, "00:18:b9:00:00:01 guest=102"], &["7960: 1=101 2=103"]);
    check(&["00:18:b9:00:00:01 guest=102", guest, front], &["7960: 1=103 2=101"]);
    check(
        &[A, "00:18:b9:00:00:02", "00:18:b9:00:00:02 guest=102"],
        &["7940: 1=101", "7940: 1=103"],
    );
}

#[test]
fn the_label_is_the_claimed_peers_own() {
    let tags = ["00:18:b9:00:00:01 label=Free", "00:18:b9:00:00:01 guest=101"];
    let (assembly, _) = assemble_with(&tags, &Site::default());
    let labels: Vec<_> = assembly.phones.values().map(|p| p.lines[0].label.clone()).collect();
    assert_eq!(labels, [""]);
}

#[test]
fn a_claim_without_its_guest_is_a_line_and_is_told() {
    for (tags, lines) in [
        (&["00:18:b9:00:00:02", "00:18:b9:00:00:01 guest=101"][..], 1),
        (&[A, "00:18:b9:00:00:01 guest=101", "00:18:b9:00:00:01 guest=101"], 2),
    ] {
        let (assembly, texts) = assemble_with(tags, &Site::default());
        assert!(texts.len() == 1 && texts[0].contains("warning[H0429]"), "{texts:?}");
        assert_eq!(assembly.phones.values().next().map(|p| p.lines.len()), Some(lines));
    }
}

#[test]
fn the_model_is_the_tags_else_the_first_with_enough_lines() {
    check(&[A], &["7940: 1=101"]);
    check(&[A, A, A], &["7960: 1=101 2=102 3=103"]);
    check(&["00:18:b9:00:00:01 model=7960"], &["7960: 1=101"]);
    check(&[A, "00:18:b9:00:00:01 model=504g"], &["504G: 1=101 2=102"]);
}

#[test]
fn default_model_of_the_family_comes_before_the_guess() {
    let mut site = Site::default();
    let span = Span { file: crate::base::FileId(0), line: 1, start: 0, end: 1 };
    let mut set = |model: &str| {
        let keys = [("default_model".to_owned(), Spanned::new(model.to_owned(), span))].into();
        site.families.insert("cisco-79x0".into(), FamilySettings { firmware: None, keys });
        assemble_with(&[A], &site)
    };
    let (assembly, _) = set("7960");
    assert_eq!(&*assembly.phones.values().next().unwrap().model, "7960");
    let (assembly, texts) = set("7961");
    assert_eq!(texts, ["sip.conf:1:1: error[H0423]: no family knows the model 7961"]);
    assert_eq!(assembly.held.len(), 1);
}

#[test]
fn one_line_claimed_twice_holds_the_phone() {
    let tags = ["00:18:b9:00:00:01 line=1", "00:18:b9:00:00:01 line=1"];
    check_held(&tags, "sip.conf:5:35: error[H0420]: line 1 of 00:18:b9:00:00:01 is claimed twice");
    let (assembly, _) = assemble_with(&tags, &Site::default());
    assert_eq!(assembly.diagnostics[0].related.len(), 1);
}

#[test]
fn a_hole_or_no_line_1_holds_the_phone() {
    check_held(
        &["00:18:b9:00:00:01 line=2"],
        "sip.conf:1:35: error[H0421]: 00:18:b9:00:00:01 has no line 1",
    );
    check_held(
        &["00:18:b9:00:00:01 line=4", A],
        "sip.conf:1:35: error[H0421]: 00:18:b9:00:00:01 has no line 2",
    );
}

#[test]
fn two_models_or_profiles_hold_the_phone() {
    check_held(
        &["00:18:b9:00:00:01 model=7940", "00:18:b9:00:00:01 model=7960"],
        "sip.conf:5:36: error[H0422]: the tags of 00:18:b9:00:00:01 name two different models",
    );
    check_held(
        &["00:18:b9:00:00:01 profile=a", "00:18:b9:00:00:01 profile=b"],
        "sip.conf:5:38: error[H0422]: the tags of 00:18:b9:00:00:01 name two different profiles",
    );
    check(
        &["00:18:b9:00:00:01 model=7960", "00:18:b9:00:00:01 model=7960"],
        &["7960: 1=101 2=102"],
    );
}

#[test]
fn more_lines_than_the_model_has_hold_the_phone() {
    check_held(
        &["00:18:b9:00:00:01 model=7940", A, A],
        "sip.conf:9:12: error[H0424]: 00:18:b9:00:00:01 has 3 tags, but a 7940 has 2 lines",
    );
    check_held(
        &[A; 7],
        "sip.conf:25:12: error[H0424]: 00:18:b9:00:00:01 has 7 tags, but a 7960 has 6 lines",
    );
    let (assembly, _) = assemble_with(&[A; 300], &Site::default());
    assert_eq!((assembly.phones.len(), assembly.held.len()), (0, 1));
}

#[test]
fn an_unknown_model_holds_the_phone_and_names_the_nearest() {
    let tags = ["00:18:b9:00:00:01 model=7970"];
    check_held(&tags, "sip.conf:1:36: error[H0423]: no family knows the model 7970");
    let (assembly, _) = assemble_with(&tags, &Site::default());
    assert_eq!(assembly.diagnostics[0].help.as_deref(), Some("did you mean 7940?"));
}

#[test]
fn without_any_model_of_the_default_family_a_phone_is_held() {
    let site = Site { default_family: "none".into(), ..Site::default() };
    let (assembly, texts) = assemble_with(&[A], &site);
    assert_eq!(assembly.held.len(), 1);
    let expected = "sip.conf:1:12: error[H0423]: the model of 00:18:b9:00:00:01 is not known: there \
                    is no family none";
    assert_eq!(texts, [expected]);
}

#[test]
fn a_profile_without_a_section_is_warned_of() {
    let (assembly, texts) = assemble_with(&["00:18:b9:00:00:01 profile=Lobby"], &Site::default());
    let expected = "sip.conf:1:38: warning[H0425]: handset.conf has no section [cisco-79x0/lobby] \
                    for the profile of 00:18:b9:00:00:01";
    assert_eq!(texts, [expected]);
    assert_eq!(assembly.phones.values().next().unwrap().profile.as_deref(), Some("lobby"));
    let mut site = Site::default();
    site.families.insert("cisco-79x0/lobby".into(), FamilySettings::default());
    assert!(assemble_with(&["00:18:b9:00:00:01 profile=Lobby"], &site).1.is_empty());
}

#[test]
fn labels_go_to_their_lines() {
    let (assembly, _) = assemble_with(&["00:18:b9:00:00:01 label=Desk", A], &Site::default());
    let labels: Vec<_> =
        assembly.phones.values().flat_map(|p| &p.lines).map(|l| l.label.as_str()).collect();
    assert_eq!(labels, ["Desk", ""]);
}

#[test]
fn a_refused_tag_holds_its_phone_and_no_other() {
    let text = sip(&[A, A, "00:18:b9:00:00:02"]).replacen("friend", "user", 1);
    let read = testing::read(&text);
    let reading = from_sip(&read.conf, &read.tags);
    let assembly = assemble(&reading.peers, &reading.refused, &models(), &Site::default());
    let held: Vec<_> = assembly.held.iter().map(|(mac, why)| format!("{mac}: {why}")).collect();
    assert_eq!(held, ["00:18:b9:00:00:01: the peer 101 is of type user and cannot register"]);
    assert_eq!((assembly.phones.len(), assembly.diagnostics.len()), (1, 0));
}

#[test]
fn a_phone_that_only_moved_in_its_file_is_the_same_and_has_the_same_hash() {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let phone = |text: &str| {
        let read = testing::read(text);
        let reading = from_sip(&read.conf, &read.tags);
        let assembly = assemble(&reading.peers, &[], &models(), &Site::default());
        let phone = assembly.phones.into_values().next().expect("a phone");
        let mut hasher = DefaultHasher::new();
        phone.hash(&mut hasher);
        (phone, hasher.finish())
    };
    let text = sip(&[&format!("{A} model=7960 line=1 label=Hall")]);
    let same = phone(&text);
    assert_eq!(phone(&format!("; moved\n\n{text}")), same);
    let template = "[t](!)\ntype=friend\nhost=dynamic\n";
    let inherited = text.replace("[101]", "[101](t)").replace("type=friend\nhost=dynamic\n", "");
    assert_eq!(phone(&format!("{template}{inherited}")), same);
    let other = phone(&text.replace("secret=x", "secret=y"));
    assert!(other.0 != same.0 && other.1 != same.1);
}
