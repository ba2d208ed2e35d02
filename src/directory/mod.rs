//! The phone book: names and numbers of the peers and of a file, sorted, searched, and as the XML
//! that these phones show (phones.md §2.15). Pure: the HTTP service gives the query and sends the
//! bytes.

mod charset;
mod csv;
mod page;
mod search;
mod vcard;
mod xml;

#[cfg(test)]
mod tests;

pub use page::{PER_PAGE, book, search_form, services};
pub use search::Query;

use std::net::IpAddr;
use std::sync::Arc;

use crate::base::{Code, Diagnostic, FileId, Span};
use crate::model::peer::Peer;

/// Every code of this module.
pub static CODES: &[&Code] = &[&ENTRY, &CHARACTERS, &FULL];

static ENTRY: Code = Code {
    id: "H0701",
    title: "an entry of the phone book is not shown",
    explain: "An entry of the phone book's file needs a name and a number. CSV: a heading that names \
              the columns (as Name,Number), or the name first and the number second. vCard: FN or N, \
              and TEL.",
};

static CHARACTERS: Code = Code {
    id: "H0702",
    title: "a name has characters that phones lack",
    explain: "These phones show Latin-1, which has the letters of western Europe. Names with other \
              characters are shown with the nearest ones. Nothing has to be done.",
};

static FULL: Code = Code {
    id: "H0703",
    title: "the phone book is full",
    explain: "The phone book takes 50,000 entries. What is beyond is not shown.",
};

/// Entries of a phone book at most.
pub const MOST: usize = 50_000;

/// Messages about entries of one file at most; one more counts the rest.
const MESSAGES: usize = 20;

/// One entry as it is shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// The name as sorting and searching see it: base letters in lower case.
    key: Box<str>,
    /// The name, Latin-1 only, at most 64 characters.
    pub name: Box<str>,
    /// What is dialled.
    pub number: Box<str>,
}

/// The whole phone book, sorted by name, and the address under which phones reach it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Directory {
    /// `server_address` as decided; none as long as it is not.
    pub server: Option<IpAddr>,
    /// Sorted by name as people look names up: without case, umlauts beside their base letters.
    pub entries: Vec<Entry>,
}

/// A name and a number as they were found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Any text.
    pub name: String,
    /// As people write numbers.
    pub number: String,
    /// Where the name stands.
    pub place: Option<Span>,
}

/// The peers with a caller's name and number, tagged or not.
pub fn of_peers(peers: &[Arc<Peer>]) -> impl Iterator<Item = Listed> {
    let listed = |peer: &Arc<Peer>| Listed {
        name: peer.caller.name.clone(),
        number: peer.caller.number.clone(),
        place: peer.places.caller.0.or(Some(peer.name.span)),
    };
    let whole = |peer: &&Arc<Peer>| !peer.caller.name.is_empty() && !peer.caller.number.is_empty();
    peers.iter().filter(whole).map(listed)
}

/// The entries of a file: vCards when it begins like one, else CSV. UTF-8, else Latin-1.
pub fn of_file(bytes: &[u8], file: FileId) -> (Vec<Listed>, Vec<Diagnostic>) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = bytes.trim_ascii_start();
    let card = start.get(..11).is_some_and(|start| start.eq_ignore_ascii_case(b"BEGIN:VCARD"));
    let found = if card { vcard::read(bytes) } else { csv::read(bytes) };
    let mut listed = Vec::new();
    let mut said = Vec::new();
    let mut more = 0_usize;
    for Found { name, number, line } in found {
        let place = Some(Span { file, line, start: 0, end: 0 });
        let missing = match (name.trim().is_empty(), number.trim().is_empty()) {
            (true, true) => continue,
            (true, false) => "has no name",
            (false, true) => "has no number",
            (false, false) if listed.len() < MOST => {
                listed.push(Listed { name, number, place });
                continue;
            }
            (false, false) => "is one too many",
        };
        if said.len() < MESSAGES {
            let text = format!("this entry {missing}: it is not shown");
            said.push(Diagnostic::warning(&ENTRY, text).at(Span { file, line, start: 0, end: 0 }));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        let text = format!("{more} more entries of this file are not shown");
        said.push(Diagnostic::warning(&ENTRY, text).at(Span::whole(file)));
    }
    (listed, said)
}

/// What a reader of files finds.
struct Found {
    name: String,
    number: String,
    /// The line that it begins on, from 1.
    line: u32,
}

impl Directory {
    /// Sorts; the same name with the same number stands once. Names that phones cannot show are
    /// reported together, in one note.
    pub fn new(
        server: Option<IpAddr>,
        listed: impl IntoIterator<Item = Listed>,
    ) -> (Self, Vec<Diagnostic>) {
        let mut entries = Vec::new();
        let mut changed: Option<(Listed, Box<str>)> = None;
        let (mut changes, mut beyond) = (0_usize, 0_usize);
        for one in listed {
            let name = charset::shown(&one.name, LONGEST_NAME);
            let number = charset::dialled(&one.number);
            if name.text.is_empty() || number.is_empty() {
                continue;
            }
            if entries.len() >= MOST {
                beyond += 1;
                continue;
            }
            let key = charset::fold(&name.text).into();
            entries.push(Entry { key, name: name.text.clone(), number });
            if name.replaced {
                changes += 1;
                changed.get_or_insert((one, name.text));
            }
        }
        entries.sort_unstable();
        entries.dedup();
        entries.shrink_to_fit();
        let full = (beyond > 0).then(|| {
            let text = format!("the phone book is full: {beyond} entries are not shown");
            Diagnostic::warning(&FULL, text)
        });
        let said = full.into_iter().chain(changed.map(|(one, name)| note(&one, &name, changes)));
        (Self { server, entries }, said.collect())
    }
}

/// A name is cut behind so many characters (phones.md §2.15 has it of menus; a line of the display
/// holds some twenty).
const LONGEST_NAME: usize = 64;

fn note(first: &Listed, shown: &str, all: usize) -> Diagnostic {
    let others = match all {
        1 => String::new(),
        2 => ", and one more likewise".to_owned(),
        n => format!(", and {} more likewise", n - 1),
    };
    let text = format!("phones show {:?} as {shown:?} in the phone book{others}", first.name);
    let note = Diagnostic::note(&CHARACTERS, text);
    match first.place {
        Some(place) => note.at(place),
        None => note,
    }
}
