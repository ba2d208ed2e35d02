//! Where the service listens: systemd's socket, or its own.

use std::io;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{Service, serve};
use crate::daemon::systemd;
use crate::model::site::Http;

/// Starts the service on the socket named `http` that systemd hands over, else on `[http] listen`;
/// none where that is off. Call it within a tokio runtime.
pub fn start(
    settings: &Http,
    service: Service,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> io::Result<Option<JoinHandle<()>>> {
    let handed = systemd::tcp_socket("http")?;
    let listener = match (handed, settings.listen) {
        (None, None) => return Ok(None),
        (Some(_), None) => {
            warn!("systemd has an HTTP socket for us, but [http] listen is off: it is closed");
            return Ok(None);
        }
        (Some(socket), Some(_)) => socket,
        (None, Some(address)) => std::net::TcpListener::bind(address)?,
    };
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let local = listener.local_addr()?;
    if settings.listen.is_some_and(|set| set.port() != local.port()) {
        warn!(
            port = local.port(),
            "the files of the phones name the port of [http] listen, but \
            systemd's socket has another one"
        );
    }
    info!(address = %local, "serving HTTP");
    let stop = stop.clone();
    Ok(Some(tasks.spawn(async move { serve(listener, service, stop).await })))
}
