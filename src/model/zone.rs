//! An IANA zone as the standing rule that phones understand: an offset, and perhaps two changes a
//! year. Computed from the bundled zone data only, so every host gets the same bytes.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use thiserror::Error;

use crate::base::nearest::nearest;

/// Years in which the standing rule alone decides. 28 of them, within one century, hold every
/// pair of leap year and first weekday, so that "fourth" and "last" cannot be taken for each other.
const STANDING: (i16, i16) = (2101, 2129);

/// Years that must follow the same rule: zones with tabled changes (those tied to Ramadan, as Gaza) do not.
const TABLED: (i16, i16) = (2028, 2101);

/// More transitions than any zone has in the years looked at.
const MOST: usize = 1000;

/// What the clock does in a zone, now and for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZoneRule {
    /// Standard time, seconds east of UTC: the smaller of the two offsets, whatever the law calls
    /// it (Ireland's winter time is a negative summer time there).
    pub offset: i32,
    /// Summer time, where there is one.
    pub dst: Option<Dst>,
}

/// Summer time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dst {
    /// Seconds added to standard time, more than zero.
    pub delta: i32,
    /// The change to summer time, told in standard time.
    pub start: Change,
    /// The change to standard time, told in summer time.
    pub stop: Change,
}

/// One change of the year.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// 1–12.
    pub month: u8,
    /// 0 is Sunday, 6 Saturday.
    pub weekday: u8,
    /// Which such weekday of the month.
    pub week: Week,
    /// Seconds after midnight that the wall clock shows when it jumps; 86400 is the midnight that
    /// ends the day.
    pub time: i32,
}

/// Which weekday of a month.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Week {
    /// The first to the fourth.
    Nth(u8),
    /// The last.
    Last,
}

/// Why a zone gives no rule.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ZoneError {
    /// No such zone.
    #[error("there is no time zone `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest zone.
        nearest: Option<String>,
    },
    /// The changes follow no "n-th or last weekday of a month".
    #[error("the clock changes of `{name}` follow no weekday of a month")]
    Irregular {
        /// The zone.
        name: String,
        /// Standard time, seconds east of UTC.
        offset: i32,
    },
}

/// The standing rule of a zone.
pub fn rule(zone: &str) -> Result<ZoneRule, ZoneError> {
    let database = TimeZoneDatabase::bundled();
    let Ok(tz) = database.get(zone) else {
        let names: Vec<String> = database.available().map(|n| n.to_string()).collect();
        let nearest = nearest(zone, names.iter().map(String::as_str)).map(str::to_owned);
        return Err(ZoneError::Unknown { name: zone.to_owned(), nearest });
    };
    let standing = jumps(&tz, STANDING);
    let tabled = jumps(&tz, TABLED);
    let offset = lowest(&tz, &standing, &tabled);
    let dst = match (standing.as_slice(), tabled.as_slice()) {
        ([], []) => Some(None),
        ([], _) => None,
        (jumps, early) => dst(jumps).filter(|d| early.iter().all(|j| d.has(j))).map(Some),
    };
    match dst {
        Some(dst) => Ok(ZoneRule { offset, dst }),
        None => Err(ZoneError::Irregular { name: zone.to_owned(), offset }),
    }
}

/// One jump of the wall clock.
#[derive(Clone, Copy, Debug)]
struct Jump {
    /// What the wall clock shows when it jumps.
    wall: DateTime,
    /// Seconds east of UTC before and after.
    before: i32,
    after: i32,
}

fn jumps(tz: &TimeZone, (from, to): (i16, i16)) -> Vec<Jump> {
    let Ok(start) = Offset::UTC.to_timestamp(DateTime::constant(from, 1, 1, 0, 0, 0, 0)) else {
        return Vec::new();
    };
    let mut before = tz.to_offset(start);
    let mut jumps = Vec::new();
    for change in tz.following(start).take(MOST) {
        let wall = before.to_datetime(change.timestamp());
        if wall.year() >= to {
            break;
        }
        let after = change.offset();
        if before != after {
            jumps.push(Jump { wall, before: before.seconds(), after: after.seconds() });
        }
        before = after;
    }
    jumps
}

fn lowest(tz: &TimeZone, standing: &[Jump], tabled: &[Jump]) -> i32 {
    let jumps = if standing.is_empty() { tabled } else { standing };
    let now = DateTime::constant(STANDING.0, 1, 1, 0, 0, 0, 0);
    let plain = Offset::UTC.to_timestamp(now).map_or(0, |t| tz.to_offset(t).seconds());
    jumps.iter().flat_map(|j| [j.before, j.after]).min().unwrap_or(plain)
}

fn dst(jumps: &[Jump]) -> Option<Dst> {
    let years = usize::try_from(STANDING.1 - STANDING.0).ok()?;
    let (forth, back): (Vec<Jump>, Vec<Jump>) = jumps.iter().partition(|j| j.after > j.before);
    if forth.len() != years || back.len() != years {
        return None;
    }
    let (low, high) = (forth[0].before, forth[0].after);
    let level = forth.iter().all(|j| (j.before, j.after) == (low, high))
        && back.iter().all(|j| (j.before, j.after) == (high, low));
    let (start, stop) = (change(&forth)?, change(&back)?);
    level.then_some(Dst { delta: high - low, start, stop })
}

impl Dst {
    fn has(&self, jump: &Jump) -> bool {
        let wanted = if jump.after > jump.before { self.start } else { self.stop };
        let moved = (jump.after - jump.before).abs() == self.delta;
        moved && days(jump).into_iter().flatten().any(|day| fits(day, wanted))
    }
}

/// The two ways to name a moment: a time of its day, or at midnight the end of the day before.
fn days(jump: &Jump) -> [Option<(Date, i32)>; 2] {
    let time = jump.wall.time();
    let seconds = i32::from(time.hour()) * 3600 + i32::from(time.minute()) * 60;
    let date = jump.wall.date();
    let eve = (seconds == 0).then(|| date.yesterday().ok().map(|d| (d, 86_400))).flatten();
    [Some((date, seconds)), eve]
}

fn change(jumps: &[Jump]) -> Option<Change> {
    (0..2).find_map(|way| {
        let days: Vec<(Date, i32)> = jumps.iter().map(|j| days(j)[way]).collect::<Option<_>>()?;
        let (first, time) = *days.first()?;
        let nth = u8::try_from((first.day() - 1) / 7 + 1).ok()?;
        [Week::Nth(nth.min(4)), Week::Last].into_iter().find_map(|week| {
            let change = Change {
                month: first.month().unsigned_abs(),
                weekday: sunday_is_zero(first.weekday()),
                week,
                time,
            };
            days.iter().all(|day| fits(*day, change)).then_some(change)
        })
    })
}

fn fits((date, time): (Date, i32), change: Change) -> bool {
    let week = match change.week {
        Week::Nth(nth) => (date.day() - 1) / 7 + 1 == i8::try_from(nth).unwrap_or(0),
        Week::Last => date.day() + 7 > date.days_in_month(),
    };
    week && time == change.time
        && date.month().unsigned_abs() == change.month
        && sunday_is_zero(date.weekday()) == change.weekday
}

fn sunday_is_zero(day: Weekday) -> u8 {
    day.to_sunday_zero_offset().unsigned_abs()
}

#[cfg(test)]
mod tests;
