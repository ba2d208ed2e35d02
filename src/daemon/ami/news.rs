//! What the core has not yet taken: bounded, and honest about what it had to leave out.

use std::collections::VecDeque;

use tokio::sync::mpsc::Permit;

use crate::daemon::event::{AmiNews, Event};

/// With so many waiting, facts that a list can heal are left out.
const LIMIT: usize = 1024;

#[derive(Default)]
pub(super) struct News {
    queue: VecDeque<AmiNews>,
    /// Something was left out: all peers must be listed again.
    left_out: bool,
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether orders may be taken, which all bring news.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < LIMIT
    }

    /// Adds one. Never lost: answers, and whether there is a session. A new list of peers
    /// replaces one that is still waiting, and repeated bad news is told once.
    pub(super) fn push(&mut self, news: AmiNews) {
        let healed_by_list = matches!(
            news,
            AmiNews::Peer(_)
                | AmiNews::Registered { .. }
                | AmiNews::Device { .. }
                | AmiNews::HungUp { .. }
        );
        if healed_by_list && !self.has_room() {
            self.left_out = true;
            return;
        }
        match &news {
            AmiNews::Peers(_) => self.queue.retain(|old| !matches!(old, AmiNews::Peers(_))),
            AmiNews::Devices(_) => self.queue.retain(|old| !matches!(old, AmiNews::Devices(_))),
            AmiNews::Down { .. } if matches!(self.queue.back(), Some(AmiNews::Down { .. })) => {
                self.queue.pop_back();
            }
            AmiNews::Reloaded if matches!(self.queue.back(), Some(AmiNews::Reloaded)) => return,
            _ => {}
        }
        self.queue.push_back(news);
    }

    /// Hands the oldest to the core.
    pub(super) fn send(&mut self, permit: Permit<'_, Event>) {
        if let Some(news) = self.queue.pop_front() {
            permit.send(Event::Ami(news));
        }
    }

    /// Whether something was left out and the core has caught up: told once.
    pub(super) fn must_relist(&mut self) -> bool {
        self.is_empty() && std::mem::take(&mut self.left_out)
    }

    #[cfg(test)]
    pub(super) fn drain(&mut self) -> Vec<AmiNews> {
        self.queue.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::observed::PeerFacts;

    fn registered(n: usize) -> AmiNews {
        AmiNews::Registered { peer: n.to_string() }
    }

    #[test]
    fn what_does_not_fit_is_healed_by_a_list_once_the_core_has_caught_up() {
        let mut news = News::default();
        (0..LIMIT).for_each(|n| news.push(registered(n)));
        assert!(!news.has_room() && !news.must_relist());
        news.push(registered(LIMIT));
        news.push(AmiNews::ReloadAnswered(Ok(())));
        assert!(!news.must_relist(), "the core has not caught up");
        assert_eq!(news.drain().len(), LIMIT + 1, "the answer is there, the last fact is not");
        assert!(news.must_relist());
        assert!(!news.must_relist());
    }

    #[test]
    fn a_newer_list_replaces_a_waiting_one() {
        let mut news = News::default();
        news.push(AmiNews::Peers(Vec::new()));
        news.push(registered(1));
        news.push(AmiNews::Peers(vec![PeerFacts::default()]));
        let told = news.drain();
        assert!(
            matches!(&told[..], [AmiNews::Registered { .. }, AmiNews::Peers(p)] if p.len() == 1)
        );
    }
}
