//! The path of a request → the name of a file.

use super::query::hex;

/// The longest path that is looked at, bytes: a name has at most 128, each perhaps escaped.
pub const MAX_PATH: usize = 512;

/// The name that a path asks for: escapes are taken apart once, and nothing is tidied up. None for
/// whatever is no plain name below `/`: an empty part (as in `//etc`), `.` and `..`, a backslash, a
/// control character, a broken escape.
pub fn name(path: &str) -> Option<Vec<u8>> {
    let path = path.strip_prefix('/').filter(|path| path.len() < MAX_PATH)?;
    let name = strict(path.as_bytes())?;
    let plain = |b: &u8| *b >= 0x20 && *b != 0x7f && *b != b'\\';
    let inside = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    (name.iter().all(plain) && name.split(|b| *b == b'/').all(inside)).then_some(name)
}

/// Every `%` must begin an escape.
fn strict(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'%' => hex(*rest.next()?, *rest.next()?)?,
            byte => *byte,
        });
    }
    Some(out)
}
