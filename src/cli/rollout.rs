//! `handset rollout`.

use super::args::Args;
use super::bar::bar;
use super::plan::time;
use super::{DONE, NO, daemon, output};
use crate::control::{Answer, Ask, KeptGeneration, RolloutOrder, RolloutStatus};
use crate::plan::diff::count;

/// `handset rollout`.
#[derive(clap::Args, Debug)]
pub struct Rollout {
    /// What is done; without it, its status is shown
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// What is done about it.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Show the roll-out that is on its way, those before, and the generations that can be brought back
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give it to no phone more for now
    Pause,
    /// Go on, also after it stopped by itself
    Resume,
    /// End it: phones that have it keep it, the others do not get it
    Abort,
}

/// Runs it.
pub(super) fn run(args: &Args, options: &Rollout) -> u8 {
    let order = match options.action {
        None => return status(args, false),
        Some(Action::Status { json }) => return status(args, json),
        Some(Action::Pause) => RolloutOrder::Pause,
        Some(Action::Resume) => RolloutOrder::Resume,
        Some(Action::Abort) => RolloutOrder::Abort,
    };
    daemon::done(args, Ask::Rollout(order))
}

/// One that stopped by itself gives code 1.
fn status(args: &Args, json: bool) -> u8 {
    let (rollouts, kept) = match daemon::once(args, Ask::Rollouts) {
        Ok(Answer::Rollouts { rollouts, kept }) => (rollouts, kept),
        Ok(other) => return output::refused(Some(other)),
        Err(code) => return code,
    };
    if json {
        let all = serde_json::json!({ "rollouts": rollouts, "kept": kept });
        output::line(serde_json::to_string_pretty(&all).expect("it has string keys"));
    } else {
        output::line(print(&rollouts, &kept));
    }
    let stopped = rollouts.first().is_some_and(|rollout| rollout.phase == "stopped");
    if stopped { NO } else { DONE }
}

fn print(rollouts: &[RolloutStatus], kept: &[KeptGeneration]) -> String {
    let mut parts = Vec::new();
    match rollouts.first() {
        Some(newest) => parts.push(whole(newest)),
        None => parts.push("there was no roll-out yet".into()),
    }
    if let [_, past @ ..] = rollouts
        && !past.is_empty()
    {
        parts.push(table(past));
    }
    if !kept.is_empty() {
        let one = |kept: &KeptGeneration| format!("{} ({})", kept.id, count(kept.phones, "phone"));
        let kept: Vec<String> = kept.iter().map(one).collect();
        parts.push(format!("generations that can be brought back: {}", kept.join(", ")));
    }
    parts.join("\n\n")
}

fn whole(rollout: &RolloutStatus) -> String {
    let RolloutStatus { id, generation, began, proved, in_flight, total, .. } = rollout;
    let ended = rollout.ended.as_deref().map(|at| format!(", ended {}", second(at)));
    let mut lines = vec![
        format!(
            "roll-out {id} brings generation {generation}, began {}{}",
            second(began),
            ended.unwrap_or_default()
        ),
        format!("{} {}", bar(*proved, *in_flight, *total), numbers(rollout)),
    ];
    lines.push(course(rollout));
    lines
        .extend(rollout.failed.iter().map(|phone| format!("FAILED: {}: {}", phone.mac, phone.why)));
    lines.join("\n")
}

fn numbers(rollout: &RolloutStatus) -> String {
    let RolloutStatus { proved, total, in_flight, deferred, waiting, failed, .. } = rollout;
    let others = [
        (*in_flight, "in flight"),
        (*deferred, "take it later"),
        (*waiting, "waiting"),
        (failed.len(), "failed"),
    ];
    let others = others.iter().filter(|(count, _)| *count > 0);
    let others = others.map(|(count, word)| format!(", {count} {word}")).collect::<String>();
    format!("{proved} of {total} proved{others}")
}

/// How it stands, why, and how long still.
fn course(rollout: &RolloutStatus) -> String {
    let RolloutStatus { phase, why, wave, wave_size, seconds_left, .. } = rollout;
    let phase = if phase == "stopped" { "STOPPED" } else { phase };
    let wave = match wave {
        0 => String::new(),
        1 => format!(", wave 1 ({})", count(*wave_size, "canary").replace("canarys", "canaries")),
        _ => format!(", wave {wave} ({})", count(*wave_size, "phone")),
    };
    let left = seconds_left.filter(|_| rollout.ended.is_none());
    let left = left.map(|left| format!(", about {} left", time(left))).unwrap_or_default();
    let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{phase}{wave}{left}{why}")
}

fn table(past: &[RolloutStatus]) -> String {
    let row = |rollout: &RolloutStatus| {
        vec![
            rollout.id.to_string(),
            rollout.generation.to_string(),
            second(&rollout.began),
            rollout.ended.as_deref().map_or("-".into(), second),
            rollout.phase.clone(),
            rollout.total.to_string(),
            rollout.proved.to_string(),
            rollout.failed.len().to_string(),
        ]
    };
    let head = ["ROLL-OUT", "GENERATION", "BEGAN", "ENDED", "PHASE", "PHONES", "PROVED", "FAILED"];
    output::table(&head, past.iter().map(row).collect())
}

fn second(at: &str) -> String {
    at.chars().take(19).collect()
}

/// One line for `handset status`; none for one that went well and is over.
pub(super) fn line(rollout: &RolloutStatus) -> Option<String> {
    let RolloutStatus { id, phase, why, .. } = rollout;
    let why = why.as_deref().unwrap_or_default();
    let text = match phase.as_str() {
        "running" => {
            let left = rollout.seconds_left.map(|left| format!(", about {} left", time(left)));
            let wait = if why.is_empty() { String::new() } else { format!(", {why}") };
            let left = left.unwrap_or(wait);
            format!("roll-out {id}: wave {}, {}{left}", rollout.wave, numbers(rollout))
        }
        "stopped" => format!(
            "roll-out {id} STOPPED: {why}; {}; handset rollout status tells more",
            numbers(rollout)
        ),
        "planned" | "paused" => format!("roll-out {id} is {phase}: {why}; {}", numbers(rollout)),
        _ if rollout.failed.is_empty() => return None,
        _ => format!("roll-out {id} is {phase}: {}", numbers(rollout)),
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::FailedPhone;

    fn running() -> RolloutStatus {
        RolloutStatus {
            id: 7,
            generation: 12,
            began: "2026-11-22T16:20:31.120Z".into(),
            ended: None,
            phase: "running".into(),
            why: None,
            total: 300,
            proved: 12,
            in_flight: 4,
            deferred: 2,
            waiting: 282,
            wave: 2,
            wave_size: 12,
            seconds_left: Some(370),
            failed: Vec::new(),
        }
    }

    fn stopped() -> RolloutStatus {
        let why = "it fetched its file and did not register within 180 s; it was given proxy1_address 192.0.2.1 → 192.0.2.66";
        RolloutStatus {
            phase: "stopped".into(),
            why: Some("1 of the 3 phones that fetched it did not register again".into()),
            proved: 2,
            in_flight: 0,
            deferred: 0,
            waiting: 297,
            wave: 1,
            wave_size: 3,
            seconds_left: None,
            failed: vec![FailedPhone { mac: "0018b9000007".parse().unwrap(), why: why.into() }],
            ..running()
        }
    }

    #[test]
    fn the_one_on_its_way_is_seen_at_a_glance() {
        let past = RolloutStatus {
            id: 6,
            generation: 11,
            ended: Some("2026-11-22T15:00:00Z".into()),
            phase: "done".into(),
            ..running()
        };
        let kept = [KeptGeneration { id: 11, phones: 300 }, KeptGeneration { id: 10, phones: 1 }];
        let wanted = "\
roll-out 7 brings generation 12, began 2026-11-22T16:20:31
[#=............................] 12 of 300 proved, 4 in flight, 2 take it later, 282 waiting
running, wave 2 (12 phones), about 6 min left

ROLL-OUT  GENERATION  BEGAN                ENDED                PHASE  PHONES  PROVED  FAILED
6         11          2026-11-22T16:20:31  2026-11-22T15:00:00  done   300     12      0

generations that can be brought back: 11 (300 phones), 10 (1 phone)";
        assert_eq!(print(&[running(), past], &kept), wanted);
        assert_eq!(print(&[], &[]), "there was no roll-out yet");
    }

    #[test]
    fn one_that_stopped_says_why_and_what_cost_the_phone_its_registration() {
        let wanted = "\
roll-out 7 brings generation 12, began 2026-11-22T16:20:31
[..............................] 2 of 300 proved, 297 waiting, 1 failed
STOPPED, wave 1 (3 canaries): 1 of the 3 phones that fetched it did not register again
FAILED: 00:18:b9:00:00:07: it fetched its file and did not register within 180 s; it was given proxy1_address 192.0.2.1 → 192.0.2.66";
        assert_eq!(print(&[stopped()], &[]), wanted);
    }

    #[test]
    fn status_has_it_in_one_line() {
        let check = |rollout: &RolloutStatus, wanted: Option<&str>| {
            assert_eq!(line(rollout).as_deref(), wanted);
        };
        check(
            &running(),
            Some(
                "roll-out 7: wave 2, 12 of 300 proved, 4 in flight, 2 take it later, 282 waiting, about 6 min left",
            ),
        );
        check(
            &stopped(),
            Some(
                "roll-out 7 STOPPED: 1 of the 3 phones that fetched it did not register again; 2 of 300 proved, 297 waiting, 1 failed; handset rollout status tells more",
            ),
        );
        let quiet = RolloutStatus {
            why: Some("waits for 22:00-05:00".into()),
            seconds_left: None,
            ..running()
        };
        check(
            &quiet,
            Some(
                "roll-out 7: wave 2, 12 of 300 proved, 4 in flight, 2 take it later, 282 waiting, waits for 22:00-05:00",
            ),
        );
        let done = RolloutStatus { phase: "done".into(), ended: Some(String::new()), ..running() };
        check(&done, None);
    }
}
