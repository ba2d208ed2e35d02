//! What came out, in medians and ratios.

use std::fmt::Write as _;

use super::Result;
use crate::Report;
use crate::stats::median;

/// One run, shortly.
pub(super) fn line(result: &Result) -> String {
    let head = format!("{:44} {:9} {}", result.scenario, result.server, result.rep);
    if let Some(r) = &result.load {
        return format!(
            "{head}  {:7.0} requests/s {:7.1} MB/s  p99 {:7.1} ms  first try {}  repeats {}  given up {}  \
             wrong {}  errors {}  CPU {:.2} s",
            r.requests_per_s,
            r.mb_per_s,
            r.file_ms.p99,
            r.first_try,
            r.repeats,
            r.given_up,
            r.mismatches,
            r.errors.values().sum::<u64>(),
            r.server.cpu_s,
        );
    }
    let Some(a) = &result.abuse else { return head };
    let (s, p) = (&a.seen, &a.server);
    format!(
        "{head}  served {} after {}  p99 {:.1} ms  leaks {}  writes {}  most packets {}  DATA/block {:.2}  \
         TIDs/request {:.2}  out/in {:.1}  completed {} of {}  RSS MiB {:.1} {:.1} {:.1}",
        a.served,
        a.served_after,
        a.probe.ms.p99,
        s.leaks.len(),
        s.writes,
        s.most_packets,
        ratio(s.data as f64, s.blocks as f64),
        ratio(s.tids as f64, s.steps as f64),
        ratio(s.got_bytes as f64, s.sent_bytes as f64),
        s.completed,
        s.steps,
        p.rss_start_kib as f64 / 1024.0,
        p.rss_peak_kib as f64 / 1024.0,
        p.rss_end_kib as f64 / 1024.0,
    )
}

fn ratio(of: f64, to: f64) -> f64 {
    if to > 0.0 { of / to } else { 0.0 }
}

/// CPU seconds for 1,000 phones, or for 100 MB.
fn cpu(report: &Report, boot: bool) -> f64 {
    let unit = if boot { report.phones as f64 / 1000.0 } else { report.bytes as f64 / 1e8 };
    ratio(report.server.cpu_s, unit)
}

/// All loads as tables.
pub(super) fn all(results: &[Result]) -> String {
    let mut text = String::new();
    let mut names: Vec<&str> = Vec::new();
    for result in results.iter().filter(|r| r.load.is_some()) {
        if !names.contains(&result.scenario.as_str()) {
            names.push(&result.scenario);
        }
    }
    for name in names {
        let of: Vec<_> = results.iter().filter(|r| r.scenario == name).collect();
        let _ = write!(text, "\n{}", scenario(name, &of));
    }
    let starts = results.iter().filter(|r| r.server == "handset").map(|r| r.first_answer_ms);
    let _ =
        writeln!(text, "\nhandset: {:.0} ms from start to first answer", median(starts.collect()));
    text
}

fn scenario(name: &str, results: &[&Result]) -> String {
    let boot = name.starts_with("boot");
    let unit = if boot { "requests/s" } else { "MB/s" };
    let per = if boot { "1,000 phones" } else { "100 MB" };
    let loads: Vec<f64> = results.iter().filter_map(|r| Some(r.load.as_ref()?.load)).collect();
    let least = loads.iter().copied().fold(f64::MAX, f64::min);
    let most = loads.iter().copied().fold(0.0, f64::max);
    let mut text = format!(
        "### {name} (load average {least:.1}-{most:.1})\n\n\
         | server | {unit} (min-max) | handset is x times | file p50 / p99 / max ms | first try | repeats | \
         CPU s / {per} | handset takes x of it | RSS MiB |\n|---|---|---|---|---|---|---|---|---|\n"
    );
    let mut servers: Vec<&str> = results.iter().map(|r| r.server.as_str()).collect();
    servers.sort_unstable_by_key(|server| (*server != "handset", *server));
    servers.dedup();
    let of = |server: &str, value: &dyn Fn(&Report) -> f64| -> Vec<f64> {
        let own = results.iter().filter(|r| r.server == server);
        own.filter_map(|r| r.load.as_ref()).map(value).collect()
    };
    let speed = |r: &Report| if boot { r.requests_per_s } else { r.mb_per_s };
    let cost = |r: &Report| cpu(r, boot);
    let (own_speed, own_cost) = (median(of("handset", &speed)), median(of("handset", &cost)));
    for server in servers {
        let speeds = of(server, &speed);
        let (low, high) = speeds.iter().fold((f64::MAX, 0.0), |(l, h), s| (s.min(l), s.max(h)));
        let mid = |value: &dyn Fn(&Report) -> f64| median(of(server, value));
        let cpu = mid(&cost);
        let _ = writeln!(
            text,
            "| {server} | {:.0} ({low:.0}-{high:.0}) | {:.2} | {:.1} / {:.1} / {:.0} | {:.0} | {:.0} | {cpu:.3} | \
             {:.2} | {:.1} |",
            median(speeds),
            ratio(own_speed, mid(&speed)),
            mid(&|r| r.file_ms.p50),
            mid(&|r| r.file_ms.p99),
            mid(&|r| r.file_ms.max),
            mid(&|r| r.first_try as f64),
            mid(&|r| r.repeats as f64),
            ratio(own_cost, cpu),
            mid(&|r| r.server.rss_peak_kib as f64 / 1024.0),
        );
    }
    text
}
