//! Names as phones show them and as people look them up; numbers as they are dialled.

use any_ascii::any_ascii_char;

/// The longest number, characters.
const LONGEST_NUMBER: usize = 64;

/// A text in Latin-1.
pub(super) struct Shown {
    pub(super) text: Box<str>,
    /// It has other letters than the original.
    pub(super) replaced: bool,
}

/// The text with nothing but Latin-1 in it, blanks tidied up, at most `most` characters. What
/// Latin-1 lacks becomes the nearest ASCII: `Ł` is `L`, `Ж` is `Zh`.
pub(super) fn shown(text: &str, most: usize) -> Shown {
    let mut out = String::with_capacity(text.len());
    let mut replaced = false;
    for c in text.chars() {
        match c {
            '\0'..='\u{20}' | '\u{7f}'..='\u{a0}' => out.push(' '),
            '\u{ad}' => {}
            '\u{21}'..='\u{ff}' => out.push(c),
            c => {
                replaced = true;
                out.push_str(any_ascii_char(c));
            }
        }
    }
    let words: Vec<&str> = out.split(' ').filter(|word| !word.is_empty()).collect();
    let text: String = words.join(" ").chars().take(most).collect();
    Shown { text: text.trim_end().into(), replaced }
}

/// Base letters in lower case: `Ö` is `o`, `ß` is `ss`. What is not a letter or digit is a blank.
pub(super) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().flat_map(|c| any_ascii_char(c).chars()) {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => out.push(c),
            _ if out.ends_with(' ') || out.is_empty() => {}
            _ => out.push(' '),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The folded text with `ae`, `oe` and `ue` as one letter, so that Müller, Mueller and Muller meet.
pub(super) fn blend(folded: &str) -> String {
    folded.replace("ae", "a").replace("oe", "o").replace("ue", "u")
}

/// A number without what people write for the eye (`+49 (30) 12-34`); an address that is no number
/// stays as it is. Empty when a phone could not dial it.
pub(super) fn dialled(number: &str) -> Box<str> {
    let number = number.trim();
    let number = number.strip_prefix("tel:").unwrap_or(number);
    let digit = |c: char| c.is_ascii_digit() || "+*#".contains(c);
    let for_the_eye = |c: char| " ()-./\u{a0}".contains(c);
    if number.chars().all(|c| digit(c) || for_the_eye(c)) {
        return number.chars().filter(|c| digit(*c)).take(LONGEST_NUMBER).collect();
    }
    let fits = number.len() <= LONGEST_NUMBER && number.bytes().all(|b| b.is_ascii_graphic());
    if fits { number.into() } else { "".into() }
}
