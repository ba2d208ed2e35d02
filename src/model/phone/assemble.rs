//! Peers with tags → phones: lines, model, family. What does not add up holds back the phone that it
//! concerns and no other (asterisk-conf.md §2.3, items 6 to 9).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Line, Phone};
use crate::base::nearest::nearest;
use crate::base::{Code, Diagnostic, Mac, Span, Spanned};
use crate::model::peer::{Peer, Refused};
use crate::model::site::Site;
use crate::model::tag::Tag;

/// What a family says about one of its models. Order matters: with no model named anywhere, a phone
/// is taken for the first model of the default family that has enough lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// The family, as `cisco-79x0`.
    pub family: Arc<str>,
    /// The model, as `7960`.
    pub model: Arc<str>,
    /// How many lines it has.
    pub lines: u8,
}

/// Every phone that the tags name: whole, or held back.
#[derive(Clone, Debug, Default)]
pub struct Assembly {
    /// Phones that may get files.
    pub phones: BTreeMap<Mac, Phone>,
    /// Phones that keep the files that they have, and why in a few words.
    pub held: BTreeMap<Mac, String>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// All codes of this module.
pub static CODES: &[&Code] =
    &[&SAME_LINE, &HOLE, &CONFLICT, &UNKNOWN_MODEL, &TOO_MANY_LINES, &UNKNOWN_PROFILE, &NO_GUEST];

static SAME_LINE: Code = Code {
    id: "H0420",
    title: "one line of a phone is claimed twice",
    explain: "Two tags with the same MAC also have the same `line=`. Give each its own number, or \
              leave `line=` out: the free numbers are then given in the order of the file.",
};

static HOLE: Code = Code {
    id: "H0421",
    title: "the lines of a phone have a hole",
    explain: "The lines of a phone are 1, 2, … without a gap, and there is always a line 1. The \
              phone keeps its last good files until the missing line is tagged or the numbers are \
              changed.",
};

static CONFLICT: Code = Code {
    id: "H0422",
    title: "the tags of a phone contradict each other",
    explain: "All tags with one MAC speak of one device: `model=`, `profile=`, `firmware=` and `ip=` \
              may stand in any of them, but must not differ.",
};

static UNKNOWN_MODEL: Code = Code {
    id: "H0423",
    title: "unknown model",
    explain: "No family knows the model named in the tag or in default_model.",
};

static TOO_MANY_LINES: Code = Code {
    id: "H0424",
    title: "more lines than the model has",
    explain: "More peers carry the MAC than the phone has lines. Tag fewer, or name the right model \
              with `model=` in the tag or `default_model` in handset.conf.",
};

static UNKNOWN_PROFILE: Code = Code {
    id: "H0425",
    title: "the profile has no section",
    explain: "`profile=` in a tag names a section [FAMILY/PROFILE] of handset.conf whose keys apply \
              to the phone. There is none of that name, so nothing applies.",
};

static NO_GUEST: Code = Code {
    id: "H0429",
    title: "a claim stands in for no line",
    explain: "`guest=` in a tag names the guest peer whose place this peer takes on the phone, as long as it is \
              claimed there. The phone has no such line (any more), so the peer is a line of its own. Log out at \
              the phone, or take the tag away: handset untag.",
};

/// A peer with its tag.
#[derive(Clone, Copy)]
struct Tagged<'a> {
    /// What is said about the phone; where the peer stands in for a guest, the guest's.
    tag: &'a Tag,
    peer: &'a Arc<Peer>,
    /// The peer's own.
    own: &'a Tag,
}

/// Why a phone is held back.
type Trouble = Box<Diagnostic>;

/// Makes phones of the peers that carry tags. Phones of `refused` tags are held back without a
/// further message.
pub fn assemble<'a>(
    peers: &'a [Arc<Peer>],
    refused: &[Refused],
    models: &[ModelFacts],
    site: &Site,
) -> Assembly {
    let mut assembly = Assembly::default();
    for refused in refused {
        assembly.held.entry(refused.mac.value).or_insert_with(|| refused.reason.clone());
    }
    let tagged = |peer: &'a Arc<Peer>| {
        let tag = peer.tag.as_ref()?;
        Some(Tagged { tag, peer, own: tag })
    };
    let mut all: Vec<Tagged<'_>> = peers.iter().filter_map(tagged).collect();
    // Those of one phone stay in load order.
    all.sort_by_key(Tagged::mac);
    let mut phones = Vec::with_capacity(all.len());
    for group in all.chunk_by(|a, b| a.mac() == b.mac()) {
        let mac = group[0].mac();
        if !assembly.held.contains_key(&mac) {
            phones.extend(assembly.phone(mac, group, models, site).map(|phone| (mac, phone)));
        }
    }
    assembly.phones = phones.into_iter().collect();
    assembly
}

impl Tagged<'_> {
    fn mac(&self) -> Mac {
        self.tag.mac.value
    }
}

impl Assembly {
    fn phone(
        &mut self,
        mac: Mac,
        group: &[Tagged<'_>],
        models: &[ModelFacts],
        site: &Site,
    ) -> Option<Phone> {
        let claimed;
        let mut group = group;
        if group.iter().any(|t| t.own.guest.is_some()) {
            let (lines, lost) = stand_in(group);
            self.diagnostics.extend(lost);
            claimed = lines;
            group = &claimed;
        }
        match build(mac, group, models, site) {
            Ok(phone) => {
                self.diagnostics.extend(profile_trouble(&phone, site));
                Some(phone)
            }
            Err(trouble) => {
                self.held.insert(mac, trouble.message.clone());
                self.diagnostics.push(*trouble);
                None
            }
        }
    }
}

/// The lines of a phone, where each claimed peer has the place of its guest; and what is wrong with claims.
fn stand_in<'a>(group: &[Tagged<'a>]) -> (Vec<Tagged<'a>>, Vec<Diagnostic>) {
    let (claims, mut lines): (Vec<_>, Vec<_>) =
        group.iter().copied().partition(|t| t.own.guest.is_some());
    let mut lost = Vec::new();
    for claim in claims {
        let Some(guest) = &claim.own.guest else { continue };
        let is = |line: &&mut Tagged<'_>| {
            line.peer.tech == claim.peer.tech && line.peer.name.value == guest.value
        };
        if let Some(place) = lines.iter_mut().find(is) {
            *place = Tagged { tag: place.tag, ..claim };
            continue;
        }
        let text = format!("{} has no line {} to stand in for", claim.mac(), guest.value);
        let help = "log out at the phone, or take the tag away: handset untag";
        lost.push(Diagnostic::warning(&NO_GUEST, text).at(guest.span).help(help));
        lines.push(claim);
    }
    (lines, lost)
}

fn build(
    mac: Mac,
    group: &[Tagged<'_>],
    models: &[ModelFacts],
    site: &Site,
) -> Result<Phone, Trouble> {
    let model = one_of(mac, "model", group.iter().map(|t| t.tag.model.as_ref()))?;
    let profile = one_of(mac, "profile", group.iter().map(|t| t.tag.profile.as_ref()))?;
    let firmware = one_of(mac, "firmware", group.iter().map(|t| t.tag.firmware.as_ref()))?;
    let ip = agreed(mac, "ip", group.iter().map(|t| t.tag.ip.as_ref()), PartialEq::eq)?;
    let numbers = numbers(mac, group)?;
    let facts = match model {
        Some(model) => named(model, models, site)?,
        None => unnamed(mac, group, models, site)?,
    };
    if group.len() > usize::from(facts.lines) {
        return Err(too_many(mac, group, facts));
    }
    let mut lines: Vec<Line> = group.iter().zip(numbers).map(line).collect();
    lines.sort_by_key(|line| line.number);
    let (family, model) = (facts.family.clone(), facts.model.clone());
    let profile = profile.map(|profile| profile.value.to_ascii_lowercase());
    let firmware = firmware.map(|firmware| firmware.value.clone());
    Ok(Phone { mac, family, model, profile, firmware, ip: ip.cloned(), lines })
}

fn line((Tagged { own, peer, .. }, number): (&Tagged<'_>, u8)) -> Line {
    let label = own.label.as_ref().map(|label| label.value.clone()).unwrap_or_default();
    Line { number, label, peer: Arc::clone(peer) }
}

/// The word that the tags of one phone agree on, in any case.
fn one_of<'a>(
    mac: Mac,
    what: &str,
    values: impl Iterator<Item = Option<&'a Spanned<String>>>,
) -> Result<Option<&'a Spanned<String>>, Trouble> {
    agreed(mac, what, values, |a, b| a.eq_ignore_ascii_case(b))
}

/// The value that the tags of one phone agree on.
fn agreed<'a, T>(
    mac: Mac,
    what: &str,
    mut values: impl Iterator<Item = Option<&'a Spanned<T>>>,
    same: impl Fn(&T, &T) -> bool,
) -> Result<Option<&'a Spanned<T>>, Trouble> {
    let Some(first) = values.find_map(|v| v) else { return Ok(None) };
    match values.flatten().find(|other| !same(&other.value, &first.value)) {
        None => Ok(Some(first)),
        Some(other) => Err(Box::new(
            Diagnostic::error(&CONFLICT, format!("the tags of {mac} name two different {what}s"))
                .at(other.span)
                .see(first.span, "the other one")
                .help(format!("name the {what} once")),
        )),
    }
}

/// The number of each line: the tag's own, else the lowest free one.
fn numbers(mac: Mac, group: &[Tagged<'_>]) -> Result<Vec<u8>, Trouble> {
    let mut taken: Vec<&Spanned<u8>> = Vec::new();
    for number in group.iter().filter_map(|t| t.tag.line.as_ref()) {
        if let Some(other) = taken.iter().rfind(|other| ***other == *number) {
            return Err(same_line(mac, number, other.span));
        }
        taken.push(number);
    }
    let mut free = (1..=u8::MAX).filter(|n| !taken.iter().any(|number| number.value == *n));
    let given = group.iter().map(|t| t.tag.line.as_ref().map(|line| line.value));
    // With more tags than numbers the model has too few lines as well; 255 then stands for all.
    let numbers = given.map(|line| line.or_else(|| free.next()).unwrap_or(u8::MAX)).collect();
    let last = taken.iter().max_by_key(|number| number.value);
    match free.next().and_then(|gap| last.filter(|last| last.value > gap).map(|last| (gap, last))) {
        Some((gap, last)) => Err(hole(mac, gap, last.span)),
        None => Ok(numbers),
    }
}

fn same_line(mac: Mac, number: &Spanned<u8>, other: Span) -> Trouble {
    let text = format!("line {} of {mac} is claimed twice", number.value);
    Box::new(
        Diagnostic::error(&SAME_LINE, text)
            .at(number.span)
            .see(other, "also here")
            .help("give one of them another line"),
    )
}

fn hole(mac: Mac, gap: u8, last: Span) -> Trouble {
    let text = format!("{mac} has no line {gap}");
    let trouble = Diagnostic::error(&HOLE, text).at(last);
    Box::new(trouble.help(format!("tag the peer of line {gap}, or change this number")))
}

/// The facts of a model that a tag names: of the default family first.
fn named<'a>(
    model: &Spanned<String>,
    models: &'a [ModelFacts],
    site: &Site,
) -> Result<&'a ModelFacts, Trouble> {
    find(model, models, site).ok_or_else(|| Box::new(unknown(model, models).at(model.span)))
}

fn find<'a>(model: &str, models: &'a [ModelFacts], site: &Site) -> Option<&'a ModelFacts> {
    let called = |facts: &&ModelFacts| facts.model.eq_ignore_ascii_case(model);
    let home = models.iter().filter(|facts| *facts.family == *site.default_family);
    home.chain(models).find(called)
}

fn unknown(model: &str, models: &[ModelFacts]) -> Diagnostic {
    let trouble = Diagnostic::error(&UNKNOWN_MODEL, format!("no family knows the model {model}"));
    match nearest(model, models.iter().map(|facts| &*facts.model)) {
        Some(near) => trouble.help(format!("did you mean {near}?")),
        None => trouble.help("name a model of a known family"),
    }
}

/// The facts for a phone whose tags name no model: `default_model`, else the first model of the
/// default family with enough lines, else its largest.
fn unnamed<'a>(
    mac: Mac,
    group: &[Tagged<'_>],
    models: &'a [ModelFacts],
    site: &Site,
) -> Result<&'a ModelFacts, Trouble> {
    let family = &site.default_family;
    if let Some(model) = site.families.get(family).and_then(|f| f.keys.get("default_model")) {
        return find(model, models, site)
            .ok_or_else(|| Box::new(unknown(model, models).at(model.span)));
    }
    let home = || models.iter().filter(|facts| *facts.family == **family);
    let fits = home().find(|facts| usize::from(facts.lines) >= group.len());
    fits.or_else(|| home().max_by_key(|facts| facts.lines)).ok_or_else(|| {
        let text = format!("the model of {mac} is not known: there is no family {family}");
        let trouble = Diagnostic::error(&UNKNOWN_MODEL, text).help("set default_family");
        Box::new(group.iter().take(1).fold(trouble, |t, first| t.at(first.tag.span())))
    })
}

fn too_many(mac: Mac, group: &[Tagged<'_>], facts: &ModelFacts) -> Trouble {
    let (model, lines, tags) = (&facts.model, facts.lines, group.len());
    let text = format!("{mac} has {tags} tags, but a {model} has {lines} lines");
    let mut places = group.iter().rev().map(|t| t.tag.span());
    let mut trouble = Diagnostic::error(&TOO_MANY_LINES, text);
    trouble.span = places.next();
    let trouble = places.next_back().into_iter().fold(trouble, |t, s| t.see(s, "the first tag"));
    Box::new(trouble.help("tag fewer peers, or name the right model with model="))
}

fn profile_trouble(phone: &Phone, site: &Site) -> Option<Diagnostic> {
    let profile = phone.profile.as_ref()?;
    let section = format!("{}/{profile}", phone.family);
    let known = site.families.contains_key(&section);
    let tags = phone.lines.iter().filter_map(|line| line.peer.tag.as_ref());
    let span = tags.filter_map(|tag| tag.profile.as_ref()).map(|p| p.span).next();
    let mut trouble = Diagnostic::warning(
        &UNKNOWN_PROFILE,
        format!("handset.conf has no section [{section}] for the profile of {}", phone.mac),
    )
    .help(format!("add [{section}] to handset.conf"));
    trouble.span = span;
    (!known).then_some(trouble)
}

#[cfg(test)]
mod tests;
