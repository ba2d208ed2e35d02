//! The program `simphone`: JSON lines out, an orderly end on SIGTERM.

use std::process::{Command, Stdio};

use simphone::{Event, Report, State, spawn};
use tokio::net::UdpSocket;

use super::tftp::Server;
use super::{LIMIT, config, own_address};

/// Starts the program against `server`; its whole output comes back after SIGTERM.
async fn run(server: &Server, until: &str, more: &[&str]) -> Vec<Report> {
    let (address, tftp) = (own_address().to_string(), server.address().to_string());
    let path = std::env::temp_dir().join(format!("simphone-out-{address}"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_simphone"))
        .args(["--mac", "00:18:b9:ff:00:01", "--model", "7940", "--address", &address])
        .args(["--tftp", &tftp, "--idle", "200ms"])
        .args(more)
        .stdout(std::fs::File::create(&path).unwrap())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let reached = async {
        while !std::fs::read_to_string(&path).unwrap().contains(until) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let reached = tokio::time::timeout(LIMIT, reached).await;
    let kill = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let status = tokio::task::spawn_blocking(move || child.wait()).await.unwrap();
    assert!(status.unwrap().success());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert!(reached.is_ok(), "no {until} in {text}");
    assert!(!text.contains("s3cret-word"), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn it_prints_every_event_from_the_first_to_the_last() {
    let own = "line1_name: 201\nline1_password: s3cret-word\nproxy_register: 0\n";
    let server = Server::start(&[("SIP0018B9FF0001.cnf", own)]).await;
    let reports = run(&server, "dialplan.xml", &["--stage", "ual"]).await;
    let numbers: Vec<u64> = reports.iter().map(|report| report.seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(matches!(reports[0].event, Event::Boot { .. }));
    assert_eq!(reports.last().unwrap().event, Event::Stopped);
    assert!(reports.iter().all(|report| report.mac == "0018b9ff0001"));
}

/// A registrar that takes everybody for a minute, and notes how long they wanted.
async fn registrar(socket: UdpSocket) {
    let mut buffer = [0u8; 2048];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
        let text = String::from_utf8(buffer[..len].to_vec()).unwrap();
        let keep =
            |line: &&str| ["Via", "From", "To", "Call", "CSeq"].iter().any(|h| line.starts_with(h));
        let kept: Vec<&str> = text.lines().filter(keep).collect();
        let expires = text.lines().find_map(|l| l.strip_prefix("Expires: ")).unwrap();
        let answer = format!(
            "SIP/2.0 200 OK\r\n{}\r\nExpires: {expires}\r\nContent-Length: 0\r\n\r\n",
            kept.join("\r\n")
        );
        // Where the phone listens, as Via says; it sends from another port.
        socket.send_to(answer.as_bytes(), (from.ip(), 5060)).await.unwrap();
    }
}

/// The phone's own file for a registrar at `port`.
fn own_file(port: u16) -> String {
    format!(
        "line1_name: 201\nline2_name: 202\nline1_password: s3cret-word\n\
         proxy1_address: 127.0.0.1\nproxy1_port: {port}\nproxy_register: 1\n"
    )
}

#[tokio::test]
async fn sigterm_takes_the_lines_off_before_the_end() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let own = own_file(socket.local_addr().unwrap().port());
    let pbx = tokio::spawn(registrar(socket));
    let server = Server::start(&[("SIP0018B9FF0001.cnf", &own)]).await;
    let wanted = "\"registered\",\"line\":2";
    let reports = run(&server, wanted, &["--register-expires", "77", "-v"]).await;
    let off = |report: &&Report| matches!(report.event, Event::Unregistered { .. });
    assert_eq!(reports.iter().filter(off).count(), 2);
    let on = |r: &&Report| matches!(r.event, Event::Registered { expires: 77, .. });
    assert_eq!(reports.iter().filter(on).count(), 2);
    pbx.abort();
}

#[tokio::test]
async fn a_phone_takes_its_lines_off_when_it_is_stopped_so() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let own = own_file(socket.local_addr().unwrap().port());
    let pbx = tokio::spawn(registrar(socket));
    let server = Server::start(&[("SIP0018B9FF0001.cnf", &own)]).await;
    let phone = spawn(config(&server)).await;
    phone.wait(LIMIT, State::all_registered).await.unwrap();
    let mut events = phone.events();
    phone.stop(true).await;
    let mut off = 0;
    while let Ok(report) = events.try_recv() {
        off += usize::from(matches!(report.event, Event::Unregistered { .. }));
    }
    assert_eq!(off, 2);
    pbx.abort();
}
