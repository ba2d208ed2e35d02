//! The keys of `[push]`: how phones are told.

use super::super::value::{Context, Fault, choice, count, duration, listen, percent, rate, window};
use super::super::{ANYWHERE, DirectMode};
use super::{Key, Kind, put};

/// The keys.
pub(super) const KEYS: [Key; 13] = [
    Key {
        section: "push",
        name: "rate",
        kind: Kind::Rate,
        default: "5",
        doc: "How many phones are told in a second at most.",
        set: |site, value| put(&mut site.pacing.rate, rate(value)),
    },
    Key {
        section: "push",
        name: "retry",
        kind: Kind::Duration,
        default: "60s",
        doc: "When a phone that fetched nothing is told again. The time doubles with every try.",
        set: |site, value| put(&mut site.pacing.retry, duration(value)),
    },
    Key {
        section: "push",
        name: "retry_max",
        kind: Kind::Duration,
        default: "15m",
        doc: "The longest time between two tries.",
        set: |site, value| put(&mut site.pacing.retry_max, duration(value)),
    },
    Key {
        section: "push",
        name: "proof",
        kind: Kind::Duration,
        default: "3m",
        doc: "How long a phone may take from fetching its own file to registering again, before the \
              push counts as failed.",
        set: |site, value| put(&mut site.pacing.proof, duration(value)),
    },
    Key {
        section: "push",
        name: "unknown",
        kind: Kind::Duration,
        default: "30s",
        doc: "The time between two phones that are told only because it is not known what they run.",
        set: |site, value| put(&mut site.pacing.unknown, duration(value)),
    },
    Key {
        section: "push",
        name: "direct",
        kind: Kind::Choice(&["unreachable", "never"]),
        default: "unreachable",
        doc: "When handsetd sends a NOTIFY itself. unreachable: to a phone that is registered, and that \
              Asterisk has not been able to send to for 30 s, because it takes it for UNREACHABLE or \
              LAGGED; and to one that fetched a change and did not register again, at its last address. \
              never: not at all. No phone in a call is told, either way.",
        set: |site, value| {
            let modes = [("unreachable", DirectMode::Unreachable), ("never", DirectMode::Never)];
            put(&mut site.pacing.direct, choice(value, &modes))
        },
    },
    Key {
        section: "push",
        name: "notify_from",
        kind: Kind::Listen,
        default: "0.0.0.0:0",
        doc: "The address, or address and port, that these NOTIFYs come from; port 0 is any. A 7940 or \
              7960 takes them from anywhere. A phone that only takes them from its proxy needs an \
              address of the proxy here. Read at the start.",
        set: |site, value| {
            put(&mut site.notify_from, listen(value, 0).map(|from| from.unwrap_or(ANYWHERE)))
        },
    },
    Key {
        section: "push",
        name: "canaries",
        kind: Kind::Count,
        default: "3",
        doc: "How many phones get a change first. They are chosen across models and firmware versions \
              among those that are registered; the others wait until these have fetched it and \
              registered again.",
        set: |site, value| put(&mut site.waves.canaries, number(value, 10_000)),
    },
    Key {
        section: "push",
        name: "growth",
        kind: Kind::Count,
        default: "4",
        doc: "Every wave after the canaries has so many times the phones of the one before.",
        set: |site, value| {
            let growth = count(value, 100).map(|n| u8::try_from(n).unwrap_or(u8::MAX));
            put(&mut site.waves.growth, growth)
        },
    },
    Key {
        section: "push",
        name: "in_flight",
        kind: Kind::Count,
        default: "100",
        doc: "How many phones may be on their way to a new configuration at the same time.",
        set: |site, value| put(&mut site.waves.in_flight, number(value, 100_000)),
    },
    Key {
        section: "push",
        name: "failures",
        kind: Kind::Percent,
        default: "5%",
        doc: "A change is given to no more phones once more than this share of those that fetched it \
              has not registered again. Among the canaries one is enough.",
        set: |site, value| put(&mut site.waves.failures, percent(value)),
    },
    Key {
        section: "push",
        name: "window",
        kind: Kind::Window,
        default: "none",
        doc: "The hours, in the zone of timezone, in which changes are given to phones, as 22:00-05:00. \
              New credentials follow Asterisk at any hour, and so does handset push. Unset: always.",
        set: |site, value| put(&mut site.waves.window, window(value).map(Some)),
    },
    Key {
        section: "push",
        name: "keep",
        kind: Kind::Count,
        default: "5",
        doc: "How many generations are kept, for handset rollback.",
        set: |site, value| put(&mut site.waves.keep, number(value, 100)),
    },
];

fn number(context: &Context<'_>, most: u64) -> Result<usize, Fault> {
    count(context, most).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}
