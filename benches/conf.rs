//! Reading Asterisk's language: bytes → sections with everything inherited, for sites of 1,000 to
//! 100,000 peers, with the memory that it takes; and from there to tags, peers, lints and phones, with
//! the daemon's allocator.

#[path = "../tests/tools/sipconf.rs"]
mod sipconf;

use std::path::Path;

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher};
use handset::base::Sources;
use handset::conf::{Conf, Memory, fingerprint, read};
use handset::model::lint::lint;
use handset::model::peer::{SipReading, from_sip, keyed_tags};
use handset::model::phone::{ModelFacts, assemble};
use handset::model::site::Site;
use handset::model::tag::{Tags, attach};
use sipconf::Shape;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOC: AllocProfiler<Jemalloc> = AllocProfiler::new(Jemalloc);

const PEERS: [usize; 3] = [1_000, 20_000, 100_000];

fn main() {
    divan::main();
}

fn site(peers: usize, shape: Shape) -> (Memory, usize) {
    let (mut memory, mut size) = (Memory::default(), 0);
    for (name, text) in sipconf::files(peers, shape) {
        size += text.len();
        memory = memory.with(Path::new("/etc/asterisk").join(name), Bytes::from(text));
    }
    (memory, size)
}

fn conf(files: &mut Memory) -> Conf {
    let conf =
        read(Path::new("sip.conf"), Path::new("/etc/asterisk"), files, &mut Sources::default());
    assert!(conf.sections.len() > 1000 && !conf.abandoned);
    conf
}

fn reading(bencher: Bencher<'_, '_>, peers: usize, shape: Shape) {
    let (mut files, size) = site(peers, shape);
    let counted = bencher.counter(ItemsCount::new(peers)).counter(BytesCount::new(size));
    counted.bench_local(|| conf(&mut files));
}

#[divan::bench(args = PEERS, sample_count = 10)]
fn flat(bencher: Bencher<'_, '_>, peers: usize) {
    reading(bencher, peers, Shape::Flat);
}

#[divan::bench(args = PEERS, sample_count = 10)]
fn with_templates(bencher: Bencher<'_, '_>, peers: usize) {
    reading(bencher, peers, Shape::Templates);
}

#[divan::bench(args = PEERS, sample_count = 10)]
fn over_500_includes(bencher: Bencher<'_, '_>, peers: usize) {
    reading(bencher, peers, Shape::Includes(500));
}

/// A site that is read, with templates.
struct Whole {
    conf: Conf,
    tags: Tags,
    reading: SipReading,
}

fn whole(peers: usize) -> Whole {
    let conf = conf(&mut site(peers, Shape::Templates).0);
    let tags = attach(&conf).0;
    let reading = from_sip(&conf, &tags);
    assert!(reading.peers.len() == peers && reading.refused.is_empty());
    Whole { conf, tags, reading }
}

fn step<T>(bencher: Bencher<'_, '_>, peers: usize, step: impl Fn(&Whole) -> T) {
    let whole = whole(peers);
    bencher.counter(ItemsCount::new(peers)).bench_local(|| step(&whole));
}

#[divan::bench(args = PEERS, sample_count = 10)]
fn tags(bencher: Bencher<'_, '_>, peers: usize) {
    step(bencher, peers, |whole| attach(&whole.conf));
}

#[divan::bench(args = PEERS, sample_count = 10)]
fn tags_of_keys(bencher: Bencher<'_, '_>, peers: usize) {
    step(bencher, peers, |whole| keyed_tags(&whole.conf, whole.tags.clone()));
}

#[divan::bench(args = PEERS, sample_count = 10)]
fn peers(bencher: Bencher<'_, '_>, peers: usize) {
    step(bencher, peers, |whole| from_sip(&whole.conf, &whole.tags));
}

#[divan::bench(args = PEERS, sample_count = 10)]
fn lints(bencher: Bencher<'_, '_>, peers: usize) {
    step(bencher, peers, |whole| lint(&whole.conf, &whole.tags, &whole.reading.peers));
}

#[divan::bench(args = PEERS, sample_count = 10)]
fn phones(bencher: Bencher<'_, '_>, peers: usize) {
    let facts =
        |model: &str, lines| ModelFacts { family: "cisco-79x0".into(), model: model.into(), lines };
    let (models, settings) = ([facts("7940", 2), facts("7960", 6)], Site::default());
    step(bencher, peers, |whole| assemble(&whole.reading.peers, &[], &models, &settings));
}

#[divan::bench(args = PEERS, sample_count = 10)]
fn fingerprints(bencher: Bencher<'_, '_>, peers: usize) {
    step(bencher, peers, |whole| fingerprint(&whole.conf));
}
