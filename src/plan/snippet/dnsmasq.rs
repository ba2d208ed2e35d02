//! dnsmasq: a file for /etc/dnsmasq.d.

use super::{Made, colons, head, quotable};

pub(super) fn text(made: &Made<'_>) -> String {
    let mut text = head(
        "#",
        &[
            "For /etc/dnsmasq.d. dnsmasq reads it at its start: snippet_reload restarts it.",
            "Where dnsmasq is the only server of its networks, write dhcp-authoritative there too: a phone that",
            "asks for the address of another network waits for a minute otherwise.",
        ],
    );
    for class in &made.classes {
        // A comma ends the text, which is looked for anywhere in option 60.
        let part = class.prefix.rsplit(',').next().unwrap_or_default().trim();
        let group = &made.groups[class.group].name;
        text += &format!("dhcp-vendorclass=set:{group},{}\n", quotable(part));
    }
    for host in &made.hosts {
        let address = host.ip.map(|ip| format!(",{ip}")).unwrap_or_default();
        let group = &made.groups[host.group].name;
        text += &format!("dhcp-host={},set:{group}{address}\n", host.mac);
    }
    for group in &made.groups {
        let (tag, boot) = (&group.name, &group.boot);
        text += &format!(
            "dhcp-boot=tag:{tag},,,{server}\ndhcp-option=tag:{tag},66,\"{}\"\ndhcp-option=tag:{tag},150,{server}\n",
            quotable(&boot.name),
            server = boot.server
        );
        if !boot.vendor.is_empty() {
            text += &format!("dhcp-option=tag:{tag},43,{}\n", colons(&boot.vendor));
        }
    }
    text
}
