//! Every key that the firmware knows, with its limits and default (phones.md §2.8 to §2.10).

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text of at most so many bytes.
    Text(usize),
    /// Decimal digits in a range, both ends included; `UNPROVISIONED` reads as 0.
    Number(i64, i64),
    /// As `Number`, or empty.
    NumberOrEmpty(i64, i64),
    /// A number; outside of the range the third value is taken.
    NumberElse(i64, i64, &'static str),
    /// Four dotted numbers, empty, or `UNPROVISIONED`.
    Ip,
    /// As `Ip`, or a DNS name of at most 127 bytes.
    Host,
    /// One of these, in any case.
    Word(&'static [&'static str]),
    /// 1 (Sunday) to 7, or a name written exactly so.
    Weekday,
    /// 1 to 12, or an English name in any case.
    Month,
    /// `2`, `02`, `02/00` or `14:30`.
    TimeOfDay,
}

/// One row of the table; `#` in a name stands for a line number, 1 to 6.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { name, kind, default }
}

use Kind::{Host, Ip, Month, Number, NumberElse, NumberOrEmpty, Text, TimeOfDay, Weekday, Word};

/// What stands for "no value".
pub(crate) const UNPROVISIONED: &str = "UNPROVISIONED";

const BOOL: Kind = Number(0, 1);
const CONTROL: Kind = Number(0, 3);
const PORT: Kind = Number(1, 65535);
const MEDIA: Kind = Number(16384, 32766);
/// Texts whose limit no source gives: the size of a Cisco name buffer.
const NAME: Kind = Text(127);
const ZONES: &[&str] = &[
    "IDL", "NT", "AHST", "IMT", "YST", "PST", "MST", "CST", "EST", "AST", "NST", "BST", "AT",
    "WAT", "GMT", "CET", "EET", "BT", "IT", "ZP4", "AFG", "ZP5", "IST", "ZP6", "SUM", "WAST",
    "HST", "JST", "CAST", "EAST", "EADT", "NZST",
];
const DATES: &[&str] = &["M/D/Y", "D/M/Y", "Y/M/D", "Y/D/M", "Y-M-D", "YY-M-D", "D-M-YY"];
const WEEKDAYS: [&str; 14] = [
    "Sun",
    "Sunday",
    "Mon",
    "Monday",
    "Tue",
    "Tuesday",
    "Wed",
    "Wednesday",
    "Thu",
    "Thursday",
    "Fri",
    "Friday",
    "Sat",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The table, in the order of phones.md.
pub(crate) static KEYS: &[Key] = &[
    key("image_version", Text(59), ""),
    key("tftp_cfg_dir", NAME, ""),
    key("dial_template", NAME, "dialplan"),
    key("language", NAME, ""),
    key("sync", Text(32), "1"),
    key("dyn_dns_addr_1", Ip, ""),
    key("dyn_dns_addr_2", Ip, ""),
    key("dyn_tftp_addr", Ip, ""),
    key("network_media_type", Word(&["Auto", "Full100", "Half100", "Full10", "Half10"]), "Auto"),
    key("network_port2_type", Word(&["Hub/Switch", "PC"]), "Hub/Switch"),
    key("http_proxy_addr", Ip, ""),
    key("http_proxy_port", PORT, "80"),
    key("telnet_level", Number(0, 2), "0"),
    key("phone_prompt", Text(15), "SIP Phone"),
    key("phone_password", Text(31), "cisco"),
    key("domain_name", NAME, ""),
    key("proxy#_address", Host, ""),
    key("proxy#_port", PORT, "5060"),
    key("proxy_register", BOOL, "0"),
    key("timer_register_expires", Number(1, 3_932_100), "3600"),
    key("timer_register_delta", Number(0, 32767), "5"),
    key("timer_t1", Number(1, 65535), "500"),
    key("timer_t2", Number(1, 65535), "4000"),
    key("sip_retx", Number(0, 255), "10"),
    key("sip_invite_retx", Number(0, 255), "6"),
    key("timer_invite_expires", Number(1, 65535), "180"),
    key("proxy_backup", Ip, ""),
    key("proxy_backup_port", PORT, "5060"),
    key("proxy_emergency", Ip, ""),
    key("proxy_emergency_port", PORT, "5060"),
    key("outbound_proxy", Host, ""),
    key("outbound_proxy_port", PORT, "5060"),
    key("nat_enable", BOOL, "0"),
    key("nat_address", Host, ""),
    key("nat_received_processing", BOOL, "0"),
    key("voip_control_port", Number(1025, 65535), "5060"),
    key("start_media_port", MEDIA, "16384"),
    key("end_media_port", MEDIA, "32766"),
    key("user_info", Word(&["none", "phone", "ip"]), "none"),
    key("remote_party_id", BOOL, "0"),
    key("messages_uri", Text(128), ""),
    key("call_stats", BOOL, "0"),
    key("line#_name", NAME, ""),
    key("line#_shortname", NAME, ""),
    key("line#_displayname", NAME, ""),
    key("line#_authname", Text(128), UNPROVISIONED),
    key("line#_password", Text(31), UNPROVISIONED),
    key("line#_contact", NAME, ""),
    key("speed_line#", NAME, ""),
    key("speed_label#", NAME, ""),
    key("preferred_codec", Word(&["g711ulaw", "g711alaw", "g729a", "none"]), "g711ulaw"),
    key("tos_media", Number(0, 5), "5"),
    key("enable_vad", BOOL, "0"),
    key("dtmf_inband", BOOL, "1"),
    key("dtmf_outofband", Word(&["none", "avt", "avt_always"]), "avt"),
    key("dtmf_db_level", Number(1, 5), "3"),
    key("dtmf_avt_payload", NumberElse(96, 127, "101"), "101"),
    key("dnd_control", CONTROL, "0"),
    key("callerid_blocking", CONTROL, "0"),
    key("anonymous_call_block", CONTROL, "0"),
    key("call_waiting", CONTROL, "1"),
    key("call_hold_ringback", CONTROL, "0"),
    key("cnf_join_enable", BOOL, "1"),
    key("semi_attended_transfer", BOOL, "1"),
    key("transfer_onhook_enabled", BOOL, "0"),
    key("stutter_msg_waiting", BOOL, "0"),
    key("autocomplete", BOOL, "1"),
    key("local_cfwd_enable", BOOL, "0"),
    key("cfwd_url", NAME, ""),
    key("auto_answer", Number(0, 63), "0"),
    key("phone_label", Text(31), ""),
    key("sntp_server", Host, ""),
    key(
        "sntp_mode",
        Word(&["unicast", "multicast", "anycast", "directedbroadcast"]),
        "directedbroadcast",
    ),
    key("time_zone", Word(ZONES), "EST"),
    key("time_format_24hr", CONTROL, "1"),
    key("date_format", Word(DATES), "M/D/Y"),
    key("dst_auto_adjust", BOOL, "1"),
    key("dst_offset", Number(-12, 12), "1"),
    key("dst_start_month", Month, "April"),
    key("dst_start_day", NumberOrEmpty(0, 31), ""),
    key("dst_start_day_of_week", Weekday, "Sun"),
    key("dst_start_week_of_month", WEEK, "1"),
    key("dst_start_time", TimeOfDay, "02"),
    key("dst_stop_month", Month, "October"),
    key("dst_stop_day", NumberOrEmpty(0, 31), ""),
    key("dst_stop_day_of_week", Weekday, "Sun"),
    key("dst_stop_week_of_month", WEEK, "8"),
    key("dst_stop_time", TimeOfDay, "02"),
    key("services_url", NAME, ""),
    key("directory_url", NAME, ""),
    key("logo_url", NAME, ""),
];

/// 1 to 6, or 8 for the last week of a month: 7 is nothing.
const WEEK: Kind = Word(&["1", "2", "3", "4", "5", "6", "8"]);

/// The row of `name`, given in lower case.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| matches(key.name, name))
}

fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('#') else {
        return pattern == name;
    };
    name.strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .is_some_and(|digit| digit.len() == 1 && ("1"..="6").contains(&digit))
}

/// What the phone makes of a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Taken as it is.
    Take,
    /// Something else is taken instead.
    Replace(&'static str, String),
    /// The old value stays.
    Refuse(String),
}

/// Holds `value` against the limits of `kind`.
pub(crate) fn check(kind: Kind, value: &str) -> Verdict {
    let problem = match kind {
        Text(max) => too_long(value, max),
        Number(min, max) => number(value, min, max),
        NumberOrEmpty(..) if value.is_empty() => None,
        NumberOrEmpty(min, max) => number(value, min, max),
        NumberElse(min, max, other) => {
            return match number(value, min, max) {
                None => Verdict::Take,
                Some(why) => Verdict::Replace(other, format!("{why}: {other} is taken")),
            };
        }
        Ip if unset(value) || dotted(value) => None,
        Ip => Some("not four dotted numbers".into()),
        Host => host(value),
        Word(words) if words.iter().any(|w| w.eq_ignore_ascii_case(value)) => None,
        Word(words) => Some(format!("not one of {}", words.join(" "))),
        Weekday if WEEKDAYS.contains(&value) => None,
        Weekday => number(value, 1, 7).map(|_| "not a day of the week (case matters)".into()),
        Month if month(value) => None,
        Month => number(value, 1, 12).map(|_| "not a month".into()),
        TimeOfDay => time_of_day(value),
    };
    problem.map_or(Verdict::Take, Verdict::Refuse)
}

/// Whether a value says that there is none.
pub(crate) fn unset(value: &str) -> bool {
    value.is_empty() || value.eq_ignore_ascii_case(UNPROVISIONED)
}

/// The length in the file's own encoding, where a character is a byte.
fn too_long(value: &str, max: usize) -> Option<String> {
    let len = value.chars().count();
    (len > max).then(|| format!("{len} characters, at most {max} fit"))
}

fn number(value: &str, min: i64, max: i64) -> Option<String> {
    let digits = if min < 0 { value.strip_prefix('-').unwrap_or(value) } else { value };
    let read = if value.eq_ignore_ascii_case(UNPROVISIONED) {
        Some(0)
    } else if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        value.parse().ok()
    } else {
        return Some("not a number in decimal digits".into());
    };
    (!read.is_some_and(|n| (min..=max).contains(&n))).then(|| format!("not from {min} to {max}"))
}

fn dotted(value: &str) -> bool {
    let parts: Vec<&str> = value.split('.').collect();
    let octet = |part: &&str| {
        !part.is_empty()
            && part.len() <= 3
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse::<u8>().is_ok()
    };
    parts.len() == 4 && parts.iter().all(octet)
}

fn host(value: &str) -> Option<String> {
    if unset(value) || dotted(value) {
        return None;
    }
    let name = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    if !name || !value.bytes().any(|b| b.is_ascii_alphabetic()) {
        return Some("neither four dotted numbers nor a DNS name".into());
    }
    too_long(value, 127)
}

fn month(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    MONTHS.iter().any(|m| *m == value || m.get(..3) == Some(&value))
}

fn time_of_day(value: &str) -> Option<String> {
    let (hour, minute) = value.split_once(['/', ':']).unwrap_or((value, "0"));
    let bad = hour.len() > 2
        || minute.len() > 2
        || number(hour, 0, 24).is_some()
        || number(minute, 0, 59).is_some();
    bad.then(|| "not an hour, nor an hour and minutes".into())
}
