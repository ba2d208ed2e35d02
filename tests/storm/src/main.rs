//! Load and abuse for TFTP servers that boot desk phones, and the comparison of several of them.
//! `README.md` says what each mode is for.

mod abuse;
mod bench;
mod engine;
mod files;
mod limit;
mod phone;
mod procstat;
mod proto;
mod running;
mod stats;
mod sys;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde::{Deserialize, Serialize};

use engine::{Load, Options, Patience};
use files::Expect;
use procstat::{Cost, Server, Watch};
use stats::{Quantiles, load};

/// Load and abuse for TFTP servers that boot desk phones
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Phones that boot: each fetches the names of a list, one after the other
    Boot(Boot),
    /// Large files, all at once
    Bulk(Bulk),
    /// Hostile clients beside a well-behaved one
    Abuse(Abuse),
    /// What this machine can do with no server in the way
    Limit(Ping),
    /// handsetd and its rivals in turn, medians and ratios; needs root and a network namespace
    Bench(bench::Options),
}

/// Who is asked, and how.
#[derive(Args, Clone)]
struct Target {
    /// The server; only on a loopback address
    #[arg(long, default_value = "127.0.0.1:6969")]
    server: SocketAddrV4,
    /// The folder whose files must come, byte for byte; all other names must be missing
    #[arg(long)]
    expect: Option<PathBuf>,
    /// Percent of packets that are thrown away, each way
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Ask for blocks of this size
    #[arg(long, default_value_t = 0)]
    blksize: u16,
    /// Ask for windows of so many blocks
    #[arg(long, default_value_t = 0)]
    windowsize: u16,
    /// Measure this process and its descendants
    #[arg(long)]
    server_pid: Option<u32>,
    /// Take the CPU time of this cgroup
    #[arg(long)]
    server_cgroup: Option<PathBuf>,
    /// Of what is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds after which the run is cut off
    #[arg(long, default_value_t = 120.0)]
    max_s: f64,
}

#[derive(Args)]
struct Boot {
    #[command(flatten)]
    target: Target,
    /// The names, one a line
    #[arg(long)]
    list: PathBuf,
    #[arg(long, default_value_t = 100)]
    phones: u64,
    /// Phones at once
    #[arg(long, default_value_t = 50)]
    at_once: usize,
    /// The phones start evenly over so many milliseconds
    #[arg(long, default_value_t = 0)]
    ramp_ms: u64,
    /// A pause between two files, in milliseconds
    #[arg(long, default_value_t = 0)]
    think_ms: u64,
    /// The MAC of the first phone
    #[arg(long, default_value = bench::FIRST_MAC)]
    mac: String,
}

#[derive(Args)]
struct Bulk {
    #[command(flatten)]
    target: Target,
    #[arg(long)]
    file: String,
    #[arg(long, default_value_t = 1)]
    clients: u64,
    /// So often, each
    #[arg(long, default_value_t = 1)]
    repeat: u32,
}

#[derive(Args)]
struct Abuse {
    #[command(flatten)]
    target: Target,
    /// One kind, or all
    #[arg(long, default_value = "all")]
    kind: String,
    /// A small file that is there
    #[arg(long)]
    probe: String,
    /// A large file that is there
    #[arg(long)]
    big: String,
    /// Seconds of each kind
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Steps a second
    #[arg(long, default_value_t = 2000.0)]
    rate: f64,
    /// Transfers of the kind `slow`
    #[arg(long, default_value_t = 500)]
    sessions: usize,
    /// Text that only stands in files that nobody may get
    #[arg(long, default_value = bench::CANARY)]
    canary: String,
}

#[derive(Args)]
struct Ping {
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Bytes of an answer
    #[arg(long, default_value_t = 512)]
    size: usize,
    /// Answers to one question
    #[arg(long, default_value_t = 1)]
    burst: usize,
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// The result of a run.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Report {
    phones: u64,
    at_once: usize,
    wall_s: f64,
    requests_per_s: f64,
    mb_per_s: f64,
    files_ok: u64,
    not_found: u64,
    bytes: u64,
    data: u64,
    file_ms: Quantiles,
    not_found_ms: Quantiles,
    phone_ms: Quantiles,
    first_try: u64,
    failed: u64,
    repeats: u64,
    given_up: u64,
    mismatches: u64,
    repeated_data: u64,
    gaps: u64,
    other_port: u64,
    stray: u64,
    lost: u64,
    refused_options: u64,
    lowered_options: u64,
    unfinished: u64,
    errors: std::collections::BTreeMap<String, u64>,
    client_cpu_s: f64,
    server: Cost,
    load: f64,
}

/// Runs a load while looking at what it costs the server.
pub(crate) fn measure(all: &Load, server: Server) -> io::Result<Report> {
    let (load, watch) = (load(), Watch::start(server));
    let out = engine::run(all)?;
    let server = watch.finish();
    Ok(Report {
        phones: all.phones,
        at_once: all.at_once,
        wall_s: out.wall_s,
        requests_per_s: (out.files_ok + out.not_found) as f64 / out.wall_s,
        mb_per_s: out.bytes as f64 / out.wall_s / 1e6,
        files_ok: out.files_ok,
        not_found: out.not_found,
        bytes: out.bytes,
        data: out.data,
        file_ms: out.file.quantiles(),
        not_found_ms: out.missing.quantiles(),
        phone_ms: out.phone.quantiles(),
        first_try: out.phones_first_try,
        failed: out.phones_failed,
        repeats: out.repeats,
        given_up: out.given_up,
        mismatches: out.mismatches,
        repeated_data: out.repeated_data,
        gaps: out.gaps,
        other_port: out.other_port,
        stray: out.stray,
        lost: out.lost,
        refused_options: out.refused_options,
        lowered_options: out.lowered_options,
        unfinished: out.unfinished,
        errors: out.errors,
        client_cpu_s: out.cpu_s,
        server,
        load,
    })
}

impl Target {
    fn cost(&self) -> Server {
        let (pid, cgroup) = (self.server_pid, self.server_cgroup.clone());
        Server { pid, cgroup, port: self.server.port() }
    }

    /// A load on this target, to be completed.
    fn load(&self, list: Vec<String>, phones: u64, at_once: usize) -> io::Result<Load> {
        Ok(Load {
            server: self.server,
            phones,
            at_once,
            list,
            repeat: 1,
            mac_base: 0,
            expect: match &self.expect {
                Some(dir) => Expect::folder(dir)?,
                None => Expect::anything(),
            },
            from: Some(Ipv4Addr::new(127, 1, 0, 1)),
            options: Options {
                blksize: self.blksize,
                windowsize: self.windowsize,
                ..Options::default()
            },
            patience: Patience::default(),
            loss: self.loss / 100.0,
            seed: self.seed,
            ramp_ns: 0,
            think_ns: 0,
            most_ns: (self.max_s * 1e9) as u64,
            // With loss a server goes on sending to ports of transfers that are over, which must
            // not be those of the next ones.
            pool: if self.loss > 0.0 { 0 } else { 8 },
        })
    }
}

fn boot(boot: &Boot) -> io::Result<Report> {
    let list = files::list(&std::fs::read_to_string(&boot.list)?);
    let mut all = boot.target.load(list, boot.phones, boot.at_once)?;
    all.mac_base = u64::from_str_radix(&boot.mac, 16).map_err(io::Error::other)?;
    (all.ramp_ns, all.think_ns) = (boot.ramp_ms * 1_000_000, boot.think_ms * 1_000_000);
    measure(&all, boot.target.cost())
}

fn bulk(bulk: &Bulk) -> io::Result<Report> {
    let at_once = usize::try_from(bulk.clients).map_err(io::Error::other)?;
    let mut all = bulk.target.load(vec![bulk.file.clone()], bulk.clients, at_once)?;
    (all.repeat, all.options.tsize) = (bulk.repeat, true);
    measure(&all, bulk.target.cost())
}

fn abuse(abuse: &Abuse) -> io::Result<()> {
    let plan = abuse::Plan {
        server: abuse.target.server,
        cost: abuse.target.cost(),
        probe: &abuse.probe,
        big: &abuse.big,
        expect: abuse.target.expect.as_deref(),
        seconds: abuse.seconds,
        rate: abuse.rate,
        sessions: abuse.sessions,
        canary: &abuse.canary,
    };
    let kinds = abuse::KINDS.iter().filter(|kind| abuse.kind == "all" || abuse.kind == **kind);
    for kind in kinds {
        show(&abuse::run(&plan, kind)?)?;
    }
    Ok(())
}

fn show(value: &impl Serialize) -> io::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let target = match &cli.mode {
        Mode::Boot(boot) => Some(&boot.target),
        Mode::Bulk(bulk) => Some(&bulk.target),
        Mode::Abuse(abuse) => Some(&abuse.target),
        Mode::Limit(_) | Mode::Bench(_) => None,
    };
    if target.is_some_and(|target| !target.server.ip().is_loopback()) {
        eprintln!("storm: the server has to be on this machine, at a loopback address");
        return ExitCode::from(2);
    }
    let done = match &cli.mode {
        Mode::Boot(options) => boot(options).and_then(|report| show(&report)),
        Mode::Bulk(options) => bulk(options).and_then(|report| show(&report)),
        Mode::Abuse(options) => abuse(options),
        Mode::Limit(ping) => limit::ping_pong(ping.clients, ping.size, ping.burst, ping.seconds)
            .and_then(|result| show(&result)),
        Mode::Bench(options) => bench::run(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("storm: {error}");
            ExitCode::FAILURE
        }
    }
}
