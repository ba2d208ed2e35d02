//! handset and a real Asterisk 22 with chan_pjsip: what its pjsip.conf means, and the AMI session.

#![allow(clippy::unwrap_used, reason = "a test fails where a value is missing")]

mod pbx;
mod peers;
mod phone;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../ami/rig.rs"]
mod rig;
mod session;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../simphone/tests/phone/tftp.rs"]
mod tftp;
