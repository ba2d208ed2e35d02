//! The TFTP service: reads requests, answers from the catalog, reports how each one ended.
//!
//! ```text
//! listener ── request ──► refuse (ERROR from the listener's port, nothing is kept)
//!                    ├──► tell the transfer that already answers it
//!                    └──► a seat, a socket and a task: wire::tftp::Transfer against the clock
//! end ──► one log line ──► batch ──► Event::Transfers
//! ```

mod report;
mod run;
mod table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, trace};

use self::table::Table;
use super::event::{Event, Outcome, Transfer};
use super::net::{Arrival, Listener};
use super::now;
use super::serve::{Catalog, Found, Statics};
use crate::wire::tftp::packet::{MAX_REQUEST, code};
use crate::wire::tftp::{Bounds, Fault, Pace, Packet, Request, parse, printable};

/// What the service allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Transfers at one time. Above it requests meet silence, and the phone asks again.
    pub transfers: usize,
    /// Transfers at one time to one address.
    pub per_host: usize,
    /// What is agreed with clients at most.
    pub bounds: Bounds,
    /// Patience of a transfer.
    pub pace: Pace,
    /// How long running transfers may go on after the stop.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transfers: 1000,
            per_host: 250,
            // 1,428 fits Ethernet with IPv6, and leaves room for a tunnel.
            bounds: Bounds { block: 1428, window: 16 },
            pace: Pace::default(),
            stop: Duration::from_secs(5),
        }
    }
}

/// What happened beside the transfers, since the start.
#[derive(Debug, Default)]
pub struct Counters {
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

/// Ended transfers that may wait for the core.
const QUEUE: usize = 4096;

/// Datagrams that a reader handles before it lets others run.
const TURN: usize = 64;

/// What the readers and the transfers share.
struct Server {
    catalog: Arc<dyn Catalog>,
    limits: Limits,
    counters: Arc<Counters>,
    table: Arc<Table>,
    statics: Statics,
    ended: mpsc::Sender<Transfer>,
    running: TaskTracker,
    /// Ends the transfers that are still running.
    kill: CancellationToken,
}

/// Serves until `shutdown`: then no request is read any more, running transfers may finish within
/// [`Limits::stop`], and everything that ended has been reported when this returns. Errors of
/// sockets never end it.
pub async fn serve(listeners: Vec<Listener>, service: Service, shutdown: CancellationToken) {
    let (ended, queue) = mpsc::channel(QUEUE);
    let reporter = tokio::spawn(report::gather(queue, service.report));
    let patience = service.limits.stop;
    let server = Arc::new(Server {
        catalog: service.catalog,
        table: Table::new(service.limits.transfers, service.limits.per_host),
        limits: service.limits,
        counters: service.counters,
        statics: Statics::default(),
        ended,
        running: TaskTracker::new(),
        kill: CancellationToken::new(),
    });
    let readers = TaskTracker::new();
    for listener in listeners {
        let (server, shutdown) = (Arc::clone(&server), shutdown.clone());
        readers.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = read(&server, &listener) => {}
            }
        });
    }
    shutdown.cancelled().await;
    readers.close();
    readers.wait().await;
    server.running.close();
    if timeout(patience, server.running.wait()).await.is_err() {
        server.kill.cancel();
        server.running.wait().await;
    }
    drop(server);
    // The core may be gone already.
    let _ = timeout(patience, reporter).await;
}

/// Reads requests for ever.
async fn read(server: &Arc<Server>, listener: &Listener) {
    let phones = listener.granted() / 832; // what the kernel counts for a request, performance.md §0
    info!(listen = %listener.local(), receive_buffer = listener.granted(),
        requests_at_once = phones, "tftp serves");
    // One byte more than a request may have shows those that are longer.
    let mut buffer = [0; MAX_REQUEST + 1];
    loop {
        if listener.readable().await.is_err() {
            survive(server).await;
        }
        for _ in 0..TURN {
            match listener.try_receive(&mut buffer) {
                Ok(arrival) => {
                    let datagram = buffer.get(..arrival.length).unwrap_or(&buffer);
                    take(server, listener, arrival, datagram);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => survive(server).await,
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Counts an error of a socket, and makes sure that a lasting one does not spin.
async fn survive(server: &Server) {
    count(&server.counters.socket_errors);
    tokio::time::sleep(Duration::from_millis(5)).await;
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Handles one datagram at a listener.
fn take(server: &Arc<Server>, listener: &Listener, arrival: Arrival, datagram: &[u8]) {
    let refuse = |name: &[u8], code, text: &str| {
        deny(server, listener, &arrival, code, text);
        server.ended(arrival.from, name, Outcome::Refused(text.to_owned()));
    };
    match parse(datagram) {
        Ok(Packet::Read(request)) => fetch(server, listener, arrival, datagram, &request),
        Ok(Packet::Write(request)) => {
            refuse(request.name, code::ACCESS, "access violation: this server takes no files");
        }
        Ok(_) | Err(Fault::Garbage) => {
            count(&server.counters.garbage);
            trace!(asker = %arrival.from, bytes = arrival.length, "no request");
        }
        Err(fault) => {
            let name = datagram.get(2..).unwrap_or_default();
            let name = name.split(|b| *b == 0).next().unwrap_or_default();
            refuse(name, code::ILLEGAL, &fault.to_string());
        }
    }
}

/// Handles one RRQ.
fn fetch(
    server: &Arc<Server>,
    listener: &Listener,
    arrival: Arrival,
    datagram: &[u8],
    request: &Request<'_>,
) {
    let asker = arrival.from;
    if server.table.answers(asker, datagram) {
        return count(&server.counters.repeated);
    }
    let found = server.catalog.find(asker, request.name);
    if matches!(found, Found::Ignored) {
        return;
    }
    if matches!(found, Found::Missing) {
        deny(server, listener, &arrival, code::NOT_FOUND, "file not found");
        return server.ended(asker, request.name, Outcome::NotFound);
    }
    let request = Bytes::copy_from_slice(datagram);
    let Some(seat) = server.table.take(asker, request.clone()) else {
        return count(&server.counters.above_limit);
    };
    let job = run::Job { arrival, request, found, seat, began: Instant::now() };
    server.running.spawn(run::run(Arc::clone(server), job));
}

/// Answers with an ERROR from the listener's own port: nothing has to be kept for it.
fn deny(server: &Server, listener: &Listener, arrival: &Arrival, code: u16, text: &str) {
    let mut out = Vec::new();
    Packet::Error { code, text: text.as_bytes() }.write(&mut out);
    if listener.try_answer(arrival, &out).is_err() {
        count(&server.counters.socket_errors);
    }
}

impl Server {
    /// The end of a request that needed no transfer.
    fn ended(&self, asker: SocketAddr, name: &[u8], outcome: Outcome) {
        let name = printable(name);
        self.report(Transfer {
            asker,
            name,
            ticket: None,
            outcome,
            bytes: 0,
            millis: 0,
            at: now(),
        });
    }

    /// The one log line of a request, and the word to the core.
    fn report(&self, transfer: Transfer) {
        let Transfer { asker, name: file, ticket, outcome, bytes, millis, at: _ } = &transfer;
        let phone = ticket.and_then(|ticket| ticket.mac).map(|mac| mac.to_string());
        let phone = phone.as_deref().unwrap_or("-");
        let outcome = words(outcome);
        if transfer.outcome == Outcome::NotFound {
            // Every boot of a 7940 asks for three or more names that do not exist.
            debug!(%asker, phone, file, outcome, bytes, ms = millis, "tftp");
        } else {
            info!(%asker, phone, file, outcome, bytes, ms = millis, "tftp");
        }
        if self.ended.try_send(transfer).is_err() {
            count(&self.counters.unreported);
        }
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Complete => "complete".to_owned(),
        Outcome::Unconfirmed => "sent, the last acknowledgement is missing".to_owned(),
        Outcome::NotFound => "not found".to_owned(),
        Outcome::Refused(why) => format!("refused: {why}"),
        Outcome::Aborted(code, text) => format!("aborted by the client: {code} {text}"),
        Outcome::TimedOut => "the client fell silent".to_owned(),
        Outcome::Failed(why) => format!("failed: {why}"),
    }
}
