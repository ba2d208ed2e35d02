//! DHCP: a DISCOVER by a virtual 7960, and what the offers would make of it. There is never a REQUEST, so
//! that no lease is taken.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt,
};

use super::finding::Finding;
use super::net::random;
use super::{Case, Doctor};
use crate::base::{Code, Diagnostic, Mac};
use crate::wire::dhcp::{self, CLIENT_PORT, Kind, Message, Room, SERVER_PORT, option};

/// All codes of this step.
pub(crate) static CODES: &[&Code] = &[&NO_OFFER, &WRONG_SERVER, &NO_SERVER, &DIFFERENT, &NETWORK];

static NO_OFFER: Code = Code {
    id: "H0910",
    title: "no DHCP server offers a phone an address",
    explain: "A phone without an address does nothing: its display stays at \"Configuring IP\". Phones whose \
              address was typed in are not concerned.",
};

static WRONG_SERVER: Code = Code {
    id: "H0911",
    title: "DHCP sends phones to another server",
    explain: "A phone asks the server that option 150, option 66 or siaddr names for its files. Which of them it \
              prefers differs with its firmware, so all three must name handset's address, or be absent.",
};

static NO_SERVER: Code = Code {
    id: "H0912",
    title: "DHCP does not say where the files are",
    explain: "Without option 150 or 66 a phone asks the server that it remembers, and a new or newly flashed one \
              asks nobody: it ends in \"Protocol Application Invalid\" or starts over for ever.",
};

static DIFFERENT: Code = Code {
    id: "H0913",
    title: "several DHCP servers answer",
    explain: "A phone takes the offer that comes first, today one server's and tomorrow the other's.",
};

static NETWORK: Code = Code {
    id: "H0914",
    title: "an offer's netmask or router is odd",
    explain: "With a wrong netmask or without a router a phone does not reach Asterisk or handset, although it \
              has an address.",
};

/// What a 7960 with newer firmware says (phones.md §4.1), with its NUL.
const CLASS: &[u8] = b"Cisco Systems, Inc. IP Phone CP-7960G\0";
/// What it asks for: netmask, 66, name server, router, domain, 150, and ARP's time (phones.md §4.1).
const WANTED: [u8; 7] = [1, 66, 6, 3, 15, 150, 35];
/// Some servers look for three seconds whether an address is free before they offer it.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long other servers are awaited after the first.
const OTHERS: Duration = Duration::from_secs(1);
/// The question is repeated, as phones do.
const REPEAT: Duration = Duration::from_secs(2);
/// No more offers are taken.
const OFFERS_MAX: usize = 32;

/// Asks and judges.
pub(super) fn examine(case: &Case, options: &Doctor) -> Vec<Finding> {
    let IpAddr::V4(server) = case.server else {
        return vec![Finding::skipped(
            "phones are told an IPv6 address, which DHCP (IPv4) does not know",
        )];
    };
    let interface = match &options.interface {
        Some(name) => name.clone(),
        None if server.is_loopback() => {
            return vec![Finding::skipped(format!(
                "{server} is this machine alone: no phone reaches it"
            ))];
        }
        None => match interface_of(server) {
            Some(name) => name,
            None => {
                let why = format!(
                    "no interface here has {server}: name the phones' one with --interface"
                );
                return vec![Finding::skipped(why)];
            }
        },
    };
    let mac = options.phone.as_ref().map_or_else(virtual_mac, |_| case.phone.mac);
    match discover(&interface, mac) {
        Ok(offers) => judge(&offers, server, &interface, served_here()),
        Err(error) => vec![Finding::skipped(cannot(&interface, &error))],
    }
}

fn cannot(interface: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "a DHCP client's port (68) is root's: use sudo to ask for offers".into()
        }
        io::ErrorKind::AddrInUse => {
            "another program holds port 68 (this machine's own DHCP client), so no offer can be heard".into()
        }
        _ => format!("no DISCOVER could be sent on {interface}: {error}"),
    }
}

/// The interface that has an address.
fn interface_of(address: Ipv4Addr) -> Option<String> {
    let mut all = nix::ifaddrs::getifaddrs().ok()?;
    let has = |i: &nix::ifaddrs::InterfaceAddress| {
        i.address.as_ref().and_then(|a| a.as_sockaddr_in()).map(SockaddrIn::ip) == Some(address)
    };
    all.find(has).map(|i| i.interface_name)
}

/// An address that no maker gave to any phone: the bit for local administration is set.
fn virtual_mac() -> Mac {
    let [a, b, c, ..] = random().to_be_bytes();
    Mac::new([0x02, 0x18, 0xb9, a, b, c]).expect("it is neither zero nor a group's")
}

/// The question.
fn question(mac: Mac, xid: u32, secs: u16) -> Message {
    let mut message = Message::new(Kind::Discover, mac, xid);
    message.secs = secs;
    message.broadcast = true;
    let id = [&[1][..], &mac.bytes()].concat();
    message.options.set(option::CLIENT, id);
    message.options.set(option::HOST, format!("SEP{}", mac.upper()));
    message.options.set(option::CLASS, CLASS);
    message.options.set(option::WANTED, WANTED);
    message
}

fn open(interface: &str) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::Broadcast, &true)?;
    setsockopt(&fd, sockopt::BindToDevice, &interface.into())?;
    bind(fd.as_raw_fd(), &SockaddrIn::new(0, 0, 0, 0, CLIENT_PORT))?;
    Ok(UdpSocket::from(fd))
}

/// The offers, each with who sent it.
fn discover(interface: &str, mac: Mac) -> io::Result<Vec<(Ipv4Addr, Message)>> {
    let socket = open(interface)?;
    let (xid, began) = ((random() >> 32) as u32, Instant::now());
    let (mut offers, mut end, mut repeat) = (Vec::new(), began + PATIENCE, began);
    let mut buffer = [0; dhcp::MAX_DATAGRAM];
    while Instant::now() < end && offers.len() < OFFERS_MAX {
        if repeat <= Instant::now() {
            let secs = u16::try_from(began.elapsed().as_secs()).unwrap_or(u16::MAX);
            let bytes = dhcp::encode(&question(mac, xid, secs), Room::LARGEST);
            socket.send_to(&bytes, (Ipv4Addr::BROADCAST, SERVER_PORT))?;
            repeat += REPEAT;
        }
        let wait = repeat.min(end).saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let message = dhcp::parse(&buffer[..length]);
        let ours = |m: &Message| m.kind == Kind::Offer && m.xid == xid && m.mac == mac;
        let (Some(message), SocketAddr::V4(from)) = (message.ok().filter(ours), from) else {
            continue;
        };
        let by = message.options.address(option::SERVER).unwrap_or(*from.ip());
        if !offers.iter().any(|(known, _)| *known == by) {
            offers.push((by, message));
            end = end.min(Instant::now() + OTHERS);
        }
    }
    Ok(offers)
}

/// Whether something on this machine listens on the servers' port.
fn served_here() -> bool {
    let listed = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    listed.lines().filter_map(|l| l.split_whitespace().nth(1)).any(|local| local.ends_with(":0043"))
}

fn judge(
    offers: &[(Ipv4Addr, Message)],
    server: Ipv4Addr,
    interface: &str,
    served_here: bool,
) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        offers.iter().flat_map(|(by, offer)| judge_offer(*by, offer, server)).collect();
    if let [(first, _), (second, _), ..] = offers {
        let text = format!("{} servers answer on {interface}: {first}, {second} …", offers.len());
        let help = "let one of them answer phones, or make sure that all offer the same";
        found.push(Diagnostic::warning(&DIFFERENT, text).help(help).into());
    }
    if offers.is_empty() {
        let text = format!("nobody offers a virtual 7960 an address on {interface} within 6 s");
        found.push(match served_here {
            // A server that sends past the kernel's UDP is not heard on its own machine.
            true => Diagnostic::warning(&NO_OFFER, text + "; a DHCP server runs here, which may not be heard from here")
                .help("look at its log, or ask from another machine")
                .into(),
            false => Diagnostic::error(&NO_OFFER, text)
                .help("start a DHCP server for this network, or a relay to it; is it the phones' interface (--interface)?")
                .into(),
        });
    }
    found
}

/// One way of telling where the files are.
#[derive(PartialEq, Eq, Debug)]
enum Named {
    Absent,
    Ours,
    Other(String),
}

fn named(address: Option<Ipv4Addr>, server: Ipv4Addr) -> Named {
    match address {
        None | Some(Ipv4Addr::UNSPECIFIED) => Named::Absent,
        Some(address) if address == server => Named::Ours,
        Some(address) => Named::Other(address.to_string()),
    }
}

/// Option 66: an address as text, or a name that is not looked up here.
fn named_by_text(text: Option<&[u8]>, server: Ipv4Addr) -> Named {
    let Some(text) = text.filter(|t| !t.is_empty()) else { return Named::Absent };
    let text: String = text.iter().take(64).map(|b| char::from(*b)).collect();
    match text.trim().parse() {
        Ok(address) => named(Some(address), server),
        Err(_) => Named::Other(text),
    }
}

fn judge_offer(by: Ipv4Addr, offer: &Message, server: Ipv4Addr) -> Vec<Finding> {
    let list = offer.options.get(option::TFTP_ADDRESSES).and_then(|v| v.first_chunk::<4>());
    let list = named(list.map(|bytes| Ipv4Addr::from(*bytes)), server);
    let text = named_by_text(offer.options.trimmed(option::TFTP_NAME), server);
    let next = named(Some(offer.siaddr), server);
    let cure = format!(
        "let {by} send option 150 = {server}, option 66 = {server} as text, and siaddr (next-server) = {server}"
    );
    let mut found = Vec::new();
    for (what, named) in [("option 150", &list), ("option 66", &text)] {
        if let Named::Other(other) = named {
            let text = format!("{by} offers {what} = {other}, and handset is {server}");
            found.push(Diagnostic::error(&WRONG_SERVER, text).help(&cure).into());
        }
    }
    let said = list == Named::Ours || text == Named::Ours;
    match &next {
        Named::Other(other) if said => {
            let text = format!("{by} offers siaddr = {other}, and handset is {server}");
            found.push(Diagnostic::warning(&WRONG_SERVER, text).help(&cure).into());
        }
        Named::Other(other) if found.is_empty() => {
            let text = format!(
                "{by} offers no option 150 or 66, and siaddr = {other}, and handset is {server}"
            );
            found.push(Diagnostic::error(&WRONG_SERVER, text).help(&cure).into());
        }
        Named::Absent if !said && found.is_empty() => {
            let text = format!("{by} offers {} and no option 150, 66 or siaddr", offer.yiaddr);
            found.push(Diagnostic::error(&NO_SERVER, text).help(&cure).into());
        }
        _ => {}
    }
    found.extend(network(by, offer, server));
    if found.is_empty() {
        found.push(Finding::fine(format!("{by} offers {} and names {server}", offer.yiaddr)));
    }
    found
}

/// Whether a phone with this offer reaches the server.
fn network(by: Ipv4Addr, offer: &Message, server: Ipv4Addr) -> Option<Finding> {
    let odd = |text: String, help: &str| -> Option<Finding> {
        Some(Diagnostic::warning(&NETWORK, text).help(help).into())
    };
    let Some(mask) = offer.options.address(option::MASK).map(u32::from) else {
        return odd(
            format!("{by} offers no netmask (option 1)"),
            "let it send the network's netmask",
        );
    };
    if mask.leading_ones() + mask.trailing_zeros() < 32 {
        let text = format!("{by} offers the netmask {}, which is none", Ipv4Addr::from(mask));
        return odd(text, "correct option 1");
    }
    let near = |other: Ipv4Addr| u32::from(other) & mask == u32::from(offer.yiaddr) & mask;
    let routers = offer.options.get(option::ROUTER).unwrap_or_default();
    let router = routers.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes));
    match router {
        Some(router) if !near(router) => {
            let text = format!(
                "{by} offers the router {router}, which is not in the network of {}",
                offer.yiaddr
            );
            odd(text, "correct option 3 or the netmask")
        }
        None if !near(server) => {
            let text = format!(
                "{by} offers {} and no router, and handset's {server} is in another network",
                offer.yiaddr
            );
            odd(text, "let it send the network's router (option 3)")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::verdicts;
    use super::*;

    const US: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const BY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
    const OTHER: [u8; 4] = [192, 0, 2, 9];

    fn offer(siaddr: [u8; 4], options: &[(u8, &[u8])]) -> Message {
        let mut message = Message::new(Kind::Offer, virtual_mac(), 1);
        message.yiaddr = Ipv4Addr::new(192, 0, 2, 100);
        message.siaddr = siaddr.into();
        message.options.set(option::MASK, [255, 255, 255, 0]);
        options.iter().for_each(|(code, value)| message.options.set(*code, *value));
        message
    }

    #[track_caller]
    fn check(siaddr: [u8; 4], options: &[(u8, &[u8])], expected: &str) {
        let found = judge(&[(BY, offer(siaddr, options))], US, "eth0", false);
        assert_eq!(verdicts(&found), expected);
    }

    #[test]
    fn every_way_of_naming_the_server_must_name_ours() {
        let (us, none) = (US.octets(), [0; 4]);
        check(us, &[(150, &us), (66, b"192.0.2.1")], "fine");
        check(none, &[(150, &us)], "fine");
        check(none, &[(66, b"192.0.2.1\0")], "fine");
        check(us, &[], "fine");
        check(none, &[], "error H0912");
        check(OTHER, &[], "error H0911");
        check(none, &[(150, &OTHER)], "error H0911");
        check(us, &[(150, &OTHER), (66, b"192.0.2.9")], "error H0911, error H0911");
        check(none, &[(150, &us), (66, b"tftp://192.0.2.1")], "error H0911");
        check(OTHER, &[(150, &us)], "warning H0911");
        check(none, &[(150, &[1, 2])], "error H0912");
    }

    #[test]
    fn a_phone_must_reach_the_server() {
        let us = US.octets();
        let (server, wide, odd, far) = (
            (150, &us[..]),
            (1, &[255, 0, 0, 0][..]),
            (1, &[255, 0, 255, 0][..]),
            (3, &[10, 0, 0, 1][..]),
        );
        check(us, &[server, wide], "fine");
        check(us, &[server, odd], "warning H0914");
        check(us, &[server, far], "warning H0914");
        check(us, &[server, (3, &[192, 0, 2, 254])], "fine");
        check(us, &[server, (1, &[255, 255, 255, 192])], "warning H0914");
        check(us, &[server, (1, b"")], "warning H0914");
    }

    #[test]
    fn nobody_and_several_are_told() {
        assert_eq!(verdicts(&judge(&[], US, "eth0", false)), "error H0910");
        assert_eq!(verdicts(&judge(&[], US, "eth0", true)), "warning H0910");
        let good = offer([0; 4], &[(150, &US.octets())]);
        let bad = offer([0; 4], &[(150, &OTHER)]);
        let both = [(BY, good.clone()), (OTHER.into(), good.clone())];
        assert_eq!(verdicts(&judge(&both, US, "eth0", false)), "fine, fine, warning H0913");
        let both = [(BY, good), (OTHER.into(), bad)];
        assert_eq!(verdicts(&judge(&both, US, "eth0", false)), "fine, error H0911, warning H0913");
    }

    #[test]
    fn the_question_is_a_7960s_and_takes_nothing() {
        let mac = virtual_mac();
        assert!(mac.locally_administered());
        let bytes = dhcp::encode(&question(mac, 7, 0), Room::LARGEST);
        let back = dhcp::parse(&bytes).unwrap();
        assert_eq!((back.kind, back.xid, back.broadcast), (Kind::Discover, 7, true));
        assert_eq!(back.class(), Some(&b"Cisco Systems, Inc. IP Phone CP-7960G"[..]));
        assert!(back.options.get(option::REQUESTED).is_none());
    }
}
