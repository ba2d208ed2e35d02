//! The page itself, in the text format of Prometheus (version 0.0.4): one table of all metrics, and
//! their values.

use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Facts, Metrics};
use crate::base::Time;
use crate::control::RolloutStatus;

/// A metric's name, type and meaning.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// As in queries.
    pub name: &'static str,
    /// `gauge` or `counter`.
    pub kind: &'static str,
    /// One line.
    pub help: &'static str,
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: "gauge", help }
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: "counter", help }
}

const INFO: Metric = gauge("handset_build_info", "Always 1; the version is a label.");
const STARTED: Metric =
    gauge("handset_start_time_seconds", "When handsetd started, seconds since 1970.");
const PHONES: Metric = gauge("handset_phones", "Phones by state.");
const REGISTERED: Metric =
    gauge("handset_phones_registered", "Phones with a line that Asterisk has a contact for.");
const WAITING: Metric = gauge(
    "handset_phones_waiting",
    "Phones that are not offered their newest files yet: they wait for Asterisk, or for their wave.",
);
const UNTAGGED: Metric =
    gauge("handset_phones_untagged", "Phones that ask for files and have no tag.");
const TRANSFERS: Metric =
    counter("handset_transfers_total", "Requests for files, by service and how they ended.");
const BYTES: Metric =
    counter("handset_transfer_bytes_total", "Bytes of files that arrived, by service.");
const DROPPED: Metric =
    counter("handset_requests_dropped_total", "What got no answer, by service and reason.");
const SOCKET_ERRORS: Metric =
    counter("handset_socket_errors_total", "Errors of sockets, each survived, by service.");
const UNREPORTED: Metric = counter(
    "handset_transfers_unreported_total",
    "Ended transfers that were not told to the core because it was too busy.",
);
const REFUSALS: Metric =
    counter("handset_refusals_total", "Files with a password that were not given, by reason.");
const NOTIFIES: Metric = counter("handset_notifies_total", "NOTIFYs to phones, by result.");
const AMI: Metric = gauge(
    "handset_ami_up",
    "Whether Asterisk's manager interface is connected. Missing without [ami].",
);
const GENERATION: Metric = gauge("handset_generation", "The number of the newest generation.");
const MADE: Metric =
    gauge("handset_generation_timestamp_seconds", "When it was made, seconds since 1970.");
const HELD: Metric = gauge("handset_held", "Whether a newer configuration is held back.");
const LOOKED: Metric = gauge(
    "handset_disk_look_timestamp_seconds",
    "When the files on disk were looked at last, seconds since 1970.",
);
const FAULTS: Metric =
    gauge("handset_source_faults", "What is wrong with the files on disk, by level.");
const JOURNAL: Metric = gauge(
    "handset_journal_failures",
    "Attempts to write the state that failed since the last that did not.",
);
const ROLLOUTS: Metric = counter("handset_rollouts_total", "Roll-outs that began.");
const PHASE: Metric =
    gauge("handset_rollout_phase", "1 for the phase of the last roll-out, 0 for the others.");
const SIZE: Metric =
    gauge("handset_rollout_size", "How many phones the last roll-out concerned at its begin.");
const FATES: Metric =
    gauge("handset_rollout_phones", "Phones of the last roll-out by what came of it.");
const WAVE: Metric = gauge("handset_rollout_wave", "The number of its wave, from 1.");
const LEFT: Metric = gauge(
    "handset_rollout_seconds_left",
    "How long it takes at least. Missing while it stands still.",
);
const LEASES: Metric = gauge(
    "handset_dhcp_leases",
    "Addresses that are given to clients. This and those below are missing without [dhcp].",
);
const REPLIES: Metric = counter("handset_dhcp_replies_total", "Replies that were sent.");
const UNANSWERED: Metric =
    counter("handset_dhcp_dropped_total", "Messages without an answer, by reason.");

/// Every metric there is.
pub const ALL: [Metric; 29] = [
    INFO,
    STARTED,
    PHONES,
    REGISTERED,
    WAITING,
    UNTAGGED,
    TRANSFERS,
    BYTES,
    DROPPED,
    SOCKET_ERRORS,
    UNREPORTED,
    REFUSALS,
    NOTIFIES,
    AMI,
    GENERATION,
    MADE,
    HELD,
    LOOKED,
    FAULTS,
    JOURNAL,
    ROLLOUTS,
    PHASE,
    SIZE,
    FATES,
    WAVE,
    LEFT,
    LEASES,
    REPLIES,
    UNANSWERED,
];

/// Every phase of a roll-out, as in `handset rollout status --json`.
const PHASES: [&str; 7] =
    ["planned", "running", "paused", "stopped", "done", "aborted", "superseded"];

/// A page that grows.
#[derive(Default)]
struct Page(String);

impl Page {
    /// A metric with its samples: labels as `state="current"`, or none, and the value.
    fn put<V: Display>(&mut self, metric: Metric, samples: impl IntoIterator<Item = (String, V)>) {
        let Metric { name, kind, help } = metric;
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in samples {
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    fn one(&mut self, metric: Metric, value: impl Display) {
        self.put(metric, [(String::new(), value)]);
    }

    /// By the values of one label.
    fn by<'a, V: Display>(
        &mut self,
        metric: Metric,
        label: &str,
        samples: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        let samples = samples.into_iter();
        self.put(metric, samples.map(|(value, count)| (format!("{label}=\"{value}\""), count)));
    }
}

/// The page.
pub fn text(facts: &Facts, metrics: &Metrics) -> String {
    let mut page = Page::default();
    let version = env!("CARGO_PKG_VERSION");
    page.by(INFO, "version", [(version, 1)]);
    page.one(STARTED, seconds(facts.started));
    phones(&mut page, facts);
    services(&mut page, metrics);
    page.by(REFUSALS, "reason", facts.refusals.iter().copied());
    page.by(NOTIFIES, "result", facts.notifies.iter().copied());
    page.put(AMI, facts.ami.map(|up| (String::new(), u8::from(up))));
    sources(&mut page, facts);
    page.one(ROLLOUTS, facts.rollouts);
    if let Some(rollout) = &facts.rollout {
        course(&mut page, rollout);
    }
    if let Some(dhcp) = &facts.dhcp {
        page.one(LEASES, dhcp.leases);
        page.one(REPLIES, dhcp.sent);
        page.by(UNANSWERED, "reason", dhcp.dropped);
    }
    page.0
}

fn phones(page: &mut Page, facts: &Facts) {
    let states = facts.states.iter().map(|(state, count)| (state.word(), *count));
    page.by(PHONES, "state", states);
    page.one(REGISTERED, facts.registered);
    page.one(WAITING, facts.waiting);
    page.one(UNTAGGED, facts.untagged);
}

fn services(page: &mut Page, metrics: &Metrics) {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (tftp, http) = (&metrics.tftp, &metrics.http);
    let both = [("tftp", &tftp.ended), ("http", &http.ended)];
    let outcomes = both.iter().flat_map(|(service, ended)| {
        let label = move |outcome| format!("service=\"{service}\",outcome=\"{outcome}\"");
        ended.outcomes().map(move |(outcome, count)| (label(outcome), count))
    });
    page.put(TRANSFERS, outcomes);
    page.by(BYTES, "service", both.map(|(service, ended)| (service, ended.bytes())));
    let dropped = [
        ("tftp", "garbage", &tftp.garbage),
        ("tftp", "above-limit", &tftp.above_limit),
        ("tftp", "stranger", &tftp.strangers),
        ("tftp", "repeated", &tftp.repeated),
        ("http", "garbage", &http.garbage),
        ("http", "above-limit", &http.above_limit),
    ];
    let label = |service, reason| format!("service=\"{service}\",reason=\"{reason}\"");
    page.put(DROPPED, dropped.map(|(service, why, count)| (label(service, why), read(count))));
    let errors = [("tftp", &tftp.socket_errors), ("http", &http.socket_errors)];
    page.by(SOCKET_ERRORS, "service", errors.map(|(service, count)| (service, read(count))));
    let lost = [("tftp", &tftp.unreported), ("http", &http.unreported)];
    page.by(UNREPORTED, "service", lost.map(|(service, count)| (service, read(count))));
}

fn sources(page: &mut Page, facts: &Facts) {
    page.one(GENERATION, facts.generation);
    page.one(MADE, seconds(facts.made));
    page.one(HELD, u8::from(facts.held));
    page.one(LOOKED, seconds(facts.looked));
    let (errors, warnings) = facts.faults;
    page.by(FAULTS, "level", [("error", errors), ("warning", warnings)]);
    page.one(JOURNAL, facts.journal_failures);
}

fn course(page: &mut Page, rollout: &RolloutStatus) {
    let phases = PHASES.map(|phase| (phase, u8::from(rollout.phase == phase)));
    page.by(PHASE, "phase", phases);
    page.one(SIZE, rollout.total);
    let fates = [
        ("proved", rollout.proved),
        ("in-flight", rollout.in_flight),
        ("deferred", rollout.deferred),
        ("waiting", rollout.waiting),
        ("failed", rollout.failed.len()),
    ];
    page.by(FATES, "fate", fates);
    page.one(WAVE, rollout.wave);
    page.put(LEFT, rollout.seconds_left.map(|left| (String::new(), left)));
}

fn seconds(time: Time) -> String {
    format!("{}.{:03}", time.0 / 1000, time.0 % 1000)
}

#[cfg(test)]
mod tests;
