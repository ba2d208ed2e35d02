use std::collections::BTreeSet;

use super::*;
use crate::control::State;
use crate::daemon::event::Outcome;
use crate::daemon::metrics::Addresses;

fn full() -> Facts {
    let rollout = RolloutStatus {
        id: 7,
        generation: 12,
        began: "2026-11-22T16:20:31Z".into(),
        ended: None,
        phase: "running".into(),
        why: None,
        total: 300,
        proved: 12,
        in_flight: 4,
        deferred: 2,
        waiting: 282,
        wave: 2,
        wave_size: 12,
        seconds_left: Some(370),
        failed: Vec::new(),
    };
    Facts {
        nets: vec!["127.0.0.0/8".parse().unwrap()],
        states: [(State::Current, 299), (State::InCall, 1)].into(),
        registered: 298,
        ami: Some(true),
        notifies: vec![("sent", 5)],
        refusals: vec![("anothers", 3)],
        generation: 12,
        made: Time(1_700_000_000_005),
        rollouts: 7,
        rollout: Some(rollout),
        dhcp: Some(Addresses { leases: 9, sent: 8, dropped: [("a", 1), ("b", 2), ("c", 3)] }),
        ..Facts::default()
    }
}

fn page() -> String {
    let metrics = Metrics::default();
    metrics.tftp.ended.count(&Outcome::Complete, 600);
    metrics.tftp.ended.count(&Outcome::Complete, 40);
    metrics.http.ended.count(&Outcome::NotFound, 0);
    text(&full(), &metrics)
}

fn has(page: &str, line: &str) {
    assert!(page.lines().any(|one| one == line), "no {line:?} in\n{page}");
}

#[test]
fn what_is_known_stands_on_the_page() {
    let page = page();
    has(&page, "handset_phones{state=\"current\"} 299");
    has(&page, "handset_phones{state=\"in-call\"} 1");
    has(&page, "handset_phones_registered 298");
    has(&page, "handset_transfers_total{service=\"tftp\",outcome=\"complete\"} 2");
    has(&page, "handset_transfer_bytes_total{service=\"tftp\"} 640");
    has(&page, "handset_transfers_total{service=\"http\",outcome=\"not-found\"} 1");
    has(&page, "handset_refusals_total{reason=\"anothers\"} 3");
    has(&page, "handset_rollout_phase{phase=\"running\"} 1");
    has(&page, "handset_rollout_phase{phase=\"stopped\"} 0");
    has(&page, "handset_rollout_phones{fate=\"in-flight\"} 4");
    has(&page, "handset_ami_up 1");
    has(&page, "handset_generation_timestamp_seconds 1700000000.005");
}

#[test]
fn every_metric_is_on_the_page_once_with_its_type_before_its_samples() {
    let page = page();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut last = "";
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            last = rest.split(' ').next().unwrap();
            assert!(told.insert(last), "{last} twice");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert_eq!(name.split('{').next(), Some(last), "{line}");
        }
    }
    assert_eq!(told, ALL.iter().map(|metric| metric.name).collect());
    for Metric { name, kind, .. } in ALL {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
    }
}

#[test]
fn what_there_is_not_has_no_samples() {
    let page = text(&Facts::default(), &Metrics::default());
    for name in ["handset_ami_up", "handset_rollout_phase", "handset_dhcp_leases"] {
        assert!(!page.contains(name), "{name}");
    }
}

/// The names of our metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let word = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    text.split(word).filter(|name| name.starts_with("handset_")).collect()
}

#[test]
fn the_board_the_alerts_and_the_page_of_the_manual_name_metrics_that_there_are() {
    let board = include_str!("../../../../contrib/grafana/handset.json");
    let alerts = include_str!("../../../../contrib/prometheus/alerts.yml");
    let manual = include_str!("../../../../docs/metrics.md");
    let known: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    for text in [board, alerts, manual] {
        let unknown: Vec<_> = names(text).difference(&known).copied().collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert!(names(text).len() > 5);
    }
    let missing: Vec<_> = known.difference(&names(manual)).copied().collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks {missing:?}");
}

#[test]
fn the_board_is_one_that_can_be_imported() {
    let board: serde_json::Value =
        serde_json::from_str(include_str!("../../../../contrib/grafana/handset.json")).unwrap();
    assert_eq!(board["title"], "handset");
    assert!(board["schemaVersion"].as_u64().unwrap() >= 36);
    let panels = board["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(panel["gridPos"]["w"].as_u64().unwrap() <= 24);
        let queries = panel["targets"].as_array().unwrap();
        assert!(
            !queries.is_empty() && queries.iter().all(|q| !q["expr"].as_str().unwrap().is_empty())
        );
    }
    assert!(panels.len() >= 8);
}

#[test]
fn every_alert_has_a_condition_a_severity_and_advice() {
    let text = include_str!("../../../../contrib/prometheus/alerts.yml");
    assert!(!text.contains('\t') && text.starts_with('#'));
    let alerts: Vec<&str> = text.split("      - alert: ").skip(1).collect();
    assert!(alerts.len() >= 6);
    for alert in alerts {
        let keys = [
            "\n        expr: ",
            "\n          severity: ",
            "\n          summary: ",
            "\n          description: ",
        ];
        for key in keys {
            assert_eq!(alert.matches(key).count(), 1, "{key:?} in {alert}");
        }
    }
}
