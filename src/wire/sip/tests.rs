use proptest::prelude::*;

use super::*;

fn question(method: &'static str, user: Option<&'static str>) -> Question<'static> {
    Question {
        method,
        user,
        server: "192.0.2.1:5060".parse().unwrap(),
        local: "192.0.2.9:40000".parse().unwrap(),
        id: 7,
        number: 2,
    }
}

#[test]
fn a_question_for_the_bindings_has_no_contact_and_no_expiry() {
    let text = String::from_utf8(question("REGISTER", Some("201")).encode(None)).unwrap();
    assert!(text.starts_with("REGISTER sip:192.0.2.1:5060 SIP/2.0\r\n"), "{text}");
    assert!(text.contains("\r\nTo: <sip:201@192.0.2.1:5060>\r\n"), "{text}");
    assert!(text.contains("\r\nCSeq: 2 REGISTER\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    let names: Vec<_> = text.lines().filter_map(|l| l.split_once(':')).map(|(n, _)| n).collect();
    assert!(!names.contains(&"Contact") && !names.contains(&"Expires"), "{text}");
}

#[test]
fn nothing_in_a_name_becomes_another_header() {
    let text = String::from_utf8(question("REGISTER", Some("a b\r\nX: y")).encode(None)).unwrap();
    assert!(text.contains("<sip:a%20b%0D%0AX%3A%20y@192.0.2.1:5060>"), "{text}");
    let challenge = Challenge::parse("Digest realm=\"r\", nonce=\"n\"", "Authorization").unwrap();
    let login = Login { user: "a\"\r\nX: y", secret: "s", cnonce: "c" };
    let line = authorize(&challenge, login, "REGISTER", "sip:x");
    assert!(line.contains(r#"username="a\"X: y""#) && !line.contains('\n'), "{line}");
}

fn answer(lines: &str) -> Answer {
    Answer::parse(lines.replace('\n', "\r\n").as_bytes()).unwrap()
}

#[test]
fn an_answer_is_known_by_its_call_and_number() {
    let text = "SIP/2.0 200 OK\nCall-ID: 0000000000000007@192.0.2.9\nCSeq: 2  REGISTER\n\n";
    assert!(answer(text).is_to(&question("REGISTER", None)));
    let short = text.replace("Call-ID", "i");
    assert!(answer(&short).is_to(&question("REGISTER", None)));
    for (from, to) in [("CSeq: 2", "CSeq: 1"), ("0007", "0008"), ("REGISTER", "OPTIONS")] {
        assert!(!answer(&text.replace(from, to)).is_to(&question("REGISTER", None)), "{to}");
    }
}

#[test]
fn what_is_no_answer_is_none() {
    for text in ["", "SIP/2.0", "SIP/2.0 20", "SIP/2.0 700 x", "REGISTER sip:x SIP/2.0\r\n\r\n"] {
        assert_eq!(Answer::parse(text.as_bytes()), None, "{text}");
    }
    assert_eq!(answer("SIP/2.0 403 No\u{1b}[31m\n\n").reason, "No?[31m");
}

/// RFC 2617 §3.5 with the method and address of the example there.
#[test]
fn the_digest_is_the_rfcs() {
    let value = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                 nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let challenge = Challenge::parse(value, "Authorization").unwrap();
    let login = Login { user: "Mufasa", secret: "Circle Of Life", cnonce: "0a4f113b" };
    let line = authorize(&challenge, login, "GET", "/dir/index.html");
    assert!(line.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{line}");
    assert!(line.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""), "{line}");
    assert!(!line.contains("Circle"), "{line}");
}

#[test]
fn only_a_challenge_that_can_be_met_is_taken() {
    let with = |value: &str| {
        answer(&format!("SIP/2.0 401 Unauthorized\nWWW-Authenticate: {value}\n\n")).challenge()
    };
    let plain = with("Digest algorithm=MD5, realm=\"a\\\"b\", nonce=\"1\"").unwrap();
    assert_eq!((plain.realm(), plain.qop), ("a\"b", false));
    for value in [
        "Basic realm=\"x\"",
        "Digest realm=\"x\"",
        "Digest",
        "Digest algorithm=SHA-256, realm=\"x\", nonce=\"1\"",
    ] {
        assert_eq!(with(value), None, "{value}");
    }
    let folded = answer("SIP/2.0 407 x\nProxy-Authenticate: Digest realm=\"x\",\n nonce=\"1\"\n\n");
    assert_eq!(folded.challenge().unwrap().header, "Proxy-Authorization");
}

proptest! {
    #[test]
    fn never_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        value in "[ -~]{0,60}",
    ) {
        if let Some(answer) = Answer::parse(&bytes) {
            answer.challenge();
        }
        let text = format!("SIP/2.0 401 x\r\nWWW-Authenticate: Digest {value}\r\n\r\n");
        Answer::parse(text.as_bytes()).map(|answer| answer.challenge());
    }
}
