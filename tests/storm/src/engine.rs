//! The event loop that `boot` and `bulk` share: many phones, each of which fetches its list of files
//! one after the other, every file from another port.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use nix::sys::socket::MsgFlags;

use crate::files::{Expect, Want, fill, mac};
use crate::phone::{Phase, Slot, Step, Told};
use crate::proto;
use crate::stats::Spans;
use crate::sys::{Batch, Poll, Random, cpu, now_ns, raise_nofile, receive, udp};

/// Options that are asked for; zero is none.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Options {
    pub(crate) blksize: u16,
    pub(crate) windowsize: u16,
    pub(crate) tsize: bool,
    pub(crate) timeout: u8,
}

impl Options {
    fn list(self) -> Vec<(&'static str, String)> {
        let given = |name, value: u16| (value != 0).then(|| (name, value.to_string()));
        let all = [
            given("blksize", self.blksize),
            given("windowsize", self.windowsize),
            self.tsize.then(|| ("tsize", "0".to_owned())),
            given("timeout", u16::from(self.timeout)),
        ];
        all.into_iter().flatten().collect()
    }

    /// Room that a socket needs for a window.
    fn receive_buffer(self) -> usize {
        let window = usize::from(self.blksize.max(512)) * usize::from(self.windowsize.max(1));
        if window > 48 << 10 { 4 << 20 } else { 0 }
    }
}

/// When a phone asks again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) first_ns: u64,
    pub(crate) backoff: f64,
    pub(crate) most_ns: u64,
    pub(crate) tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first_ns: 1_000_000_000, backoff: 2.0, most_ns: 4_000_000_000, tries: 5 }
    }
}

pub(crate) struct Load {
    pub(crate) server: SocketAddrV4,
    pub(crate) phones: u64,
    pub(crate) at_once: usize,
    pub(crate) list: Vec<String>,
    pub(crate) repeat: u32,
    pub(crate) mac_base: u64,
    pub(crate) expect: Expect,
    /// Phone i sends from this address plus i.
    pub(crate) from: Option<Ipv4Addr>,
    pub(crate) options: Options,
    pub(crate) patience: Patience,
    /// The share of packets that is lost each way.
    pub(crate) loss: f64,
    pub(crate) seed: u64,
    /// Phone i starts at this times i/phones.
    pub(crate) ramp_ns: u64,
    /// A pause between two files.
    pub(crate) think_ns: u64,
    pub(crate) most_ns: u64,
    /// Sockets that each active phone goes round; none: a new one for every file.
    pub(crate) pool: usize,
}

/// What happened.
#[derive(Default)]
pub(crate) struct Out {
    pub(crate) files_ok: u64,
    pub(crate) not_found: u64,
    pub(crate) bytes: u64,
    pub(crate) data: u64,
    pub(crate) file: Spans,
    pub(crate) missing: Spans,
    pub(crate) phone: Spans,
    pub(crate) phones_first_try: u64,
    pub(crate) phones_failed: u64,
    pub(crate) repeats: u64,
    pub(crate) repeated_data: u64,
    pub(crate) gaps: u64,
    pub(crate) mismatches: u64,
    pub(crate) given_up: u64,
    pub(crate) other_port: u64,
    pub(crate) stray: u64,
    pub(crate) refused_options: u64,
    pub(crate) lowered_options: u64,
    pub(crate) lost: u64,
    pub(crate) unfinished: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) cpu_s: f64,
    pub(crate) wall_s: f64,
}

impl Out {
    pub(crate) fn error(&mut self, why: String) {
        *self.errors.entry(why).or_default() += 1;
    }
}

struct Loop<'a> {
    load: &'a Load,
    poll: Poll,
    slots: Vec<Slot>,
    due: BinaryHeap<Reverse<(u64, usize)>>,
    out: Out,
    random: Random,
    next_phone: u64,
    live: usize,
    pool: usize,
    began: u64,
    asked: Vec<(&'static str, String)>,
}

pub(crate) fn run(load: &Load) -> io::Result<Out> {
    let at_once = load.at_once.min(usize::try_from(load.phones).unwrap_or(usize::MAX));
    let files = raise_nofile((at_once * load.pool.max(1)) as u64 + 6000);
    let fit = (usize::try_from(files.saturating_sub(300)).unwrap_or(0) / at_once.max(1)).max(1);
    let mut all = Loop {
        load,
        poll: Poll::new()?,
        slots: (0..at_once).map(|_| Slot::default()).collect(),
        due: BinaryHeap::new(),
        out: Out::default(),
        random: Random::new(load.seed),
        next_phone: 0,
        live: at_once,
        pool: load.pool.min(fit),
        began: 0,
        asked: load.options.list(),
    };
    all.sockets()?;
    all.go()
}

fn address(base: Option<Ipv4Addr>, phone: u64) -> Option<SocketAddrV4> {
    base.map(|base| {
        SocketAddrV4::new(Ipv4Addr::from(u32::from(base) + (phone % 0xfe_0000) as u32), 0)
    })
}

impl Loop<'_> {
    /// The sockets that each slot goes round.
    fn sockets(&mut self) -> io::Result<()> {
        for (i, slot) in self.slots.iter_mut().enumerate() {
            for k in 0..self.pool {
                let from = address(self.load.from, i as u64);
                let socket = udp(from, self.load.options.receive_buffer())?;
                self.poll.add(&socket, tag(i, k))?;
                slot.pool.push(socket);
            }
        }
        Ok(())
    }

    fn go(mut self) -> io::Result<Out> {
        let cpu_before = cpu(true);
        self.began = now_ns();
        for i in 0..self.slots.len() {
            self.new_phone(i);
        }
        let window = self.load.options.windowsize > 1;
        let size = usize::from(self.load.options.blksize.max(1436)) + 64;
        let mut batch = Batch::new(if window { 64 } else { 1 }, size);
        let end = self.began + self.load.most_ns;
        while self.live > 0 {
            let now = now_ns();
            if now >= end {
                let open = |slot: &&Slot| slot.phase != Phase::Gone;
                self.out.unfinished += self.slots.iter().filter(open).count() as u64;
                break;
            }
            self.timers(now);
            let next = self.due.peek().map_or(now + 100_000_000, |Reverse((at, _))| (*at).min(end));
            let wait = Duration::from_nanos(next.saturating_sub(now));
            let wait = if wait.is_zero() { wait } else { wait + Duration::from_millis(1) };
            for event in 0..self.poll.wait(wait.min(Duration::from_secs(1))) {
                let data = self.poll.data(event);
                self.readable(data, window, &mut batch);
            }
        }
        self.out.wall_s = (now_ns() - self.began) as f64 / 1e9;
        self.out.cpu_s = cpu(true) - cpu_before;
        Ok(self.out)
    }

    /// Takes in what a socket has; a window may be waiting there. The transfer may end meanwhile.
    fn readable(&mut self, data: u64, window: bool, batch: &mut Batch) {
        let (i, turn) = untag(data);
        loop {
            if self.slots[i].turn != Some(turn) {
                return self.stray(i, turn);
            }
            let Some(socket) = self.slots[i].socket() else { return };
            let came = batch.receive(socket, MsgFlags::MSG_DONTWAIT);
            for k in 0..came {
                if self.slots[i].turn == Some(turn) {
                    let (datagram, from) = batch.get(k);
                    self.packet(i, datagram, from);
                }
            }
            // Single packets: the poll tells whether there are more.
            if !window || came < 64 {
                return;
            }
        }
    }

    /// Something for a transfer that is over: the server is told so.
    fn stray(&mut self, i: usize, turn: usize) {
        let Some(socket) = self.slots[i].pool.get(turn) else { return };
        let mut buffer = [0; 2048];
        while let Some((length, from)) = receive(socket, &mut buffer) {
            self.out.stray += 1;
            if !matches!(proto::parse(&buffer[..length]), proto::Packet::Error(..)) {
                let _ = socket.send_to(&proto::error(5, "unknown transfer ID"), from);
            }
        }
    }

    /// Looks at a slot again by then: one entry for each, put back when it comes too early.
    fn arm(&mut self, i: usize, due: u64) {
        let slot = &mut self.slots[i];
        slot.due = due;
        if due < slot.armed {
            slot.armed = due;
            self.due.push(Reverse((due, i)));
        }
    }

    fn timers(&mut self, now: u64) {
        while let Some(Reverse((at, i))) =
            self.due.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.due.pop();
            let slot = &mut self.slots[i];
            if slot.armed != at {
                continue;
            }
            slot.armed = u64::MAX;
            if slot.due > now {
                let due = slot.due;
                if due != u64::MAX {
                    self.arm(i, due);
                }
                continue;
            }
            slot.due = u64::MAX;
            match slot.phase {
                Phase::Idle => self.start_file(i),
                Phase::Asking | Phase::Receiving => self.timed_out(i),
                Phase::Gone => {}
            }
        }
    }

    fn new_phone(&mut self, i: usize) {
        if self.next_phone >= self.load.phones {
            self.slots[i].phase = Phase::Gone;
            self.live -= 1;
            return;
        }
        let phone = self.next_phone;
        self.next_phone += 1;
        let now = now_ns();
        let share =
            u128::from(self.load.ramp_ns) * u128::from(phone) / u128::from(self.load.phones);
        let start = now.max(self.began + share as u64);
        self.slots[i].new_phone(phone, mac(self.load.mac_base, phone), start);
        if start > now {
            self.arm(i, start);
        } else {
            self.start_file(i);
        }
    }

    fn start_file(&mut self, i: usize) {
        let now = now_ns();
        if let Err(error) = self.next_socket(i) {
            // Out of ports or files: shortly again.
            self.out.error(format!("local: {error}"));
            return self.arm(i, now + 10_000_000);
        }
        let load = self.load;
        let slot = &mut self.slots[i];
        let name = fill(&load.list[slot.file % load.list.len()], &slot.mac);
        let request = proto::request(proto::RRQ, name.as_bytes(), &self.asked);
        slot.begin(request, load.expect.want(&name), load.patience.first_ns, now);
        let first = self.varied(load.patience.first_ns);
        self.arm(i, now + first);
        self.send(i, load.server);
    }

    fn next_socket(&mut self, i: usize) -> io::Result<()> {
        let slot = &mut self.slots[i];
        if self.pool > 0 {
            slot.last_turn = (slot.last_turn + 1) % self.pool;
        } else {
            slot.last_turn = (slot.last_turn + 1) & 0x7fff_ffff;
            let from = address(self.load.from, slot.phone);
            let socket = udp(from, self.load.options.receive_buffer())?;
            self.poll.add(&socket, tag(i, slot.last_turn))?;
            slot.own = Some(socket);
        }
        slot.turn = Some(slot.last_turn);
        Ok(())
    }

    /// A tenth more or less, so that phones do not repeat in lock-step.
    fn varied(&mut self, time: u64) -> u64 {
        time - time / 10 + self.random.below(time / 5 + 1)
    }

    /// The request, or the present ACK.
    fn send(&mut self, i: usize, to: SocketAddrV4) {
        if self.random.chance(self.load.loss) {
            self.out.lost += 1;
            return;
        }
        let slot = &self.slots[i];
        let Some(socket) = slot.socket() else { return };
        let sent = match slot.phase {
            Phase::Asking => socket.send_to(&slot.request, to),
            _ => socket.send_to(&proto::ack(slot.blocks as u16), to),
        };
        if let Err(error) = sent {
            self.out.error(format!("send: {error}"));
        }
    }

    fn acknowledge(&mut self, i: usize) {
        self.slots[i].since_ack = 0;
        if let Some(to) = self.slots[i].peer {
            self.send(i, to);
        }
    }

    fn timed_out(&mut self, i: usize) {
        let (now, patience) = (now_ns(), self.load.patience);
        let slot = &mut self.slots[i];
        slot.clean = false;
        if slot.tries >= patience.tries {
            self.out.given_up += 1;
            slot.failed = true;
            return self.done(i, now);
        }
        slot.tries += 1;
        slot.wait = ((slot.wait as f64 * patience.backoff) as u64).min(patience.most_ns);
        slot.gap_told = false;
        let wait = slot.wait;
        let due = now + self.varied(wait);
        self.arm(i, due);
        self.out.repeats += 1;
        match self.slots[i].phase {
            Phase::Asking => self.send(i, self.load.server),
            _ => self.acknowledge(i),
        }
    }

    fn packet(&mut self, i: usize, datagram: &[u8], from: SocketAddrV4) {
        if self.random.chance(self.load.loss) {
            self.out.lost += 1;
            return;
        }
        let slot = &mut self.slots[i];
        let stranger = from.ip() != self.load.server.ip() || slot.peer.is_some_and(|p| p != from);
        if stranger {
            // As a second transfer that the server began for a repeated request.
            self.out.other_port += 1;
            if let Some(socket) = slot.socket() {
                let _ = socket.send_to(&proto::error(5, "unknown transfer ID"), from);
            }
            return;
        }
        let told = Told { from, now: now_ns(), options: self.load.options };
        match slot.take(datagram, &told, &mut self.out) {
            Step::Nothing => {}
            Step::Acknowledge { progress } => {
                if progress {
                    self.arm(i, told.now + self.load.patience.first_ns);
                }
                self.acknowledge(i);
            }
            Step::Wait => self.arm(i, told.now + self.load.patience.first_ns),
            Step::Last => {
                self.acknowledge(i);
                self.complete(i, told.now);
            }
            Step::Missing => {
                self.out.not_found += 1;
                self.out.missing.push_ns(told.now - self.slots[i].began);
                self.done(i, told.now);
            }
            Step::Failed(why) => {
                self.out.error(why);
                self.slots[i].failed = true;
                self.done(i, told.now);
            }
        }
    }

    fn complete(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        if let Want::Bytes(bytes) = &slot.want {
            slot.wrong |= bytes.len() != slot.got;
        }
        if slot.wrong {
            self.out.mismatches += 1;
            slot.failed = true;
        } else {
            self.out.files_ok += 1;
            self.out.bytes += slot.got as u64;
            self.out.file.push_ns(now - slot.began);
        }
        self.done(i, now);
    }

    fn done(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        slot.rest();
        if slot.file < self.load.list.len() * self.load.repeat as usize {
            if self.load.think_ns > 0 {
                self.arm(i, now + self.load.think_ns);
            } else {
                self.start_file(i);
            }
            return;
        }
        self.out.phones_first_try += u64::from(slot.clean && !slot.failed);
        self.out.phones_failed += u64::from(slot.failed);
        self.out.phone.push_ns(now - slot.phone_began);
        self.new_phone(i);
    }
}

/// A slot and which of its sockets, as the poll tells them.
fn tag(slot: usize, turn: usize) -> u64 {
    slot as u64 | (turn as u64) << 32
}

fn untag(data: u64) -> (usize, usize) {
    ((data & 0xffff_ffff) as usize, (data >> 32) as usize)
}

impl Slot {
    /// The socket of the transfer under way.
    fn socket(&self) -> Option<&UdpSocket> {
        self.own.as_ref().or_else(|| self.pool.get(self.turn?))
    }
}
