//! users.conf: the accounts of it that chan_sip makes peers of, before it reads sip.conf
//! (asterisk-conf.md §3.8).

use std::sync::Arc;

use super::options::is_true;
use crate::base::{Code, Diagnostic, Text};
use crate::conf::{Conf, Entries, Entry, Section};
use crate::model::tag::Tag;

/// The codes of this module.
pub(super) static NO_SIP: Code = Code {
    id: "H0410",
    title: "the tagged account of users.conf has no SIP",
    explain: "chan_sip makes a peer of a section of users.conf when the first `hassip` in it, or else in \
              [general], is yes. Other channel drivers do not read users.conf for phones.",
};

/// A section with its tag.
pub(super) type Account = (Section, Option<Arc<Tag>>);

/// The accounts as sections of sip.conf: `type=friend`, the values of `[general]`, the section's own.
/// What is wrong with tags goes to `said`.
pub(super) fn accounts(
    users: &Conf,
    tags: &[Option<Arc<Tag>>],
    said: &mut Vec<Diagnostic>,
) -> Vec<Account> {
    let is_general = |section: &Section| section.name.is("general");
    let general = users.sections.iter().find(|s| !s.template && is_general(s));
    let all = general.is_some_and(|general| has_sip(general) == Some(true));
    let tagged = users.sections.iter().zip(tags.iter().chain(std::iter::repeat(&None)));
    let candidates = tagged.filter(|(section, _)| !section.template && !is_general(section));
    let account = |(section, tag): (&Section, &Option<Arc<Tag>>)| {
        if has_sip(section).unwrap_or(all) {
            return Some((as_peer(general, section), tag.clone()));
        }
        if let Some(tag) = tag {
            let text =
                format!("[{}] has no hassip=yes, so no line comes of this tag", section.name);
            let trouble = Diagnostic::warning(&NO_SIP, text).at(tag.span());
            said.push(trouble.help("add hassip=yes, or tag the account in its own file"));
        }
        None
    };
    candidates.filter_map(account).collect()
}

/// Asterisk takes the first value.
fn has_sip(section: &Section) -> Option<bool> {
    section.all("hassip").next().map(|entry| is_true(&entry.value.chars()))
}

fn as_peer(general: Option<&Section>, section: &Section) -> Section {
    let friend = Entry {
        name: Text::from("type"),
        value: Text::from("friend"),
        name_span: section.span,
        span: section.span,
        inherited: true,
    };
    let common = general.into_iter().flat_map(|general| &general.entries);
    let entries: Entries =
        [friend].into_iter().chain(common.chain(&section.entries).cloned()).collect();
    Section { entries, ..section.clone() }
}
