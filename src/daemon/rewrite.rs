//! Putting an edit onto the disk without harm: only over the text that was read, whole or not at all,
//! with owner, mode and extended attributes (access lists, labels) as they were.
//!
//! A symbolic link stays one: the file that it leads to is replaced, by a new file renamed over it.
//! Written in place, and thus not atomically, is what a rename would change: a file with several hard
//! links, and one whose owner cannot be given to a new file. What another writer does between the last
//! look and the rename (microseconds) cannot be seen.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
use tempfile::NamedTempFile;
use thiserror::Error;

/// Bytes of one extended attribute, and of the list of their names, at most (Linux).
const XATTR: usize = 65536;

/// Why nothing was written.
#[derive(Debug, Error)]
pub enum RewriteError {
    /// It holds something else than what was read.
    #[error("{} has changed meanwhile: nothing was written, try again", .0.display())]
    Changed(PathBuf),
    /// It cannot be read or written.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
}

/// How it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// By a new file in the old one's place: readers see the old text or the new one.
    Renamed,
    /// Into the file itself.
    InPlace,
    /// It held the new text already.
    Not,
}

/// Writes `new` over the file, if it still holds `old`.
///
/// # Errors
/// When it holds something else, is no regular file, or cannot be read or written; it is what it was
/// then, except after an error in the middle of writing in place.
pub fn rewrite(path: &Path, old: &[u8], new: &[u8]) -> Result<Written, RewriteError> {
    let target = fs::canonicalize(path).map_err(|e| failed("find", path, e))?;
    // Also where a rename would not ask for it: what may not be written is not replaced.
    let file = open(&target, true).map_err(|e| failed("write", &target, e))?;
    let meta = file.metadata().map_err(|e| failed("read", &target, e))?;
    unchanged(&target, old)?;
    if old == new {
        return Ok(Written::Not);
    }
    if meta.nlink() == 1
        && let Some(draft) = draft(&target, &file, &meta, new)?
    {
        unchanged(&target, old)?;
        draft.persist(&target).map_err(|e| failed("replace", &target, e.error))?;
        settle(&target);
        return Ok(Written::Renamed);
    }
    in_place(&target, new).map_err(|e| failed("write", &target, e))?;
    Ok(Written::InPlace)
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> RewriteError {
    RewriteError::Io { what, path: path.to_owned(), source }
}

/// Opening a FIFO would wait for its writer.
fn open(path: &Path, write: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(write).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

fn unchanged(path: &Path, old: &[u8]) -> Result<(), RewriteError> {
    let mut bytes = Vec::with_capacity(old.len() + 1);
    let file = open(path, false).map_err(|e| failed("read", path, e))?;
    let limit = old.len() as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|e| failed("read", path, e))?;
    if bytes == old { Ok(()) } else { Err(RewriteError::Changed(path.to_owned())) }
}

/// The new text in a file beside the old one; none when it would not be owned as that is.
fn draft(
    target: &Path,
    file: &File,
    meta: &Metadata,
    new: &[u8],
) -> Result<Option<NamedTempFile>, RewriteError> {
    let write = || -> io::Result<Option<NamedTempFile>> {
        let dir = target.parent().unwrap_or(Path::new("/"));
        let mut draft = tempfile::Builder::new().prefix(".handset-").tempfile_in(dir)?;
        let mine = draft.as_file().metadata()?;
        if (mine.uid(), mine.gid()) != (meta.uid(), meta.gid())
            && fchown(draft.as_file(), Some(meta.uid()), Some(meta.gid())).is_err()
        {
            return Ok(None);
        }
        draft.write_all(new)?;
        attributes(file, draft.as_file());
        // After the owner, whose change clears bits, and after the attributes, which hold an access list.
        draft.as_file().set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))?;
        draft.as_file().sync_all()?;
        Ok(Some(draft))
    };
    match write() {
        // A folder that takes no new file may still hold a file that takes new text.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(failed("write beside", target, error)),
        Ok(draft) => Ok(draft),
    }
}

/// Copies extended attributes as far as that is allowed.
fn attributes(from: &File, to: &File) {
    let mut names = vec![0_u8; XATTR];
    let Ok(len) = flistxattr(from, names.as_mut_slice()) else { return };
    for name in names[..len].split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0_u8; XATTR];
        if let Ok(len) = fgetxattr(from, name, value.as_mut_slice()) {
            let _ = fsetxattr(to, name, &value[..len], XattrFlags::empty());
        }
    }
}

/// Makes the rename itself last.
fn settle(target: &Path) {
    if let Some(dir) = target.parent().and_then(|dir| File::open(dir).ok()) {
        let _ = dir.sync_all();
    }
}

fn in_place(target: &Path, new: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(target)?;
    file.write_all(new)?;
    file.set_len(new.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Lab(tempfile::TempDir);

    impl Lab {
        fn new() -> Self {
            let lab = Self(tempfile::tempdir().expect("a folder"));
            fs::write(lab.path("sip.conf"), "old").expect("write");
            lab
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn text(&self, name: &str) -> String {
            fs::read_to_string(self.path(name)).expect("read")
        }

        fn names(&self) -> usize {
            fs::read_dir(self.0.path()).expect("list").count()
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode_and_owner() {
        let lab = Lab::new();
        for mode in [0o640, 0o600, 0o664] {
            let path = lab.path("sip.conf");
            fs::write(&path, "old").expect("write");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
            let before = fs::metadata(&path).expect("facts");
            assert_eq!(rewrite(&path, b"old", b"new").expect("written"), Written::Renamed);
            let after = fs::metadata(&path).expect("facts");
            assert_eq!(after.mode(), before.mode());
            assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
            assert_ne!(after.ino(), before.ino());
            assert_eq!((lab.text("sip.conf").as_str(), lab.names()), ("new", 1));
        }
    }

    #[test]
    fn another_owner_is_kept() {
        let lab = Lab::new();
        if !nix::unistd::geteuid().is_root() {
            return in_place_instead(&lab);
        }
        std::os::unix::fs::chown(lab.path("sip.conf"), Some(12345), Some(12346)).expect("chown");
        rewrite(&lab.path("sip.conf"), b"old", b"new").expect("written");
        let after = fs::metadata(lab.path("sip.conf")).expect("facts");
        assert_eq!((after.uid(), after.gid()), (12345, 12346));
    }

    /// Who may not give files away cannot make the situation; a folder without write permission takes
    /// the same way out.
    fn in_place_instead(lab: &Lab) {
        let folder = |mode| fs::set_permissions(lab.0.path(), fs::Permissions::from_mode(mode));
        folder(0o500).expect("mode");
        let written = rewrite(&lab.path("sip.conf"), b"old", b"new");
        folder(0o700).expect("mode");
        assert_eq!(written.expect("written"), Written::InPlace);
        assert_eq!(lab.text("sip.conf"), "new");
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_left_alone() {
        let lab = Lab::new();
        for read in ["older", "ol", "", "Old"] {
            let result = rewrite(&lab.path("sip.conf"), read.as_bytes(), b"new");
            assert!(matches!(result, Err(RewriteError::Changed(_))), "{read}");
            assert_eq!((lab.text("sip.conf").as_str(), lab.names()), ("old", 1));
        }
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let lab = Lab::new();
        fs::create_dir(lab.path("git")).expect("folder");
        fs::rename(lab.path("sip.conf"), lab.path("git/sip.conf")).expect("rename");
        symlink("git/sip.conf", lab.path("sip.conf")).expect("link");
        assert_eq!(
            rewrite(&lab.path("sip.conf"), b"old", b"new").expect("written"),
            Written::Renamed
        );
        assert!(fs::symlink_metadata(lab.path("sip.conf")).expect("facts").is_symlink());
        assert_eq!((lab.text("git/sip.conf").as_str(), lab.names()), ("new", 2));
    }

    #[test]
    fn hard_links_stay_tied() {
        let lab = Lab::new();
        fs::hard_link(lab.path("sip.conf"), lab.path("other.conf")).expect("link");
        let longer = rewrite(&lab.path("sip.conf"), b"old", b"longer").expect("written");
        assert_eq!((longer, lab.text("other.conf").as_str()), (Written::InPlace, "longer"));
        rewrite(&lab.path("other.conf"), b"longer", b"s").expect("written");
        assert_eq!(lab.text("sip.conf"), "s");
    }

    #[test]
    fn extended_attributes_are_kept() {
        let lab = Lab::new();
        let file = File::open(lab.path("sip.conf")).expect("open");
        // A file system without them has nothing to lose.
        if fsetxattr(&file, "user.handset", b"kept", XattrFlags::empty()).is_ok() {
            rewrite(&lab.path("sip.conf"), b"old", b"new").expect("written");
            let (file, mut value) = (File::open(lab.path("sip.conf")).expect("open"), [0; 16]);
            let len = fgetxattr(&file, "user.handset", &mut value[..]).expect("the attribute");
            assert_eq!(&value[..len], b"kept");
        }
    }

    #[test]
    fn what_is_no_file_and_what_is_not_there_is_an_error() {
        let lab = Lab::new();
        assert!(matches!(rewrite(lab.0.path(), b"", b"new"), Err(RewriteError::Io { .. })));
        let missing = rewrite(&lab.path("none"), b"", b"new").expect_err("an error").to_string();
        assert!(missing.starts_with("cannot find ") && missing.contains("/none: "), "{missing}");
        assert_eq!(rewrite(&lab.path("sip.conf"), b"old", b"old").expect("fine"), Written::Not);
    }
}
