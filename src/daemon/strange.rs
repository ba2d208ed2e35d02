//! `unknown_file`: the harmless file of a phone without a tag. It goes only to who surely is that phone,
//! and only when the requests before it show that a SIP application asks: a loader that finds it would stop
//! looking for its firmware.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::event::Ticket;
use super::now;
use super::serve::Found;
use crate::base::Mac;
use crate::family::stage::{Runs, Stages};
use crate::family::{Library, Role};
use crate::plan::boot::tracker::Tracker;

/// The files of all families, and which phone stands where.
#[derive(Debug)]
pub struct Strange {
    families: Arc<Library>,
    /// Also those whose files cannot be made: they keep what they have.
    tagged: BTreeSet<Mac>,
    tracker: Arc<Mutex<Tracker>>,
}

impl Strange {
    /// For phones of these families without a tag. What the old one knows of phones stays known.
    pub fn new(families: &Arc<Library>, tagged: BTreeSet<Mac>, old: Option<&Self>) -> Self {
        let old = old.filter(|old| Arc::ptr_eq(&old.families, families));
        let tracker = old.map_or_else(
            || {
                let stages = Stages::new(families.families.values().map(AsRef::as_ref));
                Arc::new(Mutex::new(Tracker::new(Arc::new(stages))))
            },
            |old| old.tracker.clone(),
        );
        Self { families: families.clone(), tagged, tracker }
    }

    /// A file is asked for, by whomever: give it each request once. The file of the phone whose MAC is in the
    /// name, if a SIP application of a family asks for it.
    pub fn asked(&self, address: IpAddr, name: &str) -> Option<Found> {
        let mut tracker = self.tracker.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = tracker.asked(address, None, name, now());
        let mac = Mac::within(name.as_bytes()).filter(|mac| !self.tagged.contains(mac))?;
        let stages = tracker.stages();
        let fits = asked.at.fits;
        let sip = |family: &str| {
            let of = |id| {
                let runs = stages.get(id).is_some_and(|stage| stage.runs == Runs::Sip);
                runs && stages.family(id) == Some(family)
            };
            !fits.is_empty() && fits.iter().all(|id| of(*id))
        };
        let families = self.families.families.values();
        let mut files = families.filter_map(|family| Some((family, family.unassigned.as_ref()?)));
        let (_, file) = files.find(|(family, file)| file.is(name, mac) && sip(&family.name))?;
        let ticket = Ticket { mac: None, role: Role::Plain, digest: file.digest() };
        Some(Found::Body { bytes: file.bytes(mac), ticket })
    }
}
