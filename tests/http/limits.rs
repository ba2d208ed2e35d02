//! Clients that are slow, many, or mean.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use handset::daemon::event::Outcome;
use handset::daemon::http::Limits;

use crate::lab::{BIG, Lab};

/// Whether the server has closed it; waits so long.
fn closes(stream: &mut TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            }
        }
    }
}

/// Waits until it holds.
fn until(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_slow_loris_is_cut_off_and_others_are_served_meanwhile() {
    let head = Duration::from_millis(1500);
    let lab = Lab::start(Limits { head, ..Limits::default() });
    let began = Instant::now();
    let mut slow: Vec<TcpStream> = (0..10).map(|_| lab.connect()).collect();
    // One header line after the other, never the end.
    for line in ["GET /logo.bmp HTTP/1.1\r\n", "Host: h\r\n", "X-a: b\r\n"] {
        slow.iter_mut().for_each(|s| s.write_all(line.as_bytes()).unwrap());
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(lab.status("GET /logo.bmp"), "200");
    }
    assert!(slow.iter_mut().all(|s| closes(s, Duration::from_secs(5))));
    assert!(began.elapsed() >= head && began.elapsed() < Duration::from_secs(8));
    until(|| lab.counters.garbage.load(Ordering::Relaxed) == 10);
}

#[test]
fn one_host_gets_its_share_of_connections_and_no_more() {
    let lab = Lab::start(Limits { per_host: 4, ..Limits::default() });
    let mut held: Vec<TcpStream> = (0..4).map(|_| lab.connect()).collect();
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..20 {
        assert!(closes(&mut lab.connect(), Duration::from_secs(5)));
    }
    assert_eq!(lab.counters.above_limit.load(Ordering::Relaxed), 20);
    assert!(!closes(&mut held[0], Duration::from_millis(100)), "those before stay");
    drop(held);
    until(|| lab.status("GET /logo.bmp") == "200");
}

#[test]
fn above_the_limit_of_all_connections_the_next_one_waits() {
    let limits = Limits { connections: 3, head: Duration::from_millis(500), ..Limits::default() };
    let lab = Lab::start(limits);
    let began = Instant::now();
    let held: Vec<TcpStream> = (0..3).map(|_| lab.connect()).collect();
    assert_eq!(lab.status("GET /logo.bmp"), "200", "after the silent ones were cut off");
    assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
    drop(held);
}

#[test]
fn a_client_that_takes_nothing_loses_its_answer() {
    let limits = Limits { stall: Duration::from_secs(1), ..Limits::default() };
    let lab = Lab::start(limits);
    let mut stream = lab.connect();
    stream.write_all(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(lab.report().outcome, Outcome::TimedOut);
    // A slow one that goes on reading does not.
    let mut stream = lab.connect();
    stream.write_all(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let (mut all, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            length => all += length,
        }
        std::thread::sleep(Duration::from_millis(if all < BIG / 2 { 150 } else { 0 }));
    }
    drop(stream);
    assert!(all > BIG);
    assert_eq!(lab.report().outcome, Outcome::Complete);
}

#[test]
fn no_connection_lasts_for_ever() {
    let limits = Limits { total: Duration::from_secs(1), ..Limits::default() };
    let lab = Lab::start(limits);
    let mut stream = lab.connect();
    stream.write_all(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut buffer = [0; 64];
    let began = Instant::now();
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
        std::thread::sleep(Duration::from_millis(20));
        if began.elapsed() > Duration::from_millis(2500) {
            break;
        }
    }
    assert_eq!(lab.report().outcome, Outcome::TimedOut);
}

#[test]
fn garbage_and_giants_are_turned_away() {
    let lab = Lab::start(Limits { head: Duration::from_secs(2), ..Limits::default() });
    let check = |request: &[u8], expected: &[&str]| {
        let answer = lab.raw(request);
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).unwrap_or("");
        let shown = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
        assert!(expected.contains(&status), "{shown}: {answer}");
    };
    check(b"\x00\x01\x02\xff\r\n\r\n", &["400", ""]);
    check(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &["400", ""]);
    check(b"GET\r\n\r\n", &["400", ""]);
    check(b"GET /logo.bmp HTTP/9.9\r\n\r\n", &["400", "505", ""]);
    check(b"GET /logo.bmp HTTP/1.0\r\n\r\n", &["200"]);
    check(format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(4000)).as_bytes(), &["404"]);
    check(
        format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(100_000)).as_bytes(),
        &["414", "431", ""],
    );
    check(
        format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1000)).as_bytes(),
        &["431", "400", ""],
    );
    check(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(100_000)).as_bytes(), &["431", ""]);
    // A body is not wanted, and not waited for.
    check(b"GET /logo.bmp HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n", &["200"]);
    check(
        b"GET /logo.bmp HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\nx",
        &["200"],
    );
    // The second of two requests in one packet is not answered.
    let two = b"GET /sub/ring.pcm HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2);
    let answer = String::from_utf8_lossy(&lab.raw(&two)).into_owned();
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert_eq!(lab.status("GET /logo.bmp"), "200");
}

#[test]
fn a_stop_lets_answers_end_and_waits_for_nobody_else() {
    let limits = Limits { stop: Duration::from_secs(3), ..Limits::default() };
    let lab = Lab::start(limits);
    let silent = lab.connect();
    let mut running = lab.connect();
    running.write_all(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut buffer = [0; 1000];
    running.read_exact(&mut buffer).unwrap();
    lab.shutdown.cancel();
    let mut rest = Vec::new();
    running.read_to_end(&mut rest).unwrap();
    assert!(rest.len() + 1000 > BIG, "{} of {BIG}", rest.len());
    drop(running);
    let began = Instant::now();
    lab.ends_within(Duration::from_secs(2));
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(lab.report().outcome, Outcome::Complete);
    drop(silent);
    assert!(TcpStream::connect(lab.address).is_err());
}

#[test]
fn a_stop_ends_answers_that_nobody_takes() {
    let limits = Limits { stop: Duration::from_millis(500), ..Limits::default() };
    let lab = Lab::start(limits);
    let mut stuck = lab.connect();
    stuck.write_all(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    stuck.read_exact(&mut [0; 1000]).unwrap();
    lab.shutdown.cancel();
    lab.ends_within(Duration::from_secs(3));
    assert!(matches!(lab.report().outcome, Outcome::Failed(_)));
}
