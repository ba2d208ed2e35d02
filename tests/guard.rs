//! Files with passwords in a real network: a switch with the server and phones A and B, and phone C
//! behind a router, each in a network namespace of its own. The clients are tftp-hpa and curl.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);
const SERVER: &str = "10.66.0.1";
const FILE_A: &str = "SIP0018B9000001.cnf";
const FILE_B: &str = "SIP0018B9000002.cnf";
const FILE_C: &str = "SIP0018B9000003.cnf";

fn run(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

fn netns(args: &[&str]) -> Output {
    run(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/netns"), args)
}

/// The network, the daemon in it, and its folder; all ended when dropped.
struct Site {
    net: String,
    dir: TempDir,
    daemon: Option<Child>,
}

impl Site {
    /// A is ph1, B is ph2, the router is ph3, C is ph4.
    fn start(guard: &str) -> Self {
        let macs =
            ["00:18:b9:00:00:01", "00:18:b9:00:00:02", "02:00:00:00:00:fe", "00:18:b9:00:00:03"];
        let args: Vec<&str> =
            ["up", "4"].into_iter().chain(macs.iter().flat_map(|m| ["--mac", m])).collect();
        let made = netns(&args);
        assert!(
            made.status.success(),
            "this test builds network namespaces: it needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN, \
             and iproute2 (make setup): {made:?}"
        );
        let net = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let dir = tempfile::Builder::new().prefix("handset-guard.").tempdir_in("/tmp").unwrap();
        let mut site = Self { net, dir, daemon: None };
        site.wire();
        let peer = |name: u8| {
            format!(
                "[20{name}] ;MAC=0018b900000{name}\ntype=friend\nhost=dynamic\nsecret=hush-{name}-Hush7\n"
            )
        };
        let peers: String = (1..=3).map(peer).collect();
        fs::write(site.path("sip.conf"), format!("[general]\nnat=no\n{peers}")).unwrap();
        site.configure(guard);
        site.run();
        site
    }

    fn wire(&self) {
        let behind = netns(&["behind", &self.net, "ph4", "ph3"]);
        assert!(behind.status.success(), "{behind:?}");
        self.ip("ph1", "addr add 10.66.0.11/24 dev eth0");
        self.ip("ph2", "addr add 10.66.0.12/24 dev eth0");
        self.ip("ph3", "addr add 10.66.0.254/24 dev eth0");
        self.ip("ph3", "addr add 10.67.0.254/24 dev eth1");
        self.ip("ph4", "addr add 10.67.0.13/24 dev eth0");
        self.ip("ph4", "route add default via 10.67.0.254");
        self.ip("srv", "route add 10.67.0.0/24 via 10.66.0.254");
    }

    fn ip(&self, host: &str, words: &str) {
        let space = format!("{}.{host}", self.net);
        let args: Vec<&str> = ["-n", &space].into_iter().chain(words.split(' ')).collect();
        let out = run("ip", &args);
        assert!(out.status.success(), "ip {args:?}: {out:?}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn configure(&self, guard: &str) {
        let dir = self.dir.path().display();
        let text = format!(
            "[general]\nsip_conf={dir}/sip.conf\nserver_address={SERVER}\ntimezone=Europe/Berlin\n\
             state_dir={dir}/state\ncontrol_socket={dir}/control\nguard={guard}\n"
        );
        fs::write(self.path("handset.conf"), text).unwrap();
    }

    /// A real Asterisk 16 on the server, with the site's peers; the daemon's sources are its files then.
    fn start_asterisk(&self) -> String {
        let conf = self.path("conf");
        let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab");
        fs::create_dir(&conf).unwrap();
        for entry in fs::read_dir(lab.join("conf16")).unwrap().flatten() {
            fs::copy(entry.path(), conf.join(entry.file_name())).unwrap();
        }
        let peers = fs::read_to_string(self.path("sip.conf")).unwrap();
        let general = "[general]\nudpbindaddr=@BIND@:@SIP_PORT@\nminexpiry=5\n";
        fs::write(conf.join("sip.conf"), peers.replacen("[general]\n", general, 1)).unwrap();
        let (run, conf) = (self.path("pbx"), conf.to_str().unwrap().to_owned());
        let asterisk = lab.join("asterisk");
        let words =
            ["exec", &self.net, "srv", asterisk.to_str().unwrap(), "start", "16", "--bind", SERVER];
        let ports =
            ["--sip", "5060", "--ami", "5038", "--conf", &conf, "--run", run.to_str().unwrap()];
        let out = netns(&[&words[..], &ports[..]].concat());
        assert!(out.status.success(), "{out:?} (make setup installs the lab)");
        let etc = run.join("etc/sip.conf");
        assert!(etc.exists(), "{}", etc.display());
        format!("[ami]\nhost={SERVER}\nusername=provision\nsecret=lab-secret\n")
    }

    fn stop_asterisk(&self) {
        let run = self.path("pbx");
        if run.exists() {
            let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/asterisk");
            let words = ["exec", &self.net, "srv", lab.to_str().unwrap()];
            netns(&[&words[..], &["stop", "--run", run.to_str().unwrap()]].concat());
        }
    }

    /// Ends the daemon in order.
    fn stop(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        kill(Pid::from_raw(i32::try_from(daemon.id()).unwrap()), Signal::SIGTERM).unwrap();
        assert!(daemon.wait().unwrap().success(), "{}", self.log());
    }

    fn run(&mut self) {
        let log = File::create(self.path("log")).unwrap();
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &format!("{}.srv", self.net),
            env!("CARGO_BIN_EXE_handsetd"),
        ]);
        command.arg("--config").arg(self.path("handset.conf")).stdin(Stdio::null());
        self.daemon = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let reads = |site: &Self| {
            let out = site.try_handset(&["status"]);
            out.status.success() && !String::from_utf8_lossy(&out.stdout).contains("HELD BACK")
        };
        self.until("it has read its sources", reads);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < SOON, "not within {SOON:?}: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What a client on a host gets: the file's bytes, or none.
    fn client(&self, host: &str, words: &str) -> Option<String> {
        let got = self.path("got");
        let _ = fs::remove_file(&got);
        let line = words.replace("GOT", got.to_str().unwrap()).replace("HOST", SERVER);
        let args: Vec<&str> =
            ["exec", &self.net, host].into_iter().chain(line.split(' ')).collect();
        let out = netns(&args);
        let spawned = !String::from_utf8_lossy(&out.stderr).contains("not found\n")
            || out.status.code() != Some(127);
        assert!(spawned, "{args:?} (make setup installs it): {out:?}");
        fs::read(&got).ok().filter(|bytes| !bytes.is_empty()).map(|b| String::from_utf8(b).unwrap())
    }

    /// Whether a host is given a file, by both clients alike.
    fn check(&self, host: &str, file: &str, given: bool) {
        for client in
            ["tftp -m binary HOST -c get FILE GOT", "curl -s -m 20 -o GOT tftp://HOST/FILE"]
        {
            let got = self.client(host, &client.replace("FILE", file));
            let secret = got.as_ref().is_some_and(|text| text.contains("hush-"));
            assert_eq!(
                (got.is_some(), secret),
                (given, given),
                "{host} {client} {file}\n{}",
                self.log()
            );
        }
    }

    fn handset(&self, args: &[&str]) -> String {
        let out = self.try_handset(args);
        assert!(out.status.success(), "handset {args:?}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    fn try_handset(&self, args: &[&str]) -> Output {
        let config = self.path("handset.conf");
        let all: Vec<&str> =
            ["--config", config.to_str().unwrap()].iter().chain(args).copied().collect();
        run(env!("CARGO_BIN_EXE_handset"), &all)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        self.stop_asterisk();
        netns(&["down", &self.net]);
    }
}

#[test]
fn a_file_goes_to_its_phone_and_behind_a_router_when_it_is_opened() {
    let site = Site::start("strict");
    site.check("ph1", FILE_A, true);
    site.check("ph2", FILE_B, true);
    site.check("ph2", FILE_A, false);
    let line = "refused secret file asker=10.66.0.12 phone=00:18:b9:00:00:01 reason=another's \
                owner=00:18:b9:00:00:02";
    assert!(site.log().contains(&format!(" WARN handset::guard: {line}")), "{}", site.log());
    site.check("ph4", FILE_C, false);
    site.check("ph4", FILE_A, false);
    let status = site.handset(&["status"]);
    for words in [
        "ALERT: 10.66.0.12, which is 00:18:b9:00:00:02, asked for the file of 00:18:b9:00:00:01 (2 times",
        "00:18:b9:00:00:03 waits: nobody knows that 10.67.0.13 is this phone (2 times",
        "if it is: handset open 00:18:b9:00:00:03",
    ] {
        assert!(status.contains(words), "{words} in {status}");
    }
    let json = site.handset(&["status", "--json"]);
    assert!(json.contains("\"reason\": \"another's\"") && !json.contains("hush"), "{json}");

    site.handset(&["open", "203", "1m"]);
    site.check("ph4", FILE_C, true);
    site.check("ph4", FILE_A, false);
    site.check("ph2", FILE_C, false);
    assert!(!site.handset(&["status"]).contains("00:18:b9:00:00:03 waits"));
    assert!(site.handset(&["open"]).starts_with("00:18:b9:00:00:03 is open for another 0 min "));
    site.handset(&["close", "203"]);
    let wrong: [(&[&str], i32); 6] = [
        (&["close", "203"], 1),
        (&["open", "299"], 1),
        (&["open", "203", "8d"], 1),
        (&["open", "203", "soon"], 2),
        (&["open", "--net", "10.67.0.1/24"], 2),
        (&["close"], 2),
    ];
    for (args, code) in wrong {
        let out = site.try_handset(args);
        assert_eq!(out.status.code(), Some(code), "{args:?} {out:?}");
    }
    let one = site.handset(&["status", "202"]);
    assert!(!one.contains("ALERT") && !one.contains("waits"), "{one}");
    site.check("ph4", FILE_C, false);
    site.handset(&["open", "201"]);
    site.check("ph4", FILE_A, true);
    site.handset(&["close", "201"]);
    site.handset(&["open", "--net", "10.67.0.0/24", "1s"]);
    site.check("ph4", FILE_C, true);
    site.until("it closes by itself", |site| site.handset(&["open"]) == "nothing is open\n");
    site.check("ph4", FILE_C, false);

    site.configure("lenient");
    let given =
        |site: &Site| site.client("ph4", &format!("curl -s -m 20 -o GOT tftp://HOST/{FILE_C}"));
    site.until("the setting is seen", |site| given(site).is_some());
    site.check("ph4", FILE_A, true);
    site.check("ph2", FILE_A, false);
}

#[test]
fn a_phone_that_the_kernel_forgot_is_looked_for_and_served_at_its_next_try() {
    let site = Site::start("strict");
    site.check("ph1", FILE_A, true);
    std::thread::sleep(Duration::from_millis(3100));
    site.ip("srv", "neigh flush dev eth0");
    site.check("ph1", FILE_A, true);
}

/// Sends requests for the files of 10,000 MACs from a host, the three phones' among them; the answers
/// that were no ERROR.
fn guess(net: &str, host: &str) -> usize {
    let space = File::open(format!("/run/netns/{net}.{host}")).unwrap();
    let guessing = std::thread::spawn(move || {
        setns(space, CloneFlags::CLONE_NEWNET).unwrap();
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let (mut given, mut packet) = (0, [0; 1500]);
        for number in 0..10_000_u32 {
            let request = format!("\0\u{1}SIP0018B9{:06X}.cnf\0octet\0", number % 9_000);
            socket.send_to(request.as_bytes(), (SERVER, 69)).unwrap();
            if number % 50 == 0 {
                while socket.recv(&mut packet).is_ok() {
                    given += usize::from(packet[1] != 5);
                }
            }
        }
        given
    });
    guessing.join().unwrap()
}

#[test]
fn ten_thousand_guessed_macs_leak_nothing_and_are_one_alert() {
    let site = Site::start("strict");
    // Its own file is B's to have; it is not asked for in the storm.
    let leaked = guess(&site.net, "ph4");
    assert_eq!(leaked, 0);
    let alerts = site.handset(&["status", "--alerts"]);
    let expected = "ALERT: 10.67.0.13 guesses MACs (";
    assert!(alerts.starts_with(expected) && alerts.trim_end().lines().count() == 1, "{alerts}");
    let unknown = site.handset(&["unknown"]);
    assert!(unknown.starts_with(expected) && unknown.lines().count() == 1, "{unknown}");
    let count = alerts[expected.len()..].split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!(count > 9_000, "{alerts}");
    let lines = site.log().lines().filter(|line| line.contains("handset::guard")).count();
    assert!(lines < 40, "{}", site.log());
    site.check("ph1", FILE_A, true);
    site.check("ph2", FILE_B, true);
}

/// Switches phone C on behind the router, waits until all its lines are registered, and leaves it so.
fn boot_c(net: &str) {
    let space = File::open(format!("/run/netns/{net}.ph4")).unwrap();
    let booting = std::thread::spawn(move || {
        setns(space, CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = format!("{SERVER}:69").parse().unwrap();
            let mac = [0, 0x18, 0xb9, 0, 0, 3];
            let config =
                simphone::Config::new(mac, simphone::Model::M7960, [10, 67, 0, 13].into(), server);
            let phone = simphone::spawn(config).await;
            phone.wait(SOON, simphone::State::all_registered).await.unwrap();
            phone.stop(false).await;
        });
    });
    booting.join().unwrap();
}

#[test]
fn a_routed_phone_that_was_let_in_once_is_known_by_its_registration_and_then_by_the_proof() {
    let mut site = Site::start("strict");
    site.stop();
    let ami = site.start_asterisk();
    let conf = fs::read_to_string(site.path("handset.conf")).unwrap();
    fs::write(site.path("handset.conf"), conf.replace("/sip.conf", "/pbx/etc/sip.conf") + &ami)
        .unwrap();
    site.run();
    site.check("ph4", FILE_C, false);
    site.handset(&["open", "203"]);
    boot_c(&site.net);
    let proved = |site: &Site| site.log().contains("proved: it runs this");
    site.until("it is proved", proved);
    site.handset(&["close", "203"]);
    site.check("ph4", FILE_C, true);
    site.check("ph4", FILE_A, false);
    site.stop_asterisk();
    let down = |site: &Site| site.handset(&["status"]).contains("Asterisk down");
    site.until("the session is down", down);
    site.check("ph4", FILE_C, true);
    site.stop();
    site.run();
    site.check("ph4", FILE_C, true);
    site.check("ph4", FILE_A, false);
    site.check("ph1", FILE_C, false);
}
