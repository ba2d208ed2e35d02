//! `handset status`.

use std::time::Duration;

use super::args::{Args, Status as Options};
use super::{DONE, NO, daemon, output};
use crate::base::Level;
use crate::control::{
    Alert, Answer, Ask, FileSeen, LineStatus, PhoneStatus, Reason, Select, State, Status,
    UnknownAsker,
};
use crate::plan::diff::count;

/// With `--watch` the daemon is asked so often.
const WATCH: Duration = Duration::from_millis(500);

/// Runs it. Without `--watch`, one phone that is asked for and failed gives code 1.
pub(super) fn run(args: &Args, options: &Options) -> u8 {
    if options.watch { watch(args, options) } else { once(args, options) }
}

fn once(args: &Args, options: &Options) -> u8 {
    let status = match fetch(args, options) {
        Ok(status) => status,
        Err(code) => return code,
    };
    output::line(print(&status, options));
    let failed = status.phones.iter().any(|p| p.state == State::Failed);
    if options.phone.is_some() && failed { NO } else { DONE }
}

fn watch(args: &Args, options: &Options) -> u8 {
    let mut last = String::new();
    loop {
        match fetch(args, options) {
            Ok(status) => {
                let text = print(&status, options);
                if text != last {
                    // JSON is for machines: one array after the other. People get a fresh screen.
                    let home =
                        if options.json || !output::terminal() { "" } else { "\u{1b}[2J\u{1b}[H" };
                    output::line(format!("{home}{text}"));
                    last = text;
                }
            }
            Err(code) if last.is_empty() => return code,
            // It may be restarting.
            Err(_) => {}
        }
        std::thread::sleep(WATCH);
    }
}

fn fetch(args: &Args, options: &Options) -> Result<Box<Status>, u8> {
    let question = Ask::Status { phone: options.phone.clone(), select: select(options) };
    match daemon::once(args, question)? {
        Answer::Status(status) => Ok(status),
        other => Err(output::refused(Some(other))),
    }
}

/// Sites with no more phones than this are shown whole.
const FEW: usize = 50;
/// Phones on a page.
const PAGE: usize = 40;

/// Machines get all that they ask for; people what they can read.
fn select(options: &Options) -> Select {
    let number = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let asked = options.limit.map(number);
    let one = options.phone.is_some() || options.all;
    let page = asked.or_else(|| (!one && !options.json).then_some(PAGE));
    let page = page.or_else(|| (options.page > 1).then_some(PAGE));
    let plain = options.state.is_empty() && options.model.is_none() && asked.is_none();
    Select {
        states: options.state.clone(),
        model: options.model.clone(),
        offset: page.map_or(0, |page| page.saturating_mul(number(options.page) - 1)),
        limit: page,
        few: (plain && !one && !options.json).then_some(FEW),
    }
}

/// A state by its name.
pub(super) fn state(word: &str) -> Result<State, String> {
    let word = word.trim();
    let found = State::ALL.into_iter().find(|state| state.word() == word);
    found.ok_or_else(|| {
        let all: Vec<&str> = State::ALL.iter().map(|state| state.word()).collect();
        format!("write one or more of {}, joined by commas", all.join(", "))
    })
}

fn print(status: &Status, options: &Options) -> String {
    if options.json {
        let json = match options.alerts {
            true => serde_json::to_string_pretty(&status.alerts),
            false => serde_json::to_string_pretty(&status.phones),
        };
        return json.expect("a status has string keys");
    }
    if options.alerts {
        return guarded(status);
    }
    let mut lines = vec![format!(
        "generation {} of {} · Asterisk {} · sip.conf {}",
        status.generation, status.generated, status.ami, status.reload
    )];
    lines.extend(options.phone.is_none().then(|| summary(status)));
    lines.extend(status.rollout.as_ref().and_then(super::rollout::line));
    lines.extend(status.held.iter().map(|reason| format!("HELD BACK: {reason}")));
    lines.extend(faults(status));
    lines.push(table(&status.phones));
    lines.extend(rest(status, options));
    let told = status.phones.iter().filter(|phone| phone.state != State::Current);
    lines.extend(told.filter_map(|p| Some(format!("{}: {}", p.mac, p.detail.as_ref()?))));
    if options.phone.is_some() {
        lines.extend(status.phones.iter().flat_map(observed));
    }
    lines.extend(strangers(status, options));
    let guarded = guarded(status);
    lines.extend((!guarded.is_empty()).then_some(guarded));
    lines.join("\n")
}

/// What was seen of a phone that was asked for, a line each.
fn observed(phone: &PhoneStatus) -> Vec<String> {
    let seen = &phone.seen;
    let at = seen.address.as_ref().map(|address| format!(" at {address}")).unwrap_or_default();
    let facts = [
        seen.proved.as_ref().map(|t| format!("proved {}{at}", short(t))),
        seen.fetched.as_ref().map(|t| format!("fetched its own file {}", short(t))),
        seen.compared.as_ref().map(|t| format!("looked {}", short(t))),
        seen.told.as_ref().map(|(t, what)| format!("{what} {}", short(t))),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let of_lines = phone.lines.iter().filter(|line| line.registered).map(|line| {
        let until = line.expires.as_ref().map(|t| format!(", until {}", short(t)));
        let answered = line.rtt.map(|rtt| format!(", answers in {rtt} ms"));
        let device = line.device.as_ref().map(|device| format!(", {device}"));
        let more = [until, answered, device].into_iter().flatten().collect::<String>();
        format!("line {}: registered{more}", line.line)
    });
    let first = (!facts.is_empty()).then(|| format!("{}: {}", phone.mac, facts.join("; ")));
    let dhcp = seen.dhcp.as_ref().map(|dhcp| format!("DHCP: {} {}", dhcp.text, short(&dhcp.at)));
    let files = (!seen.files.is_empty()).then(|| files(&seen.files));
    first.into_iter().chain(of_lines).chain(dhcp).chain(files).collect()
}

/// How a phone last asked for each file.
fn files(files: &[FileSeen]) -> String {
    let row = |file: &FileSeen| {
        let digest = file.digest.map_or("-".into(), |digest| digest.to_string()[..8].to_owned());
        let bytes = file.bytes.to_string();
        vec![file.name.clone(), short(&file.at), bytes, digest, file.outcome.clone()]
    };
    let head = ["FILE", "LAST ASKED FOR", "BYTES", "GIVEN", "CAME TO"];
    output::table(&head, files.iter().map(row).collect())
}

/// A time to the second.
fn short(time: &str) -> String {
    time.chars().take(19).collect()
}

/// The site in one line.
fn summary(status: &Status) -> String {
    let total: usize = status.counts.values().sum();
    let states = State::ALL.iter().filter_map(|state| {
        let count = status.counts.get(state).copied().filter(|count| *count > 0)?;
        Some(format!("{count} {}", state.word()))
    });
    let states: Vec<String> = states.collect();
    let by = if states.is_empty() { String::new() } else { format!(": {}", states.join(", ")) };
    format!("{}{by} · {} registered", count(total, "phone"), status.registered)
}

/// What is wrong with the sources.
fn faults(status: &Status) -> Vec<String> {
    let grave = status.diagnostics.iter().filter(|m| m.level > Level::Note);
    let mut lines: Vec<String> = grave
        .map(|message| {
            let place = message.place.as_deref().map(|p| format!("{p}: ")).unwrap_or_default();
            let level = if message.level == Level::Error { "error" } else { "warning" };
            format!("{place}{level}[{}]: {}", message.code, message.message)
        })
        .collect();
    if status.more_diagnostics > 0 {
        lines.push(format!("… and {} more: handset check", status.more_diagnostics));
    }
    lines
}

/// Where the phones are that are not in the table.
fn rest(status: &Status, options: &Options) -> Vec<String> {
    let select = select(options);
    let total: usize = status.counts.values().sum();
    let left = status.matched.saturating_sub(select.offset + status.phones.len());
    let mut lines = Vec::new();
    if select.few.is_some_and(|few| total <= few) {
        return lines;
    }
    if left > 0 {
        let next = options.page.saturating_add(1);
        lines.push(format!("… and {left} more: handset status{} --page {next}", words(options)));
    }
    let current = status.counts.get(&State::Current).copied().unwrap_or_default();
    if select.few.is_some() && current > 0 {
        let are = if current == 1 { "phone is" } else { "phones are" };
        lines.push(format!("{current} {are} current and not shown: handset status --all"));
    }
    lines
}

/// The words that pick the same phones again.
fn words(options: &Options) -> String {
    let mut words = String::new();
    if !options.state.is_empty() {
        let states: Vec<&str> = options.state.iter().map(|state| state.word()).collect();
        words += &format!(" --state {}", states.join(","));
    }
    words += &options.model.as_ref().map(|m| format!(" --model {m}")).unwrap_or_default();
    words + &options.limit.map(|n| format!(" --limit {n}")).unwrap_or_default()
}

/// Who asks and has no tag.
fn strangers(status: &Status, options: &Options) -> Vec<String> {
    let most = if options.all { usize::MAX } else { STRANGERS };
    let one = |asker: &UnknownAsker| {
        let UnknownAsker { mac, address, asked, .. } = asker;
        format!("{mac} at {address} asks for {asked} and has no tag: ;MAC={mac}")
    };
    let mut lines: Vec<String> = status.unknown.iter().take(most).map(one).collect();
    let more = status.unknown.len().saturating_sub(most);
    if more > 0 {
        lines.push(format!("… and {more} more without a tag: handset unknown"));
    }
    lines
}

/// So many phones without a tag are listed.
const STRANGERS: usize = 20;

/// What was refused, who waits for the operator, and what is open.
fn guarded(status: &Status) -> String {
    let mut lines: Vec<String> = status.alerts.iter().map(refusal).collect();
    lines.extend(status.off_ladder.iter().map(|phone| {
        let (mac, why) = (phone.mac, &phone.why);
        format!("ALERT: {mac} is off the firmware ladder: {why}; handset firmware retry {mac}")
    }));
    lines.extend(status.dhcp.iter().map(|alert| {
        let last: String = alert.last.chars().take(19).collect();
        format!("DHCP: {} ({} times, last {last})", alert.text, alert.count)
    }));
    if !status.opened.is_empty() {
        lines.push(super::open::list(&status.opened));
    }
    lines.join("\n")
}

/// A refusal, or a series of them, in one line.
pub(super) fn refusal(alert: &Alert) -> String {
    let Alert { reason, address, phone, owner, count, last } = alert;
    let last: String = last.chars().take(19).collect();
    let phone = phone.map(|mac| mac.to_string()).unwrap_or_default();
    let owner = owner.map(|mac| mac.to_string()).unwrap_or_default();
    match reason {
        Reason::Anothers => format!(
            "ALERT: {address}, which is {owner}, asked for the file of {phone} ({count} times, last {last})"
        ),
        Reason::Scan => {
            format!("ALERT: {address} guesses MACs ({count} requests, last {last})")
        }
        Reason::Unknown => format!(
            "{phone} waits: nobody knows that {address} is this phone ({count} times, last {last}); \
             if it is: handset open {phone}"
        ),
    }
}

const HEAD: [&str; 9] =
    ["PHONE", "MODEL", "LINE", "PEER", "REGISTERED", "WANTED", "RUNNING", "STATE", "LAST SEEN"];

/// One row a line: what belongs to the phone stands on its first.
fn table(phones: &[PhoneStatus]) -> String {
    let mut rows = Vec::new();
    for phone in phones {
        let none = LineStatus {
            line: 0,
            peer: "-".into(),
            label: String::new(),
            registered: false,
            address: None,
            user_agent: None,
            ..LineStatus::default()
        };
        let lines: Vec<&LineStatus> =
            if phone.lines.is_empty() { vec![&none] } else { phone.lines.iter().collect() };
        rows.extend(lines.iter().enumerate().map(|(index, line)| row(phone, line, index == 0)));
    }
    output::table(&HEAD, rows)
}

fn row(phone: &PhoneStatus, line: &LineStatus, first: bool) -> Vec<String> {
    let short = |digest: Option<crate::base::Digest>| {
        digest.map_or("-".into(), |d| d.to_string()[..8].to_owned())
    };
    let of_phone = |text: String| if first { text } else { String::new() };
    let agent = line.user_agent.as_deref().map(|a| format!(" {a}")).unwrap_or_default();
    let registered =
        line.address.as_ref().map_or("no".into(), |address| format!("{address}{agent}"));
    vec![
        of_phone(phone.mac.to_string()),
        of_phone(phone.model.clone()),
        line.line.to_string(),
        line.peer.clone(),
        registered,
        of_phone(short(phone.wanted)),
        of_phone(short(phone.running)),
        of_phone(word(phone.state).into()),
        of_phone(
            phone.last_seen.as_deref().map_or("never".into(), |at| at.chars().take(19).collect()),
        ),
    ]
}

/// The state as in JSON.
pub(super) fn word(state: State) -> &'static str {
    state.word()
}

#[cfg(test)]
mod tests;
