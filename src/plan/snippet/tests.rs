use super::*;
use crate::base::Sources;
use crate::family::library;
use crate::model::{site, testing};

/// The snippet for two phones, one with its own address.
fn made(kind: SnippetKind, settings: &str, by_class: bool) -> String {
    let read = testing::read(settings);
    let (site, said) = site::read(&read.conf, std::path::Path::new("/handset.conf"), &[]);
    assert!(said.is_empty(), "{said:?}");
    let none = BTreeMap::new();
    let families = library::load(std::path::Path::new(""), &none, &mut Sources::default());
    let mac = |text: &str| text.parse::<Mac>().unwrap();
    let phone = |text: &str| (mac(text), Arc::from("cisco-79x0"));
    let needs = Needs {
        dhcp: &site.dhcp,
        server: [192, 0, 2, 10].into(),
        families: &families,
        phones: &BTreeMap::from([phone("0018b9000001"), phone("0018b9000002")]),
        reserved: &Reservations::from([(mac("0018b9000001"), [192, 0, 2, 7].into())]),
    };
    snippet(kind, &needs, by_class)
}

const SCOPE: &str = "[dhcp 192.0.2.0/24]\nrouter=192.0.2.1\n";

#[test]
fn routeros_gets_options_a_set_and_a_lease_for_each_phone() {
    let text = made(SnippetKind::Mikrotik, SCOPE, false);
    let expected = "\
# Written by `handset dhcp snippet`: changes here are lost.
# Import it on the router: /import handset.rsc
# The router is authoritative where /ip dhcp-server print shows authoritative=yes: that spares phones a minute.
/ip dhcp-server lease remove [find comment=\"handset\"]
/ip dhcp-server matcher remove [find name~\"^handset\"]
/ip dhcp-server option sets remove [find name~\"^handset\"]
/ip dhcp-server option remove [find name~\"^handset\"]
/ip dhcp-server option add name=handset-66 code=66 value=\"s'192.0.2.10'\"
/ip dhcp-server option add name=handset-150 code=150 value=0xc000020a
/ip dhcp-server option sets add name=handset options=handset-66,handset-150
/ip dhcp-server lease add mac-address=00:18:B9:00:00:01 address=192.0.2.7 dhcp-option-set=handset comment=\"handset\"
/ip dhcp-server lease add mac-address=00:18:B9:00:00:02 dhcp-option-set=handset comment=\"handset\"
/ip dhcp-server network set [find address=192.0.2.0/24] next-server=192.0.2.10
";
    assert_eq!(text, expected);
    let text = made(SnippetKind::Mikrotik, "", true);
    let matcher = "/ip dhcp-server matcher add name=handset-1 server=all code=60 \
                   matching-type=substring value=\"Cisco Systems, Inc. IP Phone\" option-set=handset\n";
    assert!(text.contains(matcher) && !text.contains("lease add"), "{text}");
}

#[test]
fn ios_gets_a_pool_for_each_phone_with_an_address() {
    let text = made(SnippetKind::CiscoIos, SCOPE, false);
    let expected = "\
! Written by `handset dhcp snippet`: changes here are lost.
! Paste it in configuration mode (configure terminal).
ip dhcp pool handset-0018b9000001
 host 192.0.2.7 255.255.255.0
 client-identifier 0100.18b9.0000.01
 next-server 192.0.2.10
 option 66 ascii \"192.0.2.10\"
 option 150 ip 192.0.2.10
! 00:18:b9:00:00:02 has no ip= in its tag: it needs the options of its network
";
    assert_eq!(text, expected);
    assert!(
        made(SnippetKind::CiscoIos, "", false)
            .contains("! 00:18:b9:00:00:01: 192.0.2.7 lies in no")
    );
    let text = made(SnippetKind::CiscoIos, SCOPE, true);
    let pool = "ip dhcp pool handset-192.0.2.0\n network 192.0.2.0 255.255.255.0\n \
                default-router 192.0.2.1\n next-server 192.0.2.10\n";
    assert!(text.contains(pool), "{text}");
}

#[test]
fn every_kind_tells_one_address_in_all_three_ways() {
    for (name, kind) in SnippetKind::ALL {
        for by_class in [false, true] {
            let text = made(kind, &format!("[dhcp]\nserver=192.0.2.66\n{SCOPE}"), by_class);
            let hex = text.matches("0xc0000242").count();
            assert!(text.matches("192.0.2.66").count() + hex >= 3, "{name}: {text}");
            assert!(!text.contains("192.0.2.10"), "{name}: {text}");
        }
    }
}

#[test]
fn phones_of_a_scope_with_its_own_boot_server_are_told_that_one() {
    let text = made(SnippetKind::Dnsmasq, "[dhcp 192.0.2.0/24]\nboot_server=192.0.2.99\n", false);
    let expected = "\
dhcp-host=00:18:b9:00:00:01,set:handset,192.0.2.7
dhcp-host=00:18:b9:00:00:02,set:handset-2
dhcp-boot=tag:handset,,,192.0.2.99
dhcp-option=tag:handset,66,\"192.0.2.99\"
dhcp-option=tag:handset,150,192.0.2.99
dhcp-boot=tag:handset-2,,,192.0.2.10
dhcp-option=tag:handset-2,66,\"192.0.2.10\"
dhcp-option=tag:handset-2,150,192.0.2.10
";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn what_manifests_say_cannot_leave_its_quotes() {
    assert_eq!(quotable("a\"b\\c'd$e\nf\u{e9}, g"), "abcdef, g");
}

#[test]
fn the_examples_that_are_shipped_are_what_is_printed_by_class() {
    for (kind, shipped) in [
        (SnippetKind::Isc, include_str!("../../../contrib/dhcp/isc.conf")),
        (SnippetKind::Kea, include_str!("../../../contrib/dhcp/kea.json")),
        (SnippetKind::Dnsmasq, include_str!("../../../contrib/dhcp/dnsmasq.conf")),
        (SnippetKind::Mikrotik, include_str!("../../../contrib/dhcp/mikrotik.rsc")),
        (SnippetKind::CiscoIos, include_str!("../../../contrib/dhcp/cisco-ios.txt")),
    ] {
        let text = made(
            kind,
            &format!("[dhcp]\nserver=192.0.2.1\n{SCOPE}")
                .replace("router=192.0.2.1", "router=192.0.2.254"),
            true,
        );
        assert!(text == shipped, "{kind:?}: contrib/dhcp is not what is printed:\n{text}");
    }
}
