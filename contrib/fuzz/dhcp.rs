//! What must hold of the DHCP server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use handset::base::{Mac, Time};
use handset::wire::dhcp::{
    Arrival, Boot, Change, Client, Clients, Found, Home, Kind, Lease, Message, Mode, Range,
    Reaction, Room, Said, Scope, Server, Setting, Site, encode, option, parse,
};

const START: u64 = 1_700_000_000_000;
const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

struct Phones;

impl Clients for Phones {
    fn client(&self, mac: Mac, class: Option<&[u8]>) -> Client {
        let boot = Boot {
            url: mac.bytes()[5].is_multiple_of(2).then(|| "http://{server}/".to_owned()),
            host: Some(format!("SEP{}", mac.upper())),
            settings: Arc::from([Setting::bytes(option::VENDOR, vec![7; 300]).always()]),
        };
        match class {
            _ if mac.bytes()[..3] == [0, 0x18, 0xb9] => Client::Known(boot),
            Some(class) if class.starts_with(b"Cisco") => Client::Recognised(boot),
            _ => Client::Stranger,
        }
    }
}

fn site(flags: u8) -> Site {
    let scope = |net: &str, first: u32, last: u32| Scope {
        net: net.parse().expect("a network"),
        pools: vec![Range { first: first.into(), last: last.into() }],
        lease: Duration::from_secs(600),
        boot: None,
        settings: vec![Setting::addresses(option::ROUTER, &[OURS])],
        unknown: flags & 8 == 0,
    };
    Site {
        mode: if flags & 1 == 1 { Mode::Full } else { Mode::Phones },
        authoritative: flags & 4 == 0,
        scopes: vec![
            scope("192.0.2.0/24", 0xc000_0264, 0xc000_0268),
            scope("10.7.0.0/16", 0x0a07_0001, 0x0a07_0004),
        ],
        reserved: BTreeMap::from([
            ([192, 0, 2, 101].into(), mac(1)),
            ([192, 0, 2, 9].into(), mac(2)),
        ]),
        ours: BTreeSet::from([OURS]),
        probe: flags & 2 == 2,
        quarantine: Duration::from_secs(300),
    }
}

fn mac(n: u8) -> Mac {
    Mac::new([if n > 9 { 2 } else { 0 }, 0x18, 0xb9, 0, 0, n]).expect("a MAC")
}

/// The server, what is stored of it, and what its clients believe.
struct World {
    server: Server,
    flags: u8,
    /// True time, and how wrong the clock is.
    time: u64,
    wrong: i64,
    stored: BTreeMap<Ipv4Addr, Vec<u8>>,
    held: BTreeMap<Ipv4Addr, (Mac, u64)>,
    probe: Option<Ipv4Addr>,
    offer: Option<(Mac, Ipv4Addr)>,
}

impl World {
    fn now(&self) -> Time {
        Time((START + self.time).saturating_add_signed(self.wrong))
    }

    fn store(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put(lease) => {
                    let row = lease.to_bytes();
                    assert_eq!(Lease::from_bytes(&row).as_ref(), Ok(lease));
                    self.stored.insert(lease.address, row)
                }
                Change::Remove(address) => self.stored.remove(address),
            };
        }
    }

    fn arrival(&self, unicast: bool) -> Arrival {
        let net = "192.0.2.0/24".parse().expect("a network");
        let source = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        Arrival { homes: vec![Home { address: OURS, net }], source, unicast }
    }

    fn say(&mut self, message: &Message, unicast: bool) {
        let own = self.held.get(&message.ciaddr).is_some_and(|held| held.0 == message.mac);
        if !(own && matches!(message.kind, Kind::Request | Kind::Inform)) {
            // Who begins anew, or gives back, uses no address.
            self.held.retain(|_, held| held.0 != message.mac);
        }
        let now = self.now();
        let reaction = self.server.receive(&self.arrival(unicast), message, &Phones, now);
        assert!(reaction.facts.len() == 2 && reaction.facts.iter().all(|f| f.mac == message.mac));
        let client = Phones.client(message.mac, message.class());
        if self.flags & 1 == 0 && client == Client::Stranger {
            assert!(reaction.send.is_none() && reaction.probe.is_none());
        }
        self.follow(&reaction);
    }

    fn follow(&mut self, reaction: &Reaction) {
        self.store(&reaction.changes);
        self.probe = reaction.probe.map(|probe| probe.address).or(self.probe);
        let Some(sent) = &reaction.send else {
            let last = reaction.facts.last();
            assert!(last.is_none_or(|fact| matches!(fact.said, Said::Silent(_))));
            return;
        };
        let (reply, read) = (&sent.message, parse(&sent.bytes).expect("what a client can read"));
        assert!((300..=1472).contains(&sent.bytes.len()));
        assert_eq!((read.kind, read.yiaddr, read.mac), (reply.kind, reply.yiaddr, reply.mac));
        assert_eq!(read.options.address(option::SERVER), Some(OURS));
        match reply.kind {
            Kind::Offer => self.offer = Some((reply.mac, reply.yiaddr)),
            Kind::Ack if !reply.yiaddr.is_unspecified() => self.given(reply),
            _ => assert!(reply.yiaddr.is_unspecified()),
        }
    }

    /// Nobody else has the address, and it is stored.
    fn given(&mut self, ack: &Message) {
        let row = self.stored.get(&ack.yiaddr).and_then(|row| Lease::from_bytes(row).ok());
        assert_eq!(row.map(|row| row.mac), Some(ack.mac));
        let seconds = ack.options.number(option::LEASE).expect("a lease time");
        if let Some((mac, until)) = self.held.get(&ack.yiaddr) {
            assert!(*mac == ack.mac || *until <= self.time, "{} twice", ack.yiaddr);
        }
        self.held.retain(|_, held| held.0 != ack.mac);
        self.held.insert(ack.yiaddr, (ack.mac, self.time + u64::from(seconds) * 1000));
    }

    fn kill(&mut self) {
        let rows = self.stored.values().map(|row| Lease::from_bytes(row).expect("a row"));
        let rows: Vec<_> = rows.collect();
        self.server = Server::new(site(self.flags));
        let changes = self.server.restore(rows, self.now());
        self.store(&changes);
    }
}

/// A message out of five bytes: kind, client, address, what else it says, and the relay.
fn message(step: [u8; 5]) -> Message {
    let [kind, client, last, more, relay] = step;
    let kind = Kind::of(kind % 9).unwrap_or(Kind::Discover);
    let mut message = Message::new(kind, mac(client % 20), u32::from(more));
    let address = match more & 3 {
        0 => Ipv4Addr::new(192, 0, 2, last),
        1 => Ipv4Addr::new(10, 7, 0, last),
        2 => Ipv4Addr::new(192, 0, 2, 100 + last % 5),
        _ => Ipv4Addr::new(172, 16, 0, last),
    };
    if more & 4 == 4 {
        message.ciaddr = address;
    }
    if more & 8 == 8 {
        message.options.set(option::REQUESTED, address.octets());
    }
    if more & 16 == 16 {
        message.options.set(option::SERVER, if more & 32 == 32 { [1; 4] } else { OURS.octets() });
    }
    if more & 64 == 64 {
        message.options.set(option::CLASS, *b"Cisco\0");
    }
    message.broadcast = more & 128 == 128;
    if relay > 200 {
        message.giaddr = [10, 7, 0, relay].into();
        message.options.set(option::RELAY, vec![relay; usize::from(relay)]);
    }
    message
}

/// Datagrams and clients of every kind, while time passes, jumps, and the server is killed: no panic, no
/// reply that cannot be read, no word to a stranger beside another server, and no address for two.
///
/// An input is a byte of settings and steps: `P` and a length of two bytes is a datagram, `M` and five bytes a
/// message, `S` takes the last offer up, `A` and a byte is the result of a look, `W` and a byte lets tens of
/// seconds pass, `J` and a byte sets the clock, `K` kills.
pub fn dhcp(data: &[u8]) {
    let (flags, mut steps) = data.split_first().unwrap_or((&0, &[]));
    let server = Server::new(site(*flags));
    let (stored, held) = (BTreeMap::new(), BTreeMap::new());
    let (probe, offer) = (None, None);
    let mut world = World { server, flags: *flags, time: 0, wrong: 0, stored, held, probe, offer };
    for _ in 0..2000 {
        let Some((step, rest)) = steps.split_first() else { break };
        steps = rest;
        let byte = || rest.first().copied().unwrap_or(0);
        match step {
            b'P' if rest.len() >= 2 => {
                let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                let (datagram, after) = rest[2..].split_at(length.min(rest.len() - 2));
                steps = after;
                heard(&mut world, datagram);
            }
            b'M' if rest.len() >= 5 => {
                let (five, after) = rest.split_at(5);
                steps = after;
                let five = [five[0], five[1], five[2], five[3], five[4]];
                world.say(&message(five), five[4] & 1 == 1);
            }
            b'S' => {
                let Some((mac, address)) = world.offer.take() else { continue };
                let mut request = Message::new(Kind::Request, mac, 1);
                request.options.set(option::REQUESTED, address.octets());
                request.options.set(option::SERVER, OURS.octets());
                world.say(&request, false);
            }
            b'A' => {
                let found = if byte() < 128 { Found::Free } else { Found::Taken(mac(byte() % 20)) };
                let Some(address) = world.probe.take() else { continue };
                let now = world.now();
                let reaction = world.server.probed(address, found, &Phones, now);
                world.follow(&reaction);
            }
            b'W' => {
                for _ in 0..byte() {
                    world.time += 10_000;
                    let now = world.now();
                    let changes = world.server.tick(now);
                    world.store(&changes);
                }
            }
            b'J' => {
                let hours = i64::from(byte()) * i64::from(byte()) * 3_600_000;
                world.wrong += if world.wrong > 0 { -hours } else { hours };
            }
            b'K' => world.kill(),
            _ => {}
        }
        let all: Vec<_> = world.server.book().leases().collect();
        assert!(all.len() <= 13, "{} leases", all.len());
    }
}

/// A datagram is a message, which is written and read again, or a fault at a place inside of it.
fn heard(world: &mut World, datagram: &[u8]) {
    match parse(datagram) {
        Err(fault) => assert!(fault.at <= datagram.len()),
        Ok(message) => {
            let bytes = encode(&message, Room::LARGEST);
            let again = parse(&bytes).expect("what was written");
            assert!((300..=1472).contains(&bytes.len()));
            let room: usize =
                message.options.iter().map(|(_, v)| v.len() + 2 * (1 + v.len() / 255)).sum();
            if room < 1200 && message.options.get(option::RELAY).is_none() {
                assert_eq!(again, message);
            }
            if !message.kind.by_server() || message.mac.bytes()[5] > 0 {
                world.say(&message, false);
            }
        }
    }
}
