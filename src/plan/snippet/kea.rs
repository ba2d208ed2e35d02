//! Kea: members of the object `Dhcp4`.

use super::{Boot, Made, head, quotable};
use crate::base::hex;

pub(super) fn text(made: &Made<'_>) -> String {
    let mut text = head(
        "//",
        &[
            "Include it inside of \"Dhcp4\": { … }: <?include \"/etc/kea/handset.json\"?> and a comma.",
            "Where Kea is the only server of its networks, write \"authoritative\": true there too: a phone that",
            "asks for the address of another network waits for a minute otherwise.",
        ],
    );
    text += "\"option-def\": [\n  { \"name\": \"handset-tftp\", \"code\": 150, \"space\": \"dhcp4\", \
             \"type\": \"ipv4-address\", \"array\": true }\n]";
    if !made.classes.is_empty() {
        let class = |class: &super::Class| {
            let prefix = quotable(&class.prefix);
            format!(
                "  {{ \"name\": \"{prefix}\",\n    \"test\": \"substring(option[60].hex, 0, {}) == '{prefix}'\",\n{} }}",
                prefix.len(),
                options(made.boot(class.group))
            )
        };
        text += &list("client-classes", made.classes.iter().map(class));
    }
    if !made.hosts.is_empty() {
        let host = |host: &super::Host| {
            let address =
                host.ip.map(|ip| format!(" \"ip-address\": \"{ip}\",")).unwrap_or_default();
            let options = options(made.boot(host.group));
            format!("  {{ \"hw-address\": \"{}\",{address}\n{options} }}", host.mac)
        };
        text += ",\n\"reservations-global\": true,\n\"reservations-in-subnet\": true";
        text += &list("reservations", made.hosts.iter().map(host));
    }
    text + "\n"
}

fn list(name: &str, items: impl Iterator<Item = String>) -> String {
    format!(",\n\"{name}\": [\n{}\n]", items.collect::<Vec<_>>().join(",\n"))
}

fn options(boot: &Boot) -> String {
    let Boot { server, name, vendor } = boot;
    let mut data = vec![
        format!("{{ \"name\": \"tftp-server-name\", \"data\": \"{}\" }}", quotable(name)),
        format!("{{ \"name\": \"handset-tftp\", \"data\": \"{server}\" }}"),
    ];
    if !vendor.is_empty() {
        let digits = hex::encode(vendor);
        data.push(format!("{{ \"code\": 43, \"csv-format\": false, \"data\": \"{digits}\" }}"));
    }
    let data = data.join(",\n      ");
    format!("    \"next-server\": \"{server}\",\n    \"option-data\": [\n      {data} ]")
}
