//! What came out, in medians and ratios.

use std::fmt::Write as _;

use super::Outcome;
use crate::engine::Report;
use crate::stats::median;

/// One run, shortly.
pub(super) fn line(outcome: &Outcome) -> String {
    let r = &outcome.report;
    format!(
        "{:26} {:18} {}  {:6.0} leases/s  p50 {:7.2} p99 {:8.2} ms  first try {} of {}  last {:.2} s  \
         failed {}  twice {}  wrong {:?}  drops {}  CPU {:.2} s",
        outcome.scenario,
        outcome.server,
        outcome.rep,
        r.leases_per_s,
        r.lease_ms.p50,
        r.lease_ms.p99,
        r.first_try,
        r.clients,
        r.last_s,
        r.failed,
        r.twice,
        r.wrong,
        r.server.port_drops,
        r.server.cpu_s,
    )
}

fn ratio(of: f64, to: f64) -> f64 {
    if to > 0.0 { of / to } else { 0.0 }
}

/// CPU seconds for 1,000 leases.
fn cpu(report: &Report) -> f64 {
    ratio(report.server.cpu_s, report.leases as f64 / 1000.0)
}

/// All runs as tables.
pub(super) fn all(outcomes: &[Outcome]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !names.contains(&outcome.scenario.as_str()) {
            names.push(&outcome.scenario);
        }
    }
    let table = |name: &&str| {
        let of: Vec<_> = outcomes.iter().filter(|o| o.scenario == *name).collect();
        scenario(name, &of)
    };
    names.iter().map(table).collect()
}

fn scenario(name: &str, outcomes: &[&Outcome]) -> String {
    let loads = || outcomes.iter().map(|o| o.report.load);
    let (least, most) = (loads().fold(f64::MAX, f64::min), loads().fold(0.0, f64::max));
    let mut text = format!(
        "\n### {name} (load average {least:.1}-{most:.1})\n\n\
         | server | leases/s (min-max) | handset is x times | lease p50 / p99 / max ms | first try | \
         last lease s | failed | wrong or twice | CPU s / 1,000 | handset takes x of it | RSS MiB |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    let mut servers: Vec<&str> = outcomes.iter().map(|o| o.server.as_str()).collect();
    servers.sort_unstable_by_key(|server| (*server != "handset", *server));
    servers.dedup();
    let of = |server: &str, value: &dyn Fn(&Report) -> f64| -> Vec<f64> {
        let own = outcomes.iter().filter(|o| o.server == server);
        own.map(|o| value(&o.report)).collect()
    };
    let own_speed = median(of("handset", &|r| r.leases_per_s));
    let own_cost = median(of("handset", &cpu));
    for server in servers {
        let speeds = of(server, &|r| r.leases_per_s);
        let (low, high) = speeds.iter().fold((f64::MAX, 0.0), |(l, h), s| (s.min(l), s.max(h)));
        let mid = |value: &dyn Fn(&Report) -> f64| median(of(server, value));
        let cost = mid(&cpu);
        let _ = writeln!(
            text,
            "| {server} | {:.0} ({low:.0}-{high:.0}) | {:.2} | {:.2} / {:.1} / {:.0} | {:.0} | {:.2} | {:.0} | \
             {:.0} | {cost:.3} | {:.2} | {:.1} |",
            median(speeds.clone()),
            ratio(own_speed, median(speeds)),
            mid(&|r| r.lease_ms.p50),
            mid(&|r| r.lease_ms.p99),
            mid(&|r| r.lease_ms.max),
            mid(&|r| r.first_try as f64),
            mid(&|r| r.last_s),
            mid(&|r| r.failed as f64),
            mid(&|r| (r.twice + r.wrong.values().sum::<u64>()) as f64),
            ratio(own_cost, cost),
            mid(&|r| r.server.rss_peak_kib as f64 / 1024.0),
        );
    }
    text
}
