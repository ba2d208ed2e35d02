//! What another DHCP server needs in order to boot phones from us, in that server's own language. The same
//! address is told in every way that phones look for it: siaddr = option 66 = option 150 (phones.md §4.2).

mod cisco_ios;
mod dnsmasq;
mod isc;
mod kea;
mod mikrotik;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::base::Mac;
use crate::family::Library;
use crate::model::phone::Reservations;
use crate::model::site::{Dhcp, Scope, SnippetKind};

/// What a snippet is made of.
pub struct Needs<'a> {
    /// The settings.
    pub dhcp: &'a Dhcp,
    /// The boot server where no setting names another one.
    pub server: Ipv4Addr,
    /// The families.
    pub families: &'a Library,
    /// The phones and their families.
    pub phones: &'a BTreeMap<Mac, Arc<str>>,
    /// Their own addresses.
    pub reserved: &'a Reservations,
}

/// What phones are told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Boot {
    server: Ipv4Addr,
    /// Option 66: the address, or a URL.
    name: String,
    /// Option 43.
    vendor: Vec<u8>,
}

/// Those who are told the same.
struct Group {
    /// `handset`, `handset-2`, …
    name: String,
    boot: Boot,
}

/// One phone.
struct Host {
    mac: Mac,
    ip: Option<Ipv4Addr>,
    /// Its place in [`Made::groups`].
    group: usize,
}

/// One vendor class.
struct Class {
    /// How option 60 begins.
    prefix: String,
    group: usize,
}

/// The parts of a snippet, in any language.
struct Made<'a> {
    dhcp: &'a Dhcp,
    groups: Vec<Group>,
    /// In the order of their MACs; none where classes are wanted.
    hosts: Vec<Host>,
    /// None where hosts are wanted.
    classes: Vec<Class>,
}

/// The snippet for a kind of server: an entry for each phone, or one for each vendor class.
pub fn snippet(kind: SnippetKind, needs: &Needs<'_>, by_class: bool) -> String {
    let mut made =
        Made { dhcp: needs.dhcp, groups: Vec::new(), hosts: Vec::new(), classes: Vec::new() };
    match by_class {
        true => made.take_classes(needs),
        false => made.take_hosts(needs),
    }
    match kind {
        SnippetKind::Isc => isc::text(&made),
        SnippetKind::Kea => kea::text(&made),
        SnippetKind::Dnsmasq => dnsmasq::text(&made),
        SnippetKind::Mikrotik => mikrotik::text(&made),
        SnippetKind::CiscoIos => cisco_ios::text(&made),
    }
}

impl<'a> Made<'a> {
    fn take_hosts(&mut self, needs: &Needs<'_>) {
        for (mac, family) in needs.phones {
            let ip = needs.reserved.get(mac).copied();
            let scope = ip.and_then(|ip| self.scope(ip));
            let group = self.group(needs, family, scope.and_then(|s| s.boot_server));
            self.hosts.push(Host { mac: *mac, ip, group });
        }
    }

    fn take_classes(&mut self, needs: &Needs<'_>) {
        for (name, family) in &needs.families.families {
            let group = self.group(needs, name, None);
            let mut prefixes: Vec<&str> =
                family.dhcp_classes.iter().map(|pattern| pattern.prefix.as_str()).collect();
            prefixes.sort_by_key(|prefix| prefix.len());
            let mut kept: Vec<&str> = Vec::new();
            for prefix in prefixes {
                // What begins like a shorter one is met by it.
                if !kept.iter().any(|shorter| prefix.starts_with(shorter)) {
                    kept.push(prefix);
                }
            }
            self.classes.extend(kept.iter().map(|p| Class { prefix: (*p).to_owned(), group }));
        }
    }

    fn group(&mut self, needs: &Needs<'_>, family: &str, server: Option<Ipv4Addr>) -> usize {
        let facts = needs.families.get(family).map(|f| f.dhcp.clone()).unwrap_or_default();
        let set = needs.dhcp.server.as_ref().map(|server| server.value);
        let server = server.or(set).unwrap_or(needs.server);
        let name = match &facts.url {
            Some(url) => url.replace("{server}", &server.to_string()),
            None => server.to_string(),
        };
        let boot = Boot { server, name, vendor: facts.vendor };
        let known = self.groups.iter().position(|group| group.boot == boot);
        known.unwrap_or_else(|| {
            let name = match self.groups.len() {
                0 => "handset".to_owned(),
                more => format!("handset-{}", more + 1),
            };
            self.groups.push(Group { name, boot });
            self.groups.len() - 1
        })
    }

    fn boot(&self, group: usize) -> &Boot {
        &self.groups[group].boot
    }

    fn scope(&self, ip: Ipv4Addr) -> Option<&'a Scope> {
        self.dhcp.scopes.iter().find(|scope| scope.net.contains(ip))
    }
}

/// The lines that begin a snippet, behind the mark of a comment.
fn head(mark: &str, lines: &[&str]) -> String {
    let mut text = format!("{mark} Written by `handset dhcp snippet`: changes here are lost.\n");
    for line in lines {
        text += &format!("{mark} {line}\n");
    }
    text
}

/// Bytes as `01:0a:…`.
fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Text that may stand in double quotes of any of these languages: it comes from manifests.
fn quotable(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .filter(|c| !"\"\\'$".contains(*c))
        .collect()
}

#[cfg(test)]
mod tests;
