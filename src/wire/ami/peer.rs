//! What Asterisk says about peers, registrations and channels of chan_sip.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::message::chars;
use crate::base::Tech;

/// What Asterisk says about one peer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PeerFacts {
    /// Its name.
    pub peer: String,
    /// The channel driver that told it.
    #[serde(default)]
    pub tech: Tech,
    /// Where Asterisk sends to; none when it is not registered (asterisk says `-none-`, `(null)`).
    pub address: Option<SocketAddr>,
    /// `SIP-Useragent`: empty after a reload until the next REGISTER, stale after an unregister.
    pub user_agent: Option<String>,
    /// `RegExpire`: seconds that the registration has left; none when unknown.
    pub expires: Option<u32>,
    /// `Status`: `OK (2 ms)`, `UNREACHABLE`, `LAGGED (…)`, `Unmonitored`, `UNKNOWN`.
    pub status: String,
    /// How long an OPTIONS to the phone and its answer took last, milliseconds; none where it is not
    /// asked (`qualify=no`) or does not answer.
    #[serde(default)]
    pub rtt: Option<u32>,
    /// The Call-ID of its REGISTERs, where it is told (chan_pjsip).
    #[serde(default)]
    pub call_id: Option<String>,
    /// What a reload would change visibly; none where the details were not asked.
    pub visible: Option<Visible>,
}

/// What SIPshowpeer shows of a peer's configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Visible {
    /// `Callerid`, as `"Ada Quill" <201>`.
    pub callerid: String,
    /// `VoiceMailbox`.
    pub mailbox: String,
    /// `Language`.
    pub language: String,
}

/// One `PeerEntry` of SIPpeers: the name as bytes (for asking on) and what the list tells. It
/// knows no user agent, no expiry and nothing of the configuration.
pub fn entry(frame: &Frame) -> Option<(Bytes, PeerFacts)> {
    if !frame.is_event("PeerEntry") {
        return None;
    }
    let name = frame.get("ObjectName")?;
    let facts = PeerFacts {
        peer: chars(name).into_owned(),
        address: address(frame, "IPaddress", "IPport"),
        rtt: rtt(&owned(frame, "Status")),
        status: owned(frame, "Status"),
        ..PeerFacts::default()
    };
    Some((Bytes::copy_from_slice(name), facts))
}

/// The answer to SIPshowpeer. Without an address the peer is not registered, and the user agent
/// that Asterisk goes on telling is an old one: left out.
pub fn details(frame: &Frame) -> Option<PeerFacts> {
    let address = address(frame, "Address-IP", "Address-Port");
    let agent = address.map(|_| owned(frame, "SIP-Useragent"));
    Some(PeerFacts {
        peer: chars(frame.get("ObjectName")?).into_owned(),
        tech: Tech::Sip,
        address,
        user_agent: agent.filter(|agent| !agent.is_empty()),
        expires: expires(frame),
        rtt: rtt(&owned(frame, "Status")),
        status: owned(frame, "Status"),
        call_id: None,
        visible: Some(Visible {
            callerid: owned(frame, "Callerid"),
            mailbox: owned(frame, "VoiceMailbox"),
            language: owned(frame, "Language"),
        }),
    })
}

fn owned(frame: &Frame, key: &str) -> String {
    frame.text(key).unwrap_or_default().into_owned()
}

/// The milliseconds in `OK (12 ms)` and `LAGGED (2100 ms)`.
fn rtt(status: &str) -> Option<u32> {
    let (_, rest) = status.split_once('(')?;
    rest.strip_suffix(" ms)")?.parse().ok()
}

/// None for `-none-`, `(null)` and everything else that is no address. IPv6 comes with or without
/// brackets, perhaps with a zone.
fn address(frame: &Frame, ip: &str, port: &str) -> Option<SocketAddr> {
    let text = frame.text(ip)?;
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    let text = text.split_once('%').map_or(text, |(text, _zone)| text);
    let ip: IpAddr = text.parse().ok()?;
    (!ip.is_unspecified()).then(|| SocketAddr::new(ip, frame.number(port).unwrap_or(0)))
}

/// `RegExpire: 56 seconds`; -1 when the peer is not registered.
fn expires(frame: &Frame) -> Option<u32> {
    frame.text("RegExpire")?.split_ascii_whitespace().next()?.parse().ok()
}

/// What a `PeerStatus` event tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// A REGISTER was accepted, a refresh too.
    Registered,
    /// It expired or left.
    Unregistered,
    /// It answers, late, or not at all; or a REGISTER was rejected.
    Other,
}

/// A `PeerStatus` event of chan_sip: the peer's name as bytes, and what happened.
pub fn status(frame: &Frame) -> Option<(Bytes, Change)> {
    if !frame.is_event("PeerStatus") {
        return None;
    }
    let name = frame.get("Peer")?.strip_prefix(b"SIP/")?;
    let change = match frame.get("PeerStatus")? {
        b"Registered" => Change::Registered,
        b"Unregistered" => Change::Unregistered,
        _ => Change::Other,
    };
    Some((Bytes::copy_from_slice(name), change))
}

/// The peer of a `CoreShowChannel` item: `SIP/<peer>-<8 hex>` or `PJSIP/<endpoint>-<8 hex>`, and
/// names may hold `-`, so the cut is at the last one. A masqueraded channel carries words around it (`AsyncGoto/…`, `…<ZOMBIE>`).
pub fn channel_peer(frame: &Frame) -> Option<String> {
    let channel = frame.get("Channel")?;
    let channel = channel.strip_prefix(b"AsyncGoto/").unwrap_or(channel);
    let channel = channel.strip_prefix(b"SIP/").or_else(|| channel.strip_prefix(b"PJSIP/"))?;
    let cut = channel.iter().rposition(|&b| b == b'-')?;
    Some(chars(&channel[..cut]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ami::tests::{frame, frames, transcript};

    fn peers(name: &str) -> Vec<PeerFacts> {
        frames(&transcript(name)).iter().filter_map(entry).map(|(_, facts)| facts).collect()
    }

    fn shown(name: &str) -> Option<PeerFacts> {
        frames(&transcript(name)).iter().find_map(details)
    }

    #[test]
    fn a_list_tells_names_addresses_and_statuses() {
        let peers = peers("sippeers.rsp");
        let found = |name: &str| peers.iter().find(|p| p.peer == name).unwrap();
        assert_eq!(found("201").address, Some("127.0.0.1:59135".parse().unwrap()));
        assert_eq!(found("201").status, "OK (1 ms)");
        assert_eq!((found("202").address, found("202").status.as_str()), (None, "UNKNOWN"));
        assert_eq!(found("301").address, Some("127.0.0.9:5099".parse().unwrap()));
        assert!(peers.iter().all(|p| p.peer != "softuser"), "a type=user is no peer");
    }

    #[test]
    fn details_tell_the_phone() {
        assert_eq!(
            shown("sipshowpeer-201.rsp"),
            Some(PeerFacts {
                peer: "201".into(),
                tech: Tech::Sip,
                address: Some("127.0.0.1:59135".parse().unwrap()),
                user_agent: Some("Yealink SIP-T46G 28.71.0.81".into()),
                expires: Some(56),
                status: "OK (1 ms)".into(),
                rtt: Some(1),
                call_id: None,
                visible: Some(Visible {
                    callerid: "\"Ada Quill\" <201>".into(),
                    mailbox: String::new(),
                    language: "en".into(),
                }),
            })
        );
        assert_eq!(shown("sipshowpeer-nobody.rsp"), None);
    }

    #[test]
    fn a_user_agent_without_an_address_is_a_stale_one() {
        let facts = shown("sipshowpeer-just-after-unregister.rsp").unwrap();
        assert_eq!((facts.address, facts.user_agent, facts.expires), (None, None, None));
        assert_eq!(facts.status, "OK (1 ms)", "as Asterisk goes on saying");
    }

    #[test]
    fn a_status_tells_the_round_trip() {
        let check = |status: &str, expected| assert_eq!(rtt(status), expected, "{status}");
        check("OK (12 ms)", Some(12));
        check("LAGGED (2100 ms)", Some(2100));
        for none in ["UNREACHABLE", "UNKNOWN", "Unmonitored", "OK (x ms)", "OK (-1 ms)", "("] {
            check(none, None);
        }
    }

    #[test]
    fn addresses_are_read_in_every_form() {
        let check = |ip: &str, port: &str, expected: Option<&str>| {
            let frame =
                frame(&format!("ObjectName: x\r\nAddress-IP: {ip}\r\nAddress-Port: {port}"));
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(details(&frame).unwrap().address, expected, "{ip} {port}");
        };
        check("10.0.0.7", "5060", Some("10.0.0.7:5060"));
        check("::1", "5060", Some("[::1]:5060"));
        check("[2001:db8::7]", "5062", Some("[2001:db8::7]:5062"));
        check("fe80::1%eth0", "5060", Some("[fe80::1]:5060"));
        check("10.0.0.7", "99999", Some("10.0.0.7:0"));
        check("(null)", "0", None);
        check("-none-", "0", None);
        check("0.0.0.0", "0", None);
        check("", "", None);
    }

    #[test]
    fn events_tell_the_peer_and_what_happened() {
        let events = |name: &str| -> Vec<_> {
            frames(&transcript(name)).iter().filter_map(status).collect()
        };
        let of = |name: &'static str, change| (Bytes::from(name), change);
        let registered = [of("201", Change::Registered), of("201", Change::Other)];
        assert_eq!(events("event-register.rsp"), registered);
        assert_eq!(events("event-unregister.rsp"), [of("203", Change::Unregistered)]);
        let lagged = [of("lag", Change::Registered), of("lag", Change::Other)];
        assert_eq!(events("event-lagged.rsp"), lagged);
        assert_eq!(status(&frame("Event: PeerStatus\r\nPeer: PJSIP/1\r\nPeerStatus: x")), None);
    }

    #[test]
    fn a_channel_is_cut_at_its_last_dash() {
        let check = |channel: &str, expected: Option<&str>| {
            let peer = channel_peer(&frame(&format!("Channel: {channel}")));
            assert_eq!(peer.as_deref(), expected, "{channel}");
        };
        check("SIP/201-00000000", Some("201"));
        check("SIP/front-desk-0000abcd", Some("front-desk"));
        check("AsyncGoto/SIP/201-00000001<ZOMBIE>", Some("201"));
        check("Local/*77@phones-00000000;2", None);
        check("PJSIP/201-00000000", Some("201"));
        check("SIP/201", None);
    }
}
