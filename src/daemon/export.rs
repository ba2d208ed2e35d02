//! The same bytes as files, for a TFTP server that is not ours (`export_dir`).
//!
//! Every file is replaced whole, and a kill at any moment leaves whole files only. What the export
//! did not write it neither overwrites nor removes: a ledger (`.handset-exported`) knows the digest
//! of every file written; it is on disk before a new file appears and until a file is gone.

mod dir;
mod ledger;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::base::FileName;
use dir::{Dir, Found, Hash};
pub use ledger::LEDGER;
use ledger::Ledger;

/// Whether files of ours that are not wanted any more go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removal {
    /// They stay: nothing is known about what was before (the first publication after a loss of the
    /// state).
    Never,
    /// They go, unless nothing at all is wanted, which is more likely a mistake.
    UnlessEmpty,
    /// They go.
    Always,
}

/// Why a name was left as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// Something that the export did not write stands there (or in the way of its directory).
    Foreign,
    /// The export wrote it and somebody changed it since.
    Changed,
    /// The name belongs to the export itself.
    Reserved,
}

/// What an export did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Written anew.
    pub written: Vec<FileName>,
    /// Already there with the same bytes.
    pub unchanged: usize,
    /// Removed.
    pub removed: Vec<FileName>,
    /// Not touched, with the reason: move the file away, and the next export takes its place.
    pub left: Vec<(FileName, Left)>,
    /// Remains of a killed export that were swept.
    pub swept: usize,
}

/// An export that ended early. What was written so far is whole, and the next one goes on.
#[derive(Debug, Error)]
#[error("cannot export to {}: {source}", .path.display())]
pub struct ExportError {
    /// The directory or file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Makes `dir` (0750 when it must be made) hold `files`, each 0640. Blocks, and reads every file
/// that is there: call it from `spawn_blocking`.
pub fn export(
    dir: &Path,
    files: &BTreeMap<FileName, Bytes>,
    removal: Removal,
) -> Result<Report, ExportError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| ExportError { path, source }
    };
    let root = Dir::root(dir).map_err(at(dir))?;
    let ledger_path = dir.join(LEDGER);
    let before = Ledger::load(&root).map_err(at(&ledger_path))?;
    let mut run = Run { dir, root, ledger: before.clone(), report: Report::default() };
    run.sweep(files)?;
    let stale = run.stale(files, removal);
    let writes = run.sort(files)?;
    if run.ledger != before {
        run.ledger.store(&run.root).map_err(at(&ledger_path))?;
    }
    let midway = run.ledger.clone();
    run.write(&writes)?;
    run.remove(&stale)?;
    if run.ledger != midway {
        run.ledger.store(&run.root).map_err(at(&ledger_path))?;
    }
    Ok(run.report)
}

/// A file to be written: name, bytes, their digest.
type Write<'a> = (FileName, &'a Bytes, Hash);

struct Run<'a> {
    dir: &'a Path,
    root: Dir,
    ledger: Ledger,
    report: Report,
}

impl Run<'_> {
    fn error(&self, name: &str) -> impl FnOnce(io::Error) -> ExportError + use<> {
        let path = self.dir.join(name);
        move |source| ExportError { path, source }
    }

    /// Opens the directory of a name, and returns the last part. None: something foreign is in the
    /// way, or it is not there and not to be made.
    fn open<'n>(&self, name: &'n str, make: bool) -> Result<Option<(Dir, &'n str)>, ExportError> {
        let (parents, last) = name.rsplit_once('/').unwrap_or(("", name));
        let mut dir = self.root.child(".", false).map_err(self.error(""))?;
        for part in parents.split('/').filter(|part| !part.is_empty()) {
            dir = match dir.child(part, make) {
                Ok(child) => child,
                Err(e) if is_obstacle(&e) => return Ok(None),
                Err(e) => return Err(self.error(parents)(e)),
            };
        }
        Ok(Some((dir, last)))
    }

    /// Sweeps every directory that we may have written to.
    fn sweep(&mut self, files: &BTreeMap<FileName, Bytes>) -> Result<(), ExportError> {
        let names = self.ledger.0.keys().chain(files.keys());
        let parent = |name: &FileName| {
            name.as_str().rsplit_once('/').map_or(String::new(), |(dir, _)| format!("{dir}/"))
        };
        let mut parents: std::collections::BTreeSet<_> = names.map(parent).collect();
        parents.insert(String::new());
        for parent in parents {
            if let Some((dir, _)) = self.open(&parent, false)? {
                self.report.swept += dir.sweep().map_err(self.error(&parent))?;
            }
        }
        Ok(())
    }

    fn stale(&self, files: &BTreeMap<FileName, Bytes>, removal: Removal) -> Vec<FileName> {
        let may = match removal {
            Removal::Never => false,
            Removal::UnlessEmpty => !files.is_empty(),
            Removal::Always => true,
        };
        let ours = self.ledger.0.keys().filter(|name| may && !files.contains_key(*name));
        ours.cloned().collect()
    }

    /// Finds what must be written and claims it, and reports the rest. A claim on anything but the
    /// bytes that are there or come is given up, so that failing exports do not make them grow.
    fn sort<'f>(
        &mut self,
        files: &'f BTreeMap<FileName, Bytes>,
    ) -> Result<Vec<Write<'f>>, ExportError> {
        let mut writes = Vec::new();
        for (name, bytes) in files {
            let hash = Hash::from(Sha256::digest(bytes));
            match self.judge(name, &hash)? {
                Verdict::Write(old) => {
                    let claims = old.into_iter().chain([hash]).collect();
                    self.ledger.0.insert(name.clone(), claims);
                    writes.push((name.clone(), bytes, hash));
                }
                Verdict::Same => {
                    self.report.unchanged += 1;
                    if self.ledger.claims(name, &hash) {
                        self.ledger.0.insert(name.clone(), [hash].into());
                    }
                }
                Verdict::Leave(why) => self.report.left.push((name.clone(), why)),
            }
        }
        Ok(writes)
    }

    fn judge(&self, name: &FileName, wanted: &Hash) -> Result<Verdict, ExportError> {
        let text = name.as_str();
        if text == LEDGER || text.split('/').any(dir::is_temp) {
            return Ok(Verdict::Leave(Left::Reserved));
        }
        let Some((dir, last)) = self.open(text, true)? else {
            return Ok(Verdict::Leave(Left::Foreign));
        };
        let known = self.ledger.0.contains_key(name);
        Ok(match dir.find(last).map_err(self.error(text))? {
            Found::Nothing => Verdict::Write(None),
            Found::File(hash) if hash == *wanted => Verdict::Same,
            Found::File(hash) if self.ledger.claims(name, &hash) => Verdict::Write(Some(hash)),
            Found::File(_) if known => Verdict::Leave(Left::Changed),
            Found::File(_) | Found::Other => Verdict::Leave(Left::Foreign),
        })
    }

    fn write(&mut self, writes: &[Write<'_>]) -> Result<(), ExportError> {
        let mut dirs = BTreeMap::new();
        for (name, bytes, _) in writes {
            let text = name.as_str();
            let error = self.error(text);
            let Some((dir, last)) = self.open(text, true)? else {
                self.report.left.push((name.clone(), Left::Foreign));
                continue;
            };
            dir.write(last, bytes, 0o640).map_err(error)?;
            self.report.written.push(name.clone());
            dirs.insert(&text[..text.len() - last.len()], dir);
        }
        self.sync(dirs)?;
        for (name, _, hash) in writes {
            self.ledger.0.insert(name.clone(), [*hash].into());
        }
        Ok(())
    }

    /// Removes what is still as we wrote it; what somebody changed is theirs from now on.
    fn remove(&mut self, stale: &[FileName]) -> Result<(), ExportError> {
        let mut dirs = BTreeMap::new();
        for name in stale {
            let text = name.as_str();
            if let Some((dir, last)) = self.open(text, false)? {
                match dir.find(last).map_err(self.error(text))? {
                    Found::File(hash) if self.ledger.claims(name, &hash) => {
                        dir.remove(last).map_err(self.error(text))?;
                        self.report.removed.push(name.clone());
                        dirs.insert(&text[..text.len() - last.len()], dir);
                    }
                    Found::Nothing => {}
                    Found::File(_) | Found::Other => {
                        self.report.left.push((name.clone(), Left::Changed));
                    }
                }
            }
            self.ledger.0.remove(name);
        }
        self.sync(dirs)
    }

    fn sync(&self, dirs: BTreeMap<&str, Dir>) -> Result<(), ExportError> {
        dirs.into_iter().try_for_each(|(parent, dir)| dir.sync().map_err(self.error(parent)))
    }
}

enum Verdict {
    /// Nothing is there, or bytes of ours with this digest.
    Write(Option<Hash>),
    Same,
    Leave(Left),
}

/// A file or a symlink where a directory should be, or no directory at all.
fn is_obstacle(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotADirectory | NotFound)
        || error.raw_os_error() == Some(nix::libc::ELOOP)
}
