//! Places in the files that were read.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use memchr::{memchr, memchr_iter};

/// One file of a [`Sources`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId(pub u32);

/// A part of one line: the line counts from 1, the columns are byte offsets from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The line, from 1; 0 means the file as a whole.
    pub line: u32,
    /// First byte, from 0.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
}

impl Span {
    /// The file as a whole.
    pub fn whole(file: FileId) -> Self {
        Self { file, line: 0, start: 0, end: 0 }
    }
}

/// Every file that one look at the disk has read, in the order of reading.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<SourceFile>);

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Bytes,
}

impl Sources {
    /// Adds a file; the same path with the same bytes is kept once.
    pub fn add(&mut self, path: &Path, bytes: Bytes) -> FileId {
        let same = |f: &SourceFile| f.path.as_os_str() == path.as_os_str() && f.bytes == bytes;
        let known = self.0.iter().rposition(same);
        let index = known.unwrap_or_else(|| {
            self.0.push(SourceFile { path: path.to_owned(), bytes });
            self.0.len() - 1
        });
        FileId(u32::try_from(index).expect("fewer than 2^32 files are read"))
    }

    /// The file behind an id of this same value.
    pub fn get(&self, id: FileId) -> &SourceFile {
        &self.0[id.0 as usize]
    }

    /// All files.
    pub fn iter(&self) -> impl Iterator<Item = &SourceFile> {
        self.0.iter()
    }

    /// `path:line:column`, the column counted from 1; only the path for a whole file.
    pub fn place(&self, span: Span) -> String {
        let path = self.get(span.file).path.display();
        if span.line == 0 {
            path.to_string()
        } else {
            format!("{path}:{}:{}", span.line, span.start + 1)
        }
    }

    /// The bytes of a line (without its end), empty where there is none.
    pub fn line(&self, file: FileId, line: u32) -> &[u8] {
        let bytes = &self.get(file).bytes;
        let feed = |nth: usize| memchr_iter(b'\n', bytes).nth(nth);
        let start = match line {
            0 => None,
            1 => Some(0),
            _ => feed(line as usize - 2).map(|at| at + 1),
        };
        let Some(rest) = start.and_then(|start| bytes.get(start..)) else { return &[] };
        let text = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
        text.strip_suffix(b"\r").unwrap_or(text)
    }
}

/// Where something was written, if anywhere. Two things never differ by their places, so all are equal,
/// and none shows in what is printed of a value.
#[derive(Clone, Copy, Default)]
pub struct Place(pub Option<Span>);

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        Self(Some(span))
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Ties a value to its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Two settings are the same setting when their values are: the place does not count.
impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: Hash> Hash for Spanned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_number_and_none_beyond_the_end() {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("/x"), Bytes::from_static(b"a\r\n\nb"));
        let lines: Vec<_> = (0..6).map(|line| sources.line(file, line)).collect();
        assert_eq!(lines, [&b""[..], b"a", b"", b"b", b"", b""]);
    }
}
