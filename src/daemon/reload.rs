//! Whether Asterisk has loaded what is on disk: asked, seen, remembered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::core::Core;
use super::event::Order;
use crate::base::Time;
use crate::model::site::ReloadMode;
use crate::plan::generation::{Generation, LinePart};
use crate::plan::observed::Visible;
use crate::plan::offer::changes;
use crate::plan::reload::{self, Loaded, Next, Visibly, Wanted};

/// While something is looked for in Asterisk's answers, they are asked so often.
const RELIST: Duration = Duration::from_millis(300);

impl Core {
    /// Whether Asterisk has loaded what is on disk; it is asked to where that is due.
    pub(super) fn loads(&mut self, newest: &Arc<Generation>, now: Time) -> bool {
        match self.next_load(newest, now) {
            Next::Loaded => return true,
            Next::Ask => {
                info!("asking Asterisk to reload");
                self.order(Order::Reload);
            }
            Next::Look if now.since(self.relisted) >= RELIST => {
                self.relisted = now;
                self.order(Order::Relist);
            }
            Next::Look | Next::Wait => {}
        }
        false
    }

    /// Whether Asterisk is known to have loaded what is on disk, without asking it anything.
    pub(super) fn is_loaded(&self) -> bool {
        let ignores = self.site.ami.is_none() || self.site.reload == ReloadMode::Ignore;
        ignores || self.look.as_ref().is_some_and(|look| self.loaded.is(&look.fingerprint))
    }

    fn next_load(&mut self, newest: &Arc<Generation>, now: Time) -> Next {
        let Some(look) = &self.look else { return Next::Wait };
        let wanted = Wanted {
            fingerprint: &look.fingerprint,
            since: look.at,
            fit: look.hold.is_none() && !look.unfit,
        };
        let mode = if self.site.ami.is_none() { ReloadMode::Ignore } else { self.site.reload };
        let mut loaded = self.loaded.clone();
        let seen = || self.seen(newest);
        let next = reload::next(mode, &mut loaded, &wanted, self.session.up, seen, now);
        let before = std::mem::replace(&mut self.loaded, loaded);
        let news = (&before.known, before.doubt) != (&self.loaded.known, self.loaded.doubt);
        if news && !self.loaded.doubt {
            info!("Asterisk has loaded what is on disk");
            self.shown = Some(newest.clone());
        }
        if news {
            self.keep_loaded();
        }
        next
    }

    /// Whether Asterisk shows what changed since it is known to have loaded everything; where nothing
    /// is known, whether it shows all that it should.
    fn seen(&self, newest: &Generation) -> Option<bool> {
        let peer = |name: &str| self.observed.peers.get(name);
        let Some(shown) = &self.shown else {
            let mut lines = newest.phones.values().flat_map(|part| &part.lines);
            let fits = |line: &LinePart| {
                peer(&line.peer).and_then(|p| p.facts.visible.as_ref()) == Some(&line.visible)
            };
            return lines.all(fits).then_some(true);
        };
        let moved = changes(&shown.phones, &newest.phones);
        let old = moved.iter().filter_map(|m| m.old).flat_map(|part| &part.lines);
        let before: BTreeMap<&str, &Visible> = old.map(|l| (&*l.peer, &l.visible)).collect();
        let new = moved.iter().filter_map(|m| m.new).flat_map(|part| &part.lines);
        let changed = new.filter_map(|line| {
            let old = before.get(&*line.peer).copied();
            let visibly = Visibly { peer: &line.peer, old, new: &line.visible };
            (old != Some(&line.visible)).then_some(visibly)
        });
        reload::seen(changed, peer)
    }

    /// The operator says that Asterisk has loaded what is on disk.
    pub(super) fn declare_loaded(&mut self) -> bool {
        let Some(look) = &self.look else { return false };
        (self.loaded.known, self.loaded.doubt) = (Some(look.fingerprint.clone()), false);
        self.shown = Some(look.built.clone());
        self.keep_loaded();
        true
    }

    fn keep_loaded(&mut self) {
        let Loaded { known, doubt, .. } = &self.loaded;
        (self.decided.loaded, self.decided.reloading) = (known.clone(), *doubt);
        self.store.save_decided(&self.decided);
    }
}
