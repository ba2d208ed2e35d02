//! From a save to the new bytes: one caller ID changes among thousands of peers, and a TFTP client asks
//! until it gets the file with the new name. In the same run the script that a site would write by hand
//! reads the same file. Then: what the daemon takes of memory.

#[path = "../tests/tools/sipconf.rs"]
mod sipconf;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use sipconf::Shape;

/// How many phones; nine of ten of the generator's peers have one.
const PHONES: [usize; 2] = [5_000, 20_000];
const SAVES: usize = 9;
/// jemalloc gives back within ten seconds, and the state is written behind.
const REST: Duration = Duration::from_secs(16);
/// No save takes so long.
const LIMIT: Duration = Duration::from_secs(60);

fn main() {
    println!(
        "phones  save to served, ms: median (all)                      cpu s/save  made anew  \
         resident MiB  by hand, s  ratio"
    );
    PHONES.iter().for_each(|phones| measure(*phones));
}

/// The daemon with its site, gone at the end.
struct Desk {
    dir: tempfile::TempDir,
    daemon: Child,
    /// How many phones' files each offer made anew.
    offers: Receiver<usize>,
    tftp: u16,
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn measure(phones: usize) {
    let desk = Desk::start(phones);
    let first = desk.offers.recv_timeout(LIMIT).expect("the first generation");
    assert!(first >= phones, "{first} of {phones}");
    sleep(REST);
    let cpu = desk.cpu();
    let saves: Vec<(Duration, usize)> = (1..=SAVES).map(|n| desk.save(phones, n)).collect();
    let cpu = (desk.cpu() - cpu) / SAVES as f64;
    let by_hand = desk.by_hand();
    sleep(REST);
    let mut times: Vec<Duration> = saves.iter().map(|(time, _)| *time).collect();
    times.sort();
    let median = times[SAVES / 2];
    let all: Vec<String> = saves.iter().map(|(time, _)| time.as_millis().to_string()).collect();
    let made = saves.iter().map(|(_, made)| made).max().expect("some saves");
    println!(
        "{phones:6}  {:6} ({:48}) {cpu:9.2} {made:10} {:13} {:11.2} {:6.2}",
        median.as_millis(),
        all.join(" "),
        desk.resident() >> 10,
        by_hand.as_secs_f64(),
        median.as_secs_f64() / by_hand.as_secs_f64(),
    );
}

impl Desk {
    fn start(phones: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in sipconf::files(phones.div_ceil(9) * 10, Shape::Templates) {
            fs::write(dir.path().join(name), text).expect("a file");
        }
        let tftp = free_port();
        let conf = format!(
            "[general]\nsip_conf=DIR/sip.conf\nserver_address=127.0.0.1\ntimezone=Europe/Berlin\n\
             state_dir=DIR/state\ncontrol_socket=DIR/control\nasterisk_reload=ignore\n\
             trusted_nets=127.0.0.0/8\n\
             [tftp]\nlisten=127.0.0.1:{tftp}\n"
        );
        let conf = conf.replace("DIR", &dir.path().to_string_lossy());
        fs::write(dir.path().join("handset.conf"), conf).expect("a file");
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_handsetd"))
            .args(["--log", "info", "--config"])
            .arg(dir.path().join("handset.conf"))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("handsetd starts");
        let (tell, offers) = channel();
        let log = BufReader::new(daemon.stderr.take().expect("a pipe"));
        spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let made = line.split("made_anew=").nth(1);
                let made = made.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
                if made.is_some_and(|made| tell.send(made).is_err()) {
                    return;
                }
            }
        });
        Self { dir, daemon, offers, tftp }
    }

    /// Changes one caller ID: the time until its phone's file has it, and how many were made anew.
    fn save(&self, phones: usize, n: usize) -> (Duration, usize) {
        let sip_conf = self.dir.path().join("sip.conf");
        let peer = n * phones / SAVES / 10 * 10 - 5;
        let text = fs::read_to_string(&sip_conf).expect("sip.conf");
        let at = text.find(&format!("<{}>", sipconf::name(peer))).expect("the peer's caller ID");
        let from = text[..at].rfind("callerid=").expect("its line") + "callerid=".len();
        let name = format!("Saved {n}");
        let text = format!("{}\"{name}\" {}", &text[..from], &text[at..]);
        let new = self.dir.path().join(".new");
        fs::write(&new, text).expect("a file");
        let begin = Instant::now();
        fs::rename(new, sip_conf).expect("the save");
        let file = format!("SIP{:012X}.cnf", 0x0050_5600_0000_u64 + peer as u64);
        while !fetch(self.tftp, &file).is_some_and(|bytes| contains(&bytes, name.as_bytes())) {
            assert!(begin.elapsed() < LIMIT, "{file} never changed");
            sleep(Duration::from_millis(1));
        }
        let time = begin.elapsed();
        let made = self.offers.recv_timeout(LIMIT).expect("an offer");
        sleep(Duration::from_millis(500));
        (time, made)
    }

    /// The script that reads everything and writes the files that changed.
    fn by_hand(&self) -> Duration {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/handmade.py");
        let run = || {
            let begin = Instant::now();
            let ended = Command::new("python3")
                .arg(&script)
                .arg(self.dir.path().join("sip.conf"))
                .arg(self.dir.path().join("by-hand"))
                .arg("--changed-only")
                .stdout(Stdio::null())
                .status();
            assert!(ended.expect("python3").success());
            begin.elapsed()
        };
        run();
        run().min(run())
    }

    /// Seconds of processor time so far (ticks are 1/100 s on Linux).
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.daemon.id())).expect("proc");
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() / 100.0
    }

    /// KiB.
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.id()));
        let status = status.expect("proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|l| l.split_whitespace().next()?.parse().ok()).expect("VmRSS")
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("its address").port()
}

/// A file by TFTP; none where the server does not have it or falls silent.
fn fetch(port: u16, name: &str) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    let request = [b"\0\x01", name.as_bytes(), b"\0octet\0blksize\x001428\0"].concat();
    socket.send_to(&request, ("127.0.0.1", port)).ok()?;
    let (mut packet, mut file) = ([0; 2048], Vec::new());
    loop {
        let (length, from) = socket.recv_from(&mut packet).ok()?;
        let (head, data) = packet[..length].split_at_checked(4)?;
        match head[1] {
            6 => drop(socket.send_to(&[0, 4, 0, 0], from).ok()?),
            3 => {
                file.extend_from_slice(data);
                socket.send_to(&[0, 4, head[2], head[3]], from).ok()?;
                if data.len() < 1428 {
                    return Some(file);
                }
            }
            _ => return None,
        }
    }
}
