//! Our reading of pjsip.conf and pjsip_wizard.conf against what a real Asterisk 22 makes of them.

use std::collections::{BTreeMap, BTreeSet};

use handset::base::Sources;
use handset::conf;
use handset::daemon::disk::Disk;
use handset::model::peer::{CallerId, Dtmf, Peer, PjsipReading, from_pjsip};

use crate::pbx::{Fields, Pbx};

/// Our reading of the files that Asterisk has loaded.
fn reading(pbx: &Pbx) -> PjsipReading {
    let mut sources = Sources::default();
    let mut read = |name: &str| {
        let conf = conf::read(&pbx.etc.join(name), &pbx.etc, &mut Disk::new(), &mut sources);
        assert_eq!(conf.status, conf::Status::Ok, "{:?}", conf.diagnostics);
        conf
    };
    let (pjsip, wizard) = (read("pjsip.conf"), read("pjsip_wizard.conf"));
    from_pjsip(&pjsip, Some(&wizard), &[], &[])
}

/// As PJSIPShowEndpoint shows it.
fn shown(caller: &CallerId) -> String {
    let name = caller.name.replace('\\', "\\\\").replace('"', "\\\"");
    match (name.is_empty(), caller.number.is_empty()) {
        (true, true) => "<unknown>".to_owned(),
        (false, true) => name,
        (true, false) => caller.number.clone(),
        (false, false) => format!("\"{name}\" <{}>", caller.number),
    }
}

/// What PJSIPShowEndpoint says of the mode, in our words.
fn dtmf(said: &str) -> Dtmf {
    match said {
        "inband" | "none" => Dtmf::Inband,
        "info" => Dtmf::Info,
        "auto" | "auto_info" => Dtmf::Auto,
        "rfc4733" => Dtmf::Rfc2833,
        other => panic!("Asterisk knows {other}"),
    }
}

struct Theirs {
    endpoints: BTreeMap<String, Fields>,
    aors: std::collections::HashMap<String, Fields>,
    auths: std::collections::HashMap<String, Fields>,
}

impl Theirs {
    fn ask(pbx: &mut Pbx) -> Self {
        let names: BTreeSet<String> = pbx.objects("PJSIPShowEndpoints").into_keys().collect();
        let show = |name: String| {
            let fields = pbx.endpoint(&name).unwrap();
            (name, fields)
        };
        let endpoints = names.into_iter().map(show).collect();
        Self { endpoints, aors: pbx.objects("PJSIPShowAors"), auths: pbx.objects("PJSIPShowAuths") }
    }

    /// The auth that a phone would use, as Asterisk has it.
    fn auth(&self, endpoint: &Fields) -> Option<&Fields> {
        let auths = || endpoint["Auth"].split(',').filter_map(|name| self.auths.get(name));
        auths().find(|auth| !auth["Password"].is_empty()).or_else(|| auths().next())
    }

    fn compare(&self, peer: &Peer, wrong: &mut Vec<String>) {
        let said = &self.endpoints[peer.name.as_str()];
        let codecs = peer.codecs.join("|");
        let codecs = if codecs.is_empty() { "nothing".to_owned() } else { codecs };
        let mut check = |what: &str, ours: String, theirs: String| {
            if ours != theirs {
                wrong.push(format!("[{}] {what}: ours {ours:?}, theirs {theirs:?}", &*peer.name));
            }
        };
        check("callerid", shown(&peer.caller), said["Callerid"].clone());
        check("allow", format!("({codecs})"), said["Allow"].clone());
        check("language", peer.language.to_string(), said["Language"].clone());
        check("dtmf_mode", format!("{:?}", peer.dtmf), format!("{:?}", dtmf(&said["DtmfMode"])));
        let forced = [&said["ForceRport"], &said["RewriteContact"]].iter().any(|v| *v == "true");
        check("nat", peer.nat.force_rport.to_string(), forced.to_string());
        check("rtp_symmetric", peer.nat.comedia.to_string(), said["RtpSymmetric"].clone());
        let aor = said["Aors"].split(',').find(|aor| aor.trim() == peer.name.as_str());
        let aor = aor.and_then(|aor| self.aors.get(aor.trim()));
        let of_aor = |key: &str| aor.map(|aor| aor[key].clone()).unwrap_or_default();
        let boxes = |text: &str| text.split(',').map(|s| s.trim().to_owned()).collect::<Vec<_>>();
        let first = |one: &String, two: String| if one.is_empty() { two } else { one.clone() };
        let mailboxes = boxes(&first(&said["Mailboxes"], of_aor("Mailboxes"))).join(",");
        check("mailboxes", peer.mailboxes.join(","), mailboxes);
        let extension = first(&said["VoicemailExtension"], of_aor("VoicemailExtension"));
        check(
            "voicemail_extension",
            peer.vmexten.as_deref().unwrap_or_default().to_owned(),
            extension,
        );
        let dynamic = aor.is_some_and(|aor| aor["MaxContacts"] != "0");
        check("max_contacts", peer.dynamic.to_string(), dynamic.to_string());
        let registrar = peer.registrar.as_ref().unwrap();
        let ours = [registrar.min_expiry, registrar.max_expiry, registrar.default_expiry];
        let keys = ["MinimumExpiration", "MaximumExpiration", "DefaultExpiration"];
        for (key, ours) in keys.iter().zip(ours).filter(|_| aor.is_some()) {
            check(key, ours.to_string(), of_aor(key));
        }
        let auth = self.auth(said);
        let of_auth = |key: &str| auth.map(|auth| auth[key].clone()).unwrap_or_default();
        let secret = peer.secret.as_ref().map_or("", |secret| secret.reveal());
        check("password", secret.to_owned(), of_auth("Password"));
        let user = peer.auth_user.clone().unwrap_or_else(|| peer.name.value.clone());
        check("username", user, auth.map_or(peer.name.value.clone(), |a| a["Username"].clone()));
        let realm = first(&of_auth("Realm"), "lab realm".to_owned());
        check("realm", registrar.realm.clone(), realm);
    }
}

/// Loads the files and compares every endpoint.
fn check(pbx: &mut Pbx, round: usize, pjsip: &str, wizard: &str) {
    let marker = format!("marker{round}");
    let text = format!("{pjsip}\n[{marker}]\ntype=endpoint\n");
    pbx.write("pjsip.conf", &text.replace("@BIND@", &pbx.sip.to_string()));
    pbx.write("pjsip_wizard.conf", wizard);
    pbx.reload_until(&marker);
    let read = reading(pbx);
    let theirs = Theirs::ask(pbx);
    let ours: BTreeSet<&str> = read.peers.iter().map(|peer| peer.name.as_str()).collect();
    assert_eq!(ours, theirs.endpoints.keys().map(String::as_str).collect(), "round {round}");
    let mut wrong = Vec::new();
    read.peers.iter().for_each(|peer| theirs.compare(peer, &mut wrong));
    assert!(wrong.is_empty(), "round {round}:\n{}", wrong.join("\n"));
}

/// What a running Asterisk was found to take or to reject.
const ENDPOINTS: &[&str] = &[
    "allow=!all,ulaw",
    "allow=none",
    "allow=ulaw:20,alaw",
    "allow=ulaw|alaw",
    "allow=ulaw&alaw",
    "allow=ulaw,,alaw",
    "allow=",
    "allow=ulaw:x",
    "allow=ulaw:-1",
    "allow=!ulaw",
    "allow=!bogus",
    "allow=siren14,silk8,codec2",
    "allow=ulaw,alaw\ndisallow=",
    "allow=ulaw\ndisallow=all",
    "allow=ulaw,alaw\ndisallow=ulaw",
    "allow=ulaw\ndisallow=bogus",
    "ALLOW=ulaw\nAllow=alaw",
    "disallow=all\nallow=alaw\nallow=ulaw\ndisallow=alaw",
    "alow=ulaw",
    "@anything=ulaw",
    "dtmf_mode=RFC4733",
    "dtmf_mode=rfc2833",
    "dtmf_mode=none",
    "dtmf_mode=auto_info",
    "dtmf_mode=INBAND",
    "dtmf_mode=auto",
    "dtmf_mode=info",
    "dtmf_mode=",
    "identify_by=",
    "identify_by=USERNAME,,ip",
    "identify_by=transport",
    "identify_by=header",
    "timers=Yes",
    "timers=forced",
    "timers=1",
    "timers=7",
    "timers=",
    "100rel=true",
    "100rel=x",
    "media_encryption=SDES",
    "media_encryption=false",
    "set_var=A",
    "set_var=A=",
    "set_var==b",
    "connected_line_method=INVITE",
    "connected_line_method=x",
    "direct_media_method=",
    "mailboxes=1@a, 2@b",
    "mailboxes=1@a\nmailboxes=2@a",
    "mailboxes=200",
    "mailboxes=",
    "callerid=",
    "callerid=\"A\" <1>",
    "callerid=<1>",
    "callerid=A B",
    "callerid=1-2.3",
    "callerid=Joe <(256) 428-6000>",
    "CallerID=\"Joe <x> Smith\" <100>",
    "callerid=\"12345\"",
    "callerid=\"Bob \\\"B\\\" X\" <10 1",
    "callerid=O'Brien <5>",
    "callerid=Zo\u{eb} <7>",
    "language=de\nlanguage=fr",
    "force_rport=no",
    "force_rport=maybe",
    "rewrite_contact=TRUE",
    "rewrite_contact=on\nforce_rport=0",
    "rtp_symmetric=y",
    "voicemail_extension=*97",
    "device_state_busy_at=0x2",
    "device_state_busy_at=-1",
    "device_state_busy_at=5x",
    "device_state_busy_at=010",
    "rtp_timeout=+5",
    "cos_audio=4294967296",
    "secret=x",
    "auth=none at all",
    "auth=u1, u2",
    "auth=u1\nauth=u2",
    "auth=",
    "auth=md5only",
    "auth=md5only,u2",
    "auth=ada",
    "auth=realm",
    "auth=no-user",
    "auth=bad-cred",
    "auth=short",
    "auth=oauth",
    "transport=nowhere",
    "type=aor",
    "TYPE=auth",
    "max_contacts=1",
    "username=x",
    "tos_audio=ef",
    "refer_blind_progress=x",
    "aors=x",
    "aors=own, x",
    "description=x",
    "webrtc=no",
];

/// Each of [`ENDPOINTS`] in an endpoint of its own, and the auths that they name.
fn variations() -> String {
    let mut text = String::new();
    for (n, lines) in ENDPOINTS.iter().enumerate() {
        let aors = if lines.starts_with("aors") { String::new() } else { format!("aors=v{n}\n") };
        text += &format!("[v{n}]\ntype=endpoint\n{aors}{lines}\n");
    }
    let auth = |name: &str, rest: &str| format!("[{name}]\ntype=auth\n{rest}\n");
    let cred = "0123456789abcdef0123456789abcdef";
    text += &auth("u1", "username=u1\npassword=one");
    text += &auth("u2", "auth_type=USERPASS\nusername=u2\npassword=x\npassword=two");
    text += &auth("ada", "username=Ada\npassword=three\nauth_type=digest");
    text += &auth("realm", "username=r\npassword=four\nrealm=another");
    text += &auth("md5only", &format!("username=m\nauth_type=md5\nmd5_cred={cred}"));
    text += &auth("no-user", "password=x");
    text += &auth("bad-cred", "username=x\npassword=x\nmd5_cred=short");
    text += &auth("short", "username=x");
    text += &auth("oauth", "username=x\nauth_type=google_oauth");
    text
}

/// AORs of all kinds, each with an endpoint of its name.
fn aors() -> String {
    let lines = [
        "",
        "max_contacts=1",
        "max_contacts=0x2\nremove_existing=yes",
        "max_contacts=5\nmax_contacts=1",
        "max_contacts=one",
        "max_contacts=-1",
        "max_contacts=",
        "contact=sip:1@127.0.0.9",
        "contact=a@b",
        "contact=sip:a@127.0.0.9,sip:c@127.0.0.9",
        "minimum_expiration=100\nmaximum_expiration=10",
        "default_expiration=010",
        "mailboxes=7@x,8@y",
        "voicemail_extension=*98",
        "allow=ulaw",
        "minimum_expiration=5\ndefault_expiration=60\nmaximum_expiration=3600",
        "remove_existing=x",
        "@mac=00:18:b9:00:00:01",
        "qualify_frequency=x",
    ];
    let object = |(n, lines): (usize, &&str)| {
        format!("[o{n}]\ntype=endpoint\naors=o{n}\n[o{n}]\ntype=aor\n{lines}\n")
    };
    lines.iter().enumerate().map(object).collect()
}

const START: &str = "[global]\ntype=global\ndefault_realm=lab realm\n\
    [udp]\ntype=transport\nprotocol=udp\nbind=@BIND@\n";

const TEMPLATES: &str = "[e](!)\ntype=endpoint\nallow=ulaw\ncallerid=T <0>\n[a](!)\ntype=aor\nmax_contacts=1\n\
    [w](!)\ntype=wrong\n[t1](e)\nallow=alaw\naors=t1\n[t1](a)\nmaximum_expiration=99\n\
    [t2](e)\ntype=aor\naors=T2\n[T2](a)\n[t3](w)\ntype=endpoint\n[t4](e)\n[t4](+)\ncallerid=Four <4>\n\
    [Case](e)\n[case](e)\n[b](a,e)\n[c](e,a)\n[d]\nType=endpoint\n[f]\ntype=ENDPOINT\n";

const WIZARD: &str = "[desk](!)\ntype=wizard\naccepts_auth=yes\naccepts_registrations=yes\n\
    endpoint/allow=ulaw,alaw\naor/max_contacts=1\naor/remove_existing=yes\naor/minimum_expiration=5\n\
    inbound_auth/password=phone-secret\n\
    [w1](desk)\ninbound_auth/username=w1\nendpoint/callerid=One <1>\n\
    [w2](desk)\ninbound_auth/username=two\nendpoint/aors=x\nendpoint/auth=y\nEndpoint/callerid=Two <2>\n\
    [w3](desk)\nendpoint/callerid=Three <3>\n\
    [w4](desk)\ninbound_auth/username=w4\nendpoint/alow=ulaw\n\
    [w5](desk)\ninbound_auth/username=w5\nACCEPTS_AUTH=no\naor/max_contacts=0\n\
    [w6](desk)\ninbound_auth/username=w6\naor/max_contacts=7\ntransport=udp\nendpoint/language=de\nbogus=1\n\
    [w7](desk)\ninbound_auth/username=w7\nsends_auth=yes\n\
    [w8](desk)\ninbound_auth/username=w8\ninbound_auth/auth_type=digest\ninbound_auth/password=last\n\
    [w9]\ntype=other\ntype=wizard\nendpoint/language=fr\naccepts_registrations=yes\n\
    [w10]\nTYPE=wizard\n[w11]\ntype=Wizard\n\
    [w12](desk)\ninbound_auth/username=a\n[w12](desk)\ninbound_auth/username=b\nendpoint/language=it\n\
    [both](desk)\ninbound_auth/username=both\nendpoint/callerid=Wizard <9>\n";

#[test]
fn every_endpoint_is_what_a_real_asterisk_22_makes_of_it() {
    let mut pbx = Pbx::start();
    let own = pbx.read("pjsip.conf").replace("[global]\n", "[global]\ndefault_realm=lab realm\n");
    let own_wizard = pbx.read("pjsip_wizard.conf");
    check(&mut pbx, 0, &own, &own_wizard);
    // After a reload Asterisk keeps the last good object of a name: each round has its own names.
    check(&mut pbx, 1, &format!("{START}{}", variations()), "");
    check(&mut pbx, 2, &format!("{START}{}", aors()), "");
    check(&mut pbx, 3, &format!("{START}{TEMPLATES}"), "");
    let both = "[both]\ntype=endpoint\ncallerid=Own <8>\naors=both\n";
    check(&mut pbx, 4, &format!("{START}{both}"), WIZARD);
}

#[test]
fn one_name_twice_loses_all_objects_of_the_type() {
    let mut pbx = Pbx::start();
    let base =
        format!("{START}[one]\ntype=endpoint\naors=one\nauth=u\n[one]\ntype=aor\nmax_contacts=1\n");
    let twice = "[u]\ntype=auth\nusername=a\npassword=b\n[u]\ntype=auth\nusername=a\npassword=b\n\
                 [v]\ntype=auth\nusername=a\npassword=b\n";
    check(&mut pbx, 0, &format!("{base}{twice}"), "");
    assert!(pbx.log().contains("duplicate object: 'u' of type 'auth'"));
}
