//! What the core tells the guard of the secrets: where phones are known to be, and what the operator
//! opens to unknown askers.

use std::time::Duration;

use tracing::info;

use super::askers::Whereabouts;
use super::core::Core;
use crate::base::Mac;
use crate::control::{Alert, Answer, ErrorKind, Open, Opening, PhoneStatus};
use crate::plan::observed::Seen;
use crate::plan::place::names;

/// Nothing is opened for longer: what is to stay open belongs into `trusted_nets`.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

impl Core {
    /// The guard's settings, as they are now.
    pub(super) fn guard(&self) {
        self.access.set(self.site.guard, &self.site.trusted_nets);
    }

    pub(super) fn whereabouts(&self, mac: Mac) -> Whereabouts {
        let Some(part) = self.offer.phones.get(&mac) else { return Whereabouts::default() };
        let none = Seen::default();
        let seen = self.observed.phones.get(&mac).unwrap_or(&none);
        let contact = |peer: &str| self.observed.found(peer, seen).map(|a| a.ip().to_canonical());
        let contacts: Vec<_> = names(part, seen).map(contact).collect();
        let first = contacts.first().copied().flatten();
        let looked = seen.sync.map(|sync| sync.at);
        let told = seen.told.as_ref().is_some_and(|told| looked.is_none_or(|at| at < told.at));
        let last = seen.contact.map(|contact| contact.ip().to_canonical());
        Whereabouts {
            registered: contacts.iter().flatten().copied().collect(),
            whole: first.filter(|_| contacts.iter().all(|contact| *contact == first)),
            proved: seen.address.zip(seen.running).map(|(address, run)| (address, run.at)),
            told,
            told_at: last.filter(|_| told && contacts.iter().all(Option::is_none)),
            choice: (seen.signed || seen.climb.is_some())
                .then(|| self.offer.choice(part, Some(seen))),
        }
    }

    /// Tells these phones who was refused their files; what was refused in `all`, or to them.
    pub(super) fn alerts(&self, phones: &mut [PhoneStatus], all: bool) -> Vec<Alert> {
        let mut alerts = self.access.alerts();
        for alert in &alerts {
            let of = |phone: &&mut PhoneStatus| Some(phone.mac) == alert.phone;
            if let Some(phone) = phones.iter_mut().find(of) {
                phone.alerts.push(alert.clone());
            }
        }
        alerts.retain(|alert| all || phones.iter().any(|phone| Some(phone.mac) == alert.phone));
        alerts
    }

    /// Opens what is named, for so many seconds.
    pub(super) fn open(&self, what: &Open, seconds: u64) -> Answer {
        let time = Duration::from_secs(seconds);
        if time.is_zero() || time > LONGEST {
            let message = "give a time of at most 7 days; for longer, use trusted_nets".into();
            return Answer::Error { kind: ErrorKind::Unavailable, message };
        }
        let all = match self.openings(what) {
            Ok(all) => all,
            Err(refusal) => return refusal,
        };
        for opening in all {
            if !self.access.open(opening.clone(), time) {
                let message = "too much is open: close something, or open a network".into();
                return Answer::Error { kind: ErrorKind::Unavailable, message };
            }
            info!(%opening, seconds, "opened to unknown askers");
        }
        Answer::Done(format!("open for {seconds} s: unknown askers are given its files"))
    }

    /// Closes what is named.
    pub(super) fn close_again(&self, what: &Open) -> Answer {
        let all = match self.openings(what) {
            Ok(all) => all,
            Err(refusal) => return refusal,
        };
        let closed: Vec<&Opening> = all.iter().filter(|what| self.access.close(what)).collect();
        if closed.is_empty() {
            let message = "it is not open; handset open lists what is".into();
            return Answer::Error { kind: ErrorKind::Unavailable, message };
        }
        closed.iter().for_each(|opening| info!(%opening, "closed"));
        Answer::Done("closed".into())
    }

    fn openings(&self, what: &Open) -> Result<Vec<Opening>, Answer> {
        match what {
            Open::Phone(word) => Ok(self.named(word)?.into_iter().map(Opening::Phone).collect()),
            Open::Net(net) => Ok(vec![Opening::Net(*net)]),
        }
    }
}
