//! `handset conf`: a configuration as Asterisk has it once templates, includes and comments are done.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{DONE, NO, output};
use crate::base::{Diagnostic, Sources, mask, report};
use crate::conf::{self, Age, Conf as Read, Section, Status, show};
use crate::daemon::disk::Disk;

/// `handset conf`.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub struct Conf {
    /// Asterisk's configuration directory, to which includes are relative [default: that of FILE]
    #[arg(long, value_name = "DIR")]
    pub etc: Option<PathBuf>,
    /// Print JSON: every byte as it is, passwords too
    #[arg(long)]
    pub json: bool,
    /// Read as this Asterisk does, as 16 or 20.6 [default: the newest]
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub asterisk: Option<Age>,
    /// The file; a relative one is looked for in --etc first
    pub file: PathBuf,
}

const HELP: &str = "\
Sections are shown as Asterisk's GetConfig has them: templates too, repeats too, each with what it inherits, in \
Asterisk's order. Passwords are masked; --json is the exact form, so it holds them: {\"status\": \"ok\", \"invalid\" or \
\"missing\", \"sections\": [{\"name\", \"template\", \"templates\", \"lines\"}], \"warnings\": [...]}, where each byte \
above 0x7F is the Latin-1 character of its value. `invalid` is what Asterisk rejects, or would hang on (H0118).

Exit codes: 0 Asterisk would load it; 1 it would not.";

/// `MAJOR[.MINOR…]`.
fn version(text: &str) -> Result<Age, String> {
    let mut parts = text.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next().unwrap_or(Ok(0))) {
        (Some(Ok(major)), Ok(minor)) => Ok(Age::of(major, minor)),
        _ => Err("a version is a number such as 16 or 20.6".to_owned()),
    }
}

/// The configuration directory, and the file in it or elsewhere.
fn place(options: &Conf) -> (PathBuf, PathBuf) {
    let here = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match &options.etc {
        Some(etc) => {
            let etc = here(etc);
            let (inside, outside) = (etc.join(&options.file), here(&options.file));
            let file = if !inside.exists() && outside.exists() { outside } else { inside };
            (etc, file)
        }
        None => {
            let file = here(&options.file);
            (file.parent().map(Path::to_owned).unwrap_or_default(), file)
        }
    }
}

/// Runs it: code 1 for what Asterisk would not load.
pub(super) fn run(options: &Conf) -> u8 {
    let ((etc, file), mut sources) = (place(options), Sources::default());
    let age = options.asterisk.unwrap_or_default();
    let conf = conf::read_as(age, &file, &etc, &mut Disk::new(), &mut sources);
    if options.json {
        // Not through the layer of colours, which would take a byte 0x9B for the start of one.
        output::bytes(format!("{}\n", whole(&conf, &sources)).as_bytes());
    } else {
        output::line(conf.sections.iter().map(section).collect::<Vec<_>>().join("\n").trim_end());
        for diagnostic in &conf.diagnostics {
            let text = report::render(diagnostic, &sources, output::colour());
            let _ = writeln!(anstream::stderr(), "{}", text.trim_end());
        }
    }
    if conf.status == Status::Ok { DONE } else { NO }
}

/// The exact form.
fn whole(conf: &Read, sources: &Sources) -> Value {
    let warnings = conf.diagnostics.iter().map(|d| warning(d, sources)).collect::<Vec<_>>();
    let (status, sections) = match show::json(conf) {
        Value::String(status) => (status, json!([])),
        sections => ("ok".to_owned(), sections),
    };
    json!({"status": status, "sections": sections, "warnings": warnings})
}

fn warning(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let short = report::short(diagnostic, sources);
    diagnostic.help.as_ref().map_or_else(|| short.clone(), |help| format!("{short} ({help})"))
}

/// A section for people: secrets masked, nothing that a terminal obeys.
fn section(section: &Section) -> String {
    let mut options: Vec<String> = Vec::new();
    options.extend(section.template.then(|| "!".to_owned()));
    options.extend(section.bases.iter().map(ToString::to_string));
    let mut text = format!("[{}]", section.name);
    if !options.is_empty() {
        text += &format!("({})", options.join(","));
    }
    let mut text = calm(&text) + "\n";
    for entry in &section.entries {
        let line = [entry.name.as_bytes(), b"=", entry.value.as_bytes()].concat();
        text += &(calm(&mask::mask(&line).text) + "\n");
    }
    text
}

fn calm(text: &str) -> String {
    let one = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::Memory;

    fn read(text: &[u8]) -> (Read, Sources) {
        let mut sources = Sources::default();
        let mut files = Memory::default().with("/etc/m.conf", text.to_vec());
        let conf = conf::read(Path::new("m.conf"), Path::new("/etc"), &mut files, &mut sources);
        (conf, sources)
    }

    #[track_caller]
    fn check(text: &[u8], expected: &Value) {
        let (conf, sources) = read(text);
        assert_eq!(&whole(&conf, &sources), expected);
    }

    #[test]
    fn json_has_every_byte_and_every_value() {
        let section = |name, template, templates: &[&str], lines: &[&str]| json!({"name": name, "template": template, "templates": templates, "lines": lines});
        check(
            b"[t](!)\nsecret=\xe9\xc3\xa9\n[a](t,t)\nk=\n",
            &json!({"status": "ok", "warnings": [], "sections": [
                section("t", true, &[], &["secret=\u{e9}\u{c3}\u{a9}"]),
                section("a", false, &["t", "t"], &["secret=\u{e9}\u{c3}\u{a9}", "secret=\u{e9}\u{c3}\u{a9}", "k="]),
            ]}),
        );
    }

    #[test]
    fn json_says_why_asterisk_would_not_load_it() {
        for (text, status, code) in [
            (&b"[a\n"[..], "invalid", "H0102"),
            (b"[a]\nk=1\n[a](+,a)\n", "invalid", "hang"),
            (b"[a]\nk\n", "ok", "H0110"),
        ] {
            let (conf, sources) = read(text);
            let told = whole(&conf, &sources);
            assert_eq!(told["status"], status);
            assert_eq!(told["sections"].as_array().is_some_and(Vec::is_empty), status != "ok");
            let warnings = told["warnings"].as_array().expect("a list");
            assert_eq!(warnings.len(), 1);
            assert!(warnings[0].as_str().expect("text").contains(code), "{told}");
            assert!(warnings[0].as_str().expect("text").starts_with("/etc/m.conf:"), "{told}");
        }
    }

    #[test]
    fn text_masks_secrets_and_calms_the_terminal() {
        let (conf, _) = read(b"[t](!)\nsecret=geheim\n[a](t)\nk=a\x1b[31m\n");
        let text: String = conf.sections.iter().map(section).collect();
        assert_eq!(text, "[t](!)\nsecret=***\n[a](t)\nsecret=***\nk=a\\u{1b}[31m\n");
    }

    #[test]
    fn a_version_is_its_first_two_numbers() {
        for (text, age) in [
            ("16", Age::Old),
            ("18.21.0", Age::Old),
            ("18.22", Age::New),
            ("19.8", Age::Old),
            ("20.6.1", Age::Old),
            ("20.7.0", Age::New),
            ("21.1", Age::Old),
            ("22", Age::New),
        ] {
            assert_eq!(version(text), Ok(age), "{text}");
        }
        assert!(version("x").is_err() && version("").is_err() && version("20.x").is_err());
    }
}
