//! Peers, tags, phones and the site: what the configuration says, free of its language.

pub mod lint;
pub mod peer;
pub mod phone;
pub mod site;
pub mod tag;
pub mod zone;

#[cfg(test)]
pub(crate) mod testing;
