//! One active phone: the file that it fetches now, and what it makes of each packet.

use std::net::{SocketAddrV4, UdpSocket};

use crate::engine::{Options, Out};
use crate::files::Want;
use crate::proto::{self, Packet};

#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// No phone here, or its start or next file is due later.
    Idle,
    Asking,
    Receiving,
    /// No phone is left.
    Gone,
}

pub(crate) struct Slot {
    pub(crate) phase: Phase,
    pub(crate) phone: u64,
    pub(crate) mac: String,
    /// Counts on over the list.
    pub(crate) file: usize,
    pub(crate) pool: Vec<UdpSocket>,
    pub(crate) own: Option<UdpSocket>,
    /// Tells the events of the present transfer's socket from those of others.
    pub(crate) turn: Option<usize>,
    pub(crate) last_turn: usize,
    pub(crate) peer: Option<SocketAddrV4>,
    pub(crate) request: Vec<u8>,
    pub(crate) want: Want,
    pub(crate) wrong: bool,
    block_size: usize,
    window: u16,
    /// Blocks received in order.
    pub(crate) blocks: u64,
    pub(crate) got: usize,
    pub(crate) since_ack: u16,
    /// The server was told of the gap.
    pub(crate) gap_told: bool,
    pub(crate) tries: u32,
    pub(crate) wait: u64,
    first_wait: u64,
    pub(crate) due: u64,
    pub(crate) armed: u64,
    pub(crate) began: u64,
    pub(crate) phone_began: u64,
    pub(crate) clean: bool,
    pub(crate) failed: bool,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            phase: Phase::Idle,
            phone: 0,
            mac: String::new(),
            file: 0,
            pool: Vec::new(),
            own: None,
            turn: None,
            last_turn: 0,
            peer: None,
            request: Vec::new(),
            want: Want::Any,
            wrong: false,
            block_size: 512,
            window: 1,
            blocks: 0,
            got: 0,
            since_ack: 0,
            gap_told: false,
            tries: 0,
            wait: 0,
            first_wait: 0,
            due: u64::MAX,
            armed: u64::MAX,
            began: 0,
            phone_began: 0,
            clean: true,
            failed: false,
        }
    }
}

/// What came with a packet.
pub(crate) struct Told {
    pub(crate) from: SocketAddrV4,
    pub(crate) now: u64,
    pub(crate) options: Options,
}

/// What a packet leads to.
pub(crate) enum Step {
    Nothing,
    /// Progress begins the patience anew; a repeated packet does not.
    Acknowledge {
        progress: bool,
    },
    /// More of the window is to come.
    Wait,
    /// That was the last block.
    Last,
    /// There is no such file, rightly.
    Missing,
    Failed(String),
}

impl Slot {
    pub(crate) fn new_phone(&mut self, phone: u64, mac: String, start: u64) {
        (self.phone, self.mac, self.phone_began) = (phone, mac, start);
        (self.file, self.clean, self.failed) = (0, true, false);
        self.phase = Phase::Idle;
    }

    pub(crate) fn begin(&mut self, request: Vec<u8>, want: Want, wait: u64, now: u64) {
        (self.request, self.want, self.wrong) = (request, want, false);
        (self.peer, self.phase) = (None, Phase::Asking);
        (self.block_size, self.window) = (512, 1);
        (self.blocks, self.got, self.since_ack, self.gap_told) = (0, 0, 0, false);
        (self.tries, self.wait, self.first_wait, self.began) = (1, wait, wait, now);
        if self.file == 0 {
            self.phone_began = now;
        }
    }

    /// The file is done, well or not.
    pub(crate) fn rest(&mut self) {
        (self.own, self.turn, self.due) = (None, None, u64::MAX);
        self.phase = Phase::Idle;
        self.file += 1;
    }

    fn went_on(&mut self) {
        (self.tries, self.wait) = (1, self.first_wait);
    }

    pub(crate) fn take(&mut self, datagram: &[u8], told: &Told, out: &mut Out) -> Step {
        match proto::parse(datagram) {
            Packet::Error(1, _)
                if self.phase == Phase::Asking && !matches!(self.want, Want::Bytes(_)) =>
            {
                Step::Missing
            }
            Packet::Error(code, text) => {
                let text = String::from_utf8_lossy(text);
                Step::Failed(format!("server error {code}: {}", text.trim_end_matches('\0')))
            }
            Packet::Oack(body) => self.oack(body, told, out),
            Packet::Data(number, data) => self.data(number, data, told, out),
            Packet::Other => Step::Failed("no TFTP packet".to_owned()),
        }
    }

    fn oack(&mut self, body: &[u8], told: &Told, out: &mut Out) -> Step {
        if self.phase != Phase::Asking {
            let again = self.blocks == 0;
            return if again { Step::Acknowledge { progress: false } } else { Step::Nothing };
        }
        (self.peer, self.phase) = (Some(told.from), Phase::Receiving);
        let asked = told.options;
        for (name, value) in proto::options(body) {
            let number = value.parse::<u64>().ok();
            let within = |least, most: u16| {
                number.and_then(|n| u16::try_from(n).ok()).filter(|n| (least..=most).contains(n))
            };
            let sound = match name.as_str() {
                "blksize" => within(8, asked.blksize).map(|size| {
                    out.lowered_options += u64::from(size < asked.blksize);
                    self.block_size = usize::from(size);
                }),
                "windowsize" => within(1, asked.windowsize).map(|window| {
                    out.lowered_options += u64::from(window < asked.windowsize);
                    self.window = window;
                }),
                "tsize" if asked.tsize => number.map(|size| {
                    if let Want::Bytes(bytes) = &self.want {
                        self.wrong |= bytes.len() as u64 != size;
                    }
                }),
                "timeout" => (number == Some(u64::from(asked.timeout))).then_some(()),
                _ => None,
            };
            if sound.is_none() {
                return Step::Failed(format!("bad option in OACK: {name}={value}"));
            }
        }
        out.refused_options += u64::from(asked.windowsize > 1 && self.window == 1);
        self.went_on();
        Step::Acknowledge { progress: true }
    }

    fn data(&mut self, number: u16, data: &[u8], told: &Told, out: &mut Out) -> Step {
        if self.phase == Phase::Asking {
            (self.peer, self.phase) = (Some(told.from), Phase::Receiving);
            let asked = told.options;
            out.refused_options += u64::from(asked.blksize > 0 || asked.windowsize > 0);
        }
        out.data += 1;
        let ahead = number.wrapping_sub(self.blocks as u16);
        match ahead {
            1 => {}
            // The last one again: our ACK was lost, or is late.
            0 => {
                out.repeated_data += 1;
                return Step::Acknowledge { progress: false };
            }
            2..0x8000 => {
                out.gaps += 1;
                if std::mem::replace(&mut self.gap_told, true) {
                    return Step::Nothing;
                }
                return Step::Acknowledge { progress: false };
            }
            _ => {
                out.repeated_data += 1;
                return Step::Nothing;
            }
        }
        if data.len() > self.block_size {
            return Step::Failed("DATA longer than the block size".to_owned());
        }
        self.blocks += 1;
        self.since_ack += 1;
        self.gap_told = false;
        self.went_on();
        match &self.want {
            Want::Bytes(bytes) => {
                self.wrong |= bytes.get(self.got..self.got + data.len()) != Some(data);
            }
            Want::Missing => self.wrong = true,
            Want::Any => {}
        }
        self.got += data.len();
        if data.len() < self.block_size {
            Step::Last
        } else if self.since_ack >= self.window {
            Step::Acknowledge { progress: true }
        } else {
            Step::Wait
        }
    }
}
