//! The TFTP client of a 7940/7960: octet, no options, blocks of 512 bytes (phones.md §2.4).

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::Timing;

const BLOCK: usize = 512;
/// More than the largest image (757 kB): what is longer never ends.
const MAX_BYTES: usize = 2 << 20;

/// How asking for one file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The whole file.
    File(Vec<u8>),
    /// An ERROR packet, with its code.
    Error(u16),
    /// Silence, after 5 sends from each of 3 ports.
    TimedOut,
    /// The data stopped in the middle, three times.
    Stalled,
}

/// Who asks whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) address: Ipv4Addr,
    pub(crate) server: SocketAddr,
    pub(crate) timing: Timing,
}

enum Attempt {
    Done(Fetched),
    Silent,
    Stalled,
}

impl Client {
    /// Reads one file; with `half`, never acknowledges its first block.
    pub(crate) async fn fetch(&self, name: &str, half: bool) -> Fetched {
        let mut last = Fetched::TimedOut;
        for _ in 0..self.timing.ports {
            last = match self.attempt(name, half).await {
                Ok(Attempt::Done(fetched)) => return fetched,
                Ok(Attempt::Stalled) => Fetched::Stalled,
                Ok(Attempt::Silent) => Fetched::TimedOut,
                // No socket to be had: as dark as a silent server, and as slow.
                Err(_) => {
                    tokio::time::sleep(self.timing.rrq_repeat).await;
                    Fetched::TimedOut
                }
            };
        }
        last
    }

    /// All sends from one source port.
    async fn attempt(&self, name: &str, half: bool) -> std::io::Result<Attempt> {
        let socket = UdpSocket::bind((self.address, 0)).await?;
        let request = read_request(name);
        for _ in 0..self.timing.rrq_sends {
            // A send that fails is a packet that got lost.
            let _ = socket.send_to(&request, self.server).await;
            let until = Instant::now() + self.timing.rrq_repeat;
            if let Some((from, packet)) = self.receive(&socket, None, until).await {
                return Ok(self.stream(&socket, from, packet, half).await);
            }
        }
        Ok(Attempt::Silent)
    }

    /// From the first answer on.
    async fn stream(
        &self,
        socket: &UdpSocket,
        peer: SocketAddr,
        first: Packet,
        half: bool,
    ) -> Attempt {
        let (mut file, mut block, mut packet) = (Vec::new(), 1u16, first);
        loop {
            match packet {
                Packet::Error(code) => return Attempt::Done(Fetched::Error(code)),
                Packet::Data(n, data) if n == block => {
                    if half {
                        tokio::time::sleep(self.timing.stall).await;
                        return Attempt::Stalled;
                    }
                    let last = data.len() < BLOCK;
                    file.extend_from_slice(&data);
                    let _ = socket.send_to(&ack(block), peer).await;
                    if last {
                        return Attempt::Done(Fetched::File(file));
                    }
                    if file.len() > MAX_BYTES {
                        let _ = socket.send_to(b"\0\x05\0\x03too long\0", peer).await;
                        return Attempt::Done(Fetched::Error(3));
                    }
                    block = block.wrapping_add(1);
                }
                // The server repeats a block whose ACK it missed.
                Packet::Data(n, _) if n == block.wrapping_sub(1) => {
                    let _ = socket.send_to(&ack(n), peer).await;
                }
                Packet::Data(..) => {}
            }
            let until = Instant::now() + self.timing.stall;
            match self.receive(socket, Some(peer), until).await {
                Some((_, next)) => packet = next,
                None => return Attempt::Stalled,
            }
        }
    }

    /// The next packet of the transfer; others are ignored, a foreign port of the same server is
    /// told so (RFC 1350 §4).
    async fn receive(
        &self,
        socket: &UdpSocket,
        peer: Option<SocketAddr>,
        until: Instant,
    ) -> Option<(SocketAddr, Packet)> {
        let mut buffer = [0u8; 2048];
        loop {
            let (len, from) = timeout_at(until, socket.recv_from(&mut buffer)).await.ok()?.ok()?;
            if peer.is_some_and(|peer| peer != from) {
                let _ = socket.send_to(b"\0\x05\0\x05unknown transfer ID\0", from).await;
                continue;
            }
            if from.ip() != self.server.ip() {
                continue;
            }
            if let Some(packet) = Packet::parse(&buffer[..len]) {
                return Some((from, packet));
            }
        }
    }
}

enum Packet {
    Data(u16, Vec<u8>),
    Error(u16),
}

impl Packet {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let number = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
        match bytes.get(..2)? {
            [0, 3] if bytes.len() <= BLOCK + 4 => Some(Self::Data(number, bytes[4..].to_vec())),
            [0, 5] => Some(Self::Error(number)),
            _ => None,
        }
    }
}

fn read_request(name: &str) -> Vec<u8> {
    [b"\0\x01", name.as_bytes(), b"\0octet\0"].concat()
}

fn ack(block: u16) -> [u8; 4] {
    let [high, low] = block.to_be_bytes();
    [0, 4, high, low]
}
