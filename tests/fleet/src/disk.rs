//! A small disk for the daemon's state, that can be full: a tmpfs in a mount namespace of this process.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

/// Gives this process a mount namespace of its own. Call it before any thread is started.
///
/// # Errors
/// The system does not allow it: run it as root, or where user namespaces are allowed.
pub fn isolate() -> io::Result<()> {
    let (uid, gid) = (getuid(), getgid());
    if uid.is_root() {
        unshare(CloneFlags::CLONE_NEWNS)?;
    } else {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    let (none, flags) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    Ok(mount(none, "/", none, flags, none)?)
}

/// A mounted disk; it goes when this is dropped.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts a disk of so many megabytes at a folder.
    ///
    /// # Errors
    /// The process is not isolated, or may not mount.
    pub fn mount(at: &Path, megabytes: u64) -> io::Result<Self> {
        let options = format!("size={megabytes}m,mode=0700");
        mount(Some("fleet"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?;
        Ok(Self { at: at.to_owned() })
    }

    /// Fills it to the last byte.
    ///
    /// # Errors
    /// The file cannot be made; that there is no room for it is what is wanted.
    pub fn fill(&self) -> io::Result<()> {
        let mut file = fs::File::create(self.at.join("ballast"))?;
        for block in [1 << 20, 4096, 1] {
            let block = vec![0; block];
            while file.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    /// Makes room again.
    ///
    /// # Errors
    /// The file is not there.
    pub fn free(&self) -> io::Result<()> {
        fs::remove_file(self.at.join("ballast"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also while a program still has files open there.
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}
