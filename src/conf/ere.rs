//! POSIX extended regular expressions as `(+name=value)` can hold them: a header's options end at
//! the first `)` and split at `,`, so there are no groups and no `{m,n}`. Searching is unanchored,
//! byte by byte, as glibc does in the C locale, and its work is counted.

/// A compiled expression: alternatives of sequences.
pub(super) struct Ere(Vec<Vec<Piece>>);

/// The fuel ran out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

struct Piece {
    atom: Atom,
    /// From the innermost: at least, at most.
    repeats: Vec<(u32, Option<u32>)>,
}

enum Atom {
    Set(Box<[bool; 256]>),
    Edge(Edge),
}

#[derive(Clone, Copy)]
enum Edge {
    Start,
    End,
    Boundary,
    Inside,
    WordStart,
    WordEnd,
}

/// Repeats of repeats of … more than this are refused; nobody writes two.
const STACKED: usize = 16;

impl Ere {
    /// Compiles; none for what glibc's `regcomp` refuses.
    pub(super) fn new(text: &[u8]) -> Option<Self> {
        let mut alternatives = vec![Vec::new()];
        let mut rest = text;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            let atom = match byte {
                b'|' => {
                    alternatives.push(Vec::new());
                    continue;
                }
                b'(' | b'*' | b'+' | b'?' | b'{' => return None,
                b'^' => Atom::Edge(Edge::Start),
                b'$' => Atom::Edge(Edge::End),
                b'.' => set(|_| true),
                b'[' => bracket(&mut rest)?,
                b'\\' => {
                    let (escaped, tail) = rest.split_first()?;
                    rest = tail;
                    escape(*escaped)?
                }
                _ => set(|b| b == byte),
            };
            let repeats = match atom {
                Atom::Edge(_) => Vec::new(),
                Atom::Set(_) => repeats(&mut rest)?,
            };
            alternatives.last_mut()?.push(Piece { atom, repeats });
        }
        Some(Self(alternatives))
    }

    /// Whether it matches anywhere in `text`; every step costs fuel.
    pub(super) fn search(&self, text: &[u8], fuel: &mut u64) -> Result<bool, Exhausted> {
        for pieces in &self.0 {
            let mut reached = vec![true; text.len() + 1];
            for piece in pieces {
                reached = step(piece, piece.repeats.len(), &reached, text, fuel)?;
            }
            if reached.contains(&true) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn set(holds: impl Fn(u8) -> bool) -> Atom {
    let mut all = Box::new([false; 256]);
    for byte in 0..=u8::MAX {
        all[usize::from(byte)] = holds(byte);
    }
    Atom::Set(all)
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// GNU's escapes; a back-reference has nothing to refer to.
fn escape(byte: u8) -> Option<Atom> {
    Some(match byte {
        b'w' => set(word),
        b'W' => set(|b| !word(b)),
        b's' => set(blank),
        b'S' => set(|b| !blank(b)),
        b'b' => Atom::Edge(Edge::Boundary),
        b'B' => Atom::Edge(Edge::Inside),
        b'<' => Atom::Edge(Edge::WordStart),
        b'>' => Atom::Edge(Edge::WordEnd),
        b'`' => Atom::Edge(Edge::Start),
        b'\'' => Atom::Edge(Edge::End),
        b'1'..=b'9' => return None,
        _ => set(|b| b == byte),
    })
}

fn repeats(rest: &mut &[u8]) -> Option<Vec<(u32, Option<u32>)>> {
    let mut out = Vec::new();
    while let Some((&byte, tail)) = rest.split_first() {
        let repeat = match byte {
            b'*' => (0, None),
            b'+' => (1, None),
            b'?' => (0, Some(1)),
            b'{' => {
                let end = tail.iter().position(|b| *b == b'}')?;
                let digits = std::str::from_utf8(&tail[..end]).ok()?;
                let count =
                    digits.parse().ok().filter(|n| *n <= 0x7fff && !digits.starts_with('+'));
                *rest = &tail[end..];
                (count?, count)
            }
            _ => break,
        };
        *rest = &rest[1..];
        if out.last() != Some(&repeat) || repeat.1 == Some(repeat.0) {
            out.push(repeat);
        }
        if out.len() > STACKED {
            return None;
        }
    }
    Some(out)
}

/// `[…]` behind its `[`.
fn bracket(rest: &mut &[u8]) -> Option<Atom> {
    let mut all = Box::new([false; 256]);
    let negated = rest.first() == Some(&b'^');
    let mut text = &rest[usize::from(negated)..];
    let mut first = true;
    loop {
        let (&byte, tail) = text.split_first()?;
        if byte == b']' && !first {
            *rest = tail;
            break;
        }
        first = false;
        if text.starts_with(b"[:") {
            let end = tail.windows(2).position(|pair| pair == b":]")?;
            let holds = class(tail.get(1..end)?)?;
            (0..=u8::MAX).filter(|b| holds(*b)).for_each(|b| all[usize::from(b)] = true);
            text = &tail[end + 2..];
            continue;
        }
        let low = element(&mut text)?;
        let mut high = low;
        if text.first() == Some(&b'-') && text.get(1).is_some_and(|b| *b != b']') {
            text = &text[1..];
            high = element(&mut text)?;
        }
        if low > high {
            return None;
        }
        (low..=high).for_each(|b| all[usize::from(b)] = true);
    }
    if negated {
        all.iter_mut().for_each(|b| *b = !*b);
    }
    Some(Atom::Set(all))
}

/// One byte, or `[.x.]`, or `[=x=]`.
fn element(text: &mut &[u8]) -> Option<u8> {
    match **text {
        [b'[', open @ (b'.' | b'='), byte, close, b']', ..] if open == close => {
            *text = &text[5..];
            Some(byte)
        }
        [b'[', b'.' | b'=', ..] => None,
        [byte, ..] => {
            *text = &text[1..];
            Some(byte)
        }
        [] => None,
    }
}

fn class(name: &[u8]) -> Option<fn(u8) -> bool> {
    Some(match name {
        b"alpha" => |b| b.is_ascii_alphabetic(),
        b"digit" => |b| b.is_ascii_digit(),
        b"alnum" => |b| b.is_ascii_alphanumeric(),
        b"upper" => |b| b.is_ascii_uppercase(),
        b"lower" => |b| b.is_ascii_lowercase(),
        b"space" => blank,
        b"blank" => |b| b == b' ' || b == b'\t',
        b"punct" => |b| b.is_ascii_punctuation(),
        b"print" => |b| (32..127).contains(&b),
        b"graph" => |b| b.is_ascii_graphic(),
        b"cntrl" => |b| b.is_ascii_control(),
        b"xdigit" => |b| b.is_ascii_hexdigit(),
        _ => return None,
    })
}

/// The positions that `piece` with its first `depth` repeats leads to from `start`.
fn step(
    piece: &Piece,
    depth: usize,
    start: &[bool],
    text: &[u8],
    fuel: &mut u64,
) -> Result<Vec<bool>, Exhausted> {
    *fuel = fuel.checked_sub(start.len() as u64).ok_or(Exhausted)?;
    let Some(inner) = depth.checked_sub(1) else { return Ok(once(&piece.atom, start, text)) };
    let (least, most) = piece.repeats[inner];
    let mut now = start.to_vec();
    for _ in 0..least {
        let next = step(piece, inner, &now, text, fuel)?;
        if next == now {
            break;
        }
        now = next;
    }
    let mut all = now.clone();
    for _ in least..most.unwrap_or(u32::MAX) {
        now = step(piece, inner, &now, text, fuel)?;
        let mut grown = false;
        for (into, from) in all.iter_mut().zip(&now) {
            grown |= *from && !*into;
            *into |= *from;
        }
        if !grown {
            break;
        }
    }
    Ok(all)
}

fn once(atom: &Atom, start: &[bool], text: &[u8]) -> Vec<bool> {
    match atom {
        Atom::Set(set) => {
            let moved = text.iter().zip(start).map(|(b, from)| *from && set[usize::from(*b)]);
            std::iter::once(false).chain(moved).collect()
        }
        Atom::Edge(edge) => {
            start.iter().enumerate().map(|(at, from)| *from && holds(*edge, text, at)).collect()
        }
    }
}

fn holds(edge: Edge, text: &[u8], at: usize) -> bool {
    let before = at > 0 && word(text[at - 1]);
    let after = text.get(at).is_some_and(|b| word(*b));
    match edge {
        Edge::Start => at == 0,
        Edge::End => at == text.len(),
        Edge::Boundary => before != after,
        Edge::Inside => before == after,
        Edge::WordStart => !before && after,
        Edge::WordEnd => before && !after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ere: &str, hits: &[&str], misses: &[&str]) {
        let ere = Ere::new(ere.as_bytes()).expect("compiles");
        for (text, expected) in
            hits.iter().map(|t| (t, true)).chain(misses.iter().map(|t| (t, false)))
        {
            assert_eq!(ere.search(text.as_bytes(), &mut 1_000_000), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn searches_anywhere_unless_anchored() {
        check("end", &["endpoint", "the end"], &["END", "en", ""]);
        check("^end$", &["end"], &["endpoint", "the end"]);
        check("", &["", "x"], &[]);
        check("a|^b|", &["", "xb"], &[]);
    }

    #[test]
    fn repeats_as_posix_does() {
        check("^ab*c$", &["ac", "abbbc"], &["abb"]);
        check("^ab+c?$", &["ab", "abbc"], &["a", "ac"]);
        check("^a{3}$", &["aaa"], &["aa", "aaaa"]);
        check("^a{2}{3}$", &["aaaaaa"], &["aaaa", "aaaaa"]);
        check("^a{2}*$", &["", "aa", "aaaa"], &["aaa"]);
    }

    #[test]
    fn knows_brackets_classes_and_gnu_escapes() {
        check("^[]a-c^]+$", &["]", "abc^"], &["d"]);
        check("^[^[:digit:]x]$", &["a"], &["1", "x"]);
        check("^[a-]$", &["a", "-"], &["b"]);
        check(r"\.\w\s", &[".a "], &["xa "]);
        check(r"\<pe", &["a peer"], &["hope"]);
    }

    #[test]
    fn refuses_what_regcomp_refuses() {
        for text in
            ["*a", "a|*", "(a", "[a", "[b-a]", "[[:no:]]", "a{", "a{99999}", "\\", "\\1", "^*"]
        {
            assert!(Ere::new(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn stops_when_the_fuel_is_gone() {
        let ere = Ere::new(b"a{32767}?{32767}").expect("compiles");
        assert_eq!(ere.search(&[b'a'; 8000], &mut 1_000_000), Err(Exhausted));
    }
}
