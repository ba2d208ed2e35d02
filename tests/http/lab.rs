//! An HTTP service with a few files, and clients made of bare sockets.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use handset::base::{FileName, Key, Mac};
use handset::daemon::event::{Event, Ticket, Transfer};
use handset::daemon::http::{Counters, Limits, Listening, Service, acceptor, serve};
use handset::daemon::metrics::Metrics;
use handset::daemon::serve::{Catalog, Found};
use handset::directory::{Directory, Listed};
use handset::family::Role;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Larger than what the kernel keeps for a socket.
pub(crate) const BIG: usize = 24 << 20;

/// Bytes of every value.
pub(crate) fn body(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 31 + i / 253) % 256).unwrap()).collect()
}

/// The phone whose file `own.cnf` is: it lives at 127.0.0.7 and gets its own variant.
pub(crate) const PHONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);

struct Files {
    bodies: HashMap<&'static str, Bytes>,
    root: PathBuf,
}

impl Catalog for Files {
    fn find(&self, asker: SocketAddr, name: &[u8]) -> Found {
        let Ok(name) = FileName::requested(name) else { return Found::Missing };
        let digest = |part: &str| Key::new([7; 32]).digest("test", [part.as_bytes()]);
        let ticket = |mac, digest| Ticket { mac, role: Role::Own, digest };
        if name.as_str() == "own.cnf" {
            let mac: Mac = "0018b9000001".parse().unwrap();
            return match asker.ip() == PHONE {
                true => {
                    Found::Body { bytes: "own".into(), ticket: ticket(Some(mac), digest("own")) }
                }
                false => Found::Missing,
            };
        }
        if let Some(bytes) = self.bodies.get(name.as_str()) {
            return Found::Body {
                bytes: bytes.clone(),
                ticket: ticket(None, digest(name.as_str())),
            };
        }
        let path = self.root.join(name.as_str()).canonicalize().ok();
        path.filter(|path| path.starts_with(&self.root)).map_or(Found::Missing, Found::Static)
    }
}

/// A running service.
pub(crate) struct Lab {
    pub(crate) shutdown: CancellationToken,
    pub(crate) counters: Arc<Counters>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) address: SocketAddr,
    pub(crate) tls_address: SocketAddr,
    pub(crate) dir: tempfile::TempDir,
    events: Mutex<(mpsc::Receiver<Event>, Vec<Transfer>)>,
    served: Mutex<Option<tokio::task::JoinHandle<()>>>,
    runtime: tokio::runtime::Runtime,
    _directory: watch::Sender<Arc<Directory>>,
}

impl Lab {
    pub(crate) fn start(limits: Limits) -> Self {
        Self::start_with(limits, false)
    }

    /// With a second listener that speaks TLS.
    pub(crate) fn start_with(limits: Limits, with_tls: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = Arc::new(files(&dir));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (report, events) = mpsc::channel(4);
        let (shutdown, metrics) = (CancellationToken::new(), Arc::new(Metrics::default()));
        let counters = Arc::clone(&metrics.http);
        let one = |n: u32| Listed { name: format!("Name {n}"), number: n.to_string(), place: None };
        let directory = Directory::new(None, (0..100).map(one)).0;
        let (_directory, directory) = watch::channel(Arc::new(directory));
        let shown = Arc::clone(&metrics);
        let service = Service { catalog: files, directory, report, limits, metrics: shown };
        let tls = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let tls_address = tls.local_addr().unwrap();
        let (certificate, key) = (dir.path().join("certificate.pem"), dir.path().join("key.pem"));
        let acceptor = with_tls.then(|| {
            certify(&certificate, &key);
            acceptor(&certificate, &key).unwrap()
        });
        let mut all = vec![Listening { listener, tls: None }];
        if acceptor.is_some() {
            all.push(Listening { listener: tls, tls: acceptor });
        }
        let served = runtime.spawn(serve(all, service, shutdown.clone()));
        let events = Mutex::new((events, Vec::new()));
        let served = Mutex::new(Some(served));
        Self {
            shutdown,
            counters,
            metrics,
            address,
            tls_address,
            dir,
            events,
            served,
            runtime,
            _directory,
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
        Some(waiting.remove(0))
    }

    /// Nothing more was reported.
    pub(crate) fn no_report(&self) -> bool {
        self.report_within(Duration::from_millis(60)).is_none()
    }

    /// The service returns after its stop.
    pub(crate) fn ends_within(&self, span: Duration) {
        let served = self.served.lock().unwrap().take().unwrap();
        let ended = async { tokio::time::timeout(span, served).await };
        self.runtime.block_on(ended).expect("the service ends in time").unwrap();
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes as they are and reads until the end.
    pub(crate) fn raw(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// The status of a request whose line begins like this.
    pub(crate) fn status(&self, line: &str) -> String {
        let answer = self.raw(format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        let answer = String::from_utf8_lossy(&answer);
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    }
}

/// A certificate for 127.0.0.1 that vouches for itself.
pub(crate) fn certify(certificate: &Path, key: &Path) {
    let run = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output();
    let run = run.unwrap_or_else(|error| panic!("openssl: {error} (make setup installs it)"));
    assert!(run.status.success(), "{run:?}");
}

fn files(dir: &tempfile::TempDir) -> Files {
    let root = dir.path().canonicalize().unwrap().join("root");
    std::fs::create_dir_all(root.join("sub")).unwrap();
    std::fs::write(dir.path().join("secret"), "secret").unwrap();
    std::fs::write(root.join("P0S3-8-12-00.sb2"), body(1 << 20)).unwrap();
    std::fs::write(root.join("logo.bmp"), body(1000)).unwrap();
    std::fs::write(root.join("sub/ring.pcm"), body(3)).unwrap();
    std::os::unix::fs::symlink("../secret", root.join("link-out")).unwrap();
    let bodies = HashMap::from([
        ("SIPDefault.cnf", body(600).into()),
        ("dialplan.xml", Bytes::from_static(b"<DIALTEMPLATE/>")),
        ("empty.cnf", Bytes::new()),
        ("big.bin", body(BIG).into()),
    ]);
    Files { bodies, root }
}
