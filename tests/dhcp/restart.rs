//! What must survive: leases a kill, the service a link that goes and comes and an address that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;

use handset::wire::dhcp::Kind;
use nix::sys::signal::Signal;

use crate::phone::Phone;
use crate::site::{SCOPE, Site};

const PHONE: &str = "00:18:b9:00:00:01";

/// One after the other: what is sent to one address is heard by one socket.
fn phones(site: &Site, numbers: std::ops::Range<u32>) -> impl Iterator<Item = Phone> {
    numbers.map(move |n| Phone::at(site, "ph1", &format!("0018b9{n:06x}")))
}

#[test]
fn leases_survive_kills_and_no_address_is_given_twice() {
    let dhcp = format!("[dhcp]\nmode=phones\n{SCOPE}");
    let mut site = Site::start(&[PHONE], &dhcp, "");
    let mut given: BTreeMap<String, Ipv4Addr> = BTreeMap::new();
    for round in 0..3 {
        for phone in phones(&site, 16 * round..16 * round + 6) {
            let ack = phone.boot().expect("a lease");
            given.insert(phone.mac.to_string(), ack.yiaddr);
            site.ip("ph1", &format!("addr add {}/24 dev eth0", ack.yiaddr));
        }
        let distinct: BTreeSet<_> = given.values().collect();
        assert_eq!(distinct.len(), given.len(), "{given:?}");
        site.end(Signal::SIGKILL);
        site.run();
        let listed: BTreeMap<String, Ipv4Addr> = site
            .leases()
            .iter()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .map(|words| (words[1].to_owned(), words[0].parse().unwrap()))
            .collect();
        assert_eq!(listed, given);
    }
    for phone in phones(&site, 0..6) {
        let had = given[&phone.mac.to_string()];
        let renewed = phone.ask(&phone.renewal(had)).expect("an answer");
        assert_eq!((renewed.kind, renewed.yiaddr), (Kind::Ack, had));
    }
}

#[test]
fn leases_that_are_lost_are_learnt_again_from_those_who_have_them() {
    let mut site = Site::start(&[PHONE], &format!("[dhcp]\nmode=phones\n{SCOPE}"), "");
    let had: Vec<Ipv4Addr> =
        phones(&site, 1..4).map(|phone| phone.boot().expect("a lease").yiaddr).collect();
    had.iter().for_each(|had| site.ip("ph1", &format!("addr add {had}/24 dev eth0")));
    site.end(Signal::SIGTERM);
    let file = site.path("state").join("handset.redb");
    fs::write(&file, vec![0x5a; 65_536]).unwrap();
    site.run();
    assert!(site.log().contains("the state is damaged"), "{}", site.log());
    assert_eq!(site.leases(), [""; 0]);
    for (phone, had) in phones(&site, 1..3).zip(&had) {
        let renewed = phone.ask(&phone.renewal(*had)).expect("an answer");
        assert_eq!((renewed.kind, renewed.yiaddr), (Kind::Ack, *had));
    }
    let last = phones(&site, 3..4).next().unwrap();
    let again = last.ask(&last.reboot(had[2])).expect("an answer");
    assert_eq!((again.kind, again.yiaddr), (Kind::Ack, had[2]));
    assert_eq!(site.leases().len(), 3);
}

#[test]
fn rows_that_cannot_be_read_are_unknown_and_no_reason_not_to_start() {
    use handset::daemon::journal::{self, Batch, Table};
    let mut site = Site::start(&[PHONE], &format!("[dhcp]\nmode=phones\n{SCOPE}"), "");
    let phone = Phone::at(&site, "ph1", PHONE);
    let had = phone.boot().expect("a lease").yiaddr;
    site.end(Signal::SIGTERM);
    let (state, _) = journal::open(&site.path("state")).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Leases, [10, 66, 0, 120], vec![0xff; 9]);
    batch.put(Table::Leases, [1, 2], vec![1]);
    batch.put(Table::Leases, [10, 66, 0, 121], Vec::new());
    state.commit(&batch).unwrap();
    drop(state);
    site.run();
    assert_eq!(site.leases(), [format!("{had} {PHONE} bound")]);
}

#[test]
fn the_service_outlives_a_link_that_goes_and_an_address_that_changes() {
    let other = "[dhcp 10.77.0.0/24]\npool=10.77.0.100-10.77.0.110\n";
    let site = Site::start(&[PHONE], &format!("[dhcp]\nmode=phones\n{SCOPE}{other}"), "");
    let phone = Phone::at(&site, "ph1", PHONE);
    let had = phone.boot().expect("a lease").yiaddr;
    site.ip("ph1", &format!("addr add {had}/24 dev eth0"));
    site.ip("srv", "link set eth0 down");
    phone.send(&phone.renewal(had));
    site.ip("srv", "link set eth0 up");
    let renewed = phone.ask(&phone.renewal(had)).expect("an answer");
    assert_eq!((renewed.kind, renewed.yiaddr), (Kind::Ack, had));
    site.ip("srv", "addr flush dev eth0");
    site.ip("srv", "addr add 10.77.0.1/24 broadcast + dev eth0");
    // The old address is of another network now.
    let refused = phone.ask(&phone.reboot(had)).expect("an answer");
    assert_eq!(refused.kind, Kind::Nak, "{}", site.log());
    let moved = phone.boot().expect("a lease");
    assert!(moved.yiaddr.octets().starts_with(&[10, 77, 0]), "{moved:?}");
}

#[test]
fn without_a_scope_the_links_network_is_one_for_reserved_addresses() {
    let peer = "[201] ;MAC=0018b9000001 ip=10.66.0.7\ntype=friend\nhost=dynamic\nsecret=x\n";
    let site = Site::start(&[PHONE], "[dhcp]\nmode=phones\n", peer);
    let phone = Phone::at(&site, "ph1", PHONE);
    assert_eq!(phone.boot().expect("a lease").yiaddr, Ipv4Addr::from([10, 66, 0, 7]));
    let other = Phone::at(&site, "ph1", "0018b9000002");
    other.send(&other.message(Kind::Discover));
    assert_eq!(other.hear(std::time::Duration::from_secs(2)), None);
}
