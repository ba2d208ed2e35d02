//! Which bytes an asker gets: the one place where the offer, the static root and the question "who is
//! asking" meet. Every file service asks here, from memory.

use std::collections::HashMap;
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
use crate::base::{FileName, Mac};
use crate::family::{Artifact, Role, Variant};
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
}

/// A MAC inside a name asked for from an address says who is there for so long (all files of one boot
/// follow each other within a minute, phones.md §2.3).
const NAMED: Duration = Duration::from_secs(90);
/// So many addresses are remembered.
const NAMED_MAX: usize = 65_536;

/// Answers from the newest snapshot.
pub struct Shelf {
    served: watch::Receiver<Served>,
    named: Mutex<HashMap<IpAddr, (Mac, Instant)>>,
    root: Root,
}

impl Shelf {
    /// Reads from these snapshots.
    pub fn new(served: watch::Receiver<Served>) -> Self {
        Self { served, named: Mutex::default(), root: Root::default() }
    }

    fn remember(&self, address: IpAddr, mac: Mac) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() >= NAMED_MAX {
            named.retain(|_, (_, at)| at.elapsed() < NAMED);
        }
        if named.len() < NAMED_MAX {
            named.insert(address, (mac, Instant::now()));
        }
    }

    fn named(&self, address: IpAddr) -> Option<Mac> {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.get(&address).filter(|(_, at)| at.elapsed() < NAMED).map(|(mac, _)| *mac)
    }

    /// Who asks for a file that depends on it. The neighbour table is believed, then the registrations
    /// at this address, then the name asked for a moment ago.
    fn asker(&self, served: &Served, address: IpAddr) -> Option<Mac> {
        let neighbour = served.access.neighbour(address);
        let known = neighbour.filter(|mac| served.offer.phones.contains_key(mac));
        known.or_else(|| served.askers.only(address)).or_else(|| self.named(address))
    }

    /// What a name stands for, from `address`.
    fn look(&self, served: &Served, address: IpAddr, name: &FileName) -> Found {
        match served.offer.owner(name) {
            Some(Owner::Shared(index)) => {
                served.offer.shared(index).map_or(Found::Missing, |artifact| {
                    // Who takes a file that applies at once is worth knowing; the others are not.
                    let live = artifact.role == Role::Live;
                    body(artifact, live.then(|| self.asker(served, address)).flatten(), None)
                })
            }
            Some(Owner::Phone(mac)) => own(served, address, mac, name),
            Some(Owner::Asker) => match self.asker(served, address) {
                Some(mac) => own(served, address, mac, name),
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
        if let Some(mac) = mac {
            self.remember(address, mac);
        }
        let Ok(name) = FileName::requested(name) else { return Found::Missing };
        let served = self.served.borrow().clone();
        let found = self.look(&served, address, &name);
        match (mac, &found) {
            // What is somebody's was judged already.
            (Some(mac), Found::Missing) if served.offer.owner(&name).is_none() => {
                refused(served.access.guessed(mac, address, &served.askers))
            }
            _ => found,
        }
    }
}

/// What a refusal looks like.
fn refused(pass: Pass) -> Found {
    if pass == Pass::Ignore { Found::Ignored } else { Found::Missing }
}

/// A phone's own file; one with a secret only for an asker that the guard lets pass.
fn own(served: &Served, address: IpAddr, mac: Mac, name: &FileName) -> Found {
    let variant = served.offer.phones.get(&mac).and_then(|p| p.chosen(served.askers.signed(mac)));
    let found = variant.and_then(|v| Some((v, v.artifacts.iter().find(|a| a.name == *name)?)));
    let Some((variant, artifact)) = found else { return Found::Missing };
    let pass = match artifact.secret {
        true => served.access.pass(mac, address, &served.askers),
        false => Pass::Give,
    };
    match pass {
        Pass::Give => body(artifact, Some(mac), Some(variant)),
        Pass::Hide | Pass::Ignore => refused(pass),
    }
}

fn body(artifact: &Artifact, mac: Option<Mac>, variant: Option<&Variant>) -> Found {
    let digest = match (artifact.role, variant) {
        (Role::Own | Role::Sync, Some(variant)) => variant.token,
        _ => artifact.digest,
    };
    Found::Body { bytes: artifact.bytes(), ticket: Ticket { mac, role: artifact.role, digest } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Time;
    use crate::daemon::look::Source;
    use crate::daemon::neighbours::Place;
    use crate::daemon::store::Decided;
    use crate::plan::offer::offer;

    const CONF: &str = "[general]\nserver_address=192.0.2.250\ntimezone=Europe/Berlin\n\
                        sip_conf=sip.conf\n";
    const PEERS: &str = "[201] ;MAC=0018b9000001\ntype=friend\nhost=dynamic\nsecret=aEins-Zwei1\n\
                         [202] ;MAC=0018b9000002\ntype=friend\nhost=dynamic\nsecret=bDrei-Vier2\n";

    /// Two phones; the last number of a MAC is that of its address in 192.0.2.0/24.
    fn shelf() -> (Shelf, watch::Sender<Served>) {
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
            offer: Arc::new(offer(&look.built, None, true)),
            access: Arc::new(access),
            ..Served::default()
        };
        let (sender, receiver) = watch::channel(served);
        (Shelf::new(receiver), sender)
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
