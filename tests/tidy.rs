//! What must stay true of the tree: pure layers, files of a readable size, codes that mean one thing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder of the tree").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The code of a file without its unit tests and comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.to_string_lossy().contains("/tests") || path.ends_with("testing.rs")
}

#[test]
fn pure_layers_touch_nothing() {
    let forbidden = [
        "tokio",
        "std::fs",
        "fs::",
        "std::env",
        "env::var",
        "Instant::now",
        "SystemTime",
        "UdpSocket",
        "TcpStream",
        "tracing::",
        "std::process",
        "thread::",
        "rand::",
        "File::open",
        "println!",
        "eprintln!",
    ];
    for layer in ["base", "conf", "model", "family", "plan", "wire", "directory"] {
        for path in files(&root().join("src").join(layer)).into_iter().filter(|p| !is_test(p)) {
            let code = code(&path);
            for word in forbidden {
                assert!(!code.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn arrows_only_point_down() {
    let layers = ["base", "conf", "model", "family", "wire", "directory", "plan"];
    let above = ["control", "daemon", "cli"];
    for (rank, layer) in layers.iter().enumerate() {
        for path in files(&root().join("src").join(layer)).into_iter().filter(|p| !is_test(p)) {
            let code = code(&path);
            for higher in layers[rank + 1..].iter().chain(&above) {
                assert!(
                    !code.contains(&format!("crate::{higher}::")),
                    "{} uses {higher}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn files_can_be_read_in_one_go() {
    for path in files(&root().join("src")).into_iter().filter(|p| !is_test(p)) {
        let text = fs::read_to_string(&path).expect("a source file");
        let lines =
            text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count();
        assert!(lines <= 500, "{} has {lines} lines without its tests", path.display());
    }
}

#[test]
fn every_code_means_one_thing_and_says_what_to_do() {
    let mut ids = BTreeSet::new();
    for code in handset::CODES.iter().copied().flatten() {
        assert!(ids.insert(code.id), "{} twice", code.id);
        let number = code.id.strip_prefix('H').and_then(|n| n.parse::<u16>().ok());
        assert!(code.id.len() == 5 && number.is_some(), "{}", code.id);
        assert!(!code.title.is_empty() && code.explain.len() > 20, "{} explains nothing", code.id);
    }
    assert!(ids.len() > 40);
}
