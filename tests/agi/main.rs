//! What phones dial for themselves: a real Asterisk with the dial plan that is shipped, handsetd, and simulated
//! phones; and what the service meets when it is no Asterisk that calls.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected shall end")]

mod hotdesk;
mod office;
mod own;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../acceptance/site.rs"]
mod site;
mod strangers;
