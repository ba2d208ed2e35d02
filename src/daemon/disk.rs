//! The real files behind [`crate::conf`], and what a reading asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::stable::Stamp;
use crate::conf::Files;

/// The largest file that is read, bytes.
pub const LARGEST: u64 = 64 << 20;

/// The most alternatives of one pattern's braces.
const BRACES: usize = 1024;

/// The most directory entries that one pattern looks at.
const LOOKED_AT: usize = 200_000;

/// The most files that one pattern gives.
const FOUND: usize = 10_000;

/// What one reading depended on: when none of it changes, reading again gives the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// Every file asked for, also those that do not exist (yet) or cannot be read.
    pub files: BTreeSet<PathBuf>,
    /// The files and directories that could not be read, and why.
    pub failed: BTreeMap<PathBuf, io::ErrorKind>,
    /// Every pattern with wildcards that was expanded, braces already taken apart.
    pub patterns: BTreeSet<PathBuf>,
    /// Every directory that a pattern looked into, also those that do not exist (yet).
    pub directories: BTreeSet<PathBuf>,
}

impl Closure {
    /// The directories to watch: those of all files, and those that patterns looked into. Some may
    /// not exist yet; then the nearest one above them that does is the one to watch.
    pub fn watched(&self) -> BTreeSet<PathBuf> {
        let parents = self.files.iter().filter_map(|file| file.parent());
        parents.map(Path::to_owned).chain(self.directories.iter().cloned()).collect()
    }
}

/// Reads from the file system and keeps account.
#[derive(Debug, Default)]
pub struct Disk {
    closure: Closure,
    stamp: Stamp,
}

impl Disk {
    /// With an empty account.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was asked so far.
    pub fn closure(&self) -> &Closure {
        &self.closure
    }

    /// The reading depends on which files these are: `pattern` is a folder and a last part with wildcards.
    pub fn depends(&mut self, pattern: &Path) {
        self.closure.patterns.insert(pattern.to_owned());
        self.closure.directories.extend(pattern.parent().map(Path::to_owned));
    }

    /// The reading depends on what this file is now.
    pub(super) fn note(&mut self, path: &Path) {
        self.stamp.note(path);
    }

    /// What was asked, and how it looked just before.
    pub fn into_parts(self) -> (Closure, Stamp) {
        (self.closure, self.stamp)
    }
}

impl Files for Disk {
    /// As `glob(3)` with braces: each alternative of the braces in turn, its matches in byte order.
    fn expand(&mut self, pattern: &Path) -> Vec<PathBuf> {
        let (mut found, mut budget) = (Vec::new(), LOOKED_AT);
        for alternative in braces(pattern.as_os_str().as_bytes()) {
            let mut matches = self.wild(&alternative, &mut budget);
            matches.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
            found.append(&mut matches);
        }
        found.truncate(FOUND);
        found
    }

    /// Fails for what is no regular file and for what is larger than [`LARGEST`]; never waits.
    fn read(&mut self, path: &Path) -> io::Result<Bytes> {
        self.closure.files.insert(path.to_owned());
        self.stamp.note(path);
        let result = read(path);
        match &result {
            Ok(_) => self.closure.failed.remove(path),
            Err(error) => self.closure.failed.insert(path.to_owned(), error.kind()),
        };
        result
    }
}

fn read(path: &Path) -> io::Result<Bytes> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 64 MiB"));
    }
    Ok(bytes.into())
}

/// Opening a FIFO would wait for its writer, opening a device may do anything.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let regular = |is: bool| match is {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    };
    regular(fs::metadata(path)?.is_file())?;
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    regular(file.metadata()?.is_file())?;
    Ok(file)
}

impl Disk {
    /// The regular files that a pattern without braces matches, unsorted.
    fn wild(&mut self, pattern: &[u8], budget: &mut usize) -> Vec<PathBuf> {
        if !magic(pattern) {
            let path = PathBuf::from(OsStr::from_bytes(&unescape(pattern)));
            let is_file = path.is_file();
            self.closure.files.insert(path.clone());
            return if is_file { vec![path] } else { Vec::new() };
        }
        self.closure.patterns.insert(PathBuf::from(OsStr::from_bytes(pattern)));
        let mut paths = vec![Vec::new()];
        let mut parts = pattern.split(|b| *b == b'/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            let mut next = Vec::new();
            for path in paths {
                self.component(&path, part, last, budget, &mut next);
            }
            paths = next;
        }
        let paths = paths.into_iter().map(|path| PathBuf::from(OsStr::from_bytes(&path)));
        paths.filter(|path| path.is_file()).collect()
    }

    /// Extends the path `base` by everything that matches one part of the pattern.
    fn component(
        &mut self,
        base: &[u8],
        part: &[u8],
        last: bool,
        budget: &mut usize,
        next: &mut Vec<Vec<u8>>,
    ) {
        let mut add = |name: &[u8]| {
            let mut path = base.to_vec();
            path.extend_from_slice(name);
            if !last {
                path.push(b'/');
            }
            next.push(path);
        };
        if !magic(part) {
            return add(&unescape(part));
        }
        let directory = PathBuf::from(OsStr::from_bytes(if base.is_empty() { b"." } else { base }));
        let listing = fs::read_dir(&directory);
        if let Err(error) = &listing
            && error.kind() != io::ErrorKind::NotFound
        {
            self.closure.failed.insert(directory.clone(), error.kind());
        }
        self.stamp.note(&directory);
        self.closure.directories.insert(directory);
        for entry in listing.into_iter().flatten().flatten() {
            let Some(left) = budget.checked_sub(1) else { return };
            *budget = left;
            let name = entry.file_name();
            if fits(part, name.as_bytes()) && (last || entry.path().is_dir()) {
                add(name.as_bytes());
            }
        }
    }
}

/// Whether there is a wildcard in it: `*`, `?`, or `[` with a `]` behind it.
fn magic(pattern: &[u8]) -> bool {
    let (mut at, mut open) = (0, false);
    while let Some(byte) = pattern.get(at) {
        match byte {
            b'*' | b'?' => return true,
            b'[' => open = true,
            b']' if open => return true,
            b'\\' => at += 1,
            _ => {}
        }
        at += 1;
    }
    false
}

fn unescape(pattern: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.iter().copied();
    while let Some(byte) = bytes.next() {
        let escaped = if byte == b'\\' { bytes.next() } else { None };
        out.push(escaped.unwrap_or(byte));
    }
    out
}

/// `a{b,c}d` → `abd`, `acd`, nested too, in written order; braces that do not pair are text.
fn braces(pattern: &[u8]) -> Vec<Vec<u8>> {
    let (mut todo, mut done) = (vec![pattern.to_vec()], Vec::new());
    while let Some(pattern) = todo.pop() {
        match alternatives(&pattern) {
            Some(more) if todo.len() + done.len() < BRACES => todo.extend(more.into_iter().rev()),
            _ => done.push(pattern),
        }
    }
    done
}

/// The first pair of braces taken apart.
fn alternatives(pattern: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut at = 0;
    while *pattern.get(at)? != b'{' {
        at += if pattern[at] == b'\\' { 2 } else { 1 };
    }
    let (before, mut start) = (&pattern[..at], at + 1);
    let mut parts = Vec::new();
    loop {
        let end = alternative(pattern, start)?;
        parts.push(start..end);
        start = end + 1;
        if pattern[end] == b'}' {
            break;
        }
    }
    let whole = |part| [before, &pattern[part], &pattern[start..]].concat();
    Some(parts.into_iter().map(whole).collect())
}

/// The `,` or `}` that ends the alternative beginning at `at`.
fn alternative(pattern: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match *pattern.get(at)? {
            b'\\' => at += 1,
            b',' | b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            b'{' => depth += 1,
            _ => {}
        }
        at += 1;
    }
}

/// `fnmatch(3)` for one part of a path: a leading `.` must be written.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let dot = pattern.strip_prefix(b"\\").unwrap_or(pattern).first() == Some(&b'.');
    if name.first() == Some(&b'.') && !dot {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    // Where to go on when the rest does not fit: behind the last `*`, one byte later each time.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, n));
            continue;
        }
        if p == pattern.len() && n == name.len() {
            return true;
        }
        let next = name.get(n).and_then(|byte| one(&pattern[p..], *byte));
        match (next, retry) {
            (Some(used), _) => (p, n) = (p + used, n + 1),
            (None, Some((star, from))) if from < name.len() => {
                (p, n) = (star, from + 1);
                retry = Some((star, n));
            }
            (None, _) => return false,
        }
    }
}

/// How much of the pattern this byte uses up, if it fits.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern {
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (escaped == byte).then_some(2),
        [b'[', ref rest @ ..] => match bracket(rest, byte) {
            Some((fits, used)) => fits.then_some(used + 1),
            None => (byte == b'[').then_some(1),
        },
        [literal, ..] => (literal == byte).then_some(1),
        [] => None,
    }
}

/// Whether the byte is in `…]`, and how long that is; none when there is no end.
fn bracket(set: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(set.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let (mut found, mut first) = (false, true);
    loop {
        let low = match *set.get(at..)? {
            [b']', ..] if !first => return Some((found != negated, at + 1)),
            [b'[', b':', ref rest @ ..] if rest.windows(2).any(|pair| pair == b":]") => {
                let end = rest.windows(2).position(|pair| pair == b":]")?;
                found |= class(&rest[..end], byte);
                at += end + 4;
                first = false;
                continue;
            }
            [b'\\', escaped, ..] => {
                at += 2;
                escaped
            }
            [plain, ..] => {
                at += 1;
                plain
            }
            [] => return None,
        };
        first = false;
        let mut high = low;
        if set.get(at) == Some(&b'-') && set.get(at + 1).is_some_and(|b| *b != b']') {
            let escaped = usize::from(set[at + 1] == b'\\');
            high = *set.get(at + 1 + escaped)?;
            at += 2 + escaped;
        }
        found |= (low..=high).contains(&byte);
    }
}

fn class(name: &[u8], byte: u8) -> bool {
    match name {
        b"alpha" => byte.is_ascii_alphabetic(),
        b"digit" => byte.is_ascii_digit(),
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"upper" => byte.is_ascii_uppercase(),
        b"lower" => byte.is_ascii_lowercase(),
        b"punct" => byte.is_ascii_punctuation(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
