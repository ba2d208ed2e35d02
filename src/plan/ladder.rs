//! Where a phone stands on the firmware ladder, and what it is given there. What the steps are:
//! [`crate::family::ladder`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::generation::PhonePart;
use super::observed::Seen;
use super::offer::Offer;
use crate::base::{Digest, FileName, Mac, Time};
use crate::family::ladder::{Fetched, Ladder, Next, Program, Release, Runs};
use crate::family::{Role, Variant};

/// What was observed of a phone's way up.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Climb {
    /// What it is proved to run.
    pub runs: Option<Runs>,
    /// The load of which it fetched a program to the end, and has not shown yet that it runs it.
    pub arriving: Option<String>,
    /// When one of these two changed last.
    pub since: Time,
    /// How often it was told each load, or fetched it, lately.
    pub tries: BTreeMap<String, Tries>,
    /// Why it is off the ladder.
    pub off: Option<String>,
}

/// How often a load was tried without getting anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tries {
    /// The file that names it was fetched.
    pub told: u32,
    /// Its program was fetched.
    pub fetched: u32,
    /// The last time.
    pub at: Time,
}

/// A phone that was told the same load more often, and does not fetch it, is taken off.
const TOLD: u32 = 6;
/// A phone that fetched the same load more often does not keep it.
const FETCHED: u32 = 3;
/// An application that does not show while its loader asked more often is not there.
const STARTS: u32 = 3;
/// Older tries do not count: each step takes minutes.
const LATELY: Duration = Duration::from_secs(6 * 3600);
/// So many loads are counted.
const LOADS: usize = 8;

/// What of a phone's part it is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Given {
    /// Files that name no load.
    #[default]
    Plain,
    /// Files that all name the target.
    Target,
    /// Those of a step, by its number.
    Rung(u8),
}

/// What a phone is given, by the program that asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Choice {
    /// Its application.
    pub usual: Given,
    /// Its universal loader, which searches for a file that names a load.
    pub hunting: Given,
}

/// One file, as it is given.
#[derive(Clone, Debug)]
pub struct GivenFile {
    /// Its bytes.
    pub bytes: Bytes,
    /// What fetching it means.
    pub role: Role,
    /// Holds a password.
    pub secret: bool,
    /// The sync token for [`Role::Own`] and [`Role::Sync`], else the digest of the bytes.
    pub digest: Digest,
}

impl Climb {
    /// The clock was set back: nothing lies in the future.
    pub fn set_back(&mut self, now: Time) {
        let tries = self.tries.values_mut().map(|tries| &mut tries.at);
        tries.chain([&mut self.since]).for_each(|at| at.set_back(now));
    }

    /// A name was asked for that only one program asks for.
    pub fn sign(&mut self, ladder: &Ladder, program: Program, now: Time) {
        let runs = match (program, self.runs) {
            (Program::Sip, _) => return,
            // An application that is known may start through the loader, too.
            (Program::Loader, Some(runs))
                if runs.program == Program::Sip && !self.lost(ladder, &runs, now) =>
            {
                return;
            }
            (Program::Sccp, Some(runs)) if runs.program == Program::Sccp => {
                self.arriving = None;
                return;
            }
            (program, _) => {
                let signed = (program == Program::Loader).then_some(true);
                Runs { program, signed, release: None }
            }
        };
        if self.runs != Some(runs) {
            (self.runs, self.arriving, self.since) = (Some(runs), None, now);
        }
    }

    /// It fetched its own file to the end: behind the image of an application on the way, that is the one
    /// that asks, for nothing that ran before asks for it.
    pub fn own_file(&mut self, ladder: &Ladder, now: Time) {
        let way = |load: &&String| **load != ladder.target && **load != ladder.loader;
        let arrived = self.arriving.as_deref().map(str::to_owned);
        let release = arrived.as_ref().filter(way).and_then(|load| release_of(load));
        let before = self.runs.filter(|runs| runs.program == Program::Sccp);
        if let (Some(release), Some(_)) = (release, before) {
            let signed = Some(release.major >= 5);
            let runs = Runs { program: Program::Sip, signed, release: Some(release) };
            (self.runs, self.arriving, self.since) = (Some(runs), None, now);
        }
    }

    /// Whether a loader asks in the place of an application that was known: it fetched that loader, or it
    /// asks again and again, and no application that takes the target by itself is known.
    fn lost(&mut self, ladder: &Ladder, runs: &Runs, now: Time) -> bool {
        if runs.release.is_some_and(|release| release.major >= ladder.top) {
            return false;
        }
        if self.arriving.as_ref() == Some(&ladder.loader) {
            return true;
        }
        let tries = self.tried("loader", now);
        tries.told += 1;
        tries.told > STARTS
    }

    /// It registered, and called itself by a name that only this major release uses.
    pub fn agent(&mut self, major: u16, now: Time) {
        let known = self.runs.and_then(|runs| runs.release);
        let arrived = self.arriving.as_ref().and_then(|load| release_of(load));
        let same = |release: &Release| release.major == major;
        let release = arrived.filter(same).or(known.filter(same));
        let release = release.unwrap_or(Release { major, minor: None, patch: None });
        let runs = Runs { program: Program::Sip, signed: Some(major >= 5), release: Some(release) };
        if self.runs != Some(runs) || self.arriving.is_some() {
            (self.runs, self.arriving, self.since) = (Some(runs), None, now);
        }
    }

    /// It fetched a file that names this load.
    pub fn told(&mut self, load: &str, now: Time) {
        let tries = self.tried(load, now);
        tries.told += 1;
        if tries.told > TOLD {
            self.leave(format!("it was told {load} {TOLD} times, and did not take it"));
        }
    }

    /// It fetched an image to the end.
    pub fn fetched(&mut self, ladder: &Ladder, name: &str, now: Time) {
        let Some(Fetched::Image { .. }) = ladder.image(name) else { return };
        let Some((load, kind)) = name.rsplit_once('.') else { return };
        self.asked(kind);
        let tries = self.tried(load, now);
        tries.fetched += 1;
        tries.told = 0;
        if tries.fetched > FETCHED {
            self.leave(format!("it fetched {name} {FETCHED} times, and does not keep it"));
        }
        (self.arriving, self.since) = (Some(load.to_owned()), now);
    }

    /// It asked for an image of this kind: that tells whether its call-manager software takes signed
    /// ones only.
    pub fn asked(&mut self, kind: &str) {
        if let Some(runs) = self.runs.as_mut().filter(|runs| runs.program == Program::Sccp) {
            runs.signed = match kind {
                "sbn" | "sb2" | "loads" => Some(true),
                "bin" => Some(false),
                _ => runs.signed,
            };
        }
    }

    fn tried(&mut self, load: &str, now: Time) -> &mut Tries {
        self.tries.retain(|_, tries| now.since(tries.at) < LATELY);
        while self.tries.len() >= LOADS && !self.tries.contains_key(load) {
            self.tries.pop_first();
        }
        let tries = self.tries.entry(load.to_owned()).or_default();
        tries.at = now;
        tries
    }

    fn leave(&mut self, why: String) {
        self.off.get_or_insert(why);
    }

    /// Back onto the ladder.
    pub fn retry(&mut self) -> bool {
        self.tries.clear();
        self.off.take().is_some()
    }
}

/// The release that a load's name tells: what is behind the first `-`, or the prefix.
fn release_of(load: &str) -> Option<Release> {
    Release::read(load.split_once('-')?.1)
}

impl PhonePart {
    /// The load that the phone shall run in the end.
    pub fn target(&self) -> Option<&str> {
        let last = self.variants.iter().max_by(|a, b| a.step.cmp(&b.step))?;
        Some(last.step.0.as_str()).filter(|load| !load.is_empty())
    }

    /// The files that are given.
    pub fn given(&self, given: Given, ladder: Option<&Ladder>) -> Option<Cow<'_, Variant>> {
        let plain = self.chosen(false)?;
        let rung = |number: u8| ladder?.rungs.get(usize::from(number))?.keyed(plain);
        Some(match given {
            Given::Plain => Cow::Borrowed(plain),
            Given::Target => Cow::Borrowed(self.chosen(true)?),
            Given::Rung(number) => rung(number).map_or(Cow::Borrowed(plain), Cow::Owned),
        })
    }

    /// One file of them.
    pub fn file(
        &self,
        given: Given,
        ladder: Option<&Ladder>,
        name: &FileName,
    ) -> Option<GivenFile> {
        let rung = match given {
            Given::Rung(number) => ladder.and_then(|l| l.rungs.get(usize::from(number))),
            Given::Plain | Given::Target => None,
        };
        if let Some(told) = rung.and_then(|rung| rung.files.iter().find(|t| t.name == *name)) {
            let (bytes, digest) = (told.bytes.clone(), told.digest);
            return Some(GivenFile { bytes, role: Role::Firmware, secret: false, digest });
        }
        let variant = self.given(given, ladder)?;
        let artifact = variant.artifacts.iter().find(|a| a.name == *name)?;
        if artifact.role == Role::Own && rung.is_some_and(|rung| rung.without_own) {
            return None;
        }
        let digest = match artifact.role {
            Role::Own | Role::Sync => variant.token,
            _ => artifact.digest,
        };
        let (role, secret) = (artifact.role, artifact.secret);
        Some(GivenFile { bytes: artifact.bytes(), role, secret, digest })
    }
}

const LOADER: Runs = Runs { program: Program::Loader, signed: Some(true), release: None };

impl Offer {
    /// The way of a phone, if it has one.
    pub fn ladder(&self, part: &PhonePart) -> Option<&Ladder> {
        let ladders = &self.newest.ladders;
        if ladders.is_empty() {
            return None;
        }
        let target = part.target()?;
        ladders.iter().find(|ladder| ladder.target == target && *ladder.family == *part.family)
    }

    /// What a phone is given, by what is known of it.
    pub fn choice(&self, part: &PhonePart, seen: Option<&Seen>) -> Choice {
        let both = |given| Choice { usual: given, hunting: given };
        if part.target().is_none() {
            return both(Given::Plain);
        }
        let signed = seen.is_some_and(|seen| seen.signed);
        let climb = seen.and_then(|seen| seen.climb.as_deref());
        if climb.is_some_and(|climb| climb.off.is_some()) {
            return both(Given::Plain);
        }
        let runs = climb.and_then(|climb| climb.runs);
        let Some(ladder) = self.ladder(part).filter(|_| runs.is_some() || !signed) else {
            return both(if signed { Given::Target } else { Given::Plain });
        };
        let step = |runs: Option<&Runs>| match ladder.next(runs) {
            Next::Take(number, _) => u8::try_from(number).map_or(Given::Plain, Given::Rung),
            Next::Top => Given::Target,
            Next::Not(_) => Given::Plain,
        };
        let arriving = climb.and_then(|climb| climb.arriving.as_deref());
        let usual = step(runs.as_ref());
        let loader = step(Some(&LOADER));
        match runs.map(|runs| runs.program) {
            Some(Program::Sip) if arriving == Some(&ladder.loader) && usual != Given::Target => {
                Choice { usual, hunting: loader }
            }
            Some(Program::Sip) => both(usual),
            Some(Program::Loader) if arriving == Some(&ladder.target) => both(Given::Target),
            Some(Program::Loader) if loader == Given::Plain => both(Given::Plain),
            Some(Program::Loader) => Choice { usual: Given::Target, hunting: loader },
            Some(Program::Sccp) | None => Choice { usual, hunting: loader },
        }
    }

    /// The sync token that a phone shall run.
    pub fn wanted(&self, part: &PhonePart, seen: Option<&Seen>) -> Option<Digest> {
        let given = self.choice(part, seen).usual;
        Some(part.given(given, self.ladder(part))?.token)
    }

    /// The program that this name is a sign of, for a phone; with no phone, for any.
    pub fn sign(&self, name: &str, mac: Option<Mac>) -> Option<Program> {
        if self.newest.ladders.is_empty() {
            return None;
        }
        match mac {
            Some(mac) => self.ladder(self.phones.get(&mac)?)?.sign(name, Some(mac)),
            None => self.newest.ladders.iter().find_map(|ladder| ladder.sign(name, None)),
        }
    }
}

/// Where a phone stands on its ladder, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stands {
    /// The load at the end.
    pub target: String,
    /// What it is proved to run.
    pub runs: Option<Runs>,
    /// The load that it fetched and shall run next.
    pub arriving: Option<String>,
    /// The load that it is told next.
    pub next: Option<String>,
    /// Why nothing is.
    pub stays: Option<String>,
    /// It was taken off the ladder, and why.
    pub off: Option<String>,
}

/// Where a phone stands; none for one without a ladder.
pub fn stands(offer: &Offer, part: &PhonePart, seen: Option<&Seen>) -> Option<Stands> {
    let ladder = offer.ladder(part)?;
    let climb = seen.and_then(|seen| seen.climb.as_deref());
    let known = Release { major: ladder.top, minor: None, patch: None };
    let signed = seen.is_some_and(|seen| seen.signed);
    let runs = climb.and_then(|climb| climb.runs);
    let assumed = Runs { program: Program::Sip, signed: Some(true), release: Some(known) };
    let effective = runs.or(signed.then_some(assumed));
    let (next, stays) = match ladder.next(effective.as_ref()) {
        Next::Take(_, rung) => (Some(rung.load.clone()), None),
        Next::Top => (None, None),
        Next::Not(why) => (None, Some(why)),
    };
    let off = climb.and_then(|climb| climb.off.clone());
    Some(Stands {
        target: ladder.target.clone(),
        runs,
        arriving: climb.and_then(|climb| climb.arriving.clone()),
        next: next.filter(|_| off.is_none()),
        stays,
        off,
    })
}

#[cfg(test)]
mod tests;
