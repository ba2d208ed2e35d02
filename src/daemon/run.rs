//! How the daemon starts, runs and stops.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use clap::Parser;
use thiserror::Error;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use super::catalog::{Served, Shelf};
use super::control::Call;
use super::core::{Core, Outlets};
use super::event::{Event, OwnNotify};
use super::look::Source;
use super::looker::Looker;
use super::metrics::Metrics;
use super::net::Listener;
use super::now;
use super::serve::Catalog;
use super::store::{Store, Unwritten};
use super::{agi, ami, control, dhcp, export, http, journal, notify, source, systemd, tftp, trim};
use crate::base::{Sources, report};
use crate::family::library;
use crate::model::site::{Ami, Site};
use crate::plan::offer::Offer;

/// The handset daemon: reads Asterisk's configuration, serves the phones' files, tells the phones.
#[derive(Parser, Debug)]
#[command(name = "handsetd", version, about)]
struct Args {
    /// The configuration file; without the usual one every setting has its default
    #[arg(long, value_name = "FILE", default_value = source::USUAL)]
    config: PathBuf,
    /// What to log: error, warn, info, debug, trace, or a filter as handset::daemon::tftp=debug
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// Why the daemon does not start, or ends unasked.
#[derive(Debug, Error)]
enum Failure {
    #[error("cannot use the state: {0}")]
    State(#[from] journal::JournalError),
    #[error(transparent)]
    Unwritten(#[from] Unwritten),
    #[error("cannot listen on {what}: {source}")]
    Listen { what: String, source: std::io::Error },
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the {0} task ended unasked")]
    Task(&'static str),
}

/// Runs `handsetd` with the process's arguments.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = crate::log::init(args.log.as_deref()) {
        eprintln!("handsetd: {error}");
        return ExitCode::from(2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(args.config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The ends of all channels that lead to the core.
struct Inlets {
    events: mpsc::Receiver<Event>,
    calls: mpsc::Receiver<Call>,
}

/// Transfers still running get so long at the end.
const FAREWELL: Duration = Duration::from_secs(6);
/// The core looks at least so often, for what is due by time.
const TICK: Duration = Duration::from_millis(50);
/// So many NOTIFYs of our own may wait.
const NOTICES: usize = 256;
/// So many events are taken in before the core looks.
const BATCH: usize = 1024;

async fn run(config: PathBuf) -> Result<(), Failure> {
    let (site, diagnostics, sources) = source::site(&config);
    diagnostics.iter().for_each(|d| warn!("{}", report::short(d, &sources)));
    let state = open(&site)?;
    let (store, restored) = Store::restore(&state, journal::spawn_writer(state.clone())?);
    let previous = restored.offer.newest.id;
    info!(version = env!("CARGO_PKG_VERSION"), config = %config.display(), generation = previous, "handsetd starts");

    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let (events_in, events) = mpsc::channel(1024);
    let (calls_in, calls) = mpsc::channel(64);
    let (served_in, served) = watch::channel(Arc::<Served>::default());
    let (export_in, exports) = watch::channel(None);
    let (dhcp_in, wanted) = watch::channel(None);

    tasks.spawn(control::serve(answer(&site)?, calls_in.clone(), stop.clone()));
    let companion = serve_calls(&site, &tasks, calls_in, &stop)?;
    let catalog: Arc<dyn Catalog> = Arc::new(Shelf::new(served));
    let metrics: Arc<Metrics> = Arc::default();
    let (shelf, counters) = (catalog.clone(), metrics.tftp.clone());
    let file_service = serve_files(&site, &tasks, shelf, counters, events_in.clone(), &stop)?;
    let (directory_in, directory) = watch::channel(Arc::default());
    let web = http::Service {
        catalog,
        directory,
        report: events_in.clone(),
        limits: http::Limits::default(),
        metrics: metrics.clone(),
    };
    let web_service = serve_pages(&site, &tasks, web, &stop)?;
    let (leases, address_service) =
        serve_addresses(&site, &tasks, &state, wanted, events_in.clone(), &stop)?;
    tasks.spawn(exporting(exports, site.export_dir.clone(), previous > 0, stop.clone()));

    let (notify, notify_service) = serve_notices(&site, &tasks, events_in.clone(), &stop).await;
    let (orders, _) = mpsc::channel(1);
    let outlets = Outlets {
        served: served_in,
        directory: directory_in,
        orders,
        notify,
        dhcp: dhcp_in,
        export: export_in,
    };
    let mut core = Core::new(
        Arc::new(site),
        store,
        restored,
        Arc::new(library::load(Path::new(""), &BTreeMap::new(), &mut Sources::default())),
        outlets,
        now(),
    );
    core.serves_dhcp(leases);
    core.measures(metrics);
    let mut looker = Looker::new(Source::new(config), events_in.clone(), &stop)?;
    let mut session = Session { events: events_in.clone(), settings: None, task: None };
    tasks.spawn(signals(events_in, stop.clone()));
    let services = [
        ("TFTP", file_service),
        ("HTTP", web_service),
        ("DHCP", address_service),
        ("NOTIFY", notify_service),
        ("FastAGI", companion),
    ];
    let result = tokio::select! {
        result = looping(core, Inlets { events, calls }, &mut looker, &mut session, &stop) => result,
        name = ended(services, &stop) => Err(Failure::Task(name)),
    };
    farewell(session, tasks, &stop).await;
    result
}

/// Opens the control socket.
fn answer(site: &Site) -> Result<UnixListener, Failure> {
    control::bind(&site.control_socket).map_err(|source| Failure::Listen {
        what: site.control_socket.display().to_string(),
        source,
    })
}

/// Opens the state; what is damaged is said, and begins anew.
fn open(site: &Site) -> Result<journal::Journal, Failure> {
    let (state, opened) = journal::open(&site.state_dir)?;
    if let journal::Opened::Damaged { moved_to, reason } = &opened {
        error!(moved_to = %moved_to.display(), reason, "the state is damaged: what phones run is unknown now");
    }
    Ok(state)
}

/// Lets transfers end, and everything else.
async fn farewell(mut session: Session, tasks: TaskTracker, stop: &CancellationToken) {
    systemd::stopping();
    stop.cancel();
    tasks.close();
    let farewell = async {
        session.end().await;
        tasks.wait().await;
    };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        warn!("some tasks did not end in time");
    }
}

/// Starts the TFTP service on the socket that systemd hands over, else on `[tftp] listen`.
fn serve_files(
    site: &Site,
    tasks: &TaskTracker,
    catalog: Arc<dyn Catalog>,
    counters: Arc<tftp::Counters>,
    report: mpsc::Sender<Event>,
    stop: &CancellationToken,
) -> Result<Option<JoinHandle<()>>, Failure> {
    let failure = |source| Failure::Listen { what: format!("TFTP {:?}", site.tftp.listen), source };
    let handed = systemd::udp_socket("tftp").map_err(failure)?;
    let listener = match (handed, site.tftp.listen) {
        (Some(socket), _) => Listener::adopt(socket),
        (None, Some(address)) => Listener::bind(address),
        (None, None) => return Ok(None),
    };
    let listener = listener.map_err(failure)?;
    info!(address = %listener.local(), receive_buffer = listener.granted(), "serving TFTP");
    let service = tftp::Service { catalog, report, limits: tftp::Limits::default(), counters };
    Ok(Some(tasks.spawn(tftp::serve(vec![listener], service, stop.clone()))))
}

/// Starts the HTTP service, where it is on.
fn serve_pages(
    site: &Site,
    tasks: &TaskTracker,
    service: http::Service,
    stop: &CancellationToken,
) -> Result<Option<JoinHandle<()>>, Failure> {
    let failure = |source| Failure::Listen { what: "HTTP".to_owned(), source };
    http::start(&site.http, service, tasks, stop).map_err(failure)
}

/// Starts the DHCP service, where it is on, and what keeps the file of another server current.
fn serve_addresses(
    site: &Site,
    tasks: &TaskTracker,
    state: &journal::Journal,
    wanted: watch::Receiver<Option<Arc<dhcp::Wanted>>>,
    report: mpsc::Sender<Event>,
    stop: &CancellationToken,
) -> Result<(Option<dhcp::Handle>, Option<JoinHandle<()>>), Failure> {
    let failure = |source| Failure::Listen { what: "DHCP".to_owned(), source };
    let running = dhcp::start(&site.dhcp, state, report).map_err(failure)?;
    let handle = running.as_ref().map(|running| running.handle.clone());
    tasks.spawn(dhcp::snippet::follow(wanted, handle.clone(), stop.clone()));
    Ok((handle, running.map(|running| tasks.spawn(dhcp::serve(running, stop.clone())))))
}

/// Starts what sends NOTIFYs of our own. Without a socket for it, everything else goes on.
async fn serve_notices(
    site: &Site,
    tasks: &TaskTracker,
    report: mpsc::Sender<Event>,
    stop: &CancellationToken,
) -> (mpsc::Sender<OwnNotify>, Option<JoinHandle<()>>) {
    let (orders_in, orders) = mpsc::channel(NOTICES);
    let service = match notify::bind(site.notify_from).await {
        Ok(socket) => Some(tasks.spawn(notify::serve(socket, orders, report, stop.clone()))),
        Err(error) => {
            error!(%error, notify_from = %site.notify_from, "no NOTIFYs of our own can be sent");
            None
        }
    };
    (orders_in, service)
}

/// Starts the FastAGI service, where it is on.
fn serve_calls(
    site: &Site,
    tasks: &TaskTracker,
    calls: mpsc::Sender<Call>,
    stop: &CancellationToken,
) -> Result<Option<JoinHandle<()>>, Failure> {
    let what = || format!("FastAGI {:?}", site.agi.listen);
    let failure = |source| Failure::Listen { what: what(), source };
    let running = agi::start(site, calls).map_err(failure)?;
    Ok(running.map(|running| tasks.spawn(agi::serve(running, stop.clone()))))
}

/// Waits until one of the services has ended, which none must: its name.
async fn ended<const N: usize>(
    services: [(&'static str, Option<JoinHandle<()>>); N],
    stop: &CancellationToken,
) -> &'static str {
    let mut running = services.map(|(name, service)| service.map(|service| (name, service)));
    let first = std::future::poll_fn(|context| {
        for (name, service) in running.iter_mut().flatten() {
            if Pin::new(service).poll(context).is_ready() {
                return Poll::Ready(*name);
            }
        }
        Poll::Pending
    });
    let name = first.await;
    if stop.is_cancelled() {
        // The core ends the daemon.
        std::future::pending::<()>().await;
    }
    name
}

/// SIGHUP looks at the disk, SIGTERM and SIGINT end in order.
async fn signals(events: mpsc::Sender<Event>, stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt()];
    let [Ok(mut hup), Ok(mut term), Ok(mut int)] = kinds.map(signal) else {
        warn!("signals are not heard");
        return;
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = hup.recv() => {
                info!("asked to look again");
                let _ = events.send(Event::Disk).await;
            }
            _ = term.recv() => stop.cancel(),
            _ = int.recv() => stop.cancel(),
        }
    }
}

/// Keeps the exported files like the offer.
async fn exporting(
    mut offers: watch::Receiver<Option<Arc<Offer>>>,
    dir: Option<PathBuf>,
    known: bool,
    stop: CancellationToken,
) {
    let Some(dir) = dir else { return };
    let mut removal = if known { export::Removal::UnlessEmpty } else { export::Removal::Never };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = offers.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(EXPORT_AGAIN) => {}
        }
        let Some(offer) = offers.borrow_and_update().clone() else { continue };
        let files = offer.files();
        let (dir, how) = (dir.clone(), removal);
        let done = tokio::task::spawn_blocking(move || export::export(&dir, &files, how)).await;
        match done {
            Ok(Ok(report)) => {
                told(&report);
                removal = export::Removal::UnlessEmpty;
            }
            Ok(Err(error)) => error!("{error}; tried again in {} s", EXPORT_AGAIN.as_secs()),
            Err(error) => error!(%error, "the export broke off"),
        }
    }
}

/// Exported files that somebody removed, or that could not be written, are looked after so often.
const EXPORT_AGAIN: Duration = Duration::from_secs(60);

fn told(report: &export::Report) {
    if !report.written.is_empty() || !report.removed.is_empty() {
        info!(written = report.written.len(), removed = report.removed.len(), "exported");
    }
    for (name, why) in &report.left {
        warn!(file = %name, why = ?why, "an exported file was not touched: move it away");
    }
}

/// The AMI task for the settings in force.
struct Session {
    events: mpsc::Sender<Event>,
    settings: Option<Option<Ami>>,
    task: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Session {
    /// Begins anew when the settings changed.
    async fn follow(&mut self, core: &mut Core) {
        let wanted = core.ami_settings();
        if self.settings.as_ref() == Some(&wanted) {
            return;
        }
        self.end().await;
        let (orders, taken) = mpsc::channel(1024);
        core.connect(orders);
        self.task = wanted.clone().map(|settings| {
            let stop = CancellationToken::new();
            (stop.clone(), tokio::spawn(ami::run(settings, taken, self.events.clone(), stop)))
        });
        self.settings = Some(wanted);
    }

    async fn end(&mut self) {
        if let Some((stop, task)) = self.task.take() {
            stop.cancel();
            let _ = tokio::time::timeout(Duration::from_secs(2), task).await;
        }
    }
}

/// What a start stirs up has come to rest after so long.
const SETTLED: Duration = Duration::from_secs(2);

/// Gives back what only the start needed.
async fn settling() {
    tokio::time::sleep(SETTLED).await;
    match trim::give_back_text() {
        Ok(bytes) => debug!(bytes, "gave the text of the start back"),
        Err(error) => debug!(%error, "the text of the start stays in memory"),
    }
}

/// The core's loop: take in, look, tell.
async fn looping(
    mut core: Core,
    mut inlets: Inlets,
    looker: &mut Looker,
    session: &mut Session,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let mut watchdog = systemd::Watchdog::from_env();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut ready = false;
    session.follow(&mut core).await;
    looker.go(&core);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            look = looker.done() => {
                let look = look.ok_or(Failure::Task("reading"))?;
                core.looked(now());
                if let Some(look) = look {
                    core.read(look, now());
                    session.follow(&mut core).await;
                    if !std::mem::replace(&mut ready, true) {
                        systemd::ready("serving");
                        tokio::spawn(settling());
                    }
                }
            }
            Some(event) = inlets.events.recv() => {
                let mut next = Some(event);
                for _ in 0..BATCH {
                    let Some(event) = next else { break };
                    looker.again |= matches!(event, Event::Disk);
                    looker.rescan |= matches!(event, Event::Rescan);
                    core.take(event, now());
                    next = inlets.events.try_recv().ok();
                }
            }
            Some(call) = inlets.calls.recv() => {
                looker.again |= core.answer(call, now());
            }
            _ = tick.tick() => {}
        }
        core.look(now());
        looker.go(&core);
        if let Some(watchdog) = &mut watchdog {
            watchdog.feed(Instant::now());
        }
    }
    Ok(core.close().await?)
}
