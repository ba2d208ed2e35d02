//! One look after the other: what was read becomes a generation, unless it has to be held back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::dhcp::Wanted;
use super::disk::Closure;
use super::source::{Basis, Reading, read};
use super::stable;
use super::store::Decided;
use super::{decide, sitekey};
use crate::base::{Code, Diagnostic, FileId, Level, Mac, Sources, Time};
use crate::control::Message;
use crate::directory::Directory;
use crate::family::images::Images;
use crate::family::{Library, Role};
use crate::model::peer::Peer;
use crate::model::site::Site;
use crate::model::tag::Tag;
use crate::plan::build::{Built, Cache};
use crate::plan::generation::Generation;
use crate::plan::{guard, kept};

/// All codes of this module.
pub static CODES: &[&Code] = &[&SITE_KEY, &ADDRESS, &WITHDRAWN, &MORE];

static WITHDRAWN: Code = Code {
    id: "H0605",
    title: "a raw key was withdrawn",
    explain: "A phone keeps in its flash what a file set once, also when the key is gone from the file. \
              Write the key with its default, or an empty value, where it was set; the message names the \
              value. Keys that handset always writes go back to their default by themselves.",
};

static SITE_KEY: Code = Code {
    id: "H0602",
    title: "the site key cannot be used",
    explain: "Every token and phone password comes from the site key, a 0600 file beside handset.conf \
              that is made once. A lost or changed key would restart every phone and change every \
              phone password: bring the old file back from the backup. Only if it is gone for good, \
              remove the state directory; a new key is made then.",
};

static ADDRESS: Code = Code {
    id: "H0603",
    title: "server_address or timezone is not what was decided",
    explain: "Without the setting, the host's only global address and its time zone are taken at the \
              first start and kept, so that a change of interfaces never changes the phones' files. \
              Write the one that is meant into handset.conf.",
};

/// What a look found, ready for the core.
#[derive(Clone, Debug)]
pub struct Look {
    /// handset.conf, the last good one.
    pub site: Arc<Site>,
    /// The families with their overrides.
    pub families: Arc<Library>,
    /// What the sources make.
    pub built: Arc<Generation>,
    /// Why it must not be offered.
    pub hold: Option<String>,
    /// Phones that keep their last good files, and why.
    pub held: BTreeMap<Mac, String>,
    /// A phone that was served is held back: Asterisk must not load what it could not follow.
    pub unfit: bool,
    /// The phone book.
    pub directory: Arc<Directory>,
    /// The firmware images in the static root.
    pub images: Arc<Images>,
    /// What the DHCP service is to do.
    pub dhcp: Arc<Wanted>,
    /// What is wrong.
    pub messages: Vec<Message>,
    /// The identity of sip.conf's content.
    pub fingerprint: String,
    /// How many phones' files were made anew for it.
    pub rendered: usize,
    /// Every tag, with its place.
    pub tags: Arc<[TagPlace]>,
    /// When this content was first seen.
    pub at: Time,
    /// What was decided for the site.
    pub decided: Decided,
}

/// Where a tag stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagPlace {
    /// The phone.
    pub mac: Mac,
    /// The path of the file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

/// So many looks in a row are spared at most.
const SPARED: u32 = 9;

/// Looks again and again, and keeps what need not be made anew.
pub struct Source {
    config: PathBuf,
    cache: Cache,
    cached_for: u64,
    site: Option<Site>,
    /// There was a handset.conf.
    there: bool,
    /// How the files looked that were read last; none when they were not at rest.
    looked: Option<stable::Stamp>,
    /// So many looks were spared in a row.
    spared: u32,
    fingerprint: String,
    since: Time,
    directory: Arc<Directory>,
}

impl Source {
    /// Looks at what `config` names.
    pub fn new(config: PathBuf) -> Self {
        Self {
            config,
            cache: Cache::default(),
            cached_for: 0,
            site: None,
            there: false,
            looked: None,
            spared: 0,
            fingerprint: String::new(),
            since: Time::default(),
            directory: Arc::default(),
        }
    }

    /// Whether a look without any notice can be spared: everything on disk looks as it did for the last
    /// one. Not every time, for a look finds more than files (the host's addresses, the site key).
    pub fn at_rest(&mut self) -> bool {
        let spare = self.spared < SPARED && self.looked.as_ref().is_some_and(stable::Stamp::still);
        self.spared = if spare { self.spared + 1 } else { 0 };
        spare
    }

    /// One look. Blocks.
    pub fn look(
        &mut self,
        previous: &Generation,
        decided: &Decided,
        accepted: Option<&str>,
        now: Time,
    ) -> (Look, Closure) {
        let stable::Look { value: mut reading, stamp, settled } =
            stable::stable(|| read(&self.config, None));
        self.looked = settled.then_some(stamp);
        let unsettled = (!settled).then(|| "the files are still being written".to_owned());
        let site_hold = self.settings(&mut reading);
        let fingerprint = reading.asterisk.fingerprint();
        self.since.set_back(now);
        if fingerprint != self.fingerprint {
            (self.fingerprint, self.since) = (fingerprint.clone(), now);
        }
        let tagged = |mac| {
            reading.phones.phones.contains_key(&mac) || reading.phones.held.contains_key(&mac)
        };
        let spoilt = kept::spoilt(previous, tagged, &reading.asterisk.peers, &reading.diagnostics);
        reading.phones.held.extend(spoilt);
        let (mut decided, basis) = self.basis(&mut reading, decided);
        let hold;
        let mut rendered = 0;
        let (mut built, mut held) = (None, reading.phones.held.clone());
        match basis {
            Ok(basis) => {
                let made = self.build(&reading, &basis, previous, now);
                rendered = made.rendered;
                name_held(&made.held, &made.diagnostics, &reading, &mut held);
                let reason = guard::hold(
                    Some(previous),
                    &made.generation,
                    &guarded(&reading, previous),
                    accepted == Some(&fingerprint),
                );
                hold = site_hold.or(unsettled).or(reason);
                reading.diagnostics.extend(made.diagnostics);
                let made = built.insert(made.generation);
                let raw_keys = kept::raw_keys(&reading.site);
                reading.diagnostics.extend(withdrawn(&decided.raw_keys, &raw_keys, &reading, made));
                if hold.is_none() {
                    decided.raw_keys.extend(raw_keys);
                }
            }
            Err(why) => hold = Some(why),
        }
        let unfit = held.keys().any(|mac| previous.phones.contains_key(mac));
        let directory =
            self.directory(std::mem::take(&mut reading.directory), &decided, hold.is_some());
        let families = Arc::new(reading.families);
        let decision = (decided.server_address, decided.timezone.as_deref());
        let dhcp = Wanted::new(&reading.site, &reading.phones, &families, decision);
        let look = Look {
            directory,
            images: Arc::new(std::mem::take(&mut reading.images)),
            dhcp: Arc::new(dhcp),
            site: Arc::new(reading.site),
            families,
            built: Arc::new(built.unwrap_or_else(|| previous.clone())),
            hold,
            held,
            unfit,
            tags: tags(&reading.asterisk.peers, &reading.sources),
            messages: messages(&reading.diagnostics, &reading.sources),
            fingerprint,
            rendered,
            at: self.since,
            decided,
        };
        (look, reading.closure)
    }

    /// Keeps the last good settings in force as a whole while the newer ones have an error: why then
    /// nothing is offered.
    fn settings(&mut self, reading: &mut Reading) -> Option<String> {
        let there = self.config.exists();
        let why = match (reading.site_error, self.there && !there) {
            (false, false) => {
                (self.site, self.there) = (Some(reading.site.clone()), there);
                return None;
            }
            (_, true) => "handset.conf is gone: bring it back",
            (true, false) => "handset.conf has an error: correct it",
        };
        if let Some(good) = &self.site {
            reading.site = good.clone();
        }
        Some(why.to_owned())
    }

    /// The phone book as it is now; what is held back keeps the last one.
    fn directory(&mut self, fresh: Directory, decided: &Decided, held: bool) -> Arc<Directory> {
        let fresh = Directory { server: decided.server_address, ..fresh };
        let keep = held && !self.directory.entries.is_empty();
        if !keep && *self.directory != fresh {
            self.directory = Arc::new(fresh);
        }
        self.directory.clone()
    }

    fn build(
        &mut self,
        reading: &Reading,
        basis: &Basis,
        previous: &Generation,
        now: Time,
    ) -> Built {
        let surroundings = reading.surroundings(basis);
        if surroundings != self.cached_for {
            self.cache.clear();
            self.cached_for = surroundings;
        }
        reading.build(basis, previous.id + 1, now, previous, &mut self.cache)
    }

    /// What has to be known before any file can be made: address, zone, key.
    fn basis(&self, reading: &mut Reading, decided: &Decided) -> (Decided, Result<Basis, String>) {
        let mut next = decided.clone();
        let warn = |said: &mut Vec<Diagnostic>, text: String| {
            said.push(Diagnostic::warning(&ADDRESS, text));
        };
        let server = match decide::server_address(
            &reading.site,
            &reading.asterisk.registrar,
            decided.server_address,
        ) {
            Ok((address, note)) => {
                if let Some(text) = note {
                    warn(&mut reading.diagnostics, text);
                }
                address
            }
            Err(why) => {
                reading.diagnostics.push(Diagnostic::error(&ADDRESS, why.clone()));
                return (next, Err(why));
            }
        };
        let (zone, note) = decide::timezone(&reading.site, decided.timezone.as_deref());
        if let Some(text) = note {
            warn(&mut reading.diagnostics, text);
        }
        next.server_address = Some(server);
        next.timezone = Some(zone.clone());
        match sitekey::load_or_create(&reading.site.site_key, decided.key) {
            Ok(found) => {
                let exposed = found
                    .warning
                    .map(|exposed| Diagnostic::warning(&SITE_KEY, exposed.to_string()));
                reading.diagnostics.extend(exposed);
                next.key = Some(sitekey::fingerprint(&found.key));
                (next, Ok(Basis { server, timezone: zone, key: found.key }))
            }
            Err(error) => {
                reading.diagnostics.push(Diagnostic::error(&SITE_KEY, error.to_string()));
                (next, Err(format!("the site key cannot be used: {error}")))
            }
        }
    }
}

fn tags(peers: &[Arc<Peer>], sources: &Sources) -> Arc<[TagPlace]> {
    let mut files: HashMap<FileId, Arc<str>> = HashMap::new();
    let tags = peers.iter().filter_map(|peer| peer.tag.as_ref());
    let place = |tag: &Arc<Tag>| {
        let span = tag.span();
        let path = || sources.get(span.file).path.display().to_string().into();
        let file = files.entry(span.file).or_insert_with(path).clone();
        TagPlace { mac: tag.mac.value, file, line: span.line }
    };
    tags.map(place).collect()
}

/// What the guard looks at.
fn guarded(reading: &Reading, previous: &Generation) -> guard::Look {
    let had =
        |tech| previous.phones.values().flat_map(|part| &part.lines).any(|line| line.tech == tech);
    guard::Look {
        unfit: reading.asterisk.unfit(had),
        incomplete: reading.asterisk.incomplete(&reading.sources),
        peers: reading.asterisk.peers.len(),
        tagged: reading.phones.phones.len() + reading.phones.held.len(),
    }
}

/// Reports raw keys that are set no more and that phones keep.
fn withdrawn(
    offered: &BTreeSet<String>,
    now: &BTreeSet<String>,
    reading: &Reading,
    built: &Generation,
) -> Vec<Diagnostic> {
    let written = |section: &str, key: &str| {
        let name = section.split('/').next().unwrap_or_default();
        let part = built.phones.values().find(|part| *part.family == *name);
        let own = part
            .and_then(|part| part.chosen(false)?.artifacts.iter().find(|a| a.role == Role::Own));
        let (Some(family), Some(own)) = (reading.families.get(name), own) else { return false };
        family.keys(own).iter().any(|(known, ..)| known.eq_ignore_ascii_case(key))
    };
    let report = |name: &str| {
        let (section, key) = name.rsplit_once('/').unwrap_or_default();
        let family = reading.families.get(section.split('/').next().unwrap_or_default());
        let reset = family.and_then(|f| f.reset(key)).unwrap_or_default();
        let text = format!(
            "`{key}` was set in [{section}] and is not any more: phones that had it keep it"
        );
        let help = format!("write `{key} = {reset}` in [{section}] to take it away from them");
        Diagnostic::warning(&WITHDRAWN, text).help(help)
    };
    kept::withdrawn(offered, now, written).into_iter().map(report).collect()
}

/// Says for each phone whose files could not be made what is wrong on a line of its own.
fn name_held(
    held: &BTreeSet<Mac>,
    said: &[Diagnostic],
    reading: &Reading,
    names: &mut BTreeMap<Mac, String>,
) {
    let errors = said.iter().rev().filter(|d| d.level == Level::Error);
    let errors: HashMap<(FileId, u32), &str> =
        errors.filter_map(|d| Some(((d.span?.file, d.span?.line), d.message.as_str()))).collect();
    for mac in held {
        let Some(phone) = reading.phones.phones.get(mac) else { continue };
        let mut lines = phone.places().flatten().map(|span| (span.file, span.line));
        let why = lines.find_map(|line| errors.get(&line).copied());
        let why = why.unwrap_or("its files could not be made; see handset check");
        names.insert(*mac, why.to_owned());
    }
}

fn messages(diagnostics: &[Diagnostic], sources: &Sources) -> Vec<Message> {
    let message = |d: &Diagnostic| Message {
        code: d.code.id.into(),
        level: d.level,
        place: d.span.map(|span| sources.place(span)),
        message: d.message.clone(),
        help: d.help.clone(),
    };
    let (errors, others): (Vec<_>, Vec<_>) =
        diagnostics.iter().partition(|d| d.level == Level::Error);
    let all = errors.into_iter().chain(others);
    let mut messages: Vec<Message> = all.take(MESSAGES).map(message).collect();
    if let Some(more) = diagnostics.len().checked_sub(MESSAGES + 1) {
        let text = format!("{} more messages are left out here", more + 1);
        let more = Diagnostic::note(&MORE, text).help("handset check shows all");
        messages.push(message(&more));
    }
    messages
}

/// A site with something to say about every phone is not told all of it in `status`.
const MESSAGES: usize = 500;

static MORE: Code = Code {
    id: "H0606",
    title: "more messages than are shown",
    explain: "`handset status` shows the first 500 messages, errors first. `handset check` shows all of them, \
              `handset check --short` one to a line.",
};

#[cfg(test)]
mod tests;
