//! `handset adopt`: a phone that asks gets its tag, its files, and comes up.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::args::Args;
use super::tag::{self, Tag};
use super::{DONE, NO, daemon, output, trace};
use crate::base::Mac;
use crate::control::client::ask;
use crate::control::{Answer, Ask, PhoneStatus, Select, State, UnknownPhone};

/// `handset adopt`.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub struct Adopt {
    /// The phone's MAC, in any spelling
    pub mac: Mac,
    /// The peer that it shall be: the name of its section
    pub peer: String,
    /// Its model, as 7960; else what its vendor class tells, else the default
    #[arg(long)]
    pub model: Option<String>,
    /// The line key, from 1
    #[arg(long)]
    pub line: Option<u8>,
    /// The text beside the line key
    #[arg(long)]
    pub label: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not follow its boot
    #[arg(long)]
    pub no_follow: bool,
    /// Another sip.conf than the configured one
    #[arg(long, value_name = "FILE")]
    pub sip_conf: Option<PathBuf>,
}

const HELP: &str = "\
Writes the tag as `handset tag` does, waits until handsetd serves the phone's files, and tells how the phone fares until it \
is registered. `handset unknown` lists the phones that have no tag.";

/// The daemon serves new files within this time, else something holds them back.
const SERVED: Duration = Duration::from_secs(30);
/// A boot with two changes of firmware takes so long (phones.md §2.3).
const BOOT: Duration = Duration::from_secs(600);

/// Runs it.
pub(super) fn run(args: &Args, options: &Adopt, tops: &[PathBuf], etc: &Path) -> u8 {
    let known = known(args, options.mac);
    let tag = Tag {
        peer: options.peer.clone(),
        mac: options.mac,
        attributes: attributes(options, known.as_ref()),
        dry_run: options.dry_run,
        sip_conf: options.sip_conf.clone(),
    };
    let code = tag::tag(tops, etc, &tag);
    if code != DONE {
        return code;
    }
    output::line(outlook(options.mac, known.as_ref()));
    if options.dry_run {
        return DONE;
    }
    match served(args, options.mac) {
        Ok(()) => output::line(format!("handsetd serves the files of {}", options.mac)),
        Err(code) => return code,
    }
    if options.no_follow || known.is_none() {
        return DONE;
    }
    match trace::until_up(args, options.mac, BOOT, || arrived(args, options.mac)) {
        Ok(true) => DONE,
        Ok(false) => {
            output::complain(format!("not up yet: handset trace {}", options.mac));
            NO
        }
        Err(code) => code,
    }
}

/// What the daemon knows of the phone; none where it knows nothing, or is not there.
fn known(args: &Args, mac: Mac) -> Option<UnknownPhone> {
    let mut talk = ask(&daemon::socket(args), Ask::Unknown, false).ok()?;
    match talk.next()? {
        Ok(Answer::Unknown(phones)) => phones.into_iter().find(|phone| phone.mac == mac),
        _ => None,
    }
}

fn attributes(options: &Adopt, known: Option<&UnknownPhone>) -> Vec<String> {
    let model = options.model.clone().or_else(|| known?.model.clone());
    let all = [
        model.map(|model| format!("model={model}")),
        options.line.map(|line| format!("line={line}")),
        options.label.as_ref().map(|label| format!("label={label}")),
    ];
    all.into_iter().flatten().collect()
}

/// What will happen.
fn outlook(mac: Mac, known: Option<&UnknownPhone>) -> String {
    let Some(phone) = known else {
        return format!("{mac} was not heard of: it takes its files when it starts");
    };
    let at = phone.addresses.last().map(|at| format!(" at {at}")).unwrap_or_default();
    match &phone.firmware {
        Some(runs) => format!(
            "{mac}{at} runs {runs}. It takes its files at its next request; where it has stopped asking, start it again"
        ),
        None => format!("{mac}{at} takes its files at its next request, or when it starts again"),
    }
}

/// Whether a phone that is up runs what it shall run: on its way up the firmware ladder it comes up, and
/// is told to go on.
fn arrived(args: &Args, mac: Mac) -> Result<bool, u8> {
    let question = Ask::Status { phone: Some(mac.to_string()), select: Select::default() };
    let current = match daemon::once(args, question)? {
        Answer::Status(status) => status.phones.iter().all(|phone| phone.state == State::Current),
        other => return Err(output::refused(Some(other))),
    };
    if !current {
        return Ok(false);
    }
    let firmware = match daemon::once(args, Ask::Firmware)? {
        Answer::Firmware(firmware) => firmware,
        other => return Err(output::refused(Some(other))),
    };
    let phone = firmware.phones.into_iter().find(|phone| phone.mac == mac);
    if let Some(why) = phone.as_ref().filter(|phone| phone.off).and_then(|p| p.detail.as_ref()) {
        output::complain(why);
        return Err(NO);
    }
    Ok(phone.is_none_or(|phone| phone.next.is_none()))
}

/// Waits until the daemon offers the phone's files.
fn served(args: &Args, mac: Mac) -> Result<(), u8> {
    let until = Instant::now() + SERVED;
    let mut why = "handsetd has not read it yet".to_owned();
    while Instant::now() < until {
        let question = Ask::Status { phone: Some(mac.to_string()), select: Select::default() };
        let mut talk = ask(&daemon::socket(args), question, false)
            .map_err(|error| output::unreachable(&error))?;
        match talk.next() {
            Some(Ok(Answer::Status(status))) => match status.phones.first() {
                Some(phone) if is_served(phone) => return Ok(()),
                Some(phone) => why = phone.detail.clone().unwrap_or(why),
                None => {}
            },
            Some(Ok(Answer::Error { message, .. })) => why = message,
            Some(Ok(other)) => return Err(output::refused(Some(other))),
            Some(Err(error)) => return Err(output::unreachable(&error)),
            None => return Err(output::refused(None)),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    output::complain(format!("the tag is written, and its files are not served: {why}"));
    Err(NO)
}

fn is_served(phone: &PhoneStatus) -> bool {
    phone.wanted.is_some() && phone.state != State::Failed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(model: Option<&str>) -> Adopt {
        Adopt {
            mac: "0018b9ffffff".parse().unwrap(),
            peer: "201".into(),
            model: model.map(str::to_owned),
            line: Some(2),
            label: None,
            dry_run: false,
            no_follow: false,
            sip_conf: None,
        }
    }

    #[test]
    fn the_model_that_is_named_counts_before_the_one_that_is_known() {
        assert_eq!(attributes(&options(None), None), ["line=2"]);
        assert_eq!(attributes(&options(Some("7940")), None), ["model=7940", "line=2"]);
    }

    #[test]
    fn a_phone_that_was_not_heard_of_is_told_so() {
        let told = outlook(options(None).mac, None);
        assert_eq!(told, "00:18:b9:ff:ff:ff was not heard of: it takes its files when it starts");
    }
}
