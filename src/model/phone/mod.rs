//! One device, named by its MAC, with its lines.

mod assemble;
mod reserved;

pub use assemble::{Assembly, CODES, ModelFacts, assemble};
pub use reserved::{CODES as RESERVED, Reservations, reserved};

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::base::{Mac, Span, Spanned};
use crate::model::peer::Peer;

/// A phone as the configuration wants it: at least one line, lines 1..n without holes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Phone {
    /// Its address.
    pub mac: Mac,
    /// The name of its family, as `cisco-79x0`.
    pub family: Arc<str>,
    /// Its model, as `7960`: from `model=`, else the default.
    pub model: Arc<str>,
    /// `profile=` of any of its tags, in lower case as in [`crate::model::site::Site::families`].
    pub profile: Option<String>,
    /// `firmware=` of any of its tags: instead of what the site says; `none` for none.
    pub firmware: Option<String>,
    /// `ip=` of any of its tags: the address that our DHCP service reserves for it.
    pub ip: Option<Spanned<Ipv4Addr>>,
    /// Lines 1..n, in order.
    pub lines: Vec<Line>,
}

/// One line key and its account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// From 1.
    pub number: u8,
    /// The account.
    pub peer: Arc<Peer>,
    /// `label=`, else empty.
    pub label: String,
}

impl Phone {
    /// Every place that is pointed at when something is wrong with it.
    pub fn places(&self) -> impl Iterator<Item = Option<Span>> {
        self.lines.iter().flat_map(|line| {
            let peer = &line.peer;
            let at = &peer.places;
            let tag = peer.tag.as_ref();
            let lists =
                [at.caller, at.codecs, at.dtmf, at.mailboxes, at.vmexten, at.nat, at.language];
            let tag_places = tag.map(|tag| {
                let profile = tag.profile.as_ref().map(|p| p.span);
                let model = tag.model.as_ref().map(|m| m.span);
                let firmware = tag.firmware.as_ref().map(|f| f.span);
                let label = tag.label.as_ref().map(|l| l.span);
                [Some(tag.span()), model, profile, label, firmware]
            });
            let own = [
                Some(peer.name.span),
                peer.secret.as_ref().map(|s| s.span),
                peer.md5secret.as_ref().map(|s| s.span),
            ];
            lists
                .map(|place| place.0)
                .into_iter()
                .chain(own)
                .chain(tag_places.into_iter().flatten())
        })
    }

    /// The place to point at when the phone as a whole is meant: its first tag.
    pub fn span(&self) -> Option<Span> {
        self.lines.iter().find_map(|l| l.peer.tag.as_ref()).map(|tag| tag.span())
    }
}
