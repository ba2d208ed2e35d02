//! Every rendered file is parsed back before it may enter a generation: what a phone would refuse
//! is refused here.

use std::collections::BTreeMap;

use crate::base::{Code, Diagnostic};

use super::Role;
use super::key::{Charset, is_key};
use super::manifest::{Family, File, Model, Syntax};

/// A rendered file that a phone would refuse.
pub static UNSOUND: Code = Code {
    id: "H0503",
    title: "file unsound",
    explain: "A template made a file that is not well formed, too large, incomplete, or holds a \
              value beyond the phone's limits. It is not served. A template of one's own is the \
              usual cause.",
};

/// The bytes of a rendered text, if it is sound; `model` is given for the phone's own file.
pub(super) fn finish(
    family: &Family,
    file: &File,
    model: Option<&Model>,
    text: &str,
) -> Result<Vec<u8>, Diagnostic> {
    sound(family, file, model, text).map_err(|what| {
        let message = format!("`{}` came out unsound: {what}", file.pattern);
        let diagnostic = Diagnostic::error(&UNSOUND, message);
        match family.templates.place(file) {
            Some(place) => diagnostic.at(place),
            None => diagnostic,
        }
    })
}

fn sound(
    family: &Family,
    file: &File,
    model: Option<&Model>,
    text: &str,
) -> Result<Vec<u8>, String> {
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err("it holds a control character".into());
    }
    match file.syntax {
        Syntax::Cnf => cnf(family, file, model, text)?,
        Syntax::Xml => xml(file, text)?,
        Syntax::Text if text.ends_with('\n') => {}
        Syntax::Text => return Err("its last line has no end".into()),
    }
    let ended = if file.crlf { text.replace('\n', "\r\n") } else { text.to_owned() };
    let bytes = family.charset.encode(&ended).ok_or("a character is not of its charset")?;
    if bytes.len() > file.max {
        return Err(format!("{} bytes are more than {}", bytes.len(), file.max));
    }
    Ok(bytes)
}

fn cnf(family: &Family, file: &File, model: Option<&Model>, text: &str) -> Result<(), String> {
    let mut found = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        match pair(line) {
            None => {}
            Some(Err(what)) => return Err(format!("line {number}: {what}")),
            Some(Ok((name, value))) => {
                let before = found.insert(name.to_ascii_lowercase(), value);
                before.map_or(Ok(()), |_| {
                    Err(format!("line {number}: the key `{name}` stands twice"))
                })?;
            }
        }
    }
    let slots = match (model, file.role) {
        (Some(model), Role::Own) => &model.slots,
        _ => return found.iter().try_for_each(|(name, value)| fits(family, name, value)),
    };
    for slot in slots {
        let row = &family.keys[slot.row];
        match found.get(&slot.name.to_ascii_lowercase()) {
            Some(value) if *value == row.unused => {}
            Some(value) => {
                row.kind.check(value).map_err(|misfit| format!("`{}`: {misfit}", slot.name))?;
            }
            None if row.optional => {}
            None => return Err(format!("the key `{}` is missing", slot.name)),
        }
    }
    Ok(())
}

fn fits(family: &Family, name: &str, value: &str) -> Result<(), String> {
    let Some((_, slot)) = family.slot(name) else { return Ok(()) };
    let row = &family.keys[slot.row];
    row.kind.check(value).map_err(|misfit| format!("`{name}`: {misfit}"))
}

/// One line of a `.cnf` (phones.md §2.7); none for a blank line or a comment.
fn pair(line: &str) -> Option<Result<(&str, &str), &'static str>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let Some((name, rest)) = line.split_once(':') else {
        return Some(Err("there is no `:`"));
    };
    let (name, rest) = (name.trim(), rest.trim());
    if !is_key(name) {
        return Some(Err("what stands before the `:` is no key"));
    }
    let Some(quoted) = rest.strip_prefix('"') else {
        let value = rest.split(';').next().unwrap_or_default().trim_end();
        return Some(if value.contains(['"', ' ']) || value.is_empty() {
            Err("a value that is empty or has blanks wants quotes")
        } else {
            Ok((name, value))
        });
    };
    let Some((value, after)) = quoted.split_once('"') else {
        return Some(Err("a quote is not closed"));
    };
    let after = after.trim();
    Some(match value.contains(';') || !(after.is_empty() || after.starts_with(';')) {
        true => Err("a value cannot hold `\"` or `;`"),
        false => Ok((name, value)),
    })
}

/// What the phone's own dial plan parser takes (phones.md §2.13).
const DIAL_ATTRIBUTES: [&str; 7] = ["match", "line", "timeout", "user", "rewrite", "route", "tone"];

fn xml(file: &File, text: &str) -> Result<(), String> {
    let tree = roxmltree::Document::parse(text).map_err(|e| e.to_string())?;
    if !text.is_ascii() {
        return Err("XML files of these phones hold ASCII only".into());
    }
    if file.role != Role::Live {
        return Ok(());
    }
    if text.contains(['&', '\'']) {
        return Err("the dial plan knows neither entities nor single quotes".into());
    }
    let attributes = tree.descendants().flat_map(|node| node.attributes());
    for attribute in attributes {
        let name = attribute.name().to_ascii_lowercase();
        if !DIAL_ATTRIBUTES.contains(&name.as_str()) {
            return Err(format!("the dial plan has no attribute `{name}`"));
        }
        if attribute.value().chars().count() > 63 {
            return Err(format!("the attribute `{name}` is longer than 63 characters"));
        }
    }
    Ok(())
}

/// A rendered file as keys and values, in order, for people to compare: the keys of a `.cnf`; the
/// elements and attributes of XML by their path; the lines of a text by their number.
pub fn keys(bytes: &[u8], syntax: Syntax, charset: Charset) -> Vec<(String, String)> {
    let text = charset.decode(bytes);
    match syntax {
        Syntax::Cnf => {
            let pairs = text.lines().filter_map(pair).flatten();
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        }
        Syntax::Xml => elements(&text),
        Syntax::Text => {
            let lines = (1..).zip(text.lines());
            lines.map(|(number, line): (u32, _)| (number.to_string(), line.to_owned())).collect()
        }
    }
}

fn elements(text: &str) -> Vec<(String, String)> {
    let Ok(tree) = roxmltree::Document::parse(text) else { return Vec::new() };
    let mut pairs = Vec::new();
    for node in tree.descendants().filter(roxmltree::Node::is_element) {
        let mut names: Vec<&str> = node
            .ancestors()
            .filter(roxmltree::Node::is_element)
            .map(|n| n.tag_name().name())
            .collect();
        names.reverse();
        let path = names.join("/");
        for attribute in node.attributes() {
            let value = attribute.value().to_owned();
            pairs.push((format!("{path}@{}", attribute.name()), value));
        }
        let value = node.text().unwrap_or_default().trim();
        if !value.is_empty() {
            pairs.push((path, value.to_owned()));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_the_phone_reads_it() {
        let check = |line, expected| assert_eq!(pair(line), expected, "{line}");
        check("# comment", None);
        check("  ", None);
        check("date_format : D/M/Y", Some(Ok(("date_format", "D/M/Y"))));
        check("proxy1_port:\"5060\"", Some(Ok(("proxy1_port", "5060"))));
        check("a: \"b c\" ; why", Some(Ok(("a", "b c"))));
        check("a: b ; why", Some(Ok(("a", "b"))));
        check("a: \"\"", Some(Ok(("a", ""))));
        for line in ["a", "a b: c", "a: b c", "a: \"b", "a: \"b\"c", "a: \"b;c\"", "a:", ": b"] {
            assert!(matches!(pair(line), Some(Err(_))), "{line}");
        }
    }

    #[test]
    fn files_are_read_back_as_keys() {
        let check = |text: &[u8], syntax, expected: &[(&str, &str)]| {
            let found = keys(text, syntax, Charset::Latin1);
            let found: Vec<_> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            assert_eq!(found, expected);
        };
        check(b"# x\nb: \"M\xfcller\"\na: \"\"\n", Syntax::Cnf, &[("b", "Müller"), ("a", "")]);
        check(b"<A><B C=\"d\">e</B></A>", Syntax::Xml, &[("A/B@C", "d"), ("A/B", "e")]);
        check(b"one\ttwo\r\nthree\r\n", Syntax::Text, &[("1", "one\ttwo"), ("2", "three")]);
    }
}
