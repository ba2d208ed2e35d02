//! The TFTP service on loopback: fetched by real clients byte for byte, and by sockets of our own
//! that behave as bad phones, bad networks and bad people do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod tftp_faults;
mod tftp_lab;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use handset::base::FileName;
use handset::daemon::event::Outcome;
use handset::daemon::tftp::Limits;
use handset::wire::tftp::{Bounds, Pace, Packet};
use tftp_lab::{ASKED, Lab, Phone, body};

/// Sizes around the borders of blocks.
const SIZES: [usize; 8] = [0, 1, 511, 512, 513, 1024, 1428, 20_000];

/// Runs a client for at most 20 s in `dir`.
fn run(dir: &Path, program: &str, arguments: &str) -> Output {
    let child = Command::new(program)
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("{program}: {error} (needs the packages tftp-hpa atftp curl busybox)")
    });
    let until = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("{program} {arguments} hangs: {output:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

/// Fetches every file with a client, whose arguments have `NAME`, `HOST` and `PORT` in them and
/// write to `got`, and compares every byte.
fn check_client(program: &str, arguments: &str) {
    let lab = Lab::start(Limits::default());
    let dir = tempfile::tempdir().unwrap();
    let static_names = ["static/P0S3-8-12-00.sb2", "/./static/P0S3-8-12-00.sb2"];
    let names = SIZES.iter().map(|size| format!("size-{size}"));
    for name in names.chain(static_names.map(str::to_owned)) {
        let output = run(dir.path(), program, &arguments_for(&lab, arguments, &name));
        let got = fs::read(dir.path().join("got"));
        let got = got.unwrap_or_else(|error| panic!("{program} {name}: {error}, {output:?}"));
        let same = got == lab.content(&name);
        assert!(same, "{program} {arguments} {name}: {} bytes, {output:?}", got.len());
        fs::remove_file(dir.path().join("got")).unwrap();
        let transfer = lab.report();
        assert_eq!(transfer.outcome, Outcome::Complete);
        // curl takes the dot out itself.
        assert_eq!(canonical(&transfer.name), canonical(&name));
        assert_eq!(transfer.bytes, got.len() as u64);
        assert_eq!(transfer.ticket.is_some(), name.starts_with("size"));
    }
    assert!(lab.no_report());
}

fn canonical(name: &str) -> FileName {
    FileName::requested(name.as_bytes()).unwrap()
}

fn arguments_for(lab: &Lab, arguments: &str, name: &str) -> String {
    let port = lab.port().to_string();
    arguments.replace("NAME", name).replace("HOST", ASKED).replace("PORT", &port)
}

#[test]
fn tftp_hpa_fetches_every_byte() {
    check_client("tftp", "-4 -m binary HOST PORT -c get NAME got");
}

#[test]
fn atftp_fetches_every_byte_without_options() {
    check_client("atftp", "--get --remote-file NAME --local-file got HOST PORT");
}

#[test]
fn atftp_fetches_every_byte_with_options() {
    for options in ["blksize:8", "blksize:1428", "blksize:65464", "tsize:", "timeout:3"] {
        // Eight bytes a block make 130,000 round trips of the large file.
        let (name, value) = options.split_once(':').unwrap();
        if value == "8" {
            let lab = Lab::start(Limits::default());
            let dir = tempfile::tempdir().unwrap();
            let get = "--get --remote-file size-513 --local-file got HOST PORT";
            fetch_with_option(&lab, dir.path(), "blksize 8", get);
            assert_eq!(fs::read(dir.path().join("got")).unwrap(), lab.content("size-513"));
            continue;
        }
        check_atftp(&format!("{name} {value}"));
    }
}

#[test]
fn atftp_fetches_every_byte_in_windows() {
    check_atftp("windowsize 8");
}

/// As [`check_client`] for an option of atftp, which has a blank in it.
fn check_atftp(option: &str) {
    let lab = Lab::start(Limits::default());
    let dir = tempfile::tempdir().unwrap();
    for name in ["size-0", "size-512", "size-20000", "static/P0S3-8-12-00.sb2"] {
        let get = "--get --remote-file NAME --local-file got HOST PORT".replace("NAME", name);
        let output = fetch_with_option(&lab, dir.path(), option, &get);
        let got = fs::read(dir.path().join("got")).unwrap();
        assert!(got == lab.content(name), "{option} {name}: {} bytes, {output:?}", got.len());
        fs::remove_file(dir.path().join("got")).unwrap();
        assert_eq!(lab.report().outcome, Outcome::Complete);
    }
}

fn fetch_with_option(lab: &Lab, dir: &Path, option: &str, arguments: &str) -> Output {
    // The blank inside an argument does not survive the splitting: a shell keeps it.
    let arguments = arguments_for(lab, arguments, "");
    fs::write(dir.join("fetch"), format!("exec atftp --option '{option}' {arguments}\n")).unwrap();
    assert!(Path::new("/usr/bin/atftp").exists(), "atftp is missing (package atftp)");
    run(dir, "sh", "fetch")
}

#[test]
fn curl_fetches_every_byte_with_and_without_options() {
    check_client("curl", "-sS -o got tftp://HOST:PORT/NAME");
    check_client("curl", "-sS --tftp-blksize 1428 -o got tftp://HOST:PORT/NAME");
    check_client("curl", "-sS --tftp-blksize 40000 -o got tftp://HOST:PORT/NAME");
    check_client("curl", "-sS --tftp-no-options -o got tftp://HOST:PORT/NAME");
}

#[test]
fn busybox_fetches_every_byte_with_and_without_options() {
    check_client("busybox", "tftp -g -r NAME -l got HOST PORT");
    check_client("busybox", "tftp -b 1024 -g -r NAME -l got HOST PORT");
}

#[test]
fn netascii_arrives_as_text() {
    let lab = Lab::start(Limits::default());
    let dir = tempfile::tempdir().unwrap();
    let text = lab.content("text");
    let mut on_the_wire = Vec::new();
    for byte in &text {
        match byte {
            b'\n' => on_the_wire.extend_from_slice(b"\r\n"),
            b'\r' => on_the_wire.extend_from_slice(b"\r\0"),
            other => on_the_wire.push(*other),
        }
    }
    let get = "-4 -m ascii HOST PORT -c get NAME got";
    run(dir.path(), "tftp", &arguments_for(&lab, get, "text"));
    assert!(fs::read(dir.path().join("got")).unwrap() == text, "tftp-hpa");
    let transfer = lab.report();
    assert_eq!((transfer.outcome, transfer.bytes), (Outcome::Complete, on_the_wire.len() as u64));
    // curl keeps what is on the wire.
    let get = "-sS -B -o got tftp://HOST:PORT/NAME";
    run(dir.path(), "curl", &arguments_for(&lab, get, "text"));
    assert!(fs::read(dir.path().join("got")).unwrap() == on_the_wire, "curl");
}

#[test]
fn clients_are_told_at_once_that_a_file_is_missing() {
    let lab = Lab::start(Limits::default());
    let dir = tempfile::tempdir().unwrap();
    for (program, arguments) in [
        ("tftp", "-4 -m binary HOST PORT -c get NAME got"),
        ("atftp", "--get --remote-file NAME --local-file got HOST PORT"),
        ("curl", "-sS -o got tftp://HOST:PORT/NAME"),
        ("busybox", "tftp -g -r NAME -l got HOST PORT"),
    ] {
        let began = Instant::now();
        let output = run(dir.path(), program, &arguments_for(&lab, arguments, "CTLSEP.tlv"));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).to_lowercase();
        // Some versions of curl hide the text behind another; their exit code is the message.
        let told = said.contains("not found") || output.status.code() == Some(68);
        assert!(told, "{program}: {said}");
        assert!(began.elapsed() < Duration::from_secs(2), "{program} was kept waiting");
        assert_eq!(lab.report().outcome, Outcome::NotFound);
    }
}

#[test]
fn writes_are_refused_at_once() {
    let lab = Lab::start(Limits::default());
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log"), "x").unwrap();
    for (program, arguments) in [
        ("tftp", "-4 -m binary HOST PORT -c put log size-1"),
        ("atftp", "--put --remote-file size-1 --local-file log HOST PORT"),
        ("curl", "-sS -T log tftp://HOST:PORT/size-1"),
        ("busybox", "tftp -p -r size-1 -l log HOST PORT"),
    ] {
        let began = Instant::now();
        let output = run(dir.path(), program, &arguments_for(&lab, arguments, ""));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).to_lowercase();
        let told = said.contains("access violation") || output.status.code() == Some(69);
        assert!(told, "{program}: {said}");
        assert!(began.elapsed() < Duration::from_secs(2), "{program} was kept waiting");
        let transfer = lab.report();
        assert!(matches!(transfer.outcome, Outcome::Refused(_)), "{transfer:?}");
        assert_eq!(transfer.name, "size-1");
    }
}

#[test]
fn nothing_outside_the_root_is_given() {
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    for name in [
        "../secret",
        "static/../../secret",
        "/etc/passwd",
        "static/link-out",
        "static/link-out-dir/secret",
        "static//../secret",
        "static/%2e%2e/secret",
        "static/..\\secret",
        "static",
        "static/",
        "static/.",
        "static/fifo",
        "",
    ] {
        phone.request(&lab, name, "octet", "");
        assert_eq!(phone.hears(), "ERROR 1 file not found", "{name:?}");
        assert_eq!(lab.report().outcome, Outcome::NotFound);
    }
    phone.request(&lab, "static/link-inside", "octet", "");
    assert_eq!(phone.hears(), "DATA 1 (512)");
}

#[test]
fn answers_come_from_the_address_that_was_asked() {
    let lab = Lab::start(Limits::default());
    for asked in ["127.0.0.2", "127.0.0.3"] {
        let phone = Phone::new("127.0.0.9");
        for name in ["size-1", "missing"] {
            phone.request_at((asked, lab.port()), name, "octet", "");
            let (_, from) = phone.hears_from();
            assert_eq!(from.ip().to_string(), asked, "{name}");
        }
    }
}

#[test]
fn a_repeated_request_is_answered_by_the_same_transfer() {
    // The clock itself repeats nothing meanwhile.
    let pace = Pace { first: Duration::from_secs(9), ..quick() };
    let lab = Lab::start(Limits { pace, ..Limits::default() });
    let phone = Phone::new("127.0.0.1");
    for _ in 0..5 {
        phone.request(&lab, "size-513", "octet", "");
    }
    let (first, tid) = phone.hears_from();
    assert_eq!((first.as_str(), phone.silent_for(20)), ("DATA 1 (512)", true));
    std::thread::sleep(quick().least);
    phone.request(&lab, "size-513", "octet", "");
    assert_eq!(phone.hears_from(), (first, tid));
    phone.send(tid, Packet::Ack(1));
    assert_eq!(phone.hears_from(), ("DATA 2 (1)".to_owned(), tid));
    phone.send(tid, Packet::Ack(2));
    assert_eq!(lab.report().outcome, Outcome::Complete);
    assert!(lab.no_report());
    assert_eq!(lab.counters.repeated.load(Ordering::Relaxed), 5);
}

#[test]
fn another_request_from_the_same_port_replaces_the_transfer() {
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-513", "octet", "");
    let (_, old) = phone.hears_from();
    phone.request(&lab, "size-1", "octet", "");
    let (heard, new) = phone.hears_from();
    assert_eq!((heard.as_str(), new != old), ("DATA 1 (1)", true));
    let transfer = lab.report();
    assert_eq!(transfer.outcome, Outcome::Aborted(0, "asked for something else".to_owned()));
    phone.send(new, Packet::Ack(1));
    assert_eq!(lab.report().outcome, Outcome::Complete);
}

#[test]
fn who_asks_anew_from_one_port_right_after_its_last_ack_has_both_files() {
    let lab = Lab::start(Limits::default());
    let phones: Vec<_> = (0..4).map(|_| Phone::new("127.0.0.1")).collect();
    for (round, phone) in phones.iter().cycle().take(4000).enumerate() {
        phone.request(&lab, "size-1", "octet", "");
        let (heard, tid) = phone.hears_from();
        assert_eq!(heard, "DATA 1 (1)", "round {round}");
        phone.send(tid, Packet::Ack(1));
        phone.request(&lab, "size-0", "octet", "");
        let (heard, tid) = phone.hears_from();
        assert_eq!(heard, "DATA 1 (0)", "round {round}");
        phone.send(tid, Packet::Ack(1));
    }
    let outcomes: HashSet<_> = (0..8000).map(|_| lab.report().outcome.to_string()).collect();
    assert_eq!(outcomes, HashSet::from(["complete".to_owned()]));
}

#[test]
fn a_stranger_gets_error_5_and_the_transfer_goes_on() {
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-513", "octet", "");
    let (_, tid) = phone.hears_from();
    let stranger = Phone::new("127.0.0.5");
    stranger.send(tid, Packet::Error { code: 0, text: b"die" });
    stranger.send(tid, Packet::Ack(1));
    assert_eq!(stranger.hears_from(), ("ERROR 5 unknown transfer".to_owned(), tid));
    assert!(stranger.silent_for(50) && phone.silent_for(50));
    phone.send(tid, Packet::Ack(1));
    assert_eq!(phone.hears(), "DATA 2 (1)");
}

#[test]
fn a_clients_error_ends_its_transfer() {
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-513", "octet", "tsize 0");
    let (heard, tid) = phone.hears_from();
    assert_eq!(heard, "OACK tsize=513");
    phone.send(tid, Packet::Error { code: 8, text: b"only\r\nlooking\x1b[2J" });
    let outcome = lab.report().outcome;
    assert_eq!(outcome, Outcome::Aborted(8, "only??looking?[2J".to_owned()));
    assert!(phone.silent_for(50));
}

#[test]
fn a_silent_client_gets_four_packets() {
    let lab = Lab::start(Limits { pace: quick(), ..Limits::default() });
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-20000", "octet", "");
    for _ in 0..4 {
        assert_eq!(phone.hears(), "DATA 1 (512)");
    }
    let transfer = lab.report();
    assert_eq!((transfer.outcome, transfer.bytes), (Outcome::TimedOut, 0));
    assert!(phone.silent_for(100));
}

#[test]
fn a_client_that_disappeared_does_not_end_the_service() {
    let lab = Lab::start(Limits { pace: quick(), ..Limits::default() });
    for name in ["size-513", "missing"] {
        // Its port is closed: our answers come back as ICMP errors.
        Phone::new("127.0.0.1").request(&lab, name, "octet", "");
    }
    let outcomes = [lab.report().outcome, lab.report().outcome];
    assert!(outcomes.contains(&Outcome::TimedOut) && outcomes.contains(&Outcome::NotFound));
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-1", "octet", "");
    assert_eq!(phone.hears(), "DATA 1 (1)");
}

#[test]
fn odd_requests_get_an_error_and_garbage_gets_nothing() {
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    let refused = [
        (b"\0\x01size-1\0mail\0".to_vec(), "ERROR 4 mode not served"),
        (b"\0\x01size-1\0octet".to_vec(), "ERROR 4 request without a name and a mode"),
        ([&b"\0\x01"[..], &[b'a'; 700], b"\0octet\0"].concat(), "ERROR 4 request too long"),
        (b"\0\x02a\0octet\0".to_vec(), "ERROR 2 access violation: this server takes no files"),
    ];
    for (datagram, answer) in refused {
        phone.socket.send_to(&datagram, (ASKED, lab.port())).unwrap();
        assert_eq!(phone.hears(), answer);
        let transfer = lab.report();
        assert!(matches!(transfer.outcome, Outcome::Refused(_)) && transfer.name.len() <= 131);
    }
    let garbage =
        [&b""[..], b"\0", b"\0\x07", b"GET / HTTP/1.1\r\n\r\n", b"\0\x04\0\x01", b"\0\x05\0\0x\0"];
    for datagram in garbage {
        phone.socket.send_to(datagram, (ASKED, lab.port())).unwrap();
    }
    assert!(phone.silent_for(100) && lab.no_report());
    assert_eq!(lab.counters.garbage.load(Ordering::Relaxed), garbage.len() as u64);
}

#[test]
fn above_the_limit_there_is_silence_until_a_transfer_ends() {
    for limits in
        [Limits { per_host: 2, ..Limits::default() }, Limits { transfers: 2, ..Limits::default() }]
    {
        let by_host = limits.per_host == 2;
        let lab = Lab::start(limits);
        let phones = [(); 3].map(|()| Phone::new("127.0.0.1"));
        let tids = [0, 1].map(|i| {
            phones[i].request(&lab, "size-1024", "octet", "");
            let (_, tid) = phones[i].hears_from();
            phones[i].send(tid, Packet::Ack(1));
            assert_eq!(phones[i].hears(), "DATA 2 (512)");
            tid
        });
        phones[2].request(&lab, "size-1", "octet", "");
        assert!(phones[2].silent_for(100));
        let other = Phone::new("127.0.0.7");
        other.request(&lab, "size-1", "octet", "");
        assert_eq!(other.silent_for(100), !by_host);
        phones[0].send(tids[0], Packet::Error { code: 0, text: b"enough" });
        assert!(matches!(lab.report().outcome, Outcome::Aborted(0, _)));
        phones[2].request(&lab, "size-1", "octet", "");
        assert_eq!(phones[2].hears(), "DATA 1 (1)");
    }
}

#[test]
fn in_a_full_house_who_never_acknowledged_makes_room() {
    let lab = Lab::start(Limits { transfers: 2, ..Limits::default() });
    let [phone, silent, third] = ["127.0.0.1", "127.0.0.5", "127.0.0.6"].map(Phone::new);
    phone.request(&lab, "size-513", "octet", "");
    let (_, tid) = phone.hears_from();
    phone.send(tid, Packet::Ack(1));
    assert_eq!(phone.hears(), "DATA 2 (1)");
    silent.request(&lab, "size-513", "octet", "");
    assert_eq!(silent.hears(), "DATA 1 (512)");
    third.request(&lab, "size-1", "octet", "");
    assert_eq!(third.hears(), "DATA 1 (1)");
    let transfer = lab.report();
    assert_eq!(transfer.asker, silent.socket.local_addr().unwrap());
    assert_eq!(transfer.outcome, Outcome::TimedOut);
    phone.send(tid, Packet::Ack(2));
    assert_eq!(lab.report().outcome, Outcome::Complete);
}

#[test]
fn no_windows_flow_to_an_address_that_has_not_acknowledged() {
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-20000", "octet", "windowsize 64 blksize 1000");
    assert_eq!(phone.hears(), "OACK windowsize=16 blksize=1000");
    assert!(phone.silent_for(100));
}

#[test]
fn the_stop_lets_transfers_finish_and_reads_no_more_requests() {
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-513", "octet", "");
    let (_, tid) = phone.hears_from();
    lab.shutdown.cancel();
    std::thread::sleep(Duration::from_millis(50));
    let late = Phone::new("127.0.0.1");
    late.request(&lab, "size-1", "octet", "");
    assert!(late.silent_for(50));
    phone.send(tid, Packet::Ack(1));
    assert_eq!(phone.hears(), "DATA 2 (1)");
    phone.send(tid, Packet::Ack(2));
    assert_eq!(lab.report().outcome, Outcome::Complete);
    lab.ends_within(Duration::from_secs(1));
}

#[test]
fn the_stop_does_not_wait_for_the_silent() {
    let lab = Lab::start(Limits { stop: Duration::from_millis(100), ..Limits::default() });
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-513", "octet", "");
    phone.hears();
    lab.shutdown.cancel();
    assert_eq!(lab.report().outcome, Outcome::Failed("the service stopped".to_owned()));
    lab.ends_within(Duration::from_secs(1));
}

#[test]
fn a_core_that_does_not_listen_delays_no_phone() {
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    const ALL: u64 = 22_000;
    for _ in 0..ALL {
        phone.request(&lab, "missing", "octet", "");
        assert_eq!(phone.hears(), "ERROR 1 file not found");
    }
    let more = || lab.report_within(Duration::from_millis(600));
    let heard = (0..ALL).take_while(|_| more().is_some()).count() as u64;
    let lost = lab.counters.unreported.load(Ordering::Relaxed);
    assert!(lost > 0 && lost < 4000, "{lost} were counted as lost");
    assert_eq!(heard + lost, ALL);
}

#[test]
fn two_hundred_phones_at_once_get_every_byte() {
    let lab = Lab::start(Limits::default());
    std::thread::scope(|scope| {
        let lab = &lab;
        for host in 1..=200 {
            scope.spawn(move || {
                let phone = Phone::new(&format!("127.0.1.{host}"));
                let got = phone.fetch(lab, "size-20000", "");
                assert!(got == body(20_000));
            });
        }
    });
    assert!((0..200).all(|_| lab.report().outcome == Outcome::Complete));
}

/// Patience in hundredths.
fn quick() -> Pace {
    Pace {
        first: Duration::from_millis(30),
        least: Duration::from_millis(20),
        most: Duration::from_millis(100),
        ..Pace::default()
    }
}

#[test]
fn block_sizes_follow_the_limits() {
    let bounds = Bounds { block: 600, window: 1 };
    let lab = Lab::start(Limits { bounds, ..Limits::default() });
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-20000", "octet", "blksize 1428 windowsize 8");
    assert_eq!(phone.hears(), "OACK blksize=600 windowsize=1");
}

#[test]
fn no_block_is_larger_than_the_path_takes() {
    // The loopback device carries 65,536 bytes, its heads take 32.
    let lab = Lab::start(Limits::default());
    let phone = Phone::new("127.0.0.1");
    phone.request(&lab, "size-20000", "octet", "blksize 65464 windowsize 9");
    assert_eq!(phone.hears(), "OACK blksize=65464 windowsize=2");
}
