//! Files that are on no disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Files;

/// A few files in memory, for texts that are on no disk and for tests. Its patterns know only a
/// single `*`.
#[derive(Clone, Debug, Default)]
pub struct Memory(BTreeMap<PathBuf, Bytes>);

impl Memory {
    /// Adds a file.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, bytes: impl Into<Bytes>) -> Self {
        self.0.insert(path.into(), bytes.into());
        self
    }
}

/// Other files with one of them changed. Patterns see the files as they are: the change makes no file
/// and takes none away.
pub struct Overlay<'a> {
    under: &'a mut dyn Files,
    path: PathBuf,
    bytes: Bytes,
}

impl<'a> Overlay<'a> {
    /// Over `under`, the file `path` holds `bytes`.
    pub fn new(
        under: &'a mut dyn Files,
        path: impl Into<PathBuf>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        Self { under, path: path.into(), bytes: bytes.into() }
    }
}

impl Files for Overlay<'_> {
    fn expand(&mut self, pattern: &Path) -> Vec<PathBuf> {
        self.under.expand(pattern)
    }

    fn read(&mut self, path: &Path) -> io::Result<Bytes> {
        if path == self.path { Ok(self.bytes.clone()) } else { self.under.read(path) }
    }
}

impl Files for Memory {
    fn expand(&mut self, pattern: &Path) -> Vec<PathBuf> {
        let (name, pattern) = (pattern, pattern.as_os_str().as_encoded_bytes());
        if !pattern.contains(&b'*') {
            return self.0.get_key_value(name).map(|(path, _)| path.clone()).into_iter().collect();
        }
        let star = pattern.iter().position(|b| *b == b'*');
        let fits = |path: &&PathBuf| {
            let path = path.as_os_str().as_encoded_bytes();
            star.map_or(path == pattern, |at| {
                path.len() + 1 >= pattern.len()
                    && path.starts_with(&pattern[..at])
                    && path.ends_with(&pattern[at + 1..])
            })
        };
        self.0.keys().filter(fits).cloned().collect()
    }

    fn read(&mut self, path: &Path) -> io::Result<Bytes> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
