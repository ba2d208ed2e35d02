//! The bytes of a file of which many are nearly the same: what they have in common is held once.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes that never change. Held as a difference to a text that many bodies share; two bodies are equal
/// when their bytes are.
#[derive(Clone)]
pub struct Body {
    base: Arc<[u8]>,
    /// Steps through `base` as in [`Step`]; empty: all of `base` and nothing else.
    patch: Box<[u8]>,
}

/// Bytes of the base that stay, those behind them that go, and what comes in their place. In a patch
/// each of the three lengths in bytes stands as LEB128, and the new bytes behind them. What is behind
/// the last step stays.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step<'a> {
    keep: usize,
    drop: usize,
    put: &'a [u8],
}

impl Body {
    /// Bytes that share nothing yet.
    pub fn whole(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { base: bytes.into(), patch: Box::default() }
    }

    /// The same bytes, held as a difference to the text that `other` is held by; as they are where that
    /// would save little.
    #[must_use]
    pub fn like(self, other: &Body) -> Self {
        if Arc::ptr_eq(&self.base, &other.base) {
            return self;
        }
        let bytes = self.bytes();
        let patch = patch(&other.base, &bytes);
        if patch.len() > bytes.len() / 4 * 3 {
            return self;
        }
        Self { base: other.base.clone(), patch: patch.into_boxed_slice() }
    }

    /// What is written of a body: the text that it shares, and the difference to it.
    pub fn parts(&self) -> (&Arc<[u8]>, &[u8]) {
        (&self.base, &self.patch)
    }

    /// A body from what was written of it; none where the two do not fit each other.
    pub fn from_parts(base: Arc<[u8]>, patch: &[u8]) -> Option<Self> {
        let mut at = 0_usize;
        let mut rest = patch;
        while !rest.is_empty() {
            let step = Step::take(&mut rest)?;
            at = at.checked_add(step.keep)?.checked_add(step.drop)?;
            if at > base.len() {
                return None;
            }
        }
        Some(Self { base, patch: patch.into() })
    }

    /// The bytes. A body that shares nothing is not copied.
    pub fn bytes(&self) -> Bytes {
        if self.patch.is_empty() {
            return Bytes::from_owner(self.base.clone());
        }
        let mut bytes = Vec::with_capacity(self.base.len() + self.patch.len());
        let mut base = &self.base[..];
        let mut rest = &self.patch[..];
        while let Some(step) = Step::take(&mut rest) {
            let (kept, behind) = base.split_at(step.keep);
            bytes.extend_from_slice(kept);
            bytes.extend_from_slice(step.put);
            base = &behind[step.drop..];
        }
        bytes.extend_from_slice(base);
        Bytes::from(bytes)
    }
}

impl<'a> Step<'a> {
    fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let (keep, drop, put) = (number(rest)?, number(rest)?, number(rest)?);
        let (put, behind) = rest.split_at_checked(put)?;
        *rest = behind;
        Some(Self { keep, drop, put })
    }

    fn write(&self, to: &mut Vec<u8>) {
        for length in [self.keep, self.drop, self.put.len()] {
            let mut left = length;
            loop {
                let [low, ..] = left.to_le_bytes();
                left >>= 7;
                if left == 0 {
                    to.push(low & 0x7f);
                    break;
                }
                to.push(low | 0x80);
            }
        }
        to.extend_from_slice(self.put);
    }
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// What makes `new` of `base`, line against line: the two have nearly always the same lines in the same
/// order, with a word changed in some of them.
fn patch(base: &[u8], new: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    if base == new {
        return written;
    }
    let (mut keep, mut at_base, mut at_new) = (0, 0, 0);
    for (old, line) in lines(base).zip(lines(new)) {
        (at_base, at_new) = (at_base + old.len(), at_new + line.len());
        if old == line {
            keep += old.len();
            continue;
        }
        let alike = |a: &mut dyn Iterator<Item = (&u8, &u8)>| a.take_while(|(a, b)| a == b).count();
        let front = alike(&mut old.iter().zip(line));
        let back = alike(&mut old[front..].iter().rev().zip(line[front..].iter().rev()));
        let put = &line[front..line.len() - back];
        Step { keep: keep + front, drop: old.len() - front - back, put }.write(&mut written);
        keep = back;
    }
    // The shorter one is at its end: what is left of the other comes or goes as a whole.
    let (drop, put) = (base.len() - at_base, &new[at_new..]);
    if drop > 0 || !put.is_empty() {
        Step { keep, drop, put }.write(&mut written);
    }
    written
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::whole(bytes)
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::whole(Vec::new())
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        let same = Arc::ptr_eq(&self.base, &other.base) && self.patch == other.patch;
        same || self.bytes() == other.bytes()
    }
}

impl Eq for Body {}

/// Without the bytes: they may hold a password.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(base: &[u8], new: &[u8]) {
        let patch = patch(base, new);
        let built = Body::from_parts(base.into(), &patch).unwrap();
        assert_eq!(built.bytes(), new, "{base:?} {patch:?}");
    }

    #[test]
    fn a_patch_makes_the_new_bytes_of_the_old() {
        let texts: [&[u8]; 9] = [
            b"",
            b"\n",
            b"a",
            b"a\n",
            b"a\nb\nc\n",
            b"a\nX\nc\n",
            b"a\nX\nc",
            b"X\nY\nc\nd\n",
            b"a\nb\n",
        ];
        for base in texts {
            texts.iter().for_each(|new| check(base, new));
        }
    }

    #[test]
    fn what_is_alike_is_held_once_and_what_is_not_is_held_whole() {
        let text = |name: &str| format!("{}name: {name}\n{}", "common line\n".repeat(50), "x\n");
        let first = Body::from(text("Ada").into_bytes());
        let second = Body::from(text("Grace").into_bytes()).like(&first);
        assert!(Arc::ptr_eq(&first.base, &second.base));
        assert!(second.patch.len() < 20);
        assert_eq!(second.bytes(), text("Grace"));
        assert_eq!(second, Body::from(text("Grace").into_bytes()));
        assert_ne!(second, first);
        let other = Body::from(b"something else".to_vec()).like(&first);
        assert!(other.patch.is_empty() && !Arc::ptr_eq(&first.base, &other.base));
    }

    #[test]
    fn a_patch_that_does_not_fit_is_refused() {
        for patch in [&b"\x05\x00\x00"[..], b"\x00\x05\x00", b"\x00\x00\x05ab", b"\xff", b"\x80"] {
            assert!(Body::from_parts(b"abc".as_slice().into(), patch).is_none(), "{patch:?}");
        }
        let endless = [0xff; 40];
        assert!(Body::from_parts(b"abc".as_slice().into(), &endless).is_none());
    }

    proptest! {
        #[test]
        fn any_two_texts(base in "[ab\n]{0,40}", new in "[ab\n]{0,40}") {
            check(base.as_bytes(), new.as_bytes());
        }

        #[test]
        fn any_patch_is_taken_or_refused(patch in proptest::collection::vec(any::<u8>(), 0..24)) {
            if let Some(body) = Body::from_parts(b"some text\nof two lines\n".as_slice().into(), &patch) {
                let _ = body.bytes();
            }
        }
    }
}
