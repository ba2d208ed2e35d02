//! The grammar of one tag.

use std::net::Ipv4Addr;
use std::ops::Range;

use super::{Tag, codes};
use crate::base::mac::MacError;
use crate::base::nearest::nearest;
use crate::base::{Code, Diagnostic, Mac, Span, Spanned, Text};
use crate::conf::{Comment, Place};

/// The attributes that a tag may have.
const ATTRIBUTES: [&str; 7] = ["model", "line", "label", "profile", "firmware", "ip", "guest"];

/// What people write when they mean `MAC=`.
const WORDS: [&[u8]; 7] =
    [b"mac", b"macaddress", b"mac-address", b"mac_address", b"mac address", b"macaddr", b"hwaddr"];

/// A part of a comment that knows its columns.
#[derive(Clone)]
struct Cursor<'a> {
    comment: &'a Comment,
    text: &'a [u8],
    at: usize,
}

/// One `name=value`; the ranges are offsets in the comment.
struct Attribute {
    name: String,
    name_at: Range<usize>,
    value: String,
    value_at: Range<usize>,
}

fn blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

impl<'a> Cursor<'a> {
    fn new(comment: &'a Comment) -> Self {
        Self { comment, text: comment.text.as_bytes(), at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn skip(&mut self, holds: impl Fn(u8) -> bool) -> Range<usize> {
        let start = self.at;
        let len = self.rest().iter().position(|b| !holds(*b)).unwrap_or(self.rest().len());
        self.at += len;
        start..self.at
    }

    fn span(&self, at: Range<usize>) -> Span {
        let column = |at: usize| {
            self.comment.span.start.saturating_add(u32::try_from(at).unwrap_or(u32::MAX))
        };
        Span { start: column(at.start), end: column(at.end), ..self.comment.span }
    }

    fn error(&self, code: &'static Code, text: impl Into<String>, at: Range<usize>) -> Diagnostic {
        Diagnostic::error(code, text).at(self.span(at))
    }
}

/// Behind `;` and blanks stands `MAC`, blanks and `=`: this is meant as a tag. Offset behind the `=`.
fn head(text: &[u8]) -> Option<usize> {
    let start = 1 + text.get(1..)?.iter().position(|b| !blank(*b))?;
    let word = text.get(start..start + 3)?;
    let gap = text[start + 3..].iter().position(|b| !blank(*b))?;
    let equals = start + 3 + gap;
    (word.eq_ignore_ascii_case(b"mac") && text[equals] == b'=').then_some(equals + 1)
}

/// Whether a comment is meant as a tag.
pub(super) fn is_tag(text: &[u8]) -> bool {
    head(text).is_some()
}

/// Reads a tag; none when it is invalid, which the diagnostics then say.
pub(super) fn tag(comment: &Comment, diagnostics: &mut Vec<Diagnostic>) -> Option<Tag> {
    let mut cursor = Cursor::new(comment);
    // Carriage returns and other blanks that Asterisk trims, too, may end the line.
    let end = cursor.text.iter().rposition(|b| *b > 32).map_or(0, |last| last + 1);
    cursor.text = &cursor.text[..end];
    cursor.at = head(cursor.text)?;
    cursor.skip(blank);
    match whole(&mut cursor, diagnostics) {
        Ok(tag) => Some(tag),
        Err(error) => {
            diagnostics.push(error);
            None
        }
    }
}

fn whole(cursor: &mut Cursor<'_>, notes: &mut Vec<Diagnostic>) -> Result<Tag, Diagnostic> {
    let mac = mac(cursor)?;
    let mut tag = Tag {
        mac,
        model: None,
        line: None,
        label: None,
        profile: None,
        firmware: None,
        ip: None,
        guest: None,
    };
    let mut seen: Vec<(String, Range<usize>)> = Vec::new();
    while !cursor.rest().is_empty() {
        cursor.skip(blank);
        let attribute = attribute(cursor)?;
        if let Some((name, first)) = seen.iter().find(|(name, _)| *name == attribute.name) {
            let text = format!("`{name}` stands twice in this tag");
            let error = cursor.error(&codes::TWICE, text, attribute.name_at);
            return Err(error.see(cursor.span(first.clone()), "the first one").help("keep one"));
        }
        seen.push((attribute.name.clone(), attribute.name_at.clone()));
        set(&mut tag, cursor, attribute, notes)?;
    }
    if tag.mac.locally_administered() {
        let text = format!("{} is a made-up (locally administered) address", tag.mac.value);
        let help = "compare it with the phone's label";
        notes.push(Diagnostic::note(&codes::LOCAL, text).at(tag.mac.span).help(help));
    }
    Ok(tag)
}

fn mac(cursor: &mut Cursor<'_>) -> Result<Spanned<Mac>, Diagnostic> {
    let at = cursor.skip(|b| !blank(b));
    let token = &cursor.text[at.clone()];
    let text = std::str::from_utf8(token).map_err(|_| MacError::Form);
    match text.and_then(str::parse::<Mac>) {
        Ok(mac) => Ok(Spanned::new(mac, cursor.span(at))),
        Err(error @ (MacError::Zero | MacError::Group)) => {
            let help = "copy the MAC from the phone's label";
            Err(cursor.error(&codes::NO_PHONE, error.to_string(), at).help(help))
        }
        Err(MacError::Form) => {
            let (text, part) = form(token);
            let part = at.start + part.start..at.start + part.end;
            let help =
                "write it as 00:18:b9:12:34:56, 00-18-b9-12-34-56, 0018.b912.3456 or 0018b9123456";
            Err(cursor.error(&codes::BAD_MAC, text, part).help(help))
        }
    }
}

/// What is wrong with a text that is no MAC, and where in it.
fn form(token: &[u8]) -> (String, Range<usize>) {
    if token.is_empty() {
        return ("no MAC follows the `=`".to_owned(), 0..0);
    }
    let separators = || (0..token.len()).filter(|at| b":-.".contains(&token[*at]));
    let odd = |at: &usize| !token[*at].is_ascii_hexdigit() && !b":-.".contains(&token[*at]);
    if let Some(at) = (0..token.len()).find(odd) {
        let shown = Text::from(&token[at..]).chars().chars().next().unwrap_or('?');
        return (format!("`{}` is no hexadecimal digit", shown.escape_debug()), at..at + 1);
    }
    let Some(first) = separators().next() else {
        let text = format!("a MAC has 12 hexadecimal digits, this one has {}", token.len());
        return (text, 0..token.len());
    };
    if let Some(at) = separators().find(|at| token[*at] != token[first]) {
        let (a, b) = (char::from(token[first]), char::from(token[at]));
        return (format!("`{a}` and `{b}` are mixed in this MAC"), at..at + 1);
    }
    let group = if token[first] == b'.' { 4 } else { 2 };
    let mut start = 0;
    for part in token.split(|b| *b == token[first]) {
        if part.len() != group {
            let text =
                format!("each part of this MAC has {group} digits, this one has {}", part.len());
            return (
                text,
                start..(start + part.len()).max(start + usize::from(start < token.len())),
            );
        }
        start += part.len() + 1;
    }
    let digits = token.iter().filter(|b| b.is_ascii_hexdigit()).count();
    (format!("a MAC has 12 hexadecimal digits, this one has {digits}"), 0..token.len())
}

fn attribute(cursor: &mut Cursor<'_>) -> Result<Attribute, Diagnostic> {
    let start = cursor.at;
    let name_at = cursor.skip(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let name = &cursor.text[name_at.clone()];
    if !name.first().is_some_and(u8::is_ascii_alphabetic) || cursor.rest().first() != Some(&b'=') {
        cursor.skip(|b| !blank(b));
        let text = "this is no attribute of a tag, so the tag is not used";
        let error = cursor.error(&codes::NOT_ATTRIBUTE, text, start..cursor.at);
        return Err(error.help("behind the MAC write name=value without blanks around the `=`; put other text on a line of its own"));
    }
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    cursor.at += 1;
    let value_at = cursor.at;
    let value = if cursor.rest().first() == Some(&b'"') { quoted(cursor)? } else { bare(cursor)? };
    Ok(Attribute { name, name_at, value, value_at: value_at..cursor.at })
}

/// Bytes above 32 without `;` and `"`.
fn bare(cursor: &mut Cursor<'_>) -> Result<String, Diagnostic> {
    let at = cursor.skip(|b| b > 32 && b != b';' && b != b'"');
    match cursor.rest().first() {
        Some(byte) if !blank(*byte) => {
            let here = cursor.at..cursor.at + 1;
            let text = format!("`{}` cannot stand in a value", char::from(*byte).escape_debug());
            let error = cursor.error(&codes::BAD_VALUE, text, here);
            Err(error.help("a `;` cannot stand in a tag at all; for other text put the whole value in double quotes"))
        }
        _ if at.is_empty() => {
            let error = cursor.error(&codes::BAD_VALUE, "no value follows the `=`", at);
            Err(error.help("write the value directly behind the `=`, or drop the attribute"))
        }
        _ => Ok(Text::from(&cursor.text[at]).chars().into_owned()),
    }
}

/// `"…"` with `\"` and `\\` inside, and then a blank or the end.
fn quoted(cursor: &mut Cursor<'_>) -> Result<String, Diagnostic> {
    let start = cursor.at;
    let mut value = Vec::new();
    let mut at = start + 1;
    loop {
        match cursor.text.get(at..).unwrap_or_default() {
            [] => {
                let all = start..cursor.text.len();
                let error = cursor.error(&codes::BAD_VALUE, "this quote is never closed", all);
                return Err(error.help("end the value with a `\"`"));
            }
            [b'\\', byte @ (b'"' | b'\\'), ..] => {
                value.push(*byte);
                at += 1;
            }
            [byte @ (b'\\' | b';'), ..] => {
                let text = format!("`{}` cannot stand in a quoted value", char::from(*byte));
                let error = cursor.error(&codes::BAD_VALUE, text, at..at + 1);
                return Err(
                    error.help("only `\\\"` and `\\\\` are escapes; a `;` cannot stand in a tag")
                );
            }
            [b'"', rest @ ..] => {
                cursor.at = at + 1;
                if rest.first().is_some_and(|b| !blank(*b)) {
                    let here = at + 1..at + 2;
                    let text = "a blank must follow the closing quote";
                    return Err(cursor.error(&codes::BAD_VALUE, text, here));
                }
                return Ok(Text::new(value).chars().into_owned());
            }
            [byte, ..] => value.push(*byte),
        }
        at += 1;
    }
}

fn set(
    tag: &mut Tag,
    cursor: &Cursor<'_>,
    attribute: Attribute,
    notes: &mut Vec<Diagnostic>,
) -> Result<(), Diagnostic> {
    let span = cursor.span(attribute.value_at.clone());
    let value = Spanned::new(attribute.value, span);
    match attribute.name.as_str() {
        "model" => tag.model = Some(value),
        "label" => tag.label = Some(value),
        "profile" => tag.profile = Some(value),
        "firmware" => tag.firmware = Some(value),
        "guest" => tag.guest = Some(value),
        "line" => tag.line = Some(Spanned::new(line(cursor, &value, attribute.value_at)?, span)),
        "ip" => tag.ip = Some(Spanned::new(ip(cursor, &value, attribute.value_at)?, span)),
        name => {
            let text = format!("unknown attribute `{name}`, the rest of the tag is used");
            let help = match nearest(name, ATTRIBUTES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", ATTRIBUTES.join(", ")),
            };
            let at = cursor.span(attribute.name_at);
            notes.push(Diagnostic::warning(&codes::UNKNOWN, text).at(at).help(help));
        }
    }
    Ok(())
}

fn line(cursor: &Cursor<'_>, value: &str, at: Range<usize>) -> Result<u8, Diagnostic> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    match value.parse::<u8>() {
        Ok(line @ 1..=99) if digits => Ok(line),
        _ => {
            let error = cursor.error(&codes::BAD_VALUE, "line is a number from 1 to 99", at);
            Err(error.help("without line= the lines are numbered in the order of the sections"))
        }
    }
}

/// An address that one host can have.
fn ip(cursor: &Cursor<'_>, value: &str, at: Range<usize>) -> Result<Ipv4Addr, Diagnostic> {
    match value.parse::<Ipv4Addr>() {
        Ok(ip)
            if !(ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_loopback()) =>
        {
            Ok(ip)
        }
        _ => {
            let error = cursor.error(&codes::BAD_VALUE, "ip is the IPv4 address of one host", at);
            Err(error.help("write the address that the phone shall get, as ip=192.0.2.7"))
        }
    }
}

/// A comment that is no tag and was probably meant as one.
pub(super) fn near_miss(comment: &Comment) -> Option<Diagnostic> {
    let cursor = Cursor::new(comment);
    let body = cursor.text.get(1..)?;
    if matches!(body.first(), Some(b';' | b'!')) {
        return None;
    }
    let (at, mac) = misspelt(body).or_else(|| second(comment, body))?;
    let text = "this comment looks like a tag and is none";
    let help = format!(
        "a tag is the first thing in its comment: `;MAC={mac}`; to switch it off, `;;MAC=`"
    );
    let span = cursor.span(1 + at.start..1 + at.end);
    Some(Diagnostic::warning(&codes::NEAR_MISS, text).at(span).help(help))
}

/// `MAC 00:…`, `mac: 00:…`, `mac-address=00:…`.
fn misspelt(body: &[u8]) -> Option<(Range<usize>, Mac)> {
    let start = body.iter().position(|b| !blank(*b))?;
    let after = |word: &&[u8]| {
        let text = body.get(start..start + word.len())?;
        text.eq_ignore_ascii_case(word).then_some(start + word.len())
    };
    WORDS.iter().filter_map(after).find_map(|end| {
        let gap = body[end..].iter().position(|b| !blank(*b) && !b"=:#".contains(b))?;
        let (len, mac) = leading(&body[end + gap..]).filter(|_| gap > 0)?;
        Some((start..end + gap + len, mac))
    })
}

/// On the line of a header or key, a tag behind other words of the comment.
fn second(comment: &Comment, body: &[u8]) -> Option<(Range<usize>, Mac)> {
    if !matches!(comment.place, Place::Header(_) | Place::Key(_)) {
        return None;
    }
    (1..body.len()).filter(|at| body[*at] == b';' && body[*at - 1] != b';').find_map(|at| {
        let start = at + head(&body[at..])?;
        let gap = body[start..].iter().position(|b| !blank(*b))?;
        let (len, mac) = leading(&body[start + gap..])?;
        Some((at..start + gap + len, mac))
    })
}

/// The MAC at the start of a text, and its length.
fn leading(text: &[u8]) -> Option<(usize, Mac)> {
    let len = text.iter().position(|b| !b.is_ascii_hexdigit() && !b":-.".contains(b));
    let token = &text[..len.unwrap_or(text.len())];
    let mac = std::str::from_utf8(token).ok()?.parse().ok()?;
    Some((token.len(), mac))
}
