//! One key of a family's files: what it may hold, what it holds by itself, and where its value
//! comes from. A row of the manifest's `[keys]`:
//!
//! `NAME => KIND[, option]…`, the options being
//!
//! | option | meaning |
//! | --- | --- |
//! | `default TEXT` | written when nothing else gives a value (default: empty) |
//! | `value NAME [A=B …]` | the computed value that it takes; with pairs, `A` is written as `B` |
//! | `per line` | the `N` in the name stands for 1, 2, … up to the lines of the model |
//! | `unused TEXT` | written for a line without an account (default: the default) |
//! | `reset TEXT` | makes the phone forget a value offered before (default: the default) |
//! | `secret` | never shown |
//! | `not TEXT` | a raw key may neither be empty nor this |
//! | `fixed` | no raw key may set it |
//! | `optional` | written only when a raw key sets it |

use std::net::Ipv4Addr;

use crate::base::nearest::nearest;

/// A row of `[keys]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its name, with `N` for the line where it is one per line.
    pub name: String,
    /// What it may hold.
    pub kind: Kind,
    /// Written when nothing else gives a value.
    pub default: String,
    /// Written for a line without an account.
    pub unused: String,
    /// Makes the phone forget a value offered before.
    pub reset: String,
    /// The computed value that it takes.
    pub value: Option<Source>,
    /// One key for each line.
    pub per_line: bool,
    /// Never shown.
    pub secret: bool,
    /// No raw key may set it.
    pub fixed: bool,
    /// Written only when a raw key sets it.
    pub optional: bool,
    /// What a raw key may not be, apart from empty.
    pub not: Option<String>,
}

/// Where a key's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name of the computed value.
    pub name: String,
    /// How its words are spelt by this family; empty: as they are.
    pub map: Vec<(String, String)>,
}

/// What a key may hold. Lengths are characters, which are bytes on the phone (Latin-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `text MAX`.
    Text(usize),
    /// `url MAX`: empty, or `http://…` without blanks.
    Url(usize),
    /// `host MAX`: empty, a dotted IPv4 address or a DNS name.
    Host(usize),
    /// `load MAX`: empty or the name of an image without its extension.
    Load(usize),
    /// `ipv4`: empty or a dotted address.
    Ipv4,
    /// `integer MIN-MAX`.
    Integer(i64, i64),
    /// `enum WORD…`, told apart by case.
    Enum(Vec<String>),
}

/// Why a text is no value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Longer than the phone's buffer: characters found and allowed.
    Long(usize, usize),
    /// A character that the file or the phone cannot carry.
    Char(char),
    /// Not of the kind: what is wanted instead.
    Form(String),
}

/// What a charset can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// ISO 8859-1, one byte a character.
    Latin1,
    /// UTF-8.
    Utf8,
}

impl Charset {
    /// Whether the charset has the character.
    pub fn has(self, c: char) -> bool {
        matches!(self, Self::Utf8) || u32::from(c) < 0x100
    }

    /// The bytes of a text; none when a character is missing.
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(text.as_bytes().to_vec()),
            Self::Latin1 => text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(),
        }
    }

    /// The text behind bytes; Latin-1 where they are no UTF-8.
    pub fn decode(self, bytes: &[u8]) -> String {
        match (self, std::str::from_utf8(bytes)) {
            (Self::Utf8, Ok(text)) => text.to_owned(),
            _ => bytes.iter().map(|b| char::from(*b)).collect(),
        }
    }
}

impl KeyRow {
    /// Reads a row. The error says what is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        if !is_key(name) {
            return Err("a key is made of letters, digits and `_`".into());
        }
        let mut parts = text.split(',').map(str::trim);
        let kind = Kind::parse(parts.next().unwrap_or_default())?;
        let mut row = Self {
            name: name.to_owned(),
            kind,
            default: String::new(),
            unused: String::new(),
            reset: String::new(),
            value: None,
            per_line: false,
            secret: false,
            fixed: false,
            optional: false,
            not: None,
        };
        let (mut unused, mut reset) = (None, None);
        for part in parts {
            let (word, rest) = part.split_once(' ').unwrap_or((part, ""));
            let rest = rest.trim();
            match (word, rest) {
                ("default", rest) => row.default = rest.to_owned(),
                ("unused", rest) => unused = Some(rest.to_owned()),
                ("reset", rest) => reset = Some(rest.to_owned()),
                ("value", rest) => row.value = Some(Source::parse(rest)?),
                ("per", "line") => row.per_line = true,
                ("not", rest) if !rest.is_empty() => row.not = Some(rest.to_owned()),
                ("secret", "") => row.secret = true,
                ("fixed", "") => row.fixed = true,
                ("optional", "") => row.optional = true,
                _ => return Err(format!("`{part}` is no option of a key")),
            }
        }
        row.unused = unused.unwrap_or_else(|| row.default.clone());
        row.reset = reset.unwrap_or_else(|| row.default.clone());
        row.sound()?;
        Ok(row)
    }

    fn sound(&self) -> Result<(), String> {
        if self.per_line && !self.name.contains('N') {
            return Err("a key of a line has an `N` where the line's number goes".into());
        }
        for (what, text) in [("default", &self.default), ("reset", &self.reset)] {
            self.kind.check(text).map_err(|m| format!("the {what} does not fit: {m}"))?;
        }
        if self.unused != self.default {
            self.kind
                .check(&self.unused)
                .map_err(|m| format!("the value of an unused line does not fit: {m}"))?;
        }
        let mapped = self.value.iter().flat_map(|v| &v.map);
        for (_, text) in mapped {
            self.kind.check(text).map_err(|m| format!("`{text}` does not fit: {m}"))?;
        }
        Ok(())
    }

    /// The name for a line.
    pub fn named(&self, line: Option<u8>) -> String {
        match line {
            Some(line) if self.per_line => self.name.replacen('N', &line.to_string(), 1),
            _ => self.name.clone(),
        }
    }
}

impl Source {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let name = words.next().ok_or("`value` wants the name of a computed value")?.to_owned();
        let map = words
            .map(|pair| match pair.split_once('=') {
                Some((from, to)) => Ok((from.to_owned(), to.to_owned())),
                None => Err(format!("`{pair}` is not `A=B`")),
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { name, map })
    }

    /// The family's word for a computed one, none when it has none.
    pub fn spelt<'a>(&'a self, word: &'a str) -> Option<&'a str> {
        if self.map.is_empty() {
            return Some(word);
        }
        self.map.iter().find(|(from, _)| from == word).map(|(_, to)| to.as_str())
    }
}

impl Kind {
    fn parse(text: &str) -> Result<Self, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        let max = || match rest.parse::<usize>() {
            Ok(max @ 1..=1024) => Ok(max),
            _ => Err(format!("`{word}` wants the greatest length, 1 to 1024")),
        };
        Ok(match word {
            "text" => Self::Text(max()?),
            "url" => Self::Url(max()?),
            "host" => Self::Host(max()?),
            "load" => Self::Load(max()?),
            "ipv4" if rest.is_empty() => Self::Ipv4,
            "integer" => {
                let (low, high) = range(rest).ok_or("`integer` wants `MIN..MAX`")?;
                Self::Integer(low, high)
            }
            "enum" if !rest.is_empty() => {
                Self::Enum(rest.split_whitespace().map(str::to_owned).collect())
            }
            _ => return Err(format!("`{text}` is no kind of value")),
        })
    }

    /// Whether a text is a value of this kind, apart from the charset and syntax of the file.
    pub fn check(&self, text: &str) -> Result<(), Misfit> {
        let form = |wanted: &str| Err(Misfit::Form(wanted.to_owned()));
        if let Self::Text(max) | Self::Url(max) | Self::Host(max) | Self::Load(max) = self {
            let length = text.chars().count();
            if length > *max {
                return Err(Misfit::Long(length, *max));
            }
        }
        let blank = text.is_empty();
        match self {
            Self::Text(_) => Ok(()),
            Self::Url(_) if blank || is_url(text) => Ok(()),
            Self::Url(_) => form("it must be an http:// address without blanks"),
            Self::Host(_) if blank || is_host(text) => Ok(()),
            Self::Host(_) => form("it must be a dotted IPv4 address or a DNS name"),
            Self::Load(_) if text.bytes().all(is_load) => Ok(()),
            Self::Load(_) => form("it must be the name of an image, without its extension"),
            Self::Ipv4 if blank || text.parse::<Ipv4Addr>().is_ok() => Ok(()),
            Self::Ipv4 => form("it must be a dotted IPv4 address"),
            Self::Integer(low, high) if is_integer(text, *low, *high) => Ok(()),
            Self::Integer(low, high) => Err(Misfit::Form(format!("it must be {low} to {high}"))),
            Self::Enum(words) if words.iter().any(|w| w == text) => Ok(()),
            Self::Enum(words) => Err(Misfit::Form(one_of(text, words))),
        }
    }
}

fn one_of(text: &str, words: &[String]) -> String {
    match nearest(text, words.iter().map(String::as_str)) {
        Some(word) if word.len() > 1 => format!("did you mean `{word}`?"),
        _ => format!("it must be one of {}", words.join(", ")),
    }
}

fn range(text: &str) -> Option<(i64, i64)> {
    let (low, high) = text.split_once("..")?;
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high).then_some((low, high))
}

/// Decimal digits only (phones.md §2.7), a sign where the range has negative numbers.
fn is_integer(text: &str, low: i64, high: i64) -> bool {
    let digits = if low < 0 { text.strip_prefix('-').unwrap_or(text) } else { text };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain && text.parse::<i64>().is_ok_and(|n| (low..=high).contains(&n))
}

fn is_url(text: &str) -> bool {
    let host = text.strip_prefix("http://").unwrap_or_default();
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic())
}

fn is_host(text: &str) -> bool {
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric {
        return text.parse::<Ipv4Addr>().is_ok();
    }
    let label = |part: &str| {
        !part.is_empty()
            && part.len() < 64
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.split('.').all(label)
}

fn is_load(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether a text can be the name of a key.
pub(super) fn is_key(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Long(found, max) => {
                write!(f, "it has {found} characters, the phone takes at most {max}")
            }
            Self::Char(c) => write!(f, "the phone's file cannot carry {c:?}"),
            Self::Form(wanted) => f.write_str(wanted),
        }
    }
}
