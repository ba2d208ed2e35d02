//! What Asterisk says about devices: whether a phone is in a call.
//!
//! A hint only. chan_sip counts the calls of a peer only where `callcounter=yes` (or `call-limit=`) is set
//! for it, else a phone with a call is told to be idle too; and its counters are known to stick.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::frame::Frame;
use crate::base::Tech;

/// The state of a device, as far as it matters here (Asterisk's words in `devicestate.c`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceState {
    /// `NOT_INUSE`.
    Idle,
    /// `INUSE`.
    InUse,
    /// `RINGING`, `RINGINUSE`.
    Ringing,
    /// `ONHOLD`.
    OnHold,
    /// `BUSY`: it takes no further call.
    Busy,
    /// `UNAVAILABLE`, `INVALID`: not registered, or it does not answer.
    Unavailable,
    /// `UNKNOWN`, and whatever else.
    Unknown,
}

impl DeviceState {
    /// Reads Asterisk's word.
    pub fn of(word: &[u8]) -> Self {
        match word {
            b"NOT_INUSE" => Self::Idle,
            b"INUSE" => Self::InUse,
            b"RINGING" | b"RINGINUSE" => Self::Ringing,
            b"ONHOLD" => Self::OnHold,
            b"BUSY" => Self::Busy,
            b"UNAVAILABLE" | b"INVALID" => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// Whether a restart would cut a call.
    pub fn in_call(self) -> bool {
        matches!(self, Self::InUse | Self::Ringing | Self::OnHold | Self::Busy)
    }

    /// In words, for `status`.
    pub fn text(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::InUse => "in a call",
            Self::Ringing => "ringing",
            Self::OnHold => "on hold",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
        }
    }
}

/// A `DeviceStateChange`, which is both the event and an item of DeviceStateList: the driver, the name
/// of the peer as bytes, and its state. None for devices that are no peers (`Custom:`, `Queue:`, …).
pub fn device(frame: &Frame) -> Option<(Tech, Bytes, DeviceState)> {
    if !frame.is_event("DeviceStateChange") {
        return None;
    }
    let (tech, name) = peer(frame.get("Device")?)?;
    Some((tech, name, DeviceState::of(frame.get("State")?)))
}

/// A `Hangup` of a peer's channel: who may have become idle. It comes also where chan_sip counts no calls.
pub fn hangup(frame: &Frame) -> Option<(Tech, Bytes)> {
    if !frame.is_event("Hangup") {
        return None;
    }
    let channel = frame.get("Channel")?;
    let channel = channel.strip_prefix(b"AsyncGoto/").unwrap_or(channel);
    let cut = channel.iter().rposition(|&b| b == b'-')?;
    peer(&channel[..cut])
}

fn peer(device: &[u8]) -> Option<(Tech, Bytes)> {
    let (tech, name) = match device.strip_prefix(b"SIP/") {
        Some(name) => (Tech::Sip, name),
        None => (Tech::Pjsip, device.strip_prefix(b"PJSIP/")?),
    };
    (!name.is_empty()).then(|| (tech, Bytes::copy_from_slice(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ami::tests::frame;

    #[test]
    fn a_change_tells_the_peer_and_its_state() {
        let check =
            |name: &str, word: &str, expected: Option<(Tech, &'static str, DeviceState)>| {
                let text = format!("Event: DeviceStateChange\r\nDevice: {name}\r\nState: {word}");
                let expected = expected.map(|(tech, peer, state)| (tech, Bytes::from(peer), state));
                assert_eq!(device(&frame(&text)), expected, "{name} {word}");
            };
        check("SIP/201", "NOT_INUSE", Some((Tech::Sip, "201", DeviceState::Idle)));
        check("PJSIP/front-desk", "INUSE", Some((Tech::Pjsip, "front-desk", DeviceState::InUse)));
        check("SIP/201", "RINGINUSE", Some((Tech::Sip, "201", DeviceState::Ringing)));
        check("SIP/201", "ONHOLD", Some((Tech::Sip, "201", DeviceState::OnHold)));
        check("SIP/201", "INVALID", Some((Tech::Sip, "201", DeviceState::Unavailable)));
        check("SIP/201", "SOMETHING", Some((Tech::Sip, "201", DeviceState::Unknown)));
        check("Custom:201", "INUSE", None);
        check("SIP/", "INUSE", None);
        assert_eq!(device(&frame("Event: Other\r\nDevice: SIP/201\r\nState: INUSE")), None);
        assert_eq!(device(&frame("Event: DeviceStateChange\r\nDevice: SIP/201")), None);
    }

    #[test]
    fn a_hangup_tells_whose_channel_it_was() {
        let check = |channel: &str, expected: Option<(Tech, &'static str)>| {
            let found = hangup(&frame(&format!("Event: Hangup\r\nChannel: {channel}")));
            assert_eq!(found, expected.map(|(t, p)| (t, Bytes::from(p))), "{channel}");
        };
        check("SIP/front-desk-0000abcd", Some((Tech::Sip, "front-desk")));
        check("AsyncGoto/PJSIP/201-00000001<ZOMBIE>", Some((Tech::Pjsip, "201")));
        check("Local/*77@phones-00000000;2", None);
        check("SIP/201", None);
        assert_eq!(hangup(&frame("Event: Newchannel\r\nChannel: SIP/201-00000001")), None);
    }

    #[test]
    fn only_a_call_defers() {
        let busy = ["INUSE", "RINGING", "RINGINUSE", "ONHOLD", "BUSY"];
        assert!(busy.iter().all(|word| DeviceState::of(word.as_bytes()).in_call()));
        let free = ["NOT_INUSE", "UNAVAILABLE", "INVALID", "UNKNOWN", ""];
        assert!(!free.iter().any(|word| DeviceState::of(word.as_bytes()).in_call()));
    }
}
