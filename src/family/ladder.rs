//! The firmware ladder: which load a phone is told next, by what it is proved to run (phones.md §2.6).
//! The rows stand in the manifest; a [`Ladder`] is what they come to for one target and the images that
//! are there. Names of loads are never made up or normalised: a name is that of a file.

mod build;

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::manifest::FirmwareFacts;
use super::{Role, Variant};
use crate::base::{Body, Digest, FileName, Mac};

/// A program that a phone runs while it asks for files (phones.md §2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// The application for call managers that these phones leave the factory with.
    Sccp,
    /// The SIP application.
    Sip,
    /// The universal application loader.
    Loader,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sccp => "SCCP",
            Self::Sip => "SIP",
            Self::Loader => "universal loader",
        })
    }
}

/// A release, for comparing. User-Agents tell the major number only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Release {
    /// 8 of `P0S3-08-11-00`.
    pub major: u16,
    /// 11 of it.
    pub minor: Option<u16>,
    /// 0 of it.
    pub patch: Option<u16>,
}

impl Release {
    /// From `5`, `5.3`, `8-11-00`.
    pub fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split(['.', '-']).map(|n| n.parse::<u16>().ok());
        let major = numbers.next()??;
        let (minor, patch) = (numbers.next(), numbers.next());
        let release = Self { major, minor: minor.flatten(), patch: patch.flatten() };
        (minor.is_none_or(|n| n.is_some()) && patch.is_none_or(|n| n.is_some())).then_some(release)
    }

    /// Whether the two may be the same, as far as both are known.
    pub fn may_be(&self, other: &Self) -> bool {
        let same = |a: Option<u16>, b: Option<u16>| a.is_none() || b.is_none() || a == b;
        self.major == other.major && same(self.minor, other.minor) && same(self.patch, other.patch)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.major)?;
        self.minor.map_or(Ok(()), |minor| write!(f, ".{minor}"))
    }
}

/// What a phone is proved to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Runs {
    /// The program.
    pub program: Program,
    /// Whether it takes signed images only; none: not known.
    pub signed: Option<bool>,
    /// The application's release, as far as it is known.
    pub release: Option<Release>,
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program)?;
        if let Some(release) = self.release {
            write!(f, " {release}")?;
        }
        match (self.program, self.signed) {
            (Program::Sccp, Some(true)) => f.write_str(" (signed)"),
            (Program::Sccp, Some(false)) => f.write_str(" (unsigned)"),
            _ => Ok(()),
        }
    }
}

/// A row of `[ladder]`: `sip 5..6 => OS79XX.TXT image_version, loader, needs {load}.sbn`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Where a phone stands.
    pub at: At,
    /// The files and keys that tell it.
    pub told: Vec<String>,
    /// What it is told.
    pub load: Load,
    /// The images that must be there; `{load}` stands for what it is told.
    pub needs: Vec<String>,
    /// The phone's own file is withheld.
    pub without: Option<String>,
}

/// Where a phone stands, for a row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct At {
    program: Program,
    signed: Option<bool>,
    releases: Option<(u16, u16)>,
}

/// What a row tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Load {
    /// The load that the setting names.
    Target,
    /// The loader of the same set.
    Loader,
    /// The SIP load of this release that lies in the static root.
    Release(Release),
}

impl At {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let program = match words.next()? {
            "sccp" => Program::Sccp,
            "sip" => Program::Sip,
            "loader" => Program::Loader,
            _ => return None,
        };
        let mut at = Self { program, signed: None, releases: None };
        for word in words {
            match word {
                "signed" => at.signed = Some(true),
                releases => {
                    let (from, to) = releases.split_once("..").unwrap_or((releases, releases));
                    at.releases = Some((from.parse().ok()?, to.parse().ok()?));
                }
            }
        }
        Some(at)
    }

    fn fits(&self, runs: &Runs) -> bool {
        let within = |(from, to): (u16, u16)| {
            runs.release.is_some_and(|release| (from..=to).contains(&release.major))
        };
        self.program == runs.program
            && self.signed.is_none_or(|signed| runs.signed == Some(signed))
            && self.releases.is_none_or(within)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program)?;
        match self.releases {
            Some((from, to)) if from == to => write!(f, " {from}")?,
            Some((from, to)) => write!(f, " {from} to {to}")?,
            None => {}
        }
        f.write_str(if self.signed == Some(true) { ", signed" } else { "" })
    }
}

impl Row {
    /// Reads a row, or tells what is wrong with it.
    pub(super) fn read(at: &str, text: &str) -> Result<Self, String> {
        let at = At::read(at).ok_or("a phone stands at `sccp`, `sip A..B` or `loader`")?;
        let mut words = text.split(',').map(str::trim);
        let told = words.next().unwrap_or_default();
        let told: Vec<String> = told.split_ascii_whitespace().map(str::to_owned).collect();
        let load = match words.next().unwrap_or_default() {
            "load" => Load::Target,
            "loader" => Load::Loader,
            other => {
                let release = other.strip_prefix("release ").and_then(Release::read);
                Load::Release(release.ok_or("it is told `load`, `loader` or `release N.N`")?)
            }
        };
        let mut row = Self { at, told, load, needs: Vec::new(), without: None };
        for word in words {
            match word.split_once(' ') {
                Some(("needs", image)) => row.needs.push(image.trim().to_owned()),
                Some(("without", file)) => row.without = Some(file.trim().to_owned()),
                _ => return Err(format!("`{word}` is neither `needs` nor `without`")),
            }
        }
        Ok(row)
    }
}

/// The way of one family's phones to one load.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ladder {
    /// The family.
    pub family: String,
    /// The load at the end.
    pub target: String,
    /// The loader of the same set.
    pub loader: String,
    /// The first major release that takes the target by itself.
    pub top: u16,
    /// Names, and the program that asks for them.
    pub signs: Vec<(String, Program)>,
    /// The steps.
    pub rungs: Vec<Rung>,
    /// The releases from which there is no way to the target.
    pub never: Vec<Release>,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rung {
    /// Who stands there.
    pub at: At,
    /// What is told; empty when no such load is there.
    pub load: String,
    /// The key of the own file that names it, too.
    pub key: Option<String>,
    /// Goes into the sync token of a file that names it.
    pub digest: Digest,
    /// The files that name it.
    pub files: Vec<Told>,
    /// The phone's own file is withheld: found, it would end the loader's search.
    pub without_own: bool,
    /// What is missing, or cannot be right, for this step and those behind it, in words.
    pub missing: Vec<String>,
}

/// A file that names a load.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Its name.
    pub name: FileName,
    /// Its bytes.
    #[serde(with = "crate::base::latin1")]
    pub bytes: Bytes,
    /// Keyed digest of the bytes.
    pub digest: Digest,
}

/// What comes next for a phone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next<'a> {
    /// This step, by its number.
    Take(usize, &'a Rung),
    /// It takes the target by itself, or runs it.
    Top,
    /// Nothing, and why.
    Not(String),
}

impl Ladder {
    /// The next step of a phone that runs this.
    pub fn next(&self, runs: Option<&Runs>) -> Next<'_> {
        let Some(runs) = runs else {
            return Next::Not("what it runs is not known: it shows when it starts".into());
        };
        let release = runs.release.filter(|_| runs.program == Program::Sip);
        if release.is_some_and(|release| release.major >= self.top) {
            return Next::Top;
        }
        let never = |bad: &&Release| release.is_some_and(|release| release.may_be(bad));
        if let Some(bad) = self.never.iter().find(never) {
            let target = &self.target;
            return Next::Not(format!("there is no safe way from {bad} to {target}"));
        }
        let Some((number, rung)) = self.rungs.iter().enumerate().find(|(_, r)| r.at.fits(runs))
        else {
            return Next::Not(format!("no step leads on from {runs}"));
        };
        match rung.missing.as_slice() {
            [] => Next::Take(number, rung),
            missing => {
                let what = if rung.load.is_empty() { "the next step" } else { &rung.load };
                Next::Not(format!("not sent to {what}: {}", missing.join("; ")))
            }
        }
    }

    /// The program that asks for this name: of the phone, where the name has its MAC, or of anybody.
    pub fn sign(&self, name: &str, mac: Option<Mac>) -> Option<Program> {
        let fits = |pattern: &str| match mac {
            Some(mac) => {
                pattern.contains("{MAC}") && pattern.replace("{MAC}", &mac.upper()) == name
            }
            None => pattern == name,
        };
        self.signs.iter().find(|(pattern, _)| fits(pattern)).map(|(_, program)| *program)
    }

    /// What of a set of signed files a name is, if it belongs to this way: its load, and whether it is
    /// the loader's or an application's, or only the list of others.
    pub fn image(&self, name: &str) -> Option<Fetched> {
        let (load, kind) = name.rsplit_once('.')?;
        match kind {
            "loads" => (load == self.target).then_some(Fetched::List),
            _ if load == self.loader => Some(Fetched::Image { loader: true }),
            _ => {
                let known = load == self.target || self.rungs.iter().any(|rung| rung.load == load);
                known.then_some(Fetched::Image { loader: false })
            }
        }
    }
}

/// What a fetched image is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fetched {
    /// The list of a set.
    List,
    /// A program.
    Image {
        /// It is the universal loader.
        loader: bool,
    },
}

impl Rung {
    /// The files of a phone whose own file names this load: the plain ones with another value of the
    /// key, and another token.
    pub fn keyed(&self, plain: &Variant) -> Option<Variant> {
        let key = self.key.as_deref()?;
        let token = plain.token.mix(self.digest);
        let (old, new) = (plain.token.to_string(), token.to_string());
        let mut variant = plain.clone();
        variant.token = token;
        variant.step.0.clone_from(&self.load);
        for artifact in &mut variant.artifacts {
            let bytes = artifact.bytes();
            let named = match artifact.role {
                Role::Own => with_value(&bytes, key, &self.load),
                Role::Sync => bytes.to_vec(),
                _ => continue,
            };
            artifact.body = Body::from(replaced(&named, old.as_bytes(), new.as_bytes()));
            artifact.digest = artifact.digest.mix(self.digest);
        }
        Some(variant)
    }
}

/// A `key: "value"` file with another value of one key.
fn with_value(text: &[u8], key: &str, value: &str) -> Vec<u8> {
    let line = |line: &[u8]| {
        let (name, rest) = line.split_at(line.iter().position(|b| *b == b':').unwrap_or(0));
        if !name.trim_ascii().eq_ignore_ascii_case(key.as_bytes()) {
            return line.to_vec();
        }
        let end = &rest[rest.trim_ascii_end().len()..];
        [name, b": \"", value.as_bytes(), b"\"", end].concat()
    };
    text.split_inclusive(|b| *b == b'\n').flat_map(line).collect()
}

fn replaced(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, old) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    out
}

impl FirmwareFacts {
    /// The release that the name of a load tells.
    pub fn release(&self, load: &str) -> Option<Release> {
        let prefixes = [&self.load_prefix, &self.loader_prefix];
        prefixes.iter().find_map(|prefix| Release::read(load.strip_prefix(prefix.as_str())?))
    }

    /// The name of the loader that belongs to a load.
    pub fn loader(&self, load: &str) -> String {
        let release = load.strip_prefix(&self.load_prefix).unwrap_or_default();
        format!("{}{release}", self.loader_prefix)
    }

    /// Whether a name can be one of an image of the family.
    pub fn is_image(&self, name: &str) -> bool {
        let prefixed = [&self.load_prefix, &self.loader_prefix];
        let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
        prefixed.iter().any(|prefix| !prefix.is_empty() && name.starts_with(prefix.as_str()))
            && self.sizes.iter().any(|(of, _)| of == kind)
    }
}

#[cfg(test)]
mod tests;
