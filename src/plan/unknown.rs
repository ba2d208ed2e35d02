//! A phone without a tag may have one that was mistyped.

use std::fmt;

use crate::base::Mac;

/// How two MACs differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Slip {
    /// Two digits next to each other changed places.
    Swapped,
    /// In so many digits, one or two.
    Digits(u32),
}

impl fmt::Display for Slip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Swapped => f.write_str("two digits are swapped"),
            Self::Digits(1) => f.write_str("one digit differs"),
            Self::Digits(_) => f.write_str("two digits differ"),
        }
    }
}

/// The one that differs the least from `mac`, if that is a slip of the pen.
pub fn nearest<T>(mac: Mac, others: impl Iterator<Item = (Mac, T)>) -> Option<(T, Slip)> {
    let slips = others.filter_map(|(other, what)| Some((slip(mac, other)?, other, what)));
    slips.min_by_key(|(slip, other, _)| (*slip, *other)).map(|(slip, _, what)| (what, slip))
}

fn slip(one: Mac, other: Mac) -> Option<Slip> {
    let (one, other) = (digits(one), digits(other));
    let differ: Vec<usize> = (0..12).filter(|at| digit(one, *at) != digit(other, *at)).collect();
    match *differ {
        [_] => Some(Slip::Digits(1)),
        [a, b]
            if b == a + 1
                && digit(one, a) == digit(other, b)
                && digit(one, b) == digit(other, a) =>
        {
            Some(Slip::Swapped)
        }
        [_, _] => Some(Slip::Digits(2)),
        _ => None,
    }
}

fn digits(mac: Mac) -> u64 {
    mac.bytes().iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

fn digit(digits: u64, at: usize) -> u64 {
    digits >> (4 * at) & 0xf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_that_was_mistyped_is_found() {
        let check = |mac: &str, tags: &str, expected: Option<(&str, &str)>| {
            let tags = tags.split_whitespace().map(|tag| (tag.parse().unwrap(), tag));
            let found =
                nearest(mac.parse().unwrap(), tags).map(|(tag, how)| (tag, how.to_string()));
            let expected = expected.map(|(tag, how)| (tag, how.to_owned()));
            assert_eq!(found, expected, "{mac}");
        };
        let tags = "0018b9fffffe 0018b9ff1234 0018b9000000";
        check("0018b9ffffff", tags, Some(("0018b9fffffe", "one digit differs")));
        check("0018b9ff2134", tags, Some(("0018b9ff1234", "two digits are swapped")));
        check("0018b9ff1342", tags, None);
        check("0018b9001001", tags, Some(("0018b9000000", "two digits differ")));
        check("0018b9abcdef", tags, None);
        check("0018b9ffffff", "", None);
    }
}
