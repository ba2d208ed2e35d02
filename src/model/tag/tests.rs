use std::path::Path;

use super::*;
use crate::base::{Level, Sources};
use crate::conf::{Memory, read};

fn attached(text: &str) -> (Tags, Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    let mut files = Memory::default().with("/m.conf", text.as_bytes().to_vec());
    let conf = read(Path::new("/m.conf"), Path::new("/"), &mut files, &mut sources);
    let (tags, diagnostics) = attach(&conf);
    (tags, diagnostics, sources)
}

/// A tag as `mac model line label profile`.
fn told(tag: &Tag) -> String {
    let text =
        |value: &Option<Spanned<String>>| value.as_ref().map_or("-", |v| v.as_str()).to_owned();
    let line = tag.line.as_ref().map_or("-".to_owned(), |line| line.value.to_string());
    let (model, label, profile) = (text(&tag.model), text(&tag.label), text(&tag.profile));
    format!("{} {model} {line} {label} {profile}", tag.mac.value)
}

/// The tags of all sections, `none` where there is none.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let (tags, diagnostics, _) = attached(text);
    let got: Vec<_> = tags.iter().map(|t| t.as_deref().map_or("none".to_owned(), told)).collect();
    assert_eq!(got, expected, "{diagnostics:?}");
    assert!(diagnostics.iter().all(|d| d.level == Level::Note), "{diagnostics:?}");
}

/// A comment that ties no phone to the section, with the code, the place and the marked text.
#[track_caller]
fn refused(comment: &str, expected: &str) {
    let (tags, diagnostics, sources) = attached(&format!("[a]{comment}\n"));
    assert_eq!(tags, [None], "{comment}");
    let [diagnostic] = diagnostics.as_slice() else { panic!("{comment}: {diagnostics:?}") };
    assert_eq!(shown(diagnostic, &sources), expected);
    assert!(diagnostic.message.chars().all(|c| !c.is_control()));
}

/// Code, column (as in `[a]` and the comment, from 1) and marked text.
fn shown(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let at = diagnostic.span.expect("a place");
    let marked = sources.line(at.file, at.line)[at.start as usize..at.end as usize].to_vec();
    format!(
        "{} {}:{} {}",
        diagnostic.code.id,
        at.line,
        at.start + 1,
        String::from_utf8_lossy(&marked)
    )
}

#[test]
fn every_usual_spelling_of_a_mac_is_read() {
    for mac in
        ["00:18:b9:ff:ff:ff", "00-18-B9-FF-FF-FF", "0018.B9ff.ffff", "0018b9ffffff", "0018B9FFFFFF"]
    {
        for head in [";MAC=", ";mac=", "; Mac = ", " ;\tmAc\t=\t"] {
            check(&format!("[a]{head}{mac}\n"), &["00:18:b9:ff:ff:ff - - - -"]);
            check(
                &format!("[a](!) ; x\n[b](a){head}{mac} \t\r\n"),
                &["none", "00:18:b9:ff:ff:ff - - - -"],
            );
        }
    }
}

#[test]
fn attributes_are_read_in_every_spelling() {
    check(
        "[a];MAC=0018b9ffffff  MODEL=7960\tLine=02 label=\"Front \\\"desk\\\" \\\\\" profile=lobby-1\n",
        &["00:18:b9:ff:ff:ff 7960 2 Front \"desk\" \\ lobby-1"],
    );
    check("[a];MAC=0018b9ffffff label=\"\" line=99\n", &["00:18:b9:ff:ff:ff - 99  -"]);
    check("[a];MAC=0018b9ffffff label=Zoë=1\n", &["00:18:b9:ff:ff:ff - - Zoë=1 -"]);
}

#[test]
fn bad_macs_are_told_at_the_wrong_byte() {
    refused(";MAC=00:18:b9:ff:ff", "H0201 1:9 00:18:b9:ff:ff");
    refused(";MAC=00:18:b9-ff:ff:ff", "H0201 1:17 -");
    refused(";MAC=00:18:b9:ff:ff.ff", "H0201 1:23 .");
    refused(";MAC=0:18:b9:ff:ff:ff", "H0201 1:9 0");
    refused(";MAC=00:18:b9:f:ff:ff", "H0201 1:18 f");
    refused(";MAC=00:18:b9:fff:ff:ff", "H0201 1:18 fff");
    refused(";MAC=0018.b9.ffffff", "H0201 1:14 b9");
    refused(";MAC=0018b9ffffg0", "H0201 1:19 g");
    refused(";MAC=0018b9fffff", "H0201 1:9 0018b9fffff");
    refused(";MAC=00:18:b9:ff:ff:ff:", "H0201 1:27 ");
    refused(";MAC=00:18:b9:ff:ff:ff,line=2", "H0201 1:26 ,");
    refused(";MAC=", "H0201 1:9 ");
    refused("; MAC = model=7960", "H0201 1:12 m");
    refused(";MAC=000000000000", "H0202 1:9 000000000000");
    refused(";MAC=ff:ff:ff:ff:ff:ff", "H0202 1:9 ff:ff:ff:ff:ff:ff");
    refused(";MAC=01:18:b9:ff:ff:ff", "H0202 1:9 01:18:b9:ff:ff:ff");
}

#[test]
fn a_tag_with_anything_else_in_it_is_not_used() {
    refused(";MAC=0018b9ffffff reception", "H0203 1:22 reception");
    refused(";MAC=0018b9ffffff ; reception", "H0203 1:22 ;");
    refused(";MAC=0018b9ffffff model = 7960", "H0203 1:22 model");
    refused(";MAC=0018b9ffffff 2=x", "H0203 1:22 2=x");
    refused(";MAC=0018b9ffffff line=1 Line=2", "H0204 1:29 Line");
    refused(";MAC=0018b9ffffff line=0", "H0205 1:27 0");
    refused(";MAC=0018b9ffffff line=100", "H0205 1:27 100");
    refused(";MAC=0018b9ffffff line=+1", "H0205 1:27 +1");
    refused(";MAC=0018b9ffffff model=", "H0205 1:28 ");
    refused(";MAC=0018b9ffffff label=a;b", "H0205 1:29 ;");
    refused(";MAC=0018b9ffffff label=a\"b", "H0205 1:29 \"");
    refused(";MAC=0018b9ffffff label=\"a b", "H0205 1:28 \"a b");
    refused(";MAC=0018b9ffffff label=\"a;b\"", "H0205 1:30 ;");
    refused(";MAC=0018b9ffffff label=\"a\\b\"", "H0205 1:30 \\");
    refused(";MAC=0018b9ffffff label=\"a\"b", "H0205 1:31 b");
}

#[test]
fn unknown_attributes_are_told_with_the_nearest_known_one() {
    let (tags, diagnostics, sources) =
        attached("[a];MAC=0018b9ffffff modell=x line=2 colour=red\n");
    assert_eq!(tags[0].as_deref().map(told).as_deref(), Some("00:18:b9:ff:ff:ff - 2 - -"));
    let told: Vec<_> = diagnostics.iter().map(|d| shown(d, &sources)).collect();
    assert_eq!(told, ["H0206 1:22 modell", "H0206 1:38 colour"]);
    assert_eq!(diagnostics[0].help.as_deref(), Some("did you mean `model`?"));
}

#[test]
fn made_up_addresses_are_used_with_a_note() {
    let (tags, diagnostics, _) = attached("[a];MAC=02:00:00:00:00:01\n");
    assert!(tags[0].is_some());
    assert_eq!(
        diagnostics.iter().map(|d| (d.code.id, d.level)).collect::<Vec<_>>(),
        [("H0210", Level::Note)]
    );
}

#[test]
fn tags_count_on_headers_keys_and_before_keys() {
    let tag = ";MAC=0018b9ffffff";
    let it = "00:18:b9:ff:ff:ff - - - -";
    check(&format!("[a]{tag}\n[b]\n"), &[it, "none"]);
    check(&format!("[a]\n[b]\n[a](+) {tag}\nk=1\n"), &[it, "none"]);
    check(&format!("[a]\nk=1 {tag}\n[b]\n"), &[it, "none"]);
    check(&format!("[a]\n{tag}\n\n; x\nk=1\n[b]\n"), &[it, "none"]);
    check(&format!("[a]{tag}\nk=1 {tag}\n"), &[it]);
    check(&format!("[a]{tag}\n[a]\n"), &[it, "none"]);
}

#[test]
fn tags_elsewhere_are_told_and_not_used() {
    let tag = ";MAC=0018b9ffffff";
    for (text, at) in [
        (format!("[a]\nk=1\n{tag}\n[b]\n"), 3),
        (format!("{tag}\n[a]\n"), 1),
        (format!("[a]\nk=1\n{tag}\n"), 3),
        (format!("[a]\n{tag}\n#tryinclude x\nk=1\n"), 2),
        (format!("[a]\n#tryinclude x {tag}\nk=1\n"), 2),
        (format!("[t](!) {tag}\n[a](t)\n"), 1),
        (format!("[t](!)\nk=1 {tag}\n[a](t)\n"), 2),
    ] {
        let (tags, diagnostics, _) = attached(&text);
        assert!(tags.iter().all(Option::is_none), "{text}");
        let told: Vec<_> =
            diagnostics.iter().map(|d| (d.code.id, d.span.map(|s| s.line))).collect();
        assert_eq!(told, [("H0207", Some(at))], "{text}");
    }
}

#[test]
fn two_different_tags_on_one_section_are_both_unused_and_both_shown() {
    for second in ["MAC=0018b9fffff0", "MAC=0018b9ffffff line=2"] {
        let (tags, diagnostics, sources) =
            attached(&format!("[a];MAC=0018b9ffffff\nk=1 ;{second}\nl=1 ;{second}\n"));
        assert_eq!(tags, [None]);
        let [two] = diagnostics.as_slice() else { panic!("{diagnostics:?}") };
        assert_eq!((two.code.id, two.level), ("H0208", Level::Error));
        assert_eq!(two.span.map(|s| (s.line, s.start)), Some((2, 9)));
        assert_eq!(sources.place(two.related[0].0), "/m.conf:1:9");
    }
}

#[test]
fn an_invalid_tag_spoils_a_valid_one_on_the_same_section() {
    let (tags, diagnostics, _) = attached("[a];MAC=0018b9ffffff\nk=1;MAC=0018b9\n");
    assert_eq!((tags, diagnostics.len()), (vec![None], 1));
}

#[test]
fn comments_that_look_like_tags_are_told() {
    refused(";MAC 00:18:b9:ff:ff:ff", "H0209 1:5 MAC 00:18:b9:ff:ff:ff");
    refused("; mac: 0018b9ffffff x", "H0209 1:6 mac: 0018b9ffffff");
    refused("; MAC address 0018.b9ff.ffff", "H0209 1:6 MAC address 0018.b9ff.ffff");
    refused(";mac-address=0018b9ffffff", "H0209 1:5 mac-address=0018b9ffffff");
    refused("; desk ;MAC=0018b9ffffff", "H0209 1:11 ;MAC=0018b9ffffff");
}

#[test]
fn comments_that_are_no_tags_on_purpose_are_left_alone() {
    for text in [
        ";;MAC=0018b9ffffff",
        ";!MAC=0018b9ffffff",
        "; old MAC=0018b9ffffff",
        ";",
        "; mac",
        ";MAC 1",
        "; macaroni 0018b9ffffff",
        "; x ;;MAC=0018b9ffffff",
        ";-- MAC=0018b9ffffff",
        ";MACH=1",
    ] {
        check(&format!("[a]{text}\n"), &["none"]);
    }
    check("[a]\n;secret=x ;MAC=0018b9ffffff\nk=1\n", &["none"]);
    check("[a]\n;--\n;MAC=0018b9ffffff\n--;\nk=1\n", &["none"]);
}

#[test]
fn codes_are_all_different_and_in_their_range() {
    let ids: std::collections::BTreeSet<_> = CODES.iter().map(|code| code.id).collect();
    assert_eq!(ids.len(), CODES.len());
    assert!(ids.iter().all(|id| id.starts_with("H02")));
}

proptest::proptest! {
    #[test]
    fn any_comment_is_read_without_a_panic(text in "(MAC=|mac |;MAC=)?[ -~\t]{0,30}", bytes: Vec<u8>) {
        let mut conf = format!("[a];{text}\nk=1;MAC=0018b9ffffff ").into_bytes();
        conf.extend(bytes);
        let mut sources = Sources::default();
        let mut files = Memory::default().with("/m.conf", conf);
        let conf = read(Path::new("/m.conf"), Path::new("/"), &mut files, &mut sources);
        for diagnostic in attach(&conf).1 {
            let at = diagnostic.span.expect("a place");
            let line = sources.get(at.file).bytes.split(|b| *b == b'\n').nth(at.line as usize - 1);
            proptest::prop_assert!(at.start <= at.end && at.end as usize <= line.map_or(0, <[u8]>::len));
        }
    }
}
