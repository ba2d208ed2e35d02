//! What people and Prometheus see of a site: plan, roll-outs, status, the way back, /metrics.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use handset::control::State;

use crate::site::{SOON, Site, phones, quiet};

fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

fn has(text: &str, wanted: &[&str]) {
    for one in wanted {
        assert!(text.contains(one), "no {one:?} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_planned_approved_followed_and_taken_back_on_the_command_line() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut site = Site::prepare(&phones(3));
    site.general = "push=manual".into();
    site.sections = format!("[push]\nrate=100\n[http]\nlisten=127.0.0.1:{port}\n");
    site.run().await;
    let mut desks = Vec::new();
    for n in 1..=3 {
        desks.push(site.boot(n).await);
    }
    let calm = site.handset_ok(&["status"]);
    has(&calm, &["\n3 phones: 3 current · 3 registered\n"]);
    has(&site.handset_ok(&["plan"]), &["nothing on disk waits for a phone"]);
    has(&site.handset_ok(&["rollout", "status"]), &["there was no roll-out yet"]);

    site.edit("callerid=\"User", "callerid=\"Nobody");
    site.until("it waits", SOON, |site| site.phone(3).state == State::Pending).await;
    let plan = site.handset_ok(&["plan"]);
    println!("{plan}\n");
    has(
        &plan,
        &["3 phones: 3 changed; 3 restart", "line1_displayname: \"User 1\" -> \"Nobody 1\""],
    );
    has(&plan, &["in waves: 3;", "push = manual: handset apply begins it"]);
    has(
        &site.handset_ok(&["status"]),
        &["\n3 phones: 3 pending · 3 registered\nroll-out 1 is planned: "],
    );
    let json = site.handset_ok(&["rollout", "status", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&all["rollouts"][0]["phase"], &all["rollouts"][0]["total"]),
        (&"planned".into(), &3.into())
    );
    let json = site.handset_ok(&["status", "--json", "--state", "pending", "--limit", "2"]);
    let page: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(page.len(), 2);
    quiet(1.2).await;
    let page = metrics(port);
    has(&page, &["\nhandset_rollout_phase{phase=\"planned\"} 1\n", "\nhandset_ami_up 1\n"]);
    has(&page, &["\nhandset_phones{state=\"pending\"} 3\n", "\nhandset_phones_registered 3\n"]);
    has(&page, &["\nhandset_held 0\n", "\nhandset_journal_failures 0\n"]);

    let said = site.handset_ok(&["apply"]);
    has(&said, &["roll-out 1 begins"]);
    site.until("all have it", SOON * 2, |site| {
        (1..=3).all(|n| site.phone(n).state == State::Current)
    })
    .await;
    quiet(1.5).await;
    let told = site.handset_ok(&["rollout"]);
    println!("{told}\n");
    has(&told, &["[##############################] 3 of 3 proved", "\ndone, wave 1 (3 canaries)"]);
    has(&metrics(port), &["\nhandset_rollout_phones{fate=\"proved\"} 3\n"]);
    assert_eq!(site.handset(&["rollout", "pause"]).status.code(), Some(1), "it is over");

    let said = site.handset_ok(&["rollback", "101"]);
    has(&said, &["back to older files: 1 phone"]);
    let pushed = site.handset_ok(&["push", "101", "--wait"]);
    println!("{pushed}\n");
    has(&pushed, &["SEEN", "registered from 127.", "\n1 of 1 proved to run their configuration"]);
    let status = site.handset_ok(&["status"]);
    println!("{status}\n");
    assert_eq!(site.handset(&["rollback", "101", "--all"]).status.code(), Some(2));
    assert_eq!(site.handset(&["status", "--state", "asleep"]).status.code(), Some(2));
}
