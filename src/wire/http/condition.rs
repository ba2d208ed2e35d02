//! Conditions of a request (RFC 9110 §13).

use super::date::parse;

/// Whether `If-None-Match: header` names this entity tag (given with its quotes).
pub fn matches(header: &str, tag: &str) -> bool {
    let names = |one: &str| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
    };
    header.split(',').any(names)
}

/// Whether a file of that time, in seconds since 1970, is newer than `If-Modified-Since: header`;
/// a date that is none says nothing.
pub fn modified(header: &str, seconds: i64) -> bool {
    parse(header).is_none_or(|since| seconds > since)
}
