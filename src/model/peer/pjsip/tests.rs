use super::*;
use crate::model::peer::{Dtmf, Nat, Tech, Transport, keyed_tags};
use crate::model::testing::{self, Read};

/// A phone account as one writes it, to be followed by what a test changes.
const ENDPOINT: &str =
    "[101] ;MAC=00:18:b9:00:00:01\ntype=endpoint\nauth=a101\naors=101\nallow=ulaw,alaw\n";
const AUTH: &str = "[a101]\ntype=auth\nusername=101\npassword=geheim\n";
const AOR: &str = "[101]\ntype=aor\nmax_contacts=1\nremove_existing=yes\n";

fn account() -> String {
    format!("{ENDPOINT}{AUTH}{AOR}")
}

/// pjsip.conf and its reading.
fn read(text: &str) -> (Read, PjsipReading) {
    let read = testing::read(text);
    let reading = from_pjsip(&read.conf, None, &read.tags, &[]);
    (read, reading)
}

fn from_wizard(pjsip: &str, wizard: &str) -> (Read, PjsipReading) {
    let (first, second) = (testing::read(pjsip), testing::read(wizard));
    let tags = (&first.tags[..], &second.tags[..]);
    let reading = from_pjsip(&first.conf, Some(&second.conf), tags.0, tags.1);
    (second, reading)
}

/// The only peer, which nothing is wrong with.
fn only(text: &str) -> Peer {
    let (read, reading) = read(text);
    assert_eq!(read.short(&reading.diagnostics), [""; 0], "{text}");
    assert_eq!((reading.peers.len(), reading.refused.len()), (1, 0), "{text}");
    Peer::clone(&reading.peers[0])
}

/// What is told, and how many phones are held back.
fn check(text: &str, refused: usize, expected: &[&str]) {
    let (read, reading) = read(text);
    let told = read.short(&reading.diagnostics);
    assert_eq!(told, expected, "{text}");
    assert_eq!(reading.refused.len(), refused, "{text}\n{:?}", reading.refused);
}

fn check_names(text: &str, expected: &[&str]) {
    let (_, reading) = read(text);
    let names: Vec<_> = reading.peers.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, expected, "{text}");
}

#[test]
fn settings_know_where_they_stand() {
    let peer = only(
        "[t](!)\nallow=alaw\n[101](t)\ntype=endpoint\nauth=101\naors=101\ncallerid=A <1>\n\
         rewrite_contact=yes\n[101]\ntype=auth\nusername=101\npassword=x\n\
         [101]\ntype=aor\nmax_contacts=1\nmailboxes=1@a\nmaximum_expiration=600\n",
    );
    let places = peer.places;
    let found = [places.caller, places.codecs, places.dtmf, places.mailboxes, places.nat]
        .map(|place| place.0.map(|span| span.line));
    assert_eq!(found, [Some(7), Some(2), None, Some(16), Some(8)]);
    let expiry = peer.registrar.unwrap().expiry_place.0.map(|span| span.line);
    assert_eq!(expiry, Some(17));
}

#[test]
fn an_endpoint_with_auth_aor_and_transport_is_a_peer() {
    let text = format!(
        "[global]\ntype=global\ndefault_realm=pbx\ndefault_voicemail_extension=*97\n\
         [tcp]\ntype=transport\nprotocol=tcp\nbind=192.0.2.1\n\
         [udp]\ntype=transport\nbind=192.0.2.1:5070\n\
         {ENDPOINT}callerid=\"Ada\" <101>\nmailboxes=101@default, 7@x\nlanguage=de\n\
         rtp_symmetric=yes\n{AUTH}{AOR}minimum_expiration=0x1e\nmaximum_expiration=600\n"
    );
    let peer = only(&text);
    assert_eq!((peer.name.as_str(), peer.tech, peer.dynamic), ("101", Tech::Pjsip, true));
    assert_eq!((peer.auth_user, peer.secret.unwrap().reveal()), (None, "geheim"));
    assert_eq!((peer.caller.name.as_str(), peer.caller.number.as_str()), ("Ada", "101"));
    assert_eq!((peer.codecs.join("|"), &*peer.language), ("ulaw|alaw".into(), "de"));
    assert_eq!(peer.mailboxes, ["101@default", "7@x"]);
    assert_eq!((peer.vmexten.as_deref(), peer.dtmf), (Some("*97"), Dtmf::Rfc2833));
    let nat = Nat { force_rport: true, auto_force_rport: false, comedia: true };
    assert_eq!((peer.nat, peer.transport), (nat, Transport::Udp));
    let registrar = peer.registrar.unwrap();
    assert_eq!((registrar.address, registrar.port), ("192.0.2.1".parse().ok(), 5070));
    assert_eq!(registrar.realm, "pbx");
    let expiries = (registrar.min_expiry, registrar.max_expiry, registrar.default_expiry);
    assert_eq!(expiries, (30, 600, 3600));
}

#[test]
fn what_is_not_written_has_chan_pjsips_defaults() {
    let peer = only(&account());
    assert!(peer.nat.force_rport, "force_rport is on unless set");
    let registrar = peer.registrar.unwrap();
    assert_eq!((registrar.address, registrar.port), (None, 5060));
    let expiries = (registrar.min_expiry, registrar.max_expiry, registrar.default_expiry);
    assert_eq!(expiries, (60, 7200, 3600));
    assert_eq!((peer.vmexten, registrar.realm.as_str()), (None, "asterisk"));
}

#[test]
fn the_first_type_decides_and_its_case_counts() {
    let text = "[t](!)\ntype=endpoint\n[a](t)\ntype=aor\n[b]\ntype=Endpoint\n[c]\nTYPE=endpoint\n\
                [d]\nallow=ulaw\n[e](!)\ntype=endpoint\n";
    check_names(text, &["a", "c"]);
}

#[test]
fn two_objects_of_one_type_and_name_lose_the_whole_type() {
    check_names("[a]\ntype=endpoint\n[b]\ntype=endpoint\n[a]\ntype=endpoint\n", &[]);
    check_names("[a]\ntype=endpoint\n[A]\ntype=endpoint\n", &["a", "A"]);
    check_names("[a]\ntype=endpoint\nbad=1\n[a]\ntype=endpoint\n", &["a"]);
    let text = account()
        + "[x]\ntype=auth\nusername=x\npassword=x\n[x]\ntype=auth\nusername=x\n\
                            password=y\n";
    check(
        &text,
        1,
        &[
            "sip.conf:18:2: error[H0432]: two sections are the same auth, so Asterisk loads no auth \
           at all",
        ],
    );
}

#[test]
fn an_unknown_key_rejects_the_object_and_names_the_nearest_one() {
    check(
        &account().replace("allow=", "alow="),
        1,
        &["sip.conf:5:1: error[H0430]: type=endpoint has no key \"alow\", so Asterisk loads no \
           endpoint 101"],
    );
    let (_, reading) = read(&account().replace("allow=", "alow="));
    assert_eq!(reading.diagnostics[0].help.as_deref(), Some("did you mean allow?"));
    check(
        &account().replace("username=101", "username=101\nsecret=geheim"),
        1,
        &[
            "sip.conf:9:1: error[H0430]: type=auth has no key \"secret\", so Asterisk loads no auth \
           a101",
        ],
    );
    only(&account().replace("type=aor", "type=aor\n@note=x"));
}

#[test]
fn a_bad_value_rejects_the_object() {
    let told = |place: &str, key: &str, kind: &str, name: &str| {
        format!(
            "sip.conf:{place}: error[H0430]: {key} does not take this value, so Asterisk loads no \
             {kind} {name}"
        )
    };
    let check_line = |old: &str, new: &str, expected: &str| {
        check(&account().replace(old, new), 1, &[expected]);
    };
    let dtmf = told("6:11", "dtmf_mode", "endpoint", "101");
    check_line("alaw\n", "alaw\ndtmf_mode=rfc2833\n", &dtmf);
    check_line("ulaw,alaw", "ulaw&alaw", &told("5:7", "allow", "endpoint", "101"));
    check_line("contacts=1", "contacts=one", &told("12:14", "max_contacts", "aor", "101"));
}

#[test]
fn the_last_value_counts_but_codecs_add_up() {
    let text = account().replace(
        "allow=ulaw,alaw\n",
        "allow=!all,ulaw\nALLOW=g722\ndisallow=ulaw\nlanguage=de\nLanguage=fr\nauth=a101\n",
    );
    let peer = only(&text);
    assert_eq!((peer.codecs.join("|").as_str(), &*peer.language), ("g722", "fr"));
}

#[test]
fn an_account_that_a_phone_cannot_use_holds_the_phone_back() {
    let check_line = |old: &str, new: &str, place: &str, told: &str| {
        let text = account().replace(old, new);
        check(&text, 1, &[&format!("sip.conf:{place}: error[{told}")]);
    };
    let none = "H0434]: the endpoint 101 has no auth, so anybody may register as it";
    check_line("auth=a101\n", "", "1:2", none);
    let gone = "H0433]: the endpoint 101 has auth=other, and there is none";
    check_line("auth=a101", "auth=other", "3:6", gone);
    let digest = "H0435]: the auth a101 has no password that could be given to a phone";
    check_line("password=geheim", &format!("md5_cred={}", "0".repeat(32)), "6:2", digest);
    check_line("password=geheim", "password_digest=MD5:00", "6:2", digest);
    let aor = "H0436]: the endpoint 101 has no AOR called 101";
    check_line("aors=101", "aors=other", "4:6", aor);
    check_line("[101]\ntype=aor", "[102]\ntype=aor", "4:6", aor);
    let full = "H0437]: nobody can register at the AOR 101: max_contacts is 0";
    check_line("max_contacts=1", "max_contacts=0", "12:14", full);
    check_line("max_contacts=1\n", "", "10:2", full);
    let lost = "H0439]: the endpoint 101 is not found by the phone's user name";
    check_line("allow=ulaw", "identify_by=ip\nallow=ulaw", "5:13", lost);
    let lacks = "H0430]: username is missing, so Asterisk loads no auth a101";
    check_line("username=101\n", "", "6:2", lacks);
    let order = "[g]\ntype=global\nendpoint_identifier_order=ip,anonymous\n";
    check(
        &(account() + order),
        1,
        &["sip.conf:16:27: error[H0439]: the endpoint 101 is not found by the phone's user name"],
    );
}

#[test]
fn what_is_only_unwise_is_a_warning() {
    let check_line = |old: &str, new: &str, told: &str| {
        check(&account().replace(old, new), 0, &[&format!("sip.conf:{told}")]);
    };
    let none = "1:2: warning[H0440]: no codec is allowed to the endpoint 101";
    check_line("allow=ulaw,alaw\n", "", none);
    let bare = "5:11: warning[H0441]: the mailbox 101 has no context";
    check_line("allow=", "mailboxes=101\nallow=", bare);
    let stuck = "12:14: warning[H0438]: a phone that moved is refused at the AOR 101 for a while";
    check_line("remove_existing=yes\n", "", stuck);
    let gone = "5:11: warning[H0433]: the endpoint 101 has transport=udp, and there is none";
    check_line("allow=", "transport=udp\nallow=", gone);
}

#[test]
fn nothing_is_said_of_endpoints_without_a_phone() {
    check("[101]\ntype=endpoint\nalow=ulaw\n[102]\ntype=endpoint\n", 0, &[]);
}

#[test]
fn the_digest_user_may_be_another_and_the_auth_with_a_password_is_taken() {
    let text = account().replace("username=101", "username=ada");
    assert_eq!(only(&text).auth_user.as_deref(), Some("ada"));
    let text = account().replace("auth=a101", "auth=md, a101")
        + &format!("[md]\ntype=auth\nusername=x\nmd5_cred={}\n", "0".repeat(32));
    let peer = only(&text);
    assert_eq!((peer.auth_user, peer.secret.unwrap().reveal()), (None, "geheim"));
}

#[test]
fn rewriting_contacts_forces_the_port_as_rport_does() {
    let nat = |more: &str| only(&account().replace("allow=", &format!("{more}\nallow="))).nat;
    assert!(!nat("force_rport=no").force_rport);
    assert!(nat("force_rport=no\nrewrite_contact=yes").force_rport);
    assert!(!nat("force_rport=maybe").force_rport, "what is no word for yes is no");
}

const WIZARD: &str = "[t](!)\ntype=wizard\naccepts_auth=yes\naccepts_registrations=yes\n\
                      endpoint/allow=ulaw\naor/max_contacts=1\naor/remove_existing=yes\n\
                      [204](t) ;MAC=00:18:b9:00:00:04\ninbound_auth/username=204\n\
                      inbound_auth/password=geheim\nendpoint/callerid=Di <204>\n";

#[test]
fn the_wizard_makes_an_endpoint_with_its_auth_and_aor() {
    let (wizard, reading) = from_wizard("", WIZARD);
    assert_eq!(wizard.short(&reading.diagnostics), [""; 0]);
    let peer = &reading.peers[0];
    assert_eq!((peer.name.as_str(), peer.dynamic), ("204", true));
    assert_eq!((peer.auth_user.as_ref(), peer.caller.name.as_str()), (None, "Di"));
    assert_eq!(peer.secret.as_ref().unwrap().reveal(), "geheim");
    assert!(peer.tag.is_some());
}

#[test]
fn what_the_wizard_adds_wins_and_what_pjsip_conf_has_wins_over_it() {
    let udp = "[udp]\ntype=transport\nbind=192.0.2.7\n";
    let more = "endpoint/aors=x\nendpoint/transport=y\ntransport=udp\n";
    let (wizard, reading) = from_wizard(udp, &format!("{WIZARD}{more}"));
    assert_eq!(wizard.short(&reading.diagnostics), [""; 0]);
    let registrar = reading.peers[0].registrar.as_ref().unwrap();
    assert_eq!(registrar.address, "192.0.2.7".parse().ok());

    let (_, reading) = from_wizard("[204]\ntype=endpoint\ncallerid=Own <1>\n", WIZARD);
    let callers: Vec<_> = reading.peers.iter().map(|p| p.caller.name.as_str()).collect();
    assert_eq!(callers, ["Own"]);
}

#[test]
fn the_prefix_of_a_wizard_option_counts_with_its_case_and_a_wizard_may_say_so_anywhere() {
    let text = WIZARD.replace("endpoint/callerid", "Endpoint/callerid");
    assert_eq!(from_wizard("", &text).1.peers[0].caller.name, "");
    let text = WIZARD.replace("[t](!)\ntype=wizard", "[t](!)\ntype=x\ntype=wizard");
    assert_eq!(from_wizard("", &text).1.peers.len(), 1);
}

#[test]
fn a_wizard_that_lacks_something_says_what() {
    let check = |old: &str, new: &str, expected: &str| {
        let (wizard, reading) = from_wizard("", &WIZARD.replace(old, new));
        assert_eq!(wizard.short(&reading.diagnostics), [expected]);
        assert_eq!(reading.refused.len(), 1);
    };
    check(
        "inbound_auth/username=204\n",
        "",
        "sip.conf:8:2: error[H0430]: inbound_auth/username is missing, so Asterisk loads no auth \
         204-iauth",
    );
    check(
        "accepts_auth=yes\n",
        "",
        "sip.conf:7:2: error[H0434]: the endpoint 204 has no auth, so anybody may register as it",
    );
    check(
        "endpoint/allow",
        "endpoint/alow",
        "sip.conf:5:1: error[H0430]: type=endpoint has no key \"alow\", so Asterisk loads no \
         endpoint 204",
    );
}

fn mac_of(reading: &PjsipReading, peer: &str) -> Option<(String, Option<u8>)> {
    let peer = reading.peers.iter().find(|p| p.name.as_str() == peer).unwrap();
    let tag = peer.tag.as_ref()?;
    Some((tag.mac.to_string(), tag.line.as_ref().map(|line| line.value)))
}

#[test]
fn a_phone_is_tied_by_keys_as_well() {
    let bare = account().replace(" ;MAC=00:18:b9:00:00:01", "");
    let tied = |text: &str| {
        let (read, reading) = read(text);
        assert_eq!(read.short(&reading.diagnostics), [""; 0], "{text}");
        mac_of(&reading, "101")
    };
    let first = |line| Some(("00:18:b9:00:00:01".to_owned(), line));
    assert_eq!(tied(&bare), None);
    let keys = "type=endpoint\n@mac=0018b9000001\n@line=2\n";
    assert_eq!(tied(&bare.replacen("type=endpoint\n", keys, 1)), first(Some(2)));
    assert_eq!(tied(&bare.replace("type=aor\n", "type=aor\n@MAC=0018b9000001\n")), first(None));
    assert_eq!(tied(&bare.replace("type=auth\n", "type=auth ;MAC=0018b9000001\n")), first(None));
    let variable = "type=endpoint\nset_var=X=1\nset_var=PHONE_MAC=0018b9000001\n";
    assert_eq!(tied(&bare.replacen("type=endpoint\n", variable, 1)), first(None));
    let phoneprov = "[p]\ntype=phoneprov\nendpoint=101\nMAC=0018b9000001\nPROFILE=x\nLINE=1\n";
    assert_eq!(tied(&format!("{bare}{phoneprov}")), first(Some(1)));
    assert_eq!(tied(&format!("{}{phoneprov}", account())), first(Some(1)), "they agree");
}

#[test]
fn a_wizard_may_tie_a_phone_by_phoneprov() {
    let text = WIZARD.replace(" ;MAC=00:18:b9:00:00:04", "")
        + "has_phoneprov=yes\nphoneprov/MAC=0018b9000004\nphoneprov/LINE=3\n";
    let (_, reading) = from_wizard("", &text);
    assert_eq!(mac_of(&reading, "204"), Some(("00:18:b9:00:00:04".to_owned(), Some(3))));
}

#[test]
fn tags_that_contradict_each_other_are_told_and_none_is_used() {
    let text = account().replacen("type=endpoint\n", "type=endpoint\n@mac=0018b9000009\n", 1);
    check(
        &text,
        2,
        &["sip.conf:3:6: error[H0442]: [101] is tied to 00:18:b9:00:00:01 and to \
           00:18:b9:00:00:09"],
    );
    assert_eq!(mac_of(&read(&text).1, "101"), None);
}

#[test]
fn a_tag_that_belongs_to_no_endpoint_holds_its_phone_back() {
    let check_one = |text: &str, told: &str| {
        let told = format!("sip.conf:{told}, so no phone can be tied to it");
        check(text, 1, &[&told]);
    };
    let tag = "[x] ;MAC=0018b9000001\n";
    check_one(
        &format!("{tag}type=transport\nbind=::\n"),
        "1:10: error[H0431]: [x] is type=transport",
    );
    check_one(tag, "1:10: error[H0431]: [x] is no endpoint");
    check_one(
        &format!("{tag}type=aor\n"),
        "1:10: error[H0431]: [x] is type=aor and used by no endpoint",
    );
    let two = "type=aor\n[1]\ntype=endpoint\naors=x\n[2]\ntype=endpoint\naors=x\n";
    check_one(
        &format!("{tag}{two}"),
        "1:10: error[H0431]: [x] is type=aor and used by several endpoints",
    );
}

#[test]
fn a_mac_key_in_a_template_ties_nothing() {
    let text = "[t](!)\ntype=endpoint\n@mac=0018b9000001\n[1](t)\n[2](t)\n";
    check(
        text,
        0,
        &["sip.conf:3:6: warning[H0444]: this MAC is inherited by every section that uses this \
           one, and is not used"],
    );
}

#[test]
fn keys_of_chan_sip_tie_a_phone() {
    let check = |text: &str, expected: &[Option<&str>], told: &[&str]| {
        let read = testing::read(text);
        let keyed = keyed_tags(&read.conf, read.tags.clone());
        let show = |tag: &Option<Arc<Tag>>| {
            tag.as_ref().map(|t| format!("{}/{:?}", t.mac.value, t.line.as_ref().map(|l| l.value)))
        };
        let shown: Vec<_> = keyed.tags.iter().map(show).collect();
        let shown: Vec<_> = shown.iter().map(Option::as_deref).collect();
        assert_eq!(shown, expected, "{text}");
        assert_eq!(read.short(&keyed.diagnostics), told, "{text}");
    };
    let one = Some("00:18:b9:00:00:01/None");
    check("[1]\nmacaddress=0018b9000001\n", &[one], &[]);
    check("[1]\nsetvar=PHONE_MAC=0018b9000001\n", &[one], &[]);
    check(
        "[1]\nmacaddress=0018b9000001\nlinenumber=2\n",
        &[Some("00:18:b9:00:00:01/Some(2)")],
        &[],
    );
    check("[1] ;MAC=0018b9000001\nmacaddress=0018b9000001\n", &[one], &[]);
    check("[1]\nlinenumber=2\nlabel=x\n[general]\nmacaddress=0018b9000001\n", &[None, None], &[]);
    check(
        "[1] ;MAC=0018b9000001\nmacaddress=0018b9000002\n",
        &[None],
        &["sip.conf:2:12: error[H0442]: [1] is tied to 00:18:b9:00:00:01 and to 00:18:b9:00:00:02"],
    );
    check(
        "[1]\nmacaddress=nix\n",
        &[None],
        &["sip.conf:2:12: error[H0443]: this is no MAC of a phone"],
    );
    check(
        "[t](!)\nmacaddress=0018b9000001\n[1](t)\n",
        &[None, None],
        &["sip.conf:2:12: warning[H0444]: this MAC is inherited by every section that uses this \
           one, and is not used"],
    );
}

proptest::proptest! {
    #[test]
    fn no_file_is_too_odd(
        first in proptest::collection::vec(0..LINES.len(), 0..60),
        second in proptest::collection::vec(0..LINES.len(), 0..30),
    ) {
        let text = |lines: &[usize]| {
            let lines: Vec<_> = lines.iter().map(|n| LINES[*n]).collect();
            format!("[a]\n{}", lines.join("\n"))
        };
        let files = [text(&first), text(&second)];
        let [(pjsip, _), (wizard, _)] = [0, 1].map(|n: usize| testing::read_any(&files[n]));
        let reading =
            from_pjsip(&pjsip.conf, Some(&wizard.conf), &pjsip.tags, &wizard.tags);
        let names: std::collections::BTreeSet<_> =
            reading.peers.iter().map(|peer| peer.name.as_str()).collect();
        proptest::prop_assert_eq!(names.len(), reading.peers.len(), "one peer a name");
    }
}

const LINES: &[&str] = &[
    "[a]",
    "[a] ;MAC=0018b9000001",
    "[b](a)",
    "[b] ;MAC=0018b9000002 line=2",
    "[t](!)",
    "[\u{e9}]",
    "type=endpoint",
    "type=auth",
    "type=aor",
    "type=wizard",
    "type=transport",
    "type=global",
    "type=phoneprov",
    "TYPE=x",
    "auth=a,b",
    "aors=a",
    "aors=b,,",
    "allow=ulaw",
    "disallow=all",
    "username=\u{e9}",
    "password=x",
    "md5_cred=x",
    "max_contacts=1",
    "max_contacts=99999999999",
    "bind=[::1]:5060",
    "bind=::::",
    "transport=a",
    "identify_by=ip",
    "endpoint=b",
    "@mac=0018b9000003",
    "@mac=\u{fc}",
    "@line=300",
    "set_var=PHONE_MAC=0018b9000001",
    "MAC=0018b9000004",
    "LINE=1",
    "accepts_auth=yes",
    "has_phoneprov=yes",
    "phoneprov/MAC=0018b9000005",
    "endpoint/",
    "endpoint/allow=x",
    "inbound_auth/username=u",
    "inbound_auth/password=p",
    "sends_auth=yes",
    "\u{e9}=\u{e9}",
    "callerid=<",
];
