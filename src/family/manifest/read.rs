//! From the sections of `family.conf` to a [`Family`].

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Diagnostic, FileName, Level, Mac, Span, hex};
use crate::conf::{Conf, Entry, Section, Status};
use crate::family::key::{Charset, KeyRow};
use crate::family::stage::{self, Stage};
use crate::family::template::{Body, Templates};
use crate::family::unassigned::Unassigned;
use crate::family::{Audience, Role, values};

use super::{DhcpFacts, Family, File, MANIFEST, Model, Pattern, Push, Slot, Syntax, When};

/// Reads a family. `templates` holds the other files of its folder.
pub(in crate::family) fn read(
    name: &str,
    conf: &Conf,
    templates: &BTreeMap<String, Body>,
    whole: Span,
) -> Result<Family, Vec<Diagnostic>> {
    let mut reader = Reader { diagnostics: conf.diagnostics.clone(), whole };
    if conf.status != Status::Ok || conf.exec || conf.abandoned {
        reader.wrong(whole, "the manifest cannot be read as a whole".into());
    }
    let family = reader.family(name, conf, templates);
    let bad = reader.diagnostics.iter().any(|d| d.level == Level::Error);
    match family {
        Some(family) if !bad => Ok(family),
        _ => Err(reader.diagnostics),
    }
}

pub(super) struct Reader {
    diagnostics: Vec<Diagnostic>,
    whole: Span,
}

/// The sections that every manifest has or may have, besides `[model X]`, `[file X]` and
/// `[stage X]`.
const SECTIONS: [&str; 11] = [
    "family",
    "firmware",
    "user_agents",
    "dhcp_classes",
    "dhcp",
    "settings",
    "time_zones",
    "keys",
    "ladder",
    "ladder_never",
    "unassigned",
];

impl Reader {
    pub(super) fn wrong(&mut self, span: Span, message: String) {
        self.diagnostics.push(Diagnostic::error(&MANIFEST, message).at(span));
    }

    fn family(
        &mut self,
        name: &str,
        conf: &Conf,
        templates: &BTreeMap<String, Body>,
    ) -> Option<Family> {
        self.strangers(conf);
        let keys = self.rows(conf, "keys");
        let settings = self.rows(conf, "settings");
        let models = self.models(conf, &keys);
        let files = self.files(conf);
        let top = self.only(conf, "family")?;
        self.known(top, &["title", "push", "charset"]);
        let firmware = self.firmware(conf, &files, &keys);
        let stages = self.stages(conf);
        let unassigned = self.unassigned(conf, templates);
        let templates = Templates::compile(&files, templates, &mut self.diagnostics, self.whole);
        Some(Family {
            name: name.to_owned(),
            title: text(top, "title").unwrap_or_else(|| name.to_owned()),
            push: self.word(
                top,
                "push",
                &[("check-sync", Push::CheckSync), ("none", Push::None)],
            )?,
            charset: self.word(
                top,
                "charset",
                &[("latin1", Charset::Latin1), ("utf8", Charset::Utf8)],
            )?,
            user_agents: self.patterns(conf, "user_agents", &models),
            dhcp_classes: self.patterns(conf, "dhcp_classes", &models),
            dhcp: self.dhcp(conf),
            zones: self.zones(conf),
            models,
            files,
            keys,
            settings,
            firmware,
            stages,
            unassigned,
            templates: templates?,
        })
    }

    fn strangers(&mut self, conf: &Conf) {
        let mut seen = BTreeSet::new();
        for section in &conf.sections {
            let name = section.name.chars().into_owned();
            let known = SECTIONS.contains(&name.as_str())
                || name.starts_with("model ")
                || name.starts_with("file ")
                || name.starts_with("stage ");
            if !known {
                self.wrong(section.span, format!("`[{name}]` is no section of a manifest"));
            }
            if !seen.insert(name.clone()) {
                self.wrong(section.span, format!("`[{name}]` stands twice"));
            }
        }
    }

    fn only<'a>(&mut self, conf: &'a Conf, name: &str) -> Option<&'a Section> {
        let found = find(conf, name);
        if found.is_none() {
            self.wrong(self.whole, format!("the section `[{name}]` is missing"));
        }
        found
    }

    pub(super) fn known(&mut self, section: &Section, keys: &[&str]) {
        for entry in &section.entries {
            let name = entry.name.chars();
            if !keys.contains(&name.as_ref()) {
                let known = keys.join(", ");
                self.wrong(
                    entry.name_span,
                    format!("`{name}` is not known here, only {known} are"),
                );
            }
        }
    }

    fn word<T: Copy>(&mut self, section: &Section, key: &str, words: &[(&str, T)]) -> Option<T> {
        let value = text(section, key);
        let found = words.iter().find(|(word, _)| Some(*word) == value.as_deref());
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let span = section.last(key).map_or(section.span, |e| e.span);
            self.wrong(span, format!("`{key}` must be one of {}", names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    fn number<T: std::str::FromStr>(&mut self, section: &Section, key: &str) -> Option<T> {
        let number = text(section, key).and_then(|t| t.parse().ok());
        if number.is_none() {
            let span = section.last(key).map_or(section.span, |e| e.span);
            self.wrong(span, format!("`{key}` must be a number"));
        }
        number
    }

    fn rows(&mut self, conf: &Conf, section: &str) -> Vec<KeyRow> {
        let mut rows: Vec<KeyRow> = Vec::new();
        let section = find(conf, section);
        let entries = section.into_iter().flat_map(|s| &s.entries);
        for entry in entries {
            let name = entry.name.chars();
            if rows.iter().any(|r| r.name.eq_ignore_ascii_case(&name)) {
                self.wrong(entry.name_span, format!("the key `{name}` stands twice"));
            }
            match KeyRow::parse(&name, &entry.value.chars()) {
                Ok(row) => {
                    self.source(&row, entry);
                    rows.push(row);
                }
                Err(what) => self.wrong(entry.span, format!("`{name}`: {what}")),
            }
        }
        rows
    }

    fn source(&mut self, row: &KeyRow, entry: &Entry) {
        let Some(source) = &row.value else { return };
        let names = if row.per_line { values::LINE } else { values::PHONE };
        if !names.contains(&source.name.as_str()) {
            let scope = if row.per_line { "line" } else { "phone" };
            let known = names.join(", ");
            self.wrong(
                entry.span,
                format!("`{}` is no computed value of a {scope}, those are {known}", source.name),
            );
        }
    }

    fn models(&mut self, conf: &Conf, keys: &[KeyRow]) -> BTreeMap<String, Model> {
        let mut models = BTreeMap::new();
        for section in &conf.sections {
            let whole = section.name.chars();
            let Some(name) = whole.strip_prefix("model ") else { continue };
            self.known(section, &["name", "lines", "load_information"]);
            let lines = self.number(section, "lines").filter(|n| (1..=99).contains(n));
            let Some(lines) = lines else {
                self.wrong(section.span, "a model has 1 to 99 lines".into());
                continue;
            };
            let model = Model {
                name: text(section, "name").unwrap_or_else(|| name.to_owned()),
                lines,
                load_information: self.number(section, "load_information").unwrap_or(0),
                slots: slots(keys, lines),
            };
            self.distinct(section, &model.slots);
            models.insert(name.trim().to_owned(), model);
        }
        if models.is_empty() {
            self.wrong(self.whole, "a family has at least one `[model NAME]`".into());
        }
        models
    }

    fn distinct(&mut self, section: &Section, slots: &[Slot]) {
        let mut seen = BTreeSet::new();
        for slot in slots {
            if !seen.insert(slot.name.to_ascii_lowercase()) {
                self.wrong(section.span, format!("two rows of `[keys]` make `{}`", slot.name));
            }
        }
    }

    fn patterns(
        &mut self,
        conf: &Conf,
        section: &str,
        models: &BTreeMap<String, Model>,
    ) -> Vec<Pattern> {
        let section = find(conf, section);
        let entries = section.into_iter().flat_map(|s| &s.entries);
        let mut patterns = Vec::new();
        for entry in entries {
            let prefix = entry.name.chars().into_owned();
            let mut pattern =
                Pattern { prefix, model: None, firmware: false, sip: None, whole: false };
            for word in entry.value.chars().split(',').map(str::trim) {
                match word.strip_prefix("model ") {
                    Some(model) if models.contains_key(model.trim()) => {
                        pattern.model = Some(model.trim().to_owned());
                    }
                    None if word == "firmware" => pattern.firmware = true,
                    None if word.starts_with("sip ") => {
                        pattern.sip = word.strip_prefix("sip ").and_then(|n| n.parse().ok());
                    }
                    None if word == "whole" => pattern.whole = true,
                    None if word == "any" => {}
                    _ => self.wrong(
                        entry.span,
                        format!("`{word}` is neither `model` with a model, `firmware`, `whole` nor `any`"),
                    ),
                }
            }
            patterns.push(pattern);
        }
        patterns
    }

    fn zones(&mut self, conf: &Conf) -> Vec<(String, i32)> {
        let section = find(conf, "time_zones");
        let entries = section.into_iter().flat_map(|s| &s.entries);
        let mut zones = Vec::new();
        for entry in entries {
            match seconds(&entry.value.chars()) {
                Some(offset) => zones.push((entry.name.chars().into_owned(), offset)),
                None => self.wrong(entry.span, "an offset is `H:MM` or `-H:MM`".into()),
            }
        }
        zones
    }

    fn unassigned(&mut self, conf: &Conf, bodies: &BTreeMap<String, Body>) -> Option<Unassigned> {
        let section = find(conf, "unassigned")?;
        self.known(section, &["file", "text"]);
        let pattern = text(section, "file").unwrap_or_default();
        let body = bodies.get(&text(section, "text").unwrap_or_default());
        let read = Unassigned::read(&pattern, body);
        read.map_err(|message| self.wrong(section.span, message)).ok()
    }

    fn dhcp(&mut self, conf: &Conf) -> DhcpFacts {
        let mut facts = DhcpFacts::default();
        let Some(section) = find(conf, "dhcp") else { return facts };
        self.known(section, &["boot", "host_name", "vendor", "ouis"]);
        for entry in &section.entries {
            let value = entry.value.chars();
            match (&*entry.name.chars(), value.trim()) {
                ("boot", "address") => facts.url = None,
                ("boot", url) if url.contains("{server}") => facts.url = Some(url.to_owned()),
                ("boot", _) => {
                    self.wrong(entry.span, "`boot` is `address`, or a URL with {server}".into());
                }
                ("host_name", name) => facts.host_name = Some(name.to_owned()),
                ("vendor", digits) => match bytes(digits) {
                    Some(bytes) => facts.vendor = bytes,
                    None => self.wrong(entry.span, "`vendor` is 1 to 255 bytes as hex".into()),
                },
                ("ouis", list) => {
                    for word in list.split_whitespace() {
                        match hex::decode::<3>(word) {
                            Some(oui) => drop(facts.ouis.insert(oui)),
                            None => self.wrong(entry.span, format!("`{word}` is no OUI")),
                        }
                    }
                }
                _ => {}
            }
        }
        facts
    }

    fn stages(&mut self, conf: &Conf) -> Vec<Stage> {
        let (stages, faults) = stage::read(conf);
        for (span, what) in faults {
            self.wrong(span, what);
        }
        stages
    }

    fn files(&mut self, conf: &Conf) -> Vec<File> {
        let sections = conf.sections.iter();
        let files: Vec<File> = sections
            .filter_map(|section| {
                let name = section.name.chars();
                self.file(section, name.strip_prefix("file ")?.trim())
            })
            .collect();
        for (role, what) in [(Role::Own, "own"), (Role::Sync, "sync")] {
            let count = files.iter().filter(|f| f.role == role).count();
            if count > 1 || (role == Role::Own && count == 0) {
                self.wrong(self.whole, format!("{count} files have the role `{what}`"));
            }
        }
        files
    }

    fn file(&mut self, section: &Section, pattern: &str) -> Option<File> {
        let keys = ["template", "syntax", "audience", "role", "when", "secret", "eol", "max"];
        self.known(section, &keys);
        let syntaxes = [("cnf", Syntax::Cnf), ("xml", Syntax::Xml), ("text", Syntax::Text)];
        let audiences =
            [("shared", Audience::Shared), ("phone", Audience::Phone), ("asker", Audience::Asker)];
        let file = File {
            pattern: pattern.to_owned(),
            template: text(section, "template").unwrap_or_default(),
            syntax: self.word(section, "syntax", &syntaxes)?,
            audience: self.word(section, "audience", &audiences)?,
            role: self.word(section, "role", &ROLES)?,
            when: self.or_else(section, "when", &WHENS, When::Always)?,
            secret: self.or_else(section, "secret", &YES_NO, false)?,
            crlf: self.or_else(section, "eol", &[("lf", false), ("crlf", true)], false)?,
            max: self.number(section, "max")?,
        };
        self.consistent(section, &file);
        Some(file)
    }

    fn or_else<T: Copy>(
        &mut self,
        section: &Section,
        key: &str,
        words: &[(&str, T)],
        otherwise: T,
    ) -> Option<T> {
        match section.last(key) {
            None => Some(otherwise),
            Some(_) => self.word(section, key, words),
        }
    }

    fn consistent(&mut self, section: &Section, file: &File) {
        let placed = file.pattern.contains("{MAC}") || file.pattern.contains("{mac}");
        let phone = file.audience == Audience::Phone;
        let own = file.role == Role::Own;
        let probe = Mac::new([0, 1, 2, 3, 4, 5]).ok();
        let mac_in = |name: &FileName| Mac::within(name.as_str().as_bytes());
        let faults = [
            (file.named(probe).is_none(), "its name cannot be served"),
            (phone && !placed, "a phone's file has {MAC} or {mac} in its name"),
            (
                phone && placed && file.named(probe).is_some_and(|name| mac_in(&name) != probe),
                "no hexadecimal digit may stand behind the MAC in a name",
            ),
            (!phone && placed, "only a phone's file has the MAC in its name"),
            (own && (!phone || !file.secret), "the own file is a phone's and secret"),
            (file.secret && !phone, "only a phone's file may be secret"),
            (
                matches!(file.role, Role::Sync | Role::Firmware)
                    && file.audience != Audience::Asker,
                "files of the roles sync and firmware depend on the asker",
            ),
            (
                (file.when == When::Firmware) != (file.role == Role::Firmware),
                "the role firmware and `when = firmware` go together",
            ),
            (file.max == 0 || file.max > 1 << 20, "`max` is 1 to 1048576"),
        ];
        for (_, what) in faults.iter().filter(|(bad, _)| *bad) {
            self.wrong(section.span, format!("`{}`: {what}", file.pattern));
        }
    }
}

const ROLES: [(&str, Role); 5] = [
    ("own", Role::Own),
    ("sync", Role::Sync),
    ("live", Role::Live),
    ("firmware", Role::Firmware),
    ("plain", Role::Plain),
];
const WHENS: [(&str, When); 3] =
    [("always", When::Always), ("rings", When::Rings), ("firmware", When::Firmware)];
const YES_NO: [(&str, bool); 2] = [("yes", true), ("no", false)];

/// Up to 255 bytes as hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |at: usize| hex::decode::<1>(digits.get(at..at + 2)?).map(|[byte]| byte);
    let fits = !digits.is_empty() && digits.len().is_multiple_of(2) && digits.len() <= 510;
    fits.then(|| (0..digits.len()).step_by(2).map(digit).collect()).flatten()
}

pub(super) fn find<'a>(conf: &'a Conf, name: &str) -> Option<&'a Section> {
    conf.sections.iter().find(|s| s.name.as_bytes() == name.as_bytes())
}

pub(super) fn text(section: &Section, key: &str) -> Option<String> {
    section.last(key).map(|e| e.value.chars().into_owned()).filter(|t| !t.is_empty())
}

/// `H:MM`, perhaps with a sign, in seconds.
fn seconds(text: &str) -> Option<i32> {
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..=14).contains(&hours) && (0..60).contains(&minutes))
        .then_some(sign * (hours * 3600 + minutes * 60))
}

/// All keys of a model's own file. Rows of a line that stand together are written line by line.
fn slots(keys: &[KeyRow], lines: u8) -> Vec<Slot> {
    let indexed: Vec<(usize, &KeyRow)> = keys.iter().enumerate().collect();
    let slot = |row: usize, key: &KeyRow, line| Slot { name: key.named(line), row, line };
    let mut slots = Vec::new();
    for block in indexed.chunk_by(|a, b| a.1.per_line == b.1.per_line) {
        if block[0].1.per_line {
            for line in 1..=lines {
                slots.extend(block.iter().map(|(row, key)| slot(*row, key, Some(line))));
            }
        } else {
            slots.extend(block.iter().map(|(row, key)| slot(*row, key, None)));
        }
    }
    slots
}
