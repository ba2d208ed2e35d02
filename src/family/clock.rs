//! The site's time zone in the words of a family.

use crate::base::{Code, Diagnostic, Span};
use crate::model::zone::{self, Change, Dst, ZoneError};

/// A time zone that the phones cannot be told.
pub(super) static TIMEZONE: Code = Code {
    id: "H0515",
    title: "time zone beyond the phone",
    explain: "Phones know a list of offsets and a summer time that starts and stops at a full hour \
              of the n-th or last weekday of a month, a whole number of hours ahead. Where the \
              offset has no name no time server is written, so that no phone shows a wrong time; \
              where the summer time has no such form phones stay on standard time. Raw keys \
              (`time_zone`, `sntp_server`, `dst_…`) in the family's section override both.",
};

/// What phones are told of the clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// The family's name of the offset.
    pub(super) code: Option<String>,
    /// Whether a time server may be written: a phone with a wrong offset would lie.
    pub(super) known: bool,
    /// Summer time that the phone can be told.
    pub(super) dst: Option<Dst>,
}

/// The clock of a zone and what is wrong with it. `overridden` names the raw keys that settle it.
pub(super) fn clock(
    zone: &str,
    span: Option<Span>,
    codes: &[(String, i32)],
    overridden: impl Fn(&str) -> bool,
) -> (Clock, Option<Diagnostic>) {
    let point = |diagnostic: Diagnostic| match span {
        Some(span) => diagnostic.at(span),
        None => diagnostic,
    };
    let (offset, dst, lost) = match zone::rule(zone) {
        Ok(rule) => {
            let told = rule.dst.filter(tellable);
            (rule.offset, told, rule.dst.is_some() && told.is_none())
        }
        Err(ZoneError::Irregular { offset, .. }) => (offset, None, true),
        Err(error @ ZoneError::Unknown { .. }) => {
            let diagnostic = point(Diagnostic::error(&TIMEZONE, error.to_string()));
            let ZoneError::Unknown { nearest: Some(nearest), .. } = error else {
                return (Clock::default(), Some(diagnostic));
            };
            return (Clock::default(), Some(diagnostic.help(format!("did you mean `{nearest}`?"))));
        }
    };
    let code = codes.iter().find(|(_, o)| *o == offset).map(|(code, _)| code.clone());
    let settled = overridden("time_zone");
    let clock = Clock { known: code.is_some() || settled, code, dst };
    if !clock.known {
        let what = format!("the phones have no name for the offset {} of `{zone}`", hours(offset));
        let help = "no time server is given to them; set `time_zone` and `sntp_server` in the \
                    family's section to choose another offset";
        return (clock, Some(point(Diagnostic::warning(&TIMEZONE, what).help(help))));
    }
    if lost && !settled && !overridden("dst_auto_adjust") {
        let what = format!("the phones cannot be told the summer time of `{zone}`");
        let help = "they stay on standard time; set `dst_…` in the family's section for what comes \
                    nearest";
        return (clock, Some(point(Diagnostic::warning(&TIMEZONE, what).help(help))));
    }
    (clock, None)
}

/// Whole hours only (phones.md §2.10).
fn tellable(dst: &Dst) -> bool {
    let hour = |change: Change| change.time % 3600 == 0 && change.time < 86_400;
    dst.delta % 3600 == 0 && hour(dst.start) && hour(dst.stop)
}

fn hours(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    format!("{sign}{}:{:02}", minutes / 60, minutes % 60)
}
