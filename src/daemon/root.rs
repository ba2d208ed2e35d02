//! The names in the static root, from memory: most names that phones ask for are nowhere (phones.md
//! §2.3), and a building that boots asks for thousands of them in a second.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::base::FileName;

/// What was seen so shortly ago is not looked at again.
const HOLDS: Duration = Duration::from_millis(200);
/// A folder that changed so shortly before it was listed may have changed once more with the same time.
const SETTLED: Duration = Duration::from_secs(1);
/// With more names than these each is looked for on disk.
const MANY: usize = 65_536;

/// The static root as it was a moment ago.
#[derive(Debug, Default)]
pub(super) struct Root(Mutex<Option<Listing>>);

#[derive(Debug)]
struct Listing {
    root: Arc<Path>,
    looked: Instant,
    /// The folder's own time, once no change can hide behind it.
    changed: Option<SystemTime>,
    /// What lies in the folder, and where that leads: known once it was asked for.
    names: HashMap<OsString, Option<PathBuf>>,
}

impl Root {
    /// The file of that name in `root`, when it lies there with all links followed.
    pub(super) fn find(&self, root: &Arc<Path>, name: &FileName) -> Option<PathBuf> {
        if name.as_str().contains('/') {
            return inside(root, name);
        }
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = slot.take().and_then(|old| old.still(root));
        let listing = match fresh.or_else(|| Listing::of(root)) {
            Some(listing) => slot.insert(listing),
            None => return inside(root, name),
        };
        let known = listing.names.get_mut(name.as_str().as_ref() as &std::ffi::OsStr)?;
        if known.is_none() {
            *known = inside(root, name);
        }
        known.clone()
    }
}

impl Listing {
    fn of(root: &Arc<Path>) -> Option<Self> {
        let (looked, now) = (Instant::now(), SystemTime::now());
        let changed = fs::metadata(root).and_then(|found| found.modified()).ok()?;
        let settled = now.duration_since(changed).is_ok_and(|age| age >= SETTLED);
        let mut names = HashMap::new();
        for entry in fs::read_dir(root).ok()? {
            names.insert(entry.ok()?.file_name(), None);
            if names.len() > MANY {
                return None;
            }
        }
        Some(Self { root: root.clone(), looked, changed: settled.then_some(changed), names })
    }

    /// The same, when it still holds.
    fn still(mut self, root: &Arc<Path>) -> Option<Self> {
        if self.root != *root {
            return None;
        }
        let now = Instant::now();
        if now.duration_since(self.looked) < HOLDS {
            return Some(self);
        }
        let changed = fs::metadata(root).and_then(|found| found.modified()).ok();
        if changed.is_none() || changed != self.changed {
            return None;
        }
        self.looked = now;
        self.names.values_mut().for_each(|path| *path = None);
        Some(self)
    }
}

/// The file of that name in the static root, looked for on disk.
fn inside(root: &Path, name: &FileName) -> Option<PathBuf> {
    root.join(name.as_str()).symlink_metadata().ok()?;
    let root = root.canonicalize().ok()?;
    let path = root.join(name.as_str()).canonicalize().ok()?;
    path.starts_with(&root).then_some(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn check(root: &Root, dir: &Path, name: &str, expected: bool) {
        let name = FileName::requested(name.as_bytes()).unwrap();
        assert_eq!(root.find(&dir.into(), &name).is_some(), expected, "{name:?}");
    }

    #[test]
    fn what_lies_in_the_root_is_found_and_no_link_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        for name in ["outside", "root/a.loads", "root/sub/b.bin"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        symlink("../outside", root.join("out")).unwrap();
        symlink("a.loads", root.join("in")).unwrap();
        let shelf = Root::default();
        for (name, expected) in [
            ("a.loads", true),
            ("sub/b.bin", true),
            ("in", true),
            ("out", false),
            ("missing", false),
            ("sub/missing", false),
            ("a.loads", true),
        ] {
            check(&shelf, &root, name, expected);
        }
    }

    #[test]
    fn what_comes_and_goes_is_seen_a_moment_later() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Root::default();
        check(&shelf, dir.path(), "ring.raw", false);
        fs::write(dir.path().join("ring.raw"), "x").unwrap();
        std::thread::sleep(HOLDS);
        check(&shelf, dir.path(), "ring.raw", true);
        fs::remove_file(dir.path().join("ring.raw")).unwrap();
        std::thread::sleep(HOLDS);
        check(&shelf, dir.path(), "ring.raw", false);
    }

    #[test]
    fn another_root_is_another_listing() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(two.path().join("ring.raw"), "x").unwrap();
        let shelf = Root::default();
        check(&shelf, one.path(), "ring.raw", false);
        check(&shelf, two.path(), "ring.raw", true);
    }
}
