use super::keys::{self, KEYS, Kind, Verdict};
use super::parse;
use crate::Model;
use crate::event::Event;
use crate::flash::Flash;

/// `line` is read as this value, or refused with a reason that holds the text.
fn value(line: &str, expected: Result<&str, &str>) {
    let (settings, bad) = parse(line.as_bytes());
    match expected {
        Ok(value) => {
            assert!(bad.is_empty(), "{line}: {bad:?}");
            assert_eq!(settings.len(), 1, "{line}");
            assert_eq!(settings[0].value, value, "{line}");
        }
        Err(why) => {
            assert!(settings.is_empty(), "{line}: {settings:?}");
            assert!(bad.len() == 1 && bad[0].why.contains(why), "{line}: {bad:?}");
        }
    }
}

/// What the phone makes of one setting, alone in a file.
fn setting(key: &str, value: &str, takes: bool) {
    let mut flash = Flash::default();
    let told = flash.apply("f", format!("{key}: \"{value}\"").as_bytes());
    assert_eq!(told.is_empty(), takes, "{key}: {value}: {told:?}");
    let stored = flash.values().get(&key.to_ascii_lowercase()).map(String::as_str);
    assert_eq!(stored, takes.then_some(value), "{key}: {value}");
}

#[test]
fn blanks_around_the_colon_and_after_the_value_do_not_count() {
    for line in ["a:1", "a: 1", "a :1", "  a \t:\t 1  ", "a:\"1\"", "a: 1\r"] {
        value(line, Ok("1"));
    }
}

#[test]
fn a_semicolon_begins_a_comment_also_directly_after_a_quote() {
    value("a: 1 ; one", Ok("1"));
    value("a: 1;one", Ok("1"));
    value("a: \"1\";", Ok("1"));
    value("a: \"1\" ; \"x\"", Ok("1"));
    value("a: \"1;2\"", Err("';'"));
}

#[test]
fn a_hash_begins_a_comment_only_at_the_start_of_a_line() {
    assert_eq!(parse(b"# a: 1\n  # b: 2\n; c: 3\n\n").0, []);
    value("a: *98#", Ok("*98#"));
    value("a: \"#31#\"", Ok("#31#"));
}

#[test]
fn empty_values_and_values_with_blanks_are_quoted() {
    value("a: \"\"", Ok(""));
    value("a: \"Ada Quill\"", Ok("Ada Quill"));
    value("a: \" b \"", Ok(" b "));
    value("a:", Err("must be quoted"));
    value("a: ; nothing", Err("must be quoted"));
    value("a: Ada Quill", Err("must be quoted"));
}

#[test]
fn quotes_must_close_and_stand_alone() {
    value("a: \"b", Err("never closed"));
    value("a: \"b\"c", Err("after the closing quote"));
    value("a: \"b\"\"c\"", Err("after the closing quote"));
    value("a: b\"c", Err("'\"'"));
}

#[test]
fn what_is_no_setting_is_refused_with_its_line() {
    let (settings, bad) = parse(b"a: 1\r\nnonsense\n: 2\nx.y: 3\nb: \"4\x01\"\n");
    assert_eq!(settings.len(), 1);
    let lines: Vec<usize> = bad.iter().map(|b| b.line).collect();
    assert_eq!(lines, [2, 3, 4, 5]);
}

#[test]
fn text_is_eight_bit_and_never_utf_8() {
    value("a: \"caf\u{e9}\"", Ok("caf\u{c3}\u{a9}"));
    assert_eq!(parse(b"a: \"caf\xe9\"").0[0].value, "caf\u{e9}");
}

#[test]
fn keys_and_keywords_match_in_any_case_but_day_names_do_not() {
    setting("PROXY1_Address", "10.0.0.1", true);
    setting("preferred_codec", "G711ALAW", true);
    setting("sntp_mode", "Unicast", true);
    for (day, takes) in [
        ("Sun", true),
        ("Sunday", true),
        ("sun", false),
        ("SUNDAY", false),
        ("7", true),
        ("0", false),
    ] {
        setting("dst_start_day_of_week", day, takes);
    }
}

#[test]
fn a_value_that_is_too_long_is_refused_and_the_old_one_stays() {
    let limits = [
        ("line1_name", 127),
        ("line1_authname", 128),
        ("line6_password", 31),
        ("line1_contact", 127),
        ("phone_password", 31),
        ("phone_prompt", 15),
        ("phone_label", 31),
        ("sync", 32),
        ("image_version", 59),
        ("messages_uri", 128),
        ("logo_url", 127),
    ];
    for (key, max) in limits {
        setting(key, &"x".repeat(max), true);
        setting(key, &"x".repeat(max + 1), false);
    }
    let mut flash = Flash::default();
    flash.apply("f", b"line1_password: old");
    let told = flash.apply("f", format!("\nline1_password: {}", "5".repeat(32)).as_bytes());
    assert_eq!(flash.get("line1_password"), "old");
    let Event::Refused { file, line, key, why } = &told[0] else { panic!("{told:?}") };
    assert_eq!((file.as_str(), *line, key.as_str()), ("f", 2, "line1_password"));
    assert!(why.contains("31"), "{why}");
}

#[test]
fn integers_are_decimal_digits_in_their_range() {
    let cases = [
        ("proxy1_port", "5060", true),
        ("proxy1_port", "65536", false),
        ("proxy1_port", "", false),
        ("proxy1_port", "0x13c4", false),
        ("nat_enable", "2", false),
        ("nat_enable", "yes", false),
        ("nat_enable", "UNPROVISIONED", true),
        ("proxy1_port", "UNPROVISIONED", false),
        ("voip_control_port", "1024", false),
        ("start_media_port", "16348", false),
        ("end_media_port", "32766", true),
        ("timer_register_expires", "3932101", false),
        ("dst_offset", "-12", true),
        ("dst_offset", "+1", false),
        ("telnet_level", "-1", false),
        ("dst_stop_day", "", true),
        ("dst_stop_day", "32", false),
        ("call_waiting", "3", true),
        ("timer_t1", "99999999999999999999", false),
    ];
    for (key, value, takes) in cases {
        setting(key, value, takes);
    }
}

#[test]
fn addresses_have_four_numbers_and_only_some_keys_take_names() {
    for (key, name) in [("proxy1_address", true), ("sntp_server", true), ("proxy_backup", false)] {
        setting(key, "pbx.example.org", name);
        setting(key, "192.168.1.10", true);
        setting(key, "", true);
        setting(key, "UNPROVISIONED", true);
        for bad in ["192.168.1", "192.168.1.256", "1.2.3.4.5", "10.0.0.1:5060", "a b"] {
            setting(key, bad, false);
        }
    }
}

#[test]
fn times_and_zones_are_codes_of_the_phone() {
    let cases = [
        ("time_zone", "CET", true),
        ("time_zone", "Europe/Paris", false),
        ("time_zone", "8", false),
        ("date_format", "D/M/Y", true),
        ("date_format", "D.M.Y", false),
        ("dst_start_month", "April", true),
        ("dst_start_month", "oct", true),
        ("dst_start_month", "12", true),
        ("dst_start_month", "13", false),
        ("dst_start_month", "", false),
        ("dst_stop_week_of_month", "8", true),
        ("dst_stop_week_of_month", "7", false),
        ("dst_stop_week_of_month", "5", true),
        ("dst_stop_week_of_month", "-1", false),
        ("dst_stop_time", "02", true),
        ("dst_stop_time", "2", true),
        ("dst_stop_time", "02/00", true),
        ("dst_stop_time", "14:30", true),
        ("dst_stop_time", "25", false),
        ("dst_stop_time", "2h", false),
    ];
    for (key, value, takes) in cases {
        setting(key, value, takes);
    }
}

#[test]
fn a_payload_out_of_range_becomes_101() {
    let mut flash = Flash::default();
    assert!(flash.apply("f", b"dtmf_avt_payload: 100").is_empty());
    assert_eq!(flash.apply("f", b"dtmf_avt_payload: 95").len(), 1);
    assert_eq!(flash.get("dtmf_avt_payload"), "101");
}

#[test]
fn the_second_timer_is_longer_than_the_first() {
    let mut flash = Flash::default();
    assert_eq!(flash.apply("f", b"timer_t1: 1000\ntimer_t2: 1000").len(), 1);
    assert_eq!(flash.get("timer_t2"), "4000");
}

#[test]
fn keys_of_other_phones_are_told_and_ignored() {
    for key in
        ["dscpForAudio", "rdda_ptft_nyd", "xml_card_1", "line7_name", "line_name", "proxy0_port"]
    {
        let mut flash = Flash::default();
        let told = flash.apply("f", format!("{key}: 1").as_bytes());
        assert!(matches!(told.as_slice(), [Event::UnknownKey { line: 1, .. }]), "{key}: {told:?}");
        assert!(flash.values().is_empty());
    }
}

#[test]
fn what_no_file_names_keeps_its_flash_value() {
    let mut flash = Flash::default();
    flash.apply("f", b"logo_url: \"http://a/b.bmp\"\nphone_label: one\n");
    let before = flash.clone();
    flash.apply("f", b"phone_label: two\n");
    assert_eq!(flash.get("logo_url"), "http://a/b.bmp");
    assert_eq!(flash.changed_since(&before), ["phone_label"]);
    flash.apply("f", b"logo_url: \"\"\n");
    assert_eq!(flash.get("logo_url"), "");
}

#[test]
fn every_default_would_itself_be_taken() {
    for row in KEYS {
        assert_eq!(keys::check(row.kind, row.default), Verdict::Take, "{}", row.name);
        assert_eq!(row.name, row.name.to_ascii_lowercase());
        let name = row.name.replace('#', "3");
        assert_eq!(keys::find(&name).map(|found| found.name), Some(row.name), "{name}");
    }
    assert_eq!(keys::find("line2_password").map(|row| row.kind), Some(Kind::Text(31)));
}

const LINES: &str = "proxy1_address: 10.0.0.1\nproxy1_port: 5070\nline1_name: 201\n\
    line1_authname: ada\nline1_password: s1\nline1_displayname: \"Ada\"\n";

fn lines(more: &str, model: Model) -> Vec<crate::flash::Line> {
    let mut flash = Flash::default();
    let told = flash.apply("f", format!("{LINES}{more}").as_bytes());
    assert_eq!(told, [], "{more}");
    flash.lines(model)
}

#[test]
fn the_first_gap_ends_the_list_of_lines() {
    let names = |more: &str, model| -> Vec<String> {
        lines(more, model).into_iter().map(|line| line.name).collect()
    };
    assert_eq!(names("line2_name: 202\nline4_name: 204\n", Model::M7960), ["201", "202"]);
    assert_eq!(names("line2_name: UNPROVISIONED\nline3_name: 203", Model::M7960), ["201"]);
    assert_eq!(names("line2_name: \"\"", Model::M7960), ["201"]);
    assert_eq!(names("line1_name: \"\"\nline2_name: 202\n", Model::M7960).len(), 0);
    let three = "line2_name: 202\nline3_name: 203\n";
    assert_eq!(names(three, Model::M7940).len(), 2);
    assert_eq!(names(three, Model::M7960).len(), 3);
}

#[test]
fn a_line_without_credentials_or_proxy_uses_those_of_line_1() {
    let second = lines("line2_name: 202\nproxy2_port: 6000\n", Model::M7940).remove(1);
    assert_eq!((second.authname.as_str(), second.password.as_str()), ("ada", "s1"));
    assert_eq!((second.host.as_str(), second.port), ("10.0.0.1", 5070));
    let more = "line2_name: 202\nproxy2_address: 10.0.0.2\nline2_password: s2\n";
    let second = lines(more, Model::M7940).remove(1);
    assert_eq!((second.host.as_str(), second.port), ("10.0.0.2", 5060));
    assert_eq!((second.authname.as_str(), second.password.as_str()), ("ada", "s2"));
}

#[test]
fn line_1_without_credentials_says_unprovisioned() {
    let mut flash = Flash::default();
    flash.apply("f", b"line1_name: 201\n");
    let line = flash.lines(Model::M7940).remove(0);
    assert_eq!(line.authname, "UNPROVISIONED");
    assert_eq!(line.password, "UNPROVISIONED");
    assert_eq!((line.contact.as_str(), line.shortname.as_str()), ("201", "201"));
}
