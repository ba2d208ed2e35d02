//! `handset diff`.

use super::args::{Args, Diff};
use super::{DONE, daemon, output};
use crate::control::{Answer, Ask, Change, PhoneDiff};

/// Runs it.
pub(super) fn run(args: &Args, options: &Diff) -> u8 {
    match daemon::once(args, Ask::Diff) {
        Ok(Answer::Diff(phones)) if options.json => {
            output::line(serde_json::to_string_pretty(&phones).expect("a diff has string keys"));
            DONE
        }
        Ok(Answer::Diff(phones)) => {
            output::line(print(&phones));
            DONE
        }
        Ok(other) => output::refused(Some(other)),
        Err(code) => code,
    }
}

fn print(phones: &[PhoneDiff]) -> String {
    if phones.is_empty() {
        return "every phone runs, or is offered, what is on disk".into();
    }
    phones.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(phone: &PhoneDiff) -> String {
    let what = match (phone.change, phone.restarts) {
        (Change::Added, _) => "new",
        (Change::Removed, _) => "removed",
        (Change::Changed, true) => "changed, restarts",
        (Change::Changed, false) => "changed, no restart",
    };
    let mut text = format!("{} ({}): {what}", phone.mac, phone.peers.join(", "));
    for change in &phone.keys {
        let value = |v: &Option<String>| v.as_ref().map_or("(none)".into(), |v| format!("{v:?}"));
        text += &format!(
            "\n  {} {}: {} -> {}",
            change.file,
            change.key,
            value(&change.old),
            value(&change.new)
        );
    }
    text
}
