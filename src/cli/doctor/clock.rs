//! The clock: this machine's, and that of the time server that phones are told (SNTP, RFC 4330).

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Case;
use super::finding::Finding;
use super::net::{Mute, ask, connected};
use crate::base::{Code, Diagnostic};

/// All codes of this step.
pub(crate) static CODES: &[&Code] = &[&HOST, &ZONE, &SERVER, &DIFFERS];

static HOST: Code = Code {
    id: "H0960",
    title: "this machine's clock is wrong",
    explain: "Leases, certificates, proofs and logs depend on it, and phones without a time server take the time \
              from Asterisk's answers.",
};

static ZONE: Code = Code {
    id: "H0961",
    title: "the time zone is not known",
    explain: "Phones show the time of UTC, without daylight saving time.",
};

static SERVER: Code = Code {
    id: "H0962",
    title: "the phones' time server does not answer",
    explain: "Phones ask it for the time (SNTP, port 123). Without an answer they show the time of Asterisk's last \
              answer, or none.",
};

static DIFFERS: Code = Code {
    id: "H0963",
    title: "the phones' time server has another time",
    explain: "Phones show its time.",
};

/// Seconds from 1900 to 1970.
const SINCE_1900: u64 = 2_208_988_800;
/// So many seconds apart are worth a word.
const APART: u64 = 60;
/// 2026-01-01: before it nobody had this program.
const NOT_BEFORE: u64 = 1_767_225_600;

/// Looks and judges.
pub(super) fn examine(case: &Case) -> Vec<Finding> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (zone, note) = &case.timezone;
    let mut found = vec![host(now, installed().max(NOT_BEFORE))];
    found.push(match note {
        None => Finding::fine(format!("time zone {zone}")),
        Some(note) => Diagnostic::warning(&ZONE, note)
            .help("write timezone = Europe/Berlin, or your own, into handset.conf")
            .into(),
    });
    let set = case.reading.site.ntp_server.as_ref().map(|s| s.value.clone());
    let name = set.clone().unwrap_or_else(|| case.server.to_string());
    let said = address(&name).and_then(sntp);
    let after = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    found.push(server(&name, set.is_some(), &said, after));
    found
}

/// When this program was put here, seconds since 1970; the clock cannot be before that.
fn installed() -> u64 {
    let changed = std::env::current_exe().and_then(std::fs::metadata).and_then(|m| m.modified());
    changed.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_secs())
}

fn host(now: u64, not_before: u64) -> Finding {
    if now >= not_before {
        return Finding::fine("this machine's clock is later than handset itself");
    }
    let text = "this machine's clock is before the time that handset was made";
    Diagnostic::error(&HOST, text).help("set the clock: timedatectl set-ntp true").into()
}

fn address(name: &str) -> Result<SocketAddr, Mute> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 123));
    }
    let mut found = (name, 123).to_socket_addrs().map_err(|e| Mute::Failed(e.to_string()))?;
    found
        .find(SocketAddr::is_ipv4)
        .ok_or_else(|| Mute::Failed("the name has no IPv4 address".into()))
}

/// The server's time, seconds since 1970; none when it says that it does not know.
fn sntp(server: SocketAddr) -> Result<Option<u64>, Mute> {
    let socket = connected(server)?;
    let mut question = [0; 48];
    // Version 3, client (RFC 4330 §5).
    question[0] = 0x1b;
    ask(&socket, &question, read)
}

/// The outer option: whether it is an answer at all.
#[allow(clippy::option_option, reason = "no answer, and an answer without a time")]
fn read(packet: &[u8]) -> Option<Option<u64>> {
    let head = packet.first_chunk::<48>()?;
    if head[0] & 7 != 4 {
        return None;
    }
    let seconds = u32::from_be_bytes([head[40], head[41], head[42], head[43]]);
    // Not synchronised, a kiss of death, or empty (RFC 4330 §4).
    let unknown = head[0] >> 6 == 3 || head[1] == 0 || seconds == 0;
    // The era that began in 2036 has the high bit clear (RFC 4330 §3).
    let era = if seconds >> 31 == 1 { 0 } else { 1 << 32 };
    Some((!unknown).then(|| (u64::from(seconds) + era).saturating_sub(SINCE_1900)))
}

fn server(name: &str, set: bool, said: &Result<Option<u64>, Mute>, now: u64) -> Finding {
    let whose =
        if set { "ntp_server" } else { "ntp_server is not set, so phones ask handset's address:" };
    let warn = |code, text: String, help: &str| -> Finding {
        match set {
            true => Diagnostic::error(code, text).help(help).into(),
            false => Diagnostic::warning(code, text).help(help).into(),
        }
    };
    match said {
        Ok(Some(time)) if time.abs_diff(now) <= APART => {
            Finding::fine(format!("{whose} {name} has this machine's time"))
        }
        Ok(Some(time)) => warn(
            &DIFFERS,
            format!("{whose} {name} is {} s away from this machine's clock", time.abs_diff(now)),
            "find out which of the two is right: timedatectl timesync-status, chronyc tracking",
        ),
        Ok(None) => warn(
            &SERVER,
            format!("{whose} {name} answers that it does not know the time"),
            "wait until it is synchronised, or name another ntp_server in handset.conf",
        ),
        Err(mute) => {
            let why = match mute {
                Mute::Silent => "does not answer".to_owned(),
                Mute::Refused => "does not listen on UDP port 123".to_owned(),
                Mute::Failed(why) => format!("cannot be asked: {why}"),
            };
            let help = "name a time server that phones reach as ntp_server in handset.conf, or run one here (chrony with allow)";
            warn(&SERVER, format!("{whose} {name} {why}"), help)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::verdict;
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_clock_before_its_program_is_wrong() {
        assert_eq!(verdict(&host(NOW, NOW)), "fine");
        assert_eq!(verdict(&host(0, NOT_BEFORE)), "error H0960");
    }

    fn packet(first: u8, stratum: u8, seconds: u32) -> Vec<u8> {
        let mut packet = vec![0; 48];
        packet[0] = first;
        packet[1] = stratum;
        packet[40..44].copy_from_slice(&seconds.to_be_bytes());
        packet
    }

    #[test]
    fn an_answer_is_read_in_both_eras() {
        let seconds = u32::try_from(NOW + SINCE_1900).unwrap();
        assert_eq!(read(&packet(0x1c, 2, seconds)), Some(Some(NOW)));
        // 2036-02-07T06:28:17Z
        assert_eq!(read(&packet(0x1c, 2, 1)), Some(Some(2_085_978_497)));
        assert_eq!(read(&packet(0xdc, 2, seconds)), Some(None));
        assert_eq!(read(&packet(0x1c, 0, seconds)), Some(None));
        assert_eq!(read(&packet(0x1c, 2, 0)), Some(None));
        assert_eq!(read(&packet(0x1b, 2, seconds)), None);
        assert_eq!(read(&packet(0x1c, 2, seconds)[..47]), None);
    }

    #[test]
    fn a_time_server_that_was_set_must_answer() {
        for (said, set, otherwise) in [
            (Ok(Some(NOW + APART)), "fine", "fine"),
            (Ok(Some(NOW - APART - 1)), "error H0963", "warning H0963"),
            (Ok(None), "error H0962", "warning H0962"),
            (Err(Mute::Silent), "error H0962", "warning H0962"),
            (Err(Mute::Refused), "error H0962", "warning H0962"),
        ] {
            assert_eq!(verdict(&server("x", true, &said, NOW)), set);
            assert_eq!(verdict(&server("x", false, &said, NOW)), otherwise);
        }
    }
}
