//! The least that a phone is: registers with digest, answers OPTIONS and NOTIFY.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

pub(crate) struct Phone {
    socket: UdpSocket,
    server: SocketAddr,
    user: &'static str,
    secret: &'static str,
    sequence: u32,
}

/// A header's value.
fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let lines = message.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().unwrap_or_else(|| panic!("no {name} in {message}")).1.trim()
}

fn quoted<'a>(text: &'a str, key: &str) -> &'a str {
    let after = text.split_once(&format!("{key}=\"")).expect("the key").1;
    after.split('"').next().expect("a value")
}

fn md5(text: &str) -> String {
    format!("{:x}", md5::compute(text))
}

impl Phone {
    pub(crate) async fn new(server: SocketAddr, user: &'static str, secret: &'static str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        Self { socket, server, user, secret, sequence: 0 }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }

    async fn receive(&self) -> String {
        let mut buffer = [0; 4096];
        let (n, _) = timeout(Duration::from_secs(10), self.socket.recv_from(&mut buffer))
            .await
            .expect("nothing came")
            .expect("a packet");
        let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
        if !text.starts_with("SIP/2.0") {
            self.accept(&text).await;
        }
        text
    }

    /// Answers any request with 200, but a call, which rings for ever.
    async fn accept(&self, request: &str) {
        if request.starts_with("ACK") {
            return;
        }
        let rings = request.starts_with("INVITE");
        let status = if rings { "180 Ringing" } else { "200 OK" };
        let mut answer = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            answer += &format!("{name}: {}\r\n", header(request, name));
        }
        answer += "Content-Length: 0\r\n\r\n";
        self.socket.send_to(answer.as_bytes(), self.server).await.expect("sent");
    }

    /// Answers a call that rings.
    pub(crate) async fn lift(&self, invite: &str) {
        let mut answer = "SIP/2.0 200 OK\r\n".to_owned();
        for name in ["Via", "From", "Call-ID", "CSeq"] {
            answer += &format!("{name}: {}\r\n", header(invite, name));
        }
        answer += &format!("To: {};tag=desk\r\n", header(invite, "To"));
        self.socket
            .send_to((answer + &self.offer("sendrecv")).as_bytes(), self.server)
            .await
            .expect("sent");
        self.request("ACK").await;
    }

    /// Puts the call of an INVITE that was answered on hold, or takes it back.
    pub(crate) async fn hold(&mut self, invite: &str, on: bool) {
        self.sequence += 1;
        let (sequence, me, server) = (self.sequence, self.address(), self.server);
        let value = |name| header(invite, name);
        let head = |method: &str| {
            format!(
                "{method} sip:{server} SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {me};branch=z9hG4bKhold{sequence}{method}\r\n\
                 From: {};tag=desk\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {sequence} {method}\r\n\
                 Max-Forwards: 70\r\n",
                value("To"),
                value("From"),
                value("Call-ID")
            )
        };
        let offer = self.offer(if on { "sendonly" } else { "sendrecv" });
        self.socket.send_to((head("INVITE") + &offer).as_bytes(), server).await.expect("sent");
        loop {
            let text = self.receive().await;
            let ours = text.starts_with("SIP/2.0") && header(&text, "CSeq").ends_with("INVITE");
            assert!(!ours || text.as_bytes()[8] <= b'2', "{text}");
            if ours && text.starts_with("SIP/2.0 200") {
                break;
            }
        }
        let ack = head("ACK") + "Content-Length: 0\r\n\r\n";
        self.socket.send_to(ack.as_bytes(), server).await.expect("sent");
    }

    /// The rest of a message that offers media, and where we are.
    fn offer(&self, direction: &str) -> String {
        let sdp = format!(
            "v=0\r\no=- 1 {} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio 19 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na={direction}\r\n",
            self.sequence + 1
        );
        format!(
            "Contact: <sip:{}@{}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            self.user,
            self.address(),
            sdp.len()
        )
    }

    /// The next request of a kind; others are answered too.
    pub(crate) async fn request(&self, method: &str) -> String {
        loop {
            let text = self.receive().await;
            if text.starts_with(method) {
                return text;
            }
        }
    }

    /// Registers for `expires` seconds (0 unregisters).
    pub(crate) async fn register(&mut self, agent: &str, expires: u32) {
        let challenge = self.try_register(agent, expires, "").await;
        assert!(challenge.starts_with("SIP/2.0 401"), "{challenge}");
        let asked = header(&challenge, "WWW-Authenticate");
        let (realm, nonce) = (quoted(asked, "realm"), quoted(asked, "nonce"));
        let (user, uri) = (self.user, format!("sip:{}", self.server));
        let proof = md5(&format!(
            "{}:{nonce}:{}",
            md5(&format!("{user}:{realm}:{}", self.secret)),
            md5(&format!("REGISTER:{uri}"))
        ));
        let authorization = format!(
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", \
             uri=\"{uri}\", response=\"{proof}\", algorithm=MD5\r\n"
        );
        let answer = self.try_register(agent, expires, &authorization).await;
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    }

    async fn try_register(&mut self, agent: &str, expires: u32, authorization: &str) -> String {
        self.sequence += 1;
        let (user, server, sequence) = (self.user, self.server, self.sequence);
        let me = self.address();
        let request = format!(
            "REGISTER sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{sequence}\r\n\
             From: <sip:{user}@{server}>;tag=t\r\nTo: <sip:{user}@{server}>\r\n\
             Call-ID: call-{me}\r\nCSeq: {sequence} REGISTER\r\nContact: <sip:{user}@{me}>\r\n\
             User-Agent: {agent}\r\nMax-Forwards: 70\r\nExpires: {expires}\r\n{authorization}\
             Content-Length: 0\r\n\r\n"
        );
        self.socket.send_to(request.as_bytes(), server).await.expect("sent");
        loop {
            let text = self.receive().await;
            if text.starts_with("SIP/2.0")
                && header(&text, "CSeq") == format!("{sequence} REGISTER")
                && !text.starts_with("SIP/2.0 100")
            {
                return text;
            }
        }
    }
}
