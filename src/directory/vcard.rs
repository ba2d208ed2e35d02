//! vCards 2.1, 3.0 and 4.0 (RFC 2426, RFC 6350): names and telephone numbers.

use super::Found;
use crate::base::text::Text;

/// Numbers of one card at most.
const NUMBERS: usize = 20;

#[derive(Default)]
struct Card {
    line: u32,
    shown: String,
    parts: String,
    /// Number and kind.
    numbers: Vec<(String, &'static str)>,
}

/// Each number of each card is an entry of its own; several of one card are told apart by their kind.
pub(super) fn read(bytes: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut card: Option<Card> = None;
    for (line, text) in unfolded(bytes) {
        let Some((head, value)) = text.split_once(':') else { continue };
        let mut parameters = head.split(';');
        let property = parameters.next().unwrap_or_default();
        let property = property.rsplit('.').next().unwrap_or_default().to_ascii_uppercase();
        let parameters = parameters.collect::<Vec<_>>().join(";").to_ascii_lowercase();
        match (property.as_str(), &mut card) {
            ("BEGIN", _) => card = Some(Card { line, ..Card::default() }),
            ("END", card) => found.extend(card.take().into_iter().flat_map(entries)),
            ("FN", Some(card)) => card.shown = plain(value, &parameters),
            ("N", Some(card)) => card.parts = name(value, &parameters),
            ("TEL", Some(card)) if card.numbers.len() < NUMBERS => {
                card.numbers.push((plain(value, &parameters), kind(&parameters)));
            }
            _ => {}
        }
    }
    found
}

fn entries(card: Card) -> Vec<Found> {
    let name = if card.shown.trim().is_empty() { card.parts } else { card.shown };
    let several = card.numbers.len() > 1;
    let mut numbers = card.numbers;
    if numbers.is_empty() {
        numbers.push((String::new(), ""));
    }
    let entry = |(number, kind): (String, &str)| {
        let name = match (several, kind) {
            (true, kind) if !kind.is_empty() => format!("{name} ({kind})"),
            _ => name.clone(),
        };
        Found { name, number, line: card.line }
    };
    numbers.into_iter().map(entry).collect()
}

/// What a number is for, from its parameters.
fn kind(parameters: &str) -> &'static str {
    let words = || parameters.split([';', ',', '=', '"']);
    let kinds = [("cell", "mobile"), ("fax", "fax"), ("home", "home"), ("work", "work")];
    let known = kinds.into_iter().find(|(word, _)| words().any(|w| w == *word));
    known.map_or("", |(_, kind)| kind)
}

/// `N:Family;Given;…` as it is shown.
fn name(value: &str, parameters: &str) -> String {
    let value = quoted_printable(value, parameters);
    let parts = split(&value);
    let part = |at: usize| parts.get(at).map(|part| part.trim()).filter(|part| !part.is_empty());
    part(1).into_iter().chain(part(0)).collect::<Vec<_>>().join(" ")
}

fn plain(value: &str, parameters: &str) -> String {
    split(&quoted_printable(value, parameters)).join(";")
}

/// Parts between semicolons, with `\;`, `\,`, `\\` and `\n` taken apart.
fn split(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            ';' => {
                parts.push(String::new());
                continue;
            }
            '\\' => match chars.next() {
                Some('n' | 'N') => ' ',
                Some(c) => c,
                None => break,
            },
            c => c,
        };
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// vCard 2.1 writes what is not ASCII as `=C3=BC`.
fn quoted_printable(value: &str, parameters: &str) -> String {
    if !parameters.contains("quoted-printable") {
        return value.to_owned();
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match escaped.filter(|_| *first == b'=') {
            Some(byte) => {
                bytes.push(byte);
                after.get(2..).unwrap_or_default()
            }
            None => {
                bytes.push(*first);
                after
            }
        };
    }
    Text::new(bytes).chars().into_owned()
}

/// The lines with those that continue them, and their numbers from 1. A line continues the one
/// before when it begins with a blank, or when that one is quoted-printable and ends in `=`.
fn unfolded(bytes: &[u8]) -> Vec<(u32, String)> {
    let text = Text::from(bytes);
    let mut lines: Vec<(u32, String)> = Vec::new();
    for (number, line) in (1_u32..).zip(text.chars().split('\n')) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some((_, last)) = lines.last_mut() {
            if let Some(more) = line.strip_prefix([' ', '\t']) {
                last.push_str(more);
                continue;
            }
            if last.ends_with('=') && last.to_ascii_lowercase().contains("quoted-printable") {
                last.pop();
                last.push_str(line);
                continue;
            }
        }
        lines.push((number, line.to_owned()));
    }
    lines
}
