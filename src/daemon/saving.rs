//! When what the core knows of phones is written down.

use std::time::Duration;

use super::core::Core;
use super::store::Unwritten;
use crate::base::Time;

/// What is known of so many phones is written down at once. While a building boots it is more, and
/// changes several times in a second: it is written down so often then.
const FEW: usize = 64;
const OFTEN: Duration = Duration::from_secs(3);

impl Core {
    /// Hands what is new about phones to the journal, when it is time.
    pub(super) fn save_phones(&mut self, now: Time) {
        if self.dirty.len() <= FEW || now.since(self.saved) >= OFTEN {
            self.save_all(now);
        }
    }

    fn save_all(&mut self, now: Time) {
        let dirty = std::mem::take(&mut self.dirty);
        if !dirty.is_empty() {
            self.saved = now;
            let phones = &self.observed.phones;
            self.store.save_phones(dirty.iter().map(|mac| (*mac, phones.get(mac))));
        }
    }

    /// Stops: what is known becomes durable.
    pub async fn close(&mut self) -> Result<(), Unwritten> {
        self.write_down(super::now());
        self.save_all(self.saved);
        self.store.flush().await
    }
}
