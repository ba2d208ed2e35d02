//! `handset check`: what the daemon would say about the sources, without it.

use serde::Serialize;

use super::args::{Args, Check};
use super::{DONE, NO, output};
use crate::base::{Diagnostic, Level, Sources, Span, report};
use crate::cli::render::made;

/// A message for editors and CI (docs/check-json.md).
#[derive(Serialize)]
struct Message<'a> {
    code: &'static str,
    level: Level,
    #[serde(flatten)]
    place: Place,
    message: &'a str,
    help: Option<&'a str>,
    related: Vec<Related<'a>>,
}

/// A place in a file; empty where the site as a whole is meant, without a line where the file is.
#[derive(Serialize, Default)]
struct Place {
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
}

#[derive(Serialize)]
struct Related<'a> {
    #[serde(flatten)]
    place: Place,
    text: &'a str,
}

/// Runs it: code 1 when there are errors, with `--strict` also on warnings.
pub(super) fn run(args: &Args, options: &Check) -> u8 {
    let (reading, built) = match made(&args.config, options.file.as_deref()) {
        Ok(found) => found,
        Err(why) => {
            output::complain(why);
            return NO;
        }
    };
    let mut all = reading.diagnostics;
    let phones = built.as_ref().map_or(0, |b| b.generation.phones.len());
    all.extend(built.into_iter().flat_map(|b| b.diagnostics));
    let count = |level| all.iter().filter(|d| d.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    if options.json {
        output::line(json(&all, &reading.sources));
    } else {
        print(&all, &reading.sources, options.short);
        if !options.short {
            let count =
                |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
            let text = [count(phones, "phone"), count(errors, "error"), count(warnings, "warning")]
                .join(", ");
            output::line(text);
        }
    }
    verdict(errors, warnings, options.strict)
}

fn verdict(errors: usize, warnings: usize, strict: bool) -> u8 {
    if errors > 0 || (strict && warnings > 0) { NO } else { DONE }
}

fn print(all: &[Diagnostic], sources: &Sources, short: bool) {
    for diagnostic in all {
        let text = if short {
            report::short(diagnostic, sources)
        } else {
            report::render(diagnostic, sources, output::colour())
        };
        output::line(text.trim_end());
    }
}

fn json(all: &[Diagnostic], sources: &Sources) -> String {
    let message = |d| message(d, sources);
    let all: Vec<Message<'_>> = all.iter().map(message).collect();
    serde_json::to_string_pretty(&all).expect("messages are made of text and numbers")
}

fn message<'a>(d: &'a Diagnostic, sources: &Sources) -> Message<'a> {
    let related = d.related.iter();
    Message {
        code: d.code.id,
        level: d.level,
        place: d.span.map(|span| place(span, sources)).unwrap_or_default(),
        message: &d.message,
        help: d.help.as_deref(),
        related: related.map(|(s, text)| Related { place: place(*s, sources), text }).collect(),
    }
}

fn place(span: Span, sources: &Sources) -> Place {
    let within = span.line > 0;
    Place {
        file: Some(sources.get(span.file).path.display().to_string()),
        line: within.then_some(span.line),
        column: within.then_some(span.start + 1),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;

    use super::*;
    use crate::base::Code;

    static CODE: Code = Code { id: "H0201", title: "t", explain: "e" };

    fn check(diagnostic: impl Fn(Span) -> Diagnostic, expected: &serde_json::Value) {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("/etc/asterisk/sip.conf"), Bytes::from_static(b"[1]\n"));
        let diagnostic = diagnostic(Span { file, line: 1, start: 0, end: 3 });
        let found: serde_json::Value =
            serde_json::from_str(&json(&[diagnostic], &sources)).unwrap();
        assert_eq!(found, serde_json::Value::Array(vec![expected.clone()]));
    }

    #[test]
    fn a_message_has_its_place_and_the_others() {
        let place = |span: Span| {
            let whole = Span::whole(span.file);
            Diagnostic::error(&CODE, "m \"x\"").at(span).see(whole, "also here").help("h")
        };
        let file = "/etc/asterisk/sip.conf";
        let other =
            serde_json::json!({"file": file, "line": null, "column": null, "text": "also here"});
        let expected = serde_json::json!({
            "code": "H0201", "level": "error", "file": file, "line": 1, "column": 1,
            "message": "m \"x\"", "help": "h", "related": [other],
        });
        check(place, &expected);
    }

    #[test]
    fn what_concerns_the_site_has_no_place() {
        let expected = serde_json::json!({
            "code": "H0201", "level": "note", "file": null, "line": null, "column": null,
            "message": "m", "help": null, "related": [],
        });
        check(|_| Diagnostic::note(&CODE, "m"), &expected);
    }

    #[test]
    fn only_errors_fail_and_warnings_when_strict() {
        assert_eq!(verdict(1, 0, false), NO);
        assert_eq!((verdict(0, 3, false), verdict(0, 3, true)), (DONE, NO));
        assert_eq!(verdict(0, 0, true), DONE);
    }
}
