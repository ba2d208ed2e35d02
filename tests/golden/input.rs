//! Phones and their surroundings from a file in Asterisk's syntax: `[site]`, `[registrar]`, the
//! family's own sections, and every other section a peer with its tag written as keys.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use handset::base::{Key, Mac, Place, Secret, Sources, Spanned};
use handset::conf::{self, Entry, Files, Section};
use handset::family::Surroundings;
use handset::family::images::Images;
use handset::model::peer::codecs::FORMATS;
use handset::model::peer::{CallerId, Dtmf, Kind, Nat, Peer, Places, Registrar, Tech, Transport};
use handset::model::phone::{Line, Phone};
use handset::model::site::{
    DirectMode, FamilySettings, Http, Pacing, PushMode, ReloadMode, Site, Tftp,
};
use handset::model::tag::Tag;

pub(crate) struct Input {
    pub site: Site,
    pub registrar: Registrar,
    pub timezone: String,
    pub server: std::net::IpAddr,
    pub statics: BTreeSet<String>,
    pub images: Images,
    pub phones: Vec<Phone>,
    pub key: Key,
}

struct One<'a>(&'a Path, &'a str);

impl Files for One<'_> {
    fn expand(&mut self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    fn read(&mut self, path: &Path) -> io::Result<Bytes> {
        assert_eq!(path, self.0);
        Ok(Bytes::copy_from_slice(self.1.as_bytes()))
    }
}

impl Input {
    pub(crate) fn read(text: &str, sources: &mut Sources) -> Self {
        let path = Path::new("/etc/asterisk/input.conf");
        let etc = Path::new("/etc/asterisk");
        let conf = conf::read(path, etc, &mut One(path, text), sources);
        assert!(conf.diagnostics.is_empty(), "{:?}", conf.diagnostics);
        let mut input = Self {
            site: site(),
            registrar: registrar(),
            timezone: "Europe/London".into(),
            server: "192.0.2.10".parse().unwrap(),
            statics: BTreeSet::new(),
            images: Images::new(),
            phones: Vec::new(),
            key: Key::new([7; 32]),
        };
        for section in conf.sections.iter().filter(|s| !s.template) {
            input.section(section);
        }
        input
    }

    pub(crate) fn around(&self) -> Surroundings<'_> {
        Surroundings {
            site: &self.site,
            registrar: &self.registrar,
            server: self.server,
            timezone: &self.timezone,
            key: &self.key,
            statics: &self.statics,
            images: &self.images,
        }
    }

    fn section(&mut self, section: &Section) {
        let name = section.name.chars().into_owned();
        match name.as_str() {
            "site" => section.entries.iter().for_each(|e| self.setting(e)),
            "registrar" => section.entries.iter().for_each(|e| self.registrar(e)),
            name if name.starts_with("cisco-79x0") => {
                let mut settings = FamilySettings::default();
                for entry in &section.entries {
                    let value = spanned(entry);
                    match entry.name.chars().as_ref() {
                        "firmware" => settings.firmware = Some(value),
                        key => {
                            settings.keys.insert(key.to_owned(), value);
                        }
                    }
                }
                self.site.families.insert(name.to_owned(), settings);
            }
            _ => self.peer(section),
        }
    }

    fn setting(&mut self, entry: &Entry) {
        let value = spanned(entry);
        match entry.name.chars().as_ref() {
            "server_address" => {
                self.server = value.parse().unwrap();
                self.site.server_address = Some(Spanned::new(self.server, value.span));
            }
            "timezone" => {
                self.timezone.clone_from(&value.value);
                self.site.timezone = Some(value);
            }
            "ntp_server" => self.site.ntp_server = Some(value),
            "http" => {
                let address = value.parse().unwrap();
                self.site.http.listen = Some(Spanned::new(address, value.span));
            }
            "logo" => self.site.http.logo = Some(value),
            "statics" => self.statics = list(&value).into_iter().collect(),
            other => panic!("{other}"),
        }
    }

    fn registrar(&mut self, entry: &Entry) {
        let value = entry.value.chars();
        match entry.name.chars().as_ref() {
            "port" => self.registrar.port = value.parse().unwrap(),
            "min" => self.registrar.min_expiry = value.parse().unwrap(),
            "max" => self.registrar.max_expiry = value.parse().unwrap(),
            other => panic!("{other}"),
        }
    }

    fn peer(&mut self, section: &Section) {
        let name = section.name.chars().into_owned();
        let mut peer = peer(Spanned::new(name, section.span));
        let get = |key: &str| section.last(key).map(spanned);
        let mac = get("mac").expect("a peer has a mac");
        let mac = Spanned::new(mac.value.parse::<Mac>().unwrap(), mac.span);
        for entry in &section.entries {
            set(&mut peer, entry);
        }
        let (mac_value, label, profile) = (mac.value, get("label"), get("profile"));
        peer.tag = Some(Arc::new(Tag {
            mac,
            model: get("model"),
            line: None,
            label: label.clone(),
            profile: profile.clone(),
            firmware: get("firmware"),
            ip: None,
            guest: None,
        }));
        let at = self.phones.iter().position(|p| p.mac == mac_value).unwrap_or_else(|| {
            self.phones.push(Phone {
                mac: mac_value,
                family: "cisco-79x0".into(),
                model: get("model").map_or_else(|| "7940".into(), |m| m.value.into()),
                profile: profile.map(|p| p.value),
                firmware: get("firmware").map(|f| f.value),
                ip: None,
                lines: Vec::new(),
            });
            self.phones.len() - 1
        });
        let lines = &mut self.phones[at].lines;
        let number = u8::try_from(lines.len() + 1).unwrap();
        let label = label.map(|l| l.value).unwrap_or_default();
        lines.push(Line { number, peer: Arc::new(peer), label });
    }
}

fn set(peer: &mut Peer, entry: &Entry) {
    let value = spanned(entry);
    match entry.name.chars().as_ref() {
        "secret" => peer.secret = Some(Spanned::new(Secret::new(value.value), value.span)),
        "auth_user" => peer.auth_user = Some(value.value),
        // Of chan_pjsip: a registrar of its own, as `port,min,max`.
        "registrar" => {
            let numbers: Vec<u32> = list(&value).iter().map(|n| n.parse().unwrap()).collect();
            peer.tech = Tech::Pjsip;
            peer.registrar = Some(Arc::new(Registrar {
                port: u16::try_from(numbers[0]).unwrap(),
                min_expiry: numbers[1],
                max_expiry: numbers[2],
                ..registrar()
            }));
        }
        "md5secret" => peer.md5secret = Some(Spanned::new((), value.span)),
        "name" => peer.caller.name = value.value,
        "codecs" => peer.codecs = list(&value).iter().map(|word| format(word)).collect(),
        "mailbox" => peer.mailboxes = list(&value),
        "vmexten" => peer.vmexten = Some(value.value.into()),
        "nat" => {
            let words = list(&value);
            peer.nat.force_rport = words.iter().any(|w| w == "force_rport");
            peer.nat.auto_force_rport = words.iter().any(|w| w == "auto_force_rport");
        }
        "dtmfmode" => {
            peer.dtmf = match value.as_str() {
                "rfc2833" => Dtmf::Rfc2833,
                "inband" => Dtmf::Inband,
                "info" => Dtmf::Info,
                "auto" => Dtmf::Auto,
                other => panic!("{other}"),
            }
        }
        "transport" => {
            peer.transport = if value.as_str() == "tcp" { Transport::Tcp } else { Transport::Udp };
        }
        "mac" | "model" | "label" | "profile" | "firmware" => {}
        other => panic!("{other}"),
    }
}

fn spanned(entry: &Entry) -> Spanned<String> {
    Spanned::new(entry.value.chars().into_owned(), entry.span)
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect()
}

fn format(word: &str) -> &'static str {
    FORMATS.iter().find(|format| **format == word).expect("a format of Asterisk")
}

fn peer(name: Spanned<String>) -> Peer {
    Peer {
        name,
        tech: Tech::Sip,
        auth_user: None,
        registrar: None,
        tag: None,
        kind: Kind::Friend,
        dynamic: true,
        secret: None,
        md5secret: None,
        caller: CallerId::default(),
        codecs: ["ulaw", "alaw"].into(),
        dtmf: Dtmf::default(),
        mailboxes: Vec::new(),
        vmexten: None,
        nat: Nat::default(),
        language: "".into(),
        transport: Transport::Udp,
        places: Places::default(),
    }
}

fn registrar() -> Registrar {
    Registrar {
        address: None,
        port: 5060,
        realm: "asterisk".into(),
        min_expiry: 60,
        max_expiry: 3600,
        default_expiry: 120,
        address_place: Place::default(),
        port_place: Place::default(),
        expiry_place: Place::default(),
    }
}

fn site() -> Site {
    Site {
        pjsip_conf: None,
        sip_conf: "/etc/asterisk/sip.conf".into(),
        server_address: None,
        state_dir: "/var/lib/handset".into(),
        control_socket: "/run/handset/control".into(),
        export_dir: None,
        timezone: None,
        site_key: "/etc/asterisk/handset.key".into(),
        unknown_file: false,
        journal_age: Duration::from_secs(14 * 86_400),
        journal_bytes: 32_000_000,
        default_family: "cisco-79x0".into(),
        families_dir: "/etc/asterisk/families".into(),
        ntp_server: None,
        push: PushMode::Auto,
        reload: ReloadMode::Ask,
        guard: handset::model::site::GuardMode::Strict,
        trusted_nets: Vec::new(),
        pacing: Pacing {
            rate: 5.0,
            retry: Duration::from_secs(60),
            retry_max: Duration::from_secs(900),
            proof: Duration::from_secs(180),
            unknown: Duration::from_secs(30),
            direct: DirectMode::Unreachable,
        },
        waves: handset::model::site::Waves::default(),
        notify_from: ([0, 0, 0, 0], 0).into(),
        ami: None,
        tftp: Tftp { listen: None, root: None },
        dhcp: handset::model::site::Dhcp::default(),
        agi: handset::model::site::Agi::default(),
        http: Http::default(),
        families: BTreeMap::new(),
    }
}
