//! The TFTP service over bad links and among bad people. The link is a shim between a client and the
//! service: what it does to each packet follows from a seed alone.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use handset::daemon::event::Outcome;
use handset::daemon::tftp::Limits;
use handset::wire::tftp::{Pace, Packet, parse};

use super::tftp_lab::{ASKED, Lab, Phone};

/// How bad a link is, in percent of its packets.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    lost: u64,
    doubled: u64,
    /// Held back until a few others have passed.
    overtaken: u64,
    /// Held back for some milliseconds.
    late: u64,
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn percent(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 100
    }
}

/// One direction of the link.
struct Way {
    link: Link,
    random: Random,
    held: VecDeque<(Instant, u32, Vec<u8>)>,
}

impl Way {
    /// What comes out when a packet goes in.
    fn take(&mut self, packet: &[u8], out: &mut Vec<Vec<u8>>) {
        let link = self.link;
        let lot = self.random.percent();
        let now = Instant::now();
        let (late, after) = (Duration::from_millis(3), Duration::from_millis(40));
        let bounds = [link.lost, link.doubled, link.overtaken, link.late];
        let which = bounds.iter().scan(0, |sum, share| {
            *sum += share;
            Some(*sum)
        });
        match which.into_iter().position(|bound| lot < bound) {
            Some(0) => {}
            Some(1) => out.extend([packet.to_vec(), packet.to_vec()]),
            Some(2) => self.held.push_back((now + after, 2, packet.to_vec())),
            Some(3) => self.held.push_back((now + late, u32::MAX, packet.to_vec())),
            _ => out.push(packet.to_vec()),
        }
        self.held.iter_mut().for_each(|(_, others, _)| *others = others.saturating_sub(1));
        self.release(out);
    }

    fn release(&mut self, out: &mut Vec<Vec<u8>>) {
        let now = Instant::now();
        while self.held.front().is_some_and(|(at, others, _)| *at <= now || *others == 0) {
            out.extend(self.held.pop_front().map(|(_, _, packet)| packet));
        }
    }
}

/// A link to the service for one client: the client talks to [`Shim::address`], and each of its
/// transfers reaches the service from one port.
struct Shim {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Shim {
    fn start(service: SocketAddr, link: Link, seed: u64) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        }
        let address = near.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let way = |seed| Way { link, random: Random(seed), held: VecDeque::new() };
            let (mut there, mut back) = (way(seed), way(seed ^ 0xffff));
            let (mut client, mut tid) = (None, service);
            let mut buffer = [0; 4096];
            while !stopped.load(Ordering::Relaxed) {
                let (mut to_service, mut to_client) = (Vec::new(), Vec::new());
                if let Ok((length, from)) = near.recv_from(&mut buffer) {
                    client = Some(from);
                    there.take(&buffer[..length], &mut to_service);
                }
                if let Ok((length, from)) = far.recv_from(&mut buffer) {
                    tid = from;
                    back.take(&buffer[..length], &mut to_client);
                }
                there.release(&mut to_service);
                back.release(&mut to_client);
                for packet in to_service {
                    let request = matches!(parse(&packet), Ok(Packet::Read(_)));
                    far.send_to(&packet, if request { service } else { tid }).unwrap();
                }
                for packet in to_client {
                    near.send_to(&packet, client.unwrap()).unwrap();
                }
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

/// A client as RFC 1350 and 7440 want it: it repeats what it sent last, tells of a gap once, and
/// answers the last block again as long as it comes.
fn fetch(to: SocketAddr, name: &str, block: usize, window: u64) -> Vec<u8> {
    let phone = Phone::new("127.0.0.1");
    let patience = Duration::from_millis(30);
    phone.socket.set_read_timeout(Some(patience)).unwrap();
    let options = format!("blksize {block} windowsize {window}");
    let ask = || phone.request_at(to, name, "octet", if window > 1 { &options } else { "" });
    ask();
    let (mut got, mut blocks, mut since, mut begun) = (Vec::new(), 0_u64, 0, false);
    let (mut buffer, until, mut told) =
        ([0; 4096], Instant::now() + Duration::from_secs(30), false);
    let acknowledge =
        |blocks: u64| phone.send(to, Packet::Ack(u16::try_from(blocks % 65_536).unwrap()));
    while Instant::now() < until {
        let Ok((length, _)) = phone.socket.recv_from(&mut buffer) else {
            told = false;
            if begun {
                acknowledge(blocks);
            } else {
                ask();
            }
            continue;
        };
        match parse(&buffer[..length]).unwrap() {
            Packet::Oack(_) if blocks == 0 => {
                begun = true;
                acknowledge(0);
            }
            Packet::Data { block: number, payload } => {
                begun = true;
                let ahead = number.wrapping_sub(u16::try_from(blocks % 65_536).unwrap());
                if ahead == 1 {
                    (blocks, since, told) = (blocks + 1, since + 1, false);
                    got.extend_from_slice(payload);
                    if payload.len() < block {
                        acknowledge(blocks);
                        return got;
                    }
                    if since >= window {
                        since = 0;
                        acknowledge(blocks);
                    }
                } else if ahead < 0x8000 && !std::mem::replace(&mut told, true) {
                    since = 0;
                    acknowledge(blocks);
                }
            }
            _ => {}
        }
    }
    panic!("{name} took too long over {to}");
}

/// Patience in tenths and less.
fn pace() -> Pace {
    Pace {
        first: Duration::from_millis(60),
        least: Duration::from_millis(25),
        most: Duration::from_millis(100),
        repeats: 40,
        unproved: 40,
        ..Pace::default()
    }
}

/// Every file arrives over such a link, byte for byte, and no transfer ends otherwise than well.
fn check(link: Link) {
    let lab = Lab::start(Limits { pace: pace(), ..Limits::default() });
    let service = SocketAddr::new(ASKED.parse().unwrap(), lab.port());
    for seed in 1..=3 {
        for (name, block, window) in [
            ("size-513", 512, 1),
            ("size-20000", 512, 1),
            ("size-20000", 600, 8),
            ("size-1024", 512, 4),
        ] {
            let shim = Shim::start(service, link, seed);
            let got = fetch(shim.address, name, block, window);
            assert!(
                got == lab.content(name),
                "{name} by {block} x {window}, {link:?}, seed {seed}"
            );
        }
    }
    let mut well = 0;
    while let Some(transfer) = lab.report_within(Duration::from_secs(6)) {
        // A request that was doubled on its way may come when its transfer is over: nobody answers
        // what is begun for it.
        match transfer.outcome {
            Outcome::Complete | Outcome::Unconfirmed => well += 1,
            Outcome::TimedOut | Outcome::Aborted(..) => assert!(transfer.bytes < 20_000),
            other => panic!("{other:?}"),
        }
        if well == 12 {
            return;
        }
    }
    panic!("{well} of 12 transfers were reported as good");
}

#[test]
fn every_byte_arrives_over_a_link_that_loses() {
    check(Link { lost: 15, ..Link::default() });
}

#[test]
fn every_byte_arrives_over_a_link_that_doubles() {
    check(Link { doubled: 30, ..Link::default() });
}

#[test]
fn every_byte_arrives_over_a_link_where_packets_overtake_each_other() {
    check(Link { overtaken: 20, ..Link::default() });
}

#[test]
fn every_byte_arrives_over_a_link_that_is_late() {
    check(Link { late: 50, ..Link::default() });
}

#[test]
fn every_byte_arrives_over_a_link_that_does_everything_wrong() {
    check(Link { lost: 8, doubled: 8, overtaken: 8, late: 20 });
}

#[test]
fn ten_thousand_half_open_transfers_keep_no_phone_out() {
    let pace = Pace { first: Duration::from_millis(1500), ..Pace::default() };
    for transfers in [Limits::default().transfers, 1000] {
        let lab = Lab::start(Limits { pace, transfers, ..Limits::default() });
        for number in 0..10_000_u32 {
            // From an address each, and nobody is there any more when the answer comes.
            let [.., high, low] = number.to_be_bytes();
            Phone::new(&format!("127.66.{high}.{low}")).request(&lab, "size-20000", "octet", "");
            if number % 1000 == 999 {
                let began = Instant::now();
                let got = Phone::new("127.0.0.1").fetch(&lab, "size-20000", "");
                assert!(got == lab.content("size-20000"));
                assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
            }
        }
        // The phones, and those who had to leave.
        for _ in 0..10 + 10_000_usize.saturating_sub(transfers) {
            // All addresses are this host's own: a made-up port may be one of the service's, which
            // then does not know the transfer.
            let outcome = lab.report().outcome;
            let expected = match &outcome {
                Outcome::Complete | Outcome::TimedOut => true,
                Outcome::Aborted(code, _) => *code == 5,
                _ => false,
            };
            assert!(expected, "{outcome:?}");
        }
    }
}

#[test]
fn who_never_acknowledges_gets_four_packets_however_large_the_window() {
    let lab = Lab::start(Limits { pace: Pace { unproved: 4, ..pace() }, ..Limits::default() });
    for options in ["", "tsize 0", "blksize 1000 windowsize 64"] {
        let phone = Phone::new("127.0.0.1");
        phone.request(&lab, "size-20000", "octet", options);
        let first = phone.hears();
        for _ in 0..3 {
            assert_eq!(phone.hears(), first);
        }
        assert_eq!(lab.report().outcome, Outcome::TimedOut);
        assert!(phone.silent_for(150), "{options}");
    }
}

#[test]
fn who_acknowledges_only_the_options_gets_one_window_and_three_packets() {
    let lab = Lab::start(Limits { pace: Pace { unproved: 4, ..pace() }, ..Limits::default() });
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-20000", "octet", "blksize 500 windowsize 64");
    let (_, tid) = phone.hears_from();
    phone.send(tid, Packet::Ack(0));
    for block in 1..=16 {
        assert_eq!(phone.hears(), format!("DATA {block} (500)"));
    }
    for _ in 0..3 {
        assert_eq!(phone.hears(), "DATA 1 (500)");
    }
    assert_eq!(lab.report().outcome, Outcome::TimedOut);
    assert!(phone.silent_for(150));
}

#[test]
fn every_beginning_of_a_request_and_a_flood_of_garbage_change_nothing() {
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    let whole = b"\0\x01size-1\0octet\0blksize\x00512\0windowsize\x004\0";
    let attacker = Phone::new("127.0.0.5");
    for length in 0..whole.len() {
        attacker.socket.send_to(&whole[..length], (ASKED, lab.port())).unwrap();
    }
    let mut random = Random(1);
    for _ in 0..20_000 {
        let length = usize::try_from(random.percent() * random.percent() % 700).unwrap();
        let mut datagram: Vec<u8> =
            (0..length).map(|_| u8::try_from(random.percent()).unwrap()).collect();
        if let [high, low, ..] = &mut datagram[..] {
            (*high, *low) = (0, *low % 8);
        }
        attacker.socket.send_to(&datagram, (ASKED, lab.port())).unwrap();
    }
    assert_eq!(phone.fetch(&lab, "size-20000", ""), lab.content("size-20000"));
}

#[test]
fn option_floods_are_read_to_their_end_and_no_further() {
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    // As many options as a request may have.
    let many = "a 1 ".repeat(110) + "tsize 0";
    phone.request(&lab, "size-513", "octet", &many);
    assert_eq!(phone.hears(), "OACK tsize=513");
    let too_many = "a 1 ".repeat(200);
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-513", "octet", &too_many);
    assert_eq!(phone.hears(), "ERROR 4 request too long");
}

#[test]
fn no_spelling_of_a_way_out_is_one() {
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    let ups: [&[u8]; 14] = [
        b"..",
        b"./..",
        b"..%2f",
        b"%2e%2e",
        b"%252e%252e",
        b"..%c0%af",
        b"\xc0\xae\xc0\xae",
        b"\xe0\x80\xae\xe0\x80\xae",
        b"..\\",
        b"....//",
        b"..;",
        b"..\x01",
        b"%u002e%u002e",
        b"\xff\xfe.\x01.",
    ];
    for up in ups {
        for prefix in [&b"static/"[..], b"/static/", b"static/./", b"", b"/", b"//", b"\\"] {
            for times in [1, 8] {
                let mut name = prefix.to_vec();
                for _ in 0..times {
                    name.extend_from_slice(up);
                    name.push(b'/');
                }
                name.extend_from_slice(b"secret");
                let request = [b"\0\x01", &name[..], b"\0octet\0"].concat();
                phone.socket.send_to(&request, (ASKED, lab.port())).unwrap();
                assert_eq!(phone.hears(), "ERROR 1 file not found", "{}", name.escape_ascii());
            }
        }
    }
}
