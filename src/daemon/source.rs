//! One look at the disk: handset.conf, sip.conf with everything it includes, families, static files
//! and the site key, read whole and made into a generation. Knows nothing of what is served.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::asterisk::{self, Asterisk};
use super::disk::{Closure, Disk};
use super::stable::{self, Stamp};
use super::store::Decided;
use super::{decide, sitekey};
use crate::base::{Code, Diagnostic, FileId, Key, Level, Mac, Sources, Time};
use crate::conf::{self, Status};
use crate::control::Message;
use crate::family::{self, Library, Surroundings};
use crate::model::phone::{Assembly, ModelFacts, Phone};
use crate::model::site::Site;
use crate::model::{phone, site, tag};
use crate::plan::build::{self, Built, Cache};
use crate::plan::generation::Generation;
use crate::plan::guard;

/// All codes of this module.
pub static CODES: &[&Code] = &[&SITE_KEY, &ADDRESS, &STATIC_ROOT];

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

static STATIC_ROOT: Code = Code {
    id: "H0604",
    title: "the static root cannot be listed",
    explain: "The folder of [tftp] root holds firmware images and ring files. It must exist and be \
              readable for the daemon's user.",
};

/// What has to be known before any file can be made.
#[derive(Clone, Debug)]
pub struct Basis {
    /// The address that goes into the files.
    pub server: IpAddr,
    /// The IANA zone.
    pub timezone: String,
    /// The site key.
    pub key: Key,
}

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
    /// What is wrong.
    pub messages: Vec<Message>,
    /// The identity of sip.conf's content.
    pub fingerprint: String,
    /// When this content was first seen.
    pub at: Time,
    /// What was decided for the site.
    pub decided: Decided,
}

/// Everything that one reading of the files gives, before a generation is made of it.
pub struct Reading {
    /// All files.
    pub sources: Sources,
    /// handset.conf.
    pub site: Site,
    /// The families.
    pub families: Library,
    /// What changes with their overrides.
    pub overrides: u64,
    /// Asterisk's peers.
    pub asterisk: Asterisk,
    /// The phones.
    pub phones: Assembly,
    /// The names in the static root.
    pub statics: BTreeSet<String>,
    /// Everything that is wrong so far.
    pub diagnostics: Vec<Diagnostic>,
    /// handset.conf has an error.
    pub site_error: bool,
    /// What it depended on.
    pub closure: Closure,
}

/// Reads handset.conf alone, with what is wrong in it.
pub fn site(config: &Path) -> (Site, Vec<Diagnostic>, Sources) {
    let (mut sources, mut disk) = (Sources::default(), Disk::new());
    let (site, diagnostics) = read_site(config, &mut disk, &mut sources);
    (site, diagnostics, sources)
}

/// The configuration directory of a top file: includes are relative to it.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn read_site(config: &Path, disk: &mut Disk, sources: &mut Sources) -> (Site, Vec<Diagnostic>) {
    let conf = conf::read(config, folder(config), disk, sources);
    if conf.status == Status::Missing {
        // The daemon runs without the file.
        return (Site::at(config), Vec::new());
    }
    let builtin = family::library::builtin();
    let known: BTreeSet<&str> = builtin.keys().filter_map(|file| file.split('/').next()).collect();
    let (site, more) = site::read(&conf, config, &known.into_iter().collect::<Vec<_>>());
    (site, conf.diagnostics.into_iter().chain(more).collect())
}

/// Reads everything. `sip_conf` (or a pjsip.conf) stands in for the configured ones.
pub fn read(config: &Path, sip_conf: Option<&Path>) -> (Reading, Stamp) {
    let (mut sources, mut disk) = (Sources::default(), Disk::new());
    let (site, mut diagnostics) = read_site(config, &mut disk, &mut sources);
    let site_error = diagnostics.iter().any(|d| d.level == Level::Error);
    let (families, overrides) = read_families(&site.families_dir, &mut disk, &mut sources);
    diagnostics.extend(families.diagnostics.iter().cloned());
    let tops = sip_conf.map_or_else(|| asterisk::tops(&site), asterisk::only);
    let mut asterisk = asterisk::read(tops, &mut disk, &mut sources);
    diagnostics.append(&mut asterisk.diagnostics);
    let models: Vec<ModelFacts> = families.models();
    let peers = asterisk.peers.clone();
    let mut phones = phone::assemble(peers, &asterisk.refused, &models, &site);
    diagnostics.append(&mut phones.diagnostics);
    let (statics, more) = statics(&site);
    diagnostics.extend(more);
    let (closure, stamp) = disk.into_parts();
    let reading = Reading {
        sources,
        site,
        families,
        overrides,
        asterisk,
        phones,
        statics,
        diagnostics,
        site_error,
        closure,
    };
    (reading, stamp)
}

/// The built-in families with the files of the override folder in their place.
fn read_families(dir: &Path, disk: &mut Disk, sources: &mut Sources) -> (Library, u64) {
    use conf::Files;
    let mut files = BTreeMap::new();
    let list = |dir: &Path| {
        fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect::<BTreeSet<_>>()
    };
    for family in list(dir).into_iter().filter(|path| path.is_dir()) {
        for path in list(&family).into_iter().filter(|path| path.is_file()) {
            let Ok(bytes) = disk.read(&path) else { continue };
            let Ok(name) = path.strip_prefix(dir) else { continue };
            files.insert(name.to_string_lossy().into_owned(), bytes);
        }
    }
    let overrides = fingerprint(&files);
    (family::library::load(dir, &files, sources), overrides)
}

fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The regular files in the static root, by name.
fn statics(site: &Site) -> (BTreeSet<String>, Option<Diagnostic>) {
    let Some(root) = &site.tftp.root else { return (BTreeSet::new(), None) };
    match fs::read_dir(root) {
        Ok(entries) => {
            let files = entries.flatten().filter(|e| e.path().is_file());
            (files.filter_map(|e| e.file_name().into_string().ok()).collect(), None)
        }
        Err(error) => {
            let text = format!("cannot list {}: {error}", root.display());
            (BTreeSet::new(), Some(Diagnostic::warning(&STATIC_ROOT, text)))
        }
    }
}

impl Reading {
    /// Makes the generation `id` of it.
    pub fn build(
        &self,
        basis: &Basis,
        id: u64,
        now: Time,
        previous: &Generation,
        cache: &mut Cache,
    ) -> Built {
        let Basis { server, timezone, key } = basis;
        let around = Surroundings {
            site: &self.site,
            registrar: &self.asterisk.registrar,
            server: *server,
            timezone,
            key,
            statics: &self.statics,
        };
        let mut said = Vec::new();
        let mut shared = Vec::new();
        let used: BTreeSet<&str> = self.phones.phones.values().map(|p| p.family.as_str()).collect();
        let used = used.iter().filter_map(|name| Some((*name, self.families.get(name)?)));
        let contexts: BTreeMap<&str, family::Context<'_>> =
            used.map(|(name, family)| (name, family::Context::new(family, &around))).collect();
        for context in contexts.values() {
            match context.shared() {
                Ok((artifacts, more)) => {
                    shared.extend(artifacts);
                    said.extend(more);
                }
                Err(more) => said.extend(more),
            }
        }
        let render = |phone: &Phone| match contexts.get(phone.family.as_str()) {
            Some(context) => context.phone(phone),
            None => Err(Vec::new()),
        };
        let event = |name: &str| {
            self.families.get(name).map(|f| f.push.event().to_owned()).unwrap_or_default()
        };
        let held = self.phones.held.keys().copied().collect();
        let inputs = build::Inputs {
            phones: &self.phones.phones,
            held: &held,
            shared,
            render: &render,
            event: &event,
            realm: &self.asterisk.registrar.realm,
            key,
        };
        let mut built = build::build(id, now, inputs, previous, cache);
        built.diagnostics.extend(said);
        built
    }

    /// A number that changes when anything does that the files of phones other than their peers
    /// depend on.
    fn surroundings(&self, basis: &Basis) -> u64 {
        let Basis { server, timezone, key } = basis;
        let key = sitekey::fingerprint(key);
        let text = format!(
            "{:?}{:?}{server}{timezone}{key}{:?}",
            self.site, self.asterisk.registrar, self.statics
        );
        fingerprint(&(text, self.overrides))
    }
}

/// Looks again and again, and keeps what need not be made anew.
pub struct Source {
    config: PathBuf,
    cache: Cache,
    cached_for: u64,
    site: Option<Site>,
    fingerprint: String,
    since: Time,
}

impl Source {
    /// Looks at what `config` names.
    pub fn new(config: PathBuf) -> Self {
        Self {
            config,
            cache: Cache::new(),
            cached_for: 0,
            site: None,
            fingerprint: String::new(),
            since: Time::default(),
        }
    }

    /// One look. Blocks.
    pub fn look(
        &mut self,
        previous: &Generation,
        decided: &Decided,
        accepted: Option<&str>,
        now: Time,
    ) -> (Look, Closure) {
        let stable::Look { value: mut reading, settled } =
            stable::stable(|| read(&self.config, None));
        let unsettled = (!settled).then(|| "the files are still being written".to_owned());
        let site_hold = reading.site_error.then(|| {
            // The last good settings stay in force as a whole.
            if let Some(good) = &self.site {
                reading.site = good.clone();
            }
            "handset.conf has an error: correct it".to_owned()
        });
        if site_hold.is_none() {
            self.site = Some(reading.site.clone());
        }
        let fingerprint = reading.asterisk.fingerprint();
        if fingerprint != self.fingerprint {
            (self.fingerprint, self.since) = (fingerprint.clone(), now);
        }
        let (decided, basis) = self.basis(&mut reading, decided);
        let hold;
        let (mut built, mut held) = (Arc::new(previous.clone()), reading.phones.held.clone());
        match basis {
            Ok(basis) => {
                let made = self.build(&reading, &basis, previous, now);
                name_held(&made.held, &made.diagnostics, &reading, &mut held);
                let reason = guard::hold(
                    Some(previous),
                    &made.generation,
                    &look(&reading, previous),
                    accepted == Some(&fingerprint),
                );
                hold = site_hold.or(unsettled).or(reason);
                reading.diagnostics.extend(made.diagnostics);
                built = Arc::new(made.generation);
            }
            Err(why) => hold = Some(why),
        }
        let unfit = held.keys().any(|mac| previous.phones.contains_key(mac));
        let look = Look {
            site: Arc::new(reading.site),
            families: Arc::new(reading.families),
            built,
            hold,
            held,
            unfit,
            messages: messages(&reading.diagnostics, &reading.sources),
            fingerprint,
            at: self.since,
            decided,
        };
        (look, reading.closure)
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

/// What the guard looks at.
fn look(reading: &Reading, previous: &Generation) -> guard::Look {
    let had =
        |tech| previous.phones.values().flat_map(|part| &part.lines).any(|line| line.tech == tech);
    guard::Look {
        unfit: reading.asterisk.unfit(had),
        incomplete: reading.asterisk.incomplete(&reading.sources),
        peers: reading.asterisk.peers.len(),
        tagged: reading.phones.phones.len() + reading.phones.held.len(),
    }
}

/// Says for each phone whose files could not be made what the first error about it was.
fn name_held(
    held: &BTreeSet<Mac>,
    said: &[Diagnostic],
    reading: &Reading,
    names: &mut BTreeMap<Mac, String>,
) {
    for mac in held {
        let Some(phone) = reading.phones.phones.get(mac) else { continue };
        let spans: BTreeSet<(FileId, u32)> = phone
            .lines
            .iter()
            .flat_map(|l| {
                let peer = &l.peer;
                let secret = peer.secret.as_ref().map(|s| s.span);
                [Some(peer.name.span), secret, peer.tag.as_ref().map(tag::Tag::span)]
                    .into_iter()
                    .flatten()
            })
            .map(|s| (s.file, s.line))
            .collect();
        let about = |d: &&Diagnostic| {
            d.level == Level::Error && d.span.is_some_and(|s| spans.contains(&(s.file, s.line)))
        };
        let why = said
            .iter()
            .find(about)
            .map_or("its files could not be made; see handset check".to_owned(), |d| {
                d.message.clone()
            });
        names.insert(*mac, why);
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
    diagnostics.iter().map(message).collect()
}
