//! What happened, read back: rows on disk, rows that may not be there yet, facts without a row.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::warn;

use super::Row;
use crate::base::Mac;
use crate::control::{Answer, DhcpSeen, FileSeen, Status};
use crate::daemon::journal::{Journal, JournalError, Table};
use crate::plan::boot::fact::{Fact, What};
use crate::plan::boot::last::Last;
use crate::plan::boot::record;
use crate::plan::boot::story::dhcp;

/// What happened until a moment.
pub(in crate::daemon) struct History {
    pub(super) journal: Journal,
    pub(super) recent: Vec<Row>,
    pub(super) pending: Arc<[Fact]>,
}

impl History {
    /// Calls `take` with the facts of one row after the other, from a key on, until it returns false.
    /// Rows that tell of none of the phones in `only` may be left out. Blocks.
    pub(super) fn each(
        &self,
        from: &[u8],
        only: Option<&BTreeSet<Mac>>,
        mut take: impl FnMut(&[Fact]) -> bool,
    ) -> Result<(), JournalError> {
        let late: HashSet<&[u8]> = self.recent.iter().map(|(key, _)| key.as_slice()).collect();
        let macs: Option<Vec<String>> = only.map(|only| only.iter().map(Mac::to_string).collect());
        let tells = |row: &[u8]| {
            macs.as_ref().is_none_or(|macs| {
                str::from_utf8(row).is_ok_and(|row| macs.iter().any(|mac| row.contains(mac)))
            })
        };
        let mut more = true;
        let read = self.journal.each(Table::Events, from, |key, row| {
            if !late.contains(key) && tells(row) {
                more = take(&record::decode(row).unwrap_or_default());
            }
            more
        });
        let unwritten = self.recent.iter().map(|(_, facts)| facts.as_slice());
        let mut rest = unwritten.chain([&*self.pending]);
        while more && let Some(facts) = rest.next() {
            more = take(facts);
        }
        read
    }

    /// What happened last to each of these phones.
    pub(super) fn last(&self, phones: &BTreeSet<Mac>) -> BTreeMap<Mac, Last> {
        let mut all: BTreeMap<Mac, Last> = BTreeMap::new();
        let read = self.each(&[], Some(phones), |facts| {
            for fact in facts {
                if let Some(mac) = fact.mac.filter(|mac| phones.contains(mac)) {
                    all.entry(mac).or_default().take(fact);
                }
            }
            true
        });
        if let Err(error) = read {
            warn!(%error, "the journal of events cannot be read");
        }
        all
    }
}

/// Answers with a status to which what happened last to its phones is added.
pub(in crate::daemon) async fn complete(
    history: History,
    mut status: Box<Status>,
    answers: mpsc::Sender<Answer>,
) {
    let completed = tokio::task::spawn_blocking(move || {
        let macs = status.phones.iter().map(|phone| phone.mac).collect();
        let mut last = history.last(&macs);
        for phone in &mut status.phones {
            let Some(Last { dhcp, files }) = last.remove(&phone.mac) else { continue };
            phone.seen.dhcp = dhcp.as_ref().and_then(dhcp_seen);
            let mut files: Vec<_> = files.into_iter().collect();
            files.sort_by_key(|(_, (at, _))| *at);
            let seen = files.into_iter().map(|(name, (at, file))| FileSeen {
                name,
                at: at.to_string(),
                outcome: file.end.to_string(),
                bytes: file.bytes,
                digest: file.digest,
            });
            phone.seen.files = seen.collect();
        }
        status
    });
    if let Ok(status) = completed.await {
        // Who went away needs no answer.
        let _ = answers.send(Answer::Status(status)).await;
    }
}

fn dhcp_seen(fact: &Fact) -> Option<DhcpSeen> {
    let What::Dhcp(said, about) = &fact.what else { return None };
    Some(DhcpSeen { at: fact.at.to_string(), text: dhcp(said, *about) })
}
