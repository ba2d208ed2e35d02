//! The same over TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use handset::daemon::event::Outcome;
use handset::daemon::http::{Limits, acceptor};

use crate::lab::{BIG, Lab, body, certify};

fn curl(lab: &Lab, args: &[&str], path: &str) -> Output {
    let run = Command::new("curl")
        .args(["-sS", "--max-time", "20", "--cacert"])
        .arg(lab.dir.path().join("certificate.pem"))
        .args(args)
        .arg(format!("https://{}{path}", lab.tls_address))
        .stdin(Stdio::null())
        .output();
    run.unwrap_or_else(|error| panic!("curl: {error} (make setup installs it)"))
}

#[test]
fn files_and_pages_come_encrypted_too_and_their_end_is_told() {
    let lab = Lab::start_with(Limits::default(), true);
    for (path, bytes) in [("/SIPDefault.cnf", body(600)), ("/big.bin", body(BIG))] {
        for version in ["--tlsv1.3", "--tls-max=1.2"] {
            let args: Vec<&str> = version.split('=').collect();
            let got = curl(&lab, &args, path);
            assert!(
                got.status.success() && got.stdout == bytes,
                "{path} {version} {:?}",
                got.stderr
            );
            assert_eq!(lab.report().outcome, Outcome::Complete, "{path} {version}");
        }
    }
    let page = String::from_utf8(curl(&lab, &[], "/services").stdout).unwrap();
    assert!(page.contains(&format!("<URL>https://{}/directory</URL>", lab.tls_address)), "{page}");
    assert!(lab.status("GET /SIPDefault.cnf") == "200", "and as before without");
    assert_eq!(lab.report().outcome, Outcome::Complete);
}

#[test]
fn who_breaks_off_has_nothing_complete() {
    let lab = Lab::start_with(Limits::default(), true);
    let got = curl(&lab, &["--max-filesize", "1000"], "/big.bin");
    assert!(!got.status.success());
    assert!(matches!(lab.report().outcome, Outcome::Aborted(..)));
}

#[test]
fn plain_requests_and_silence_end_on_time() {
    let head = Duration::from_millis(500);
    let lab = Lab::start_with(Limits { head, ..Limits::default() }, true);
    let began = Instant::now();
    for sent in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"", b"\x16\x03\x01\xff\xff"] {
        let mut stream = TcpStream::connect(lab.tls_address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(sent).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"));
    }
    assert!(began.elapsed() < Duration::from_secs(4));
    // A stop waits for no handshake.
    let _silent = TcpStream::connect(lab.tls_address).unwrap();
    lab.shutdown.cancel();
    lab.ends_within(Duration::from_secs(1));
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_without_its_content() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(path);
    certify(&a, &b);
    certify(&c, &d);
    assert!(acceptor(&a, &b).is_ok());
    for (certificate, key) in [(&a, &d), (&path("none"), &b), (&a, &path("none")), (&a, &a)] {
        let error = acceptor(certificate, key).err().unwrap().to_string();
        assert!(error.contains(dir.path().to_str().unwrap()) && error.len() < 200, "{error}");
        assert!(!error.contains("BEGIN") && !error.contains("MI"), "{error}");
    }
}
