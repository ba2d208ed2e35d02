//! Where one phone stands in its boot, from the names that it asks for.

use std::time::Duration;

use crate::base::Time;
use crate::family::stage::{StageId, Stages, Symbol};

/// Requests of one list belong together when they are not further apart (phones.md §2.4: an answer that
/// is missing is waited for 60 s).
pub const TOGETHER: Duration = Duration::from_secs(120);
/// A list that is asked for again within this time, with nothing reached in between, is a loop.
pub const LOOP: Duration = Duration::from_secs(300);
/// A list that begins anew after so long a pause is another start of the phone.
pub const PAUSE: Duration = Duration::from_secs(20);
/// So many requests of a list are remembered.
const ASKED_MAX: usize = 12;

/// What a request is within a boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It begins a list. `boot`: the phone started, `again`: how often that list was asked for before
    /// without anything coming of it.
    Begins {
        /// The phone started anew.
        boot: bool,
        /// Rounds without a result before this one.
        again: u32,
    },
    /// It goes on in a list.
    Next,
    /// The last request, so many times again.
    Repeats(u32),
    /// It belongs to no list.
    Other,
}

/// A stage, as far as it is known at one request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct At {
    /// The stages that fit the requests of this list, the last one included; best first.
    pub fits: Vec<StageId>,
    /// What the image runs that was fetched to its end since a list told the stage.
    pub image: Option<StageId>,
    /// The stage that a list told last.
    pub known: Option<StageId>,
    /// How often this list was asked for before without anything coming of it.
    pub again: u32,
}

impl At {
    /// The stage: the only one that fits, else what the last image runs, else the one known from before.
    pub fn stage(&self) -> Option<StageId> {
        match self.fits.as_slice() {
            [only] => Some(*only),
            many => [self.image, self.known].into_iter().flatten().find(|id| many.contains(id)),
        }
    }
}

/// What is kept of one phone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Track {
    asked: Vec<Symbol>,
    began: Time,
    last: Time,
    known: Option<StageId>,
    image: Option<StageId>,
    again: u32,
    repeats: u32,
    /// Something was reached since the list began: it is no loop.
    reached: bool,
    /// The next request begins a list, whatever it is.
    over: bool,
}

impl Track {
    /// A name was asked for.
    pub fn asked(&mut self, stages: &Stages, symbol: Option<Symbol>, at: Time) -> Turn {
        let gap = at.since(self.last);
        self.last = self.last.max(at);
        let Some(symbol) = symbol else { return Turn::Other };
        let fresh = self.asked.is_empty() || self.over || gap >= TOGETHER;
        if !fresh && self.asked.last() == Some(&symbol) {
            self.repeats = self.repeats.saturating_add(1);
            return Turn::Repeats(self.repeats);
        }
        if !fresh && self.goes_on(stages, symbol) {
            self.repeats = 0;
            return Turn::Next;
        }
        self.begin(stages, symbol, gap, at)
    }

    fn goes_on(&mut self, stages: &Stages, symbol: Symbol) -> bool {
        if self.asked.len() >= ASKED_MAX {
            return self.asked.contains(&symbol) && !stages.begins(symbol);
        }
        self.asked.push(symbol);
        let fits = stages.fitting(&self.asked);
        match fits.as_slice() {
            [] => {
                self.asked.pop();
                return false;
            }
            [only] => (self.known, self.image) = (Some(*only), None),
            _ => {}
        }
        true
    }

    fn begin(&mut self, stages: &Stages, symbol: Symbol, gap: Duration, at: Time) -> Turn {
        let first = self.asked.is_empty();
        let same = self.asked.first() == Some(&symbol) && !self.reached && gap < LOOP;
        self.asked.clear();
        self.asked.push(symbol);
        let fits = stages.fitting(&self.asked);
        let follows = !self.over
            && gap < TOGETHER
            && self.known.is_some_and(|old| fits.iter().any(|new| stages.follows(*new, old)));
        let boot = !follows && (first || self.over || gap >= PAUSE);
        self.again = if same { self.again.saturating_add(1) } else { 0 };
        if let [only] = fits.as_slice() {
            (self.known, self.image) = (Some(*only), None);
        }
        (self.began, self.repeats, self.reached, self.over) = (at, 0, false, false);
        Turn::Begins { boot, again: self.again }
    }

    /// A file was fetched to its end; an image says what the phone is about to run.
    pub fn fetched(&mut self, stages: &Stages, name: &str) -> Option<StageId> {
        let image = stages.image(name)?;
        (self.image, self.reached, self.over) = (Some(image), true, true);
        Some(image)
    }

    /// It registered: whatever it waited for, it has it.
    pub fn registered(&mut self) {
        self.reached = true;
    }

    /// It starts, as its DHCP messages tell.
    pub fn starts(&mut self) {
        self.over = true;
    }

    /// Where it stands.
    pub fn at(&self, stages: &Stages) -> At {
        let Self { image, known, again, .. } = *self;
        At { fits: stages.fitting(&self.asked), image, known, again }
    }

    /// The names of the list so far.
    pub fn list(&self) -> &[Symbol] {
        &self.asked
    }

    /// When it last asked for anything.
    pub fn last(&self) -> Time {
        self.last
    }

    /// How often the last request was repeated.
    pub fn repeats(&self) -> u32 {
        self.repeats
    }
}
