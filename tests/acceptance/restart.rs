//! kill -9, restarts, and what they must not do.

use std::fs;
use std::time::Duration;

use handset::control::State;
use handset::daemon::journal::{self, Batch, Table};
use serde_json::Value;

use crate::site::{SOON, Site, exported, mac, phones, quiet};

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_changes_nothing_also_with_a_broken_sip_conf() {
    let mut site = Site::prepare(&phones(3));
    site.general = format!("export_dir={}", site.path("export").display());
    site.run().await;
    let desks = [site.boot(1).await, site.boot(2).await];
    site.until("all is exported", SOON, |site| site.path("export/SIP0018B9000003.cnf").exists())
        .await;
    let (files, own) = (exported(&site.path("export")), site.own_file(3));
    let before = site.status();
    for broken in [None, Some(""), Some("[general\n")] {
        let good = site.sip_conf();
        site.kill();
        if let Some(text) = broken {
            fs::write(site.etc.join("sip.conf"), text).unwrap();
        }
        site.run_with("info").await;
        site.until("it knows the phones", SOON, |site| {
            let status = site.status();
            status.phones.iter().filter(|p| p.state == State::Current).count() == 2
        })
        .await;
        quiet(2.0).await;
        assert_eq!(site.own_file(3), own, "{broken:?}");
        assert_eq!(exported(&site.path("export")), files, "{broken:?}");
        let now = site.status();
        assert_eq!(now.generation, before.generation);
        assert_eq!(now.held.is_some(), broken.is_some(), "{now:?}");
        for desk in &desks {
            assert_eq!((desk.state().notifies, desk.state().boots), (0, 1), "{broken:?}");
        }
        fs::write(site.etc.join("sip.conf"), good).unwrap();
        site.until("it heals", SOON, |site| site.status().held.is_none()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_any_moment_leave_whole_files_and_the_right_end() {
    let mut site = Site::prepare(&phones(8));
    site.general = format!("export_dir={}\nasterisk_reload=ignore", site.path("export").display());
    site.run().await;
    site.until("all are there", SOON, |site| site.status().phones.len() == 8).await;
    for round in 0..12_u64 {
        site.edit(&name(round), &name(round + 1));
        tokio::time::sleep(Duration::from_millis(37 * round % 160)).await;
        site.kill();
        for (name, bytes) in exported(&site.path("export")) {
            let whole =
                !name.starts_with("SIP0") || bytes.windows(15).any(|w| w == b"line2_shortname");
            assert!(whole, "round {round}: {name} has {} bytes", bytes.len());
        }
        site.run_with("info").await;
    }
    let wanted = name(12);
    site.until("the newest is served", SOON, |site| {
        site.own_file(1).is_some_and(|own| own.contains(wanted.trim_matches('"')))
    })
    .await;
    let own = site.own_file(1).unwrap();
    site.until("the newest is exported", SOON, |site| {
        exported(&site.path("export"))
            .get("SIP0018B9000001.cnf")
            .is_some_and(|b| b.iter().map(|c| char::from(*c)).eq(own.chars()))
    })
    .await;
    assert_eq!(exported(&site.path("export")).keys().filter(|n| n.starts_with("SIP0")).count(), 8);
}

fn name(round: u64) -> String {
    if round == 0 { "\"User 1\"".into() } else { format!("\"Round {round}\"") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_told_to_end_ends_in_order() {
    let mut site = Site::start(&phones(1)).await;
    let _desk = site.boot(1).await;
    assert_eq!(site.stop().await, 0);
    assert!(!site.log().contains("ended unasked"), "{}", site.log());
    site.run_with("info").await;
    site.until_current(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_phones_follow_and_who_ends_the_daemon_hears_what_is_lost() {
    let mut site = Site::prepare(&phones(1));
    site.small_disk = true;
    site.run().await;
    let _desk = site.boot(1).await;
    site.fill_disk();
    site.edit(&name(0), &name(1));
    site.until("the change is served", SOON, |site| {
        site.own_file(1).is_some_and(|own| own.contains("Round 1"))
    })
    .await;
    site.until("status tells of the disk", SOON, |site| {
        site.status().held.is_some_and(|held| held.contains("the state cannot be written"))
    })
    .await;
    assert_eq!(site.stop().await, 1);
    assert!(site.log().contains("the disk does not take the state"), "{}", site.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_state_asks_and_never_storms() {
    let mut site = Site::start(&phones(2)).await;
    let desks = [site.boot(1).await, site.boot(2).await];
    site.stop().await;
    fs::remove_file(site.path("state/handset.redb")).unwrap();
    fs::write(site.path("state/handset.redb"), b"not a journal").unwrap();
    site.run_with("info").await;
    site.until("what they run is unknown", SOON, |site| site.phone(1).running.is_none()).await;
    // Asked, they find their token equal: nobody restarts.
    site.until("both have looked", SOON, |_| {
        desks.iter().all(|d| d.state().fetches.contains_key("syncinfo.xml"))
    })
    .await;
    quiet(1.0).await;
    assert!(desks.iter().all(|d| d.state().boots == 1));
    assert!(site.own_file(1).is_some(), "{}", mac(1));
}

/// The state as it would be had the clock been ahead by `millis` when it was written.
fn written_ahead(site: &Site, millis: u64) {
    fn shift(value: &mut Value, millis: u64) {
        match value {
            Value::Number(number) => {
                if let Some(at) = number.as_u64().filter(|at| *at > 1_600_000_000_000) {
                    *value = (at + millis).into();
                }
            }
            Value::Array(all) => all.iter_mut().for_each(|value| shift(value, millis)),
            Value::Object(all) => all.values_mut().for_each(|value| shift(value, millis)),
            _ => {}
        }
    }
    let (state, _) = journal::open(&site.path("state")).unwrap();
    let mut batch = Batch::new();
    for table in [Table::Observed, Table::Intents] {
        for (key, row) in state.scan(table).unwrap() {
            let mut value: Value = serde_json::from_slice(&row).unwrap();
            shift(&mut value, millis);
            batch.put(table, key, value.to_string());
        }
    }
    for (key, row) in state.scan(Table::Events).unwrap() {
        let at = u64::from_be_bytes(key[..].try_into().unwrap());
        batch.remove(Table::Events, &key);
        batch.put(Table::Events, (at + millis).to_be_bytes(), row);
    }
    state.commit(&batch).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_before_a_restart_hides_nothing_that_happens_after_it() {
    let mut site = Site::start(&phones(2)).await;
    let _desks = [site.boot(1).await, site.boot(2).await];
    site.edit(&name(0), &name(1));
    site.until("it has a roll-out behind it", SOON, |site| {
        site.phone(1).running.is_some() && site.phone(1).running == site.phone(1).wanted
    })
    .await;
    site.stop().await;
    written_ahead(&site, 86_400_000);
    site.run_with("info").await;
    let before = site.phone(1).wanted;
    site.edit(&name(1), &name(2));
    site.until("the change is there", SOON, |site| site.phone(1).wanted != before).await;
    site.until_current(1).await;
    site.until("what it fetched last is told", SOON, |site| {
        let json = site.handset_ok(&["status", "101", "--json"]);
        let status: Value = serde_json::from_str(&json).unwrap();
        let files = status[0]["seen"]["files"].as_array().unwrap().clone();
        files.iter().any(|file| file["digest"] == status[0]["wanted"])
    })
    .await;
}
