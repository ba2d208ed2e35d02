//! Every case of every built-in family: `src/families/FAMILY/cases/NAME/input.conf` must make
//! exactly the files of `expected/` (variants with firmware in a folder of the load's name) and the
//! remarks of `expected/diagnostics.txt`. `HANDSET_BLESS=1` writes what is made.

#![allow(clippy::unwrap_used, missing_docs)]

mod input;
mod limits;
mod manifests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use handset::base::{Diagnostic, Sources};
use handset::family::{Artifact, Context, Family, Library, library};

use input::Input;

pub(crate) fn families(sources: &mut Sources) -> Library {
    let library = library::load(Path::new("/families"), &BTreeMap::new(), sources);
    assert!(library.diagnostics.is_empty(), "{}", told(&library.diagnostics, sources));
    library
}

pub(crate) fn cisco(sources: &mut Sources) -> Arc<Family> {
    families(sources).get("cisco-79x0").expect("the family is sound").clone()
}

pub(crate) fn told(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let mut text = String::new();
    for d in diagnostics {
        let place = d.span.map(|s| sources.place(s)).unwrap_or_default();
        writeln!(text, "{place}: {:?} {}: {}", d.level, d.code.id, d.message).unwrap();
        if let Some(help) = &d.help {
            writeln!(text, "    {help}").unwrap();
        }
    }
    text
}

/// Every file of a case by its path under `expected/`.
fn made(family: &Family, input: &Input, sources: &Sources) -> BTreeMap<String, Vec<u8>> {
    let around = input.around();
    let context = Context::new(family, &around);
    let mut files = BTreeMap::new();
    let mut said = Vec::new();
    let mut put = |folder: &str, artifacts: Vec<Artifact>| {
        for artifact in artifacts {
            let old = files.insert(format!("{folder}{}", artifact.name), artifact.bytes().to_vec());
            assert!(old.is_none(), "{} twice", artifact.name);
        }
    };
    match context.shared() {
        Ok((artifacts, diagnostics)) => {
            put("", artifacts);
            said.extend(diagnostics);
        }
        Err(diagnostics) => said.extend(diagnostics),
    }
    for phone in &input.phones {
        match context.phone(phone) {
            Ok((variants, diagnostics)) => {
                for variant in variants {
                    let step = match variant.step.0.as_str() {
                        "" => phone.mac.upper(),
                        step => format!("{}@{step}", phone.mac.upper()),
                    };
                    put(&format!("{step}/"), variant.artifacts);
                }
                said.extend(diagnostics);
            }
            Err(diagnostics) => said.extend(diagnostics),
        }
    }
    files.insert("diagnostics.txt".into(), told(&said, sources).into_bytes());
    files
}

fn stored(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            stored(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/families/cisco-79x0/cases");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

#[test]
fn every_case_makes_exactly_its_expected_files() {
    let cases = cases();
    assert!(cases.len() >= 9, "{cases:?}");
    let mut wrong = Vec::new();
    for case in &cases {
        let mut sources = Sources::default();
        let family = cisco(&mut sources);
        let text = fs::read_to_string(case.join("input.conf")).unwrap();
        let input = Input::read(&text, &mut sources);
        let made = made(&family, &input, &sources);
        let expected = case.join("expected");
        if std::env::var_os("HANDSET_BLESS").is_some() {
            bless(&expected, &made);
        }
        let mut found = BTreeMap::new();
        stored(&expected, &expected, &mut found);
        for name in made.keys().chain(found.keys()) {
            if made.get(name) != found.get(name) {
                let show = |b: Option<&Vec<u8>>| b.map(|b| String::from_utf8_lossy(b).into_owned());
                let (made, found) = (show(made.get(name)), show(found.get(name)));
                wrong
                    .push(format!("{}: {name}\nmade {made:?}\nexpected {found:?}", case.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn bless(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let _ = fs::remove_dir_all(folder);
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
