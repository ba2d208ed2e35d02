//! The sending side of one transfer, as a state machine: packets and times go in, packets and a
//! deadline come out. Times are counted from the beginning of the transfer.
//!
//! ```text
//! packets to send ── next_datagram(now) ──► until None
//! what the peer sent ── receive(datagram, now)
//! deadline() passed ── tick(now)          the request came again ── repeat(now)
//! end() ──► how it ended; nothing is sent any more
//! ```
//!
//! Blocks are counted from 0, which stands for the OACK; the numbers on the wire are these modulo
//! 65,536, so that files of any length can be sent.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::netascii::{self, Cursor};
use super::options::Terms;
use super::packet::{self, Datagram, Mode, Options, Packet, code};

/// How patient a transfer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// The first repeat to a peer that never acknowledged anything; the next ones wait twice as
    /// long each, at most four times this.
    pub first: Duration,
    /// Packets in all to a peer that never acknowledges (its own requests apart): an address that
    /// somebody else made up is left in peace.
    pub unproved: u32,
    /// The shortest wait before a repeat once the round trip is known.
    pub least: Duration,
    /// The longest wait before a repeat once the peer is proved.
    pub most: Duration,
    /// Repeats of one window to a proved peer.
    pub repeats: u32,
    /// The whole transfer.
    pub whole: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(2),
            unproved: 4,
            least: Duration::from_millis(200),
            most: Duration::from_secs(4),
            repeats: 8,
            whole: Duration::from_secs(120),
        }
    }
}

/// How a transfer ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// Every block was acknowledged.
    Complete,
    /// Every block was sent, the last acknowledgement never came: usually the client has it all
    /// and is gone.
    Unconfirmed,
    /// The client sent an ERROR: its code and its text, cleaned.
    Aborted(u16, String),
    /// The client fell silent, or took longer than [`Pace::whole`].
    TimedOut,
}

/// One transfer to one peer.
#[derive(Debug)]
pub struct Transfer {
    blocks: Blocks,
    terms: Terms,
    pace: Pace,
    /// The first block without an acknowledgement.
    base: u64,
    /// The block to be sent next.
    next: u64,
    /// One past the highest block that was ever sent.
    high: u64,
    proved: bool,
    /// Repeats of the present window.
    tries: u32,
    round: RoundTrip,
    /// A block that was sent once only, and when: its ACK measures the round trip.
    timed: Option<(u64, Duration)>,
    sent_at: Duration,
    deadline: Duration,
    end: Option<End>,
}

impl Transfer {
    /// A transfer of `body` on the terms that were agreed; nothing is sent yet.
    pub fn new(body: Bytes, mode: Mode, terms: Terms, pace: Pace) -> Self {
        let first = u64::from(terms.oack.is_empty());
        Self {
            blocks: Blocks::new(body, mode, usize::from(terms.block)),
            terms,
            base: first,
            next: first,
            high: first,
            proved: false,
            tries: 0,
            round: RoundTrip::new(&pace),
            timed: None,
            sent_at: Duration::ZERO,
            deadline: pace.whole,
            end: None,
            pace,
        }
    }

    /// The next datagram to send now, to be asked for until there is none.
    pub fn next_packet(&mut self, now: Duration) -> Option<Packet<'_>> {
        let block = self.advance(now)?;
        if block == 0 {
            return Some(Packet::Oack(Options(&self.terms.oack)));
        }
        Some(Packet::Data { block: wire(block), payload: self.blocks.payload(block) })
    }

    /// As [`Transfer::next_packet`], in two pieces, the second of which shares the body's memory.
    pub fn next_datagram(&mut self, now: Duration) -> Option<Datagram> {
        let block = self.advance(now)?;
        if block == 0 {
            return Some(Datagram::oack(&self.terms.oack));
        }
        Some(Datagram::data(wire(block), self.blocks.share(block)))
    }

    /// The block that may be sent now, taken as sent.
    fn advance(&mut self, now: Duration) -> Option<u64> {
        // Data only flows once the OACK is acknowledged, and so the peer proved.
        // Who acknowledged no data yet gets one window, and after that one block at a time.
        let window = match (self.base, self.tries) {
            (0, _) | (1, 1..) => 1,
            _ => u64::from(self.terms.window),
        };
        let block = self.next;
        if self.end.is_some() || block >= self.base + window || self.blocks.past(block) {
            return None;
        }
        self.next += 1;
        if block >= self.high {
            self.high = self.next;
            self.timed = Some((block, now));
        }
        self.sent_at = now;
        self.deadline = now.saturating_add(self.patience()).min(self.pace.whole);
        Some(block)
    }

    /// Takes a datagram from the peer. What has no place in a transfer is passed over.
    pub fn receive(&mut self, datagram: &[u8], now: Duration) {
        if self.end.is_some() {
            return;
        }
        match packet::parse(datagram) {
            Ok(Packet::Ack(block)) => self.acknowledged(block, now),
            Ok(Packet::Error { code, text }) => {
                self.end = Some(End::Aborted(code, packet::printable(text)));
            }
            _ => {}
        }
        if now >= self.pace.whole {
            self.give_up();
        }
    }

    /// Repeats or gives up, if the deadline has passed.
    pub fn tick(&mut self, now: Duration) {
        if self.end.is_some() || now < self.deadline {
            return;
        }
        if now >= self.pace.whole || self.tries >= self.most_tries() {
            return self.give_up();
        }
        self.tries += 1;
        self.rewind();
    }

    fn most_tries(&self) -> u32 {
        if self.took_data() { self.pace.repeats } else { self.pace.unproved - 1 }
    }

    /// Whether the client acknowledged data: the ACK of an OACK alone is easily made up.
    fn took_data(&self) -> bool {
        self.base > 1
    }

    /// The client sent its request again: it has not seen our answer, which is sent once more,
    /// unless it has only just left.
    pub fn repeat(&mut self, now: Duration) {
        if now >= self.sent_at.saturating_add(self.pace.least) {
            self.tries = (self.tries + 1).min(self.pace.unproved - 1);
            self.rewind();
        }
    }

    /// Whether the client acknowledged anything: only then is its address surely its own.
    pub fn proved(&self) -> bool {
        self.proved
    }

    /// When [`Transfer::tick`] has something to do.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// How it ended, once it has.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Acknowledged blocks, the OACK among them: grows as long as the client makes progress.
    pub fn progress(&self) -> u64 {
        self.base - u64::from(self.terms.oack.is_empty())
    }

    /// Payload bytes that were acknowledged.
    pub fn bytes(&self) -> u64 {
        self.blocks.before(self.base)
    }

    fn acknowledged(&mut self, number: u16, now: Duration) {
        let ahead = u64::from(number.wrapping_sub(wire(self.base)));
        if ahead == u64::from(u16::MAX) {
            self.again(now);
        }
        if ahead >= self.high - self.base {
            // A duplicate or a stray. To answer it would send every block twice from here on
            // (RFC 1123 §4.2.3.1, the sorcerer's apprentice).
            return;
        }
        let block = self.base + ahead;
        if let Some((_, sent)) = self.timed.filter(|(timed, _)| *timed <= block) {
            self.round.measured(now.saturating_sub(sent));
            self.timed = None;
        }
        self.proved = true;
        self.tries = 0;
        self.base = block + 1;
        // An ACK inside a window says that what followed was lost (RFC 7440 §4).
        self.next = self.base;
        if self.blocks.past(self.base) {
            self.end = Some(End::Complete);
        }
    }

    /// The client says once more where it stands. Within a window that means a gap or a client that
    /// grew tired of waiting (RFC 7440 §4), unless what it waits for has only just left. In lock-step
    /// it means nothing.
    fn again(&mut self, now: Duration) {
        let waited = now >= self.sent_at.saturating_add(self.pace.least);
        if self.terms.window > 1 && self.base > 0 && waited && self.tries < self.most_tries() {
            self.tries += u32::from(!self.took_data());
            self.next = self.base;
            self.timed = None;
        }
    }

    /// Sends again from the first block without an acknowledgement. Its ACK then measures nothing,
    /// it may belong to either copy (Karn's rule).
    fn rewind(&mut self) {
        self.next = self.base;
        self.timed = None;
        self.round.back_off();
    }

    fn give_up(&mut self) {
        let all_sent = self.blocks.past(self.high);
        let end = if all_sent { End::Unconfirmed } else { End::TimedOut };
        self.end.get_or_insert(end);
    }

    fn patience(&self) -> Duration {
        match self.terms.timeout {
            Some(seconds) => Duration::from_secs(u64::from(seconds)),
            None if self.took_data() || self.proved && self.tries == 0 => self.round.wait,
            None => self.pace.first * (1 << self.tries.min(2)),
        }
    }
}

/// The answer to a datagram that reached a transfer's port from another peer: ERROR 5, and the
/// transfer goes on (RFC 1350 §4). An ERROR is not answered.
pub fn stranger(datagram: &[u8]) -> Option<Packet<'static>> {
    let answer = Packet::Error { code: code::UNKNOWN_TID, text: b"unknown transfer" };
    match packet::parse(datagram) {
        Ok(Packet::Error { .. }) | Err(_) => None,
        Ok(_) => Some(answer),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "block numbers wrap on the wire")]
fn wire(block: u64) -> u16 {
    block as u16
}

/// Measures how long to wait before a repeat (RFC 6298).
#[derive(Debug)]
struct RoundTrip {
    smooth: Option<Duration>,
    varies: Duration,
    wait: Duration,
    least: Duration,
    most: Duration,
}

impl RoundTrip {
    fn new(pace: &Pace) -> Self {
        let wait = Duration::from_secs(1).clamp(pace.least, pace.most);
        Self { smooth: None, varies: Duration::ZERO, wait, least: pace.least, most: pace.most }
    }

    fn measured(&mut self, trip: Duration) {
        let smooth = match self.smooth {
            None => {
                self.varies = trip / 2;
                trip
            }
            Some(smooth) => {
                self.varies = (self.varies * 3 + smooth.abs_diff(trip)) / 4;
                (smooth * 7 + trip) / 8
            }
        };
        self.smooth = Some(smooth);
        self.wait = (smooth + self.varies * 4).max(self.least).min(self.most);
    }

    fn back_off(&mut self) {
        self.wait = (self.wait * 2).min(self.most);
    }
}

/// The body, cut into blocks.
#[derive(Debug)]
struct Blocks {
    body: Bytes,
    size: usize,
    text: Option<Text>,
}

/// Netascii is encoded as it goes: one block is kept, and where it and the next one begin.
#[derive(Debug)]
struct Text {
    block: u64,
    encoded: Vec<u8>,
    after: Cursor,
    before: u64,
}

impl Blocks {
    fn new(body: Bytes, mode: Mode, size: usize) -> Self {
        let text = (mode == Mode::Netascii).then(|| {
            let mut encoded = Vec::with_capacity(size);
            let after = netascii::fill(&body, Cursor::default(), size, &mut encoded);
            Text { block: 1, encoded, after, before: 0 }
        });
        Self { body, size, text }
    }

    /// Whether `block` lies behind the last one. In netascii that is known for the kept block and
    /// the one after it, and more is never asked: its window is 1.
    fn past(&self, block: u64) -> bool {
        match &self.text {
            None => block > self.body.len() as u64 / self.size as u64 + 1,
            Some(text) => block > text.block && text.encoded.len() < self.size,
        }
    }

    /// The payload of a block that is not past the last one.
    fn payload(&mut self, block: u64) -> &[u8] {
        let place = self.place(block);
        let Some(text) = &mut self.text else { return &self.body[place] };
        if block > text.block {
            text.before += text.encoded.len() as u64;
            text.block = block;
            text.after = netascii::fill(&self.body, text.after, self.size, &mut text.encoded);
        }
        &text.encoded
    }

    /// The payload without a copy, except in netascii.
    fn share(&mut self, block: u64) -> Bytes {
        if self.text.is_some() {
            return Bytes::copy_from_slice(self.payload(block));
        }
        self.body.slice(self.place(block))
    }

    /// Where the payload of a block lies in the body, in octet mode.
    fn place(&self, block: u64) -> Range<usize> {
        let all = self.body.len();
        let start = usize::try_from(octets_before(block, self.size, &self.body));
        let start = start.map_or(all, |start| start.min(all));
        start..start.saturating_add(self.size).min(all)
    }

    /// Payload bytes in all blocks before `block`.
    fn before(&self, block: u64) -> u64 {
        match &self.text {
            None => octets_before(block, self.size, &self.body),
            Some(text) if block > text.block => text.before + text.encoded.len() as u64,
            Some(text) => text.before,
        }
    }
}

/// Bytes of the body before `block`, all blocks before it being full.
fn octets_before(block: u64, size: usize, body: &[u8]) -> u64 {
    block.saturating_sub(1).saturating_mul(size as u64).min(body.len() as u64)
}

#[cfg(test)]
mod tests;
