//! TFTP: the names of a boot, asked for as a 7940 does at the address that phones are told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Case;
use super::finding::Finding;
use super::net::{Fetched, Mute, tftp};
use crate::base::{Code, Diagnostic};
use crate::family::Artifact;
use crate::model::site::GuardMode;

/// All codes of this step.
pub(crate) static CODES: &[&Code] =
    &[&SILENT, &NOBODY, &BIND, &MISSING, &BYTES, &SLOW, &GIVEN, &PORT, &REFUSED];

static SILENT: Code = Code {
    id: "H0920",
    title: "TFTP is silent",
    explain: "Requests vanish, as with a firewall that drops them. A phone that hears nothing asks each name for a \
              minute and then starts over; it never reaches its own file.",
};

static NOBODY: Code = Code {
    id: "H0921",
    title: "nobody listens for TFTP",
    explain: "Phones get no file at their next boot.",
};

static BIND: Code = Code {
    id: "H0922",
    title: "TFTP answers on this machine and not at the phones' address",
    explain: "The service runs, but what phones are told does not lead to it: it listens on another address only, \
              or a firewall drops what is for this one.",
};

static MISSING: Code = Code {
    id: "H0923",
    title: "a file that every phone needs is not served",
    explain: "What is on disk makes this file, and the server does not have it. Phones keep the values in their \
              flash memory, new ones stay \"unprovisioned\".",
};

static BYTES: Code = Code {
    id: "H0924",
    title: "other bytes are served than the configuration makes",
    explain: "Another server answers, or the daemon has not taken in what is on disk. Phones get the old values, or \
              somebody else's.",
};

static SLOW: Code = Code {
    id: "H0925",
    title: "a missing file is not refused at once",
    explain: "At each boot phones ask for files that there need not be. The refusal lets them go on at once; with \
              silence each name costs a minute, and the loader starts over.",
};

static GIVEN: Code = Code {
    id: "H0926",
    title: "a file with a password goes to whoever asks",
    explain: "TFTP asks nobody for a password. Whoever guesses the MAC of a phone gets its SIP password.",
};

static PORT: Code = Code {
    id: "H0927",
    title: "TFTP listens on a port that no phone asks",
    explain: "Phones send their requests to port 69, whatever handset listens on.",
};

static REFUSED: Code = Code {
    id: "H0928",
    title: "the phone's own file is refused against the settings",
    explain: "The guard of the files with passwords would give it to this machine, and it was not given: the phone \
              is held back, or the daemon runs on other settings.",
};

/// The name that no site has; without a MAC in it, so that nobody is taken for a phone.
const NOTHING: &str = "handset-doctor-asks-for-nothing";
/// A refusal that takes longer is none for a phone, which repeats after 4 s.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Asks and judges.
pub(super) fn examine(case: &Case) -> Vec<Finding> {
    let site = &case.reading.site;
    let listen = site.tftp.listen;
    let Some(port) = listen.map(|l| l.port()).or(site.export_dir.as_ref().map(|_| 69)) else {
        return vec![Finding::skipped(
            "[tftp] listen is off, and nothing is exported for another server",
        )];
    };
    let server = SocketAddr::new(case.server, port);
    let mut found = Vec::new();
    if port != 69 {
        let help = "write listen = 0.0.0.0:69 into [tftp], unless a redirection leads there";
        found.push(
            Diagnostic::warning(&PORT, format!("TFTP listens on port {port}")).help(help).into(),
        );
    }
    let nothing = tftp(server, NOTHING);
    if let Fetched::Mute(mute) = &nothing {
        let here = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let loopback =
            !case.server.is_loopback() && !matches!(tftp(here, NOTHING), Fetched::Mute(_));
        found.push(unheard(server, mute, loopback));
        return found;
    }
    found.push(judge_nothing(&nothing));
    let shared = case.built.generation.shared.iter();
    let wrong: Vec<Finding> = shared
        .clone()
        .filter_map(|artifact| {
            judge_shared(artifact, &tftp(server, artifact.name.as_str()), case.settled())
        })
        .collect();
    if wrong.is_empty() {
        let names: Vec<&str> = shared.map(|a| a.name.as_str()).collect();
        found
            .push(Finding::fine(format!("{server} gives {} whole, as rendered", names.join(", "))));
    }
    found.extend(wrong);
    found.extend(own(case, server));
    found
}

fn unheard(server: SocketAddr, mute: &Mute, loopback: bool) -> Finding {
    let port = server.port();
    match mute {
        _ if loopback => Diagnostic::error(&BIND, format!("{server} does not answer, 127.0.0.1 does"))
            .help(format!("[tftp] listen = 0.0.0.0:{port}; let UDP to port {port} and from all ports through the firewall"))
            .into(),
        Mute::Silent => Diagnostic::error(&SILENT, format!("{server} does not answer, and does not refuse"))
            .help(format!(
                "is {} this machine's address (server_address)? let UDP to port {port} through the firewall",
                server.ip()
            ))
            .into(),
        Mute::Refused => Diagnostic::error(&NOBODY, format!("nobody listens on UDP port {port} of {}", server.ip()))
            .help("systemctl enable --now handset-tftp.socket handsetd; see [tftp] listen in handset.conf")
            .into(),
        Mute::Failed(why) => Diagnostic::error(&SILENT, format!("{server} cannot be asked: {why}"))
            .help("correct server_address in handset.conf, or this machine's routes")
            .into(),
    }
}

fn judge_nothing(nothing: &Fetched) -> Finding {
    let help = "let the server answer ERROR 1 for files that it does not have";
    match nothing {
        Fetched::No(1, _, after) if *after < AT_ONCE => {
            Finding::fine(format!("a missing file is refused within {} ms", after.as_millis()))
        }
        Fetched::No(1, _, after) => {
            let text = format!("the refusal of a missing file took {} ms", after.as_millis());
            Diagnostic::warning(&SLOW, text).help(help).into()
        }
        Fetched::No(code, text, _) => {
            let text = format!("a missing file is refused with ERROR {code} ({text}) instead of 1");
            Diagnostic::warning(&SLOW, text).help(help).into()
        }
        _ => Diagnostic::warning(&SLOW, "a missing file is not refused").help(help).into(),
    }
}

/// What is wrong with a shared file.
fn judge_shared(artifact: &Artifact, got: &Fetched, settled: bool) -> Option<Finding> {
    let name = &artifact.name;
    match got {
        Fetched::File(bytes, _) if *bytes == artifact.bytes() => None,
        Fetched::File(..) => Some(differs(name.as_str(), settled)),
        Fetched::No(code, text, _) => Some(
            Diagnostic::error(&MISSING, format!("{name} is not given: ERROR {code} ({text})"))
                .help("handset status says what the daemon offers; is it handset that answers on this address?")
                .into(),
        ),
        Fetched::Stalled(bytes) => Some(broke_off(name.as_str(), *bytes)),
        Fetched::Mute(_) => Some(broke_off(name.as_str(), 0)),
    }
}

fn differs(name: &str, settled: bool) -> Finding {
    let text = format!("{name} is not what the configuration on disk makes");
    match settled {
        true => Diagnostic::error(&BYTES, text)
            .help("is it handset that answers on this address? then: systemctl restart handsetd")
            .into(),
        false => Diagnostic::warning(&BYTES, text + ", which phones may not have yet")
            .help("handset status says what it waits for")
            .into(),
    }
}

fn broke_off(name: &str, bytes: usize) -> Finding {
    let text = format!("the transfer of {name} broke off after {bytes} bytes");
    let help = "let UDP from all ports of the server through the firewall: the data of TFTP do not come from port 69";
    Diagnostic::error(&SILENT, text).help(help).into()
}

/// The phone's own file: refused to this machine, or given by a rule that is named.
fn own(case: &Case, server: SocketAddr) -> Option<Finding> {
    let artifacts = || case.phone.variants.iter().flat_map(|v| &v.artifacts).filter(|a| a.secret);
    let name = artifacts().next()?.name.clone();
    let foreign = case.reading.site.tftp.listen.is_none();
    if !case.named && !foreign {
        let why = format!(
            "{name} is asked for only for a phone that is named: it counts as a sign of its life"
        );
        return Some(Finding::skipped(why));
    }
    let got = tftp(server, name.as_str());
    let same = matches!(&got, Fetched::File(bytes, _) if artifacts().any(|a| a.name == name && *bytes == a.bytes()));
    let site = &case.reading.site;
    let rule = match site.guard {
        GuardMode::Off => Some("guard = off"),
        _ if site.trusted_nets.iter().any(|net| net.contains(case.server)) => Some("trusted_nets"),
        _ if case.status.as_ref().is_some_and(|s| !s.opened.is_empty()) => Some("handset open"),
        GuardMode::Lenient => Some("guard = lenient"),
        GuardMode::Strict => None,
    };
    Some(judge_own(name.as_str(), &got, same, rule, foreign, case.settled()))
}

fn judge_own(
    name: &str,
    got: &Fetched,
    same: bool,
    rule: Option<&str>,
    foreign: bool,
    settled: bool,
) -> Finding {
    match (got, rule) {
        (Fetched::File(..), _) if !same => differs(name, settled),
        (Fetched::File(..), Some(rule)) => {
            Finding::fine(format!("{name} is given to this machine by {rule}, as rendered"))
        }
        (Fetched::File(..), None) if foreign => {
            Finding::fine(format!("{name} is as rendered; another server decides who gets it"))
        }
        (Fetched::File(..), None) => Diagnostic::warning(
            &GIVEN,
            format!("{name} holds a password and was given to this machine, guard = strict or not"),
        )
        .help("is it handset that answers on this address? see docs/security.md")
        .into(),
        (Fetched::No(..), Some(rule)) if rule != "handset open" => Diagnostic::error(
            &REFUSED,
            format!("{name} is refused, although {rule} gives it"),
        )
        .help(
            "handset status shows whether the phone is held back; then: systemctl restart handsetd",
        )
        .into(),
        (Fetched::No(..), _) if foreign => Diagnostic::error(
            &MISSING,
            format!("{name} is not given by the server that has the exported files"),
        )
        .help("does it serve export_dir, and may its user read the files there (group)?")
        .into(),
        (Fetched::No(..), _) => Finding::fine(format!(
            "{name} is refused to this machine, as it should be (guard = strict)"
        )),
        (Fetched::Stalled(bytes), _) => broke_off(name, *bytes),
        (Fetched::Mute(_), _) => broke_off(name, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::verdict;
    use super::*;

    const SOON: Duration = Duration::from_millis(2);

    #[test]
    fn a_missing_file_is_refused_at_once_with_error_1() {
        let no = |code, after| Fetched::No(code, "x".into(), after);
        for (got, expected) in [
            (no(1, SOON), "fine"),
            (no(1, AT_ONCE), "warning H0925"),
            (no(2, SOON), "warning H0925"),
            (Fetched::File(Vec::new(), SOON), "warning H0925"),
            (Fetched::Stalled(512), "warning H0925"),
        ] {
            assert_eq!(verdict(&judge_nothing(&got)), expected, "{got:?}");
        }
    }

    #[test]
    fn silence_nobody_and_a_wrong_address_are_told_apart() {
        let server = "192.0.2.1:69".parse().unwrap();
        for (mute, loopback, expected) in [
            (Mute::Silent, false, "error H0920"),
            (Mute::Silent, true, "error H0922"),
            (Mute::Refused, false, "error H0921"),
            (Mute::Refused, true, "error H0922"),
            (Mute::Failed("no route".into()), false, "error H0920"),
        ] {
            assert_eq!(verdict(&unheard(server, &mute, loopback)), expected, "{mute:?} {loopback}");
        }
    }

    #[test]
    fn a_secret_is_refused_or_a_rule_gives_it() {
        let (file, no) = (Fetched::File(vec![1], SOON), Fetched::No(1, "x".into(), SOON));
        let strict = None;
        for (got, same, rule, foreign, expected) in [
            (&no, false, strict, false, "fine"),
            (&file, true, strict, false, "warning H0926"),
            (&file, true, Some("guard = off"), false, "fine"),
            (&no, false, Some("guard = off"), false, "error H0928"),
            (&no, false, Some("handset open"), false, "fine"),
            (&file, false, Some("guard = off"), false, "error H0924"),
            (&file, true, strict, true, "fine"),
            (&no, false, strict, true, "error H0923"),
            (&Fetched::Stalled(512), false, strict, false, "error H0920"),
        ] {
            let found = judge_own("SIP1.cnf", got, same, rule, foreign, true);
            assert_eq!(verdict(&found), expected, "{got:?} {same} {rule:?} {foreign}");
        }
        let waits = judge_own("SIP1.cnf", &file, false, None, false, false);
        assert_eq!(verdict(&waits), "warning H0924");
    }
}
