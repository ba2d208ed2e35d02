//! `handset trace`: what phones do, as stories, from the journal and live.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::args::Args;
use super::{DONE, daemon, output};
use crate::base::Mac;
use crate::control::client::{Conversation, ask};
use crate::control::{Answer, Ask, TraceKind, TraceLine};
use crate::daemon::{decide, source};

/// `handset trace`.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub struct Trace {
    /// The phones; a MAC needs no tag
    #[arg(value_name = "PHONE", required_unless_present = "all")]
    pub phones: Vec<String>,
    /// All phones, and requests of nobody knows whom
    #[arg(long, conflicts_with = "phones")]
    pub all: bool,
    /// Begin so long ago: seconds, or a number with s, m, h or d; else with the last boot
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Tell what happened and end, instead of going on until interrupted
    #[arg(long)]
    pub no_follow: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

const HELP: &str = "\
Each start of a phone is one story: its DHCP messages, every file that it asks for and what came of it, its REGISTER. \
Lines with ! say what the phone runs, what it waits for, or where it is stuck; the line with -> below says what to do. \
How long stories are kept is set by journal_days and journal_size in handset.conf.";

/// Runs it.
pub(super) fn run(args: &Args, options: &Trace) -> u8 {
    let since = match options.since.as_deref().map(|word| (word, super::open::seconds(word))) {
        None => None,
        Some((_, Some(seconds))) => Some(seconds),
        Some((word, None)) => {
            output::complain(format!("{word:?} is no time: write 300, 5m, 2h or 1d"));
            return super::USAGE;
        }
    };
    // Of all phones, what happens from now on is meant unless a time is named.
    let since = since.or(options.all.then_some(0));
    let follow = !options.no_follow;
    let question = Ask::Trace { phones: options.phones.clone(), since, follow };
    let talk = match ask(&daemon::socket(args), question, follow) {
        Ok(talk) => talk,
        Err(error) => return output::unreachable(&error),
    };
    let mut page = Page::new(args);
    for answer in talk {
        match answer {
            Ok(Answer::Trace(lines)) => {
                lines.iter().for_each(|line| page.print(line, options.json));
            }
            Ok(other) => return output::refused(Some(other)),
            Err(error) => return output::unreachable(&error),
        }
    }
    if follow { output::refused(None) } else { DONE }
}

/// Follows one phone until it is up and `arrived`, which is asked from then on; false when that did not
/// come in `time`.
pub(super) fn until_up(
    args: &Args,
    mac: Mac,
    time: Duration,
    arrived: impl Fn() -> Result<bool, u8>,
) -> Result<bool, u8> {
    let question = Ask::Trace { phones: vec![mac.to_string()], since: Some(0), follow: true };
    let talk: Conversation =
        ask(&daemon::socket(args), question, true).map_err(|error| output::unreachable(&error))?;
    talk.patience(Duration::from_secs(1));
    let (mut page, until, mut up) = (Page::new(args), Instant::now() + time, false);
    for answer in talk {
        match answer {
            Ok(Answer::Trace(lines)) => {
                for line in &lines {
                    page.print(line, false);
                    match line.kind {
                        TraceKind::Up => up = true,
                        TraceKind::Boot => up = false,
                        _ => {}
                    }
                }
            }
            Ok(other) => return Err(output::refused(Some(other))),
            Err(error) if error.is_late() => {}
            Err(error) => return Err(output::unreachable(&error)),
        }
        if up && arrived()? {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
    }
    Err(output::refused(None))
}

/// What is printed: each line under its phone, times in the site's zone.
struct Page {
    zone: TimeZone,
    phone: Option<Option<Mac>>,
}

impl Page {
    fn new(args: &Args) -> Self {
        let (name, _) = decide::timezone(&source::site(&args.config).0, None);
        Self { zone: TimeZone::get(&name).unwrap_or(TimeZone::UTC), phone: None }
    }

    fn print(&mut self, line: &TraceLine, json: bool) {
        if json {
            output::line(serde_json::to_string(line).expect("a line has string keys"));
        } else {
            output::line(self.text(line));
        }
        output::flush();
    }

    fn text(&mut self, line: &TraceLine) -> String {
        let (date, time) = self.time(&line.at);
        let name = line.mac.map_or_else(|| "-".to_owned(), |mac| mac.to_string());
        let changed = self.phone.replace(line.mac) != Some(line.mac);
        let mut text = match (line.kind, changed) {
            (TraceKind::Boot, _) => return format!("{date} {time} {name} {}", line.text),
            (_, true) => format!("{date} {time} {name}\n"),
            (_, false) => String::new(),
        };
        let sign = if line.kind == TraceKind::Step { ' ' } else { '!' };
        text += &format!("  {time} {sign} {}", line.text);
        if let Some(cure) = &line.cure {
            text += &format!("\n           -> {cure}");
        }
        text
    }

    /// Date and time of a line.
    fn time(&self, at: &str) -> (String, String) {
        let Ok(stamp) = at.parse::<Timestamp>() else { return (at.to_owned(), String::new()) };
        let zoned = stamp.to_zoned(self.zone.clone());
        (zoned.strftime("%Y-%m-%d").to_string(), zoned.strftime("%H:%M:%S").to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_stands_under_its_phone() {
        let mut page = Page { zone: TimeZone::get("Europe/Berlin").unwrap(), phone: None };
        let mut text = |mac: &str, kind, text: &str, cure: Option<&str>| {
            page.text(&TraceLine {
                at: "2012-10-19T10:45:17.25Z".into(),
                mac: mac.parse().ok(),
                kind,
                text: text.into(),
                cure: cure.map(str::to_owned),
                file: None,
                outcome: None,
                bytes: None,
                digest: None,
            })
        };
        let mac = "00:18:b9:ff:ff:ff";
        let all = [
            text(mac, TraceKind::Boot, "starts (not tagged)", None),
            text(mac, TraceKind::Step, "asks for OS79XX.TXT: not there", None),
            text(mac, TraceKind::Waits, "waits for it", Some("put it there")),
            text("-", TraceKind::Step, "somebody asks", None),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
        2012-10-19 12:45:17 00:18:b9:ff:ff:ff starts (not tagged)
          12:45:17   asks for OS79XX.TXT: not there
          12:45:17 ! waits for it
                   -> put it there
        2012-10-19 12:45:17 -
          12:45:17   somebody asks
        ");
    }
}
