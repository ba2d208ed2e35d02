//! Nasty configurations of several files, the same for the same seed and index.

use std::collections::BTreeMap;

use crate::case::{Case, TOP};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// True in so many of a thousand.
    fn per_mille(&mut self, share: usize) -> bool {
        self.below(1000) < share
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// The generator for one case: how wild it is, and which names exist so far.
struct Nasty {
    random: Random,
    /// Chance, in a thousand, of what may spoil the whole file.
    wild: usize,
    names: Vec<String>,
    /// A block comment is perhaps open.
    hidden: bool,
}

const NAMES: [&str; 16] = [
    "a", "b", "c", "t", "u", "A", "T", "general", "101", "102", "phone", "a b", "é", "É", "x.y",
    "a-1",
];
const ODD_NAMES: [&str; 10] =
    ["", " a", "a ", "q\\;x", "w;x", "a\rb", "[a", "a(b)", "\u{1}", "a,b"];
const KEYS: [&str; 18] = [
    "k", "K", "l", "m", "M", "type", "secret", "allow", "k k", "setvar", "é", "register", "k.1",
    "\\k", "\\[k]", "\\#k", "host", "K",
];
const ODD_KEYS: [&str; 8] = ["", "\\", "\\ k", "\\é", "\\=k", "k[", "+", "a+"];
const VALUES: [&str; 30] = [
    "1",
    "2",
    "one",
    "ONE",
    "",
    "dynamic",
    "a=b",
    "=",
    ">",
    "> x",
    "\"q\"",
    "\"A;B\" <1>",
    "x\\;y",
    "x\\\\;y",
    "\\;",
    "\\",
    "x\\y",
    "a,b",
    "é",
    "\u{a0}",
    "x\ty",
    "(t)",
    "[t]",
    "#include",
    "!all,ulaw",
    "${X}",
    "x y  z",
    "same",
    "SAME",
    "endpoint",
];
const OPERATORS: [&str; 9] = ["=", "=", " = ", "=>", " => ", "= >", "\t=\t", "+=", " += "];
const FILTERS: [&str; 27] = [
    "",
    "",
    "",
    "k=1",
    "type=end",
    "k=.",
    "^k$=^1$",
    "k=1&l=2",
    "TEMPLATES=include",
    "TEMPLATES=restrict",
    "TEMPLATES=include&k=1",
    "TEMPLATES=x",
    "k",
    "k=",
    "=1",
    "k=[0-9]+",
    "k=1|2",
    "'k'='1'",
    " k = 1 ",
    "k=(",
    "=",
    "k=&",
    "k=1&",
    "&k=1",
    "k=1&&l=2",
    "k=&l=",
    "\"k=1",
];
const COMMENTS: [&str; 14] = [
    "; c",
    ";",
    ";;",
    ";---",
    ";----;",
    ";-- b --;",
    ";--x--;y",
    ";!",
    "; --;",
    ";MAC=00:18:b9:00:00:01",
    ";-- ;-- x --; --;",
    ";------------------------",
    "\\; x",
    "; \\;--",
];
const UNBALANCED: [&str; 9] =
    ["--;", ";--", ";--;", "--;--;", "x--;", "\\;--;", ";-- ;-- --;", ";-- --; --;", ";--\\;--;"];
const PATHS: [&str; 18] = [
    "x.conf",
    "y.conf",
    "x.conf",
    "y.conf",
    "z.conf",
    "d/a.conf",
    "d/*.conf",
    "d/[ab].conf",
    "{y,x}.conf",
    "?.conf",
    "d/*",
    "d",
    "none.conf",
    "./x.conf",
    "d/../y.conf",
    "x\\.conf",
    "d/{b,a}.conf",
    "[z].conf",
];
const DIRECTIVES: [&str; 6] =
    ["#include", "#tryinclude", "#include", "#tryinclude", "#INCLUDE", "#TryInclude"];
const STRAY: [&str; 12] = [
    "noequals",
    "# include x.conf",
    "#",
    "#include",
    "#exec echo x",
    "#foo bar",
    "]",
    "(t)",
    "=x",
    "--;",
    ";--",
    "\u{feff}[a]",
];
const SPECIAL: &[u8] = b";;-=>[](){}+!,&#\\\"<> \t\r\n\0\xef\xff.*|^$";
const FILES: [&str; 6] = ["x.conf", "y.conf", "z.conf", "d/a.conf", "d/b.conf", "d/c"];

impl Nasty {
    fn wild(&mut self) -> bool {
        let share = self.wild;
        self.random.per_mille(share)
    }

    fn name(&mut self) -> String {
        if self.wild() {
            return self.random.pick(&ODD_NAMES).to_owned();
        }
        match self.random.below(200) {
            0 => "n".repeat(78 + self.random.below(4)),
            1..100 => self.random.pick(&NAMES).to_owned(),
            _ => format!("s{}", self.random.below(20)),
        }
    }

    /// A name to inherit from or to append to: nearly always one that exists.
    fn known(&mut self) -> String {
        if self.names.is_empty() || self.wild() {
            return self.name();
        }
        let at = self.random.below(self.names.len());
        let name = self.names[at].clone();
        if name.contains([',', ';', ')']) && !self.wild() { self.names[0].clone() } else { name }
    }

    /// A comment; rarely one that hides what follows, and then usually not for long.
    fn comment(&mut self) -> &'static str {
        let share = 20 + self.wild;
        if self.hidden {
            self.hidden = self.random.per_mille(300);
            return self.random.pick(&["--;", ";--"]);
        }
        if !self.random.per_mille(share) {
            return self.random.pick(&COMMENTS);
        }
        self.hidden = true;
        self.random.pick(&UNBALANCED)
    }

    fn header(&mut self) -> String {
        let append = !self.names.is_empty() && self.random.per_mille(200);
        let name = if append { self.known() } else { self.name() };
        let mut options = Vec::new();
        if append {
            let filter = match self.random.below(100) {
                0..60 => "TEMPLATES=include",
                60..80 => "",
                _ => self.random.pick(&FILTERS),
            };
            options.push(format!("+{filter}"));
        }
        if self.random.per_mille(200) {
            options.push("!".to_owned());
        }
        for _ in 0..[0, 0, 0, 1, 1, 2][self.random.below(6)] {
            if !self.names.is_empty() || self.wild() {
                let base = self.known();
                // Behind `(+)` it would be endless.
                if !append || !base.eq_ignore_ascii_case(&name) || self.wild() {
                    options.push(base);
                }
            }
        }
        if self.wild() {
            let odd = ["", " t", "+", "!", "! ", "+type=end", "a "];
            options.push(self.random.pick(&odd).to_owned());
        }
        if self.wild() {
            options.reverse();
        }
        let mut text = format!("[{name}]");
        if !options.is_empty() || self.wild() {
            let gap = if self.wild() { " " } else { "" };
            text += &format!("{gap}({})", options.join(","));
        }
        if self.wild() {
            text = text.replace(self.random.pick(&["]", ")", "["]), "");
        }
        if self.random.per_mille(30) {
            text += self.random.pick(&["junk", " = x", "(u)", "]", "\t"]);
        }
        if !self.hidden {
            self.names.push(name);
        }
        text
    }

    fn key(&mut self) -> String {
        let key = if self.wild() { self.random.pick(&ODD_KEYS) } else { self.random.pick(&KEYS) };
        let mut value = self.random.pick(&VALUES).to_owned();
        if self.random.per_mille(5) {
            value = "v".repeat(8180 + self.random.below(20));
        }
        if self.random.per_mille(2) {
            value = "v".repeat(16370 + self.random.below(20));
        }
        format!("{key}{}{value}", self.random.pick(&OPERATORS))
    }

    fn include(&mut self) -> String {
        let mut path = self.random.pick(&PATHS).to_owned();
        if self.random.per_mille(10) {
            path = TOP.to_owned();
        }
        if self.random.per_mille(3) {
            path = format!("{}{path}", "./".repeat(110 + self.random.below(20)));
        }
        let path = match self.random.below(8) {
            0 => format!("\"{path}\""),
            1 => format!("<{path}>"),
            2 if self.wild() => format!("\"{path}"),
            3 if self.wild() => format!("'{path}'"),
            4 if self.wild() => format!("\"{path}>"),
            _ => path,
        };
        // Half of the time missing files may be missing.
        let word = self.random.pick(&DIRECTIVES);
        let word = if path.contains("none") && !self.wild() { "#tryinclude" } else { word };
        let gap = self.random.pick(&[" ", " ", "\t", "  "]);
        format!("{word}{gap}{path}")
    }

    fn line(&mut self) -> Vec<u8> {
        let mut text = match self.random.below(1000) {
            0..250 => self.header(),
            250..750 => self.key(),
            750..800 => self.include(),
            800..860 => self.comment().to_owned(),
            860..900 => String::new(),
            900..940 if self.wild() => self.random.pick(&STRAY).to_owned(),
            _ => self.key(),
        };
        if self.random.per_mille(if self.hidden { 400 } else { 80 }) {
            let gap = self.random.pick(&["", " ", "\t"]);
            text = format!("{text}{gap}{}", self.comment());
        }
        if self.random.per_mille(60) {
            let gap = self.random.pick(&[" ", "\t", "\u{c}", "\u{1f}", "  "]);
            text = format!("{gap}{text}{gap}");
        }
        if self.random.per_mille(20) {
            // What follows may be anything: é as Latin-1, and characters cut in two.
            return text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        }
        text.into_bytes()
    }

    /// A few bytes changed, doubled or lost.
    fn mutate(&mut self, text: &mut Vec<u8>) {
        for _ in 0..1 + self.random.below(4) {
            if text.is_empty() {
                return;
            }
            let (at, byte) = (self.random.below(text.len()), self.random.next().to_le_bytes()[0]);
            let special = SPECIAL[self.random.below(SPECIAL.len())];
            match self.random.below(5) {
                0 => text[at] = byte,
                1 => text[at] = special,
                2 => text.insert(at, special),
                3 => {
                    text.remove(at);
                }
                _ => {
                    let end = (at + 1 + self.random.below(12)).min(text.len());
                    let part = text[at..end].to_vec();
                    text.splice(at..at, part);
                }
            }
        }
    }

    fn file(&mut self, top: bool) -> Vec<u8> {
        let end: &[u8] = if self.random.per_mille(100) { b"\r\n" } else { b"\n" };
        let mut text = Vec::new();
        if self.random.per_mille(40) {
            text.extend_from_slice(b"\xef\xbb\xbf");
        }
        let headed = top || self.random.per_mille(600);
        if headed && !self.wild() {
            text.extend_from_slice(self.header().as_bytes());
            text.extend_from_slice(end);
        }
        for _ in 0..self.random.below(if top { 24 } else { 10 }) {
            text.extend(self.line());
            text.extend_from_slice(end);
        }
        if self.random.per_mille(150) {
            text.truncate(text.len().saturating_sub(end.len()));
        }
        if self.wild() || self.random.per_mille(60) {
            self.mutate(&mut text);
        }
        text
    }
}

/// The case of this number in the sequence of a seed.
pub(crate) fn case(seed: u64, index: u64) -> Case {
    let mut random = Random(seed.wrapping_mul(0x1_0000_0001).wrapping_add(index << 20));
    random.next();
    let wild = [0, 0, 2, 5, 20, 60, 200][random.below(7)];
    let mut nasty = Nasty { random, wild, names: Vec::new(), hidden: false };
    let mut files = BTreeMap::new();
    files.insert(TOP.as_bytes().to_vec(), nasty.file(true));
    // What is included early knows what the top has early.
    nasty.names.truncate(3);
    for name in FILES {
        if nasty.random.per_mille(700) {
            nasty.hidden = false;
            files.insert(name.as_bytes().to_vec(), nasty.file(false));
        }
    }
    Case { name: format!("seed {seed} case {index}"), top: TOP.to_owned(), files }
}
