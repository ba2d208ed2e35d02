//! FastAGI: what a phone may dial for itself. The dial plan hands a call over (contrib/asterisk/extensions.conf),
//! and the phone that calls is made to look, says how it is, becomes an extension, or stops being it.
//!
//! ```text
//! listener ── permit, seat ──► a task a call: prelude ── token ──► desk ──► control::Call ──► core
//!                                                                   └─► sip.conf (claim, logout)
//! ```
//!
//! A phone acts on itself only: it is the one whose line Asterisk says that the call comes from.

mod call;
mod claim;
mod desk;
mod own;
mod script;
mod tries;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::call::Line;
use self::desk::Desk;
use super::control::Call;
use crate::model::site::{Agi, Site};

/// What the service allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls at one time. Above it they wait in the kernel's queue, and Asterisk for its prelude's answer.
    pub calls: usize,
    /// The time from the connection to the end of the prelude.
    pub head: Duration,
    /// How long the answer to one command may take: the longest prompt.
    pub answer: Duration,
    /// How long a digit is waited for.
    pub digit: Duration,
    /// How long a call may last.
    pub total: Duration,
    /// The same refusal is logged so often at most.
    pub again: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 64,
            head: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            digit: Duration::from_secs(8),
            total: Duration::from_secs(120),
            again: Duration::from_secs(60),
        }
    }
}

/// A service that has its socket.
pub struct Running {
    listener: TcpListener,
    settings: Agi,
    limits: Limits,
    desk: Arc<Desk>,
}

/// Binds `[agi] listen`; none where it is off. Call it within a tokio runtime.
///
/// # Errors
/// The socket cannot be had, or there is no token.
pub fn start(site: &Site, calls: mpsc::Sender<Call>) -> io::Result<Option<Running>> {
    let settings = site.agi.clone();
    let Some(address) = settings.listen else { return Ok(None) };
    if settings.token.is_none() {
        return Err(io::Error::other("[agi] listen needs a token"));
    }
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    info!(address = %listener.local_addr()?, "serving FastAGI");
    let limits = Limits::default();
    let desk = Arc::new(Desk::new(site, calls, &limits));
    Ok(Some(Running { listener, settings, limits, desk }))
}

/// Serves until told to stop. Errors of sockets never end it.
pub async fn serve(running: Running, stop: CancellationToken) {
    let seats = Arc::new(Semaphore::new(running.limits.calls));
    let mut refusals = Refusals::new(running.limits.again);
    let (refused, mut told) = mpsc::channel(64);
    loop {
        let accept = async {
            // Nobody closes the semaphore.
            let seat = seats.clone().acquire_owned().await.ok();
            (seat, running.listener.accept().await)
        };
        let (seat, accepted) = tokio::select! {
            () = stop.cancelled() => return,
            Some((address, why)) = told.recv() => {
                refusals.count(address, why);
                continue;
            }
            accepted = accept => accepted,
        };
        let Ok((stream, from)) = accepted else {
            // Also where the process has no descriptor left: that must not spin.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        if !running.settings.permit.iter().any(|net| net.contains(from.ip())) {
            refusals.count(from.ip(), "address");
            continue;
        }
        let (desk, limits, stop) = (running.desk.clone(), running.limits.clone(), stop.clone());
        let (settings, refused) = (running.settings.clone(), refused.clone());
        tokio::spawn(async move {
            let _seat = seat;
            let session = session(stream, &desk, &settings, &limits);
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = tokio::time::timeout(limits.total, session) => done,
            };
            match done {
                Ok(Ok(Some(why))) => drop(refused.try_send((from.ip(), why))),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => debug!(asker = %from, %error, "a call's connection ended early"),
                Err(_) => debug!(asker = %from, "a call's connection lasted too long"),
            }
        });
    }
}

/// Serves one connection; tells why it was refused, if it was.
async fn session(
    stream: TcpStream,
    desk: &Desk,
    settings: &Agi,
    limits: &Limits,
) -> Result<Option<&'static str>, call::Ended> {
    let _ = stream.set_nodelay(true);
    let mut line = Line::new(stream, limits.clone());
    let prelude = match line.begin().await {
        Ok(prelude) => prelude,
        Err(call::Ended::Broken(_)) => return Ok(Some("garbage")),
        Err(call::Ended::Slow) => return Ok(Some("silent")),
        Err(other) => return Err(other),
    };
    let (token, _) = prelude.path();
    if !settings.token.as_ref().is_some_and(|right| right.is(token)) {
        return Ok(Some("token"));
    }
    desk.serve(&mut line, &prelude).await.map(|()| None)
}

/// Addresses that are told apart in the log at one time.
const TOLD: usize = 256;

/// Refused connections, each kind logged once an interval with how many there were.
struct Refusals {
    again: Duration,
    all: HashMap<(IpAddr, &'static str), (Instant, u64)>,
}

impl Refusals {
    fn new(again: Duration) -> Self {
        Self { again, all: HashMap::new() }
    }

    fn count(&mut self, asker: IpAddr, reason: &'static str) {
        let now = Instant::now();
        if self.all.len() >= TOLD {
            let again = self.again;
            self.all.retain(|_, (at, _)| now.duration_since(*at) < again);
        }
        let known = self.all.contains_key(&(asker, reason));
        if !known && self.all.len() >= TOLD {
            return;
        }
        let (at, unsaid) = self.all.entry((asker, reason)).or_insert((now, 0));
        *unsaid += 1;
        if !known || now.duration_since(*at) >= self.again {
            warn!(target: "handset::guard", "refused FastAGI asker={asker} reason={reason} count={unsaid}");
            (*at, *unsaid) = (now, 0);
        }
    }
}
