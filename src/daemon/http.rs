//! The HTTP service: the files of the TFTP service by GET and HEAD, and the phone book as XML.
//!
//! ```text
//! listener ── seat (all, per host) ──► a task: hyper, one request a connection
//!                                        ├─ /services /directory /search ──► directory: XML
//!                                        └─ everything else ──► Catalog ──► whole, part, 304, 404
//! end of the connection ──► one log line ──► batch ──► Event::Transfers
//! ```
//!
//! One request a connection, because these phones ask once a minute at most, and because the end of the
//! connection then tells how the transfer ended ([`exchange`]).

mod connection;
mod exchange;
mod files;
mod pages;
mod report;
mod seats;
mod start;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use self::seats::{Seat, Seats};
use super::event::{Event, Outcome, Transfer};
use super::metrics::{Ended, Metrics};
use super::serve::{Catalog, Statics};
use crate::directory::Directory;

pub use start::start;
pub use tls::acceptor;

/// What the service allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at one time. Above it they wait in the kernel's queue.
    pub connections: usize,
    /// Connections at one time from one address (IPv6: one /64). Above it they are closed.
    pub per_host: usize,
    /// The time from the connection to the end of the request's headers.
    pub head: Duration,
    /// How long a client may take nothing of an answer.
    pub stall: Duration,
    /// How long a connection may last.
    pub total: Duration,
    /// How long the client's own end is waited for after the last byte.
    pub linger: Duration,
    /// How long running answers may go on after the stop.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            // Phones behind one NAT that boot at once ask for their logo together.
            per_host: 64,
            head: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            total: Duration::from_secs(300),
            linger: Duration::from_secs(5),
            stop: Duration::from_secs(5),
        }
    }
}

/// What happened beside the answers, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// How transfers ended.
    pub ended: Ended,
    /// Connections that were closed because of [`Limits::per_host`].
    pub above_limit: AtomicU64,
    /// Connections that ended without a request: silent, slow, or not HTTP.
    pub garbage: AtomicU64,
    /// Errors of the listening socket, each survived.
    pub socket_errors: AtomicU64,
    /// Ended transfers that the core was too busy to hear of.
    pub unreported: AtomicU64,
}

/// What the service works with.
#[derive(Clone)]
pub struct Service {
    /// Knows the files.
    pub catalog: Arc<dyn Catalog>,
    /// The phone book.
    pub directory: watch::Receiver<Arc<Directory>>,
    /// The core.
    pub report: mpsc::Sender<Event>,
    /// What is allowed.
    pub limits: Limits,
    /// What there is to see at `/metrics`.
    pub metrics: Arc<Metrics>,
}

/// A socket to serve.
pub struct Listening {
    /// Takes the connections.
    pub listener: TcpListener,
    /// Encrypts them.
    pub tls: Option<TlsAcceptor>,
}

/// Ended transfers that may wait for the core.
const QUEUE: usize = 1024;

/// Pages of the phone book that are made at one time.
const MAKERS: usize = 2;

/// What all connections share.
struct Server {
    catalog: Arc<dyn Catalog>,
    directory: watch::Receiver<Arc<Directory>>,
    limits: Limits,
    counters: Arc<Counters>,
    metrics: Arc<Metrics>,
    statics: Statics,
    makers: Semaphore,
    ended: mpsc::Sender<Transfer>,
    shutdown: CancellationToken,
    /// Ends the answers that are still running.
    kill: CancellationToken,
}

/// Serves until `shutdown`: then no request is read any more, running answers may finish within
/// [`Limits::stop`], and everything that ended has been reported when this returns. Errors of
/// sockets never end it.
pub async fn serve(listening: Vec<Listening>, service: Service, shutdown: CancellationToken) {
    let (ended, queue) = mpsc::channel(QUEUE);
    let reporter = tokio::spawn(report::gather(queue, service.report));
    let patience = service.limits.stop;
    let seats = Seats::new(service.limits.connections, service.limits.per_host);
    let kill = CancellationToken::new();
    let server = Arc::new(Server {
        catalog: service.catalog,
        directory: service.directory,
        limits: service.limits,
        counters: Arc::clone(&service.metrics.http),
        metrics: service.metrics,
        statics: Statics::default(),
        makers: Semaphore::new(MAKERS),
        ended,
        shutdown: shutdown.clone(),
        kill: kill.clone(),
    });
    let running = TaskTracker::new();
    let router = router(&server);
    let takers = TaskTracker::new();
    for one in listening {
        let taker = Taker {
            server: Arc::clone(&server),
            seats: Arc::clone(&seats),
            router: router.clone(),
            running: running.clone(),
        };
        let shutdown = shutdown.clone();
        takers.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = taker.accept(&one) => {}
            }
        });
    }
    shutdown.cancelled().await;
    takers.close();
    takers.wait().await;
    drop((router, server));
    running.close();
    if timeout(patience, running.wait()).await.is_err() {
        kill.cancel();
        running.wait().await;
    }
    // The core may be gone already.
    let _ = timeout(patience, reporter).await;
}

fn router(server: &Arc<Server>) -> Router {
    Router::new()
        .route("/services", get(pages::services))
        .route("/search", get(pages::search))
        .route("/directory", get(pages::directory))
        .route("/metrics", get(pages::metrics))
        .fallback(files::file)
        .with_state(Arc::clone(server))
}

/// What one listener's connections need.
struct Taker {
    server: Arc<Server>,
    seats: Arc<Seats>,
    router: Router,
    running: TaskTracker,
}

impl Taker {
    /// Takes connections for ever.
    async fn accept(&self, listening: &Listening) {
        let counters = &self.server.counters;
        loop {
            let place = self.seats.place().await;
            let Ok((stream, from)) = listening.listener.accept().await else {
                // Also where the process has no descriptor left: that must not spin.
                count(&counters.socket_errors);
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let asker = SocketAddr::new(from.ip().to_canonical(), from.port());
            match self.seats.take(place, asker.ip()) {
                Some(seat) => {
                    let (server, router) = (Arc::clone(&self.server), self.router.clone());
                    let socket = connection::Socket { stream, asker, tls: listening.tls.clone() };
                    self.running.spawn(one(server, socket, router, seat));
                }
                None => {
                    count(&counters.above_limit);
                    debug!(%asker, "too many connections from this host");
                }
            }
        }
    }
}

async fn one(server: Arc<Server>, socket: connection::Socket, router: Router, seat: Seat) {
    connection::run(&server, socket, router).await;
    drop(seat);
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Server {
    /// The one log line of a request, and the word to the core.
    fn report(&self, transfer: Transfer) {
        let Transfer { asker, name: file, ticket, outcome, bytes, millis, .. } = &transfer;
        let phone = ticket.and_then(|ticket| ticket.mac).map(|mac| mac.to_string());
        let phone = phone.as_deref().unwrap_or("-");
        self.counters.ended.count(outcome, *bytes);
        if transfer.outcome == Outcome::NotFound {
            debug!(%asker, phone, file, %outcome, bytes, ms = millis, "http");
        } else {
            info!(%asker, phone, file, %outcome, bytes, ms = millis, "http");
        }
        if self.ended.try_send(transfer).is_err() {
            count(&self.counters.unreported);
        }
    }
}
