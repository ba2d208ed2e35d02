//! NOTIFYs that we send ourselves, from one socket: to phones that Asterisk cannot or will not reach.
//!
//! Unlike Asterisk's answer to an order, the phone's own tells the truth. Whether the phone is in a call was
//! asked before ([`super::event::AmiNews::Free`]). Nothing here decides when to try again.

use std::collections::BTreeMap;
use std::future::pending;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::event::{Event, OwnNotify};
use crate::base::{Mac, Time};
use crate::plan::observed::Notified;
use crate::wire::sip::notify::{Due, Notice, Transaction, belongs};
use crate::wire::sip::{Answer, MAX_ANSWER};

/// So many are on their way at once; others wait in the channel.
const IN_FLIGHT: usize = 64;

/// The socket that they come from.
///
/// # Errors
/// The address is not this host's, or taken.
pub async fn bind(from: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::bind(from).await
}

/// Sends what is ordered and tells what came of each, until `stop`.
pub async fn serve(
    socket: UdpSocket,
    orders: mpsc::Receiver<OwnNotify>,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
) {
    let (secret, began) = (RandomState::new(), Instant::now());
    let mut desk = Desk { socket, events, flights: BTreeMap::new(), secret, count: 0, began };
    tokio::select! {
        () = stop.cancelled() => {}
        () = desk.work(orders) => {}
    }
}

struct Flight {
    mac: Mac,
    to: SocketAddr,
    transaction: Transaction,
}

struct Desk {
    socket: UdpSocket,
    events: mpsc::Sender<Event>,
    flights: BTreeMap<u64, Flight>,
    secret: RandomState,
    count: u64,
    began: Instant,
}

impl Desk {
    /// Ends when the core does.
    async fn work(&mut self, mut orders: mpsc::Receiver<OwnNotify>) {
        let mut buffer = vec![0; MAX_ANSWER];
        loop {
            let wake = self.flights.values().map(|flight| flight.transaction.wake()).min();
            tokio::select! {
                order = orders.recv(), if self.flights.len() < IN_FLIGHT => match order {
                    Some(order) => self.begin(&order).await,
                    None => return,
                },
                // A datagram that cannot be received is no answer: ICMP of an earlier one.
                got = self.socket.recv_from(&mut buffer) => if let Ok((size, _)) = got {
                    self.heard(&buffer[..size]).await;
                },
                () = until(self.began, wake) => self.advance().await,
            }
        }
    }

    fn now(&self) -> Time {
        Time(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn begin(&mut self, order: &OwnNotify) {
        self.count += 1;
        let id = self.secret.hash_one(self.count);
        let local = match self.local(order.to) {
            Ok(local) => local,
            Err(error) => return self.tell(order.mac, Notified::Failed(error.to_string())).await,
        };
        let OwnNotify { mac, to, user, host, event } = order;
        let notice = Notice { user, to: *to, local, host, event, id };
        let transaction = Transaction::begin(&notice, self.now());
        self.flights.insert(id, Flight { mac: *mac, to: *to, transaction });
        self.advance().await;
    }

    /// Where the answer of a phone comes to: phones send it where the Via says.
    fn local(&self, to: SocketAddr) -> io::Result<SocketAddr> {
        let own = self.socket.local_addr()?;
        if !own.ip().is_unspecified() {
            return Ok(own);
        }
        Ok(SocketAddr::new(route(own.ip(), to)?, own.port()))
    }

    /// Sends what is due, and ends what nobody answered.
    async fn advance(&mut self) {
        let now = self.now();
        let mut ended = Vec::new();
        for (id, flight) in &mut self.flights {
            match flight.transaction.due(now) {
                Due::Send(packet) => {
                    if let Err(error) = self.socket.send_to(packet, flight.to).await {
                        ended.push((*id, Notified::Failed(error.to_string())));
                    }
                }
                Due::Wait(_) => {}
                Due::Over => ended.push((*id, Notified::Silent)),
            }
        }
        for (id, result) in ended {
            self.end(id, result).await;
        }
    }

    async fn heard(&mut self, datagram: &[u8]) {
        let Some(answer) = Answer::parse(datagram) else { return };
        let Some(id) = belongs(&answer) else { return };
        let code = self.flights.get_mut(&id).and_then(|flight| flight.transaction.heard(&answer));
        if let Some(code) = code {
            self.end(id, Notified::Answered(code)).await;
        }
    }

    async fn end(&mut self, id: u64, result: Notified) {
        if let Some(flight) = self.flights.remove(&id) {
            self.tell(flight.mac, result).await;
        }
    }

    async fn tell(&self, mac: Mac, result: Notified) {
        // The core ends before its tasks do.
        let _ = self.events.send(Event::Answered { mac, result }).await;
    }
}

/// The address of this host that packets to `to` leave from: the kernel's routes tell.
fn route(any: IpAddr, to: SocketAddr) -> io::Result<IpAddr> {
    let probe = std::net::UdpSocket::bind((any, 0))?;
    probe.connect(to)?;
    Ok(probe.local_addr()?.ip())
}

async fn until(began: Instant, wake: Option<Time>) {
    match wake {
        Some(at) => sleep_until(began + Duration::from_millis(at.0)).await,
        None => pending().await,
    }
}
