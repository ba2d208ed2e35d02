//! What the file services have in common: whom they ask what a name stands for, and how files of
//! the static root come into memory.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::libc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::event::Ticket;

/// Knows what may be fetched now, and by whom.
pub trait Catalog: Send + Sync + 'static {
    /// Looks up a name as it was asked for. Called in the packet path: answers from memory.
    fn find(&self, asker: SocketAddr, name: &[u8]) -> Found;
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Found {
    /// An artifact.
    Body {
        /// Its final bytes, shared by everybody who fetches it.
        bytes: Bytes,
        /// What fetching it means.
        ticket: Ticket,
    },
    /// A file that lies, with all links followed, inside the static root.
    Static(PathBuf),
    /// Nothing for this asker.
    Missing,
    /// Nothing is to be answered now: the asker may ask again.
    Ignored,
}

/// The largest static file that is served: no firmware of a desk phone comes near.
const LARGEST: u64 = 256 << 20;

/// Static files in memory at one time, in units of [`UNIT`] bytes: 1 GiB.
const BUDGET: usize = 1 << 18;
const UNIT: u64 = 1 << 12;

/// Files read at one time: more would only make the disk seek.
const READERS: usize = 8;

/// A file that was looked at so shortly ago is not looked at again: a building that boots asks for one
/// ring list some thousand times in a second.
const FRESH: Duration = Duration::from_secs(1);

/// Files that are kept for [`FRESH`]: this small, and so many.
const SMALL: usize = 64 << 10;
const KEPT: usize = 32;

/// Static files, each read once for all who fetch it at the same time, and dropped after the last;
/// small ones a moment later.
#[derive(Debug)]
pub struct Statics {
    slots: Mutex<HashMap<PathBuf, Arc<Mutex<Slot>>>>,
    fresh: Mutex<HashMap<PathBuf, (Instant, Bytes)>>,
    readers: Semaphore,
    budget: Arc<Semaphore>,
}

/// Why a static file cannot be had.
#[derive(Debug)]
pub enum Unreadable {
    /// It is not there, or is no regular file.
    Missing,
    /// It cannot be had now, and may be had later: it changed while it was read, or too much is
    /// in memory already.
    Later(String),
    /// It cannot be had.
    Never(String),
}

#[derive(Debug, Default)]
struct Slot {
    stamp: Option<Stamp>,
    body: Weak<Loaded>,
}

/// What tells one state of a file from another, as far as HTTP shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// Bytes.
    pub length: u64,
    /// Last change: seconds since 1970, and nanoseconds.
    pub changed: (i64, i64),
}

/// What tells one state of a file from another.
type Stamp = (u64, u64, u64, i64, i64, i64, i64);

#[derive(Debug)]
struct Loaded {
    bytes: Vec<u8>,
    version: Version,
    _share: OwnedSemaphorePermit,
}

struct Owner(Arc<Loaded>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Default for Statics {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
            fresh: Mutex::default(),
            readers: Semaphore::new(READERS),
            budget: Arc::new(Semaphore::new(BUDGET)),
        }
    }
}

impl Statics {
    /// The bytes of a small file as it was a moment ago, if it was read then.
    pub fn fresh(&self, path: &Path) -> Option<Bytes> {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.get(path).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, bytes)| bytes.clone())
    }

    fn keep(&self, path: &Path, read: Instant, bytes: &Bytes) {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.retain(|_, (at, _)| at.elapsed() < FRESH);
        if bytes.len() <= SMALL && fresh.len() < KEPT {
            fresh.insert(path.to_owned(), (read, bytes.clone()));
        }
    }

    /// The bytes of a file as it is now.
    pub async fn load(&self, path: PathBuf) -> Result<Bytes, Unreadable> {
        self.load_version(path).await.map(|(bytes, _)| bytes)
    }

    /// The same, and which state of the file these bytes are.
    pub async fn load_version(&self, path: PathBuf) -> Result<(Bytes, Version), Unreadable> {
        let (began, name) = (Instant::now(), path.clone());
        let _reader = self.readers.acquire().await.map_err(|e| later(&e))?;
        let slot = self.slot(&path);
        let budget = Arc::clone(&self.budget);
        let load = move || {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            load(&path, &mut slot, budget)
        };
        let loaded = tokio::task::spawn_blocking(load).await.map_err(|e| later(&e))??;
        let version = loaded.version;
        let bytes = Bytes::from_owner(Owner(loaded));
        self.keep(&name, began, &bytes);
        Ok((bytes, version))
    }

    /// Which state a file is in, without reading it.
    pub async fn version(&self, path: PathBuf) -> Result<Version, Unreadable> {
        let _reader = self.readers.acquire().await.map_err(|e| later(&e))?;
        let look = move || match std::fs::metadata(path) {
            Ok(found) if found.is_file() => Ok(version(&found)),
            Ok(_) => Err(Unreadable::Missing),
            Err(error) => Err(unreadable(&error)),
        };
        tokio::task::spawn_blocking(look).await.map_err(|e| later(&e))?
    }

    fn slot(&self, path: &Path) -> Arc<Mutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(path) {
            return Arc::clone(slot);
        }
        if slots.len() >= 64 {
            let in_use = |slot: &Arc<Mutex<Slot>>| {
                Arc::strong_count(slot) > 1
                    || slot.try_lock().is_ok_and(|slot| slot.body.strong_count() > 0)
            };
            slots.retain(|_, slot| in_use(slot));
        }
        Arc::clone(slots.entry(path.to_owned()).or_default())
    }
}

fn load(path: &Path, slot: &mut Slot, budget: Arc<Semaphore>) -> Result<Arc<Loaded>, Unreadable> {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = file.map_err(|e| unreadable(&e))?;
    let found = file.metadata().map_err(|e| unreadable(&e))?;
    if !found.is_file() {
        return Err(Unreadable::Missing);
    }
    if let Some(body) = slot.body.upgrade().filter(|_| slot.stamp == Some(stamp(&found))) {
        return Ok(body);
    }
    if found.len() > LARGEST {
        return Err(Unreadable::Never(format!("larger than {} MiB", LARGEST >> 20)));
    }
    let units = u32::try_from(found.len() / UNIT + 1).unwrap_or(u32::MAX);
    let share = budget.try_acquire_many_owned(units);
    let share = share.map_err(|_| later(&"too many large files are being sent"))?;
    let bytes = read(&file, found.len()).map_err(|e| unreadable(&e))?;
    let after = file.metadata().map_err(|e| unreadable(&e))?;
    if bytes.len() as u64 != found.len() || stamp(&after) != stamp(&found) {
        return Err(later(&"changed while it was read"));
    }
    let loaded = Arc::new(Loaded { bytes, version: version(&found), _share: share });
    *slot = Slot { stamp: Some(stamp(&found)), body: Arc::downgrade(&loaded) };
    Ok(loaded)
}

/// Reads at most one byte more than the file is said to have.
fn read(file: &File, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(length + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn version(of: &Metadata) -> Version {
    Version { length: of.len(), changed: (of.mtime(), of.mtime_nsec()) }
}

fn stamp(of: &Metadata) -> Stamp {
    (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec())
}

fn unreadable(error: &io::Error) -> Unreadable {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unreadable::Missing,
        _ => Unreadable::Never(error.to_string()),
    }
}

fn later(why: &impl ToString) -> Unreadable {
    Unreadable::Later(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_now(statics: &Statics, path: &Path) -> Result<Bytes, Unreadable> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(statics.load(path.to_owned()))
    }

    #[test]
    fn a_file_is_read_once_for_all_who_fetch_it_and_again_when_it_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let statics = Statics::default();
        let first = load_now(&statics, &path).unwrap();
        let second = load_now(&statics, &path).unwrap();
        assert_eq!(first.as_ptr(), second.as_ptr());
        std::fs::write(&path, "three").unwrap();
        assert_eq!(load_now(&statics, &path).unwrap(), "three");
        assert_eq!(first, "one");
        assert_eq!(statics.fresh(&path).unwrap(), "three");
        drop((first, second));
        statics.fresh.lock().unwrap().clear();
        assert_eq!(statics.budget.available_permits(), BUDGET);
    }

    #[test]
    fn only_regular_files_of_a_sane_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let statics = Statics::default();
        let load = |path: &Path| load_now(&statics, path);
        assert!(matches!(load(dir.path()), Err(Unreadable::Missing)));
        assert!(matches!(load(&dir.path().join("none")), Err(Unreadable::Missing)));
        assert!(matches!(load(Path::new("/dev/zero")), Err(Unreadable::Missing)));
        let huge = dir.path().join("huge");
        File::create(&huge).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(matches!(load(&huge), Err(Unreadable::Never(_))));
        let fifo = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success() && matches!(load(&fifo), Err(Unreadable::Missing)));
    }

    #[test]
    fn forgotten_files_leave_no_slot_behind() {
        let dir = tempfile::tempdir().unwrap();
        let statics = Statics::default();
        for number in 0..300 {
            let path = dir.path().join(number.to_string());
            std::fs::write(&path, "x").unwrap();
            load_now(&statics, &path).unwrap();
        }
        assert!(statics.slots.lock().unwrap().len() <= 64);
    }
}
