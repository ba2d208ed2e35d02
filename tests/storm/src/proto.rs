//! TFTP packets as a client needs them: RFC 1350, 2347 (options), 7440 (windows). It shares no code
//! with handset's own.

pub(crate) const RRQ: u8 = 1;
pub(crate) const WRQ: u8 = 2;
pub(crate) const ACK: u8 = 4;
pub(crate) const ERROR: u8 = 5;

pub(crate) enum Packet<'a> {
    Data(u16, &'a [u8]),
    Oack(&'a [u8]),
    Error(u16, &'a [u8]),
    Other,
}

pub(crate) fn parse(datagram: &[u8]) -> Packet<'_> {
    match datagram {
        [0, 3, high, low, data @ ..] => Packet::Data(u16::from_be_bytes([*high, *low]), data),
        [0, 5, high, low, text @ ..] => Packet::Error(u16::from_be_bytes([*high, *low]), text),
        [0, 6, options @ ..] => Packet::Oack(options),
        _ => Packet::Other,
    }
}

pub(crate) fn request(opcode: u8, name: &[u8], options: &[(&str, String)]) -> Vec<u8> {
    let mut out = vec![0, opcode];
    out.extend_from_slice(name);
    out.extend_from_slice(b"\0octet\0");
    for (name, value) in options {
        out.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    out
}

pub(crate) fn ack(block: u16) -> [u8; 4] {
    let [high, low] = block.to_be_bytes();
    [0, ACK, high, low]
}

pub(crate) fn error(code: u16, text: &str) -> Vec<u8> {
    [&[0, ERROR], &code.to_be_bytes()[..], text.as_bytes(), b"\0"].concat()
}

/// Names, in lower case, and values.
pub(crate) fn options(body: &[u8]) -> Vec<(String, String)> {
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    let mut parts = body.split(|b| *b == 0);
    let mut all = Vec::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        if name.is_empty() {
            break;
        }
        all.push((text(name).to_ascii_lowercase(), text(value)));
    }
    all
}
