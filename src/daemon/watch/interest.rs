//! Which directories to watch for a set of files, and which names in them matter.
//!
//! A path is walked part by part as the kernel does it. A save shows in the directory that holds
//! the name: the parent of the file, and the parent of every symlink on the way (crates.md §2). Of
//! what does not exist yet, the nearest directory that does is watched.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// What the sources were read from: everything whose change may change what was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Closure {
    /// Every file that was read or asked for, also those that do not exist.
    pub files: BTreeSet<PathBuf>,
    /// Every pattern whose matches were read, as glob(3) takes them, made absolute.
    pub globs: BTreeSet<PathBuf>,
}

/// Symlinks that one path may lead through, as in the kernel.
const MAX_HOPS: usize = 40;

/// Directories watched at most; beyond them the slow rescan has to do.
const MAX_DIRS: usize = 1024;

/// The names that matter, by the real path of their directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Interest {
    dirs: BTreeMap<PathBuf, Names>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Names {
    exact: BTreeSet<OsString>,
    patterns: BTreeSet<OsString>,
}

impl Interest {
    pub(super) fn of(closure: &Closure) -> Self {
        let mut interest = Self::default();
        for file in &closure.files {
            interest.walk(file);
        }
        for pattern in &closure.globs {
            interest.glob(PathBuf::from("/"), &parts(pattern));
        }
        interest
    }

    pub(super) fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.dirs.keys().map(PathBuf::as_path)
    }

    pub(super) fn is_dir(&self, path: &Path) -> bool {
        self.dirs.contains_key(path)
    }

    /// True when a change at `path` may be a change of the closure.
    pub(super) fn matters(&self, path: &Path) -> bool {
        let names = path.parent().and_then(|dir| self.dirs.get(dir));
        let matters = |name| names.is_some_and(|names| names.matter(name));
        self.is_dir(path) || path.file_name().is_some_and(matters)
    }

    fn names(&mut self, dir: &Path) -> Option<&mut Names> {
        let full = self.dirs.len() >= MAX_DIRS && !self.dirs.contains_key(dir);
        (!full).then(|| self.dirs.entry(dir.to_owned()).or_default())
    }

    fn add(&mut self, dir: &Path, name: OsString) {
        if let Some(names) = self.names(dir) {
            names.exact.insert(name);
        }
    }

    /// Notes every directory and name that decide what lies at `path`. Returns the real path when
    /// that is a directory.
    fn walk(&mut self, path: &Path) -> Option<PathBuf> {
        let mut at = PathBuf::from("/");
        let mut rest = VecDeque::from(parts(path));
        let mut hops = 0;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            let kind = fs::symlink_metadata(&next).map(|meta| meta.file_type());
            match kind {
                Ok(kind) if kind.is_dir() => at = next,
                Ok(kind) if kind.is_symlink() && hops < MAX_HOPS => {
                    self.add(&at, name);
                    hops += 1;
                    let target = fs::read_link(&next).ok()?;
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    parts(&target).into_iter().rev().for_each(|part| rest.push_front(part));
                }
                _ => {
                    self.add(&at, name);
                    return None;
                }
            }
        }
        Some(at)
    }

    fn glob(&mut self, mut base: PathBuf, pattern: &[OsString]) {
        let plain = pattern.iter().take_while(|part| !is_magic(part)).count();
        base.extend(&pattern[..plain]);
        let Some(dir) = self.walk(&base) else { return };
        let Some((part, deeper)) = pattern[plain..].split_first() else { return };
        let Some(names) = self.names(&dir) else { return };
        names.patterns.insert(part.clone());
        if deeper.is_empty() {
            return;
        }
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if matches(part.as_bytes(), name.as_bytes()) {
                self.glob(dir.join(name), deeper);
            }
        }
    }
}

impl Names {
    fn matter(&self, name: &OsStr) -> bool {
        let fits = |pattern: &OsString| matches(pattern.as_bytes(), name.as_bytes());
        self.exact.contains(name) || self.patterns.iter().any(fits)
    }
}

fn parts(path: &Path) -> Vec<OsString> {
    let part = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

fn is_magic(part: &OsStr) -> bool {
    part.as_bytes().iter().any(|byte| b"*?[{\\".contains(byte))
}

/// Whether a name may match one part of a pattern: exact for `*` and `?`, yes for what is rarer (a
/// needless look is cheap, a missed one is not). Hidden names need a pattern that begins with a dot.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && !matches!(pattern.first(), Some(b'.' | b'[' | b'{' | b'\\')) {
        return false;
    }
    if pattern.iter().any(|byte| b"[{\\".contains(byte)) {
        return true;
    }
    let (mut p, mut n) = (0, 0);
    // Where to go on when the guess about the last star was too short.
    let mut retry = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, n));
            p += 1;
        } else if pattern.get(p).is_some_and(|c| *c == b'?' || *c == name[n]) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            (p, n) = (star, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn patterns_match_as_glob_does_or_more() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf~", false),
            ("*.conf", ".a.conf", false),
            (".*", ".a", true),
            ("a?c*", "abcd", true),
            ("a?c*", "ac", false),
            ("*a*b*", "xaxxbx", true),
            ("*a*b", "ab-ab", true),
            ("*a*b", "ab-a", false),
            ("*", "", true),
            ("[ab].conf", "a.conf", true),
            ("{a,b}.conf", "b.conf", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    /// The directory and names of each watch, relative to a fresh directory that `make` fills.
    fn check(make: impl Fn(&Path), files: &[&str], globs: &[&str], expected: &[(&str, &[&str])]) {
        let temp = TempDir::new().unwrap();
        let root = temp.path().canonicalize().unwrap();
        make(&root);
        let all = |list: &[&str]| list.iter().map(|path| root.join(path)).collect();
        let interest = Interest::of(&Closure { files: all(files), globs: all(globs) });
        let text = |name: &OsString| name.to_str().unwrap().to_owned();
        let found: Vec<(PathBuf, Vec<String>)> = interest
            .dirs
            .iter()
            .map(|(dir, names)| {
                let names = names.exact.iter().chain(&names.patterns).map(text).collect();
                (dir.strip_prefix(&root).unwrap().to_owned(), names)
            })
            .collect();
        let expected: Vec<(PathBuf, Vec<String>)> = expected
            .iter()
            .map(|(dir, names)| (dir.into(), names.iter().map(|n| (*n).to_owned()).collect()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_is_watched_through_its_directory() {
        let make = |root: &Path| {
            fs::create_dir(root.join("etc")).unwrap();
            fs::write(root.join("etc/sip.conf"), "").unwrap();
        };
        let names: &[&str] = &["sip.conf", "users.conf"];
        check(
            make,
            &["etc/sip.conf", "etc/./x/../users.conf"],
            &[],
            &[("etc", &["sip.conf", "x"])],
        );
        check(make, &["etc/sip.conf", "etc/users.conf"], &[], &[("etc", names)]);
    }

    #[test]
    fn every_hop_of_a_symlink_is_watched() {
        let make = |root: &Path| {
            for dir in ["etc", "srv/v1", "links"] {
                fs::create_dir_all(root.join(dir)).unwrap();
            }
            fs::write(root.join("srv/v1/sip.conf"), "").unwrap();
            symlink("v1", root.join("srv/current")).unwrap();
            symlink("../links/sip", root.join("etc/sip.conf")).unwrap();
            symlink(root.join("srv/current/sip.conf"), root.join("links/sip")).unwrap();
        };
        let expected: &[(&str, &[&str])] = &[
            ("etc", &["sip.conf"]),
            ("links", &["sip"]),
            ("srv", &["current"]),
            ("srv/v1", &["sip.conf"]),
        ];
        check(make, &["etc/sip.conf"], &[], expected);
    }

    #[test]
    fn what_does_not_exist_is_awaited_where_it_would_appear() {
        let make = |root: &Path| {
            fs::create_dir(root.join("etc")).unwrap();
            symlink("loop", root.join("loop")).unwrap();
            symlink("/nowhere-at-all/x", root.join("etc/dangling")).unwrap();
        };
        check(
            make,
            &["etc/sip.d/peers/a.conf"],
            &["etc/more/*.conf"],
            &[("etc", &["more", "sip.d"])],
        );
        check(make, &["loop/a.conf"], &[], &[("", &["loop"])]);
    }

    #[test]
    fn globs_watch_the_directories_that_they_range_over() {
        let make = |root: &Path| {
            for dir in ["sip.d/a/x", "sip.d/b/x", "sip.d/c"] {
                fs::create_dir_all(root.join(dir)).unwrap();
            }
        };
        check(make, &[], &["sip.d/*.conf"], &[("sip.d", &["*.conf"])]);
        let deep: &[(&str, &[&str])] = &[
            ("sip.d", &["[a-c]"]),
            ("sip.d/a/x", &["*.conf"]),
            ("sip.d/b/x", &["*.conf"]),
            ("sip.d/c", &["x"]),
        ];
        check(make, &[], &["sip.d/[a-c]/x/*.conf"], deep);
    }
}
