//! Questions over UDP and TCP, each ended after a few seconds.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::wire::tftp::packet::{Mode, Options, Packet, Request, parse, printable};

/// Nothing came for so long: silence.
const PATIENCE: Duration = Duration::from_secs(3);
/// A question is repeated after so long.
const REPEAT: Duration = Duration::from_secs(1);
/// A transfer lasts no longer.
const TRANSFER: Duration = Duration::from_secs(10);
/// No more bytes of a file or a page are read.
const FILE_MAX: usize = 1 << 20;
/// A random number that is not secret.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Mute {
    /// Nothing came: dropped on the way, or nobody is there.
    Silent,
    /// The host says that nobody listens on the port.
    Refused,
    /// It cannot be asked: the system's own words.
    Failed(String),
}

impl From<&io::Error> for Mute {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Silent,
            _ => Self::Failed(error.to_string()),
        }
    }
}

fn any(like: SocketAddr) -> SocketAddr {
    let ip = match like.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}

/// A socket that hears only this server, and what the kernel is told about it.
pub(super) fn connected(server: SocketAddr) -> Result<UdpSocket, Mute> {
    let socket = UdpSocket::bind(any(server)).map_err(|e| Mute::from(&e))?;
    socket.connect(server).map_err(|e| Mute::from(&e))?;
    Ok(socket)
}

/// Sends until `read` makes something of what comes.
pub(super) fn ask<T>(
    socket: &UdpSocket,
    question: &[u8],
    mut read: impl FnMut(&[u8]) -> Option<T>,
) -> Result<T, Mute> {
    let (end, mut packet) = (Instant::now() + PATIENCE, vec![0; 65_536]);
    let mut repeat = Instant::now();
    while Instant::now() < end {
        if repeat <= Instant::now() {
            socket.send(question).map_err(|e| Mute::from(&e))?;
            repeat = Instant::now() + REPEAT;
        }
        let wait = repeat.min(end).saturating_duration_since(Instant::now());
        let wait = wait.max(Duration::from_millis(1));
        socket.set_read_timeout(Some(wait)).map_err(|e| Mute::from(&e))?;
        match socket.recv(&mut packet) {
            Ok(length) => {
                if let Some(found) = read(&packet[..length]) {
                    return Ok(found);
                }
            }
            Err(error) => match Mute::from(&error) {
                Mute::Silent => {}
                other => return Err(other),
            },
        }
    }
    Err(Mute::Silent)
}

/// How a request for a file over TFTP ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fetched {
    /// All of it, after so long from the request to the first packet.
    File(Vec<u8>, Duration),
    /// ERROR, with the server's words, after so long.
    No(u16, String, Duration),
    /// It began and broke off.
    Stalled(usize),
    /// Nothing came.
    Mute(Mute),
}

/// Fetches as a 7940 does: octet, no options, one block after the other.
pub(super) fn tftp(server: SocketAddr, name: &str) -> Fetched {
    match fetch(server, name) {
        Ok(Fetched::Mute(Mute::Silent)) => Fetched::Mute(silence(server)),
        Ok(other) => other,
        Err(error) => Fetched::Mute(Mute::from(&error)),
    }
}

/// Silence, or a port that nobody listens on. Only a connected socket is told of that, and the answers of
/// TFTP come from other ports.
fn silence(server: SocketAddr) -> Mute {
    let probe = connected(server).and_then(|socket| {
        // An acknowledgement of nothing: a server passes over it.
        socket.send(&[0, 4, 0, 0]).map_err(|e| Mute::from(&e))?;
        socket.set_read_timeout(Some(Duration::from_millis(300))).map_err(|e| Mute::from(&e))?;
        socket.recv(&mut [0; 600]).map_err(|e| Mute::from(&e))
    });
    probe.err().unwrap_or(Mute::Silent)
}

fn fetch(server: SocketAddr, name: &str) -> io::Result<Fetched> {
    let socket = UdpSocket::bind(any(server))?;
    let mut out = Vec::new();
    let request = Request { name: name.as_bytes(), mode: Mode::Octet, options: Options(b"") };
    Packet::Read(request).write(&mut out);
    let (began, mut to) = (Instant::now(), server);
    let mut first = None;
    let (mut file, mut block, mut buffer) = (Vec::new(), 0_u16, [0; 1500]);
    let mut heard = began;
    socket.send_to(&out, to)?;
    while began.elapsed() < TRANSFER && file.len() < FILE_MAX {
        socket.set_read_timeout(Some(REPEAT))?;
        let (length, from) = match socket.recv_from(&mut buffer) {
            Ok(found) => found,
            Err(error) if Mute::from(&error) == Mute::Silent => {
                if heard.elapsed() >= PATIENCE {
                    break;
                }
                socket.send_to(&out, to)?;
                continue;
            }
            Err(error) => return Err(error),
        };
        // The answers come from a port that is chosen for the transfer.
        if from.ip() != server.ip() || (block > 0 && from != to) {
            continue;
        }
        let after = *first.get_or_insert_with(|| began.elapsed());
        heard = Instant::now();
        match parse(&buffer[..length]) {
            Ok(Packet::Data { block: number, payload }) => {
                to = from;
                if number == block.wrapping_add(1) {
                    block = number;
                    file.extend_from_slice(payload);
                }
                Packet::Ack(number).write(&mut out);
                socket.send_to(&out, to)?;
                if number == block && payload.len() < 512 {
                    return Ok(Fetched::File(file, after));
                }
            }
            Ok(Packet::Error { code, text }) => {
                return Ok(Fetched::No(code, printable(text), after));
            }
            _ => {}
        }
    }
    Ok(if first.is_none() { Fetched::Mute(Mute::Silent) } else { Fetched::Stalled(file.len()) })
}

/// A TCP connection with time limits.
pub(super) fn tcp(server: SocketAddr) -> Result<TcpStream, Mute> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE).map_err(|e| Mute::from(&e))?;
    let limit = |set: io::Result<()>| set.map_err(|e| Mute::from(&e));
    limit(stream.set_read_timeout(Some(PATIENCE)))?;
    limit(stream.set_write_timeout(Some(PATIENCE)))?;
    Ok(stream)
}

/// The status and the body of a page.
pub(super) fn get(server: SocketAddr, path: &str) -> Result<(u16, Vec<u8>), Mute> {
    let mut stream = tcp(server)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: handset doctor\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(|e| Mute::from(&e))?;
    let (end, mut all, mut buffer) = (Instant::now() + TRANSFER, Vec::new(), [0; 1 << 14]);
    while all.len() < FILE_MAX && Instant::now() < end {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error) => return Err(Mute::from(&error)),
        }
    }
    page(&all).ok_or_else(|| Mute::Failed("what answers speaks no HTTP".into()))
}

/// The status and the body of an answer that is not in chunks.
fn page(all: &[u8]) -> Option<(u16, Vec<u8>)> {
    let at = memchr::memmem::find(all, b"\r\n\r\n")?;
    let status = std::str::from_utf8(all.get(9..12)?).ok()?.parse().ok()?;
    all.starts_with(b"HTTP/1.").then(|| (status, all[at + 4..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_its_status_and_what_follows_the_head() {
        assert_eq!(
            page(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nx\r\n\r\ny"),
            Some((200, b"x\r\n\r\ny".to_vec()))
        );
        for text in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"SSH-2.0 200\r\n\r\n", b"HTTP/1.1\r\n\r\n"]
        {
            assert_eq!(page(text), None);
        }
    }

    #[test]
    fn nobody_and_silence_are_told_apart() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(tftp(silent.local_addr().unwrap(), "x"), Fetched::Mute(Mute::Silent));
        let nobody = silent.local_addr().unwrap();
        drop(silent);
        assert_eq!(tftp(nobody, "x"), Fetched::Mute(Mute::Refused));
        assert_eq!(ask(&connected(nobody).unwrap(), b"x", |_| Some(())), Err(Mute::Refused));
    }
}
