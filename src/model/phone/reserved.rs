//! The addresses that tags reserve (`ip=`), and what is wrong with them. Nothing here holds a phone's
//! files back: a phone without its reserved address gets another one, or none.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::Phone;
use crate::base::{Code, Diagnostic, Mac, Span};
use crate::model::site::{Dhcp, DhcpMode};

/// All codes of this module.
pub static CODES: &[&Code] = &[&SHARED, &OUTSIDE, &TAKEN];

static SHARED: Code = Code {
    id: "H0426",
    title: "one address is reserved for two phones",
    explain: "`ip=` reserves an address for one phone. The phone with the lower MAC keeps it, the other \
              one is treated as if its tag had no `ip=`.",
};

static OUTSIDE: Code = Code {
    id: "H0427",
    title: "a reserved address lies in no scope",
    explain: "`ip=` in a tag is an address in one of the sections [dhcp NETWORK] of handset.conf. A phone \
              gets it only in that network.",
};

static TAKEN: Code = Code {
    id: "H0428",
    title: "a reserved address belongs to something else",
    explain: "The address is that of a router, of this server, or of the network itself, so no phone can \
              have it.",
};

/// Who has which address reserved.
pub type Reservations = BTreeMap<Mac, Ipv4Addr>;

/// The addresses reserved for phones, and what is wrong with them.
pub fn reserved<'a>(
    phones: impl IntoIterator<Item = &'a Phone>,
    dhcp: &Dhcp,
) -> (Reservations, Vec<Diagnostic>) {
    let (mut owners, mut said) = (BTreeMap::<Ipv4Addr, (Mac, Span)>::new(), Vec::new());
    let mut reservations = Reservations::new();
    for phone in phones {
        let Some(ip) = &phone.ip else { continue };
        if let Some((other, place)) = owners.get(&ip.value) {
            let text = format!("{} is reserved for {other} and for {}", ip.value, phone.mac);
            let twice = Diagnostic::warning(&SHARED, text).at(ip.span);
            said.push(twice.see(*place, "the other tag").help("give each phone its own address"));
            continue;
        }
        owners.insert(ip.value, (phone.mac, ip.span));
        match trouble(ip.value, ip.span, dhcp) {
            Some(trouble) => said.push(trouble),
            None => drop(reservations.insert(phone.mac, ip.value)),
        }
    }
    (reservations, said)
}

/// Why the DHCP service could never give an address; nothing when it is off.
fn trouble(ip: Ipv4Addr, span: Span, dhcp: &Dhcp) -> Option<Diagnostic> {
    // Without scopes the networks of the host's own interfaces are the scopes, and known to it alone.
    if dhcp.mode == DhcpMode::Off || dhcp.scopes.is_empty() {
        return None;
    }
    let Some(scope) = dhcp.scopes.iter().find(|scope| scope.net.contains(ip)) else {
        let nets: Vec<String> = dhcp.scopes.iter().map(|scope| scope.net.to_string()).collect();
        let text = format!("{ip} lies in none of the networks {}", nets.join(", "));
        let help = "write an address of one of them, or add a section [dhcp NETWORK]";
        return Some(Diagnostic::warning(&OUTSIDE, text).at(span).help(help));
    };
    let what = if !scope.net.is_host(ip) {
        "the network itself"
    } else if scope.router.contains(&ip) {
        "a router"
    } else if dhcp.server.as_ref().is_some_and(|server| server.value == ip) {
        "this server"
    } else {
        return None;
    };
    let text = format!("{ip} is the address of {what}, so no phone can have it");
    Some(Diagnostic::warning(&TAKEN, text).at(span).help("write another address"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::phone::{ModelFacts, assemble};
    use crate::model::site::{self, Site};
    use crate::model::{peer, testing};

    const SITE: &str = "[dhcp]\nmode=full\n[dhcp 192.0.2.0/24]\nrouter=192.0.2.1\n\
                        pool=192.0.2.100-192.0.2.120\n";

    /// What is reserved, as `last digit of the MAC=address`, and what is said.
    fn check(site: &str, tags: &[&str], expected: &str, messages: &[&str]) {
        let account = |(n, tag): (usize, &&str)| {
            format!("[{}] ;MAC={tag}\ntype=friend\nhost=dynamic\nsecret=x\n", 101 + n)
        };
        let text: String = tags.iter().enumerate().map(account).collect();
        let read = testing::read(&text);
        let peers = peer::from_sip(&read.conf, &read.tags);
        let settings = testing::read(site);
        let (site, wrong) =
            site::read(&settings.conf, std::path::Path::new("/handset.conf"), &["cisco-79x0"]);
        assert!(wrong.is_empty(), "{wrong:?}");
        let facts = ModelFacts { family: "cisco-79x0".into(), model: "7960".into(), lines: 6 };
        let made = assemble(&peers.peers, &[], &[facts], &Site::default());
        assert!(made.diagnostics.is_empty(), "{:?}", made.diagnostics);
        let (found, said) = reserved(made.phones.values(), &site.dhcp);
        let found: Vec<_> =
            found.iter().map(|(mac, ip)| format!("{}={ip}", mac.bytes()[5])).collect();
        assert_eq!(found.join(" "), expected);
        assert_eq!(read.short(&said), messages);
    }

    #[test]
    fn each_phone_has_its_own_address_inside_or_beside_a_pool() {
        let tags = ["0018b9000001 ip=192.0.2.7", "0018b9000002 ip=192.0.2.101", "0018b9000003"];
        check(SITE, &tags, "1=192.0.2.7 2=192.0.2.101", &[]);
    }

    #[test]
    fn an_address_for_two_phones_is_the_first_ones() {
        let tags = ["0018b9000002 ip=192.0.2.7", "0018b9000001 ip=192.0.2.7"];
        let text = "sip.conf:1:28: warning[H0426]: 192.0.2.7 is reserved for 00:18:b9:00:00:01 and for \
                    00:18:b9:00:00:02";
        check(SITE, &tags, "1=192.0.2.7", &[text]);
    }

    #[test]
    fn an_address_that_cannot_be_given_is_told_of_where_the_service_runs() {
        let tags = ["0018b9000001 ip=198.51.100.7"];
        check("", &tags, "1=198.51.100.7", &[]);
        let text =
            "sip.conf:1:28: warning[H0427]: 198.51.100.7 lies in none of the networks 192.0.2.0/24";
        check(SITE, &tags, "", &[text]);
        for (ip, what) in [
            ("192.0.2.0", "the network itself"),
            ("192.0.2.255", "the network itself"),
            ("192.0.2.1", "a router"),
        ] {
            let tag = format!("0018b9000001 ip={ip}");
            let text = format!(
                "sip.conf:1:28: warning[H0428]: {ip} is the address of {what}, so no phone can have it"
            );
            check(SITE, &[&tag], "", &[&text]);
        }
    }
}
