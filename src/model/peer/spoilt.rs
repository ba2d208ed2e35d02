//! Phones whose tags were written and cannot be used. The reading of tags has said what is wrong with
//! them; here their phones are held back, or a phone with a slip in its second tag would lose that
//! line.

use std::sync::Arc;

use super::Refused;
use crate::base::{Mac, Spanned};
use crate::conf::{Comment, Conf, Place};
use crate::model::tag::Tag;

/// The phones that are named on sections left without a tag.
pub(super) fn spoilt(conf: &Conf, tags: &[Option<Arc<Tag>>]) -> Vec<Refused> {
    let unused = |comment: &&Comment| match comment.place {
        Place::Header(at) | Place::Key(at) | Place::BeforeKey(at) => {
            tags.get(at).is_some_and(Option::is_none)
                && conf.sections.get(at).is_some_and(|section| !section.template)
        }
        Place::Alone | Place::Directive => false,
    };
    conf.comments.iter().filter(unused).filter_map(refused).collect()
}

fn refused(comment: &Comment) -> Option<Refused> {
    let mac = Spanned::new(mac(&comment.text.chars())?, comment.span);
    Some(Refused { mac, reason: "a tag of this phone cannot be used".into() })
}

/// The MAC at the start of a tag, whatever follows it.
fn mac(comment: &str) -> Option<Mac> {
    let (key, rest) = comment.strip_prefix(';')?.split_once('=')?;
    let mac = rest.split_whitespace().next()?;
    key.trim().eq_ignore_ascii_case("mac").then(|| mac.parse().ok())?
}
