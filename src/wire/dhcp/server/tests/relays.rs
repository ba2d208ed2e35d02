//! Relays, several scopes, several interfaces.

use super::*;

fn branch() -> Site {
    let mut site = site(Mode::Phones);
    let scope = Scope {
        net: "10.7.0.0/16".parse().unwrap(),
        pools: vec![Range { first: [10, 7, 1, 1].into(), last: [10, 7, 1, 9].into() }],
        ..site.scopes[0].clone()
    };
    site.scopes.push(scope);
    site
}

fn relayed(mut message: Message, relay: [u8; 4]) -> Message {
    message.giaddr = relay.into();
    message.hops = 1;
    message.options.set(option::RELAY, [1, 2, b'p', b'7']);
    message
}

#[test]
fn the_relay_s_address_chooses_the_scope_and_gets_the_answer() {
    let mut bench = Bench::new(branch());
    let sent = bench.say(&relayed(discover(PHONE), [10, 7, 0, 1])).send.unwrap();
    assert_eq!(sent.message.yiaddr, Ipv4Addr::new(10, 7, 1, 1));
    assert_eq!(sent.message.giaddr, Ipv4Addr::new(10, 7, 0, 1));
    let relay = SocketAddrV4::new([10, 7, 0, 1].into(), SERVER_PORT);
    assert_eq!(sent.to, Destination::To(relay));
    assert_eq!(sent.message.options.address(54), Some(ip(2)));
    let last = sent.message.options.iter().last().unwrap();
    assert_eq!(last, (82, &[1, 2, b'p', b'7'][..]));
    let unknown = bench.say(&relayed(discover(PHONE), [10, 8, 0, 1]));
    assert_eq!(said(&unknown), Said::Silent(Reason::NoScope));
}

#[test]
fn a_refusal_through_a_relay_asks_it_to_broadcast() {
    let mut bench = Bench::new(branch());
    let sent = bench.say(&relayed(rebooting(PHONE, ip(100)), [10, 7, 0, 1])).send.unwrap();
    assert_eq!(sent.message.kind, Kind::Nak);
    assert!(sent.message.broadcast);
    assert_eq!(sent.to, Destination::To(SocketAddrV4::new([10, 7, 0, 1].into(), SERVER_PORT)));
    assert_eq!(sent.message.options.get(82), Some(&[1, 2, b'p', b'7'][..]));
}

#[test]
fn a_relay_may_name_another_network_than_its_own() {
    let mut bench = Bench::new(branch());
    let address =
        |bench: &mut Bench, message: &Message| bench.say(message).send.unwrap().message.yiaddr;
    let mut message = relayed(discover(PHONE), [172, 16, 0, 1]);
    message.options.set(option::SUBNET, [192, 0, 2, 0]);
    assert_eq!(address(&mut bench, &message), ip(100));
    message.options.set(option::RELAY, [1, 1, 9, 5, 4, 10, 7, 0, 0]);
    assert_eq!(address(&mut bench, &message), Ipv4Addr::new(10, 7, 1, 1));
    // Cut-off and odd parts are nothing.
    message.options.set(option::RELAY, [1, 1, 9, 5, 4, 10, 7]);
    assert_eq!(address(&mut bench, &message), ip(100));
    // Without a relay nobody chooses.
    message.giaddr = Ipv4Addr::UNSPECIFIED;
    message.options.set(option::SUBNET, [10, 7, 0, 0]);
    assert_eq!(address(&mut bench, &message), ip(100));
}

#[test]
fn a_phone_behind_a_router_renews_by_unicast() {
    let mut bench = Bench::new(branch());
    let far = Ipv4Addr::new(10, 7, 1, 1);
    bench.say(&relayed(selecting(PHONE, far, ip(2)), [10, 7, 0, 1]));
    assert_eq!(bench.server.book().get(far).unwrap().state, State::Bound);
    // Broadcast on our own link it is simply wrong there.
    let here = bench.say(&using(PHONE, far));
    assert_eq!(said(&here), Said::Nak(Reason::OtherNetwork));
    assert_eq!(here.send.unwrap().to, Destination::Broadcast);
    bench.arrival.unicast = true;
    let to = Destination::To(SocketAddrV4::new(far, 68));
    let renewed = bench.say(&using(PHONE, far));
    assert_eq!((said(&renewed), renewed.send.unwrap().to), (Said::Ack, to));
    let refused = bench.say(&using(SECOND, far));
    assert_eq!(said(&refused), Said::Nak(Reason::Anothers));
    let sent = refused.send.unwrap();
    assert_eq!((sent.to, sent.message.ciaddr), (to, Ipv4Addr::UNSPECIFIED));
}

#[test]
fn a_phone_that_moved_gets_an_address_there_and_keeps_the_one_here() {
    let mut bench = Bench::new(branch());
    let here = bench.lease(PHONE);
    let refused = bench.say(&relayed(rebooting(PHONE, here), [10, 7, 0, 1]));
    assert_eq!(said(&refused), Said::Nak(Reason::OtherNetwork));
    let offer = bench.say(&relayed(discover(PHONE), [10, 7, 0, 1])).send.unwrap().message;
    let ack = bench.say(&relayed(selecting(PHONE, offer.yiaddr, ip(2)), [10, 7, 0, 1]));
    assert_eq!(said(&ack), Said::Ack);
    assert_eq!(bench.server.book().get(here).unwrap().state, State::Bound);
    assert_eq!(bench.lease(PHONE), here);
}

#[test]
fn each_interface_answers_with_its_own_address() {
    let mut bench = Bench::new(branch());
    let net = "10.7.0.0/16".parse().unwrap();
    let home = Home { address: [10, 7, 0, 2].into(), net };
    bench.arrival.homes = vec![home];
    let offer = bench.say(&discover(PHONE)).send.unwrap().message;
    assert_eq!(offer.yiaddr, Ipv4Addr::new(10, 7, 1, 1));
    assert_eq!((offer.siaddr, offer.options.address(54)), (home.address, Some(home.address)));
    // Our other address means us as well.
    let ack = bench.say(&selecting(PHONE, offer.yiaddr, ip(2)));
    assert_eq!(said(&ack), Said::Ack);
}

#[test]
fn several_networks_on_one_link_are_used_in_their_order() {
    let mut bench = Bench::new(branch());
    let net = "10.7.0.0/16".parse().unwrap();
    bench.arrival.homes.push(Home { address: [10, 7, 0, 2].into(), net });
    let phone = |n| [0, 0x18, 0xb9, 1, 0, n];
    for n in 0..10 {
        assert!(bench.lease(phone(n)).octets()[0] == 192);
    }
    let offer = bench.say(&discover(PHONE)).send.unwrap().message;
    assert_eq!(offer.yiaddr, Ipv4Addr::new(10, 7, 1, 1));
    assert_eq!(offer.options.address(54), Some([10, 7, 0, 2].into()));
    assert_eq!(offer.options.address(1), Some([255, 255, 0, 0].into()));
    // An address of either is right there.
    assert_eq!(said(&bench.say(&rebooting(SECOND, [10, 7, 1, 5].into()))), Said::Ack);
}
