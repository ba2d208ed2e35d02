//! A server that keeps to the protocol badly.

use std::time::Duration;

use handset::daemon::event::{AmiNews, Order};
use handset::plan::observed::Notified;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::rig::{Rig, account, quick};

const SECRET: &str = "geheim";

/// One connection of a fake Asterisk.
struct Talk {
    stream: BufReader<TcpStream>,
}

/// An action as it came in.
struct Asked {
    name: String,
    id: String,
    lines: Vec<(String, String)>,
}

impl Asked {
    fn value(&self, key: &str) -> &str {
        let found = self.lines.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value)
    }
}

impl Talk {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = timeout(Duration::from_secs(10), listener.accept())
            .await
            .expect("nobody connects")
            .expect("a connection");
        let mut talk = Self { stream: BufReader::new(stream) };
        talk.send("Asterisk Call Manager/5.0.4\r\n").await;
        talk
    }

    async fn send(&mut self, text: &str) {
        // The other end may have gone, as some tests want it.
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    async fn asked(&mut self) -> Option<Asked> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some((key, value)) => lines.push((key.to_owned(), value.to_owned())),
                None => break,
            }
        }
        let mut asked = Asked { name: String::new(), id: String::new(), lines };
        asked.name = asked.value("Action").into();
        asked.id = asked.value("ActionID").into();
        Some(asked)
    }

    /// Answers one action as a good Asterisk with one peer would.
    async fn answer(&mut self, asked: &Asked) {
        let id = &asked.id;
        let ok = format!("Response: Success\r\nActionID: {id}\r\n");
        let list = format!("{ok}EventList: start\r\n\r\n");
        let end = format!("Event: Done\r\nActionID: {id}\r\nEventList: Complete\r\n\r\n");
        let text = match asked.name.as_str() {
            "SIPpeers" => format!(
                "{list}Event: PeerEntry\r\nActionID: {id}\r\nObjectName: 201\r\n\
                 IPaddress: -none-\r\nStatus: UNKNOWN\r\n\r\n{end}"
            ),
            "PJSIPShowEndpoints" => {
                format!(
                    "Response: Error\r\nActionID: {id}\r\nMessage: Invalid/unknown command\r\n\r\n"
                )
            }
            "CoreShowChannels" => list + &end,
            "SIPshowpeer" => format!("{ok}ObjectName: 201\r\nAddress-IP: (null)\r\n\r\n"),
            _ => format!("{ok}Message: fine\r\n\r\n"),
        };
        self.send(&text).await;
    }

    /// Plain login with the right secret, up to the boot event.
    async fn login(&mut self) {
        let asked = self.asked().await.expect("a login");
        assert_eq!((asked.name.as_str(), asked.value("Secret")), ("Login", SECRET));
        assert_eq!(asked.value("Events"), "system,call");
        self.answer(&asked).await;
        self.send("Event: FullyBooted\r\nUptime: 10\r\n\r\n").await;
    }

    /// Answers everything until the other end goes, and tells the last action.
    async fn serve(&mut self) -> Option<String> {
        let mut last = None;
        while let Some(asked) = self.asked().await {
            self.answer(&asked).await;
            last = Some(asked.name);
        }
        last
    }

    /// Answers everything up to an action that is not answered.
    async fn serve_up_to(&mut self, action: &str) -> Asked {
        loop {
            let asked = self.asked().await.expect("the other end goes");
            if asked.name == action {
                return asked;
            }
            self.answer(&asked).await;
        }
    }
}

/// A listener, and the task that connects to it.
async fn start() -> (TcpListener, Rig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, Rig::start(account(address, "handset", SECRET, false), quick()))
}

#[tokio::test]
async fn a_good_server_is_listed_and_left_with_a_logoff() {
    let (listener, mut rig) = start().await;
    let server = tokio::spawn(async move {
        let mut talk = Talk::accept(&listener).await;
        talk.login().await;
        talk.serve_up_to("Logoff").await;
    });
    assert_eq!(rig.up().await, "5.0.4");
    assert_eq!(rig.peers().await[0].peer, "201");
    rig.stop().await;
    server.await.expect("a logoff");
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_list_is_made_again_and_listed_whole() {
    let (listener, mut rig) = start().await;
    let server = tokio::spawn(async move {
        let mut talk = Talk::accept(&listener).await;
        talk.login().await;
        let asked = talk.serve_up_to("SIPpeers").await;
        let id = &asked.id;
        talk.send(&format!(
            "Response: Success\r\nActionID: {id}\r\nEventList: start\r\n\r\n\
             Event: PeerEntry\r\nActionID: {id}\r\nObjectName: wrong\r\n\r\nEvent: PeerEn"
        ))
        .await;
        drop(talk);
        let mut talk = Talk::accept(&listener).await;
        talk.login().await;
        talk.serve().await;
    });
    rig.up().await;
    assert_eq!(rig.down().await, ("Asterisk closed the connection".into(), false));
    rig.up().await;
    let peers = rig.peers().await;
    assert_eq!(peers.iter().map(|p| p.peer.as_str()).collect::<Vec<_>>(), ["201"]);
    rig.stop().await;
    server.await.expect("the server");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_the_corrected_one_is_taken() {
    let (listener, mut rig) = start().await;
    let server = tokio::spawn(async move {
        let mut talk = Talk::accept(&listener).await;
        talk.asked().await.expect("a login");
        talk.send("Response: Error\r\nMessage: Authentication failed\r\n\r\n").await;
        drop(talk);
        let mut talk = Talk::accept(&listener).await;
        talk.login().await;
        talk.serve().await;
    });
    let (reason, refused) = rig.down().await;
    assert!(refused && reason.contains("Authentication failed"), "{reason}");
    assert!(!reason.contains(SECRET));
    rig.up().await;
    rig.stop().await;
    server.await.expect("the server");
}

#[tokio::test]
async fn odd_frames_do_not_disturb() {
    let (listener, mut rig) = start().await;
    let server = tokio::spawn(async move {
        let mut talk = Talk::accept(&listener).await;
        talk.login().await;
        talk.send("\r\n\r\nMessage: ends in LF\n\r\n\r\nno colon\r\n\r\n: \r\n\r\n").await;
        talk.send("Response: Error\r\nMessage: who asked?\r\n\r\n").await;
        let asked = talk.serve_up_to("Reload").await;
        let id = asked.id;
        talk.send(&format!(
            "Response: Error\r\nActionID: {id}\r\nMessage: No such module\n\r\n\r\n"
        ))
        .await;
        let asked = talk.serve_up_to("Reload").await;
        assert!(!asked.id.is_empty());
        talk.send("Response: Error\r\nMessage: no id\r\n\r\n").await;
        talk.serve().await;
    });
    rig.peers().await;
    let answer = |news: &AmiNews| match news {
        AmiNews::ReloadAnswered(result) => Some(result.clone()),
        _ => None,
    };
    rig.order(Order::Reload).await;
    assert_eq!(rig.until("answer", answer).await, Err("No such module".into()));
    rig.order(Order::Reload).await;
    assert_eq!(rig.until("answer", answer).await, Err("no id".into()));
    rig.stop().await;
    server.await.expect("the server");
}

#[tokio::test]
async fn a_flood_that_the_core_does_not_take_is_healed_by_a_list() {
    let (listener, mut rig) = start().await;
    rig.follow(&["201"]).await;
    let (flooded, flood) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(async move {
        let mut talk = Talk::accept(&listener).await;
        talk.login().await;
        let event = "Event: PeerStatus\r\nPeer: SIP/201\r\nPeerStatus: Registered\r\n\r\n";
        let flood = async {
            for _ in 0..100 {
                talk.send(&event.repeat(1_000)).await;
            }
        };
        timeout(Duration::from_secs(10), flood).await.expect("the reader is blocked");
        flooded.send(()).expect("the test");
        talk.serve().await;
    });
    flood.await.expect("the flood");
    let is_list = |news: &AmiNews| matches!(news, AmiNews::Peers(_)).then_some(());
    let mut registered = 0;
    let count = |news: &AmiNews| match news {
        AmiNews::Registered { .. } => Some(true),
        AmiNews::Peers(_) => Some(false),
        _ => None,
    };
    while rig.until("all", count).await {
        registered += 1;
    }
    assert!((1..100_000).contains(&registered), "{registered} of 100000 told");
    rig.until("a list after that", is_list).await;
    rig.stop().await;
    server.await.expect("the server");
}

#[tokio::test]
async fn a_message_that_is_too_large_costs_only_itself() {
    let (listener, mut rig) = start().await;
    let server = tokio::spawn(async move {
        let mut talk = Talk::accept(&listener).await;
        talk.login().await;
        let asked = talk.serve_up_to("SIPpeers").await;
        talk.answer(&asked).await;
        talk.send("Event: Big\r\nValue: ").await;
        for _ in 0..40 {
            talk.send(&"x".repeat(1 << 16)).await;
        }
        talk.send("\r\n\r\n").await;
        talk.serve().await;
    });
    rig.peers().await;
    rig.peers().await;
    rig.stop().await;
    server.await.expect("the server");
}

#[tokio::test]
async fn a_server_that_is_no_asterisk_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut rig = Rig::start(account(address, "handset", SECRET, true), quick());
    let (mut stream, _) = listener.accept().await.expect("a connection");
    stream.write_all(b"SSH-2.0-OpenSSH\r\n").await.expect("sent");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("the end");
    assert!(rest.is_empty(), "nothing is said to a stranger");
    assert!(rig.down().await.0.contains("no Asterisk manager"));
    rig.stop().await;
}

#[tokio::test]
async fn orders_are_answered_while_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let mut rig = Rig::start(account(address, "handset", SECRET, true), quick());
    assert!(rig.down().await.0.contains("cannot connect"));
    rig.notify("201", "check-sync").await;
    assert_eq!(rig.notified().await, Notified::Failed("no AMI session".into()));
    rig.stop().await;
}

#[tokio::test]
async fn an_order_without_an_answer_is_failed_when_the_connection_breaks() {
    let (listener, mut rig) = start().await;
    let server = tokio::spawn(async move {
        let mut talk = Talk::accept(&listener).await;
        talk.login().await;
        let asked = talk.serve_up_to("SIPnotify").await;
        assert_eq!(asked.value("Channel"), "SIP/201");
    });
    rig.peers().await;
    rig.notify("201", "check-sync").await;
    match rig.notified().await {
        Notified::Failed(text) => assert!(text.contains("ended before the answer"), "{text}"),
        other => panic!("{other:?}"),
    }
    rig.stop().await;
    server.await.expect("the server");
}
