//! `handset apply`, and how the daemon is found and asked.

use std::path::PathBuf;

use super::args::{Apply, Args};
use super::{DONE, output};
use crate::control::client::ask;
use crate::control::{Answer, Ask};
use crate::daemon::source;

/// The daemon's socket: as handset.conf says, or the default where it may not be read.
pub(super) fn socket(args: &Args) -> PathBuf {
    source::site(&args.config).0.control_socket
}

/// Asks once; the first answer, or the exit code of a failure that was told.
pub(super) fn once(args: &Args, question: Ask) -> Result<Answer, u8> {
    let mut talk =
        ask(&socket(args), question, false).map_err(|error| output::unreachable(&error))?;
    match talk.next() {
        Some(Err(error)) => Err(output::unreachable(&error)),
        Some(Ok(answer @ Answer::Error { .. })) => Err(output::refused(Some(answer))),
        Some(Ok(answer)) => Ok(answer),
        None => Err(output::refused(None)),
    }
}

/// Runs `handset apply`.
pub(super) fn apply(args: &Args, options: &Apply) -> u8 {
    let question = Ask::Apply {
        accept_removals: options.accept_removals,
        loaded: options.loaded,
        only: options.only.clone(),
    };
    done(args, question)
}

/// Asks for something to be done, and tells what came of it.
pub(super) fn done(args: &Args, question: Ask) -> u8 {
    match once(args, question) {
        Ok(Answer::Done(text)) => {
            output::line(text);
            DONE
        }
        Ok(other) => output::refused(Some(other)),
        Err(code) => code,
    }
}
