//! What a phone asks of DHCP and of TFTP is one story, and its lease says whose requests they are.

use std::fs::File;

use nix::sched::{CloneFlags, setns};

use crate::clients::{CLASS, PHONE, relayed, udhcpc};
use crate::phone::Phone;
use crate::site::{SCOPE, SOON, Site};

/// Fetches a file over TFTP from an address of a host.
fn fetch(site: &Site, host: &str, from: Option<&str>, name: &str) -> Vec<u8> {
    let mut command = site.inside(host, "curl");
    command.args(["-s", "-m", "20"]);
    if let Some(from) = from {
        command.args(["--interface", from]);
    }
    command.arg(format!("tftp://10.66.0.1/{name}")).output().unwrap().stdout
}

fn told_in_order(story: &str, steps: &[&str]) {
    let mut lines = story.lines();
    for step in steps {
        assert!(
            lines.any(|line| line.contains(step)),
            "{step:?} is not there, or not here:\n{story}"
        );
    }
}

fn story(site: &Site, last: &str) -> String {
    let words = ["trace", PHONE, "--since", "1h", "--no-follow"];
    site.until(last, |site| site.handset(&words).contains(last));
    site.handset(&words)
}

#[test]
fn a_lease_and_the_files_behind_it_are_one_story() {
    let peer = "[201] ;MAC=0018b9ffffff\ntype=friend\nhost=dynamic\nsecret=x\n";
    let wish = "[general]\nunknown_file=yes\n";
    let site = Site::start(&[PHONE], &format!("[dhcp]\nmode=phones\n{SCOPE}{wish}"), peer);
    let (out, said) = udhcpc(&site, "ph1", &["-q", "-V", CLASS]);
    assert!(out.status.success(), "{out:?} {}", site.log());
    let had = said.lines().find_map(|line| line.strip_prefix("ip=")).unwrap().to_owned();
    // No name has a MAC in it: the lease tells who it is.
    assert!(fetch(&site, "ph1", None, "OS79XX.TXT").is_empty());
    assert!(!fetch(&site, "ph1", None, "SIPDefault.cnf").is_empty());
    let shown = String::from_utf8(fetch(&site, "ph1", None, "SIP0018B9000001.cnf")).unwrap();
    assert!(shown.contains("line2_shortname: \"not assigned\""), "{shown} {}", site.log());
    let told = story(&site, "SIP0018B9000001.cnf");
    print!("{told}");
    let offered = format!("DHCP: is offered {had}");
    let given = format!("DHCP: is given {had}");
    let steps = [
        "00:18:b9:00:00:01 starts (not tagged",
        "  DHCP: looks for a server",
        &offered,
        "  DHCP: asks for",
        &given,
        "  asks for OS79XX.TXT: not there",
        "  fetches SIPDefault.cnf: ",
        "  fetches SIP0018B9000001.cnf: ",
    ];
    told_in_order(&told, &steps);
    assert_eq!(told.matches(" starts (").count(), 1, "{told}");

    let listed = site.handset(&["unknown"]);
    print!("{listed}");
    for text in [
        "00:18:b9:00:00:01 Cisco 7960 (cisco-79x0)",
        &format!("calls itself \"{CLASS}\" (DHCP)"),
        &format!(" at {had} on eth0"),
        "write ;MAC=00:18:b9:00:00:01 model=7960, or: handset adopt 00:18:b9:00:00:01 PEER",
    ] {
        assert!(listed.contains(text), "{text}: {listed}");
    }
}

#[test]
fn a_phone_without_a_tag_shows_its_mac_and_registers_nowhere() {
    let peer = "[201] ;MAC=0018b9ffffff\ntype=friend\nhost=dynamic\nsecret=x\n";
    let wish = "[general]\nunknown_file=yes\n";
    let site = Site::start(&[PHONE], &format!("[dhcp]\nmode=phones\n{SCOPE}{wish}"), peer);
    let (out, said) = udhcpc(&site, "ph1", &["-q", "-V", CLASS]);
    assert!(out.status.success(), "{out:?} {}", site.log());
    let had = said.lines().find_map(|line| line.strip_prefix("ip=")).unwrap().parse().unwrap();
    let space = File::open(format!("/run/netns/{}.ph1", site.net)).unwrap();
    let booting = std::thread::spawn(move || {
        setns(space, CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mac = [0, 0x18, 0xb9, 0, 0, 1];
            let server = "10.66.0.1:69".parse().unwrap();
            let config = simphone::Config::new(mac, simphone::Model::M7940, had, server);
            let phone = simphone::spawn(config).await;
            let shows = |state: &simphone::State| {
                let value = |key: &str| state.flash.values().get(key).cloned().unwrap_or_default();
                value("line1_shortname") == "0018B9000001"
                    && value("line2_shortname") == "not assigned"
            };
            phone.wait(SOON, shows).await.unwrap();
            let history = phone.history();
            let refused = history
                .iter()
                .filter(|report| matches!(report.event, simphone::Event::Refused { .. }));
            assert_eq!(refused.count(), 0, "{history:?}");
            // Time to register in, which it must not.
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            assert_eq!(phone.stop(false).await.registrations, 0);
        });
    });
    booting.join().unwrap();
}

#[test]
fn a_phone_behind_a_relay_is_known_by_its_lease_also_for_names_without_a_mac() {
    let images = tempfile::tempdir().unwrap();
    for name in ["P0S3-05-3-00.bin", "P003-8-11-00.sbn", "P0S3-8-11-00.sb2"] {
        std::fs::write(images.path().join(name), simphone::image(name)).unwrap();
    }
    let list = simphone::list("P0S3-8-11-00", "P003-8-11-00");
    std::fs::write(images.path().join("P0S3-8-11-00.loads"), list).unwrap();
    let root = images.path().display();
    let site = relayed(&format!("root={root}\n[cisco-79x0]\nfirmware=P0S3-8-11-00\n"));
    let phone = Phone::at(&site, "ph2", PHONE);
    (0..5).find_map(|_| phone.boot()).expect("a lease");
    site.ip("ph2", "addr add 10.67.0.7/24 dev eth0");
    site.ip("ph2", "addr add 10.67.0.8/24 dev eth0");
    site.ip("ph2", "route add default via 10.67.0.254");
    let sync = String::from_utf8(fetch(&site, "ph2", Some("10.67.0.7"), "syncinfo.xml")).unwrap();
    assert!(sync.contains("SYNC="), "{sync} {}", site.log());
    assert!(fetch(&site, "ph2", Some("10.67.0.8"), "syncinfo.xml").is_empty());
    let told = story(&site, "syncinfo.xml");
    // Names of two phones were asked for from both addresses: only the lease tells who asks.
    let list = |from: &str| {
        for mac in ["0018B9000001", "0018B9000077"] {
            fetch(&site, "ph2", Some(from), &format!("SEP{mac}.cnf"));
        }
        fetch(&site, "ph2", Some(from), "OS79XX.TXT")
    };
    let step = b"P0S3-05-3-00\r\n";
    site.until("it is told its first step", |_| list("10.67.0.7") == step);
    assert!(list("10.67.0.8").is_empty());
    told_in_order(&told, &["starts (peer 201", "DHCP: is given 10.67.0.7", "fetches syncinfo.xml"]);
}
