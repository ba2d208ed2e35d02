//! AMI: whether the account may do what handset does. `ListCommands` names the actions that an account may
//! send, so that none of them has to be tried.

use std::collections::{BTreeMap, BTreeSet};

use super::Case;
use super::finding::Finding;
use crate::base::{Code, Diagnostic, Tech};
use crate::daemon::ami::probe::{Visit, visit};
use crate::model::site::{PushMode, ReloadMode, Site};
use crate::wire::ami::Frame;

/// All codes of this step.
pub(crate) static CODES: &[&Code] = &[&NO_SESSION, &LOGIN, &WRITE, &READ, &MODULE];

static NO_SESSION: Code = Code {
    id: "H0950",
    title: "Asterisk's manager interface does not answer",
    explain: "Files are served all the same, but nobody knows which phones are registered, no change is pushed, and \
              Asterisk is not asked to reload.",
};

static LOGIN: Code = Code {
    id: "H0951",
    title: "Asterisk refuses handset's login",
    explain: "Files are served all the same, but nobody knows which phones are registered, no change is pushed, and \
              Asterisk is not asked to reload.",
};

static WRITE: Code = Code {
    id: "H0952",
    title: "handset's account may not do what it needs to",
    explain: "An action needs one of its classes in write= of the account in manager.conf. Without it phones are \
              not listed, not told to fetch their files, or Asterisk is not asked to reload.",
};

static READ: Code = Code {
    id: "H0953",
    title: "handset's account is not told of registrations",
    explain: "Events of the class system need read=system in manager.conf. Without them a push is proved only with \
              the next list, minutes later.",
};

static MODULE: Code = Code {
    id: "H0954",
    title: "Asterisk lacks a module",
    explain: "The channel driver of tagged peers, or what sends its NOTIFYs, is not loaded: its phones cannot \
              register, or cannot be told.",
};

/// An action that handset sends, and whose phones need it; none for all.
const NEEDED: [(&str, Option<Tech>); 8] = [
    ("SIPpeers", Some(Tech::Sip)),
    ("SIPshowpeer", Some(Tech::Sip)),
    ("SIPnotify", Some(Tech::Sip)),
    ("PJSIPShowEndpoints", Some(Tech::Pjsip)),
    ("PJSIPShowEndpoint", Some(Tech::Pjsip)),
    ("PJSIPNotify", Some(Tech::Pjsip)),
    ("CoreShowChannels", None),
    ("Reload", None),
];

/// Logs in, asks, and judges; with it which peers of the phone Asterisk has in memory.
pub(super) fn examine(case: &Case) -> (Vec<Finding>, BTreeMap<String, bool>) {
    let site = &case.reading.site;
    let Some(settings) = &site.ami else {
        let why = "no [ami] in handset.conf: registrations are not seen and nothing is pushed";
        return (vec![Finding::skipped(why)], BTreeMap::new());
    };
    let mut questions = vec![("ListCommands", Vec::new())];
    for line in &case.phone.lines {
        questions.push(match line.tech {
            Tech::Sip => ("SIPshowpeer", vec![("Peer", line.peer.clone())]),
            Tech::Pjsip => ("PJSIPShowEndpoint", vec![("Endpoint", line.peer.clone())]),
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let visited = match runtime {
        Ok(runtime) => runtime.block_on(visit(settings, &questions)),
        Err(error) => return (vec![Finding::skipped(error.to_string())], BTreeMap::new()),
    };
    let found = match visited {
        Ok(found) => found,
        Err(lost) => return (vec![lost_session(&lost.reason, lost.refused)], BTreeMap::new()),
    };
    let mut known = BTreeMap::new();
    for (line, answer) in case.phone.lines.iter().zip(found.answers.iter().skip(1)) {
        known.extend(answer.as_ref().and_then(is_known).map(|is| (line.peer.clone(), is)));
    }
    let techs =
        case.built.generation.phones.values().flat_map(|p| &p.lines).map(|l| l.tech).collect();
    (judge(&found, site, &techs), known)
}

/// Whether an answer about a peer says that there is one; none when it says something else.
fn is_known(answer: &Frame) -> Option<bool> {
    match answer.answer()? {
        Ok(()) => Some(true),
        Err(text) => {
            let absent = ["not found", "unable to retrieve endpoint"];
            let text = text.to_ascii_lowercase();
            absent.iter().any(|words| text.contains(words)).then_some(false)
        }
    }
}

fn lost_session(reason: &str, refused: bool) -> Finding {
    match refused {
        true => Diagnostic::error(&LOGIN, reason)
            .help("make [section], secret= and permit= of manager.conf fit [ami] of handset.conf, then: asterisk -rx 'manager reload'")
            .into(),
        false => Diagnostic::error(&NO_SESSION, reason)
            .help("does Asterisk run, with enabled = yes, bindaddr and port in manager.conf that fit [ami] of handset.conf?")
            .into(),
    }
}

fn judge(found: &Visit, site: &Site, techs: &BTreeSet<Tech>) -> Vec<Finding> {
    let Some(list) = found.answers.first().and_then(Option::as_ref) else {
        let text = "Asterisk took the login and did not answer within 4 s";
        let help = "is Asterisk overloaded? asterisk -rx 'core show uptime'";
        return vec![Diagnostic::error(&NO_SESSION, text).help(help).into()];
    };
    let has = |name: &str| list.get(name).is_some();
    // Of the class system alone, and of the core: it tells the class from the module.
    let system = has("ModuleCheck");
    let needed = NEEDED.iter().filter(|(name, tech)| {
        tech.is_none_or(|tech| techs.contains(&tech))
            && !(*name == "Reload" && site.reload != ReloadMode::Ask)
            && !(name.ends_with("otify") && site.push == PushMode::Manual)
    });
    let lacking: Vec<_> = needed.filter(|(name, _)| !has(name)).collect();
    let mut all = Vec::new();
    let names =
        |of: &[&(&str, Option<Tech>)]| of.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ");
    if !lacking.is_empty() && !system {
        let name = site.ami.as_ref().map_or("", |ami| &ami.username);
        let text = format!(
            "the account {name} may not send {}: the class system is missing",
            names(&lacking)
        );
        let help = format!(
            "write = system in the section [{name}] of manager.conf, then: asterisk -rx 'manager reload'"
        );
        all.push(Diagnostic::error(&WRITE, text).help(help).into());
    } else if !lacking.is_empty() {
        let text = format!("Asterisk does not know {}", names(&lacking));
        let help = "load the module: chan_sip.so for sip.conf; for pjsip.conf res_pjsip.so and res_pjsip_notify.so";
        all.push(Diagnostic::error(&MODULE, text).help(help).into());
    }
    if !found.booted {
        let name = site.ami.as_ref().map_or("", |ami| &ami.username);
        let help = format!(
            "read = system in the section [{name}] of manager.conf, then: asterisk -rx 'manager reload'"
        );
        let text = format!("the account {name} was not greeted with the event FullyBooted");
        all.push(Diagnostic::warning(&READ, text).help(help).into());
    }
    if all.is_empty() {
        all.push(Finding::fine(format!(
            "logged in (Asterisk Call Manager {}), may do all that is needed",
            found.version
        )));
    }
    all
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::testing::{verdict, verdicts};
    use super::*;

    fn frame(headers: &[(&str, &str)]) -> Frame {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let headers = headers.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
        Frame { headers, ..Frame::default() }
    }

    #[track_caller]
    fn check(actions: &str, booted: bool, change: impl Fn(&mut Site), expected: &str) {
        let actions: Vec<(&str, &str)> = actions.split(' ').map(|name| (name, "x")).collect();
        let list = frame(&[&[("Response", "Success")], &actions[..]].concat());
        let found = Visit { booted, answers: vec![Some(list)], ..Visit::default() };
        let mut site = Site::default();
        change(&mut site);
        assert_eq!(verdicts(&judge(&found, &site, &[Tech::Sip].into())), expected);
    }

    const ALL: &str = "ModuleCheck SIPpeers SIPshowpeer SIPnotify CoreShowChannels Reload";

    #[test]
    fn a_missing_class_is_told_from_a_missing_module() {
        check(ALL, true, |_| {}, "fine");
        check(ALL, false, |_| {}, "warning H0953");
        check("SIPpeers SIPshowpeer CoreShowChannels", true, |_| {}, "error H0952");
        check("ModuleCheck CoreShowChannels Reload", true, |_| {}, "error H0954");
        check("Ping", false, |_| {}, "error H0952, warning H0953");
    }

    #[test]
    fn what_is_not_done_needs_no_privilege() {
        let looking = |site: &mut Site| {
            site.reload = ReloadMode::Wait;
            site.push = PushMode::Manual;
        };
        check("SIPpeers SIPshowpeer CoreShowChannels", true, looking, "fine");
        check(
            "SIPpeers SIPshowpeer CoreShowChannels",
            true,
            |s| s.push = PushMode::Manual,
            "error H0952",
        );
    }

    #[test]
    fn a_refused_login_is_no_silence() {
        assert_eq!(verdict(&lost_session("x", true)), "error H0951");
        assert_eq!(verdict(&lost_session("x", false)), "error H0950");
        let mute = Visit { answers: vec![None], ..Visit::default() };
        assert_eq!(verdicts(&judge(&mute, &Site::default(), &[].into())), "error H0950");
    }

    #[test]
    fn only_a_plain_word_says_that_a_peer_is_unknown() {
        for (message, known) in [
            ("Peer 201 not found.", Some(false)),
            ("Unable to retrieve endpoint 201", Some(false)),
            ("Permission denied", None),
        ] {
            let answer = frame(&[("Response", "Error"), ("Message", message)]);
            assert_eq!(is_known(&answer), known, "{message}");
        }
        assert_eq!(is_known(&frame(&[("Response", "Success")])), Some(true));
        assert_eq!(is_known(&frame(&[("Event", "x")])), None);
    }
}
