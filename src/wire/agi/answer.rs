//! What Asterisk answers to a command.

use bytes::Bytes;

/// One answer. What `result` means depends on the command, and it is not always a number: GET DATA answers the
/// digits that were typed, as `*99`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// `200 result=… (data) …`.
    Done {
        /// The text behind `result=`, up to a blank.
        result: Bytes,
        /// Everything between the first ` (` and the last `)`.
        data: Option<Bytes>,
    },
    /// 510: there is no such command.
    Unknown,
    /// 511: not any more, the caller has hung up.
    Dead,
    /// 520: the arguments are wrong.
    Usage,
    /// Another code.
    Other(u16),
}

impl Answer {
    /// The result as a number; none where it is none, or another answer.
    pub fn number(&self) -> Option<i64> {
        let Self::Done { result, .. } = self else { return None };
        std::str::from_utf8(result).ok()?.parse().ok()
    }

    /// The digit that was typed, of WAIT FOR DIGIT and of what plays or says something: its code in ASCII, 0 for
    /// none.
    pub fn digit(&self) -> Option<char> {
        let code = u8::try_from(self.number()?).ok().map(char::from)?;
        matches!(code, '0'..='9' | '*' | '#' | 'A'..='D').then_some(code)
    }

    /// The value of a variable; none where there is no such variable.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Done { result, data } if &result[..] == b"1" => data.as_ref(),
            _ => None,
        }
    }

    /// `200 …` as a whole, without its `200 `; none while the data may go on behind the line's end.
    pub(super) fn done(rest: &Bytes) -> Option<Self> {
        let Some(value) = rest.strip_prefix(b"result=".as_slice()) else {
            return Some(Self::Other(200));
        };
        let base = rest.len() - value.len();
        let blank = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
        let result = rest.slice(base..base + blank);
        let Some(open) = value.windows(2).position(|two| two == b" (") else {
            return Some(Self::Done { result, data: None });
        };
        let close = value.iter().rposition(|b| *b == b')').filter(|close| *close >= open + 2)?;
        Some(Self::Done { result, data: Some(rest.slice(base + open + 2..base + close)) })
    }
}
