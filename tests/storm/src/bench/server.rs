//! Which servers there are, and when one of them answers.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::site::Site;
use super::{Options, SERVER};
use crate::proto::{self, Packet, RRQ};
use crate::running::Running;
use crate::sys::{receive, udp};

/// A server that can be started.
pub(super) struct Kind {
    pub(super) name: String,
    command: Vec<String>,
    /// Given to the rivals: a receive buffer as large as handsetd's.
    preload: Option<PathBuf>,
}

/// The servers that were asked for; one that is missing is an error.
pub(super) fn kinds(options: &Options, site: &Site) -> io::Result<Vec<Kind>> {
    let all = site.all().display().to_string();
    let rival = |program: &str, arguments: &str| {
        let path = options.rivals.join(program);
        if !path.exists() {
            let why = format!("{} is missing: run tests/storm/rivals", path.display());
            return Err(io::Error::other(why));
        }
        let rest = arguments.split(' ').map(|word| word.replace("ROOT", &all));
        Ok([path.display().to_string()].into_iter().chain(rest).collect())
    };
    let kind = |name: &String| {
        let command = match name.as_str() {
            "handset" => {
                let (program, config) = (options.handsetd.display(), site.config());
                vec![program.to_string(), "--config".to_owned(), config.display().to_string()]
            }
            "dnsmasq" => rival(
                "dnsmasq",
                "-k --conf-file=/dev/null --port=0 --enable-tftp --tftp-root=ROOT --tftp-max=10000 \
                 --listen-address=127.0.0.1 --bind-interfaces --user=root --quiet-tftp \
                 --log-facility=/dev/null --pid-file=",
            )?,
            "atftpd" => rival(
                "atftpd",
                "--daemon --no-fork --port 69 --bind-address 127.0.0.1 --maxthread 10000 \
                 --user root --group root --logfile /dev/null --verbose=0 ROOT",
            )?,
            "tftpd" => rival("tftpd", "-i 127.0.0.1 -p 69 -d ROOT -r -q")?,
            "in.tftpd" => rival(
                "in.tftpd",
                "--listen --foreground --ipv4 --address 127.0.0.1:69 --secure --user root ROOT",
            )?,
            other => return Err(io::Error::other(format!("no server '{other}'"))),
        };
        let preload = options.buffer.clone().filter(|_| name != "handset");
        Ok(Kind { name: name.clone(), command, preload })
    };
    options.servers.iter().map(kind).collect()
}

impl Kind {
    pub(super) fn start(&self) -> io::Result<Running> {
        Running::start(&self.name, &self.command, self.preload.as_deref())
    }
}

/// Waits until a phone's file comes. Gives the milliseconds that it took.
pub(super) fn answers(running: &Running, site: &Site) -> io::Result<f64> {
    let name = format!("SIP{}.cnf", super::FIRST_MAC);
    let request = proto::request(RRQ, name.as_bytes(), &[]);
    let mut buffer = [0; 2048];
    while running.age() < Duration::from_secs(60) {
        let socket = udp(None, 0)?;
        let _ = socket.send_to(&request, SERVER);
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(1));
            let Some((length, from)) = receive(&socket, &mut buffer) else { continue };
            if let Packet::Data(..) = proto::parse(&buffer[..length]) {
                let took = running.age();
                let _ = socket.send_to(&proto::error(0, "only looking"), from);
                return Ok(took.as_secs_f64() * 1e3);
            }
        }
    }
    let all = site.all();
    Err(io::Error::other(format!("no answer to a request for {name} ({})", all.display())))
}
