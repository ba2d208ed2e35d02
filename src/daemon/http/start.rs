//! Where the service listens: systemd's sockets, or its own.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{Listening, Service, acceptor, serve};
use crate::daemon::systemd;
use crate::model::site::Http;

/// Starts the service on the sockets named `http` and `https` that systemd hands over, else on
/// `[http] listen` and `tls_listen`; none where both are off. Call it within a tokio runtime.
///
/// # Errors
/// A socket cannot be had, or the certificate cannot be used.
pub fn start(
    settings: &Http,
    service: Service,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> io::Result<Option<JoinHandle<()>>> {
    let mut all = Vec::new();
    if let Some(listener) = listen("http", settings.listen.as_ref().map(|listen| listen.value))? {
        all.push(Listening { listener, tls: None });
    }
    if let Some(listener) = listen("https", settings.tls_listen)? {
        let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else {
            return Err(io::Error::other("tls_listen needs `certificate` and `key` in [http]"));
        };
        let tls = Some(acceptor(certificate, key)?);
        all.push(Listening { listener, tls });
    }
    if all.is_empty() {
        return Ok(None);
    }
    Ok(Some(tasks.spawn(serve(all, service, stop.clone()))))
}

fn listen(name: &str, wanted: Option<SocketAddr>) -> io::Result<Option<TcpListener>> {
    let handed = systemd::tcp_socket(name)?;
    let listener = match (handed, wanted) {
        (None, None) => return Ok(None),
        (Some(_), None) => {
            warn!("systemd has a socket {name} for us that no setting asks for: it is closed");
            return Ok(None);
        }
        (Some(socket), Some(_)) => socket,
        (None, Some(address)) => std::net::TcpListener::bind(address)
            .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?,
    };
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let local = listener.local_addr()?;
    if wanted.is_some_and(|set| set.port() != local.port()) {
        warn!(port = local.port(), "systemd's socket {name} has another port than the setting");
    }
    info!(address = %local, "serving {name}");
    Ok(Some(listener))
}
