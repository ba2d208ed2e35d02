//! What phones ask for, and what they must get.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What a name must be answered with.
#[derive(Clone)]
pub(crate) enum Want {
    /// "File not found".
    Missing,
    /// These bytes.
    Bytes(Arc<[u8]>),
    /// It is not known.
    Any,
}

/// The files that there are; without a folder anything goes.
pub(crate) struct Expect(Option<HashMap<String, Arc<[u8]>>>);

impl Expect {
    pub(crate) fn anything() -> Self {
        Self(None)
    }

    /// All files below a folder; links are none.
    pub(crate) fn folder(dir: &Path) -> io::Result<Self> {
        let mut files = HashMap::new();
        walk(dir, "", &mut files)?;
        if files.is_empty() {
            return Err(io::Error::other(format!("no files in {}", dir.display())));
        }
        Ok(Self(Some(files)))
    }

    /// One file of a folder.
    pub(crate) fn one(dir: &Path, name: &str) -> io::Result<Self> {
        let bytes = fs::read(dir.join(name))?;
        Ok(Self(Some(HashMap::from([(name.to_owned(), bytes.into())]))))
    }

    pub(crate) fn want(&self, name: &str) -> Want {
        let Some(files) = &self.0 else { return Want::Any };
        files.get(name.trim_start_matches('/')).map_or(Want::Missing, |b| Want::Bytes(b.clone()))
    }
}

fn walk(dir: &Path, prefix: &str, files: &mut HashMap<String, Arc<[u8]>>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &format!("{name}/"), files)?;
        } else if kind.is_file() {
            files.insert(name, fs::read(entry.path())?.into());
        }
    }
    Ok(())
}

/// The names of a list, one a line.
pub(crate) fn list(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// The MAC of a phone.
pub(crate) fn mac(base: u64, phone: u64) -> String {
    format!("{:012X}", (base + phone) & 0xFFFF_FFFF_FFFF)
}

/// A name of the list for a phone.
pub(crate) fn fill(name: &str, mac: &str) -> String {
    name.replace("{MAC}", mac).replace("{mac}", &mac.to_ascii_lowercase())
}
