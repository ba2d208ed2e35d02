//! What other DHCP servers tell phones. It is heard where it is broadcast, at the clients' port: phones that set
//! the broadcast flag, as the 7940 and 7960 do (phones.md §4.1), are answered so. What goes to a phone by
//! unicast a switch delivers to nobody else, so a raw socket would hear no more.

use std::net::Ipv4Addr;

use crate::wire::dhcp::{Kind, Message, option};

/// Another server's offer or answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Heard {
    /// That server.
    pub(super) server: Ipv4Addr,
    /// What is wrong with where it sends phones; none when nothing is.
    pub(super) wrong: Option<String>,
}

/// Judges a message of another server to a phone that shall boot from `boot`; none for any other message.
pub(super) fn judge(message: &Message, boot: Ipv4Addr, ours: &[Ipv4Addr]) -> Option<Heard> {
    let tells = matches!(message.kind, Kind::Offer | Kind::Ack);
    let server = message.options.address(option::SERVER).filter(|server| !ours.contains(server))?;
    let good = |address: Ipv4Addr| address == boot || ours.contains(&address);
    tells.then(|| Heard { server, wrong: wrong(message, &good) })
}

fn wrong(message: &Message, good: &dyn Fn(Ipv4Addr) -> bool) -> Option<String> {
    let addresses = message.options.get(option::TFTP_ADDRESSES);
    let first = addresses.and_then(|bytes| <[u8; 4]>::try_from(bytes.get(..4)?).ok());
    let first = first.map(Ipv4Addr::from);
    let name = message.options.trimmed(option::TFTP_NAME).filter(|name| !name.is_empty());
    let text = name.map(|name| String::from_utf8_lossy(name).into_owned());
    let next = Some(message.siaddr).filter(|next| !next.is_unspecified());
    if let Some(other) = first.filter(|address| !good(*address)) {
        return Some(format!("option 150 = {other}"));
    }
    // A name may well be ours.
    let named = text.as_ref().and_then(|text| text.parse::<Ipv4Addr>().ok());
    if let Some(other) = named.filter(|address| !good(*address)) {
        return Some(format!("option 66 = {other}"));
    }
    if first.is_some() || text.is_some() {
        return None;
    }
    match next {
        // Many servers name themselves there without a thought.
        Some(next) if good(next) => None,
        Some(next) => Some(format!("next server {next} and neither option 66 nor 150")),
        None => Some("no boot server (option 66, 150 or next server)".to_owned()),
    }
}

impl Heard {
    /// For the administrator.
    pub(super) fn in_words(&self, phone: crate::base::Mac) -> Option<String> {
        let wrong = self.wrong.as_ref()?;
        Some(format!("{} offers {wrong} to {phone}: that is not us", self.server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Mac;

    const US: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

    fn check(server: [u8; 4], next: [u8; 4], texts: &[(u8, &[u8])], expected: Option<&str>) {
        let mac = Mac::new([0, 0x18, 0xb9, 0, 0, 1]).unwrap();
        let mut message = Message::new(Kind::Offer, mac, 1);
        message.siaddr = next.into();
        message.options.set(option::SERVER, server);
        for (code, value) in texts {
            message.options.set(*code, *value);
        }
        let heard = judge(&message, US, &[US]);
        assert_eq!(heard.and_then(|h| h.in_words(mac)).as_deref(), expected, "{texts:?}");
        message.kind = Kind::Nak;
        assert_eq!(judge(&message, US, &[US]), None);
    }

    #[test]
    fn another_server_that_sends_phones_elsewhere_or_nowhere_is_told_of() {
        let (other, none) = ([192, 0, 2, 1], [0; 4]);
        let words =
            |what: &str| format!("192.0.2.1 offers {what} to 00:18:b9:00:00:01: that is not us");
        let bad = |next, texts: &[(u8, &[u8])], what: &str| {
            check(other, next, texts, Some(&words(what)));
        };
        bad(none, &[(150, &[192, 0, 2, 9])], "option 150 = 192.0.2.9");
        bad(none, &[(150, &[192, 0, 2, 10]), (66, b"192.0.2.9\0")], "option 66 = 192.0.2.9");
        bad(none, &[], "no boot server (option 66, 150 or next server)");
        bad(none, &[(66, b"\0")], "no boot server (option 66, 150 or next server)");
        bad([192, 0, 2, 9], &[], "next server 192.0.2.9 and neither option 66 nor 150");
        check(other, none, &[(150, &[192, 0, 2, 10, 192, 0, 2, 9])], None);
        check(other, [192, 0, 2, 1], &[(66, b"192.0.2.10")], None);
        check(other, none, &[(66, b"pbx.example.org")], None);
        check(other, [192, 0, 2, 10], &[], None);
        check([192, 0, 2, 10], none, &[], None);
    }
}
