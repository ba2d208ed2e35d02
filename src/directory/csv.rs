//! CSV as spreadsheets write it: commas, semicolons or tabs, quotes doubled inside of quotes, with a
//! heading or without.

use super::Found;
use crate::base::text::Text;

/// Words of a heading, in lower case.
const WHOLE: [&str; 5] = ["full name", "fullname", "display name", "displayname", "fn"];
const GIVEN: [&str; 4] = ["first name", "firstname", "given name", "vorname"];
const FAMILY: [&str; 5] = ["last name", "lastname", "surname", "family name", "nachname"];
const NUMBERS: [&str; 12] = [
    "number",
    "phone",
    "telephone",
    "tel",
    "phone number",
    "extension",
    "ext",
    "telefon",
    "nummer",
    "rufnummer",
    "telefonnummer",
    "durchwahl",
];

/// Which column is which.
struct Columns {
    name: Vec<usize>,
    number: usize,
}

pub(super) fn read(bytes: &[u8]) -> Vec<Found> {
    let text = Text::from(bytes);
    let text = text.chars();
    let mark = delimiter(&text);
    let mut rows = Rows { rest: &text, line: 1, mark }.peekable();
    let heading = rows.peek().and_then(|(_, cells)| heading(cells));
    let skipped = usize::from(heading.is_some());
    let columns = heading.unwrap_or(Columns { name: vec![0], number: 1 });
    let found = |(line, cells): (u32, Vec<String>)| {
        let cell = |at: &usize| cells.get(*at).map(|cell| cell.trim()).unwrap_or_default();
        let name: Vec<&str> = columns.name.iter().map(cell).filter(|c| !c.is_empty()).collect();
        Found { name: name.join(" "), number: cell(&columns.number).to_owned(), line }
    };
    rows.skip(skipped).map(found).collect()
}

/// The mark that the first line has most of, a comma where it has none.
fn delimiter(text: &str) -> char {
    let first = text.lines().next().unwrap_or_default();
    let count = |mark: char| first.matches(mark).count();
    [',', ';', '\t'].into_iter().rev().max_by_key(|mark| count(*mark)).unwrap_or(',')
}

fn heading(cells: &[String]) -> Option<Columns> {
    let find = |words: &[&str]| {
        let is = |cell: &String| words.iter().any(|word| cell.trim().to_lowercase() == *word);
        cells.iter().position(is)
    };
    let name = match find(&WHOLE) {
        Some(whole) => vec![whole],
        // Beside a given name, `Name` is the family's.
        None => find(&GIVEN).into_iter().chain(find(&FAMILY).or(find(&["name"]))).collect(),
    };
    let number = find(&NUMBERS)?;
    (!name.is_empty()).then_some(Columns { name, number })
}

/// The rows with the lines that they begin on.
struct Rows<'a> {
    rest: &'a str,
    line: u32,
    mark: char,
}

impl Iterator for Rows<'_> {
    type Item = (u32, Vec<String>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let begin = self.line;
        let mut cells = Vec::new();
        loop {
            let (cell, end) = self.cell();
            // Nobody has so many columns.
            if cells.len() < 64 {
                cells.push(cell);
            }
            if end != Some(self.mark) {
                return Some((begin, cells));
            }
        }
    }
}

impl Rows<'_> {
    /// One cell, and what ended it: the mark, a line feed, or nothing at the end of the file.
    fn cell(&mut self) -> (String, Option<char>) {
        let mut cell = String::new();
        let mut quoted = false;
        let mut chars = self.rest.chars();
        let end = loop {
            match chars.next() {
                None => break None,
                Some('"') if quoted && chars.as_str().starts_with('"') => {
                    chars.next();
                    cell.push('"');
                }
                Some('"') if quoted => quoted = false,
                Some('"') if cell.trim().is_empty() => {
                    quoted = true;
                    cell.clear();
                }
                Some(c) if !quoted && (c == self.mark || c == '\n') => break Some(c),
                Some(c) => {
                    self.line += u32::from(c == '\n');
                    cell.push(c);
                }
            }
        };
        self.line += u32::from(end == Some('\n'));
        self.rest = chars.as_str();
        (cell, end)
    }
}
