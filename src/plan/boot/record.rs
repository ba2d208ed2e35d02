//! Facts on disk: what happened within a moment, as one row. The names that all phones ask for, and each
//! phone with its address, stand in it once.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::Said;
use super::fact::{End, Fact, Fetched, What, cut, short};
use crate::base::{Digest, HashMap, Mac, Time};
use crate::plan::observed::Notified;

/// A row that claims to hold more is damaged.
const FACTS_MAX: usize = 65_536;

/// The same request within so many milliseconds is counted, not written again.
const SOON: u64 = 1000;

#[derive(Default, Serialize, Deserialize)]
struct Row {
    /// The time that the others count from.
    at: u64,
    /// Names of files, with `{MAC}` and `{mac}`, and reasons.
    words: Vec<String>,
    /// What was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    digests: Vec<Digest>,
    who: Vec<Who>,
}

#[derive(Serialize, Deserialize)]
struct Who {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<Mac>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<(u64, Other)>,
}

/// Milliseconds after the row's time, name, end (0 complete, 1 own and complete, 2 unconfirmed, 3 missing,
/// 4 hidden, 5 and more: broken, for the reason that many words on), bytes, milliseconds, times, which of the
/// row's digests.
#[derive(Serialize, Deserialize)]
struct FileRow(
    u64,
    usize,
    usize,
    u64,
    u64,
    u32,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<usize>,
);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Other {
    Dhcp(Dhcp, Option<Ipv4Addr>, #[serde(default)] Option<usize>),
    Registered(usize),
    Notified(Notified),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Dhcp {
    Discover,
    Request,
    Decline,
    Release,
    Inform,
    Offer,
    Ack,
    Nak,
    Silent,
    Foreign(Ipv4Addr),
}

/// The words and digests of a row while it is written.
#[derive(Default)]
struct Words {
    known: HashMap<String, usize>,
    digests: HashMap<Digest, usize>,
    /// A name while it is looked up.
    name: String,
}

impl Words {
    fn index(&mut self, word: &str) -> usize {
        if let Some(index) = self.known.get(word) {
            return *index;
        }
        let next = self.known.len();
        self.known.insert(word.to_owned(), next);
        next
    }

    /// The word of a phone's file.
    fn file(&mut self, name: &str, mac: Option<Mac>) -> usize {
        let mut word = std::mem::take(&mut self.name);
        general(name, mac, &mut word);
        let index = self.index(&word);
        self.name = word;
        index
    }

    fn digest(&mut self, digest: Digest) -> usize {
        let next = self.digests.len();
        *self.digests.entry(digest).or_insert(next)
    }
}

/// In the order of their indices.
fn list<T>(known: HashMap<T, usize>) -> Vec<T> {
    let mut all: Vec<(usize, T)> = known.into_iter().map(|(value, index)| (index, value)).collect();
    all.sort_unstable_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, value)| value).collect()
}

/// The row of these facts, with the time of its first; those that tell the same stand in it once, with
/// how often.
pub fn encode(facts: &[Fact]) -> (Time, Vec<u8>) {
    let first = facts.iter().map(|fact| fact.at).min().unwrap_or_default();
    let (mut words, mut who) = (Words::default(), Vec::<Who>::new());
    let mut places = HashMap::<(Option<Mac>, Option<IpAddr>), usize>::default();
    for fact in facts {
        let (mac, at) = (fact.mac, fact.address);
        let place = *places.entry((mac, at)).or_insert_with(|| {
            who.push(Who { mac, at, files: Vec::new(), others: Vec::new() });
            who.len() - 1
        });
        add(&mut who[place], fact, first, &mut words);
    }
    who.sort_unstable_by_key(|who| (who.mac, who.at));
    let Words { known, digests, .. } = words;
    let row = Row { at: first.0, words: list(known), digests: list(digests), who };
    (first, serde_json::to_vec(&row).unwrap_or_default())
}

fn add(who: &mut Who, fact: &Fact, first: Time, words: &mut Words) {
    let at = fact.at.0.saturating_sub(first.0);
    let other = match &fact.what {
        What::File(file) => {
            let name = words.file(&file.name, fact.mac);
            let end = match &file.end {
                End::Complete => usize::from(file.own),
                End::Unconfirmed => 2,
                End::Missing => 3,
                End::Hidden => 4,
                End::Broken(why) => 5 + words.index(cut(why)),
            };
            let digest = file.digest.map(|digest| words.digest(digest));
            let soon = |row: &FileRow| at.saturating_sub(row.0) < SOON;
            let same =
                |row: &&mut FileRow| (row.1, row.2, row.6) == (name, end, digest) && soon(row);
            let new = FileRow(at, name, end, file.bytes, file.millis, file.times, digest);
            return match who.files.iter_mut().rev().take(4).find(same) {
                Some(row) => row.5 = row.5.saturating_add(file.times),
                None => who.files.push(new),
            };
        }
        What::Registered(peer) => Other::Registered(words.index(cut(peer))),
        What::Notified(result) => Other::Notified(result.clone()),
        What::Dhcp(said, about) => {
            let (said, why) = match said {
                Said::Discover => (Dhcp::Discover, None),
                Said::Request => (Dhcp::Request, None),
                Said::Decline => (Dhcp::Decline, None),
                Said::Release => (Dhcp::Release, None),
                Said::Inform => (Dhcp::Inform, None),
                Said::Offer => (Dhcp::Offer, None),
                Said::Ack => (Dhcp::Ack, None),
                Said::Nak(why) => (Dhcp::Nak, Some(why)),
                Said::Silent(why) => (Dhcp::Silent, Some(why)),
                Said::Foreign { server, wrong } => (Dhcp::Foreign(*server), wrong.as_ref()),
            };
            Other::Dhcp(said, *about, why.map(|why| words.index(cut(why))))
        }
    };
    who.others.push((at, other));
}

/// The facts of a row, in the order of their times; none when it cannot be read.
pub fn decode(bytes: &[u8]) -> Option<Vec<Fact>> {
    let row: Row = serde_json::from_slice(bytes).ok()?;
    let word = |index: usize| row.words.get(index).map(|word| short(word));
    let mut facts = Vec::new();
    for who in &row.who {
        let mut put = |at: u64, what: What| {
            facts.push(Fact {
                at: Time(row.at.saturating_add(at)),
                mac: who.mac,
                address: who.at,
                what,
            });
        };
        for FileRow(at, name, end, bytes, millis, times, digest) in &who.files {
            let name = special(&word(*name)?, who.mac);
            let (own, end) = match end {
                0 | 1 => (*end == 1, End::Complete),
                2 => (false, End::Unconfirmed),
                3 => (false, End::Missing),
                4 => (false, End::Hidden),
                broken => (false, End::Broken(word(broken - 5)?)),
            };
            let (bytes, millis, times) = (*bytes, *millis, *times);
            let digest = digest.and_then(|index| row.digests.get(index).copied());
            put(*at, What::File(Fetched { name, end, bytes, millis, times, own, digest }));
        }
        for (at, other) in &who.others {
            let what = match other {
                Other::Registered(peer) => What::Registered(word(*peer)?),
                Other::Notified(result) => What::Notified(result.clone()),
                Other::Dhcp(said, about, why) => {
                    let why = why.and_then(word);
                    What::Dhcp(said.with(why), *about)
                }
            };
            put(*at, what);
        }
    }
    facts.sort_by_key(|fact| fact.at);
    (facts.len() <= FACTS_MAX).then_some(facts)
}

impl Dhcp {
    fn with(self, why: Option<String>) -> Said {
        match self {
            Self::Discover => Said::Discover,
            Self::Request => Said::Request,
            Self::Decline => Said::Decline,
            Self::Release => Said::Release,
            Self::Inform => Said::Inform,
            Self::Offer => Said::Offer,
            Self::Ack => Said::Ack,
            Self::Nak => Said::Nak(why.unwrap_or_default()),
            Self::Silent => Said::Silent(why.unwrap_or_default()),
            Self::Foreign(server) => Said::Foreign { server, wrong: why },
        }
    }
}

/// A name with its phone's address taken out, so that all phones have it in common.
fn general(name: &str, mac: Option<Mac>, word: &mut String) {
    word.clear();
    let mut rest = cut(name);
    if let Some(mac) = mac {
        let (lower, upper) = (mac.digits(), mac.digits().map(|digit| digit.to_ascii_uppercase()));
        let place = |digits: &[u8; 12], text: &str| {
            text.as_bytes().windows(12).position(|part| part == digits)
        };
        let (digits, sign) =
            if place(&upper, rest).is_some() { (upper, "{MAC}") } else { (lower, "{mac}") };
        while let Some(at) = place(&digits, rest) {
            word.push_str(&rest[..at]);
            word.push_str(sign);
            rest = &rest[at + 12..];
        }
    }
    word.push_str(rest);
}

fn special(name: &str, mac: Option<Mac>) -> String {
    match mac {
        Some(mac) => name.replace("{MAC}", &mac.upper()).replace("{mac}", &mac.lower()),
        None => name.to_owned(),
    }
}
