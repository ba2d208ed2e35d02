//! From peers and site to what is served, and from what is observed to what is done about it.

pub mod observed;
