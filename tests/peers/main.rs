//! What a real Asterisk 16 makes of the sections of a sip.conf, against our reading of the same file.

mod pbx;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use handset::base::Sources;
use handset::conf;
use handset::daemon::disk::Disk;
use handset::model::peer::{CallerId, Dtmf, Kind, Peer, SipReading, Transport, from_sip_and_users};
use pbx::{Fields, Pbx};

/// Our reading of the sip.conf and users.conf that Asterisk has loaded.
fn reading(etc: &Path) -> SipReading {
    let mut sources = Sources::default();
    let mut read = |name: &str| conf::read(&etc.join(name), etc, &mut Disk::new(), &mut sources);
    let (conf, users) = (read("sip.conf"), read("users.conf"));
    assert_eq!(conf.status, conf::Status::Ok, "{:?}", conf.diagnostics);
    from_sip_and_users(&conf, &[], Some((&users, &[])))
}

fn yes(is: bool) -> String {
    if is { "Y" } else { "N" }.to_owned()
}

/// As Asterisk shows it: quoted, with `"` and `\` escaped.
fn shown(caller: &CallerId) -> String {
    let name = caller.name.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{name}\" <{}>", caller.number)
}

/// What `SIPshowpeer` and `sip show peer` would say of a peer.
fn expected(peer: &Peer) -> Vec<(&'static str, String)> {
    let codecs = match peer.codecs.join("|") {
        none if none.is_empty() => "(nothing)".to_owned(),
        codecs => format!("({codecs})"),
    };
    let force = match (peer.nat.auto_force_rport, peer.nat.force_rport) {
        (true, _) => "a".to_owned(),
        (false, force) => yes(force),
    };
    vec![
        ("ObjectName", peer.name.value.clone()),
        ("SecretExist", yes(peer.secret.is_some())),
        ("MD5SecretExist", yes(peer.md5secret.is_some())),
        ("Dynamic", yes(peer.dynamic)),
        ("Language", peer.language.to_string()),
        ("VoiceMailbox", peer.mailboxes.join(",")),
        ("Callerid", shown(&peer.caller)),
        ("SIP-Forcerport", force),
        ("SIP-Comedia", yes(peer.nat.comedia)),
        ("SIP-DTMFmode", dtmf(peer.dtmf).to_owned()),
        ("Codecs", codecs),
        ("VM Extension", peer.vmexten.as_deref().unwrap_or("asterisk").to_owned()),
        ("Prim.Transp.", transport(peer.transport).to_owned()),
    ]
}

fn dtmf(mode: Dtmf) -> &'static str {
    match mode {
        Dtmf::Rfc2833 => "rfc2833",
        Dtmf::Inband => "inband",
        Dtmf::Info => "info",
        Dtmf::Auto => "auto",
    }
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
        Transport::Ws => "WS",
    }
}

/// What our model says in one word where Asterisk has two.
fn as_we_say(key: &str, said: &str) -> String {
    match (key, said) {
        ("SIP-DTMFmode", "shortinfo") => "info".to_owned(),
        ("SIP-Comedia", "a") => "Y".to_owned(),
        // Nothing that a phone could dial either way.
        ("VM Extension", "") => "asterisk".to_owned(),
        ("Prim.Transp.", "WSS") => "WS".to_owned(),
        _ => said.to_owned(),
    }
}

fn compare_peer(peer: &Peer, said: &Fields, wrong: &mut Vec<String>) {
    for (key, ours) in expected(peer) {
        let theirs = said.get(key).map_or("(not said)".to_owned(), |v| as_we_say(key, v));
        if ours != theirs {
            wrong.push(format!("[{}] {key}: ours {ours:?}, Asterisk's {theirs:?}", &*peer.name));
        }
    }
}

fn compare_registrar(read: &SipReading, pbx: &mut Pbx, wrong: &mut Vec<String>) {
    let settings = pbx.console("sip show settings");
    let registrar = &read.registrar;
    let address = registrar.address.map(|ip| ip.to_string()).unwrap_or_default();
    for (key, ours) in [
        ("UDP Bindaddress", format!("{address}:{}", registrar.port)),
        ("Our auth realm", registrar.realm.clone()),
        ("Reg. min duration", format!("{} secs", registrar.min_expiry)),
        ("Reg. max duration", format!("{} secs", registrar.max_expiry)),
        ("Reg. default duration", format!("{} secs", registrar.default_expiry)),
    ] {
        // Some of these lines have no colon: "Reg. min duration       5 secs".
        let rest = settings.iter().find_map(|line| line.trim().strip_prefix(key));
        let theirs = rest.unwrap_or("(not said)").trim_start_matches(':').trim();
        if ours != theirs {
            wrong.push(format!("[general] {key}: ours {ours:?}, Asterisk's {theirs:?}"));
        }
    }
}

/// Loads a sip.conf and compares every peer and the registrar.
fn check(pbx: &mut Pbx, round: usize, text: &str, users: &str) {
    fs::write(pbx.etc.join("users.conf"), users).expect("write users.conf");
    let marker = format!("marker{round}");
    let bind = format!("udpbindaddr=127.0.0.1:{}\n", pbx.sip_port);
    let text = format!("{}\n[{marker}]\ntype=peer\n", text.replace("@BIND@\n", &bind));
    fs::write(pbx.etc.join("sip.conf"), text).expect("write sip.conf");
    pbx.reload_until(&marker);
    let read = reading(&pbx.etc);
    let ours: BTreeSet<&str> =
        read.peers.iter().filter(|p| p.kind != Kind::User).map(|p| p.name.as_str()).collect();
    let theirs = pbx.peers();
    assert_eq!(ours, theirs.iter().map(String::as_str).collect(), "round {round}");
    let mut wrong = Vec::new();
    for peer in read.peers.iter().filter(|p| p.kind != Kind::User) {
        compare_peer(peer, &pbx.show_peer(&peer.name), &mut wrong);
    }
    compare_registrar(&read, pbx, &mut wrong);
    assert!(wrong.is_empty(), "round {round}:\n{}", wrong.join("\n"));
}

#[test]
fn every_peer_is_what_a_real_asterisk_16_makes_of_it() {
    let mut pbx = Pbx::start();
    let rounds = [
        (include_str!("plain.conf"), ""),
        (include_str!("general.conf"), include_str!("users.conf")),
        (include_str!("repeats.conf"), include_str!("users.conf")),
        (include_str!("plain.conf"), ""),
    ];
    for (round, (text, users)) in rounds.iter().enumerate() {
        check(&mut pbx, round, text, users);
    }
}
