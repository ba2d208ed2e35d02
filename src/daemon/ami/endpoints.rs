//! What the session remembers of chan_pjsip's endpoints.
//!
//! chan_pjsip tells of a contact's first REGISTER only by events of the contact, which come for other
//! reasons too, and of a refresh by nothing at all. So a contact that was not known is a REGISTER just
//! now, and endpoints whose refresh is waited for are asked every few seconds: their expiry rises.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::relist::Details;
use crate::base::Tech;
use crate::plan::observed::{PeerFacts, Visible};
use crate::wire::ami::Frame;
use crate::wire::ami::pjsip::{self, Change, Contact};

/// An event is later than an answer that shows the same contact by no more than this.
const LATE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Endpoints {
    /// What each endpoint showed since the last reload: nothing else changes it.
    shown: BTreeMap<String, Visible>,
    /// The contacts of each endpoint by URI, with when an answer showed them that no event has told
    /// of yet. No entry for an endpoint before the first answer.
    contacts: BTreeMap<String, BTreeMap<String, Option<Instant>>>,
    /// The answer to PJSIPShowEndpoint that is coming in.
    answer: Answer,
    /// The contacts of the list that is coming in.
    listed: BTreeMap<String, Vec<String>>,
    /// Endpoints whose refresh is waited for.
    pub(super) polled: BTreeSet<String>,
    /// When they are asked next.
    pub(super) poll_at: Option<Instant>,
}

#[derive(Default)]
struct Answer {
    visible: Option<Visible>,
    aors: Vec<(String, String)>,
    contacts: Vec<Contact>,
}

impl Endpoints {
    /// There was no session for a while: nothing is known but what to poll.
    pub(super) fn forget(&mut self) {
        let polled = std::mem::take(&mut self.polled);
        *self = Self { polled, ..Self::default() };
    }

    /// Something was reloaded.
    pub(super) fn reloaded(&mut self) {
        self.shown.clear();
    }

    /// What an endpoint shows, if it is known.
    pub(super) fn shown(&self, endpoint: &str) -> Option<&Visible> {
        self.shown.get(endpoint)
    }

    /// An event of an endpoint. Whether it tells of a REGISTER just now.
    pub(super) fn event(&mut self, endpoint: &str, change: Change, now: Instant) -> bool {
        let Some(contacts) = self.contacts.get_mut(endpoint) else {
            return matches!(change, Change::Updated(_));
        };
        match change {
            Change::Other => false,
            Change::Lost(uri) => {
                contacts.remove(&uri);
                false
            }
            Change::Updated(uri) => {
                contacts.insert(uri, None);
                true
            }
            Change::Has(uri) => match contacts.insert(uri, None) {
                None => true,
                Some(seen) => seen.is_some_and(|at| now.duration_since(at) < LATE),
            },
        }
    }

    /// An item of PJSIPShowEndpoint.
    pub(super) fn item(&mut self, frame: &Frame) {
        let Answer { visible, aors, contacts } = &mut self.answer;
        contacts.extend(pjsip::contact(frame));
        aors.extend(pjsip::aor_mailboxes(frame));
        if let Some(shown) = pjsip::visible(frame) {
            *visible = Some(shown);
        }
    }

    /// PJSIPShowEndpoint has failed.
    pub(super) fn failed(&mut self) {
        self.answer = Answer::default();
    }

    /// PJSIPShowEndpoint has ended; `clock` in seconds since 1970.
    pub(super) fn details(&mut self, endpoint: &str, clock: u64, now: Instant) -> Details {
        let Answer { visible, aors, contacts } = std::mem::take(&mut self.answer);
        let Some(mut visible) = visible else { return Details::Unknown };
        if visible.mailbox.is_empty() {
            let own = aors.into_iter().find(|(name, _)| name == endpoint);
            visible.mailbox = own.map(|(_, mailbox)| mailbox).unwrap_or_default();
        }
        self.shown.insert(endpoint.to_owned(), visible.clone());
        let mut facts = PeerFacts {
            peer: endpoint.to_owned(),
            tech: Tech::Pjsip,
            visible: Some(visible),
            ..PeerFacts::default()
        };
        contacts.iter().for_each(|contact| pjsip::add(&mut facts, contact, clock));
        let uris = contacts.into_iter().map(|contact| contact.uri).collect();
        self.has(endpoint.to_owned(), uris, now);
        Details::Fresh(Box::new(facts))
    }

    /// An item of the list of all contacts.
    pub(super) fn listed(&mut self, contact: &Contact) {
        self.listed.entry(contact.endpoint.clone()).or_default().push(contact.uri.clone());
    }

    /// The list of all contacts has ended; `endpoints` are those followed.
    pub(super) fn all_listed<'a>(
        &mut self,
        endpoints: impl Iterator<Item = &'a String>,
        now: Instant,
    ) {
        let mut listed = std::mem::take(&mut self.listed);
        for endpoint in endpoints {
            self.has(endpoint.clone(), listed.remove(endpoint).unwrap_or_default(), now);
        }
    }

    /// All contacts of an endpoint, as an answer shows them.
    fn has(&mut self, endpoint: String, uris: Vec<String>, now: Instant) {
        let old = self.contacts.get(&endpoint);
        let seen = |uri: &String| match old {
            None => None,
            Some(old) => old.get(uri).copied().unwrap_or(Some(now)),
        };
        let contacts = uris.into_iter().map(|uri| (uri.clone(), seen(&uri))).collect();
        self.contacts.insert(endpoint, contacts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(uri: &str) -> Change {
        Change::Has(uri.into())
    }

    /// An endpoint that had these contacts at the first answer.
    fn known(uris: &[&str]) -> (Endpoints, Instant) {
        let mut endpoints = Endpoints::default();
        let now = Instant::now();
        endpoints.has("201".into(), uris.iter().map(|&uri| uri.into()).collect(), now);
        (endpoints, now)
    }

    #[test]
    fn a_contact_that_was_not_known_is_a_register_and_further_events_of_it_are_none() {
        let (mut endpoints, now) = known(&["a"]);
        assert!(!endpoints.event("201", has("a"), now), "qualified, say");
        assert!(endpoints.event("201", has("b"), now));
        assert!(!endpoints.event("201", has("b"), now));
        assert!(!endpoints.event("201", Change::Lost("b".into()), now));
        assert!(endpoints.event("201", has("b"), now), "it came back");
        assert!(endpoints.event("201", Change::Updated("b".into()), now));
        assert!(!endpoints.event("201", Change::Other, now));
    }

    #[test]
    fn before_the_first_answer_nothing_is_known_to_be_new() {
        let mut endpoints = Endpoints::default();
        assert!(!endpoints.event("201", has("a"), Instant::now()));
    }

    #[test]
    fn an_event_may_come_after_the_answer_that_shows_the_contact() {
        let (mut endpoints, now) = known(&[]);
        endpoints.has("201".into(), vec!["a".into(), "b".into()], now);
        assert!(endpoints.event("201", has("a"), now + Duration::from_secs(1)));
        assert!(!endpoints.event("201", has("a"), now + Duration::from_secs(1)));
        assert!(!endpoints.event("201", has("b"), now + Duration::from_secs(3)), "that is another");
    }
}
