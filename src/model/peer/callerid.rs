//! Caller ID text, exactly as Asterisk splits it (asterisk-conf.md §3.5; tests/peers.rs asks a real
//! Asterisk).

use super::CallerId;

/// Asterisk keeps a name and a number in buffers of 80 bytes.
const LONGEST: usize = 79;

/// Splits the value of `callerid=`. What is missing is empty.
pub fn parse(text: &str) -> CallerId {
    let trimmed = strip(text);
    let (inner, quoted) = unquote(trimmed);
    let (name, number) = match inner.rsplit_once('<') {
        Some((name, rest)) => (unescape(unquote(name).0), shrink(until(rest, '>'))),
        None => alone(inner, quoted),
    };
    CallerId { name: cut(name), number: cut(number) }
}

/// Without angle brackets: a number when it looks like one and was not quoted, else a name.
fn alone(text: &str, quoted: bool) -> (String, String) {
    let number = shrink(text);
    if !quoted && is_number(&number) {
        (String::new(), number)
    } else {
        (unescape(text), String::new())
    }
}

/// Asterisk trims bytes 1 to 32.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// Takes off blanks, then a pair of double quotes, and tells whether there was one. A lone `"` is its
/// own pair.
fn unquote(text: &str) -> (&str, bool) {
    let text = strip(text);
    match text.strip_prefix('"') {
        Some("") => ("", true),
        Some(rest) => rest.strip_suffix('"').map_or((text, false), |inner| (inner, true)),
        None => (text, false),
    }
}

fn until(text: &str, end: char) -> &str {
    text.split(end).next().unwrap_or_default()
}

/// A backslash makes the next character plain; at the end it vanishes.
fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// Takes ` `, `(`, `)`, every `-` outside of `[…]` and every `.` but a last one out of a number.
fn shrink(text: &str) -> String {
    if text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut brackets = 0_i32;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        brackets += i32::from(c == '[') - i32::from(c == ']');
        let dropped = match c {
            ' ' | '(' | ')' => true,
            '-' => brackets == 0,
            '.' => chars.peek().is_some(),
            _ => false,
        };
        if !dropped {
            out.push(c);
        }
    }
    out
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b"*#+".contains(&b))
}

/// Cuts where Asterisk does, but never inside a character: half of one is no text for a phone.
fn cut(mut text: String) -> String {
    let end = (0..=LONGEST.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str, number: &str) {
        let expected = CallerId { name: name.into(), number: number.into() };
        assert_eq!(parse(text), expected, "{text}");
    }

    #[test]
    fn takes_the_number_from_the_last_angle_brackets() {
        check("Joe <(256) 428-6000>", "Joe", "2564286000");
        check("\"Joe <x> Smith\" <100>", "Joe <x> Smith", "100");
        check("<101>", "", "101");
        check("Joe <101> x", "Joe", "101");
        check("<1> foo <", "<1> foo", "");
        check("<>", "", "");
    }

    #[test]
    fn accepts_a_missing_closing_bracket_and_quotes_around_all() {
        check(r#""Bob \"B\" X" <10 1"#, "Bob \"B\" X", "101");
        check("\"Joe <101>\"", "Joe", "101");
        check("Joe <101> \"", "Joe", "101");
    }

    #[test]
    fn takes_a_bare_number_for_a_number_unless_quoted() {
        check("+49 (30) 12#*", "", "+493012#*");
        check("1-2.3", "", "123");
        check("1-2.3.", "1-2.3.", "");
        check("\"12345\"", "12345", "");
        check("[1-2]", "[1-2]", "");
    }

    #[test]
    fn strips_quotes_once_and_unescapes_names() {
        check(r#""A \"q\" b""#, "A \"q\" b", "");
        check(r"a\b <1>", "ab", "1");
        check("\"a\"b\"", "a\"b", "");
        check("\"joe\" \"x\" <5>", "joe\" \"x", "5");
        check("\"A\" B <1[2-3]-4>", "\"A\" B", "1[2-3]4");
        check(" \"  sp  \" < 12 >", "  sp  ", "12");
        check("\"", "", "");
        check("", "", "");
        check("a\\", "a", "");
    }

    #[test]
    fn cuts_both_parts_at_79_bytes_and_not_inside_a_character() {
        check(&"1".repeat(90), "", &"1".repeat(79));
        check(&format!("{} <1>", "é".repeat(60)), &"é".repeat(39), "1");
    }
}
