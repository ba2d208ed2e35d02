//! Raw keys: what a family's section of handset.conf sets by hand, checked against the family's
//! table once for the site.
//!
//! A key that the table does not know is written all the same, with a warning: phones pass over
//! what they do not know, and the table may lag behind a firmware.

use std::collections::BTreeMap;

use crate::base::nearest::nearest;
use crate::base::{Code, Diagnostic, Level, Spanned};
use crate::model::site::FamilySettings;

use super::key::{KeyRow, Misfit, is_key};
use super::manifest::Family;

/// A raw key that the family does not know.
pub(super) static UNKNOWN: Code = Code {
    id: "H0507",
    title: "unknown raw key",
    explain: "The family's table has no such key. It is written into the phones' files as it \
              stands, which does no harm when it is a slip, and no good either.",
};

/// A raw key that is not the administrator's to set.
pub(super) static FIXED: Code = Code {
    id: "H0508",
    title: "raw key ignored",
    explain: "The value of this key comes from sip.conf, from the setting `firmware`, or is the \
              sync token. A raw key cannot override it.",
};

/// A raw key or setting with a value that the phone would refuse.
pub(super) static VALUE: Code = Code {
    id: "H0506",
    title: "value not allowed",
    explain: "The phone would refuse the value and keep its old one, or the family's table does \
              not allow it. Phones that it concerns keep their last good files.",
};

/// The raw keys that hold for the phones of one profile.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw<'a> {
    /// By lower-case name: keys of the table.
    pub(super) keys: BTreeMap<String, &'a Spanned<String>>,
    /// Keys beyond the table, as written.
    pub(super) extras: BTreeMap<String, (&'a str, &'a Spanned<String>)>,
    /// Settings of the manifest, by name.
    pub(super) settings: BTreeMap<String, &'a str>,
    /// The load asked for.
    pub(super) firmware: Option<&'a Spanned<String>>,
    /// What is wrong.
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl<'a> Raw<'a> {
    /// Lays a section over this one.
    pub(super) fn overlay(
        &self,
        family: &Family,
        name: &str,
        section: &'a FamilySettings,
        profile: bool,
    ) -> Self {
        let mut this = self.clone();
        this.firmware = section.firmware.as_ref().or(self.firmware);
        for (key, value) in &section.keys {
            this.key(family, (name, profile), key, value);
        }
        this
    }

    /// Whether nothing forbids to render.
    pub(super) fn sound(&self) -> bool {
        self.diagnostics.iter().all(|d| d.level != Level::Error)
    }

    fn key(
        &mut self,
        family: &Family,
        (section, profile): (&str, bool),
        key: &'a str,
        value: &'a Spanned<String>,
    ) {
        let lower = key.to_ascii_lowercase();
        let setting = family.settings.iter().find(|row| row.name == lower);
        if let Some(row) = setting {
            if profile {
                let what = format!("`{key}` shapes files of all phones: not in `[{section}]`");
                self.diagnostics.push(Diagnostic::warning(&FIXED, what).at(value.span));
            } else if self.fits(family, key, row, value) {
                self.settings.insert(row.name.clone(), &value.value);
            }
            return;
        }
        match family.slot(key) {
            Some((_, slot)) if family.keys[slot.row].fixed => {
                let what = format!("`{key}` cannot be set by hand");
                let diagnostic = Diagnostic::warning(&FIXED, what).at(value.span);
                self.diagnostics.push(diagnostic.help("take it out of handset.conf"));
            }
            Some((_, slot)) => {
                if self.fits(family, key, &family.keys[slot.row], value) {
                    self.keys.insert(lower, value);
                }
            }
            None => self.stranger(family, key, value),
        }
    }

    fn fits(&mut self, family: &Family, key: &str, row: &KeyRow, value: &Spanned<String>) -> bool {
        let misfit = misfit(family, row, &value.value).or_else(|| {
            let never = row.not.as_ref()?;
            let bad = value.is_empty() || value.eq_ignore_ascii_case(never);
            bad.then(|| Misfit::Form(format!("it must be neither empty nor `{never}`")))
        });
        if let Some(misfit) = &misfit {
            let what = match misfit {
                Misfit::Char(_) if row.secret => "it holds a character beyond the file".into(),
                misfit => misfit.to_string(),
            };
            let what = format!("`{key}`: {what}");
            self.diagnostics.push(Diagnostic::error(&VALUE, what).at(value.span));
        }
        misfit.is_none()
    }

    fn stranger(&mut self, family: &Family, key: &'a str, value: &'a Spanned<String>) {
        let syntax = super::manifest::Syntax::Cnf;
        let carried = |c| syntax.carries(c) && family.charset.has(c);
        if !is_key(key) || value.chars().count() > 127 || !value.chars().all(carried) {
            let what = format!("`{key}` is no key of the phone, and cannot be written either");
            self.diagnostics.push(Diagnostic::error(&VALUE, what).at(value.span));
            return;
        }
        let what =
            format!("`{key}` is no known key of {}: it is written as it stands", family.name);
        let diagnostic = Diagnostic::warning(&UNKNOWN, what).at(value.span);
        let names = family.models.values().flat_map(|m| &m.slots).map(|s| s.name.as_str());
        let names = names.chain(family.settings.iter().map(|s| s.name.as_str()));
        self.diagnostics.push(match nearest(key, names) {
            Some(name) => diagnostic.help(format!("did you mean `{name}`?")),
            None => diagnostic,
        });
        self.extras.insert(key.to_ascii_lowercase(), (key, value));
    }
}

/// What is wrong with a value of a key, if anything.
pub(super) fn misfit(family: &Family, row: &KeyRow, text: &str) -> Option<Misfit> {
    let syntax = super::manifest::Syntax::Cnf;
    let stray = text.chars().find(|c| !syntax.carries(*c) || !family.charset.has(*c));
    stray.map(Misfit::Char).or_else(|| row.kind.check(text).err())
}
