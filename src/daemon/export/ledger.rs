//! What the export wrote: names with the digests of the bytes that may stand under them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;

use super::dir::{Dir, Found, Hash};
use crate::base::{FileName, hex};

/// The name of the ledger inside the export directory.
pub const LEDGER: &str = ".handset-exported";

/// Ours are exactly the files with one of these digests under their name. While a file is being
/// replaced it has two: it is ours before and after.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Ledger(pub(super) BTreeMap<FileName, BTreeSet<Hash>>);

impl Ledger {
    /// Reads the ledger; without one nothing is ours. It is replaced whole, so a line that cannot
    /// be read was put there by somebody else: it claims nothing.
    pub(super) fn load(root: &Dir) -> io::Result<Self> {
        match root.find(LEDGER)? {
            Found::File(_) => Ok(Self::parse(&String::from_utf8_lossy(&root.read(LEDGER)?))),
            Found::Nothing => Ok(Self::default()),
            Found::Other => Err(io::Error::other(format!("{LEDGER} is not a regular file"))),
        }
    }

    /// Writes it, durably. 0600: it lists every name, and digests of files with secrets.
    pub(super) fn store(&self, root: &Dir) -> io::Result<()> {
        root.write(LEDGER, self.to_text().as_bytes(), 0o600)?;
        root.sync()
    }

    pub(super) fn claims(&self, name: &FileName, hash: &Hash) -> bool {
        self.0.get(name).is_some_and(|hashes| hashes.contains(hash))
    }

    pub(super) fn claim(&mut self, name: &FileName, hash: Hash) {
        self.0.entry(name.clone()).or_default().insert(hash);
    }

    fn parse(text: &str) -> Self {
        let mut ledger = Self::default();
        for line in text.lines() {
            let Some((hash, name)) = line.split_once("  ") else { continue };
            if let (Some(hash), Ok(name)) = (hex::decode(hash), FileName::new(name)) {
                ledger.claim(&name, hash);
            }
        }
        ledger
    }

    /// The form of sha256sum, so that an administrator can check it.
    fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, hash) in self.0.iter().flat_map(|(n, all)| all.iter().map(move |h| (n, h))) {
            writeln!(text, "{}  {name}", hex::encode(hash)).ok();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_reads_back_as_written_and_skips_what_it_does_not_know() {
        let mut ledger = Ledger::default();
        ledger.claim(&FileName::new("SIP  0018B9FFFFFF.cnf").unwrap(), [0xab; 32]);
        ledger.claim(&FileName::new("de/a").unwrap(), [1; 32]);
        ledger.claim(&FileName::new("de/a").unwrap(), [2; 32]);
        let text = ledger.to_text();
        assert!(text.starts_with(&format!("{}  SIP  0018B9FFFFFF.cnf\n", "ab".repeat(32))));
        assert_eq!(Ledger::parse(&text), ledger);
        let noise = format!("{text}hello\n{}  ../x\n{}  y\n", "ab".repeat(32), "ä".repeat(32));
        assert_eq!(Ledger::parse(&noise), ledger);
    }
}
