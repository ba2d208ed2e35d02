//! A connection's bytes, in whatever pieces they come, become a prelude, answers, and the word that the caller has
//! hung up.

use bytes::{Bytes, BytesMut};

use super::{Answer, Prelude};

/// Bytes of a line at most. A function's value is at most 1023 bytes, a caller's name a few hundred.
const LINE_MAX: usize = 16 * 1024;
/// Lines and bytes of the prelude at most: 22 lines and up to 127 arguments.
const PRELUDE_LINES: usize = 192;
const PRELUDE_BYTES: usize = 64 * 1024;
/// Lines and bytes of one answer at most: a usage has some twenty lines.
const ANSWER_LINES: usize = 128;
const ANSWER_BYTES: usize = 64 * 1024;

/// What Asterisk sent next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// The prelude is over. Comes once, first.
    Begun(Prelude),
    /// The caller has hung up. The answer to the last command follows all the same, most times.
    Hangup,
    /// The answer to the oldest command that has none.
    Answer(Answer),
}

/// This is no FastAGI, or more than anybody needs; the connection is of no use any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    /// It does not begin with `agi_network: yes`.
    #[error("it does not speak FastAGI")]
    Foreign,
    /// A line, the prelude, or an answer is too long.
    #[error("it sends too much")]
    TooMuch,
}

/// Cuts a connection's bytes into [`Item`]s. Holds one line, and one prelude or answer, at most: empty it with
/// [`Reader::next`] after every [`Reader::push`].
///
/// An answer cannot be told from a variable that holds `)`, a line end, and what looks like an answer: so
/// ask for no variable that a stranger may fill.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    /// Bytes of `buffer` that are known to hold no line feed.
    scanned: usize,
    stage: Stage,
    lines: usize,
    bytes: usize,
    broken: Option<Broken>,
}

#[derive(Debug)]
enum Stage {
    Prelude(Box<Prelude>),
    Idle,
    /// A value with line ends in it.
    Value(BytesMut),
    /// The lines of `520-…`, up to the one that begins with these four bytes.
    Block(u16, [u8; 4]),
}

impl Default for Stage {
    fn default() -> Self {
        Self::Prelude(Box::default())
    }
}

impl Reader {
    /// Takes in what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// What is complete; none until more arrives.
    ///
    /// # Errors
    /// When the connection is of no use any more; ever after the same.
    #[allow(clippy::should_implement_trait, reason = "a failure is for good, an iterator's is not")]
    pub fn next(&mut self) -> Result<Option<Item>, Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let found = self.search();
        if let Err(broken) = found {
            (self.broken, self.buffer) = (Some(broken), BytesMut::new());
        }
        found
    }

    fn search(&mut self) -> Result<Option<Item>, Broken> {
        while let Some(line) = self.line()? {
            self.lines += 1;
            self.bytes += line.len();
            let item = match &mut self.stage {
                Stage::Prelude(_) => self.prelude(&line)?,
                _ => self.answer(&line)?,
            };
            if item.is_some() {
                return Ok(item);
            }
        }
        Ok(None)
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> Result<Option<Bytes>, Broken> {
        let Some(at) = self.buffer[self.scanned..].iter().position(|b| *b == b'\n') else {
            self.scanned = self.buffer.len();
            return if self.scanned > LINE_MAX { Err(Broken::TooMuch) } else { Ok(None) };
        };
        let end = self.scanned + at;
        self.scanned = 0;
        if end > LINE_MAX {
            return Err(Broken::TooMuch);
        }
        let line = self.buffer.split_to(end + 1).freeze();
        Ok(Some(line.slice(..end)))
    }

    fn prelude(&mut self, line: &Bytes) -> Result<Option<Item>, Broken> {
        if self.lines == 1 && &line[..] != b"agi_network: yes" {
            return Err(Broken::Foreign);
        }
        if self.lines > PRELUDE_LINES || self.bytes > PRELUDE_BYTES {
            return Err(Broken::TooMuch);
        }
        let Stage::Prelude(prelude) = &mut self.stage else { return Ok(None) };
        if !line.is_empty() {
            prelude.line(line);
            return Ok(None);
        }
        let whole = std::mem::take(prelude);
        self.rest();
        Ok(Some(Item::Begun(*whole)))
    }

    /// Nothing is half read.
    fn rest(&mut self) {
        (self.stage, self.lines, self.bytes) = (Stage::Idle, 0, 0);
    }

    fn answer(&mut self, line: &Bytes) -> Result<Option<Item>, Broken> {
        if self.lines > ANSWER_LINES || self.bytes > ANSWER_BYTES {
            return Err(Broken::TooMuch);
        }
        let done = match &mut self.stage {
            Stage::Value(value) => {
                value.extend_from_slice(b"\n");
                value.extend_from_slice(line);
                Answer::done(&value.clone().freeze())
            }
            Stage::Block(code, end) => line.starts_with(end).then(|| coded(*code)),
            Stage::Idle | Stage::Prelude(_) => {
                if &line[..] == b"HANGUP" {
                    self.rest();
                    return Ok(Some(Item::Hangup));
                }
                return Ok(self.fresh(line).map(Item::Answer));
            }
        };
        if done.is_some() {
            self.rest();
        }
        Ok(done.map(Item::Answer))
    }

    /// The first line of an answer. One that has no code is not for us.
    fn fresh(&mut self, line: &Bytes) -> Option<Answer> {
        let code = line.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit));
        let code = code.and_then(|code| std::str::from_utf8(code).ok()?.parse::<u16>().ok());
        let answer = match (code, line.get(3)) {
            (Some(200), Some(b' ')) => {
                let rest = line.slice(4..);
                let done = Answer::done(&rest);
                if done.is_none() {
                    self.stage = Stage::Value(BytesMut::from(&rest[..]));
                    return None;
                }
                done
            }
            (Some(code), Some(b'-')) => {
                self.stage = Stage::Block(code, [line[0], line[1], line[2], b' ']);
                return None;
            }
            (Some(code), Some(b' ') | None) => Some(coded(code)),
            _ => None,
        };
        self.rest();
        answer
    }
}

fn coded(code: u16) -> Answer {
    match code {
        510 => Answer::Unknown,
        511 => Answer::Dead,
        520 => Answer::Usage,
        other => Answer::Other(other),
    }
}
