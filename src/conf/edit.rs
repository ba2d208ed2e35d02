//! Writing a comment onto one line and taking it away again: bytes in, bytes out, and every byte
//! outside that comment stays what it was.
//!
//! A line's end (LF, CR LF or none), trailing blanks and what stands behind a NUL stay behind the
//! comment. What the change means for Asterisk is not judged here: read the result again.

use std::ops::Range;

use super::lex::narrow;

/// Opens the block that hides an older comment, and closes it. The `;` of the older comment makes the
/// opening recognisable.
const WRAP: (&[u8], &[u8]) = (b";--", b" --;");

/// A file with one line changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edited {
    /// All of it.
    pub bytes: Vec<u8>,
    /// The comment's columns in its line; empty where it was taken away.
    pub columns: Range<u32>,
}

/// The bytes of a line (counted from 1) in the file, without its line feed; none beyond the end.
pub fn line(file: &[u8], number: u32) -> Option<Range<usize>> {
    let nth = (number as usize).checked_sub(1)?;
    let mut start = 0;
    for _ in 0..nth {
        start += file[start..].iter().position(|b| *b == b'\n')? + 1;
    }
    let len = file[start..].iter().position(|b| *b == b'\n').unwrap_or(file.len() - start);
    Some(start..start + len)
}

/// Where the text of a line ends that Asterisk sees: before a NUL, before trailing blanks.
fn end(line: &[u8]) -> usize {
    let text = line.split(|b| *b == 0).next().unwrap_or_default();
    text.iter().rposition(|b| *b > 32).map_or(0, |last| last + 1)
}

/// Replaces columns of a line.
fn splice(file: &[u8], number: u32, columns: Range<usize>, parts: &[&[u8]]) -> Option<Edited> {
    let at = line(file, number)?;
    if columns.start > columns.end || columns.end > at.len() {
        return None;
    }
    let (head, tail) = (&file[..at.start + columns.start], &file[at.start + columns.end..]);
    let middle = parts.concat();
    let last = parts.last().map_or(0, |part| part.len());
    let end = columns.start + middle.len();
    let bytes = [head, &middle, tail].concat();
    Some(Edited { bytes, columns: narrow(end - last)..narrow(end) })
}

/// Puts a comment (from its `;`) behind the text of a line, one blank between; none when there is no
/// such line, or when [`remove`] would take more away than was put there.
pub fn append(file: &[u8], number: u32, comment: &[u8]) -> Option<Edited> {
    let text = &file[line(file, number)?];
    let end = end(text);
    if end == 0 || wrapped(&text[..end]).is_some() {
        return None;
    }
    splice(file, number, end..end, &[b" ", comment])
}

/// The same on a line with an ordinary comment that begins at the column `older`: that one becomes a
/// block comment, `; text` → `;--; text --; ;MAC=…`. None when there is no such line, or when the
/// older comment would break out of its block.
pub fn append_behind(file: &[u8], number: u32, older: u32, comment: &[u8]) -> Option<Edited> {
    let (at, older) = (line(file, number)?, older as usize);
    let text = &file[at][..];
    let end = end(text);
    let body = text.get(older..end)?;
    if body.first() != Some(&b';') || marks(body) {
        return None;
    }
    splice(file, number, older..end, &[WRAP.0, body, WRAP.1, b" ", comment])
}

/// Whether a text holds what opens or closes a block comment.
fn marks(text: &[u8]) -> bool {
    text.windows(3).any(|three| three == b"--;" || three == b";--")
}

/// Writes another comment in the place of the one with these columns.
pub fn replace(file: &[u8], number: u32, columns: Range<u32>, comment: &[u8]) -> Option<Edited> {
    let columns = trimmed(file, number, columns)?;
    splice(file, number, columns, &[comment])
}

/// Takes the comment with these columns away, with the blanks before it; an older comment that
/// [`append_behind`] wrapped is unwrapped; a line that held nothing else goes as a whole.
pub fn remove(file: &[u8], number: u32, columns: Range<u32>) -> Option<Edited> {
    let at = line(file, number)?;
    let columns = trimmed(file, number, columns)?;
    let before = &file[at.clone()][..columns.start];
    let kept = before.iter().rposition(|b| *b > 32).map_or(0, |last| last + 1);
    if kept == 0 {
        let behind = (at.end + 1).min(file.len());
        let bytes = [&file[..at.start], &file[behind..]].concat();
        return Some(Edited { bytes, columns: 0..0 });
    }
    if let Some(open) = wrapped(&before[..kept]) {
        let older = &before[open + WRAP.0.len()..kept - WRAP.1.len()];
        return splice(file, number, open..columns.end, &[older, b""]);
    }
    splice(file, number, kept..columns.end, &[b""])
}

/// Where the wrapping begins that ends at the end of `text`.
fn wrapped(text: &[u8]) -> Option<usize> {
    let inner = text.strip_suffix(WRAP.1)?;
    let open = inner.windows(3).rposition(|three| three == WRAP.0)?;
    let body = &inner[open + WRAP.0.len()..];
    (body.first() == Some(&b';') && !marks(body)).then_some(open)
}

/// Without blanks at the end, which belong to the line.
fn trimmed(file: &[u8], number: u32, columns: Range<u32>) -> Option<Range<usize>> {
    let at = line(file, number)?;
    let columns = columns.start as usize..columns.end as usize;
    let text = file[at].get(columns.clone())?;
    Some(columns.start..columns.start + end(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: &[u8] = b";MAC=1";

    fn column(file: &str, text: &str) -> Range<u32> {
        let start = file.find(text).expect("the text");
        narrow(start)..narrow(start + text.len())
    }

    #[track_caller]
    fn check(edited: Option<Edited>, expected: &str) -> Edited {
        let edited = edited.expect("an edit");
        assert_eq!(
            edited.bytes.escape_ascii().to_string(),
            expected.as_bytes().escape_ascii().to_string()
        );
        edited
    }

    #[track_caller]
    fn check_append(file: &str, line: u32, expected: &str) {
        let edited = check(append(file.as_bytes(), line, MAC), expected);
        let back = remove(&edited.bytes, line, edited.columns).expect("an edit");
        assert_eq!(back.bytes, file.as_bytes());
    }

    #[test]
    fn a_comment_goes_behind_the_text_and_before_the_end_of_the_line() {
        check_append("[a]\nk=1\n", 1, "[a] ;MAC=1\nk=1\n");
        check_append("[a]\r\nk=1\r\n", 1, "[a] ;MAC=1\r\nk=1\r\n");
        check_append("[a]\nk=1", 2, "[a]\nk=1 ;MAC=1");
        check_append("x\n[a] \t \r\n", 2, "x\n[a] ;MAC=1 \t \r\n");
        check_append("[a]\0 junk\n", 1, "[a] ;MAC=1\0 junk\n");
        check_append("\t[a]\tjunk\n", 1, "\t[a]\tjunk ;MAC=1\n");
        for (file, line) in [("[a]\n", 3), ("[a]\n\t\n", 2), ("[a] ;--; x --;\n", 1)] {
            assert_eq!(append(file.as_bytes(), line, MAC), None);
        }
    }

    #[track_caller]
    fn check_behind(file: &str, older: u32, expected: Option<&str>) {
        let edited = append_behind(file.as_bytes(), 1, older, MAC);
        let Some(expected) = expected else { return assert_eq!(edited, None) };
        let edited = check(edited, expected);
        let back = remove(&edited.bytes, 1, edited.columns).expect("an edit");
        assert_eq!(back.bytes, file.as_bytes());
    }

    #[test]
    fn an_older_comment_is_wrapped_and_unwrapped() {
        check_behind("[a] ; desk\r\nk=1\r\n", 4, Some("[a] ;--; desk --; ;MAC=1\r\nk=1\r\n"));
        check_behind("[a];", 3, Some("[a];--; --; ;MAC=1"));
        check_behind("[a] ; x ;y  ", 4, Some("[a] ;--; x ;y --; ;MAC=1  "));
        check_behind("[a] ; x --;", 4, None);
        check_behind("[a] ; x ;-- y", 4, None);
        check_behind("[a] ;---", 4, None);
        check_behind("[a]", 1, None);
    }

    #[test]
    fn a_comment_is_taken_away_with_the_blanks_before_it() {
        let file = "[a](t)  \t ;MAC=1  \r\n";
        check(remove(file.as_bytes(), 1, column(file, ";MAC=1  \r")), "[a](t)  \r\n");
        let file = "[a];MAC=1";
        check(remove(file.as_bytes(), 1, column(file, ";MAC=1")), "[a]");
    }

    #[test]
    fn a_block_comment_of_the_users_own_stays() {
        let file = "[a] ;-- mine --; ;MAC=1\n";
        check(remove(file.as_bytes(), 1, column(file, ";MAC=1")), "[a] ;-- mine --;\n");
    }

    #[test]
    fn a_line_of_its_own_goes_whole() {
        for (file, expected) in
            [("[a]\n  ;MAC=1\r\nk=1\n", "[a]\nk=1\n"), ("[a]\n  ;MAC=1", "[a]\n")]
        {
            check(remove(file.as_bytes(), 2, 2..8), expected);
        }
    }

    #[test]
    fn a_comment_is_replaced_where_it_stands() {
        let file = "[a]\t;MAC=2  \r\n";
        let edited = check(replace(file.as_bytes(), 1, 4..12, b";MAC=31"), "[a]\t;MAC=31  \r\n");
        assert_eq!(edited.columns, 4..11);
    }

    #[test]
    fn columns_that_do_not_exist_change_nothing() {
        for columns in [0..9, 9..12] {
            assert_eq!(replace(b"[a]\nk=1", 1, columns.clone(), MAC), None);
            assert_eq!(remove(b"[a]\nk=1", 1, columns), None);
        }
        assert_eq!((line(b"", 1), line(b"", 0), line(b"", 2)), (Some(0..0), None, None));
    }
}
