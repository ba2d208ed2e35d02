//! `handset firmware`.

use std::collections::BTreeMap;

use super::args::Args;
use super::{DONE, NO, daemon, output};
use crate::control::{self, Answer, Ask, FirmwarePhone};

/// `handset firmware`.
#[derive(clap::Args, Debug)]
pub struct Firmware {
    /// Put a phone back onto the ladder, or all
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What is done about it.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Put a phone back onto the ladder that was taken off it
    Retry {
        /// The phone; without it, all that are off
        phone: Option<String>,
    },
}

/// Runs it.
pub(super) fn run(args: &Args, options: &Firmware) -> u8 {
    let ask = match &options.action {
        None => Ask::Firmware,
        Some(Action::Retry { phone }) => Ask::FirmwareRetry { phone: phone.clone() },
    };
    match daemon::once(args, ask) {
        Ok(Answer::Firmware(all)) if options.json => {
            output::line(serde_json::to_string_pretty(&all).expect("it has string keys"));
            code(&all)
        }
        Ok(Answer::Firmware(all)) => {
            output::line(print(&all));
            code(&all)
        }
        Ok(Answer::Done(text)) => {
            output::line(text);
            DONE
        }
        Ok(other) => output::refused(Some(other)),
        Err(code) => code,
    }
}

/// A phone that is off the ladder is a failure.
fn code(all: &control::Firmware) -> u8 {
    if all.phones.iter().any(|phone| phone.off) { NO } else { DONE }
}

fn print(all: &control::Firmware) -> String {
    let parts = [images(all), ways(all), counts(&all.phones), phones(&all.phones)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

fn images(all: &control::Firmware) -> Option<String> {
    if all.images.is_empty() {
        return Some("no firmware image lies in the root of [tftp]".into());
    }
    let rows = all.images.iter().map(|image| {
        let kind = if image.signed { "signed" } else { "no signature" };
        vec![image.name.clone(), image.size.to_string(), kind.into(), image.odd.join(", ")]
    });
    let table = output::table(&["IMAGE", "BYTES", "KIND", "REMARK"], rows.collect());
    let loads = all.loads.iter().map(|load| match load.missing.as_slice() {
        [] => format!("{}: complete", load.load),
        missing => format!("{}: missing {}", load.load, missing.join(", ")),
    });
    Some(std::iter::once(table).chain(loads).collect::<Vec<_>>().join("\n"))
}

fn ways(all: &control::Firmware) -> Option<String> {
    let one = |way: &control::FirmwareWay| {
        let rows = way.steps.iter().map(|step| {
            let missing = step.missing.join("; ");
            vec![step.at.clone(), step.load.clone().unwrap_or_else(|| "-".into()), missing]
        });
        let table = output::table(&["FROM", "TOLD NEXT", "MISSING"], rows.collect());
        format!("the way to {}:\n{table}", way.target)
    };
    (!all.ways.is_empty()).then(|| all.ways.iter().map(one).collect::<Vec<_>>().join("\n\n"))
}

fn counts(phones: &[FirmwarePhone]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for phone in phones {
        *counts.entry(phone.runs.as_deref().unwrap_or("not known")).or_default() += 1;
    }
    let rows: Vec<_> =
        counts.iter().map(|(runs, count)| vec![(*runs).to_owned(), count.to_string()]).collect();
    (!rows.is_empty()).then(|| output::table(&["RUNS", "PHONES"], rows))
}

/// The phones that have a way to go, or do not go it.
fn phones(phones: &[FirmwarePhone]) -> Option<String> {
    let going =
        phones.iter().filter(|p| p.target.is_some() && (p.next.is_some() || p.detail.is_some()));
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let row = |phone: &FirmwarePhone| {
        let detail = phone.detail.clone().unwrap_or_default();
        let detail = if phone.off { format!("off the ladder: {detail}") } else { detail };
        vec![
            phone.mac.to_string(),
            phone.peer.clone(),
            dash(&phone.runs),
            dash(&phone.next),
            dash(&phone.target),
            detail,
        ]
    };
    let rows: Vec<_> = going.map(row).collect();
    let head = ["PHONE", "PEER", "RUNS", "NEXT", "TARGET", "WHY IT STAYS"];
    (!rows.is_empty()).then(|| output::table(&head, rows))
}
