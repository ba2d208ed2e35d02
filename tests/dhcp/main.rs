//! The DHCP service in a real network: a switch with the server and its clients, each in a network namespace of
//! its own. The clients are busybox udhcpc, ISC dhclient, dhcpcd, and phones that are scripted here.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod beside;
mod clients;
mod many;
mod phone;
mod restart;
mod site;
mod snippets;
mod story;
