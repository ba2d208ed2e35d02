//! The arguments of `handset`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::control::State;

/// Desk phones that follow Asterisk.
#[derive(Parser, Debug)]
#[command(name = "handset", version, about, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Args {
    /// The daemon's configuration file
    #[arg(long, value_name = "FILE", default_value = crate::daemon::source::USUAL, global = true)]
    pub config: PathBuf,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the answer is no (errors found, a phone failed, no such phone); \
2 wrong arguments; 3 the daemon does not answer; 4 not allowed.

PHONE is a MAC in any spelling, a peer's name, or a label.";

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show phones: registrations, what each shall run and runs
    Status(Status),
    /// Make phones fetch their files now
    Push(Push),
    /// Show what the sources on disk change, key by key, secrets masked
    Diff(Diff),
    /// Begin the roll-out that waits for it, or let a held-back configuration through
    Apply(Apply),
    /// Let a phone that nobody knows where it is have its files for a while, or list what is open
    Open(super::open::Open),
    /// Take that back
    Close(super::open::Close),
    /// Show the firmware: images, what each phone runs and is told next, who is off the ladder
    Firmware(super::firmware::Firmware),
    /// Check the configuration without touching anything
    Check(Check),
    /// Print the files of a phone, secrets masked
    Render(Render),
    /// Write a tag on a peer's section, changing one line
    Tag(super::tag::Tag),
    /// Take the tag off a peer's section again
    Untag(super::tag::Untag),
    /// Follow what phones do: DHCP, files, REGISTER; one story a boot
    Trace(super::trace::Trace),
    /// List phones that ask and have no tag
    Unknown(super::unknown::Unknown),
    /// Give a phone that asks to a peer: write its tag, serve it, and see it come up
    Adopt(super::adopt::Adopt),
    /// Show a configuration file as Asterisk reads it
    Conf(super::conf::Conf),
    /// Tell where each value of a phone's file comes from
    Explain(super::explain::Explain),
    /// Say what the code of a message means
    ExplainCode(super::explain_code::ExplainCode),
    /// DHCP: what another server needs, and the leases of our own
    Dhcp(super::dhcp::Dhcp),
    /// Play a phone that boots, and name the first step that is broken, with its cure
    Doctor(super::doctor::Doctor),
    /// Show what would come of the files on disk: which phones, which keys, which restart, when
    Plan(super::plan::Plan),
    /// Show the roll-out that is on its way and those before; halt it, let it go on, end it
    Rollout(super::rollout::Rollout),
    /// Give phones the files again that they had before
    Rollback(super::rollback::Rollback),
}

/// `handset status`.
#[derive(clap::Args, Debug)]
pub struct Status {
    /// Only this phone
    pub phone: Option<String>,
    /// Only phones in these states: current, pending, pushing, in-call, failed, unknown
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = super::status::state)]
    pub state: Vec<State>,
    /// Only phones of this model
    #[arg(long)]
    pub model: Option<String>,
    /// Another page of what would be too long
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub page: u32,
    /// Phones on a page [default: 40]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Every phone, however many there are
    #[arg(long, conflicts_with_all = ["page", "limit"])]
    pub all: bool,
    /// Print again whenever something changes, until interrupted
    #[arg(long)]
    pub watch: bool,
    /// Only what was refused, and what is open
    #[arg(long, conflicts_with = "phone")]
    pub alerts: bool,
    /// Print an array of phones as JSON
    #[arg(long)]
    pub json: bool,
}

/// `handset push`.
#[derive(clap::Args, Debug)]
pub struct Push {
    /// The phones
    #[arg(required_unless_present = "all")]
    pub phones: Vec<String>,
    /// All phones; those that are current look and do not restart
    #[arg(long)]
    pub all: bool,
    /// Stay until each phone is proved to run its configuration, or failed
    #[arg(long)]
    pub wait: bool,
    /// Tell what would happen and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `handset diff`.
#[derive(clap::Args, Debug)]
pub struct Diff {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `handset apply`.
#[derive(clap::Args, Debug)]
pub struct Apply {
    /// The removal of phones, as it is on disk now, is meant
    #[arg(long)]
    pub accept_removals: bool,
    /// Asterisk has loaded what is on disk (after a reload that nothing tells of)
    #[arg(long)]
    pub loaded: bool,
    /// Only these phones get what is new, now
    #[arg(long, value_name = "PHONE", num_args = 1..)]
    pub only: Vec<String>,
}

/// `handset check`.
#[derive(clap::Args, Debug)]
pub struct Check {
    /// Another sip.conf than the configured one
    pub file: Option<PathBuf>,
    /// One line a message, for editors and CI
    #[arg(long)]
    pub short: bool,
    /// Fail on warnings too
    #[arg(long)]
    pub strict: bool,
    /// Print an array of messages as JSON
    #[arg(long, conflicts_with = "short")]
    pub json: bool,
}

/// `handset render`.
#[derive(clap::Args, Debug)]
pub struct Render {
    /// The phone
    pub phone: String,
    /// Only this file, as SIP0018B9FFFFFE.cnf
    pub file: Option<String>,
    /// Another sip.conf than the configured one
    #[arg(long, value_name = "FILE")]
    pub sip_conf: Option<PathBuf>,
    /// Print passwords as they are
    #[arg(long)]
    pub show_secrets: bool,
}
