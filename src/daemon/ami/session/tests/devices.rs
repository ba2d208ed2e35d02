//! Calls, as the states of devices and the ends of channels tell, and NOTIFYs of our own.

use super::*;
use crate::daemon::event::OwnNotify;

fn device(name: &str, state: &str) -> String {
    format!("Event: DeviceStateChange\nDevice: {name}\nState: {state}")
}

fn hangup(channel: &str) -> String {
    format!("Event: Hangup\nChannel: {channel}")
}

impl Rig {
    /// Up, following 201 and 202, with an account that may ask for states.
    fn calling(listed: &[&str]) -> Self {
        let mut rig = Self::new();
        rig.calls = true;
        rig.order(Order::Follow(vec!["201".into(), "202".into()]));
        rig.login();
        rig.hear("Event: FullyBooted\nUptime: 10");
        rig.list(&["201", "202", "203"]);
        rig.details("10.0.0.1");
        rig.details("10.0.0.1");
        rig.news();
        let listed: Vec<_> = listed.iter().map(|name| device(name, "INUSE")).collect();
        rig.answer_list("DeviceStateList", &listed);
        rig
    }

    fn own(&mut self) {
        let own = OwnNotify {
            mac: "001122334455".parse().unwrap(),
            to: "10.0.0.1:5060".parse().unwrap(),
            user: "201".into(),
            host: "10.0.0.9".into(),
            event: "check-sync".into(),
        };
        self.order(Order::Notify {
            mac: own.mac,
            peer: "201".into(),
            lines: vec!["201".into(), "202".into()],
            event: "check-sync".into(),
            own: Some(own),
        });
    }
}

#[test]
fn states_are_asked_for_once_after_the_list_of_peers_and_only_those_followed_are_told() {
    let mut rig = Rig::calling(&["SIP/201", "SIP/203", "Custom:201", "Queue:sales"]);
    assert_eq!(rig.news(), ["devices 201:in a call"]);
    rig.wait(60_000).unwrap();
    rig.list(&["201", "202", "203"]);
    rig.details("10.0.0.1");
    rig.details("10.0.0.1");
    assert!(rig.asked.is_empty(), "{:?}", rig.asked());
}

#[test]
fn changes_and_hangups_of_those_followed_are_told() {
    let mut rig = Rig::calling(&[]);
    rig.news();
    let heard = [
        device("SIP/201", "RINGING"),
        device("SIP/203", "RINGING"),
        device("PJSIP/201", "RINGING"),
        device("Local/201@x", "INUSE"),
        hangup("SIP/202-0000000a"),
        hangup("SIP/203-0000000b"),
        hangup("Local/201@x-0000;1"),
        "Event: Newchannel\nChannel: SIP/201-0000000c".to_owned(),
    ];
    heard.iter().for_each(|frame| rig.hear(frame));
    assert_eq!(rig.news(), ["device 201:ringing", "hung up 202"]);
}

#[test]
fn an_event_during_the_list_is_newer_than_the_list() {
    let mut rig = Rig::calling(&[]);
    rig.news();
    rig.session.devices.missing();
    rig.order(Order::Relist);
    rig.list(&["201", "202"]);
    rig.details("10.0.0.1");
    rig.details("10.0.0.1");
    rig.news();
    rig.hear(&device("SIP/201", "NOT_INUSE"));
    rig.answer_list("DeviceStateList", &[device("SIP/201", "INUSE"), device("SIP/202", "INUSE")]);
    assert_eq!(rig.news(), ["device 201:idle", "devices 201:idle 202:in a call"]);
}

#[test]
fn an_account_that_may_not_ask_is_not_asked_again() {
    let mut rig = Rig::up(&["201"]);
    rig.calls = true;
    rig.session.devices.missing();
    rig.order(Order::Relist);
    rig.list(&["201"]);
    rig.details("10.0.0.1");
    assert!(rig.asked.is_empty(), "{:?}", rig.asked());
}

#[test]
fn a_storm_of_others_calls_brings_no_news_and_one_of_ours_is_bounded_and_healed() {
    let mut rig = Rig::calling(&[]);
    rig.news();
    for n in 0..5000 {
        rig.hear(&device("SIP/203", if n % 2 == 0 { "INUSE" } else { "NOT_INUSE" }));
    }
    assert!(rig.news().is_empty());
    for n in 0..5000 {
        rig.hear(&device("SIP/201", if n % 2 == 0 { "INUSE" } else { "NOT_INUSE" }));
    }
    assert!(rig.news().len() <= 1024);
    rig.wait(1).unwrap();
    rig.list(&["201", "202"]);
    rig.details("10.0.0.1");
    rig.details("10.0.0.1");
    assert_eq!(rig.asked(), ["DeviceStateList"]);
}

#[test]
fn before_a_notify_of_our_own_the_channels_are_looked_at() {
    let mut rig = Rig::calling(&[]);
    rig.news();
    rig.own();
    rig.channels(&["SIP/202-0000000a"]);
    assert_eq!(rig.news(), ["notify InCall"]);
    rig.wait(1_000).unwrap();
    rig.own();
    rig.channels(&["SIP/203-0000000a"]);
    assert_eq!(rig.news(), ["free 201"]);
    assert!(rig.asked.is_empty(), "Asterisk sends none: {:?}", rig.asked());
}

#[test]
fn without_a_session_there_is_no_notify_of_our_own_either() {
    let mut rig = Rig::new();
    rig.own();
    assert_eq!(rig.news(), ["notify Failed(\"no AMI session\")"]);
}
