//! What is wrong with the accounts of a phone, seen from the phone.

use crate::base::nearest::nearest;
use crate::base::{Code, Diagnostic};
use crate::model::peer::{Peer, Transport};
use crate::model::phone::Phone;

use super::manifest::{Family, Model};

/// Only `md5secret` is there.
pub(super) static MD5SECRET: Code = Code {
    id: "H0509",
    title: "password hidden from the phone",
    explain: "`md5secret` holds a digest; the phone needs the password itself. Write `secret`.",
};

/// No password at all.
pub(super) static NO_SECRET: Code = Code {
    id: "H0510",
    title: "no password",
    explain: "Asterisk lets anybody register as a peer without `secret`.",
};

/// The phone does not speak the transport.
pub(super) static TRANSPORT: Code = Code {
    id: "H0511",
    title: "transport beyond the phone",
    explain: "The first transport that the peer allows is not UDP, and the phone speaks no other.",
};

/// More lines than keys.
pub(super) static LINES: Code = Code {
    id: "H0512",
    title: "more lines than the model has",
    explain: "More peers are tagged with the phone's MAC than the model has lines.",
};

/// A model that the family does not have.
pub(super) static MODEL: Code = Code {
    id: "H0513",
    title: "unknown model",
    explain: "The family has no such model; `model=` in the tag or `default_model` names it.",
};

/// A mailbox that no key reaches.
pub(super) static MESSAGES: Code = Code {
    id: "H0514",
    title: "messages key without a number",
    explain: "The peer has a mailbox, and neither `vmexten` nor the raw key `messages_uri` says \
              what the messages key shall dial. Asterisk's default `asterisk` is no number.",
};

/// The model is not the family's.
pub(super) fn no_model(family: &Family, phone: &Phone) -> Diagnostic {
    let what = format!("{} has no model `{}`", family.name, phone.model);
    let tags = phone.lines.iter().filter_map(|l| l.peer.tag.as_ref());
    let named = tags.filter_map(|t| t.model.as_ref()).map(|m| m.span).next();
    let mut diagnostic = Diagnostic::error(&MODEL, what);
    diagnostic.span = named.or(phone.span());
    let models: Vec<&str> = family.models.keys().map(String::as_str).collect();
    diagnostic.help(match nearest(&phone.model, models.iter().copied()) {
        Some(model) => format!("did you mean `{model}`?"),
        None => format!("its models are {}", models.join(", ")),
    })
}

/// Everything about the accounts; `raw` says whether a raw key is set.
pub(super) fn check(phone: &Phone, model: &Model, raw: impl Fn(&str) -> bool) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let lines = phone.lines.len();
    if lines > usize::from(model.lines) {
        let what =
            format!("{} has {lines} lines; a {} has {}", phone.mac, phone.model, model.lines);
        let beyond = phone.lines.get(usize::from(model.lines)).and_then(|l| l.peer.tag.as_ref());
        let mut diagnostic = Diagnostic::error(&LINES, what);
        diagnostic.span = beyond.map(|tag| tag.span()).or(phone.span());
        found.push(diagnostic.help("take tags away, or say `model=` with a larger one"));
    }
    for line in &phone.lines {
        found.extend(password(&line.peer));
        found.extend(transport(&line.peer));
    }
    let mailbox = phone.lines.iter().map(|l| &l.peer).find(|p| !p.mailboxes.is_empty());
    let number = phone.lines.iter().any(|l| l.peer.vmexten.as_ref().is_some_and(|v| !v.is_empty()));
    if let (Some(peer), false, false) = (mailbox, number, raw("messages_uri")) {
        let name = &peer.name.value;
        let what = format!("peer `{name}` has a mailbox, and the messages key dials nothing");
        let diagnostic = Diagnostic::note(&MESSAGES, what).at(peer.name.span);
        found.push(diagnostic.help("set `vmexten` to the number of the voice mail"));
    }
    found
}

fn password(peer: &Peer) -> Option<Diagnostic> {
    let name = &peer.name.value;
    let secret = peer.secret.as_ref().is_some_and(|s| !s.value.reveal().is_empty());
    match (&peer.md5secret, secret) {
        (_, true) => None,
        (Some(place), false) => {
            let what = format!("peer `{name}` has only `md5secret`: the phone needs the password");
            let diagnostic = Diagnostic::error(&MD5SECRET, what).at(place.span);
            Some(diagnostic.help("write `secret` instead"))
        }
        (None, false) => {
            let what = format!("peer `{name}` has no `secret`: anybody may register as it");
            Some(Diagnostic::warning(&NO_SECRET, what).at(peer.name.span))
        }
    }
}

fn transport(peer: &Peer) -> Option<Diagnostic> {
    let word = match peer.transport {
        Transport::Udp => return None,
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
        Transport::Ws => "web sockets",
    };
    let name = &peer.name.value;
    let what = format!("peer `{name}` wants {word}; the phone speaks UDP only");
    let diagnostic = Diagnostic::error(&TRANSPORT, what).at(peer.name.span);
    Some(diagnostic.help("put `udp` first in `transport`"))
}
