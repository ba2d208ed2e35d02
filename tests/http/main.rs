//! The HTTP service on loopback: files by curl byte for byte, bare sockets that behave as bad clients
//! do, and the phone book of the real daemon on a simulated phone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod book;
mod files;
mod lab;
mod limits;
mod metrics;
mod tls;
