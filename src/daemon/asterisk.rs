//! Asterisk's side of a look at the disk: sip.conf with users.conf, and pjsip.conf with its wizard's file,
//! whichever the site has, to the same peers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::disk::Disk;
use crate::base::{Diagnostic, Level, Sources, Tech, hex};
use crate::conf::{self, Conf, Status};
use crate::model::lint;
use crate::model::peer::{self, Peer, Refused, Registrar};
use crate::model::site::Site;
use crate::model::tag::{self, Tags};

/// Everything that Asterisk's files say about phones.
pub struct Asterisk {
    /// The registrar of peers that have none of their own.
    pub registrar: Registrar,
    /// Every peer, tagged or not.
    pub peers: Vec<Arc<Peer>>,
    /// Tags of which no line can come.
    pub refused: Vec<Refused>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
    tops: Vec<Top>,
    sip_tags: Tags,
}

/// A file that a channel driver is named for, with what it includes.
struct Top {
    tech: Tech,
    path: PathBuf,
    conf: Conf,
    fingerprint: [u8; 32],
}

/// The files to read: what the settings say.
pub fn tops(site: &Site) -> Vec<(Tech, PathBuf)> {
    let beside = || site.sip_conf.with_file_name("pjsip.conf");
    let pjsip = site.pjsip_conf.clone().unwrap_or_else(beside);
    vec![(Tech::Sip, site.sip_conf.clone()), (Tech::Pjsip, pjsip)]
}

/// One other file in their place: `pjsip*.conf` is chan_pjsip's, everything else chan_sip's.
pub fn only(path: &Path) -> Vec<(Tech, PathBuf)> {
    let pjsip = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pjsip"));
    vec![(if pjsip { Tech::Pjsip } else { Tech::Sip }, path.to_owned())]
}

/// Reads them.
pub fn read(tops: Vec<(Tech, PathBuf)>, disk: &mut Disk, sources: &mut Sources) -> Asterisk {
    let mut load = |path: &Path| super::source::load(path, disk, sources);
    let mut all = Asterisk {
        registrar: peer::from_sip(&nothing(), &[]).registrar,
        peers: Vec::new(),
        refused: Vec::new(),
        diagnostics: Vec::new(),
        tops: Vec::new(),
        sip_tags: Vec::new(),
    };
    for (tech, path) in tops {
        let conf = load(&path);
        let top = match tech {
            _ if conf.status == Status::Missing => Top::new(tech, path, conf, |_| ()),
            Tech::Sip => {
                let beside = path.with_file_name("users.conf");
                let users = Some(load(&beside)).filter(|conf| conf.status != Status::Missing);
                let top = Top::new(tech, path, conf, |conf| all.sip(conf, users.as_ref()));
                all.tops.extend(users.map(|conf| Top::new(tech, beside, conf, |_| ())));
                top
            }
            Tech::Pjsip => {
                let beside = path.with_file_name("pjsip_wizard.conf");
                let wizard = Some(load(&beside)).filter(|conf| conf.status != Status::Missing);
                let top = Top::new(tech, path, conf, |conf| all.pjsip(conf, wizard.as_ref()));
                all.tops.extend(wizard.map(|conf| Top::new(tech, beside, conf, |_| ())));
                top
            }
        };
        all.tops.push(top);
    }
    if all.tops.iter().all(|top| top.conf.status == Status::Missing) {
        let missing = all.tops.first().map(|top| top.conf.diagnostics.clone());
        all.diagnostics.extend(missing.unwrap_or_default());
    }
    all.diagnostics.extend(all.lints());
    all
}

/// A configuration without a section.
fn nothing() -> Conf {
    Conf {
        status: Status::Ok,
        sections: Vec::new(),
        comments: Vec::new(),
        diagnostics: Vec::new(),
        abandoned: false,
        exec: false,
    }
}

impl Asterisk {
    fn sip(&mut self, conf: &Conf, users: Option<&Conf>) {
        let tags = self.keyed(conf);
        let user_tags = users.map(|users| self.keyed(users)).unwrap_or_default();
        let users = users.map(|users| (users, &*user_tags));
        let reading = peer::from_sip_and_users(conf, &tags, users);
        self.registrar = reading.registrar;
        self.peers.extend(reading.peers);
        self.refused.extend(reading.refused);
        self.diagnostics.extend(reading.diagnostics);
        self.sip_tags = tags;
    }

    /// The tags of one of chan_sip's files, in comments and in keys.
    fn keyed(&mut self, conf: &Conf) -> Tags {
        self.diagnostics.extend(conf.diagnostics.iter().cloned());
        let (tags, said) = tag::attach(conf);
        self.diagnostics.extend(said);
        let keyed = peer::keyed_tags(conf, tags);
        self.diagnostics.extend(keyed.diagnostics);
        self.refused.extend(keyed.refused);
        keyed.tags
    }

    fn pjsip(&mut self, conf: &Conf, wizard: Option<&Conf>) {
        self.diagnostics.extend(conf.diagnostics.iter().cloned());
        let mut attach = |conf: &Conf| {
            let (tags, said) = tag::attach(conf);
            self.diagnostics.extend(said);
            tags
        };
        let tags = attach(conf);
        let wizard_tags = wizard.map(&mut attach).unwrap_or_default();
        self.diagnostics.extend(wizard.iter().flat_map(|w| w.diagnostics.iter().cloned()));
        let reading = peer::from_pjsip(conf, wizard, &tags, &wizard_tags);
        if self.peers.is_empty() {
            self.registrar = reading.registrar;
        }
        self.peers.extend(reading.peers);
        self.refused.extend(reading.refused);
        self.diagnostics.extend(reading.diagnostics);
    }

    /// What is allowed and probably not meant.
    fn lints(&self) -> Vec<Diagnostic> {
        let nothing = nothing();
        let sip =
            self.tops.iter().rfind(|top| top.tech == Tech::Sip).map_or(&nothing, |top| &top.conf);
        let pjsip = self.tops.iter().filter(|top| top.tech == Tech::Pjsip);
        let mut found = lint::lint(sip, &self.sip_tags, &self.peers);
        found.extend(pjsip.flat_map(|top| lint::templates(&top.conf)));
        found
    }

    /// The files as Asterisk has them.
    pub fn confs(&self) -> Vec<&Conf> {
        self.tops.iter().map(|top| &top.conf).collect()
    }

    /// The identity of what the files say; white space and comments do not count.
    pub fn fingerprint(&self) -> String {
        let there = self.tops.iter().filter(|top| top.conf.status != Status::Missing);
        there.map(|top| hex::encode(&top.fingerprint)).collect::<Vec<_>>().join(":")
    }

    /// Why Asterisk would load none of it: a file that it rejects, or one that is gone although phones
    /// were served from it (`had`).
    pub fn unfit(&self, had: impl Fn(Tech) -> bool) -> Option<String> {
        let all_gone = self.tops.iter().all(|top| top.conf.status == Status::Missing);
        self.tops.iter().find_map(|top| match top.conf.status {
            Status::Ok => None,
            Status::Invalid => {
                Some(format!("Asterisk would reject {}: correct the error shown", top.name()))
            }
            Status::Missing if all_gone || had(top.tech) => {
                Some(format!("{} cannot be read: bring it back", top.name()))
            }
            Status::Missing => None,
        })
    }

    /// Why there may be more than was read.
    pub fn incomplete(&self, sources: &Sources) -> Option<String> {
        self.tops.iter().find_map(|top| {
            if top.conf.status != Status::Missing && top.conf.abandoned {
                return Some(format!(
                    "{} was not read to its end: {}",
                    top.name(),
                    first_error(&top.conf, sources)
                ));
            }
            top.conf.exec.then(|| {
                format!("what Asterisk reads cannot be known: a live #exec in {}", top.name())
            })
        })
    }
}

impl Top {
    /// Finds out the identity of a file while `make` makes peers of it.
    fn new(tech: Tech, path: PathBuf, conf: Conf, make: impl FnOnce(&Conf)) -> Self {
        let fingerprint = thread::scope(|scope| {
            let beside = || conf::fingerprint(&conf);
            let beside = thread::Builder::new().spawn_scoped(scope, beside);
            make(&conf);
            // Without a thread it takes longer.
            let found = beside.ok().and_then(|thread| thread.join().ok());
            found.unwrap_or_else(|| conf::fingerprint(&conf))
        });
        Self { tech, path, conf, fingerprint }
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

fn first_error(conf: &Conf, sources: &Sources) -> String {
    let place = |d: &Diagnostic| d.span.map(|span| sources.place(span)).unwrap_or_default();
    let error = conf.diagnostics.iter().find(|d| d.level == Level::Error);
    error
        .map_or("a file of it was left half-way".into(), |d| format!("{}: {}", place(d), d.message))
}
