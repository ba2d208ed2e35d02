//! What a caller hears and the dial plan gets, as values.

use crate::control::{PhoneStatus, State};

/// One thing to do with a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// A variable for the dial plan.
    Set(&'static str, String),
    /// A sound that comes with Asterisk.
    Play(&'static str),
    /// A number, digit by digit.
    Digits(String),
    /// Letters and digits, one by one.
    Alpha(String),
    /// A message on the display, where the phone takes one.
    Text(String),
}

/// Characters of a text for a variable or a display at most.
const TEXT: usize = 160;

/// What is there for every call: how it ended, and that in words.
fn outcome(result: &str, text: &str) -> Vec<Step> {
    vec![Step::Set("HANDSET_RESULT", result.to_owned()), Step::Set("HANDSET_TEXT", plain(text))]
}

/// Nothing was done.
pub(super) fn refused(result: &str, text: &str) -> Vec<Step> {
    let mut steps = outcome(result, text);
    steps.push(Step::Play("beeperr"));
    steps
}

/// It was done.
pub(super) fn done(result: &str, text: &str) -> Vec<Step> {
    let mut steps = outcome(result, text);
    steps.push(Step::Play("beep"));
    steps
}

/// The phone is told to look once this call is over.
pub(super) fn resync(phone: &PhoneStatus) -> Vec<Step> {
    let current = phone.running.is_some() && phone.running == phone.wanted;
    let (result, text) = match current {
        true => ("current", "it runs its newest configuration, and looks again"),
        false => ("told", "it fetches its configuration after this call"),
    };
    let mut steps = done(result, text);
    steps.extend(facts(phone));
    steps
}

/// How the phone is: one beep for current, else another; the end of its MAC; how many lines are registered.
pub(super) fn state(phone: &PhoneStatus) -> Vec<Step> {
    let current = phone.state == State::Current;
    let words = words(phone);
    let mut steps = outcome(if current { "current" } else { word(phone.state) }, &words);
    steps.extend(facts(phone));
    steps.push(Step::Play(if current { "beep" } else { "beeperr" }));
    let mac = phone.mac.to_string().replace(':', "");
    steps.push(Step::Alpha(mac[mac.len() - 4..].to_owned()));
    steps.push(Step::Digits(registered(phone).to_string()));
    steps.push(Step::Text(plain(&words)));
    steps
}

fn facts(phone: &PhoneStatus) -> [Step; 4] {
    [
        Step::Set("HANDSET_MAC", phone.mac.to_string()),
        Step::Set("HANDSET_MODEL", plain(&phone.model)),
        Step::Set("HANDSET_STATE", word(phone.state).to_owned()),
        Step::Set("HANDSET_LINES", format!("{}/{}", registered(phone), phone.lines.len())),
    ]
}

fn registered(phone: &PhoneStatus) -> usize {
    phone.lines.iter().filter(|line| line.registered).count()
}

fn words(phone: &PhoneStatus) -> String {
    let (state, lines) = (word(phone.state), registered(phone));
    let detail = phone.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!(
        "{} {} {lines} of {} lines registered, {state}{detail}",
        phone.model,
        phone.mac,
        phone.lines.len()
    )
}

fn word(state: State) -> &'static str {
    match state {
        State::Current => "current",
        State::Pending => "pending",
        State::Pushing => "pushing",
        State::InCall => "in-call",
        State::Failed => "failed",
        State::Unknown => "unknown",
    }
}

/// On one line, and short.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{LineStatus, PhoneSeen};

    fn phone(state: State, detail: Option<&str>) -> PhoneStatus {
        let line = |line, registered| LineStatus {
            line,
            peer: format!("20{line}"),
            label: String::new(),
            registered,
            address: None,
            user_agent: None,
            ..LineStatus::default()
        };
        PhoneStatus {
            mac: "0018b912ab34".parse().unwrap(),
            family: "cisco-79x0".into(),
            model: "7960".into(),
            lines: vec![line(1, true), line(2, false)],
            wanted: None,
            running: None,
            state,
            detail: detail.map(str::to_owned),
            last_seen: None,
            alerts: Vec::new(),
            seen: PhoneSeen::default(),
        }
    }

    fn set(steps: &[Step], name: &str) -> String {
        let value = |step: &Step| match step {
            Step::Set(known, value) if *known == name => Some(value.clone()),
            _ => None,
        };
        steps.iter().find_map(value).unwrap()
    }

    #[test]
    fn a_phone_says_how_it_is() {
        let steps = state(&phone(State::Pending, Some("to be\ntold")));
        assert_eq!(set(&steps, "HANDSET_RESULT"), "pending");
        let text = "7960 00:18:b9:12:ab:34 1 of 2 lines registered, pending: to be told";
        assert_eq!(set(&steps, "HANDSET_TEXT"), text);
        assert_eq!(set(&steps, "HANDSET_LINES"), "1/2");
        let heard = [
            Step::Play("beeperr"),
            Step::Alpha("ab34".into()),
            Step::Digits("1".into()),
            Step::Text(text.into()),
        ];
        assert_eq!(steps[steps.len() - 4..], heard);
        assert!(state(&phone(State::Current, None)).contains(&Step::Play("beep")));
    }

    #[test]
    fn a_phone_that_runs_what_it_shall_is_told_so() {
        let mut phone = phone(State::Unknown, None);
        assert_eq!(set(&resync(&phone), "HANDSET_RESULT"), "told");
        let digest = crate::base::Digest::try_from("0".repeat(32)).unwrap();
        (phone.wanted, phone.running) = (Some(digest), Some(digest));
        assert_eq!(set(&resync(&phone), "HANDSET_RESULT"), "current");
    }

    #[test]
    fn a_text_is_one_short_line() {
        assert_eq!(plain(&"\u{7}x".repeat(200)).chars().count(), TEXT);
        assert!(!plain("a\r\nb\0").contains(char::is_control));
    }
}
