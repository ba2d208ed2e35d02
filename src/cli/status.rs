//! `handset status`.

use std::time::Duration;

use super::args::{Args, Status as Options};
use super::{DONE, NO, daemon, output};
use crate::base::Level;
use crate::control::{Alert, Answer, Ask, LineStatus, PhoneStatus, Reason, State, Status};

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
    match daemon::once(args, Ask::Status { phone: options.phone.clone() })? {
        Answer::Status(status) => Ok(status),
        other => Err(output::refused(Some(other))),
    }
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
    let mut text = format!(
        "generation {} of {} · Asterisk {} · sip.conf {}\n",
        status.generation, status.generated, status.ami, status.reload
    );
    if let Some(reason) = &status.held {
        text += &format!("HELD BACK: {reason}\n");
    }
    for message in status.diagnostics.iter().filter(|m| m.level > Level::Note) {
        let place = message.place.as_deref().map(|p| format!("{p}: ")).unwrap_or_default();
        let level = if message.level == Level::Error { "error" } else { "warning" };
        text += &format!("{place}{level}[{}]: {}\n", message.code, message.message);
    }
    text += &table(&status.phones);
    for phone in &status.phones {
        if let Some(detail) = phone.detail.as_ref().filter(|_| phone.state != State::Current) {
            text += &format!("\n{}: {detail}", phone.mac);
        }
    }
    for asker in &status.unknown {
        text += &format!(
            "\n{} at {} asks for {} and has no tag: ;MAC={}",
            asker.mac, asker.address, asker.asked, asker.mac
        );
    }
    let guarded = guarded(status);
    if guarded.is_empty() { text } else { text + "\n" + &guarded }
}

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
    match state {
        State::Current => "current",
        State::Pending => "pending",
        State::Pushing => "pushing",
        State::InCall => "in-call",
        State::Failed => "failed",
        State::Unknown => "unknown",
    }
}
