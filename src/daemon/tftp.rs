//! placeholder until the service is merged
use super::event::Ticket;
use bytes::Bytes;
use std::net::SocketAddr;
use std::path::PathBuf;
/// c
pub trait Catalog: Send + Sync + 'static {
    /// f
    fn find(&self, asker: SocketAddr, name: &[u8]) -> Found;
}
/// f
#[derive(Debug)]
pub enum Found {
    /// b
    Body {
        /// b
        bytes: Bytes,
        /// t
        ticket: Ticket,
    },
    /// s
    Static(PathBuf),
    /// m
    Missing,
}
