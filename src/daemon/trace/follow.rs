//! The telling side: one task for each who follows, which reads the journal, makes stories of it, and
//! goes on with what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::history::History;
use super::{Feed, key};
use crate::base::{Mac, Time};
use crate::control::{Answer, ErrorKind, TraceLine};
use crate::daemon::catalog::Served;
use crate::daemon::now;
use crate::family::stage::Stages;
use crate::plan::boot::fact::Fact;
use crate::plan::boot::story::{Kind, Line, Narrator, Scene};

/// Lines in one answer.
const LINES: usize = 256;
/// Lines of the last boot of one phone that are remembered while the journal is read.
const BOOT_LINES: usize = 1000;
/// What is overdue is looked for so often.
const TICK: Duration = Duration::from_secs(1);
/// Keys are made when a row is written: its facts may be so much older.
const LAG: Duration = Duration::from_secs(60);

/// What a follower begins with.
pub(in crate::daemon) struct Start {
    pub(in crate::daemon) history: History,
    pub(in crate::daemon) stages: Arc<Stages>,
    pub(in crate::daemon) served: watch::Receiver<Arc<Served>>,
    /// Only these phones; none for all.
    pub(in crate::daemon) only: Option<BTreeSet<Mac>>,
    /// From then on; none for the last boot.
    pub(in crate::daemon) since: Option<Time>,
    /// Go on with what happens.
    pub(in crate::daemon) follow: bool,
    pub(in crate::daemon) hears: bool,
}

/// The story-teller of one follower.
struct Teller {
    narrator: Narrator,
    stages: Arc<Stages>,
    served: watch::Receiver<Arc<Served>>,
    only: Option<BTreeSet<Mac>>,
    hears: bool,
}

/// Answers until the asker is gone, or too slow.
pub(in crate::daemon) async fn run(
    start: Start,
    mut news: mpsc::Receiver<Feed>,
    answers: mpsc::Sender<Answer>,
) {
    let follow = start.follow;
    let past = answers.clone();
    let told = tokio::task::spawn_blocking(move || replay(start, &past));
    let Ok(Some(mut teller)) = told.await else { return };
    if !follow {
        return;
    }
    let mut tick = tokio::time::interval(TICK);
    loop {
        let lines = tokio::select! {
            () = answers.closed() => return,
            feed = news.recv() => match feed {
                Some(feed) => {
                    teller.hears = feed.hears;
                    feed.facts.iter().flat_map(|fact| teller.tell(fact)).collect()
                }
                None => break,
            },
            _ = tick.tick() => teller.tick(now()),
        };
        for chunk in chunks(&lines) {
            if answers.send(chunk).await.is_err() {
                return;
            }
        }
    }
    let message = "too slow: more happens than is taken; ask for one phone".into();
    let _ = answers.try_send(Answer::Error { kind: ErrorKind::Unavailable, message });
}

/// Tells what is in the journal. Blocks.
fn replay(start: Start, answers: &mpsc::Sender<Answer>) -> Option<Teller> {
    let Start { history, stages, served, only, since, hears, .. } = start;
    let lag = u64::try_from(LAG.as_millis()).unwrap_or_default();
    // A boot that was under way then is told with what it began with.
    let from = since.map_or_else(Vec::new, |since| key(Time(since.0.saturating_sub(lag))));
    let meant = only.clone();
    let mut teller = Teller { narrator: Narrator::default(), stages, served, only, hears };
    let mut past = Past { since, lines: Vec::new(), boots: BTreeMap::new() };
    let mut gone = false;
    let read = history.each(&from, meant.as_ref(), |facts| {
        facts.iter().for_each(|fact| past.take(teller.tell(fact)));
        gone = !past.pass_on(answers, LINES);
        !gone
    });
    if gone {
        return None;
    }
    if let Err(error) = read {
        let message = format!("the journal cannot be read: {error}");
        let _ = answers.blocking_send(Answer::Error { kind: ErrorKind::Unavailable, message });
    }
    past.take(teller.tick(now()));
    past.finish();
    past.pass_on(answers, 0).then_some(teller)
}

/// What is told of the past.
struct Past {
    since: Option<Time>,
    lines: Vec<TraceLine>,
    /// The last boot of each phone, while that is what is asked for.
    boots: BTreeMap<Option<Mac>, Vec<Line>>,
}

impl Past {
    fn take(&mut self, lines: Vec<Line>) {
        let Some(since) = self.since else {
            for line in lines {
                let boot = self.boots.entry(line.mac).or_default();
                if line.kind == Kind::Boot || boot.len() >= BOOT_LINES {
                    boot.clear();
                }
                boot.push(line);
            }
            return;
        };
        self.lines.extend(lines.iter().filter(|line| line.at >= since).map(shown));
    }

    fn finish(&mut self) {
        let mut last: Vec<Line> = std::mem::take(&mut self.boots).into_values().flatten().collect();
        last.sort_by_key(|line| line.at);
        self.lines.extend(last.iter().map(shown));
    }

    /// Hands over what there is above `least`; false when nobody is there any more.
    fn pass_on(&mut self, answers: &mpsc::Sender<Answer>, least: usize) -> bool {
        if self.lines.len() <= least {
            return !answers.is_closed();
        }
        let lines = std::mem::take(&mut self.lines);
        chunks(&lines).all(|chunk| answers.blocking_send(chunk).is_ok())
    }
}

impl Teller {
    fn tell(&mut self, fact: &Fact) -> Vec<Line> {
        let meant = match (&self.only, fact.mac) {
            (None, _) => true,
            (Some(only), Some(mac)) => only.contains(&mac),
            (Some(_), None) => false,
        };
        if !meant {
            return Vec::new();
        }
        self.with(|narrator, scene| narrator.tell(fact, scene))
    }

    fn tick(&mut self, now: Time) -> Vec<Line> {
        self.with(|narrator, scene| narrator.tick(now, scene))
    }

    fn with(&mut self, tell: impl FnOnce(&mut Narrator, &Scene<'_>) -> Vec<Line>) -> Vec<Line> {
        let offer = self.served.borrow().offer.clone();
        let peers = |mac: Mac| {
            let part = offer.phones.get(&mac)?;
            Some(part.peers().collect::<Vec<_>>().join(", "))
        };
        let led =
            |mac: Mac| offer.phones.get(&mac).is_some_and(|part| offer.ladder(part).is_some());
        let (stages, hears) = (&self.stages, self.hears);
        let scene = Scene { stages, peers: &peers, led: &led, hears };
        tell(&mut self.narrator, &scene)
    }
}

fn chunks<T: Tellable>(lines: &[T]) -> impl Iterator<Item = Answer> {
    lines.chunks(LINES).map(|chunk| Answer::Trace(chunk.iter().map(Tellable::line).collect()))
}

/// What can be told.
trait Tellable {
    fn line(&self) -> TraceLine;
}

impl Tellable for Line {
    fn line(&self) -> TraceLine {
        shown(self)
    }
}

impl Tellable for TraceLine {
    fn line(&self) -> TraceLine {
        self.clone()
    }
}

fn shown(line: &Line) -> TraceLine {
    TraceLine {
        at: line.at.to_string(),
        mac: line.mac,
        kind: line.kind,
        text: line.text.clone(),
        cure: line.cure.clone(),
        file: line.file.as_ref().map(|file| file.name.clone()),
        outcome: line.file.as_ref().map(|file| file.end.to_string()),
        bytes: line.file.as_ref().map(|file| file.bytes),
        digest: line.file.as_ref().and_then(|file| file.digest),
    }
}
