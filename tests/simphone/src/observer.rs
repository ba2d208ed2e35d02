//! Who is told what a phone does, without a queue in between.

use std::fmt;
use std::sync::Arc;

use crate::Report;

/// A function that is called with every report of a phone, in order, by the phone's own task: it must
/// be short.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(&Report) + Send + Sync>);

impl Observer {
    /// Calls `told`.
    pub fn new(told: impl Fn(&Report) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }

    pub(crate) fn tell(&self, report: &Report) {
        (self.0)(report);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
