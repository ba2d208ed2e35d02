//! `Range`: a part of a file (RFC 9110 §14).

use std::ops::Range;

/// What of a body is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// All of it: nothing else was asked for, or more than one part, or nonsense.
    Whole,
    /// These bytes, at least one.
    Bytes(Range<usize>),
    /// A part that the body does not have.
    Outside,
}

/// What `Range: header` means for a body of `length` bytes.
pub fn part(header: &str, length: usize) -> Part {
    let Some((first, last)) = bounds(header) else { return Part::Whole };
    let range = match (first, last) {
        (Some(first), Some(last)) if last < first => return Part::Whole,
        (Some(first), last) => {
            first..last.map_or(length, |last| last.saturating_add(1)).min(length)
        }
        (None, Some(suffix)) => length.saturating_sub(suffix)..length,
        (None, None) => return Part::Whole,
    };
    if range.is_empty() { Part::Outside } else { Part::Bytes(range) }
}

type Bounds = (Option<usize>, Option<usize>);

fn bounds(header: &str) -> Option<Bounds> {
    let (unit, rest) = header.split_once('=')?;
    let (first, last) = rest.trim().split_once('-')?;
    let number = |text: &str| match text {
        "" => Some(None),
        text if text.bytes().all(|b| b.is_ascii_digit()) => {
            Some(Some(text.parse().unwrap_or(usize::MAX)))
        }
        _ => None,
    };
    let is_bytes = unit.trim().eq_ignore_ascii_case("bytes");
    is_bytes.then_some((number(first.trim_end())?, number(last.trim_start())?))
}
