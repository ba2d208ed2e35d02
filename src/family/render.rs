//! From a phone to its files. Values are made and checked first, each with the setting that it came
//! from; then templates place them, and what they made is parsed back.

use std::collections::BTreeMap;

use minijinja::value::Value;

use crate::base::{Body, Code, Diagnostic, Digest, Level, Mac, Span, Spanned};
use crate::model::phone::Phone;
use crate::model::site::FamilySettings;

use super::check::finish;
use super::clock::{Clock, clock};
use super::firmware::{self, Firmware};
use super::fit::{Said, no_counterpart, refused, spelt};
use super::manifest::{Family, File, Model, Slot, When};
use super::raw::{Raw, misfit};
use super::values::{Inputs, Origin};
use super::{Artifact, Audience, Rendered, Role, Step, Surroundings, Variant, peers};

/// A profile without a section.
pub static PROFILE: Code = Code {
    id: "H0518",
    title: "profile without a section",
    explain: "A tag says `profile=NAME`, and handset.conf has no `[family/NAME]`: the family's own \
              section holds.",
};

/// Files and remarks, or, when something is held back, what is wrong.
pub type Outcome<T> = Result<(T, Vec<Diagnostic>), Vec<Diagnostic>>;

/// What all phones of a family share, worked out once: make one for many phones.
#[derive(Debug)]
pub struct Context<'a> {
    pub(super) family: &'a Family,
    pub(super) around: &'a Surroundings<'a>,
    server: String,
    pub(super) marker: String,
    clock: Clock,
    /// By profile; the empty name is the family's own section.
    raws: BTreeMap<&'a str, (Raw<'a>, Option<Firmware>)>,
    rings: Vec<Ring>,
    diagnostics: Vec<Diagnostic>,
}

#[derive(Debug)]
struct Ring {
    name: String,
    file: String,
}

/// One line of a phone's own file.
pub(super) struct Pair<'a> {
    pub(super) name: &'a str,
    pub(super) value: String,
    pub(super) whence: Whence<'a>,
}

/// Where the value of a key comes from.
#[derive(Clone, Copy)]
pub(super) enum Whence<'a> {
    /// A raw key.
    Raw(Span),
    /// A setting; the flag tells that the family's default stands in for what it has no word for.
    Setting(Origin<'a>, bool),
    /// The family's table.
    Default,
    /// The family's table, for a line without an account.
    Unused,
}

impl Ring {
    fn value(&self) -> Value {
        Value::from_pairs([("name", self.name.as_str()), ("file", self.file.as_str())])
    }
}

impl Pair<'_> {
    fn value(&self) -> Value {
        Value::from_pairs([("name", self.name), ("value", self.value.as_str())])
    }
}

/// Renders one phone; [`Context::phone`] for many.
pub fn phone(family: &Family, phone: &Phone, around: &Surroundings<'_>) -> Outcome<Rendered> {
    Context::new(family, around).phone(phone)
}

/// Renders the shared files; [`Context::shared`].
pub fn shared(family: &Family, around: &Surroundings<'_>) -> Outcome<Vec<Artifact>> {
    Context::new(family, around).shared()
}

impl<'a> Context<'a> {
    /// Reads the site's sections of the family.
    pub fn new(family: &'a Family, around: &'a Surroundings<'a>) -> Self {
        let mut this = Self {
            family,
            around,
            server: around.server.to_string(),
            // Keyed, so that nothing an administrator writes can equal it.
            marker: around.key.digest("place of the sync token", []).to_string(),
            clock: Clock::default(),
            raws: BTreeMap::new(),
            rings: rings(around),
            diagnostics: Vec::new(),
        };
        this.read_sections();
        let base = this.raws.get("").map(|(raw, _)| raw);
        let raw_key = |key: &str| base.is_some_and(|raw| raw.keys.contains_key(key));
        let span = around.site.timezone.as_ref().map(|z| z.span);
        let (clock, diagnostic) = clock(around.timezone, span, &family.zones, raw_key);
        this.clock = clock;
        this.diagnostics.extend(diagnostic);
        this
    }

    fn read_sections(&mut self) {
        let family = self.family;
        let settings = &self.around.site.families;
        let name = family.name.as_str();
        let own = settings.get(name);
        let base = Raw::default();
        let base = own.map_or_else(|| base.clone(), |s| base.overlay(family, name, s, false));
        self.add("", base.clone());
        for (section, values) in settings {
            let profile = section.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
            if let Some(profile) = profile {
                self.add_profile(&base, section, profile, values);
            }
        }
    }

    fn add_profile(
        &mut self,
        base: &Raw<'a>,
        section: &str,
        profile: &'a str,
        values: &'a FamilySettings,
    ) {
        self.add(profile, base.overlay(self.family, section, values, true));
    }

    fn add(&mut self, profile: &'a str, mut raw: Raw<'a>) {
        let asked = raw.firmware.map(|load| firmware::check(self.family, load, self.around));
        let firmware = match asked {
            Some(Ok(firmware)) => {
                raw.diagnostics.extend(firmware::odd(self.family, &firmware, self.around));
                Some(firmware)
            }
            Some(Err(diagnostic)) => {
                raw.diagnostics.push(diagnostic);
                None
            }
            None => None,
        };
        for diagnostic in &raw.diagnostics {
            if !self.diagnostics.contains(diagnostic) {
                self.diagnostics.push(diagnostic.clone());
            }
        }
        self.raws.insert(profile, (raw, firmware));
    }

    /// The files that are the same for all, and every remark about the site's own settings.
    /// What is wrong with a profile holds back its phones only.
    pub fn shared(&self) -> Outcome<Vec<Artifact>> {
        let mut diagnostics = self.diagnostics.clone();
        let mut artifacts = Vec::new();
        let mut sound = self.raws.get("").is_none_or(|(raw, _)| raw.sound());
        for file in &self.family.files {
            let wanted = file.audience == Audience::Shared && self.has(file, None);
            if wanted {
                match self.artifact(file, None, &self.common()) {
                    Ok(artifact) => artifacts.push(artifact),
                    Err(diagnostic) => {
                        sound = false;
                        diagnostics.push(diagnostic);
                    }
                }
            }
        }
        if sound { Ok((artifacts, diagnostics)) } else { Err(diagnostics) }
    }

    /// The files of one phone: the variant without firmware first, then, where the setting and the
    /// images are there, one that names it. An error holds this phone back, nobody else.
    pub fn phone(&self, phone: &Phone) -> Outcome<Rendered> {
        let mut diagnostics = Vec::new();
        let model = match self.model(phone) {
            Ok(model) => model,
            Err(diagnostic) => return Err(vec![diagnostic]),
        };
        let (raw, firmware) = self.raw(phone, &mut diagnostics);
        if !raw.sound() || self.clock_lost() {
            diagnostics.extend(self.held(raw));
        }
        diagnostics.extend(peers::check(phone, model, |key| raw.keys.contains_key(key)));
        let mut variants = Vec::new();
        for firmware in std::iter::once(None).chain(firmware.as_ref().map(Some)) {
            let pairs = self.pairs(phone, model, raw, firmware, &mut diagnostics);
            if diagnostics.iter().any(|d| d.level == Level::Error) {
                return Err(diagnostics);
            }
            match self.variant(phone, model, &pairs, firmware) {
                Ok(variant) => variants.push(variant),
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
        }
        outcome(variants, diagnostics)
    }

    fn clock_lost(&self) -> bool {
        self.diagnostics.iter().any(|d| d.code == &super::clock::TIMEZONE && is_error(d))
    }

    fn held(&self, raw: &Raw<'_>) -> Vec<Diagnostic> {
        let clock = self.diagnostics.iter().filter(|d| d.code == &super::clock::TIMEZONE);
        clock.chain(&raw.diagnostics).filter(|d| is_error(d)).cloned().collect()
    }

    pub(super) fn model(&self, phone: &Phone) -> Result<&'a Model, Diagnostic> {
        self.family.models.get(&*phone.model).ok_or_else(|| peers::no_model(self.family, phone))
    }

    pub(super) fn raw(
        &self,
        phone: &Phone,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> (&Raw<'a>, Option<Firmware>) {
        let profile = phone.profile.as_deref().unwrap_or_default();
        let found = self.raws.get(profile);
        if found.is_none() {
            let what = format!("handset.conf has no `[{}/{profile}]`", self.family.name);
            let tags = phone.lines.iter().filter_map(|l| l.peer.tag.as_ref());
            let span = tags.filter_map(|t| t.profile.as_ref()).map(|p| p.span).next();
            let diagnostic = Diagnostic::warning(&PROFILE, what);
            diagnostics.push(span.map_or(diagnostic.clone(), |span| diagnostic.at(span)));
        }
        let own = || self.raws.get("").expect("the family's own section is always there");
        let (raw, firmware) = found.unwrap_or_else(own);
        match &phone.firmware {
            None => (raw, firmware.clone()),
            Some(load) => (raw, self.tagged(phone, load, diagnostics)),
        }
    }

    /// The firmware that a tag asks for.
    fn tagged(
        &self,
        phone: &Phone,
        load: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Firmware> {
        if load.eq_ignore_ascii_case("none") {
            return None;
        }
        let tags = phone.lines.iter().filter_map(|l| l.peer.tag.as_ref());
        let span = tags.filter_map(|tag| tag.firmware.as_ref()).map(|f| f.span).next();
        let load = Spanned::new(load.to_owned(), span.or(phone.span())?);
        match firmware::check(self.family, &load, self.around) {
            Ok(firmware) => {
                diagnostics.extend(firmware::odd(self.family, &firmware, self.around));
                Some(firmware)
            }
            Err(diagnostic) => {
                diagnostics.push(diagnostic);
                None
            }
        }
    }

    pub(super) fn pairs<'b>(
        &'b self,
        phone: &'b Phone,
        model: &'b Model,
        raw: &'b Raw<'a>,
        firmware: Option<&'b Firmware>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<Pair<'b>> {
        let inputs = Inputs {
            phone,
            around: self.around,
            clock: &self.clock,
            server: &self.server,
            firmware: firmware.map(|f| f.load.as_str()),
            firmware_at: firmware.map(|f| f.at),
            marker: &self.marker,
        };
        let first = firmware.is_none();
        let mut said = Vec::new();
        let mut pairs = Vec::with_capacity(model.slots.len() + raw.extras.len());
        for slot in &model.slots {
            let value = match raw.keys.get(&slot.name.to_ascii_lowercase()) {
                Some(value) => Some((value.value.clone(), Whence::Raw(value.span))),
                None => self.value(&inputs, slot, &mut said),
            };
            pairs.extend(value.map(|(value, whence)| Pair { name: &slot.name, value, whence }));
        }
        let extra = |(name, value): &(&'b str, &Spanned<String>)| {
            let whence = Whence::Raw(value.span);
            Pair { name, value: value.value.clone(), whence }
        };
        pairs.extend(raw.extras.values().map(extra));
        if first {
            diagnostics.extend(said.into_iter().map(|(_, d)| d));
        }
        pairs
    }

    /// The value of a slot that no raw key sets; none where it is not written.
    fn value<'b>(
        &self,
        inputs: &Inputs<'b>,
        slot: &Slot,
        said: &mut Said,
    ) -> Option<(String, Whence<'b>)> {
        let row = &self.family.keys[slot.row];
        let source = row.value.as_ref();
        let computed = source.and_then(|source| match slot.line {
            Some(line) => inputs.line_value(&source.name, line),
            None => inputs.phone_value(&source.name),
        });
        let unused = slot.line.is_some_and(|line| inputs.phone.lines.len() < usize::from(line));
        let (Some(source), Some(computed)) = (source, computed) else {
            let (value, whence) = if unused {
                (&row.unused, Whence::Unused)
            } else {
                (&row.default, Whence::Default)
            };
            return (!row.optional).then(|| (value.clone(), whence));
        };
        let (word, known) = spelt(source, &computed);
        if !known {
            no_counterpart(source, &computed, said);
        }
        let word = word.unwrap_or(&row.default);
        if let Some(misfit) = misfit(self.family, row, word) {
            let diagnostic = refused(&computed, &misfit, row.secret);
            if !said.iter().any(|(_, d)| *d == diagnostic) {
                said.push((slot.name.clone(), diagnostic));
            }
        }
        Some((word.to_owned(), Whence::Setting(computed.origin, !known)))
    }

    fn variant(
        &self,
        phone: &Phone,
        model: &Model,
        pairs: &[Pair<'_>],
        firmware: Option<&Firmware>,
    ) -> Result<Variant, Diagnostic> {
        let mut context = self.common();
        context.insert("mac", Value::from(phone.mac.upper()));
        context.insert("model", Value::from(&*phone.model));
        if let Some(firmware) = firmware {
            context.insert("firmware", Value::from(firmware.load.as_str()));
        }
        let files = || self.family.files.iter().filter(|f| f.audience != Audience::Shared);
        let own = files().find(|f| f.role == Role::Own);
        let mut token = self.around.key.digest("sync", []);
        let mut artifacts = Vec::new();
        if let Some(own) = own {
            let mut context = context.clone();
            context.insert("keys", pairs.iter().map(Pair::value).collect());
            context.insert("sync", Value::from(self.marker.as_str()));
            let text = self.family.templates.render(own, &value_of(&context))?;
            // The token vouches for all of the file but itself.
            let blank = text.replace(&self.marker, "");
            token = self.around.key.digest("sync", [blank.as_bytes()]);
            let text = text.replace(&self.marker, &token.to_string());
            let bytes = finish(self.family, own, Some(model), &text)?;
            artifacts.extend(self.sealed(own, Some(phone.mac), bytes));
        }
        context.insert("sync", Value::from(token.to_string()));
        for file in files().filter(|f| f.role != Role::Own && self.has(f, firmware)) {
            artifacts.push(self.artifact(file, Some(phone.mac), &context)?);
        }
        let step = Step(firmware.map(|f| f.load.clone()).unwrap_or_default());
        Ok(Variant { step, token, artifacts })
    }

    fn has(&self, file: &File, firmware: Option<&Firmware>) -> bool {
        match file.when {
            When::Always => true,
            When::Rings => !self.rings.is_empty(),
            When::Firmware => firmware.is_some(),
        }
    }

    /// What every template may name.
    pub(super) fn common(&self) -> BTreeMap<&'static str, Value> {
        let raw = self.raws.get("").map(|(raw, _)| raw);
        let settings: BTreeMap<&str, &str> = self
            .family
            .settings
            .iter()
            .map(|row| {
                let set = raw.and_then(|raw| raw.settings.get(&row.name)).copied();
                (row.name.as_str(), set.unwrap_or(&row.default))
            })
            .collect();
        let models: Vec<Value> = self
            .family
            .models
            .values()
            .map(|model| {
                let load = Value::from(model.load_information);
                let name = Value::from(model.name.as_str());
                Value::from_pairs([("name", name), ("load_information", load)])
            })
            .collect();
        BTreeMap::from([
            ("server", Value::from(self.server.as_str())),
            ("settings", Value::from_pairs(settings)),
            ("rings", self.rings.iter().map(Ring::value).collect()),
            ("models", models.into_iter().collect::<Value>()),
        ])
    }

    pub(super) fn artifact(
        &self,
        file: &File,
        mac: Option<Mac>,
        context: &BTreeMap<&'static str, Value>,
    ) -> Result<Artifact, Diagnostic> {
        let text = self.family.templates.render(file, &value_of(context))?;
        let bytes = finish(self.family, file, None, &text)?;
        self.sealed(file, mac, bytes).ok_or_else(|| {
            let what = format!("`{}` makes no name that can be served", file.pattern);
            Diagnostic::error(&super::check::UNSOUND, what)
        })
    }

    fn sealed(&self, file: &File, mac: Option<Mac>, bytes: Vec<u8>) -> Option<Artifact> {
        let digest: Digest = self.around.key.digest("artifact", [bytes.as_slice()]);
        Some(Artifact {
            name: file.named(mac)?,
            body: Body::from(bytes),
            digest,
            audience: file.audience,
            role: file.role,
            secret: file.secret,
        })
    }
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.level == Level::Error
}

fn outcome<T>(value: T, diagnostics: Vec<Diagnostic>) -> Outcome<T> {
    match diagnostics.iter().any(is_error) {
        true => Err(diagnostics),
        false => Ok((value, diagnostics)),
    }
}

fn value_of(context: &BTreeMap<&'static str, Value>) -> Value {
    Value::from_pairs(context.iter().map(|(name, value)| (*name, value.clone())))
}

/// Ring files are told by their names (phones.md §2.14): raw µ-law in the static root itself.
fn rings(around: &Surroundings<'_>) -> Vec<Ring> {
    let ring = |file: &String| {
        let (name, kind) = file.rsplit_once('.')?;
        let fits = matches!(kind.to_ascii_lowercase().as_str(), "pcm" | "raw");
        let plain = |c: char| c.is_ascii_graphic() && c != '/';
        (fits && !name.is_empty() && file.chars().all(plain))
            .then(|| Ring { name: name.to_owned(), file: file.clone() })
    };
    around.statics.iter().filter_map(ring).collect()
}
