//! Refuses to shrink by accident: a half-written, emptied or unreadable source must not take the
//! phones' files away.

use super::generation::Generation;

/// What the guard looks at, beside the generations.
#[derive(Clone, Debug)]
pub struct Look {
    /// Why Asterisk would load none of it: nobody can accept that.
    pub unfit: Option<String>,
    /// Why there may be more than was read: a file left half-way, a live `#exec`.
    pub incomplete: Option<String>,
    /// Peers, tagged or not.
    pub peers: usize,
    /// Phones that are tagged, those held back for an error of their own included.
    pub tagged: usize,
}

/// Why the newer generation is not taken: a sentence for `status`, with what to do. `None` lets it
/// pass. With `accepted` the operator has said that the loss is meant.
pub fn hold(
    previous: Option<&Generation>,
    next: &Generation,
    look: &Look,
    accepted: bool,
) -> Option<String> {
    if look.unfit.is_some() {
        return look.unfit.clone();
    }
    let previous = previous?;
    if accepted || previous.phones.is_empty() {
        return None;
    }
    let reason = look.incomplete.clone().or_else(|| shrunk(previous, next, look))?;
    Some(format!("{reason}; if this is meant: handset apply --accept-removals"))
}

fn shrunk(previous: &Generation, next: &Generation, look: &Look) -> Option<String> {
    if look.peers == 0 {
        return Some("no peer is left".into());
    }
    let before = previous.phones.len();
    let gone = previous.phones.keys().filter(|mac| !next.phones.contains_key(mac)).count();
    if look.tagged == 0 {
        return Some(format!("no tag is left ({before} phones were served)"));
    }
    // max(3, 20 %), design §2
    (gone > 3.max(before / 5)).then(|| format!("{gone} of {before} phones would lose their files"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::generation::PhonePart;
    use super::*;
    use crate::base::{Key, Mac};

    fn generation(phones: u8) -> Generation {
        let part = |n: u8| {
            let mac = Mac::new([0, 0x18, 0xb9, 0, 0, n]).unwrap();
            let part = PhonePart {
                mac,
                family: "cisco-79x0".into(),
                model: "7960".into(),
                lines: vec![],
                variants: vec![],
                credentials: Key::new([0; 32]).digest("x", []),
                event: "check-sync".into(),
            };
            (mac, Arc::new(part))
        };
        Generation { phones: (1..=phones).map(part).collect(), ..Generation::default() }
    }

    fn look(tagged: usize) -> Look {
        Look { unfit: None, incomplete: None, peers: tagged + 1, tagged }
    }

    fn check(before: u8, after: u8, expected: Option<&str>) {
        let reason =
            hold(Some(&generation(before)), &generation(after), &look(after.into()), false);
        assert_eq!(reason.as_deref().map(|r| r.split(';').next().unwrap()), expected);
    }

    #[test]
    fn small_removals_pass_and_large_ones_hold() {
        check(20, 16, None);
        check(20, 15, Some("5 of 20 phones would lose their files"));
        check(5, 2, None);
        check(5, 1, Some("4 of 5 phones would lose their files"));
        check(2, 0, Some("no tag is left (2 phones were served)"));
    }

    #[test]
    fn a_source_that_was_not_read_whole_holds() {
        let (old, new) = (generation(5), generation(5));
        let cut = Look { incomplete: Some("sip_more.conf:3".into()), ..look(5) };
        assert!(hold(Some(&old), &new, &cut, false).unwrap().contains("sip_more.conf:3"));
        assert_eq!(hold(Some(&old), &new, &cut, true), None);
        let invalid = Look { unfit: Some("no".into()), ..look(5) };
        assert!(
            hold(Some(&old), &new, &invalid, true).is_some(),
            "nobody can accept what Asterisk rejects"
        );
        assert!(hold(None, &new, &invalid, false).is_some());
    }

    #[test]
    fn the_first_generation_passes() {
        assert_eq!(hold(None, &generation(1), &look(1), false), None);
    }
}
