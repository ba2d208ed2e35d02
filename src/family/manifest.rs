//! `family.conf`, read into a [`Family`]. A family exists only if its manifest is sound and every
//! template compiles; what is wrong points at its line.

mod firmware;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::base::{Code, FileName, Mac};

use super::key::{Charset, KeyRow};
use super::ladder::{Release, Row};
use super::stage::Stage;
use super::template::Templates;
use super::unassigned::Unassigned;
use super::{Artifact, Audience, Role};

pub(super) use read::read;

/// A manifest that is not sound.
pub static MANIFEST: Code = Code {
    id: "H0501",
    title: "unsound family manifest",
    explain: "family.conf says something that the program does not know, or leaves out what it \
              needs. The family does not exist until this is mended: phones of it keep their last \
              good files.",
};

/// Phones that boot from the same files in the same formats.
#[derive(Debug)]
pub struct Family {
    /// Its name, that of its folder: `cisco-79x0`.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// How its phones are told to look again.
    pub push: Push,
    /// The charset of its files.
    pub charset: Charset,
    /// Its models by name.
    pub models: BTreeMap<String, Model>,
    /// Its files, in the order of the manifest.
    pub files: Vec<File>,
    /// Its keys, in the order of the manifest.
    pub keys: Vec<KeyRow>,
    /// Settings that shape files and are no keys.
    pub settings: Vec<KeyRow>,
    /// Names of time zones and their offsets, seconds east of UTC; the first one of an offset wins.
    pub zones: Vec<(String, i32)>,
    /// User-Agents, by their beginning.
    pub user_agents: Vec<Pattern>,
    /// DHCP vendor classes, by their beginning.
    pub dhcp_classes: Vec<Pattern>,
    /// What its phones want to hear from a DHCP server.
    pub dhcp: DhcpFacts,
    /// What firmware is called; none: no file of the family names any.
    pub firmware: Option<FirmwareFacts>,
    /// What its phones ask for at each stage of their firmware, in the order of the manifest.
    pub stages: Vec<Stage>,
    /// The file of a phone without a tag; none: it gets nothing.
    pub unassigned: Option<Unassigned>,
    pub(super) templates: Templates,
}

/// How phones are told to look again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Push {
    /// NOTIFY with `Event: check-sync`.
    CheckSync,
    /// Not at all: they look when they start.
    None,
}

impl Push {
    /// The `Event` of the NOTIFY, empty where there is none.
    pub fn event(self) -> &'static str {
        match self {
            Self::CheckSync => "check-sync",
            Self::None => "",
        }
    }
}

/// One model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Model {
    /// What the phone calls itself.
    pub name: String,
    /// How many lines it has.
    pub lines: u8,
    /// The number in `loadInformationN` (phones.md §2.1).
    pub load_information: u16,
    /// Every key of its own file, in order.
    pub slots: Vec<Slot>,
}

/// One key of one model's own file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slot {
    /// Its name in the file.
    pub name: String,
    /// The row of [`Family::keys`].
    pub row: usize,
    /// Its line, for a key that each line has.
    pub line: Option<u8>,
}

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Syntax {
    /// `key: "value"` lines (phones.md §2.7).
    Cnf,
    /// XML.
    Xml,
    /// Lines of text.
    Text,
}

/// When a file exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Always.
    Always,
    /// When ring files lie in the static root.
    Rings,
    /// When the phone may be told of firmware.
    Firmware,
}

/// One file of the family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Its name; `{MAC}` and `{mac}` stand for the phone's address.
    pub pattern: String,
    /// Its template.
    pub template: String,
    /// How it is written.
    pub syntax: Syntax,
    /// Who may have it.
    pub audience: Audience,
    /// What it means for the phone.
    pub role: Role,
    /// When it exists.
    pub when: When,
    /// Holds a password.
    pub secret: bool,
    /// Lines end with CR LF.
    pub crlf: bool,
    /// The greatest size, bytes.
    pub max: usize,
}

/// The beginning of a text that phones send, and what it tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    /// The beginning.
    pub prefix: String,
    /// The model, where it tells it.
    pub model: Option<String>,
    /// Proves that the phone takes the firmware that files may name.
    pub firmware: bool,
    /// The major release of the SIP application, where it tells it.
    pub sip: Option<u16>,
    /// Nothing may follow: the text is the whole one.
    pub whole: bool,
}

/// What phones of a family want to hear from a DHCP server, beside an address (phones.md §4).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DhcpFacts {
    /// What option 66 says instead of the boot server's dotted address: a URL with `{server}` in it.
    pub url: Option<String>,
    /// Option 12; `{MAC}` and `{mac}` stand for the phone's address.
    pub host_name: Option<String>,
    /// Option 43, byte for byte.
    pub vendor: Vec<u8>,
    /// The first three bytes of MACs that phones of the family have, and hardly anything else has.
    pub ouis: BTreeSet<[u8; 3]>,
}

impl DhcpFacts {
    /// Option 12 for a phone.
    pub fn host(&self, mac: Mac) -> Option<String> {
        let name = self.host_name.as_ref()?;
        Some(name.replace("{MAC}", &mac.upper()).replace("{mac}", &mac.lower()))
    }
}

/// What firmware is called.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FirmwareFacts {
    /// How the name of a load begins.
    pub load_prefix: String,
    /// How the name of its loader begins.
    pub loader_prefix: String,
    /// The files that must be there: `{load}` and `{loader}` stand for the names.
    pub images: Vec<String>,
    /// How large an image of each kind (its extension) can be, bytes.
    pub sizes: Vec<(String, RangeInclusive<u64>)>,
    /// The kinds that carry a signature.
    pub signed: Vec<String>,
    /// The first major release that takes the target by itself.
    pub lowest: u16,
    /// The rows of `[ladder]`; none: no phone is led anywhere.
    pub ladder: Vec<Row>,
    /// Releases, and those that cannot be reached from them.
    pub never: Vec<(Release, Release)>,
}

impl Family {
    /// The pattern that fits a User-Agent best.
    pub fn user_agent(&self, text: &str) -> Option<&Pattern> {
        longest(&self.user_agents, text)
    }

    /// The pattern that fits a DHCP vendor class best; a NUL behind it is ignored (phones.md §4.1).
    pub fn dhcp_class(&self, bytes: &[u8]) -> Option<&Pattern> {
        let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        longest(&self.dhcp_classes, std::str::from_utf8(text).ok()?)
    }

    /// Whether a machine with this MAC and vendor class is a phone that the family fits. One that says a
    /// class is judged by it alone.
    pub fn recognises(&self, mac: Mac, class: Option<&[u8]>) -> bool {
        let [a, b, c, ..] = mac.bytes();
        match class {
            Some(class) => self.dhcp_class(class).is_some(),
            None => self.dhcp.ouis.contains(&[a, b, c]),
        }
    }

    /// Whether a phone that was seen with this User-Agent may be told of firmware (design §6).
    pub fn firmware_fits(&self, user_agent: &str) -> bool {
        self.user_agent(user_agent).is_some_and(|p| p.firmware)
    }

    /// Whether the values of a key are never shown, whatever its line.
    pub fn is_secret(&self, key: &str) -> bool {
        self.slot(key).is_some_and(|(_, slot)| self.keys[slot.row].secret)
    }

    /// A rendered file as `(key, value, secret)`, in order, for people to compare; nothing for a file
    /// that the family does not have.
    pub fn keys(&self, artifact: &Artifact) -> Vec<(String, String, bool)> {
        let name = artifact.name.as_str();
        let Some(file) = self.files.iter().find(|f| f.has_name(name)) else { return Vec::new() };
        let pairs = super::check::keys(&artifact.bytes(), file.syntax, self.charset);
        pairs
            .into_iter()
            .map(|(key, value)| {
                let secret = artifact.secret && self.is_secret(&key);
                (key, value, secret)
            })
            .collect()
    }

    /// What makes a phone forget the value of a key that was offered once; none for a key that the
    /// family does not know.
    pub fn reset(&self, key: &str) -> Option<&str> {
        self.slot(key).map(|(_, slot)| self.keys[slot.row].reset.as_str())
    }

    /// A key of the largest model that has it, compared without case (phones.md §2.7).
    pub(super) fn slot(&self, key: &str) -> Option<(&Model, &Slot)> {
        self.models.values().rev().find_map(|model| {
            let slot = model.slots.iter().find(|s| s.name.eq_ignore_ascii_case(key))?;
            Some((model, slot))
        })
    }
}

fn longest<'a>(patterns: &'a [Pattern], text: &str) -> Option<&'a Pattern> {
    let fits = |p: &&Pattern| match p.whole {
        true => text == p.prefix,
        false => text.starts_with(&p.prefix),
    };
    patterns.iter().filter(fits).max_by_key(|p| p.prefix.len())
}

impl File {
    fn has_name(&self, name: &str) -> bool {
        let holder = ["{MAC}", "{mac}"].into_iter().find_map(|h| self.pattern.split_once(h));
        let Some((before, after)) = holder else { return self.pattern == name };
        let middle = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        middle.is_some_and(|m| m.parse::<Mac>().is_ok())
    }

    /// The name for a phone.
    pub fn named(&self, mac: Option<Mac>) -> Option<FileName> {
        let name = match mac {
            Some(mac) => self.pattern.replace("{MAC}", &mac.upper()).replace("{mac}", &mac.lower()),
            None => self.pattern.clone(),
        };
        FileName::new(&name).ok()
    }
}
