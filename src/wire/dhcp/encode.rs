//! Messages: written in one piece.

use super::option;
use super::packet::{MAGIC, Message};

/// The shortest message that is sent: what BOOTP had, and some relays and clients drop less.
pub const MIN_LENGTH: usize = 300;

/// How long a message may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room(usize);

impl Room {
    /// What the client takes (option 57), between 576 and 1,500 bytes with IP and UDP headers; 576 when it
    /// does not say.
    pub fn of(message: &Message) -> Self {
        let said = message.options.get(option::MAX_SIZE).and_then(|v| <[u8; 2]>::try_from(v).ok());
        let whole = said.map_or(576, u16::from_be_bytes).clamp(576, 1500);
        Self(usize::from(whole) - 28)
    }

    /// The most that is ever sent.
    pub const LARGEST: Room = Room(1472);

    /// In bytes of the UDP payload.
    pub fn bytes(self) -> usize {
        self.0
    }
}

/// Writes a message: at least [`MIN_LENGTH`] and at most `room` bytes, option 53 first, option 82 last
/// (RFC 3046 §2.2), values over 255 bytes in several parts (RFC 3396), the others in the message's order.
/// When they do not fit, those are left out first that a phone boots without, the longest before the others.
pub fn encode(message: &Message, room: Room) -> Vec<u8> {
    let mut out = Vec::with_capacity(room.bytes());
    header(message, &mut out);
    out.extend_from_slice(&[option::KIND, 1, message.kind.number()]);
    let space = room.bytes().saturating_sub(out.len() + 1);
    for (code, value) in fitting(message, space) {
        put(code, value, &mut out);
    }
    out.push(255);
    out.resize(out.len().max(MIN_LENGTH), 0);
    out
}

fn header(message: &Message, out: &mut Vec<u8>) {
    let op = if message.kind.by_server() { 2 } else { 1 };
    out.extend_from_slice(&[op, 1, 6, message.hops]);
    out.extend_from_slice(&message.xid.to_be_bytes());
    out.extend_from_slice(&message.secs.to_be_bytes());
    out.extend_from_slice(&[if message.broadcast { 0x80 } else { 0 }, 0]);
    for address in [message.ciaddr, message.yiaddr, message.siaddr, message.giaddr] {
        out.extend_from_slice(&address.octets());
    }
    text(&message.mac.bytes(), 16, out);
    text(&message.sname, 64, out);
    text(&message.file, 128, out);
    out.extend_from_slice(&MAGIC);
}

/// A field of fixed length, filled up with NULs.
fn text(bytes: &[u8], length: usize, out: &mut Vec<u8>) {
    let end = out.len() + length;
    out.extend_from_slice(&bytes[..bytes.len().min(length)]);
    out.resize(end, 0);
}

/// How readily an option is left out: 0 last.
fn rank(code: u8) -> u8 {
    match code {
        option::SERVER | option::LEASE | option::RELAY => 0,
        option::MASK
        | option::ROUTER
        | option::RENEW
        | option::REBIND
        | option::CLIENT
        | option::TFTP_NAME
        | option::TFTP_ADDRESSES => 1,
        _ => 2,
    }
}

/// The options that fit into `space`, in the order that they are sent in.
fn fitting(message: &Message, space: usize) -> Vec<(u8, &[u8])> {
    let sent = |code| !matches!(code, 0 | 255 | option::KIND | option::OVERLOAD);
    let mut options: Vec<_> = message.options.iter().filter(|(code, _)| sent(*code)).collect();
    options.sort_by_key(|(code, _)| *code == option::RELAY);
    let mut total: usize = options.iter().map(|(_, value)| size(value)).sum();
    while total > space && !options.is_empty() {
        let worst = |at: &usize| (rank(options[*at].0), options[*at].1.len());
        let at = (0..options.len()).max_by_key(worst).unwrap_or(0);
        total -= size(options.remove(at).1);
    }
    options
}

/// How many bytes an option takes.
fn size(value: &[u8]) -> usize {
    value.len() + 2 * value.len().div_ceil(255).max(1)
}

fn put(code: u8, value: &[u8], out: &mut Vec<u8>) {
    if value.is_empty() {
        out.extend_from_slice(&[code, 0]);
    }
    for part in value.chunks(255) {
        out.extend_from_slice(&[code, u8::try_from(part.len()).unwrap_or(255)]);
        out.extend_from_slice(part);
    }
}
