use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::base::Level;

/// Reads `/etc/m.conf` beside files given as (name, text).
fn read_files(top: &[u8], others: &[(&str, &[u8])]) -> (Conf, Sources) {
    let mut files = Memory::default().with("/etc/m.conf", top.to_vec());
    for (name, text) in others {
        files = files.with(Path::new("/etc").join(name), text.to_vec());
    }
    let mut sources = Sources::default();
    let conf = read(Path::new("m.conf"), Path::new("/etc"), &mut files, &mut sources);
    (conf, sources)
}

fn read_text(text: &str) -> (Conf, Sources) {
    read_files(text.as_bytes(), &[])
}

/// The sections as `[name] name=value …`.
fn told(conf: &Conf) -> String {
    let section = |s: &Section| {
        let values = s.entries.iter().map(|e| format!(" {}={}", e.name, e.value));
        format!("[{}]{}", s.name, values.collect::<String>())
    };
    conf.sections.iter().map(section).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(told(&read_text(text).0), expected);
}

/// Code, place and marked text of every message.
fn messages(conf: &Conf, sources: &Sources) -> Vec<String> {
    let message = |d: &Diagnostic| {
        let Some(at) = d.span else { return d.code.id.to_owned() };
        let line = sources.line(at.file, at.line);
        let marked = Text::from(&line[at.start as usize..at.end as usize]);
        format!("{} {} {marked}", d.code.id, sources.place(at))
    };
    conf.diagnostics.iter().map(message).collect()
}

#[track_caller]
fn check_messages(text: &str, expected: &[&str]) {
    let (conf, sources) = read_text(text);
    assert_eq!(messages(&conf, &sources), expected);
    assert!(conf.diagnostics.iter().all(|d| d.help.is_some()));
}

#[test]
fn a_nul_ends_the_line() {
    check("[a]\nk=a\0b;x\nl=2\n", "[a] k=a l=2");
}

#[test]
fn blanks_are_all_bytes_up_to_32_and_no_others() {
    check("[a]\n\x01k\x02=\x0c v\u{a0}\x1f\r\n", "[a] k=v\u{a0}");
    check("[a]\nk=1\rl=2\n", "[a] k=1\rl=2");
}

#[test]
fn block_comments_join_what_is_around_them() {
    check("[a]\nk=a;-- c --;b\nl=1 ;-- x\nhidden=1\n--; m=2\n", "[a] k=ab l=1 m=2");
    check("[a]\nk=1\n;--;\nhidden=1\n--;\nl=2\n;----;\nm=3", "[a] k=1 l=2 m=3");
}

#[test]
fn a_stray_close_hides_what_follows_until_an_open() {
    check("[a]\nk=x--;y\nhidden=1\n;--\nl=2\n", "[a] k=x--;y l=2");
}

#[test]
fn a_line_of_8190_bytes_is_read_and_a_longer_one_is_skipped() {
    for (length, read) in [(8190, true), (8191, false), (8192, false), (16383, false)] {
        let long = format!("k={}", "x".repeat(length - 2));
        for end in ["\nl=2\n", ""] {
            let (conf, _) = read_text(&format!("[a]\n{long}{end}"));
            let first = conf.sections[0].entries.first().map(|e| e.value.as_bytes().len());
            assert_eq!(first == Some(length - 2), read, "{length} {end:?}");
            assert_eq!(conf.sections[0].last("l").is_some(), !end.is_empty(), "{length}");
        }
    }
    let (conf, sources) = read_text(&format!("[a]\n;{}\nk=1\nbad\n", "x".repeat(9000)));
    assert_eq!(messages(&conf, &sources), ["H0115 /etc/m.conf:2:1 ", "H0110 /etc/m.conf:4:1 bad"]);
}

#[test]
fn an_append_after_an_empty_value_overwrites_the_first_of_that_name() {
    check("[a]\nk=1\nk=\nk+=2\n", "[a] k=2 k=");
    check("[a]\nm=same\nM=SAME\nM+=!\n", "[a] M=SAME! M=SAME");
}

#[test]
fn mistakes_are_told_at_their_place() {
    check_messages("[a]\nk 1\n", &["H0110 /etc/m.conf:2:1 k 1"]);
    check_messages("[a]\n = 1\n", &["H0111 /etc/m.conf:2:2 = 1"]);
    check_messages("[a]\n# include x\n", &["H0112 /etc/m.conf:2:1 # include x"]);
    check_messages("[a]\n#include\n", &["H0113 /etc/m.conf:2:1 #include"]);
    check_messages("[a] (!)\n", &["H0121 /etc/m.conf:1:1 [a] (!)"]);
    let (long, whole) = ("x".repeat(80), "x".repeat(79));
    check_messages(&format!("[{long}]\n"), &[&format!("H0122 /etc/m.conf:1:2 {long}")]);
    check_messages(&format!("[{whole}]\n"), &[]);
    check_messages("[a]\n  [b\n", &["H0102 /etc/m.conf:2:3 [b"]);
    check_messages("[a]\n[b](!\n", &["H0103 /etc/m.conf:2:1 [b](!"]);
    check_messages("[a]\n[b](!, t)\n", &["H0104 /etc/m.conf:2:7  t"]);
    check_messages("[t](!)\n[t](+)\n", &["H0105 /etc/m.conf:2:5 +"]);
    check_messages("k=1\n", &["H0106 /etc/m.conf:1:1 k=1"]);
    check_messages("[a]\n\\ =1\n", &["H0107 /etc/m.conf:2:1 \\ =1"]);
    check_messages("[a]\n#include \"x\" ; y\n", &["H0108 /etc/m.conf:2:11 x"]);
    check_messages("[a]\nk=1 ;-- x\n\n", &["H0116 /etc/m.conf:2:5 ;"]);
    check_messages("[a]\nk=1--;\n", &["H0117 /etc/m.conf:2:6 ;"]);
    check_messages("[a]\nk=1\n[a](+,a)\n", &["H0118 /etc/m.conf:3:7 a"]);
    let (long, short) = ("/.".repeat(128), "/.".repeat(127));
    let twice = |path: &str| format!("[a]\n#tryinclude {path}\n#tryinclude \"{path}\"\n");
    check_messages(&twice(&long), &[&format!("H0118 /etc/m.conf:3:14 {long}")]);
    check_messages(&twice(&short), &[]);
}

#[test]
fn helps_say_what_was_meant() {
    let help = |text: &str| read_text(text).0.diagnostics[0].help.clone().expect("help");
    assert!(help("[phones](!)\n[a](phnes)\n").contains("did you mean [phones]?"));
    assert!(help("[t](!)\n[a](t )\n").contains("blanks belong to the name"));
}

#[test]
fn no_message_holds_a_value() {
    let text = "[a]\nsecret geheim\n=geheim\n[b](+) ;geheim\n";
    let (conf, _) = read_text(text);
    assert_eq!(conf.diagnostics.len(), 3);
    assert!(!format!("{:?}", conf.diagnostics).contains("geheim"));
}

#[test]
fn an_error_in_an_include_is_no_error_of_the_includer() {
    let (conf, sources) =
        read_files(b"[a]\n#include x.conf\nk=2\n", &[("x.conf", b"[x]\nl=1\n[y\nm=1\n")]);
    assert_eq!((conf.status, conf.abandoned), (Status::Ok, true));
    assert_eq!(told(&conf), "[a] k=2 [x] l=1");
    assert_eq!(messages(&conf, &sources), ["H0102 /etc/x.conf:3:1 [y"]);
    let help = conf.diagnostics[0].help.as_deref().expect("help");
    assert!(help.contains("loses the rest of this file"), "{help}");
}

#[test]
fn a_missing_tryinclude_is_fine() {
    let (conf, _) = read_text("[a]\n#tryinclude none.conf\nk=1\n");
    assert!(conf.diagnostics.is_empty() && !conf.abandoned);
}

#[test]
fn an_exec_is_reported_and_never_run() {
    let (conf, sources) = read_text("[a]\n#exec /bin/x -p geheim\nk=1\n;#exec y\n");
    assert!(conf.exec);
    assert_eq!(messages(&conf, &sources), ["H0114 /etc/m.conf:2:1 #exec /bin/x -p geheim"]);
    assert!(!format!("{:?}", conf.diagnostics).contains("geheim"));
    assert_eq!(told(&conf), "[a] k=1");
}

#[test]
fn places_of_values_point_into_the_file_that_holds_them() {
    let (conf, sources) = read_files(
        b"[t](!)\nhost=dynamic\n#include x.conf\n",
        &[("x.conf", b"\xef\xbb\xbf[101](t)\n  secret = ge;--x--;heim ;c\nempty=\n")],
    );
    let section = &conf.sections[1];
    let place = |span| (sources.place(span), span.end - span.start);
    assert_eq!(place(section.span), ("/etc/x.conf:1:5".to_owned(), 3));
    let entries: Vec<_> = section.entries.iter().collect();
    let [host, secret, empty] = entries.as_slice() else { panic!("three values") };
    assert_eq!(place(host.span), ("/etc/m.conf:2:6".to_owned(), 7));
    assert!(host.inherited && !secret.inherited);
    assert_eq!(place(secret.name_span), ("/etc/x.conf:2:3".to_owned(), 6));
    assert_eq!(place(secret.span), ("/etc/x.conf:2:12".to_owned(), 13));
    assert_eq!(place(empty.span), ("/etc/x.conf:3:1".to_owned(), 6));
    assert_eq!(secret.value, Text::from("geheim"));
}

#[test]
fn inherited_values_share_the_bytes_of_the_file() {
    let (conf, sources) = read_text("[t](!)\nhost=dynamic\n[a](t)\n[b](a)\n");
    let file = sources.get(conf.sections[0].span.file).bytes.as_ptr_range();
    for section in &conf.sections {
        assert!(
            file.contains(&section.entries.first().expect("a value").value.as_bytes().as_ptr()),
            "{}",
            section.name
        );
    }
}

/// The text of every comment and what it is tied to.
fn places(conf: &Conf) -> Vec<(String, Place)> {
    conf.comments.iter().map(|c| (c.text.to_string(), c.place)).collect()
}

#[test]
fn comments_are_tied_to_what_asterisk_ties_them_to() {
    let text = ";0\n[a];1\r\n;2\n\n;3\nk=1;4\n;5\n[b](+a);6\n";
    let expected = [(";0", Place::Alone), (";1", Place::Header(0))];
    assert_eq!(&places(&read_text("").0), &[]);
    let (conf, _) = read_text(&text.replace("[b](+a)", "[b]"));
    let more = [
        (";2", Place::BeforeKey(0)),
        (";3", Place::BeforeKey(0)),
        (";4", Place::Key(0)),
        (";5", Place::Alone),
        (";6", Place::Header(1)),
    ];
    let all: Vec<_> = expected.iter().chain(&more).map(|(t, p)| ((*t).to_owned(), *p)).collect();
    assert_eq!(places(&conf), all);
}

#[test]
fn comments_follow_an_append_and_stop_at_directives_and_files() {
    let (conf, _) = read_files(
        b"[a]\n[b]\n[a](+);1\nk=1;2\n;3\n#include x.conf ;4\n;5\n",
        &[("x.conf", b";6\nl=1\nno equals ;7\n;8\n")],
    );
    let tied: Vec<_> = places(&conf).into_iter().map(|(t, p)| format!("{t} {p:?}")).collect();
    assert_eq!(
        tied,
        [
            ";1 Header(0)",
            ";2 Key(0)",
            ";3 Alone",
            ";4 Directive",
            ";6 BeforeKey(0)",
            ";7 Alone",
            ";8 Alone",
            ";5 Alone"
        ]
    );
}

#[test]
fn comments_inside_blocks_escapes_and_skipped_lines_are_none() {
    let long = format!("k={};x", "y".repeat(9000));
    let (conf, sources) =
        read_text(&format!("[a]\n;--\n;x\n--;\n;---\nv=\\;x ;--;y--; ;c\n{long}\n"));
    assert_eq!(
        places(&conf),
        [(";---".to_owned(), Place::BeforeKey(0)), (";c".to_owned(), Place::Key(0))]
    );
    assert_eq!(sources.place(conf.comments[1].span), "/etc/m.conf:6:16");
}

#[test]
fn limits_reject_what_would_never_end() {
    let circle = b"[a]\n#tryinclude m.conf\n#tryinclude m.conf\n";
    let (conf, _) = read_files(circle, &[]);
    assert_eq!(conf.status, Status::Invalid);
    assert_eq!(conf.diagnostics.last().map(|d| d.code.id), Some("H0119"));
    let mut doubling = String::from("[s0]\nk=1\n");
    for n in 1..64 {
        doubling += &format!("[s{n}](s{0},s{0})\n", n - 1);
    }
    let (conf, _) = read_text(&doubling);
    assert_eq!(conf.diagnostics.last().map(|d| d.code.id), Some("H0119"));
    let (conf, _) = read_text(&";\n".repeat(2_000_001));
    assert_eq!(conf.diagnostics.last().map(|d| d.code.id), Some("H0119"));
    let (conf, _) = read_text(&format!("[a]\n{}", "junk\n".repeat(5000)));
    assert_eq!(conf.diagnostics.last().map(|d| d.code.id), Some("H0124"));
    assert!(conf.diagnostics.len() <= 1001);
}

#[test]
fn the_fingerprint_sees_meaning_only() {
    let print = |text: &str| fingerprint(&read_text(text).0);
    let one = print("[a]\nk = 1\n");
    assert_eq!(one, print(";x\n[a] ; y\n\n  k=>1 ;z\n"));
    assert_eq!(print("[t](!)\nk=1\n[a](t)\n"), print("[t](!)\nk=1\n[a]\nk=1\n"));
    for other in ["[a]\nk=2\n", "[a]\n", "[b]\nk=1\n", "[a](!)\nk=1\n", "[a]\nk=1\nk=1\n", "[a\n"] {
        assert_ne!(one, print(other), "{other:?}");
    }
}

#[test]
fn codes_are_all_different_and_in_their_range() {
    let ids: std::collections::BTreeSet<_> = CODES.iter().map(|code| code.id).collect();
    assert_eq!(ids.len(), CODES.len());
    assert!(ids.iter().all(|id| id.starts_with("H01")));
}

/// Every place lies inside its line, and what is written there is what was read, unless comments or
/// escapes were taken out of it.
fn sound(conf: &Conf, sources: &Sources) {
    let written = |span: Span| {
        let file = sources.get(span.file);
        let line = file.bytes.split(|b| *b == b'\n').nth(span.line as usize - 1).expect("line");
        line.get(span.start as usize..span.end as usize).expect("inside the line").to_vec()
    };
    for entry in conf.sections.iter().flat_map(|s| &s.entries) {
        let text = written(entry.name_span);
        assert!(text.contains(&b';') || text == entry.name.as_bytes());
        written(entry.span);
    }
    for comment in &conf.comments {
        assert_eq!(written(comment.span), comment.text.as_bytes());
        if let Place::Header(at) | Place::Key(at) | Place::BeforeKey(at) = comment.place {
            assert!(at < conf.sections.len());
        }
    }
    for diagnostic in &conf.diagnostics {
        diagnostic.span.map(written);
        assert!(
            diagnostic.help.is_some()
                || diagnostic.level == Level::Note
                || diagnostic.span.is_none()
        );
    }
    assert_eq!(conf.status == Status::Ok, show::json(conf).is_array());
}

/// Lines that mean something to the reader, in random company.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "[a]",
        "[b](!)",
        "[c](a,b)",
        "[a](+)",
        "[a](+k=1)",
        "[b](+TEMPLATES=include,a)",
        "[](,)",
        "k=1",
        "k+= 2",
        "\\#k => v;c",
        "k=a;-- b",
        "--; l=2",
        "x--;y",
        ";-- ;--",
        "; c",
        "#include x.conf",
        "#include m.conf",
        "#tryinclude *.conf",
        "#exec y",
        "#",
        "\u{feff}[a]",
        "k=\0z",
        "[q",
        "\\",
        "=",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![6 => known, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(line(), 0..24).prop_map(|lines| lines.join(b"\n".as_slice()))
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(top in prop::collection::vec(any::<u8>(), 0..600)) {
        let (conf, sources) = read_files(&top, &[]);
        sound(&conf, &sources);
    }

    #[test]
    fn any_company_of_files_is_read_and_every_place_is_sound(top in text(), x in text(), y in text()) {
        let (conf, sources) = read_files(&top, &[("x.conf", &x), ("y.conf", &y)]);
        sound(&conf, &sources);
    }
}
