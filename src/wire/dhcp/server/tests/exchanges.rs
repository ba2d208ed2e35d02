//! What goes well.

use super::*;

#[test]
fn a_phone_gets_an_address_and_what_it_boots_with() {
    let mut bench = Bench::new(site(Mode::Phones));
    let mut asked = discover(PHONE);
    asked.broadcast = true;
    asked.options.set(option::CLASS, *b"Cisco Systems, Inc. IP Phone\0");
    let reaction = bench.say(&asked);
    assert!(reaction.changes.is_empty() && reaction.alerts.is_empty() && reaction.probe.is_none());
    let facts: Vec<_> = reaction.facts.iter().map(|f| (f.said, f.address)).collect();
    assert_eq!(facts, [(Said::Discover, None), (Said::Offer, Some(ip(100)))]);
    assert_eq!(reaction.facts[0].class.as_deref(), Some("Cisco Systems, Inc. IP Phone"));
    let sent = reaction.send.unwrap();
    assert_eq!(sent.to, Destination::Broadcast);
    let offer = sent.message;
    assert_eq!((offer.kind, offer.xid, offer.yiaddr), (Kind::Offer, 0xb9ff_fffe, ip(100)));
    assert_eq!((offer.siaddr, offer.giaddr), (ip(2), Ipv4Addr::UNSPECIFIED));
    let options: Vec<_> =
        offer.options.iter().map(|(code, value)| (code, value.to_vec())).collect();
    let client = [&[1][..], &PHONE].concat();
    let expected: [(u8, Vec<u8>); 12] = [
        (54, vec![192, 0, 2, 2]),
        (51, 86_400_u32.to_be_bytes().to_vec()),
        (1, vec![255, 255, 255, 0]),
        (66, b"192.0.2.2".to_vec()),
        (6, vec![192, 0, 2, 3, 192, 0, 2, 4]),
        (3, vec![192, 0, 2, 1]),
        (15, b"example.net".to_vec()),
        (150, vec![192, 0, 2, 2]),
        (58, 43_200_u32.to_be_bytes().to_vec()),
        (59, 75_600_u32.to_be_bytes().to_vec()),
        (132, vec![0, 20]),
        (61, client),
    ];
    assert_eq!(options, expected);

    let reaction = bench.say(&selecting(PHONE, ip(100), ip(2)));
    assert_eq!(said(&reaction), Said::Ack);
    let [Change::Put(row)] = reaction.changes.as_slice() else { panic!("{reaction:?}") };
    assert_eq!((row.address, row.mac, row.state), (ip(100), mac(PHONE), State::Bound));
    assert_eq!((row.since, row.until), (START, Time(START.0 + DAY)));
    assert_eq!(reaction.send.unwrap().to, Destination::Link(ip(100), mac(PHONE)));
}

#[test]
fn what_a_phone_needs_comes_unasked_and_the_rest_when_asked() {
    let mut bench = Bench::new(site(Mode::Full));
    let mut check = |who, list: Option<&[u8]>, class: Option<&[u8]>, expected: &[u8]| {
        let mut message = discover(who);
        message.options = message.options.without(&[option::WANTED, option::CLIENT]);
        list.into_iter().for_each(|list| message.options.set(option::WANTED, list));
        class.into_iter().for_each(|class| message.options.set(option::CLASS, class));
        let offer = bench.say(&message).send.unwrap().message;
        let codes: Vec<u8> = offer.options.iter().map(|(code, _)| code).collect();
        assert_eq!(codes, expected, "{list:?}");
        offer
    };
    check(PHONE, Some(&[42, 12, 2, 12]), None, &[54, 51, 42, 12, 2, 1, 3, 58, 59, 66, 132, 150]);
    check(PHONE, Some(&[]), None, &[54, 51, 1, 3, 58, 59, 66, 132, 150]);
    check(PHONE, None, None, &[54, 51, 1, 2, 3, 6, 12, 15, 28, 42, 58, 59, 66, 132, 150]);
    let offer = check(LAPTOP, Some(&[1, 28, 66, 150]), None, &[54, 51, 1, 28, 3, 58, 59]);
    assert_eq!(offer.siaddr, Ipv4Addr::UNSPECIFIED);
    let class = Some(&b"Polycom-SPIP670\0"[..]);
    let offer = check(LAPTOP, Some(&[66]), class, &[54, 51, 66, 1, 3, 58, 59, 132, 150]);
    assert_eq!(offer.options.get(66), Some(&b"http://192.0.2.2:8080/"[..]));
    assert_eq!(offer.siaddr, ip(2));
}

#[test]
fn the_boot_server_may_be_another_machine() {
    let mut site = site(Mode::Phones);
    site.scopes[0].boot = Some(ip(9));
    let offer = Bench::new(site).say(&discover(PHONE)).send.unwrap().message;
    assert_eq!(offer.siaddr, ip(9));
    assert_eq!(offer.options.get(66), Some(&b"192.0.2.9"[..]));
    assert_eq!(offer.options.address(150), Some(ip(9)));
    assert_eq!(offer.options.address(54), Some(ip(2)));
}

#[test]
fn no_setting_changes_what_the_protocol_says() {
    let mut site = site(Mode::Full);
    for code in 0..=255 {
        site.scopes[0].settings.push(Setting::bytes(code, [7]).always());
    }
    let Bench { mut server, arrival, .. } = Bench::new(site);
    let offer = server.receive(&arrival, &discover(PHONE), &Office, START).send.unwrap();
    let read = parse(&offer.bytes).unwrap();
    assert_eq!((read.kind, read.yiaddr), (Kind::Offer, ip(100)));
    assert_eq!(read.options.address(54), Some(ip(2)));
    assert_eq!(read.options.get(66), Some(&b"192.0.2.2"[..]));
}

#[test]
fn a_client_gets_its_old_address_again() {
    let mut bench = Bench::new(site(Mode::Full));
    let mine = bench.lease(PHONE);
    let others = bench.lease(SECOND);
    assert_eq!((mine, others), (ip(100), ip(101)));
    bench.wait(3 * DAY);
    assert_eq!(bench.lease(LAPTOP), ip(102), "never used comes before expired");
    assert_eq!(bench.lease(SECOND), others);
    assert_eq!(said(&bench.say(&rebooting(PHONE, mine))), Said::Ack);
}

#[test]
fn a_lost_book_gives_a_phone_what_it_remembers() {
    let mut bench = Bench::new(site(Mode::Phones));
    assert_eq!(said(&bench.say(&rebooting(PHONE, ip(105)))), Said::Ack);
    assert_eq!(said(&bench.say(&using(SECOND, ip(106)))), Said::Ack);
    let mut message = discover([0, 0x18, 0xb9, 0, 0, 3]);
    message.options.set(option::REQUESTED, ip(107).octets());
    assert_eq!(bench.say(&message).send.unwrap().message.yiaddr, ip(107));
    let mut message = discover([0, 0x18, 0xb9, 0, 0, 4]);
    message.options.set(option::REQUESTED, ip(106).octets());
    assert_eq!(bench.say(&message).send.unwrap().message.yiaddr, ip(100));
}

#[test]
fn a_reservation_wins_at_boot_and_waits_for_the_end_of_use() {
    let mut bench = Bench::new(site(Mode::Phones));
    let old = bench.lease(PHONE);
    let mut changed = site(Mode::Phones);
    changed.reserved.insert(ip(50), mac(PHONE));
    changed.reserved.insert(ip(101), mac(SECOND));
    bench.server.set_site(changed);
    assert_eq!(said(&bench.say(&using(PHONE, old))), Said::Ack);
    assert_eq!(said(&bench.say(&rebooting(PHONE, old))), Said::Nak(Reason::Reserved(ip(50))));
    assert_eq!(bench.lease(PHONE), ip(50));
    assert_eq!(bench.server.book().get(old).unwrap().state, State::Released);
    assert_eq!(bench.lease([0, 0x18, 0xb9, 0, 0, 9]), ip(102), "101 is reserved");
    assert_eq!(bench.lease(SECOND), ip(101));
}

#[test]
fn a_reservation_that_another_holds_is_told_once_and_given_when_it_is_free() {
    let mut bench = Bench::new(site(Mode::Phones));
    let taken = bench.lease(PHONE);
    let mut changed = site(Mode::Phones);
    changed.reserved.insert(taken, mac(SECOND));
    bench.server.set_site(changed);
    let first = bench.say(&discover(SECOND));
    assert_eq!(first.alerts, [Alert::ReservedHeld(taken, mac(SECOND), mac(PHONE))]);
    assert_ne!(first.send.unwrap().message.yiaddr, taken);
    assert!(bench.say(&discover(SECOND)).alerts.is_empty());
    assert_eq!(said(&bench.say(&using(PHONE, taken))), Said::Nak(Reason::Anothers));
    bench.wait(DAY);
    assert_eq!(bench.lease(SECOND), taken);
}

#[test]
fn a_released_address_waits_for_its_client_first() {
    let mut bench = Bench::new(site(Mode::Full));
    let mine = bench.lease(PHONE);
    let reaction = bench.say(&releasing(PHONE, mine));
    assert_eq!(said(&reaction), Said::Silent(Reason::NothingToSay));
    assert!(matches!(&reaction.changes[..], [Change::Put(l)] if l.state == State::Released));
    assert_eq!(said(&bench.say(&releasing(PHONE, mine))), Said::Silent(Reason::NoRecord));
    assert_eq!(bench.lease(LAPTOP), ip(101));
    assert_eq!(bench.lease(PHONE), mine);
    // Nobody releases another's address.
    assert_eq!(said(&bench.say(&releasing(LAPTOP, mine))), Said::Silent(Reason::NoRecord));
    assert_eq!(bench.server.book().get(mine).unwrap().state, State::Bound);
    let mut message = releasing(PHONE, mine);
    message.options.set(option::SERVER, ip(7).octets());
    assert_eq!(said(&bench.say(&message)), Said::Silent(Reason::ChoseServer(ip(7))));
}

#[test]
fn renewing_makes_the_lease_longer_and_goes_to_the_address() {
    let mut bench = Bench::new(site(Mode::Full));
    let mine = bench.lease(LAPTOP);
    bench.wait(DAY / 2);
    bench.arrival.unicast = true;
    let reaction = bench.say(&using(LAPTOP, mine));
    assert_eq!(bench.server.book().get(mine).unwrap().until, Time(START.0 + DAY / 2 + DAY));
    let sent = reaction.send.unwrap();
    assert_eq!(sent.to, Destination::To(SocketAddrV4::new(mine, 68)));
    assert_eq!((sent.message.yiaddr, sent.message.ciaddr), (mine, mine));
}

#[test]
fn inform_gets_options_and_no_lease() {
    let mut bench = Bench::new(site(Mode::Phones));
    let mut message = asks(Kind::Inform, PHONE);
    message.ciaddr = ip(77);
    let reaction = bench.say(&message);
    assert_eq!(said(&reaction), Said::Ack);
    assert!(reaction.changes.is_empty());
    let sent = reaction.send.unwrap();
    assert_eq!(sent.to, Destination::To(SocketAddrV4::new(ip(77), 68)));
    let reply = sent.message;
    assert_eq!((reply.yiaddr, reply.siaddr), (Ipv4Addr::UNSPECIFIED, ip(2)));
    let has = |code| reply.options.get(code).is_some();
    assert!(has(66) && has(150) && has(3) && !has(51) && !has(58) && !has(59));
    // Some forget ciaddr; without any address the answer is broadcast.
    message.ciaddr = Ipv4Addr::UNSPECIFIED;
    assert_eq!(bench.say(&message).send.unwrap().to, Destination::Broadcast);
    bench.arrival.source = SocketAddrV4::new(ip(78), 68);
    let to = bench.say(&message).send.unwrap().to;
    assert_eq!(to, Destination::To(SocketAddrV4::new(ip(78), 68)));
    message.mac = mac(LAPTOP);
    assert_eq!(said(&bench.say(&message)), Said::Silent(Reason::Stranger));
}
