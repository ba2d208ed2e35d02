//! Beside another DHCP server, dnsmasq: it keeps its clients, and is told of when it sends phones elsewhere.

use crate::clients::udhcpc;
use crate::phone::Phone;
use crate::site::{SCOPE, Site};

const PHONE: &str = "00:18:b9:00:00:01";
const LAPTOP: &str = "02:00:00:00:00:02";
const OTHER: &str = "02:00:00:00:00:03";

/// dnsmasq on ph3, at 10.66.0.2.
fn dnsmasq(site: &mut Site, more: &[&str]) {
    site.ip("ph3", "addr add 10.66.0.2/24 dev eth0");
    let args = [
        "--keep-in-foreground",
        "--port=0",
        "--user=root",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--no-ping",
        "--dhcp-leasefile=/dev/null",
        "--dhcp-broadcast",
        "--dhcp-range=10.66.0.200,10.66.0.220,1h",
    ];
    site.helper("ph3", "dnsmasq", &[&args[..], more].concat(), "dnsmasq.log");
}

#[test]
fn another_server_on_the_link_keeps_its_clients() {
    let mut site =
        Site::start(&[PHONE, LAPTOP, OTHER], &format!("[dhcp]\nmode=phones\n{SCOPE}"), "");
    dnsmasq(&mut site, &["--dhcp-ignore=tag:!known", &format!("--dhcp-host={LAPTOP},10.66.0.201")]);
    // The phone that dnsmasq does not know is ours, the laptop is dnsmasq's, also when it comes back.
    let phone = Phone::at(&site, "ph1", PHONE);
    let ack = phone.boot().expect("a lease");
    assert!((100..=150).contains(&ack.yiaddr.octets()[3]));
    for more in [&["-q"][..], &["-q", "-r", "10.66.0.201"]] {
        let (out, said) = (0..5)
            .map(|_| udhcpc(&site, "ph2", more))
            .find(|(out, _)| out.status.success())
            .expect("dnsmasq answers");
        assert!(said.contains("ip=10.66.0.201"), "{out:?} {said}");
    }
    assert_eq!(site.leases().len(), 1);
}

#[test]
fn a_server_that_sends_phones_elsewhere_is_told_of() {
    for dhcp in [format!("[dhcp]\nmode=phones\n{SCOPE}"), "[dhcp]\nwatch=yes\n".to_owned()] {
        let mut site = Site::start(&[PHONE, LAPTOP, OTHER], &dhcp, "");
        dnsmasq(&mut site, &["--dhcp-option=150,10.66.0.9"]);
        let phone = Phone::at(&site, "ph1", PHONE);
        let words = format!("10.66.0.2 offers option 150 = 10.66.0.9 to {PHONE}: that is not us");
        let told = |site: &Site| {
            phone.send(&phone.message(handset::wire::dhcp::Kind::Discover));
            std::thread::sleep(std::time::Duration::from_millis(300));
            site.handset(&["status"]).contains(&words)
        };
        site.until("it is told of", told);
        assert!(!site.log().contains(&format!("to {LAPTOP}")));
        let json = site.handset(&["status", "--alerts"]);
        assert!(json.contains(&words), "{json}");
    }
}
