//! Refuses to shrink by accident: a half-written, emptied or unreadable source must not take the
//! phones' files away.

use super::generation::Generation;
use crate::conf::Status;

/// What the guard looks at, beside the generations.
#[derive(Clone, Debug)]
pub struct Look {
    /// How Asterisk would take sip.conf.
    pub status: Status,
    /// Some file of the closure was left half-way; its place in words.
    pub abandoned: Option<String>,
    /// A live `#exec`; its place in words.
    pub exec: Option<String>,
    /// Peers in sip.conf, tagged or not.
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
    match look.status {
        Status::Ok => {}
        Status::Missing => return Some("sip.conf cannot be read: bring it back".into()),
        Status::Invalid => {
            return Some("Asterisk would reject sip.conf: correct the error shown".into());
        }
    }
    let previous = previous?;
    if accepted || previous.phones.is_empty() {
        return None;
    }
    incomplete(look)
        .or_else(|| shrunk(previous, next, look))
        .map(|reason| format!("{reason}; if this is meant: handset apply --accept-removals"))
}

fn incomplete(look: &Look) -> Option<String> {
    let abandoned =
        look.abandoned.as_ref().map(|what| format!("sip.conf was not read to its end: {what}"));
    abandoned.or_else(|| {
        look.exec.as_ref().map(|what| format!("what Asterisk reads cannot be known: {what}"))
    })
}

fn shrunk(previous: &Generation, next: &Generation, look: &Look) -> Option<String> {
    if look.peers == 0 {
        return Some("no peer is left in sip.conf".into());
    }
    let before = previous.phones.len();
    let gone = previous.phones.keys().filter(|mac| !next.phones.contains_key(mac)).count();
    if look.tagged == 0 {
        return Some(format!("no tag is left in sip.conf ({before} phones were served)"));
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
        Look { status: Status::Ok, abandoned: None, exec: None, peers: tagged + 1, tagged }
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
        check(2, 0, Some("no tag is left in sip.conf (2 phones were served)"));
    }

    #[test]
    fn a_source_that_was_not_read_whole_holds() {
        let (old, new) = (generation(5), generation(5));
        let cut = Look { abandoned: Some("sip_more.conf:3".into()), ..look(5) };
        assert!(hold(Some(&old), &new, &cut, false).unwrap().contains("sip_more.conf:3"));
        assert_eq!(hold(Some(&old), &new, &cut, true), None);
        let invalid = Look { status: Status::Invalid, ..look(5) };
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
