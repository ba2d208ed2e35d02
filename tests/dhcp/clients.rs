//! Real clients: they get, renew, give back and are refused; a relay; several networks.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use handset::wire::dhcp::{Kind, option};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::phone::Phone;
use crate::site::{SCOPE, Site};

pub(crate) const CLASS: &str = "Cisco Systems, Inc. IP Phone CP-7960G";
const LAPTOP: &str = "02:00:00:00:00:02";
pub(crate) const PHONE: &str = "00:18:b9:00:00:01";

/// The network behind the relay, and the phone in it.
const FAR: &str = "[dhcp 10.67.0.0/24]\npool=10.67.0.100-10.67.0.110\nrouter=10.67.0.254\n";
const PEER: &str = "[201] ;MAC=0018b9000001 ip=10.67.0.7\ntype=friend\nhost=dynamic\nsecret=x\n";

/// busybox udhcpc, which writes what it was told into a file; more arguments of its own.
pub(crate) fn udhcpc(site: &Site, host: &str, more: &[&str]) -> (Output, String) {
    let (mut command, said) = udhcpc_command(site, host, &[&["-n"], more].concat());
    let out = command.output().expect("busybox (make setup)");
    (out, fs::read_to_string(said).unwrap_or_default())
}

fn udhcpc_command(site: &Site, host: &str, more: &[&str]) -> (Command, PathBuf) {
    let script = site.path("udhcpc");
    let said = site.path(&format!("{host}.said"));
    let text = format!(
        "#!/bin/sh\ncase $1 in bound|renew)\n  (echo event=$1; env) >> {}\n  ip addr flush dev $interface\n  \
         ip addr add $ip/$mask dev $interface;;\nnak) echo event=nak >> {};;\nesac\n",
        said.display(),
        said.display()
    );
    fs::write(&script, text).unwrap();
    let _ = fs::remove_file(&said);
    run_mode(&script);
    let args = ["udhcpc", "-i", "eth0", "-f", "-O", "66", "-O", "150", "-O", "42", "-s"];
    let mut command = site.inside(host, "busybox");
    command.args(args).arg(&script).args(more);
    (command, said)
}

fn run_mode(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_phone_is_served_and_a_laptop_is_never_answered_in_mode_phones() {
    let dhcp = format!("[dhcp]\nmode=phones\n{SCOPE}");
    let site = Site::start(&[PHONE, LAPTOP], &dhcp, "");
    let (out, said) = udhcpc(&site, "ph1", &["-q", "-V", CLASS]);
    assert!(out.status.success(), "{out:?} {}", site.log());
    for word in [
        "siaddr=10.66.0.1",
        "tftp=10.66.0.1",
        "opt150=0a420001",
        "router=10.66.0.254",
        "domain=lab.example",
        "subnet=255.255.255.0",
        "lease=43200",
        "ntpsrv=10.66.0.1",
    ] {
        assert!(said.contains(word), "{word} in {said}");
    }
    for more in
        [&["-q", "-t", "2", "-T", "1"][..], &["-q", "-t", "2", "-T", "1", "-r", "192.168.1.9"]]
    {
        let (out, said) = udhcpc(&site, "ph2", more);
        assert!(!out.status.success() && said.is_empty(), "{out:?} {said}");
        assert!(!String::from_utf8_lossy(&out.stderr).contains("nak"), "{out:?}");
    }
    let leases = site.leases();
    assert!(leases.len() == 1 && leases[0].contains(PHONE), "{leases:?}");
}

#[test]
fn udhcpc_renews_and_gives_its_address_back() {
    let site = Site::start(&[PHONE], &format!("[dhcp]\nmode=full\n{SCOPE}"), "");
    let (mut client, said) = udhcpc_command(&site, "ph1", &[]);
    let mut client = client.spawn().unwrap();
    let signal = |which| kill(Pid::from_raw(i32::try_from(client.id()).unwrap()), which).unwrap();
    let event = |what: &str| {
        site.until(what, |_| fs::read_to_string(&said).unwrap_or_default().contains(what));
    };
    event("event=bound");
    let first = site.leases();
    signal(Signal::SIGUSR1);
    event("event=renew");
    assert_eq!(site.leases(), first);
    signal(Signal::SIGUSR2);
    site.until("it was given back", |site| site.leases().iter().all(|l| l.ends_with("released")));
    fs::remove_file(&said).unwrap();
    signal(Signal::SIGUSR1);
    event("event=bound");
    assert_eq!(site.leases(), first);
    signal(Signal::SIGTERM);
    client.wait().unwrap();
}

#[test]
fn dhclient_gets_reboots_and_gives_back() {
    let site = Site::start(&[PHONE], &format!("[dhcp]\nmode=full\n{SCOPE}"), "");
    let dir = site.path("").display().to_string();
    let script = site.path("dhclient-script");
    let text = "#!/bin/sh\ncase $reason in BOUND|RENEW|REBIND|REBOOT)\n  \
                ip addr replace $new_ip_address/24 dev $interface;;\nesac\n";
    fs::write(&script, text).unwrap();
    run_mode(&script);
    fs::write(site.path("dhclient.conf"), "timeout 10;\nrequest subnet-mask, routers;\n").unwrap();
    let dhclient = |more: &[&str]| {
        let files = ["-cf", "dhclient.conf", "-lf", "dhclient.leases", "-pf", "dhclient.pid"];
        let files: Vec<String> = files
            .iter()
            .map(|w| if w.starts_with('-') { (*w).to_owned() } else { format!("{dir}/{w}") })
            .collect();
        let mut command = site.inside("ph1", "dhclient");
        command.args(["-1", "-v", "-sf"]).arg(&script).args(&files).args(more).arg("eth0");
        command.output().expect("dhclient (make setup)")
    };
    fs::write(site.path("dhclient.leases"), "").unwrap();
    let out = dhclient(&[]);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && text.contains("bound to 10.66.0."), "{text} {}", site.log());
    let first = site.leases();
    let out = dhclient(&["-x"]);
    assert!(out.status.success(), "{out:?}");
    // It asks for the address that it had (INIT-REBOOT).
    let out = dhclient(&[]);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(text.contains("DHCPREQUEST") && !text.contains("DHCPDISCOVER"), "{text}");
    assert_eq!(site.leases(), first);
    let out = dhclient(&["-r"]);
    assert!(out.status.success(), "{out:?}");
    site.until("it was given back", |site| site.leases().iter().all(|l| l.ends_with("released")));
}

/// dhcpcd, once. Its folders are the site's: it keeps its lease there.
fn dhcpcd(site: &Site) -> String {
    let conf = site.path("dhcpcd.conf");
    fs::write(&conf, "ipv4only\nnoarp\nnogateway\nhostname\nclientid\n").unwrap();
    let kept = site.path("dhcpcd");
    fs::create_dir_all(&kept).unwrap();
    let script = "mkdir -p /var/lib/dhcpcd /run/dhcpcd && mount --bind \"$0\" /var/lib/dhcpcd && \
                  mount -t tmpfs none /run/dhcpcd && exec timeout 40 dhcpcd -4 -1 -t 30 -c /bin/true -f \"$1\" eth0";
    let mut command = site.inside("ph1", "sh");
    let out = command.args(["-c", script]).arg(&kept).arg(&conf).output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{text} (make setup installs dhcpcd) {}", site.log());
    text
}

#[test]
fn dhcpcd_gets_an_address_and_leaves_one_of_another_network_when_it_is_refused() {
    let mut site = Site::start(&[PHONE], &format!("[dhcp]\nmode=full\n{SCOPE}"), "");
    let text = dhcpcd(&site);
    assert!(text.contains("leased 10.66.0.1"), "{text}");
    assert!(dhcpcd(&site).contains("rebinding lease of 10.66.0.1"));
    // Its next boot finds the network renumbered.
    site.end(Signal::SIGTERM);
    site.ip("srv", "addr flush dev eth0");
    site.ip("srv", "addr add 10.66.0.1/32 dev eth0");
    site.ip("srv", "addr add 10.77.0.1/24 broadcast + dev eth0");
    let other = "[dhcp 10.77.0.0/24]\npool=10.77.0.100-10.77.0.110\n";
    site.configure(&format!("[dhcp]\nmode=full\n{other}"), "");
    site.run();
    let text = dhcpcd(&site);
    assert!(text.contains("leased 10.77.0.1"), "{text}");
    assert!(site.log().contains("NAK"), "{}", site.log());
}

#[test]
fn renewals_rebindings_and_wrong_wishes_of_a_phone_are_answered_as_they_must() {
    let site = Site::start(&[PHONE, LAPTOP], &format!("[dhcp]\nmode=phones\n{SCOPE}"), "");
    let phone = Phone::at(&site, "ph1", PHONE);
    let had = phone.boot().expect("a lease").yiaddr;
    site.ip("ph1", &format!("addr add {had}/24 dev eth0"));
    // To all, as when it rebinds; then to the server alone, as when it renews.
    let rebound = phone.ask(&phone.renewal(had)).expect("an answer");
    assert_eq!((rebound.kind, rebound.yiaddr), (Kind::Ack, had));
    phone.send_to(&phone.renewal(had), crate::site::SERVER);
    let renewed = phone.hear(Duration::from_secs(5)).expect("an answer");
    assert_eq!((renewed.kind, renewed.yiaddr), (Kind::Ack, had));
    let again = phone.ask(&phone.reboot(had)).expect("an answer");
    assert_eq!((again.kind, again.yiaddr), (Kind::Ack, had));
    for wrong in ["192.168.1.9", "10.66.1.9"] {
        let refused = phone.ask(&phone.reboot(wrong.parse().unwrap())).expect("an answer");
        assert_eq!(refused.kind, Kind::Nak, "{wrong}");
    }
    // Another phone wants the same address.
    let other = Phone::at(&site, "ph2", "00:18:b9:00:00:02");
    assert_eq!(other.ask(&other.reboot(had)).map(|m| m.kind), Some(Kind::Nak));
    assert_ne!(other.boot().expect("a lease").yiaddr, had);
    // A machine that is no phone is not refused anything.
    let mut laptop = Phone::at(&site, "ph2", LAPTOP);
    laptop.class = Some(b"MSFT 5.0".to_vec());
    laptop.send(&laptop.reboot("192.168.1.9".parse().unwrap()));
    laptop.send(&laptop.message(Kind::Discover));
    assert_eq!(laptop.hear(Duration::from_secs(2)), None);
}

/// A site with a relay, ph1, and behind it a phone, ph2, whose tag names 10.67.0.7; `more` stands behind the
/// settings of TFTP.
pub(crate) fn relayed(more: &str) -> Site {
    let macs = ["02:00:00:00:00:fe", PHONE];
    let mut site = Site::start(&macs, &format!("{more}[dhcp]\nmode=phones\n{SCOPE}{FAR}"), PEER);
    site.behind("ph2", "ph1");
    site.ip("ph1", "addr add 10.66.0.254/24 dev eth0");
    site.ip("ph1", "addr add 10.67.0.254/24 dev eth1");
    site.ip("srv", "route add 10.67.0.0/24 via 10.66.0.254");
    let relay = [
        "--keep-in-foreground",
        "--port=0",
        "--user=root",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--dhcp-relay=10.67.0.254,10.66.0.1",
    ];
    site.helper("ph1", "dnsmasq", &relay, "relay.log");
    site
}

#[test]
fn phones_behind_a_relay_get_addresses_of_their_network() {
    let site = relayed("");
    let phone = Phone::at(&site, "ph2", PHONE);
    let ack = (0..5).find_map(|_| phone.boot()).expect("a lease");
    assert_eq!(ack.yiaddr, Ipv4Addr::from([10, 67, 0, 7]));
    assert_eq!(ack.options.address(option::ROUTER), Some([10, 67, 0, 254].into()));
    // The lease says whose the address is, where the kernel cannot know it: the phone has its file.
    site.ip("ph2", "addr add 10.67.0.7/24 dev eth0");
    site.ip("ph2", "addr add 10.67.0.8/24 dev eth0");
    site.ip("ph2", "route add default via 10.67.0.254");
    let fetch = |from: &str| {
        let url = "tftp://10.66.0.1/SIP0018B9000001.cnf";
        let mut command = site.inside("ph2", "curl");
        let out = command.args(["-s", "-m", "20", "--interface", from, url]).output().unwrap();
        String::from_utf8_lossy(&out.stdout).contains("line1_password")
    };
    assert!(fetch("10.67.0.7"), "{}", site.log());
    assert!(!fetch("10.67.0.8"), "{}", site.log());
    // An address of the server's own network is wrong there.
    let refused = phone.ask(&phone.reboot("10.66.0.100".parse().unwrap())).expect("an answer");
    assert_eq!(refused.kind, Kind::Nak);
}

#[test]
fn without_privileges_but_its_port_the_service_answers_by_broadcast_and_sees_who_is_there() {
    let two = "[dhcp 10.66.0.0/24]\npool=10.66.0.100-10.66.0.101\n";
    let mut site = Site::network(&[PHONE, LAPTOP]);
    site.ip("ph2", "addr add 10.66.0.100/24 dev eth0");
    site.configure(&format!("[dhcp]\nmode=full\n{two}"), "");
    site.run_by(&["setpriv", "--bounding-set=-all,+net_bind_service"]);
    let (out, said) = udhcpc(&site, "ph1", &["-q"]);
    assert!(out.status.success() && said.contains("ip=10.66.0.101"), "{out:?} {}", site.log());
    assert!(site.log().contains("the neighbour table cannot be changed"), "{}", site.log());
}

#[test]
fn a_pool_that_is_used_up_is_told_of() {
    let small = "[dhcp 10.66.0.0/24]\npool=10.66.0.100-10.66.0.101\n";
    let site = Site::start(&[PHONE], &format!("[dhcp]\nmode=phones\n{small}"), "");
    let phones: Vec<Phone> =
        (1..=3).map(|n| Phone::at(&site, "ph1", &format!("00:18:b9:00:01:0{n}"))).collect();
    let first = phones[0].boot().unwrap().yiaddr;
    assert_ne!(phones[1].boot().unwrap().yiaddr, first);
    phones[2].send(&phones[2].message(Kind::Discover));
    assert_eq!(phones[2].hear(Duration::from_secs(2)), None);
    let words = "DHCP: no address is left in 10.66.0.0/24";
    site.until("it is told", |site| site.handset(&["status"]).contains(words));
    let mut release = phones[0].renewal(first);
    release.kind = Kind::Release;
    release.options.set(option::SERVER, [10, 66, 0, 1]);
    phones[0].send(&release);
    let third = phones[2].boot().expect("the address that was given back");
    assert_eq!(third.yiaddr, first);
}

#[test]
fn an_address_that_another_machine_has_is_not_given_and_the_others_do_not_wait() {
    let two = "[dhcp 10.66.0.0/24]\npool=10.66.0.100-10.66.0.101\n";
    let site = Site::start(&[PHONE, LAPTOP], &format!("[dhcp]\nmode=phones\n{two}"), "");
    site.ip("ph2", "addr add 10.66.0.100/24 dev eth0");
    let phone = Phone::at(&site, "ph1", PHONE);
    assert_eq!(phone.boot().expect("a lease").yiaddr, Ipv4Addr::from([10, 66, 0, 101]));
    let words = format!("10.66.0.100 was to be given and is in use by {LAPTOP}");
    assert!(site.handset(&["status"]).contains(&words), "{}", site.log());
}
