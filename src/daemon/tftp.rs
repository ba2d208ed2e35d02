//! The TFTP service: reads requests, answers from the catalog, reports how each one ended.
//!
//! ```text
//! listener ── requests, many at once ──► desk: refuse (ERROR, nothing is kept)
//!                                            ├─► the transfer that already answers it
//!                                            └─► a new one: wire::tftp::Transfer in the table
//! ports    ── ACKs, many at once ─────► desk ──► outboxes ── DATA, many at once ──►
//! end ──► log ──► batch ──► Event::Transfers
//! ```
//!
//! A thread of its own does all of it, without a task, a socket or a copy of the bytes for each
//! transfer. The other side of a transfer is named by its address and port; on our side a few ports
//! are enough, because a client has one transfer at a time from one of its ports (RFC 1350 §4 wants
//! the two together to be unlike any other transfer's). Transfers with large blocks or windows have more of
//! them, which nobody can foretell: what an acknowledgement brings is large there.

mod desk;
mod engine;
mod fair;
mod report;
mod table;
mod timers;

use std::hash::RandomState;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::desk::{Desk, Plan, Strangers};
use self::engine::{Engine, Mailbox};
use self::fair::Turns;
use self::report::Reporter;
use self::table::{Id, Table};
use self::timers::Timers;
use super::event::Event;
use super::metrics::Ended;
use super::net::Listener;
use super::net::batch::Outbox;
use super::serve::{Catalog, Statics};
use crate::wire::tftp::{Bounds, Pace};

/// What the service allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Transfers at one time. Above it, one makes room that never got an acknowledgement; where all
    /// did, requests meet silence, and the phone asks again.
    pub transfers: usize,
    /// Transfers at one time to one address.
    pub per_host: usize,
    /// What is agreed with clients at most; no block is larger than the path's MTU in any case.
    pub bounds: Bounds,
    /// Patience of a transfer.
    pub pace: Pace,
    /// How long running transfers may go on after the stop.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transfers: 16_384,
            per_host: 250,
            bounds: Bounds { block: 65_464, window: 16 },
            pace: Pace::default(),
            stop: Duration::from_secs(5),
        }
    }
}

/// What happened beside the transfers, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// How transfers ended.
    pub ended: Ended,
    /// Datagrams that were no request.
    pub garbage: AtomicU64,
    /// Requests that a running transfer answers already.
    pub repeated: AtomicU64,
    /// Requests that met silence because of [`Limits`].
    pub above_limit: AtomicU64,
    /// Datagrams at a transfer's port from somebody else.
    pub strangers: AtomicU64,
    /// Errors of sockets, each survived.
    pub socket_errors: AtomicU64,
    /// Ended transfers that the core was too busy to hear of.
    pub unreported: AtomicU64,
}

/// What the service works with.
#[derive(Clone)]
pub struct Service {
    /// Knows the files.
    pub catalog: Arc<dyn Catalog>,
    /// The core.
    pub report: mpsc::Sender<Event>,
    /// What is allowed.
    pub limits: Limits,
    /// Read by status and metrics.
    pub counters: Arc<Counters>,
}

/// Sockets for the transfers of one listener that go in lock-step with blocks of 512 bytes, as phones
/// want their settings. More would only make the batches smaller; and a client that asks twice from
/// one port gets the other one.
const STEPS: usize = 2;

/// Sockets for those with larger blocks or windows: so many that somebody who made up his address does
/// not guess which one to acknowledge.
const WINDOWS: usize = 32;

/// Serves until `shutdown`: then no request is read any more, running transfers may finish within
/// [`Limits::stop`], and everything that ended has been reported when this returns. Errors of
/// sockets never end it.
pub async fn serve(listeners: Vec<Listener>, service: Service, shutdown: CancellationToken) {
    let (ended, end) = oneshot::channel::<()>();
    let mailbox = match start(listeners, service, ended) {
        Ok(mailbox) => mailbox,
        Err(why) => return error!("the TFTP service cannot start: {why}"),
    };
    let mut end = std::pin::pin!(end);
    tokio::select! {
        () = shutdown.cancelled() => mailbox.stop(),
        _ = &mut end => return,
    }
    // The sender goes when the thread does.
    let _ = end.await;
}

/// Starts the thread; `ended` is dropped with it.
fn start(
    listeners: Vec<Listener>,
    service: Service,
    ended: oneshot::Sender<()>,
) -> io::Result<Arc<Mailbox>> {
    let mailbox = Mailbox::new()?;
    let doors = listeners.len();
    for listener in &listeners {
        let phones = listener.granted() / 832; // what the kernel counts for a request, performance.md §0
        info!(listen = %listener.local(), receive_buffer = listener.granted(),
            requests_at_once = phones, "tftp serves");
    }
    let plan =
        Plan { doors, steps: STEPS, windows: WINDOWS, turn: 0, secret: RandomState::default() };
    let mut sockets = listeners;
    for door in 0..doors {
        sockets[door].sends_small()?;
        for number in 0..plan.steps + plan.windows {
            let socket = sockets[door].neighbour()?;
            if number < plan.steps {
                socket.sends_small()?;
            }
            sockets.push(socket);
        }
    }
    let loader = Loader {
        statics: Arc::default(),
        mailbox: Arc::clone(&mailbox),
        runtime: Handle::current(),
    };
    let (for_engine, runs) = (Arc::clone(&mailbox), service);
    std::thread::Builder::new().name("tftp".to_owned()).spawn(move || {
        let _ended = ended;
        let outboxes = sockets.iter().map(|socket| Outbox::new(socket.local())).collect();
        let desk = Desk {
            catalog: runs.catalog,
            loader,
            table: Table::new(&runs.limits),
            limits: runs.limits,
            timers: Timers::default(),
            turns: Turns::default(),
            reporter: Reporter::new(runs.report, Arc::clone(&runs.counters)),
            counters: runs.counters,
            outboxes,
            plan,
            strangers: Strangers::new(Instant::now()),
        };
        match Engine::new(sockets, for_engine, desk) {
            Ok(engine) => engine.run(),
            Err(why) => error!("the TFTP service cannot wait for its sockets: {why}"),
        }
    })?;
    Ok(mailbox)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Reads static files on other threads.
struct Loader {
    statics: Arc<Statics>,
    mailbox: Arc<Mailbox>,
    runtime: Handle,
}

impl Loader {
    /// A file that was read a moment ago.
    fn fresh(&self, path: &Path) -> Option<Bytes> {
        self.statics.fresh(path)
    }

    /// Reads a file; the session hears of it.
    fn load(&self, id: Id, path: PathBuf) {
        let (statics, mailbox) = (Arc::clone(&self.statics), Arc::clone(&self.mailbox));
        self.runtime.spawn(async move {
            let body = statics.load(path).await;
            mailbox.loaded(id, body);
        });
    }
}
