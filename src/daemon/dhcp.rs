//! The DHCP service: sockets, interfaces, the disk and the neighbour table around [`crate::wire::dhcp`], which
//! decides. One thread answers; another one makes leases durable, and sends the replies that wait for it.

mod arp;
mod board;
mod engine;
mod follow;
mod foreign;
mod ledger;
mod links;
mod post;
mod report;
pub mod snippet;
mod told;
mod wanted;

use std::io;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::engine::{Engine, Mailbox, Parts};
use self::ledger::Ledger;
use self::report::Reporter;
use super::event::Event;
use super::journal::Journal;
use super::net::Listener;
use super::systemd;
use crate::base::Time;
use crate::control::{Answer, DhcpAlert};
use crate::model::site::{Dhcp, DhcpMode};
use crate::wire::dhcp::SERVER_PORT;

pub use board::Board;
pub use wanted::Wanted;

/// What the core tells the service, and asks it.
#[derive(Clone, Debug)]
pub struct Handle {
    mailbox: Arc<Mailbox>,
    board: Arc<Board>,
}

impl Handle {
    /// What is wanted from now on. Nothing is answered before the first time.
    pub fn set(&self, wanted: Arc<Wanted>) {
        self.mailbox.set(wanted);
    }

    /// Has the leases listed there, by the service itself.
    pub fn leases(&self, answers: mpsc::Sender<Answer>) {
        self.mailbox.leases(answers);
    }

    /// What an administrator should hear.
    pub fn alerts(&self, now: Time) -> Vec<DhcpAlert> {
        self.board.alerts(now)
    }

    /// Whose address each is.
    pub fn board(&self) -> Arc<Board> {
        self.board.clone()
    }
}

/// A service that runs; it has ended when the receiver hears.
pub struct Running {
    /// The way to it.
    pub handle: Handle,
    end: oneshot::Receiver<()>,
}

/// Starts the service on the sockets that systemd hands over, else on port 67; none where nothing is to be served
/// or watched.
pub fn start(
    settings: &Dhcp,
    journal: &Journal,
    core: mpsc::Sender<Event>,
) -> io::Result<Option<Running>> {
    let handed = systemd::udp_socket("dhcp")?;
    let serves = settings.mode != DhcpMode::Off;
    let socket = match handed {
        Some(socket) => Some(post::ready(socket)?),
        None if serves => Some(post::server(SERVER_PORT)?),
        None => None,
    };
    let ear = listen_to_others(settings)?;
    if socket.is_none() && ear.is_none() {
        return Ok(None);
    }
    if let Some(socket) = &socket {
        // What the kernel counts for a message of 300 bytes.
        let at_once = socket.granted() / 1280;
        info!(receive_buffer = socket.granted(), messages_at_once = at_once, "serving DHCP");
    }
    let board = Arc::new(Board::default());
    let mailbox = Mailbox::new()?;
    let socket = socket.map(Arc::new);
    let ledger = match &socket {
        Some(socket) => Some(Ledger::start(journal.clone(), socket.clone(), board.clone())?),
        None => None,
    };
    let leases = ledger::stored(journal);
    info!(stored = leases.len(), "dhcp: leases");
    let reporter = Reporter::new(core, board.clone());
    let handle = Handle { mailbox: mailbox.clone(), board: board.clone() };
    let (ended, end) = oneshot::channel::<()>();
    std::thread::Builder::new().name("dhcp".to_owned()).spawn(move || {
        let _ended = ended;
        let parts = Parts { socket, ear, ledger, reporter, board, mailbox, leases };
        match Engine::new(parts) {
            Ok(engine) => engine.run(),
            Err(why) => error!("the DHCP service cannot wait for its sockets: {why}"),
        }
    })?;
    Ok(Some(Running { handle, end }))
}

/// Runs until `shutdown`, or until it ends by itself.
pub async fn serve(running: Running, shutdown: CancellationToken) {
    let mut end = std::pin::pin!(running.end);
    tokio::select! {
        () = shutdown.cancelled() => running.handle.mailbox.stop(),
        _ = &mut end => return,
    }
    // The sender goes when the thread does.
    let _ = end.await;
}

/// The socket at the clients' port. Without it phones are served all the same.
fn listen_to_others(settings: &Dhcp) -> io::Result<Option<Listener>> {
    if settings.mode != DhcpMode::Phones && !settings.watch {
        return Ok(None);
    }
    if let Some(socket) = systemd::udp_socket("dhcp-watch")? {
        return post::ready(socket).map(Some);
    }
    match post::client() {
        Ok(ear) => Ok(Some(ear)),
        Err(why) => {
            warn!("other DHCP servers cannot be listened to at port 68: {why}");
            Ok(None)
        }
    }
}
