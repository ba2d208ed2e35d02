//! The server's decisions (RFC 2131 §4.3), without I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::book::Book;
use super::encode::{Room, encode};
use super::lease::{Change, Lease, State};
use super::option;
use super::packet::{Kind, Message};
use super::reaction::{
    Alert, Arrival, Fact, Found, Outgoing, Probe, Reaction, Reason, Said, clean,
};
use super::route::Destination;
use super::site::{Boot, Client, Clients, Mode, Scope, Site};
use crate::base::{Mac, Time};

mod discover;
mod reply;
mod request;

/// How long an offer is kept for its client.
pub const OFFER: Duration = Duration::from_secs(60);
/// How long a look at an address may take; who has not answered by then is not there.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How many addresses are looked at at once; an offer beyond is made without a look.
pub const MAX_PROBES: usize = 1024;
/// How many addresses in a row are looked at for one DISCOVER.
pub const MAX_LOOKS: usize = 4;

/// The server.
#[derive(Clone, Debug, Default)]
pub struct Server {
    site: Site,
    book: Book,
    /// Addresses that are looked at, with the DISCOVER that waits for it.
    looks: BTreeMap<Ipv4Addr, Look>,
    told: BTreeSet<Alert>,
}

/// A DISCOVER that waits for a look.
#[derive(Clone, Debug)]
struct Look {
    arrival: Arrival,
    message: Message,
    since: Time,
    /// How many addresses were looked at for it.
    count: usize,
}

/// A message with everything that decides about it.
struct Ask<'a> {
    arrival: &'a Arrival,
    message: &'a Message,
    mac: Mac,
    client: Client,
    /// The scopes of the client's link, by their place in the site.
    scopes: Vec<usize>,
    /// It was sent by unicast from a network that is on no link here.
    routed: bool,
}

impl Ask<'_> {
    fn boot(&self) -> Option<&Boot> {
        match &self.client {
            Client::Known(boot) | Client::Recognised(boot) => Some(boot),
            Client::Stranger => None,
        }
    }

    fn relayed(&self) -> bool {
        !self.message.giaddr.is_unspecified()
    }
}

impl Server {
    /// A server without a lease.
    pub fn new(site: Site) -> Self {
        let mut server = Self::default();
        server.set_site(site);
        server
    }

    /// Takes stored rows in, at start and before the first message. The changes are those that a clock which
    /// was set meanwhile makes necessary.
    pub fn restore(&mut self, rows: impl IntoIterator<Item = Lease>, now: Time) -> Vec<Change> {
        self.book.restore(rows.into_iter(), now)
    }

    /// Takes changed settings over. Leases stay: who has an address outside of the new pools may renew it,
    /// and gets another at its next boot.
    pub fn set_site(&mut self, site: Site) {
        self.book.configure(&site);
        self.site = site;
        self.looks.clear();
        self.told.clear();
    }

    /// Who has which address.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// To be called once a minute: the book learns how the clock goes, and what is long over is forgotten.
    pub fn tick(&mut self, now: Time) -> Vec<Change> {
        let mut changes = self.book.read_clock(now);
        changes.extend(self.book.tidy());
        let now = self.book.now();
        self.looks.retain(|_, look| now.since(look.since) < OFFER);
        changes
    }

    /// Decides about one message.
    pub fn receive(
        &mut self,
        arrival: &Arrival,
        message: &Message,
        clients: &dyn Clients,
        now: Time,
    ) -> Reaction {
        let changes = self.book.read_clock(now);
        let mut reaction = Reaction { changes, ..Reaction::default() };
        let ask = self.ask(arrival, message, clients);
        let (said, about) = heard(message);
        ask.tell(&mut reaction, said, about);
        match self.refuses(&ask) {
            Some(reason) => ask.tell(&mut reaction, Said::Silent(reason), about),
            None => self.decide(&ask, &mut reaction),
        }
        reaction
    }

    /// Why a message is nothing for us, whatever it asks.
    fn refuses(&self, ask: &Ask<'_>) -> Option<Reason> {
        let relay = ask.message.giaddr;
        if ask.message.kind.by_server() || relay.is_broadcast() || relay.is_multicast() {
            return Some(Reason::Malformed);
        }
        match ask.client {
            _ if self.site.mode == Mode::Full => None,
            Client::Known(_) => None,
            Client::Recognised(_) => {
                let open = |at: &usize| self.site.scopes[*at].unknown;
                let closed = !ask.scopes.is_empty() && !ask.scopes.iter().any(open);
                closed.then_some(Reason::Untagged)
            }
            Client::Stranger => Some(Reason::Stranger),
        }
    }

    fn decide(&mut self, ask: &Ask<'_>, reaction: &mut Reaction) {
        match ask.message.kind {
            Kind::Discover => self.discover(ask, 0, reaction),
            Kind::Request => self.request(ask, reaction),
            Kind::Decline => self.decline(ask, reaction),
            Kind::Release => self.release(ask, reaction),
            Kind::Inform => self.inform(ask, reaction),
            Kind::Offer | Kind::Ack | Kind::Nak => {}
        }
    }

    fn ask<'a>(
        &self,
        arrival: &'a Arrival,
        message: &'a Message,
        clients: &dyn Clients,
    ) -> Ask<'a> {
        let client = clients.client(message.mac, message.class());
        let local = |address| arrival.homes.iter().any(|home| home.net.contains(address));
        let routed = arrival.unicast
            && message.giaddr.is_unspecified()
            && !message.ciaddr.is_unspecified()
            && !local(message.ciaddr);
        let from: Vec<Ipv4Addr> = if !message.giaddr.is_unspecified() {
            vec![selected(message)]
        } else if routed {
            vec![message.ciaddr]
        } else {
            arrival.homes.iter().map(|home| home.address).collect()
        };
        let all = self.site.scopes.iter().enumerate();
        let fits = |scope: &Scope| from.iter().any(|address| scope.net.contains(*address));
        let scopes = all.filter(|(_, scope)| fits(scope)).map(|(at, _)| at).collect();
        Ask { arrival, message, mac: message.mac, client, scopes, routed }
    }

    /// The first scope of the client's link whose network has an address.
    fn scope_of(&self, ask: &Ask<'_>, address: Ipv4Addr) -> Option<usize> {
        ask.scopes.iter().copied().find(|at| self.site.scopes[*at].net.contains(address))
    }

    /// Our address towards a scope.
    fn identity(ask: &Ask<'_>, scope: Option<&Scope>) -> Ipv4Addr {
        let homes = &ask.arrival.homes;
        let inside = homes.iter().find(|home| scope.is_some_and(|s| s.net.contains(home.address)));
        inside.or(homes.first()).map_or(Ipv4Addr::UNSPECIFIED, |home| home.address)
    }

    /// Whether an address is one of ours.
    fn is_ours(&self, ask: &Ask<'_>, address: Ipv4Addr) -> bool {
        self.site.ours.contains(&address)
            || ask.arrival.homes.iter().any(|home| home.address == address)
    }

    /// The server that a message is for, when that is another.
    fn other_server(&self, ask: &Ask<'_>) -> Option<Ipv4Addr> {
        let server = ask.message.options.address(option::SERVER)?;
        Some(server).filter(|server| !self.is_ours(ask, *server))
    }

    /// Tells an administrator, unless it was told and has not ended since.
    fn alert(&mut self, alert: Alert, reaction: &mut Reaction) {
        if self.told.len() < MAX_PROBES && self.told.insert(alert) {
            reaction.alerts.push(alert);
        }
    }

    fn decline(&mut self, ask: &Ask<'_>, reaction: &mut Reaction) {
        let address = ask.message.options.address(option::REQUESTED);
        let reason = match (address, self.other_server(ask)) {
            (None, _) => Reason::Malformed,
            (_, Some(server)) => Reason::ChoseServer(server),
            (Some(address), _) if self.has(ask.mac, address) => {
                let span = self.site.quarantine;
                reaction.changes.push(self.book.decline(address, ask.mac, span));
                reaction.alerts.push(Alert::Declined(address, ask.mac));
                Reason::NothingToSay
            }
            _ => Reason::NoRecord,
        };
        ask.tell(reaction, Said::Silent(reason), address);
    }

    /// Whether an address is the client's to decline.
    fn has(&self, mac: Mac, address: Ipv4Addr) -> bool {
        let ours = self.book.is_lessee(mac, address) || self.book.is_offered(mac, address);
        ours && !self.book.is_anothers(mac, address)
    }

    fn release(&mut self, ask: &Ask<'_>, reaction: &mut Reaction) {
        let address = ask.message.ciaddr;
        let reason = match self.other_server(ask) {
            Some(server) => Reason::ChoseServer(server),
            None => match self.book.release(ask.mac, address) {
                Some(change) => {
                    reaction.changes.push(change);
                    Reason::NothingToSay
                }
                None => Reason::NoRecord,
            },
        };
        ask.tell(reaction, Said::Silent(reason), Some(address));
    }

    fn inform(&mut self, ask: &Ask<'_>, reaction: &mut Reaction) {
        let said = Some(ask.message.ciaddr).filter(|address| !address.is_unspecified());
        let source = Some(*ask.arrival.source.ip())
            .filter(|address| !ask.relayed() && !address.is_unspecified());
        let address = said.or(source);
        let scope = address.and_then(|address| self.scope_of(ask, address));
        let Some(scope) = scope.or(ask.scopes.first().copied()) else {
            return ask.tell(reaction, Said::Silent(Reason::NoScope), address);
        };
        let mut reply = self.reply(Kind::Ack, ask, &self.site.scopes[scope], None);
        reply.ciaddr = address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        ask.send(reaction, reply, Said::Ack, address);
    }
}

impl Ask<'_> {
    fn tell(&self, reaction: &mut Reaction, said: Said, address: Option<Ipv4Addr>) {
        let class = self.message.class().map(clean);
        reaction.facts.push(Fact { mac: self.mac, address, class, said });
    }

    fn send(
        &self,
        reaction: &mut Reaction,
        message: Message,
        said: Said,
        address: Option<Ipv4Addr>,
    ) {
        let bytes = encode(&message, Room::of(self.message));
        let to = Destination::of(&message, self.routed.then_some(self.message.ciaddr));
        reaction.send = Some(Outgoing { message, bytes, to });
        self.tell(reaction, said, address);
    }
}

/// The address whose network a relay asks for: the link that it names (RFC 3527), the subnet that it selects
/// (RFC 3011), else its own.
fn selected(message: &Message) -> Ipv4Addr {
    let relay = message.options.get(option::RELAY).unwrap_or_default();
    let named = suboption(relay, 5).and_then(|value| <[u8; 4]>::try_from(value).ok());
    let subnet = message.options.address(option::SUBNET);
    named.map(Ipv4Addr::from).or(subnet).unwrap_or(message.giaddr)
}

/// A part of option 82 (RFC 3046 §2.0).
fn suboption(mut bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    while let Some(([code, length], rest)) = bytes.split_first_chunk::<2>() {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        if *code == wanted {
            return Some(value);
        }
        bytes = rest;
    }
    None
}

/// What a client says, and about which address.
fn heard(message: &Message) -> (Said, Option<Ipv4Addr>) {
    let wanted = message.options.address(option::REQUESTED);
    let own = Some(message.ciaddr).filter(|address| !address.is_unspecified());
    match message.kind {
        Kind::Request => (Said::Request, wanted.or(own)),
        Kind::Decline => (Said::Decline, wanted),
        Kind::Release => (Said::Release, own),
        Kind::Inform => (Said::Inform, own),
        _ => (Said::Discover, wanted),
    }
}

#[cfg(test)]
mod tests;
