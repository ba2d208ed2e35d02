//! A site for handsetd, and the same files for the others.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::server::{self, Kind};
use super::{CANARY, FIRST_MAC};
use crate::files::mac;
use crate::sys::Random;

/// The folder that everything is made in.
pub(super) struct Site {
    dir: PathBuf,
    phones: u64,
}

impl Site {
    /// Writes sip.conf, handset.conf and the static files.
    pub(super) fn make(dir: &Path, phones: u64) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let dir = dir.canonicalize()?;
        let site = Self { dir, phones };
        // What an earlier site left would be held against this one.
        for folder in ["export", "state", "all"] {
            match fs::remove_dir_all(site.dir.join(folder)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        for folder in ["etc", "static", "export", "state", "all"] {
            fs::create_dir_all(site.dir.join(folder))?;
        }
        fs::set_permissions(site.dir.join("state"), fs::Permissions::from_mode(0o700))?;
        site.save(0)?;
        fs::write(site.config(), site.handset_conf())?;
        fs::write(site.dir.join("canary.txt"), CANARY)?;
        let mut random = Random::new(7);
        // A ring list of one whole block ends with an empty one.
        for (name, size) in
            [("RINGLIST.DAT", 512), ("bulk-1M.bin", 1 << 20), ("bulk-8M.bin", 8 << 20)]
        {
            let bytes: Vec<u8> = (0..size).map(|_| random.next() as u8).collect();
            for root in ["static", "all"] {
                fs::write(site.dir.join(root).join(name), &bytes)?;
            }
        }
        for root in ["static", "all"] {
            link("../canary.txt", &site.dir.join(root).join("link-out.txt"))?;
            link("..", &site.dir.join(root).join("link-out"))?;
        }
        Ok(site)
    }

    /// Saves sip.conf; the phones of the second half get other names with each edition.
    pub(super) fn save(&self, edition: u64) -> io::Result<()> {
        let (new, path) = (self.dir.join("etc/sip.conf.new"), self.dir.join("etc/sip.conf"));
        fs::write(&new, self.sip_conf(edition))?;
        fs::rename(new, path)
    }

    fn sip_conf(&self, edition: u64) -> String {
        let mut text =
            "[general]\nbindaddr = 0.0.0.0\n\n[phones](!)\ntype = friend\nhost = dynamic\n\
            nat = no\ndisallow = all\nallow = ulaw\nallow = alaw\n"
                .to_owned();
        for phone in 0..self.phones {
            let (peer, mac) = (10_000 + phone, mac(self.first_mac(), phone));
            let name = if phone < self.phones / 2 { phone } else { phone + edition * self.phones };
            let _ = write!(
                text,
                "\n[{peer}](phones) ;MAC={mac}\nsecret = pw{:08x}\ncallerid = \"User {name}\" <{peer}>\n\
                 mailbox = {peer}@default\n",
                phone * 7919
            );
        }
        text
    }

    fn handset_conf(&self) -> String {
        let dir = self.dir.display();
        format!(
            "[general]\nsip_conf = {dir}/etc/sip.conf\nserver_address = 127.0.0.1\ntrusted_nets = 127.0.0.0/8\n\
             timezone = Europe/Berlin\nsite_key = {dir}/site.key\nstate_dir = {dir}/state\n\
             control_socket = {dir}/control\nexport_dir = {dir}/export\n\
             [tftp]\nlisten = 127.0.0.1:69\nroot = {dir}/static\n"
        )
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("etc/handset.conf")
    }

    /// All files as they must come.
    pub(super) fn all(&self) -> PathBuf {
        self.dir.join("all")
    }

    pub(super) fn first_mac(&self) -> u64 {
        u64::from_str_radix(FIRST_MAC, 16).unwrap_or(0)
    }

    /// Has handsetd export its files, and puts them beside the static ones.
    pub(super) fn export(&self, handset: &Kind) -> io::Result<()> {
        let running = handset.start()?;
        server::answers(&running, self)?;
        let export = self.dir.join("export");
        let until = Instant::now() + Duration::from_secs(120);
        let last = export.join(format!("SIP{}.cnf", mac(self.first_mac(), self.phones - 1)));
        while !(last.exists() && export.join("dialplan.xml").exists()) {
            if Instant::now() > until {
                return Err(io::Error::other("handsetd exports nothing"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        running.calm();
        running.stop();
        let mut files = 0;
        for entry in fs::read_dir(&export)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // What syncinfo.xml says depends on who asks.
            if !name.starts_with('.') && name != "syncinfo.xml" {
                let to = self.all().join(&name);
                fs::copy(entry.path(), &to)?;
                fs::set_permissions(&to, fs::Permissions::from_mode(0o644))?;
                files += 1;
            }
        }
        println!("{} phones, {files} files exported by handsetd", self.phones);
        Ok(())
    }
}

fn link(to: &str, at: &Path) -> io::Result<()> {
    if at.symlink_metadata().is_ok() { Ok(()) } else { symlink(to, at) }
}
