//! Exact percentiles.

use serde::{Deserialize, Serialize};

/// Durations in microseconds.
#[derive(Default)]
pub(crate) struct Spans(Vec<u32>);

/// Milliseconds.
#[derive(Serialize, Deserialize, Clone, Copy, Default, Debug)]
pub(crate) struct Quantiles {
    pub(crate) n: usize,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Spans {
    pub(crate) fn push_ns(&mut self, ns: u64) {
        self.0.push((ns / 1000).min(u64::from(u32::MAX)) as u32);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let mut all = self.0.clone();
        all.sort_unstable();
        let at = |share: f64| {
            let rank = ((all.len() as f64 * share).ceil() as usize).clamp(1, all.len().max(1));
            all.get(rank - 1).map_or(0.0, |us| f64::from(*us) / 1000.0)
        };
        Quantiles { n: all.len(), p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
    }
}

/// The load average of the last minute.
pub(crate) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

pub(crate) fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    match all.len() {
        0 => 0.0,
        n if n % 2 == 1 => all[n / 2],
        n => f64::midpoint(all[n / 2 - 1], all[n / 2]),
    }
}
