use super::*;
use crate::model::testing;

fn peers(text: &str) -> Vec<Arc<Peer>> {
    let read = testing::read(text);
    from_sip(&read.conf, &read.tags).peers
}

fn only(text: &str) -> Peer {
    let peers = peers(text);
    assert_eq!(peers.len(), 1, "{text}");
    Peer::clone(&peers[0])
}

fn registrar(text: &str) -> Registrar {
    let read = testing::read(text);
    from_sip(&read.conf, &read.tags).registrar
}

/// The names of the peers, each with its kind.
fn check_peers(text: &str, expected: &[(&str, Kind)]) {
    let found = peers(text);
    let found: Vec<_> = found.iter().map(|p| (p.name.as_str(), p.kind)).collect();
    assert_eq!(found, expected, "{text}");
}

fn check_diagnostics(text: &str, expected: &[&str]) {
    let read = testing::read(text);
    assert_eq!(read.short(&from_sip(&read.conf, &read.tags).diagnostics), expected, "{text}");
}

/// A tagged phone account, to be followed by what a test changes.
const LINE: &str = "[101] ;MAC=00:18:b9:00:00:01\ntype=friend\nhost=dynamic\nsecret=geheim\n";

#[test]
fn the_first_type_decides_and_later_ones_add() {
    check_peers("[a]\ntype=friend\n", &[("a", Kind::Friend)]);
    check_peers("[a]\nTYPE=Peer\n", &[("a", Kind::Peer)]);
    check_peers("[a]\ntype=user\ntype=bad\n", &[("a", Kind::User)]);
    check_peers("[a]\ntype=user\ntype=peer\n", &[("a", Kind::Friend)]);
    check_peers("[a]\ntype=bad\ntype=friend\n", &[]);
    check_peers("[a]\nhost=dynamic\n", &[]);
}

#[test]
fn general_authentication_and_templates_are_no_peers() {
    let text = "[general]\ntype=peer\n[t](!)\ntype=friend\n[Authentication]\ntype=peer\n[a](t)\n";
    check_peers(text, &[("a", Kind::Friend)]);
}

#[test]
fn a_repeated_name_is_applied_on_top_and_takes_the_new_spelling() {
    let peer = only(
        "[Bob]\ntype=user\nsecret=one\ncallerid=A <1>\ndisallow=all\nallow=alaw\nlanguage=de\n\
         mailbox=1@a,2@a\ntransport=ws\nnat=yes\n\
         [BOB]\ntype=peer\nhost=dynamic\nallow=ulaw\nmailbox=2@a,3@a\n",
    );
    assert_eq!((peer.name.as_str(), peer.kind, peer.dynamic), ("BOB", Kind::Friend, true));
    assert_eq!(peer.secret.unwrap().reveal(), "one");
    assert_eq!((peer.caller.name.as_str(), &*peer.language), ("A", "de"));
    assert_eq!(*peer.codecs, ["alaw", "ulaw"]);
    assert_eq!(peer.mailboxes, ["2@a", "3@a"]);
    assert_eq!((peer.transport, peer.nat.force_rport), (Transport::Udp, true));
}

#[test]
fn a_second_section_without_a_type_changes_nothing() {
    let peer = only("[a]\ntype=friend\nlanguage=de\n[a]\nlanguage=fr\n");
    assert_eq!(&*peer.language, "de");
}

#[test]
fn without_settings_asterisks_defaults_hold() {
    let peer = only("[a]\ntype=friend\n");
    assert_eq!(
        (peer.dynamic, peer.secret.is_none(), peer.md5secret.is_none()),
        (false, true, true)
    );
    assert_eq!((peer.dtmf, peer.transport), (Dtmf::Rfc2833, Transport::Udp));
    assert_eq!(*peer.codecs, ["ulaw", "alaw", "gsm", "h263"]);
    let auto = Nat { force_rport: false, auto_force_rport: true, comedia: false };
    assert_eq!((peer.nat, peer.vmexten, &*peer.language), (auto, None, ""));
}

#[test]
fn general_gives_defaults_that_a_peer_overrides() {
    let general = "[general]\ndisallow=all\nallow=alaw\ndtmfmode=info\nnat=comedia\nlanguage=de\n\
                   vmexten=*97\n";
    let peer = only(&format!("{general}[a]\ntype=friend\n"));
    assert_eq!(
        (peer.codecs.join(","), peer.dtmf, peer.language),
        ("alaw".into(), Dtmf::Info, "de".into())
    );
    assert_eq!(peer.vmexten.as_deref(), Some("*97"));
    assert!(peer.nat.comedia && !peer.nat.auto_force_rport);
    let peer = only(&format!(
        "{general}[a]\ntype=friend\nallow=!all,g729\ndtmfmode=auto\nnat=force_rport\nlanguage=\nvmexten=\n"
    ));
    assert_eq!(
        (peer.codecs.join(","), peer.dtmf, peer.language),
        ("g729".into(), Dtmf::Auto, "".into())
    );
    assert_eq!((peer.vmexten, peer.nat.comedia, peer.nat.force_rport), (None, false, true));
}

#[test]
fn settings_know_where_they_stand_and_do_not_differ_by_it() {
    let line = |place: crate::base::Place| place.0.map(|span| span.line);
    let text = "[general]\nnat=no\nlanguage=de\n[t](!)\nallow=alaw\ncallerid=A <1>\n[a](t)\n\
                type=friend\nvmexten=*97\nfullname=B\nlanguage=fr\nmailbox=1@a\n";
    let peer = only(text);
    let Places { caller, codecs, dtmf, mailboxes, vmexten, nat, language } = peer.places;
    let found = [caller, codecs, dtmf, mailboxes, vmexten, nat, language].map(line);
    assert_eq!(found, [Some(10), Some(5), None, Some(12), Some(9), Some(2), Some(11)]);
    let moved = only(&format!(";\n{text}"));
    assert_eq!((line(moved.places.nat), &moved), (Some(3), &peer));
    assert_eq!(
        format!("{:?}", registrar("[general]\nbindport=5070\n")),
        format!("{:?}", registrar("[general]\n\nbindport=5070\n"))
    );
}

#[test]
fn only_the_first_general_counts() {
    let text = "[GENERAL]\nlanguage=de\n[general]\nlanguage=fr\n[a]\ntype=friend\n";
    assert_eq!(&*only(text).language, "de");
    let text = "[general](!)\nlanguage=de\n[general]\nlanguage=fr\n[a]\ntype=friend\n";
    assert_eq!(&*only(text).language, "fr");
}

#[test]
fn the_last_value_wins_and_an_empty_secret_is_none() {
    let peer =
        only("[t](!)\ntype=friend\nsecret=one\nhost=192.0.2.1\n[a](t)\nSecret=two\nhost=dynamic\n");
    assert_eq!((peer.secret.unwrap().reveal(), peer.dynamic), ("two", true));
    assert_eq!(only("[a]\ntype=friend\nsecret=one\nsecret=\nmd5secret=\n").secret, None);
    assert!(only("[a]\ntype=friend\nmd5secret=x\nremotesecret=y\n").md5secret.is_some());
}

#[test]
fn names_and_numbers_apply_in_their_order() {
    let caller = |lines: &str| only(&format!("[a]\ntype=friend\n{lines}")).caller;
    let is = |name: &str, number: &str| CallerId { name: name.into(), number: number.into() };
    assert_eq!(caller("callerid=A <1>\nfullname=B\ncid_number=2-3\n"), is("B", "2-3"));
    assert_eq!(caller("fullname=B\ncid_number=2\ncallerid=A <1>\n"), is("A", "1"));
    assert_eq!(caller("callerid=A <1>\ntrunkname=T\n"), is("", "1"));
}

#[test]
fn mailboxes_add_up_without_repeats() {
    let boxes = |lines: &str| only(&format!("[9]\ntype=friend\n{lines}")).mailboxes;
    assert_eq!(boxes("mailbox=1@a, 2@b ,1@a\nmailbox=\nmailbox=3\n"), ["1@a", "2@b", "3"]);
    assert_eq!(boxes("hasvoicemail=yes\n"), ["9@default"]);
    assert_eq!(boxes("mailbox=1@a\nhasvoicemail=yes\n"), ["1@a"]);
    assert!(boxes("hasvoicemail=no\n").is_empty());
}

#[test]
fn hasvoicemail_of_a_repeat_does_not_bring_back_what_the_repeat_drops() {
    let peer = only("[9]\ntype=friend\nmailbox=1@a\n[9]\ntype=friend\nhasvoicemail=yes\n");
    assert!(peer.mailboxes.is_empty());
}

#[test]
fn the_first_transport_that_is_enabled_is_taken() {
    let transport = |general: &str, peer: &str| {
        only(&format!("[general]\n{general}[a]\ntype=friend\n{peer}")).transport
    };
    assert_eq!(transport("", "transport=tcp,udp\n"), Transport::Udp);
    assert_eq!(transport("tcpenable=yes\n", "transport=tcp,udp\n"), Transport::Tcp);
    assert_eq!(transport("tcpenable=maybe\ntcpenable=no\n", "transport=tcp\n"), Transport::Tcp);
    assert_eq!(transport("tlsenable=yes\ntransport=tls\n", "transport=tcp\n"), Transport::Tls);
    assert_eq!(transport("transport=tcp,ws\n", ""), Transport::Udp);
    assert_eq!(transport("", "transport=wss\n"), Transport::Ws);
}

#[test]
fn the_registrar_is_where_general_binds() {
    let bound = |lines: &str| {
        let registrar = registrar(&format!("[general]\n{lines}"));
        (registrar.address.map(|ip| ip.to_string()).unwrap_or_default(), registrar.port)
    };
    let is = |ip: &str, port| (ip.to_owned(), port);
    assert_eq!(bound(""), is("", 5060));
    assert_eq!(bound("udpbindaddr=0.0.0.0:5070\n"), is("", 5070));
    assert_eq!(bound("bindaddr=192.0.2.1:5070\nbindport=5080\n"), is("192.0.2.1", 5080));
    assert_eq!(bound("bindport=5080x\nbindaddr=::1\n"), is("::1", 5080));
    assert_eq!(
        bound("udpbindaddr=192.0.2.1\nbindaddr=[2001:db8::1]:5061\n"),
        is("2001:db8::1", 5061)
    );
    assert_eq!(bound("bindaddr=192.0.2.1\nbindaddr=[::]\nbindport=0\n"), is("", 5060));
}

#[test]
fn expiries_below_one_second_fall_back() {
    let registrar =
        registrar("[general]\nminexpiry=5\nmaxexpiry=0\ndefaultexpirey=-3\nrealm=lab\n");
    assert_eq!(
        (registrar.min_expiry, registrar.max_expiry, registrar.default_expiry),
        (5, 3600, 120)
    );
    assert_eq!(registrar.realm, "lab");
    assert_eq!(super::tests::registrar("").realm, "asterisk");
}

#[test]
fn a_good_line_raises_nothing() {
    check_diagnostics(LINE, &[]);
    check_diagnostics("[a]\ntype=friend\ndtmfmode=x\nmailbox=1\ndisallow=all\n", &[]);
}

#[test]
fn a_tag_on_what_is_no_peer_is_refused() {
    check_diagnostics(
        "[general] ;MAC=00:18:b9:00:00:01\n",
        &["sip.conf:1:16: error[H0401]: [general] is no peer, so no phone can be tied to it"],
    );
    check_diagnostics(
        "[101] ;MAC=00:18:b9:00:00:01\nhost=dynamic\n",
        &["sip.conf:1:12: error[H0401]: [101] has no type, so Asterisk makes no peer of it"],
    );
    check_diagnostics(
        "[101] ;MAC=00:18:b9:00:00:01\ntype=freind\n",
        &[
            "sip.conf:1:12: error[H0401]: [101] has an unknown type, so Asterisk makes no peer of it",
        ],
    );
}

#[test]
fn a_tag_on_a_peer_that_cannot_register_is_refused() {
    check_diagnostics(
        &LINE.replace("friend", "user"),
        &["sip.conf:1:12: error[H0402]: the peer 101 is of type user and cannot register"],
    );
    check_diagnostics(
        &LINE.replace("dynamic", "192.0.2.1"),
        &["sip.conf:1:12: error[H0402]: the peer 101 is not host=dynamic and cannot register"],
    );
    check_diagnostics(
        &format!("{LINE}secret=\n"),
        &["sip.conf:1:12: error[H0403]: the peer 101 has no secret"],
    );
    check_diagnostics(
        &format!("{LINE}md5secret=0123\n"),
        &[
            "sip.conf:1:12: error[H0403]: the peer 101 has an md5secret, and no password for the phone",
        ],
    );
}

#[test]
fn refused_tags_name_their_phones() {
    let read = testing::read(&LINE.replace("friend", "user"));
    let reading = from_sip(&read.conf, &read.tags);
    let macs: Vec<_> = reading.refused.iter().map(|r| r.mac.to_string()).collect();
    assert_eq!(macs, ["00:18:b9:00:00:01"]);
    assert_eq!(reading.peers.len(), 1);
}

#[test]
fn two_tags_for_one_peer_refuse_both_phones() {
    let text = format!("{LINE}[101] ;MAC=00:18:b9:00:00:02\ntype=friend\n");
    check_diagnostics(&text, &["sip.conf:5:12: error[H0404]: the peer 101 has two different tags"]);
    let read = testing::read(&text);
    let reading = from_sip(&read.conf, &read.tags);
    assert_eq!((reading.refused.len(), &reading.peers[0].tag), (2, &None));
    let same = format!("{LINE}[101] ;MAC=00:18:b9:00:00:01\ntype=friend\n");
    check_diagnostics(&same, &[]);
    let peer = only(&format!("{LINE}[101]\ntype=friend\n"));
    assert!(peer.tag.is_some());
}

#[test]
fn tags_that_cannot_be_used_hold_back_the_phones_that_they_name() {
    let check = |text: &str, expected: &[&str]| {
        let (read, diagnostics) = testing::read_any(text);
        assert!(!diagnostics.is_empty(), "{text}");
        let refused = from_sip(&read.conf, &read.tags).refused;
        let macs: Vec<_> = refused.iter().map(|r| r.mac.to_string()).collect();
        assert_eq!(macs, expected, "{text}");
    };
    let (one, two) = ("00:18:b9:00:00:01", "00:18:b9:00:00:02");
    check(&format!("{LINE}language=de ;mac = {two}\n"), &[one, two]);
    check(&LINE.replace(one, &format!("{one} line=x")), &[one]);
    check(&LINE.replace(one, &format!("{one} and text")), &[one]);
    check(&LINE.replace(one, "00:18:b9"), &[]);
    check(&format!("{LINE}[t](!) ;MAC={two}\n"), &[]);
    check(&format!("{LINE};MAC={two}\n"), &[]);
}

#[test]
fn slips_of_tagged_peers_are_warned_of_where_they_stand() {
    check_diagnostics(
        &format!("{LINE}dtmfmode=rfc4733\n"),
        &["sip.conf:5:10: warning[H0405]: dtmfmode \"rfc4733\" is unknown, Asterisk takes rfc2833"],
    );
    check_diagnostics(
        &format!("{LINE}allow=ulaw&alaw\n"),
        &["sip.conf:5:7: warning[H0406]: \"ulaw&alaw\" is no codec, Asterisk skips it"],
    );
    check_diagnostics(
        &format!("{LINE}disallow=all\n"),
        &["sip.conf:5:10: warning[H0407]: no codec is left for the peer 101"],
    );
    check_diagnostics(
        &format!("{LINE}mailbox=101\n"),
        &["sip.conf:5:9: warning[H0408]: the mailbox 101 has no context"],
    );
}

#[test]
fn a_slip_in_a_template_is_reported_once() {
    let text = "[t](!)\ntype=friend\nhost=dynamic\nsecret=x\ndtmfmode=x\n\
                [1](t) ;MAC=00:18:b9:00:00:01\n[2](t) ;MAC=00:18:b9:00:00:02\n";
    check_diagnostics(
        text,
        &["sip.conf:5:10: warning[H0405]: dtmfmode \"x\" is unknown, Asterisk takes rfc2833"],
    );
}

#[test]
fn a_bind_address_that_is_none_is_warned_of() {
    check_diagnostics(
        "[general]\nbindaddr=pbx.example\n",
        &["sip.conf:2:10: warning[H0409]: this is no address, Asterisk ignores it"],
    );
}

#[test]
fn no_diagnostic_holds_a_secret() {
    for extra in ["md5secret=geheim\n", "type=user\n", "host=1.2.3.4\n", "dtmfmode=x\n"] {
        let read = testing::read(&format!("{}{extra}", LINE.replace("friend", "peer")));
        let reading = from_sip(&read.conf, &read.tags);
        assert!(!format!("{reading:?}").contains("geheim"), "{extra}");
    }
}

proptest::proptest! {
    #[test]
    fn no_value_can_break_a_reading(values in proptest::collection::vec("\\PC{0,40}", 0..6)) {
        let mut list = codecs::DEFAULT.to_vec();
        let mut nat = options::NatFlags::default();
        for value in &values {
            callerid::parse(value);
            codecs::update(&mut list, value, true);
            codecs::update(&mut list, value, false);
            nat.apply(value);
            options::transports(value).count();
            options::mailboxes(value).count();
            options::address(value);
            options::number(value);
        }
    }

    #[test]
    fn both_parts_of_a_caller_id_fit_asterisks_buffers(text in "[ -~é\"<>]{0,200}") {
        let caller = callerid::parse(&text);
        assert!(caller.name.len() < 80 && caller.number.len() < 80);
    }
}
