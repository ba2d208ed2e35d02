//! The loop: one thread takes messages in, lets the server decide, and hands on what has to be durable, sent,
//! looked at and told.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::arp::{Arp, Look};
use super::board::Board;
use super::foreign;
use super::ledger::{self, Ledger};
use super::links::{Changes, Link, Links};
use super::post::{self, Came, Inbox, Parcel};
use super::report::Reporter;
use super::told;
use super::wanted::{People, Wanted};
use crate::base::Time;
use crate::control::Answer;
use crate::daemon::journal::Batch;
use crate::daemon::net::{self, Listener};
use crate::daemon::now;
use crate::model::site::DhcpMode;
use crate::plan::boot::{Exchange, Said};
use crate::wire::dhcp::{
    self, Arrival, CLIENT_PORT, Client, Clients, Destination, Lease, Outgoing, Reaction, Server,
};

/// Batches that are taken out of the socket before the disk and the core have their turn.
const BATCHES: usize = 8;
/// The server looks at its clock so often.
const MINUTE: Duration = Duration::from_secs(60);
/// The interfaces are looked at again so often, whatever the kernel told.
const LOOK: Duration = Duration::from_secs(10);
/// A packet from an interface that is not known yet makes us look, at most so often.
const SOON: Duration = Duration::from_millis(100);

/// What others tell the engine.
pub(super) type Mailbox = net::mailbox::Mailbox<Letters>;

#[derive(Debug, Default)]
pub(super) struct Letters {
    stop: bool,
    wanted: Option<Arc<Wanted>>,
    leases: Vec<mpsc::Sender<Answer>>,
}

impl Mailbox {
    pub(super) fn set(&self, wanted: Arc<Wanted>) {
        self.put(|letters| letters.wanted = Some(wanted));
    }

    pub(super) fn leases(&self, answers: mpsc::Sender<Answer>) {
        self.put(|letters| letters.leases.push(answers));
    }

    pub(super) fn stop(&self) {
        self.put(|letters| letters.stop = true);
    }
}

/// What the engine works with.
pub(super) struct Parts {
    /// Requests come here, unless only other servers are watched.
    pub(super) socket: Option<Arc<Listener>>,
    /// Other servers are heard here.
    pub(super) ear: Option<Listener>,
    pub(super) ledger: Option<Ledger>,
    pub(super) reporter: Reporter,
    pub(super) board: Arc<Board>,
    pub(super) mailbox: Arc<Mailbox>,
    /// What was stored.
    pub(super) leases: Vec<Lease>,
}

/// The service's thread.
pub(super) struct Engine {
    epoll: Epoll,
    parts: Parts,
    changes: Option<Changes>,
    server: Server,
    /// What the server was told last.
    site: Option<dhcp::Site>,
    people: People,
    wanted: Option<Arc<Wanted>>,
    links: Links,
    arp: Arp,
    looks: Vec<Look>,
    inbox: Inbox,
    /// What waits for the end of this round.
    batch: Batch,
    durable: Vec<Parcel>,
    at_once: Vec<Parcel>,
    looked: Instant,
    minute: Instant,
    stop: bool,
}

const SOCKET: u64 = 0;
const EAR: u64 = 1;
const LINKS: u64 = 2;
const MAILBOX: u64 = 3;

impl Engine {
    pub(super) fn new(mut parts: Parts) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let readable = |number| EpollEvent::new(EpollFlags::EPOLLIN, number);
        epoll.add(parts.mailbox.wake(), readable(MAILBOX))?;
        let changes = Changes::listen();
        if let Ok(changes) = &changes {
            epoll.add(changes, readable(LINKS))?;
        }
        let mut server = Server::new(dhcp::Site::default());
        let leases = std::mem::take(&mut parts.leases);
        let mut batch = Batch::new();
        let stored = server.restore(leases, now());
        ledger::note(&mut batch, &stored);
        let put = |lease: &Lease| dhcp::Change::Put(lease.clone());
        parts.board.note(&server.book().leases().map(put).collect::<Vec<_>>());
        let begin = Instant::now();
        Ok(Self {
            epoll,
            parts,
            changes: changes.ok(),
            server,
            site: None,
            people: People::default(),
            wanted: None,
            links: Links::default(),
            arp: Arp::default(),
            looks: Vec::new(),
            inbox: Inbox::new(),
            batch,
            durable: Vec::new(),
            at_once: Vec::new(),
            looked: begin,
            minute: begin,
            stop: false,
        })
    }

    /// Serves until the mailbox says stop.
    pub(super) fn run(mut self) {
        let mut events = [EpollEvent::empty(); 8];
        while !self.stop {
            let ready = match self.epoll.wait(&mut events, self.patience(Instant::now())) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(_) => {
                    std::thread::sleep(Duration::from_millis(5));
                    0
                }
            };
            for number in events.iter().take(ready).map(EpollEvent::data) {
                match number {
                    SOCKET => self.requests(),
                    EAR => self.overheard(),
                    LINKS => self.links_changed(),
                    _ => self.letters(),
                }
            }
            self.timers();
            self.flush();
        }
        if let Some(ledger) = self.parts.ledger.take() {
            ledger.stop();
        }
    }

    fn patience(&self, now: Instant) -> EpollTimeout {
        let looks = self.looks.iter().map(|look| look.due).min();
        let due = [looks, self.parts.reporter.due(), Some(self.looked + LOOK)];
        let due = due.into_iter().flatten().min().unwrap_or(now);
        let sleep = due.saturating_duration_since(now) + Duration::from_millis(1);
        EpollTimeout::try_from(sleep).unwrap_or(EpollTimeout::ZERO)
    }

    fn letters(&mut self) {
        let letters = self.parts.mailbox.empty();
        self.stop |= letters.stop;
        if let Some(wanted) = letters.wanted {
            let first = self.wanted.is_none();
            self.people = People::new(&wanted);
            self.wanted = Some(wanted);
            self.look_at_links();
            self.renew_site();
            if first {
                self.open_ears();
            }
        }
        for answers in letters.leases {
            let lines = told::leases(self.server.book().leases(), self.wanted.as_deref(), now());
            // Who went away needs no answer.
            let _ = answers.try_send(Answer::Leases(lines));
        }
    }

    /// Only from now on it is known who is who.
    fn open_ears(&mut self) {
        let readable = |number| EpollEvent::new(EpollFlags::EPOLLIN, number);
        let socket = self.parts.socket.as_ref().map(|s| self.epoll.add(s, readable(SOCKET)));
        let ear = self.parts.ear.as_ref().map(|ear| self.epoll.add(ear, readable(EAR)));
        for error in [socket, ear].into_iter().flatten().filter_map(Result::err) {
            warn!(%error, "dhcp: a socket cannot be waited for");
        }
    }

    fn links_changed(&mut self) {
        if let Some(changes) = &self.changes {
            changes.drain();
        }
        self.look_at_links();
    }

    fn look_at_links(&mut self) {
        self.looked = Instant::now();
        match Links::look() {
            Ok(links) if links != self.links => {
                info!(interfaces = links.in_words(), "dhcp: interfaces");
                self.links = links;
                self.renew_site();
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "dhcp: the interfaces cannot be looked at"),
        }
    }

    /// Tells the server what changed; what it is about to do it would forget otherwise.
    fn renew_site(&mut self) {
        let Some(wanted) = &self.wanted else { return };
        let site = wanted.site(&self.links, now());
        if self.site.as_ref() != Some(&site) {
            self.server.set_site(site.clone());
            self.site = Some(site);
        }
    }

    /// Takes in what waits at the socket.
    fn requests(&mut self) {
        for _ in 0..BATCHES {
            let Some(socket) = self.parts.socket.clone() else { return };
            let mut inbox = std::mem::replace(&mut self.inbox, Inbox::none());
            let came = inbox.receive(&socket).unwrap_or(0);
            let at = now();
            for (came, datagram) in inbox.datagrams() {
                self.request(came, datagram, at);
            }
            self.inbox = inbox;
            // The disk begins with the first batch while the next one is read.
            self.flush();
            if came < post::BATCH {
                return;
            }
        }
    }

    fn request(&mut self, came: Came, datagram: &[u8], at: Time) {
        let Ok(message) = dhcp::parse(datagram) else {
            self.parts.board.garbage.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let Some(link) = self.link(came.interface) else { return };
        if !self.wanted.as_ref().is_some_and(|wanted| serves(wanted, &link)) {
            return;
        }
        let arrival = Arrival {
            homes: link.homes(came.local),
            source: came.from,
            unicast: came.to == came.local,
        };
        let reaction = self.server.receive(&arrival, &message, &self.people, at);
        self.carry_out(reaction, &link, came.local, at);
    }

    /// The interface of a packet; one that has just come up is looked for.
    fn link(&mut self, index: u32) -> Option<Link> {
        if self.links.get(index).is_none() && self.looked.elapsed() >= SOON {
            self.look_at_links();
        }
        self.links.get(index).cloned()
    }

    fn carry_out(&mut self, reaction: Reaction, link: &Link, local: Ipv4Addr, at: Time) {
        self.parts.board.note(&reaction.changes);
        ledger::note(&mut self.batch, &reaction.changes);
        if let Some(outgoing) = reaction.send {
            let parcel = self.parcel(outgoing, link, local);
            match reaction.changes.is_empty() {
                true => self.at_once.push(parcel),
                false => self.durable.push(parcel),
            }
        }
        let now = Instant::now();
        if let (Some(probe), Some(socket)) = (reaction.probe, &self.parts.socket) {
            let about = (probe.address, probe.from);
            let interface = if link.reaches(probe.address) { link.index } else { 0 };
            self.looks.push(self.arp.look(socket, about, interface, now));
        }
        for alert in &reaction.alerts {
            self.alert(&told::alert(alert), at);
        }
        for exchange in told::exchanges(reaction.facts, &link.name, at) {
            self.parts.reporter.said(exchange, now);
        }
    }

    fn alert(&self, text: &str, at: Time) {
        if self.parts.board.alert(text.to_owned(), at) {
            warn!("dhcp: {text}");
        }
    }

    /// A reply on its way. An address whose client does not answer for it yet is made known to the kernel, where
    /// that is permitted; else all hear it.
    fn parcel(&mut self, outgoing: Outgoing, link: &Link, source: Ipv4Addr) -> Parcel {
        let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT);
        let (to, interface) = match outgoing.to {
            Destination::To(to) if link.reaches(*to.ip()) => (to, link.index),
            Destination::To(to) => (to, 0),
            Destination::Link(address, mac) if self.arp.set(address, link.index, mac) => {
                (SocketAddrV4::new(address, CLIENT_PORT), link.index)
            }
            Destination::Link(..) | Destination::Broadcast => (everybody, link.index),
        };
        Parcel { to, interface, source, bytes: outgoing.bytes }
    }

    fn timers(&mut self) {
        let now = Instant::now();
        self.parts.reporter.tick(now);
        if now >= self.looked + LOOK {
            self.look_at_links();
        }
        if now >= self.minute + MINUTE {
            self.minute = now;
            let changes = self.server.tick(crate::daemon::now());
            self.parts.board.note(&changes);
            ledger::note(&mut self.batch, &changes);
            // The clock may have gone to or from summer time.
            self.renew_site();
        }
        self.look_again(now);
    }

    /// Goes on with the addresses that are being looked at.
    fn look_again(&mut self, now: Instant) {
        if self.looks.iter().all(|look| now < look.due) {
            return;
        }
        let (mut arp, mut looks) = (std::mem::take(&mut self.arp), std::mem::take(&mut self.looks));
        let mut done = Vec::new();
        looks.retain_mut(|look| {
            let found = if now < look.due { None } else { arp.again(look, now) };
            done.extend(found.map(|found| (look.address, look.interface, found)));
            found.is_none()
        });
        (self.arp, self.looks) = (arp, looks);
        for (address, interface, found) in done {
            let at = crate::daemon::now();
            let reaction = self.server.probed(address, found, &self.people, at);
            let by_route = || self.links.all().find(|link| link.reaches(address)).cloned();
            let Some(link) = self.links.get(interface).cloned().or_else(by_route) else { continue };
            let local = link.homes.iter().find(|home| home.net.contains(address));
            let local = local.or(link.homes.first()).map(|home| home.address);
            self.carry_out(reaction, &link, local.unwrap_or(Ipv4Addr::UNSPECIFIED), at);
        }
    }

    /// Sends what may leave, and hands over what has to be durable first.
    fn flush(&mut self) {
        let Some(socket) = &self.parts.socket else { return };
        if !self.at_once.is_empty() {
            let failed = post::send(socket, &self.at_once);
            self.parts.board.answered(self.at_once.len(), failed);
            self.at_once.clear();
        }
        if self.batch.is_empty() && self.durable.is_empty() {
            return;
        }
        let Some(ledger) = &self.parts.ledger else { return };
        let batch = std::mem::take(&mut self.batch);
        if !ledger.put(batch, &mut self.durable) {
            let lost = u64::try_from(self.durable.len()).unwrap_or(0);
            self.parts.board.above_limit.fetch_add(lost, Ordering::Relaxed);
            self.durable.clear();
        }
    }

    /// What other servers broadcast.
    fn overheard(&mut self) {
        let mut inbox = std::mem::replace(&mut self.inbox, Inbox::none());
        let ear = self.parts.ear.as_ref();
        if ear.is_some_and(|ear| inbox.receive(ear).is_ok()) {
            let at = now();
            for (_, datagram) in inbox.datagrams() {
                self.hear(datagram, at);
            }
        }
        self.inbox = inbox;
    }

    fn hear(&mut self, datagram: &[u8], at: Time) {
        let (Ok(message), Some(wanted)) = (dhcp::parse(datagram), &self.wanted) else { return };
        let watched = wanted.dhcp.watch || wanted.dhcp.mode == DhcpMode::Phones;
        let phone = !matches!(self.people.client(message.mac, message.class()), Client::Stranger);
        let known = phone || wanted.phones.contains_key(&message.mac);
        if !watched || !known {
            return;
        }
        let Some(boot) = wanted.boot(wanted.scope(message.yiaddr)) else { return };
        let ours: Vec<Ipv4Addr> = self.links.addresses().collect();
        let Some(heard) = foreign::judge(&message, boot, &ours) else { return };
        if let Some(text) = heard.in_words(message.mac) {
            self.alert(&text, at);
        }
        let address = Some(message.yiaddr).filter(|address| !address.is_unspecified());
        let said = Said::Foreign { server: heard.server, wrong: heard.wrong };
        let exchange =
            Exchange { mac: message.mac, at, said, address, class: None, interface: None };
        self.parts.reporter.said(exchange, Instant::now());
    }
}

/// Whether messages of an interface are answered.
fn serves(wanted: &Wanted, link: &Link) -> bool {
    let named = &wanted.dhcp.interfaces;
    wanted.dhcp.mode != DhcpMode::Off && (named.is_empty() || named.contains(&link.name))
}
