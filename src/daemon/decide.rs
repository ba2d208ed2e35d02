//! What is decided once for a site when no setting says it: the address that goes into the files, and
//! the time zone.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use crate::model::peer::Registrar;
use crate::model::site::Site;

/// The address that phones reach us and Asterisk on: the setting, else a bindaddr that is no wildcard,
/// else what was decided before, else the host's only global address. With it comes what is to be
/// said when the host does not have the address that was decided.
pub fn server_address(
    site: &Site,
    registrar: &Registrar,
    before: Option<IpAddr>,
) -> Result<(IpAddr, Option<String>), String> {
    if let Some(address) = &site.server_address {
        return Ok((address.value, None));
    }
    if let Some(address) = registrar.address {
        return Ok((address, None));
    }
    let candidates = global_addresses();
    if let Some(before) = before {
        let lost = !candidates.is_empty() && !candidates.contains(&before);
        let note = || {
            format!(
                "this host no longer has {before}, which the phones' files name; write server_address into handset.conf"
            )
        };
        return Ok((before, lost.then(note)));
    }
    match candidates.as_slice() {
        [only] => Ok((*only, None)),
        [] => Err("this host has no global address: write server_address into handset.conf".into()),
        many => {
            let list: Vec<String> = many.iter().map(IpAddr::to_string).collect();
            Err(format!(
                "this host has several addresses ({}): write the one that phones shall use as server_address into handset.conf",
                list.join(", ")
            ))
        }
    }
}

/// The host's IPv4 addresses that are neither loopback nor link-local, once each. (The phones of the
/// families so far speak IPv4 only.)
fn global_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let mut addresses: Vec<IpAddr> = interfaces
        .filter_map(|interface| {
            interface.address?.as_sockaddr_in().map(nix::sys::socket::SockaddrIn::ip)
        })
        .filter(|address| {
            !address.is_loopback() && !address.is_link_local() && !address.is_unspecified()
        })
        .map(IpAddr::V4)
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The IANA zone: the setting, else what was decided before, else the host's, else UTC (said).
pub fn timezone(site: &Site, before: Option<&str>) -> (String, Option<String>) {
    if let Some(zone) = &site.timezone {
        return (zone.value.clone(), None);
    }
    if let Some(zone) = before {
        return (zone.to_owned(), None);
    }
    match host_zone() {
        Some(zone) => (zone, None),
        None => ("Etc/UTC".into(), Some("this host's time zone is not known, UTC is taken: write timezone into handset.conf".into())),
    }
}

/// As Debian keeps it: the name in /etc/timezone, or where /etc/localtime points to.
fn host_zone() -> Option<String> {
    let named = fs::read_to_string("/etc/timezone").ok().map(|text| text.trim().to_owned());
    let linked = || {
        let target = fs::canonicalize("/etc/localtime").ok()?;
        Some(target.strip_prefix(Path::new("/usr/share/zoneinfo")).ok()?.to_str()?.to_owned())
    };
    named.filter(|zone| !zone.is_empty()).or_else(linked)
}
