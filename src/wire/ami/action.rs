//! What we send. AMI has no escaping: a line break inside a value would be another header, so
//! every name and value is checked before anything is written.

use std::fmt;

/// The longest line that Asterisk reads, in bytes without CR LF.
pub const LINE_MAX: usize = 1022;

/// The most lines that Asterisk reads in one action.
pub const LINES_MAX: usize = 128;

/// Why an action cannot be sent. Names the header, never the value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// CR, LF or NUL in the value, or a name that is no name.
    #[error("{0} holds a line break or a zero byte")]
    Forbidden(String),
    /// The line has more than [`LINE_MAX`] bytes.
    #[error("{0} is too long for one line of an AMI action")]
    TooLong(String),
    /// More than [`LINES_MAX`] lines.
    #[error("an AMI action has at most {LINES_MAX} lines")]
    TooMany,
}

/// One action being written.
#[derive(Clone, PartialEq, Eq)]
pub struct Action {
    bytes: Vec<u8>,
    lines: usize,
    error: Option<BadHeader>,
}

/// Actions can hold secrets: only the number of lines is printed.
impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Action({} lines)", self.lines)
    }
}

impl Action {
    /// An action with the id that its answer will carry.
    pub fn new(name: &str, id: &str) -> Self {
        let empty = Self { bytes: Vec::new(), lines: 0, error: None };
        empty.with("Action", name).with("ActionID", id)
    }

    /// Adds a header. The first problem is told by [`Action::encode`].
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.lines += 1;
        let problem = if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
        {
            Some(BadHeader::Forbidden("a header's name".into()))
        } else if value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            Some(BadHeader::Forbidden(name.into()))
        } else if name.len() + 2 + value.len() > LINE_MAX {
            Some(BadHeader::TooLong(name.into()))
        } else {
            (self.lines > LINES_MAX).then_some(BadHeader::TooMany)
        };
        if problem.is_none() && self.error.is_none() {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                self.bytes.extend_from_slice(part);
            }
        }
        self.error = self.error.or(problem);
        self
    }

    /// The bytes to send.
    ///
    /// # Errors
    /// The first header that cannot be sent.
    pub fn encode(mut self) -> Result<Vec<u8>, BadHeader> {
        self.bytes.extend_from_slice(b"\r\n");
        self.error.map_or(Ok(self.bytes), Err)
    }
}

/// The `Key` of an MD5 login: what proves the secret without sending it.
pub fn login_key(challenge: &[u8], secret: &str) -> String {
    format!("{:x}", md5::compute([challenge, secret.as_bytes()].concat()))
}

/// The value of a `Variable` header, protected from being split: chan_sip cuts the value at
/// commas, and quotes, parentheses and brackets group; a backslash takes the meaning from any byte.
pub fn variable(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = format!("{name}=").into_bytes();
    for byte in value.bytes() {
        if matches!(byte, b'\\' | b',' | b'"' | b'(' | b')' | b'[' | b']') {
            bytes.push(b'\\');
        }
        bytes.push(byte);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, expected: Result<&str, BadHeader>) {
        let bytes = Action::new("X", "1").with(name, value).encode();
        let expected = expected.map(|line| format!("Action: X\r\nActionID: 1\r\n{line}\r\n\r\n"));
        assert_eq!(bytes.map(|b| String::from_utf8(b).unwrap()), expected);
    }

    #[test]
    fn headers_are_lines() {
        check("Peer", "a b", Ok("Peer: a b"));
    }

    #[test]
    fn nothing_can_inject_a_header() {
        for evil in ["201\r\nAction: Reload", "201\nX: y", "201\rX: y", "2\0"] {
            check("Peer", evil, Err(BadHeader::Forbidden("Peer".into())));
        }
        check("Pe\ner", "x", Err(BadHeader::Forbidden("a header's name".into())));
        check("Pe: er", "x", Err(BadHeader::Forbidden("a header's name".into())));
    }

    #[test]
    fn lines_are_as_long_as_asterisk_reads() {
        let longest = "x".repeat(LINE_MAX - "Peer: ".len());
        check("Peer", &longest, Ok(&format!("Peer: {longest}")));
        check("Peer", &format!("{longest}x"), Err(BadHeader::TooLong("Peer".into())));
    }

    #[test]
    fn an_action_has_at_most_128_lines() {
        let lines = |n| (0..n).fold(Action::new("X", "1"), |action, _| action.with("V", "a=b"));
        assert!(lines(126).encode().is_ok());
        assert_eq!(lines(127).encode(), Err(BadHeader::TooMany));
    }

    #[test]
    fn the_login_key_is_the_one_that_asterisk_accepted() {
        // transcripts challenge.rsp and login-md5.req
        assert_eq!(login_key(b"143759729", "lab-secret"), "4e700a67e82bd8b0f916b1de3f4c1015");
    }

    #[test]
    fn variables_survive_the_splitting() {
        assert_eq!(variable("Event", "check-sync;reboot=true"), b"Event=check-sync;reboot=true");
        assert_eq!(variable("E", r#"a,b\"(c)[d]"#), br#"E=a\,b\\\"\(c\)\[d\]"#);
    }

    #[test]
    fn an_action_prints_no_value() {
        let action = Action::new("Login", "1").with("Secret", "geheim");
        assert_eq!(format!("{action:?}"), "Action(3 lines)");
    }
}
