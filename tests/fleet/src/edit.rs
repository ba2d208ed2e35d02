//! Random edits of a sip.conf, and how editors save them.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use crate::conf::Conf;
use crate::fleet::now;
use crate::random::Random;

/// What an edit changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    Label,
    Secret,
    Name,
    Mailbox,
    /// A value of a template: many phones.
    Template,
    /// A value of `[general]` that phones with a mailbox show: at most all phones.
    General,
    /// Comments, or a value that no phone shows: nobody.
    Remark,
    /// Blank lines: nobody.
    Blanks,
    /// A desk leaves the file.
    Remove,
    /// It comes back.
    Add,
    /// Two phones swap their desks.
    Swap,
    /// The edit before is taken back.
    Undo,
    /// The file is broken for a moment: nobody.
    Accident,
}

/// How often each kind is chosen, of 100.
const WEIGHTS: [(Kind, u64); 13] = [
    (Kind::Label, 20),
    (Kind::Secret, 12),
    (Kind::Name, 20),
    (Kind::Mailbox, 8),
    (Kind::Template, 4),
    (Kind::General, 1),
    (Kind::Remark, 8),
    (Kind::Blanks, 5),
    (Kind::Remove, 3),
    (Kind::Add, 4),
    (Kind::Swap, 3),
    (Kind::Undo, 6),
    (Kind::Accident, 6),
];

/// Whom an edit may restart, at most.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Touched {
    /// These phones.
    Some(Vec<usize>),
    /// Every phone.
    All,
}

/// The kind of this name, in lower case.
///
/// # Errors
/// There is none.
pub fn kind(name: &str) -> Result<Kind, String> {
    let known = || WEIGHTS.iter().map(|(kind, _)| *kind);
    let named = |kind: &Kind| format!("{kind:?}").eq_ignore_ascii_case(name);
    known().find(named).ok_or_else(|| format!("the kinds are {:?}", known().collect::<Vec<_>>()))
}

/// One edit.
#[derive(Clone, Debug)]
pub struct Edit {
    /// What it changes.
    pub kind: Kind,
    /// Whom it may restart.
    pub touched: Touched,
    /// A broken file that is there for so long before.
    pub broken: Option<(String, Duration)>,
}

/// A save that was made.
#[derive(Clone, Debug)]
pub struct Saved {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What it changed.
    pub kind: Kind,
    /// Whom it may restart.
    pub touched: Touched,
}

/// Somebody who edits a sip.conf at random.
#[derive(Debug)]
pub struct Editor {
    /// The file as it is meant now.
    pub conf: Conf,
    /// Every save so far.
    pub saves: Vec<Saved>,
    /// The file before the last edit, and whom that touched.
    before: Option<(Conf, Touched)>,
    random: Random,
    count: u64,
    left_out: Vec<Kind>,
}

impl Editor {
    /// Leaves these kinds out.
    pub fn without(&mut self, kinds: &[Kind]) {
        kinds.clone_into(&mut self.left_out);
    }

    /// An editor of `conf`; what it does follows from the seed.
    pub fn new(conf: Conf, seed: u64) -> Self {
        Self {
            conf,
            saves: Vec::new(),
            before: None,
            random: Random::new(seed, 3),
            count: 0,
            left_out: Vec::new(),
        }
    }

    /// Makes an edit of a kind chosen at random; `write` turns a file into its text.
    pub fn edit(&mut self, write: impl Fn(&Conf) -> String) -> Edit {
        let mut turn = self.random.between(0, 100);
        let chosen = WEIGHTS.iter().find(|(_, weight)| {
            let here = turn < *weight;
            turn = turn.saturating_sub(*weight);
            here
        });
        let kind = chosen.map_or(Kind::Name, |(kind, _)| *kind);
        let kind = if self.left_out.contains(&kind) { Kind::Name } else { kind };
        self.edit_of(kind, write)
    }

    /// Makes an edit of this kind; another one where there is nothing of the kind to be done.
    pub fn edit_of(&mut self, kind: Kind, write: impl Fn(&Conf) -> String) -> Edit {
        self.count += 1;
        if kind == Kind::Accident {
            let broken = Some((self.broken(&write(&self.conf)), self.pause(100, 700)));
            return Edit { kind, touched: Touched::Some(Vec::new()), broken };
        }
        let old = self.conf.clone();
        let (kind, touched) = self.change(kind);
        if kind != Kind::Undo {
            self.before = Some((old, touched.clone()));
        }
        Edit { kind, touched, broken: None }
    }

    /// Another codec in every template: each phone has something else to run.
    pub fn edit_all(&mut self) -> Edit {
        for group in &mut self.conf.groups {
            flip(&mut group.values, ("allow", "ulaw", "alaw"));
        }
        Edit { kind: Kind::Template, touched: Touched::All, broken: None }
    }

    /// What a slip of the hand, or an editor that is not done, leaves for a moment.
    fn broken(&mut self, text: &str) -> String {
        let head = |percent: usize| text.get(..text.len() * percent / 100).unwrap_or_default();
        match self.random.below(4) {
            0 => String::new(),
            1 => head(30 + self.random.below(30)).to_owned(),
            2 => format!("{text}\n#include \"not-there-{}.conf\"\n", self.count),
            _ => format!("{text}\n[never-closed\ntype=friend\n"),
        }
    }

    fn pause(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.random.between(low, high))
    }

    /// Changes the file; gives what was done in the end, and whom it may restart.
    fn change(&mut self, kind: Kind) -> (Kind, Touched) {
        let count = self.count;
        match kind {
            Kind::Template => {
                let group = self.random.below(self.conf.groups.len());
                let value = self.random.below(2);
                let values = &mut self.conf.groups[group].values;
                flip(values, [("allow", "ulaw", "alaw"), ("dtmfmode", "rfc2833", "inband")][value]);
                let desks = self.conf.desks.iter().filter(|desk| desk.group == group);
                (kind, Touched::Some(desks.map(|desk| desk.phone).collect()))
            }
            Kind::General => {
                flip(&mut self.conf.general, ("vmexten", "8500", "8501"));
                (kind, Touched::All)
            }
            Kind::Remark => {
                self.conf.remark = format!("note {count}: nothing changed");
                flip(&mut self.conf.general, ("useragent", "Fleet", "Fleet PBX"));
                (kind, Touched::Some(Vec::new()))
            }
            Kind::Blanks => {
                self.conf.blanks = (self.conf.blanks + 1) % 4;
                (kind, Touched::Some(Vec::new()))
            }
            Kind::Undo => match self.before.take() {
                Some((conf, touched)) => {
                    self.conf = conf;
                    (kind, touched)
                }
                None => self.change(Kind::Name),
            },
            Kind::Remove | Kind::Add => self.remove_or_add(kind),
            Kind::Swap => self.swap(),
            _ => self.change_line(kind),
        }
    }

    fn remove_or_add(&mut self, kind: Kind) -> (Kind, Touched) {
        let add = kind == Kind::Add;
        let absent = self.conf.desks.iter().filter(|desk| !desk.present).count();
        let fit: Vec<usize> = self.of_desks(|desk| desk.present != add);
        // A few at a time: more would be an accident, and the guard's case.
        if fit.is_empty() || (!add && absent > self.conf.desks.len() / 25) {
            return self.change(Kind::Label);
        }
        let desk = &mut self.conf.desks[*self.random.pick(&fit)];
        desk.present = add;
        (kind, Touched::Some(vec![desk.phone]))
    }

    /// Two phones with equally many lines, so that their models suit.
    fn swap(&mut self) -> (Kind, Touched) {
        let fit = self.of_desks(|desk| desk.present && desk.lines.len() == 1);
        let (one, other) = (*self.random.pick(&fit), *self.random.pick(&fit));
        let desks = &mut self.conf.desks;
        let phones = (desks[one].phone, desks[other].phone);
        (desks[one].phone, desks[other].phone) = (phones.1, phones.0);
        (Kind::Swap, Touched::Some(vec![phones.0, phones.1]))
    }

    fn change_line(&mut self, kind: Kind) -> (Kind, Touched) {
        let (count, secret) = (self.count, self.random.word(12));
        let fit = self.of_desks(|desk| desk.present);
        let desk = *self.random.pick(&fit);
        let desk = &mut self.conf.desks[desk];
        let line = self.random.below(desk.lines.len());
        let line = &mut desk.lines[line];
        match kind {
            Kind::Label => line.label = Some(format!("L{count}")),
            Kind::Secret => line.secret = secret,
            Kind::Mailbox => line.mailbox = !line.mailbox,
            _ => line.name = format!("Name {count}"),
        }
        (kind, Touched::Some(vec![desk.phone]))
    }

    fn of_desks(&self, fits: impl Fn(&crate::conf::Desk) -> bool) -> Vec<usize> {
        let desks = self.conf.desks.iter().enumerate();
        desks.filter(|(_, desk)| fits(desk)).map(|(index, _)| index).collect()
    }

    /// Writes the edit as some editor would: renamed over, or in place and in steps.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn save(&mut self, edit: &Edit, path: &Path, text: &str) -> io::Result<()> {
        if let Some((broken, pause)) = &edit.broken {
            self.write(path, broken).await?;
            sleep(*pause).await;
        }
        self.write(path, text).await?;
        let (kind, touched) = (edit.kind, edit.touched.clone());
        self.saves.push(Saved { at: now(), kind, touched });
        Ok(())
    }

    async fn write(&mut self, path: &Path, text: &str) -> io::Result<()> {
        if self.random.chance(50) {
            let beside = path.with_extension("swp");
            tokio::fs::write(&beside, text).await?;
            return tokio::fs::rename(&beside, path).await;
        }
        let mut file = tokio::fs::File::create(path).await?;
        let steps = 1 + self.random.below(4);
        for part in text.as_bytes().chunks(text.len() / steps + 1) {
            file.write_all(part).await?;
            file.flush().await?;
            let pause = self.pause(0, 30);
            sleep(pause).await;
        }
        Ok(())
    }

    /// How many edits may have restarted each phone.
    pub fn touches(&self, phones: usize) -> Vec<usize> {
        let mut count = vec![0; phones];
        for save in &self.saves {
            match &save.touched {
                Touched::All => count.iter_mut().for_each(|n| *n += 1),
                Touched::Some(some) => some.iter().for_each(|&phone| count[phone] += 1),
            }
        }
        count
    }
}

fn flip(values: &mut [(String, String)], (key, one, other): (&str, &str, &str)) {
    if let Some((_, value)) = values.iter_mut().find(|(k, _)| k == key) {
        *value = if value == one { other.to_owned() } else { one.to_owned() };
    }
}

#[cfg(test)]
mod tests {
    use super::{Editor, Kind, Touched};
    use crate::conf::{Conf, Pbx};

    fn text(conf: &Conf) -> String {
        conf.text(&Pbx { qualify: 0, expires: 60 })
    }

    #[test]
    fn edits_follow_from_the_seed() {
        let series = |seed| {
            let mut editor = Editor::new(Conf::new(40, 1), seed);
            let kinds: Vec<Kind> = (0..200).map(|_| editor.edit(text).kind).collect();
            (kinds, text(&editor.conf))
        };
        assert_eq!(series(9), series(9));
        assert_ne!(series(9), series(10));
    }

    #[test]
    fn who_is_not_touched_wants_what_it_wanted() {
        let mut editor = Editor::new(Conf::new(40, 1), 4);
        for _ in 0..500 {
            let before = editor.conf.wanted();
            let edit = editor.edit(text);
            let Touched::Some(touched) = edit.touched else { continue };
            let same = |conf: Vec<(usize, crate::conf::Wanted)>| {
                let mut conf = conf;
                conf.retain(|(phone, _)| !touched.contains(phone));
                conf
            };
            assert_eq!(same(before), same(editor.conf.wanted()), "{:?}", edit.kind);
        }
    }

    #[test]
    fn an_undo_gives_the_file_from_before() {
        let mut editor = Editor::new(Conf::new(40, 1), 4);
        let before = editor.conf.clone();
        editor.edit_of(Kind::Secret, text);
        assert_ne!(editor.conf, before);
        assert_eq!(editor.edit_of(Kind::Undo, text).kind, Kind::Undo);
        assert_eq!(editor.conf, before);
    }
}
