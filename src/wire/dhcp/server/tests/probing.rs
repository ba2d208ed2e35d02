//! Looking at an address before it is offered.

use super::*;

fn looking() -> Bench {
    Bench::new(Site { probe: true, ..site(Mode::Phones) })
}

fn probed(bench: &mut Bench, address: Ipv4Addr, found: Found) -> Reaction {
    bench.server.probed(address, found, &Office, bench.now)
}

#[test]
fn a_new_address_is_looked_at_once_and_then_offered() {
    let mut bench = looking();
    let reaction = bench.say(&discover(PHONE));
    assert_eq!(said(&reaction), Said::Silent(Reason::Probing));
    assert_eq!(reaction.probe, Some(Probe { address: ip(100), from: ip(2) }));
    // Another phone is shown another address meanwhile; a repeat begins no second look.
    assert_eq!(bench.say(&discover(SECOND)).probe.unwrap().address, ip(101));
    let mut again = discover(PHONE);
    again.xid = 7;
    let reaction = bench.say(&again);
    assert_eq!((said(&reaction), reaction.probe), (Said::Silent(Reason::Probing), None));
    let offer = probed(&mut bench, ip(100), Found::Free);
    assert_eq!(said(&offer), Said::Offer);
    let message = offer.send.unwrap().message;
    assert_eq!((message.yiaddr, message.xid), (ip(100), 7));
    assert_eq!(probed(&mut bench, ip(100), Found::Free), Reaction::default());
}

#[test]
fn addresses_of_one_s_own_are_offered_without_a_look() {
    let mut bench = looking();
    bench.say(&discover(PHONE));
    probed(&mut bench, ip(100), Found::Free);
    assert_eq!(bench.lease(PHONE), ip(100));
    bench.wait(9 * DAY);
    assert_eq!(bench.lease(PHONE), ip(100));
    let mut changed = Site { probe: true, ..site(Mode::Phones) };
    changed.reserved.insert(ip(50), mac(SECOND));
    bench.server.set_site(changed);
    assert_eq!(bench.lease(SECOND), ip(50));
}

#[test]
fn nobody_looks_through_a_relay() {
    let mut bench = looking();
    let mut message = discover(PHONE);
    message.giaddr = ip(1);
    assert_eq!(said(&bench.say(&message)), Said::Offer);
}

#[test]
fn an_address_in_use_rests_and_the_next_is_looked_at() {
    let mut bench = looking();
    bench.say(&discover(PHONE));
    let squatter = mac(LAPTOP);
    let reaction = probed(&mut bench, ip(100), Found::Taken(squatter));
    assert_eq!(reaction.alerts, [Alert::Conflict(ip(100), squatter)]);
    assert!(matches!(&reaction.changes[..], [Change::Put(l)] if l.state == State::Declined));
    assert_eq!(reaction.probe.unwrap().address, ip(101));
    // A phone that answers for its own address has it.
    let offer = probed(&mut bench, ip(101), Found::Taken(mac(PHONE)));
    assert_eq!(offer.send.unwrap().message.yiaddr, ip(101));
}

#[test]
fn one_discover_looks_at_few_addresses() {
    let mut bench = looking();
    let mut next = bench.say(&discover(PHONE)).probe;
    let mut count = 0;
    while let Some(probe) = next {
        count += 1;
        next = probed(&mut bench, probe.address, Found::Taken(mac(LAPTOP))).probe;
    }
    assert_eq!(count, MAX_LOOKS);
    assert_eq!(bench.say(&discover(PHONE)).probe.unwrap().address, ip(104));
}

#[test]
fn a_look_without_an_answer_holds_nothing_up() {
    let mut bench = looking();
    bench.say(&discover(PHONE));
    bench.wait(4000);
    assert_eq!(said(&bench.say(&discover(PHONE))), Said::Offer);
    // The answer that comes too late is nothing.
    assert_eq!(probed(&mut bench, ip(100), Found::Free), Reaction::default());
    bench.say(&discover(SECOND));
    bench.say(&selecting(SECOND, ip(101), ip(9)));
    assert_eq!(probed(&mut bench, ip(101), Found::Free), Reaction::default());
}

#[test]
fn a_storm_of_strangers_begins_a_bounded_number_of_looks() {
    let mut site = Site { probe: true, ..site(Mode::Phones) };
    site.scopes[0].net = "192.0.0.0/16".parse().unwrap();
    site.scopes[0].pools =
        vec![Range { first: [192, 0, 16, 0].into(), last: [192, 0, 99, 0].into() }];
    let mut bench = Bench::new(site);
    let reactions: Vec<_> = (0..2000_u16)
        .map(|n| bench.say(&discover([0, 0x18, 0xb9, 1, (n >> 8) as u8, (n & 255) as u8])))
        .collect();
    assert_eq!(reactions.iter().filter(|r| r.probe.is_some()).count(), MAX_PROBES);
    assert_eq!(reactions.iter().filter(|r| r.send.is_some()).count(), 2000 - MAX_PROBES);
    bench.wait(61_000);
    bench.server.tick(bench.now);
    assert_eq!(bench.server.book().offers().count(), 0);
    assert!(bench.say(&discover(PHONE)).probe.is_some());
}
