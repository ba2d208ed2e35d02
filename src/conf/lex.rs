//! Bytes → lines → live text and comments (reference: Asterisk's `main/config.c`).

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr;

use crate::base::{FileId, Span, Text};

/// `fgets` with a buffer of 8192 gives at most this many bytes at once.
const CHUNK: usize = 8191;

/// The deepest nesting of block comments; one more and Asterisk loops for ever.
const NEST: i32 = 128;

/// Columns and lines: the files are bounded far below 4 GiB.
pub(super) fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// One file and where in it a line stands.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) file: FileId,
    pub(super) bytes: &'a Arc<Bytes>,
    /// From 1.
    pub(super) number: u32,
    /// Offset of the physical line's first byte in the file.
    pub(super) start: usize,
}

impl Line<'_> {
    /// A part of this line.
    pub(super) fn span(self, columns: Range<usize>) -> Span {
        Span {
            file: self.file,
            line: self.number,
            start: narrow(columns.start),
            end: narrow(columns.end),
        }
    }
}

/// What Asterisk takes as one line.
pub(super) struct Chunk<'a> {
    pub(super) line: Line<'a>,
    /// Column of the first byte; not 0 only behind a NUL that split a very long line.
    pub(super) column: usize,
    /// Up to the line feed (with it) or to a NUL (without it); none when the line is too long.
    pub(super) text: Option<&'a [u8]>,
}

/// Cuts a file into chunks.
pub(super) struct Lexer<'a> {
    at: usize,
    line: Line<'a>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(file: FileId, bytes: &'a Arc<Bytes>) -> Self {
        Self { at: 0, line: Line { file, bytes, number: 1, start: 0 } }
    }

    /// The next buffer full, as C sees it: cut at a NUL.
    #[inline]
    fn fill(&mut self) -> Option<&'a [u8]> {
        let rest = self.line.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let window = &rest[..rest.len().min(CHUNK)];
        let feed = memchr(b'\n', window);
        let raw = &window[..feed.map_or(window.len(), |at| at + 1)];
        self.at += raw.len();
        if feed.is_some() {
            self.line.number += 1;
            self.line.start = self.at;
        }
        Some(&raw[..memchr(0, raw).unwrap_or(raw.len())])
    }
}

/// A chunk without a line feed that fills the buffer: the line is longer than Asterisk reads.
fn overflows(text: &[u8]) -> bool {
    text.len() == CHUNK && text.last() != Some(&b'\n')
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Chunk<'a>;

    // Called for each line: not to be copied through memory.
    #[inline]
    fn next(&mut self) -> Option<Chunk<'a>> {
        let (line, column) = (self.line, self.at - self.line.start);
        let text = self.fill()?;
        if overflows(text) {
            while self.fill().is_some_and(overflows) {}
            return Some(Chunk { line, column, text: None });
        }
        Some(Chunk { line, column, text: Some(text) })
    }
}

/// What of a line is live, and its comment.
#[derive(Default)]
pub(super) struct Scanned {
    /// Offsets of the live parts, joined without anything between; none when the line is hidden.
    pub(super) live: Option<Parts>,
    /// Offset of the `;` of the ordinary comment.
    pub(super) comment: Option<usize>,
}

/// One part without an allocation, more with one.
#[derive(Default)]
pub(super) struct Parts {
    first: Option<Range<usize>>,
    more: Vec<Range<usize>>,
}

impl Parts {
    fn push(&mut self, part: Range<usize>) {
        if part.is_empty() {
        } else if self.first.is_none() {
            self.first = Some(part);
        } else {
            self.more.push(part);
        }
    }
}

/// Asterisk would loop for ever here.
pub(super) struct Hang {
    /// Offset of the `;--` that is one too many.
    pub(super) at: usize,
}

/// The block comment counter, kept from line to line (and from file to file of one glob). It goes
/// below zero at a `--;` that closes nothing: everything is hidden then until a `;--`.
#[derive(Default)]
pub(super) struct Blocks {
    pub(super) depth: i32,
    /// Where the depth left 0.
    pub(super) since: Option<Span>,
}

impl Blocks {
    /// Whether all of a line is live: [`Blocks::scan`] would find nothing in it.
    pub(super) fn passes(&self, text: &[u8]) -> bool {
        self.depth == 0 && memchr(b';', text).is_none()
    }

    /// The left-to-right scan over the `;` of one line.
    pub(super) fn scan(&mut self, chunk: &Chunk<'_>, text: &[u8]) -> Result<Scanned, Hang> {
        let mut out = Scanned::default();
        let mut live = (self.depth == 0).then(Parts::default);
        // Where the live part being read began; none after a comment started.
        let mut open = live.is_some().then_some(0);
        let mut from = 0;
        while let Some(p) = position(text, from) {
            let before = &text[from..p];
            if before.ends_with(b"\\") {
                if let (Some(parts), Some(start)) = (&mut live, open) {
                    parts.push(start..p - 1);
                    open = Some(p);
                }
                from = p + 1;
            } else if opens(&text[p..]) {
                if self.depth >= NEST {
                    return Err(Hang { at: p });
                }
                close_part(&mut live, &mut open, p);
                self.shift(1, chunk, p);
                from = p + 3;
            } else if before.ends_with(b"--") {
                self.shift(-1, chunk, p);
                from = p + 1;
                if self.depth == 0 {
                    live.get_or_insert_default();
                    open = Some(from);
                }
            } else if self.depth == 0 {
                close_part(&mut live, &mut open, p);
                out.comment = live.is_some().then_some(p);
                break;
            } else {
                from = p + 1;
            }
        }
        close_part(&mut live, &mut open, text.len());
        out.live = live;
        Ok(out)
    }

    fn shift(&mut self, by: i32, chunk: &Chunk<'_>, at: usize) {
        if self.depth == 0 {
            let column = chunk.column + at;
            self.since = Some(chunk.line.span(column..column + 1));
        }
        self.depth = self.depth.saturating_add(by);
    }
}

fn position(text: &[u8], from: usize) -> Option<usize> {
    memchr(b';', &text[from..]).map(|at| from + at)
}

/// `;--` but not `;---`.
fn opens(text: &[u8]) -> bool {
    text.starts_with(b";--") && text.get(3) != Some(&b'-')
}

fn close_part(live: &mut Option<Parts>, open: &mut Option<usize>, end: usize) {
    if let (Some(parts), Some(start)) = (live, open.take()) {
        parts.push(start..end);
    }
}

/// The live text of one line together with the columns that its bytes come from.
#[derive(Default)]
pub(super) struct Joined {
    bytes: Vec<u8>,
    columns: Vec<u32>,
}

impl Joined {
    /// The live text as a view; it lives in `text` itself unless it had to be joined.
    pub(super) fn view<'a>(&'a mut self, text: &'a [u8], column: usize, parts: Parts) -> View<'a> {
        let first = parts.first.unwrap_or_default();
        if parts.more.is_empty() {
            let from = column + first.start;
            return View::of(&text[first], from);
        }
        self.bytes.clear();
        self.columns.clear();
        for part in std::iter::once(first).chain(parts.more) {
            self.columns.extend(part.clone().map(|at| narrow(column + at)));
            self.bytes.extend_from_slice(&text[part]);
        }
        View { bytes: &self.bytes, columns: Columns::Each(&self.columns) }
    }
}

/// A piece of live text that knows where it was written.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) bytes: &'a [u8],
    columns: Columns<'a>,
}

#[derive(Clone, Copy)]
enum Columns<'a> {
    From(usize),
    Each(&'a [u32]),
}

impl<'a> View<'a> {
    /// A text that stands in the line from this column on.
    pub(super) fn of(bytes: &'a [u8], column: usize) -> Self {
        Self { bytes, columns: Columns::From(column) }
    }

    pub(super) fn part(self, range: Range<usize>) -> Self {
        let columns = match self.columns {
            Columns::From(start) => Columns::From(start + range.start),
            Columns::Each(columns) => Columns::Each(&columns[range.clone()]),
        };
        View { bytes: &self.bytes[range], columns }
    }

    pub(super) fn from(self, start: usize) -> Self {
        self.part(start..self.bytes.len())
    }

    pub(super) fn find(self, byte: u8) -> Option<usize> {
        memchr(byte, self.bytes)
    }

    /// Without the bytes 1–32 at both ends.
    pub(super) fn trim(self) -> Self {
        let blank = |b: &u8| *b <= 32;
        let start = self.bytes.iter().position(|b| !blank(b)).unwrap_or(self.bytes.len());
        let end = self.bytes.iter().rposition(|b| !blank(b)).map_or(start, |at| at + 1);
        self.part(start..end)
    }

    /// The columns from the first to behind the last byte.
    fn columns(self) -> Option<Range<usize>> {
        match self.columns {
            _ if self.bytes.is_empty() => None,
            Columns::From(start) => Some(start..start + self.bytes.len()),
            Columns::Each(columns) => {
                Some(*columns.first()? as usize..*columns.last()? as usize + 1)
            }
        }
    }

    /// Where it was written; `empty` stands for nothing.
    pub(super) fn span(self, line: Line<'_>, empty: Span) -> Span {
        self.columns().map_or(empty, |columns| line.span(columns))
    }

    /// The text: a slice of the file wherever the bytes stand there as they are.
    pub(super) fn text(self, line: Line<'_>) -> Text {
        match self.columns() {
            None => Text::default(),
            Some(at) if at.len() == self.bytes.len() => {
                Text::part(line.bytes, line.start + at.start..line.start + at.end)
            }
            Some(_) => Text::from(self.bytes),
        }
    }
}
