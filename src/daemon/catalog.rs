//! Which bytes an asker gets: the one place where the offer, the static root and the question "who is
//! asking" meet. Every file service asks here, from memory.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::access::{Access, Pass};
use super::askers::Askers;
use super::event::Ticket;
use super::root::Root;
use super::serve::{Catalog, Found};
use super::strange::Strange;
use crate::base::{FileName, HashMap, Mac};
use crate::family::ladder::Program;
use crate::family::{Artifact, Role};
use crate::plan::offer::{Offer, Owner};

/// What the file services read.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// The offer.
    pub offer: Arc<Offer>,
    /// Who is who.
    pub askers: Arc<Askers>,
    /// Who gets a file with a secret.
    pub access: Arc<Access>,
    /// The folder of static files.
    pub root: Option<Arc<Path>>,
    /// What phones without a tag get, where that is wished.
    pub strange: Option<Arc<Strange>>,
}

/// A MAC inside a name asked for from an address says who is there for so long (all files of one boot
/// follow each other within a minute, phones.md §2.3).
const NAMED: Duration = Duration::from_secs(90);
/// So many addresses are remembered.
const NAMED_MAX: usize = 65_536;

/// Answers from the newest snapshot.
pub struct Shelf {
    served: watch::Receiver<Arc<Served>>,
    named: Mutex<HashMap<IpAddr, Named>>,
    root: Root,
}

/// What was asked for from an address a moment ago.
#[derive(Clone, Copy, Debug)]
struct Named {
    mac: Mac,
    at: Instant,
    /// Names with other MACs came from there, too.
    mixed: bool,
    /// It was a universal loader that asked, and no application has asked since.
    hunting: bool,
}

/// Who asks for a file that depends on it.
#[derive(Clone, Copy, Debug)]
struct Asker {
    mac: Mac,
    /// Sure enough to name firmware to: no other phone was heard of at this address.
    sure: bool,
}

impl Shelf {
    /// Reads from these snapshots.
    pub fn new(served: watch::Receiver<Arc<Served>>) -> Self {
        Self { served, named: Mutex::default(), root: Root::default() }
    }

    fn remember(&self, address: IpAddr, mac: Mac, sign: Option<Program>) {
        let now = Instant::now();
        let fresh = |named: &Named| now.saturating_duration_since(named.at) < NAMED;
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() >= NAMED_MAX {
            named.retain(|_, named| fresh(named));
        }
        if named.len() < NAMED_MAX {
            let old = named.get(&address).filter(|old| fresh(old));
            let mixed = old.is_some_and(|old| old.mixed || old.mac != mac);
            let still = old.is_some_and(|old| old.mac == mac && old.hunting);
            let hunting = sign.map_or(still, |program| program == Program::Loader);
            named.insert(address, Named { mac, at: now, mixed, hunting });
        }
    }

    fn named(&self, address: IpAddr) -> Option<Named> {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.get(&address).filter(|named| named.at.elapsed() < NAMED).copied()
    }

    /// An application asked: the loader's search is over.
    fn found(&self, address: IpAddr) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(named) = named.get_mut(&address) {
            named.hunting = false;
        }
    }

    /// Who asks for a file that depends on it. The neighbour table is believed, then the registrations
    /// at this address, then the name asked for a moment ago.
    fn asker(&self, served: &Served, address: IpAddr) -> Option<Asker> {
        let neighbour = served.access.neighbour(address);
        let known = neighbour.filter(|mac| served.offer.phones.contains_key(mac));
        let known = known.or_else(|| served.askers.only(address));
        known.map(|mac| Asker { mac, sure: true }).or_else(|| {
            self.named(address).map(|named| Asker { mac: named.mac, sure: !named.mixed })
        })
    }

    /// A phone's own file, or its variant of a name; one with a secret only for an asker that the guard
    /// lets pass, one that names firmware only for one that is surely this phone.
    fn own(&self, served: &Served, address: IpAddr, asker: Asker, name: &FileName) -> Found {
        let mac = asker.mac;
        let Some(part) = served.offer.phones.get(&mac) else { return Found::Missing };
        let hunts = || self.named(address).is_some_and(|named| named.hunting && named.mac == mac);
        // Without a way to new firmware nobody is looked for on it.
        let hunting = !served.offer.newest.ladders.is_empty() && hunts();
        let choice = served.askers.choice(mac);
        let choice = choice.unwrap_or_else(|| served.offer.choice(part, None));
        let given = if hunting { choice.hunting } else { choice.usual };
        let Some(file) = part.file(given, served.offer.ladder(part), name) else {
            return Found::Missing;
        };
        let pass = match file.secret {
            true => served.access.pass(mac, address, &served.askers),
            false => Pass::Give,
        };
        match pass {
            Pass::Give if file.role == Role::Firmware && !asker.sure => Found::Missing,
            Pass::Give => {
                let ticket = Ticket { mac: Some(mac), role: file.role, digest: file.digest };
                Found::Body { bytes: file.bytes, ticket }
            }
            Pass::Hide | Pass::Ignore => refused(pass),
        }
    }

    /// What a name stands for, from `address`.
    fn look(
        &self,
        served: &Served,
        address: IpAddr,
        name: &FileName,
        owner: Option<Owner>,
    ) -> Found {
        match owner {
            Some(Owner::Shared(index)) => {
                served.offer.shared(index).map_or(Found::Missing, |artifact| {
                    // Who takes a file that applies at once is worth knowing; the others are not.
                    let live = artifact.role == Role::Live;
                    let asker = live.then(|| self.asker(served, address)).flatten();
                    body(artifact, asker.map(|asker| asker.mac))
                })
            }
            Some(Owner::Phone(mac)) => self.own(served, address, Asker { mac, sure: true }, name),
            Some(Owner::Asker) => match self.asker(served, address) {
                Some(asker) => self.own(served, address, asker, name),
                None => Found::Missing,
            },
            None => {
                let root = served.root.as_ref();
                root.and_then(|root| self.root.find(root, name))
                    .map_or(Found::Missing, Found::Static)
            }
        }
    }
}

impl Catalog for Shelf {
    fn find(&self, asker: SocketAddr, name: &[u8]) -> Found {
        let address = asker.ip().to_canonical();
        let mac = Mac::within(name);
        let requested = FileName::requested(name);
        // One count, that nobody else counts: the parts are shared with the core's thread.
        let served = Arc::clone(&self.served.borrow());
        let asked = requested.as_ref().map_or("", |name| name.as_str());
        let sign = served.offer.sign(asked, mac);
        match mac {
            Some(mac) => self.remember(address, mac, sign),
            None if sign.is_some() => self.found(address),
            None => {}
        }
        let Ok(name) = requested else { return Found::Missing };
        let strange = served.strange.as_ref().and_then(|s| s.asked(address, name.as_str()));
        let owner = served.offer.owner(&name);
        let found = self.look(&served, address, &name, owner);
        match (mac, &found) {
            // What is somebody's was judged already.
            (Some(mac), Found::Missing) if owner.is_none() => {
                match (served.access.guessed(mac, address, &served.askers), strange) {
                    (Pass::Hide, Some(file)) if served.access.vouches(mac, address) => file,
                    (pass, _) => refused(pass),
                }
            }
            _ => found,
        }
    }
}

/// What a refusal looks like.
fn refused(pass: Pass) -> Found {
    if pass == Pass::Ignore { Found::Ignored } else { Found::Missing }
}

fn body(artifact: &Artifact, mac: Option<Mac>) -> Found {
    let ticket = Ticket { mac, role: artifact.role, digest: artifact.digest };
    Found::Body { bytes: artifact.bytes(), ticket }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Sources, Time};
    use crate::daemon::askers::Whereabouts;
    use crate::daemon::look::Source;
    use crate::daemon::neighbours::Place;
    use crate::daemon::store::Decided;
    use crate::model::site::GuardMode;
    use crate::plan::ladder::Climb;
    use crate::plan::observed::Seen;
    use crate::plan::offer::{Passage, offer};

    const CONF: &str = "[general]\nserver_address=192.0.2.250\ntimezone=Europe/Berlin\n\
                        sip_conf=sip.conf\n";
    const PEERS: &str = "[201] ;MAC=0018b9000001\ntype=friend\nhost=dynamic\nsecret=aEins-Zwei1\n\
                         [202] ;MAC=0018b9000002\ntype=friend\nhost=dynamic\nsecret=bDrei-Vier2\n";

    /// Two phones; the last number of a MAC is that of its address in 192.0.2.0/24.
    fn shelf() -> (Shelf, watch::Sender<Arc<Served>>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("handset.conf"), CONF).unwrap();
        std::fs::write(dir.path().join("sip.conf"), PEERS).unwrap();
        let mut source = Source::new(dir.path().join("handset.conf"));
        let (look, _) = source.look(&Arc::default(), &Decided::default(), None, Time(0));
        let access = Access::new(|address| match address {
            IpAddr::V4(v4) if v4.octets()[0] == 192 => {
                Place::Near(Mac::new([0, 0x18, 0xb9, 0, 0, v4.octets()[3]]).unwrap())
            }
            _ => Place::Beyond,
        });
        let served = Served {
            offer: Arc::new(offer(&look.built, None, Passage::FREE)),
            access: Arc::new(access),
            ..Served::default()
        };
        let (sender, receiver) = watch::channel(Arc::new(served));
        (Shelf::new(receiver), sender)
    }

    /// With a static root that has all images, and `firmware` set; one phone was seen in SCCP.
    fn led() -> (Shelf, watch::Sender<Arc<Served>>) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().display();
        let conf = format!("{CONF}[tftp]\nroot={root}\n[cisco-79x0]\nfirmware=P0S3-8-11-00\n");
        std::fs::write(dir.path().join("handset.conf"), conf).unwrap();
        std::fs::write(dir.path().join("sip.conf"), PEERS).unwrap();
        let header = [1, 0, 2, 1, 0, 2, 0, 2, 0, 10];
        for (name, size) in [
            ("P0S3-05-3-00.bin", 600_000),
            ("P003-8-11-00.sbn", 130_000),
            ("P0S3-8-11-00.sb2", 700_000),
        ] {
            let mut image = if name.ends_with("bin") { Vec::new() } else { header.to_vec() };
            image.resize(size, 7);
            std::fs::write(dir.path().join(name), image).unwrap();
        }
        let list = b"P003-8-11-00.sbn\nP0S3-8-11-00.sb2\nLA_VERSION=1\n";
        let list = [&header[..], list].concat();
        std::fs::write(dir.path().join("P0S3-8-11-00.loads"), list).unwrap();
        let mut source = Source::new(dir.path().join("handset.conf"));
        let (look, _) = source.look(&Arc::default(), &Decided::default(), None, Time(0));
        let offer = Arc::new(offer(&look.built, None, Passage::FREE));
        let mac = Mac::new([0, 0x18, 0xb9, 0, 0, 1]).unwrap();
        let mut climb = Climb::default();
        climb.sign(&offer.newest.ladders[0], Program::Sccp, Time(1));
        let seen = Seen { climb: Some(Box::new(climb)), ..Seen::default() };
        let choice = offer.choice(&offer.phones[&mac], Some(&seen));
        let askers = Arc::new(Askers::default());
        askers.set(mac, Whereabouts { choice: Some(choice), ..Whereabouts::default() });
        let access = Arc::new(Access::new(|_| Place::Beyond));
        access.set(GuardMode::Lenient, &[]);
        let (sender, receiver) =
            watch::channel(Arc::new(Served { offer, askers, access, ..Served::default() }));
        (Shelf::new(receiver), sender)
    }

    #[test]
    fn firmware_is_named_to_a_tagged_phone_that_is_known_and_to_nobody_else() {
        let (shelf, _served) = led();
        let (desk, stranger) = ("198.51.100.1", "198.51.100.2");
        check(&shelf, desk, "OS79XX.TXT", "missing");
        check(&shelf, desk, "SEP0018B9000001.cnf.xml", "missing");
        check(&shelf, desk, "XMLDefault.cnf.xml", "missing");
        check(&shelf, desk, "OS79XX.TXT", "file");
        check(&shelf, stranger, "SEP0018B9000009.cnf.xml", "missing");
        check(&shelf, stranger, "OS79XX.TXT", "missing");
        // Of the second phone nothing is known.
        check(&shelf, "198.51.100.3", "SEP0018B9000002.cnf", "missing");
        check(&shelf, "198.51.100.3", "OS79XX.TXT", "missing");
        // Somebody else was heard of behind the same address: it may be he who asks.
        check(&shelf, desk, "SEP0018B9000009.cnf", "missing");
        check(&shelf, desk, "SEP0018B9000001.cnf", "missing");
        check(&shelf, desk, "OS79XX.TXT", "missing");
    }

    #[test]
    fn a_loader_finds_what_names_its_load_and_the_application_behind_it_its_own_file() {
        let (shelf, _served) = led();
        let desk = "198.51.100.1";
        check(&shelf, desk, "SIP0018B9000002.cnf", "file");
        for _ in 0..2 {
            check(&shelf, desk, "CTLSEP0018B9000002.tlv", "missing");
            check(&shelf, desk, "SEP0018B9000002.cnf.xml", "missing");
            check(&shelf, desk, "SIP0018B9000002.cnf", "missing");
            check(&shelf, desk, "XMLDefault.cnf.xml", "file");
            check(&shelf, desk, "SIPDefault.cnf", "file");
            check(&shelf, desk, "SIP0018B9000002.cnf", "file");
        }
    }

    #[test]
    fn a_sip_phone_without_a_tag_is_told_so_and_a_loader_or_another_machine_is_not() {
        let (shelf, served) = shelf();
        let own = "SIP0018B9000009.cnf";
        check(&shelf, "192.0.2.9", "SIPDefault.cnf", "file");
        check(&shelf, "192.0.2.9", own, "missing");
        let none = std::collections::BTreeMap::new();
        let all = crate::family::library::load(Path::new(""), &none, &mut Sources::default());
        let tagged = [8].map(|n| Mac::new([0, 0x18, 0xb9, 0, 0, n]).unwrap());
        let strange = Strange::new(&Arc::new(all), tagged.into(), None);
        served.send_modify(|served| Arc::make_mut(served).strange = Some(Arc::new(strange)));
        check(&shelf, "192.0.2.9", "SIPDefault.cnf", "file");
        check(&shelf, "192.0.2.9", own, "file");
        let found = shelf.find("192.0.2.9:1069".parse().unwrap(), own.as_bytes());
        let Found::Body { bytes, .. } = found else { panic!("no file") };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains("line1_shortname: \"0018B9000009\"\n"), "{text}");
        assert!(!text.contains('{') && !text.contains("image_version"), "{text}");
        for (asker, names) in [
            // The name alone may be a loader's.
            ("192.0.2.10", &["SIP0018B900000A.cnf"][..]),
            ("192.0.2.11", &["CTLSEP0018B900000B.tlv", "SIP0018B900000B.cnf"]),
            ("192.0.2.9", &["CTLSEP0018B9000009.tlv", "SEP0018B9000009.cnf.xml", own]),
            // Tagged, and its files cannot be made.
            ("192.0.2.8", &["SIPDefault.cnf", "SIP0018B9000008.cnf"]),
            // Somebody else, and somebody whom nobody knows.
            ("192.0.2.12", &["SIPDefault.cnf", "SIP0018B900000E.cnf"]),
            ("198.51.100.1", &["SIPDefault.cnf", "SIP0018B900000F.cnf"]),
        ] {
            for name in names {
                let expected = if *name == "SIPDefault.cnf" { "file" } else { "missing" };
                check(&shelf, asker, name, expected);
            }
        }
        check(&shelf, "192.0.2.1", "SIP0018B9000001.cnf", "secret of 1");
    }

    /// `give`, with the password in it or not; `missing`; `silence`.
    fn check(shelf: &Shelf, asker: &str, name: &str, expected: &str) {
        let found = match shelf.find(format!("{asker}:1069").parse().unwrap(), name.as_bytes()) {
            Found::Body { bytes, .. } if memchr::memmem::find(&bytes, b"aEins-Zwei1").is_some() => {
                "secret of 1"
            }
            Found::Body { .. } => "file",
            Found::Missing => "missing",
            Found::Ignored => "silence",
            Found::Static(_) => "static",
        };
        assert_eq!(found, expected, "{asker} {name}");
    }

    #[test]
    fn a_secret_goes_to_its_phone_and_looks_missing_to_others() {
        let (shelf, _served) = shelf();
        check(&shelf, "192.0.2.1", "SIP0018B9000001.cnf", "secret of 1");
        check(&shelf, "[::ffff:192.0.2.1]", "SIP0018B9000001.cnf", "secret of 1");
        check(&shelf, "192.0.2.2", "SIP0018B9000001.cnf", "missing");
        check(&shelf, "198.51.100.1", "SIP0018B9000001.cnf", "missing");
        check(&shelf, "198.51.100.1", "/./SIP0018B9000001.cnf", "missing");
        check(&shelf, "198.51.100.1", "SIPDefault.cnf", "file");
        check(&shelf, "198.51.100.1", "SIP0018B9000009.cnf", "missing");
    }

    #[test]
    fn the_name_asked_for_a_moment_ago_opens_no_secret_and_the_neighbour_table_tells_who_asks() {
        let (shelf, _served) = shelf();
        check(&shelf, "198.51.100.1", "syncinfo.xml", "missing");
        check(&shelf, "198.51.100.1", "SIP0018B9000001.cnf", "missing");
        check(&shelf, "198.51.100.1", "syncinfo.xml", "file");
        check(&shelf, "198.51.100.1", "SIP0018B9000001.cnf", "missing");
        check(&shelf, "192.0.2.2", "syncinfo.xml", "file");
        check(&shelf, "192.0.2.7", "syncinfo.xml", "missing");
    }

    #[test]
    fn who_guesses_is_met_with_silence_and_shared_files_are_not() {
        let (shelf, _served) = shelf();
        for number in 0x10..0x20 {
            check(&shelf, "198.51.100.1", &format!("SEP0018B90000{number}.cnf.xml"), "missing");
        }
        check(&shelf, "198.51.100.1", "SIP0018B9000001.cnf", "missing");
        check(&shelf, "198.51.100.1", "SIP0018B9000002.cnf", "silence");
        for name in ["SEP0018B9000033.cnf.xml", "SEP0018B9000001.cnf.xml"] {
            check(&shelf, "198.51.100.1", name, "silence");
        }
        check(&shelf, "198.51.100.1", "SIPDefault.cnf", "file");
        check(&shelf, "198.51.100.2", "SIP0018B9000002.cnf", "missing");
    }
}
