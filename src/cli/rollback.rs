//! `handset rollback`.

use super::args::Args;
use super::daemon;
use crate::control::Ask;

/// `handset rollback`.
#[derive(clap::Args, Debug)]
pub struct Rollback {
    /// The phones
    #[arg(value_name = "PHONE", required_unless_present = "all", conflicts_with = "all")]
    pub phones: Vec<String>,
    /// All phones
    #[arg(long)]
    pub all: bool,
    /// What they had in this generation, as handset rollout status lists them; without it, what each
    /// had before its last change
    #[arg(long, value_name = "N")]
    pub generation: Option<u64>,
}

/// Runs it.
pub(super) fn run(args: &Args, options: &Rollback) -> u8 {
    let Rollback { phones, all, generation } = options;
    let question = Ask::Rollback { phones: phones.clone(), all: *all, generation: *generation };
    daemon::done(args, question)
}
