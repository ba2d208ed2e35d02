//! The comment that ties a peer to a phone: `;MAC=00:18:b9:ff:ff:ff model=7960 line=2`.

mod codes;
mod parse;
pub mod write;

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::base::{Diagnostic, Mac, Span, Spanned};
use crate::conf::{Comment, Conf, Place};

pub use codes::CODES;

/// The tag of each section, by its index in [`Conf::sections`].
pub type Tags = Vec<Option<Arc<Tag>>>;

/// A valid tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The phone.
    pub mac: Spanned<Mac>,
    /// `model=`.
    pub model: Option<Spanned<String>>,
    /// `line=`, 1–99.
    pub line: Option<Spanned<u8>>,
    /// `label=`: the text beside the line key.
    pub label: Option<Spanned<String>>,
    /// `profile=`: the section of handset.conf whose raw keys apply.
    pub profile: Option<Spanned<String>>,
    /// `firmware=`: the load that this phone shall run, or `none`.
    pub firmware: Option<Spanned<String>>,
    /// `ip=`: the address that our DHCP service reserves for the phone.
    pub ip: Option<Spanned<Ipv4Addr>>,
    /// `guest=`: the peer of the same phone that this one stands in for, as long as it is claimed.
    pub guest: Option<Spanned<String>>,
}

impl Tag {
    /// Where the MAC stands.
    pub fn span(&self) -> Span {
        self.mac.span
    }
}

/// What the comments tell about one section so far.
#[derive(Clone)]
enum Found {
    Nothing,
    One(Arc<Tag>),
    /// A tag that cannot be used, or two that differ: the section has none.
    Spoilt,
}

/// The tag of each section and what is wrong with tags. A
/// section with an invalid tag, or with two that differ, has none; the diagnostics say why.
///
/// A tag counts on the line of a section's header (with `(+)`: of the section appended to), on the
/// line of a key, and alone on the line before a key.
pub fn attach(conf: &Conf) -> (Tags, Vec<Diagnostic>) {
    let mut found = vec![Found::Nothing; conf.sections.len()];
    let mut diagnostics = Vec::new();
    for comment in &conf.comments {
        if !parse::is_tag(comment.text.as_bytes()) {
            diagnostics.extend(parse::near_miss(comment));
            continue;
        }
        match owner(conf, comment) {
            Ok(section) => take(&mut found[section], comment, &mut diagnostics),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    let tags = found.into_iter().map(|found| match found {
        Found::One(tag) => Some(tag),
        Found::Nothing | Found::Spoilt => None,
    });
    (tags.collect(), diagnostics)
}

/// The section that a tag in this place belongs to, or why it belongs to none.
fn owner(conf: &Conf, comment: &Comment) -> Result<usize, Diagnostic> {
    let unused = |text: &str| {
        let help = "move the tag onto the line of its [section]";
        Err(Diagnostic::warning(&codes::UNUSED, text).at(comment.span).help(help))
    };
    match comment.place {
        Place::Header(at) | Place::Key(at) | Place::BeforeKey(at) => {
            let Some(section) = conf.sections.get(at) else {
                return unused("this tag belongs to no section and is not used");
            };
            if section.template {
                let text =
                    format!("this tag is on the template [{}] and is not used", section.name);
                let help = "a tag is not inherited: put one onto each phone's own [section]";
                let diagnostic = Diagnostic::warning(&codes::UNUSED, text).at(comment.span);
                return Err(diagnostic.see(section.span, "the template").help(help));
            }
            Ok(at)
        }
        Place::Alone => {
            unused("this tag stands alone, before or behind a section, and is not used")
        }
        Place::Directive => unused("this tag is on the line of a directive and is not used"),
    }
}

fn take(found: &mut Found, comment: &Comment, diagnostics: &mut Vec<Diagnostic>) {
    let Some(tag) = parse::tag(comment, diagnostics) else {
        *found = Found::Spoilt;
        return;
    };
    match found {
        Found::Nothing => *found = Found::One(Arc::new(tag)),
        Found::One(first) if **first != tag => {
            diagnostics.push(differ(first, &tag));
            *found = Found::Spoilt;
        }
        Found::One(_) | Found::Spoilt => {}
    }
}

fn differ(first: &Tag, second: &Tag) -> Diagnostic {
    let text = if first.mac == second.mac {
        format!("this section is tagged twice for {}, with different attributes", second.mac.value)
    } else {
        format!("this section is tagged for {} and for {}", first.mac.value, second.mac.value)
    };
    Diagnostic::error(&codes::TWO, text)
        .at(second.span())
        .see(first.span(), "the other tag")
        .help("one account is one line of one phone: keep one of the two tags")
}

#[cfg(test)]
mod tests;
