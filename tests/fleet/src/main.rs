//! The command line of the fleet: long series against a real Asterisk and the built `handsetd`.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use fleet::judge::Verdict;
use fleet::series::edits;
use fleet::{fleet as phones, site};

/// Thousands of simulated phones against a real Asterisk and the built handsetd. Each series prints a
/// table; the exit status is 0 when every rule holds, 1 when one does not, 2 when it could not be run.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    series: Series,
}

#[derive(Subcommand)]
enum Series {
    /// Random edits of sip.conf, made faster than the phones can follow, with calls
    Edits(Edits),
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

async fn run(arguments: Arguments) -> io::Result<Verdict> {
    phones::raise_file_limit()?;
    let options = site::Options::quick(site::programs()?);
    match arguments.series {
        Series::Edits(a) => {
            let limit = Duration::from_secs(a.limit);
            let Edits { phones, edits, seed, pause, talkers, .. } = a;
            edits::run(&edits::Plan { phones, edits, seed, pause, talkers, limit }, options).await
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A signal drops the series, and with it everything that it started.
    let outcome = tokio::select! {
        outcome = run(arguments) => outcome,
        _ = tokio::signal::ctrl_c() => Err(io::Error::other("interrupted")),
    };
    match outcome {
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
