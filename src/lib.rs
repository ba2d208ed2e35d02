//! handset: desk phones that follow Asterisk.

pub mod base;
pub mod cli;
pub mod conf;
pub mod control;
pub mod daemon;
pub mod family;
pub mod log;
pub mod model;
pub mod plan;
pub mod wire;
