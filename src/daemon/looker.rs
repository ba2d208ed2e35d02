//! Looks at the disk, one look at a time, on a thread that gives way to the file services.

use std::io;
use std::sync::mpsc as thread_mpsc;
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::core::Core;
use super::disk::Closure;
use super::event::Event;
use super::look::{Look, Source};
use super::{now, watch};

/// The source again, and what it found unless the look was spared.
type Found = (Source, Option<(Look, Closure)>);
type Job = Box<dyn FnOnce() + Send>;

/// A reading of 20,000 peers keeps a processor busy for some hundred milliseconds. Phones that boot
/// meanwhile go first: nice(2) of its thread, which a process may raise without a privilege.
const GIVES_WAY: i32 = 10;

/// Reads the disk when it is told to.
pub(super) struct Looker {
    source: Option<Source>,
    reading: Option<oneshot::Receiver<Found>>,
    jobs: thread_mpsc::Sender<Job>,
    watcher: watch::Watcher,
    /// A look is wanted.
    pub(super) again: bool,
    /// It has been long since the last look.
    pub(super) rescan: bool,
}

impl Looker {
    pub(super) fn new(
        source: Source,
        events: mpsc::Sender<Event>,
        stop: &CancellationToken,
    ) -> io::Result<Self> {
        let (watcher, _task) = watch::spawn(watch::Timing::default(), events, stop.clone());
        let (jobs, taken) = thread_mpsc::channel::<Job>();
        thread::Builder::new().name("look".into()).spawn(move || {
            // Where it may not, it goes on as it is.
            let _ = rustix::process::setpriority_process(None, GIVES_WAY);
            taken.into_iter().for_each(|job| job());
        })?;
        Ok(Self { source: Some(source), reading: None, jobs, watcher, again: true, rescan: false })
    }

    /// Starts a look when one is wanted and none is under way.
    pub(super) fn go(&mut self, core: &Core) {
        if !self.again && !self.rescan {
            return;
        }
        let Some(mut source) = self.source.take() else { return };
        self.rescan = false;
        let wanted = std::mem::take(&mut self.again);
        let (previous, decided, accepted) = core.basis();
        let (tell, reading) = oneshot::channel();
        self.reading = Some(reading);
        let job = move || {
            let due = wanted || !source.at_rest();
            let found = due.then(|| source.look(&previous, &decided, accepted.as_deref(), now()));
            // Nobody waits for it any more when the daemon ends.
            let _ = tell.send((source, found));
        };
        // A thread that is gone is noticed when its answer is waited for.
        let _ = self.jobs.send(Box::new(job));
    }

    /// The look that is under way, unless it was spared; waits for ever where none is. None when the
    /// thread has ended.
    pub(super) async fn done(&mut self) -> Option<Option<Look>> {
        let Some(reading) = &mut self.reading else { return std::future::pending().await };
        let result = reading.await;
        self.reading = None;
        let (source, found) = result.ok()?;
        self.source = Some(source);
        let Some((look, closure)) = found else { return Some(None) };
        let globs = closure.patterns.clone();
        let files = watch::Closure { files: closure.files, globs };
        tokio::task::block_in_place(|| self.watcher.set(&files));
        Some(Some(look))
    }
}
