//! Files: whole, in part, unchanged, not there.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use handset::daemon::event::Outcome;
use handset::daemon::http::Limits;

use crate::lab::{BIG, Lab, PHONE, body};

/// Runs curl; the status and the fields of the answer in lower case, and its body.
fn curl(lab: &Lab, args: &[&str], path: &str) -> (String, Vec<u8>) {
    let out = lab.dir.path().join("out");
    let _ = std::fs::remove_file(&out);
    let url = format!("http://{}{path}", lab.address);
    let run = Command::new("curl")
        .args(["-sS", "--max-time", "20", "--path-as-is", "-D", "-", "-o"])
        .arg(&out)
        .args(args)
        .arg(&url)
        .stdin(Stdio::null())
        .output();
    let run = run.unwrap_or_else(|error| panic!("curl: {error} (make setup installs it)"));
    assert!(run.status.success(), "{url} {args:?}: {run:?}");
    let head = String::from_utf8(run.stdout).unwrap();
    (head.to_lowercase(), std::fs::read(&out).unwrap_or_default())
}

fn field(head: &str, name: &str) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
}

#[test]
fn curl_gets_every_file_whole_and_the_end_is_told() {
    let lab = Lab::start(Limits::default());
    let files = [
        ("/SIPDefault.cnf", body(600), "text/plain"),
        ("/SIPDefault%2Ecnf?x=../..", body(600), "text/plain"),
        ("/dialplan.xml", b"<DIALTEMPLATE/>".to_vec(), "text/xml"),
        ("/empty.cnf", Vec::new(), "text/plain"),
        ("/big.bin", body(BIG), "application/octet-stream"),
        ("/P0S3-8-12-00.sb2", body(1 << 20), "application/octet-stream"),
        ("/logo.bmp", body(1000), "image/bmp"),
        ("/sub/ring.pcm", body(3), "application/octet-stream"),
    ];
    for (path, bytes, media) in files {
        let (head, got) = curl(&lab, &[], path);
        assert!(head.starts_with("http/1.1 200") && got == bytes, "{path}: {head}");
        assert_eq!(field(&head, "content-type"), media);
        assert_eq!(field(&head, "content-length"), bytes.len().to_string());
        assert_eq!(
            (field(&head, "connection"), field(&head, "accept-ranges")),
            ("close".into(), "bytes".into())
        );
        let told = lab.report();
        assert_eq!((told.outcome, told.bytes), (Outcome::Complete, bytes.len() as u64), "{path}");
        assert_eq!(
            told.ticket.is_some(),
            !path.contains("sub/") && !head.contains("last-modified")
        );
        assert!(
            told.asker.ip().is_loopback() && told.name.ends_with(&path[path.len() - 3..])
                || path.contains('?')
        );
    }
    assert!(lab.no_report());
}

#[test]
fn head_tells_the_same_without_the_bytes() {
    let lab = Lab::start(Limits::default());
    for path in ["/SIPDefault.cnf", "/big.bin", "/P0S3-8-12-00.sb2"] {
        let (whole, _) = curl(&lab, &[], path);
        assert_eq!(lab.report().outcome, Outcome::Complete);
        let (head, _) = curl(&lab, &["--head"], path);
        let without_date = |head: &str| {
            head.lines().filter(|l| !l.starts_with("date:")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(without_date(&head), without_date(&whole), "{path}");
    }
    let answer = lab.raw(b"HEAD /SIPDefault.cnf HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\n"));
    assert!(lab.no_report(), "nothing was transferred");
}

#[test]
fn a_part_is_a_part_and_no_transfer() {
    let lab = Lab::start(Limits::default());
    for path in ["/SIPDefault.cnf", "/logo.bmp"] {
        let length = if path == "/logo.bmp" { 1000 } else { 600 };
        let whole = body(length);
        let check = |range: &str, from: usize, to: usize| {
            let (head, got) = curl(&lab, &["-r", range], path);
            assert!(
                head.starts_with("http/1.1 206") && got == whole[from..to],
                "{path} {range} {head}"
            );
            assert_eq!(field(&head, "content-range"), format!("bytes {from}-{}/{length}", to - 1));
        };
        check("0-0", 0, 1);
        check("100-199", 100, 200);
        check("590-", 590, length);
        check("-5", length - 5, length);
        assert!(lab.no_report());
        let (head, got) = curl(&lab, &["-r", "5000-"], path);
        assert!(head.starts_with("http/1.1 416") && got.is_empty(), "{head}");
        assert_eq!(field(&head, "content-range"), format!("bytes */{length}"));
        // Two parts, and a condition that does not hold: all of it.
        let tag = field(&curl(&lab, &["-I"], path).0, "etag");
        let (head, got) = curl(&lab, &["-r", "0-1,4-5"], path);
        assert!(head.starts_with("http/1.1 200") && got == whole);
        let (head, got) = curl(&lab, &["-r", "0-1", "-H", "If-Range: \"other\""], path);
        assert!(head.starts_with("http/1.1 200") && got == whole);
        assert_eq!(
            (lab.report().outcome, lab.report().outcome),
            (Outcome::Complete, Outcome::Complete)
        );
        let (head, got) = curl(&lab, &["-r", "0-1", "-H", &format!("If-Range: {tag}")], path);
        assert!(head.starts_with("http/1.1 206") && got == whole[..2]);
    }
}

#[test]
fn what_is_unchanged_is_not_sent_again() {
    let lab = Lab::start(Limits::default());
    for path in ["/SIPDefault.cnf", "/logo.bmp"] {
        let (head, _) = curl(&lab, &[], path);
        let tag = field(&head, "etag");
        lab.report();
        let same = format!("If-None-Match: \"x\", {tag}");
        let (head, got) = curl(&lab, &["-H", &same], path);
        assert!(head.starts_with("http/1.1 304") && got.is_empty(), "{head}");
        assert_eq!(field(&head, "etag"), tag);
        let (head, _) = curl(&lab, &["-H", "If-None-Match: \"x\""], path);
        assert!(head.starts_with("http/1.1 200"));
        lab.report();
    }
    let (head, _) = curl(&lab, &["-I"], "/logo.bmp");
    let changed = field(&head, "last-modified").replace("gmt", "GMT");
    let since =
        |date: &str| curl(&lab, &["-H", &format!("If-Modified-Since: {date}")], "/logo.bmp").0;
    assert!(since(&changed).starts_with("http/1.1 304"));
    assert!(since("Sun, 06 Nov 1994 08:49:37 GMT").starts_with("http/1.1 200"));
    let tag = field(&head, "etag");
    std::fs::write(lab.dir.path().join("root/logo.bmp"), "another").unwrap();
    assert_ne!(field(&curl(&lab, &["-I"], "/logo.bmp").0, "etag"), tag);
}

#[test]
fn nothing_else_is_reached_in_any_spelling() {
    let lab = Lab::start(Limits::default());
    let up = [
        "..",
        "%2e%2e",
        "%2E%2e",
        ".%2e",
        "%2e.",
        "%252e%252e",
        "..%00",
        "%c0%ae%c0%ae",
        "..%c0%af",
    ];
    let slash = ["/", "%2f", "%2F", "%5c", "\\", "%255c", "%252f", "%c0%af"];
    let mut paths: Vec<String> = Vec::new();
    for (up, slash) in up.iter().flat_map(|up| slash.iter().map(move |slash| (up, slash))) {
        for tail in ["secret", "etc/passwd"] {
            paths.push(format!("/{up}{slash}{tail}"));
            paths.push(format!("/sub{slash}{up}{slash}{up}{slash}{tail}"));
            paths.push(format!("/root{slash}{up}{slash}{tail}"));
        }
    }
    let more = [
        "/",
        "//",
        "/.",
        "/./logo.bmp",
        "//logo.bmp",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/etc/passwd",
        "/sub",
        "/sub/",
        "/sub//ring.pcm",
        "/link-out",
        "/logo.bmp%00",
        "/logo.bmp%00.cnf",
        "/logo.bmp/",
        "/logo.bmp%0d%0aX:%20y",
        "/%",
        "/%zz",
        "/file:///etc/passwd",
        "/own.cnf",
        "/%2e",
        "/services/",
        "/services/../logo.bmp",
        "/logo.bmp?x=1/../..",
        "/~root",
    ];
    paths.extend(more.map(str::to_owned));
    for path in &paths {
        let status = lab.status(&format!("GET {path}"));
        let fine =
            if path.contains('?') { status == "200" } else { status == "404" || status == "400" };
        assert!(fine, "{path}: {status}");
        let told = lab.report_within(std::time::Duration::from_secs(5));
        let outcome = told.map(|told| told.outcome);
        let whole = path.contains('?');
        assert!(
            status == "400"
                || outcome == Some(if whole { Outcome::Complete } else { Outcome::NotFound }),
            "{path}: {outcome:?}"
        );
    }
    assert_eq!(lab.status("GET http://elsewhere/logo.bmp"), "200", "as to a proxy");
    assert_eq!(lab.status("GET http://elsewhere//etc/passwd"), "404");
    assert_eq!(lab.status("GET *"), "404");
}

#[test]
fn a_phone_gets_its_own_variant() {
    let lab = Lab::start(Limits::default());
    let address = PHONE.to_string();
    let (head, got) = curl(&lab, &["--interface", &address], "/own.cnf");
    assert!(head.starts_with("http/1.1 200") && got == b"own");
    let told = lab.report();
    assert_eq!((told.asker.ip().to_string(), told.outcome), (address, Outcome::Complete));
    assert_eq!(told.ticket.unwrap().mac.unwrap().to_string(), "00:18:b9:00:00:01");
    assert!(told.agent.unwrap().starts_with("curl/"));
    let long = "CP-7960\u{e4}".repeat(40);
    assert!(curl(&lab, &["-A", &long], "/own.cnf").0.starts_with("http/1.1 404"));
    let told = lab.report();
    assert_eq!(told.outcome, Outcome::NotFound);
    let agent = told.agent.unwrap();
    assert!(agent.starts_with("CP-7960??CP-7960") && agent.len() < 140, "{agent}");
}

#[test]
fn nothing_is_written() {
    let lab = Lab::start(Limits::default());
    for method in ["PUT", "POST", "DELETE", "OPTIONS", "PROPFIND", "TRACE"] {
        assert_eq!(lab.status(&format!("{method} /logo.bmp")), "405", "{method}");
        assert!(matches!(lab.report().outcome, Outcome::Refused(why) if why.contains(method)));
        assert_eq!(lab.status(&format!("{method} /services")), "405", "{method}");
    }
    let request = b"PUT /logo.bmp HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nnew";
    assert!(lab.raw(request).starts_with(b"HTTP/1.1 405"));
    assert_eq!(std::fs::read(lab.dir.path().join("root/logo.bmp")).unwrap(), body(1000));
}

/// A client that asks for a large file, reads so much, and then does something.
fn half(lab: &Lab, read: usize) -> std::net::TcpStream {
    let mut stream = lab.connect();
    stream.write_all(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut buffer = vec![0; read];
    stream.read_exact(&mut buffer).unwrap();
    stream
}

#[test]
fn only_a_client_that_read_to_the_end_and_closed_has_it_complete() {
    let limits = Limits { linger: std::time::Duration::from_millis(300), ..Limits::default() };
    let lab = Lab::start(limits);
    // Gone in the middle.
    drop(half(&lab, 1000));
    assert!(matches!(lab.report().outcome, Outcome::Aborted(..)));
    // Half closed at once, and then gone.
    let stream = half(&lab, 1000);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    drop(stream);
    assert!(matches!(lab.report().outcome, Outcome::Aborted(..)));
    // A small file lies in the client's kernel, unread, when it closes: a reset.
    let mut stream = lab.connect();
    stream.write_all(b"GET /SIPDefault.cnf HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    drop(stream);
    assert!(matches!(lab.report().outcome, Outcome::Aborted(..)));
    // Everything was sent, and the client says nothing.
    let mut stream = lab.connect();
    stream.write_all(b"GET /SIPDefault.cnf HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(lab.report().outcome, Outcome::Unconfirmed);
    drop(stream);
    // Read to the end, then closed.
    let mut answer = Vec::new();
    half(&lab, 1).read_to_end(&mut answer).unwrap();
    assert_eq!(lab.report().outcome, Outcome::Complete);
}
