//! What a phone asks for as it starts tells which software it runs: `[stage NAME]` of a manifest, and
//! all of them as one table in which a request is a number.

use std::fmt;
use std::time::Duration;

use crate::base::{HashMap, Mac, Span};
use crate::conf::{Conf, Section};

use super::manifest::Family;

/// What kind of software a stage is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Runs {
    /// Skinny, Cisco's own signalling: Asterisk does not hear of it.
    Sccp,
    /// A loader, which only fetches another software.
    Loader,
    /// SIP: its own file and a REGISTER follow.
    Sip,
    /// SIP that was told to look, without a restart.
    Told,
}

/// One request of a stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The name; `{MAC}` stands for the phone's address, `*` for anything.
    pub pattern: String,
    /// It is normal that there is no such file.
    pub optional: bool,
    /// Asked for in any order, once the list is begun.
    pub later: bool,
}

/// Software that a phone runs, told by what it asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stage {
    /// Its name: `loader`.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it is.
    pub runs: Runs,
    /// What it asks for, in order.
    pub requests: Vec<Request>,
    /// Images that make a phone run it next, with `*` for anything.
    pub images: Vec<String>,
    /// The stage that runs before it in the same boot.
    pub after: Option<String>,
    /// After an answer the next step is seen within this time.
    pub patience: Duration,
    /// After an image it is back within this time.
    pub returns: Duration,
    /// What it waits for when it finds nothing: "waits for …".
    pub waits: String,
    /// What it means when the same list comes again and again: "loops: …".
    pub loops: String,
    /// What to do about either.
    pub cure: String,
}

/// Most stages and requests of all families together; what is above is left out.
const STAGES_MAX: usize = 256;
const NAMES_MAX: usize = 1024;

/// The stages of a manifest, and what is wrong with them.
pub(super) fn read(conf: &Conf) -> (Vec<Stage>, Vec<(Span, String)>) {
    let (mut stages, mut faults) = (Vec::<Stage>::new(), Vec::new());
    for section in &conf.sections {
        let whole = section.name.chars();
        let Some(name) = whole.strip_prefix("stage ") else { continue };
        stages.push(stage(name.trim(), section, &mut faults));
    }
    let known = |name: &str| stages.iter().any(|stage| stage.name == name);
    for section in &conf.sections {
        let Some(entry) = section.last("after").filter(|_| is_stage(section)) else { continue };
        if !known(&entry.value.chars()) {
            faults.push((entry.span, format!("`{}` is no stage", entry.value.chars())));
        }
    }
    (stages, faults)
}

fn is_stage(section: &Section) -> bool {
    section.name.chars().starts_with("stage ")
}

fn stage(name: &str, section: &Section, faults: &mut Vec<(Span, String)>) -> Stage {
    let mut stage = Stage {
        name: name.to_owned(),
        title: name.to_owned(),
        runs: Runs::Sip,
        requests: Vec::new(),
        images: Vec::new(),
        after: None,
        patience: Duration::from_secs(20),
        returns: Duration::from_secs(120),
        waits: String::new(),
        loops: String::new(),
        cure: String::new(),
    };
    for entry in &section.entries {
        let (key, value) = (entry.name.chars(), entry.value.chars().into_owned());
        if let Err(what) = set(&mut stage, &key, value) {
            faults.push((entry.span, what));
        }
    }
    let listed = stage.requests.iter().any(|request| !request.later);
    if !listed || stage.waits.is_empty() || stage.cure.is_empty() || stage.loops.is_empty() {
        let what = format!("the stage `{name}` wants `request`, `waits`, `loops` and `cure`");
        faults.push((section.span, what));
    }
    stage
}

fn set(stage: &mut Stage, key: &str, value: String) -> Result<(), String> {
    let seconds = |text: &str| -> Result<Duration, String> {
        let number = text.parse().ok().filter(|n| (1..=3600).contains(n));
        number.map(Duration::from_secs).ok_or_else(|| format!("`{key}` is 1 to 3600 seconds"))
    };
    match key {
        "title" => stage.title = value,
        "runs" => stage.runs = runs(&value)?,
        "request" => stage.requests.push(request(&value)?),
        "image" => stage.images.push(value),
        "after" => stage.after = Some(value),
        "patience" => stage.patience = seconds(&value)?,
        "returns" => stage.returns = seconds(&value)?,
        "waits" => stage.waits = value,
        "loops" => stage.loops = value,
        "cure" => stage.cure = value,
        _ => {
            return Err(format!(
                "`{key}` is not known here, only title, runs, request, image, after, patience, \
                 returns, waits, loops, cure are"
            ));
        }
    }
    Ok(())
}

fn runs(word: &str) -> Result<Runs, String> {
    match word {
        "sccp" => Ok(Runs::Sccp),
        "loader" => Ok(Runs::Loader),
        "sip" => Ok(Runs::Sip),
        "told" => Ok(Runs::Told),
        _ => Err("`runs` must be one of sccp, loader, sip, told".into()),
    }
}

fn request(value: &str) -> Result<Request, String> {
    let mut words = value.split(',').map(str::trim);
    let pattern = words.next().unwrap_or_default().to_owned();
    let mut request = Request { pattern, optional: false, later: false };
    for word in words {
        match word {
            "optional" => request.optional = true,
            "later" => request.later = true,
            _ => return Err(format!("`{word}` is neither `optional` nor `later`")),
        }
    }
    if request.pattern.is_empty() || (request.pattern.contains('*') && !request.later) {
        return Err("a request is a name; only one that comes `later` may have a `*`".into());
    }
    Ok(request)
}

impl Stage {
    /// A text with the phone's address in the place of `{MAC}` and `{mac}`; `{mac}` with colons.
    pub fn told(&self, text: &str, mac: Option<Mac>) -> String {
        let Some(mac) = mac else { return text.replace("{MAC}", "<MAC>").replace("{mac}", "MAC") };
        text.replace("{MAC}", &mac.upper()).replace("{mac}", &mac.to_string())
    }
}

/// A name that some stage asks for, whatever the phone. Small and cheap to compare.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Symbol(u16);

/// A stage of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StageId(u16);

/// The stages of all families.
#[derive(Debug, Default)]
pub struct Stages {
    rows: Vec<Row>,
    names: HashMap<String, Symbol>,
    globs: Vec<(String, Symbol)>,
    /// For each symbol the stages that ask for it: every request of a boot is looked up here.
    asking: Vec<Asking>,
}

/// Some of the stages, a bit for each.
#[derive(Clone, Copy, Debug, Default)]
struct Several([u64; STAGES_MAX / 64]);

impl Several {
    fn put(&mut self, number: usize) {
        if let Some(word) = self.0.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    fn ids(self) -> impl Iterator<Item = StageId> {
        (0..).step_by(64).zip(self.0).flat_map(|(first, mut word)| {
            std::iter::from_fn(move || {
                let bit = u16::try_from(word.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
                word &= word - 1;
                Some(StageId(first + bit))
            })
        })
    }

    fn both(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
        self
    }
}

/// Which stages ask for a symbol, and whether one begins with it.
#[derive(Clone, Debug, Default)]
struct Asking {
    stages: Several,
    begins: bool,
}

#[derive(Debug)]
struct Row {
    family: String,
    stage: Stage,
    /// The list without what comes later.
    list: Vec<Symbol>,
    later: Vec<Symbol>,
    /// The patterns of the images, in lower case.
    images: Vec<String>,
    after: Option<StageId>,
}

/// How well a stage fits what was asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fit {
    /// From the middle of its list on: the beginning was not seen.
    Partly,
    /// From the top of its list on.
    Fully,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}

impl Stages {
    /// The table of these families.
    pub fn new<'a>(families: impl IntoIterator<Item = &'a Family>) -> Self {
        let mut table = Self::default();
        for family in families {
            for stage in &family.stages {
                table.add(&family.name, stage);
            }
        }
        for index in 0..table.rows.len() {
            let Row { family, stage, .. } = &table.rows[index];
            let after = stage.after.as_ref();
            table.rows[index].after = after.and_then(|name| table.named(family, name));
        }
        table
    }

    fn add(&mut self, family: &str, stage: &Stage) {
        if self.rows.len() >= STAGES_MAX {
            return;
        }
        let (mut list, mut later) = (Vec::new(), Vec::new());
        for request in &stage.requests {
            let Some(symbol) = self.intern(&request.pattern) else { return };
            if request.later { later.push(symbol) } else { list.push(symbol) }
        }
        let number = self.rows.len();
        for symbol in list.iter().chain(&later) {
            self.asks(*symbol).stages.put(number);
        }
        if let Some(first) = list.first() {
            self.asks(*first).begins = true;
        }
        let images = stage.images.iter().map(|image| image.to_ascii_lowercase()).collect();
        let (family, stage) = (family.to_owned(), stage.clone());
        self.rows.push(Row { family, stage, list, later, images, after: None });
    }

    fn asks(&mut self, symbol: Symbol) -> &mut Asking {
        let number = usize::from(symbol.0);
        if self.asking.len() <= number {
            self.asking.resize(number + 1, Asking::default());
        }
        &mut self.asking[number]
    }

    fn intern(&mut self, pattern: &str) -> Option<Symbol> {
        let name = pattern.to_ascii_lowercase();
        let fresh = Symbol(u16::try_from(self.names.len() + self.globs.len() + 1).ok()?);
        if usize::from(fresh.0) > NAMES_MAX {
            return None;
        }
        if name.contains('*') {
            let known = self.globs.iter().find(|(glob, _)| *glob == name).map(|(_, s)| *s);
            return known.or_else(|| {
                self.globs.push((name, fresh));
                Some(fresh)
            });
        }
        Some(*self.names.entry(name).or_insert(fresh))
    }

    /// The stage of that name in that family.
    pub fn named(&self, family: &str, name: &str) -> Option<StageId> {
        let fits = |row: &Row| row.family == family && row.stage.name == name;
        self.rows.iter().position(fits).and_then(|index| Some(StageId(u16::try_from(index).ok()?)))
    }

    /// A stage.
    pub fn get(&self, id: StageId) -> Option<&Stage> {
        self.rows.get(usize::from(id.0)).map(|row| &row.stage)
    }

    /// The family of a stage.
    pub fn family(&self, id: StageId) -> Option<&str> {
        self.rows.get(usize::from(id.0)).map(|row| &*row.family)
    }

    /// What the name of a file asked for is to the stages; none for a name that none of them has. A
    /// leading `/` or `./` and the case of letters do not count (phones.md §8a).
    pub fn symbol(&self, name: &str) -> Option<Symbol> {
        let name = general(name);
        if let Some(symbol) = self.names.get(&name) {
            return Some(*symbol);
        }
        self.globs.iter().find(|(pattern, _)| glob(pattern, &name)).map(|(_, symbol)| *symbol)
    }

    /// What a phone runs next that has taken this image.
    pub fn image(&self, name: &str) -> Option<StageId> {
        let name = general(name);
        // Nearly all names fail at their first byte.
        let first = name.as_bytes().first().copied();
        let may = |pattern: &str| {
            let begins = pattern.as_bytes().first().copied();
            begins == first || begins == Some(b'*') || begins.is_none()
        };
        let best = self.ids().filter_map(|(id, row)| {
            let fitting = row.images.iter().filter(|pattern| may(pattern) && glob(pattern, &name));
            fitting.map(String::len).max().map(|len| (len, id))
        });
        best.max_by_key(|(len, id)| (*len, std::cmp::Reverse(*id))).map(|(_, id)| id)
    }

    /// How each stage fits what was asked for, best first; those that do not are left out, and those
    /// that fit partly where one fits fully.
    pub fn fitting(&self, asked: &[Symbol]) -> Vec<StageId> {
        let (mut found, mut best) = (Vec::new(), Fit::Partly);
        for id in self.asking(asked).ids() {
            let Some(fit) = self.fit(id, asked) else { continue };
            if fit > best {
                found.clear();
                best = fit;
            }
            if fit == best {
                found.push(id);
            }
        }
        found
    }

    /// Whether some stage fits what was asked for.
    pub fn fits(&self, asked: &[Symbol]) -> bool {
        self.asking(asked).ids().any(|id| self.fit(id, asked).is_some())
    }

    fn fit(&self, id: StageId, asked: &[Symbol]) -> Option<Fit> {
        self.rows.get(usize::from(id.0))?.fit(asked)
    }

    /// The stages that ask for all of these, in whatever order.
    fn asking(&self, asked: &[Symbol]) -> Several {
        let of = |symbol: &Symbol| self.asking.get(usize::from(symbol.0));
        let all = asked.iter().map(|symbol| of(symbol).map(|all| all.stages).unwrap_or_default());
        all.reduce(Several::both).unwrap_or_default()
    }

    /// Whether the list of a stage is through.
    pub fn is_through(&self, id: StageId, asked: &[Symbol]) -> bool {
        let row = self.rows.get(usize::from(id.0));
        row.and_then(|row| row.list.last()).is_some_and(|last| asked.contains(last))
    }

    /// Whether some stage begins with this.
    pub fn begins(&self, symbol: Symbol) -> bool {
        self.asking.get(usize::from(symbol.0)).is_some_and(|asking| asking.begins)
    }

    /// Whether one stage follows the other in the same boot.
    pub fn follows(&self, next: StageId, before: StageId) -> bool {
        self.rows.get(usize::from(next.0)).is_some_and(|row| row.after == Some(before))
    }

    /// Whether it is normal in every one of these stages that there is no such file.
    pub fn optional(&self, ids: &[StageId], symbol: Symbol) -> bool {
        let of = |id: &StageId| {
            let row = self.rows.get(usize::from(id.0));
            let requests = row.into_iter().flat_map(|row| &row.stage.requests);
            requests
                .filter(|r| self.names.get(&r.pattern.to_ascii_lowercase()) == Some(&symbol))
                .all(|request| request.optional)
        };
        ids.iter().all(of)
    }

    fn ids(&self) -> impl Iterator<Item = (StageId, &Row)> {
        (0..).map(StageId).zip(&self.rows)
    }
}

impl Row {
    /// Each request is the one after the last in the list, that one again, or one that comes later.
    fn fit(&self, asked: &[Symbol]) -> Option<Fit> {
        let (mut at, mut from): (Option<usize>, usize) = (None, 0);
        for symbol in asked {
            if self.later.contains(symbol) && !self.list.contains(symbol) {
                continue;
            }
            let place = self.list.iter().position(|own| own == symbol)?;
            match at {
                None => (at, from) = (Some(place), place),
                Some(old) if place == old || place == old + 1 => at = Some(place),
                Some(_) => return None,
            }
        }
        at.map(|_| if from == 0 { Fit::Fully } else { Fit::Partly })
    }
}

/// A name in lower case, without the beginning that does not count, `{mac}` in the place of a MAC.
fn general(name: &str) -> String {
    let mut name = name;
    while let Some(rest) = name.strip_prefix('/').or_else(|| name.strip_prefix("./")) {
        name = rest;
    }
    let mut name = name.to_ascii_lowercase();
    let Some((mut at, _)) = Mac::found(name.as_bytes()) else { return name };
    // The digits are all ASCII. Where it stands twice, the last one counts.
    let digits = &name.as_bytes()[at..at + 12];
    let again = name.as_bytes()[at + 12..].windows(12).rposition(|part| part == digits);
    at = again.map_or(at, |later| at + 12 + later);
    name.replace_range(at..at + 12, "{mac}");
    name
}

/// Whether `text` is `pattern`, in which `*` stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::Sources;
    use crate::family::library;

    fn table() -> Stages {
        let all = library::load(
            Path::new(""),
            &std::collections::BTreeMap::new(),
            &mut Sources::default(),
        );
        assert!(all.diagnostics.is_empty(), "{:?}", all.diagnostics);
        Stages::new(all.families.values().map(AsRef::as_ref))
    }

    fn fitting(table: &Stages, names: &str) -> String {
        let asked: Vec<Symbol> =
            names.split_whitespace().map(|name| table.symbol(name).unwrap()).collect();
        let found = table.fitting(&asked).into_iter().map(|id| table.get(id).unwrap().name.clone());
        found.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_order_of_requests_tells_the_stage() {
        let table = table();
        let check =
            |names: &str, expected: &str| assert_eq!(fitting(&table, names), expected, "{names}");
        let sep = "SEP0018B9FFFFFF.cnf.xml";
        check("OS79XX.TXT", "sccp sccp-first sip-early");
        check(&format!("OS79XX.TXT {sep}"), "sccp");
        check(
            &format!("OS79XX.TXT {sep} XMLDefault.cnf.xml SEP0018B9FFFFFF.cnf SEPDefault.cnf"),
            "sccp",
        );
        check("OS79XX.TXT SEPDefault.cnf", "sccp-first");
        check("OS79XX.TXT SIPDefault.cnf ./SIP0018B9FFFFFF.cnf", "sip-early");
        check(&format!("CTLSEP0018B9FFFFFF.tlv {sep}"), "sccp-8 loader");
        check(&format!("CTLSEP0018B9FFFFFF.tlv {sep} {sep} SIP0018B9FFFFFF.cnf"), "loader");
        check(&format!("CTLSEP0018B9FFFFFF.tlv {sep} P0S3-8-12-00.loads"), "loader");
        check(&format!("CTLSEP0018B9FFFFFF.tlv {sep} XMLDefault.cnf.xml /7960-font.xml"), "sccp-8");
        check("SIPDefault.cnf SIP0018b9ffffff.cnf RINGLIST.DAT dialplan.xml", "sip");
        check("SIP0018B9FFFFFF.cnf MGC0018B9FFFFFF.cnf", "loader");
        check("syncinfo.xml dialplan.xml", "check-sync");
        check("SIPDefault.cnf OS79XX.TXT", "");
    }

    #[test]
    fn images_tell_what_is_run_next() {
        let table = table();
        for (image, stage) in [
            ("P0S3-05-3-00.bin", Some("sip-early")),
            ("P003-8-11-00.sbn", Some("loader")),
            ("P003-8-11-00.bin", Some("loader")),
            ("P0S3-8-11-00.sb2", Some("sip")),
            ("P00305000300.bin", Some("sccp")),
            ("P0S3-8-11-00.loads", None),
            ("OS79XX.TXT", None),
        ] {
            let found = table.image(image).and_then(|id| table.get(id)).map(|s| s.name.as_str());
            assert_eq!(found, stage, "{image}");
        }
    }

    #[test]
    fn a_mac_stands_for_any_and_the_last_one_counts() {
        for (name, expected) in [
            ("./SIP0018B9FFFFFE.cnf", "sip{mac}.cnf"),
            ("MGC0018B9FFFFFE.cnf", "mgc{mac}.cnf"),
            ("0018b9fffffe/0018B9FFFFFE.cfg", "0018b9fffffe/{mac}.cfg"),
            ("000000000000.cfg", "000000000000.cfg"),
        ] {
            assert_eq!(general(name), expected);
        }
    }

    #[test]
    fn a_name_that_no_stage_has_is_nothing() {
        let table = table();
        for name in ["", "/", "x", "SEP0018B9FFFFFF", "é0018B9FFFFFF.cnf", "\u{fffd}"] {
            assert_eq!(table.symbol(name), None, "{name}");
        }
        assert!(glob("a*b*c", "axxbyyc") && !glob("a*b*c", "axxc") && glob("*", ""));
    }
}
