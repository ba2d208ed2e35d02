//! The AMI session: tells the core what Asterisk knows of its peers, and carries out its orders.
//!
//! One task owns the socket. What to say and what an answer means is [`session`], which does no
//! I/O; [`link`] connects and logs in; this module moves bytes and news between them. Nothing
//! here waits for the core: what it cannot take at once is kept in a bounded queue ([`news`]), and
//! what does not fit there is healed by a new list of all peers.
//!
//! Frames are never logged: they can hold secrets.

mod endpoints;
mod link;
mod news;
mod notify;
mod pipeline;
pub(crate) mod probe;
mod relist;
mod session;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::link::Link;
use self::session::Session;
use super::event::{Event, Order};
use crate::model::site;

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Timing {
    /// To open the connection, an address.
    pub connect: Duration,
    /// For the banner, and for each answer of the login.
    pub login: Duration,
    /// For FullyBooted after the login, which an account without `read=system` never sees.
    pub booted: Duration,
    /// Until a refused login is tried again.
    pub refused: Duration,
    /// Until a lost connection is tried again: at first, and at most (it doubles in between).
    pub retry: (Duration, Duration),
    /// Between two lists of all peers.
    pub relist: Duration,
    /// Silence until a Ping is sent.
    pub ping: Duration,
    /// For an answer, counted from the one before it: Asterisk runs one action at a time.
    pub answer: Duration,
    /// For the answer to Reload, which may read many files.
    pub reload: Duration,
    /// From an event to the question for the peer's details. chan_sip stores the user agent after
    /// it sent the event, and events come in pairs.
    pub settle: Duration,
    /// From the first list after a reload to a second one: chan_sip reloads after it answered.
    pub second_look: Duration,
    /// Between two questions for the endpoints of [`Order::Poll`].
    pub poll: Duration,
    /// Until a channel driver that was not loaded is looked for again.
    pub probe: Duration,
    /// How old a list of channels may be to decide about a NOTIFY.
    pub channels: Duration,
    /// For the answer to Logoff.
    pub goodbye: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let millis = Duration::from_millis;
        let secs = Duration::from_secs;
        Self {
            connect: secs(5),
            login: secs(10),
            booted: secs(5),
            refused: secs(60),
            retry: (millis(500), secs(15)),
            relist: secs(60),
            ping: secs(20),
            answer: secs(15),
            reload: secs(60),
            settle: millis(100),
            second_look: secs(1),
            poll: secs(3),
            probe: secs(600),
            channels: millis(200),
            goodbye: secs(1),
        }
    }
}

/// Why there is no session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lost {
    /// For people.
    pub reason: String,
    /// Asterisk does not want us: nothing gets better by asking soon.
    pub refused: bool,
}

impl Lost {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), refused: false }
    }

    fn refused(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), refused: true }
    }
}

/// The task: connects, logs in, lists, listens, and begins anew for ever, until `shutdown` or until
/// one of the channels is closed. `orders` are answered at once while there is no session. When
/// the core does not take `events`, further orders are left in their channel, so the core must not
/// wait for room in it.
pub async fn run(
    settings: site::Ami,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<Event>,
    shutdown: CancellationToken,
) {
    run_with(settings, orders, events, shutdown, Timing::default()).await;
}

/// [`run`] with other times, for tests.
pub async fn run_with(
    settings: site::Ami,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<Event>,
    shutdown: CancellationToken,
    timing: Timing,
) {
    let session = Session::new(timing.clone(), unix_now, local_zone());
    let mut task = Task { settings, timing, orders, events, shutdown, session, warned: false };
    let _stopped = task.work().await;
}

/// Seconds since 1970.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The zone of this host, which is Asterisk's as a rule.
fn local_zone() -> jiff::tz::TimeZone {
    let read = std::fs::read("/etc/localtime").ok();
    read.and_then(|bytes| jiff::tz::TimeZone::tzif("local", &bytes).ok())
        .unwrap_or(jiff::tz::TimeZone::UTC)
}

/// How long to wait before the next try.
struct Retry {
    next: Duration,
    shortest: Duration,
    longest: Duration,
    refused: Duration,
}

impl Retry {
    fn new(timing: &Timing) -> Self {
        let (shortest, longest) = timing.retry;
        Self { next: shortest, shortest, longest, refused: timing.refused }
    }

    /// There was a session. One that ended soon is no reason to hurry.
    fn lived(&mut self, time: Duration) {
        if time > self.longest {
            self.next = self.shortest;
        }
    }

    fn after(&mut self, lost: &Lost) -> Duration {
        if lost.refused {
            self.next = self.shortest;
            return self.refused;
        }
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        wait
    }
}

/// The task is to end.
struct Stop;

struct Task {
    settings: site::Ami,
    timing: Timing,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<Event>,
    shutdown: CancellationToken,
    session: Session,
    /// The warning about an address that is not loopback was given.
    warned: bool,
}

impl Task {
    /// Never returns but to stop.
    async fn work(&mut self) -> Result<(), Stop> {
        let mut retry = Retry::new(&self.timing);
        loop {
            let lost = match self.open().await? {
                Ok(link) => {
                    let since = Instant::now();
                    let lost = self.serve(link).await?;
                    retry.lived(since.elapsed());
                    lost
                }
                Err(lost) => lost,
            };
            if self.session.lost(&lost) {
                tracing::warn!(reason = %lost.reason, "no AMI session, trying again for ever");
            }
            self.meanwhile(sleep(retry.after(&lost))).await?;
        }
    }

    /// Does something else than a session, while orders are answered and news is told.
    async fn meanwhile<F: Future>(&mut self, work: F) -> Result<F::Output, Stop> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(Stop),
                output = &mut work => return Ok(output),
                permit = self.events.reserve(), if !self.session.news.is_empty() => {
                    self.session.news.send(permit.map_err(|_| Stop)?);
                }
                order = self.orders.recv(), if self.session.news.has_room() => {
                    self.session.order(order.ok_or(Stop)?, Instant::now());
                }
            }
        }
    }

    /// Connects and logs in.
    async fn open(&mut self) -> Result<Result<Link, Lost>, Stop> {
        let settings = self.settings.clone();
        let found = self.meanwhile(link::resolve(&settings, &self.timing.clone())).await?;
        let addresses = match found {
            Ok(addresses) => addresses,
            Err(lost) => return Ok(Err(lost)),
        };
        self.warn_about(&addresses);
        let timing = self.timing.clone();
        self.meanwhile(link::open(&addresses, &settings, &timing)).await
    }

    fn warn_about(&mut self, addresses: &[SocketAddr]) {
        if !self.warned && addresses.iter().any(|address| !address.ip().is_loopback()) {
            self.warned = true;
            tracing::warn!(
                host = %self.settings.host,
                "AMI leaves this host without TLS: whoever listens on the way can read and change it"
            );
        }
    }

    /// Serves one session to its end.
    async fn serve(&mut self, link: Link) -> Result<Lost, Stop> {
        let Link { mut reader, mut writer, decoder, version } = link;
        tracing::info!(version, "logged in to AMI");
        self.session.begin(decoder, version, Instant::now());
        let mut buffer = vec![0; 1 << 16];
        let patience = self.timing.goodbye;
        loop {
            let wake = match self.session.advance(Instant::now()) {
                Ok(wake) => wake,
                Err(lost) => return Ok(lost),
            };
            tokio::select! {
                () = self.shutdown.cancelled() => {
                    goodbye(&mut self.session, patience, &mut reader, &mut writer).await;
                    return Err(Stop);
                }
                permit = self.events.reserve(), if !self.session.news.is_empty() => {
                    self.session.news.send(permit.map_err(|_| Stop)?);
                }
                read = reader.read(&mut buffer) => match read {
                    Ok(0) => return Ok(Lost::new("Asterisk closed the connection")),
                    Ok(n) => self.session.bytes(&buffer[..n], Instant::now()),
                    Err(error) => return Ok(Lost::new(error.to_string())),
                },
                wrote = writer.write_buf(&mut self.session.out), if !self.session.out.is_empty() => {
                    if let Err(error) = wrote {
                        return Ok(Lost::new(error.to_string()));
                    }
                }
                order = self.orders.recv(), if self.session.news.has_room() => match order {
                    Some(order) => self.session.order(order, Instant::now()),
                    None => {
                        goodbye(&mut self.session, patience, &mut reader, &mut writer).await;
                        return Err(Stop);
                    }
                },
                () = sleep_until(wake) => {}
            }
        }
    }
}

/// Logs off in order, as far as Asterisk plays along.
async fn goodbye(
    session: &mut Session,
    patience: Duration,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) {
    session.log_off();
    let polite = async {
        writer.write_all_buf(&mut session.out).await?;
        let mut rest = [0; 1 << 12];
        while reader.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whatever happens here, the connection is closed next.
    let _ = timeout(patience, polite).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_begin_anew_after_a_good_session() {
        let mut retry = Retry::new(&Timing::default());
        let mut waits =
            |n| -> Vec<u128> { (0..n).map(|_| retry.after(&Lost::new("x")).as_millis()).collect() };
        assert_eq!(waits(7), [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
        retry.lived(Duration::from_secs(15));
        assert_eq!(retry.after(&Lost::new("x")), Duration::from_secs(15));
        retry.lived(Duration::from_secs(16));
        assert_eq!(retry.after(&Lost::new("x")), Duration::from_millis(500));
    }

    #[test]
    fn a_refused_login_waits_a_minute() {
        let mut retry = Retry::new(&Timing::default());
        assert_eq!(retry.after(&Lost::refused("x")), Duration::from_secs(60));
    }
}
