//! `/metrics`: who may read it, and what stands there.

use std::process::Command;

use handset::daemon::http::Limits;
use handset::daemon::metrics::Facts;

use crate::lab::{Lab, body};

fn show(lab: &Lab, net: &str) {
    let nets = vec![net.parse().unwrap()];
    lab.metrics.show(Facts { nets, registered: 7, ..Facts::default() });
}

fn page(lab: &Lab) -> String {
    String::from_utf8(lab.raw(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")).unwrap()
}

#[test]
fn the_page_is_for_those_who_may_read_it_and_not_there_for_others() {
    let lab = Lab::start(Limits::default());
    assert_eq!(lab.status("GET /metrics"), "404", "before anything is known");
    show(&lab, "192.0.2.0/24");
    assert_eq!(lab.status("GET /metrics"), "404");
    show(&lab, "127.0.0.1/32");
    assert_eq!(lab.status("GET /metrics"), "200");
    assert_eq!(lab.status("HEAD /metrics"), "200");
    assert_eq!(lab.status("POST /metrics"), "405");
    let page = page(&lab);
    assert!(
        page.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{page}"
    );
    assert!(page.contains("\nhandset_phones_registered 7\n"), "{page}");
}

#[test]
fn files_that_were_fetched_are_counted() {
    let lab = Lab::start(Limits::default());
    show(&lab, "127.0.0.0/8");
    let url = format!("http://{}/SIPDefault.cnf", lab.address);
    let curl = Command::new("curl").args(["-s", &url]).output().unwrap();
    assert_eq!(curl.stdout, body(600));
    lab.report();
    assert_eq!(lab.status("GET /nothing"), "404");
    lab.report();
    let page = page(&lab);
    let has = |line: &str| assert!(page.lines().any(|one| one == line), "no {line:?} in {page}");
    has("handset_transfers_total{service=\"http\",outcome=\"complete\"} 1");
    has("handset_transfers_total{service=\"http\",outcome=\"not-found\"} 1");
    has("handset_transfer_bytes_total{service=\"http\"} 600");
    has("handset_transfers_total{service=\"tftp\",outcome=\"complete\"} 0");
}
