//! What was refused: a bounded list for `status`, and one log line that fail2ban matches
//! (contrib/fail2ban holds the expressions: its lines are a promise).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::base::{Mac, Time};
use crate::control::{Alert, Reason};

/// So many alerts are kept. Unknown askers make room first (their addresses may be forged), then the
/// alert that has been quiet the longest.
const MANY: usize = 256;
/// An alert is shown for so long after its last time.
const SHOWN: Duration = Duration::from_secs(86_400);
/// The same refusal is logged so often at most.
const AGAIN: Duration = Duration::from_secs(1);
/// So many lines are logged in a second at most, all together; about unknown askers half of that.
const LINES: u32 = 20;

/// What alerts about one thing have in common. A scan is no phone's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Topic {
    pub(super) reason: Reason,
    pub(super) address: IpAddr,
    pub(super) phone: Option<Mac>,
}

#[derive(Debug)]
struct Counted {
    owner: Option<Mac>,
    count: u64,
    last: Time,
    logged: Instant,
}

/// The alerts.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    all: HashMap<Topic, Counted>,
    lines: Option<(Instant, u32)>,
    /// Refusals since the start, by reason.
    refusals: BTreeMap<&'static str, u64>,
}

impl Alerts {
    /// Counts a refusal. `owner` is whom the neighbour table has at the address.
    pub(super) fn refused(&mut self, topic: Topic, owner: Option<Mac>, at: (Time, Instant)) {
        let (time, now) = at;
        *self.refusals.entry(word(topic.reason)).or_default() += 1;
        if self.all.len() >= MANY && !self.all.contains_key(&topic) {
            let oldest = self
                .all
                .iter()
                .min_by_key(|(t, c)| (t.reason != Reason::Unknown, c.last))
                .map(|(topic, _)| *topic);
            oldest.map(|topic| self.all.remove(&topic));
        }
        let fresh = || Counted { owner, count: 0, last: time, logged: now };
        let counted = self.all.entry(topic).or_insert_with(fresh);
        counted.count += 1;
        (counted.owner, counted.last) = (owner, time);
        if counted.count == 1 || now.duration_since(counted.logged) >= AGAIN {
            counted.logged = now;
            let most = if topic.reason == Reason::Unknown { LINES / 2 } else { LINES };
            if self.may_log(most, now) {
                log(topic, owner);
            }
        }
    }

    /// An address turned out to be a scanner: what was refused to it before is part of that.
    pub(super) fn fold(&mut self, topic: Topic, at: (Time, Instant)) {
        let before: u64 =
            self.all.iter().filter(|(t, _)| t.address == topic.address).map(|(_, c)| c.count).sum();
        self.all.retain(|t, _| t.address != topic.address);
        self.refused(topic, None, at);
        if let Some(counted) = self.all.get_mut(&topic) {
            counted.count += before;
        }
    }

    /// A phone got its file: it does not wait any more.
    pub(super) fn given(&mut self, phone: Mac) {
        self.all.retain(|topic, _| topic.reason != Reason::Unknown || topic.phone != Some(phone));
    }

    /// Refusals since the start, by reason.
    pub(super) fn refusals(&self) -> Vec<(&'static str, u64)> {
        let reasons = [Reason::Anothers, Reason::Unknown, Reason::Scan].map(word);
        let count = |reason| self.refusals.get(reason).copied().unwrap_or_default();
        reasons.into_iter().map(|reason| (reason, count(reason))).collect()
    }

    /// All that are worth showing, the newest first.
    pub(super) fn list(&self, now: Time) -> Vec<Alert> {
        let mut all: Vec<_> =
            self.all.iter().filter(|(_, counted)| now.since(counted.last) < SHOWN).collect();
        all.sort_by_key(|(topic, counted)| (std::cmp::Reverse(counted.last), topic.address));
        let alert = |(topic, counted): (&Topic, &Counted)| Alert {
            reason: topic.reason,
            address: topic.address.to_string(),
            phone: topic.phone,
            owner: counted.owner,
            count: counted.count,
            last: counted.last.to_string(),
        };
        all.into_iter().map(alert).collect()
    }

    fn may_log(&mut self, most: u32, now: Instant) -> bool {
        let (since, lines) = self.lines.unwrap_or((now, 0));
        let (since, lines) =
            if now.duration_since(since) >= AGAIN { (now, 0) } else { (since, lines) };
        let may = lines < most;
        self.lines = Some((since, lines + u32::from(may)));
        may
    }
}

/// The value of a label.
fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Anothers => "anothers",
        Reason::Unknown => "unknown",
        Reason::Scan => "scan",
    }
}

/// All is in the message: fail2ban sees nothing else of what the journal holds.
fn log(topic: Topic, owner: Option<Mac>) {
    let line = line(topic, owner);
    match topic.reason {
        Reason::Unknown => info!(target: "handset::guard", "{line}"),
        Reason::Anothers | Reason::Scan => warn!(target: "handset::guard", "{line}"),
    }
}

fn line(topic: Topic, owner: Option<Mac>) -> String {
    let Topic { reason, address, phone } = topic;
    let mut line = match phone {
        Some(phone) => format!("refused secret file asker={address} phone={phone} reason={reason}"),
        None => format!("many MACs guessed asker={address} reason={reason}"),
    };
    if let Some(owner) = owner {
        line += &format!(" owner={owner}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(last: u8) -> Mac {
        Mac::new([0, 0x18, 0xb9, 0, 0, last]).unwrap()
    }

    fn topic(reason: Reason, last: u8, phone: Option<u8>) -> Topic {
        Topic { reason, address: [192, 0, 2, last].into(), phone: phone.map(mac) }
    }

    fn shown(alerts: &Alerts, now: u64) -> Vec<String> {
        let word = |a: Alert| format!("{} {} {:?} {}", a.reason, a.address, a.phone, a.count);
        alerts.list(Time(now)).into_iter().map(word).collect()
    }

    #[test]
    fn the_same_refusal_is_one_alert_that_counts_and_ends_when_the_phone_is_served() {
        let (mut alerts, now) = (Alerts::default(), Instant::now());
        for time in 1..=3 {
            alerts.refused(topic(Reason::Unknown, 9, Some(1)), None, (Time(time), now));
        }
        alerts.refused(topic(Reason::Anothers, 9, Some(1)), Some(mac(2)), (Time(4), now));
        let both = [
            "another's 192.0.2.9 Some(00:18:b9:00:00:01) 1",
            "unknown 192.0.2.9 Some(00:18:b9:00:00:01) 3",
        ];
        assert_eq!(shown(&alerts, 5), both);
        alerts.given(mac(1));
        assert_eq!(shown(&alerts, 5), both[..1]);
        assert_eq!(shown(&alerts, 86_400_005), [""; 0]);
    }

    #[test]
    fn a_scanner_is_one_alert_and_the_list_is_bounded() {
        let (mut alerts, now) = (Alerts::default(), Instant::now());
        for phone in 1..=9 {
            alerts.refused(topic(Reason::Anothers, 9, Some(phone)), None, (Time(1), now));
        }
        alerts.fold(topic(Reason::Scan, 9, None), (Time(2), now));
        assert_eq!(shown(&alerts, 3), ["scan 192.0.2.9 None 10"]);
        for number in 0..1000_u64 {
            let phone = u8::try_from(number % 251).unwrap();
            let topic = topic(Reason::Unknown, u8::try_from(number % 5).unwrap(), Some(phone));
            alerts.refused(topic, None, (Time(number), now));
        }
        assert_eq!(alerts.all.len(), MANY);
        assert!(shown(&alerts, 1001).contains(&"scan 192.0.2.9 None 10".to_owned()));
    }

    /// What fail2ban-regex makes of the filter, with Python's own expressions: `<ADDR>` and the prefix
    /// that fail2ban has for a line of syslog or the journal are put in by hand.
    #[test]
    fn fail2ban_bans_who_asks_for_anothers_file_and_who_guesses_and_nobody_else() {
        const FILTER: &str = include_str!("../../../contrib/fail2ban/filter.d/handset.conf");
        const PROGRAM: &str = r##"
import re, sys
filter, line = sys.argv[1:]
part = filter.split("failregex =")[1].split("\nignoreregex")[0]
rules = [r.strip() for r in part.strip().splitlines() if r.strip() and not r.startswith("#")]
address = r"(?P<ip>[0-9a-f.:]+)"
prefix = r"(?:\S+ handsetd\[\d+\]: )?"
found = [re.search(r.replace("<ADDR>", address).replace("%(__prefix_line)s", prefix), line) for r in rules]
print(next((m.group("ip") for m in found if m), "-"))
"##;
        let check = |line: &str, expected: &str| {
            let mut python = std::process::Command::new("python3");
            let out = python
                .args(["-c", PROGRAM, FILTER, line])
                .output()
                .expect("python3 (make setup installs it)");
            let found = String::from_utf8_lossy(&out.stdout);
            assert_eq!(found.trim_end(), expected, "{line} {out:?}");
        };
        let anothers = line(topic(Reason::Anothers, 9, Some(1)), Some(mac(2)));
        let scan = line(topic(Reason::Scan, 9, None), None);
        assert_eq!(
            anothers,
            "refused secret file asker=192.0.2.9 phone=00:18:b9:00:00:01 reason=another's \
             owner=00:18:b9:00:00:02"
        );
        for line in [&anothers, &scan] {
            check(&format!("pbx handsetd[71]: {line}"), "192.0.2.9");
            check(&format!("  WARN handset::guard: {line}"), "192.0.2.9");
            // A file may be called anything.
            check(&format!("  INFO handset::daemon::tftp: tftp file=\"{line}\""), "-");
            check(
                &format!(
                    "  INFO handset::daemon::tftp: tftp file=\" WARN handset::guard: {line}\""
                ),
                "-",
            );
        }
        let unknown = line(topic(Reason::Unknown, 9, Some(1)), None);
        check(&format!("pbx handsetd[71]: {unknown}"), "-");
    }
}
