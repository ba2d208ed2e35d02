//! How a 7940/7960 reads `SIPDefault.cnf` and `SIP<MAC>.cnf` (phones.md §2.7).
//!
//! Written apart from handset's own writer and checker on purpose: where the sources are silent,
//! this parser refuses, so that a file that leans on luck shows up in a test.

pub(crate) mod keys;
#[cfg(test)]
mod tests;

use crate::event::Event;

/// One `name : value` line, with the name in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) line: usize,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A line that is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) line: usize,
    pub(crate) key: String,
    pub(crate) why: String,
}

impl Bad {
    /// The same as an event about `file`.
    pub(crate) fn event(self, file: &str) -> Event {
        Event::Refused { file: file.into(), line: self.line, key: self.key, why: self.why }
    }
}

/// Reads a configuration file: 8-bit text, lines ended by LF or CRLF.
pub(crate) fn parse(bytes: &[u8]) -> (Vec<Setting>, Vec<Bad>) {
    let text = latin1(bytes);
    let (mut settings, mut bad) = (Vec::new(), Vec::new());
    for (index, line) in text.split('\n').enumerate() {
        match parse_line(line.strip_suffix('\r').unwrap_or(line)) {
            Ok(None) => {}
            Ok(Some((key, value))) => settings.push(Setting { line: index + 1, key, value }),
            Err((key, why)) => bad.push(Bad { line: index + 1, key, why: why.into() }),
        }
    }
    (settings, bad)
}

/// ISO-8859-1: there is no sign that SIP 8.x knows UTF-8.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

type LineError = (String, &'static str);

fn parse_line(line: &str) -> Result<Option<(String, String)>, LineError> {
    let line = line.trim_matches([' ', '\t']);
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Ok(None);
    }
    let shown: String = line.chars().take_while(|c| *c != ':').take(40).collect();
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err((shown, "control character"));
    }
    let Some((name, rest)) = line.split_once(':') else {
        return Err((shown, "no colon"));
    };
    let name = name.trim_end_matches([' ', '\t']);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err((shown, "no key before the colon"));
    }
    let key = name.to_ascii_lowercase();
    match parse_value(rest.trim_matches([' ', '\t'])) {
        Ok(value) => Ok(Some((key, value.to_owned()))),
        Err(why) => Err((key, why)),
    }
}

fn parse_value(rest: &str) -> Result<&str, &'static str> {
    let Some(quoted) = rest.strip_prefix('"') else {
        return bare_value(rest);
    };
    let Some((value, after)) = quoted.split_once('"') else {
        return Err("the quote is never closed");
    };
    let after = after.trim_matches([' ', '\t']);
    if !after.is_empty() && !after.starts_with(';') {
        return Err("text after the closing quote");
    }
    if value.contains(';') {
        return Err("a value cannot hold ';'");
    }
    Ok(value)
}

fn bare_value(rest: &str) -> Result<&str, &'static str> {
    let value = rest.split(';').next().unwrap_or_default().trim_end_matches([' ', '\t']);
    if value.is_empty() {
        return Err("an empty value must be quoted");
    }
    if value.contains('"') {
        return Err("a value cannot hold '\"'");
    }
    if value.contains([' ', '\t']) {
        return Err("a value with blanks must be quoted");
    }
    Ok(value)
}
