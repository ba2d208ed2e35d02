//! Asterisk's manager interface (AMI): frames, the few actions that we send, and readers of what
//! comes back.
//!
//! A message is lines `Key: Value`, ended by an empty line; see [`frame`] for what differs from
//! that on real wires. Frames can hold secrets (GetConfig, PJSIPShowAuths): they are never logged,
//! and none of these types prints more than a count.

pub mod action;
pub mod device;
pub mod frame;
pub mod message;
pub mod peer;
pub mod pjsip;

pub use action::{Action, BadHeader};
pub use frame::{Decoder, Frame, Item, TooLarge};
pub use message::{List, Step};

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames of bytes that follow a banner.
    pub(super) fn frames(wire: &[u8]) -> Vec<Frame> {
        let mut decoder = Decoder::new();
        decoder.push(b"Asterisk Call Manager/5.0.4\r\n");
        decoder.push(wire);
        std::iter::from_fn(|| decoder.next())
            .filter_map(|item| match item {
                Ok(Item::Frame(frame)) => Some(frame),
                _ => None,
            })
            .collect()
    }

    /// One frame from its lines.
    pub(super) fn frame(lines: &str) -> Frame {
        frames(format!("{lines}\r\n\r\n").as_bytes()).remove(0)
    }

    /// What Asterisk 16 sent.
    pub(super) fn transcript(name: &str) -> Vec<u8> {
        recorded(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ami/transcripts/"), name)
    }

    /// What Asterisk 22 sent.
    pub(super) fn transcript22(name: &str) -> Vec<u8> {
        recorded(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ami/transcripts22/"), name)
    }

    fn recorded(folder: &str, name: &str) -> Vec<u8> {
        std::fs::read(format!("{folder}{name}")).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}
