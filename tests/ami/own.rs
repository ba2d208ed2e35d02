//! NOTIFYs of our own, over loopback, to phones that answer well, badly and not at all.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use handset::daemon::event::{Event, OwnNotify};
use handset::daemon::notify::{bind, serve};
use handset::plan::observed::Notified;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

struct Rig {
    orders: mpsc::Sender<OwnNotify>,
    events: mpsc::Receiver<Event>,
    stop: CancellationToken,
}

impl Rig {
    async fn start() -> Self {
        let (orders, taken) = mpsc::channel(256);
        let (told, events) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let socket = bind("0.0.0.0:0".parse().expect("an address")).await.expect("a port");
        tokio::spawn(serve(socket, taken, told, stop.clone()));
        Self { orders, events, stop }
    }

    async fn tell(&self, n: u8, to: SocketAddr) {
        let mac = format!("0018b90000{n:02x}").parse().expect("a MAC");
        let (user, host, event) = ("201".into(), "127.0.0.1".into(), "check-sync".into());
        self.orders.send(OwnNotify { mac, to, user, host, event }).await.expect("taken");
    }

    async fn answered(&mut self) -> (u8, Notified) {
        match timeout(PATIENCE, self.events.recv()).await.expect("in time").expect("an event") {
            Event::Answered { mac, result } => (mac.bytes()[5], result),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn phone() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

/// A request, and where a phone sends its answer: to what the Via says.
async fn request(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 4096];
    let got = timeout(PATIENCE, socket.recv_from(&mut buffer)).await.expect("a NOTIFY");
    let text = String::from_utf8(buffer[..got.expect("a packet").0].to_vec()).expect("text");
    let via = line(&text, "Via").trim_start_matches("Via: SIP/2.0/UDP ");
    let to = via.split(';').next().expect("a sender").parse().expect("an address");
    (text, to)
}

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(&format!("{name}:"))).expect(name)
}

fn answer(request: &str, status: &str) -> String {
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| line(request, name));
    format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", copied.join("\r\n"))
}

#[tokio::test]
async fn the_final_answer_of_a_phone_is_told_and_what_comes_before_it_is_not() {
    let mut rig = Rig::start().await;
    let (socket, address) = phone().await;
    for (status, code) in
        [("200 OK", 200), ("401 x", 401), ("404 x", 404), ("481 x", 481), ("489 x", 489)]
    {
        rig.tell(1, address).await;
        let (text, to) = request(&socket).await;
        assert!(text.starts_with("NOTIFY sip:201@127.0.0.1:"), "{text}");
        assert_eq!(line(&text, "Event"), "Event: check-sync");
        let other = text.replace("z9hG4bK", "z9hG4bKf");
        let before = [
            "\r\n\r\n".to_owned(),
            "SIP/2.0 200".to_owned(),
            answer(&other, "500 of another"),
            answer(&text.replace("1 NOTIFY", "1 OPTIONS"), "500 of another"),
            "OPTIONS sip:x SIP/2.0\r\n\r\n".to_owned(),
            answer(&text, "100 Trying"),
            answer(&text, status),
            answer(&text, status),
        ];
        for packet in before {
            socket.send_to(packet.as_bytes(), to).await.expect("sent");
        }
        assert_eq!(rig.answered().await, (1, Notified::Answered(code)));
    }
}

#[tokio::test]
async fn a_lost_packet_is_sent_again_and_silence_ends_after_eight_seconds() {
    let mut rig = Rig::start().await;
    let ((late, late_at), (_mute, mute_at)) = (phone().await, phone().await);
    let began = Instant::now();
    rig.tell(1, late_at).await;
    rig.tell(2, mute_at).await;
    let (first, _) = request(&late).await;
    let (second, to) = request(&late).await;
    assert_eq!(first, second);
    assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
    late.send_to(answer(&second, "200 OK").as_bytes(), to).await.expect("sent");
    assert_eq!(rig.answered().await, (1, Notified::Answered(200)));
    assert_eq!(rig.answered().await, (2, Notified::Silent));
    assert!((7..12).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_phone_that_can_not_be_sent_to_is_told_of_and_many_wait_their_turn() {
    let mut rig = Rig::start().await;
    rig.tell(9, "[2001:db8::7]:5060".parse().expect("an address")).await;
    assert!(matches!(rig.answered().await, (9, Notified::Failed(_))));
    let (socket, address) = phone().await;
    let answering = tokio::spawn(async move {
        loop {
            let (text, to) = request(&socket).await;
            socket.send_to(answer(&text, "200 OK").as_bytes(), to).await.expect("sent");
        }
    });
    for n in 0..200 {
        rig.tell(n, address).await;
    }
    let mut told = BTreeSet::new();
    for _ in 0..200 {
        let (n, result) = rig.answered().await;
        assert_eq!(result, Notified::Answered(200));
        assert!(told.insert(n), "told once");
    }
    answering.abort();
}
