//! Random edits, faster than the phones can follow, while some of them are in calls.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::settle;
use crate::conf::Conf;
use crate::edit::{Editor, Kind};
use crate::fleet::{self, Fleet};
use crate::judge::{self, Verdict};
use crate::random::Random;
use crate::site::{self, Site};

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many phones.
    pub phones: usize,
    /// How many edits.
    pub edits: usize,
    /// What all chance follows from.
    pub seed: u64,
    /// The longest pause between two edits, in milliseconds.
    pub pause: u64,
    /// Phones in a call at any time.
    pub talkers: usize,
    /// Kinds of edits that are left out.
    pub without: Vec<Kind>,
    /// How long the end may take.
    pub limit: Duration,
}

/// Runs it.
///
/// # Errors
/// The site cannot be made, or the daemon ended.
pub async fn run(plan: &Plan, options: site::Options) -> io::Result<Verdict> {
    let conf = Conf::new(plan.phones, plan.seed);
    let mut site = block_in_place(|| Site::prepare(options, &conf))?;
    block_in_place(|| site.run())?;
    let fleet = Fleet::start(&fleet::Options::quick(plan.phones, site.tftp)).await;
    let mut verdict = Verdict::default();
    let nobody = BTreeSet::new();
    let late = settle(&site, &fleet, &conf, &nobody, plan.limit).await;
    verdict.none("phones that did not come up", late);
    if !verdict.holds() {
        return Ok(verdict);
    }
    let talkers = fleet.talk(plan.talkers, "600", plan.seed);
    let mut editor = Editor::new(conf, plan.seed);
    editor.without(&plan.without);
    let began = Instant::now();
    let kinds = edit(&site, &mut editor, plan).await?;
    verdict.tell("edits", editor.saves.len());
    verdict.tell("seconds of editing", began.elapsed().as_secs());
    talkers.iter().for_each(tokio::task::JoinHandle::abort);
    fleet.hang_up().await;
    let ended = Instant::now();
    let late = settle(&site, &fleet, &editor.conf, &nobody, plan.limit).await;
    verdict.tell("seconds until all was quiet", ended.elapsed().as_secs());
    verdict.none("stale phones", late);
    let ledgers = fleet.ledgers();
    judge::restarts(&mut verdict, &ledgers, &editor.saves);
    judge::calls(&mut verdict, &ledgers, &[]);
    judge::unexplained(&mut verdict, &ledgers, &editor.touches(plan.phones));
    judge::sums(&mut verdict, &ledgers);
    verdict.rule("the daemon ran all the time", site.daemon_lives(), site.daemon_lives());
    verdict.tell("kinds of edits", format!("{kinds:?}"));
    Ok(verdict)
}

/// Edits, and counts the kinds.
async fn edit(site: &Site, editor: &mut Editor, plan: &Plan) -> io::Result<BTreeMap<Kind, usize>> {
    let mut random = Random::new(plan.seed, 4);
    let mut kinds = BTreeMap::new();
    for _ in 0..plan.edits {
        let edit = editor.edit(|conf| site.text(conf));
        *kinds.entry(edit.kind).or_default() += 1;
        let text = site.text(&editor.conf);
        editor.save(&edit, &site.sip_conf(), &text).await?;
        sleep(Duration::from_millis(random.between(0, plan.pause))).await;
    }
    Ok(kinds)
}
