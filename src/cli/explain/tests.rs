use std::fs;

use super::*;

const SITE: &str = "\
[general]
sip_conf=sip.conf
timezone=Europe/Berlin
ntp_server=192.0.2.9
site_key=missing
[cisco-79x0]
phone_label=Lobby
[cisco-79x0/hall]
dnd_control=1
x_new=y
";

const SIP: &str = "\
[general]
udpbindaddr=192.0.2.1:5070
dtmfmode=inband
[desk](!)
type=friend
host=dynamic
disallow=all
allow=g722,alaw
nat=yes
#include more.conf
[202](desk) ;MAC=00:18:b9:00:00:02 model=7940 profile=hall
secret=pass-word-202
dtmfmode=info
";

const MORE: &str = "\
[201](desk) ;MAC=00:18:b9:00:00:01 model=7940 label=\"Front door\"
secret=pass-word-201
callerid=\"Ada Quill\" <201>
mailbox=201@default
vmexten=*97
";

/// The answer to `handset explain` with these arguments.
fn told(phone: &str, key: Option<&str>) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("handset.conf", SITE);
    write("sip.conf", SIP);
    write("more.conf", MORE);
    let (reading, _) = source::read(&folder.path().join("handset.conf"), None);
    let basis = render::basis(&reading).unwrap();
    let options = Explain { phone: phone.into(), key: key.map(str::to_owned), sip_conf: None };
    explain(&reading, &basis, &options)
}

/// Origin of a key of the phone of 201 or 202.
fn check(phone: &str, key: &str, value: &str, origin: &str) {
    let text = told(phone, Some(key)).unwrap();
    let row = text.lines().nth(1).unwrap();
    let found: Vec<&str> = row.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect();
    assert_eq!(found, [key, value, origin]);
}

#[test]
fn what_is_written_has_its_file_line_and_section() {
    check("201", "line1_name", "201", "more.conf:1");
    check("201", "line1_password", "***", "more.conf:2");
    check("201", "line1_displayname", "Ada Quill", "more.conf:3");
    check("201", "line1_shortname", "Front door", "more.conf:1");
    check("201", "messages_uri", "*97", "more.conf:5");
    check("201", "proxy1_address", "192.0.2.1", "sip.conf:2 ([general])");
    check("201", "proxy1_port", "5070", "sip.conf:2 ([general])");
    check("202", "line1_displayname", "202", "sip.conf:11");
}

#[test]
fn what_handset_conf_sets_has_its_line() {
    check("201", "phone_label", "Lobby", "handset.conf:7");
    check("201", "sntp_server", "192.0.2.9", "handset.conf:4");
    check("201", "dnd_control", "0", "family default");
    check("202", "dnd_control", "1", "handset.conf:9");
    check("202", "x_new", "y", "handset.conf:10");
}

#[test]
fn what_is_worked_out_has_what_it_was_worked_out_from() {
    check("201", "nat_enable", "1", "computed (from sip.conf:9, template desk)");
    check("201", "preferred_codec", "g711alaw", "computed (from sip.conf:8, template desk)");
    check("201", "dtmf_inband", "1", "computed (from sip.conf:3, [general])");
    check("202", "dtmf_inband", "1", "computed (nearest to sip.conf:13)");
    check("201", "time_zone", "CET", "computed (from handset.conf:3)");
    check("201", "timer_register_expires", "3600", "computed (Asterisk's default)");
    check("201", "phone_password", "***", "computed (from the site key)");
    let token = told("201", Some("sync")).unwrap();
    assert!(token.contains("computed (from all of this file)"), "{token}");
}

#[test]
fn the_familys_own_values_are_told_apart() {
    check("201", "telnet_level", "0", "family default");
    check("201", "line2_name", "UNPROVISIONED", "family default (line not used)");
    check("201", "proxy2_address", "\"\"", "family default (line not used)");
}

#[test]
fn the_table_has_every_key_of_the_file_once_and_no_secret() {
    let text = told("00:18:b9:00:00:01", None).unwrap();
    assert!(!text.contains("pass-word"), "{text}");
    let keys: Vec<&str> = text.lines().skip(1).filter_map(|l| l.split(' ').next()).collect();
    assert!(keys.len() > 90, "{text}");
    assert!(keys.iter().all(|key| keys.iter().filter(|other| *other == key).count() == 1));
    let plain = |line: &&str| !line.contains("family default") && !line.starts_with("sync ");
    let told = text.lines().filter(plain).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(told, @r#"
    KEY                      VALUE                             ORIGIN
    phone_password           ***                               computed (from the site key)
    proxy1_address           192.0.2.1                         sip.conf:2 ([general])
    proxy1_port              5070                              sip.conf:2 ([general])
    timer_register_expires   3600                              computed (Asterisk's default)
    nat_enable               1                                 computed (from sip.conf:9, template desk)
    messages_uri             *97                               more.conf:5
    line1_name               201                               more.conf:1
    line1_authname           201                               more.conf:1
    line1_password           ***                               more.conf:2
    line1_displayname        Ada Quill                         more.conf:3
    line1_shortname          Front door                        more.conf:1
    preferred_codec          g711alaw                          computed (from sip.conf:8, template desk)
    dtmf_inband              1                                 computed (from sip.conf:3, [general])
    dtmf_outofband           none                              computed (from sip.conf:3, [general])
    phone_label              Lobby                             handset.conf:7
    sntp_server              192.0.2.9                         handset.conf:4
    time_zone                CET                               computed (from handset.conf:3)
    dst_auto_adjust          1                                 computed (from handset.conf:3)
    dst_offset               1                                 computed (from handset.conf:3)
    dst_start_month          March                             computed (from handset.conf:3)
    dst_start_day_of_week    Sun                               computed (from handset.conf:3)
    dst_start_week_of_month  8                                 computed (from handset.conf:3)
    dst_start_time           02                                computed (from handset.conf:3)
    dst_stop_month           October                           computed (from handset.conf:3)
    dst_stop_day_of_week     Sun                               computed (from handset.conf:3)
    dst_stop_week_of_month   8                                 computed (from handset.conf:3)
    dst_stop_time            03                                computed (from handset.conf:3)
    "#);
}

#[test]
fn phones_are_found_by_peer_label_and_mac_and_keys_in_any_case() {
    let line = |phone: &str| told(phone, Some("LINE1_Name")).unwrap();
    assert_eq!(line("201"), line("Front door"));
    assert_eq!(line("201"), line("0018B9000001"));
}

#[test]
fn what_is_not_there_is_refused_with_the_nearest() {
    assert_eq!(
        told("201", Some("line1_passwort")).unwrap_err(),
        "the phone's file has no key 'line1_passwort': did you mean line1_password?"
    );
    assert_eq!(
        told("299", None).unwrap_err(),
        "no phone is called '299': give a MAC, a peer or a label; see handset check"
    );
}
