//! One live line → a header, a directive or a key.

use super::lex::View;

/// What a line says.
pub(super) enum Item<'a> {
    /// `[name](options)`; the options are none when no `(` follows at once.
    Header { name: View<'a>, options: Option<View<'a>>, detached: bool },
    /// `#word argument`.
    Directive { word: View<'a>, argument: Option<View<'a>> },
    /// `name = value`.
    Key(Key<'a>),
    /// A line that makes Asterisk abandon the file.
    Fault(Fault),
}

/// A line that is neither a header nor a directive.
#[derive(Clone, Copy)]
pub(super) enum Key<'a> {
    /// `name = value` or `name => value`, both trimmed.
    Set { name: View<'a>, value: View<'a> },
    /// `name += more`, the name trimmed, the rest as it stands.
    Append { name: View<'a>, more: View<'a> },
    /// No `=`: Asterisk skips it.
    NoEquals,
    /// No name before the `=`: Asterisk skips it.
    NoName,
    /// A `\` that escapes nothing printable: Asterisk abandons the file.
    BadEscape,
}

/// Mistakes in a header.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    NoBracket,
    NoParenthesis,
}

/// Reads a trimmed line that is not empty.
pub(super) fn parse(line: View<'_>) -> Item<'_> {
    match line.bytes.first() {
        Some(b'[') => header(line),
        Some(b'#') => directive(line.from(1)),
        _ => Item::Key(key(line)),
    }
}

fn header(line: View<'_>) -> Item<'_> {
    let Some(close) = line.find(b']') else { return Item::Fault(Fault::NoBracket) };
    let (name, rest) = (line.part(1..close), line.from(close + 1));
    if rest.bytes.first() != Some(&b'(') {
        let detached = rest.trim().bytes.first() == Some(&b'(');
        return Item::Header { name, options: None, detached };
    }
    match rest.find(b')') {
        Some(end) => Item::Header { name, options: Some(rest.part(1..end)), detached: false },
        None => Item::Fault(Fault::NoParenthesis),
    }
}

/// The word ends at a byte that a signed `char` calls a blank or less; that byte is dropped.
fn directive(rest: View<'_>) -> Item<'_> {
    let end = rest.bytes.iter().position(|b| !(33..128).contains(b));
    let word = rest.part(0..end.unwrap_or(rest.bytes.len()));
    let argument = end.map(|at| rest.from(at + 1).trim()).filter(|text| !text.bytes.is_empty());
    Item::Directive { word, argument }
}

/// The argument of an include without `"…"` or `<…>` around it.
pub(super) fn unquote(argument: View<'_>) -> View<'_> {
    let len = argument.bytes.len();
    match (argument.bytes.first(), argument.bytes.last()) {
        (Some(b'"'), Some(b'"')) | (Some(b'<'), Some(b'>')) => argument.part(1..(len - 1).max(1)),
        _ => argument,
    }
}

fn key(line: View<'_>) -> Key<'_> {
    let escaped = line.bytes.first() == Some(&b'\\');
    let line = line.from(usize::from(escaped));
    if escaped && !line.bytes.first().is_some_and(|b| (33..128).contains(b)) {
        return Key::BadEscape;
    }
    let from = usize::from(escaped);
    let Some(equals) = line.from(from).find(b'=').map(|at| from + at) else {
        return Key::NoEquals;
    };
    let rest = line.from(equals + 1);
    let append = equals > from && line.bytes[equals - 1] == b'+';
    let name = line.part(0..equals - usize::from(append)).trim();
    if name.bytes.is_empty() {
        Key::NoName
    } else if append {
        Key::Append { name, more: rest }
    } else {
        let arrow = rest.bytes.first() == Some(&b'>');
        Key::Set { name, value: rest.from(usize::from(arrow)).trim() }
    }
}
