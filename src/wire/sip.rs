//! The little of SIP (RFC 3261) that a question to a registrar needs: OPTIONS, a REGISTER that changes
//! nothing, and what comes back. Over UDP, without transactions: who asks repeats and waits.

pub mod notify;

use std::net::SocketAddr;

/// The longest answer that is read, bytes: no datagram is longer.
pub const MAX_ANSWER: usize = 65_535;

/// More header lines of an answer are not read.
const LINES_MAX: usize = 256;

/// A request without a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question<'a> {
    /// `OPTIONS` or `REGISTER`.
    pub method: &'a str,
    /// The account, none for a question to the server itself.
    pub user: Option<&'a str>,
    /// Whom it is asked.
    pub server: SocketAddr,
    /// Where the answer is awaited.
    pub local: SocketAddr,
    /// Unique for the asker: makes branch, tag and Call-ID.
    pub id: u64,
    /// The number of the request within its Call-ID.
    pub number: u32,
}

impl Question<'_> {
    /// The address that it is about.
    pub fn uri(&self) -> String {
        format!("sip:{}", self.server)
    }

    /// Its Call-ID.
    pub fn call(&self) -> String {
        format!("{:016x}@{}", self.id, self.local.ip())
    }

    /// The bytes to send. A REGISTER has neither Contact nor Expires: it asks for the bindings and leaves
    /// them as they are (RFC 3261 §10.2.3). `authorization` is a line of [`authorize`].
    pub fn encode(&self, authorization: Option<&str>) -> Vec<u8> {
        let Self { method, local, id, number, .. } = self;
        let who = self.user.map(|user| format!("{}@", escape(user))).unwrap_or_default();
        let (uri, server, call) = (self.uri(), self.server, self.call());
        let to = format!("<sip:{who}{server}>");
        let target = if *method == "REGISTER" { uri } else { format!("sip:{who}{server}") };
        let authorization = authorization.map(|line| format!("{line}\r\n")).unwrap_or_default();
        format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{id:016x}{number}\r\n\
             Max-Forwards: 70\r\n\
             From: {from};tag={id:016x}\r\n\
             To: {to}\r\n\
             Call-ID: {call}\r\n\
             CSeq: {number} {method}\r\n\
             User-Agent: handset doctor\r\n\
             {authorization}Content-Length: 0\r\n\r\n",
            from = if self.user.is_some() { to.clone() } else { format!("<sip:handset@{local}>") },
        )
        .into_bytes()
    }
}

/// The user part of an address: what is not unreserved is written in hexadecimal (RFC 3261 §25.1).
fn escape(user: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(b);
    user.bytes()
        .map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// 100 to 699.
    pub code: u16,
    /// For people: printable ASCII, short.
    pub reason: String,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// Reads a datagram; none when it is no answer.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let text: String = datagram.iter().take(MAX_ANSWER).map(|b| char::from(*b)).collect();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let mut lines = head.split("\r\n");
        let (code, reason) = status(lines.next()?)?;
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines.take(LINES_MAX) {
            match (line.starts_with([' ', '\t']), headers.last_mut()) {
                (true, Some((_, value))) => *value += &format!(" {}", line.trim()),
                _ => headers.extend(line.split_once(':').map(|(name, value)| {
                    (name.trim().to_ascii_lowercase(), value.trim().to_owned())
                })),
            }
        }
        Some(Self { code, reason, headers })
    }

    /// The values of a header; `name` is in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether it answers this question.
    pub fn is_to(&self, question: &Question<'_>) -> bool {
        let number = format!("{} {}", question.number, question.method);
        let call = question.call();
        let ours = |call_id: &str| call_id == call;
        (self.all("call-id").any(ours) || self.all("i").any(ours))
            && self.all("cseq").any(|c| c.split_whitespace().eq(number.split(' ')))
    }

    /// The challenge that can be met: Digest with MD5.
    pub fn challenge(&self) -> Option<Challenge> {
        let own = self.all("www-authenticate").map(|value| (value, "Authorization"));
        let proxy = self.all("proxy-authenticate").map(|value| (value, "Proxy-Authorization"));
        own.chain(proxy).find_map(|(value, header)| Challenge::parse(value, header))
    }
}

/// `SIP/2.0 200 OK`.
fn status(line: &str) -> Option<(u16, String)> {
    let rest = line.strip_prefix("SIP/2.0 ")?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let code = code.parse().ok().filter(|code| (100..700).contains(code))?;
    let shown = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    Some((code, reason.chars().take(80).map(shown).collect()))
}

/// What a registrar wants to have proved (RFC 2617).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    header: &'static str,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// `qop=auth` is offered.
    qop: bool,
}

impl Challenge {
    fn parse(value: &str, header: &'static str) -> Option<Self> {
        let (scheme, rest) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let all = parameters(rest);
        let get = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        if get("algorithm").is_some_and(|a| !a.eq_ignore_ascii_case("md5")) {
            return None;
        }
        let qop = get("qop").map(|all| all.split(',').any(|q| q.trim() == "auth"));
        let (realm, nonce) = (get("realm")?, get("nonce")?);
        Some(Self { header, realm, nonce, opaque: get("opaque"), qop: qop.unwrap_or(false) })
    }

    /// What it is for.
    pub fn realm(&self) -> &str {
        &self.realm
    }
}

/// `name=value, name="value"`; a backslash takes the meaning from a byte within quotes.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let name: String = std::iter::from_fn(|| chars.next_if(|c| *c != '=')).collect();
        chars.next();
        let mut value = String::new();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            match c {
                '"' => quoted = !quoted,
                '\\' if quoted => value.extend(chars.next()),
                ',' if !quoted => break,
                c => value.push(c),
            }
        }
        found.push((name.trim_matches([' ', ',']).to_ascii_lowercase(), value.trim().to_owned()));
    }
    found
}

/// Who says that he is it.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The digest user name.
    pub user: &'a str,
    /// Its password.
    pub secret: &'a str,
    /// Any text that is new each time.
    pub cnonce: &'a str,
}

/// The header line that meets a challenge. Holds no password, only its digest.
pub fn authorize(challenge: &Challenge, login: Login<'_>, method: &str, uri: &str) -> String {
    let Challenge { header, realm, nonce, opaque, qop } = challenge;
    let Login { user, secret, cnonce } = login;
    let one = md5(&format!("{user}:{realm}:{secret}"));
    let two = md5(&format!("{method}:{uri}"));
    let (response, more) = match qop {
        true => (
            md5(&format!("{one}:{nonce}:00000001:{cnonce}:auth:{two}")),
            format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""),
        ),
        false => (md5(&format!("{one}:{nonce}:{two}")), String::new()),
    };
    let opaque = opaque.as_ref().map(|o| format!(", opaque={}", quote(o))).unwrap_or_default();
    format!(
        "{header}: Digest username={}, realm={}, nonce={}, uri=\"{uri}\", response=\"{response}\", \
         algorithm=MD5{more}{opaque}",
        quote(user),
        quote(realm),
        quote(nonce),
    )
}

fn md5(text: &str) -> String {
    format!("{:x}", md5::compute(text))
}

/// A quoted string; a line break in it would be another header.
fn quote(text: &str) -> String {
    let inner: String = text
        .chars()
        .filter(|c| !c.is_control())
        .flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
        .collect();
    format!("\"{inner}\"")
}

#[cfg(test)]
mod tests;
