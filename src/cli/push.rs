//! `handset push`.

use std::collections::BTreeMap;

use super::args::{Args, Push};
use super::bar::{Line, bar};
use super::status::word;
use super::{DONE, NO, daemon, output};
use crate::base::Mac;
use crate::control::client::{Conversation, ask};
use crate::control::{Answer, Ask, PhoneStatus, PushLine, State};

/// Runs it.
pub(super) fn run(args: &Args, options: &Push) -> u8 {
    let question = Ask::Push {
        phones: options.phones.clone(),
        all: options.all,
        dry_run: options.dry_run,
        wait: options.wait,
    };
    let mut talk = match ask(&daemon::socket(args), question, options.wait) {
        Ok(talk) => talk,
        Err(error) => return output::unreachable(&error),
    };
    let total = match talk.next() {
        Some(Ok(Answer::Push { phones })) => {
            let total = phones.len();
            output::line(told(&phones, output::rows()));
            total
        }
        Some(Ok(other)) => return output::refused(Some(other)),
        Some(Err(error)) => return output::unreachable(&error),
        None => return output::refused(None),
    };
    if options.wait && !options.dry_run { wait(talk, total) } else { DONE }
}

/// What is done, phone by phone.
fn told(phones: &[PushLine], most: usize) -> String {
    let row = |p: &PushLine| vec![p.mac.to_string(), p.peers.join(","), p.what.clone()];
    let rows = phones.iter().take(most).map(row).collect();
    output::table(&["PHONE", "PEERS", "PUSH"], rows) + &more(phones.len(), most)
}

fn more(all: usize, most: usize) -> String {
    match all.saturating_sub(most) {
        0 => String::new(),
        more => format!("\n… and {more} more"),
    }
}

/// Shows how it goes until the end; the code tells whether every phone is current.
fn wait(talk: Conversation, total: usize) -> u8 {
    let line = Line::new();
    let mut last: BTreeMap<Mac, PhoneStatus> = BTreeMap::new();
    line.draw(&progress(&last, total));
    for answer in talk {
        match answer {
            Ok(Answer::Progress { phones, finished }) => {
                for phone in phones {
                    // Where a bar is drawn, only what went wrong is worth a line.
                    if !line.is_seen() || phone.state == State::Failed {
                        line.draw("");
                        output::line(news(&phone));
                    }
                    last.insert(phone.mac, phone);
                }
                line.draw(&if finished { String::new() } else { progress(&last, total) });
                if finished {
                    output::line(proofs(&last, output::rows()));
                    let proved = count(&last, State::Current);
                    return if proved == last.len() { DONE } else { NO };
                }
            }
            Ok(other) => {
                line.draw("");
                return output::refused(Some(other));
            }
            Err(error) => {
                line.draw("");
                return output::unreachable(&error);
            }
        }
    }
    line.draw("");
    output::refused(None)
}

fn news(phone: &PhoneStatus) -> String {
    let detail = phone.detail.as_deref().map(|d| format!(": {d}")).unwrap_or_default();
    format!("{} {}{detail}", phone.mac, word(phone.state))
}

fn count(phones: &BTreeMap<Mac, PhoneStatus>, state: State) -> usize {
    phones.values().filter(|phone| phone.state == state).count()
}

fn progress(phones: &BTreeMap<Mac, PhoneStatus>, total: usize) -> String {
    let of = |state| count(phones, state);
    let (proved, moving) = (of(State::Current), of(State::Pushing));
    let others =
        [(moving, "on their way"), (of(State::InCall), "in a call"), (of(State::Failed), "failed")];
    let others = others.iter().filter(|(count, _)| *count > 0);
    let others = others.map(|(count, word)| format!(", {count} {word}")).collect::<String>();
    format!("{} {proved} of {total} proved{others}", bar(proved, moving, total))
}

/// What was seen of each phone, those that are not proved first, and the sum.
fn proofs(phones: &BTreeMap<Mac, PhoneStatus>, most: usize) -> String {
    let mut all: Vec<&PhoneStatus> = phones.values().collect();
    all.sort_by_key(|phone| (phone.state == State::Current, phone.mac));
    let row = |phone: &&PhoneStatus| {
        let short = |digest: Option<crate::base::Digest>| {
            digest.map_or("-".into(), |digest| digest.to_string()[..8].to_owned())
        };
        let peers: Vec<&str> = phone.lines.iter().map(|line| &*line.peer).collect();
        let (wanted, running) = (short(phone.wanted), short(phone.running));
        let state = word(phone.state).to_owned();
        vec![phone.mac.to_string(), peers.join(","), state, wanted, running, seen(phone)]
    };
    let rows = all.iter().take(most).map(row).collect();
    let head = ["PHONE", "PEERS", "STATE", "WANTED", "RUNNING", "SEEN"];
    let proved = count(phones, State::Current);
    format!(
        "{}{}\n{proved} of {} proved to run their configuration",
        output::table(&head, rows),
        more(phones.len(), most),
        phones.len()
    )
}

/// What a phone's state rests on.
fn seen(phone: &PhoneStatus) -> String {
    let at = phone.last_seen.as_deref().map(|at| at.chars().take(19).collect::<String>());
    let at = at.map_or("never heard of".into(), |at| format!("last heard of {at}"));
    let from = phone.lines.iter().find_map(|line| line.address.as_deref());
    match (phone.state, &phone.detail, from) {
        (State::Current, None, Some(from)) => {
            format!("fetched it and registered from {from}, {at}")
        }
        (_, Some(detail), _) => format!("{detail}; {at}"),
        (_, None, Some(from)) => format!("registered from {from}, {at}"),
        (_, None, None) => format!("not registered, {at}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{LineStatus, PhoneSeen};

    fn phone(last: u8, state: State, detail: Option<&str>) -> PhoneStatus {
        let line = LineStatus {
            line: 1,
            peer: format!("{}", 200 + u16::from(last)),
            label: String::new(),
            registered: true,
            address: Some(format!("192.0.2.{last}:5060")),
            user_agent: None,
            ..LineStatus::default()
        };
        let token = crate::base::Key::new([7; 32]).digest("test", [[last].as_slice()]);
        PhoneStatus {
            mac: Mac::new([0, 0x18, 0xb9, 0, 0, last]).unwrap(),
            family: "cisco-79x0".into(),
            model: "7940".into(),
            lines: vec![line],
            wanted: Some(token),
            running: (state == State::Current).then_some(token),
            state,
            detail: detail.map(str::to_owned),
            last_seen: Some("2026-11-22T16:20:31.120Z".into()),
            alerts: Vec::new(),
            seen: PhoneSeen::default(),
        }
    }

    fn phones() -> BTreeMap<Mac, PhoneStatus> {
        let all = [
            phone(1, State::Current, None),
            phone(2, State::Pushing, None),
            phone(3, State::Failed, Some("it did not register again")),
        ];
        all.into_iter().map(|phone| (phone.mac, phone)).collect()
    }

    #[test]
    fn the_end_is_a_table_of_proof_with_what_went_wrong_first() {
        let text = proofs(&phones(), 40);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[0].starts_with("PHONE") && lines[0].ends_with("SEEN"), "{text}");
        assert!(
            lines[2].contains("203") && lines[2].contains("it did not register again"),
            "{text}"
        );
        assert!(
            lines[3].contains("current") && lines[3].contains("registered from 192.0.2.1:5060")
        );
        assert_eq!(lines[4], "1 of 3 proved to run their configuration");
        assert!(proofs(&phones(), 1).contains("\n… and 2 more\n1 of 3 proved"));
    }

    #[test]
    fn the_bar_tells_how_far_it_is() {
        let wanted = "[##########==========..........] 1 of 3 proved, 1 on their way, 1 failed";
        assert_eq!(progress(&phones(), 3), wanted);
        assert_eq!(progress(&BTreeMap::new(), 2), "[..............................] 0 of 2 proved");
    }
}
