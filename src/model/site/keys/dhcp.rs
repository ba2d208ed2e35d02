//! The keys of `[dhcp]` and of its scopes.

use super::super::value::{
    Context, addresses, choice, host, interfaces, ipv4, lease, path, ranges, vlan, words, yes_no,
};
use super::super::{DhcpMode, Net4, Scope, Site, SnippetKind};
use super::{Key, Kind, put};

/// The name of the sections of scopes in the table of keys.
pub(in crate::model::site) const SCOPE: &str = "dhcp NETWORK";

/// The keys.
pub(super) const KEYS: [Key; 18] = [
    Key {
        section: "dhcp",
        name: "mode",
        kind: Kind::Choice(&["off", "phones", "full"]),
        default: "off",
        doc: "off: no DHCP service. phones: phones only, tagged ones and those that a family recognises; \
              everybody else is met with silence, so that it may stand beside another server. full: \
              everybody.",
        set: |site, value| {
            let modes =
                [("off", DhcpMode::Off), ("phones", DhcpMode::Phones), ("full", DhcpMode::Full)];
            put(&mut site.dhcp.mode, choice(value, &modes))
        },
    },
    Key {
        section: "dhcp",
        name: "interfaces",
        kind: Kind::Names,
        default: "none",
        doc: "Where DHCP requests are answered. Unset: on every interface with an address in a scope.",
        set: |site, value| put(&mut site.dhcp.interfaces, interfaces(value)),
    },
    Key {
        section: "dhcp",
        name: "lease",
        kind: Kind::Duration,
        default: "12h",
        doc: "How long an address is given for; a phone renews it after half of the time.",
        set: |site, value| put(&mut site.dhcp.lease, lease(value)),
    },
    Key {
        section: "dhcp",
        name: "authoritative",
        kind: Kind::Choice(&["yes", "no"]),
        default: "yes",
        doc: "yes: a phone that asks for an address of another network is refused at once and gets one of \
              this network; without that it waits for a minute at each boot. Strangers are never refused \
              in mode phones.",
        set: |site, value| put(&mut site.dhcp.authoritative, yes_no(value)),
    },
    Key {
        section: "dhcp",
        name: "server",
        kind: Kind::Address,
        default: "none",
        doc: "The boot server that phones are told, in the next-server field and in options 66 and 150 \
              alike. Unset: server_address.",
        set: |site, value| put(&mut site.dhcp.server, ipv4(value).map(|v| Some(value.spanned(v)))),
    },
    Key {
        section: "dhcp",
        name: "watch",
        kind: Kind::Choice(&["yes", "no"]),
        default: "no",
        doc: "yes: also with mode off, listen to what other DHCP servers tell phones, and warn when it is \
              wrong. In mode phones this is always done.",
        set: |site, value| put(&mut site.dhcp.watch, yes_no(value)),
    },
    Key {
        section: "dhcp",
        name: "snippet_file",
        kind: Kind::Path,
        default: "none",
        doc: "A file for another DHCP server, kept as `handset dhcp snippet` prints it.",
        set: |site, value| put(&mut site.dhcp.snippet_file, path(value).map(Some)),
    },
    Key {
        section: "dhcp",
        name: "snippet_kind",
        kind: Kind::Choice(&["isc", "kea", "dnsmasq", "mikrotik", "cisco-ios"]),
        default: "none",
        doc: "Which server the file is for.",
        set: |site, value| {
            put(&mut site.dhcp.snippet_kind, choice(value, &SnippetKind::ALL).map(Some))
        },
    },
    Key {
        section: "dhcp",
        name: "snippet_reload",
        kind: Kind::Text,
        default: "none",
        doc: "A program and its arguments, parted by blanks, that is run after the file changed, as \
              /usr/bin/systemctl reload dnsmasq. No shell reads it; it may take 30 seconds.",
        set: |site, value| put(&mut site.dhcp.snippet_reload, words(value)),
    },
    Key {
        section: SCOPE,
        name: "pool",
        kind: Kind::Ranges,
        default: "none",
        doc: "Addresses for phones without a reserved one, as 192.0.2.100-192.0.2.200. Unset: reserved \
              addresses only.",
        set: |site, value| put(&mut scope(site, value).pool, ranges(value)),
    },
    Key {
        section: SCOPE,
        name: "router",
        kind: Kind::Addresses,
        default: "none",
        doc: "The routers (option 3).",
        set: |site, value| put(&mut scope(site, value).router, addresses(value)),
    },
    Key {
        section: SCOPE,
        name: "dns",
        kind: Kind::Addresses,
        default: "none",
        doc: "The name servers (option 6).",
        set: |site, value| put(&mut scope(site, value).dns, addresses(value)),
    },
    Key {
        section: SCOPE,
        name: "domain",
        kind: Kind::Text,
        default: "none",
        doc: "The domain (option 15).",
        set: |site, value| put(&mut scope(site, value).domain, host(value).map(Some)),
    },
    Key {
        section: SCOPE,
        name: "lease",
        kind: Kind::Duration,
        default: "none",
        doc: "How long an address is given for here. Unset: lease of [dhcp].",
        set: |site, value| put(&mut scope(site, value).lease, lease(value).map(Some)),
    },
    Key {
        section: SCOPE,
        name: "ntp",
        kind: Kind::Addresses,
        default: "none",
        doc: "The time servers (option 42). Unset: the boot server.",
        set: |site, value| put(&mut scope(site, value).ntp, addresses(value)),
    },
    Key {
        section: SCOPE,
        name: "vlan",
        kind: Kind::Vlan,
        default: "none",
        doc: "The VLAN that phones whose family asks for it (option 132) are told.",
        set: |site, value| put(&mut scope(site, value).vlan, vlan(value).map(Some)),
    },
    Key {
        section: SCOPE,
        name: "boot_server",
        kind: Kind::Address,
        default: "none",
        doc: "The boot server here. Unset: server of [dhcp].",
        set: |site, value| put(&mut scope(site, value).boot_server, ipv4(value).map(Some)),
    },
    Key {
        section: SCOPE,
        name: "unknown",
        kind: Kind::Choice(&["yes", "no"]),
        default: "yes",
        doc: "yes: a phone that a family recognises gets an address of the pool before it is tagged.",
        set: |site, value| put(&mut scope(site, value).unknown, yes_no(value)),
    },
];

/// The scope of the section that is being read.
fn scope<'a>(site: &'a mut Site, value: &Context<'_>) -> &'a mut Scope {
    let net = value.scope.unwrap_or(Net4::ALL);
    let scopes = &mut site.dhcp.scopes;
    let at = scopes.iter().position(|scope| scope.net == net).unwrap_or_else(|| {
        scopes.push(Scope::new(net, value.span));
        scopes.len() - 1
    });
    &mut scopes[at]
}
