//! How the daemon starts, runs and stops.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::catalog::{Served, Shelf};
use super::control::Call;
use super::core::{Core, Outlets};
use super::disk::Closure;
use super::event::Event;
use super::source::{Look, Source};
use super::store::Store;
use super::{ami, control, export, journal, source, systemd, tftp};
use crate::base::{Time, report};
use crate::family::Library;
use crate::model::site::{Ami, Site};
use crate::plan::offer::Offer;

/// The handset daemon: reads Asterisk's configuration, serves the phones' files, tells the phones.
#[derive(Parser, Debug)]
#[command(name = "handsetd", version, about)]
struct Args {
    /// The configuration file; without it every setting has its default
    #[arg(long, value_name = "FILE", default_value = "/etc/asterisk/handset.conf")]
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

/// Now, for the layers that own no clock.
fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
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
/// So many events are taken in before the core looks.
const BATCH: usize = 1024;

async fn run(config: PathBuf) -> Result<(), Failure> {
    let (site, diagnostics, sources) = source::site(&config);
    diagnostics.iter().for_each(|d| warn!("{}", report::short(d, &sources)));
    let (state, opened) = journal::open(&site.state_dir)?;
    if let journal::Opened::Damaged { moved_to, reason } = &opened {
        error!(moved_to = %moved_to.display(), reason, "the state is damaged: what phones run is unknown now");
    }
    let (store, restored) = Store::restore(&state, journal::spawn_writer(state.clone())?);
    let previous = restored.generation.as_ref().map_or(0, |g| g.id);
    info!(version = env!("CARGO_PKG_VERSION"), config = %config.display(), generation = previous, "handsetd starts");

    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let (events_in, events) = mpsc::channel(1024);
    let (calls_in, calls) = mpsc::channel(64);
    let (served_in, served) = watch::channel(Served::default());
    let (export_in, exports) = watch::channel(None);

    let listener = control::bind(&site.control_socket)
        .map_err(|source| Failure::Listen { what: site.control_socket.display().to_string(), source })?;
    tasks.spawn(control::serve(listener, calls_in, stop.clone()));
    let file_service = serve_files(&site, served, events_in.clone(), &stop).await?;
    tasks.spawn(exporting(exports, site.export_dir.clone(), stop.clone()));

    let (orders, _) = mpsc::channel(1);
    let outlets = Outlets { served: served_in, orders, export: export_in };
    let core = Core::new(Arc::new(site), store, restored, Arc::new(Library::builtin()), outlets, now());
    let mut looker = Looker::new(Source::new(config, previous), events_in.clone())?;
    let mut session = Session { events: events_in, settings: None, stop: stop.child_token(), task: None };
    let signals = tokio::spawn(signals(looker.wake.clone(), stop.clone()));
    let result = tokio::select! {
        result = looping(core, Inlets { events, calls }, &mut looker, &mut session, &stop) => result,
        () = ended(file_service) => Err(Failure::Task("TFTP")),
    };
    systemd::stopping();
    stop.cancel();
    signals.abort();
    tasks.close();
    let farewell = async {
        session.end().await;
        tasks.wait().await;
    };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        warn!("some tasks did not end in time");
    }
    result
}
