//! One look at the disk: handset.conf, sip.conf with everything it includes, families, static files
//! and the site key, read whole and made into a generation. Knows nothing of what is served.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use super::asterisk::{self, Asterisk};
use super::disk::{self, Closure, Disk};
use super::sitekey;
use super::stable::Stamp;
use crate::base::{Code, Diagnostic, Key, Level, Sources, Time};
use crate::conf::{self, Conf, Status};
use crate::directory::{self, Directory, Listed};
use crate::family::images::{self, Images};
use crate::family::{self, Library, Surroundings};
use crate::model::peer::Peer;
use crate::model::phone::{Assembly, ModelFacts, Phone};
use crate::model::site::Site;
use crate::model::{phone, site};
use crate::plan::build::{self, Built, Cache};
use crate::plan::generation::Generation;

/// All codes of this module.
pub static CODES: &[&Code] = &[&NO_SETTINGS, &STATIC_ROOT, &PHONE_BOOK, &LOGO];

/// Where handset.conf is looked for.
pub const USUAL: &str = "/etc/asterisk/handset.conf";

static NO_SETTINGS: Code = Code {
    id: "H0607",
    title: "handset.conf cannot be read",
    explain: "`--config` names the file with the settings, and there is none that can be read. Only without \
              `--config` does handset run on the defaults when there is no file.",
};

static STATIC_ROOT: Code = Code {
    id: "H0604",
    title: "the static root cannot be listed",
    explain: "The folder of [tftp] root holds firmware images and ring files. It must exist and be \
              readable for the daemon's user.",
};

static PHONE_BOOK: Code = Code {
    id: "H0704",
    title: "the file of the phone book cannot be read",
    explain: "The file of [http] phonebook must exist, be readable for the daemon's user, and have at \
              most 8 MiB. Until then the phone book has the peers only.",
};

static LOGO: Code = Code {
    id: "H0705",
    title: "the logo is not in the static root",
    explain: "[http] logo is the name of a file in the folder of [tftp] root. As long as it is not \
              there, the phones' files name no logo.",
};

/// The largest file of a phone book, bytes.
const PHONE_BOOK_MAX: usize = 8 << 20;

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
    /// The phone book; empty without an HTTP service.
    pub directory: Directory,
    /// The names in the static root.
    pub statics: BTreeSet<String>,
    /// What is known about the firmware images there.
    pub images: Images,
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

/// Reads a configuration whose includes are relative to its folder.
pub(super) fn load(path: &Path, disk: &mut Disk, sources: &mut Sources) -> Conf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    conf::read(&path, path.parent().unwrap_or(Path::new("/")), disk, sources)
}

fn read_site(config: &Path, disk: &mut Disk, sources: &mut Sources) -> (Site, Vec<Diagnostic>) {
    let conf = load(config, disk, sources);
    if conf.status == Status::Missing {
        // Without the usual file everything has its default; another one was meant to be there.
        let text = format!("cannot read {}", config.display());
        let lost = Diagnostic::error(&NO_SETTINGS, text).help("name the file that is meant");
        let said = if config == Path::new(USUAL) { Vec::new() } else { vec![lost] };
        return (Site::at(config), said);
    }
    let names = family_names();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let (site, more) = site::read(&conf, config, &known);
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
    let mut phones = phone::assemble(&asterisk.peers, &asterisk.refused, &models, &site);
    diagnostics.append(&mut phones.diagnostics);
    diagnostics.extend(phone::reserved(phones.phones.values(), &site.dhcp).1);
    if let Some(root) = &site.tftp.root {
        disk.depends(&root.join("*"));
    }
    let (statics, more) = statics(&site);
    diagnostics.extend(more);
    diagnostics.extend(logo(&site, &statics));
    let root = site.tftp.root.as_deref();
    let images = root.map(|root| images(root, &statics, &families, &mut disk));
    let (directory, more) = phone_book(&site, &asterisk.peers, &mut disk, &mut sources);
    diagnostics.extend(more);
    let (closure, stamp) = disk.into_parts();
    let reading = Reading {
        sources,
        site,
        families,
        overrides,
        asterisk,
        phones,
        directory,
        statics,
        images: images.unwrap_or_default(),
        diagnostics,
        site_error,
        closure,
    };
    (reading, stamp)
}

fn family_names() -> BTreeSet<String> {
    let files = family::library::builtin();
    files.keys().filter_map(|file| file.split_once('/')).map(|(name, _)| name.to_owned()).collect()
}

/// The built-in families with the files of the override folder in their place.
fn read_families(dir: &Path, disk: &mut Disk, sources: &mut Sources) -> (Library, u64) {
    use conf::Files;
    for family in family_names() {
        disk.depends(&dir.join(family).join("*"));
    }
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

/// The peers and the file, where there is a service to show them.
fn phone_book(
    site: &Site,
    peers: &[Arc<Peer>],
    disk: &mut Disk,
    sources: &mut Sources,
) -> (Directory, Vec<Diagnostic>) {
    if site.http.listen.is_none() {
        return (Directory::default(), Vec::new());
    }
    let mut said = Vec::new();
    let mut listed: Vec<Listed> = directory::of_peers(peers).collect();
    if let Some(path) = &site.http.phonebook {
        use conf::Files;
        let bytes = disk.read(path).map_err(|error| error.to_string());
        let bytes = bytes.and_then(|bytes| match bytes.len() <= PHONE_BOOK_MAX {
            true => Ok(bytes),
            false => Err("it is larger than 8 MiB".to_owned()),
        });
        match bytes {
            Ok(bytes) => {
                let file = sources.add(path, bytes.clone());
                let (more, about) = directory::of_file(&bytes, file);
                listed.extend(more);
                said.extend(about);
            }
            Err(error) => {
                let text = format!("cannot read the phone book {}: {error}", path.display());
                said.push(Diagnostic::warning(&PHONE_BOOK, text));
            }
        }
    }
    let (directory, more) = Directory::new(None, listed);
    said.extend(more);
    (directory, said)
}

fn logo(site: &Site, statics: &BTreeSet<String>) -> Option<Diagnostic> {
    let logo = site.http.logo.as_ref().filter(|logo| !statics.contains(&logo.value))?;
    let text =
        format!("there is no `{}` in the root of [tftp]: phones are told no logo", logo.value);
    site.http.listen.as_ref().map(|_| Diagnostic::warning(&LOGO, text).at(logo.span))
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

/// So many images are looked into.
const IMAGES: usize = 256;

/// What the firmware images in the static root are, by their first bytes.
fn images(root: &Path, statics: &BTreeSet<String>, families: &Library, disk: &mut Disk) -> Images {
    let facts = || families.families.values().filter_map(|family| family.firmware.as_ref());
    let image = |name: &&String| facts().any(|facts| facts.is_image(name));
    let read = |name: &String| {
        disk.note(&root.join(name));
        let file = disk::open(&root.join(name)).ok()?;
        let size = file.metadata().ok()?.len();
        let mut head = Vec::new();
        file.take(images::HEAD as u64).read_to_end(&mut head).ok()?;
        Some((name.clone(), images::read(name, size, &head)))
    };
    statics.iter().filter(image).take(IMAGES).filter_map(read).collect()
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
            images: &self.images,
        };
        let mut said = Vec::new();
        let mut shared = Vec::new();
        let used: BTreeSet<&str> = self.phones.phones.values().map(|p| &*p.family).collect();
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
        let render = |phone: &Phone| match contexts.get(&*phone.family) {
            Some(context) => context.phone(phone),
            None => Err(Vec::new()),
        };
        let ladder = |family: &str, target: &str| match contexts.get(family) {
            Some(context) => context.ladder(target),
            None => Ok(None),
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
            ladder: &ladder,
        };
        let mut built = build::build(id, now, inputs, previous, cache);
        built.diagnostics.extend(said);
        built
    }

    /// A number that changes when anything does that the files of phones other than their peers
    /// depend on.
    pub(super) fn surroundings(&self, basis: &Basis) -> u64 {
        let Basis { server, timezone, key } = basis;
        let key = sitekey::fingerprint(key);
        let text = format!(
            "{:?}{:?}{server}{timezone}{key}{:?}{:?}",
            self.site, self.asterisk.registrar, self.statics, self.images
        );
        fingerprint(&(text, self.overrides))
    }
}
