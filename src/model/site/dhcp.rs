//! `[dhcp]` and `[dhcp 192.0.2.0/24]`: the DHCP service and its scopes.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::{Code, Diagnostic, Span, Spanned};

/// `[dhcp]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dhcp {
    /// `mode`, default off.
    pub mode: DhcpMode,
    /// `interfaces`; empty: all with an address in a scope.
    pub interfaces: Vec<String>,
    /// `lease`, default 12 h.
    pub lease: Duration,
    /// `authoritative`, default yes: a phone that asks for an address of another network is refused at
    /// once (phones.md §4.1).
    pub authoritative: bool,
    /// `server`: the address of the boot server that clients are told; unset: `server_address`.
    pub server: Option<Spanned<Ipv4Addr>>,
    /// `watch`: listen to other servers also while `mode` is off.
    pub watch: bool,
    /// `snippet_file`.
    pub snippet_file: Option<PathBuf>,
    /// `snippet_kind`.
    pub snippet_kind: Option<SnippetKind>,
    /// `snippet_reload`: a program and its arguments; empty for none.
    pub snippet_reload: Vec<String>,
    /// `[dhcp NETWORK]`, in the order of the file. Empty: each directly attached network is a scope
    /// without a pool.
    pub scopes: Vec<Scope>,
}

/// `mode=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DhcpMode {
    /// No service.
    #[default]
    Off,
    /// Phones only: tagged ones, and those that a family recognises.
    Phones,
    /// Everybody.
    Full,
}

/// `snippet_kind=`: whose configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SnippetKind {
    /// ISC dhcpd.
    Isc,
    /// Kea.
    Kea,
    /// dnsmasq.
    Dnsmasq,
    /// RouterOS.
    Mikrotik,
    /// Cisco IOS.
    CiscoIos,
}

impl SnippetKind {
    /// Every kind with its word.
    pub const ALL: [(&'static str, Self); 5] = [
        ("isc", Self::Isc),
        ("kea", Self::Kea),
        ("dnsmasq", Self::Dnsmasq),
        ("mikrotik", Self::Mikrotik),
        ("cisco-ios", Self::CiscoIos),
    ];
}

/// `[dhcp NETWORK]`: what holds in one subnet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// The subnet.
    pub net: Net4,
    /// Where the section begins.
    pub span: Span,
    /// `pool`: ranges of addresses, both ends included; empty: reserved addresses only.
    pub pool: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// `router` (option 3).
    pub router: Vec<Ipv4Addr>,
    /// `dns` (option 6).
    pub dns: Vec<Ipv4Addr>,
    /// `domain` (option 15).
    pub domain: Option<String>,
    /// `lease`; unset: that of `[dhcp]`.
    pub lease: Option<Duration>,
    /// `ntp` (option 42); empty: the boot server.
    pub ntp: Vec<Ipv4Addr>,
    /// `vlan` (option 132), 1 to 4094.
    pub vlan: Option<u16>,
    /// `boot_server`; unset: `server` of `[dhcp]`.
    pub boot_server: Option<Ipv4Addr>,
    /// `unknown`, default yes: a recognised phone without a tag gets an address of the pool.
    pub unknown: bool,
}

impl Scope {
    /// A scope of which only the network is known.
    pub fn new(net: Net4, span: Span) -> Self {
        Self {
            net,
            span,
            pool: Vec::new(),
            router: Vec::new(),
            dns: Vec::new(),
            domain: None,
            lease: None,
            ntp: Vec::new(),
            vlan: None,
            boot_server: None,
            unknown: true,
        }
    }
}

impl Default for Dhcp {
    fn default() -> Self {
        Self {
            mode: DhcpMode::Off,
            interfaces: Vec::new(),
            lease: Duration::from_secs(12 * 3600),
            authoritative: true,
            server: None,
            watch: false,
            snippet_file: None,
            snippet_kind: None,
            snippet_reload: Vec::new(),
            scopes: Vec::new(),
        }
    }
}

/// An IPv4 network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Net4 {
    address: Ipv4Addr,
    length: u8,
}

impl Net4 {
    /// Every address.
    pub const ALL: Self = Self { address: Ipv4Addr::UNSPECIFIED, length: 0 };

    /// The network that an address with so many leading bits lies in; none for more than 32 bits.
    pub fn of(address: Ipv4Addr, length: u8) -> Option<Self> {
        let mask = mask(length)?;
        Some(Self { address: (address.to_bits() & mask).into(), length })
    }

    /// Its first address.
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// How many leading bits count.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Its mask.
    pub fn mask(self) -> Ipv4Addr {
        mask(self.length).unwrap_or(u32::MAX).into()
    }

    /// Its last address: the broadcast, where it has one.
    pub fn last(self) -> Ipv4Addr {
        (self.address.to_bits() | !self.mask().to_bits()).into()
    }

    /// Whether an address lies in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask().to_bits() == self.address.to_bits()
    }

    /// Whether an address in it can be a host's: not the network's own, not the broadcast (RFC 3021:
    /// networks of two addresses have neither).
    pub fn is_host(self, address: Ipv4Addr) -> bool {
        self.contains(address)
            && (self.length >= 31 || (address != self.address && address != self.last()))
    }

    /// `192.0.2.0/24`; with what is wrong with another text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let whole = || Some(text.split_once('/')?).map(|(a, l)| (a.trim(), l.trim()));
        let parts = whole().and_then(|(a, l)| Some((a.parse::<Ipv4Addr>().ok()?, number(l)?)));
        let Some((address, length)) = parts else {
            return Err(format!("{text:?} is no IPv4 network"));
        };
        match Self::of(address, length) {
            Some(net) if net.address != address => {
                Err(format!("{text:?} has bits behind its prefix: the network is {net}"))
            }
            Some(net) if (8..=30).contains(&length) => Ok(net),
            _ => Err(format!("{text:?} is no network of phones: 8 to 30 bits count")),
        }
    }
}

fn number(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn mask(length: u8) -> Option<u32> {
    let behind = 32_u32.checked_sub(length.into())?;
    Some(u32::MAX.checked_shl(behind).unwrap_or(0))
}

impl fmt::Display for Net4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

pub(super) static SCOPE: Code = Code {
    id: "H0306",
    title: "a scope of the DHCP service that cannot work",
    explain: "A section [dhcp 192.0.2.0/24] holds for one IPv4 network. Its pools and routers lie in it, \
              and no two scopes overlap. As long as handset.conf has an error, the daemon goes on with \
              the settings that it had.",
};

pub(super) static IDLE: Code = Code {
    id: "H0307",
    title: "a DHCP setting without effect",
    explain: "The setting needs another one to do something: mode = full gives addresses from the pools \
              of [dhcp NETWORK] sections, and snippet_file and snippet_kind belong together.",
};

/// What is wrong with scopes that were read, each value by itself being right. `place` finds the line of
/// a key of a scope.
pub(super) fn check(
    dhcp: &Dhcp,
    top: Option<Span>,
    place: &dyn Fn(&Scope, &str) -> Span,
) -> Vec<Diagnostic> {
    let mut said: Vec<Diagnostic> = dhcp.scopes.iter().flat_map(|s| of_scope(s, place)).collect();
    for (at, scope) in dhcp.scopes.iter().enumerate() {
        let other = dhcp.scopes.iter().take(at).find(|other| {
            other.net.contains(scope.net.address) || scope.net.contains(other.net.address)
        });
        if let Some(other) = other {
            let text = format!("the scopes {} and {} overlap", other.net, scope.net);
            let overlap = Diagnostic::error(&SCOPE, text).at(scope.span);
            said.push(overlap.see(other.span, "the other one").help("keep one of the two"));
        }
    }
    said.extend(top.and_then(|span| idle(dhcp).map(|d| d.at(span))));
    said
}

fn of_scope(scope: &Scope, place: &dyn Fn(&Scope, &str) -> Span) -> Vec<Diagnostic> {
    let error = |key: &str, text: String, help: &str| {
        Diagnostic::error(&SCOPE, text).at(place(scope, key)).help(help)
    };
    let mut said = Vec::new();
    let inside = "write addresses of the section's network";
    for (from, to) in &scope.pool {
        if !scope.net.is_host(*from) || !scope.net.is_host(*to) {
            let text = format!("the pool {from}-{to} does not lie in {}", scope.net);
            said.push(error("pool", text, inside));
        }
    }
    let mut pools = scope.pool.clone();
    pools.sort_unstable();
    if let Some(pair) = pools.windows(2).find(|pair| pair[0].1 >= pair[1].0) {
        let text = format!("two ranges of the pool have {} in common", pair[1].0);
        said.push(error("pool", text, "write each address once"));
    }
    for router in scope.router.iter().filter(|router| !scope.net.is_host(**router)) {
        let text = format!("the router {router} does not lie in {}", scope.net);
        said.push(error("router", text, inside));
    }
    said
}

fn idle(dhcp: &Dhcp) -> Option<Diagnostic> {
    let warn = |text: &str, help: &str| Some(Diagnostic::warning(&IDLE, text).help(help));
    match (&dhcp.snippet_file, dhcp.snippet_kind) {
        (Some(_), None) => return warn("snippet_file needs snippet_kind", "add snippet_kind"),
        (None, Some(_)) => return warn("snippet_kind needs snippet_file", "add snippet_file"),
        _ => {}
    }
    let pools = dhcp.scopes.iter().any(|scope| !scope.pool.is_empty());
    if dhcp.mode == DhcpMode::Full && !pools {
        let help = "add a section [dhcp NETWORK] with a pool, or write mode = phones";
        return warn("mode = full has no pool to give addresses from", help);
    }
    None
}
