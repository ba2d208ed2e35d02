//! What Asterisk itself made of 487 configurations, against our reading of the same files.

mod tagged;

use std::fs;
use std::path::Path;

use handset::base::Sources;
use handset::conf::{self, Conf, Status};
use handset::daemon::disk::Disk;
use serde_json::Value;

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("the vectors are Latin-1")).collect()
}

fn path(root: &Path, name: &str) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStrExt;
    root.join(std::ffi::OsStr::from_bytes(&latin1(name)))
}

fn lay(root: &Path, files: &Value) {
    for (name, text) in files.as_object().expect("files by name") {
        let path = path(root, name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("create directory");
        fs::write(path, latin1(text.as_str().expect("text"))).expect("write file");
    }
}

fn read(case: &Value) -> (Conf, Sources) {
    let root = tempfile::tempdir().expect("temporary directory");
    lay(root.path(), &case["files"]);
    let mut sources = Sources::default();
    let top = path(root.path(), case["top"].as_str().expect("top"));
    let conf = conf::read(&top, root.path(), &mut Disk::new(), &mut sources);
    (conf, sources)
}

fn cases() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("vectors.json")).expect("vectors");
    all["cases"].as_array().expect("cases").clone()
}

#[test]
fn reads_every_recorded_configuration_as_asterisk_does() {
    let (mut differences, cases) = (Vec::new(), cases());
    assert_eq!(cases.len(), 487);
    for case in cases {
        let (conf, _) = read(&case);
        let hang = case["result"] == "hang";
        let expected = if hang { Value::from("invalid") } else { case["result"].clone() };
        let got = conf::show::json(&conf);
        if got != expected {
            differences.push(format!("{}\n  expected {expected}\n  got      {got}", case["name"]));
        }
        if hang {
            assert!(conf.diagnostics.iter().any(|d| d.code.id == "H0118"), "{}", case["name"]);
        }
    }
    assert!(differences.is_empty(), "{}: {}", differences.len(), differences.join("\n"));
}

#[test]
fn every_rejected_configuration_has_an_error_that_says_why() {
    for case in cases() {
        let (conf, sources) = read(&case);
        for diagnostic in &conf.diagnostics {
            diagnostic.span.iter().for_each(|span| assert!(!sources.place(*span).is_empty()));
        }
        let errors = conf.diagnostics.iter().filter(|d| d.level == handset::base::Level::Error);
        assert_eq!(conf.abandoned, errors.count() > 0, "{}", case["name"]);
        assert!(conf.status == Status::Ok || conf.abandoned, "{}", case["name"]);
    }
}

/// Asterisk's answer to GetConfig (with templates) in the shape of [`conf::show::json`].
fn get_config(answer: &[u8]) -> Value {
    let text: String = answer.iter().map(|b| char::from(*b)).collect();
    if text.starts_with("Response: Error") {
        return Value::from("invalid");
    }
    let mut sections: Vec<Value> = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(": ") else { continue };
        let last = sections.last_mut();
        match (key.split('-').next(), last) {
            (Some("Category"), _) => sections.push(serde_json::json!({
                "name": value, "template": false, "templates": [], "lines": []
            })),
            (Some("IsTemplate"), Some(section)) => section["template"] = Value::from(true),
            (Some("Templates"), Some(section)) => {
                section["templates"] = value.split(',').map(Value::from).collect();
            }
            (Some("Line"), Some(section)) => {
                section["lines"].as_array_mut().expect("lines").push(Value::from(value));
            }
            _ => {}
        }
    }
    Value::from(sections)
}

#[test]
fn reads_the_laboratory_files_as_asterisk_16_does() {
    let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conf/asterisk16");
    let mut compared = 0;
    for entry in fs::read_dir(&etc).expect("directory") {
        let answer = entry.expect("entry").path();
        if answer.extension().is_none_or(|ext| ext != "rsp") {
            continue;
        }
        let top = answer.with_extension("conf");
        let conf = conf::read(&top, &etc, &mut Disk::new(), &mut Sources::default());
        let expected = get_config(&fs::read(&answer).expect("answer"));
        assert_eq!(conf::show::json(&conf), expected, "{}", top.display());
        compared += 1;
    }
    assert_eq!(compared, 29);
}
