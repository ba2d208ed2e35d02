use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// A directory with empty files of these names (directories end with `/`).
fn laid(names: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in names {
        let path = root.path().join(name);
        fs::create_dir_all(if name.ends_with('/') { &path } else { path.parent().unwrap() })
            .unwrap();
        if !name.ends_with('/') {
            fs::write(path, "").unwrap();
        }
    }
    root
}

#[track_caller]
fn check(names: &[&str], pattern: &str, expected: &[&str]) {
    let root = laid(names);
    let found = Disk::new().expand(&root.path().join(pattern));
    let found: Vec<_> = found.iter().map(|p| p.strip_prefix(root.path()).unwrap()).collect();
    assert_eq!(found, expected.iter().map(Path::new).collect::<Vec<_>>(), "{pattern}");
}

#[test]
fn wildcards_match_in_byte_order() {
    check(&["b", "A", "a10", "a9", "é"], "*", &["A", "a10", "a9", "b", "é"]);
    check(&["a.conf", "b.conf", "c.conf.bak"], "*.conf", &["a.conf", "b.conf"]);
    check(&["ab", "a", "abc"], "a?", &["ab"]);
    check(&["x1", "x2", "x3", "xa"], "x[1-2a]", &["x1", "x2", "xa"]);
    check(&["x1", "xa", "x-"], "x[!0-9]", &["x-", "xa"]);
    check(&["x1", "xA", "xb"], "x[[:upper:][:digit:]]", &["x1", "xA"]);
    check(&["aXbXc", "aXb"], "a*X*c", &["aXbXc"]);
    check(&["a]", "a^"], "a[]^]", &["a]", "a^"]);
}

#[test]
fn braces_keep_the_written_order_and_nest() {
    check(&["a", "b", "c"], "{c,a,nothing}", &["c", "a"]);
    check(&["b1", "b2", "a1"], "{b*,a*}", &["b1", "b2", "a1"]);
    check(&["xay", "xby", "xcy"], "x{c,{b,a}}y", &["xcy", "xby", "xay"]);
    check(&["{a", "a}"], "{a", &["{a"]);
}

#[test]
fn a_backslash_quotes_and_an_open_bracket_is_text() {
    check(&["*", "a"], "\\*", &["*"]);
    check(&["a*", "ab"], "a\\**", &["a*"]);
    check(&["[a", "xa"], "[a", &["[a"]);
    check(&["{a,b}"], "\\{a,b}", &["{a,b}"]);
}

#[test]
fn hidden_files_need_a_written_dot() {
    check(&[".h", "v"], "*", &["v"]);
    check(&[".h", "v"], ".*", &[".h"]);
    check(&[".h", "v"], "[.]h", &[]);
}

#[test]
fn directories_are_walked_and_never_given() {
    check(&["d/x.conf", "e/x.conf", "f/y.conf", "x.conf/"], "*/x.conf", &["d/x.conf", "e/x.conf"]);
    check(&["d/"], "d", &[]);
    check(&["d/", "f"], "*", &["f"]);
}

#[test]
fn what_was_asked_is_remembered_even_when_it_is_not_there() {
    let root = laid(&["a.conf", "d/"]);
    let at = |name: &str| root.path().join(name);
    let mut disk = Disk::new();
    disk.expand(&at("{none.conf,d/*.conf,no/*.conf}"));
    assert!(disk.read(&at("a.conf")).is_ok());
    assert!(disk.read(&at("gone")).is_err());
    let closure = disk.into_parts().0;
    let set = |names: &[&str]| names.iter().map(|n| at(n)).collect::<BTreeSet<_>>();
    assert_eq!(closure.files, set(&["a.conf", "gone", "none.conf"]));
    assert_eq!(closure.patterns, set(&["d/*.conf", "no/*.conf"]));
    assert_eq!(closure.failed.keys().cloned().collect::<BTreeSet<_>>(), set(&["gone"]));
    let watched: BTreeSet<_> =
        closure.watched().iter().map(|p| p.strip_prefix(root.path()).unwrap().to_owned()).collect();
    assert_eq!(watched, ["", "d", "no"].iter().map(PathBuf::from).collect());
}

#[test]
fn only_regular_files_are_read_and_nothing_is_waited_for() {
    let root = laid(&["d/"]);
    let fifo = root.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    symlink(&fifo, root.path().join("link")).unwrap();
    for path in [fifo, root.path().join("link"), root.path().join("d"), PathBuf::from("/dev/zero")]
    {
        assert!(Disk::new().read(&path).is_err(), "{path:?}");
        assert!(Disk::new().expand(&path).is_empty(), "{path:?}");
    }
}

#[test]
fn a_file_is_read_whole_or_not_at_all() {
    let root = laid(&["f", "huge"]);
    fs::write(root.path().join("f"), b"a\0\xff\n").unwrap();
    assert_eq!(Disk::new().read(&root.path().join("f")).unwrap(), b"a\0\xff\n".as_slice());
    let huge = root.path().join("huge");
    OpenOptions::new().write(true).open(&huge).unwrap().set_len(LARGEST + 1).unwrap();
    assert_eq!(Disk::new().read(&huge).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn a_refused_file_is_remembered_as_failed() {
    let root = laid(&["f"]);
    let file = root.path().join("f");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let mut disk = Disk::new();
    let read = disk.read(&file);
    // Root reads everything.
    assert_eq!(disk.closure().failed.contains_key(&file), read.is_err());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(disk.read(&file).is_ok() && disk.closure().failed.is_empty());
}

#[test]
fn a_pattern_cannot_ask_for_endless_work() {
    let pattern = format!("/{}", "{a,b}".repeat(50));
    assert!(Disk::new().expand(Path::new(&pattern)).is_empty());
    assert!(!fits(b"*a*a*a*a*a*a*a*a*a*b", &[b'a'; 250]));
}
