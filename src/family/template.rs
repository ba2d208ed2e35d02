//! Templates: strict, with a limit on work, and escaped by the syntax of the file. A template only
//! places values that were made and checked before; what slips through is refused here.

use std::collections::BTreeMap;

use bytes::Bytes;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use crate::base::{Code, Diagnostic, FileId, Span};

use super::manifest::{File, Syntax};

/// A template that does not compile or does not run.
pub(super) static TEMPLATE: Code = Code {
    id: "H0502",
    title: "template fails",
    explain: "A template of a family names what does not exist, is no template, or never ends. \
              When it is one of /etc/asterisk/handset/families, compare it with the built-in one.",
};

/// Instructions that one file may cost: a file of 6 lines costs about 5000.
const FUEL: u64 = 200_000;

/// A file of a family's folder.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// Its bytes.
    pub(super) bytes: Bytes,
    /// Where it was read.
    pub(super) file: FileId,
}

/// The compiled templates of a family.
#[derive(Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
    places: BTreeMap<String, FileId>,
}

/// What a template may name.
const NAMES: [&str; 9] =
    ["server", "settings", "rings", "models", "mac", "model", "firmware", "sync", "keys"];

impl Templates {
    /// Compiles what the files name; everything wrong goes into `diagnostics`.
    pub(super) fn compile(
        files: &[File],
        bodies: &BTreeMap<String, Body>,
        diagnostics: &mut Vec<Diagnostic>,
        whole: Span,
    ) -> Option<Self> {
        let mut this = Self { environment: environment()?, places: BTreeMap::new() };
        for file in files {
            match bodies.get(&file.template) {
                Some(body) => diagnostics.extend(this.add(file, body)),
                None => {
                    let what = format!("the template `{}` is missing", file.template);
                    diagnostics.push(Diagnostic::error(&TEMPLATE, what).at(whole));
                }
            }
        }
        Some(this)
    }

    fn add(&mut self, file: &File, body: &Body) -> Option<Diagnostic> {
        let name = template_name(file);
        let wrong = |line: u32, what: &str| {
            let span = Span { file: body.file, line, start: 0, end: 0 };
            Some(Diagnostic::error(&TEMPLATE, format!("`{}`: {what}", file.template)).at(span))
        };
        let Ok(source) = std::str::from_utf8(&body.bytes) else {
            return wrong(0, "a template is written in UTF-8");
        };
        self.places.insert(name.clone(), body.file);
        if let Err(error) = self.environment.add_template_owned(name.clone(), source.to_owned()) {
            return wrong(line(&error), error.detail().unwrap_or("it is no template"));
        }
        let template = self.environment.get_template(&name).ok()?;
        let undeclared = template.undeclared_variables(false);
        let mut strange: Vec<&String> =
            undeclared.iter().filter(|n| !NAMES.contains(&n.as_str())).collect();
        strange.sort();
        let unknown = strange.first()?;
        let row = source.lines().position(|l| l.contains(unknown.as_str()));
        let row = row.map_or(0, |r| u32::try_from(r + 1).unwrap_or(0));
        wrong(row, &format!("there is no `{unknown}`, only {}", NAMES.join(", ")))
    }

    /// The text of a file, or what is wrong, never with a value in it.
    pub(super) fn render(&self, file: &File, context: &Value) -> Result<String, Diagnostic> {
        let name = template_name(file);
        let run = || self.environment.get_template(&name)?.render(context.clone());
        run().map_err(|error| {
            // Only the kind: a detail may hold a value.
            let what = format!("`{}`: {}", file.template, error.kind());
            let diagnostic = Diagnostic::error(&TEMPLATE, what);
            match self.places.get(&name) {
                Some(file) => {
                    let line = line(&error);
                    diagnostic.at(Span { file: *file, line, start: 0, end: 0 })
                }
                None => diagnostic,
            }
        })
    }

    /// The place of a file's template.
    pub(super) fn place(&self, file: &File) -> Option<Span> {
        self.places.get(&template_name(file)).map(|file| Span::whole(*file))
    }
}

/// The name says the syntax, which chooses the escape.
fn template_name(file: &File) -> String {
    format!("{}:{}", escape_name(file.syntax), file.template)
}

fn escape_name(syntax: Syntax) -> &'static str {
    match syntax {
        Syntax::Cnf => "cnf",
        Syntax::Xml => "xml",
        Syntax::Text => "text",
    }
}

fn line(error: &Error) -> u32 {
    error.line().and_then(|l| u32::try_from(l).ok()).unwrap_or(0)
}

fn environment() -> Option<Environment<'static>> {
    let syntax = SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .ok()?;
    let mut environment = Environment::new();
    environment.set_syntax(syntax);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|name| match name.split_once(':') {
        Some(("xml", _)) => AutoEscape::Custom("xml".into()),
        Some(("cnf", _)) => AutoEscape::Custom("cnf".into()),
        _ => AutoEscape::Custom("text".into()),
    });
    environment.set_formatter(write_value);
    Some(environment)
}

fn write_value(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::String | ValueKind::Number => {}
        _ => return Err(Error::new(ErrorKind::BadEscape, "only texts and numbers can be placed")),
    }
    let number;
    let text = match value.as_str() {
        Some(text) => text,
        None => {
            number = value.to_string();
            &number
        }
    };
    // Whatever the template says (`|safe`, `{% autoescape false %}`), the file's syntax decides.
    let syntax = state.name().split(':').next().unwrap_or_default();
    match escape(syntax, text) {
        Some(text) => out.write_str(&text).map_err(Error::from),
        None => Err(Error::new(ErrorKind::BadEscape, "a character that the file cannot carry")),
    }
}

/// The text as it stands in a file, none when it cannot: XML with the five names only (`&#x27;` is
/// beyond old phones' parsers), cnf without `"` and `;` (phones.md §2.7), no control characters.
fn escape<'a>(syntax: &str, text: &'a str) -> Option<std::borrow::Cow<'a, str>> {
    if text.chars().any(|c| !carries(syntax, c)) {
        return None;
    }
    if syntax != "xml" || !text.contains(['<', '>', '&', '"', '\'']) {
        return Some(text.into());
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c => escaped.push(c),
        }
    }
    Some(escaped.into())
}

/// Whether a file of the syntax can carry the character in a value.
fn carries(syntax: &str, c: char) -> bool {
    !(c.is_control() || syntax == "cnf" && matches!(c, '"' | ';'))
}

impl Syntax {
    /// Whether a file of this syntax can carry the character in a value.
    pub(super) fn carries(self, c: char) -> bool {
        carries(escape_name(self), c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_knows_five_names_and_cnf_refuses() {
        let check = |syntax, text, expected: Option<&str>| {
            assert_eq!(escape(syntax, text).as_deref(), expected, "{syntax} {text:?}");
        };
        check("xml", "a<b>&\"c'/é", Some("a&lt;b&gt;&amp;&quot;c&apos;/é"));
        check("cnf", "Müller & Söhne 'x' <1>", Some("Müller & Söhne 'x' <1>"));
        for text in ["a\"b", "a;b", "a\nb", "a\0b", "a\u{85}b"] {
            check("cnf", text, None);
        }
        check("xml", "a\rb", None);
        check("text", "a\tb", None);
        check("text", "a;b\"", Some("a;b\""));
    }
}
