//! A read that did not happen in the middle of a save.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

/// Reads tried at most: a file that never rests is read all the same, and said to be unsettled.
const TRIES: u32 = 10;

/// A file changed less than this ago may be in the middle of its save: writers rewrite files in steps
/// (asterisk-conf.md §1.8). Times on disk move in steps of some milliseconds, too: two writes within one
/// look like one. Most of it passes while the files are read.
const SETTLE: Duration = Duration::from_millis(50);

/// How the files looked just before they were read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stamp(BTreeMap<PathBuf, Option<Mark>>);

/// What changes with every write: the content's place, length and times (seconds and nanoseconds).
/// The change time cannot be set back, as the modification time can.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// A stamp of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes how `path` looks. To be called before it is opened (a directory: before it is listed),
    /// also for what does not exist. The first look counts.
    pub fn note(&mut self, path: &Path) {
        self.0.entry(path.to_owned()).or_insert_with(|| mark(path));
    }

    /// True when everything looks as it was noted.
    pub fn still(&self) -> bool {
        self.0.iter().all(|(path, before)| mark(path) == *before)
    }

    /// How much longer than now the youngest change needs to be older than [`SETTLE`]. Times in the
    /// future (a clock set back) are not waited for.
    fn unrest(&self, now: SystemTime) -> Duration {
        let age = |mark: &Mark| {
            let seconds = Duration::from_secs(u64::try_from(mark.changed.0).ok()?);
            let nanos = Duration::from_nanos(u64::try_from(mark.changed.1).ok()?);
            now.duration_since(SystemTime::UNIX_EPOCH + seconds + nanos).ok()
        };
        let youngest = self.0.values().flatten().filter_map(age).min();
        youngest.map_or(Duration::ZERO, |age| SETTLE.saturating_sub(age))
    }
}

/// What was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look<T> {
    /// The last read.
    pub value: T,
    /// How the files looked for it.
    pub stamp: Stamp,
    /// False when the files changed during every read: take it for half a save.
    pub settled: bool,
}

/// Reads until nothing changed from before a read until after it, and the youngest change lies some
/// time back. `read` returns what it read with the stamp that it took on the way. Blocks, for less
/// than a second beside the reads themselves.
pub fn stable<T>(mut read: impl FnMut() -> (T, Stamp)) -> Look<T> {
    let mut tries = 0;
    loop {
        let (value, stamp) = read();
        tries += 1;
        sleep(stamp.unrest(SystemTime::now()));
        let settled = stamp.still();
        if settled || tries == TRIES {
            return Look { value, stamp, settled };
        }
        sleep(SETTLE);
    }
}

fn mark(path: &Path) -> Option<Mark> {
    let meta = fs::metadata(path).ok()?;
    Some(Mark {
        file: (meta.dev(), meta.ino()),
        size: meta.len(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Instant;

    use tempfile::TempDir;

    use super::*;

    /// What was read, and whether it was at rest.
    fn look(path: &Path, mut between: impl FnMut(u32)) -> (String, bool) {
        let mut reads = 0;
        let look = stable(|| {
            let mut stamp = Stamp::new();
            stamp.note(path);
            let text = fs::read_to_string(path).unwrap_or_default();
            reads += 1;
            between(reads);
            (text, stamp)
        });
        (look.value, look.settled)
    }

    fn settled(text: &str) -> (String, bool) {
        (text.to_owned(), true)
    }

    #[test]
    fn what_changes_after_the_read_is_read_again() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("sip.conf");
        fs::write(&path, "old").unwrap();
        let write = |reads| {
            if reads == 1 {
                fs::write(&path, "new").unwrap();
            }
        };
        assert_eq!(look(&path, write), settled("new"));
        // The same length, and the modification time as before: the change time tells.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let touch = |reads| {
            if reads == 1 {
                fs::write(&path, "NEW").unwrap();
                fs::File::open(&path).unwrap().set_modified(modified).unwrap();
            }
        };
        assert_eq!(look(&path, touch), settled("NEW"));
    }

    #[test]
    fn a_file_that_appears_or_vanishes_is_noticed() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("users.conf");
        let appear = |reads| {
            if reads == 1 {
                fs::write(&path, "here").unwrap();
            }
        };
        assert_eq!(look(&path, appear), settled("here"));
        let vanish = |reads| {
            if reads == 1 {
                fs::remove_file(&path).unwrap();
            }
        };
        assert_eq!(look(&path, vanish), settled(""));
    }

    #[test]
    fn a_save_in_steps_is_never_taken_for_whole() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("sip.conf");
        fs::write(&path, "old").unwrap();
        let writer = std::thread::spawn({
            let path = path.clone();
            move || {
                let (mut last, mut pause) = (Instant::now(), Duration::ZERO);
                fs::write(&path, "").unwrap();
                for _ in 0..20 {
                    let mut file = fs::File::options().append(true).open(&path).unwrap();
                    file.write_all(b"x").unwrap();
                    pause = pause.max(last.elapsed());
                    last = Instant::now();
                    sleep(Duration::from_millis(3));
                }
                pause
            }
        });
        sleep(Duration::from_millis(5));
        let (text, settled) = look(&path, |_| ());
        let pause = writer.join().unwrap();
        let whole = text == "x".repeat(20) || text == "old";
        // On a stalled machine the writer may pause for longer than we wait.
        assert!(whole || !settled || pause > SETTLE / 2, "{text:?} {settled} {pause:?}");
    }

    #[test]
    fn a_file_that_never_rests_is_unsettled_in_bounded_time() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("sip.conf");
        let begin = Instant::now();
        let look = look(&path, |reads| fs::write(&path, reads.to_string()).unwrap());
        assert_eq!(look, ((TRIES - 1).to_string(), false));
        assert!(begin.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn files_at_rest_are_not_waited_for() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("sip.conf");
        fs::write(&path, "old").unwrap();
        let mut stamp = Stamp::new();
        stamp.note(&path);
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(stamp.unrest(written + SETTLE), Duration::ZERO);
        assert_eq!(stamp.unrest(written + SETTLE / 2), SETTLE / 2);
        assert_eq!(stamp.unrest(written - Duration::from_secs(60)), Duration::ZERO);
    }
}
