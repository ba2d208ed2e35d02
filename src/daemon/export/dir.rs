//! One open directory of the export. Everything below it is reached through the open descriptor
//! (`/proc/self/fd/N/NAME`, an openat in safe code), so that no symlink planted meanwhile leads out.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc::{O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a file's bytes. Kept in the ledger only, which nobody but the daemon may read.
pub(super) type Hash = [u8; 32];

const TEMP_HEAD: &str = ".handset-";
const TEMP_TAIL: &str = ".tmp";

/// True for names that the export keeps for itself in every directory.
pub(super) fn is_temp(name: &str) -> bool {
    let middle = name.strip_prefix(TEMP_HEAD).and_then(|rest| rest.strip_suffix(TEMP_TAIL));
    middle.is_some_and(|m| m.len() == 16 && m.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// What lies under a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Nothing,
    /// A regular file with these bytes.
    File(Hash),
    /// A symlink, a directory, a device: nothing that we write.
    Other,
}

#[derive(Debug)]
pub(super) struct Dir {
    handle: File,
}

impl Dir {
    /// Opens the export directory itself, made (0750) when missing. Here a symlink is the
    /// administrator's choice.
    pub(super) fn root(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o750).create(path)?;
        Self::open(path, 0)
    }

    /// Opens a directory inside this one, made (0750) when missing and wanted.
    pub(super) fn child(&self, name: &str, make: bool) -> io::Result<Self> {
        let path = self.at(name);
        if make {
            match DirBuilder::new().mode(0o750).create(&path) {
                Ok(()) => {
                    fs::set_permissions(&path, Permissions::from_mode(0o750))?;
                    self.sync()?;
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Self::open(&path, O_NOFOLLOW)
    }

    fn open(path: &Path, flags: i32) -> io::Result<Self> {
        let handle = OpenOptions::new().read(true).custom_flags(flags | O_DIRECTORY).open(path)?;
        Ok(Self { handle })
    }

    fn at(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.handle.as_raw_fd()))
    }

    /// Looks at a name without following a symlink.
    pub(super) fn find(&self, name: &str) -> io::Result<Found> {
        match fs::symlink_metadata(self.at(name)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(e) => Err(e),
            Ok(meta) if !meta.is_file() => Ok(Found::Other),
            Ok(_) => Ok(Found::File(Hash::from(Sha256::digest(self.read(name)?)))),
        }
    }

    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        // Not blocking: what was a file a moment ago may be a pipe now.
        let flags = O_NOFOLLOW | O_NONBLOCK;
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(self.at(name))?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes)?;
        Ok(bytes)
    }

    /// Replaces `name` whole: a reader sees the old bytes or the new. Durable after [`Dir::sync`].
    pub(super) fn write(&self, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        let temp = self.at(&format!("{TEMP_HEAD}{:016x}{TEMP_TAIL}", ticket()));
        let result = write_temp(&temp, bytes, mode).and_then(|()| fs::rename(&temp, self.at(name)));
        if result.is_err() {
            // A full disk must not get fuller; what is left is swept by the next export.
            fs::remove_file(&temp).ok();
        }
        result
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    /// Makes renames and removals in this directory durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    /// Removes temporary files that a killed export left, and returns how many.
    pub(super) fn sweep(&self) -> io::Result<usize> {
        let mut swept = 0;
        for entry in fs::read_dir(self.at("."))? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_temp(name)) else { continue };
            if entry.file_type()?.is_file() {
                self.remove(name)?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

fn write_temp(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // Whatever the umask says.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A number that no other temporary file of this process has, nor one of a process before it.
fn ticket() -> u64 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let process = u64::from(std::process::id()) << 32;
    process | u64::from(NEXT.fetch_add(1, Ordering::Relaxed))
}
