//! Bytes as hexadecimal digits.

/// Two lower-case digits a byte.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.extend([letter(byte >> 4), letter(*byte)].map(char::from));
    }
    text
}

/// The lower-case digit of the four lower bits.
pub fn letter(byte: u8) -> u8 {
    b"0123456789abcdef"[usize::from(byte & 15)]
}

/// What each byte stands for: every name that a phone asks for is looked through, several times.
static DIGITS: [Option<u8>; 256] = {
    let mut digits = [None; 256];
    let mut value = 0;
    while value < 16 {
        let letter = b"0123456789abcdef"[value as usize];
        digits[letter as usize] = Some(value);
        digits[letter.to_ascii_uppercase() as usize] = Some(value);
        value += 1;
    }
    digits
};

/// What a hexadecimal digit stands for, in either case.
pub fn digit(byte: u8) -> Option<u8> {
    DIGITS[usize::from(byte)]
}

/// Exactly `N` bytes, in either case, with nothing around them.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_there_and_back_and_takes_nothing_else() {
        assert_eq!(encode(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(decode("001FfF"), Some([0, 0x1f, 0xff]));
        for text in ["", "001ff", "001fff0", "+01fff", "00 1ff", "é01ff"] {
            assert_eq!(decode::<3>(text), None, "{text}");
        }
    }
}
