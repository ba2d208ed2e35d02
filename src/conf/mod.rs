//! Asterisk's configuration language: bytes → lines → sections, exactly as Asterisk has them, with
//! what Asterisk throws away (comments, places) kept. Reading never fails: it gives a value and
//! diagnostics. No file is opened here; [`Files`] is handed in.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::base::{Code, Diagnostic, Sources, Span, Text};

mod codes;
pub mod edit;
mod entries;
mod ere;
mod filter;
mod fingerprint;
mod include;
mod items;
mod lex;
mod memory;
mod parse;
mod resolve;
pub mod show;

pub use entries::{Entries, Iter, Lineages};
pub use fingerprint::fingerprint;
pub use memory::{Memory, Overlay};

/// Every kind of message about the language.
pub static CODES: &[&Code] = codes::CODES;

/// Reads the configuration that begins with the file `top` as Asterisk does when `etc` is its
/// configuration directory; relative paths (of `top`, too) are relative to `etc`. What was read is
/// added to `sources`. At most 1000 files and 64 MiB are read.
pub fn read(top: &Path, etc: &Path, files: &mut dyn Files, sources: &mut Sources) -> Conf {
    read_as(Age::default(), top, etc, files, sources)
}

/// As [`read`], for an Asterisk of this age.
pub fn read_as(
    age: Age,
    top: &Path,
    etc: &Path,
    files: &mut dyn Files,
    sources: &mut Sources,
) -> Conf {
    include::read(age, top, etc, files, sources)
}

/// Which Asterisk reads. What else changed in the language since 13.31 and 16.8 nobody can see in its
/// sections.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Age {
    /// Before 18.22, 20.7 and 21.2: in the filter of a `(+…)`, `key=` with nothing behind it matches
    /// no section, and an `&` at its end does not count.
    Old,
    /// Since then: `key=` matches any value of the key, and behind an `&` at the end an empty pair
    /// follows, which matches nothing.
    #[default]
    New,
}

/// The files that a reading may ask for.
pub trait Files {
    /// The files that the argument of an `#include` names, in Asterisk's order. `pattern` is already
    /// absolute. Directories and other non-regular files are left out.
    fn expand(&mut self, pattern: &Path) -> Vec<PathBuf>;

    /// The content of one file.
    fn read(&mut self, path: &Path) -> io::Result<Bytes>;
}

impl Age {
    /// Of a version, such as 20 and 6 for 20.6.
    pub fn of(major: u32, minor: u32) -> Self {
        let first = match major {
            18 => 22,
            20 => 7,
            21 => 2,
            _ => 0,
        };
        if major < 18 || major == 19 || minor < first { Age::Old } else { Age::New }
    }
}

/// How Asterisk would take the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It loads what [`Conf::sections`] holds.
    Ok,
    /// It rejects the whole configuration and keeps what it had.
    Invalid,
    /// The top file cannot be read.
    Missing,
}

/// One configuration: the top file and everything that it includes.
#[derive(Clone, Debug)]
pub struct Conf {
    /// How Asterisk would take it.
    pub status: Status,
    /// The sections in Asterisk's order, templates too; empty unless the status is ok.
    pub sections: Vec<Section>,
    /// Every comment of a line that Asterisk reads, in order.
    pub comments: Vec<Comment>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// Some file of the closure was left half-way (an error in it, unreadable, or missing): Asterisk
    /// may have less than was meant. The guard holds on this.
    pub abandoned: bool,
    /// A live `#exec`: what Asterisk reads cannot be known. The guard holds on this.
    pub exec: bool,
}

/// A section as a reader of Asterisk's sees it.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name, untrimmed, cut to 79 bytes as Asterisk does.
    pub name: Text,
    /// Marked `(!)`: hidden from normal readers.
    pub template: bool,
    /// The names in its parentheses that it inherits from, in order.
    pub bases: Vec<Text>,
    /// The place of its header's name.
    pub span: Span,
    /// All values: inherited ones first, in order, repeats kept.
    pub entries: Entries,
}

/// One `name = value`.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name as written.
    pub name: Text,
    /// The value, trimmed, `\;` unescaped.
    pub value: Text,
    /// The place of the name.
    pub name_span: Span,
    /// The place of the value (of the line where it is empty).
    pub span: Span,
    /// Copied from a base.
    pub inherited: bool,
}

/// A comment and what it is tied to.
#[derive(Clone, Debug)]
pub struct Comment {
    /// From the `;` to the end of the line.
    pub span: Span,
    /// The text, with its `;`.
    pub text: Text,
    /// What it is tied to.
    pub place: Place,
}

/// What a comment is tied to; the numbers index [`Conf::sections`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// On the line of a section header: of this section (with `(+)`, the section appended to).
    Header(usize),
    /// On the line of a key: the section that receives the key.
    Key(usize),
    /// Alone on its line, and the next live line of the same file is a key of this section.
    BeforeKey(usize),
    /// Alone on its line, followed by a header, a directive or the end of the file.
    Alone,
    /// On the line of a directive.
    Directive,
}

impl Section {
    /// The last value of a key, compared without case: what most of Asterisk's readers use.
    pub fn last(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|e| e.name.is(key))
    }

    /// All values of a key, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |e| e.name.is(key))
    }
}

#[cfg(test)]
mod tests;
