//! The command line: one file a subcommand, and the arguments in one place.

mod adopt;
pub mod args;
mod bar;
mod check;
mod conf;
mod daemon;
mod dhcp;
mod diff;
pub mod doctor;
mod explain;
mod explain_code;
mod firmware;
mod open;
mod output;
mod plan;
mod push;
mod render;
mod rollback;
mod rollout;
mod status;
mod tag;
mod trace;
mod unknown;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

use crate::daemon::{asterisk, source};

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
        Command::Push(options) => push::run(&args, options),
        Command::Apply(options) => daemon::apply(&args, options),
        Command::Open(options) => open::open(&args, options),
        Command::Close(options) => open::close(&args, options),
        Command::Diff(options) => diff::run(&args, options),
        Command::Firmware(options) => firmware::run(&args, options),
        Command::Check(options) => check::run(&args, options),
        Command::Render(options) => render::run(&args, options),
        Command::Tag(options) => with_sources(&args, |tops, etc| tag::tag(tops, etc, options)),
        Command::Untag(options) => with_sources(&args, |tops, etc| tag::untag(tops, etc, options)),
        Command::Trace(options) => trace::run(&args, options),
        Command::Unknown(options) => unknown::run(&args, options),
        Command::Adopt(options) => {
            with_sources(&args, |tops, etc| adopt::run(&args, options, tops, etc))
        }
        Command::Conf(options) => conf::run(options),
        Command::Explain(options) => explain::run(&args, options),
        Command::ExplainCode(options) => explain_code::run(options),
        Command::Dhcp(options) => dhcp::run(&args, options),
        Command::Doctor(options) => doctor::run(&args, options),
        Command::Plan(options) => plan::run(&args, options),
        Command::Rollout(options) => rollout::run(&args, options),
        Command::Rollback(options) => rollback::run(&args, options),
    };
    // What is still in the buffer belongs to the reader, who may be gone.
    let _ = std::io::stdout().flush();
    ExitCode::from(code)
}

/// Runs a command on the site's top files in their configuration directory.
fn with_sources(args: &Args, run: impl FnOnce(&[PathBuf], &Path) -> u8) -> u8 {
    let (site, ..) = source::site(&args.config);
    let etc = site.sip_conf.parent().unwrap_or(Path::new("/")).to_owned();
    let tops = asterisk::tops(&site).into_iter().map(|(_, path)| path).filter(|path| path.exists());
    run(&tops.collect::<Vec<_>>(), &etc)
}
