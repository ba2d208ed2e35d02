//! One connection: a request within its time, an answer as fast as the client takes it, and the
//! client's own end.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::exchange::{End, Exchange, Watched};
use super::{Server, count};
use crate::base::Time;
use crate::daemon::event::Transfer;
use crate::daemon::now;

/// Bytes of a request's line and headers at most.
const HEAD: usize = 8192 + 4096;

/// Header fields of a request at most.
const FIELDS: usize = 64;

/// Bytes behind the request that are read and thrown away while the client's end is waited for.
const REST: usize = 1 << 16;

/// A running answer is looked at so often.
const LOOK: Duration = Duration::from_millis(500);

/// What handlers know about who asks.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) asker: SocketAddr,
    /// Our own address on this connection.
    pub(super) local: SocketAddr,
    /// The connection is encrypted.
    pub(super) tls: bool,
    pub(super) exchange: Arc<Exchange>,
    /// What it calls itself, cleaned for logs.
    pub(super) agent: Option<String>,
}

/// A connection as it was taken.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    pub(super) asker: SocketAddr,
    pub(super) tls: Option<TlsAcceptor>,
}

/// Serves one connection and reports what came of it.
pub(super) async fn run(server: &Arc<Server>, socket: Socket, router: Router) {
    let Socket { stream, asker, tls } = socket;
    let Ok(local) = stream.local_addr() else { return count(&server.counters.socket_errors) };
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    let _ = stream.set_nodelay(true);
    let exchange = Exchange::new();
    let client =
        Client { asker, local, tls: tls.is_some(), exchange: Arc::clone(&exchange), agent: None };
    let end = match tls {
        None => converse(server, stream, client, router).await,
        Some(tls) => match handshake(server, stream, &tls).await {
            Some(stream) => converse(server, stream, client, router).await,
            None => End::Reset,
        },
    };
    if !exchange.was_asked() {
        count(&server.counters.garbage);
    }
    let Some(sent) = exchange.sent() else { return };
    let millis = exchange.millis();
    server.report(Transfer {
        asker,
        name: sent.name,
        ticket: sent.ticket,
        outcome: exchange.outcome(end),
        bytes: sent.bytes,
        millis,
        at: Time(now().0.saturating_sub(millis)),
        agent: sent.agent,
    });
}

/// Agrees on keys, in the time that a request has.
async fn handshake(
    server: &Server,
    stream: TcpStream,
    tls: &TlsAcceptor,
) -> Option<TlsStream<TcpStream>> {
    tokio::select! {
        () = server.shutdown.cancelled() => None,
        done = timeout(server.limits.head, tls.accept(stream)) => done.ok()?.ok(),
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    server: &Server,
    stream: S,
    client: Client,
    router: Router,
) -> End {
    let exchange = Arc::clone(&client.exchange);
    let until = Instant::now() + server.limits.total;
    let io = TokioIo::new(Watched { stream, exchange: Arc::clone(&exchange) });
    let service = TowerToHyperService::new(router.layer(Extension(client)));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(server.limits.head)
        .keep_alive(false)
        .max_buf_size(HEAD)
        .max_headers(FIELDS)
        .serve_connection(io, service);
    loop {
        let look = until.min(Instant::now() + LOOK);
        tokio::select! {
            biased;
            () = server.kill.cancelled() => return End::Killed,
            // Who has not asked yet need not any more.
            () = server.shutdown.cancelled(), if !exchange.was_asked() => {
                if !exchange.was_asked() {
                    return End::Killed;
                }
            }
            done = poll_fn(|cx| connection.poll_without_shutdown(cx)) => match done {
                Ok(()) => break,
                Err(_) => return End::Reset,
            },
            () = sleep_until(look) => {
                let stalled = exchange.was_asked() && exchange.idle() >= server.limits.stall;
                if stalled || Instant::now() >= until {
                    return End::Silent;
                }
            }
        }
    }
    let stream = connection.into_parts().io.into_inner().stream;
    farewell(server, stream).await
}

/// Says that there is no more, and waits until the client says so too.
async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(server: &Server, mut stream: S) -> End {
    let until = Instant::now() + server.limits.linger;
    let wait = async {
        if stream.shutdown().await.is_err() {
            return End::Reset;
        }
        let (mut buffer, mut rest) = ([0; 1024], REST);
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) => return End::Closed,
                Ok(length) if length <= rest => rest -= length,
                Ok(_) => return End::Silent,
                // TLS misses its own farewell, and TCP's came.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return End::Closed,
                Err(_) => return End::Reset,
            }
        }
    };
    tokio::select! {
        () = server.kill.cancelled() => End::Silent,
        end = timeout_at(until, wait) => end.unwrap_or(End::Silent),
    }
}
