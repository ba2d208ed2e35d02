//! Facts in order become stories: one a boot, step by step, with the step that is missing and what to do
//! about it. Replaying the same facts tells the same story.

mod words;

pub use words::{dhcp, notify};

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Said;
use super::fact::{End, Fact, Fetched, What};
use super::track::{LOOP, PAUSE, Track, Turn};
use super::tracker::{MANY, halve};
use crate::base::{HashMap, Mac, Time};
use crate::family::stage::{Runs, Stage, StageId, Stages};
use crate::plan::observed::Notified;

/// A phone that has its file registers within this time (phones.md §2.3: 2 s to its other files).
const REGISTERS: Duration = Duration::from_secs(90);
/// A phone that was given an address asks for its first file within this time.
const FETCHES: Duration = Duration::from_secs(60);
/// A renewal and the beginning of a boot look alike for so long.
const RENEWS: Duration = Duration::from_secs(60);
/// From this round on, the same list is told only now and then.
const ROUNDS: u32 = 2;
/// Names that were missing in a boot are remembered, so that it is told when one turns up.
const MISSED_MAX: usize = 64;
/// DHCP messages that are held until it is clear what they begin.
const HELD_MAX: usize = 16;

/// What a line of a story is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A boot begins.
    Boot,
    /// A step.
    Step,
    /// What the phone runs, or is about to.
    Stage,
    /// It waits for something that is not there.
    Waits,
    /// It asks for the same again and again.
    Loops,
    /// The next step does not come.
    Stalls,
    /// It is up.
    Up,
}

/// One line of a story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// When it happened, or was found out.
    pub at: Time,
    /// The phone.
    pub mac: Option<Mac>,
    /// What it is.
    pub kind: Kind,
    /// What is told.
    pub text: String,
    /// What to do about it.
    pub cure: Option<String>,
    /// The request that it tells of.
    pub file: Option<Fetched>,
}

/// What the story-teller knows beside the facts.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The stages of all families.
    pub stages: &'a Stages,
    /// The peers of a phone; none for one without a tag.
    pub peers: &'a dyn Fn(Mac) -> Option<String>,
    /// Whether a phone has a firmware to be led to.
    pub led: &'a dyn Fn(Mac) -> bool,
    /// REGISTERs are heard of.
    pub hears: bool,
}

/// Tells the stories of many phones.
#[derive(Clone, Debug, Default)]
pub struct Narrator {
    tales: HashMap<Mac, Tale>,
}

/// What is expected next of a phone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    /// The next name of its list.
    Name,
    /// A REGISTER.
    Register,
    /// Its return after an image.
    Return,
    /// Its first file.
    File,
}

/// Where the story of one phone is.
#[derive(Clone, Debug, Default)]
struct Tale {
    track: Track,
    began: Option<Time>,
    last: Time,
    /// A file was asked for in this boot.
    files: bool,
    told: Option<StageId>,
    /// The last line about waiting, so that it stands once in a boot.
    waits: bool,
    up: bool,
    /// Its own file was fetched in this boot.
    own: bool,
    /// Told now and then: rounds of one list.
    quiet: bool,
    expected: Option<(Expected, Time)>,
    /// What it asked for in this boot in vain.
    missed: HashSet<String>,
    name: String,
    held: Vec<Fact>,
}

impl Narrator {
    /// The lines that a fact adds, those of what is overdue by then before it.
    pub fn tell(&mut self, fact: &Fact, scene: &Scene<'_>) -> Vec<Line> {
        let Some(mac) = fact.mac else {
            return vec![words::step(fact, None)];
        };
        if self.tales.len() >= MANY && !self.tales.contains_key(&mac) {
            halve(&mut self.tales, |tale| tale.last);
        }
        let mut page = Page { lines: Vec::new(), mac, scene: *scene };
        let tale = self.tales.entry(mac).or_default();
        tale.tick(fact.at, &mut page);
        tale.fact(fact, &mut page);
        page.lines
    }

    /// What is overdue by now, of all phones.
    pub fn tick(&mut self, now: Time, scene: &Scene<'_>) -> Vec<Line> {
        let mut lines = Vec::new();
        for (mac, tale) in &mut self.tales {
            let mut page = Page { lines: Vec::new(), mac: *mac, scene: *scene };
            tale.tick(now, &mut page);
            lines.append(&mut page.lines);
        }
        lines.sort_by_key(|line| (line.at, line.mac));
        lines
    }

    /// How many phones are followed.
    pub fn len(&self) -> usize {
        self.tales.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.tales.is_empty()
    }
}

/// Where lines are written.
struct Page<'a> {
    lines: Vec<Line>,
    mac: Mac,
    scene: Scene<'a>,
}

impl Page<'_> {
    fn put(&mut self, at: Time, kind: Kind, text: String, cure: Option<String>) {
        self.lines.push(Line { at, mac: Some(self.mac), kind, text, cure, file: None });
    }

    fn stage(&self, id: Option<StageId>) -> Option<&Stage> {
        self.scene.stages.get(id?)
    }

    /// What to do, for a phone that may have no tag yet.
    fn cure(&self, stage: &Stage) -> String {
        let cure = stage.told(&stage.cure, Some(self.mac));
        match (self.tagged(), stage.runs) {
            (true, Runs::Sccp | Runs::Loader) if (self.scene.led)(self.mac) => {
                "handset firmware tells its next step, and what is missing for it".into()
            }
            (true, _) => cure,
            (false, Runs::Sip) => self.adopt(),
            (false, _) => format!("{}; then {cure}", self.adopt()),
        }
    }

    fn adopt(&self) -> String {
        format!("no peer has its tag: handset adopt {} PEER", self.mac)
    }

    fn tagged(&self) -> bool {
        (self.scene.peers)(self.mac).is_some()
    }
}

impl Tale {
    fn fact(&mut self, fact: &Fact, page: &mut Page<'_>) {
        match &fact.what {
            What::Dhcp(said, _) => self.dhcp(said, fact, page),
            What::File(file) => self.file(file, fact, page),
            What::Registered(peer) => self.registered(peer, fact, page),
            What::Notified(result) => self.notified(result, fact, page),
        }
        self.last = self.last.max(fact.at);
    }

    /// A DISCOVER is a boot; a REQUEST is one or a renewal, which the next file tells.
    fn dhcp(&mut self, said: &Said, fact: &Fact, page: &mut Page<'_>) {
        let long = fact.at.since(self.last) >= LOOP;
        if self.files && *said != Said::Discover {
            if self.held.len() < HELD_MAX {
                self.held.push(fact.clone());
            }
            return;
        }
        if self.began.is_none() || self.files || long {
            self.begin(fact, page);
        }
        page.lines.push(words::step(fact, Some(page.mac)));
        if *said == Said::Ack {
            self.expected = Some((Expected::File, fact.at.after(FETCHES)));
        }
    }

    fn begin(&mut self, fact: &Fact, page: &mut Page<'_>) {
        let held = std::mem::take(&mut self.held);
        let track = std::mem::take(&mut self.track);
        let at = held.first().map_or(fact.at, |first| first.at.min(fact.at));
        *self = Self { track, began: Some(at), last: self.last, ..Self::default() };
        if !matches!(fact.what, What::File(_)) {
            self.track.starts();
        }
        let who = (page.scene.peers)(page.mac);
        let who = who.map_or("not tagged".to_owned(), |peers| format!("peer {peers}"));
        let from = fact.address.map(|from| format!(", {from}")).unwrap_or_default();
        page.put(at, Kind::Boot, format!("starts ({who}{from})"), None);
        page.lines.extend(held.iter().map(|fact| words::step(fact, Some(page.mac))));
    }

    fn file(&mut self, file: &Fetched, fact: &Fact, page: &mut Page<'_>) {
        let stages = page.scene.stages;
        let turn = self.track.asked(stages, stages.symbol(&file.name), fact.at);
        let told = self.track.at(stages).stage().and_then(|id| stages.get(id));
        let looks = told.is_some_and(|stage| stage.runs == Runs::Told);
        let boot = matches!(turn, Turn::Begins { boot: true, .. }) && !looks;
        if self.began.is_none() || (boot && self.files) {
            self.begin(fact, page);
        }
        let held = std::mem::take(&mut self.held);
        page.lines.extend(held.iter().map(|fact| words::step(fact, Some(page.mac))));
        if matches!(turn, Turn::Begins { .. }) {
            self.told = None;
            self.quiet = matches!(turn, Turn::Begins { boot: false, again } if again >= ROUNDS);
        }
        let complete = matches!(file.end, End::Complete | End::Unconfirmed);
        let helped = self.helps(&file.name, complete);
        self.quiet &= !helped;
        (self.files, self.expected) = (true, None);
        self.name.clone_from(&file.name);
        let rare = |round: u32| round < ROUNDS || round.is_power_of_two();
        let silent = match turn {
            Turn::Repeats(times) => !rare(times),
            _ => self.quiet,
        };
        let image = stages.image(&file.name).is_some();
        if !silent || helped || image {
            page.lines.push(words::step(fact, Some(page.mac)));
        }
        self.judge(if helped { Turn::Next } else { turn }, file, fact, page);
    }

    /// Whether a file is there now that was missing before in this boot: what was the same again and
    /// again goes on.
    fn helps(&mut self, name: &str, complete: bool) -> bool {
        if complete {
            return self.missed.remove(name);
        }
        if self.missed.len() < MISSED_MAX {
            self.missed.insert(name.to_owned());
        }
        false
    }

    /// What a request means for the boot.
    fn judge(&mut self, turn: Turn, file: &Fetched, fact: &Fact, page: &mut Page<'_>) {
        let stages = page.scene.stages;
        let end = fact.at.after(Duration::from_millis(file.millis));
        let id = self.track.at(stages).stage();
        if id.is_some() && self.told != id && !self.quiet {
            self.told = id;
            let title = page.stage(id).map_or_else(String::new, |stage| stage.title.clone());
            page.put(fact.at, Kind::Stage, format!("this is {title}"), None);
        }
        self.loops(turn, id, fact.at, page);
        let complete = matches!(file.end, End::Complete | End::Unconfirmed);
        if complete && self.takes(file, end, page) {
            return;
        }
        self.own |= file.own && complete;
        if self.own && !self.up {
            let due = page.scene.hears.then(|| (Expected::Register, end.after(REGISTERS)));
            self.expected = due;
            return;
        }
        self.waiting(file, id, fact.at, page);
        let through = id.is_some_and(|id| stages.is_through(id, self.track.list()));
        if turn != Turn::Other && !through && !complete && !self.up {
            let patience = page.stage(id).map_or(PAUSE, |stage| stage.patience);
            self.expected = Some((Expected::Name, end.after(patience)));
        }
    }

    /// An image says what it is about to run.
    fn takes(&mut self, file: &Fetched, end: Time, page: &mut Page<'_>) -> bool {
        let Some(next) = self.track.fetched(page.scene.stages, &file.name) else { return false };
        let (title, returns) = page
            .stage(Some(next))
            .map_or((String::new(), PAUSE), |stage| (stage.title.clone(), stage.returns));
        page.put(end, Kind::Stage, format!("has {} and restarts as {title}", file.name), None);
        self.expected = Some((Expected::Return, end.after(returns)));
        self.name.clone_from(&file.name);
        true
    }

    fn loops(&self, turn: Turn, id: Option<StageId>, at: Time, page: &mut Page<'_>) {
        let rounds = match turn {
            Turn::Begins { again, .. } => again,
            Turn::Repeats(times) => times,
            Turn::Next | Turn::Other => return,
        };
        if rounds < ROUNDS || !rounds.is_power_of_two() {
            return;
        }
        // At the first name of a list several stages fit: the one it had before is meant.
        let at_this = self.track.at(page.scene.stages);
        let Some(stage) = page.stage(id.or(at_this.known)) else { return };
        let what = stage.told(&stage.loops, Some(page.mac));
        let cure = page.cure(stage);
        page.put(
            at,
            Kind::Loops,
            format!("loops ({} times the same): {what}", rounds + 1),
            Some(cure),
        );
    }

    /// The list is through, or the one file that matters is not there.
    fn waiting(&mut self, file: &Fetched, id: Option<StageId>, at: Time, page: &mut Page<'_>) {
        if file.end == End::Hidden {
            let cure = format!("handset open {0}, if {0} is what asks", page.mac);
            let text =
                format!("waits for {}: nobody knows that the asker is this phone", file.name);
            return page.put(at, Kind::Waits, text, Some(cure));
        }
        let stages = page.scene.stages;
        let through = id.is_some_and(|id| stages.is_through(id, self.track.list()));
        if file.end != End::Missing || !through || self.waits || self.own {
            return;
        }
        let Some(stage) = page.stage(id) else { return };
        if stage.runs == Runs::Told {
            return;
        }
        let what = format!("waits for {}", stage.told(&stage.waits, Some(page.mac)));
        let cure = page.cure(stage);
        self.waits = true;
        page.put(at, Kind::Waits, what, Some(cure));
    }

    fn registered(&mut self, peer: &str, fact: &Fact, page: &mut Page<'_>) {
        self.track.registered();
        page.lines.push(words::step(fact, Some(page.mac)));
        if matches!(self.expected, Some((Expected::Register, _))) {
            self.expected = None;
        }
        if self.own && !self.up {
            self.up = true;
            let began = self.began.unwrap_or(fact.at);
            let seconds = fact.at.since(began).as_secs();
            page.put(
                fact.at,
                Kind::Up,
                format!("is up as {peer}, {seconds} s after its start"),
                None,
            );
        }
    }

    fn notified(&mut self, result: &Notified, fact: &Fact, page: &mut Page<'_>) {
        if *result != Notified::Ordered {
            page.lines.push(words::step(fact, Some(page.mac)));
        }
    }

    /// What is overdue.
    fn tick(&mut self, now: Time, page: &mut Page<'_>) {
        if self.held.first().is_some_and(|first| now.since(first.at) >= RENEWS) {
            // No file followed: it renewed its lease.
            for fact in std::mem::take(&mut self.held) {
                page.lines.push(words::step(&fact, Some(page.mac)));
            }
        }
        let Some((expected, _)) = self.expected.filter(|(_, due)| *due <= now) else { return };
        let due = self.expected.take().map_or(now, |(_, due)| due);
        let (text, cure) = words::stall(expected, &self.name);
        page.put(due, Kind::Stalls, text, Some(cure.replace("{mac}", &page.mac.to_string())));
    }
}
