//! The text after `+` in a header's options: which section it means.

use super::ere::{Ere, Exhausted};
use super::{Age, Section};

/// `name=value` pairs joined by `&`, all of which must match.
pub(super) struct Filter {
    pairs: Vec<Pair>,
}

enum Pair {
    /// `TEMPLATES=include`.
    Include,
    /// `TEMPLATES=restrict`.
    Restrict,
    Regex(Ere, Ere),
    /// No `=`, nothing behind it, an unknown `TEMPLATES=`, or an expression that does not compile.
    Never,
}

impl Filter {
    /// Reads it; an empty filter means any section that is not a template.
    pub(super) fn new(text: &[u8], age: Age) -> Self {
        Self { pairs: halves(text, age).into_iter().map(pair).collect() }
    }

    /// Whether it holds for a section; every step costs fuel.
    pub(super) fn holds(&self, section: &Section, fuel: &mut u64) -> Result<bool, Exhausted> {
        *fuel = fuel.checked_sub(1).ok_or(Exhausted)?;
        let mut templates = false;
        for pair in &self.pairs {
            let found = match pair {
                Pair::Include => true,
                Pair::Restrict => section.template,
                Pair::Regex(name, value) => any(section, name, value, fuel)?,
                Pair::Never => false,
            };
            if !found {
                return Ok(false);
            }
            templates |= matches!(pair, Pair::Include | Pair::Restrict);
        }
        Ok(templates || !section.template)
    }
}

fn any(section: &Section, name: &Ere, value: &Ere, fuel: &mut u64) -> Result<bool, Exhausted> {
    for entry in &section.entries {
        if name.search(entry.name.as_bytes(), fuel)?
            && value.search(entry.value.as_bytes(), fuel)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether old and new Asterisks take it differently.
pub(super) fn varies(text: &[u8]) -> bool {
    let never = |age| Filter::new(text, age).pairs.iter().any(|p| matches!(p, Pair::Never));
    halves(text, Age::Old) != halves(text, Age::New) && !(never(Age::Old) && never(Age::New))
}

/// The two sides of a pair, as far as they are there.
type Halves<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

fn halves(text: &[u8], age: Age) -> Vec<Halves<'_>> {
    let mut rest = Some(text).filter(|text| !text.is_empty());
    let pairs = std::iter::from_fn(|| token(&mut rest, b'&', age));
    let halve = |pair| {
        let mut rest = Some(pair);
        (token(&mut rest, b'=', age), token(&mut rest, b'=', age))
    };
    pairs.map(halve).collect()
}

fn pair(halves: Halves<'_>) -> Pair {
    let (Some(name), Some(value)) = halves else { return Pair::Never };
    if name == b"TEMPLATES" {
        return match value.to_ascii_lowercase().as_slice() {
            b"include" => Pair::Include,
            b"restrict" => Pair::Restrict,
            _ => Pair::Never,
        };
    }
    match (Ere::new(name), Ere::new(value)) {
        (Some(name), Some(value)) => Pair::Regex(name, value),
        _ => Pair::Never,
    }
}

/// Asterisk's own `strsep`: a separator inside quotes or behind `\` does not count, and a token loses
/// its blanks and one pair of quotes. Behind the last separator an old Asterisk finds no token where
/// nothing is left, a new one an empty token (asterisk/asterisk#568).
fn token<'a>(rest: &mut Option<&'a [u8]>, separator: u8, age: Age) -> Option<&'a [u8]> {
    let text = rest.take().filter(|text| age == Age::New || !text.is_empty())?;
    let mut quotes = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if text[at] == b'\\' {
            at += 2;
        }
        let Some(&byte) = text.get(at) else { break };
        if byte == b'\'' || byte == b'"' {
            if quotes.last() == Some(&byte) {
                quotes.pop();
            } else if quotes.len() == 7 {
                return None;
            } else {
                quotes.push(byte);
            }
        }
        if byte == separator && quotes.is_empty() {
            *rest = Some(&text[at + 1..]);
            return Some(strip(&text[..at]));
        }
        at += 1;
    }
    Some(strip(text))
}

fn strip(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| *b > 32).unwrap_or(text.len());
    let end = text.iter().rposition(|b| *b > 32).map_or(start, |at| at + 1);
    match text[start..end] {
        [quote @ (b'\'' | b'"'), ref inner @ .., last] if quote == last => inner,
        _ => &text[start..end],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{FileId, Span, Text};
    use crate::conf::Entry;

    fn section(template: bool) -> Section {
        let span = Span::whole(FileId(0));
        let entry = Entry {
            name: Text::from("type"),
            value: Text::from("endpoint"),
            name_span: span,
            span,
            inherited: false,
        };
        let name = Text::from("a");
        Section { name, template, bases: Vec::new(), span, entries: [entry].into_iter().collect() }
    }

    #[track_caller]
    fn check(filter: &str, plain: bool, template: bool) {
        assert!(!varies(filter.as_bytes()));
        for age in [Age::Old, Age::New] {
            check_as(age, filter, plain, template);
        }
    }

    #[track_caller]
    fn check_as(age: Age, filter: &str, plain: bool, template: bool) {
        let filter = Filter::new(filter.as_bytes(), age);
        let got = [false, true].map(|t| filter.holds(&section(t), &mut 10_000));
        assert_eq!(got, [Ok(plain), Ok(template)]);
    }

    #[test]
    fn an_empty_rest_is_a_token_for_new_asterisks_only() {
        for (filter, old, new) in
            [("type=", false, true), ("type=end&", true, false), ("type=end&type=", false, true)]
        {
            check_as(Age::Old, filter, old, false);
            check_as(Age::New, filter, new, false);
            assert!(varies(filter.as_bytes()), "{filter}");
        }
        check_as(Age::Old, "TEMPLATES=include&", true, true);
        check_as(Age::New, "TEMPLATES=include&", false, false);
    }

    #[test]
    fn chooses_by_contents_and_by_being_a_template() {
        check("", true, false);
        check("type=end", true, false);
        check(" type = end ", true, false);
        check("'type'=\"^endpoint$\"", true, false);
        check("Type=end", false, false);
        check("type=end&TEMPLATES=include", true, true);
        check("TEMPLATES=Restrict", false, true);
        check("TEMPLATES=other", false, false);
        check("type", false, false);
        check("type=(x", false, false);
        check("&", false, false);
        check("TEMPLATES=", false, false);
        check("type=end&&type=end", false, false);
    }
}
