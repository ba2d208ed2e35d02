//! `[agi]`: what phones may dial for themselves.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::base::{Cidr, Code, Diagnostic, Secret, Span};

/// `[agi]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agi {
    /// `listen`, default none: no service.
    pub listen: Option<SocketAddr>,
    /// `token`: the first part of the path of every request. Without one there is no service.
    pub token: Option<Secret>,
    /// `permit`: where Asterisk may be, default loopback.
    pub permit: Vec<Cidr>,
    /// `guests`: peers of phones that nobody has claimed; one that ends in `*` is a beginning.
    pub guests: Vec<String>,
    /// `pins`: the file of the extensions that may be claimed, each with its PIN.
    pub pins: Option<PathBuf>,
}

impl Agi {
    /// Whether a peer is one of [`Agi::guests`].
    pub fn is_guest(&self, peer: &str) -> bool {
        self.guests.iter().any(|guest| match guest.strip_suffix('*') {
            Some(beginning) => peer.starts_with(beginning),
            None => peer == guest,
        })
    }
}

impl Default for Agi {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        let permit = loopback.iter().filter_map(|net| net.parse().ok()).collect();
        Self { listen: None, token: None, permit, guests: Vec::new(), pins: None }
    }
}

pub(super) static TOKEN: Code = Code {
    id: "H0308",
    title: "the FastAGI service has no token",
    explain: "FastAGI has no login: who knows the token in the path may speak for every phone. [agi] listen needs \
              `token`, at least 16 letters and digits that nobody guesses; the dial plan names the same.",
};

pub(super) static IDLE: Code = Code {
    id: "H0309",
    title: "an [agi] setting without effect",
    explain: "Claiming an extension from a phone needs both `guests`, the peers of phones that nobody has claimed, \
              and `pins`, the file of who may be claimed.",
};

/// What does not fit together; `at` is where the section begins.
pub(super) fn check(agi: &Agi, at: Span) -> Option<Diagnostic> {
    if agi.listen.is_some() && agi.token.is_none() {
        let error = Diagnostic::error(&TOKEN, "[agi] listen needs a token").at(at);
        return Some(error.help("add token = with the output of: openssl rand -hex 16"));
    }
    let (text, help) = match (agi.guests.is_empty(), &agi.pins) {
        (false, None) => {
            ("guests needs pins", "add pins, the file of the extensions and their PINs")
        }
        (true, Some(_)) => {
            ("pins needs guests", "add guests, the peers of phones that nobody has claimed")
        }
        _ => return None,
    };
    Some(Diagnostic::warning(&IDLE, text).at(at).help(help))
}
