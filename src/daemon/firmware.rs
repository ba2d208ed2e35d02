//! What the core answers about firmware.

use super::core::Core;
use crate::base::Mac;
use crate::control::{
    Answer, ErrorKind, Firmware, FirmwareImage, FirmwareLoad, FirmwarePhone, FirmwareStep,
    FirmwareWay, OffLadder,
};
use crate::family::images::{Images, Odd};
use crate::family::ladder::{Ladder, Rung};
use crate::family::manifest::FirmwareFacts;
use crate::plan::generation::PhonePart;
use crate::plan::ladder::stands;

impl Core {
    /// Images, ways and phones.
    pub(super) fn firmware(&self) -> Answer {
        let mut firmware = Firmware::default();
        let families = self.families.families.values();
        let facts: Vec<&FirmwareFacts> = families.filter_map(|f| f.firmware.as_ref()).collect();
        if let Some(look) = &self.look {
            firmware.images = images(&look.images, &facts);
            firmware.loads = facts.iter().flat_map(|facts| loads(&look.images, facts)).collect();
        }
        firmware.ways = self.offer.newest.ladders.iter().map(way).collect();
        firmware.phones = self.offer.phones.values().map(|part| self.climber(part)).collect();
        Answer::Firmware(Box::new(firmware))
    }

    fn climber(&self, part: &PhonePart) -> FirmwarePhone {
        let stands = stands(&self.offer, part, self.observed.phones.get(&part.mac));
        let runs = stands.as_ref().and_then(|s| s.runs).map(|runs| runs.to_string());
        let (target, next, off, stays) = match stands {
            Some(s) => (Some(s.target), s.next, s.off, s.stays),
            None => (part.target().map(str::to_owned), None, None, None),
        };
        FirmwarePhone {
            mac: part.mac,
            peer: part.peers().next().unwrap_or_default().to_owned(),
            model: part.model.to_string(),
            runs: runs.or_else(|| self.by_agent(part)),
            target,
            next,
            off: off.is_some(),
            detail: off.or(stays),
        }
    }

    /// The release that a phone tells when it registers.
    fn by_agent(&self, part: &PhonePart) -> Option<String> {
        let family = self.families.get(&part.family)?;
        let agent = |peer| self.observed.peers.get(peer)?.facts.user_agent.as_deref();
        let major = part.peers().find_map(|peer| family.user_agent(agent(peer)?)?.sip)?;
        Some(format!("SIP {major}"))
    }

    /// What of its firmware is worth telling about a phone whatever else there is to say.
    pub(super) fn firmware_in_words(&self, part: &PhonePart) -> Option<String> {
        let stands = stands(&self.offer, part, self.observed.phones.get(&part.mac))?;
        if let Some(why) = stands.off {
            let mac = part.mac;
            return Some(format!("off the firmware ladder: {why}; handset firmware retry {mac}"));
        }
        let runs = stands.runs?;
        match (stands.stays, stands.next) {
            (Some(why), _) => Some(format!("runs {runs}, firmware: {why}")),
            (None, Some(next)) => {
                Some(format!("runs {runs}, on the way to {}: {next} next", stands.target))
            }
            (None, None) => None,
        }
    }

    /// Why a phone is off the ladder, if it is.
    pub(super) fn off_ladder(&self, mac: Mac) -> Option<OffLadder> {
        let climb = self.observed.phones.get(&mac)?.climb.as_ref()?;
        Some(OffLadder { mac, why: climb.off.clone()? })
    }

    /// Puts phones back onto the ladder.
    pub(super) fn firmware_retry(&mut self, word: Option<&str>) -> Answer {
        let phones: Vec<Mac> = match word.map(|word| self.named(word)) {
            Some(Err(refusal)) => return refusal,
            Some(Ok(phones)) => phones,
            None => self.offer.phones.keys().copied().collect(),
        };
        match self.retry(&phones) {
            0 => {
                let message = "nothing to put back: handset firmware lists who is off the ladder";
                Answer::Error { kind: ErrorKind::Unavailable, message: message.into() }
            }
            1 => Answer::Done("one phone is back on the ladder".into()),
            many => Answer::Done(format!("{many} phones are back on the ladder")),
        }
    }
}

fn images(images: &Images, facts: &[&FirmwareFacts]) -> Vec<FirmwareImage> {
    let odd = |name: &str| {
        let facts = facts.iter().find(|facts| facts.is_image(name));
        let odd = facts.map(|facts| images[name].odd(name, facts)).unwrap_or_default();
        odd.iter().map(Odd::to_string).collect()
    };
    let image = |name: &String| FirmwareImage {
        name: name.clone(),
        size: images[name].size,
        signed: images[name].signed.is_some(),
        odd: odd(name),
    };
    images.keys().map(image).collect()
}

fn loads(images: &Images, facts: &FirmwareFacts) -> Vec<FirmwareLoad> {
    let loads = images.keys().filter_map(|name| name.strip_suffix(".loads"));
    let loads = loads.filter(|load| load.starts_with(&facts.load_prefix));
    loads
        .map(|load| {
            let mut missing = facts.set(load);
            let lists = images.get(&format!("{load}.loads")).and_then(|i| i.lists.as_ref());
            missing.extend(lists.into_iter().flat_map(|lists| lists.images.iter().cloned()));
            missing.retain(|name| !images.contains_key(name));
            missing.sort_unstable();
            missing.dedup();
            FirmwareLoad { load: load.to_owned(), missing }
        })
        .collect()
}

fn way(ladder: &Ladder) -> FirmwareWay {
    let step = |rung: &Rung| FirmwareStep {
        at: rung.at.to_string(),
        load: Some(rung.load.clone()).filter(|load| !load.is_empty()),
        missing: rung.missing.clone(),
    };
    FirmwareWay {
        family: ladder.family.clone(),
        target: ladder.target.clone(),
        steps: ladder.rungs.iter().map(step).collect(),
    }
}
