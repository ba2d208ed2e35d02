//! NAK, silence, and what is told.

use super::*;

#[test]
fn the_guide_s_phone_is_refused_at_its_first_request_and_has_a_lease_at_once() {
    // The log of 2012: REQUESTs for a foreign address at 0, 4, 12, 28 s, DISCOVER at 60 s.
    let mut bench = Bench::new(site(Mode::Phones));
    let foreign = Ipv4Addr::new(10, 20, 30, 40);
    let reaction = bench.say(&rebooting(PHONE, foreign));
    assert_eq!(said(&reaction), Said::Nak(Reason::OtherNetwork));
    let sent = reaction.send.unwrap();
    assert_eq!(sent.to, Destination::Broadcast);
    assert_eq!((sent.message.kind, sent.message.yiaddr), (Kind::Nak, Ipv4Addr::UNSPECIFIED));
    assert_eq!(sent.message.options.address(54), Some(ip(2)));
    let why = sent.message.options.get(option::MESSAGE).unwrap();
    assert_eq!(why, b"the address lies in another network");
    assert!(sent.message.options.get(51).is_none() && sent.message.options.get(66).is_none());
    bench.wait(300);
    assert_eq!(bench.lease(PHONE), ip(100));
    // A phone that did not hear it is told each time.
    for gap in [4, 8, 16] {
        bench.wait(gap * 1000);
        let said = said(&bench.say(&rebooting(PHONE, foreign)));
        assert_eq!(said, Said::Nak(Reason::OtherNetwork));
    }
}

#[test]
fn strangers_meet_silence_beside_phones_whatever_they_say() {
    let mut bench = Bench::new(site(Mode::Phones));
    let phones = bench.lease(PHONE);
    let messages = [
        discover(LAPTOP),
        selecting(LAPTOP, ip(100), ip(2)),
        selecting(LAPTOP, ip(100), ip(9)),
        rebooting(LAPTOP, [10, 1, 1, 1].into()),
        rebooting(LAPTOP, phones),
        using(LAPTOP, phones),
        declining(LAPTOP, phones),
        releasing(LAPTOP, phones),
        asks(Kind::Inform, LAPTOP),
    ];
    for message in messages {
        let reaction = bench.say(&message);
        assert_eq!(said(&reaction), Said::Silent(Reason::Stranger), "{message:?}");
        assert!(reaction.changes.is_empty() && reaction.alerts.is_empty());
    }
    assert_eq!(bench.server.book().leases().count(), 1);
    // By its vendor class it is recognised, also in the old form that ends with NUL.
    let mut message = rebooting(LAPTOP, [10, 1, 1, 1].into());
    message.options.set(option::CLASS, *b"Cisco Systems, Inc. IP Phone CP-7960G\0");
    assert_eq!(said(&bench.say(&message)), Said::Nak(Reason::OtherNetwork));
}

#[test]
fn an_address_that_is_asked_for_is_given_refused_or_left_to_another_server() {
    let check = |mode, who, address, expected| {
        let mut site = site(mode);
        site.reserved.insert(ip(50), mac(SECOND));
        let mut bench = Bench::new(site);
        bench.lease([0, 0x18, 0xb9, 9, 9, 9]);
        let reaction = bench.say(&rebooting(who, address));
        assert_eq!(said(&reaction), expected, "{mode:?} {address}");
    };
    let (nak, silent) = (Said::Nak, Said::Silent);
    for mode in [Mode::Phones, Mode::Full] {
        check(mode, PHONE, [192, 0, 3, 100].into(), nak(Reason::OtherNetwork));
        check(mode, PHONE, ip(100), nak(Reason::Anothers));
        check(mode, PHONE, ip(50), nak(Reason::Anothers));
        check(mode, PHONE, ip(2), nak(Reason::Anothers));
        check(mode, PHONE, ip(0), nak(Reason::Anothers));
        check(mode, PHONE, ip(255), nak(Reason::Anothers));
        check(mode, PHONE, ip(105), Said::Ack);
        check(mode, SECOND, ip(50), Said::Ack);
        check(mode, SECOND, ip(105), nak(Reason::Reserved(ip(50))));
    }
    // Outside of our pools, in the right network: another server's, unless we alone serve it.
    check(Mode::Phones, PHONE, ip(200), silent(Reason::NoRecord));
    check(Mode::Full, PHONE, ip(200), nak(Reason::NotInPool));
    check(Mode::Full, LAPTOP, ip(200), silent(Reason::NoRecord));
    check(Mode::Full, LAPTOP, [192, 0, 3, 100].into(), nak(Reason::OtherNetwork));
    check(Mode::Full, LAPTOP, ip(105), Said::Ack);
}

#[test]
fn an_address_in_use_is_not_taken_from_a_phone_that_another_server_serves() {
    let mut bench = Bench::new(site(Mode::Full));
    let check = |bench: &mut Bench, address: Ipv4Addr, expected| {
        assert_eq!(said(&bench.say(&using(PHONE, address))), expected, "{address}");
    };
    check(&mut bench, ip(200), Said::Silent(Reason::NoRecord));
    check(&mut bench, [10, 0, 0, 1].into(), Said::Nak(Reason::OtherNetwork));
    let others = bench.lease(SECOND);
    check(&mut bench, others, Said::Nak(Reason::Anothers));
}

#[test]
fn who_chose_another_server_frees_our_offer() {
    let mut bench = Bench::new(site(Mode::Phones));
    assert_eq!(bench.say(&discover(PHONE)).send.unwrap().message.yiaddr, ip(100));
    assert_eq!(bench.server.book().offers().count(), 1);
    let reaction = bench.say(&selecting(PHONE, ip(200), ip(9)));
    assert_eq!(said(&reaction), Said::Silent(Reason::ChoseServer(ip(9))));
    assert!(reaction.changes.is_empty());
    assert_eq!(bench.server.book().offers().count(), 0);
    assert_eq!(bench.lease(SECOND), ip(100));
}

#[test]
fn a_request_after_a_restart_is_granted_without_the_offer() {
    let mut bench = Bench::new(site(Mode::Phones));
    assert_eq!(said(&bench.say(&selecting(PHONE, ip(103), ip(2)))), Said::Ack);
    let out = said(&bench.say(&selecting(SECOND, ip(200), ip(2))));
    assert_eq!(out, Said::Nak(Reason::NotInPool));
}

#[test]
fn an_exhausted_pool_is_an_answer_and_told_once() {
    let mut bench = Bench::new(site(Mode::Full));
    let phone = |n| [0, 0x18, 0xb9, 1, 0, n];
    let given: BTreeSet<_> = (0..10).map(|n| bench.lease(phone(n))).collect();
    assert_eq!(given.len(), 10);
    let net = site(Mode::Full).scopes[0].net;
    let reaction = bench.say(&discover(PHONE));
    assert_eq!(said(&reaction), Said::Silent(Reason::Exhausted));
    assert_eq!(reaction.alerts, [Alert::Exhausted(net)]);
    assert!(bench.say(&discover(SECOND)).alerts.is_empty());
    let freed = *given.iter().nth(4).unwrap();
    bench.say(&releasing(phone(4), freed));
    assert_eq!(bench.lease(PHONE), freed);
    assert_eq!(bench.say(&discover(SECOND)).alerts, [Alert::Exhausted(net)]);
    assert_eq!(said(&bench.say(&rebooting(phone(4), freed))), Said::Nak(Reason::Anothers));
    // Those that have an address keep it.
    assert_eq!(said(&bench.say(&using(phone(1), ip(101)))), Said::Ack);
}

#[test]
fn a_declined_address_rests_and_is_told() {
    let mut bench = Bench::new(site(Mode::Phones));
    let bad = bench.lease(PHONE);
    let reaction = bench.say(&declining(PHONE, bad));
    assert_eq!(said(&reaction), Said::Silent(Reason::NothingToSay));
    assert_eq!(reaction.alerts, [Alert::Declined(bad, mac(PHONE))]);
    assert!(matches!(&reaction.changes[..], [Change::Put(l)] if l.state == State::Declined));
    assert_eq!(said(&bench.say(&rebooting(PHONE, bad))), Said::Nak(Reason::Anothers));
    assert_ne!(bench.lease(PHONE), bad);
    bench.wait(600_001);
    assert_eq!(said(&bench.say(&rebooting(SECOND, bad))), Said::Ack);
    // Not another's, not to another server, not without an address.
    assert_eq!(said(&bench.say(&declining(PHONE, bad))), Said::Silent(Reason::NoRecord));
    let mut message = declining(SECOND, bad);
    message.options.set(option::SERVER, ip(9).octets());
    assert_eq!(said(&bench.say(&message)), Said::Silent(Reason::ChoseServer(ip(9))));
    message.options = message.options.without(&[option::REQUESTED]);
    assert_eq!(said(&bench.say(&message)), Said::Silent(Reason::Malformed));
    assert_eq!(bench.server.book().get(bad).unwrap().state, State::Bound);
}

#[test]
fn a_reserved_address_that_is_declined_gives_way_to_a_pool_for_a_time() {
    let mut site = site(Mode::Phones);
    site.reserved.insert(ip(50), mac(PHONE));
    let mut bench = Bench::new(site);
    assert_eq!(bench.lease(PHONE), ip(50));
    bench.say(&declining(PHONE, ip(50)));
    assert_eq!(bench.lease(PHONE), ip(100));
    bench.wait(600_001);
    assert_eq!(bench.lease(PHONE), ip(50));
}

#[test]
fn nobody_closes_a_pool_by_declining() {
    let mut bench = Bench::new(site(Mode::Full));
    for _ in 0..30 {
        let address = bench.lease(LAPTOP);
        bench.say(&declining(LAPTOP, address));
    }
    let resting = |l: &&Lease| l.state == State::Declined;
    assert_eq!(bench.server.book().leases().filter(resting).count(), 8);
    bench.lease(PHONE);
}

#[test]
fn what_makes_no_sense_is_not_answered() {
    let mut bench = Bench::new(site(Mode::Full));
    let check = |bench: &mut Bench, message: &Message| {
        assert_eq!(said(&bench.say(message)), Said::Silent(Reason::Malformed), "{message:?}");
    };
    for kind in [Kind::Offer, Kind::Ack, Kind::Nak] {
        check(&mut bench, &asks(kind, PHONE));
    }
    check(&mut bench, &asks(Kind::Request, PHONE));
    for relay in [Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        let mut message = discover(PHONE);
        message.giaddr = relay;
        check(&mut bench, &message);
    }
    let reaction = bench.say(&releasing(PHONE, Ipv4Addr::UNSPECIFIED));
    assert_eq!(said(&reaction), Said::Silent(Reason::NoRecord));
    bench.arrival.homes.clear();
    assert_eq!(said(&bench.say(&discover(PHONE))), Said::Silent(Reason::NoScope));
}

#[test]
fn a_link_without_a_scope_is_left_alone() {
    let mut bench = Bench::new(site(Mode::Full));
    let net = "10.0.0.0/8".parse().unwrap();
    bench.arrival.homes = vec![Home { address: [10, 0, 0, 1].into(), net }];
    let silent = Said::Silent(Reason::NoScope);
    assert_eq!(said(&bench.say(&discover(PHONE))), silent);
    assert_eq!(said(&bench.say(&rebooting(PHONE, ip(100)))), silent);
    assert_eq!(said(&bench.say(&asks(Kind::Inform, PHONE))), silent);
    let named = bench.say(&selecting(PHONE, ip(100), [10, 0, 0, 1].into()));
    assert_eq!(said(&named), Said::Nak(Reason::NoScope));
}

#[test]
fn without_authority_what_is_wrong_here_is_left_alone_and_what_is_another_s_refused() {
    for mode in [Mode::Phones, Mode::Full] {
        let mut bench = Bench::new(Site { authoritative: false, ..site(mode) });
        let others = bench.lease(SECOND);
        let foreign = Ipv4Addr::new(10, 20, 30, 40);
        let silent = Said::Silent(Reason::OtherNetwork);
        assert_eq!(said(&bench.say(&rebooting(PHONE, foreign))), silent);
        assert_eq!(said(&bench.say(&using(PHONE, foreign))), silent);
        let unknown = said(&bench.say(&rebooting(PHONE, ip(200))));
        assert_eq!(unknown, Said::Silent(Reason::NoRecord));
        let taken = said(&bench.say(&rebooting(PHONE, others)));
        assert_eq!(taken, Said::Nak(Reason::Anothers));
        let named = said(&bench.say(&selecting(PHONE, foreign, ip(2))));
        assert_eq!(named, Said::Nak(Reason::OtherNetwork));
    }
}

#[test]
fn phones_without_a_tag_may_be_left_out() {
    let mut site = site(Mode::Phones);
    site.scopes[0].unknown = false;
    let mut bench = Bench::new(site.clone());
    let mut message = discover(LAPTOP);
    message.options.set(option::CLASS, *b"Cisco Systems, Inc. IP Phone");
    assert_eq!(said(&bench.say(&message)), Said::Silent(Reason::Untagged));
    assert_eq!(said(&bench.say(&discover(PHONE))), Said::Offer);
    site.mode = Mode::Full;
    bench.server.set_site(site);
    assert_eq!(said(&bench.say(&message)), Said::Offer);
}
