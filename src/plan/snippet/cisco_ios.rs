//! Cisco IOS: pools to paste into the configuration. A pool of one host is all that IOS can give one phone; its
//! classes know no options, so by class the whole network is told.

use super::{Boot, Made, head, quotable};
use crate::base::{Mac, hex};

pub(super) fn text(made: &Made<'_>) -> String {
    let mut text = head("!", &["Paste it in configuration mode (configure terminal)."]);
    if !made.classes.is_empty() {
        for scope in &made.dhcp.scopes {
            text += &format!(
                "ip dhcp pool handset-{}\n network {} {}\n",
                scope.net.address(),
                scope.net.address(),
                scope.net.mask()
            );
            let routers: Vec<String> = scope.router.iter().map(ToString::to_string).collect();
            if !routers.is_empty() {
                text += &format!(" default-router {}\n", routers.join(" "));
            }
            let boot = made.boot(made.classes[0].group);
            let server = scope.boot_server.unwrap_or(boot.server);
            let name = boot.name.replace(&boot.server.to_string(), &server.to_string());
            text += &options(&Boot { server, name, ..boot.clone() });
        }
        if made.dhcp.scopes.is_empty() {
            text += "! handset.conf has no section [dhcp NETWORK]: which network to write is not known\n";
        }
    }
    for host in &made.hosts {
        let scope = host.ip.and_then(|ip| Some((ip, made.scope(ip)?)));
        match (host.ip, scope) {
            (_, Some((ip, scope))) => {
                text += &format!(
                    "ip dhcp pool handset-{}\n host {ip} {}\n client-identifier {}\n{}",
                    host.mac.lower(),
                    scope.net.mask(),
                    client(host.mac),
                    options(made.boot(host.group))
                );
            }
            (Some(ip), None) => {
                text += &format!(
                    "! {}: {ip} lies in no section [dhcp NETWORK], so its mask is not known\n",
                    host.mac
                );
            }
            (None, None) => {
                text += &format!(
                    "! {} has no ip= in its tag: it needs the options of its network\n",
                    host.mac
                );
            }
        }
    }
    text
}

fn options(boot: &Boot) -> String {
    let mut text = format!(
        " next-server {server}\n option 66 ascii \"{}\"\n option 150 ip {server}\n",
        quotable(&boot.name),
        server = boot.server
    );
    if !boot.vendor.is_empty() {
        text += &format!(" option 43 hex {}\n", hex::encode(&boot.vendor));
    }
    text
}

/// Option 61 of an Ethernet client: 01 and the MAC, in groups of four digits.
fn client(mac: Mac) -> String {
    let digits = format!("01{}", mac.lower());
    let groups = digits.as_bytes().chunks(4).map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(".")
}
