//! Thousands of exchanges through a relay, with releases and kills at any moment: no address has two holders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use handset::wire::dhcp::{Kind, Message, Room, encode, option, parse};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;

use crate::phone::CISCO;
use crate::site::{SERVER, Site};

const RELAY: Ipv4Addr = Ipv4Addr::new(10, 67, 0, 1);

/// Phones behind one relay, by number.
struct Phones {
    socket: UdpSocket,
    /// Who has which address, as the phones know it.
    held: BTreeMap<u32, Ipv4Addr>,
    acks: usize,
    seed: u64,
}

impl Phones {
    fn new(site: &Site) -> Self {
        let space = File::open(format!("/run/netns/{}.ph1", site.net)).unwrap();
        let make = move || {
            setns(space, CloneFlags::CLONE_NEWNET).unwrap();
            UdpSocket::bind((RELAY, 67)).unwrap()
        };
        let socket = std::thread::spawn(make).join().unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { socket, held: BTreeMap::new(), acks: 0, seed: 1 }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) % below
    }

    fn message(kind: Kind, number: u32) -> Message {
        let mac = format!("0018b9{number:06x}").parse().unwrap();
        let mut message = Message::new(kind, mac, number);
        message.giaddr = RELAY;
        message.hops = 1;
        message.options.set(option::CLASS, CISCO);
        message
    }

    fn send(&self, message: &Message) {
        // While the daemon is away an ICMP error may come back.
        let _ = self.socket.send_to(&encode(message, Room::of(message)), (SERVER, 67));
    }

    /// Boots those who have no address, as far as they are answered within a time.
    fn boot(&mut self, wanting: &BTreeSet<u32>, patience: Duration) {
        for number in wanting {
            self.send(&Self::message(Kind::Discover, *number));
        }
        let (end, mut buffer) = (Instant::now() + patience, [0; 2048]);
        let mut left = wanting.clone();
        while Instant::now() < end && !left.is_empty() {
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let answer = parse(&buffer[..length]).unwrap();
            let [.., a, b, c] = answer.mac.bytes();
            let number = u32::from_be_bytes([0, a, b, c]);
            match answer.kind {
                Kind::Offer => {
                    let mut request = Self::message(Kind::Request, number);
                    request.options.set(option::REQUESTED, answer.yiaddr.octets());
                    request.options.set(option::SERVER, [10, 66, 0, 1]);
                    self.send(&request);
                }
                Kind::Ack => {
                    left.remove(&number);
                    self.took(number, answer.yiaddr);
                }
                // The offer was made before the kill, and its address was given to another one since.
                Kind::Nak => drop(left.remove(&number)),
                other => panic!("{other:?} to {number}"),
            }
        }
    }

    fn took(&mut self, number: u32, address: Ipv4Addr) {
        let holder = self.held.iter().find(|(n, held)| **held == address && **n != number);
        assert_eq!(holder, None, "{address} is given to {number} as well");
        self.held.insert(number, address);
        self.acks += 1;
    }

    fn release_some(&mut self) {
        let all: Vec<(u32, Ipv4Addr)> = self.held.iter().map(|(n, a)| (*n, *a)).collect();
        for (number, address) in all {
            if self.random(3) == 0 {
                let mut release = Self::message(Kind::Release, number);
                release.ciaddr = address;
                release.options.set(option::SERVER, [10, 66, 0, 1]);
                self.send(&release);
                self.held.remove(&number);
            }
        }
    }
}

#[test]
fn no_address_has_two_holders_however_often_the_daemon_is_killed() {
    // Some 90 leases each.
    let rounds = std::env::var("DHCP_ROUNDS").map_or(60, |text| text.parse().unwrap());
    // Fewer addresses than phones: what is given back is given again.
    let far = "[dhcp 10.67.0.0/22]\npool=10.67.0.10-10.67.1.200\n";
    let mut site = Site::network(&["02:00:00:00:00:fe"]);
    site.configure(&format!("[dhcp]\nmode=phones\n{far}"), "");
    site.ip("ph1", "addr add 10.66.0.254/24 dev eth0");
    site.ip("ph1", "addr add 10.67.0.1/22 dev lo");
    site.ip("srv", "route add 10.67.0.0/22 via 10.66.0.254");
    site.run();
    let mut phones = Phones::new(&site);
    for round in 0..rounds {
        let mut wanting = BTreeSet::new();
        while wanting.len() < 250 {
            let number = u32::try_from(phones.random(900)).unwrap() + 1;
            wanting.insert(number);
        }
        wanting.retain(|number| !phones.held.contains_key(number));
        // The kill comes in the middle of an exchange of many.
        let patience = if round % 3 == 2 { 15 } else { 700 };
        phones.boot(&wanting, Duration::from_millis(patience));
        if round % 3 == 2 {
            site.end(Signal::SIGKILL);
            site.run();
        }
        phones.release_some();
    }
    assert!(phones.acks > rounds * 80, "{} {}", phones.acks, site.log());
    let listed: BTreeSet<String> = site.leases().into_iter().collect();
    for (number, address) in &phones.held {
        let mac: handset::base::Mac = format!("0018b9{number:06x}").parse().unwrap();
        assert!(listed.contains(&format!("{address} {mac} bound")), "{address} {mac}");
    }
}
