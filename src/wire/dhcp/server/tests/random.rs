//! No address is ever two clients', whatever happens.

use super::*;
use std::collections::BTreeMap;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// What the clients believe, by true time: who has which address until when.
#[derive(Default)]
struct World {
    held: BTreeMap<Ipv4Addr, ([u8; 6], u64)>,
    stored: BTreeMap<Ipv4Addr, Vec<u8>>,
    /// True time, and by how much the clock is wrong.
    time: u64,
    wrong: i64,
}

impl World {
    fn clock(&self) -> Time {
        Time(START.0.wrapping_add(self.time).saturating_add_signed(self.wrong))
    }

    fn store(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put(lease) => self.stored.insert(lease.address, lease.to_bytes()),
                Change::Remove(address) => self.stored.remove(address),
            };
        }
    }

    fn rows(&self) -> Vec<Lease> {
        self.stored.values().map(|bytes| Lease::from_bytes(bytes).unwrap()).collect()
    }

    /// An ACK arrived: nobody else may have that address.
    fn got(&mut self, who: [u8; 6], ack: &Message) {
        let seconds = u64::from(ack.options.number(option::LEASE).unwrap());
        if let Some((other, until)) = self.held.get(&ack.yiaddr) {
            let free = *other == who || *until <= self.time;
            assert!(free, "{} is {other:02x?}'s and went to {who:02x?}", ack.yiaddr);
        }
        self.held.retain(|_, (mac, _)| *mac != who);
        self.held.insert(ack.yiaddr, (who, self.time + seconds * 1000));
    }

    fn of(&self, who: [u8; 6]) -> Option<Ipv4Addr> {
        self.held.iter().find(|(_, held)| held.0 == who).map(|(address, _)| *address)
    }
}

fn big() -> Site {
    let mut site = site(Mode::Full);
    site.scopes[0].net = "192.0.0.0/22".parse().unwrap();
    site.scopes[0].pools =
        vec![Range { first: [192, 0, 0, 200].into(), last: [192, 0, 1, 250].into() }];
    site.scopes[0].lease = Duration::from_secs(2 * 3600);
    for n in 0..20 {
        site.reserved.insert([192, 0, 0, 190 + n].into(), mac([0, 0x18, 0xb9, 1, 0, n]));
    }
    site
}

/// What a client does next.
fn step(random: &mut Random, world: &World, who: [u8; 6]) -> Message {
    let own = world.of(who).unwrap_or(Ipv4Addr::new(192, 0, 0, 230));
    let any = Ipv4Addr::from(0xc000_0000 + u32::try_from(random.below(0x400)).unwrap());
    match random.below(14) {
        0..=5 => discover(who),
        6 => rebooting(who, own),
        7 => rebooting(who, any),
        8 => using(who, own),
        9 if world.of(who).is_some() => using(who, own),
        10 => releasing(who, own),
        11 => declining(who, own),
        12 => selecting(who, any, ip(2)),
        _ => selecting(who, any, ip(9)),
    }
}

fn run(seed: u64, exchanges: u64, jumps: bool) -> usize {
    let (mut random, mut world) = (Random(seed), World::default());
    let mut server = Server::new(big());
    let arrival = Bench::new(big()).arrival;
    let mut acks = 0;
    for _ in 0..exchanges {
        world.time += random.below(4000);
        if jumps && random.below(500) == 0 {
            // Hours, or years, in either direction; at worst to 1970.
            let span = if random.below(2) == 0 { DAY } else { 60 * 365 * DAY };
            let by = i64::try_from(DAY / 24 + random.below(span)).unwrap();
            world.wrong += if world.wrong > 0 { -by } else { by };
        }
        if random.below(400) == 0 {
            // Killed: what is stored is all that is left.
            server = Server::new(big());
            let changes = server.restore(world.rows(), world.clock());
            world.store(&changes);
        }
        let n = u8::try_from(random.below(250)).unwrap();
        let who = [0, 0x18, 0xb9, 1, 0, n];
        let mut message = step(&mut random, &world, who);
        if !(message.kind == Kind::Request && message.ciaddr == world.of(who).unwrap_or(ip(0))) {
            // Only who renews goes on using its address meanwhile.
            world.held.retain(|_, (mac, _)| *mac != who);
        }
        loop {
            let reaction = server.receive(&arrival, &message, &Office, world.clock());
            world.store(&reaction.changes);
            // Some replies are lost.
            let Some(sent) = reaction.send.filter(|_| random.below(10) > 0) else { break };
            match sent.message.kind {
                Kind::Offer if random.below(8) > 0 => {
                    message = selecting(who, sent.message.yiaddr, ip(2));
                }
                Kind::Ack => {
                    acks += 1;
                    world.got(who, &sent.message);
                    break;
                }
                Kind::Nak => {
                    world.held.retain(|_, (mac, _)| *mac != who);
                    break;
                }
                _ => break,
            }
        }
        if random.below(20) == 0 {
            let changes = server.tick(world.clock());
            world.store(&changes);
        }
    }
    acks
}

#[test]
fn no_address_is_two_clients_in_fifty_thousand_exchanges() {
    let acks = run(1, 50_000, false);
    assert!(acks > 12_000, "{acks}");
}

#[test]
fn no_address_is_two_clients_while_the_clock_jumps() {
    for seed in 2..6 {
        let acks = run(seed, 10_000, true);
        assert!(acks > 2500, "{acks}");
    }
}
