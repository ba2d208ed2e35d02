//! A manifest or template that is not sound makes no family, and says where.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use handset::base::Sources;
use handset::family::{self, library};

use crate::input::Input;
use crate::told;

/// The built-in family with one file changed: `from` (which must be there) becomes `to`.
fn load(file: &str, from: &str, to: &str) -> (library::Library, Sources) {
    let name = format!("cisco-79x0/{file}");
    let text = String::from_utf8(library::builtin()[&name].to_vec()).unwrap();
    assert!(text.contains(from), "{from}");
    let overrides = BTreeMap::from([(name, Bytes::from(text.replacen(from, to, 1)))]);
    let mut sources = Sources::default();
    let library = library::load(Path::new("/families"), &overrides, &mut sources);
    (library, sources)
}

fn refuses(file: &str, from: &str, to: &str, expected: &str) {
    let (library, sources) = load(file, from, to);
    let told = told(&library.diagnostics, &sources);
    assert!(told.contains(expected), "{to}\n{told}");
    assert!(told.starts_with(&format!("/families/cisco-79x0/{file}")), "{told}");
    assert!(library.get("cisco-79x0").is_none());
}

#[test]
fn a_broken_row_of_the_manifest_is_pointed_at() {
    let check = |from, to, expected| refuses("family.conf", from, to, expected);
    let telnet = "telnet_level => enum 0 1 2, default 0";
    check(
        telnet,
        "telnet_level => enum 0 1 2, default 7",
        "`telnet_level`: the default does not fit",
    );
    check(telnet, "telnet_level => number 2", "`number 2` is no kind of value");
    check(telnet, "telnet_level => enum 0, defualt 0", "`defualt 0` is no option of a key");
    check(
        telnet,
        "telnet_level => enum 0, default 0, value telnet",
        "`telnet` is no computed value",
    );
    check(telnet, "timer_t1 => enum 0, default 0", "the key `timer_t1` stands twice");
    check("lines = 2", "lines = many", "`lines` must be a number");
    check("push = check-sync", "push = shout", "`push` must be one of check-sync, none");
    check("[time_zones]", "[time_zone]", "`[time_zone]` is no section of a manifest");
    check("IDL = -12:00", "IDL = twelve", "an offset is `H:MM` or `-H:MM`");
    check("[file SIP{MAC}.cnf]", "[file SIP.cnf]", "a phone's file has {MAC} or {mac} in its name");
    check("[file SIPDefault.cnf]", "[file ../SIPDefault.cnf]", "its name cannot be served");
    check("secret = yes", "secret = no", "the own file is a phone's and secret");
    check("syntax = cnf", "syntax = ini", "`syntax` must be one of cnf, xml, text");
    check("template = SIP.cnf.j2", "template = nothing.j2", "the template `nothing.j2` is missing");
    check("model 7940, firmware", "model 7945", "`model 7945` is neither");
    check("boot = address", "boot = tftp", "`boot` is `address`, or a URL with {server}");
    check("boot = address", "bot = address", "`bot` is not known here");
    check("boot = address", "vendor = 01f", "`vendor` is 1 to 255 bytes as hex");
    check("001bd4 001d45", "001bd4 01d45", "`01d45` is no OUI");
}

#[test]
fn a_broken_template_is_pointed_at() {
    let check = |from, to, expected| refuses("SIP.cnf.j2", from, to, expected);
    check("{% endfor %}", "", "/families/cisco-79x0/SIP.cnf.j2");
    check(
        "{{ mac }}",
        "{{ adress }}",
        "SIP.cnf.j2:1:1: Error H0502: `SIP.cnf.j2`: there is no `adress`",
    );
}

/// Loads, and fails when a phone is rendered.
fn fails(file: &str, from: &str, to: &str, expected: &str) {
    let (library, mut sources) = load(file, from, to);
    assert_eq!(told(&library.diagnostics, &sources), "", "{to}");
    let family = library.get("cisco-79x0").unwrap();
    let text = "[200]\nmac = 0018b9fffffe\nname = J & J\nsecret = very-secret\n";
    let input = Input::read(text, &mut sources);
    let around = input.around();
    let context = family::Context::new(family, &around);
    let mut said = context.phone(&input.phones[0]).err().unwrap_or_default();
    said.extend(context.shared().err().unwrap_or_default());
    let told = told(&said, &sources);
    assert!(told.contains(expected), "{to}\n{told}");
    assert!(!told.contains("very-secret"), "{told}");
}

#[test]
fn a_file_that_a_phone_would_refuse_is_not_made() {
    let own = |from, to, expected| fails("SIP.cnf.j2", from, to, expected);
    own("{{ key.value }}", "{{ key.vlaue }}", "H0502: `SIP.cnf.j2`: undefined value");
    own("{{ key.name }}:", "{{ key.name }}", "line 2: there is no `:`");
    own("\"{{ key.value }}\"", "{{ key.value }}", "wants quotes");
    own("{% endfor %}", "{% endfor %}\nsync: \"1\"", "the key `sync` stands twice");
    own("in keys %}", "in keys if key.name != 'sync' %}", "the key `sync` is missing");
    own("{% endfor %}", "{% endfor %}\nž: 1", "what stands before the `:` is no key");
    own("# SIP", "# Ž SIP", "a character is not of its charset");
    let work = "{% for a in keys %}{% for b in keys %}{% for c in keys %}{% endfor %}{% endfor %}\
                {% endfor %}";
    own("# SIP", &format!("{work}# SIP"), "H0502");
    let default = |from, to, expected| fails("SIPDefault.cnf.j2", from, to, expected);
    default(
        "telnet_level: \"0\"",
        "telnet_level: \"9\"",
        "`telnet_level`: it must be one of 0, 1, 2",
    );
    let sync = |from, to, expected| fails("syncinfo.xml.j2", from, to, expected);
    sync("</SYNCINFO>", "", "`syncinfo.xml` came out unsound");
    sync("<SYNCINFO", "<!-- {{ 'x' * 5000 }} --><SYNCINFO", "are more than 4096");
    let plan = |from, to, expected| fails("dialplan.xml.j2", from, to, expected);
    plan("Timeout=", "Timout=", "the dial plan has no attribute `timout`");
    plan("MATCH=\"*\"", "MATCH=\"&lt;\"", "neither entities nor single quotes");
    plan("MATCH=\"*\"", &format!("MATCH=\"{}\"", "1".repeat(64)), "longer than 63 characters");
}

#[test]
fn a_template_cannot_talk_its_way_around_the_escape() {
    let own = |from, to, expected| fails("SIP.cnf.j2", from, to, expected);
    own("# SIP{{ mac }}", "# {{ 'a\"b'|safe }}", "H0502");
    own("# SIP{{ mac }}", "{% autoescape false %}# {{ 'a;b' }}{% endautoescape %}", "H0502");
    own("# SIP{{ mac }}", "# {{ 'a\\nb' }}", "H0502");
}

#[test]
fn an_override_replaces_one_file_and_may_add_a_family() {
    let (library, mut sources) = load("dialplan.xml.j2", "MATCH=\"*\"", "MATCH=\"0.\"");
    let family = library.get("cisco-79x0").unwrap();
    let input = Input::read("", &mut sources);
    let (artifacts, _) = family::shared(family, &input.around()).unwrap();
    let plan = artifacts.iter().find(|a| a.name.as_str() == "dialplan.xml").unwrap();
    assert!(String::from_utf8_lossy(&plan.bytes()).contains("MATCH=\"0.\""));
    let added: BTreeMap<String, Bytes> = library::builtin()
        .into_iter()
        .map(|(name, bytes)| (name.replace("cisco-79x0", "other"), bytes))
        .collect();
    let library = library::load(Path::new("/families"), &added, &mut sources);
    let names: Vec<&str> = library.families.keys().map(String::as_str).collect();
    assert_eq!(names, ["cisco-79x0", "other"]);
}
