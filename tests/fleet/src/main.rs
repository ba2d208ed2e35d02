//! The command line of the fleet: long series against a real Asterisk and the built `handsetd`.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use fleet::edit::{Kind, kind};
use fleet::judge::Verdict;
use fleet::series::{chaos, edits, scale};
use fleet::{disk, fleet as phones, site};
use tokio::signal::unix::{SignalKind, signal};

/// Thousands of simulated phones against a real Asterisk and the built handsetd. Each series prints a
/// table; the exit status is 0 when every rule holds, 1 when one does not, 2 when it could not be run.
#[derive(Parser)]
struct Arguments {
    /// One more setting of [push] in handset.conf, as `rate=20`; may be repeated
    #[arg(long, global = true)]
    push: Vec<String>,
    /// One more setting of [general] in handset.conf; may be repeated
    #[arg(long, global = true)]
    general: Vec<String>,
    /// A kind of edits to leave out, as `swap`; may be repeated
    #[arg(long, global = true, value_parser = kind)]
    without: Vec<Kind>,
    /// Copy the daemon's log to this file at the end
    #[arg(long, global = true)]
    log: Option<std::path::PathBuf>,
    #[command(subcommand)]
    series: Series,
}

#[derive(Subcommand)]
enum Series {
    /// Random edits of sip.conf, made faster than the phones can follow, with calls
    Edits(Edits),
    /// Everything goes wrong for some minutes: daemon, Asterisk, AMI, disk, clock, phones
    Chaos(Chaos),
    /// One change to thousands of phones: how long it takes, and what it costs the daemon
    Scale(Scale),
}

#[derive(clap::Args)]
struct Edits {
    #[arg(long, default_value_t = 300)]
    phones: usize,
    #[arg(long, default_value_t = 1000)]
    edits: usize,
    /// What all chance follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The longest pause between two edits, in milliseconds
    #[arg(long, default_value_t = 400)]
    pause: u64,
    /// Phones in a call at any time
    #[arg(long, default_value_t = 10)]
    talkers: usize,
    /// Seconds that the end may take
    #[arg(long, default_value_t = 300)]
    limit: u64,
}

#[derive(clap::Args)]
struct Chaos {
    #[arg(long, default_value_t = 100)]
    phones: usize,
    /// How long things go wrong
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// What all chance follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The longest pause between two incidents, in seconds
    #[arg(long, default_value_t = 20)]
    pause: u64,
    /// Phones of 100 that misbehave once
    #[arg(long, default_value_t = 20)]
    misbehave: u64,
    /// Phones in a call at any time
    #[arg(long, default_value_t = 5)]
    talkers: usize,
    /// Leave the disk alone: for machines that do not allow a mount namespace
    #[arg(long)]
    no_disk: bool,
    /// Seconds that the end may take
    #[arg(long, default_value_t = 300)]
    limit: u64,
}

#[derive(clap::Args)]
struct Scale {
    #[arg(long, default_value_t = 5000)]
    phones: usize,
    /// NOTIFYs a second that handset may send
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Phones switched on a second, at the beginning
    #[arg(long, default_value_t = 100)]
    boot_rate: u32,
    /// What all chance follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds that each part may take
    #[arg(long, default_value_t = 900)]
    limit: u64,
    /// Percent that the change may take longer than the ideal
    #[arg(long, default_value_t = 10)]
    percent: u32,
    /// Percent of a core that the daemon may use meanwhile
    #[arg(long, default_value_t = 20.0)]
    cpu: f64,
    /// MiB that the daemon may hold meanwhile
    #[arg(long, default_value_t = 300)]
    memory: u64,
}

async fn run(arguments: Arguments) -> io::Result<Verdict> {
    phones::raise_file_limit()?;
    let mut options = site::Options::quick(site::programs()?);
    let line = |setting: &String| format!("{setting}\n");
    options.push.extend(arguments.push.iter().map(line));
    options.log = arguments.log;
    options.general.extend(arguments.general.iter().map(line));
    let without = arguments.without;
    match arguments.series {
        Series::Edits(a) => {
            let limit = Duration::from_secs(a.limit);
            let Edits { phones, edits, seed, pause, talkers, .. } = a;
            edits::run(
                &edits::Plan { phones, edits, seed, pause, talkers, without, limit },
                options,
            )
            .await
        }
        Series::Chaos(a) => {
            let limit = Duration::from_secs(a.limit);
            let (length, disk) = (Duration::from_secs_f64(60.0 * a.minutes.max(0.0)), !a.no_disk);
            let pause = Duration::from_secs(a.pause);
            let Chaos { phones, seed, misbehave, talkers, .. } = a;
            let proved = true;
            let plan = chaos::Plan {
                phones,
                length,
                seed,
                pause,
                misbehave,
                talkers,
                without,
                disk,
                proved,
                limit,
            };
            chaos::run(&plan, options).await
        }
        Series::Scale(a) => {
            let limit = Duration::from_secs(a.limit);
            let Scale { phones, rate, boot_rate, seed, percent, cpu, memory, .. } = a;
            let plan = scale::Plan { phones, rate, boot_rate, seed, limit, percent, cpu, memory };
            scale::run(&plan, options).await
        }
    }
}

/// Runs it until it ends, or until a signal: then everything that it started is dropped with it.
async fn until_signal(arguments: Arguments) -> io::Result<Verdict> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = run(arguments) => outcome,
        _ = tokio::signal::ctrl_c() => Err(io::Error::other("interrupted")),
        _ = terminate.recv() => Err(io::Error::other("terminated")),
    }
}

fn start() -> io::Result<Verdict> {
    let arguments = Arguments::parse();
    if matches!(&arguments.series, Series::Chaos(chaos) if !chaos.no_disk) {
        disk::isolate().map_err(|error| {
            io::Error::other(format!("no mount namespace: {error}; see --no-disk"))
        })?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(until_signal(arguments))
}

fn main() -> ExitCode {
    match start() {
        Ok(verdict) => {
            println!("{verdict}");
            if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("fleet: {error}");
            ExitCode::from(2)
        }
    }
}
