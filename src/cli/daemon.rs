//! `handset push` and `handset apply`, and how the daemon is found.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::args::{Apply, Args, Push};
use super::{DONE, NO, output};
use crate::base::Mac;
use crate::control::client::{Conversation, ask};
use crate::control::{Answer, Ask, PhoneStatus, State};
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
    match once(args, question) {
        Ok(Answer::Done(text)) => {
            output::line(text);
            DONE
        }
        Ok(other) => output::refused(Some(other)),
        Err(code) => code,
    }
}

/// Runs `handset push`.
pub(super) fn push(args: &Args, options: &Push) -> u8 {
    let question = Ask::Push {
        phones: options.phones.clone(),
        all: options.all,
        dry_run: options.dry_run,
        wait: options.wait,
    };
    let mut talk = match ask(&socket(args), question, options.wait) {
        Ok(talk) => talk,
        Err(error) => return output::unreachable(&error),
    };
    match talk.next() {
        Some(Ok(Answer::Push { phones })) => {
            let rows =
                phones.iter().map(|p| vec![p.mac.to_string(), p.peers.join(","), p.what.clone()]);
            output::line(output::table(&["PHONE", "PEERS", "PUSH"], rows.collect()));
        }
        Some(Ok(other)) => return output::refused(Some(other)),
        Some(Err(error)) => return output::unreachable(&error),
        None => return output::refused(None),
    }
    if options.wait && !options.dry_run { wait(talk) } else { DONE }
}

/// Prints news until the end; the code tells whether every phone is current.
fn wait(talk: Conversation) -> u8 {
    let mut last: BTreeMap<Mac, PhoneStatus> = BTreeMap::new();
    for answer in talk {
        match answer {
            Ok(Answer::Progress { phones, finished }) => {
                for phone in phones {
                    let detail =
                        phone.detail.as_deref().map(|d| format!(": {d}")).unwrap_or_default();
                    output::line(format!(
                        "{} {}{detail}",
                        phone.mac,
                        super::status::word(phone.state)
                    ));
                    last.insert(phone.mac, phone);
                }
                if finished {
                    let proved = last.values().filter(|p| p.state == State::Current).count();
                    output::line(format!(
                        "{proved} of {} proved to run their configuration",
                        last.len()
                    ));
                    return if proved == last.len() { DONE } else { NO };
                }
            }
            Ok(other) => return output::refused(Some(other)),
            Err(error) => return output::unreachable(&error),
        }
    }
    output::refused(None)
}
