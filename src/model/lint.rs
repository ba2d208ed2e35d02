//! What is allowed and yet probably not meant. Nothing here holds a phone back.

mod keys;
mod macs;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::base::{Code, Diagnostic, Span, Text};
use crate::conf::{Conf, Section};
use crate::model::peer::{Peer, Tech};
use crate::model::tag::Tag;

/// All codes of this module.
pub static CODES: &[&Code] = &[
    &macs::NEAR,
    &SHARED_SECRET,
    &WEAK_SECRET,
    &keys::UNKNOWN,
    &keys::GENERAL,
    &keys::OTHER,
    &UNUSED_TEMPLATE,
];

static SHARED_SECRET: Code = Code {
    id: "H0461",
    title: "one secret for several phones",
    explain: "Who knows the password of one phone can then register as the others. Give each peer its \
              own: the phone gets it by itself, nobody has to type it. Lines of one phone may share \
              one.",
};

static WEAK_SECRET: Code = Code {
    id: "H0462",
    title: "a secret that is easily guessed",
    explain: "SIP passwords are tried by machines, thousands a minute, and a guessed one is paid for in \
              calls abroad. A secret with fewer than 8 characters, of digits only, or equal to the \
              peer's name is found. The phone gets it by itself: it may be long and random.",
};

static UNUSED_TEMPLATE: Code = Code {
    id: "H0466",
    title: "a template that nobody uses",
    explain: "No section names the template in its parentheses, so nothing in it reaches any peer. A \
              section that is meant to be a peer itself must not be marked (!).",
};

/// The least number of characters of a secret that is not called weak.
const LEAST: usize = 8;

/// Looks over sip.conf, the tags of its sections, and all peers (also those of pjsip.conf).
pub fn lint(sip: &Conf, tags: &[Option<Arc<Tag>>], peers: &[Arc<Peer>]) -> Vec<Diagnostic> {
    let mut found = macs::near(peers);
    found.extend(weak(peers));
    found.extend(shared(peers));
    found.extend(keys::unknown(sip, tags));
    found.extend(templates(sip));
    found
}

/// The templates that no section inherits from.
pub fn templates(conf: &Conf) -> Vec<Diagnostic> {
    let bases = conf.sections.iter().flat_map(|section| &section.bases);
    let used: HashSet<&[u8]> = bases.map(Text::as_bytes).collect();
    let used: HashSet<Vec<u8>> = used.into_iter().map(<[u8]>::to_ascii_lowercase).collect();
    let unused = |section: &&Section| {
        section.template && !used.contains(&section.name.as_bytes().to_ascii_lowercase())
    };
    let note = |section: &Section| {
        let text = format!("no section uses the template [{}]", section.name);
        let help = format!("write [name]({}), or take the template away", section.name);
        Diagnostic::note(&UNUSED_TEMPLATE, text).at(section.span).help(help)
    };
    conf.sections.iter().filter(unused).map(note).collect()
}

/// The secret of a peer that has a phone, with its place.
fn secret(peer: &Peer) -> Option<(&str, Span)> {
    let secret = peer.secret.as_ref().filter(|_| peer.tag.is_some())?;
    Some((secret.value.reveal(), secret.span)).filter(|(text, _)| !text.is_empty())
}

/// A secret of a template is told of once.
fn weak(peers: &[Arc<Peer>]) -> Vec<Diagnostic> {
    let mut told = BTreeSet::new();
    let trouble = |peer: &Arc<Peer>| {
        let (text, span) = secret(peer)?;
        let why = weakness(text, &peer.name)?;
        told.insert(span).then(|| {
            let text = format!("the {} of the peer {} {why}", word(peer), &*peer.name);
            let help =
                format!("write at least {LEAST} characters at random; no one has to type them");
            Diagnostic::warning(&WEAK_SECRET, text).at(span).help(help)
        })
    };
    peers.iter().filter_map(trouble).collect()
}

fn weakness(secret: &str, name: &str) -> Option<String> {
    if secret.eq_ignore_ascii_case(name) {
        Some("is its name".into())
    } else if secret.chars().count() < LEAST {
        Some(format!("is shorter than {LEAST} characters"))
    } else {
        secret.bytes().all(|b| b.is_ascii_digit()).then(|| "has only digits".into())
    }
}

/// As the file calls it.
fn word(peer: &Peer) -> &'static str {
    match peer.tech {
        Tech::Sip => "secret",
        Tech::Pjsip => "password",
    }
}

/// One note for each secret that more than one phone has. An account of one name in both channel
/// drivers counts as one.
fn shared(peers: &[Arc<Peer>]) -> Vec<Diagnostic> {
    let mut first: HashMap<&str, &Peer> = HashMap::with_capacity(peers.len());
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for peer in peers {
        let Some((text, span)) = secret(peer) else { continue };
        let other = *first.entry(text).or_insert(peer);
        let mac = |peer: &Peer| peer.tag.as_ref().map(|tag| tag.mac.value);
        if mac(other) == mac(peer) || other.name == peer.name || !told.insert(text) {
            continue;
        }
        let (word, name, others) = (word(peer), &*peer.name, &*other.name);
        let text = format!("the peer {name} has the same {word} as {others}, on another phone");
        let note = Diagnostic::note(&SHARED_SECRET, text).at(span);
        let place = secret(other).map_or(other.name.span, |(_, place)| place);
        let note = if place == span { note } else { note.see(place, format!("that of {others}")) };
        found.push(note.help("give each peer its own"));
    }
    found
}

#[cfg(test)]
mod tests;
