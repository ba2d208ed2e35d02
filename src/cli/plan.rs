//! `handset plan`.

use std::collections::BTreeMap;

use super::args::Args;
use super::{DONE, daemon, output};
use crate::control::{self, Answer, Ask, Change, KeyChange, PhonePlan};
use crate::plan::diff::count;

/// `handset plan`.
#[derive(clap::Args, Debug)]
pub struct Plan {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
pub(super) fn run(args: &Args, options: &Plan) -> u8 {
    match daemon::once(args, Ask::Plan) {
        Ok(Answer::Plan(plan)) if options.json => {
            output::line(serde_json::to_string_pretty(&plan).expect("a plan has string keys"));
            DONE
        }
        Ok(Answer::Plan(plan)) => {
            output::line(print(&plan, output::rows()));
            DONE
        }
        Ok(other) => output::refused(Some(other)),
        Err(code) => code,
    }
}

fn print(plan: &control::Plan, most: usize) -> String {
    let mut lines: Vec<String> = plan.held.iter().map(|why| format!("HELD BACK: {why}")).collect();
    if plan.phones.is_empty() {
        lines.push("nothing on disk waits for a phone".into());
        return lines.join("\n");
    }
    lines.push(sum(&plan.phones));
    let groups = groups(&plan.phones);
    lines.extend(groups.iter().take(most).map(Group::text));
    let more: usize = groups.iter().skip(most).map(|group| group.phones.len()).sum();
    if more > 0 {
        lines.push(format!("\n… and {}: handset plan | less", count(more, "more phone")));
    }
    lines.extend(outlook(plan));
    lines.join("\n")
}

fn sum(phones: &[PhonePlan]) -> String {
    let kinds =
        [(Change::Changed, "changed"), (Change::Added, "new"), (Change::Removed, "removed")];
    let parts = kinds.iter().filter_map(|(kind, word)| {
        let many = phones.iter().filter(|phone| phone.diff.change == *kind).count();
        (many > 0).then(|| format!("{many} {word}"))
    });
    let restarts = phones.iter().filter(|phone| phone.diff.restarts).count();
    let parts: Vec<String> = parts.collect();
    format!("{}: {}; {restarts} restart", count(phones.len(), "phone"), parts.join(", "))
}

/// Phones with the same change at the same time: one edit of a template is told once, not 20,000 times.
struct Group<'a> {
    first: &'a PhonePlan,
    phones: Vec<&'a PhonePlan>,
}

/// So many phones of a group are named.
const NAMED: usize = 6;

fn groups(phones: &[PhonePlan]) -> Vec<Group<'_>> {
    // The files carry the phone's MAC in their names.
    let alike = |phone: &PhonePlan| {
        let key = |change: &KeyChange| (change.key.clone(), change.old.clone(), change.new.clone());
        let keys: Vec<_> = phone.keys().iter().map(key).collect();
        (what(phone), phone.when.clone(), keys)
    };
    let mut places = BTreeMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for phone in phones {
        let place = *places.entry(alike(phone)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.phones.push(phone),
            None => groups.push(Group { first: phone, phones: vec![phone] }),
        }
    }
    groups
}

impl Group<'_> {
    fn text(&self) -> String {
        let one =
            |phone: &&PhonePlan| format!("{} ({})", phone.diff.mac, phone.diff.peers.join(", "));
        let mut names: Vec<String> = self.phones.iter().take(NAMED).map(one).collect();
        let more = self.phones.len().saturating_sub(NAMED);
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        let many = if self.phones.len() > 1 {
            format!("{} phones: ", self.phones.len())
        } else {
            String::new()
        };
        let head =
            format!("\n{many}{}\n  {}, {}", names.join(", "), what(self.first), self.first.when);
        self.first.keys().iter().fold(head, |text, change| text + "\n  " + &key(change))
    }
}

fn what(phone: &PhonePlan) -> &'static str {
    match (phone.diff.change, phone.diff.restarts) {
        (Change::Added, _) => "new",
        (Change::Removed, _) => "removed",
        (Change::Changed, true) => "changed, restarts",
        (Change::Changed, false) => "changed, no restart",
    }
}

fn key(change: &KeyChange) -> String {
    let value = |v: &Option<String>| v.as_ref().map_or("(none)".into(), |v| format!("{v:?}"));
    format!("{}: {} -> {}", change.key, value(&change.old), value(&change.new))
}

fn outlook(plan: &control::Plan) -> Vec<String> {
    let mut lines = vec![String::new()];
    if let [first, rest @ ..] = plan.waves.as_slice() {
        let rest: Vec<String> = rest.iter().map(ToString::to_string).collect();
        let then =
            if rest.is_empty() { String::new() } else { format!(", then {}", rest.join(", ")) };
        let time = time(plan.seconds);
        lines.push(format!("in waves: {first}{then}; that takes {time} at least"));
    }
    lines
        .extend(plan.window.iter().map(|window| format!("quiet hours: it begins within {window}")));
    if plan.push == "manual" {
        lines.push("push = manual: handset apply begins it".into());
    }
    if lines.len() > 1 { lines } else { Vec::new() }
}

/// A time that is left, roughly.
pub(super) fn time(seconds: u64) -> String {
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5399 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Mac;
    use crate::control::PhoneDiff;

    fn phone(last: u8, change: Change, new: &str, when: &str) -> PhonePlan {
        let mac = Mac::new([0, 0x18, 0xb9, 0, 0, last]).unwrap();
        let keys = match change {
            Change::Changed => vec![KeyChange {
                file: format!("SIP{last}.cnf"),
                key: "line1_displayname".into(),
                old: Some("Ada".into()),
                new: Some(new.into()),
            }],
            _ => Vec::new(),
        };
        let restarts = change == Change::Changed;
        let diff = PhoneDiff {
            mac,
            peers: vec![format!("{}", 200 + u16::from(last))],
            change,
            keys,
            restarts,
        };
        PhonePlan { diff, when: when.into() }
    }

    fn plan(phones: Vec<PhonePlan>) -> control::Plan {
        let waves = vec![3, 12, 5];
        control::Plan { held: None, phones, waves, seconds: 245, window: None, push: "auto".into() }
    }

    #[test]
    fn phones_with_the_same_change_are_told_together() {
        let mut phones: Vec<_> =
            (1..=8).map(|n| phone(n, Change::Changed, "Eve", "in its wave")).collect();
        phones.push(phone(9, Change::Changed, "Bob", "when it is back"));
        phones.push(phone(10, Change::Added, "", "at its next boot"));
        let wanted = "\
10 phones: 9 changed, 1 new; 9 restart

8 phones: 00:18:b9:00:00:01 (201), 00:18:b9:00:00:02 (202), 00:18:b9:00:00:03 (203), 00:18:b9:00:00:04 (204), 00:18:b9:00:00:05 (205), 00:18:b9:00:00:06 (206), and 2 more
  changed, restarts, in its wave
  line1_displayname: \"Ada\" -> \"Eve\"

00:18:b9:00:00:09 (209)
  changed, restarts, when it is back
  line1_displayname: \"Ada\" -> \"Bob\"

00:18:b9:00:00:0a (210)
  new, at its next boot

in waves: 3, then 12, 5; that takes 4 min at least";
        assert_eq!(print(&plan(phones), 40), wanted);
    }

    #[test]
    fn what_keeps_a_plan_from_beginning_is_told() {
        let phones = vec![phone(1, Change::Changed, "Eve", "in the quiet hours")];
        let (window, held) = (Some("22:00-05:00".into()), Some("no peer is left".into()));
        let text =
            print(&control::Plan { held, window, push: "manual".into(), ..plan(phones) }, 40);
        assert!(text.starts_with("HELD BACK: no peer is left\n"), "{text}");
        assert!(text.contains("\nquiet hours: it begins within 22:00-05:00\n"), "{text}");
        assert!(text.ends_with("\npush = manual: handset apply begins it"), "{text}");
        assert_eq!(print(&plan(Vec::new()), 40), "nothing on disk waits for a phone");
    }

    #[test]
    fn a_person_is_told_of_no_more_than_a_screen_or_two() {
        let name = |n: u8| format!("Eve {n}");
        let phones = (1..=9).map(|n| phone(n, Change::Changed, &name(n), "in its wave"));
        let text = print(&plan(phones.collect()), 3);
        assert!(text.contains("\"Eve 3\"") && !text.contains("\"Eve 4\""), "{text}");
        assert!(text.contains("\n\n… and 6 more phones: handset plan | less\n"), "{text}");
    }

    #[test]
    fn times_are_told_as_people_tell_them() {
        let told = |seconds| time(seconds);
        assert_eq!((told(0), told(89), told(90)), ("0 s".into(), "89 s".into(), "2 min".into()));
        assert_eq!((told(5399), told(7500)), ("90 min".into(), "2 h 5 min".into()));
    }
}
