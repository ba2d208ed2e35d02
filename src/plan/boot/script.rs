//! Facts as lines of text, for tests and fuzzing: `12:45:17 0018b9ffffff 10.0.0.23 get OS79XX.TXT missing`.
//! A time and `-` for what is not known; what cannot be read is no fact.

use std::net::Ipv4Addr;

use super::Said;
use super::fact::{End, Fact, Fetched, What, short};
use crate::base::Time;
use crate::plan::observed::Notified;

/// The facts of a text.
pub fn facts(text: &str) -> Vec<Fact> {
    text.lines().filter_map(fact).collect()
}

fn fact(line: &str) -> Option<Fact> {
    let mut words = line.trim().splitn(5, ' ');
    let at = time(words.next()?)?;
    let mac = words.next()?.parse().ok();
    let address = words.next()?.parse().ok();
    let (word, rest) = (words.next()?, words.next().unwrap_or_default());
    Some(Fact { at, mac, address, what: what(word, rest)? })
}

/// `HH:MM:SS`, perhaps with a fraction.
fn time(word: &str) -> Option<Time> {
    let mut seconds = 0.0;
    for part in word.split(':') {
        let part: f64 = part.parse().ok().filter(|n| (0.0..1e9).contains(n))?;
        seconds = seconds * 60.0 + part;
    }
    Some(Time(std::time::Duration::try_from_secs_f64(seconds).ok()?.as_millis().try_into().ok()?))
}

fn what(word: &str, rest: &str) -> Option<What> {
    let (first, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let about: Option<Ipv4Addr> = first.parse().ok();
    Some(match word {
        "discover" => What::Dhcp(Said::Discover, about),
        "request" => What::Dhcp(Said::Request, about),
        "decline" => What::Dhcp(Said::Decline, about),
        "release" => What::Dhcp(Said::Release, about),
        "inform" => What::Dhcp(Said::Inform, about),
        "offer" => What::Dhcp(Said::Offer, about),
        "ack" => What::Dhcp(Said::Ack, about),
        "nak" => What::Dhcp(Said::Nak(short(more)), about),
        "silent" => What::Dhcp(Said::Silent(short(more)), about),
        "foreign" => {
            let wrong = (!more.is_empty()).then(|| short(more));
            What::Dhcp(Said::Foreign { server: about?, wrong }, None)
        }
        "get" | "own" => What::File(file(first, more, word == "own")),
        "register" => What::Registered(short(rest)),
        "notify" => What::Notified(match first {
            "ordered" => Notified::Ordered,
            "sent" => Notified::Sent,
            "in-call" => Notified::InCall,
            "no-address" => Notified::NoAddress,
            "silent" => Notified::Silent,
            "answered" => Notified::Answered(more.parse().ok()?),
            why => Notified::Failed(short(why)),
        }),
        _ => return None,
    })
}

/// `missing`, `hidden`, `broken WHY`, or bytes and perhaps milliseconds and the digest.
fn file(name: &str, end: &str, own: bool) -> Fetched {
    let digest = end.split(' ').nth(2).and_then(|word| word.to_owned().try_into().ok());
    let mut words = end.split(' ').map(|word| word.parse::<u64>().ok());
    let (bytes, millis) = (words.next().flatten(), words.next().flatten().unwrap_or_default());
    let end = match (end, bytes) {
        ("missing", _) => End::Missing,
        ("hidden", _) => End::Hidden,
        ("unconfirmed", _) => End::Unconfirmed,
        (_, Some(_)) => End::Complete,
        (why, None) => End::Broken(short(why)),
    };
    let bytes = bytes.unwrap_or_default();
    Fetched { name: short(name), end, bytes, millis, times: 1, own, digest }
}
