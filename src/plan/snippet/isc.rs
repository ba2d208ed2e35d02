//! ISC dhcpd: a file to include.

use super::{Boot, Made, colons, head, quotable};

pub(super) fn text(made: &Made<'_>) -> String {
    let mut text = head(
        "#",
        &[
            "Include it at the top of dhcpd.conf: include \"/etc/dhcp/handset.conf\";",
            "Where dhcpd is the only server of its networks, write `authoritative;` there too: a phone that",
            "asks for the address of another network waits for a minute otherwise.",
        ],
    );
    text += "option handset-tftp code 150 = array of ip-address;\n";
    for class in &made.classes {
        let (prefix, boot) = (quotable(&class.prefix), made.boot(class.group));
        text += &format!(
            "class \"{prefix}\" {{\n  match if substring(option vendor-class-identifier, 0, {}) = \"{prefix}\";\n{}}}\n",
            prefix.len(),
            options(boot)
        );
    }
    for host in &made.hosts {
        let address = host.ip.map(|ip| format!("  fixed-address {ip};\n")).unwrap_or_default();
        text += &format!(
            "host handset-{} {{\n  hardware ethernet {};\n{address}{}}}\n",
            host.mac.lower(),
            host.mac,
            options(made.boot(host.group))
        );
    }
    text
}

fn options(boot: &Boot) -> String {
    let Boot { server, name, vendor } = boot;
    let mut text = format!(
        "  next-server {server};\n  option tftp-server-name \"{}\";\n  option handset-tftp {server};\n",
        quotable(name)
    );
    if !vendor.is_empty() {
        text += &format!("  option vendor-encapsulated-options {};\n", colons(vendor));
    }
    text
}
