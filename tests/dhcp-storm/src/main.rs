//! Load for DHCP servers that answer desk phones, and the comparison of several of them. `README.md` says
//! what each mode is for.

mod bench;
mod engine;
mod packet;
#[allow(dead_code, reason = "shared with storm")]
#[path = "../../storm/src/procstat.rs"]
mod procstat;
#[allow(dead_code, reason = "shared with storm")]
#[path = "../../storm/src/running.rs"]
mod running;
#[allow(dead_code, reason = "shared with storm")]
#[path = "../../storm/src/stats.rs"]
mod stats;
#[allow(dead_code, reason = "shared with storm")]
#[path = "../../storm/src/sys.rs"]
mod sys;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use engine::{Load, Way};
use procstat::Server;

/// The MAC of the first phone.
pub(crate) const FIRST_MAC: u64 = 0x0050_5600_0000;

/// What a 7940 says of itself.
pub(crate) const CLASS: &str = "Cisco Systems, Inc. IP Phone CP-7940G";

/// Load for DHCP servers that answer desk phones
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// So many phones at a time, as fast as it goes; nothing is said twice
    Closed {
        #[command(flatten)]
        target: Target,
        #[arg(long, default_value_t = 10_000)]
        clients: usize,
        #[arg(long, default_value_t = 50)]
        at_once: usize,
    },
    /// What is lost at so many new phones a second
    Rate {
        #[command(flatten)]
        target: Target,
        #[arg(long, default_value_t = 1000.0)]
        rate: f64,
        #[arg(long, default_value_t = 4.0)]
        seconds: f64,
    },
    /// Phones after a power cut: they repeat after 4, 8, 16 s
    Storm {
        #[command(flatten)]
        target: Target,
        #[arg(long, default_value_t = 1000)]
        clients: usize,
        #[arg(long, default_value_t = 0)]
        ramp_ms: u64,
    },
    /// handsetd and its rivals in turn, medians and ratios; `run` makes the namespaces
    Bench(bench::Options),
}

#[derive(Args)]
struct Target {
    /// The server
    #[arg(long, default_value = "127.0.0.1:67")]
    server: SocketAddrV4,
    /// The local address that is the relay's
    #[arg(long, default_value = "127.0.0.2:67")]
    relay: SocketAddrV4,
    /// What options 66 and 150 must say [default: the server]
    #[arg(long)]
    boot: Option<Ipv4Addr>,
    /// The server is in a network of your own, not on a loopback address
    #[arg(long)]
    private: bool,
    /// Measure this process and its descendants
    #[arg(long)]
    server_pid: Option<u32>,
    /// Take the CPU time of this cgroup
    #[arg(long)]
    server_cgroup: Option<PathBuf>,
    /// Seconds after which the run is cut off
    #[arg(long, default_value_t = 90)]
    max_s: u64,
}

impl Target {
    fn run(self, way: Way, clients: usize) -> io::Result<()> {
        if !self.server.ip().is_loopback() && !self.private {
            let why = format!("{} is no loopback address: --private if it is yours", self.server);
            return Err(io::Error::other(why));
        }
        let boot = self.boot.unwrap_or(*self.server.ip());
        let load = Load {
            most_ns: self.max_s * 1_000_000_000,
            ..load(way, clients, self.server, self.relay, boot)
        };
        let (pid, cgroup, port) = (self.server_pid, self.server_cgroup, self.server.port());
        let report = engine::run(&load, Server { pid, cgroup, port })?;
        println!("{}", serde_json::to_string(&report)?);
        Ok(())
    }
}

/// A load as phones are: those of a storm repeat, the others do not.
pub(crate) fn load(
    way: Way,
    clients: usize,
    server: SocketAddrV4,
    relay: SocketAddrV4,
    boot: Ipv4Addr,
) -> Load {
    let (patience, tries) =
        if matches!(way, Way::Storm(_)) { (4_000_000_000, 4) } else { (1_000_000_000, 1) };
    Load {
        way,
        clients,
        server,
        relay,
        boot,
        mac_base: FIRST_MAC,
        class: CLASS.to_owned(),
        patience,
        tries,
        most_ns: 90_000_000_000,
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().mode {
        Mode::Closed { target, clients, at_once } => target.run(Way::Closed(at_once), clients),
        Mode::Rate { target, rate, seconds } => {
            target.run(Way::Rate(rate), (rate * seconds.min(120.0)) as usize)
        }
        Mode::Storm { target, clients, ramp_ms } => {
            target.run(Way::Storm(ramp_ms * 1_000_000), clients)
        }
        Mode::Bench(options) => bench::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dhcp-storm: {error}");
            ExitCode::FAILURE
        }
    }
}
