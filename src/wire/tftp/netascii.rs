//! Text as it travels in netascii mode: LF becomes CR LF, CR becomes CR NUL (RFC 1350 §1, RFC 764),
//! also where the two bytes fall into two blocks.

/// A place in the encoded text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    /// Bytes of the body that are wholly encoded.
    at: usize,
    /// The second byte of a pair whose first one ended the block before.
    owed: Option<u8>,
}

/// Puts the next `limit` encoded bytes into `out`, over what it held; fewer at the end of the body.
/// Gives the place where the next block begins.
pub fn fill(body: &[u8], from: Cursor, limit: usize, out: &mut Vec<u8>) -> Cursor {
    out.clear();
    let mut cursor = from;
    while out.len() < limit {
        if let Some(owed) = cursor.owed.take() {
            out.push(owed);
            continue;
        }
        let Some(byte) = body.get(cursor.at) else { break };
        cursor.at += 1;
        let (first, second) = match byte {
            b'\n' => (b'\r', Some(b'\n')),
            b'\r' => (b'\r', Some(0)),
            other => (*other, None),
        };
        out.push(first);
        cursor.owed = second;
    }
    cursor
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blocks(body: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut cursor = Cursor::default();
        let mut blocks = Vec::new();
        loop {
            let mut block = Vec::new();
            cursor = fill(body, cursor, size, &mut block);
            blocks.push(block);
            if blocks.last().unwrap().len() < size {
                return blocks;
            }
        }
    }

    fn check(body: &str, size: usize, expected: &[&str]) {
        let blocks = blocks(body.as_bytes(), size);
        let shown: Vec<_> = blocks.iter().map(|b| b.escape_ascii().to_string()).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn encodes_line_ends() {
        check("a\nb\rc", 99, &[r"a\r\nb\r\x00c"]);
        check("\r\n", 99, &[r"\r\x00\r\n"]);
        check("", 99, &[""]);
    }

    #[test]
    fn a_pair_may_fall_across_a_block_border() {
        check("abc\nd", 4, &[r"abc\r", r"\nd"]);
        check("abc\n", 4, &[r"abc\r", r"\n"]);
        check("ab\n", 4, &[r"ab\r\n", ""]);
        check("abc\r", 4, &[r"abc\r", r"\x00"]);
    }

    proptest! {
        #[test]
        fn decoding_gives_the_body_back(
            body in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0u8), any::<u8>()], 0..300),
            size in 1usize..40,
        ) {
            let blocks = blocks(&body, size);
            let (last, full) = blocks.split_last().unwrap();
            prop_assert!(last.len() < size && full.iter().all(|b| b.len() == size));
            let mut decoded = Vec::new();
            let mut bytes = blocks.concat().into_iter();
            while let Some(byte) = bytes.next() {
                match (byte, if byte == b'\r' { bytes.next() } else { None }) {
                    (b'\r', Some(0)) => decoded.push(b'\r'),
                    (b'\r', Some(b'\n')) => decoded.push(b'\n'),
                    (b'\r', other) => prop_assert!(false, "CR before {other:?}"),
                    (other, _) => decoded.push(other),
                }
            }
            prop_assert_eq!(decoded, body);
        }
    }
}
