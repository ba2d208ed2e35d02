//! Notices saves. The kernel's notices are a hint and nothing more: they only make the core look
//! again, and a slow rescan finds what they miss (network file systems, lost watches).
//!
//! Directories are watched, never files, which go deaf after a rename-over save; `notify` 8 also
//! tells of our own reads, which must wake nobody (crates.md §2, measured).

mod interest;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::event::Event;
pub use interest::Closure;
use interest::Interest;

/// When a change is passed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// Quiet time: so long nothing more may happen. Writers rewrite files in steps
    /// (asterisk-conf.md §1.8).
    pub quiet: Duration,
    /// Never later than this after the first notice, whatever else happens.
    pub latest: Duration,
    /// Look again after this long without any notice.
    pub rescan: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            // The wait for a save to end is the reader's, who reads meanwhile (see `stable`).
            quiet: Duration::from_millis(10),
            latest: Duration::from_secs(1),
            rescan: Duration::from_secs(30),
        }
    }
}

/// Holds the watches. Dropping it ends them; the slow rescan goes on until its task is stopped.
#[derive(Debug)]
pub struct Watcher {
    /// None when the kernel gives us no watches at all.
    notify: Option<RecommendedWatcher>,
    shared: Arc<Shared>,
    /// What was watched by the last call: device and inode by path.
    watched: BTreeMap<PathBuf, Option<(u64, u64)>>,
}

#[derive(Debug, Default)]
struct Shared {
    interest: RwLock<Interest>,
    wake: Notify,
    /// A watched directory was moved or removed: its watch is worth nothing.
    stale: AtomicBool,
}

/// Starts the task that sends [`Event::Disk`] after changes and [`Event::Rescan`] after every rescan time, until
/// `stop`. Nothing is watched before the first [`Watcher::set`]. Without watches (a limit of the
/// host) it warns, and only rescans.
pub fn spawn(
    timing: Timing,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
) -> (Watcher, JoinHandle<()>) {
    let shared = Arc::new(Shared::default());
    let hint = Arc::clone(&shared);
    let notify = notify::recommended_watcher(move |event| hint.notice(&event))
        .inspect_err(|error| tracing::warn!(%error, "no file watches, changes are found late"))
        .ok();
    let task = tokio::spawn(pump(timing, Arc::clone(&shared), events, stop));
    (Watcher { notify, shared, watched: BTreeMap::new() }, task)
}

impl Watcher {
    /// Watches what decides about these files from now on. To be called after each read, with what
    /// was read; when that differs from the call before, one more look follows, because a change
    /// between the read and this call went unseen. Looks at the file system: blocks for a moment.
    pub fn set(&mut self, closure: &Closure) {
        let stale = self.shared.stale.swap(false, Ordering::Relaxed);
        let interest = Interest::of(closure);
        let wanted: BTreeMap<_, _> =
            interest.dirs().map(|dir| (dir.to_owned(), identity(dir))).collect();
        let replaced = self.shared.replace(interest);
        if !stale && !replaced && wanted == self.watched {
            return;
        }
        let before = std::mem::replace(&mut self.watched, wanted.clone());
        for (dir, id) in &before {
            if stale || wanted.get(dir) != Some(id) {
                self.unwatch(dir);
            }
        }
        for (dir, id) in &wanted {
            if stale || before.get(dir) != Some(id) {
                self.watch(dir);
            }
        }
        self.shared.wake.notify_one();
    }

    fn unwatch(&mut self, dir: &Path) {
        if let Some(notify) = &mut self.notify {
            // It fails when the directory is gone, and its watch with it.
            notify.unwatch(dir).ok();
        }
    }

    fn watch(&mut self, dir: &Path) {
        let Some(notify) = &mut self.notify else { return };
        if let Err(error) = notify.watch(dir, RecursiveMode::NonRecursive) {
            tracing::warn!(dir = %dir.display(), %error, "cannot watch, changes are found late");
        }
    }
}

impl Shared {
    /// Takes the new interest, and tells whether it differs.
    fn replace(&self, interest: Interest) -> bool {
        let mut slot = self.interest.write().unwrap_or_else(PoisonError::into_inner);
        let differs = *slot != interest;
        *slot = interest;
        differs
    }

    /// Called by notify's thread for everything in every watched directory.
    fn notice(&self, result: &notify::Result<notify::Event>) {
        let wakes = match result {
            // After an error or an overflow anything may have happened.
            Err(_) => true,
            Ok(event) if event.need_rescan() => true,
            Ok(event) => self.matters(event),
        };
        if wakes {
            self.wake.notify_one();
        }
    }

    fn matters(&self, event: &notify::Event) -> bool {
        if !may_change(event.kind) {
            return false;
        }
        let interest = self.interest.read().unwrap_or_else(PoisonError::into_inner);
        let gone =
            matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
        if gone && event.paths.iter().any(|path| interest.is_dir(path)) {
            self.stale.store(true, Ordering::Relaxed);
        }
        event.paths.iter().any(|path| interest.matters(path))
    }
}

/// Our own reads open and close: of accesses only the end of a write counts.
fn may_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn identity(dir: &Path) -> Option<(u64, u64)> {
    fs::metadata(dir).map(|meta| (meta.dev(), meta.ino())).ok()
}

async fn pump(
    timing: Timing,
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
) {
    let work = async {
        loop {
            let event = tokio::select! {
                () = shared.wake.notified() => {
                    settle(timing, &shared.wake).await;
                    Event::Disk
                }
                () = sleep(timing.rescan) => Event::Rescan,
            };
            if events.send(event).await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

/// Waits until nothing happened for the quiet time, or it has been long enough.
async fn settle(timing: Timing, wake: &Notify) {
    let latest = Instant::now() + timing.latest;
    loop {
        let quiet = Instant::now() + timing.quiet;
        tokio::select! {
            () = sleep_until(quiet.min(latest)) => return,
            () = wake.notified() => {}
        }
    }
}
