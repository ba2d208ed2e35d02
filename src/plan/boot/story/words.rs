//! The sentences of a story.

use std::net::Ipv4Addr;

use super::super::Said;
use super::super::fact::{End, Fact, Fetched, What};
use super::{Expected, Kind, Line};
use crate::base::Mac;
use crate::plan::observed::{Notified, refusal};

/// The line of one fact.
pub(super) fn step(fact: &Fact, mac: Option<Mac>) -> Line {
    let (text, file) = match &fact.what {
        What::Dhcp(said, about) => (format!("DHCP: {}", dhcp(said, *about)), None),
        What::File(file) => (fetch(file), Some(file.clone())),
        What::Registered(peer) => (format!("registers as {peer}"), None),
        What::Notified(result) => (notify(result), None),
    };
    let text = match (mac, fact.address) {
        (None, Some(from)) => format!("somebody at {from} {text}"),
        _ => text,
    };
    Line { at: fact.at, mac, kind: Kind::Step, text, cure: None, file }
}

/// What a DHCP message told, about an address.
pub fn dhcp(said: &Said, about: Option<Ipv4Addr>) -> String {
    let it = about.map_or_else(|| "an address".to_owned(), |address| address.to_string());
    match said {
        Said::Discover => "looks for a server".into(),
        Said::Request => format!("asks for {it}"),
        Said::Decline => format!("declines {it}: in use"),
        Said::Release => format!("gives {it} back"),
        Said::Inform => format!("has {it}, asks for options"),
        Said::Offer => format!("is offered {it}"),
        Said::Ack => format!("is given {it}"),
        Said::Nak(why) => format!("is refused {it}: {why}"),
        Said::Silent(why) => format!("is not answered: {why}"),
        Said::Foreign { server, wrong: None } => format!("is given {it} by {server}"),
        Said::Foreign { server, wrong: Some(wrong) } => {
            format!("is given {it} by {server}: {wrong}")
        }
    }
}

fn fetch(file: &Fetched) -> String {
    let Fetched { name, bytes, times, .. } = file;
    let often = if *times > 1 { format!(" ({times} times)") } else { String::new() };
    match &file.end {
        End::Complete => format!("fetches {name}: {bytes} bytes{}{often}", took(file.millis)),
        End::Unconfirmed => {
            format!("fetches {name}: {bytes} bytes, the last acknowledgement is missing{often}")
        }
        End::Missing => format!("asks for {name}: not there{often}"),
        End::Hidden => format!("asks for {name}: not given to this address{often}"),
        End::Broken(why) => format!("asks for {name}: {why}, after {bytes} bytes{often}"),
    }
}

/// How long it took, where that is worth telling.
fn took(millis: u64) -> String {
    if millis < 1000 {
        return String::new();
    }
    format!(" in {}.{} s", millis / 1000, millis % 1000 / 100)
}

/// What came of a NOTIFY.
pub fn notify(result: &Notified) -> String {
    match result {
        Notified::Ordered | Notified::Sent => "is told to look (NOTIFY)".into(),
        Notified::Answered(200..=299) => "is told to look (our own NOTIFY, which it took)".into(),
        Notified::Answered(code) => format!("refused our own NOTIFY: {}", refusal(*code)),
        Notified::Silent => "did not answer our own NOTIFY".into(),
        Notified::InCall => "is in a call: told to look later".into(),
        Notified::NoAddress => "cannot be told to look: Asterisk has no address of it".into(),
        Notified::Failed(why) => format!("cannot be told to look: {why}"),
    }
}

/// What is missing, and the cure.
pub(super) fn stall(expected: Expected, name: &str) -> (String, &'static str) {
    match expected {
        Expected::Name => (
            format!("falls silent after {name}: the next name of its list does not come"),
            "if it shows \"TFTP Timeout\", the answer is lost on the way: look for a firewall between it and this server",
        ),
        Expected::Register => (
            format!("has {name} and does not register"),
            "handset explain {mac} shows the server and the accounts in its file; does Asterisk refuse them (its log), or is it not reached?",
        ),
        Expected::Return => (
            format!("has {name} and does not come back"),
            "do not cut its power while its lights are on; after ten minutes start it again, the loader stays in it",
        ),
        Expected::File => (
            "has an address and asks for no file".to_owned(),
            "the options 66 and 150 of its DHCP server must name this server",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_to_our_own_notify_are_told_in_words() {
        let check = |result: Notified, expected: &str| assert_eq!(notify(&result), expected);
        let taken = "is told to look (our own NOTIFY, which it took)";
        check(Notified::Answered(200), taken);
        let refused = "refused our own NOTIFY: 404, it has no line of that name";
        check(Notified::Answered(404), refused);
        check(Notified::Silent, "did not answer our own NOTIFY");
    }
}
