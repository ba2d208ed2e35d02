//! The kernel's neighbour table, as a DHCP server needs it: who answers for an address, and where to send
//! what goes to a client that does not answer for its address yet.
//!
//! A look at an address makes the kernel ask for it (it does so for any datagram) and reads what became of
//! the entry. An entry from before proves nothing: where we may, it is removed first; where we may not, only
//! an entry that was confirmed just now counts.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};

use super::post::{Parcel, send};
use crate::base::Mac;
use crate::daemon::neighbours::{Kernel, neighbour_at};
use crate::daemon::net::Listener;
use crate::wire::dhcp::Found;

/// A machine on the link answers within this time; then the address counts as free.
const PATIENCE: Duration = Duration::from_millis(400);
/// The first look comes so soon; the next ones after twice the time each.
const SOON: Duration = Duration::from_millis(10);

/// The neighbour table.
#[derive(Debug, Default)]
pub(super) struct Arp {
    kernel: Option<Kernel>,
    /// The kernel lets us change entries (`CAP_NET_ADMIN`); none: not tried yet.
    permitted: Option<bool>,
}

/// A look at an address that is under way.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) address: Ipv4Addr,
    pub(super) interface: u32,
    /// Who was there before, and cannot be told from somebody who is there now.
    before: Option<Mac>,
    began: Instant,
    pub(super) due: Instant,
    wait: Duration,
}

impl Arp {
    /// Begins a look.
    pub(super) fn look(
        &mut self,
        socket: &Arc<Listener>,
        (address, from): (Ipv4Addr, Ipv4Addr),
        interface: u32,
        now: Instant,
    ) -> Look {
        let mut before = self.entry(address, interface);
        if before.is_some() && self.remove(address, interface) {
            before = None;
        }
        // Port 9 discards (RFC 863).
        let to = SocketAddrV4::new(address, 9);
        send(socket, &[Parcel { to, interface, source: from, bytes: Vec::new() }]);
        Look { address, interface, before, began: now, due: now + SOON, wait: SOON }
    }

    /// Looks again; none while it has to go on.
    pub(super) fn again(&mut self, look: &mut Look, now: Instant) -> Option<Found> {
        let there = self.entry(look.address, look.interface);
        match there.filter(|mac| look.before != Some(*mac)) {
            Some(mac) => Some(Found::Taken(mac)),
            None if now >= look.began + PATIENCE => Some(Found::Free),
            None => {
                look.wait *= 2;
                look.due = (now + look.wait).min(look.began + PATIENCE);
                None
            }
        }
    }

    /// Tells the kernel where an address is; false when it does not take it.
    pub(super) fn set(&mut self, address: Ipv4Addr, interface: u32, mac: Mac) -> bool {
        let mut entry = neighbour_at(IpAddr::V4(address), interface);
        // Used at once, and looked after like any other.
        entry.header.state = NeighbourState::Stale;
        entry.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.bytes().to_vec()));
        self.change(entry, RouteNetlinkMessage::NewNeighbour)
    }

    fn remove(&mut self, address: Ipv4Addr, interface: u32) -> bool {
        let entry = neighbour_at(IpAddr::V4(address), interface);
        self.change(entry, RouteNetlinkMessage::DelNeighbour)
    }

    fn change(
        &mut self,
        entry: NeighbourMessage,
        how: impl FnOnce(NeighbourMessage) -> RouteNetlinkMessage,
    ) -> bool {
        if self.permitted == Some(false) {
            return false;
        }
        let done = self.with(|kernel| kernel.change(how(entry)));
        if done.is_none() && self.permitted.is_none() {
            tracing::info!(
                "the neighbour table cannot be changed (CAP_NET_ADMIN): offers are broadcast"
            );
        }
        self.permitted = Some(done.is_some() || self.permitted == Some(true));
        done.is_some()
    }

    /// Whose address it is, as far as the kernel knows.
    fn entry(&mut self, address: Ipv4Addr, interface: u32) -> Option<Mac> {
        self.with(|kernel| kernel.mac(IpAddr::V4(address), interface)).flatten()
    }

    fn with<T>(&mut self, ask: impl FnOnce(&mut Kernel) -> std::io::Result<T>) -> Option<T> {
        let mut kernel = self.kernel.take().or_else(|| Kernel::open().ok())?;
        let answer = ask(&mut kernel);
        // After an error the socket may hold answers to other questions.
        if answer.is_ok() {
            self.kernel = Some(kernel);
        }
        answer.ok()
    }
}
