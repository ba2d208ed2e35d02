//! From peers and site to what is served, and from what is observed to what is done about it.
//! In reading order: [`generation`] (what could be served), [`build`] (how it is made), [`guard`]
//! (whether to believe it), [`offer`] (what is served), [`ladder`] (which firmware), [`access`] (to whom), [`observed`] (what is known),
//! [`notified`] (what came of a NOTIFY), [`place`] (where phones are),
//! [`standing`] (where a phone stands), [`agenda`] (all of them), [`rollout`] (canaries and waves), [`reload`] (what Asterisk has loaded), [`reconcile`] (what
//! to do now), [`diff`] (changes for people), [`snippet`] (what other DHCP servers need).

pub mod access;
pub mod agenda;
pub mod boot;
pub mod build;
pub mod diff;
pub mod generation;
pub mod guard;
pub mod intents;
pub mod kept;
pub mod ladder;
pub mod notified;
pub mod observed;
pub mod offer;
pub mod place;
pub mod reconcile;
pub mod reload;
pub mod rollout;
pub mod snippet;
pub mod standing;
pub mod unknown;

#[cfg(test)]
mod tests;
