//! The query of a request, as forms write it.

use std::fmt::Write as _;

/// Pairs that are looked at.
const MAX_PAIRS: usize = 16;

/// The longest query that is looked at, bytes.
const MAX_QUERY: usize = 1024;

/// The pairs of a query, in order; at most 16, of the first 1024 bytes. Never fails: what is no
/// escape stands for itself.
pub fn query(text: &str) -> Vec<(String, String)> {
    let text = text.as_bytes();
    let text = text.get(..MAX_QUERY).unwrap_or(text);
    let pairs = text.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).take(MAX_PAIRS);
    let pair = |pair: &[u8]| {
        let mut parts = pair.splitn(2, |b| *b == b'=');
        let mut next = || decode(parts.next().unwrap_or_default());
        (next(), next())
    };
    pairs.map(pair).collect()
}

/// Takes escapes and `+` apart. The bytes are UTF-8 when they can be, else Latin-1, in which these
/// phones type.
pub fn decode(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => hex(*high, *low),
            _ => None,
        };
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
        out.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
    }
    String::from_utf8(out)
        .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect())
}

/// Escapes a value for a query, in UTF-8: Latin-1 could be taken for it.
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

pub(super) fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}
