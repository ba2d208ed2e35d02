use super::*;

#[test]
fn a_path_names_a_file_with_its_escapes_taken_apart_once() {
    let check = |path: &str, expected: &str| {
        assert_eq!(name(path).as_deref(), Some(expected.as_bytes()), "{path}");
    };
    check("/SIPDefault.cnf", "SIPDefault.cnf");
    check("/German_Germany/g3-tones.xml", "German_Germany/g3-tones.xml");
    check("/%53IPDefault%2Ecnf", "SIPDefault.cnf");
    check("/a%2Fb", "a/b");
    check("/a%20b", "a b");
    check("/%252e%252e%252fx", "%2e%2e%2fx");
    check("/a+b", "a+b");
    check("/...", "...");
}

#[test]
fn a_path_that_leads_anywhere_else_names_nothing() {
    let long = format!("/{}", "a".repeat(MAX_PATH));
    for path in [
        "",
        "/",
        "SIP.cnf",
        "*",
        "//etc/passwd",
        "/..",
        "/../x",
        "/a/../b",
        "/a/..",
        "/./a",
        "/a/.",
        "/a/",
        "/a//b",
        "/%2e%2e/x",
        "/%2E./x",
        "/.%2e",
        "/a%2f..%2fb",
        "/%2fetc/passwd",
        "/%00",
        "/a%00.cnf",
        "/a%0ab",
        "/a%7f",
        "/a\\b",
        "/..\\x",
        "/%5c",
        "/..%5cx",
        "/%",
        "/%4",
        "/%zz",
        "/%u002e",
        &long,
    ] {
        assert_eq!(name(path), None, "{path}");
    }
}

#[test]
fn a_query_is_read_as_forms_write_it_in_either_charset() {
    let check = |text: &str, expected: &[(&str, &str)]| {
        let found = query(text);
        let found: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    };
    check("", &[]);
    check("name=a+b&page=2", &[("name", "a b"), ("page", "2")]);
    check("name=M%FCller", &[("name", "Müller")]);
    check("name=M%C3%BCller", &[("name", "Müller")]);
    check("name=a%26b%3Dc&&x", &[("name", "a&b=c"), ("x", "")]);
    check("name=%&a=%4&b=%zz", &[("name", "%"), ("a", "%4"), ("b", "%zz")]);
    assert_eq!(query(&"a=b&".repeat(1000)).len(), MAX_SEEN);
    assert!(query(&"x".repeat(100_000))[0].0.len() <= 1024);
}

const MAX_SEEN: usize = 16;

#[test]
fn what_is_encoded_is_read_again() {
    for text in ["", "Müller & Söhne", "a+b=c%20", "\u{0}\u{ff}é", "Ã¼", "Łódź"] {
        assert_eq!(decode(encode(text).as_bytes()), text);
    }
    assert_eq!(encode("ü &"), "%C3%BC%20%26");
}

#[test]
fn one_part_of_a_file_may_be_asked_for() {
    let check = |header: &str, length: usize, expected: Part| {
        assert_eq!(part(header, length), expected, "{header}");
    };
    check("bytes=0-0", 10, Part::Bytes(0..1));
    check("bytes=2-5", 10, Part::Bytes(2..6));
    check("Bytes = 2-", 10, Part::Bytes(2..10));
    check("bytes=-3", 10, Part::Bytes(7..10));
    check("bytes=-30", 10, Part::Bytes(0..10));
    check("bytes=8-99999999999999999999999", 10, Part::Bytes(8..10));
    check("bytes=10-", 10, Part::Outside);
    check("bytes=-0", 10, Part::Outside);
    check("bytes=0-", 0, Part::Outside);
    for nonsense in [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=+1-2",
        "bytes=0-1,3-4",
        "lines=0-1",
        "bytes=0-1-2",
    ] {
        check(nonsense, 10, Part::Whole);
    }
}

#[test]
fn an_entity_tag_is_found_in_a_list() {
    for header in ["\"a\"", "\"x\", \"a\"", "W/\"a\"", "*", " \"a\" "] {
        assert!(matches(header, "\"a\""), "{header}");
    }
    for header in ["", "a", "\"b\"", "\"a", "\"ab\""] {
        assert!(!matches(header, "\"a\""), "{header}");
    }
}

#[test]
fn dates_are_written_and_read_as_http_has_them() {
    let text = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(http_date(784_111_777).as_deref(), Some(text));
    assert!(!modified(text, 784_111_777) && modified(text, 784_111_778));
    assert!(modified("yesterday", 0) && modified("", 0));
    assert_eq!(http_date(i64::MAX), None);
}
