use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::*;

fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

fn names(texts: &[&str]) -> Vec<FileName> {
    texts.iter().map(|text| name(text)).collect()
}

fn files(list: &[(&str, &'static str)]) -> BTreeMap<FileName, Bytes> {
    list.iter().map(|(n, bytes)| (name(n), Bytes::from_static(bytes.as_bytes()))).collect()
}

fn run(dir: &TempDir, list: &[(&str, &'static str)]) -> Report {
    export(dir.path(), &files(list), Removal::UnlessEmpty).unwrap()
}

fn text(dir: &TempDir, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).unwrap()
}

fn mode(dir: &TempDir, name: &str) -> u32 {
    fs::symlink_metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_directory_holds_the_same_bytes_and_only_its_group_may_read() {
    let dir = TempDir::new().unwrap();
    let report = run(&dir, &[("SIPDefault.cnf", "a"), ("de/x/dict.xml", "b")]);
    assert_eq!(report.written, names(&["SIPDefault.cnf", "de/x/dict.xml"]));
    assert_eq!(text(&dir, "SIPDefault.cnf"), "a");
    assert_eq!(text(&dir, "de/x/dict.xml"), "b");
    let modes = ["SIPDefault.cnf", "de", "de/x/dict.xml", LEDGER].map(|n| mode(&dir, n));
    assert_eq!(modes, [0o640, 0o750, 0o640, 0o600]);
}

#[test]
fn what_is_unchanged_is_not_written_again() {
    let dir = TempDir::new().unwrap();
    run(&dir, &[("a", "1"), ("b", "1")]);
    let inode = |n: &str| fs::metadata(dir.path().join(n)).unwrap().ino();
    let before = [inode("a"), inode(LEDGER)];
    let report = run(&dir, &[("a", "1"), ("b", "1")]);
    assert_eq!(report, Report { unchanged: 2, ..Report::default() });
    assert_eq!([inode("a"), inode(LEDGER)], before);
    let report = run(&dir, &[("a", "1"), ("b", "2")]);
    assert_eq!((report.written, report.unchanged), (names(&["b"]), 1));
    assert_eq!(inode("a"), before[0]);
}

#[test]
fn only_what_the_export_wrote_is_removed() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("firmware.sbn"), "theirs").unwrap();
    run(&dir, &[("a", "1"), ("d/b", "1"), ("c", "1")]);
    fs::write(dir.path().join("c"), "edited").unwrap();
    let report = run(&dir, &[("a", "1")]);
    assert_eq!(report.removed, names(&["d/b"]));
    assert_eq!(report.left, [(name("c"), Left::Changed)]);
    assert_eq!(text(&dir, "c"), "edited");
    assert_eq!(text(&dir, "firmware.sbn"), "theirs");
    assert!(!dir.path().join("d/b").exists());
    assert_eq!(run(&dir, &[("a", "1")]), Report { unchanged: 1, ..Report::default() });
}

#[test]
fn a_file_that_is_not_ours_is_never_overwritten() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a"), "theirs").unwrap();
    fs::write(dir.path().join("same"), "1").unwrap();
    run(&dir, &[("b", "1")]);
    fs::write(dir.path().join("b"), "edited").unwrap();
    let wanted = [("a", "1"), ("b", "2"), ("same", "1"), ("a/below", "1")];
    let report = run(&dir, &wanted);
    let left = [("a", Left::Foreign), ("a/below", Left::Foreign), ("b", Left::Changed)];
    assert_eq!(report.left, left.map(|(n, why)| (name(n), why)));
    assert_eq!(report.written, []);
    assert_eq!([text(&dir, "a"), text(&dir, "b")], ["theirs", "edited"]);
    // A file that only looks like ours stays when it is not wanted any more.
    run(&dir, &[("b", "2")]);
    assert_eq!(text(&dir, "same"), "1");
    // Moved away, its place is taken.
    fs::remove_file(dir.path().join("b")).unwrap();
    assert_eq!(run(&dir, &[("b", "2")]).written, names(&["b"]));
}

#[test]
fn symlinks_do_not_lead_out() {
    let dir = TempDir::new().unwrap();
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("target"), "theirs").unwrap();
    symlink(outside.path().join("target"), dir.path().join("a")).unwrap();
    symlink(outside.path(), dir.path().join("de")).unwrap();
    let report = run(&dir, &[("a", "1"), ("de/dict.xml", "1"), ("ok", "1")]);
    let left = [(name("a"), Left::Foreign), (name("de/dict.xml"), Left::Foreign)];
    assert_eq!(report.left, left);
    assert_eq!(report.written, names(&["ok"]));
    // A directory of ours that becomes a symlink: nothing beyond it is removed.
    run(&dir, &[("en/target", "theirs"), ("ok", "1")]);
    fs::remove_dir_all(dir.path().join("en")).unwrap();
    symlink(outside.path(), dir.path().join("en")).unwrap();
    assert_eq!(run(&dir, &[("ok", "1")]).removed, []);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(outside.path().join("target")).unwrap(), "theirs");
}

#[test]
fn an_empty_generation_removes_nothing_unless_told() {
    let dir = TempDir::new().unwrap();
    run(&dir, &[("a", "1"), ("b", "1")]);
    let none = files(&[]);
    assert_eq!(run(&dir, &[]), Report::default());
    let report = export(dir.path(), &files(&[("a", "1")]), Removal::Never).unwrap();
    assert_eq!(report.removed, []);
    let report = export(dir.path(), &none, Removal::Always).unwrap();
    assert_eq!(report.removed, names(&["a", "b"]));
}

#[test]
fn the_names_of_the_export_itself_are_no_artifacts() {
    let dir = TempDir::new().unwrap();
    let temp = ".handset-00000000000000aa.tmp";
    let report = run(&dir, &[(LEDGER, "x"), (temp, "x"), ("a", "1")]);
    assert_eq!(report.left, [(name(temp), Left::Reserved), (name(LEDGER), Left::Reserved)]);
    assert!(text(&dir, LEDGER).ends_with("  a\n"));
}

#[test]
fn only_our_own_leftovers_are_swept() {
    let dir = TempDir::new().unwrap();
    run(&dir, &[("d/a", "1")]);
    let swept = [".handset-00000000000000aa.tmp", "d/.handset-0123456789abcdef.tmp"];
    let kept = [".handset-x.tmp", "a.tmp", "d/.handset-0123456789abcdef.tmp.bak"];
    for name in swept.iter().chain(&kept) {
        fs::write(dir.path().join(name), "half").unwrap();
    }
    assert_eq!(run(&dir, &[("d/a", "1")]).swept, 2);
    assert!(swept.iter().all(|n| !dir.path().join(n).exists()));
    assert!(kept.iter().all(|n| dir.path().join(n).exists()));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let path = dir.path().join("file/export");
    let error = export(&path, &files(&[("a", "1")]), Removal::Never).unwrap_err();
    assert!(error.to_string().contains("file/export"), "{error}");
}

const CHILD_DIR: &str = "HANDSET_TEST_EXPORT_DIR";

/// Two generations that share some names; every byte of a file tells which one it belongs to.
fn generation(odd: bool) -> BTreeMap<FileName, Bytes> {
    let letter = if odd { b'o' } else { b'e' };
    let common = (0..12).map(|n| format!("d{}/common{n}", n % 3));
    let own = (0..12).map(|n| format!("{}{n}", char::from(letter)));
    let body = Bytes::from(vec![letter; 20_000]);
    common.chain(own).map(|n| (name(&n), body.clone())).collect()
}

/// The child of the next test: exports one generation after the other until killed.
#[test]
#[ignore = "runs as the child process of the test below"]
fn child_exports_until_killed() {
    let dir = PathBuf::from(std::env::var_os(CHILD_DIR).unwrap());
    println!("begin");
    for round in 0.. {
        let report = export(&dir, &generation(round % 2 == 0), Removal::UnlessEmpty).unwrap();
        assert_eq!(report.left, []);
    }
}

fn run_and_kill(dir: &Path, after: Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "daemon::export::tests::child_exports_until_killed"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("begin")));
    std::thread::sleep(after);
    assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn killed_at_any_moment_only_whole_files_are_left_and_all_of_them_are_ours() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("theirs"), "theirs").unwrap();
    for round in 0..25 {
        run_and_kill(dir.path(), Duration::from_millis(1 + round * 3));
        let all = generation(true).into_keys().chain(generation(false).into_keys());
        for name in all {
            let Ok(bytes) = fs::read(dir.path().join(name.as_str())) else { continue };
            let whole = bytes.len() == 20_000 && bytes.iter().all(|b| *b == bytes[0]);
            assert!(whole, "{name} is half written");
        }
    }
    let report = export(dir.path(), &generation(true), Removal::UnlessEmpty).unwrap();
    assert_eq!(report.left, [], "the ledger lost files of ours");
    let left = |name: &str| fs::metadata(dir.path().join(name)).is_ok();
    assert!((0..12).all(|n| left(&format!("o{n}")) && !left(&format!("e{n}"))));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 12 + 3 + 2, "temporary files stay");
    assert_eq!(text(&dir, "theirs"), "theirs");
}
