//! `[firmware]` and the sections of the ladder.

use std::ops::RangeInclusive;

use crate::conf::{Conf, Entry};
use crate::family::Role;
use crate::family::key::KeyRow;
use crate::family::ladder::{Release, Row};

use super::read::{Reader, find, text};
use super::{File, FirmwareFacts};

impl Reader {
    pub(super) fn firmware(
        &mut self,
        conf: &Conf,
        files: &[File],
        keys: &[KeyRow],
    ) -> Option<FirmwareFacts> {
        let section = find(conf, "firmware")?;
        self.known(
            section,
            &["load_prefix", "loader_prefix", "images", "sizes", "signed", "lowest"],
        );
        let list = |key| {
            let text = text(section, key).unwrap_or_default();
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        let sizes: Option<Vec<_>> = list("sizes").iter().map(|word| size(word)).collect();
        if sizes.is_none() {
            self.wrong(section.span, "`sizes` is a list of `KIND FROM..TO`".into());
        }
        let lowest = text(section, "lowest").map_or(Some(u16::MAX), |n| n.parse().ok());
        if lowest.is_none() {
            self.wrong(section.span, "`lowest` must be a number".into());
        }
        let facts = FirmwareFacts {
            load_prefix: text(section, "load_prefix").unwrap_or_default(),
            loader_prefix: text(section, "loader_prefix").unwrap_or_default(),
            images: list("images"),
            sizes: sizes.unwrap_or_default(),
            signed: list("signed"),
            lowest: lowest.unwrap_or(u16::MAX),
            ladder: self.each(conf, "ladder", |at, text| row(at, text, files, keys)),
            never: self.each(conf, "ladder_never", |from, to| {
                let both = Release::read(from).zip(Release::read(to));
                both.ok_or_else(|| "releases are written `6.3 => 7.2`".to_owned())
            }),
        };
        if facts.load_prefix.is_empty() || facts.images.is_empty() {
            self.wrong(section.span, "firmware wants `load_prefix` and `images`".into());
        }
        Some(facts)
    }

    fn each<T>(
        &mut self,
        conf: &Conf,
        section: &str,
        read: impl Fn(&str, &str) -> Result<T, String>,
    ) -> Vec<T> {
        let entries = find(conf, section).into_iter().flat_map(|s| &s.entries);
        let mut all = Vec::new();
        for entry in entries {
            let Entry { name, value, .. } = entry;
            match read(&name.chars(), &value.chars()) {
                Ok(one) => all.push(one),
                Err(what) => self.wrong(entry.span, format!("`{}`: {what}", name.chars())),
            }
        }
        all
    }
}

fn row(at: &str, text: &str, files: &[File], keys: &[KeyRow]) -> Result<Row, String> {
    let row = Row::read(at, text)?;
    let file = |name: &String| {
        files.iter().any(|file| file.role == Role::Firmware && file.pattern == *name)
    };
    let key = |name: &String| keys.iter().any(|key| key.name == *name);
    if row.told.is_empty() {
        return Err("no file and no key tells it".into());
    }
    if let Some(stray) = row.told.iter().find(|name| !file(name) && !key(name)) {
        return Err(format!("`{stray}` is no file of the role firmware, and no key"));
    }
    let own = |name: &String| files.iter().any(|f| f.role == Role::Own && f.pattern == *name);
    if row.without.as_ref().is_some_and(|name| !own(name)) {
        return Err("only the own file can be withheld".into());
    }
    Ok(row)
}

/// `sb2 262144..8388608`
fn size(word: &str) -> Option<(String, RangeInclusive<u64>)> {
    let (kind, range) = word.split_once(' ')?;
    let (from, to) = range.trim().split_once("..")?;
    Some((kind.to_owned(), from.parse().ok()?..=to.parse().ok()?))
}
