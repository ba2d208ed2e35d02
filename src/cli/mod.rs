//! The command line: one file a subcommand, and the arguments in one place.

pub mod args;
mod check;
mod daemon;
mod diff;
mod output;
mod render;
mod status;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// Everything went as asked.
pub const DONE: u8 = 0;
/// The answer is no: errors were found, a phone failed, no such phone.
pub const NO: u8 = 1;
/// The arguments make no sense (clap's own code).
pub const USAGE: u8 = 2;
/// The daemon cannot be reached, or broke off.
pub const UNREACHABLE: u8 = 3;
/// Not allowed.
pub const DENIED: u8 = 4;

/// Runs `handset` with the process's arguments.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let code = match &args.command {
        Command::Status(options) => status::run(&args, options),
        Command::Push(options) => daemon::push(&args, options),
        Command::Apply(options) => daemon::apply(&args, options),
        Command::Diff(options) => diff::run(&args, options),
        Command::Check(options) => check::run(&args, options),
        Command::Render(options) => render::run(&args, options),
    };
    // What is still in the buffer belongs to the reader, who may be gone.
    let _ = std::io::stdout().flush();
    ExitCode::from(code)
}
