//! A case that differs, made small.

use std::time::{Duration, Instant};

use crate::case::Case;
use crate::compare::{Verdict, compare};
use crate::lab::Asterisk;

/// Attempts to make one case smaller.
const ATTEMPTS: usize = 1500;

/// Each attempt on which Asterisk hangs takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

struct Shrinker<'a> {
    asterisk: &'a mut Asterisk,
    best: Case,
    left: usize,
    until: Instant,
}

/// The smallest case found that still differs.
pub(crate) fn shrink(asterisk: &mut Asterisk, case: Case) -> Case {
    let mut shrinker =
        Shrinker { asterisk, best: case, left: ATTEMPTS, until: Instant::now() + PATIENCE };
    loop {
        let before = shrinker.size();
        shrinker.files();
        for name in shrinker.names() {
            shrinker.parts(&name, |text| {
                text.split_inclusive(|b| *b == b'\n').map(<[u8]>::len).collect()
            });
        }
        for name in shrinker.names() {
            shrinker.parts(&name, |text| vec![1; text.len()]);
        }
        if shrinker.size() == before || shrinker.left == 0 {
            return shrinker.best;
        }
    }
}

impl Shrinker<'_> {
    fn size(&self) -> usize {
        self.best.files.values().map(|text| text.len() + 1).sum()
    }

    fn names(&self) -> Vec<Vec<u8>> {
        self.best.files.keys().cloned().collect()
    }

    /// Whether this one differs, too; it is the best then.
    fn attempt(&mut self, case: Case) -> bool {
        self.left = if Instant::now() < self.until { self.left.saturating_sub(1) } else { 0 };
        if self.left == 0 {
            return false;
        }
        let differs = matches!(compare(self.asterisk, &case), Verdict::Differs(_));
        if differs {
            self.best = case;
        }
        differs
    }

    fn files(&mut self) {
        for name in self.names() {
            let mut case = self.best.clone();
            case.files.remove(&name);
            if name != case.top.as_bytes() {
                self.attempt(case);
            }
        }
    }

    /// Leaves out runs of parts of a file, long runs first.
    fn parts(&mut self, name: &[u8], cut: impl Fn(&[u8]) -> Vec<usize>) {
        let mut run = self.best.files.get(name).map_or(0, |text| cut(text).len());
        while run > 0 {
            let mut at = 0;
            while let Some(text) = self.best.files.get(name) {
                let lengths = cut(text);
                if at >= lengths.len() || self.left == 0 {
                    break;
                }
                let start: usize = lengths[..at].iter().sum();
                let end = start + lengths[at..].iter().take(run).sum::<usize>();
                let mut case = self.best.clone();
                case.files.insert(name.to_vec(), [&text[..start], &text[end..]].concat());
                if !self.attempt(case) {
                    at += run;
                }
            }
            run /= 2;
        }
    }
}
