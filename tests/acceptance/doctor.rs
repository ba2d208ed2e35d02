//! `handset doctor` against a real Asterisk and the real daemon: what is well is not touched, and what was
//! broken is the first thing that it names.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use handset::control::State;

use crate::site::{SOON, Site, phones};

/// Everything that the doctor says, and its exit status.
#[track_caller]
fn doctor(site: &Site, args: &[&str], code: i32) -> String {
    let began = Instant::now();
    let out: Output = site.handset(&[&["doctor"], args].concat());
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(code), "{text}\n{:?}\n{}", out.stderr, site.log());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(!text.contains("hush-"), "{text}");
    text
}

/// The step and the code of the first broken step.
#[track_caller]
fn check(site: &Site, args: &[&str], step: &str, code: &str) -> String {
    let text = doctor(site, args, 1);
    let first = text.split("\nThe first broken step is ").nth(1).unwrap_or_default();
    let expected = format!("{step}.\n  {code}: ");
    assert!(first.starts_with(&expected) && first.contains("What to do: "), "{text}");
    text
}

async fn office(sections: &str) -> Site {
    let mut site = Site::prepare(&phones(2));
    site.sections = sections.into();
    site.run().await;
    site.until("it has read them", SOON, |site| {
        let status = site.status();
        status.phones.len() == 2 && status.reload == "loaded"
    })
    .await;
    site
}

fn certify(certificate: &Path, key: &Path) {
    let run = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=test"])
        .args([Path::new("-keyout"), key, Path::new("-out"), certificate])
        .output();
    let run = run.unwrap_or_else(|error| panic!("openssl: {error} (make setup installs it)"));
    assert!(run.status.success(), "{run:?}");
}

/// Asterisk loads what is on disk, and the daemon knows.
async fn reload(site: &Site) {
    site.asterisk("module reload chan_sip.so");
    site.until("it is loaded", SOON, |site| site.status().reload == "loaded").await;
}

async fn until_it_waits(site: &Site) {
    let waits = |site: &Site| {
        let status = site.status();
        status.held.is_none() && status.reload != "loaded"
    };
    site.until("the change waits", SOON, waits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_works_is_found_well_and_stays_as_it_is() {
    let http = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tls = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let pems = tempfile::tempdir().unwrap();
    let (certificate, key) = (pems.path().join("certificate.pem"), pems.path().join("key.pem"));
    certify(&certificate, &key);
    let (one, two) = (certificate.display(), key.display());
    let site =
        office(&format!("[http]\nlisten={http}\ntls_listen={tls}\ncertificate={one}\nkey={two}\n"))
            .await;
    let desk = site.boot(1).await;
    let before = site.asterisk("sip show peer 101");
    let text = doctor(&site, &["101"], 0);
    for words in [
        "configuration  ok           handset.conf and Asterisk's files: 2 phones, no error",
        "daemon         ok           handsetd ",
        "DHCP           not checked  127.0.0.1 is this machine alone",
        "SIPDefault.cnf",
        "SIP0018B9000001.cnf is given to this machine by trusted_nets, as rendered",
        "/directory is as it should be",
        "speaks TLS, with the certificate in the file",
        "SIP            ok           peer 101: Asterisk has the password of the phone's file",
        "AMI            ok           logged in",
        "Nothing that was checked is broken.",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    // The registration, its end apart, is what it was.
    let same = |text: &str| {
        let kept = |line: &&str| !line.contains("Expire") && !line.contains("Status");
        text.lines().filter(kept).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(same(&site.asterisk("sip show peer 101")), same(&before));
    assert_eq!(desk.state().boots, 1);
    assert_eq!(site.phone(1).state, State::Current);
    assert!(site.status().unknown.is_empty() && site.status().alerts.is_empty());

    // Renewed, and the daemon still has the old one.
    certify(&certificate, &key);
    let json = doctor(&site, &["--json"], 0);
    assert!(json.contains("H0932"), "{json}");
    let all: serde_json::Value = serde_json::from_str(&json).unwrap();
    let steps: Vec<&str> =
        all.as_array().unwrap().iter().filter_map(|f| f["step"].as_str()).collect();
    for step in ["configuration", "daemon", "dhcp", "tftp", "http", "sip", "ami", "clock"] {
        assert!(steps.contains(&step), "{json}");
    }
    let out = site.handset(&["doctor", "nobody"]);
    assert_eq!(out.status.code(), Some(1), "{out:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_is_broken_is_the_first_that_is_named() {
    let mut site = Site::prepare(&phones(2));
    site.general = "asterisk_reload=wait".into();
    site.run().await;
    reload(&site).await;

    // A secret that Asterisk has not loaded.
    site.edit("hush-101-hush", "hush-new-secret");
    until_it_waits(&site).await;
    let text = check(&site, &["101"], "SIP", "H0942");
    assert!(text.contains("peer 101: Asterisk refuses the password that is on disk"), "{text}");
    assert!(doctor(&site, &["102"], 0).contains("peer 102: Asterisk has the password"));
    site.edit("hush-new-secret", "hush-101-hush");
    reload(&site).await;

    // A peer that Asterisk has not loaded.
    site.save(&(site.sip_conf() + &crate::site::phone(3)));
    until_it_waits(&site).await;
    check(&site, &["103"], "SIP", "H0943");
    reload(&site).await;
    doctor(&site, &["103"], 0);

    // An account that may look only, one with a wrong secret, and no Asterisk at all.
    let config = std::fs::read_to_string(site.config()).unwrap();
    let account = |from: &str, to: &str| {
        assert!(config.contains(from), "{config}");
        std::fs::write(site.config(), config.replace(from, to)).unwrap();
    };
    account("provision\nsecret=lab-secret", "watcher\nsecret=lab-watcher");
    let text = check(&site, &["102"], "AMI", "H0952");
    assert!(
        text.contains("the account watcher may not send SIPnotify: the class system"),
        "{text}"
    );
    assert!(text.contains("write = system in the section [watcher] of manager.conf"), "{text}");
    account("lab-secret", "lab-wrong");
    check(&site, &["102"], "AMI", "H0951");
    std::fs::write(site.config(), &config).unwrap();
    site.stop_asterisk();
    let text = check(&site, &["102"], "SIP", "H0941");
    assert!(text.contains("AMI            broken       cannot connect"), "{text}");

    // No daemon: the first thing named is itself, then that nobody listens.
    site.kill();
    let text = check(&site, &["102"], "daemon", "H0906");
    assert!(text.contains("nobody listens on UDP port"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_of_chan_pjsip_stays_as_it_is() {
    let site = crate::pjsip::office(1).await;
    let desk = site.boot(1).await;
    let before = site.asterisk("pjsip show contacts");
    let text = doctor(&site, &["101"], 0);
    assert!(text.contains("peer 101: Asterisk has the password of the phone's file"), "{text}");
    assert!(text.contains("AMI            ok"), "{text}");
    let uri =
        |text: &str| text.split_whitespace().find(|w| w.contains("sip:101@")).map(str::to_owned);
    assert!(uri(&before).is_some(), "{before}");
    assert_eq!(uri(&site.asterisk("pjsip show contacts")), uri(&before));
    assert!(desk.state().all_registered());
}
