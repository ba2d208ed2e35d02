//! One configuration read by both.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use handset::base::Sources;
use handset::conf::{self, Age, Status};
use handset::daemon::disk::Disk;
use serde_json::Value;

use crate::case::Case;
use crate::lab::Asterisk;

/// What a comparison gave.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The same sections.
    Same,
    /// Both reject the file.
    Invalid,
    /// Both find no file.
    Missing,
    /// Not sent: we say that Asterisk would hang on it, or that it is too much.
    Unsent,
    /// Asterisk crashed twice.
    Crash,
    Differs(String),
}

/// How often each came.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) compared: u64,
    pub(crate) sections: u64,
    pub(crate) unsent: u64,
    invalid: u64,
    missing: u64,
    crashes: u64,
    pub(crate) differences: Vec<String>,
}

impl Tally {
    /// Counts a verdict; whether it is a difference.
    pub(crate) fn add(&mut self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Unsent => self.unsent += 1,
            Verdict::Crash => self.crashes += 1,
            _ => self.compared += 1,
        }
        match verdict {
            Verdict::Same => self.sections += 1,
            Verdict::Invalid => self.invalid += 1,
            Verdict::Missing => self.missing += 1,
            _ => {}
        }
        matches!(verdict, Verdict::Differs(_))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} compared ({} read, {} rejected, {} missing), {} differences; {} not sent because \
             Asterisk would hang, {} crashed Asterisk",
            self.compared,
            self.sections,
            self.invalid,
            self.missing,
            self.differences.len(),
            self.unsent,
            self.crashes
        )
    }
}

/// Our reading; none when Asterisk must not be asked.
fn ours(version: u32, etc: &Path, top: &str) -> Option<Value> {
    let age = if version < 22 { Age::Old } else { Age::New };
    let (mut files, mut sources) = (Disk::new(), Sources::default());
    let conf = conf::read_as(age, Path::new(top), etc, &mut files, &mut sources);
    if conf.diagnostics.iter().any(|d| ["H0118", "H0119"].contains(&d.code.id)) {
        assert_eq!(conf.status, Status::Invalid, "what would hang Asterisk is rejected");
        return None;
    }
    let mut told = conf::show::json(&conf);
    for section in told.as_array_mut().into_iter().flatten() {
        // GetConfig joins the names; one empty name is as none.
        let names = section["templates"].as_array().expect("a list").iter();
        let joined = names.map(|n| n.as_str().expect("a name")).collect::<Vec<_>>().join(",");
        section["templates"] = joined.into();
    }
    Some(told)
}

/// Compares what lies in Asterisk's directory.
pub(crate) fn compare_at(asterisk: &mut Asterisk, top: &str) -> Verdict {
    let Some(ours) = ours(asterisk.version, &asterisk.etc(), top) else { return Verdict::Unsent };
    let theirs = match asterisk.get_config(top) {
        Ok(theirs) => theirs,
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            asterisk.restart();
            return Verdict::Differs("Asterisk hangs".to_owned());
        }
        Err(_) => return Verdict::Crash,
    };
    if ours != theirs {
        return Verdict::Differs(difference(&ours, &theirs));
    }
    match ours.as_str() {
        None => Verdict::Same,
        Some("missing") => Verdict::Missing,
        Some(_) => Verdict::Invalid,
    }
}

/// Lays out a case and compares; after a crash once again in a fresh Asterisk.
pub(crate) fn compare(asterisk: &mut Asterisk, case: &Case) -> Verdict {
    let mut verdict = Verdict::Crash;
    for _ in 0..2 {
        case.lay(&asterisk.etc());
        verdict = compare_at(asterisk, &case.top);
        if !matches!(verdict, Verdict::Crash) {
            break;
        }
        asterisk.restart();
    }
    case.clear(&asterisk.etc());
    if matches!(verdict, Verdict::Crash) {
        println!("Asterisk {} crashes on {}", asterisk.version, case.name);
    }
    verdict
}

fn difference(ours: &Value, theirs: &Value) -> String {
    let (Some(a), Some(b)) = (ours.as_array(), theirs.as_array()) else {
        let brief = |v: &Value| v.as_str().map_or("sections".to_owned(), str::to_owned);
        return format!("ours is {}, Asterisk's {}", brief(ours), brief(theirs));
    };
    let at = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    let told = |all: &[Value]| all.get(at).map_or("nothing".to_owned(), Value::to_string);
    format!("section {at}\n  ours       {}\n  Asterisk's {}", told(a), told(b))
}

/// A difference for people.
pub(crate) fn shown(asterisk: &mut Asterisk, case: &Case) -> String {
    let verdict = compare(asterisk, case);
    let files = case
        .files
        .iter()
        .map(|(name, text)| format!("  {}: \"{}\"", name.escape_ascii(), text.escape_ascii()));
    let files = files.collect::<Vec<_>>().join("\n");
    format!("{} (Asterisk {}): {verdict:?}\n{files}", case.name, asterisk.version)
}
