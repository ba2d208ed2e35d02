//! `[general]`: the registrar, and what every peer starts from.

use std::net::IpAddr;
use std::sync::Arc;

use super::codecs::{self, Codecs};
use super::options::{self, NatFlags, is_false, is_true};
use super::{Dtmf, Places, Registrar, Transport};
use crate::base::{Place, Span};
use crate::conf::{Entry, Section};

/// What a peer starts from.
pub(super) struct Defaults {
    pub(super) codecs: Arc<[&'static str]>,
    pub(super) dtmf: Dtmf,
    pub(super) nat: NatFlags,
    pub(super) language: Arc<str>,
    pub(super) vmexten: Option<Arc<str>>,
    pub(super) transport: Transport,
    pub(super) tcp: bool,
    pub(super) tls: bool,
    pub(super) places: Places,
}

/// What `[general]` says.
pub(super) struct General {
    pub(super) defaults: Defaults,
    pub(super) registrar: Registrar,
    /// Addresses of which nothing can be made.
    pub(super) bad_addresses: Vec<Span>,
}

/// chan_sip's own expiries in seconds: the least, the most, the one that is taken when none is asked.
const EXPIRIES: [u32; 3] = [60, 3600, 120];

/// Reads the first `[general]`; chan_sip looks at no other.
pub(super) fn read(section: Option<&Section>) -> General {
    let mut reading = Reading::default();
    section.iter().flat_map(|s| &s.entries).for_each(|entry| reading.apply(entry));
    reading.finish()
}

/// The values as they stand while the section is being read.
struct Reading {
    codecs: Codecs,
    dtmf: Dtmf,
    nat: Option<NatFlags>,
    language: String,
    vmexten: Option<String>,
    transports: Vec<Transport>,
    tcp: bool,
    tls: bool,
    address: Option<IpAddr>,
    address_port: Option<u16>,
    port: Option<u16>,
    realm: String,
    expiries: [u32; 3],
    bad_addresses: Vec<Span>,
    places: Places,
    address_place: Place,
    port_place: Place,
    expiry_place: Place,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            codecs: codecs::DEFAULT.to_vec(),
            dtmf: Dtmf::default(),
            nat: None,
            language: String::new(),
            vmexten: None,
            transports: vec![Transport::Udp],
            tcp: false,
            tls: false,
            address: None,
            address_port: None,
            port: None,
            realm: "asterisk".into(),
            expiries: EXPIRIES,
            bad_addresses: Vec::new(),
            places: Places::default(),
            address_place: Place::default(),
            port_place: Place::default(),
            expiry_place: Place::default(),
        }
    }
}

impl Reading {
    fn apply(&mut self, entry: &Entry) {
        let value = &*entry.value.chars();
        let name = entry.name.chars().to_ascii_lowercase();
        self.note(name.as_bytes(), entry.span);
        match name.as_str() {
            "allow" => drop(codecs::update(&mut self.codecs, value, true)),
            "disallow" => drop(codecs::update(&mut self.codecs, value, false)),
            "dtmfmode" => self.dtmf = options::dtmf(value).unwrap_or_default(),
            "nat" => self.nat.get_or_insert_default().apply(value),
            "language" => self.language = value.to_owned(),
            "vmexten" => self.vmexten = Some(value.to_owned()).filter(|v| !v.is_empty()),
            "transport" => self.transports = options::transports(value).collect(),
            // A later "no" does not take it back.
            "tcpenable" => self.tcp |= !is_false(value),
            "tlsenable" | "sslenable" => self.tls = is_true(value),
            "bindaddr" | "udpbindaddr" => self.bind(value, entry.span),
            "bindport" => self.bind_port(value),
            "realm" => self.realm = value.to_owned(),
            "minexpiry" | "minexpirey" => self.expire(0, value),
            "maxexpiry" | "maxexpirey" => self.expire(1, value),
            "defaultexpiry" | "defaultexpirey" => self.expire(2, value),
            _ => {}
        }
    }

    fn note(&mut self, name: &[u8], span: Span) {
        match name {
            b"bindport" => self.port_place = span.into(),
            b"maxexpiry" | b"maxexpirey" => self.expiry_place = span.into(),
            // Its `callerid` is no default of peers.
            b"callerid" | b"fullname" | b"trunkname" | b"mailbox" | b"hasvoicemail" => {}
            name => self.places.note(name, span),
        }
    }

    fn bind(&mut self, value: &str, span: Span) {
        match options::address(value) {
            Some((ip, port)) => {
                (self.address, self.address_port) = (Some(ip), port);
                self.address_place = span.into();
            }
            None => self.bad_addresses.push(span),
        }
    }

    /// Reads at most five characters, as chan_sip does; 0 counts as unset.
    fn bind_port(&mut self, value: &str) {
        let start: String = value.trim_start().chars().take(5).collect();
        let number = options::number(&start);
        // What does not fit into 16 bits is cut to them by Asterisk too.
        self.port = u16::try_from(number & 0xffff).ok().filter(|_| number != 0);
    }

    fn expire(&mut self, which: usize, value: &str) {
        let seconds = u32::try_from(options::number(value)).ok().filter(|s| *s > 0);
        self.expiries[which] = seconds.unwrap_or(EXPIRIES[which]);
    }

    /// The first transport, unless it is not enabled; then UDP, never the second.
    fn primary(&self) -> Transport {
        match self.transports.first() {
            Some(Transport::Tcp) if !self.tcp => Transport::Udp,
            Some(Transport::Tls) if !self.tls => Transport::Udp,
            first => first.copied().unwrap_or_default(),
        }
    }

    fn finish(self) -> General {
        let auto = || {
            let mut flags = NatFlags::default();
            flags.apply("auto_force_rport");
            flags
        };
        let [min_expiry, max_expiry, default_expiry] = self.expiries;
        General {
            registrar: Registrar {
                address: self.address.filter(|ip| !ip.is_unspecified()),
                port: self.port.or(self.address_port).unwrap_or(5060),
                realm: self.realm.clone(),
                min_expiry,
                max_expiry,
                default_expiry,
                address_place: self.address_place,
                port_place: match self.port {
                    Some(_) => self.port_place,
                    None if self.address_port.is_some() => self.address_place,
                    None => Place::default(),
                },
                expiry_place: self.expiry_place,
            },
            defaults: Defaults {
                transport: self.primary(),
                codecs: self.codecs.into(),
                dtmf: self.dtmf,
                nat: self.nat.unwrap_or_else(auto),
                language: self.language.into(),
                vmexten: self.vmexten.map(Arc::from),
                tcp: self.tcp,
                tls: self.tls,
                places: self.places,
            },
            bad_addresses: self.bad_addresses,
        }
    }
}
