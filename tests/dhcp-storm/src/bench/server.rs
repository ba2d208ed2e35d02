//! Which servers there are, what each is told, and when it answers.

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Options, SERVER};
use crate::packet::{Ask, DISCOVER, OFFER, Reply};
use crate::running::Running;
use crate::sys::{receive, udp};
use crate::{CLASS, FIRST_MAC};

/// A server that can be started, each time without a lease.
pub(super) struct Kind {
    pub(super) name: String,
    program: PathBuf,
    namespace: PathBuf,
    preload: Option<PathBuf>,
    dir: PathBuf,
}

/// The servers that were asked for, without those that are not installed where that is allowed.
pub(super) fn kinds(options: &Options) -> io::Result<Vec<Kind>> {
    let mut all = Vec::new();
    for name in &options.servers {
        let program = match name.trim_end_matches('+') {
            "handset" => Some(options.handsetd.clone()).filter(|path| path.exists()),
            "kea" | "kea-mt" => installed("kea-dhcp4"),
            "dnsmasq" => installed("dnsmasq"),
            "dhcpd" | "dhcpd-delayed-ack" => installed("dhcpd"),
            other => return Err(io::Error::other(format!("no server '{other}'"))),
        };
        let Some(program) = program else {
            let what = format!("{name} is not installed: tests/dhcp-storm/rivals installs it");
            if !options.without_missing {
                return Err(io::Error::other(what));
            }
            println!("{what}; left out");
            continue;
        };
        let preload = options.buffer.clone().filter(|_| name.ends_with('+'));
        let (namespace, dir) = (options.namespace.clone(), options.work.join(name));
        all.push(Kind { name: name.clone(), program, namespace, preload, dir });
    }
    Ok(all)
}

fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    dirs.map(|dir| dir.join(program)).find(|path| path.is_file())
}

impl Kind {
    pub(super) fn start(&self) -> io::Result<Running> {
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir)?;
        }
        fs::create_dir_all(&self.dir)?;
        let dir = self.dir.canonicalize()?;
        let enter = format!("--net={}", self.namespace.display());
        let mut words = vec!["nsenter".to_owned(), enter];
        if self.name.starts_with("kea") {
            let pid = format!("KEA_PIDFILE_DIR={}", dir.display());
            words.extend(["env".to_owned(), "KEA_LOCKFILE_DIR=none".to_owned(), pid]);
        }
        words.push(self.program.display().to_string());
        words.extend(match self.name.trim_end_matches('+') {
            "handset" => handset(&dir)?,
            "kea" => kea(&dir, false)?,
            "kea-mt" => kea(&dir, true)?,
            "dnsmasq" => dnsmasq(&dir),
            "dhcpd" => dhcpd(&dir, "")?,
            _ => dhcpd(&dir, "delayed-ack 28;\nmax-ack-delay 250000;\n")?,
        });
        Running::start(&self.name, &words, self.preload.as_deref())
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// No phone is tagged: all are recognised by their vendor class.
fn handset(dir: &Path) -> io::Result<Vec<String>> {
    let at = dir.display();
    fs::write(dir.join("sip.conf"), "[general]\n[1000]\ntype = friend\nhost = dynamic\n")?;
    let text = format!(
        "[general]\nsip_conf = {at}/sip.conf\nserver_address = {SERVER}\ntimezone = Europe/Berlin\n\
         site_key = {at}/site.key\nstate_dir = {at}/state\ncontrol_socket = {at}/control\n\
         [dhcp]\nmode = full\nlease = 12h\n\
         [dhcp 10.254.0.0/16]\npool = 10.254.1.0-10.254.250.255\nrouter = {SERVER}\n"
    );
    fs::write(dir.join("handset.conf"), text)?;
    Ok(words(&format!("--config {at}/handset.conf")))
}

fn dnsmasq(dir: &Path) -> Vec<String> {
    words(&format!(
        "-k --port=0 --conf-file=/dev/null --interface=ds0 --bind-interfaces --user=root --pid-file= \
         --dhcp-range=10.254.1.0,10.254.250.255,255.255.0.0,12h --dhcp-lease-max=100000 \
         --dhcp-leasefile={}/leases --dhcp-authoritative --no-ping --quiet-dhcp --log-facility=/dev/null \
         --dhcp-option=66,{SERVER} --dhcp-option=150,{SERVER}",
        dir.display()
    ))
}

fn dhcpd(dir: &Path, more: &str) -> io::Result<Vec<String>> {
    fs::write(dir.join("leases"), "")?;
    let text = format!(
        "authoritative;\nping-check false;\nddns-update-style none;\ndefault-lease-time 43200;\n{more}\
         option tftp150 code 150 = array of ip-address;\n\
         subnet 10.254.0.0 netmask 255.255.0.0 {{\n  range 10.254.1.0 10.254.250.255;\n\
         option routers {SERVER};\n  option tftp-server-name \"{SERVER}\";\n  option tftp150 {SERVER};\n}}\n"
    );
    fs::write(dir.join("dhcpd.conf"), text)?;
    let at = dir.display();
    Ok(words(&format!("-f -4 -q -cf {at}/dhcpd.conf -lf {at}/leases --no-pid ds0")))
}

fn kea(dir: &Path, threads: bool) -> io::Result<Vec<String>> {
    let at = dir.display().to_string();
    let option = |name: &str| serde_json::json!({ "name": name, "data": SERVER.to_string() });
    let text = serde_json::json!({ "Dhcp4": {
        "interfaces-config": { "interfaces": ["ds0"], "dhcp-socket-type": "udp", "re-detect": false },
        "lease-database": {
            "type": "memfile", "persist": true, "name": format!("{at}/leases.csv"), "lfc-interval": 0
        },
        "multi-threading": {
            "enable-multi-threading": threads, "thread-pool-size": 2, "packet-queue-size": 64
        },
        "valid-lifetime": 43200,
        "option-def": [{ "name": "tftp150", "code": 150, "type": "ipv4-address", "array": true }],
        "option-data": [
            option("tftp-server-name"), option("routers"),
            { "name": "tftp150", "code": 150, "data": SERVER.to_string(), "always-send": true }
        ],
        "subnet4": [{
            "id": 1, "subnet": "10.254.0.0/16", "pools": [{ "pool": "10.254.1.0 - 10.254.250.255" }]
        }],
        "loggers": [{
            "name": "kea-dhcp4", "severity": "ERROR",
            "output_options": [{ "output": format!("{at}/kea.log") }]
        }]
    }});
    fs::write(dir.join("kea.json"), text.to_string())?;
    Ok(words(&format!("-c {at}/kea.json")))
}

/// Waits until a phone that is none of the others is offered an address.
pub(super) fn answers(
    name: &str,
    running: &mut Running,
    server: SocketAddrV4,
    relay: SocketAddrV4,
) -> io::Result<()> {
    let (mac, class) = (FIRST_MAC - 1, CLASS.as_bytes());
    let ask = Ask { kind: DISCOVER, xid: 1, mac, relay: *relay.ip(), chosen: None, class, secs: 0 };
    let (mut buffer, socket) = ([0; 2048], udp(Some(relay), 0)?);
    while running.age() < Duration::from_secs(30) && running.is_alive() {
        let _ = socket.send_to(&ask.bytes(), server);
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(10));
            let Some((length, _)) = receive(&socket, &mut buffer) else { continue };
            let reply = Reply::read(&buffer[..length]);
            if reply.is_some_and(|reply| reply.kind == OFFER && reply.mac == mac) {
                return Ok(());
            }
        }
    }
    Err(io::Error::other(format!("{name} offers nothing")))
}
