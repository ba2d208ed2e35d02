//! A TFTP server for tests: files by name, and every way to be a bad server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What is answered to a request for one name; a name without an answer is "file not found".
#[derive(Clone)]
pub(crate) enum Answer {
    File(Vec<u8>),
    Silence,
    /// The first block, and then nothing.
    Stall,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<BTreeMap<String, Answer>>,
    requests: Mutex<Vec<(SocketAddr, String)>>,
}

pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(files: &[(&str, &str)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(serve(socket, Arc::clone(&shared)));
        let server = Self { address, shared, task };
        for (name, text) in files {
            server.put(name, text);
        }
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        self.set(name, Answer::File(text.into()));
    }

    pub(crate) fn set(&self, name: &str, answer: Answer) {
        self.shared.answers.lock().unwrap().insert(name.into(), answer);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.shared.answers.lock().unwrap().remove(name);
    }

    /// The names asked for so far, repeats too.
    pub(crate) fn names(&self) -> Vec<String> {
        self.requests().into_iter().map(|(_, name)| name).collect()
    }

    pub(crate) fn requests(&self) -> Vec<(SocketAddr, String)> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = [0u8; 1500];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
        let fields: Vec<&[u8]> = buffer[2..len].split(|b| *b == 0).collect();
        assert_eq!((&buffer[..2], fields[1], fields.len()), (&[0, 1][..], &b"octet"[..], 3));
        let name = String::from_utf8(fields[0].to_vec()).unwrap();
        shared.requests.lock().unwrap().push((from, name.clone()));
        let answer = shared.answers.lock().unwrap().get(&name).cloned();
        tokio::spawn(transfer(from, answer));
    }
}

async fn transfer(to: SocketAddr, answer: Option<Answer>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let bytes = match answer {
        None => return drop(socket.send_to(b"\0\x05\0\x01File not found\0", to).await),
        Some(Answer::Silence) => return,
        Some(Answer::Stall) => return drop(socket.send_to(&block(1, &[b'#'; 512]), to).await),
        Some(Answer::File(bytes)) => bytes,
    };
    let blocks = bytes.len() / 512 + 1;
    for n in 1..=blocks {
        let data = &bytes[(n - 1) * 512..bytes.len().min(n * 512)];
        socket.send_to(&block(u16::try_from(n).unwrap(), data), to).await.unwrap();
        let mut ack = [0u8; 4];
        let Ok(Ok(_)) = timeout(Duration::from_secs(3), socket.recv(&mut ack)).await else {
            return;
        };
        assert_eq!(ack, [&[0, 4][..], &u16::try_from(n).unwrap().to_be_bytes()].concat()[..]);
    }
}

fn block(number: u16, data: &[u8]) -> Vec<u8> {
    [&[0, 3][..], &number.to_be_bytes(), data].concat()
}
