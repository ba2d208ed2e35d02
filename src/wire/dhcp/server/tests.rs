use super::super::encode::MIN_LENGTH;
use super::super::net::{Net, Range};
use super::super::option::Setting;
use super::super::packet::parse;
use super::super::reaction::Home;
use super::super::route::SERVER_PORT;
use super::*;
use std::net::SocketAddrV4;
use std::sync::Arc;

mod exchanges;
mod probing;
mod random;
mod refusals;
mod relays;

pub(super) const PHONE: [u8; 6] = [0, 0x18, 0xb9, 0xff, 0xff, 0xfe];
pub(super) const SECOND: [u8; 6] = [0, 0x18, 0xb9, 0, 0, 2];
pub(super) const LAPTOP: [u8; 6] = [0x3c, 0x97, 0x0e, 1, 2, 3];
pub(super) const DAY: u64 = 86_400_000;
/// When the tests begin.
pub(super) const START: Time = Time(1_700_000_000_000);

pub(super) fn mac(bytes: [u8; 6]) -> Mac {
    Mac::new(bytes).unwrap()
}

/// Addresses of Cisco are known phones; a vendor class that begins with `Cisco` is recognised.
pub(super) struct Office;

impl Clients for Office {
    fn client(&self, mac: Mac, class: Option<&[u8]>) -> Client {
        let settings = Arc::from([
            Setting::addresses(option::NTP, &[[192, 0, 2, 123].into()]),
            Setting::bytes(option::VLAN, [0, 20]).always(),
        ]);
        let boot = Boot { url: None, host: Some(format!("SEP{}", mac.upper())), settings };
        match (mac.bytes(), class) {
            ([0, 0x18, 0xb9, ..], _) => Client::Known(boot),
            (_, Some(b"Polycom-SPIP670")) => {
                let url = Some("http://{server}:8080/".to_owned());
                Client::Recognised(Boot { url, ..boot })
            }
            (_, Some(class)) if class.starts_with(b"Cisco") => Client::Recognised(boot),
            _ => Client::Stranger,
        }
    }
}

pub(super) fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}

/// 192.0.2.0/24, pool .100–.109, .50 reserved for [`PHONE`] when wished.
pub(super) fn site(mode: Mode) -> Site {
    let scope = Scope {
        net: "192.0.2.0/24".parse().unwrap(),
        pools: vec![Range { first: ip(100), last: ip(109) }],
        lease: Duration::from_secs(24 * 3600),
        boot: None,
        settings: vec![
            Setting::addresses(option::ROUTER, &[ip(1)]),
            Setting::addresses(option::DNS, &[ip(3), ip(4)]),
            Setting::text(option::DOMAIN, "example.net"),
            Setting::seconds(option::TIME_OFFSET, -3600),
        ],
        unknown: true,
    };
    Site {
        mode,
        scopes: vec![scope],
        ours: BTreeSet::from([ip(2)]),
        quarantine: Duration::from_secs(10 * 60),
        ..Site::default()
    }
}

/// A server at 192.0.2.2, and what is said to it by broadcast.
pub(super) struct Bench {
    pub(super) server: Server,
    pub(super) now: Time,
    pub(super) arrival: Arrival,
}

impl Bench {
    pub(super) fn new(site: Site) -> Self {
        let net: Net = "192.0.2.0/24".parse().unwrap();
        let arrival = Arrival {
            homes: vec![Home { address: ip(2), net }],
            source: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
            unicast: false,
        };
        Self { server: Server::new(site), now: START, arrival }
    }

    pub(super) fn say(&mut self, message: &Message) -> Reaction {
        let reaction = self.server.receive(&self.arrival, message, &Office, self.now);
        if let Some(sent) = &reaction.send {
            assert_eq!(parse(&sent.bytes).as_ref(), Ok(&sent.message));
            assert!((MIN_LENGTH..=1472).contains(&sent.bytes.len()));
        }
        reaction
    }

    /// Time passes, and the daemon sees it pass.
    pub(super) fn wait(&mut self, millis: u64) {
        let end = self.now.0 + millis;
        while self.now.0 + 60_000 < end {
            self.now = Time(self.now.0 + 60_000);
            assert!(self.server.tick(self.now).is_empty());
        }
        self.now = Time(end);
    }

    /// DISCOVER and REQUEST; gives the address.
    pub(super) fn lease(&mut self, who: [u8; 6]) -> Ipv4Addr {
        let offered = self.say(&discover(who)).send.expect("an offer").message;
        let given = self.say(&selecting(who, offered.yiaddr, ip(2)));
        assert_eq!(said(&given), Said::Ack);
        assert_eq!(given.send.unwrap().message.yiaddr, offered.yiaddr);
        offered.yiaddr
    }
}

pub(super) fn asks(kind: Kind, who: [u8; 6]) -> Message {
    let mut message = Message::new(kind, mac(who), 0xb9ff_fffe);
    message.options.set(option::CLIENT, [&[1][..], &who].concat());
    message.options.set(option::WANTED, [1, 66, 6, 3, 15, 150, 35]);
    message
}

pub(super) fn discover(who: [u8; 6]) -> Message {
    asks(Kind::Discover, who)
}

pub(super) fn selecting(who: [u8; 6], address: Ipv4Addr, server: Ipv4Addr) -> Message {
    let mut message = rebooting(who, address);
    message.options.set(option::SERVER, server.octets());
    message
}

pub(super) fn rebooting(who: [u8; 6], address: Ipv4Addr) -> Message {
    let mut message = asks(Kind::Request, who);
    message.options.set(option::REQUESTED, address.octets());
    message
}

pub(super) fn using(who: [u8; 6], address: Ipv4Addr) -> Message {
    let mut message = asks(Kind::Request, who);
    message.ciaddr = address;
    message
}

pub(super) fn declining(who: [u8; 6], address: Ipv4Addr) -> Message {
    let mut message = selecting(who, address, ip(2));
    message.kind = Kind::Decline;
    message
}

pub(super) fn releasing(who: [u8; 6], address: Ipv4Addr) -> Message {
    let mut message = using(who, address);
    message.kind = Kind::Release;
    message
}

/// What we said, or did not.
pub(super) fn said(reaction: &Reaction) -> Said {
    let said = reaction.facts.last().expect("a fact").said;
    let sends = matches!(said, Said::Offer | Said::Ack | Said::Nak(_));
    assert_eq!(sends, reaction.send.is_some(), "{reaction:?}");
    said
}
