//! MACs that differ by one digit. Phones bought together do as well, so only those are told of that
//! look like a slip.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{Code, Diagnostic, Mac, Spanned};
use crate::model::peer::Peer;
use crate::model::tag::Tag;

pub(super) static NEAR: Code = Code {
    id: "H0460",
    title: "two MACs differ by one digit",
    explain: "One of them may be a slip: compare both with the labels of the phones. Phones bought \
              together often differ in the last digit or have many neighbours; those are told of only \
              when one of them lacks a line that the other has.",
};

/// Digits of a MAC.
const DIGITS: u32 = 12;

/// One phone: where it is named last, and the lines that its tags number.
struct Phone<'a> {
    mac: &'a Spanned<Mac>,
    order: usize,
    lines: BTreeSet<u8>,
}

type Phones<'a> = BTreeMap<u64, Phone<'a>>;

/// What looks like a slip, at the later tag of the two.
pub(super) fn near(peers: &[Arc<Peer>]) -> Vec<Diagnostic> {
    let phones = phones(peers);
    let mut pairs = BTreeMap::new();
    for (mac, phone) in phones.iter().filter(|(_, phone)| hole(phone).is_some()) {
        let mut fitting = neighbours(*mac).filter(|other| completes(phone, phones.get(other)));
        if let (Some(other), None) = (fitting.next(), fitting.next()) {
            pairs.entry(ordered(*mac, other)).or_insert(true);
        }
    }
    let lonely = lonely(&phones.keys().copied().collect::<Vec<_>>());
    // The last digit is the one that phones bought together differ in.
    for (one, other) in lonely.into_iter().filter(|(one, other)| (one ^ other) > 0xf) {
        pairs.entry((one, other)).or_insert(false);
    }
    pairs
        .into_iter()
        .filter_map(|((a, b), lines)| tell(phones.get(&a)?, phones.get(&b)?, lines))
        .collect()
}

fn phones(peers: &[Arc<Peer>]) -> Phones<'_> {
    let tags = peers.iter().filter_map(|peer| peer.tag.as_deref()).enumerate();
    let mut all: Vec<(u64, usize, &Tag)> =
        tags.map(|(order, tag)| (number(tag.mac.value), order, tag)).collect();
    all.sort_unstable_by_key(|(mac, order, _)| (*mac, *order));
    all.chunk_by(|a, b| a.0 == b.0).map(phone_of).collect()
}

fn phone_of<'a>(group: &[(u64, usize, &'a Tag)]) -> (u64, Phone<'a>) {
    let (mac, order, first) = group[0];
    let lines = group.iter().filter_map(|(_, _, tag)| tag.line.as_ref());
    (mac, Phone { mac: &first.mac, order, lines: lines.map(|line| line.value).collect() })
}

fn number(mac: Mac) -> u64 {
    mac.bytes().into_iter().fold(0, |sum, byte| sum << 8 | u64::from(byte))
}

fn ordered(a: u64, b: u64) -> (u64, u64) {
    (a.min(b), a.max(b))
}

/// The first line that is missing before one that is numbered.
fn hole(phone: &Phone<'_>) -> Option<u8> {
    let last = *phone.lines.last()?;
    (1..last).find(|line| !phone.lines.contains(line))
}

/// The other phone has the line that this one lacks, and none of its own.
fn completes(phone: &Phone<'_>, other: Option<&Phone<'_>>) -> bool {
    let Some(other) = other else { return false };
    hole(phone).is_some_and(|line| other.lines.contains(&line))
        && other.lines.is_disjoint(&phone.lines)
}

/// All MACs one digit away.
fn neighbours(mac: u64) -> impl Iterator<Item = u64> {
    (0..DIGITS).flat_map(move |digit| (1..16).map(move |change| mac ^ (change << (4 * digit))))
}

/// The pairs of MACs one digit apart of which neither has another neighbour: sorted once for each
/// digit, since neighbours by that digit are then next to each other.
fn lonely(macs: &[u64]) -> Vec<(u64, u64)> {
    let mut seen = vec![(0_usize, 0_usize); macs.len()];
    for digit in 0..DIGITS {
        let blank = !(0xf_u64 << (4 * digit));
        // Without the digit, and behind it the number of the MAC: the order is nearly the same for
        // each digit, which makes sorting quick.
        let mut order: Vec<u128> = macs
            .iter()
            .enumerate()
            .map(|(at, mac)| u128::from(mac & blank) << 64 | at as u128)
            .collect();
        order.sort();
        for group in order.chunk_by(|a, b| a >> 64 == b >> 64).filter(|group| group.len() > 1) {
            for (at, other) in group.iter().zip(group.iter().cycle().skip(1)) {
                let place = &mut seen[low(*at)];
                place.0 += group.len() - 1;
                place.1 = low(*other);
            }
        }
    }
    let mutual = |at: &usize| {
        let (count, other) = seen[*at];
        count == 1 && seen[other].0 == 1 && other > *at
    };
    (0..macs.len()).filter(mutual).map(|at| ordered(macs[at], macs[seen[at].1])).collect()
}

/// The number of the MAC.
fn low(packed: u128) -> usize {
    usize::try_from(packed & u128::from(u64::MAX)).unwrap_or_default()
}

fn tell(a: &Phone<'_>, b: &Phone<'_>, lines: bool) -> Option<Diagnostic> {
    let (first, second) = if a.order < b.order { (a, b) } else { (b, a) };
    let (text, place) = (format!("{} differs by one digit from", second.mac.value), first.mac.span);
    let text = format!("{text} {}, another tag's", first.mac.value);
    let diagnostic = if lines {
        let why = "the lines of the two would make one phone";
        Diagnostic::warning(&NEAR, format!("{text}: {why}"))
    } else {
        Diagnostic::note(&NEAR, text)
    };
    let help = "compare both with the labels of the phones";
    Some(diagnostic.at(second.mac.span).see(place, "the other one").help(help))
}
