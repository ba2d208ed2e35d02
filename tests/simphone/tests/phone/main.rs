//! The simulated phone against a small TFTP server, a small registrar, and a real Asterisk.

#![allow(clippy::unwrap_used, reason = "a test fails where a value is missing")]

mod asterisk;
mod binary;
mod boot;
mod check_sync;
mod firmware;
mod tftp;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use simphone::{Config, Model};

use tftp::Server;

/// Longer than anything takes here, and short enough to wait for.
const LIMIT: Duration = Duration::from_secs(20);
const MAC: [u8; 6] = [0x00, 0x18, 0xb9, 0xff, 0x00, 0x01];

/// A loopback address that no other test, of this run or another, uses.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(2);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 63), low, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A fast phone that asks `server`.
fn config(server: &Server) -> Config {
    let mut config = Config::new(MAC, Model::M7960, own_address(), server.address());
    config.idle = Duration::from_millis(200);
    config
}

/// `SIP<MAC>.cnf` of a phone with one line that never registers.
fn quiet_line(sync: &str) -> String {
    format!("line1_name: \"201\"\nproxy1_address: \"127.0.0.1\"\nproxy_register: 0\nsync: {sync}\n")
}
