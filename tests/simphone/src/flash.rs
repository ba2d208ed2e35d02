//! What a phone remembers, and what follows from it (phones.md §2.7).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Model;
use crate::config::{self, keys};
use crate::event::{Event, LineInfo};

/// The settings that survive a restart; a key that no file names keeps its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flash(BTreeMap<String, String>);

/// One line, with every fall-back applied (phones.md §2.8, "Lines").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: u8,
    pub(crate) name: String,
    pub(crate) contact: String,
    pub(crate) shortname: String,
    pub(crate) displayname: String,
    pub(crate) authname: String,
    pub(crate) password: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Line {
    /// What may be shown of the line.
    pub(crate) fn info(&self) -> LineInfo {
        LineInfo {
            line: self.number,
            name: self.name.clone(),
            displayname: self.displayname.clone(),
            shortname: self.shortname.clone(),
            proxy: format!("{}:{}", self.host, self.port),
        }
    }
}

impl Flash {
    /// Reads a flash that [`Flash::save`] wrote; a missing file is a phone fresh from the factory.
    ///
    /// # Errors
    /// The file cannot be read, or is no JSON object of strings.
    pub fn load(path: &Path) -> std::io::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes the flash whole, readable by the owner only: it holds passwords.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&new)?.write_all(&serde_json::to_vec_pretty(&self.0)?)?;
        std::fs::rename(new, path)
    }

    /// The value in force: what was stored, else the firmware's default, else empty.
    pub fn get(&self, key: &str) -> &str {
        match self.0.get(key) {
            Some(value) => value,
            None => keys::find(key).map_or("", |row| row.default),
        }
    }

    /// The same as a number; 0 for `UNPROVISIONED` and for what is no number.
    pub fn number(&self, key: &str) -> u32 {
        self.get(key).parse().unwrap_or(0)
    }

    /// Everything stored, passwords too.
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Applies one file; returns what the phone refused or did not know.
    pub(crate) fn apply(&mut self, file: &str, bytes: &[u8]) -> Vec<Event> {
        let (settings, bad) = config::parse(bytes);
        let mut told: Vec<Event> = bad.into_iter().map(|bad| bad.event(file)).collect();
        for setting in settings {
            told.extend(self.apply_one(file, setting));
        }
        told
    }

    fn apply_one(&mut self, file: &str, setting: config::Setting) -> Option<Event> {
        let config::Setting { line, key, value } = setting;
        let Some(row) = keys::find(&key) else {
            return Some(Event::UnknownKey { file: file.into(), line, key });
        };
        let (store, why) = match keys::check(row.kind, &value) {
            keys::Verdict::Take => match self.order_problem(&key, &value) {
                None => (Some(value), None),
                why => (None, why),
            },
            keys::Verdict::Replace(other, why) => (Some(other.to_owned()), Some(why)),
            keys::Verdict::Refuse(why) => (None, Some(why)),
        };
        if let Some(value) = store {
            self.0.insert(key.clone(), value);
        }
        why.map(|why| Event::Refused { file: file.into(), line, key, why })
    }

    /// The second SIP timer must be longer than the first (phones.md §2.8).
    fn order_problem(&self, key: &str, value: &str) -> Option<String> {
        let bad = key == "timer_t2" && value.parse().unwrap_or(0) <= self.number("timer_t1");
        bad.then(|| "timer_t2 must be longer than timer_t1".into())
    }

    /// The keys whose value differs from `before`.
    pub(crate) fn changed_since(&self, before: &Self) -> Vec<String> {
        let differs = |(key, _): &(&String, &String)| before.get(key) != self.get(key);
        self.0.iter().filter(differs).map(|(key, _)| key.clone()).collect()
    }

    /// The lines that the phone has: consecutive, the first gap ends the list.
    pub(crate) fn lines(&self, model: Model) -> Vec<Line> {
        (1..=model.lines()).map_while(|n| self.line(n)).collect()
    }

    fn line(&self, n: u8) -> Option<Line> {
        let own = |n: u8, what: &str| self.get(&format!("line{n}_{what}"));
        let name = own(n, "name");
        if keys::unset(name) {
            return None;
        }
        let or = |value: &str, other: &str| {
            if keys::unset(value) { other.to_owned() } else { value.to_owned() }
        };
        let first = |what: &str| or(own(1, what), keys::UNPROVISIONED);
        let proxy = if keys::unset(self.get(&format!("proxy{n}_address"))) { 1 } else { n };
        Some(Line {
            number: n,
            name: name.to_owned(),
            contact: or(own(n, "contact"), name),
            shortname: or(own(n, "shortname"), name),
            displayname: or(own(n, "displayname"), ""),
            authname: or(own(n, "authname"), &first("authname")),
            password: or(own(n, "password"), &first("password")),
            host: or(self.get(&format!("proxy{proxy}_address")), ""),
            port: u16::try_from(self.number(&format!("proxy{proxy}_port"))).unwrap_or(5060),
        })
    }
}
