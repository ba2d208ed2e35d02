//! handset and a real Asterisk 22 with chan_pjsip: what its pjsip.conf means, and the AMI session.

#![allow(clippy::unwrap_used, reason = "a test fails where a value is missing")]

mod pbx;
mod peers;
