//! What Asterisk has loaded. It never says so: `Module Reloaded` is the answer for a broken file
//! too, it comes before the reload is done, and a console `sip reload` brings no event
//! (transcripts of Asterisk 16). So a reload counts only once what it changes visibly is seen.

use std::time::Duration;

use super::observed::{PeerSeen, Visible};
use crate::base::Time;
use crate::model::site::ReloadMode;

/// The identity of a reading of sip.conf: its fingerprint in hexadecimal.
pub type Fingerprint = String;

/// What is known about Asterisk's configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Loaded {
    /// What it is known to have loaded; kept over restarts.
    pub known: Option<Fingerprint>,
    /// It was asked to load another text since, and may have either, also where the old one is back on
    /// disk; kept over restarts.
    pub doubt: bool,
    /// What we last asked it to load, and when.
    pub asked: Option<(Fingerprint, Time)>,
    /// The last sign of a reload: an answer, an event, a start.
    pub sign: Option<Time>,
    /// Why it did not.
    pub error: Option<String>,
}

impl Loaded {
    /// Whether Asterisk is known to have loaded a text.
    pub fn is(&self, fingerprint: &str) -> bool {
        !self.doubt && self.known.as_deref() == Some(fingerprint)
    }

    /// The clock was set back: what was asked or seen later than now is asked and waited for anew. Set to
    /// now, a reload from before the change would look like one behind it.
    pub fn set_back(&mut self, now: Time) {
        self.asked.take_if(|(_, at)| *at > now);
        self.sign.take_if(|at| *at > now);
    }
}

/// What the sources say.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// What is on disk.
    pub fingerprint: &'a str,
    /// When it was first read so.
    pub since: Time,
    /// Whether it may be loaded: guard holds nothing, the files are quiet, no phone whose
    /// credentials changed is held back.
    pub fit: bool,
}

/// What follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It has loaded what is on disk.
    Loaded,
    /// Ask it to reload.
    Ask,
    /// Look at its peers again.
    Look,
    /// Nothing to do but wait.
    Wait,
}

/// A reload that shows nothing is taken as done so long after its sign (0.1 s for 1,000 peers,
/// 6.6 s of CPU for 20,000).
const SETTLE: Duration = Duration::from_secs(1);
/// A reload that should show something and does not has failed after this time.
const REFUSED: Duration = Duration::from_secs(15);
/// After a failure it is asked again so often.
const RETRY: Duration = Duration::from_secs(60);
/// Without a session's answer it is asked again after this time.
const UNANSWERED: Duration = Duration::from_secs(20);

/// Decides. `seen` tells whether every visible change can be seen: none when nothing visible changed. It is
/// asked only when it matters: it looks at every line of the site.
pub fn next(
    mode: ReloadMode,
    loaded: &mut Loaded,
    wanted: &Wanted<'_>,
    session: bool,
    seen: impl FnOnce() -> Option<bool>,
    now: Time,
) -> Next {
    if mode == ReloadMode::Ignore || loaded.is(wanted.fingerprint) {
        return Next::Loaded;
    }
    if !session || !wanted.fit {
        return Next::Wait;
    }
    let seen = seen();
    let sign = loaded.sign.filter(|sign| *sign >= start(mode, loaded, wanted));
    if let Some(sign) = sign {
        let waited = now.since(sign);
        match seen {
            Some(true) => return done(loaded, wanted),
            None if waited >= SETTLE => return done(loaded, wanted),
            Some(false) if waited >= REFUSED => {
                loaded.error = Some(
                    "Asterisk reloaded and still has the old configuration: see its log".into(),
                );
            }
            _ => return Next::Look,
        }
    }
    if mode == ReloadMode::Wait {
        // A console `sip reload` is told by nothing but what it changes.
        return if seen == Some(true) { done(loaded, wanted) } else { Next::Look };
    }
    let pause = if loaded.error.is_some() { RETRY } else { UNANSWERED };
    let asked = loaded
        .asked
        .as_ref()
        .filter(|(what, at)| what == wanted.fingerprint && now.since(*at) < pause);
    if asked.is_some() {
        return Next::Look;
    }
    loaded.asked = Some((wanted.fingerprint.to_owned(), now));
    loaded.doubt = true;
    Next::Ask
}

/// A sign counts from here on: a reload from before the change loaded the old text.
fn start(mode: ReloadMode, loaded: &Loaded, wanted: &Wanted<'_>) -> Time {
    match (&loaded.asked, mode) {
        (Some((what, at)), ReloadMode::Ask) if what == wanted.fingerprint => *at,
        _ => wanted.since,
    }
}

fn done(loaded: &mut Loaded, wanted: &Wanted<'_>) -> Next {
    loaded.known = Some(wanted.fingerprint.to_owned());
    loaded.doubt = false;
    loaded.error = None;
    Next::Loaded
}

/// What a reload changes about a peer, as far as Asterisk shows it.
#[derive(Clone, Copy, Debug)]
pub struct Visibly<'a> {
    /// The peer.
    pub peer: &'a str,
    /// Before; none for a new peer.
    pub old: Option<&'a Visible>,
    /// After.
    pub new: &'a Visible,
}

/// Whether Asterisk shows what changed: not while a peer still looks as before or is not there. With
/// no visible change nothing is said.
pub fn seen<'a>(
    changes: impl IntoIterator<Item = Visibly<'a>>,
    peer: impl Fn(&str) -> Option<&'a PeerSeen>,
) -> Option<bool> {
    let mut any = false;
    for change in changes {
        any = true;
        let shown = peer(change.peer).and_then(|p| p.facts.visible.as_ref());
        if shown.is_none_or(|shown| shown != change.new && Some(shown) == change.old) {
            return Some(false);
        }
    }
    any.then_some(true)
}

#[cfg(test)]
mod tests;
