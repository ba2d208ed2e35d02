//! A scripted client: it says what it is told to say, from a host's namespace, without an address of its own.

use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use handset::base::Mac;
use handset::wire::dhcp::{Kind, Message, Room, encode, option, parse};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt,
};

use crate::site::{SCOPE, SERVER, Site};

pub(crate) const CISCO: &[u8] = b"Cisco Systems, Inc. IP Phone CP-7960G\0";

pub(crate) struct Phone {
    socket: UdpSocket,
    pub(crate) mac: Mac,
    pub(crate) class: Option<Vec<u8>>,
}

impl Phone {
    /// On a host, whose MAC it has unless another one is told.
    pub(crate) fn at(site: &Site, host: &str, mac: &str) -> Self {
        let space = File::open(format!("/run/netns/{}.{host}", site.net)).unwrap();
        // A thread of its own goes into the namespace; the socket stays in it.
        let make = move || {
            setns(space, CloneFlags::CLONE_NEWNET).unwrap();
            let flags = SockFlag::SOCK_CLOEXEC;
            let fd = socket(AddressFamily::Inet, SockType::Datagram, flags, None).unwrap();
            setsockopt(&fd, sockopt::ReuseAddr, &true).unwrap();
            setsockopt(&fd, sockopt::Broadcast, &true).unwrap();
            setsockopt(&fd, sockopt::BindToDevice, &"eth0".into()).unwrap();
            bind(fd.as_raw_fd(), &SockaddrIn::new(0, 0, 0, 0, 68)).unwrap();
            UdpSocket::from(fd)
        };
        let socket = std::thread::spawn(make).join().unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { socket, mac: mac.parse().unwrap(), class: Some(CISCO.to_vec()) }
    }

    pub(crate) fn message(&self, kind: Kind) -> Message {
        // The last four bytes of the MAC, at every boot (phones.md §4.1).
        let bytes = self.mac.bytes();
        let xid = u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
        let mut message = Message::new(kind, self.mac, xid);
        message.broadcast = true;
        message.options.set(option::CLIENT, [&[1], &bytes[..]].concat());
        message.options.set(option::HOST, format!("SEP{}", self.mac.upper()).into_bytes());
        if let Some(class) = &self.class {
            message.options.set(option::CLASS, class.clone());
        }
        message.options.set(option::WANTED, vec![1, 66, 6, 3, 15, 150, 35]);
        message
    }

    pub(crate) fn send(&self, message: &Message) {
        self.send_to(message, "255.255.255.255");
    }

    pub(crate) fn send_to(&self, message: &Message, to: &str) {
        let bytes = encode(message, Room::of(message));
        self.socket.send_to(&bytes, (to, 67)).unwrap();
    }

    /// The next message to this phone within a time.
    pub(crate) fn hear(&self, patience: Duration) -> Option<Message> {
        let (end, mut buffer) = (Instant::now() + patience, [0; 2048]);
        while Instant::now() < end {
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let Ok(message) = parse(&buffer[..length]) else { continue };
            if message.mac == self.mac && message.kind.by_server() {
                return Some(message);
            }
        }
        None
    }

    /// Asks and hears; it asks again after a second, as often as it takes.
    pub(crate) fn ask(&self, message: &Message) -> Option<Message> {
        (0..4).find_map(|_| {
            self.send(message);
            self.hear(Duration::from_secs(1))
        })
    }

    /// DISCOVER, OFFER, REQUEST, ACK.
    pub(crate) fn boot(&self) -> Option<Message> {
        let offer = self.ask(&self.message(Kind::Discover))?;
        assert_eq!(offer.kind, Kind::Offer);
        let mut request = self.message(Kind::Request);
        request.options.set(option::REQUESTED, offer.yiaddr.octets());
        request.options.set(option::SERVER, offer.options.get(option::SERVER).unwrap().to_vec());
        let ack = self.ask(&request)?;
        assert_eq!((ack.kind, ack.yiaddr), (Kind::Ack, offer.yiaddr));
        Some(ack)
    }

    /// INIT-REBOOT: asks for the address that it had.
    pub(crate) fn reboot(&self, address: Ipv4Addr) -> Message {
        let mut request = self.message(Kind::Request);
        request.options.set(option::REQUESTED, address.octets());
        request
    }

    /// RENEWING or REBINDING, heard by all.
    pub(crate) fn renewal(&self, address: Ipv4Addr) -> Message {
        let mut request = self.message(Kind::Request);
        request.ciaddr = address;
        request
    }
}

/// The phone of the guide's log: REQUESTs for a foreign address at 0, 4, 12 and 28 s, DISCOVER at 60 s; at a NAK
/// it begins anew at once (phones.md §4.1).
fn replay(phone: &Phone, foreign: Ipv4Addr) -> (Message, Duration) {
    let begin = Instant::now();
    for wait in [4, 8, 16, 32] {
        phone.send(&phone.reboot(foreign));
        match phone.hear(Duration::from_secs(wait)) {
            Some(nak) if nak.kind == Kind::Nak => break,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    let ack = phone.boot().expect("a lease");
    (ack, begin.elapsed())
}

#[test]
fn the_guides_phone_that_asks_for_a_foreign_address_has_a_lease_within_seconds() {
    let mac = "00:18:b9:ff:ff:ff";
    let peer = "[201] ;MAC=0018b9ffffff ip=10.66.0.7\ntype=friend\nhost=dynamic\nsecret=x\n";
    for (sip, expected) in [("", [10, 66, 0, 100]), (peer, [10, 66, 0, 7])] {
        let site = Site::start(&[mac], &format!("[dhcp]\nmode=phones\n{SCOPE}"), sip);
        let phone = Phone::at(&site, "ph1", mac);
        let (ack, took) = replay(&phone, [192, 168, 1, 77].into());
        assert!(took < Duration::from_secs(5), "{took:?} {}", site.log());
        let us: Ipv4Addr = SERVER.parse().unwrap();
        if sip.is_empty() {
            assert!((100..=150).contains(&ack.yiaddr.octets()[3]), "{ack:?}");
        } else {
            assert_eq!(ack.yiaddr, Ipv4Addr::from(expected));
        }
        assert_eq!((ack.siaddr, ack.options.address(option::TFTP_ADDRESSES)), (us, Some(us)));
        assert_eq!(ack.options.trimmed(option::TFTP_NAME), Some(SERVER.as_bytes()));
        assert_eq!(ack.options.address(option::ROUTER), Some([10, 66, 0, 254].into()));
    }
}

#[test]
fn the_same_phone_waits_for_a_minute_where_nobody_is_authoritative() {
    let mac = "00:18:b9:ff:ff:ff";
    let dhcp = format!("[dhcp]\nmode=phones\nauthoritative=no\n{SCOPE}");
    let site = Site::start(&[mac], &dhcp, "");
    let phone = Phone::at(&site, "ph1", mac);
    phone.send(&phone.reboot([192, 168, 1, 77].into()));
    assert_eq!(phone.hear(Duration::from_secs(3)), None);
}
