use std::time::Duration;

use simphone::{Config, Event, Flash, Model, Phase, Stage, spawn};

use super::tftp::{Answer, Server};
use super::{LIMIT, config, quiet_line};

const OWN: &str = "SIP0018B9FF0001.cnf";

/// Boots with these files until `phase`, and expects these requests in this order.
async fn boots(files: &[(&str, &str)], start: Stage, phase: Phase, expected: &[&str]) {
    let server = Server::start(files).await;
    let phone = spawn(Config { start, ..config(&server) }).await;
    phone.wait(LIMIT, |state| state.phase == phase).await.unwrap();
    assert_eq!(server.names()[..expected.len()], *expected);
    let all_own = server.requests().iter().all(|(from, _)| !from.ip().is_ipv6());
    assert!(all_own);
}

#[tokio::test]
async fn the_application_reads_the_default_file_then_its_own_with_the_prefix() {
    let own = format!("./{OWN}");
    let files = [("SIPDefault.cnf", "tftp_cfg_dir: \"./\""), (own.as_str(), &quiet_line("1"))];
    boots(&files, Stage::SipApp, Phase::Running, &["SIPDefault.cnf", &own]).await;
}

#[tokio::test]
async fn ring_list_and_dial_plan_follow_the_phone_s_own_file() {
    let server =
        Server::start(&[(OWN, &quiet_line("1")), ("RINGLIST.DAT", "Bell bell.pcm\n")]).await;
    server.put("dialplan.xml", "<DIALTEMPLATE><TEMPLATE MATCH='*'/></DIALTEMPLATE>");
    let phone = spawn(config(&server)).await;
    for file in ["RINGLIST.DAT", "dialplan.xml"] {
        let refused = |event: &Event| matches!(event, Event::Refused { file: f, .. } if f == file);
        phone.wait_event(0, LIMIT, refused).await.unwrap();
    }
    let names = server.names();
    assert_eq!(names[..2], ["SIPDefault.cnf", OWN]);
    assert_eq!(names.len(), 4);
}

#[tokio::test]
async fn the_loader_hunts_in_its_order_and_stops_when_there_is_nothing() {
    let hunt = [
        "CTLSEP0018B9FF0001.tlv",
        "SEP0018B9FF0001.cnf.xml",
        OWN,
        "MGC0018B9FF0001.cnf",
        "XMLDefault.cnf.xml",
        "SIPDefault.cnf",
        "MGCDefault.cnf",
    ];
    boots(&[], Stage::Ual, Phase::Stuck, &hunt).await;
}

#[tokio::test]
async fn the_phone_s_own_sip_file_ends_the_hunt() {
    let requests =
        ["CTLSEP0018B9FF0001.tlv", "SEP0018B9FF0001.cnf.xml", OWN, "SIPDefault.cnf", OWN];
    boots(&[(OWN, &quiet_line("1"))], Stage::Ual, Phase::Running, &requests).await;
}

#[tokio::test]
async fn a_file_that_names_a_load_makes_the_loader_fetch_it() {
    let sep = "<device><loadInformation>P0S3-8-12-00</loadInformation></device>";
    let files =
        [("SEP0018B9FF0001.cnf.xml", sep), ("P0S3-8-12-00.loads", "x"), (OWN, &quiet_line("1"))];
    let requests = [
        "CTLSEP0018B9FF0001.tlv",
        "SEP0018B9FF0001.cnf.xml",
        "P0S3-8-12-00.loads",
        "SIPDefault.cnf",
        OWN,
    ];
    boots(&files, Stage::Ual, Phase::Running, &requests).await;
}

#[tokio::test]
async fn a_useless_xml_file_is_worse_than_none() {
    let server = Server::start(&[("SEP0018B9FF0001.cnf.xml", ""), (OWN, &quiet_line("1"))]).await;
    let phone = spawn(Config { start: Stage::Ual, ..config(&server) }).await;
    phone.wait_event(0, LIMIT, |event| matches!(event, Event::Trouble { .. })).await.unwrap();
    phone
        .wait(LIMIT, |state| state.requests.get("CTLSEP0018B9FF0001.tlv") == Some(&2))
        .await
        .unwrap();
    assert!(!server.names().contains(&OWN.to_owned()));
}

#[tokio::test]
async fn silence_is_not_the_same_as_not_found() {
    let server = Server::start(&[(OWN, &quiet_line("1"))]).await;
    server.set("CTLSEP0018B9FF0001.tlv", Answer::Silence);
    server.set("SEP0018B9FF0001.cnf.xml", Answer::Silence);
    let mut config = Config { start: Stage::Ual, ..config(&server) };
    config.timing.rrq_repeat = Duration::from_millis(20);
    config.timing.loader_pause = Duration::from_millis(20);
    let phone = spawn(config).await;
    let again =
        |event: &Event| matches!(event, Event::Boot { reason, .. } if reason.contains("over"));
    phone.wait_event(0, LIMIT, again).await.unwrap();
    let requests = server.requests();
    assert!(!requests.iter().any(|(_, name)| name == OWN));
    // Five sends from each of three ports.
    let first: Vec<u16> = requests.iter().take(15).map(|(from, _)| from.port()).collect();
    assert!(requests[..15].iter().all(|(_, name)| name.starts_with("CTLSEP")));
    assert_eq!(
        first.chunks(5).map(|c| c.iter().all(|p| *p == c[0])).collect::<Vec<_>>(),
        [true; 3]
    );
    assert_ne!(first[0], first[5]);
}

#[tokio::test]
async fn a_phone_without_a_line_asks_for_its_own_file_for_ever() {
    let server = Server::start(&[("SIPDefault.cnf", "proxy_register: 1\n")]).await;
    let mut config = config(&server);
    config.timing.unprovisioned = Duration::from_millis(50);
    let phone = spawn(config).await;
    phone.wait(LIMIT, |state| state.requests.get(OWN) == Some(&3)).await.unwrap();
    assert_eq!(phone.state().phase, Phase::Unprovisioned);
    server.put(OWN, "line2_name: 202\n");
    phone.wait(LIMIT, |state| state.fetches.contains_key(OWN)).await.unwrap();
    assert_eq!(phone.state().phase, Phase::Unprovisioned);
    server.put(OWN, &quiet_line("1"));
    phone.wait(LIMIT, |state| state.phase == Phase::Running).await.unwrap();
    assert_eq!(server.names().iter().filter(|name| *name == "SIPDefault.cnf").count(), 1);
}

#[tokio::test]
async fn files_of_every_length_around_a_block_arrive_whole() {
    for len in [0, 1, 511, 512, 513, 1024, 5000] {
        let server = Server::start(&[(OWN, &quiet_line("1"))]).await;
        server.set("SIPDefault.cnf", Answer::File(vec![b'\n'; len]));
        let phone = spawn(config(&server)).await;
        let whole = |event: &Event| matches!(event, Event::Got { bytes, .. } if *bytes == len);
        phone.wait_event(0, LIMIT, whole).await.unwrap();
        phone.wait(LIMIT, |state| state.phase == Phase::Running).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_value_is_told_and_the_flash_keeps_the_old_one() {
    let server = Server::start(&[(OWN, &quiet_line("1"))]).await;
    server.put("SIPDefault.cnf", "phone_label: old\nlogo_url: \"http://a/b\"\n");
    let phone = spawn(config(&server)).await;
    phone.wait(LIMIT, |state| state.phase == Phase::Running).await.unwrap();
    server.put("SIPDefault.cnf", &format!("phone_label: {}\nnonsense_key: 1\n", "x".repeat(32)));
    let mark = phone.mark();
    phone.power_cycle().await;
    let refused =
        |event: &Event| matches!(event, Event::Refused { key, .. } if key == "phone_label");
    phone.wait_event(mark, LIMIT, refused).await.unwrap();
    let unknown =
        |event: &Event| matches!(event, Event::UnknownKey { key, .. } if key == "nonsense_key");
    phone.wait_event(mark, LIMIT, unknown).await.unwrap();
    let state = phone.wait(LIMIT, |s| s.boots == 2 && s.phase == Phase::Running).await.unwrap();
    assert_eq!(state.flash.get("phone_label"), "old");
    assert_eq!(state.flash.get("logo_url"), "http://a/b");
}

#[tokio::test]
async fn the_flash_file_lets_a_phone_run_without_any_server_file() {
    let path = std::env::temp_dir().join(format!("simphone-flash-{}", std::process::id()));
    let server = Server::start(&[(OWN, &quiet_line("stamp"))]).await;
    let with_file = Config { flash_file: Some(path.clone()), ..config(&server) };
    let phone = spawn(with_file.clone()).await;
    phone.wait(LIMIT, |state| state.phase == Phase::Running).await.unwrap();
    phone.stop(false).await;
    server.remove(OWN);
    let phone = spawn(with_file).await;
    let state = phone.wait(LIMIT, |state| state.phase == Phase::Running).await.unwrap();
    assert_eq!((state.lines[0].name.as_str(), state.sync.as_str()), ("201", "stamp"));
    assert_eq!(Flash::load(&path).unwrap().get("sync"), "stamp");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_stalled_transfer_is_tried_from_three_ports_and_then_the_phone_restarts() {
    let server = Server::start(&[]).await;
    server.set(OWN, Answer::Stall);
    let mut config = config(&server);
    config.timing.stall = Duration::from_millis(50);
    let phone = spawn(config).await;
    phone.wait(LIMIT, |state| state.boots == 2).await.unwrap();
    let own: Vec<u16> =
        server.requests().iter().filter(|(_, n)| n == OWN).map(|(from, _)| from.port()).collect();
    assert_eq!(own.len(), 3);
    assert!(own[0] != own[1] && own[1] != own[2]);
}

#[tokio::test]
async fn the_fetch_half_fault_stalls_the_phone_s_own_file_until_it_is_cured() {
    let server = Server::start(&[(OWN, &quiet_line("1"))]).await;
    let mut config = config(&server);
    config.timing.stall = Duration::from_millis(50);
    let phone = spawn(config).await;
    phone.fetch_half(true);
    let stalled = |event: &Event| matches!(event, Event::Stalled { file } if file == OWN);
    phone.wait_event(0, LIMIT, stalled).await.unwrap();
    assert_eq!(phone.state().fetches.get(OWN), None);
    phone.fetch_half(false);
    phone.wait(LIMIT, |state| state.phase == Phase::Running).await.unwrap();
}

#[tokio::test]
async fn another_image_is_asked_for_and_the_old_one_runs_on() {
    let own = format!("image_version: \"P0S3-8-13-00\"\n{}", quiet_line("1"));
    let server = Server::start(&[(OWN, &own)]).await;
    let phone = spawn(config(&server)).await;
    phone.wait(LIMIT, |state| state.phase == Phase::Running).await.unwrap();
    let load = |event: &Event| matches!(event, Event::Load { name, found: false, .. } if name == "P0S3-8-13-00");
    phone.wait_event(0, LIMIT, load).await.unwrap();
    assert!(server.names().contains(&"P0S3-8-13-00.loads".to_owned()));
}

#[tokio::test]
async fn a_7940_has_two_lines_and_a_stop_ends_the_phone_at_any_time() {
    let own = format!("{}line2_name: 202\nline3_name: 203\n", quiet_line("1"));
    let server = Server::start(&[(OWN, &own)]).await;
    let phone = spawn(Config { model: Model::M7940, ..config(&server) }).await;
    let state = phone.wait(LIMIT, |state| state.phase == Phase::Running).await.unwrap();
    assert_eq!(state.lines.len(), 2);
    assert_eq!(phone.stop(true).await.phase, Phase::Off);
    let silent = Server::start(&[]).await;
    silent.set("SIPDefault.cnf", Answer::Silence);
    let phone = spawn(config(&silent)).await;
    phone.wait(LIMIT, |state| state.requests.len() == 1).await.unwrap();
    assert_eq!(phone.call("600").await, Err("the phone has no line yet".into()));
    assert_eq!(phone.stop(true).await.phase, Phase::Off);
}

#[tokio::test]
async fn a_phone_with_the_silence_fault_boots_and_never_registers() {
    let own = "line1_name: 201\nproxy1_address: 127.0.0.1\nproxy_register: 1\n";
    let server = Server::start(&[(OWN, own)]).await;
    let phone = spawn(Config { trace_sip: true, ..config(&server) }).await;
    phone.never_register_after_fetch(true);
    phone.wait(LIMIT, |state| state.requests.contains_key("RINGLIST.DAT")).await.unwrap();
    let sip = |report: &simphone::Report| matches!(report.event, Event::Sip { .. });
    assert!(!phone.history().iter().any(sip));
    phone.never_register_after_fetch(false);
    phone.power_cycle().await;
    phone
        .wait_event(0, LIMIT, |event| matches!(event, Event::Sip { sent: true, .. }))
        .await
        .unwrap();
}

#[tokio::test]
async fn three_hundred_phones_run_in_one_process() {
    let server = Server::start(&[]).await;
    let mut phones = Vec::new();
    for n in 0..300u16 {
        let mut config = config(&server);
        let [high, low] = n.to_be_bytes();
        [config.mac[4], config.mac[5]] = [high, low];
        config.address = std::net::Ipv4Addr::new(127, 33 + high, low, config.address.octets()[2]);
        server.put(&format!("SIP0018B9FF{n:04X}.cnf"), &quiet_line("1"));
        phones.push(spawn(config).await);
    }
    for phone in &phones {
        phone.wait(LIMIT, |state| state.phase == Phase::Running).await.unwrap();
    }
    let asked: std::collections::BTreeSet<_> =
        server.requests().iter().map(|(from, _)| from.ip()).collect();
    assert_eq!(asked.len(), 300);
}
