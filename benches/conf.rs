//! Reading Asterisk's language: bytes → sections with everything inherited, for sites of 1,000 to
//! 100,000 peers, with the memory that it takes, and the tags of all sections.

#[path = "../tests/tools/sipconf.rs"]
mod sipconf;

use std::path::Path;

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher};
use handset::base::Sources;
use handset::conf::{Conf, Memory, fingerprint, read};
use handset::model::tag::attach;
use sipconf::Shape;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

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

#[divan::bench(args = PEERS, sample_count = 10)]
fn tags(bencher: Bencher<'_, '_>, peers: usize) {
    let conf = conf(&mut site(peers, Shape::Templates).0);
    bencher.counter(ItemsCount::new(peers)).bench_local(|| attach(&conf));
}

#[divan::bench(args = PEERS, sample_count = 10)]
fn fingerprints(bencher: Bencher<'_, '_>, peers: usize) {
    let conf = conf(&mut site(peers, Shape::Templates).0);
    bencher.counter(ItemsCount::new(peers)).bench_local(|| fingerprint(&conf));
}
