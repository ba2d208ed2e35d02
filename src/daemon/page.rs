//! The phones that a status is asked of, and the little of a long list that a person reads.

use std::collections::BTreeMap;

use super::core::Core;
use crate::base::{Level, Mac, Time};
use crate::control::{Answer, Message, OffLadder, PhoneSeen, PhoneStatus, Select, State};

/// What a person is told of the sources' faults at a glance.
const FAULTS: usize = 20;

/// The phones of a page.
pub(super) struct Page {
    pub(super) phones: Vec<PhoneStatus>,
    /// So many on all pages.
    pub(super) matched: usize,
}

impl Core {
    /// The phones that a word names and `select` picks: each is looked at once, and only those of the
    /// page are told of.
    pub(super) fn page(
        &self,
        word: Option<&str>,
        select: &Select,
        now: Time,
    ) -> Result<Page, Answer> {
        let (macs, lost) = match word {
            Some(word) => (self.named(word)?, BTreeMap::new()),
            None => (self.offer.phones.keys().copied().collect(), self.without_files()),
        };
        let total = macs.len() + lost.len();
        let many = select.few.is_some_and(|few| total > few);
        let lost_ones = lost.keys().map(|mac| (*mac, State::Failed));
        let stands = macs.iter().map(|mac| (*mac, self.state(*mac, now)));
        let mut found: Vec<(Mac, State)> = stands
            .chain(lost_ones)
            .filter(|(mac, state)| self.is_meant(*mac, *state, select, many))
            .collect();
        found.sort_by_key(|(mac, state)| (if many { urgency(*state) } else { 0 }, *mac));
        let (offset, limit) = match select.few {
            Some(few) if total <= few => (0, usize::MAX),
            _ => (select.offset, select.limit.unwrap_or(usize::MAX)),
        };
        let matched = found.len();
        let phones =
            found.into_iter().skip(offset).take(limit).filter_map(|(mac, _)| {
                lost.get(&mac).cloned().or_else(|| self.phone_status(mac, now))
            });
        Ok(Page { phones: phones.collect(), matched })
    }

    fn state(&self, mac: Mac, now: Time) -> State {
        let known = self.agenda.get(mac).map(|stand| stand.state);
        let known = known.or_else(|| self.standing(mac, now).map(|stand| stand.state));
        known.unwrap_or(State::Unknown)
    }

    fn is_meant(&self, mac: Mac, state: State, select: &Select, many: bool) -> bool {
        let fits = if select.states.is_empty() {
            !many || state != State::Current
        } else {
            select.states.contains(&state)
        };
        let model = || self.offer.phones.get(&mac).map(|part| &part.model);
        let is_model =
            |wanted: &str| model().is_some_and(|model| model.eq_ignore_ascii_case(wanted));
        fits && select.model.as_deref().is_none_or(is_model)
    }

    /// How many phones stand how, as they were last looked at.
    pub(super) fn counts(&self) -> BTreeMap<State, usize> {
        let mut counts: BTreeMap<State, usize> =
            State::ALL.iter().map(|state| (*state, self.agenda.count(*state))).collect();
        *counts.entry(State::Failed).or_default() += self.lost().count();
        counts
    }

    fn lost(&self) -> impl Iterator<Item = (&Mac, &String)> {
        let held = self.look.iter().flat_map(|look| &look.held);
        held.filter(|(mac, _)| !self.offer.phones.contains_key(mac))
    }

    /// Phones that are tagged and whose files could never be made.
    fn without_files(&self) -> BTreeMap<Mac, PhoneStatus> {
        let status = self.lost().map(|(mac, why)| {
            let status = PhoneStatus {
                mac: *mac,
                family: self.site.default_family.clone(),
                model: String::new(),
                lines: Vec::new(),
                wanted: None,
                running: None,
                state: State::Failed,
                detail: Some(why.clone()),
                last_seen: None,
                alerts: Vec::new(),
                seen: PhoneSeen::default(),
            };
            (*mac, status)
        });
        status.collect()
    }

    /// The phones that were taken off the firmware ladder.
    pub(super) fn all_off_ladder(&self) -> Vec<OffLadder> {
        let climbing = self.observed.phones.iter().filter(|(_, seen)| seen.climb.is_some());
        let ours = climbing.filter(|(mac, _)| self.offer.phones.contains_key(mac));
        ours.filter_map(|(mac, _)| self.off_ladder(*mac)).collect()
    }

    /// What is wrong with the sources, and how much more there is.
    pub(super) fn told_diagnostics(&self, select: &Select) -> (Vec<Message>, usize) {
        let Some(look) = &self.look else { return (Vec::new(), 0) };
        if select.limit.is_none() {
            return (look.messages.clone(), 0);
        }
        let grave = || look.messages.iter().filter(|message| message.level > Level::Note);
        let told: Vec<Message> = grave().take(FAULTS).cloned().collect();
        let more = grave().count() - told.len();
        (told, more)
    }
}

/// Which phones a person wants to see first.
fn urgency(state: State) -> u8 {
    match state {
        State::Failed => 0,
        State::Pushing => 1,
        State::InCall => 2,
        State::Pending => 3,
        State::Unknown => 4,
        State::Current => 5,
    }
}
