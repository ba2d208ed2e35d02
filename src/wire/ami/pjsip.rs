//! What Asterisk says about endpoints, contacts and registrations of chan_pjsip. Frames about an
//! endpoint hold its password in clear: only what is named here is taken out of them.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::frame::Frame;
use super::message::chars;
use super::peer::{PeerFacts, Visible};
use crate::base::Tech;

/// One `EndpointList` of PJSIPShowEndpoints: the name as bytes (for asking on) and what the list
/// tells, which is no contact's details.
pub fn entry(frame: &Frame) -> Option<(Bytes, PeerFacts)> {
    if !frame.is_event("EndpointList") {
        return None;
    }
    let name = frame.get("ObjectName")?;
    let facts = PeerFacts {
        peer: chars(name).into_owned(),
        tech: Tech::Pjsip,
        status: owned(frame, "DeviceState"),
        ..PeerFacts::default()
    };
    Some((Bytes::copy_from_slice(name), facts))
}

/// A registered contact.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contact {
    /// The endpoint that it belongs to.
    pub endpoint: String,
    /// Its URI: where requests go.
    pub uri: String,
    /// The address in the URI, else the one in the Via of its REGISTER.
    pub address: Option<SocketAddr>,
    /// What the phone calls itself.
    pub user_agent: Option<String>,
    /// When it expires, seconds since 1970.
    pub until: Option<u64>,
    /// `Reachable`, `Unreachable`, `NonQualified`.
    pub status: String,
    /// `RoundtripUsec`, in milliseconds.
    pub rtt: Option<u32>,
    /// The Call-ID of its REGISTERs: another one after each boot of the phone.
    pub call_id: Option<String>,
}

/// A `ContactStatusDetail` of PJSIPShowRegistrationInboundContactStatuses or PJSIPShowEndpoint. Fixed
/// contacts are in neither.
pub fn contact(frame: &Frame) -> Option<Contact> {
    if !frame.is_event("ContactStatusDetail") {
        return None;
    }
    let uri = owned(frame, "URI");
    let via = || frame.text("ViaAddress").and_then(|text| socket(&text, 5060));
    Some(Contact {
        endpoint: owned(frame, "EndpointName"),
        address: uri_address(&uri).or_else(via),
        uri,
        user_agent: Some(owned(frame, "UserAgent")).filter(|agent| !agent.is_empty()),
        until: frame.number("RegExpire").filter(|until| *until > 0),
        status: owned(frame, "Status"),
        // `N/A` and 0 where it is not known
        rtt: frame.number("RoundtripUsec").filter(|us: &u32| *us > 0).map(|us| us.div_ceil(1000)),
        call_id: Some(owned(frame, "CallID")).filter(|id| !id.is_empty()),
    })
}

/// Adds a contact to what is known of its endpoint: the one that registered last counts. `now` is
/// in seconds since 1970.
pub fn add(facts: &mut PeerFacts, contact: &Contact, now: u64) {
    let left = contact.until.map(|until| until.saturating_sub(now));
    let left = left.map(|left| u32::try_from(left).unwrap_or(u32::MAX));
    if facts.address.is_some() && left <= facts.expires {
        return;
    }
    facts.address = contact.address;
    facts.user_agent.clone_from(&contact.user_agent);
    facts.expires = left;
    facts.status.clone_from(&contact.status);
    facts.rtt = contact.rtt;
    facts.call_id.clone_from(&contact.call_id);
}

/// What PJSIPShowEndpoint shows of an endpoint's configuration, in the words of SIPshowpeer: from
/// its `EndpointDetail`.
pub fn visible(frame: &Frame) -> Option<Visible> {
    frame.is_event("EndpointDetail").then(|| Visible {
        callerid: callerid(&owned(frame, "Callerid")),
        mailbox: mailboxes(frame),
        language: owned(frame, "Language"),
    })
}

/// The mailboxes of an `AorDetail` and its name: they count where the endpoint has none.
pub fn aor_mailboxes(frame: &Frame) -> Option<(String, String)> {
    frame.is_event("AorDetail").then(|| (owned(frame, "ObjectName"), mailboxes(frame)))
}

fn mailboxes(frame: &Frame) -> String {
    let text = owned(frame, "Mailboxes");
    let boxes = text.split(',').map(str::trim).filter(|mailbox| !mailbox.is_empty());
    boxes.collect::<Vec<_>>().join(",")
}

/// `"Ada Quill" <201>`, `Ada Quill`, `201` or `<unknown>` → always with both parts.
fn callerid(text: &str) -> String {
    let number = |c: char| c.is_ascii_digit() || "*#+".contains(c);
    match text {
        "<unknown>" | "" => "\"\" <>".to_owned(),
        quoted if quoted.starts_with('"') && quoted.ends_with('>') => {
            quoted.replace("\\\"", "\"").replace("\\\\", "\\")
        }
        digits if digits.chars().all(number) => format!("\"\" <{digits}>"),
        name => format!("\"{name}\" <>"),
    }
}

/// What happened to an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// It has this contact; whether it is a new one only who knows the others can say.
    Has(String),
    /// A REGISTER for a contact that was there (told only with
    /// `send_contact_status_on_update_registration=yes`).
    Updated(String),
    /// It lost this contact: expired, taken back, or replaced by another.
    Lost(String),
    /// It can or cannot be reached.
    Other,
}

/// A `ContactStatus` or `PeerStatus` event of chan_pjsip: the endpoint's name as bytes, and what
/// happened.
pub fn status(frame: &Frame) -> Option<(Bytes, Change)> {
    if frame.is_event("PeerStatus") {
        let name = frame.get("Peer")?.strip_prefix(b"PJSIP/")?;
        return Some((Bytes::copy_from_slice(name), Change::Other));
    }
    if !frame.is_event("ContactStatus") {
        return None;
    }
    let name = frame.get("EndpointName").filter(|name| !name.is_empty())?;
    let uri = owned(frame, "URI");
    let change = match frame.get("ContactStatus")? {
        b"Removed" => Change::Lost(uri),
        b"Updated" => Change::Updated(uri),
        _ => Change::Has(uri),
    };
    Some((Bytes::copy_from_slice(name), change))
}

/// Whether the frame says that chan_pjsip was reloaded (or everything).
pub fn is_reload(frame: &Frame) -> bool {
    let names = ["res_pjsip", "res_pjsip.so", "res_pjsip_config_wizard.so", "All"];
    let done = frame.number("Status").is_none_or(|status: i32| matches!(status, 0 | 1));
    frame.is_event("Reload") && names.iter().any(|name| frame.is("Module", name)) && done
}

fn owned(frame: &Frame, key: &str) -> String {
    frame.text(key).unwrap_or_default().into_owned()
}

/// The address in `sip:user@host:port;parameters`, when the host is no name.
fn uri_address(uri: &str) -> Option<SocketAddr> {
    let (scheme, rest) = uri.split_once(':')?;
    let usual = match scheme {
        "sip" => 5060,
        "sips" => 5061,
        _ => return None,
    };
    let end = rest.find([';', '?', '>']).unwrap_or(rest.len());
    let host = rest[..end].rsplit('@').next()?;
    socket(host, usual)
}

/// `10.0.0.7:5060`, `[::1]:5060`, `::1`, each with or without the port.
fn socket(text: &str, usual: u16) -> Option<SocketAddr> {
    let bare = || {
        let ip = text.trim_start_matches('[').trim_end_matches(']');
        ip.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, usual))
    };
    let address = text.parse::<SocketAddr>().ok().or_else(bare)?;
    (!address.ip().is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ami::tests::{frame, frames, transcript22};

    fn contacts(name: &str) -> Vec<Contact> {
        frames(&transcript22(name)).iter().filter_map(contact).collect()
    }

    #[test]
    fn a_list_tells_the_endpoints_and_another_one_their_contacts() {
        let all = frames(&transcript22("pjsipshowendpoints.rsp"));
        let names: Vec<_> = all.iter().filter_map(entry).map(|(_, facts)| facts.peer).collect();
        assert_eq!(names, ["201", "202", "203", "204", "301"]);
        let contacts = contacts("pjsipshowregistrationinboundcontactstatuses.rsp");
        let ends: Vec<_> = contacts.iter().map(|c| c.endpoint.as_str()).collect();
        assert_eq!(ends, ["201", "202", "202", "203", "204"], "not the fixed one of 301");
        let first = Contact {
            endpoint: "201".into(),
            uri: "sip:201@127.0.0.1:33231".into(),
            address: "127.0.0.1:33231".parse().ok(),
            user_agent: Some("Yealink SIP-T46G 28.71.0.81".into()),
            until: Some(1_795_356_704),
            status: "Reachable".into(),
            rtt: Some(1),
            call_id: Some("bd1f5b7cd2cb@lab".into()),
        };
        assert_eq!(contacts[0], first);
    }

    #[test]
    fn the_contact_that_registered_last_counts() {
        let contacts = contacts("pjsipshowregistrationinboundcontactstatuses.rsp");
        let check = |order: [usize; 2]| {
            let mut facts = PeerFacts::default();
            order.iter().for_each(|n| add(&mut facts, &contacts[*n], 1_795_356_900));
            assert_eq!(facts.user_agent.as_deref(), Some("Second phone of 202"));
            assert_eq!(facts.address, "127.0.0.1:49826".parse().ok());
            assert_eq!((facts.expires, facts.status.as_str()), (Some(48), "Reachable"));
        };
        check([1, 2]);
        check([2, 1]);
    }

    #[test]
    fn an_endpoint_shows_what_a_reload_changes() {
        let all = frames(&transcript22("pjsipshowendpoint-201.rsp"));
        let shown = all.iter().find_map(visible).unwrap();
        let expected = Visible {
            callerid: "\"Ada Quill\" <201>".into(),
            mailbox: String::new(),
            language: "en".into(),
        };
        assert_eq!(shown, expected);
        assert_eq!(all.iter().filter_map(contact).count(), 1);
        let aors: Vec<_> = all.iter().filter_map(aor_mailboxes).collect();
        assert_eq!(aors, [("201".to_owned(), String::new())]);
    }

    #[test]
    fn caller_ids_are_told_in_the_words_of_chan_sip() {
        let check = |said: &str, expected: &str| assert_eq!(callerid(said), expected, "{said}");
        check("\"Ada Quill\" <201>", "\"Ada Quill\" <201>");
        check("\"Bob \\\"B\\\" X\" <101>", "\"Bob \"B\" X\" <101>");
        check("<unknown>", "\"\" <>");
        check("201", "\"\" <201>");
        check("Ada Quill", "\"Ada Quill\" <>");
    }

    #[test]
    fn mailboxes_are_told_without_blanks() {
        let detail = "Event: EndpointDetail\r\nMailboxes: 1@a, 2@b";
        assert_eq!(visible(&frame(detail)).unwrap().mailbox, "1@a,2@b");
    }

    #[test]
    fn events_tell_the_endpoint_and_what_happened() {
        let events = |name: &str| -> Vec<Change> {
            let all = frames(&transcript22(name));
            all.iter().filter_map(status).map(|(_, change)| change).collect()
        };
        let has = |uri: &str| Change::Has(uri.to_owned());
        let one = "sip:201@127.0.0.1:60186";
        assert_eq!(events("event-register.rsp"), [has(one), Change::Other, has(one)]);
        let two = "sip:201@127.0.0.1:33231";
        let moved = [has(two), has(two), Change::Lost(one.to_owned())];
        assert_eq!(events("event-register-new-contact.rsp"), moved);
        assert_eq!(events("event-reregister-same-contact.rsp"), [], "a refresh is silent");
        let gone = Change::Lost("sip:203@127.0.0.1:52988".to_owned());
        assert_eq!(events("event-unregister.rsp"), [Change::Other, gone]);
        assert_eq!(status(&frame("Event: PeerStatus\r\nPeer: SIP/201\r\nPeerStatus: x")), None);
    }

    #[test]
    fn addresses_are_read_out_of_uris() {
        let check = |uri: &str, expected: Option<&str>| {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(uri_address(uri), expected, "{uri}");
        };
        check("sip:201@10.0.0.7:5062;transport=udp", Some("10.0.0.7:5062"));
        check("sip:201@10.0.0.7", Some("10.0.0.7:5060"));
        check("sips:a%40b@[2001:db8::7]:5061", Some("[2001:db8::7]:5061"));
        check("sip:[::1]", Some("[::1]:5060"));
        check("sip:201@phone.example:5060", None);
        check("sip:0.0.0.0", None);
        check("tel:201", None);
        check("", None);
    }

    #[test]
    fn without_an_address_in_the_uri_the_via_tells() {
        let text =
            "Event: ContactStatusDetail\r\nURI: sip:1@desk.example\r\nViaAddress: 10.0.0.7:5060";
        assert_eq!(contact(&frame(text)).unwrap().address, "10.0.0.7:5060".parse().ok());
    }

    #[test]
    fn reloads_of_chan_pjsip_are_told_from_others() {
        let events = frames(&transcript22("reload-changed.rsp"));
        assert_eq!(events.iter().filter(|frame| is_reload(frame)).count(), 1);
        assert!(!is_reload(&frame("Event: Reload\r\nModule: chan_sip.so\r\nStatus: 0")));
        assert!(!is_reload(&frame("Event: Reload\r\nModule: res_pjsip.so\r\nStatus: 2")));
    }
}
