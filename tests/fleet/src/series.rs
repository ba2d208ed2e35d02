//! The long runs, one command each: they print a table, and say whether all rules hold.

pub mod chaos;
pub mod edits;
pub mod scale;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::conf::Conf;
use crate::fleet::Fleet;
use crate::judge::stale;
use crate::site::{Seen, Site};

/// Waits until every phone but the exempt ones runs what `conf` gives it and the daemon says so, for
/// two looks in a row; what is stale when `limit` is over.
pub async fn settle(
    site: &Site,
    fleet: &Fleet,
    conf: &Conf,
    exempt: &BTreeSet<usize>,
    limit: Duration,
) -> Vec<String> {
    wait(site, fleet, conf, exempt, limit, End::Proved).await
}

/// When a series is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The daemon has proof of every phone.
    Proved,
    /// Phones that run the right thing may still be asked for it.
    Asked,
}

async fn wait(
    site: &Site,
    fleet: &Fleet,
    conf: &Conf,
    exempt: &BTreeSet<usize>,
    limit: Duration,
    end: End,
) -> Vec<String> {
    let began = Instant::now();
    let mut quiet = 0;
    loop {
        let found = match block_in_place(|| site.status()) {
            Ok(mut status) => {
                if end == End::Asked {
                    let asked =
                        |seen: &&mut Seen| matches!(seen.state.as_str(), "pushing" | "unknown");
                    status
                        .phones
                        .values_mut()
                        .filter(asked)
                        .for_each(|seen| seen.state = "current".into());
                }
                stale(fleet, conf, Some(&status), exempt)
            }
            Err(error) => vec![format!("the daemon does not answer: {error}")],
        };
        quiet = if found.is_empty() { quiet + 1 } else { 0 };
        if quiet == 2 {
            return found;
        }
        if began.elapsed() > limit {
            tell(site, fleet, conf, exempt);
            return found;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Writes beside the daemon's log, where that is kept, what the phones tell that are wrong.
fn tell(site: &Site, fleet: &Fleet, conf: &Conf, exempt: &BTreeSet<usize>) {
    let Some(log) = site.kept_log() else { return };
    let status = site.status().ok();
    let wrong = conf.wanted().into_iter().map(|(index, _)| index).filter(|index| {
        let others = (0..fleet.len()).filter(|other| other != index).chain(exempt.iter().copied());
        !stale(fleet, conf, status.as_ref(), &others.collect()).is_empty()
    });
    let stories: String = wrong.map(|index| fleet.story(index)).collect();
    let _ = std::fs::write(log.with_extension("phones"), stories);
    let _ = std::fs::copy(site.sip_conf(), log.with_extension("sip.conf"));
}
