//! Dates of headers (RFC 9110 §5.6.7), in seconds since 1970.

use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

/// As `Sun, 06 Nov 1994 08:49:37 GMT`; none outside of the years 1 to 9999.
pub fn http_date(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds).ok()?;
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
}

pub(super) fn parse(text: &str) -> Option<i64> {
    let time = DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(time.as_second())
}
