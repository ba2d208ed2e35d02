//! Hostile and broken clients, with a well-behaved phone beside them. Each kind runs for some seconds
//! at some steps a second while a probe fetches a small file like a phone would.

mod kinds;
mod odd;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::{self, Load, Options, Patience};
use crate::files::Expect;
use crate::procstat::{Cost, Server, Watch};
use crate::proto::{self, Packet};
use crate::stats::{Quantiles, load};
use crate::sys::{Random, now_ns, raise_nofile, receive, udp};

/// All kinds; the first is the baseline.
pub(crate) const KINDS: [&str; 14] = [
    "none",
    "garbage",
    "stray-acks",
    "options",
    "names",
    "write",
    "never-ack",
    "never-ack-window",
    "dup-ack",
    "dup-rrq",
    "wrong-tid",
    "ack-ahead",
    "error-mid",
    "slow",
];

/// What is to be done.
#[derive(Clone)]
pub(crate) struct Plan<'a> {
    pub(crate) server: SocketAddrV4,
    pub(crate) cost: Server,
    /// A small file, and a large one.
    pub(crate) probe: &'a str,
    pub(crate) big: &'a str,
    pub(crate) expect: Option<&'a Path>,
    pub(crate) seconds: f64,
    pub(crate) rate: f64,
    pub(crate) sessions: usize,
    /// Text that stands only in a file outside of the root.
    pub(crate) canary: &'a str,
}

/// The good phone's experience.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
pub(crate) struct Probe {
    pub(crate) ok: u64,
    pub(crate) ms: Quantiles,
    pub(crate) repeats: u64,
    pub(crate) trouble: u64,
}

/// What the attackers saw.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
pub(crate) struct Seen {
    pub(crate) steps: u64,
    pub(crate) sent: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) got: u64,
    pub(crate) got_bytes: u64,
    pub(crate) data: u64,
    pub(crate) errors: u64,
    pub(crate) unknown_tid: u64,
    pub(crate) completed: u64,
    pub(crate) blocks: u64,
    /// The most packets that one request brought which was never acknowledged.
    pub(crate) most_packets: u64,
    pub(crate) tids: u64,
    pub(crate) writes: u64,
    pub(crate) leaks: Vec<String>,
    pub(crate) odd_names_served: Vec<String>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) kind: String,
    pub(crate) served: bool,
    pub(crate) served_after: bool,
    pub(crate) probe: Probe,
    pub(crate) seen: Seen,
    pub(crate) server: Cost,
    pub(crate) load: f64,
}

/// Carries out one kind.
pub(crate) fn run(plan: &Plan<'_>, kind: &str) -> io::Result<Outcome> {
    raise_nofile(20_000);
    let (watch, load) = (Watch::start(plan.cost.clone()), load());
    let mut attack = Attack::new(plan);
    let probe_load = probe(plan, plan.seconds)?;
    let during = std::thread::scope(|scope| {
        let probe = scope.spawn(|| engine::run(&probe_load));
        kinds::carry_out(&mut attack, kind)?;
        probe.join().map_err(|_| io::Error::other("the probe broke off"))?
    })?;
    // Long enough for what nobody acknowledges to be given up, a little at least.
    std::thread::sleep(Duration::from_secs(1));
    let after = seen(&engine::run(&probe(plan, 1.0)?)?);
    let during = seen(&during);
    Ok(Outcome {
        kind: kind.to_owned(),
        served: during.ok > 0 && during.trouble == 0,
        served_after: after.ok > 0 && after.trouble == 0,
        probe: during,
        seen: attack.seen,
        server: watch.finish(),
        load,
    })
}

fn seen(out: &engine::Out) -> Probe {
    Probe {
        ok: out.files_ok,
        ms: out.file.quantiles(),
        repeats: out.repeats,
        trouble: out.given_up + out.mismatches + out.errors.values().sum::<u64>(),
    }
}

fn probe(plan: &Plan<'_>, seconds: f64) -> io::Result<Load> {
    let expect = match plan.expect {
        Some(dir) => Expect::one(dir, plan.probe)?,
        None => Expect::anything(),
    };
    let loopback = plan.server.ip().is_loopback();
    Ok(Load {
        server: plan.server,
        phones: 1,
        at_once: 1,
        list: vec![plan.probe.to_owned()],
        repeat: u32::MAX,
        mac_base: 0,
        expect,
        from: loopback.then_some(Ipv4Addr::new(127, 77, 0, 1)),
        options: Options::default(),
        patience: Patience { backoff: 1.0, tries: 3, ..Patience::default() },
        loss: 0.0,
        seed: 1,
        ramp_ns: 0,
        think_ns: 20_000_000,
        most_ns: (seconds * 1e9) as u64,
        pool: 0,
    })
}

/// An attack under way.
struct Attack<'a> {
    plan: &'a Plan<'a>,
    began: u64,
    end: u64,
    random: Random,
    seen: Seen,
    next_source: u32,
    buffer: Vec<u8>,
}

impl<'a> Attack<'a> {
    fn new(plan: &'a Plan<'a>) -> Self {
        let began = now_ns();
        Self {
            plan,
            began,
            end: began + (plan.seconds * 1e9) as u64,
            random: Random::new(1),
            seen: Seen::default(),
            next_source: 0,
            buffer: vec![0; 65_536],
        }
    }

    /// A socket of its own address where there are enough of them.
    fn socket(&mut self) -> Option<UdpSocket> {
        self.next_source = (self.next_source + 1) % 60_000;
        let base = u32::from(Ipv4Addr::new(127, 66, 0, 1));
        let own = SocketAddrV4::new(Ipv4Addr::from(base + self.next_source), 0);
        udp(self.plan.server.ip().is_loopback().then_some(own), 0).ok()
    }

    fn ask(&mut self, socket: &UdpSocket, datagram: &[u8]) {
        self.send(socket, datagram, self.plan.server);
    }

    fn send(&mut self, socket: &UdpSocket, datagram: &[u8], to: SocketAddrV4) {
        if socket.send_to(datagram, to).is_ok() {
            self.seen.sent += 1;
            self.seen.sent_bytes += datagram.len() as u64;
        }
    }

    /// Waits for the next step's turn; false when the time is up.
    fn step(&mut self) -> bool {
        let at = self.began + (self.seen.steps as f64 * 1e9 / self.plan.rate) as u64;
        self.seen.steps += 1;
        loop {
            let now = now_ns();
            if now >= self.end || now >= at {
                return now < self.end;
            }
            std::thread::sleep(Duration::from_nanos((at - now).min(5_000_000)));
        }
    }

    /// What a socket has.
    fn take(&mut self, socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddrV4)> {
        let (length, from) = receive(socket, &mut self.buffer)?;
        let datagram = self.buffer[..length].to_vec();
        self.seen.got += 1;
        self.seen.got_bytes += length as u64;
        match proto::parse(&datagram) {
            Packet::Data(..) => self.seen.data += 1,
            Packet::Error(code, _) => {
                self.seen.errors += 1;
                self.seen.unknown_tid += u64::from(code == 5);
            }
            _ => {}
        }
        Some((datagram, from))
    }

    /// The next packet within so many milliseconds.
    fn hear(&mut self, socket: &UdpSocket, millis: u64) -> Option<(Vec<u8>, SocketAddrV4)> {
        let end = now_ns() + millis * 1_000_000;
        loop {
            let heard = self.take(socket);
            if heard.is_some() || now_ns() >= end {
                return heard;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}
