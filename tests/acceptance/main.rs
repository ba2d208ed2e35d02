//! handset as a whole, against a real Asterisk 16 and phones that register for real: what step by
//! step must hold at every site. Each test has its own Asterisk, its own daemon on high ports, and
//! its own 127.x.0.0/16 for phones.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected shall end")]

mod adopt;
mod broken;
mod calls;
mod changes;
mod clients;
mod doctor;
mod firmware;
mod first;
mod pjsip;
mod reload;
mod restart;
mod rollout;
mod secrets;
mod site;
mod trace;
mod view;
