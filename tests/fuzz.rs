//! The fuzz targets' claims, for every seed and everything found so far; and, when asked, for mutated
//! seeds as long as wished (`contrib/fuzz/README.md`).

#![allow(clippy::unwrap_used, reason = "a test says where it cannot go on")]

#[path = "../contrib/fuzz/claims.rs"]
mod claims;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use claims::{BETWEEN, NAMES};

/// One input may take so long, also without optimisation.
const PATIENCE: Duration = Duration::from_secs(20);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

/// The corpus, each case's files joined as the targets take them.
fn cases() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for dir in ["tests/conf/corpus", "tests/conf/found"] {
        for case in folders(&root().join(dir)) {
            let parts: Vec<_> =
                NAMES.iter().map(|n| fs::read(case.join(n)).unwrap_or_default()).collect();
            all.push(parts.join(&BETWEEN));
        }
    }
    all
}

/// Seeds and findings of one target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let dir = root().join("contrib/fuzz/corpus").join(target);
    let own = ["tag", "http", "sip", "tftp", "trace", "dhcp", "agi"].contains(&target);
    let mut all = if own { Vec::new() } else { cases() };
    if dir.is_dir() {
        all.extend(folders(&dir).into_iter().map(|path| fs::read(path).unwrap()));
    }
    all
}

fn replay(target: &str, claim: fn(&[u8]), least: usize) {
    let seeds = seeds(target);
    assert!(seeds.len() >= least, "{} seeds", seeds.len());
    for seed in seeds {
        let began = Instant::now();
        claim(&seed);
        assert!(began.elapsed() < PATIENCE, "{}", seed.escape_ascii());
    }
}

#[test]
fn the_lexer_holds_for_every_seed() {
    replay("lexer", claims::lexer, 100);
}

#[test]
fn the_resolver_holds_for_every_seed() {
    replay("resolver", claims::resolver, 100);
}

#[test]
fn the_tag_holds_for_every_seed() {
    replay("tag", claims::tag, 12);
}

#[test]
fn the_editor_holds_for_every_seed() {
    replay("editor", claims::editor, 100);
}

#[test]
fn sip_holds_for_every_seed() {
    replay("sip", claims::sip, 12);
}

#[test]
fn http_holds_for_every_seed() {
    replay("http", claims::http, 12);
}

#[test]
fn the_tftp_packets_hold_for_every_seed() {
    replay("tftp", claims::tftp, 12);
}

#[test]
fn the_stories_hold_for_every_seed() {
    replay("trace", claims::trace, 8);
}

#[test]
fn the_dhcp_server_holds_for_every_seed() {
    replay("dhcp", claims::dhcp, 12);
}

#[test]
fn fastagi_holds_for_every_seed() {
    replay("agi", claims::agi, 10);
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit.max(1) as u64).unwrap()
    }

    fn range(&mut self, text: &[u8], most: usize) -> std::ops::Range<usize> {
        let start = self.below(text.len() + 1);
        start..(start + self.below(most)).min(text.len())
    }
}

/// Pieces that mean something.
const PIECES: [&[u8]; 106] = [
    b"%2e",
    b"%2f",
    b"%00",
    b"%",
    b"..",
    b"/",
    b"%5c",
    b"?name=",
    b"?page=2",
    b"&number=",
    b"bytes=",
    b"-",
    b"W/\"a\"",
    b"GMT",
    b"BEGIN:VCARD\nFN:a\nTEL:1\nEND:VCARD\n",
    b"=C3=BC=",
    b"ENCODING=QUOTED-PRINTABLE",
    b"Name,Number\n",
    b"M\xc3\xbcller,1\n",
    b"\xc5\x81,2\n",
    b"&",
    b"<",
    b"+",
    b"\xcc\x88",
    b";--",
    b"--;",
    b";",
    b"\\;",
    b"[",
    b"]",
    b"(!)",
    b"(+)",
    b"(a)",
    b"(",
    b")",
    b",",
    b"=",
    b"=>",
    b"+=",
    b"#include x.conf\n",
    b"#include m.conf\n",
    b"#tryinclude d/*.conf\n",
    b"\n",
    b"\r\n",
    b"\0",
    b"\x1e",
    b"\xef\xbb\xbf",
    b"\xff",
    b" ",
    b"\t",
    b"\\",
    b"[a]\n",
    b"[t](!)\n",
    b"k=1\n",
    b"(+k=1&",
    b"TEMPLATES=include",
    b"{2}",
    b"*",
    b";MAC=0018b9123456",
    b" line=2",
    b" label=\"",
    b"\"",
    b":",
    b";--; x --; ",
    b"octet\0",
    b"netascii\0",
    b"blksize\x001428\0",
    b"windowsize\x0016\0",
    b"tsize\x000\0",
    b"NNNNNNNN",
    b"TTTT",
    b"A\0\x01",
    b"\n1:0:0 0018b9ffffff 10.0.0.23 get OS79XX.TXT missing\n",
    b"\n1:0:1 0018b9ffffff 10.0.0.23 get SEP0018B9FFFFFF.cnf.xml missing\n",
    b"\n1:0:1 - 10.0.0.23 get XMLDefault.cnf.xml 900 20\n",
    b"\n1:0:2 0018b9ffffff 10.0.0.23 get P0S3-05-3-00.bin 689278 7000\n",
    b"\n1:1:2 0018b9fffffe 10.0.0.23 get SIPDefault.cnf missing\n",
    b"\n1:1:3 0018b9fffffe 10.0.0.23 own SIP0018B9FFFFFE.cnf 2048\n",
    b"\n1:1:9 0018b9fffffe 10.0.0.23 register 201\n",
    b"\n9:0:0 0018b9ffffff - discover\n",
    b" request 192.168.1.5",
    b" nak 192.168.1.5 why",
    b" notify in-call",
    b" get CTLSEP0018B9FFFFFF.tlv missing",
    b"M\x01\x03\x00\x00\x00S",
    b"M\x03\x01\x02\x0a\x00",
    b"M\x07\x03\x00\x06\x00",
    b"M\x04\x03\x00\x0a\x00",
    b"W\xff",
    b"J\xff",
    b"K",
    b"A\xff",
    b"\x63\x82\x53\x63",
    b"\x35\x01\x01",
    b"\x34\x01\x03",
    b"\x3c\x06Cisco\0",
    b"agi_network: yes\n",
    b"agi_channel: PJSIP/a-b-0000002a\n",
    b"agi_network_script: token/resync?x\n",
    b"agi_arg_1: x\n",
    b"\n\n",
    b"HANGUP\n",
    b"200 result=1 (a\nb)\n",
    b"200 result=*99 (timeout) endpos=9\n",
    b"520-Invalid command syntax.  Proper usage follows:\n",
    b"520 End of proper usage.\n",
];

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut text = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(text.len() + 1);
        match random.below(6) {
            0 => drop(text.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
            1 => drop(text.drain(random.range(&text, 20))),
            2 => {
                let part = text[random.range(&text, 80)].to_vec();
                drop(text.splice(at..at, part));
            }
            3 => {
                let other = &seeds[random.below(seeds.len())];
                let part = other[random.range(other, 200)].to_vec();
                drop(text.splice(at..at, part));
            }
            4 => text.truncate(at),
            _ if at < text.len() => text[at] = u8::try_from(random.below(256)).unwrap(),
            _ => {}
        }
    }
    text
}

/// Mutated seeds, until the time is over.
fn hammer(target: &str, claim: fn(&[u8])) {
    let seconds = std::env::var("FUZZ_SECONDS").map_or(60, |s| s.parse().expect("a number"));
    let seed: u64 = std::env::var("FUZZ_SEED").map_or(1, |s| s.parse().expect("a number"));
    let (until, mut random) = (Instant::now() + Duration::from_secs(seconds), Random(seed));
    let (seeds, mut runs) = (seeds(target), 0_u64);
    while Instant::now() < until {
        let input = mutate(&mut random, &seeds);
        let began = Instant::now();
        let held = catch_unwind(|| claim(&input)).is_ok() && began.elapsed() < PATIENCE;
        if !held {
            let path = root()
                .join("contrib/fuzz/corpus")
                .join(target)
                .join(format!("found-{seed}-{runs}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &input).unwrap();
            panic!("kept as {}: \"{}\"", path.display(), input.escape_ascii());
        }
        runs += 1;
    }
    println!("{target}: {runs} inputs in {seconds} s from seed {seed}, nothing found");
}

#[test]
#[ignore = "runs as long as FUZZ_SECONDS says"]
fn hammer_the_lexer() {
    hammer("lexer", claims::lexer);
}

#[test]
#[ignore = "runs as long as FUZZ_SECONDS says"]
fn hammer_the_resolver() {
    hammer("resolver", claims::resolver);
}

#[test]
#[ignore = "runs as long as FUZZ_SECONDS says"]
fn hammer_the_tag() {
    hammer("tag", claims::tag);
}

#[test]
#[ignore = "runs as long as FUZZ_SECONDS says"]
fn hammer_the_editor() {
    hammer("editor", claims::editor);
}

#[test]
#[ignore = "runs as long as FUZZ_SECONDS says"]
fn hammer_sip() {
    hammer("sip", claims::sip);
}

#[test]
#[ignore = "runs as long as FUZZ_SECONDS says"]
fn hammer_http() {
    hammer("http", claims::http);
}

#[test]
#[ignore = "runs as long as FUZZ_SECONDS says"]
fn hammer_the_stories() {
    hammer("trace", claims::trace);
}

#[test]
#[ignore = "runs as long as FUZZ_SECONDS says"]
fn hammer_the_tftp_packets() {
    hammer("tftp", claims::tftp);
}

#[test]
#[ignore = "runs as long as FUZZ_SECONDS says"]
fn hammer_the_dhcp_server() {
    hammer("dhcp", claims::dhcp);
}

#[test]
#[ignore = "runs as long as FUZZ_SECONDS says"]
fn hammer_fastagi() {
    hammer("agi", claims::agi);
}
