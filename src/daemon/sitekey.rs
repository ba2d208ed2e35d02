//! The site key's file: made once, and never silently anew. Every sync token and every phone
//! password hangs on it, so that another key would restart every phone (design §4).

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::base::{Digest, Key, hex};

/// A loaded key.
#[derive(Debug)]
pub struct SiteKey {
    /// The key.
    pub key: Key,
    /// It was made just now.
    pub created: bool,
    /// Something to tell the administrator.
    pub warning: Option<Exposed>,
}

/// The key can be read by others than its owner.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "the site key {} has mode {mode:04o}, so that others may read it: chmod 600 it",
    .path.display()
)]
pub struct Exposed {
    /// The file.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
}

/// Why there is no key to work with. Nothing was written.
#[derive(Debug, Error)]
pub enum SiteKeyError {
    /// The state was made with a key whose file is gone.
    #[error(
        "the site key {} is gone, on which every phone's password and sync token depend: restore \
         it from the backup of the configuration; to give up the old key (every phone restarts \
         with a new password) move handset.redb out of state_dir",
        .0.display()
    )]
    Missing(PathBuf),
    /// The file holds another key than the state was made with.
    #[error(
        "{} is not the site key that the state was made with: restore the right one from the \
         backup of the configuration; to change to this one (every phone restarts with a new \
         password) move handset.redb out of state_dir",
        .0.display()
    )]
    Differs(PathBuf),
    /// The file holds no key.
    #[error(
        "{} holds no site key (64 hexadecimal digits): restore it from the backup of the \
         configuration",
        .0.display()
    )]
    Malformed(PathBuf),
    /// The file could not be read.
    #[error("cannot read the site key {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be made.
    #[error(
        "cannot make the site key {}: {source}; set site_key to a path that handsetd may write \
         to, or put 64 random hexadecimal digits there yourself",
        .path.display()
    )]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What the state keeps of the key to know it again; it tells nothing about it.
pub fn fingerprint(key: &Key) -> Digest {
    key.digest("site key fingerprint", [])
}

/// Loads the key, or makes it (32 random bytes as 64 hexadecimal digits, mode 0600) when there is
/// none and the state never saw one. `state_knows` is the [`fingerprint`] that the state holds.
/// Blocks.
pub fn load_or_create(path: &Path, state_knows: Option<Digest>) -> Result<SiteKey, SiteKeyError> {
    let found = match load(path) {
        Err(SiteKeyError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        other => Some(other?),
    };
    match (found, state_knows) {
        (None, Some(_)) => Err(SiteKeyError::Missing(path.to_owned())),
        (None, None) => create(path),
        (Some(site), Some(known)) if fingerprint(&site.key) != known => {
            Err(SiteKeyError::Differs(path.to_owned()))
        }
        (Some(site), _) => Ok(site),
    }
}

/// Loads the key that is there. Blocks.
pub fn load(path: &Path) -> Result<SiteKey, SiteKeyError> {
    let read = |source| SiteKeyError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    let mode = file.metadata().map_err(read)?.permissions().mode() & 0o7777;
    let mut text = String::new();
    match file.take(1024).read_to_string(&mut text) {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => text.clear(),
        other => drop(other.map_err(read)?),
    }
    let key = hex::decode(text.trim_end())
        .map(Key::new)
        .ok_or_else(|| SiteKeyError::Malformed(path.to_owned()))?;
    let warning = (mode & 0o077 != 0).then(|| Exposed { path: path.to_owned(), mode });
    Ok(SiteKey { key, created: false, warning })
}

fn create(path: &Path) -> Result<SiteKey, SiteKeyError> {
    match write_new(path) {
        Ok(key) => Ok(SiteKey { key, created: true, warning: None }),
        // Somebody put it there a moment ago.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => load(path),
        Err(source) => Err(SiteKeyError::Create { path: path.to_owned(), source }),
    }
}

/// Whole or not at all, and never over another file.
fn write_new(path: &Path) -> io::Result<Key> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    // Made with mode 0600 by the crate.
    let mut file = tempfile::Builder::new().prefix(".handset-key-").tempfile_in(dir)?;
    writeln!(file, "{}", hex::encode(&bytes))?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|e| e.error)?;
    File::open(dir)?.sync_all()?;
    Ok(Key::new(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn site() -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("handset.key");
        (dir, path)
    }

    #[test]
    fn a_key_is_made_once_and_stays() {
        let (dir, path) = site();
        let first = load_or_create(&path, None).unwrap();
        assert!(first.created);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.len() == 65 && text.ends_with('\n'), "{text:?}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        for state_knows in [None, Some(fingerprint(&first.key))] {
            let again = load_or_create(&path, state_knows).unwrap();
            assert!(again.key == first.key && !again.created && again.warning.is_none());
        }
        let (_dir, other) = site();
        assert!(load_or_create(&other, None).unwrap().key != first.key);
    }

    #[test]
    fn a_lost_key_is_never_made_anew() {
        let (_dir, path) = site();
        let known = fingerprint(&load_or_create(&path, None).unwrap().key);
        fs::remove_file(&path).unwrap();
        let error = load_or_create(&path, Some(known)).unwrap_err();
        assert!(matches!(error, SiteKeyError::Missing(_)), "{error:?}");
        assert!(!path.exists(), "{error}");
    }

    #[test]
    fn another_key_is_refused_and_left_alone() {
        let (_dir, path) = site();
        let known = fingerprint(&Key::new([7; 32]));
        load_or_create(&path, None).unwrap();
        let before = fs::read(&path).unwrap();
        let error = load_or_create(&path, Some(known)).unwrap_err();
        assert!(matches!(error, SiteKeyError::Differs(_)), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn what_is_no_key_is_refused_and_never_shown() {
        let (_dir, path) = site();
        let hex = "0123456789abcdef".repeat(4);
        for text in ["", "geheim", &hex[1..], &format!("{hex}00"), &format!("{hex}\n{hex}\n")] {
            fs::write(&path, text).unwrap();
            let error = load_or_create(&path, None).unwrap_err();
            assert!(matches!(error, SiteKeyError::Malformed(_)), "{text:?}: {error:?}");
            assert!(text.is_empty() || !error.to_string().contains(text), "{error}");
        }
        fs::write(&path, [0xff; 64]).unwrap();
        assert!(matches!(load_or_create(&path, None), Err(SiteKeyError::Malformed(_))));
        fs::write(&path, hex.to_uppercase()).unwrap();
        assert!(load_or_create(&path, None).is_ok());
    }

    #[test]
    fn a_key_that_others_may_read_is_used_with_a_warning() {
        let (_dir, path) = site();
        load_or_create(&path, None).unwrap();
        for (mode, warns) in [(0o640, true), (0o604, true), (0o400, false), (0o600, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let warning = load_or_create(&path, None).unwrap().warning;
            assert_eq!(warning.map(|w| w.mode), warns.then_some(mode));
        }
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let (_dir, path) = site();
        let error = load_or_create(&path.join("below"), None).unwrap_err();
        assert!(error.to_string().contains("handset.key/below"), "{error}");
    }
}
