//! handsetd and its rivals in turn. Every repetition goes through all servers, so that a noisy machine hits
//! all alike; each run has a fresh server without a lease, in a cgroup of its own.

mod server;
mod table;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::engine::{self, Report, Way};
use crate::load;
use server::Kind;

/// The server's address, and that of the relay with the phones.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 254, 0, 1);
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 254, 0, 2);
const PORT: u16 = 67;

#[derive(Args)]
pub(crate) struct Options {
    /// handsetd, built for release
    #[arg(long)]
    handsetd: PathBuf,
    /// The network namespace where servers run; its interface ds0 has 10.254.0.1/16
    #[arg(long)]
    namespace: PathBuf,
    /// A shared object that gives the servers with a `+` a 16 MiB receive buffer
    #[arg(long)]
    buffer: Option<PathBuf>,
    /// Where configurations and leases are: on a disk
    #[arg(long)]
    work: PathBuf,
    /// Every result is added to this file, one JSON object a line
    #[arg(long)]
    out: PathBuf,
    /// Series: closed, storm, rate
    #[arg(long, value_delimiter = ',', default_value = "closed,storm,rate")]
    only: Vec<String>,
    /// Servers; with a `+` they get a larger receive buffer
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "handset,kea,kea+,kea-mt+,dnsmasq,dnsmasq+,dhcpd,dhcpd-delayed-ack"
    )]
    servers: Vec<String>,
    #[arg(long, default_value_t = 3)]
    reps: usize,
    /// Phones of the series `closed`
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// Go on without servers that are not installed
    #[arg(long)]
    without_missing: bool,
}

/// One run.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    pub(crate) server: String,
    pub(crate) rep: usize,
    pub(crate) report: Report,
}

/// Runs the benchmark and prints the tables.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let mut kinds = server::kinds(options)?;
    let mut out = OpenOptions::new().create(true).append(true).open(&options.out)?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    for rep in 0..options.reps {
        for (name, way, clients) in plan(options) {
            for kind in &kinds {
                let report = once(kind, way, clients)?;
                let outcome =
                    Outcome { scenario: name.clone(), server: kind.name.clone(), rep, report };
                println!("{}", table::line(&outcome));
                writeln!(out, "{}", serde_json::to_string(&outcome)?)?;
                outcomes.push(outcome);
            }
        }
        kinds.rotate_left(1);
    }
    println!("{}", table::all(&outcomes));
    if options.only.iter().any(|only| only == "rate") {
        rates(options, &kinds, &outcomes)?;
    }
    Ok(())
}

fn plan(options: &Options) -> Vec<(String, Way, usize)> {
    let wanted = |series: &str| options.only.iter().any(|only| only == series);
    let mut all = Vec::new();
    if wanted("closed") {
        let few = options.clients / 10;
        all.push((format!("{few} phones, one at a time"), Way::Closed(1), few));
        let many = options.clients;
        all.push((format!("{many} phones, 50 at a time"), Way::Closed(50), many));
    }
    if wanted("storm") {
        all.push(("storm: 1000 at once".to_owned(), Way::Storm(0), 1000));
        all.push(("storm: 5000 in 5 s".to_owned(), Way::Storm(5_000_000_000), 5000));
    }
    all
}

fn once(kind: &Kind, way: Way, clients: usize) -> io::Result<Report> {
    let mut running = kind.start()?;
    let server = SocketAddrV4::new(SERVER, PORT);
    let relay = SocketAddrV4::new(RELAY, PORT);
    server::answers(&kind.name, &mut running, server, relay)?;
    running.calm();
    let most_ns = if matches!(way, Way::Closed(_)) { 30 } else { 90 } * 1_000_000_000;
    let load = engine::Load { most_ns, ..load(way, clients, server, relay, SERVER) };
    let report = engine::run(&load, running.cost(PORT))?;
    running.stop();
    if report.leases == 0 {
        let why = format!("{} gave no lease: nothing was measured", kind.name);
        return Err(io::Error::other(why));
    }
    Ok(report)
}

/// The highest steady rate at which less than 1 % is lost: halving the interval six times.
fn rates(options: &Options, kinds: &[Kind], outcomes: &[Outcome]) -> io::Result<()> {
    println!(
        "### highest rate with less than 1 % lost, 4 s each\n\n| server | leases/s |\n|---|---|"
    );
    for kind in kinds {
        let mut found = Vec::new();
        for _ in 0..options.reps {
            let seen = outcomes.iter().filter(|o| o.server == kind.name);
            let best = seen.map(|o| o.report.leases_per_s).fold(0.0, f64::max);
            let (mut low, mut high) = (0.0, if best > 0.0 { best * 1.3 } else { 6000.0 });
            for step in 0..6 {
                let rate: f64 = if step == 0 { high } else { f64::midpoint(low, high) };
                let way = Way::Rate(rate.max(1.0));
                let held = once(kind, way, (rate * 4.0) as usize)?.lost_percent < 1.0;
                *(if held { &mut low } else { &mut high }) = rate;
                if held && step == 0 {
                    break;
                }
            }
            found.push(low);
        }
        let (least, most) = (
            found.iter().copied().fold(f64::MAX, f64::min),
            found.iter().copied().fold(0.0, f64::max),
        );
        println!("| {} | {:.0} ({least:.0}-{most:.0}) |", kind.name, crate::stats::median(found));
    }
    Ok(())
}
