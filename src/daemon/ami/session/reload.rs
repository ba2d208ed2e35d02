//! Reloads: our own, of every driver that is there, and those of others.

use super::*;

/// The answer to Reload for a driver that is not loaded.
const NO_MODULE: &str = "No such module";

/// The answers to one order to reload: one of each driver that is there.
#[derive(Default)]
pub(super) struct Reloading {
    /// Still to come.
    left: usize,
    /// One has succeeded.
    done: bool,
    error: Option<String>,
}

impl Session {
    /// Reloads the drivers that are there.
    pub(super) fn reload(&mut self) {
        for tech in self.present() {
            self.reloading.left += 1;
            self.pipeline.urgent(Ask::Reload(tech));
        }
    }

    fn present(&self) -> Vec<Tech> {
        let all = [Tech::Sip, Tech::Pjsip].into_iter();
        all.filter(|tech| !self.absent.contains_key(tech)).collect()
    }

    /// Peers may have come and gone: no NOTIFY before they are listed anew.
    pub(super) fn reloaded(&mut self, now: Instant) {
        self.known = None;
        self.endpoints.reloaded();
        self.second_look = true;
        self.next_list = now;
    }

    /// One driver has answered to Reload; when all have, that is told. Before the first list it is not
    /// known which are there.
    pub(super) fn reload_answered(&mut self, error: Option<String>, now: Instant) {
        let reloading = &mut self.reloading;
        reloading.left = reloading.left.saturating_sub(1);
        reloading.done |= error.is_none();
        if error.is_none() {
            self.reloaded(now);
        } else if self.reloading.error.as_deref().is_none_or(|first| first == NO_MODULE) {
            self.reloading.error = error;
        }
        if self.reloading.left == 0 {
            let Reloading { done, error, .. } = std::mem::take(&mut self.reloading);
            let error = error.filter(|text| !done || text != NO_MODULE);
            self.news.push(AmiNews::ReloadAnswered(error.map_or(Ok(()), Err)));
        }
    }
}
