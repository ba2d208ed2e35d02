//! The keys of `[agi]`.

use super::super::value::{listen, nets, path, peers, token};
use super::{Key, Kind, put};
use crate::base::Secret;

/// The keys.
pub(super) const KEYS: [Key; 5] = [
    Key {
        section: "agi",
        name: "listen",
        kind: Kind::Listen,
        default: "off",
        doc: "Where Asterisk's AGI() finds what phones dial for themselves, as 127.0.0.1:4573; off: nowhere. \
              Needs token. All of [agi] is read at the start.",
        set: |site, value| put(&mut site.agi.listen, listen(value, 4573)),
    },
    Key {
        section: "agi",
        name: "token",
        kind: Kind::Secret,
        default: "none",
        doc: "The first part of the path in the dial plan, agi://127.0.0.1/TOKEN/resync: at least 16 letters and \
              digits. Who knows it may speak for every phone.",
        set: |site, value| {
            put(&mut site.agi.token, token(value).map(|token| Some(Secret::new(token))))
        },
    },
    Key {
        section: "agi",
        name: "permit",
        kind: Kind::Nets,
        default: "127.0.0.0/8, ::1/128",
        doc: "Where Asterisk may be. The connection is not encrypted.",
        set: |site, value| put(&mut site.agi.permit, nets(value)),
    },
    Key {
        section: "agi",
        name: "guests",
        kind: Kind::Names,
        default: "none",
        doc: "Peers of phones that nobody has claimed, as guest1, desk-*. From such a phone one may claim an \
              extension of pins.",
        set: |site, value| put(&mut site.agi.guests, peers(value)),
    },
    Key {
        section: "agi",
        name: "pins",
        kind: Kind::Path,
        default: "none",
        doc: "The file of the extensions that may be claimed and of their PINs, as 201 = 4711 in a section [pins]. \
              Read at each claim.",
        set: |site, value| put(&mut site.agi.pins, path(value).map(Some)),
    },
];
