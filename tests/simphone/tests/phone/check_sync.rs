//! The phone's side of NOTIFY, spoken to by hand.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use simphone::{Config, Event, Phase, Phone, spawn};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::tftp::Server;
use super::{LIMIT, config, quiet_line};

const OWN: &str = "SIP0018B9FF0001.cnf";

/// A phone that runs, and a socket to speak to it.
struct Lab {
    server: Server,
    phone: Phone,
    pbx: UdpSocket,
    to: SocketAddr,
}

async fn lab(change: impl FnOnce(&mut Config)) -> Lab {
    let server = Server::start(&[(OWN, &quiet_line("one"))]).await;
    let mut config = config(&server);
    change(&mut config);
    let to = SocketAddr::new(config.address.into(), 5060);
    let phone = spawn(config).await;
    phone.wait(LIMIT, |s| s.phase == Phase::Running && s.requests.len() == 4).await.unwrap();
    let pbx = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    Lab { server, phone, pbx, to }
}

impl Lab {
    /// Sends a request, and returns the status of its answer.
    async fn ask(&self, method: &str, uri_user: &str, id: &str, more: &str) -> Option<u16> {
        let port = self.pbx.local_addr().unwrap().port();
        let text = format!(
            "{method} sip:{uri_user}127.0.0.9 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{id}\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:{uri_user}127.0.0.9>\r\nCall-ID: {id}\r\nCSeq: 102 {method}\r\n\
             {more}Content-Length: 0\r\n\r\n"
        );
        self.pbx.send_to(text.as_bytes(), self.to).await.unwrap();
        let mut buffer = [0u8; 2048];
        let received = timeout(Duration::from_millis(500), self.pbx.recv(&mut buffer)).await;
        let len = received.ok()?.unwrap();
        let answer = std::str::from_utf8(&buffer[..len]).unwrap();
        assert!(answer.contains(&format!("Call-ID: {id}\r\n")), "{answer}");
        Some(answer[8..11].parse().unwrap())
    }

    async fn check_sync(&self, id: &str) {
        assert_eq!(self.ask("NOTIFY", "201@", id, "Event: check-sync\r\n").await, Some(200));
    }

    async fn synced(&self, after: u64) -> Event {
        let sync = |event: &Event| matches!(event, Event::Sync { .. });
        self.phone.wait_event(after, LIMIT, sync).await.unwrap().event
    }
}

#[tokio::test]
async fn a_notify_is_answered_by_the_phone_s_own_rules() {
    let lab = lab(|_| {}).await;
    let cases = [
        ("201@", "Event: check-sync\r\n", 200),
        ("201@", "Event: Check-Sync\r\n", 200),
        ("201@", "o: check-sync\r\n", 200),
        ("201@", "Event: message-summary\r\n", 200),
        ("201@", "", 400),
        ("999@", "Event: check-sync\r\n", 404),
        ("", "Event: check-sync\r\n", 400),
        ("201@", "Event: check-sync;reboot=true\r\n", 400),
        ("201@", "Event: service-control\r\n", 489),
    ];
    for (n, (user, more, status)) in cases.into_iter().enumerate() {
        assert_eq!(lab.ask("NOTIFY", user, &format!("n{n}"), more).await, Some(status), "{more}");
    }
    assert_eq!(lab.phone.state().notifies, 9);
    assert_eq!(lab.ask("OPTIONS", "201@", "o", "").await, Some(200));
    assert_eq!(lab.phone.state().options, 1);
}

#[tokio::test]
async fn a_repeated_notify_gets_the_same_answer_and_counts_once() {
    let lab = lab(|_| {}).await;
    lab.check_sync("same").await;
    lab.check_sync("same").await;
    assert_eq!(lab.phone.state().notifies, 1);
}

#[tokio::test]
async fn an_equal_stamp_changes_nothing_and_fetches_the_dial_plan_too() {
    let lab = lab(|_| {}).await;
    lab.server.put("syncinfo.xml", "<SYNCINFO><IMAGE VERSION=\"*\" SYNC=\"one\"/></SYNCINFO>");
    lab.check_sync("a").await;
    let expected = Event::Sync { theirs: Some("one".into()), mine: "one".into(), restart: false };
    assert_eq!(lab.synced(0).await, expected);
    let state = lab.phone.state();
    assert_eq!((state.boots, state.requests["dialplan.xml"]), (1, 2));
    assert_eq!(state.phase, Phase::Running);
}

#[tokio::test]
async fn another_stamp_restarts_the_phone_which_then_runs_the_new_one() {
    let lab = lab(|_| {}).await;
    lab.server.put("syncinfo.xml", "<IMAGE VERSION=\"P0S3-8-12-00\" SYNC=\"two\"/>");
    lab.server.put(OWN, &quiet_line("two"));
    lab.check_sync("a").await;
    let expected = Event::Sync { theirs: Some("two".into()), mine: "one".into(), restart: true };
    assert_eq!(lab.synced(0).await, expected);
    let running = |s: &simphone::State| s.boots == 2 && s.phase == Phase::Running;
    let state = lab.phone.wait(LIMIT, running).await.unwrap();
    assert_eq!((state.sync.as_str(), state.fetches[OWN]), ("two", 2));
    let mark = lab.phone.mark();
    lab.phone.wait(LIMIT, |s| s.requests["RINGLIST.DAT"] == 2).await.unwrap();
    lab.check_sync("b").await;
    assert!(matches!(lab.synced(mark).await, Event::Sync { restart: false, .. }));
}

#[tokio::test]
async fn no_syncinfo_or_one_for_other_images_does_nothing() {
    let lab = lab(|_| {}).await;
    lab.check_sync("a").await;
    let nothing = Event::Sync { theirs: None, mine: "one".into(), restart: false };
    assert_eq!(lab.synced(0).await, nothing);
    let mark = lab.phone.mark();
    lab.server.put("syncinfo.xml", "<IMAGE VERSION=\"P0S3-8-4-00\" SYNC=\"two\"/>");
    lab.check_sync("b").await;
    assert_eq!(lab.synced(mark).await, nothing);
    assert_eq!(lab.phone.state().boots, 1);
}

#[tokio::test]
async fn the_phone_waits_until_it_has_been_idle_long_enough() {
    let idle = Duration::from_millis(400);
    let lab = lab(|config| config.idle = idle).await;
    let started = Instant::now();
    lab.check_sync("a").await;
    lab.synced(0).await;
    assert!(started.elapsed() >= idle);
    let mark = lab.phone.mark();
    lab.phone.set_in_call(true).await;
    lab.phone.wait(LIMIT, |state| state.in_call).await.unwrap();
    lab.check_sync("b").await;
    tokio::time::sleep(idle * 2).await;
    assert_eq!(lab.phone.state().requests["syncinfo.xml"], 1);
    let hung_up = Instant::now();
    lab.phone.set_in_call(false).await;
    lab.synced(mark).await;
    assert!(hung_up.elapsed() >= idle);
}

#[tokio::test]
async fn the_faults_leave_requests_without_an_answer() {
    let lab = lab(|_| {}).await;
    lab.phone.ignore_notify(true);
    lab.phone.answer_options(false);
    assert_eq!(lab.ask("NOTIFY", "201@", "a", "Event: check-sync\r\n").await, None);
    assert_eq!(lab.ask("OPTIONS", "201@", "b", "").await, None);
    let state = lab.phone.state();
    assert_eq!((state.notifies, state.options), (1, 1));
    lab.phone.ignore_notify(false);
    lab.check_sync("c").await;
    lab.synced(0).await;
}

#[tokio::test]
async fn the_socket_is_down_while_the_phone_boots() {
    let lab = lab(|config| config.timing.boot = Duration::from_secs(1)).await;
    lab.phone.power_cycle().await;
    lab.phone.wait(LIMIT, |state| state.boots == 2).await.unwrap();
    assert_eq!(lab.ask("OPTIONS", "201@", "a", "").await, None);
    lab.phone.wait(LIMIT, |s| s.phase == Phase::Running && s.requests.len() == 4).await.unwrap();
    lab.phone.wait(LIMIT, |s| s.requests["RINGLIST.DAT"] == 2).await.unwrap();
    assert_eq!(lab.ask("OPTIONS", "201@", "b", "").await, Some(200));
}
