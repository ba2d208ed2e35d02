use super::*;
use crate::model::peer::{from_pjsip, from_sip};
use crate::model::testing;

/// What is said about a sip.conf.
fn check(text: &str, expected: &[&str]) {
    let read = testing::read(text);
    let peers = from_sip(&read.conf, &read.tags).peers;
    let found = lint(&read.conf, &read.tags, &peers);
    assert_eq!(read.short(&found), expected, "{text}");
}

/// A peer with a phone, in five lines: the secret is in the fourth.
fn peer(name: &str, mac: &str, more: &str) -> String {
    format!(
        "[{name}] ;MAC=00:18:b9:{mac}\ntype=friend\nhost=dynamic\nsecret=pass-word-{name}\n{more}\n"
    )
}

#[test]
fn an_ordinary_configuration_raises_nothing() {
    check(include_str!("../../../tests/lab/demo/etc/sip.conf"), &[]);
    let (one, two) = (peer("201", "00:00:01", "macaddress=x"), peer("202", "00:00:02", "@x=1"));
    check(&format!("[general]\nx=y\n{one}{two}[203]\ntype=friend\nsecret=1\nx=y\n"), &[]);
}

#[test]
fn a_mac_with_one_other_digit_is_told_of_at_the_later_tag() {
    check(
        &format!("{}{}", peer("202", "12:34:56", ""), peer("201", "12:74:56", "")),
        &["sip.conf:6:12: note[H0460]: 00:18:b9:12:74:56 differs by one digit from \
           00:18:b9:12:34:56, another tag's"],
    );
    check(&format!("{}{}", peer("1", "12:34:56", ""), peer("2", "12:74:57", "")), &[]);
    let two = format!("{}{}", peer("1", "12:34:56", ""), peer("2", "12:34:56", ""));
    check(&two, &[]);
}

#[test]
fn phones_bought_together_are_no_slips() {
    let all: String = ["01", "02", "11", "21"]
        .iter()
        .map(|last| peer(&format!("2{last}"), &format!("00:00:{last}"), ""))
        .collect();
    check(&all, &[]);
}

#[test]
fn a_neighbour_that_has_the_missing_line_is_probably_the_same_phone() {
    let line = |name: &str, mac: &str, line| peer(name, &format!("{mac} line={line}"), "");
    let text = "warning[H0460]: 00:18:b9:00:00:02 differs by one digit from 00:18:b9:00:00:01, \
                another tag's: the lines of the two would make one phone";
    let expected = format!("sip.conf:6:10: {text}");
    check(&(line("1", "00:00:01", 1) + &line("2", "00:00:02", 2)), &[&expected]);
    check(&(line("1", "00:00:01", 1) + &line("2", "00:00:02", 1)), &[]);
    let far = line("1", "00:00:01", 1) + &line("2", "00:00:12", 2);
    check(&far, &[]);
    // With two that fit nobody can tell.
    let three = line("1", "00:00:01", 1) + &line("2", "00:00:02", 2) + &line("3", "00:00:03", 1);
    check(&three, &[]);
}

#[test]
fn weak_secrets_are_told_of_and_never_shown() {
    let with =
        |secret: &str| peer("Reception", "00:00:01", "").replace("pass-word-Reception", secret);
    let weak =
        |why: &str| format!("sip.conf:4:8: warning[H0462]: the secret of the peer Reception {why}");
    check(&with("geheim7"), &[&weak("is shorter than 8 characters")]);
    check(&with("1234567890"), &[&weak("has only digits")]);
    check(&with("reception"), &[&weak("is its name")]);
    check(&with("geheim78"), &[]);
}

#[test]
fn one_secret_for_two_phones_is_told_of_once() {
    let same = |name: &str, mac: &str| peer(name, mac, "secret=the-same-one");
    let note = "sip.conf:10:8: note[H0461]: the peer 2 has the same secret as 1, on another phone";
    check(&(same("1", "00:00:01") + &same("2", "00:00:02") + &same("3", "00:00:03")), &[note]);
    check(&(same("1", "00:00:01") + &same("2", "00:00:01")), &[]);
}

#[test]
fn a_secret_in_a_template_is_told_of_once() {
    let peer = |name: &str| format!("[{name}](t) ;MAC=00:18:b9:00:00:0{name}\n");
    check(
        &format!("[t](!)\ntype=friend\nhost=dynamic\nsecret=geheim\n{}{}", peer("1"), peer("2")),
        &[
            "sip.conf:4:8: warning[H0462]: the secret of the peer 1 is shorter than 8 characters",
            "sip.conf:4:8: note[H0461]: the peer 2 has the same secret as 1, on another phone",
        ],
    );
}

#[test]
fn keys_that_chan_sip_passes_over_are_told_of() {
    let key = |key: &str, expected: &[(&str, &str)]| {
        let read = testing::read(&peer("1", "00:00:01", &format!("{key}=1")));
        let found = keys::unknown(&read.conf, &read.tags);
        let found: Vec<_> =
            found.iter().map(|d| (d.code.id, d.help.as_deref().unwrap_or_default())).collect();
        assert_eq!(found, expected, "{key}");
    };
    key("maibox", &[("H0463", "did you mean `mailbox`?")]);
    key("QualifyFreq", &[]);
    key("colour", &[("H0463", "take it away, or write a comment")]);
    key("bindport", &[("H0464", "move it to [general]")]);
    key("voicemail_extension", &[("H0465", "write `vmexten`")]);
    key(&"x".repeat(3000), &[("H0463", "take it away, or write a comment")]);
    for known in ["MacAddress", "linenumber", "call-limit", "dtlsenable", "setvar", "@mac"] {
        key(known, &[]);
    }
}

#[test]
fn a_slip_in_a_template_is_told_of_once() {
    let text = "[t](!)\ntype=friend\nhost=dynamic\nmaibox=1@a\n[1](t) ;MAC=00:18:b9:00:00:01\n\
                secret=pass-word-1\n[2](t) ;MAC=00:18:b9:00:00:02\nsecret=pass-word-2\n";
    let expected =
        "sip.conf:4:1: note[H0463]: chan_sip does not know the key `maibox` and passes over it";
    check(text, &[expected]);
}

#[test]
fn a_template_that_nobody_names_is_told_of() {
    let text = "[Desk](!)\n[hall](!)\n[lift](!,hall)\n[1](desk)\ntype=friend\n";
    check(text, &["sip.conf:3:2: note[H0466]: no section uses the template [lift]"]);
}

#[test]
fn accounts_of_both_channel_drivers_are_one() {
    let sip = testing::read(&peer("1", "00:00:01", ""));
    let pjsip = testing::read(
        "[1] ;MAC=00:18:b9:00:00:02\ntype=endpoint\nauth=1\naors=1\n\
         [1]\ntype=auth\nauth_type=userpass\nusername=1\npassword=pass-word-1\n[1]\ntype=aor\n",
    );
    let mut peers = from_sip(&sip.conf, &sip.tags).peers;
    peers.extend(from_pjsip(&pjsip.conf, None, &pjsip.tags, &[]).peers);
    assert_eq!(peers.iter().filter(|peer| secret(peer).is_some()).count(), 2);
    assert_eq!(shared(&peers), []);
}

proptest::proptest! {
    #[test]
    fn neither_many_phones_nor_their_order_break_the_search(
        macs in proptest::collection::vec((0_u8..4, 0_u8..=255, 0_u8..9), 0..60),
    ) {
        let read = |macs: &[(u8, u8, u8)]| {
            let peer = |(at, (a, b, line)): (usize, &(u8, u8, u8))| {
                let line = if *line > 0 { format!(" line={line}") } else { String::new() };
                peer(&at.to_string(), &format!("{a:02x}:00:{b:02x}{line}"), "")
            };
            let read = testing::read(&macs.iter().enumerate().map(peer).collect::<String>());
            macs::near(&from_sip(&read.conf, &read.tags).peers).len()
        };
        let mut reversed = macs.clone();
        reversed.reverse();
        assert_eq!(read(&macs), read(&reversed));
    }
}
