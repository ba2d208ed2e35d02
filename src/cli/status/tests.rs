use clap::Parser;

use super::*;
use crate::base::Mac;
use crate::cli::args::Command;
use crate::control::RolloutStatus;

fn options(line: &str) -> Options {
    match Args::try_parse_from(line.split(' ')).unwrap().command {
        Command::Status(options) => options,
        other => panic!("{other:?}"),
    }
}

fn phone(number: u16, state: State) -> PhoneStatus {
    let [high, low] = number.to_be_bytes();
    PhoneStatus {
        mac: Mac::new([0, 0x18, 0xb9, 0, high, low]).unwrap(),
        family: "cisco-79x0".into(),
        model: "7940".into(),
        lines: Vec::new(),
        wanted: None,
        running: None,
        state,
        detail: (state == State::Failed).then(|| "it did not register again".into()),
        last_seen: None,
        alerts: Vec::new(),
        seen: crate::control::PhoneSeen::default(),
    }
}

/// What the daemon answers where these phones of a site are on the page.
fn status(counts: &[(State, usize)], matched: usize, phones: Vec<PhoneStatus>) -> Status {
    let registered = counts.iter().map(|(_, count)| count).sum();
    Status {
        version: "1".into(),
        generation: 12,
        generated: "2026-11-22T16:20:31Z".into(),
        held: None,
        reload: "loaded".into(),
        ami: "up".into(),
        diagnostics: Vec::new(),
        more_diagnostics: 0,
        counts: counts.iter().copied().collect(),
        registered,
        matched,
        phones,
        unknown: Vec::new(),
        alerts: Vec::new(),
        opened: Vec::new(),
        rollout: None,
        off_ladder: Vec::new(),
        dhcp: Vec::new(),
    }
}

#[test]
fn people_are_shown_a_page_and_machines_all() {
    let check = |line: &str, wanted: Select| assert_eq!(select(&options(line)), wanted, "{line}");
    let all = Select::default;
    check("handset status", Select { limit: Some(40), few: Some(50), ..all() });
    check(
        "handset status --page 3",
        Select { offset: 80, limit: Some(40), few: Some(50), ..all() },
    );
    check("handset status --all", all());
    check("handset status 201", all());
    check("handset status --json", all());
    let failed = vec![State::Failed, State::InCall];
    check(
        "handset status --state failed,in-call --model 7960",
        Select { states: failed, model: Some("7960".into()), limit: Some(40), ..all() },
    );
    check("handset status --limit 5 --page 2", Select { offset: 5, limit: Some(5), ..all() });
    check("handset status --json --limit 9", Select { limit: Some(9), ..all() });
}

#[test]
fn a_state_that_there_is_not_is_refused_with_those_that_are() {
    let error = Args::try_parse_from(["handset", "status", "--state", "broken"]).unwrap_err();
    assert!(error.to_string().contains("pending, pushing, in-call"), "{error}");
    assert!(Args::try_parse_from(["handset", "status", "--page", "0"]).is_err());
    assert!(Args::try_parse_from(["handset", "status", "--all", "--limit", "3"]).is_err());
}

#[test]
fn a_small_site_is_shown_whole() {
    let phones = vec![phone(1, State::Current), phone(2, State::Failed)];
    let status = status(&[(State::Current, 1), (State::Failed, 1)], 2, phones);
    let text = print(&status, &options("handset status"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "generation 12 of 2026-11-22T16:20:31Z · Asterisk up · sip.conf loaded");
    assert_eq!(lines[1], "2 phones: 1 current, 1 failed · 2 registered");
    assert!(lines[2].starts_with("PHONE") && lines[3].contains("00:18:b9:00:00:01"), "{text}");
    assert_eq!(lines[5..], ["00:18:b9:00:00:02: it did not register again"]);
}

#[test]
fn a_large_site_is_summed_up_and_leads_to_the_rest() {
    let page = |first: u16| -> Vec<PhoneStatus> {
        (first..first + 40).map(|n| phone(n, State::Pending)).collect()
    };
    let counts = [(State::Current, 19_700), (State::Pending, 300)];
    let text = print(&status(&counts, 300, page(1)), &options("handset status"));
    assert!(
        text.contains("\n20000 phones: 19700 current, 300 pending · 20000 registered\n"),
        "{text}"
    );
    assert!(text.ends_with(
        "\n… and 260 more: handset status --page 2\n19700 phones are current and not shown: handset status --all"
    ), "{text}");
    let second = options("handset status --state pending --page 2");
    let text = print(&status(&counts, 300, page(41)), &second);
    assert!(text.ends_with("\n… and 220 more: handset status --state pending --page 3"), "{text}");
    let text = print(&status(&counts, 41, page(1)[..1].to_vec()), &second);
    assert!(!text.contains("more"), "{text}");
}

#[test]
fn a_roll_out_that_stopped_and_what_is_held_stand_above_the_table() {
    let mut status = status(&[(State::Current, 1)], 1, vec![phone(1, State::Current)]);
    status.held = Some("no peer is left".into());
    status.more_diagnostics = 7;
    status.rollout = Some(RolloutStatus {
        id: 7,
        generation: 12,
        began: String::new(),
        ended: None,
        phase: "stopped".into(),
        why: Some("1 of the 1 phones that fetched it did not register again".into()),
        total: 9,
        proved: 0,
        in_flight: 0,
        deferred: 0,
        waiting: 8,
        wave: 1,
        wave_size: 3,
        seconds_left: None,
        failed: Vec::new(),
    });
    let text = print(&status, &options("handset status"));
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what:?} in {text}"));
    let places =
        ["roll-out 7 STOPPED: 1 of", "HELD BACK: no peer", "… and 7 more: handset check", "PHONE "]
            .map(place);
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn a_phone_that_is_asked_for_shows_what_was_seen_of_it_last() {
    let mut one = phone(1, State::Current);
    one.seen.proved = Some("2026-11-22T16:20:31.120Z".into());
    one.seen.address = Some("192.0.2.7".into());
    one.seen.told = Some(("2026-11-22T16:20:01.120Z".into(), "is told to look (NOTIFY)".into()));
    one.lines.push(LineStatus {
        line: 1,
        registered: true,
        rtt: Some(12),
        device: Some("ringing".into()),
        expires: Some("2026-11-22T17:20:31.120Z".into()),
        ..LineStatus::default()
    });
    one.seen.dhcp = Some(crate::control::DhcpSeen {
        at: "2026-11-22T16:20:09.120Z".into(),
        text: "is given 192.0.2.7".into(),
    });
    assert_eq!(
        observed(&one),
        [
            "00:18:b9:00:00:01: proved 2026-11-22T16:20:31 at 192.0.2.7; is told to look (NOTIFY) 2026-11-22T16:20:01",
            "line 1: registered, until 2026-11-22T17:20:31, answers in 12 ms, ringing",
            "DHCP: is given 192.0.2.7 2026-11-22T16:20:09",
        ]
    );
}
