use std::time::Duration;

use super::*;

/// A session without a socket, a clock that stands still, and what was sent but not yet read.
struct Rig {
    session: Session,
    now: Instant,
    asked: Vec<(String, String)>,
    /// The account may ask for the states of devices.
    calls: bool,
}

const STARTED: u64 = 1_700_000_000;

/// How Asterisk answers to an action of a module that is not loaded.
const UNKNOWN: &str =
    "Response: Error\nMessage: Invalid/unknown command: X. Use Action: ListCommands";

const DENIED: &str = "Response: Error\nMessage: Permission denied";

impl Rig {
    fn new() -> Self {
        let clock = || STARTED + 10;
        let session = Session::new(Timing::default(), clock, TimeZone::UTC);
        Self { session, now: Instant::now(), asked: Vec::new(), calls: false }
    }

    /// Logged in and booted, following `follow`, with the first list made of peers 201 to 203.
    fn up(follow: &[&str]) -> Self {
        let mut rig = Self::new();
        rig.order(Order::Follow(follow.iter().map(|&peer| peer.into()).collect()));
        rig.login();
        rig.hear("Event: FullyBooted\nUptime: 10");
        rig.list(&["201", "202", "203"]);
        follow.iter().for_each(|_| rig.details("10.0.0.1"));
        rig.news();
        rig
    }

    fn login(&mut self) {
        let mut decoder = Decoder::new();
        decoder.push(b"Asterisk Call Manager/5.0.4\r\n");
        self.session.begin(decoder, "5.0.4".into(), self.now);
        self.advance().unwrap();
    }

    fn advance(&mut self) -> Result<Instant, Lost> {
        let wake = self.session.advance(self.now)?;
        let sent = String::from_utf8(self.session.out.split().to_vec()).unwrap();
        for action in sent.split_terminator("\r\n\r\n") {
            let value = |line: &str| line.split_once(": ").unwrap().1.to_owned();
            let lines: Vec<&str> = action.lines().collect();
            let rest = lines[2..].iter().map(|line| format!(" {}", value(line)));
            let shown = value(lines[0]) + &rest.collect::<String>();
            self.asked.push((value(lines[1]), shown));
        }
        if !self.calls
            && let Some(at) = self.asked.iter().position(|(_, what)| what == "DeviceStateList")
        {
            let (id, _) = self.asked.remove(at);
            return self.try_hear(&format!("{DENIED}\nActionID: {id}"));
        }
        Ok(wake)
    }

    fn try_hear(&mut self, frame: &str) -> Result<Instant, Lost> {
        let wire = format!("{}\r\n\r\n", frame.replace('\n', "\r\n"));
        self.session.bytes(wire.as_bytes(), self.now);
        self.advance()
    }

    fn hear(&mut self, frame: &str) {
        self.try_hear(frame).unwrap();
    }

    /// Answers the oldest action, which must be this one.
    fn answer(&mut self, action: &str, frames: &[&str]) {
        let (id, asked) = self.asked.remove(0);
        assert_eq!(asked, action);
        frames.iter().for_each(|frame| self.hear(&format!("{frame}\nActionID: {id}")));
    }

    fn answer_list(&mut self, action: &str, items: &[String]) {
        let items = items.iter().map(String::as_str);
        let start = std::iter::once("Response: Success\nEventList: start");
        let end = std::iter::once("Event: WhateverDone\nEventList: Complete");
        self.answer(action, &start.chain(items).chain(end).collect::<Vec<_>>());
    }

    fn list(&mut self, peers: &[&str]) {
        let entry = |peer: &&str| {
            format!("Event: PeerEntry\nObjectName: {peer}\nIPaddress: 10.0.0.1\nIPport: 5060")
        };
        self.answer_list("SIPpeers", &peers.iter().map(entry).collect::<Vec<_>>());
        // Looked for at the first list.
        if self.asked.first().is_some_and(|(_, asked)| asked == "PJSIPShowEndpoints") {
            self.answer("PJSIPShowEndpoints", &[UNKNOWN]);
        }
    }

    /// Answers the oldest action, a SIPshowpeer of anything.
    fn details(&mut self, ip: &str) {
        let asked = self.asked[0].1.clone();
        let peer = asked.strip_prefix("SIPshowpeer ").unwrap_or_else(|| panic!("{asked}"));
        let facts = format!("ObjectName: {peer}\nAddress-IP: {ip}\nSIP-Useragent: agent");
        self.answer(&asked, &[&format!("Response: Success\n{facts}")]);
    }

    fn channels(&mut self, channels: &[&str]) {
        let item = |channel: &&str| format!("Event: CoreShowChannel\nChannel: {channel}");
        self.answer_list("CoreShowChannels", &channels.iter().map(item).collect::<Vec<_>>());
    }

    fn order(&mut self, order: Order) {
        self.session.order(order, self.now);
        self.advance().unwrap();
    }

    fn notify(&mut self, peer: &str, lines: &[&str]) {
        self.order(Order::Notify {
            mac: "001122334455".parse().unwrap(),
            peer: peer.into(),
            lines: lines.iter().map(|&line| line.into()).collect(),
            event: "check-sync;x=(1)".into(),
            own: None,
        });
    }

    fn wait(&mut self, millis: u64) -> Result<Instant, Lost> {
        self.now += Duration::from_millis(millis);
        self.advance()
    }

    fn asked(&self) -> Vec<&str> {
        self.asked.iter().map(|(_, action)| action.as_str()).collect()
    }

    fn news(&mut self) -> Vec<String> {
        self.session.news.drain().iter().map(show).collect()
    }
}

fn show(news: &AmiNews) -> String {
    let peer = |facts: &PeerFacts| {
        let address = facts.address.map_or("-".into(), |address| address.ip().to_string());
        format!("{}@{address}/{}", facts.peer, facts.user_agent.as_deref().unwrap_or("-"))
    };
    match news {
        AmiNews::Up { version } => format!("up {version}"),
        AmiNews::Down { reason, refused } => format!("down {reason} {refused}"),
        AmiNews::Peers(peers) => peers.iter().map(peer).collect::<Vec<_>>().join(" "),
        AmiNews::Peer(facts) => format!("peer {}", peer(facts)),
        AmiNews::Registered { peer } => format!("registered {peer}"),
        AmiNews::Reloaded => "reloaded".into(),
        AmiNews::ReloadAnswered(result) => format!("reload {result:?}"),
        AmiNews::Notified { result, .. } => format!("notify {result:?}"),
        AmiNews::Free(own) => format!("free {}", own.user),
        AmiNews::Devices(all) => {
            let all = all.iter().map(|(peer, state)| format!("{peer}:{}", state.text()));
            format!("devices {}", all.collect::<Vec<_>>().join(" "))
        }
        AmiNews::Device { peer, state } => format!("device {peer}:{}", state.text()),
        AmiNews::HungUp { peer } => format!("hung up {peer}"),
        AmiNews::Started(at) => format!("started {at}"),
    }
}

#[test]
fn after_the_boot_all_peers_are_listed_with_the_details_of_those_followed() {
    let mut rig = Rig::new();
    rig.order(Order::Follow(vec!["202".into(), "not there".into()]));
    rig.login();
    assert!(rig.asked.is_empty(), "nothing is asked before Asterisk has booted");
    rig.hear("Event: FullyBooted\nUptime: 10");
    rig.list(&["201", "202"]);
    rig.details("10.0.0.2");
    assert_eq!(
        rig.news(),
        ["up 5.0.4", &format!("started {STARTED}"), "201@10.0.0.1/- 202@10.0.0.2/agent"]
    );
    assert!(rig.asked.is_empty());
}

#[test]
fn without_the_boot_event_the_session_begins_after_a_while_and_asks_for_the_start() {
    let mut rig = Rig::new();
    rig.login();
    rig.wait(4_999).unwrap();
    assert!(rig.asked.is_empty());
    rig.wait(1).unwrap();
    let start = "Response: Success\nCoreStartupDate: 2023-11-14\nCoreStartupTime: 22:13:20";
    rig.answer("CoreStatus", &[start]);
    assert_eq!(rig.news(), ["up 5.0.4", &format!("started {STARTED}")]);
    assert_eq!(rig.asked(), ["SIPpeers"]);
}

#[test]
fn a_start_that_differs_by_the_cut_of_a_second_is_the_same_start() {
    let mut rig = Rig::up(&[]);
    rig.session.lost(&Lost::new("x"));
    rig.login();
    rig.hear("Event: FullyBooted\nUptime: 11");
    assert!(rig.news().contains(&format!("started {STARTED}")));
    rig.hear("Event: FullyBooted\nUptime: 0");
    assert_eq!(rig.news(), [format!("started {}", STARTED + 10)]);
}

#[test]
fn a_registration_is_told_at_once_and_its_details_are_asked_once_for_all_its_events() {
    let mut rig = Rig::up(&["201"]);
    rig.hear("Event: PeerStatus\nPeer: SIP/201\nPeerStatus: Registered");
    rig.hear("Event: PeerStatus\nPeer: SIP/201\nPeerStatus: Reachable");
    rig.hear("Event: PeerStatus\nPeer: SIP/202\nPeerStatus: Registered");
    assert_eq!(rig.news(), ["registered 201"], "202 is not followed");
    assert!(rig.asked.is_empty());
    rig.wait(100).unwrap();
    assert_eq!(rig.asked(), ["SIPshowpeer 201"]);
    rig.details("10.0.0.9");
    assert_eq!(rig.news(), ["peer 201@10.0.0.9/agent"]);
}

#[test]
fn a_peer_that_left_is_told_without_its_old_user_agent() {
    let mut rig = Rig::up(&["201"]);
    rig.hear("Event: PeerStatus\nPeer: SIP/201\nPeerStatus: Unregistered\nCause: Expired");
    rig.wait(100).unwrap();
    rig.details("(null)");
    assert_eq!(rig.news(), ["peer 201@-/-"]);
    rig.hear("Event: PeerStatus\nPeer: SIP/201\nPeerStatus: Unreachable");
    rig.wait(100).unwrap();
    rig.answer("SIPshowpeer 201", &["Response: Error\nMessage: Peer 201 not found."]);
    assert_eq!(rig.news(), ["peer 201@-/-"]);
}

#[test]
fn fresh_details_are_not_overwritten_by_an_older_row_of_a_list() {
    let peers: Vec<String> = (201..241).map(|n| n.to_string()).collect();
    let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
    let mut rig = Rig::up(&[]);
    rig.order(Order::Follow(peers.iter().map(|&peer| peer.into()).collect()));
    rig.list(&peers);
    rig.details("10.0.0.1");
    rig.hear("Event: PeerStatus\nPeer: SIP/201\nPeerStatus: Registered");
    rig.wait(100).unwrap();
    while !rig.asked.is_empty() {
        let again = rig.asked[0].1 == "SIPshowpeer 201";
        rig.details(if again { "10.0.0.9" } else { "10.0.0.1" });
    }
    let news = rig.news();
    assert_eq!(news[..2], ["registered 201", "peer 201@10.0.0.9/agent"]);
    assert!(news[2].starts_with("201@10.0.0.9/agent 202@10.0.0.1/agent"), "{}", news[2]);
}

#[test]
fn a_list_with_missing_details_is_not_told_but_made_again() {
    let mut rig = Rig::up(&["201"]);
    rig.order(Order::Relist);
    rig.list(&["201", "202"]);
    rig.answer("SIPshowpeer 201", &["Response: Error\nMessage: odd"]);
    assert!(rig.news().is_empty());
    rig.wait(1_000).unwrap();
    rig.list(&["201", "202"]);
    rig.answer("SIPshowpeer 201", &["Response: Error\nMessage: Peer 201 not found."]);
    assert_eq!(rig.news(), ["202@10.0.0.1/-"]);
}

#[test]
fn following_a_new_peer_lists_anew_and_dropping_one_does_not() {
    let mut rig = Rig::up(&["201", "202"]);
    rig.order(Order::Follow(vec!["201".into()]));
    assert!(rig.asked.is_empty());
    rig.order(Order::Follow(vec!["201".into(), "203".into()]));
    assert_eq!(rig.asked(), ["SIPpeers"]);
}

#[test]
fn lists_are_repeated() {
    let mut rig = Rig::up(&[]);
    assert_eq!(rig.wait(19_000).unwrap(), rig.now + Duration::from_secs(1), "the next ping");
    rig.wait(41_000).unwrap();
    assert_eq!(rig.asked(), ["SIPpeers"]);
}

#[test]
fn a_notify_goes_out_when_no_line_of_the_phone_has_a_channel() {
    let mut rig = Rig::up(&[]);
    rig.notify("201", &["201", "202"]);
    rig.channels(&["SIP/2012-00000001", "Local/201@phones-00000002;1"]);
    let action = r"SIPnotify SIP/201 Event=check-sync;x=\(1\)";
    rig.answer(action, &["Response: Success\nMessage: Notify Sent"]);
    assert_eq!(rig.news(), ["notify Sent"]);
}

#[test]
fn no_notify_goes_into_a_call() {
    let mut rig = Rig::up(&[]);
    rig.notify("201", &["201", "202"]);
    rig.channels(&["SIP/202-00000001"]);
    assert_eq!(rig.news(), ["notify InCall"]);
    assert!(rig.asked.is_empty());
}

#[test]
fn a_name_that_asterisk_does_not_list_is_never_sent_for_it_would_be_taken_as_a_host() {
    let mut rig = Rig::up(&[]);
    rig.notify("10.9.9.9:5060", &[]);
    rig.channels(&[]);
    assert_eq!(rig.news(), [r#"notify Failed("Asterisk has no peer 10.9.9.9:5060")"#]);
    assert!(rig.asked.is_empty());
}

#[test]
fn the_answers_to_a_notify_are_told_apart() {
    let check = |answer: &str, expected: &str| {
        let mut rig = Rig::up(&[]);
        rig.notify("201", &["201"]);
        rig.channels(&[]);
        let action = rig.asked()[0].to_owned();
        rig.answer(&action, &[&format!("Response: Error\nMessage: {answer}")]);
        assert_eq!(rig.news(), [expected]);
    };
    check("Could not create address", "notify NoAddress");
    check(
        "Permission denied",
        r#"notify Failed("Permission denied: the AMI user needs write=system")"#,
    );
    check("odd", r#"notify Failed("odd")"#);
}

#[test]
fn a_missing_privilege_to_see_calls_sends_nothing() {
    let mut rig = Rig::up(&[]);
    rig.notify("201", &["201"]);
    rig.answer("CoreShowChannels", &["Response: Error\nMessage: Permission denied"]);
    assert_eq!(
        rig.news(),
        [r#"notify Failed("Permission denied: the AMI user needs write=system")"#]
    );
    assert!(rig.asked.is_empty());
}

#[test]
fn a_burst_of_notifies_shares_one_list_of_channels_and_a_later_one_asks_anew() {
    let mut rig = Rig::up(&[]);
    ["201", "202"].iter().for_each(|peer| rig.notify(peer, &[peer]));
    rig.channels(&[]);
    rig.wait(200).unwrap();
    rig.notify("203", &["203"]);
    assert_eq!(rig.asked().len(), 3, "{:?}", rig.asked());
    assert!(rig.asked().iter().all(|action| action.starts_with("SIPnotify")));
    rig.asked.clear();
    rig.wait(1).unwrap();
    rig.notify("203", &["203"]);
    assert_eq!(rig.asked(), ["CoreShowChannels"]);
}

#[test]
fn a_reload_is_answered_and_peers_are_listed_at_once_and_again() {
    let mut rig = Rig::up(&[]);
    rig.order(Order::Reload);
    rig.answer("Reload chan_sip.so", &["Response: Success\nMessage: Module Reloaded"]);
    rig.notify("201", &["201"]);
    assert_eq!(rig.asked(), ["SIPpeers"], "the NOTIFY waits for the new list");
    rig.list(&["202"]);
    assert_eq!(rig.news(), ["reload Ok(())", "202@10.0.0.1/-"]);
    rig.channels(&[]);
    assert_eq!(rig.news(), [r#"notify Failed("Asterisk has no peer 201")"#]);
    rig.wait(1_000).unwrap();
    rig.list(&["202"]);
    rig.wait(1_000).unwrap();
    assert!(rig.asked.is_empty());
}

#[test]
fn a_reload_that_is_refused_says_why() {
    let mut rig = Rig::up(&[]);
    rig.order(Order::Reload);
    let refused = "Response: Error\nMessage: A reload is in progress";
    rig.answer("Reload chan_sip.so", &[refused]);
    assert_eq!(rig.news(), [r#"reload Err("A reload is in progress")"#]);
}

#[test]
fn a_reload_by_somebody_else_is_told_and_peers_are_listed() {
    let mut rig = Rig::up(&[]);
    rig.hear("Event: Reload\nModule: res_pjsip.so\nStatus: 0");
    assert!(rig.news().is_empty() && rig.asked.is_empty());
    rig.hear("Event: Reload\nModule: All\nStatus: 0");
    assert_eq!(rig.news(), ["reloaded"]);
    assert_eq!(rig.asked(), ["SIPpeers"]);
}

#[test]
fn without_a_session_orders_are_answered_at_once() {
    let mut rig = Rig::new();
    rig.order(Order::Reload);
    rig.notify("201", &["201"]);
    assert_eq!(
        rig.news(),
        [r#"reload Err("no AMI session")"#, r#"notify Failed("no AMI session")"#]
    );
    assert!(rig.asked.is_empty());
}

#[test]
fn the_end_of_the_session_answers_what_is_open_and_its_reason_is_told_once() {
    let mut rig = Rig::up(&["201"]);
    rig.order(Order::Relist);
    rig.order(Order::Reload);
    rig.notify("201", &["201"]);
    let lost = Lost::new("gone");
    assert!(rig.session.lost(&lost));
    assert!(!rig.session.lost(&lost));
    assert_eq!(
        rig.news(),
        [
            r#"reload Err("the AMI session ended before the answer: gone")"#,
            r#"notify Failed("the AMI session ended before the answer: gone")"#,
            "down gone false"
        ]
    );
    rig.login();
    rig.hear("Event: FullyBooted\nUptime: 10");
    assert!(rig.session.lost(&lost), "there was a session in between");
}

#[test]
fn a_shutdown_ends_the_session() {
    let mut rig = Rig::up(&[]);
    let ended = rig.try_hear("Event: Shutdown\nShutdown: Cleanly\nRestart: False");
    assert_eq!(ended, Err(Lost::new("Asterisk is shutting down")));
}

#[test]
fn a_session_that_may_not_list_peers_ends_and_says_why() {
    let check = |text: &str, refused: bool, expected: &str| {
        let mut rig = Rig::new();
        rig.login();
        rig.hear("Event: FullyBooted\nUptime: 10");
        let id = rig.asked[0].0.clone();
        let frame = format!("Response: Error\nActionID: {id}\nMessage: {text}");
        let lost = rig.try_hear(&frame).unwrap_err();
        assert_eq!((lost.reason.as_str(), lost.refused), (expected, refused));
    };
    check(
        "Permission denied",
        true,
        "cannot list peers: Permission denied: the AMI user needs write=system",
    );
}

#[test]
fn a_session_without_any_channel_driver_ends_and_says_so() {
    let mut rig = Rig::new();
    rig.login();
    rig.hear("Event: FullyBooted\nUptime: 10");
    rig.answer("SIPpeers", &[UNKNOWN]);
    let id = rig.asked[0].0.clone();
    let lost = rig.try_hear(&format!("{UNKNOWN}\nActionID: {id}")).unwrap_err();
    let text = "cannot list peers: neither chan_sip nor chan_pjsip is loaded in Asterisk";
    assert_eq!(lost, Lost::new(text));
}

#[test]
fn silence_is_pinged_and_a_dead_connection_is_given_up() {
    let mut rig = Rig::up(&[]);
    rig.wait(20_000).unwrap();
    rig.answer("Ping", &["Response: Success\nPing: Pong"]);
    rig.wait(20_000).unwrap();
    assert_eq!(rig.asked(), ["Ping"]);
    // Events alone do not prove that actions are answered.
    rig.wait(14_999).unwrap();
    rig.hear("Event: Other");
    assert_eq!(rig.wait(1), Err(Lost::new("Asterisk does not answer")));
}

#[test]
fn an_action_without_an_answer_is_noticed_at_the_next_answer() {
    let mut rig = Rig::up(&[]);
    rig.order(Order::Reload);
    rig.order(Order::Relist);
    rig.asked.remove(0);
    rig.list(&["201"]);
    assert_eq!(rig.news(), [r#"reload Err("Asterisk gave no answer")"#, "201@10.0.0.1/-"]);
}

#[test]
fn an_answer_without_an_id_belongs_to_the_only_action_that_waits() {
    let mut rig = Rig::up(&[]);
    rig.order(Order::Reload);
    rig.hear("Response: Error\nMessage: Failed to parse message: line too long");
    assert_eq!(rig.news(), [r#"reload Err("Failed to parse message: line too long")"#]);
    rig.order(Order::Reload);
    rig.order(Order::Relist);
    rig.hear("Response: Error\nMessage: whose");
    assert!(rig.news().is_empty());
}

#[test]
fn frames_of_others_change_nothing() {
    let mut rig = Rig::up(&["201"]);
    rig.hear("Response: Success\nActionID: foreign");
    rig.hear("Event: PeerEntry\nActionID: foreign\nObjectName: evil");
    rig.hear("Event: PeerStatus\nPeer: PJSIP/201\nPeerStatus: Reachable");
    rig.hear("only text");
    rig.wait(1_000).unwrap();
    assert!(rig.news().is_empty() && rig.asked.is_empty());
}

#[test]
fn when_the_core_is_too_slow_peers_are_listed_again_once_it_has_caught_up() {
    let mut rig = Rig::up(&["201"]);
    for _ in 0..3_000 {
        rig.hear("Event: PeerStatus\nPeer: SIP/201\nPeerStatus: Registered");
    }
    assert!(!rig.session.news.has_room());
    assert_eq!(rig.news().len(), 1_024);
    rig.advance().unwrap();
    assert_eq!(rig.asked(), ["SIPpeers"]);
}

#[test]
fn details_of_many_peers_are_asked_in_batches() {
    let peers: Vec<String> = (1_000..3_000).map(|n| n.to_string()).collect();
    let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
    let mut rig = Rig::up(&[]);
    rig.order(Order::Follow(peers.iter().map(|&peer| peer.into()).collect()));
    rig.list(&peers);
    assert_eq!(rig.asked.len(), 16);
    rig.order(Order::Reload);
    while rig.asked[0].1.starts_with("SIPshowpeer") {
        assert!(rig.asked.len() <= 16);
        rig.details("10.0.0.1");
    }
    assert!(rig.news().is_empty(), "the list is not complete: the order overtook it");
    rig.answer("Reload chan_sip.so", &["Response: Success"]);
    while rig.asked.first().is_some_and(|(_, action)| action.starts_with("SIPshowpeer")) {
        rig.details("10.0.0.1");
    }
    let news = rig.news();
    assert_eq!(news[0], "reload Ok(())");
    assert_eq!(news[1].split(' ').filter(|peer| peer.ends_with("/agent")).count(), 2_000);
}

mod pjsip;

mod devices;
