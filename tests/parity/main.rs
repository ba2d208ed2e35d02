//! Our reading of Asterisk's language against real Asterisks' own: the same files for both, and what
//! GetConfig answers (templates too) must be what [`handset::conf::read`] finds, section by section
//! and line by line.
//!
//! Compared are a hand-written corpus with one folder per oddity, what random files found earlier,
//! the recorded vectors, the configuration files that Debian ships, and random nasty files: in
//! `make test` a bounded number from a fixed seed, in `make parity` as many as wished from a new one.
//! A random case that differs is made small and kept in `tests/conf/found`.

#![allow(clippy::unwrap_used, reason = "a test says where it cannot go on")]

mod case;
mod compare;
mod lab;
mod random;
mod shrink;

use std::path::{Path, PathBuf};
use std::time::Instant;

use case::Case;
use compare::{Tally, Verdict};
use lab::Asterisk;

/// Random files per Asterisk in `make test`.
const BOUNDED: u64 = 500;

/// Differences after which looking for more is no use.
const ENOUGH: usize = 10;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// The cases that are the same in every run.
fn fixed() -> Vec<Case> {
    let conf = root().join("conf");
    let corpus = Case::folder(&conf.join("corpus"));
    assert!(corpus.len() >= 60, "the corpus is not where it was");
    let inputs = std::env::var_os("PARITY_INPUTS").map(|dir| Case::inputs(Path::new(&dir)));
    let found = Case::folder(&conf.join("found"));
    [corpus, found, Case::vectors(&conf.join("vectors.json")), inputs.unwrap_or_default()].concat()
}

fn random_cases(asterisk: &mut Asterisk, count: u64, tally: &mut Tally) {
    let seed = number("PARITY_SEED").unwrap_or(1);
    println!("Asterisk {}: {count} random files from seed {seed}", asterisk.version);
    let before = tally.compared;
    // Those that may not be sent do not count, and are few.
    for index in 0..2 * count {
        let case = random::case(seed, index);
        if tally.add(&compare::compare(asterisk, &case)) {
            let small = shrink::shrink(asterisk, case);
            let kept = small.keep(&root().join("conf/found"));
            println!("kept as {}", kept.display());
            tally.differences.push(compare::shown(asterisk, &small));
        }
        if tally.differences.len() >= ENOUGH || tally.compared - before == count {
            return;
        }
    }
}

/// Everything that is compared with one Asterisk.
fn run(version: u32) {
    let began = Instant::now();
    let mut asterisk = Asterisk::start(version);
    let mut tally = Tally::default();
    for case in fixed() {
        if tally.add(&compare::compare(&mut asterisk, &case)) {
            tally.differences.push(compare::shown(&mut asterisk, &case));
        }
    }
    let samples = asterisk.samples();
    assert!(samples.len() > 80, "Debian ships more files than {samples:?}");
    for sample in samples {
        let verdict = compare::compare_at(&mut asterisk, &sample);
        if let Verdict::Differs(text) = &verdict {
            tally.differences.push(format!("{sample}: {text}"));
        }
        tally.add(&verdict);
    }
    let count = number(&format!("PARITY_{version}")).unwrap_or(BOUNDED);
    random_cases(&mut asterisk, count, &mut tally);
    println!("Asterisk {version}: {tally}, {:.0} s", began.elapsed().as_secs_f64());
    let found = tally.differences.len();
    assert!(found == 0, "{found} differences\n{}", tally.differences.join("\n"));
    assert!(tally.sections > count / 3, "hardly anything was valid: {tally}");
    assert!(tally.unsent * 20 < tally.compared.max(100), "hardly anything was sent: {tally}");
}

#[test]
fn asterisk_16_reads_every_file_as_we_do() {
    run(16);
}

#[test]
fn asterisk_22_reads_every_file_as_we_do() {
    run(22);
}
