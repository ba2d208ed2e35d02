//! Everything goes wrong, by seed, while sip.conf is edited and phones misbehave.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{Instant, sleep};

use super::{End, settle};
use crate::clock::Clock;
use crate::conf::Conf;
use crate::disk::Disk;
use crate::edit::{Editor, Kind};
use crate::fault::{self, Misbehaviour};
use crate::fleet::{self, Fleet};
use crate::judge::{self, Verdict};
use crate::proxy::{Line, Proxy};
use crate::random::Random;
use crate::site::{self, Site};

/// The operator looks so often.
const OPERATOR: Duration = Duration::from_secs(20);

/// Words in the daemon's log that tell of a journal that is not sound, or of worse.
const UNSOUND: [&str; 4] =
    ["the state is damaged", "it begins anew", "they are unknown", "panicked"];

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many phones.
    pub phones: usize,
    /// How long things go wrong.
    pub length: Duration,
    /// What all chance follows from.
    pub seed: u64,
    /// The longest pause between two incidents.
    pub pause: Duration,
    /// Phones of 100 that misbehave once.
    pub misbehave: u64,
    /// Phones in a call at any time.
    pub talkers: usize,
    /// Kinds of edits that are left out.
    pub without: Vec<Kind>,
    /// Whether the state is on a disk that can be full: [`crate::disk::isolate`] was called.
    pub disk: bool,
    /// Whether handset must have proof of every phone at the end: that takes a minute or two longer for
    /// those that run the right thing and are only asked.
    pub proved: bool,
    /// How long the end may take.
    pub limit: Duration,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the names say it")]
enum Incident {
    /// kill -9; started again after a while.
    DaemonKilled,
    /// SIGTERM; started again after a while.
    DaemonStopped,
    AsteriskDown,
    /// As before, and it forgets who was registered.
    AsteriskForgets,
    /// An administrator types `sip reload`.
    AsteriskReloaded,
    AmiCut,
    /// Connections stay open and carry nothing.
    AmiFrozen,
    /// sip.conf is half-written, or broken, for some seconds.
    HalfWritten,
    DiskFull,
    ClockJump,
}

const INCIDENTS: [Incident; 10] = [
    Incident::DaemonKilled,
    Incident::DaemonStopped,
    Incident::AsteriskDown,
    Incident::AsteriskForgets,
    Incident::AsteriskReloaded,
    Incident::AmiCut,
    Incident::AmiFrozen,
    Incident::HalfWritten,
    Incident::DiskFull,
    Incident::ClockJump,
];

/// What a broken site needs to be whole again, and who keeps count.
struct Chaos<'a> {
    plan: &'a Plan,
    /// Before the site, whose folder can go only without it.
    disk: Option<Disk>,
    site: Site,
    proxy: Proxy,
    clock: Clock,
    editor: Editor,
    random: Random,
    /// What is wrong now, and until when.
    wrong: BTreeMap<Incident, Instant>,
    counts: BTreeMap<Incident, usize>,
    /// How the daemon ended by itself, and how it did not start.
    ended: Vec<String>,
    /// Times in which neither Asterisk nor handset could know of a call, in milliseconds since 1970.
    blind: Vec<(u64, u64)>,
}

/// Runs it.
///
/// # Errors
/// The site cannot be made.
pub async fn run(plan: &Plan, options: site::Options) -> io::Result<Verdict> {
    let conf = Conf::new(plan.phones, plan.seed);
    let mut chaos = Chaos::start(plan, options, &conf).await?;
    let fleet = Fleet::start(&fleet::Options::quick(plan.phones, chaos.site.tftp)).await;
    let mut verdict = Verdict::default();
    let nobody = BTreeSet::new();
    let late = settle(&chaos.site, &fleet, &conf, &nobody, plan.limit).await;
    verdict.none("phones that did not come up", late);
    if !verdict.holds() {
        return Ok(verdict);
    }
    let faults = fault::plan(plan.phones, plan.misbehave, plan.length, plan.seed);
    let mut tasks = fleet.misbehave(&faults, plan.seed);
    let talkers = fleet.talk(plan.talkers, "600", plan.seed);
    chaos.rage().await?;
    chaos.heal().await?;
    tasks.extend(talkers);
    rest(tasks, &faults, &fleet).await;
    // Phones that misbehave for ever may be canaries once more.
    for _ in 0..3 {
        chaos.speak()?;
        sleep(OPERATOR).await;
    }
    let exempt = faults.iter().filter(|one| one.for_ever).map(|one| one.phone).collect();
    let ended = Instant::now();
    let end = if plan.proved { End::Proved } else { End::Asked };
    let late = super::wait(&chaos.site, &fleet, &chaos.editor.conf, &exempt, plan.limit, end).await;
    verdict.tell("seconds until all was quiet", ended.elapsed().as_secs());
    verdict.none("well-behaved phones that are stale", late);
    chaos.judge(&mut verdict, &fleet, &faults);
    chaos.judge_journal(&mut verdict)?;
    Ok(verdict)
}

/// Ends the talk; the faults have ended by themselves by now, but for those that never do.
async fn rest(tasks: Vec<JoinHandle<()>>, faults: &[Misbehaviour], fleet: &Fleet) {
    for (task, fault) in tasks.iter().zip(faults) {
        let until = Instant::now() + Duration::from_secs(10);
        while !task.is_finished() && !fault.for_ever && Instant::now() < until {
            sleep(Duration::from_millis(50)).await;
        }
    }
    tasks.iter().for_each(JoinHandle::abort);
    fleet.hang_up().await;
}

impl<'a> Chaos<'a> {
    async fn start(plan: &'a Plan, options: site::Options, conf: &Conf) -> io::Result<Self> {
        let mut site = block_in_place(|| Site::prepare(options, conf))?;
        let proxy = Proxy::start((Ipv4Addr::LOCALHOST, site.ami).into()).await?;
        site.daemon_ami = proxy.port();
        let clock = Clock::build(&site.path("."))?;
        site.environment(clock.environment());
        let disk = match plan.disk {
            true => Some(Disk::mount(&site.path("state"), 96)?),
            false => None,
        };
        block_in_place(|| site.run())?;
        let mut editor = Editor::new(conf.clone(), plan.seed);
        editor.without(&plan.without);
        let random = Random::new(plan.seed, 6);
        let (wrong, counts) = (BTreeMap::new(), BTreeMap::new());
        let (ended, blind) = (Vec::new(), Vec::new());
        Ok(Self { plan, site, proxy, clock, disk, editor, random, wrong, counts, ended, blind })
    }

    /// Breaks, heals and edits until the time is over.
    async fn rage(&mut self) -> io::Result<()> {
        let end = Instant::now() + self.plan.length;
        let mut word = Instant::now() + OPERATOR;
        let (mut next, mut edit) = (self.soon(self.plan.pause), self.soon(Duration::from_secs(3)));
        while Instant::now() < end {
            let now = Instant::now();
            let over = self.wrong.iter().find(|(_, until)| **until <= now).map(|(what, _)| *what);
            if let Some(what) = over {
                self.end(what)?;
            }
            if word <= now {
                self.speak()?;
                word = now + OPERATOR;
            }
            if next <= now {
                self.begin().await?;
                next = self.soon(self.plan.pause);
            }
            if edit <= now {
                self.edit(None).await?;
                edit = self.soon(Duration::from_secs(3));
            }
            self.supervise();
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn soon(&mut self, pause: Duration) -> Instant {
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        Instant::now() + Duration::from_millis(self.random.between(pause / 10, pause))
    }

    /// One incident; nothing, when it is going on already.
    async fn begin(&mut self) -> io::Result<()> {
        let what = *self.random.pick(&INCIDENTS);
        let down = |what| matches!(what, Incident::AsteriskDown | Incident::AsteriskForgets);
        let daemon = |what| matches!(what, Incident::DaemonKilled | Incident::DaemonStopped);
        let taken = self.wrong.keys().any(|now| {
            *now == what || (down(*now) && down(what)) || (daemon(*now) && daemon(what))
        });
        if taken || (what == Incident::DiskFull && self.disk.is_none()) {
            return Ok(());
        }
        *self.counts.entry(what).or_default() += 1;
        let longest = match what {
            Incident::DaemonKilled | Incident::DaemonStopped => 6_000,
            Incident::AsteriskReloaded | Incident::HalfWritten => 1,
            _ => 30_000,
        };
        let until = Instant::now() + Duration::from_millis(self.random.between(0, longest));
        self.wrong.insert(what, until);
        self.note(what, "begins");
        match what {
            Incident::DaemonKilled => {
                if let Err(error) = block_in_place(|| self.site.kill()) {
                    self.ended.push(error.to_string());
                }
            }
            Incident::DaemonStopped => match block_in_place(|| self.site.stop()) {
                Ok(0) => {}
                // It says that what is new is lost.
                Ok(1) if self.wrong.contains_key(&Incident::DiskFull) => {}
                other => self.ended.push(format!("SIGTERM: {other:?}")),
            },
            Incident::AsteriskDown | Incident::AsteriskForgets => {
                block_in_place(|| self.site.stop_asterisk())?;
            }
            Incident::AsteriskReloaded => {
                // It may be down just now.
                let _ = block_in_place(|| self.site.asterisk("sip reload"));
            }
            Incident::AmiCut => self.proxy.set(Line::Cut),
            Incident::AmiFrozen => self.proxy.set(Line::Frozen),
            Incident::HalfWritten => self.edit(Some(Kind::Accident)).await?,
            Incident::DiskFull => self.disk.as_ref().map_or(Ok(()), Disk::fill)?,
            Incident::ClockJump => {
                let hour = 3_600_000;
                let jump =
                    *self.random.pick(&[-24 * hour, -hour, -40_000, 40_000, hour, 24 * hour]);
                self.clock.set(jump)?;
            }
        }
        Ok(())
    }

    /// Ends an incident.
    fn end(&mut self, what: Incident) -> io::Result<()> {
        self.wrong.remove(&what);
        self.note(what, "ends");
        match what {
            // [`Chaos::supervise`] starts it.
            Incident::DaemonKilled | Incident::DaemonStopped => {}
            Incident::AsteriskDown | Incident::AsteriskForgets => block_in_place(|| {
                if what == Incident::AsteriskForgets {
                    let _ = std::fs::remove_file(self.site.path("pbx/db/astdb.sqlite3"));
                }
                self.site.start_asterisk()
            })?,
            Incident::AmiCut | Incident::AmiFrozen => self.proxy.set(Line::Whole),
            Incident::DiskFull => self.disk.as_ref().map_or(Ok(()), Disk::free)?,
            Incident::ClockJump => self.clock.set(0)?,
            Incident::AsteriskReloaded | Incident::HalfWritten => {}
        }
        Ok(())
    }

    /// What systemd does: starts a daemon that is not there, unless it was just taken away.
    fn supervise(&mut self) {
        let taken = [Incident::DaemonKilled, Incident::DaemonStopped];
        if taken.iter().any(|what| self.wrong.contains_key(what)) || self.site.daemon_lives() {
            return;
        }
        if self.site.pid().is_some() {
            self.ended.push(format!("while {:?}: {}", self.wrong.keys(), self.site.log_end()));
        }
        if let Err(error) = block_in_place(|| self.site.run())
            && !self.wrong.contains_key(&Incident::DiskFull)
        {
            self.ended.push(error.to_string());
        }
    }

    fn note(&mut self, what: Incident, how: &str) {
        let now = fleet::now();
        eprintln!("{now} {what:?} {how}");
        // Calls end when Asterisk does, and the phones go on believing in them for a while; what was
        // said on a frozen line is heard when it thaws.
        let after = match what {
            Incident::AsteriskDown | Incident::AsteriskForgets => 40_000,
            Incident::AmiFrozen => 2_000,
            _ => return,
        };
        let end = if how == "begins" { u64::MAX } else { now + after };
        if how == "begins" {
            self.blind.push((now, end));
        } else if let Some(last) = self.blind.iter_mut().rev().find(|(_, until)| *until == u64::MAX)
        {
            last.1 = end;
        }
    }

    async fn edit(&mut self, kind: Option<Kind>) -> io::Result<()> {
        let site = &self.site;
        let mut edit = match kind {
            Some(kind) => self.editor.edit_of(kind, |conf| site.text(conf)),
            None => self.editor.edit(|conf| site.text(conf)),
        };
        if let Some((_, pause)) = &mut edit.broken {
            *pause *= 4;
        }
        let text = self.site.text(&self.editor.conf);
        self.editor.save(&edit, &self.site.sip_conf(), &text).await
    }

    /// What an operator does who sees a roll-out that phones have stopped by misbehaving: it goes on, and
    /// those that were taken back get what is new.
    fn speak(&mut self) -> io::Result<()> {
        let Ok(status) = block_in_place(|| self.site.status()) else { return Ok(()) };
        let failed = status.phones.iter().filter(|(_, seen)| seen.state == "failed");
        let failed: Vec<&str> = failed.map(|(mac, _)| mac.as_str()).collect();
        block_in_place(|| {
            self.site.handset(&["rollout", "resume"])?;
            if failed.is_empty() {
                return Ok(());
            }
            self.site.handset(&[&["apply", "--only"], &*failed].concat()).map(drop)
        })
    }

    /// Makes everything whole.
    async fn heal(&mut self) -> io::Result<()> {
        for what in self.wrong.keys().copied().collect::<Vec<_>>() {
            self.end(what)?;
        }
        self.supervise();
        // The last word, in case that an editor was cut off.
        let text = self.site.text(&self.editor.conf);
        tokio::fs::write(self.site.sip_conf(), text).await
    }

    fn judge(&mut self, verdict: &mut Verdict, fleet: &Fleet, faults: &[Misbehaviour]) {
        verdict.tell("edits", self.editor.saves.len());
        let mut kinds = BTreeMap::<_, usize>::new();
        faults.iter().for_each(|one| *kinds.entry(one.fault).or_default() += 1);
        let ledgers = fleet.ledgers();
        judge::restarts(verdict, &ledgers, &self.editor.saves);
        judge::calls(verdict, &ledgers, &self.blind);
        judge::unexplained(verdict, &ledgers, &self.editor.touches(fleet.len()));
        judge::sums(verdict, &ledgers);
        verdict.tell("incidents", format!("{:?}", self.counts));
        verdict.tell("phones that misbehaved", format!("{kinds:?}"));
    }

    /// The daemon is stopped and started once more: it must know what it knew.
    fn judge_journal(&mut self, verdict: &mut Verdict) -> io::Result<()> {
        verdict.none("ends and failed starts of the daemon by itself", self.ended.clone());
        let before = block_in_place(|| self.site.status())?;
        let code = block_in_place(|| self.site.stop())?;
        verdict.rule("exit status of the last stop", code, code == 0);
        block_in_place(|| self.site.run())?;
        let after = block_in_place(|| self.site.status())?;
        let differs = before.phones.iter().filter(|(mac, seen)| {
            let now = after.phones.get(*mac).map(|now| (&now.wanted, &now.running));
            now != Some((&seen.wanted, &seen.running))
        });
        verdict
            .none("phones forgotten by a restart", differs.map(|(mac, _)| mac.clone()).collect());
        let log = self.site.log();
        let unsound = log.lines().filter(|line| UNSOUND.iter().any(|word| line.contains(word)));
        verdict.none("signs of an unsound journal", unsound.map(str::to_owned).collect());
        Ok(())
    }
}
