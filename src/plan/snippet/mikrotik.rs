//! RouterOS 7: a script to import. It takes away what an earlier one made.

use super::{Made, head, quotable};
use crate::base::hex;

pub(super) fn text(made: &Made<'_>) -> String {
    let mut text = head(
        "#",
        &[
            "Import it on the router: /import handset.rsc",
            "The router is authoritative where /ip dhcp-server print shows authoritative=yes: that spares phones a minute.",
        ],
    );
    text += "/ip dhcp-server lease remove [find comment=\"handset\"]\n\
             /ip dhcp-server matcher remove [find name~\"^handset\"]\n\
             /ip dhcp-server option sets remove [find name~\"^handset\"]\n\
             /ip dhcp-server option remove [find name~\"^handset\"]\n";
    for group in &made.groups {
        let (name, boot) = (&group.name, &group.boot);
        let address = hex::encode(&boot.server.octets());
        text += &format!(
            "/ip dhcp-server option add name={name}-66 code=66 value=\"s'{}'\"\n\
             /ip dhcp-server option add name={name}-150 code=150 value=0x{address}\n",
            quotable(&boot.name)
        );
        let mut options = format!("{name}-66,{name}-150");
        if !boot.vendor.is_empty() {
            let digits = hex::encode(&boot.vendor);
            text +=
                &format!("/ip dhcp-server option add name={name}-43 code=43 value=0x{digits}\n");
            options += &format!(",{name}-43");
        }
        text += &format!("/ip dhcp-server option sets add name={name} options={options}\n");
    }
    for (at, class) in made.classes.iter().enumerate() {
        text += &format!(
            "/ip dhcp-server matcher add name=handset-{} server=all code=60 matching-type=substring \
             value=\"{}\" option-set={}\n",
            at + 1,
            quotable(&class.prefix),
            made.groups[class.group].name
        );
    }
    for host in &made.hosts {
        let address = host.ip.map(|ip| format!(" address={ip}")).unwrap_or_default();
        text += &format!(
            "/ip dhcp-server lease add mac-address={}{address} dhcp-option-set={} comment=\"handset\"\n",
            host.mac.to_string().to_ascii_uppercase(),
            made.groups[host.group].name
        );
    }
    for scope in &made.dhcp.scopes {
        let server = scope.boot_server.or(made.groups.first().map(|group| group.boot.server));
        let Some(server) = server else { continue };
        text += &format!(
            "/ip dhcp-server network set [find address={}] next-server={server}\n",
            scope.net
        );
    }
    text
}
