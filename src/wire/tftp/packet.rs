//! The packets: read without trusting a byte, written in one piece.

use bytes::Bytes;
use thiserror::Error;

/// The longest request that we read (RFC 2347: "the maximum size of a request packet is 512").
pub const MAX_REQUEST: usize = 512;

/// The codes of ERROR packets that we send (RFC 1350 appendix I, RFC 2347).
pub mod code {
    /// See the text.
    pub const OTHER: u16 = 0;
    /// There is no such file.
    pub const NOT_FOUND: u16 = 1;
    /// The file may not be had, or not be written.
    pub const ACCESS: u16 = 2;
    /// Not a TFTP operation that makes sense here.
    pub const ILLEGAL: u16 = 4;
    /// The packet came from a port that has no part in the transfer.
    pub const UNKNOWN_TID: u16 = 5;
}

/// One packet, borrowing from the datagram (or from the body that is sent).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packet<'a> {
    /// RRQ: the client wants a file.
    Read(Request<'a>),
    /// WRQ: the client wants to write a file.
    Write(Request<'a>),
    /// DATA.
    Data {
        /// Its number, modulo 65,536.
        block: u16,
        /// A part of the file.
        payload: &'a [u8],
    },
    /// ACK of a block.
    Ack(u16),
    /// ERROR: ends the transfer.
    Error {
        /// RFC 1350, appendix I.
        code: u16,
        /// For people; not cleaned.
        text: &'a [u8],
    },
    /// OACK: the options that the server accepted.
    Oack(Options<'a>),
}

/// What RRQ and WRQ say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// The name, byte for byte: never empty of surprises.
    pub name: &'a [u8],
    /// How the bytes are to be put into blocks.
    pub mode: Mode,
    /// What the client would like.
    pub options: Options<'a>,
}

/// How the bytes of a file are put into blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// As they are.
    Octet,
    /// As text with network line ends.
    Netascii,
}

/// Pairs of a name and a value, each ended by NUL; an unfinished pair at the end does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options<'a>(pub &'a [u8]);

/// Why a datagram is no packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// Not TFTP at all: nothing to answer.
    #[error("not a TFTP packet")]
    Garbage,
    /// A request of more than [`MAX_REQUEST`] bytes.
    #[error("request too long")]
    TooLong,
    /// A request whose name or mode does not end.
    #[error("request without a name and a mode")]
    Unfinished,
    /// A request for a mode other than octet and netascii, as the obsolete mail.
    #[error("mode not served")]
    Mode,
}

/// Reads one datagram.
pub fn parse(datagram: &[u8]) -> Result<Packet<'_>, Fault> {
    let (opcode, rest) = number(datagram).ok_or(Fault::Garbage)?;
    match opcode {
        1 => request(datagram.len(), rest).map(Packet::Read),
        2 => request(datagram.len(), rest).map(Packet::Write),
        3 => number(rest)
            .map(|(block, payload)| Packet::Data { block, payload })
            .ok_or(Fault::Garbage),
        4 => number(rest).map(|(block, _)| Packet::Ack(block)).ok_or(Fault::Garbage),
        5 => {
            let (code, text) = number(rest).ok_or(Fault::Garbage)?;
            Ok(Packet::Error { code, text: text.split(|b| *b == 0).next().unwrap_or_default() })
        }
        6 => Ok(Packet::Oack(Options(rest))),
        _ => Err(Fault::Garbage),
    }
}

fn request(length: usize, rest: &[u8]) -> Result<Request<'_>, Fault> {
    if length > MAX_REQUEST {
        return Err(Fault::TooLong);
    }
    let (name, rest) = string(rest).ok_or(Fault::Unfinished)?;
    let (mode, rest) = string(rest).ok_or(Fault::Unfinished)?;
    let mode = if mode.eq_ignore_ascii_case(b"octet") {
        Mode::Octet
    } else if mode.eq_ignore_ascii_case(b"netascii") {
        Mode::Netascii
    } else {
        return Err(Fault::Mode);
    };
    Ok(Request { name, mode, options: Options(rest) })
}

/// Two bytes, the high one first, and what follows.
fn number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*head), rest))
}

/// The bytes before the next NUL, and what follows it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|b| *b == 0)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

impl<'a> Iterator for Options<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = string(self.0)?;
        let (value, rest) = string(rest)?;
        self.0 = rest;
        Some((name, value))
    }
}

impl Packet<'_> {
    /// Writes the packet over what `out` held.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        let mut put = |opcode: u16, parts: &[&[u8]]| {
            out.extend_from_slice(&opcode.to_be_bytes());
            parts.iter().for_each(|part| out.extend_from_slice(part));
        };
        match self {
            Self::Read(request) => put(1, &request.parts()),
            Self::Write(request) => put(2, &request.parts()),
            Self::Data { block, payload } => put(3, &[&block.to_be_bytes(), payload]),
            Self::Ack(block) => put(4, &[&block.to_be_bytes()]),
            Self::Error { code, text } => put(5, &[&code.to_be_bytes(), text, b"\0"]),
            Self::Oack(options) => put(6, &[options.0]),
        }
    }
}

impl<'a> Request<'a> {
    fn parts(&self) -> [&'a [u8]; 4] {
        let mode: &[u8] = match self.mode {
            Mode::Octet => b"octet\0",
            Mode::Netascii => b"netascii\0",
        };
        [self.name, b"\0", mode, self.options.0]
    }
}

/// A packet that is sent, in two pieces: the payload stays where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram {
    head: [u8; 4],
    short: bool,
    /// What follows the head.
    pub body: Bytes,
}

impl Datagram {
    /// DATA.
    pub fn data(block: u16, payload: Bytes) -> Self {
        Self::long(3, block, payload)
    }

    /// ERROR; the text is for people.
    pub fn error(code: u16, text: &str) -> Self {
        Self::long(5, code, [text.as_bytes(), b"\0"].concat().into())
    }

    /// ERROR 1: nothing to allocate for what every boot of a 7940 hears some times.
    pub fn not_found() -> Self {
        Self::long(5, code::NOT_FOUND, Bytes::from_static(b"file not found\0"))
    }

    /// OACK of these options.
    pub fn oack(options: &[u8]) -> Self {
        Self { head: [0, 6, 0, 0], short: true, body: Bytes::copy_from_slice(options) }
    }

    fn long(opcode: u8, number: u16, body: Bytes) -> Self {
        let [high, low] = number.to_be_bytes();
        Self { head: [0, opcode, high, low], short: false, body }
    }

    /// What comes before the body.
    pub fn head(&self) -> &[u8] {
        if self.short { &self.head[..2] } else { &self.head }
    }
}

/// Text from the network as it may stand in a log: printable ASCII, everything else as `?`, cut
/// after 128 characters.
pub fn printable(bytes: &[u8]) -> String {
    let shown = |b: &u8| if (0x20..0x7f).contains(b) { char::from(*b) } else { '?' };
    let mut text: String = bytes.iter().take(128).map(shown).collect();
    if bytes.len() > 128 {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(datagram: &[u8], expected: Result<Packet<'_>, Fault>) {
        assert_eq!(parse(datagram), expected, "{}", datagram.escape_ascii());
    }

    fn read(name: &'static [u8], mode: Mode, options: &'static [u8]) -> Packet<'static> {
        Packet::Read(Request { name, mode, options: Options(options) })
    }

    #[test]
    fn reads_requests_in_any_case_and_with_options() {
        check(b"\0\x01a\0octet\0", Ok(read(b"a", Mode::Octet, b"")));
        check(b"\0\x01a\0NetASCII\0", Ok(read(b"a", Mode::Netascii, b"")));
        check(b"\0\x01\0OCTET\0x\0y\0z", Ok(read(b"", Mode::Octet, b"x\0y\0z")));
        let options: Vec<_> = Options(b"x\0y\0\0\0z\0unfinished").collect();
        assert_eq!(options, [(&b"x"[..], &b"y"[..]), (b"", b"")]);
    }

    #[test]
    fn refuses_odd_requests() {
        check(b"\0\x01", Err(Fault::Unfinished));
        check(b"\0\x01a", Err(Fault::Unfinished));
        check(b"\0\x01a\0octet", Err(Fault::Unfinished));
        check(b"\0\x02a\0mail\0", Err(Fault::Mode));
        check(&[&b"\0\x01"[..], &[b'a'; 600], b"\0octet\0"].concat(), Err(Fault::TooLong));
    }

    #[test]
    fn takes_no_garbage_for_a_packet() {
        for datagram in
            [&b""[..], b"\0", b"\0\x04\0", b"\0\x05\0", b"\0\x03", b"\0\0", b"\x01\x01a"]
        {
            check(datagram, Err(Fault::Garbage));
        }
    }

    #[test]
    fn reads_an_error_text_without_its_end() {
        check(b"\0\x05\0\x08no", Ok(Packet::Error { code: 8, text: b"no" }));
        check(b"\0\x05\0\x08", Ok(Packet::Error { code: 8, text: b"" }));
    }

    #[test]
    fn a_datagram_in_two_pieces_is_the_packet() {
        let check = |datagram: Datagram, packet: Packet<'_>| {
            let whole = [datagram.head(), &datagram.body].concat();
            assert_eq!(parse(&whole), Ok(packet));
        };
        let payload = Bytes::from_static(b"abc");
        check(Datagram::data(258, payload), Packet::Data { block: 258, payload: b"abc" });
        check(Datagram::error(5, "no"), Packet::Error { code: 5, text: b"no" });
        check(Datagram::not_found(), Packet::Error { code: 1, text: b"file not found" });
        check(Datagram::oack(b"a\0b\0"), Packet::Oack(Options(b"a\0b\0")));
    }

    #[test]
    fn cleans_text_for_logs() {
        assert_eq!(printable(b"a\x1b[31m\r\n\xc3\xa4"), "a?[31m????");
        assert_eq!(printable(&[b'x'; 200]).len(), 131);
    }

    proptest! {
        #[test]
        fn never_panics_and_reads_back_what_it_wrote(
            opcode in 0u8..8,
            rest in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>(), Just(b'a')], 0..700),
            mode in prop_oneof![Just(&b""[..]), Just(&b"x\0octet\0"[..]), Just(&b"x\0netascii\0"[..])],
        ) {
            let datagram = [&[0, opcode], mode, &rest].concat();
            if let Ok(packet) = parse(&datagram) {
                let mut out = Vec::new();
                packet.write(&mut out);
                prop_assert_eq!(parse(&out), Ok(packet));
                if let Packet::Read(request) | Packet::Write(request) = packet {
                    prop_assert!(request.options.count() <= MAX_REQUEST / 2);
                }
            }
            printable(&datagram);
        }
    }
}
