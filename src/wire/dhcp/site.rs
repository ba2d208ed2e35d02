//! What the server is told about its site: scopes, reservations, and who is who.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::net::{Net, Range};
use super::option::Setting;
use crate::base::Mac;

/// Whom the server serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Phones only, known or recognised. Strangers meet silence, whatever they say.
    #[default]
    Phones,
    /// Everybody.
    Full,
}

/// One network that addresses are given in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// The network. An interface with an address in it, or a relay's `giaddr` in it, leads to the scope.
    pub net: Net,
    /// Where addresses are picked from, besides reservations; what lies outside of `net` does not count.
    pub pools: Vec<Range>,
    /// How long a lease lasts; a minute at least.
    pub lease: Duration,
    /// The boot server that is told in siaddr, option 66 and option 150; by default the server identifier.
    pub boot: Option<Ipv4Addr>,
    /// Options of the network: 3, 6, 15, 42, 4, 2, …. What is always sent is not for here: 1, 28, 51, 53, 54,
    /// 58, 59, 66 and 150 are computed, and the same codes here are not used.
    pub settings: Vec<Setting>,
    /// In [`Mode::Phones`]: whether phones that are recognised and not known get addresses here.
    pub unknown: bool,
}

/// What does not change from packet to packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Whom to serve.
    pub mode: Mode,
    /// Whether a phone is refused that asks for an address which is wrong here, though nothing is known of it;
    /// otherwise it is not answered. What is another client's is refused in any case.
    pub authoritative: bool,
    /// The networks. The first that fits is used; several may fit one link.
    pub scopes: Vec<Scope>,
    /// Addresses that belong to one client, inside of pools or not.
    pub reserved: BTreeMap<Ipv4Addr, Mac>,
    /// All of this host's own addresses: option 54 with one of them means us, and nobody is given one.
    pub ours: BTreeSet<Ipv4Addr>,
    /// Whether to look for another machine at an address before it is offered to a client for the first time.
    pub probe: bool,
    /// How long nobody gets an address that was found in use by another machine.
    pub quarantine: Duration,
}

impl Default for Site {
    /// Nothing is served; the rest as most sites have it.
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            authoritative: true,
            scopes: Vec::new(),
            reserved: BTreeMap::new(),
            ours: BTreeSet::new(),
            probe: false,
            quarantine: Duration::from_secs(10 * 60),
        }
    }
}

/// What a phone needs besides an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Boot {
    /// Option 66 where it is not the boot server's dotted address: `{server}` in it is replaced by that.
    pub url: Option<String>,
    /// Option 12; none: no name is given.
    pub host: Option<String>,
    /// The family's and the phone's own options; they win over the scope's.
    pub settings: Arc<[Setting]>,
}

/// Who a client is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Client {
    /// A phone of the site.
    Known(Boot),
    /// Not of the site, but by its vendor class or its maker's addresses a phone that a family fits.
    Recognised(Boot),
    /// Anything else.
    Stranger,
}

/// Tells who a client is.
pub trait Clients {
    /// The client with this hardware address and vendor class, which has no NULs at its end.
    fn client(&self, mac: Mac, class: Option<&[u8]>) -> Client;
}

impl Scope {
    /// How long a lease lasts: a minute at least, and at most what 32 bits of seconds hold without meaning
    /// for ever.
    pub fn span(&self) -> Duration {
        let longest = Duration::from_secs(u64::from(u32::MAX) - 1);
        self.lease.clamp(Duration::from_secs(60), longest)
    }
}
