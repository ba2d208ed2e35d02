//! Families are data: a manifest, templates and cases. What is computed is computed here and has a
//! name; a template only places values.

pub mod check;
mod clock;
mod explain;
mod firmware;
mod fit;
pub mod images;
pub mod key;
pub mod ladder;
pub mod library;
pub mod makers;
pub mod manifest;
mod peers;
mod raw;
pub mod render;
pub mod stage;
mod template;
pub mod unassigned;
mod values;

use std::collections::BTreeSet;
use std::net::IpAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::base::{Body, Code, Digest, FileName, Key};
use crate::model::peer::Registrar;
use crate::model::site::Site;

pub use check::keys;
pub use explain::{Explained, Origin};
pub use library::Library;
pub use manifest::Family;
pub use render::{Context, Outcome, phone, shared};

/// Every code of this module.
pub static CODES: &[&Code] = &[
    &manifest::MANIFEST,
    &template::TEMPLATE,
    &check::UNSOUND,
    &fit::LIMIT,
    &fit::CHARACTER,
    &raw::VALUE,
    &raw::UNKNOWN,
    &raw::FIXED,
    &peers::MD5SECRET,
    &peers::NO_SECRET,
    &peers::TRANSPORT,
    &peers::LINES,
    &peers::MODEL,
    &peers::MESSAGES,
    &clock::TIMEZONE,
    &firmware::FIRMWARE,
    &firmware::ODD,
    &fit::COUNTERPART,
    &render::PROFILE,
];

/// Everything beside the phone itself that shapes its files.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// handset.conf.
    pub site: &'a Site,
    /// `[general]` of sip.conf.
    pub registrar: &'a Registrar,
    /// The address that goes into the files.
    pub server: IpAddr,
    /// The IANA zone that goes into the files.
    pub timezone: &'a str,
    /// The site key.
    pub key: &'a Key,
    /// The names of the files in the static root.
    pub statics: &'a BTreeSet<String>,
    /// What is known about those of them that are firmware images.
    pub images: &'a images::Images,
}

/// Who may be given a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// Anybody: one body for all.
    Shared,
    /// One phone, whose MAC is in the name.
    Phone,
    /// A name that everybody asks for, with a body for each asker.
    Asker,
}

/// What a fetch of the file means for the phone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Carries the sync token: the phone runs what it says once it registers after fetching it.
    Own,
    /// Tells the phone the wanted sync token (`syncinfo.xml`).
    Sync,
    /// Applied without a restart (`dialplan.xml`).
    Live,
    /// Names firmware.
    Firmware,
    /// Anything else.
    Plain,
}

/// Which firmware a variant names. Ordered from nothing to the end of the ladder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Step(pub String);

/// One rendered, checked file. Its bytes are final.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name.
    pub name: FileName,
    /// Its bytes: the same ones are hashed, stored, exported and sent. What writes an artifact down
    /// writes them beside it (the files of all phones of a model are nearly the same).
    #[serde(skip)]
    pub body: Body,
    /// Keyed digest of the bytes.
    pub digest: Digest,
    /// Who may have it.
    pub audience: Audience,
    /// What it means for the phone.
    pub role: Role,
    /// Holds a password.
    pub secret: bool,
}

impl Artifact {
    /// Its bytes.
    pub fn bytes(&self) -> Bytes {
        self.body.bytes()
    }
}

/// The files of a phone when it is at a firmware step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Variant {
    /// The step.
    pub step: Step,
    /// The sync token: what the phone runs after it has taken this variant.
    pub token: Digest,
    /// The phone's own files and the asker's variants of common names.
    pub artifacts: Vec<Artifact>,
}

/// What [`render`] makes of one phone: at least one variant, [`Step::default`] first.
pub type Rendered = Vec<Variant>;
