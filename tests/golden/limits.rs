//! What a phone would refuse never becomes a file, and the message points at the setting.

use std::sync::Arc;

use handset::base::{Diagnostic, Level, Secret, Sources};
use handset::family::{self, Context, Role, Variant};

use crate::input::Input;
use crate::{cisco, told};

const MAC: &str = "mac = 00:18:b9:ff:ff:fe\n";

type Rendered = Result<(Vec<Variant>, Vec<Diagnostic>), Vec<Diagnostic>>;

fn render(text: &str) -> (Rendered, Sources) {
    let mut sources = Sources::default();
    let family = cisco(&mut sources);
    let input = Input::read(text, &mut sources);
    (family::phone(&family, &input.phones[0], &input.around()), sources)
}

/// The phone is held back by this one error.
fn refuses(text: &str, expected: &str) {
    let (result, sources) = render(text);
    let errors = result.expect_err(text);
    let errors: Vec<Diagnostic> = errors.into_iter().filter(|d| d.level == Level::Error).collect();
    let told = told(&errors, &sources);
    assert_eq!(told.lines().next(), Some(expected), "{text}\n{told}");
    assert_eq!(errors.len(), 1, "{told}");
}

fn warns(text: &str, expected: &str) {
    let (result, sources) = render(text);
    let (_, said) = result.expect(text);
    assert_eq!(told(&said, &sources).lines().next(), Some(expected), "{text}");
}

fn accepts(text: &str) {
    let (result, sources) = render(text);
    let (variants, said) = result.unwrap_or_else(|e| panic!("{text}\n{}", told(&e, &sources)));
    assert_eq!(told(&said, &sources), "", "{text}");
    assert_eq!(variants.len(), 1);
}

fn with(lines: &str) -> String {
    format!("[200]\n{MAC}{lines}\n")
}

#[test]
fn a_secret_of_31_characters_fits_and_one_of_32_does_not() {
    accepts(&with(&format!("secret = {}", "s".repeat(31))));
    refuses(
        &with(&format!("secret = {}", "s".repeat(32))),
        "/etc/asterisk/input.conf:3:10: Error H0504: the secret of peer `200` has 32 characters; \
         the phone takes at most 31",
    );
}

#[test]
fn a_name_of_127_characters_is_beyond_what_asterisk_reads_but_a_caller_name_is_not() {
    accepts(&with(&format!("secret = x\nname = {}", "n".repeat(127))));
    refuses(
        &with(&format!("secret = x\nlabel = short\nname = {}", "n".repeat(128))),
        "/etc/asterisk/input.conf:1:2: Error H0504: the caller name of peer `200` has 128 \
         characters; the phone takes at most 127",
    );
    refuses(
        &with(&format!("secret = x\nlabel = {}", "l".repeat(128))),
        "/etc/asterisk/input.conf:4:9: Error H0504: the label of peer `200` has 128 characters; \
         the phone takes at most 127",
    );
    refuses(
        &with(&format!("secret = x\nmailbox = 1@d\nvmexten = {}", "1".repeat(129))),
        "/etc/asterisk/input.conf:1:2: Error H0504: the `vmexten` of peer `200` has 129 characters; \
         the phone takes at most 128",
    );
}

#[test]
fn a_message_about_a_secret_shows_nothing_of_it() {
    let (result, sources) = render(&with("secret = hush\"hush"));
    let told = told(&result.unwrap_err(), &sources);
    assert!(told.contains("H0505: the secret of peer `200` holds a character"), "{told}");
    assert!(!told.contains("hush"), "{told}");
}

#[test]
fn accounts_that_the_phone_cannot_use_hold_it_back() {
    refuses(
        &with("md5secret = 0123456789abcdef0123456789abcdef"),
        "/etc/asterisk/input.conf:3:13: Error H0509: peer `200` has only `md5secret`: the phone \
         needs the password",
    );
    refuses(
        &with("secret = x\ntransport = tcp"),
        "/etc/asterisk/input.conf:1:2: Error H0511: peer `200` wants TCP; the phone speaks UDP only",
    );
    warns(
        &with("name = Open"),
        "/etc/asterisk/input.conf:1:2: Warning H0510: peer `200` has no `secret`: anybody may \
         register as it",
    );
    accepts(&with("secret = x\nmd5secret = 0123456789abcdef0123456789abcdef"));
}

#[test]
fn a_phone_has_the_lines_of_its_model() {
    let line = |n: u32| format!("[20{n}]\n{MAC}secret = x\n");
    refuses(
        &(0..3).map(line).collect::<String>(),
        "/etc/asterisk/input.conf:8:7: Error H0512: 00:18:b9:ff:ff:fe has 3 lines; a 7940 has 2",
    );
    refuses(
        &with("secret = x\nmodel = 7941"),
        "/etc/asterisk/input.conf:4:9: Error H0513: cisco-79x0 has no model `7941`",
    );
}

#[test]
fn raw_values_are_checked_against_the_table() {
    let raw = |key: &str| format!("[cisco-79x0]\n{key}\n[200]\n{MAC}secret = x\n");
    let check = |key: &str, expected: &str| {
        refuses(&raw(key), &format!("/etc/asterisk/input.conf:2:{expected}"));
    };
    check(
        "phone_prompt = sixteen letters.",
        "16: Error H0506: `phone_prompt`: it has 16 \
         characters, the phone takes at most 15",
    );
    check(
        "phone_password = Cisco",
        "18: Error H0506: `phone_password`: it must be neither empty \
         nor `cisco`",
    );
    check("telnet_level = 3", "16: Error H0506: `telnet_level`: it must be one of 0, 1, 2");
    check(
        "start_media_port = 16348",
        "20: Error H0506: `start_media_port`: it must be 16384 to \
         32766",
    );
    check("timer_t1 = 5x", "12: Error H0506: `timer_t1`: it must be 1 to 65535");
    check(
        "outbound_proxy = a b",
        "18: Error H0506: `outbound_proxy`: it must be a dotted IPv4 \
         address or a DNS name",
    );
    check(
        "proxy_backup = example.org",
        "16: Error H0506: `proxy_backup`: it must be a dotted IPv4 \
         address",
    );
    check(
        "logo_url = ftp://x",
        "12: Error H0506: `logo_url`: it must be an http:// address without \
         blanks",
    );
    check(
        "network_media_type = auto",
        "22: Error H0506: `network_media_type`: did you mean `Auto`?",
    );
    check(
        "dst_start_day_of_week = sun",
        "25: Error H0506: `dst_start_day_of_week`: did you mean \
         `Sun`?",
    );
    check(
        "phone_label = a\"b",
        "15: Error H0506: `phone_label`: the phone's file cannot carry \
         '\"'",
    );
    check(
        "what-is-this = 1",
        "16: Error H0506: `what-is-this` is no key of the phone, and cannot be \
         written either",
    );
}

#[test]
fn an_address_that_is_no_ipv4_is_refused_where_it_was_set() {
    refuses(
        &format!("[site]\nserver_address = 2001:db8::1\n[200]\n{MAC}secret = x\n"),
        "/etc/asterisk/input.conf:2:18: Error H0504: the server address does not fit: it must be a \
         dotted IPv4 address or a DNS name",
    );
}

#[test]
fn time_zones_that_the_phone_cannot_be_told_are_told_to_people() {
    let check = |zone: &str, expected: &str| {
        let mut sources = Sources::default();
        let family = cisco(&mut sources);
        let input = Input::read(&format!("[site]\ntimezone = {zone}\n"), &mut sources);
        let said = match family::shared(&family, &input.around()) {
            Ok((_, said)) | Err(said) => told(&said, &sources),
        };
        assert_eq!(said.lines().next().unwrap_or_default(), expected, "{zone}");
    };
    check("Europe/Dublin", "");
    check("UTC", "");
    let place = "/etc/asterisk/input.conf:2:12:";
    check("Europe/Berln", &format!("{place} Error H0515: there is no time zone `Europe/Berln`"));
    let lost = |zone| {
        format!("{place} Warning H0515: the phones cannot be told the summer time of `{zone}`")
    };
    check("Asia/Jerusalem", &lost("Asia/Jerusalem"));
    check("America/Santiago", &lost("America/Santiago"));
    let nameless = |zone, offset| {
        format!(
            "{place} Warning H0515: the phones have no name for the offset {offset} of `{zone}`"
        )
    };
    check("Australia/Lord_Howe", &nameless("Australia/Lord_Howe", "+10:30"));
    check("Asia/Kathmandu", &nameless("Asia/Kathmandu", "+5:45"));
}

fn own(text: &str) -> (String, Vec<u8>) {
    let variant = render(text).0.expect(text).0.remove(0);
    let own = variant.artifacts.iter().find(|a| a.role == Role::Own).unwrap();
    (variant.token.to_string(), own.bytes().to_vec())
}

#[test]
fn the_same_inputs_make_the_same_bytes_and_the_same_token() {
    let text = with("secret = x\nname = Ada");
    assert_eq!(own(&text), own(&text));
}

#[test]
fn every_change_of_a_key_changes_the_token_and_nothing_else_does() {
    let base = own(&with("secret = x")).0;
    let raw = |key: &str| format!("[cisco-79x0]\n{key}\n{}", with("secret = x"));
    for text in [
        with("secret = y"),
        with("secret = x\nname = Ada"),
        with("secret = x\nlabel = Ada"),
        with("secret = x\ncodecs = alaw"),
        with("secret = x\nnat = force_rport"),
        raw("date_format = M/D/Y"),
        raw("some_new_key = 1"),
    ] {
        assert_ne!(own(&text).0, base, "{text}");
    }
    for text in [
        with("; a comment\nsecret =   x"),
        with("secret = x\nmailbox = 1@d"),
        raw("dial_timeout = 9"),
    ] {
        assert_eq!(own(&text).0, base, "{text}");
    }
}

#[test]
fn the_token_stands_in_both_files_and_vouches_for_the_rest_of_its_own() {
    let (result, _) = render(&with("secret = x"));
    let variant = result.unwrap().0.remove(0);
    let token = variant.token.to_string();
    let text = |role| {
        let artifact = variant.artifacts.iter().find(|a| a.role == role).unwrap();
        String::from_utf8(artifact.bytes().to_vec()).unwrap()
    };
    assert!(text(Role::Own).contains(&format!("\nsync: \"{token}\"\n")));
    assert!(text(Role::Sync).contains(&format!("SYNC=\"{token}\"")));
    let blank = text(Role::Own).replace(&token, "");
    let key = handset::base::Key::new([7; 32]);
    assert_eq!(key.digest("sync", [blank.as_bytes()]), variant.token);
}

#[test]
fn files_are_read_back_with_their_secrets_marked() {
    let mut sources = Sources::default();
    let family = cisco(&mut sources);
    let (result, _) = render(&with("secret = geheim"));
    let variant = result.unwrap().0.remove(0);
    let keys = family.keys(&variant.artifacts[0]);
    let secret: Vec<&str> = keys.iter().filter(|k| k.2).map(|k| k.0.as_str()).collect();
    assert_eq!(secret, ["phone_password", "line1_password", "line2_password"]);
    assert!(keys.contains(&("line1_password".into(), "geheim".into(), true)));
    assert!(keys.contains(&("line2_name".into(), "UNPROVISIONED".into(), false)));
    assert_eq!(family.reset("telnet_level"), Some("0"));
}

#[test]
fn only_a_load_whose_images_are_there_is_named() {
    let site = "[site]\nstatics = P0S3-8-12-00.loads, P0S3-8-12-00.sb2, P003-8-12-00.sbn\n";
    let text =
        |load: &str| format!("{site}[cisco-79x0]\nfirmware = {load}\n{}", with("secret = x"));
    let steps = |load: &str| {
        let variants = render(&text(load)).0.expect(load).0;
        variants.into_iter().map(|v| v.step.0).collect::<Vec<_>>()
    };
    assert_eq!(steps("P0S3-8-12-00"), ["", "P0S3-8-12-00"]);
    for load in
        ["P0S3-08-12-00", "P003-8-12-00", "P0S3-8-12-00.loads", "P0S3-8-12-00/../x", "P0S3-"]
    {
        assert_eq!(steps(load), [""], "{load}");
    }
}

#[test]
fn user_agents_and_vendor_classes_tell_the_model() {
    let family = cisco(&mut Sources::default());
    let agent = |text: &str| {
        let pattern = family.user_agent(text)?;
        Some((pattern.model.clone().unwrap_or_default(), pattern.firmware))
    };
    assert_eq!(agent("Cisco-CP7940G/8.0"), Some(("7940".into(), true)));
    assert_eq!(agent("Cisco-CP7960G/8.0"), Some(("7960".into(), true)));
    assert_eq!(agent("CSCO/7"), Some((String::new(), true)));
    assert_eq!(agent("CSCO/4"), Some((String::new(), false)));
    assert_eq!(agent("Cisco-CP7941G/8.0"), None);
    assert!(family.firmware_fits("CSCO/7") && !family.firmware_fits("CSCO/6"));
    let class = |bytes: &[u8]| family.dhcp_class(bytes).and_then(|p| p.model.clone());
    assert_eq!(class(b"Cisco Systems, Inc. IP Phone CP-7940G\0").as_deref(), Some("7940"));
    assert_eq!(class(b"Cisco Systems, Inc. IP Phone CP-7960").as_deref(), Some("7960"));
    assert_eq!(class(b"Cisco Systems, Inc. IP Phone CP-7941G\0"), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_asterisk_holds_reaches_the_phone_unchanged_or_not_at_all(
        name in "\\PC{1,40}|[ -~]{1,140}|[\\x00-\\xff]{1,20}",
        secret in "[ -~]{1,40}|[\\x00-\\xff]{1,20}",
    ) {
        let mut sources = Sources::default();
        let family = cisco(&mut sources);
        let mut input = Input::read(&with("secret = x"), &mut sources);
        let peer = Arc::make_mut(&mut input.phones[0].lines[0].peer);
        peer.caller.name.clone_from(&name);
        peer.secret.as_mut().unwrap().value = Secret::new(secret.clone());
        if let Ok((variants, _)) = family::phone(&family, &input.phones[0], &input.around()) {
            let keys = family.keys(&variants[0].artifacts[0]);
            let get = |key: &str| keys.iter().find(|k| k.0 == key).map(|k| k.1.clone());
            assert_eq!(get("line1_displayname"), Some(name));
            assert_eq!(get("line1_password"), Some(secret));
        }
    }
}

/// The way to `P0S3-8-12-00` with these files in the static root: each step's files and load, or what
/// is missing; then the names that tell where a phone stands.
fn way(statics: &str) -> Vec<String> {
    let mut sources = Sources::default();
    let family = cisco(&mut sources);
    let text = format!("[site]\nstatics = {statics}\n{}", with("secret = x"));
    let input = Input::read(&text, &mut sources);
    let around = input.around();
    let ladder = Context::new(&family, &around).ladder("P0S3-8-12-00").unwrap().unwrap();
    let rungs = ladder.rungs.iter().map(|rung| {
        let files = rung.files.iter().map(|told| {
            let text = String::from_utf8_lossy(&told.bytes).into_owned();
            assert!(text.contains(&rung.load), "{text}");
            told.name.to_string()
        });
        let told: Vec<String> = files.chain(rung.key.clone()).collect();
        let own = if rung.without_own { ", no own file" } else { "" };
        match rung.missing.as_slice() {
            [] => format!("{}: {} by {}{own}", rung.at, rung.load, told.join(" ")),
            missing => format!("{}: {}", rung.at, missing.join("; ")),
        }
    });
    let signs = ladder.signs.iter().map(|(name, program)| format!("{name} {program}"));
    rungs.chain(signs).collect()
}

#[test]
fn the_steps_stand_in_the_manifest_and_are_told_only_when_their_images_are_there() {
    let set = "P0S3-8-12-00.loads, P0S3-8-12-00.sb2, P003-8-12-00.sbn";
    let signs = ["CTLSEP{MAC}.tlv universal loader", "SIPDefault.cnf SIP", "SEP{MAC}.cnf SCCP"];
    let led = [
        "SCCP, signed: P003-8-12-00 by OS79XX.TXT",
        "SCCP: P0S3-05-3-00 by OS79XX.TXT",
        "SIP 2 to 4: P0S3-05-3-00 by OS79XX.TXT image_version",
        "SIP 5 to 6: P003-8-12-00 by OS79XX.TXT image_version",
        "universal loader: P0S3-8-12-00 by XMLDefault.cnf.xml, no own file",
    ];
    let all = way(&format!("{set}, P0S3-05-3-00.bin, P0S3-04-4-00.bin"));
    assert_eq!(all, [&led[..], &signs[..]].concat());
    let without = way(set);
    let lost = "there is no `.bin` image of P0S3-…5.3 in the root of [tftp]";
    assert_eq!(without[1..3], [format!("SCCP: {lost}"), format!("SIP 2 to 4: {lost}")]);
    assert_eq!(without[3..5], led[3..]);
    // A step is no use when there is no way on from where it leads.
    let cut = way("P0S3-8-12-00.loads, P003-8-12-00.sbn, P0S3-05-3-00.bin");
    let lost = "`P0S3-8-12-00.sb2` is not in the root of [tftp]";
    assert!(cut[..5].iter().all(|step| step.ends_with(lost)), "{cut:?}");
}
