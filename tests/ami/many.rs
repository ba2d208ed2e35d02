//! What a list of 20,000 peers takes, and a storm of others' calls.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use handset::daemon::event::Order;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{Rig, account, quick};

const PEERS: usize = 20_000;

/// Resident bytes of this process, now or at most.
fn resident(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel's word");
    let line = status.lines().find(|line| line.starts_with(key)).expect(key);
    line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number") * 1024
}

/// An Asterisk that has all these peers, and after each list of devices tells of `storm` calls of others.
async fn asterisk(listener: TcpListener, storm: usize) {
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut stream = BufReader::new(stream);
    let banner = "Asterisk Call Manager/5.0.4\r\n";
    stream.write_all(banner.as_bytes()).await.expect("sent");
    while let Some((name, id, peer)) = action(&mut stream).await {
        let ok = format!("Response: Success\r\nActionID: {id}\r\n");
        let mut text;
        match name.as_str() {
            "Login" => text = ok + "\r\nEvent: FullyBooted\r\nUptime: 10\r\n\r\n",
            "SIPshowpeer" => {
                text = format!(
                    "{ok}ObjectName: {peer}\r\nAddress-IP: 10.0.0.1\r\nAddress-Port: 5060\r\n\
                     SIP-Useragent: Cisco-CP7960G/8.0\r\nRegExpire: 100 seconds\r\nStatus: OK (3 ms)\r\n\
                     Callerid: \"Somebody Somewhere\" <{peer}>\r\nVoiceMailbox: {peer}@default\r\n\
                     Language: en\r\n\r\n"
                );
            }
            "SIPpeers" | "DeviceStateList" => {
                text = ok + "EventList: start\r\n\r\n";
                for n in 0..PEERS {
                    let item = match name.as_str() {
                        "SIPpeers" => format!(
                            "PeerEntry\r\nObjectName: p{n:05}\r\nIPaddress: 10.0.0.1\r\nIPport: 5060\r\n\
                             Status: OK (3 ms)"
                        ),
                        _ => format!("DeviceStateChange\r\nDevice: SIP/p{n:05}\r\nState: INUSE"),
                    };
                    let _ = write!(text, "Event: {item}\r\nActionID: {id}\r\n\r\n");
                    if text.len() > 1 << 16 {
                        stream.write_all(text.as_bytes()).await.expect("sent");
                        text.clear();
                    }
                }
                let _ =
                    write!(text, "Event: Done\r\nActionID: {id}\r\nEventList: Complete\r\n\r\n");
                for n in 0..if name == "DeviceStateList" { storm } else { 0 } {
                    let _ = write!(
                        text,
                        "Event: DeviceStateChange\r\nPrivilege: call,all\r\nDevice: SIP/x{n}\r\nState: INUSE\r\n\r\n"
                    );
                }
            }
            _ => {
                text = format!(
                    "Response: Error\r\nActionID: {id}\r\nMessage: Invalid/unknown command\r\n\r\n"
                );
            }
        }
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn action(stream: &mut BufReader<TcpStream>) -> Option<(String, String, String)> {
    let (mut name, mut id, mut peer) = (String::new(), String::new(), String::new());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("Action", value)) => value.clone_into(&mut name),
            Some(("ActionID", value)) => value.clone_into(&mut id),
            Some(("Peer", value)) => value.clone_into(&mut peer),
            Some(_) => {}
            None => return Some((name, id, peer)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: run it alone, with --nocapture"]
async fn a_list_of_20000_peers_takes_little_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let storm = 100_000;
    tokio::spawn(asterisk(listener, storm));
    let before = resident("VmRSS");
    let mut rig = Rig::start(account(address, "u", "s", false), quick());
    rig.follow_all((0..PEERS).map(|n| format!("p{n:05}")).collect()).await;
    let followed = resident("VmRSS");
    let mut lists = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        rig.order(Order::Relist).await;
        let peers = rig.peers().await;
        assert_eq!(peers.len(), PEERS);
        lists.push(peers);
        println!(
            "a list after {:?}, resident {} MB",
            began.elapsed(),
            (resident("VmRSS") - before) >> 20
        );
        if lists.len() > 1 {
            lists.remove(0);
        }
        if lists.len() == 1 && began.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    let most = resident("VmHWM") - before;
    println!("followed {} MB, at most {} MB", (followed - before) >> 20, most >> 20);
    assert!(most < 80 << 20, "{most}");
}
