//! All families: the built-in ones, with the files of an override folder laid over them one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::base::{Diagnostic, FileId, Sources, Span};
use crate::conf::{self, Files};

use super::manifest::{self, Family, Model};
use super::template::Body;
use crate::model::phone::ModelFacts;

/// Where the built-in files seem to lie, in messages.
const BUILT_IN: &str = "(built in)";

/// The name of a manifest.
const MANIFEST: &str = "family.conf";

/// Every family that is sound.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// By name.
    pub families: BTreeMap<String, Arc<Family>>,
    /// What is wrong with the others, and what there is to remark.
    pub diagnostics: Vec<Diagnostic>,
}

impl Library {
    /// A family by its name.
    pub fn get(&self, name: &str) -> Option<&Arc<Family>> {
        self.families.get(name)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.families.keys().map(String::as_str)
    }

    /// What phones are made of: every model with its lines, small ones first.
    pub fn models(&self) -> Vec<ModelFacts> {
        let of = |family: &Arc<Family>| {
            let facts = |(model, facts): (&String, &Model)| ModelFacts {
                family: family.name.as_str().into(),
                model: model.as_str().into(),
                lines: facts.lines,
            };
            family.models.iter().map(facts).collect::<Vec<_>>()
        };
        self.families.values().flat_map(of).collect()
    }
}

macro_rules! folder {
    ($name:literal, $($file:literal),+ $(,)?) => {
        [$((
            concat!($name, "/", $file),
            include_str!(concat!("../families/", $name, "/", $file)),
        )),+]
    };
}

/// The built-in files by `family/file`.
pub fn builtin() -> BTreeMap<String, Bytes> {
    let files = folder!(
        "cisco-79x0",
        "family.conf",
        "SIP.cnf.j2",
        "SIPDefault.cnf.j2",
        "syncinfo.xml.j2",
        "dialplan.xml.j2",
        "RINGLIST.DAT.j2",
        "OS79XX.TXT.j2",
        "XMLDefault.cnf.xml.j2",
        "unassigned.cnf",
    );
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    files.into_iter().map(|(name, text)| (name.to_owned(), bytes(text))).collect()
}

/// Compiles the built-in families with `overrides` (by `family/file`, as found under `folder`) laid
/// over them. An override may add a family of its own. A family whose files are not sound does not
/// exist, and nothing stands in for it.
pub fn load(folder: &Path, overrides: &BTreeMap<String, Bytes>, sources: &mut Sources) -> Library {
    let mut files: BTreeMap<String, (PathBuf, Bytes)> = BTreeMap::new();
    for (root, layer) in [(Path::new(BUILT_IN), &builtin()), (folder, overrides)] {
        for (name, bytes) in layer {
            files.insert(name.clone(), (root.join(name), bytes.clone()));
        }
    }
    let names: BTreeSet<&str> =
        files.keys().filter_map(|f| f.split_once('/')).map(|f| f.0).collect();
    let mut library = Library::default();
    for name in names {
        match family(name, &files, sources) {
            Ok(family) => {
                library.families.insert(name.to_owned(), Arc::new(family));
            }
            Err(diagnostics) => library.diagnostics.extend(diagnostics),
        }
    }
    library
}

fn family(
    name: &str,
    files: &BTreeMap<String, (PathBuf, Bytes)>,
    sources: &mut Sources,
) -> Result<Family, Vec<Diagnostic>> {
    let prefix = format!("{name}/");
    let own = files.iter().filter_map(|(file, body)| Some((file.strip_prefix(&prefix)?, body)));
    let own: BTreeMap<&str, &(PathBuf, Bytes)> = own.collect();
    let Some((path, bytes)) = own.get(MANIFEST) else {
        let what = format!("the family `{name}` has no `{MANIFEST}`");
        let span = own.values().next().map(|(path, body)| sources.add(path, body.clone()));
        let diagnostic = Diagnostic::error(&manifest::MANIFEST, what);
        return Err(vec![span.map_or(diagnostic.clone(), |f| diagnostic.at(Span::whole(f)))]);
    };
    let whole = Span::whole(sources.add(path, bytes.clone()));
    let mut folder = Folder(files.values().map(|(path, body)| (path.as_path(), body)).collect());
    let etc = path.parent().unwrap_or(Path::new(BUILT_IN));
    let conf = conf::read(Path::new(MANIFEST), etc, &mut folder, sources);
    let mut templates = BTreeMap::new();
    for (file, (path, bytes)) in own.iter().filter(|(file, _)| **file != MANIFEST) {
        let id: FileId = sources.add(path, bytes.clone());
        templates.insert((*file).to_owned(), Body { bytes: bytes.clone(), file: id });
    }
    manifest::read(name, &conf, &templates, whole)
}

/// Files in memory.
struct Folder<'a>(BTreeMap<&'a Path, &'a Bytes>);

impl Files for Folder<'_> {
    fn expand(&mut self, pattern: &Path) -> Vec<PathBuf> {
        self.0.keys().filter(|path| **path == pattern).map(|path| path.to_path_buf()).collect()
    }

    fn read(&mut self, path: &Path) -> io::Result<Bytes> {
        self.0.get(path).map(|b| (*b).clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
