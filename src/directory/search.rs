//! What somebody looks for in the phone book.

use super::charset::{blend, fold, shown};
use super::{Directory, Entry};

/// What is typed is cut behind so many characters: it comes back inside URLs, which must stay short.
const LONGEST: usize = 16;

/// A search, and the page of its result.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Query {
    /// What names shall match, as typed.
    pub name: String,
    /// What numbers shall hold, as typed.
    pub number: String,
    /// From 1; whatever is beyond the last page is the last.
    pub page: usize,
}

impl Query {
    /// Reads the pairs `name`, `number` and `page` of a URL's query; the last one of a name counts.
    /// What stays of them is what phones can show, and reads as the same again.
    pub fn read(pairs: &[(String, String)]) -> Self {
        let get = |name: &str| {
            let value = pairs.iter().rev().find(|(key, _)| key == name);
            value.map(|(_, value)| value.trim()).unwrap_or_default()
        };
        let number = get("number").chars().filter(char::is_ascii_graphic);
        Self {
            name: shown(get("name"), LONGEST).text.into(),
            number: number.take(LONGEST).collect(),
            page: get("page").parse().unwrap_or(1).max(1),
        }
    }

    /// Whether anything is looked for.
    pub fn is_search(&self) -> bool {
        !self.name.is_empty() || !self.number.is_empty()
    }

    /// The entries that fit, in order: each word begins a word of the name, with umlauts however
    /// they are typed, or stands inside of one; the number holds the digits.
    pub fn find<'a>(&self, directory: &'a Directory) -> Vec<&'a Entry> {
        let folded = fold(&self.name);
        let words: Vec<(&str, String)> =
            folded.split(' ').filter(|w| !w.is_empty()).map(|w| (w, blend(w))).collect();
        let unreadable = words.is_empty() && !self.name.is_empty();
        let named = |entry: &Entry| {
            // Most words begin with another letter: those need no blending.
            let begins = |blended: &str| {
                let like = |w: &&str| w.as_bytes().first() == blended.as_bytes().first();
                entry.key.split(' ').filter(like).any(|w| blend(w).starts_with(blended))
            };
            words.iter().all(|(word, blended)| entry.key.contains(word) || begins(blended))
        };
        let digits: String = self.number.chars().filter(|c| !" ()-./".contains(*c)).collect();
        let numbered = |entry: &Entry| entry.number.contains(&digits);
        let all = directory.entries.iter();
        all.filter(|entry| !unreadable && numbered(entry) && named(entry)).collect()
    }
}
