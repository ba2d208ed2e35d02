//! A ladder from the rows of a manifest, for one target and the images that are there.

use std::collections::BTreeSet;

use minijinja::value::Value;

use super::{Ladder, Load, Program, Release, Row, Rung, Runs, Told};
use crate::base::Diagnostic;
use crate::family::images::{Images, Odd};
use crate::family::manifest::FirmwareFacts;
use crate::family::render::Context;
use crate::family::stage::{self, Stage};

impl Context<'_> {
    /// The way to a load whose images are there; none for a family without a ladder.
    pub fn ladder(&self, target: &str) -> Result<Option<Ladder>, Diagnostic> {
        let Some(facts) = self.family.firmware.as_ref().filter(|f| !f.ladder.is_empty()) else {
            return Ok(None);
        };
        let (names, images) = (self.around.statics, self.around.images);
        let there = There { facts, names, images, target, loader: facts.loader(target) };
        let mut rungs = Vec::new();
        for row in &facts.ladder {
            let load = there.load(row);
            let mut missing = there.missing(row, load.as_deref());
            missing.extend(later(&there, row));
            rungs.push(self.rung(row, load.unwrap_or_default(), missing)?);
        }
        let release = facts.release(target);
        let bars = |to: &Release| release.is_none_or(|release| release.may_be(to));
        Ok(Some(Ladder {
            family: self.family.name.clone(),
            target: target.to_owned(),
            loader: there.loader.clone(),
            top: facts.lowest,
            signs: signs(&self.family.stages),
            rungs,
            never: facts.never.iter().filter(|(_, to)| bars(to)).map(|(from, _)| *from).collect(),
        }))
    }

    fn rung(&self, row: &Row, load: String, missing: Vec<String>) -> Result<Rung, Diagnostic> {
        let mut context = self.common();
        context.insert("firmware", Value::from(load.as_str()));
        let mut files = Vec::new();
        for file in self.family.files.iter().filter(|f| row.told.contains(&f.pattern)) {
            if !load.is_empty() {
                let artifact = self.artifact(file, None, &context)?;
                let (bytes, digest) = (artifact.bytes(), artifact.digest);
                files.push(Told { name: artifact.name, bytes, digest });
            }
        }
        let keys = &self.family.keys;
        let key = keys.iter().map(|row| &row.name).find(|key| row.told.contains(key));
        Ok(Rung {
            at: row.at.clone(),
            key: key.cloned(),
            digest: self.around.key.digest("ladder", [load.as_bytes()]),
            files,
            without_own: row.without.is_some(),
            missing,
            load,
        })
    }
}

/// What is missing on the way on from where a step leads to.
fn later(there: &There<'_>, row: &Row) -> Vec<String> {
    let mut missing = Vec::new();
    let mut load = row.load;
    for _ in &there.facts.ladder {
        let runs = match load {
            Load::Target => break,
            Load::Loader => Runs { program: Program::Loader, signed: None, release: None },
            Load::Release(release) => {
                Runs { program: Program::Sip, signed: None, release: Some(release) }
            }
        };
        let Some(next) = there.facts.ladder.iter().find(|row| row.at.fits(&runs)) else { break };
        for what in there.missing(next, there.load(next).as_deref()) {
            if !missing.contains(&what) {
                missing.push(what);
            }
        }
        load = next.load;
    }
    missing
}

/// The images that a ladder is built from.
struct There<'a> {
    facts: &'a FirmwareFacts,
    names: &'a BTreeSet<String>,
    images: &'a Images,
    target: &'a str,
    loader: String,
}

impl There<'_> {
    fn load(&self, row: &Row) -> Option<String> {
        match row.load {
            Load::Target => Some(self.target.to_owned()),
            Load::Loader => Some(self.loader.clone()),
            Load::Release(wanted) => {
                let kinds: Vec<&str> =
                    row.needs.iter().filter_map(|need| need.strip_prefix("{load}")).collect();
                let load = |name: &String| {
                    let load = kinds.iter().find_map(|kind| name.strip_suffix(kind))?;
                    let release = self.facts.release(load)?;
                    release.may_be(&wanted).then(|| (release, load.to_owned()))
                };
                self.names.iter().filter_map(load).max().map(|(_, load)| load)
            }
        }
    }

    /// What is wrong about the images of a step, in words.
    fn missing(&self, row: &Row, load: Option<&str>) -> Vec<String> {
        let Some(load) = load else {
            let kind = row.needs.first().and_then(|need| need.strip_prefix("{load}"));
            let what = match row.load {
                Load::Release(release) => format!("{}…{release}", self.facts.load_prefix),
                _ => self.target.to_owned(),
            };
            let kind = kind.unwrap_or_default();
            return vec![format!("there is no `{kind}` image of {what} in the root of [tftp]")];
        };
        let needs = row.needs.iter().map(|need| need.replace("{load}", load));
        let set = (row.load == Load::Target).then(|| self.facts.set(self.target));
        let set = set.into_iter().flatten();
        needs.chain(set).filter_map(|name| self.wrong(&name)).collect()
    }

    fn wrong(&self, name: &str) -> Option<String> {
        if !self.names.contains(name) {
            return Some(format!("`{name}` is not in the root of [tftp]"));
        }
        let odd = self.images.get(name)?.odd(name, self.facts);
        let odd: Vec<String> = odd.iter().filter(|o| o.bars()).map(Odd::to_string).collect();
        (!odd.is_empty()).then(|| format!("`{name}`: {}", odd.join(", ")))
    }
}

/// What single requests tell, by the family's stages: the list of a loader begins; only call-manager
/// software asks for this name of a phone's own; the application that a loader leads to begins.
fn signs(stages: &[Stage]) -> Vec<(String, Program)> {
    let of = |runs| stages.iter().filter(move |stage| stage.runs == runs);
    let first = |stage: &Stage| stage.requests.first().map(|request| request.pattern.clone());
    let asks = |stage: &Stage, name: &str| stage.requests.iter().any(|r| r.pattern == name);
    let others = |name: &str| stages.iter().any(|s| s.runs != stage::Runs::Sccp && asks(s, name));
    let mut signs: Vec<(String, Program)> = Vec::new();
    let mut add = |name: String, program| {
        if !signs.iter().any(|(known, _)| *known == name) {
            signs.push((name, program));
        }
    };
    of(stage::Runs::Loader).filter_map(first).for_each(|name| add(name, Program::Loader));
    let led = of(stage::Runs::Sip).filter(|stage| stage.after.is_some());
    led.filter_map(first).for_each(|name| add(name, Program::Sip));
    for request in of(stage::Runs::Sccp).flat_map(|stage| &stage.requests) {
        if request.pattern.contains("{MAC}") && !others(&request.pattern) {
            add(request.pattern.clone(), Program::Sccp);
        }
    }
    signs
}
