//! A part of the day, by the clock on the wall.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Time as Clock;
use jiff::tz::TimeZone;

use crate::base::Time;

/// From one time of the day to another, over midnight where the second is the earlier one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Its first minute.
    pub from: Clock,
    /// The first minute after it.
    pub to: Clock,
}

impl Window {
    /// `22:00-05:00`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let clock = |text: &str| -> Option<Clock> {
            let (hour, minute) = text.trim().split_once(':')?;
            let number = |digits: &str| {
                let plain = digits.len() <= 2 && digits.bytes().all(|b| b.is_ascii_digit());
                digits.parse::<i8>().ok().filter(|_| plain)
            };
            Clock::new(number(hour)?, number(minute)?, 0, 0).ok()
        };
        let (from, to) = text.split_once('-')?;
        let (from, to) = (clock(from)?, clock(to)?);
        (from != to).then_some(Self { from, to })
    }

    /// Whether it is open in `zone`.
    pub fn is_open(&self, zone: &TimeZone, now: Time) -> bool {
        let Ok(millis) = i64::try_from(now.0) else { return true };
        let Ok(at) = Timestamp::from_millisecond(millis) else { return true };
        let clock = at.to_zoned(zone.clone()).time();
        match self.from < self.to {
            true => self.from <= clock && clock < self.to,
            false => self.from <= clock || clock < self.to,
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        let (a, b, c, d) = (from.hour(), from.minute(), to.hour(), to.minute());
        write!(f, "{a:02}:{b:02}-{c:02}:{d:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str, zone: &str, at: &str) -> bool {
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap();
        let millis = at.parse::<Timestamp>().unwrap().as_millisecond();
        Window::parse(text).unwrap().is_open(&zone, Time(u64::try_from(millis).unwrap()))
    }

    #[test]
    fn a_window_is_open_from_its_first_minute_to_before_its_last_also_over_midnight() {
        for (at, expected) in [
            ("2026-07-01T19:59:59Z", false),
            ("2026-07-01T20:00:00Z", true),
            ("2026-07-01T23:00:00Z", true),
            ("2026-07-02T02:59:59Z", true),
            ("2026-07-02T03:00:00Z", false),
        ] {
            assert_eq!(open("22:00-05:00", "Europe/Berlin", at), expected, "{at}");
        }
        assert!(open("9:00-17:00", "Etc/UTC", "2026-07-01T09:00:00Z"));
        assert!(!open("9:00-17:00", "Etc/UTC", "2026-07-01T17:00:00Z"));
    }

    #[test]
    fn only_two_times_that_differ_are_a_window() {
        for text in ["", "22:00", "22:00-22:00", "24:00-05:00", "22-05", "+1:00-2:00", "1:2:3-4:00"]
        {
            assert_eq!(Window::parse(text), None, "{text}");
        }
    }
}
