//! One change to thousands of phones: how long it takes, and what it costs the daemon.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::settle;
use crate::conf::Conf;
use crate::edit::Editor;
use crate::fleet::{self, Fleet};
use crate::judge::{self, Verdict};
use crate::process::{self, Cost};
use crate::site::{self, Site};

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many phones.
    pub phones: usize,
    /// NOTIFYs a second that handset may send.
    pub rate: u32,
    /// Phones switched on a second.
    pub boot_rate: u32,
    /// What all chance follows from.
    pub seed: u64,
    /// How long each of the two parts may take.
    pub limit: Duration,
    /// By how many percent the change may take longer than the ideal.
    pub percent: u32,
    /// The most that the daemon may use of one core meanwhile, in percent.
    pub cpu: f64,
    /// The most memory that it may hold, in MiB.
    pub memory: u64,
}

/// Runs it.
///
/// # Errors
/// The site cannot be made, or the daemon ended.
pub async fn run(plan: &Plan, mut options: site::Options) -> io::Result<Verdict> {
    options.pbx = crate::conf::Pbx { qualify: 0, expires: 600 };
    options.push = format!("{}rate={}\n", options.push, plan.rate);
    let conf = Conf::new(plan.phones, plan.seed);
    let mut site = block_in_place(|| Site::prepare(options, &conf))?;
    block_in_place(|| site.run())?;
    let mine = process::cost(std::process::id()).unwrap_or_default();
    let mut phones = fleet::Options::quick(plan.phones, site.tftp);
    (phones.expires, phones.boot_rate) = (600, plan.boot_rate);
    let fleet = Fleet::start(&phones).await;
    let mut verdict = Verdict::default();
    let up = fleet.until_on_air(plan.limit).await;
    verdict.rule("phones that came up", up, up == plan.phones);
    let now = process::cost(std::process::id()).unwrap_or_default();
    let each = now.resident.saturating_sub(mine.resident) / plan.phones.max(1) as u64;
    verdict.tell("KiB of the simulator for a phone", each);
    let late = settle(&site, &fleet, &conf, &BTreeSet::new(), plan.limit).await;
    verdict.none("phones that are not current before the change", late);
    if !verdict.holds() {
        return Ok(verdict);
    }
    change(plan, &site, &fleet, conf, &mut verdict).await?;
    verdict.rule("the daemon ran all the time", site.daemon_lives(), site.daemon_lives());
    Ok(verdict)
}

async fn change(
    plan: &Plan,
    site: &Site,
    fleet: &Fleet,
    conf: Conf,
    verdict: &mut Verdict,
) -> io::Result<()> {
    let mut editor = Editor::new(conf, plan.seed);
    let edit = editor.edit_all();
    let text = site.text(&editor.conf);
    let before = daemon(site)?;
    let mine = process::cost(std::process::id()).unwrap_or_default();
    let began = Instant::now();
    let saved = fleet::now();
    editor.save(&edit, &site.sip_conf(), &text).await?;
    let (mut most, mut looks) = (0, 0u32);
    while began.elapsed() < plan.limit {
        looks += 1;
        most = most.max(daemon(site)?.resident);
        if looks.is_multiple_of(5) && done(fleet) == plan.phones {
            break;
        }
        sleep(Duration::from_millis(200)).await;
    }
    let wall = began.elapsed().as_secs_f64();
    let (after, me) = (daemon(site)?, process::cost(std::process::id()).unwrap_or_default());
    verdict.rule("phones that took the change", done(fleet), done(fleet) == plan.phones);
    figures(plan, fleet, saved, verdict);
    let cpu = 100.0 * (after.cpu - before.cpu) / wall;
    verdict.rule("percent of a core, daemon", format!("{cpu:.1}"), cpu <= plan.cpu);
    let mib = most / 1024;
    verdict.rule("MiB resident, daemon, most", mib, mib <= plan.memory);
    verdict.tell("  MiB resident, daemon, most since its start", after.peak / 1024);
    verdict
        .tell("percent of a core, simulator", format!("{:.1}", 100.0 * (me.cpu - mine.cpu) / wall));
    let late = settle(site, fleet, &editor.conf, &BTreeSet::new(), Duration::from_secs(60)).await;
    verdict.none("phones that are not current after the change", late);
    let ledgers = fleet.ledgers();
    judge::restarts(verdict, &ledgers, &editor.saves);
    judge::calls(verdict, &ledgers, &[]);
    judge::sums(verdict, &ledgers);
    Ok(())
}

fn daemon(site: &Site) -> io::Result<Cost> {
    let cost = site.pid().and_then(process::cost);
    cost.ok_or_else(|| io::Error::other(format!("the daemon ended\n{}", site.log_end())))
}

/// Phones that restarted for a check-sync and are back.
fn done(fleet: &Fleet) -> usize {
    let back = |index: &usize| {
        let ledger = fleet.ledger(*index);
        ledger.on_air() && ledger.told_restarts().next().is_some()
    };
    (0..fleet.len()).filter(back).count()
}

/// The time that it took beside the one that the rate allows.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn figures(plan: &Plan, fleet: &Fleet, saved: u64, verdict: &mut Verdict) {
    let idle = fleet::Options::quick(1, ([127, 0, 0, 1], 0).into()).idle;
    let mut last = saved;
    let (mut boots, mut downs) = (Vec::new(), Vec::new());
    for ledger in fleet.ledgers() {
        for restart in ledger.told_restarts() {
            downs.push(restart.at.saturating_sub(saved) as f64 / 1e3);
            let Some(back) = restart.back else { continue };
            last = last.max(back);
            boots.push(back.saturating_sub(restart.at));
        }
    }
    boots.sort_unstable();
    downs.sort_unstable_by(f64::total_cmp);
    let boot = boots.get(boots.len() / 2).copied().unwrap_or_default() as f64 / 1e3;
    let paced = plan.phones as f64 / f64::from(plan.rate);
    let waves = waves(plan.phones);
    let ideal = paced + f64::from(waves) * (idle.as_secs_f64() + boot);
    let took = last.saturating_sub(saved) as f64 / 1e3;
    let over = 100.0 * (took / ideal - 1.0);
    verdict.tell("seconds of one boot, median", format!("{boot:.2}"));
    verdict.tell("waves", waves);
    verdict.tell("seconds, ideal: phones / rate, idle + boot for each wave", format!("{ideal:.1}"));
    verdict.tell("seconds from the save to the last phone's return", format!("{took:.1}"));
    let at = |percent: usize| downs.get(downs.len() * percent / 100).copied().unwrap_or_default();
    verdict.tell("  seconds from the save to the first restart", format!("{:.1}", at(0)));
    let steady = 0.8 * downs.len() as f64 / (at(90) - at(10)).max(0.001);
    verdict.tell("  restarts a second, from the first to the last tenth", format!("{steady:.1}"));
    let holds = over <= f64::from(plan.percent);
    verdict.rule("percent more than the ideal", format!("{over:.1}"), holds);
}

/// How many waves so many phones take: 3 canaries, and every wave four times the one before, as by default.
fn waves(phones: usize) -> u32 {
    let (mut left, mut size, mut waves) = (phones, 3, 0);
    while left > 0 {
        left = left.saturating_sub(size);
        (size, waves) = (size * 4, waves + 1);
    }
    waves
}

#[cfg(test)]
mod tests {
    #[test]
    fn five_thousand_phones_take_seven_waves() {
        assert_eq!([0, 3, 4, 15, 16, 5000].map(super::waves), [0, 1, 2, 2, 3, 7]);
    }
}
