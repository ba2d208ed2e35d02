//! The phone and a real Asterisk 16 (`tests/lab`).

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use simphone::{CallState, Config, Event, Phone, State, spawn};

use super::tftp::Server;
use super::{LIMIT, config};

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../lab/asterisk");
const OWN: &str = "SIP0018B9FF0001.cnf";

/// One private Asterisk, ended with this value.
struct Asterisk {
    run: PathBuf,
    port: String,
}

fn lab(arguments: &[&str]) -> String {
    let output = Command::new(LAB).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    text
}

impl Asterisk {
    fn start(name: &str) -> Self {
        lab(&["install", "16"]);
        let run = std::env::temp_dir().join(format!("simphone-{name}-{}", std::process::id()));
        let env = lab(&["start", "16", "--run", run.to_str().unwrap()]);
        let port = env.lines().find_map(|line| line.strip_prefix("SIP_PORT=")).unwrap().to_owned();
        Self { run, port }
    }

    fn rx(&self, command: &str) -> String {
        lab(&["rx", "--run", self.run.to_str().unwrap(), command])
    }

    /// Repeats a console command until its answer is as wanted.
    async fn rx_until(&self, command: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        for _ in 0..40 {
            last = self.rx(command);
            if wanted(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        panic!("{command}: {last}");
    }

    /// The phone's own file with lines 201 and 202.
    fn own_file(&self, more: &str) -> String {
        format!(
            "proxy1_address: \"127.0.0.1\"\nproxy1_port: {}\nproxy_register: 1\n\
             timer_register_expires: 60\nuser_info: phone\n\
             line1_name: 201\nline1_authname: 201\nline1_password: phone-secret\n\
             line2_name: 202\nline2_authname: 202\nline2_password: other-secret-202\n{more}",
            self.port
        )
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        let run = self.run.to_str().unwrap();
        let _ = Command::new(LAB).args(["stop", "--run", run]).output();
        let _ = std::fs::remove_dir_all(&self.run);
    }
}

/// A phone that has registered both lines, with what it was made from.
async fn registered(asterisk: &Asterisk, more: &str) -> (Server, Config, Phone) {
    let server = Server::start(&[(OWN, &asterisk.own_file(more))]).await;
    let config = config(&server);
    let phone = spawn(config.clone()).await;
    phone.wait(LIMIT, State::all_registered).await.unwrap();
    (server, config, phone)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_registers_is_notified_and_calls() {
    let asterisk = Asterisk::start("calls");
    let (server, config, phone) = registered(&asterisk, "nat_enable: 1\n").await;
    assert_eq!(phone.state().registered.len(), 2);

    let address = config.address.to_string();
    let peers = asterisk
        .rx_until("sip show peers", |text| {
            ["201/201", "202/202"].iter().all(|peer| {
                let row = text.lines().find(|line| line.starts_with(peer)).unwrap_or_default();
                row.contains(&address) && row.contains("5060") && row.contains(" OK (")
            })
        })
        .await;
    assert!(peers.contains("203"), "{peers}");
    let peer = asterisk.rx("sip show peer 201");
    assert!(peer.contains("Useragent    : Cisco-CP7960G/8.0"), "{peer}");
    assert!(peer.contains(&format!("sip:201@{address}:5060")), "{peer}");

    server.put("syncinfo.xml", "<IMAGE VERSION=\"*\" SYNC=\"1\"/>");
    asterisk.rx("sip notify cisco-check-cfg 201");
    let answered = |event: &Event| {
        let sync = Some("check-sync".to_owned());
        *event == Event::Notify { package: sync, answered: Some(200) }
    };
    phone.wait_event(0, LIMIT, answered).await.unwrap();
    let same = Event::Sync { theirs: Some("1".into()), mine: "1".into(), restart: false };
    phone.wait_event(0, LIMIT, |event| *event == same).await.unwrap();

    phone.call("600").await.unwrap();
    let channels = asterisk.rx("core show channels concise");
    assert!(channels.starts_with("SIP/201-"), "{channels}");
    assert!(phone.state().in_call);
    phone.hang_up().await;
    phone.wait(LIMIT, |state| !state.in_call).await.unwrap();
    asterisk.rx_until("core show channels", |text| text.contains("0 active channels")).await;
    assert!(phone.call("999").await.is_err());

    let state = phone.stop(true).await;
    assert!(state.registered.is_empty());
    let gone = asterisk.rx("sip show peers");
    assert!(!gone.contains(&address), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_sync_with_a_new_stamp_brings_the_phone_back_registered() {
    let asterisk = Asterisk::start("sync");
    let (server, _, phone) = registered(&asterisk, "nat_enable: 1\nsync: a\n").await;
    server.put(OWN, &asterisk.own_file("nat_enable: 1\nsync: b\nline1_displayname: \"Ada\"\n"));
    server.put("syncinfo.xml", "<SYNCINFO><IMAGE VERSION=\"*\" SYNC=\"b\"/></SYNCINFO>");
    asterisk.rx_until("sip show peers", |text| text.matches(" OK (").count() == 2).await;
    asterisk.rx("sip notify cisco-check-cfg 202");
    let back = |state: &State| state.boots == 2 && state.all_registered();
    let state = phone.wait(LIMIT, back).await.unwrap();
    assert_eq!((state.sync.as_str(), state.lines[0].displayname.as_str()), ("b", "Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_called_answers_and_is_busy_until_the_other_end_hangs_up() {
    let asterisk = Asterisk::start("called");
    let (server, _, phone) = registered(&asterisk, "nat_enable: 1\n").await;
    let own =
        "line1_name: 203\nline1_authname: 203\nline1_password: phone-secret\nline2_name: \"\"";
    server.put("SIP0018B9FF0002.cnf", &asterisk.own_file(own));
    let mut second = config(&server);
    second.mac[5] = 2;
    let caller = spawn(second).await;
    caller.wait(LIMIT, State::all_registered).await.unwrap();

    caller.call("202").await.unwrap();
    let talking = |event: &Event| matches!(event, Event::Call { state: CallState::Talking, .. });
    let report = phone.wait_event(0, LIMIT, talking).await.unwrap();
    let with = Event::Call { state: CallState::Talking, with: "203".into(), status: None };
    assert_eq!(report.event, with);
    assert_eq!(phone.call("600").await, Err("the phone is in a call".into()));
    caller.hang_up().await;
    phone.wait(LIMIT, |state| !state.in_call).await.unwrap();

    caller.wait(LIMIT, |state| !state.in_call).await.unwrap();
    phone.set_in_call(true).await;
    phone.wait(LIMIT, |state| state.in_call).await.unwrap();
    assert!(caller.call("202").await.is_err());
    let rings =
        |r: &simphone::Report| matches!(r.event, Event::Call { state: CallState::Ringing, .. });
    assert_eq!(phone.history().iter().filter(|r| rings(r)).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_and_the_line_tries_again() {
    let asterisk = Asterisk::start("refused");
    let more = "nat_enable: 1\nline2_password: wrong\n";
    let server = Server::start(&[(OWN, &asterisk.own_file(more))]).await;
    let mut config = config(&server);
    config.timing.register_retry = Duration::from_millis(300);
    let phone = spawn(config).await;
    let refused = |event: &Event| {
        matches!(event, Event::RegisterFailed { line: 2, status: Some(401 | 403), .. })
    };
    let first = phone.wait_event(0, LIMIT, refused).await.unwrap();
    phone.wait_event(first.seq, LIMIT, refused).await.unwrap();
    phone.wait(LIMIT, |state| state.registered.contains_key(&1)).await.unwrap();
}

/// Changes the `nat` of every peer.
fn set_nat(asterisk: &Asterisk, nat: &str) {
    let file = asterisk.run.join("etc/sip.conf");
    let text = std::fs::read_to_string(&file).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("nat=")).collect();
    let text = kept.join("\n").replacen("[general]", &format!("[general]\nnat={nat}"), 1);
    std::fs::write(&file, text).unwrap();
    asterisk.rx("sip reload");
}

/// Forced rport sends the answers to the port that the phone sent from, where it does not listen
/// (phones.md §1, no. 9); Asterisk's default, `auto_force_rport`, compares addresses only.
#[tokio::test(flavor = "multi_thread")]
async fn without_nat_enable_a_phone_registers_unless_rport_is_forced() {
    let asterisk = Asterisk::start("nat");
    set_nat(&asterisk, "force_rport");
    let server = Server::start(&[(OWN, &asterisk.own_file("nat_enable: 0\nsip_retx: 2\n"))]).await;
    let mut config = config(&server);
    config.timing.register_retry = Duration::from_millis(300);
    let phone = spawn(config).await;
    let silence = |event: &Event| matches!(event, Event::RegisterFailed { status: None, .. });
    phone.wait_event(0, LIMIT, silence).await.unwrap();
    assert!(phone.state().registered.is_empty());

    for (n, nat) in ["auto_force_rport", "no"].into_iter().enumerate() {
        set_nat(&asterisk, nat);
        phone.power_cycle().await;
        let boots = u64::try_from(n).unwrap() + 2;
        phone.wait(LIMIT, |s| s.boots == boots && s.all_registered()).await.unwrap();
        asterisk.rx_until("sip show peers", |text| text.matches(" OK (").count() == 2).await;
        let mark = phone.mark();
        asterisk.rx("sip notify cisco-check-cfg 201");
        let notify = |event: &Event| matches!(event, Event::Notify { .. });
        phone.wait_event(mark, LIMIT, notify).await.unwrap();
    }
    phone.call("600").await.unwrap();
    phone.hang_up().await;
    phone.wait(LIMIT, |state| !state.in_call).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_is_renewed_before_it_expires() {
    let asterisk = Asterisk::start("renew");
    let own = asterisk.own_file("nat_enable: 1\ntimer_register_delta: 3\n");
    let server = Server::start(&[(OWN, &own)]).await;
    let mut config = config(&server);
    config.register_expires = Some(5);
    let phone = spawn(config).await;
    let state = phone.wait(LIMIT, |state| state.registrations >= 6).await.unwrap();
    assert_eq!(state.registered.values().copied().collect::<Vec<_>>(), [5, 5]);
    let lost = |r: &simphone::Report| matches!(r.event, Event::RegisterFailed { .. });
    assert!(!phone.history().iter().any(lost));
}
