//! A TFTP service with a few files, and phones made of bare sockets.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use handset::base::{FileName, Key};
use handset::daemon::event::{Event, Ticket, Transfer};
use handset::daemon::net::Listener;
use handset::daemon::serve::{Catalog, Found};
use handset::daemon::tftp::{Counters, Limits, Service, serve};
use handset::family::Role;
use handset::wire::tftp::{Packet, parse};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The address that is asked; the service listens at all.
pub(crate) const ASKED: &str = "127.0.0.2";

/// Firmware as phones get it: 1 MiB.
const FIRMWARE: usize = 1 << 20;

/// Bytes of every value.
pub(crate) fn body(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 31 + i / 253) % 256).unwrap()).collect()
}

struct Files {
    bodies: HashMap<String, Bytes>,
    root: PathBuf,
}

impl Catalog for Files {
    fn find(&self, _asker: SocketAddr, name: &[u8]) -> Found {
        let Ok(name) = FileName::requested(name) else { return Found::Missing };
        if let Some(bytes) = self.bodies.get(name.as_str()) {
            let digest = Key::new([7; 32]).digest("test", [name.as_str().as_bytes()]);
            let ticket = Ticket { mac: None, role: Role::Plain, digest };
            return Found::Body { bytes: bytes.clone(), ticket };
        }
        let path = name.as_str().strip_prefix("static/").map(|name| self.root.join(name));
        match path.and_then(|path| path.canonicalize().ok()) {
            Some(path) if path.starts_with(&self.root) => Found::Static(path),
            _ => Found::Missing,
        }
    }
}

/// A running service.
pub(crate) struct Lab {
    pub(crate) shutdown: CancellationToken,
    pub(crate) counters: Arc<Counters>,
    files: Arc<Files>,
    port: u16,
    events: Mutex<(mpsc::Receiver<Event>, VecDeque<Transfer>)>,
    served: Mutex<Option<tokio::task::JoinHandle<()>>>,
    runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn start(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = Arc::new(files(&dir));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let inside = runtime.enter();
        let listener = Listener::bind("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = listener.local().port();
        let (report, events) = mpsc::channel(4);
        let (shutdown, counters) = (CancellationToken::new(), Arc::new(Counters::default()));
        let catalog = Arc::clone(&files) as Arc<dyn Catalog>;
        let service = Service { catalog, report, limits, counters: Arc::clone(&counters) };
        let served = tokio::spawn(serve(vec![listener], service, shutdown.clone()));
        drop(inside);
        let events = Mutex::new((events, VecDeque::new()));
        let served = Mutex::new(Some(served));
        Self { shutdown, counters, files, port, events, served, runtime, _dir: dir }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What a name ought to give.
    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let name = FileName::requested(name.as_bytes()).unwrap();
        match self.files.bodies.get(name.as_str()) {
            Some(bytes) => bytes.to_vec(),
            None => body(FIRMWARE),
        }
    }

    /// The next transfer that is reported.
    pub(crate) fn report(&self) -> Transfer {
        self.report_within(Duration::from_secs(10)).expect("a transfer is reported within 10 s")
    }

    pub(crate) fn report_within(&self, span: Duration) -> Option<Transfer> {
        let mut events = self.events.lock().unwrap();
        let (receiver, waiting) = &mut *events;
        if waiting.is_empty() {
            let next = async { tokio::time::timeout(span, receiver.recv()).await };
            match self.runtime.block_on(next) {
                Ok(Some(Event::Transfers(transfers))) => waiting.extend(transfers),
                Ok(Some(other)) => panic!("{other:?}"),
                Ok(None) | Err(_) => return None,
            }
        }
        waiting.pop_front()
    }

    /// Nothing more was reported.
    pub(crate) fn no_report(&self) -> bool {
        self.report_within(Duration::from_millis(600)).is_none()
    }

    /// The service returns after its stop.
    pub(crate) fn ends_within(&self, span: Duration) {
        let served = self.served.lock().unwrap().take().unwrap();
        let ended = async { tokio::time::timeout(span, served).await };
        self.runtime.block_on(ended).expect("the service ends in time").unwrap();
    }
}

fn files(dir: &tempfile::TempDir) -> Files {
    let root = dir.path().canonicalize().unwrap().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(dir.path().join("secret"), "secret").unwrap();
    std::fs::write(root.join("P0S3-8-12-00.sb2"), body(FIRMWARE)).unwrap();
    symlink("P0S3-8-12-00.sb2", root.join("link-inside")).unwrap();
    symlink("../secret", root.join("link-out")).unwrap();
    symlink("..", root.join("link-out-dir")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(root.join("fifo")).status().unwrap();
    assert!(fifo.success());
    let mut bodies: HashMap<_, _> = [0, 1, 511, 512, 513, 1024, 1428, 20_000]
        .map(|size| (format!("size-{size}"), Bytes::from(body(size))))
        .into();
    // Line ends at every place of a block.
    let text: String =
        (0..600).map(|n| "x".repeat(n % 13) + if n % 5 == 0 { "\r\n" } else { "\n" }).collect();
    bodies.insert("text".to_owned(), text.into());
    Files { bodies, root }
}

/// A client that does only what it is told.
pub(crate) struct Phone {
    pub(crate) socket: UdpSocket,
}

impl Phone {
    pub(crate) fn new(ip: &str) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        Self { socket }
    }

    /// Sends an RRQ to [`ASKED`]; the options as words.
    pub(crate) fn request(&self, lab: &Lab, name: &str, mode: &str, options: &str) {
        self.request_at((ASKED, lab.port()), name, mode, options);
    }

    pub(crate) fn request_at(&self, to: impl ToSocketAddrs, name: &str, mode: &str, options: &str) {
        let words = [name, mode].into_iter().chain(options.split_whitespace());
        let words = words.fold(String::new(), |all, word| all + word + "\0");
        self.socket.send_to(&[b"\0\x01", words.as_bytes()].concat(), to).unwrap();
    }

    pub(crate) fn send(&self, to: SocketAddr, packet: Packet<'_>) {
        let mut out = Vec::new();
        packet.write(&mut out);
        self.socket.send_to(&out, to).unwrap();
    }

    /// The next packet, in words.
    pub(crate) fn hears(&self) -> String {
        self.hears_from().0
    }

    pub(crate) fn hears_from(&self) -> (String, SocketAddr) {
        let mut buffer = [0; 2000];
        let (length, from) = self.receive(&mut buffer);
        (shown(&parse(&buffer[..length]).unwrap()), from)
    }

    fn receive(&self, buffer: &mut [u8]) -> (usize, SocketAddr) {
        self.socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        self.socket.recv_from(buffer).expect("an answer within 10 s")
    }

    /// Whether nothing comes for so many milliseconds.
    pub(crate) fn silent_for(&self, millis: u64) -> bool {
        self.socket.set_read_timeout(Some(Duration::from_millis(millis))).unwrap();
        match self.socket.recv_from(&mut [0; 16]) {
            Ok(_) => false,
            Err(error) => {
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
            }
        }
    }

    /// A whole file, lock-step.
    pub(crate) fn fetch(&self, lab: &Lab, name: &str, options: &str) -> Vec<u8> {
        let until = Instant::now() + Duration::from_secs(30);
        self.request(lab, name, "octet", options);
        let (mut got, mut next, mut buffer) = (Vec::new(), 1_u16, [0; 2000]);
        while Instant::now() < until {
            let (length, from) = self.receive(&mut buffer);
            let Packet::Data { block, payload } = parse(&buffer[..length]).unwrap() else {
                panic!()
            };
            if block == next {
                got.extend_from_slice(payload);
                next = next.wrapping_add(1);
            }
            self.send(from, Packet::Ack(block));
            if payload.len() < 512 {
                return got;
            }
        }
        panic!("{name} took too long");
    }
}

fn shown(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Data { block, payload } => format!("DATA {block} ({})", payload.len()),
        Packet::Error { code, text } => format!("ERROR {code} {}", text.escape_ascii()),
        Packet::Oack(options) => options.fold("OACK".to_owned(), |all, (name, value)| {
            format!("{all} {}={}", name.escape_ascii(), value.escape_ascii())
        }),
        other => format!("{other:?}"),
    }
}
