//! handsetd and its rivals in turn. Every repetition goes through all servers, so that a noisy machine
//! hits all alike; each run has a fresh server in a cgroup of its own.

mod plan;
mod server;
mod site;
mod table;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::engine::{self, Load, Patience};
use crate::files::{Expect, list};
use crate::{Report, abuse, measure};
use plan::{Scenario, What};
use server::Kind;
use site::Site;

/// The MAC of the first phone.
pub(crate) const FIRST_MAC: &str = "005056000000";

/// What stands in a file outside of every root.
pub(crate) const CANARY: &str = "root:x:0:0 canary";

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 69);

/// What a 7940 asks for at each boot.
const LIST: &str = include_str!("../lists/cisco-7940.txt");

#[derive(Args)]
pub(crate) struct Options {
    /// handsetd, built for release
    #[arg(long)]
    handsetd: PathBuf,
    /// The folder with the rivals' programs: dnsmasq, atftpd, in.tftpd, tftpd
    #[arg(long)]
    rivals: PathBuf,
    /// A shared object that gives the rivals a 16 MiB receive buffer, as handsetd has
    #[arg(long)]
    buffer: Option<PathBuf>,
    /// Where the site and the files are made
    #[arg(long)]
    work: PathBuf,
    /// Every result is added to this file, one JSON object a line
    #[arg(long)]
    out: PathBuf,
    /// Series: boot, cut, reload, loss, bulk, many, bulk-loss, abuse, slow
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "boot,reload,bulk,many,bulk-loss,abuse,slow"
    )]
    only: Vec<String>,
    /// Servers
    #[arg(long, value_delimiter = ',', default_value = "handset,dnsmasq,atftpd,tftpd,in.tftpd")]
    servers: Vec<String>,
    #[arg(long, default_value_t = 3)]
    reps: usize,
    /// Phones of the site
    #[arg(long, default_value_t = 5000)]
    phones: u64,
    /// Abuse the rivals too, not only handsetd
    #[arg(long)]
    abuse_all: bool,
}

/// One run.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Result {
    pub(crate) scenario: String,
    pub(crate) server: String,
    pub(crate) rep: usize,
    /// Milliseconds from the start of the process to the first DATA of a phone's file.
    pub(crate) first_answer_ms: f64,
    pub(crate) load: Option<Report>,
    pub(crate) abuse: Option<abuse::Outcome>,
}

/// Runs the benchmark and prints the tables.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let site = Site::make(&options.work, options.phones)?;
    let kinds = server::kinds(options, &site)?;
    let handset = kinds.iter().find(|kind| kind.name == "handset");
    let handset = handset.ok_or_else(|| io::Error::other("--servers without handset"))?;
    site.export(handset)?;
    let mut out = OpenOptions::new().create(true).append(true).open(&options.out)?;
    let mut results = Vec::new();
    for scenario in plan::scenarios(options) {
        for rep in 0..scenario.reps(options.reps) {
            let mut turn: Vec<_> =
                kinds.iter().filter(|kind| scenario.fits(kind, options)).collect();
            let first = rep % turn.len().max(1);
            turn.rotate_left(first);
            for kind in turn {
                let result = once(&scenario, kind, &site, rep)?;
                println!("{}", table::line(&result));
                note(&mut out, &result)?;
                results.push(result);
            }
        }
    }
    println!("{}", table::all(&results));
    Ok(())
}

/// Saves another edition as often as handsetd can follow, until the load is over; then the first one.
fn edit(site: &Site, load: &mpsc::Receiver<()>) {
    let mut edition = 0;
    while load.recv_timeout(Duration::from_millis(400)) == Err(RecvTimeoutError::Timeout) {
        edition += 1;
        if let Err(error) = site.save(edition) {
            eprintln!("cannot save sip.conf: {error}");
        }
    }
    if let Err(error) = site.save(0) {
        eprintln!("cannot save sip.conf: {error}");
    }
}

fn note(out: &mut File, result: &Result) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(result)?)
}

fn once(scenario: &Scenario, kind: &Kind, site: &Site, rep: usize) -> io::Result<Result> {
    let running = kind.start()?;
    let first_answer_ms = server::answers(&running, site)?;
    running.calm();
    let cost = running.cost(SERVER.port());
    let mut result = Result {
        scenario: scenario.name.clone(),
        server: kind.name.clone(),
        rep,
        first_answer_ms,
        load: None,
        abuse: None,
    };
    match &scenario.what {
        What::Load(shape) => {
            let pool = if shape.loss > 0.0 { 0 } else { 8 };
            let load = Load {
                server: SERVER,
                phones: shape.phones,
                at_once: shape.at_once,
                list: if shape.file.is_empty() { list(LIST) } else { vec![shape.file.into()] },
                repeat: shape.repeat,
                mac_base: site.first_mac(),
                expect: Expect::folder(&site.all())?,
                from: Some(Ipv4Addr::new(127, 1, 0, 1)),
                options: engine::Options {
                    blksize: shape.blksize,
                    windowsize: shape.windowsize,
                    tsize: !shape.file.is_empty(),
                    timeout: 0,
                },
                patience: Patience::default(),
                loss: shape.loss / 100.0,
                seed: rep as u64 + 1,
                ramp_ns: shape.ramp_ms * 1_000_000,
                think_ns: shape.think_ms * 1_000_000,
                most_ns: 90_000_000_000,
                pool,
            };
            let report = std::thread::scope(|scope| {
                let (done, editing) = mpsc::channel::<()>();
                if shape.saves {
                    scope.spawn(move || edit(site, &editing));
                }
                let report = measure(&load, cost);
                drop(done);
                report
            })?;
            if report.files_ok == 0 {
                let why = format!("{} gave no file: nothing was measured", kind.name);
                return Err(io::Error::other(why));
            }
            result.load = Some(report);
        }
        What::Abuse { kind, sessions } => {
            let plan = abuse::Plan {
                server: SERVER,
                cost,
                probe: "SIPDefault.cnf",
                big: "bulk-1M.bin",
                expect: Some(&site.all()),
                seconds: 4.0,
                rate: 2000.0,
                sessions: *sessions,
                canary: CANARY,
            };
            result.abuse = Some(abuse::run(&plan, kind)?);
        }
    }
    running.stop();
    Ok(result)
}
