//! One transfer as a task: its socket, its clock, and the machine that decides.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use super::table::{Line, Seat};
use super::{Server, count};
use crate::base::Time;
use crate::daemon::event::{Outcome, Transfer as Ended};
use crate::daemon::net::{self, Arrival};
use crate::daemon::now;
use crate::daemon::serve::{Found, Unreadable};
use crate::wire::tftp::packet::code;
use crate::wire::tftp::transfer::stranger;
use crate::wire::tftp::{End, Packet, Request, Transfer, parse, printable, settle};

/// Answers to strangers in one transfer.
const STRANGERS: u32 = 16;

/// A request that got its seat.
pub(super) struct Job {
    pub(super) arrival: Arrival,
    /// The RRQ, as it came.
    pub(super) request: Bytes,
    pub(super) found: Found,
    pub(super) seat: Seat,
    pub(super) began: Instant,
}

/// Carries the transfer out and reports its end.
pub(super) async fn run(server: Arc<Server>, job: Job) {
    let Job { arrival, request, found, seat, began } = job;
    let ticket = match &found {
        Found::Body { ticket, .. } => Some(*ticket),
        Found::Static(_) | Found::Missing | Found::Ignored => None,
    };
    let (name, (outcome, bytes)) = match (parse(&request), net::answering(&arrival)) {
        (Ok(Packet::Read(request)), Ok(socket)) => {
            let peer = Peer { server: &server, socket, arrival, line: &seat.line, began };
            (printable(request.name), peer.answer(&request, found).await)
        }
        (Ok(Packet::Read(request)), Err(error)) => {
            count(&server.counters.socket_errors);
            (printable(request.name), (Outcome::Failed(format!("no socket: {error}")), 0))
        }
        // Only an RRQ becomes a job.
        _ => return,
    };
    // The place is free before anybody hears of the end, and may ask again.
    drop(seat);
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let at = Time(now().0.saturating_sub(millis));
    server.report(Ended { asker: arrival.from, name, ticket, outcome, bytes, millis, at });
}

/// The client of one transfer, and what is needed to talk to it.
struct Peer<'a> {
    server: &'a Server,
    socket: UdpSocket,
    arrival: Arrival,
    line: &'a Line,
    began: Instant,
}

impl Peer<'_> {
    async fn answer(&self, request: &Request<'_>, found: Found) -> (Outcome, u64) {
        let body = match found {
            Found::Body { bytes, .. } => Ok(bytes),
            Found::Static(path) => self.server.statics.load(path).await,
            Found::Missing | Found::Ignored => Err(Unreadable::Missing),
        };
        let body = match body {
            Ok(body) => body,
            Err(why) => return (self.sorry(why).await, 0),
        };
        let limits = &self.server.limits;
        let terms = settle(request, body.len() as u64, limits.bounds);
        let mut transfer = Transfer::new(body, request.mode, terms, limits.pace);
        let outcome = self.drive(&mut transfer).await;
        (outcome, transfer.bytes())
    }

    /// There is no body: says so, unless asking again may help.
    async fn sorry(&self, why: Unreadable) -> Outcome {
        let (code, text, outcome): (_, &[u8], _) = match why {
            Unreadable::Missing => (code::NOT_FOUND, b"file not found", Outcome::NotFound),
            Unreadable::Never(why) => (code::ACCESS, b"cannot read the file", Outcome::Failed(why)),
            Unreadable::Later(why) => return Outcome::Failed(why),
        };
        let mut out = Vec::new();
        Packet::Error { code, text }.write(&mut out);
        self.send(&out).await;
        outcome
    }

    async fn drive(&self, transfer: &mut Transfer) -> Outcome {
        let mut out = Vec::new();
        let mut input = [0; 516];
        let mut strangers = 0;
        let mut clock = pin!(sleep_until(self.began));
        let mut killed = pin!(self.server.kill.cancelled());
        let mut replaced = pin!(self.line.replaced.cancelled());
        loop {
            // Also when packets come faster than the clock is looked at.
            transfer.tick(self.began.elapsed());
            while let Some(packet) = transfer.next_packet(self.began.elapsed()) {
                packet.write(&mut out);
                self.send(&out).await;
            }
            self.line.progress.store(transfer.progress(), Ordering::Relaxed);
            if let Some(end) = transfer.end() {
                return outcome(end);
            }
            let deadline = self.began + transfer.deadline();
            if clock.deadline() != deadline {
                clock.as_mut().reset(deadline);
            }
            tokio::select! {
                biased;
                () = &mut killed => return Outcome::Failed("the service stopped".to_owned()),
                () = &mut replaced => {
                    return Outcome::Aborted(0, "asked for something else".to_owned());
                }
                got = self.socket.recv_from(&mut input) => match got {
                    Ok((length, from)) => {
                        let datagram = input.get(..length).unwrap_or(&input);
                        if from == self.arrival.from {
                            transfer.receive(datagram, self.began.elapsed());
                        } else {
                            self.turn_away(datagram, from, &mut strangers).await;
                        }
                    }
                    // An ICMP message about an earlier packet, perhaps a forged one.
                    Err(_) => count(&self.server.counters.socket_errors),
                },
                () = self.line.again.notified() => transfer.repeat(self.began.elapsed()),
                () = &mut clock => {}
            }
        }
    }

    async fn turn_away(&self, datagram: &[u8], from: std::net::SocketAddr, answered: &mut u32) {
        count(&self.server.counters.strangers);
        let Some(answer) = stranger(datagram).filter(|_| *answered < STRANGERS) else { return };
        *answered += 1;
        let mut out = Vec::new();
        answer.write(&mut out);
        if self.socket.send_to(&out, from).await.is_err() {
            count(&self.server.counters.socket_errors);
        }
    }

    /// What cannot be sent counts as lost on the way: the repeats heal it.
    async fn send(&self, datagram: &[u8]) {
        if self.socket.send_to(datagram, self.arrival.from).await.is_err() {
            count(&self.server.counters.socket_errors);
        }
    }
}

fn outcome(end: &End) -> Outcome {
    match end {
        End::Complete => Outcome::Complete,
        End::Unconfirmed => Outcome::Unconfirmed,
        End::Aborted(code, text) => Outcome::Aborted(*code, text.clone()),
        End::TimedOut => Outcome::TimedOut,
    }
}
