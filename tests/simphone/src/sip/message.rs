//! SIP messages as text (RFC 3261), no more than a phone needs.

/// The first line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Request { method: String, uri: String },
    Response { status: u16 },
}

/// One datagram; header names are kept in their long form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) start: Start,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

const COMPACT: &[(&str, &str)] = &[
    ("v", "Via"),
    ("f", "From"),
    ("t", "To"),
    ("i", "Call-ID"),
    ("m", "Contact"),
    ("l", "Content-Length"),
    ("c", "Content-Type"),
    ("o", "Event"),
];

impl Message {
    /// Reads a datagram; `None` for what is no SIP message.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let split = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = std::str::from_utf8(bytes.get(..split)?).ok()?;
        let body = bytes.get(split + 4..)?.to_vec();
        let mut lines = head.split("\r\n");
        let start = parse_start(lines.next()?)?;
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            match headers.last_mut() {
                Some((_, value)) if line.starts_with([' ', '\t']) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                _ => {
                    let (name, value) = line.split_once(':')?;
                    headers.push((long_name(name.trim()), value.trim().to_owned()));
                }
            }
        }
        Some(Self { start, headers, body })
    }

    /// The value of the first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The values of every header of that name, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The method, for a request.
    pub(crate) fn method(&self) -> Option<&str> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The number and the method of CSeq.
    pub(crate) fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.header("CSeq")?.split_once(char::is_whitespace)?;
        Some((number.parse().ok()?, method.trim()))
    }

    /// The transaction: the branch of the topmost Via.
    pub(crate) fn branch(&self) -> Option<&str> {
        parameter(self.header("Via")?, "branch")
    }

    /// The answer to this request: Via, From, To (with `tag`), Call-ID and CSeq are copied.
    pub(crate) fn answer(
        &self,
        status: u16,
        tag: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Vec<u8> {
        let mut out = format!("SIP/2.0 {status} {}\r\n", reason(status));
        for via in self.all("Via") {
            out += &format!("Via: {via}\r\n");
        }
        out += &format!("From: {}\r\n", self.header("From").unwrap_or_default());
        let to = self.header("To").unwrap_or_default();
        match parameter(to, "tag") {
            None if status > 100 => out += &format!("To: {to};tag={tag}\r\n"),
            _ => out += &format!("To: {to}\r\n"),
        }
        for name in ["Call-ID", "CSeq"] {
            out += &format!("{name}: {}\r\n", self.header(name).unwrap_or_default());
        }
        finish(out, more, body)
    }
}

/// A request with these headers, in this order.
pub(crate) fn request(method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    finish(format!("{method} {uri} SIP/2.0\r\n"), headers, body)
}

fn finish(mut out: String, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    for (name, value) in headers {
        out += &format!("{name}: {value}\r\n");
    }
    out += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    out.into_bytes()
}

fn parse_start(line: &str) -> Option<Start> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        return Some(Start::Response { status: rest.get(..3)?.parse().ok()? });
    }
    let (method, rest) = line.split_once(' ')?;
    let uri = rest.strip_suffix(" SIP/2.0")?.trim();
    Some(Start::Request { method: method.to_owned(), uri: uri.to_owned() })
}

fn long_name(name: &str) -> String {
    let found = COMPACT.iter().find(|(short, _)| short.eq_ignore_ascii_case(name));
    found.map_or(name, |(_, long)| long).to_owned()
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        489 => "Bad Event",
        _ => "Not Implemented",
    }
}

/// The URI of a From, To or Contact value, with or without angle brackets.
pub(crate) fn uri_of(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => value.split(';').next().unwrap_or_default().trim(),
    }
}

/// The user part of a SIP URI.
pub(crate) fn user_of(uri: &str) -> Option<&str> {
    let rest = uri.strip_prefix("sip:")?;
    let (user, _) = rest.split_once('@')?;
    let user = user.split([';', ':']).next()?;
    (!user.is_empty()).then_some(user)
}

/// A header parameter, looked for behind the angle brackets.
pub(crate) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let tail = value.rsplit_once('>').map_or(value, |(_, tail)| tail);
    tail.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::{Message, Start, parameter, uri_of, user_of};

    const NOTIFY: &str = "NOTIFY sip:201@127.0.0.5:5060;user=phone SIP/2.0\r\n\
        v: SIP/2.0/UDP 127.0.0.1:25616;branch=z9hG4bK6f\r\n\
        From: \"asterisk\" <sip:asterisk@127.0.0.1>;tag=as7c\r\n\
        To: <sip:201@127.0.0.5>\r\nSubject: a\r\n b\r\nCSeq: 102 NOTIFY\r\no: check-sync\r\n\r\nx";

    #[test]
    fn compact_names_folded_lines_and_the_body_are_read() {
        let message = Message::parse(NOTIFY.as_bytes()).unwrap();
        assert_eq!(message.method(), Some("NOTIFY"));
        assert_eq!(message.branch(), Some("z9hG4bK6f"));
        assert_eq!(message.header("event"), Some("check-sync"));
        assert_eq!(message.header("Subject"), Some("a b"));
        assert_eq!(message.cseq(), Some((102, "NOTIFY")));
        assert_eq!(message.body, b"x");
    }

    #[test]
    fn an_answer_copies_what_makes_the_transaction_and_adds_a_tag_once() {
        let message = Message::parse(NOTIFY.as_bytes()).unwrap();
        let answer = Message::parse(&message.answer(200, "t1", &[], "")).unwrap();
        assert_eq!(answer.start, Start::Response { status: 200 });
        assert_eq!(answer.branch(), Some("z9hG4bK6f"));
        assert_eq!(parameter(answer.header("To").unwrap(), "tag"), Some("t1"));
        assert_eq!(answer.cseq(), Some((102, "NOTIFY")));
        let inside = NOTIFY.replace("To: <sip:201@127.0.0.5>", "To: <sip:201@127.0.0.5>;tag=x");
        let again = Message::parse(inside.as_bytes()).unwrap().answer(200, "t1", &[], "");
        assert!(!String::from_utf8(again).unwrap().contains("tag=t1"));
    }

    #[test]
    fn users_and_uris_are_found_with_and_without_brackets() {
        assert_eq!(uri_of("Ada <sip:1@h;x=y>;tag=2"), "sip:1@h;x=y");
        assert_eq!(uri_of("sip:1@h;tag=2"), "sip:1@h");
        assert_eq!(user_of("sip:201@h:5060;user=phone"), Some("201"));
        assert_eq!(user_of("sip:h:5060"), None);
        assert_eq!(user_of("sip:@h"), None);
    }

    #[test]
    fn what_is_no_message_is_none() {
        for bytes in
            ["", "\r\n\r\n", "X\r\n\r\n", "SIP/2.0 2\r\n\r\n", "A b SIP/2.0\r\nnocolon\r\n\r\n"]
        {
            assert_eq!(Message::parse(bytes.as_bytes()), None, "{bytes:?}");
        }
        assert_eq!(Message::parse(b"\xff SIP/2.0\r\n\r\n"), None);
    }
}
