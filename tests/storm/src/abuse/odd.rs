//! Odd datagrams, names and options.

use crate::proto::{self, RRQ};
use crate::sys::Random;

/// Half of it looks like TFTP at first, some requests do not end.
pub(super) fn garbage(random: &mut Random) -> Vec<u8> {
    let length = match random.below(8) {
        0 => random.below(4),
        1 => 1472,
        2 => 9000,
        _ => random.below(600),
    };
    let mut all: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    if random.below(2) == 0 && all.len() >= 2 {
        (all[0], all[1]) = (0, random.below(9) as u8);
    }
    if random.below(4) == 0 {
        all.iter_mut().skip(2).filter(|b| **b == 0).for_each(|b| *b = b'A');
    }
    all
}

/// Packets of a transfer that there is not.
pub(super) fn stray(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => proto::ack(random.next() as u16).to_vec(),
        1 => {
            let mut data = vec![0, 3, random.next() as u8, random.next() as u8];
            data.resize(4 + random.below(513) as usize, b'd');
            data
        }
        2 => proto::error(random.below(9) as u16, "oops"),
        _ => b"\0\x06blksize\x009\0".to_vec(),
    }
}

/// Values that make no sense.
const VALUES: [(&str, &str); 16] = [
    ("blksize", "0"),
    ("blksize", "1"),
    ("blksize", "7"),
    ("blksize", "65535"),
    ("blksize", "-1"),
    ("blksize", "99999999999999999999999999"),
    ("blksize", "0x200"),
    ("blksize", " 512"),
    ("windowsize", "0"),
    ("windowsize", "65535"),
    ("windowsize", "-5"),
    ("timeout", "0"),
    ("timeout", "255"),
    ("timeout", "99999"),
    ("tsize", "-1"),
    ("tsize", "junk"),
];

/// A request with odd options.
pub(super) fn options(name: &str, random: &mut Random, turn: usize) -> Vec<u8> {
    let with = |options: &[(&str, String)]| proto::request(RRQ, name.as_bytes(), options);
    if let Some((option, value)) = VALUES.get(turn % 24) {
        return with(&[(option, (*value).to_owned())]);
    }
    match turn % 24 {
        // The same option many times over.
        16 => with(&(0..60).map(|k| ("blksize", (512 + k).to_string())).collect::<Vec<_>>()),
        17 => with(&[("blksize", "A".repeat(1000 + random.below(7000) as usize))]),
        18 => with(&[("x".repeat(60_000).as_str(), "1".to_owned())]),
        // It ends in the middle of an option, and without the last NUL.
        cut @ (19 | 20) => {
            let mut request = with(&[("blksize", "1428".to_owned())]);
            request.truncate(request.len() - if cut == 19 { 3 } else { 1 });
            request
        }
        21 => {
            let names: Vec<_> = (0..300).map(|k| format!("o{k}")).collect();
            with(&names.iter().map(|name| (name.as_str(), "1".to_owned())).collect::<Vec<_>>())
        }
        // A mode that nobody knows and that never ends.
        22 => [&[0, RRQ], name.as_bytes(), &[0], &[b'm'; 2000]].concat(),
        _ => with(&[
            ("tsize", "0".to_owned()),
            ("blksize", "65464".to_owned()),
            ("windowsize", "64".to_owned()),
            ("timeout", "1".to_owned()),
        ]),
    }
}

/// Names that try to get out, and names that are merely odd.
pub(super) fn names() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "../../../../../../../../etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "./../../../../../../../etc/passwd",
        "foo/../../../../../../../etc/passwd",
        "..\\..\\..\\..\\..\\etc\\passwd",
        "\\etc\\passwd",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "....//....//....//etc/passwd",
        "/proc/self/environ",
        "../canary.txt",
        "..\\canary.txt",
        "./../canary.txt",
        "sub/../../canary.txt",
        "link-out/canary.txt",
        "link-out.txt",
        "..",
        ".",
        "/",
        "",
        "./",
        "/dev/zero",
        "/dev/null",
        "con",
        "*",
        "{MAC}",
        "$(id)",
        "`id`",
        "%s%s%s%s%n",
        "name with blanks.txt",
        "\u{fc}ml\u{e4}ut.cnf",
        "line\nbreak",
        "\u{1b}[31mred",
    ]
    .iter()
    .map(|s| s.as_bytes().to_vec())
    .collect();
    all.push(vec![b'A'; 300]);
    all.push(vec![b'B'; 5000]);
    all.push(vec![b'/'; 4000]);
    all.push("../".repeat(1500).into_bytes());
    all.push(vec![0xff, 0xfe, 0x80, 0x81]);
    all.push("a/".repeat(2000).into_bytes());
    all
}
