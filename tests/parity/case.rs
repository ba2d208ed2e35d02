//! A configuration to compare: a few files, one of which is the top.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The top file of every case that is not a recorded one.
pub(crate) const TOP: &str = "m.conf";

/// Files by their path below the configuration directory.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) top: String,
    pub(crate) files: BTreeMap<Vec<u8>, Vec<u8>>,
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("the vectors are Latin-1")).collect()
}

fn path(root: &Path, name: &[u8]) -> PathBuf {
    root.join(OsStr::from_bytes(name))
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().as_os_str().to_owned().into_vec();
            files.insert(name, fs::read(path).unwrap());
        }
    }
}

impl Case {
    /// Every folder in `dir` as a case, in the order of their names.
    pub(crate) fn folder(dir: &Path) -> Vec<Case> {
        let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
        let mut dirs: Vec<_> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
        dirs.sort();
        let case = |dir: PathBuf| {
            let mut files = BTreeMap::new();
            collect(&dir, &dir, &mut files);
            let name = dir.file_name().unwrap().to_string_lossy().into_owned();
            Case { name, top: TOP.to_owned(), files }
        };
        dirs.into_iter().map(case).collect()
    }

    /// Every input of the fuzzer in `dir` (`contrib/fuzz/README.md`).
    pub(crate) fn inputs(dir: &Path) -> Vec<Case> {
        let case = |entry: fs::DirEntry| {
            let data = fs::read(entry.path()).unwrap();
            let names = ["m.conf", "x.conf", "y.conf", "d/a.conf", "d/b.conf"]
                .map(|n| n.as_bytes().to_vec());
            let parts = data.split(|b| *b == 0x1e).map(<[u8]>::to_vec);
            let name = entry.file_name().to_string_lossy().into_owned();
            Case { name, top: TOP.to_owned(), files: names.into_iter().zip(parts).collect() }
        };
        fs::read_dir(dir).unwrap().map(|entry| case(entry.unwrap())).collect()
    }

    /// The recorded vectors.
    pub(crate) fn vectors(file: &Path) -> Vec<Case> {
        let all: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let case = |case: &Value| {
            let files = case["files"].as_object().unwrap().iter();
            let files = files.map(|(name, text)| (latin1(name), latin1(text.as_str().unwrap())));
            Case {
                name: case["name"].as_str().unwrap().to_owned(),
                top: case["top"].as_str().unwrap().to_owned(),
                files: files.collect(),
            }
        };
        all["cases"].as_array().unwrap().iter().map(case).collect()
    }

    /// Writes the files below `root`.
    pub(crate) fn lay(&self, root: &Path) {
        for (name, bytes) in &self.files {
            let path = path(root, name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// Takes them away again; a fresh Asterisk has none.
    pub(crate) fn clear(&self, root: &Path) {
        for name in self.files.keys() {
            let _ = fs::remove_file(path(root, name));
        }
    }

    /// Keeps the case in a folder of `dir`, named by its content.
    pub(crate) fn keep(&self, dir: &Path) -> PathBuf {
        let mut hash = DefaultHasher::new();
        self.files.hash(&mut hash);
        let dir = dir.join(format!("{:016x}", hash.finish()));
        self.lay(&dir);
        dir
    }
}
