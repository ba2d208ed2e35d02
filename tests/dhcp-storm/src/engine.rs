//! Many phones behind one relay address, through one socket: DISCOVER, OFFER, REQUEST, ACK.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use nix::sys::socket::MsgFlags;
use serde::{Deserialize, Serialize};

use crate::packet::{ACK, Ask, DISCOVER, NAK, OFFER, REQUEST, Reply};
use crate::procstat::{Cost, Server, Watch};
use crate::stats::{Quantiles, Spans, load};
use crate::sys::{Batch, Poll, Random, cpu, now_ns, udp};

/// How phones come.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Way {
    /// So many at a time, as fast as it goes.
    Closed(usize),
    /// So many a second, come what may.
    Rate(f64),
    /// All within so many nanoseconds, repeating as phones do.
    Storm(u64),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) way: Way,
    pub(crate) clients: usize,
    pub(crate) server: SocketAddrV4,
    /// Where replies come to: also the relay's address.
    pub(crate) relay: SocketAddrV4,
    pub(crate) boot: Ipv4Addr,
    pub(crate) mac_base: u64,
    pub(crate) class: String,
    /// Nanoseconds until a repeat, doubled each time up to 16 s, and how often it is said in all.
    pub(crate) patience: u64,
    pub(crate) tries: u32,
    pub(crate) most_ns: u64,
}

/// What came of it.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) clients: u64,
    pub(crate) wall_s: f64,
    pub(crate) leases: u64,
    pub(crate) leases_per_s: f64,
    pub(crate) lost_percent: f64,
    pub(crate) first_try: u64,
    pub(crate) repeats: u64,
    pub(crate) failed: u64,
    pub(crate) naks: u64,
    pub(crate) late: u64,
    pub(crate) twice: u64,
    pub(crate) wrong: BTreeMap<String, u64>,
    pub(crate) offer_ms: Quantiles,
    pub(crate) ack_ms: Quantiles,
    pub(crate) lease_ms: Quantiles,
    /// When the last lease was given, in seconds from the start.
    pub(crate) last_s: f64,
    pub(crate) unfinished: bool,
    pub(crate) client_cpu_s: f64,
    pub(crate) server: Cost,
    pub(crate) load: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Discovering,
    Requesting,
    Over,
}

#[derive(Clone, Copy)]
struct Client {
    state: State,
    tries: u32,
    /// Counts what was sent, so that old timers mean nothing.
    turn: u32,
    began: u64,
    sent: u64,
    chosen: Option<(Ipv4Addr, Ipv4Addr)>,
    clean: bool,
}

struct Run<'a> {
    load: &'a Load,
    socket: UdpSocket,
    xid_base: u32,
    clients: Vec<Client>,
    timers: BinaryHeap<Reverse<(u64, usize, u32)>>,
    owners: HashMap<Ipv4Addr, usize>,
    live: usize,
    random: Random,
    out: Report,
    offers: Spans,
    acks: Spans,
    leases: Spans,
    last: u64,
}

impl Run<'_> {
    fn mac(&self, at: usize) -> u64 {
        (self.load.mac_base + at as u64) & 0xffff_ffff_ffff
    }

    fn start(&mut self, at: usize) {
        self.clients[at].state = State::Discovering;
        self.clients[at].began = now_ns();
        self.live += 1;
        self.send(at);
    }

    fn send(&mut self, at: usize) {
        let (now, client) = (now_ns(), self.clients[at]);
        let discovering = client.state == State::Discovering;
        let ask = Ask {
            kind: if discovering { DISCOVER } else { REQUEST },
            xid: self.xid_base.wrapping_add(at as u32),
            mac: self.mac(at),
            relay: *self.load.relay.ip(),
            chosen: client.chosen,
            class: self.load.class.as_bytes(),
            secs: ((now - client.began) / 1_000_000_000) as u16,
        };
        let _ = self.socket.send_to(&ask.bytes(), self.load.server);
        let client = &mut self.clients[at];
        client.sent = now;
        client.tries += 1;
        client.turn += 1;
        let turn = client.turn;
        // A tenth to and fro, as RFC 2131 §4.1 has a second.
        let doubled = self.load.patience << (client.tries - 1).min(10);
        let base = doubled.min(self.load.patience.max(16_000_000_000));
        let wait = base - base / 20 + self.random.below(base / 10 + 1);
        self.timers.push(Reverse((now + wait, at, turn)));
    }

    fn end(&mut self, at: usize) {
        self.clients[at].state = State::Over;
        self.live -= 1;
    }

    fn tick(&mut self, now: u64) {
        while let Some(&Reverse((due, at, turn))) = self.timers.peek() {
            if due > now {
                break;
            }
            self.timers.pop();
            let client = self.clients[at];
            if client.turn != turn || client.state == State::Over {
                continue;
            }
            if client.tries >= self.load.tries {
                self.out.failed += 1;
                self.end(at);
            } else {
                self.out.repeats += 1;
                self.clients[at].clean = false;
                self.send(at);
            }
        }
    }

    fn wrong(&mut self, why: &str) {
        *self.out.wrong.entry(why.to_owned()).or_default() += 1;
    }

    fn hear(&mut self, datagram: &[u8]) {
        let Some(reply) = Reply::read(datagram) else { return self.wrong("unreadable") };
        let at = reply.xid.wrapping_sub(self.xid_base) as usize;
        if at >= self.clients.len() {
            self.out.late += 1;
        } else if reply.mac != self.mac(at) {
            self.wrong("another client's chaddr");
        } else {
            self.answer(at, &reply);
        }
    }

    fn answer(&mut self, at: usize, reply: &Reply<'_>) {
        let (now, client) = (now_ns(), self.clients[at]);
        match (reply.kind, client.state) {
            (OFFER, State::Discovering) => {
                self.offers.push_ns(now - client.sent);
                let server = reply.ip(54).unwrap_or(Ipv4Addr::UNSPECIFIED);
                let client = &mut self.clients[at];
                client.chosen = Some((reply.address, server));
                (client.state, client.tries) = (State::Requesting, 0);
                self.send(at);
            }
            (ACK, State::Requesting) => {
                self.acks.push_ns(now - client.sent);
                self.leases.push_ns(now - client.began);
                self.out.first_try += u64::from(client.clean);
                self.last = now;
                if client.chosen.map(|(address, _)| address) != Some(reply.address) {
                    self.wrong("ACK with another address than the OFFER");
                }
                self.out.twice += u64::from(self.owners.insert(reply.address, at).is_some());
                for what in reply.complaints(self.load.boot) {
                    self.wrong(what);
                }
                self.end(at);
            }
            (NAK, State::Requesting) => {
                self.out.naks += 1;
                self.out.failed += 1;
                self.end(at);
            }
            _ => self.out.late += 1,
        }
    }

    /// When a client begins, in nanoseconds from the start.
    fn due(&self, at: usize) -> u64 {
        match self.load.way {
            Way::Closed(_) => 0,
            Way::Rate(rate) => (at as f64 * 1e9 / rate) as u64,
            Way::Storm(ramp) => ramp * at as u64 / self.clients.len().max(1) as u64,
        }
    }

    /// Lets clients begin from `next` on; gives the next one, and whether more are due at once.
    fn begin(&mut self, mut next: usize, since: u64) -> (usize, bool) {
        for _ in 0..256 {
            let free = !matches!(self.load.way, Way::Closed(most) if self.live >= most);
            if next >= self.clients.len() || !free || self.due(next) > since {
                return (next, false);
            }
            self.start(next);
            next += 1;
        }
        (next, true)
    }
}

/// Runs a load while looking at what it costs the server.
pub(crate) fn run(all: &Load, server: Server) -> io::Result<Report> {
    let socket = udp(Some(all.relay), 4 << 20)?;
    let fresh = Client {
        state: State::New,
        tries: 0,
        turn: 0,
        began: 0,
        sent: 0,
        chosen: None,
        clean: true,
    };
    let mut run = Run {
        load: all,
        socket,
        xid_base: (now_ns() as u32) & 0x7f00_0000,
        clients: vec![fresh; all.clients],
        timers: BinaryHeap::new(),
        owners: HashMap::new(),
        live: 0,
        random: Random::new(7),
        out: Report { load: load(), ..Report::default() },
        offers: Spans::default(),
        acks: Spans::default(),
        leases: Spans::default(),
        last: 0,
    };
    let watch = Watch::start(server);
    let (used, began) = (cpu(true), now_ns());
    let started = drive(&mut run, began)?;
    let wall = (now_ns() - began) as f64 / 1e9;
    let mut out = run.out;
    out.server = watch.finish();
    out.client_cpu_s = cpu(true) - used;
    out.clients = started as u64;
    out.wall_s = wall;
    out.leases = run.acks.len() as u64;
    // From the last start on, an open run only waits for stragglers.
    let span = match all.way {
        Way::Rate(rate) => wall.min(all.clients as f64 / rate),
        _ => wall,
    };
    out.leases_per_s = out.leases as f64 / span;
    out.lost_percent = 100.0 * (1.0 - out.leases as f64 / started.max(1) as f64);
    out.last_s = run.last.saturating_sub(began) as f64 / 1e9;
    out.offer_ms = run.offers.quantiles();
    out.ack_ms = run.acks.quantiles();
    out.lease_ms = run.leases.quantiles();
    Ok(out)
}

/// Gives how many clients began.
fn drive(run: &mut Run<'_>, began: u64) -> io::Result<usize> {
    let mut poll = Poll::new()?;
    poll.add(&run.socket, 0)?;
    let (mut batch, mut next) = (Batch::new(64, 1500), 0);
    loop {
        let now = now_ns();
        if now - began > run.load.most_ns {
            run.out.unfinished = true;
            return Ok(next);
        }
        run.tick(now);
        let more;
        (next, more) = run.begin(next, now - began);
        if next >= run.clients.len() && run.live == 0 {
            return Ok(next);
        }
        let soon = next < run.clients.len()
            && !matches!(run.load.way, Way::Closed(_))
            && run.due(next) < now - began + 1_000_000;
        poll.wait(Duration::from_millis(u64::from(!more && !soon)));
        for _ in 0..8 {
            let count = batch.receive(&run.socket, MsgFlags::MSG_DONTWAIT);
            for at in 0..count {
                run.hear(batch.get(at).0);
            }
            if count < 64 {
                break;
            }
        }
    }
}
