//! How one request and its answer went, told by the socket itself.
//!
//! A transfer is complete when its last byte was handed to the socket and the client closed its own
//! side after that, without a reset: a client's kernel resets the connection when the program closes
//! with bytes unread, or is gone. That is the client's word that it has it all, as TFTP's last ACK is.
//! Without the client's end it is [`Outcome::Unconfirmed`].

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::daemon::event::{Outcome, Ticket};

/// A body under way whose end is worth telling.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// The name as asked, cleaned for logs.
    pub(super) name: String,
    pub(super) ticket: Option<Ticket>,
    pub(super) bytes: u64,
    /// What the client calls itself, cleaned for logs.
    pub(super) agent: Option<String>,
}

/// What the connection, the handler and the body tell each other.
#[derive(Debug)]
pub(super) struct Exchange {
    began: Instant,
    /// Milliseconds since then, when the client last took bytes.
    progress: AtomicU64,
    /// A request was read.
    asked: AtomicBool,
    /// The whole body was taken by hyper.
    taken: AtomicBool,
    /// … and then all that hyper had was handed to the socket.
    flushed: AtomicBool,
    /// The client closed its side before that: its end says nothing.
    early: AtomicBool,
    sent: Mutex<Option<Sent>>,
}

impl Exchange {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            progress: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            taken: AtomicBool::new(false),
            flushed: AtomicBool::new(false),
            early: AtomicBool::new(false),
            sent: Mutex::default(),
        })
    }

    /// A request came: from now on it is the client's turn to read.
    pub(super) fn asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.moved();
    }

    pub(super) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    fn moved(&self) {
        self.progress.store(self.age(), Ordering::Relaxed);
    }

    fn age(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the connection was taken.
    pub(super) fn millis(&self) -> u64 {
        self.age()
    }

    /// How long the client has taken nothing.
    pub(super) fn idle(&self) -> Duration {
        Duration::from_millis(self.age().saturating_sub(self.progress.load(Ordering::Relaxed)))
    }

    /// The answer carries these bytes, and what becomes of them is to be told.
    pub(super) fn body(self: &Arc<Self>, bytes: Bytes, sent: Sent) -> Body {
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(sent);
        // hyper does not ask for what is empty.
        self.taken.store(bytes.is_empty(), Ordering::Relaxed);
        Body::new(Whole { bytes, exchange: Arc::clone(self) })
    }

    /// What was sent, if anything worth telling.
    pub(super) fn sent(&self) -> Option<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How the transfer ended, by how the connection did.
    pub(super) fn outcome(&self, end: End) -> Outcome {
        let flushed = self.flushed.load(Ordering::Relaxed);
        let early = self.early.load(Ordering::Relaxed);
        match end {
            End::Closed if flushed && !early => Outcome::Complete,
            End::Reset => Outcome::Aborted(0, "the client closed the connection".to_owned()),
            End::Closed | End::Silent if flushed => Outcome::Unconfirmed,
            End::Closed => Outcome::Aborted(0, "the client closed the connection".to_owned()),
            End::Silent => Outcome::TimedOut,
            End::Killed => Outcome::Failed("the service stopped".to_owned()),
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The client closed it in order.
    Closed,
    /// It broke.
    Reset,
    /// The client took too long.
    Silent,
    /// We had to stop.
    Killed,
}

/// A body of one piece that tells when it was taken.
struct Whole {
    bytes: Bytes,
    exchange: Arc<Exchange>,
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.exchange.taken.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

/// The socket, watched.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) exchange: Arc<Exchange>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() == before && !self.exchange.flushed.load(Ordering::Relaxed) {
            self.exchange.early.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn wrote(&self, result: Poll<std::io::Result<usize>>) -> Poll<std::io::Result<usize>> {
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.exchange.moved();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes the socket only when it holds nothing itself any more.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.exchange.taken.load(Ordering::Relaxed) {
            self.exchange.flushed.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
