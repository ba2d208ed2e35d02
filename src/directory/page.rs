//! The screens: the menu of services, the form to search, a page of the phone book. Names and places
//! of soft keys as these phones have them (phones.md §2.15).

use super::xml::Document;
use super::{Directory, Entry, Query, charset};
use crate::wire::http::encode;

/// Entries of one page: what is customary, and known to work (phones.md §2.15).
pub const PER_PAGE: usize = 32;

const TITLE: &str = "Phone book";

/// The menu behind the `services` key. `base` is where phones reach us: `http://192.0.2.1`.
pub fn services(base: &str) -> Vec<u8> {
    let mut page = Document::new();
    page.element("CiscoIPPhoneMenu", |page| {
        page.text("Title", "Services");
        page.text("Prompt", "Choose a service");
        for (name, path) in [(TITLE, "directory"), ("Search the phone book", "search")] {
            page.element("MenuItem", |page| {
                page.text("Name", name);
                page.text("URL", &format!("{base}/{path}"));
            });
        }
    });
    page.bytes()
}

/// The form to search by name or number. The phone adds what is typed to the URL.
pub fn search_form(base: &str) -> Vec<u8> {
    let mut page = Document::new();
    page.element("CiscoIPPhoneInput", |page| {
        page.text("Title", "Search");
        page.text("Prompt", "Enter a name or a number");
        page.text("URL", &format!("{base}/directory"));
        for (shown, key, flags) in [("Name", "name", "A"), ("Number", "number", "T")] {
            page.element("InputItem", |page| {
                page.text("DisplayName", shown);
                page.text("QueryStringParam", key);
                page.text("InputFlags", flags);
                page.text("DefaultValue", "");
            });
        }
    });
    page.bytes()
}

/// A page of the phone book, or of what was looked for in it.
pub fn book(directory: &Directory, query: &Query, base: &str) -> Vec<u8> {
    if !query.is_search() {
        return list(&Pages::new(directory.entries.len(), query), query, base, |shown| {
            directory.entries.get(shown).unwrap_or_default().iter().collect()
        });
    }
    let found = query.find(directory);
    list(&Pages::new(found.len(), query), query, base, |shown| {
        found.get(shown).unwrap_or_default().to_vec()
    })
}

/// Where a page stands among others.
struct Pages {
    all: usize,
    page: usize,
    last: usize,
}

impl Pages {
    fn new(all: usize, query: &Query) -> Self {
        let last = all.div_ceil(PER_PAGE).max(1);
        Self { all, page: query.page.clamp(1, last), last }
    }

    fn shown(&self) -> std::ops::Range<usize> {
        let begin = (self.page - 1) * PER_PAGE;
        begin..(begin + PER_PAGE).min(self.all)
    }
}

fn list<'a>(
    pages: &Pages,
    query: &Query,
    base: &str,
    entries: impl FnOnce(std::ops::Range<usize>) -> Vec<&'a Entry>,
) -> Vec<u8> {
    if pages.all == 0 {
        return nobody(query, base);
    }
    let mut page = Document::new();
    page.element("CiscoIPPhoneDirectory", |page| {
        let shown = pages.shown();
        page.text("Title", &title(query));
        page.text("Prompt", &format!("{} to {} of {}", shown.start + 1, shown.end, pages.all));
        for entry in entries(shown) {
            page.element("DirectoryEntry", |page| {
                page.text("Name", &entry.name);
                page.text("Telephone", &entry.number);
            });
        }
        let next = (pages.page < pages.last).then(|| link(query, base, pages.page + 1));
        let previous = (pages.page > 1).then(|| link(query, base, pages.page - 1));
        let keys = [
            ("Dial", 1, Some("SoftKey:Dial".to_owned())),
            ("Next", 2, next),
            ("Exit", 3, Some("SoftKey:Exit".to_owned())),
            ("Previous", 4, previous),
            ("EditDial", 5, Some("SoftKey:EditDial".to_owned())),
            ("Search", 6, Some(format!("{base}/search"))),
        ];
        for (name, position, url) in keys {
            url.iter().for_each(|url| soft_key(page, name, position, url));
        }
    });
    page.bytes()
}

/// Nobody fits.
fn nobody(query: &Query, base: &str) -> Vec<u8> {
    let mut page = Document::new();
    page.element("CiscoIPPhoneText", |page| {
        page.text("Title", &title(query));
        page.text("Prompt", "");
        let search = query.is_search();
        page.text("Text", if search { "Nobody was found." } else { "The phone book is empty." });
        soft_key(page, "Search", 1, &format!("{base}/search"));
        soft_key(page, "Exit", 3, "SoftKey:Exit");
    });
    page.bytes()
}

fn soft_key(page: &mut Document, name: &str, position: u8, url: &str) {
    page.element("SoftKeyItem", |page| {
        page.text("Name", name);
        page.text("URL", url);
        page.text("Position", &position.to_string());
    });
}

fn title(query: &Query) -> String {
    let words = [query.name.as_str(), query.number.as_str()];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    match words.is_empty() {
        true => TITLE.to_owned(),
        false => charset::shown(&format!("Search: {}", words.join(", ")), 32).text.into(),
    }
}

/// The same search at another page.
fn link(query: &Query, base: &str, page: usize) -> String {
    let mut url = format!("{base}/directory?page={page}");
    for (key, value) in [("name", &query.name), ("number", &query.number)] {
        if !value.is_empty() {
            url.push_str(&format!("&{key}={}", encode(value)));
        }
    }
    url
}
