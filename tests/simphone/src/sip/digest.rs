//! Digest authentication (RFC 2617): MD5, with `qop=auth` and without.

/// What a 401 or 407 asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    qop: bool,
}

impl Challenge {
    /// Reads a `WWW-Authenticate` or `Proxy-Authenticate` value; `None` for another scheme or
    /// algorithm.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(char::is_whitespace)?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let mut out = Self::default();
        for (name, value) in parts(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => out.realm = value,
                "nonce" => out.nonce = value,
                "opaque" => out.opaque = Some(value),
                "qop" => out.qop = value.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")),
                "algorithm" if !value.eq_ignore_ascii_case("MD5") => return None,
                _ => {}
            }
        }
        (!out.nonce.is_empty()).then_some(out)
    }

    /// The `Authorization` value for one request.
    pub(crate) fn answer(
        &self,
        who: &Credentials<'_>,
        method: &str,
        uri: &str,
        cnonce: &str,
    ) -> String {
        let Self { realm, nonce, .. } = self;
        let secret = hex(&format!("{}:{realm}:{}", who.user, who.password));
        let asked = hex(&format!("{method}:{uri}"));
        let response = if self.qop {
            hex(&format!("{secret}:{nonce}:00000001:{cnonce}:auth:{asked}"))
        } else {
            hex(&format!("{secret}:{nonce}:{asked}"))
        };
        let mut out = format!(
            "Digest username=\"{}\",realm=\"{realm}\",uri=\"{uri}\",response=\"{response}\",\
             nonce=\"{nonce}\"",
            who.user
        );
        if self.qop {
            out += &format!(",cnonce=\"{cnonce}\",qop=auth,nc=00000001");
        }
        if let Some(opaque) = &self.opaque {
            out += &format!(",opaque=\"{opaque}\"");
        }
        out + ",algorithm=MD5"
    }
}

/// A line's user and password.
pub(crate) struct Credentials<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

pub(crate) fn hex(text: &str) -> String {
    format!("{:x}", md5::compute(text))
}

/// Splits `a="b, c", d=e` at the commas outside of quotes.
fn parts(text: &str) -> Vec<(String, String)> {
    let mut quoted = false;
    text.split(|c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .filter_map(|part| part.split_once('='))
    .map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{Challenge, Credentials};

    fn response(challenge: &str) -> String {
        let who = Credentials { user: "Mufasa", password: "Circle Of Life" };
        let challenge = Challenge::parse(challenge).unwrap();
        let answer = challenge.answer(&who, "GET", "/dir/index.html", "0a4f113b");
        answer.split_once("response=\"").unwrap().1[..32].to_owned()
    }

    #[test]
    fn the_example_of_rfc_2617_comes_out() {
        let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        assert_eq!(response(challenge), "6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn without_qop_the_older_form_is_sent() {
        let challenge = "Digest realm=\"testrealm@host.com\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", algorithm=MD5";
        assert_eq!(response(challenge), "670fd8c2df070c60b045671b8b24ff02");
    }

    #[test]
    fn other_schemes_are_not_answered() {
        assert_eq!(Challenge::parse("Basic realm=\"x\""), None);
        assert_eq!(Challenge::parse("Digest realm=\"x\",nonce=\"y\",algorithm=SHA-256"), None);
        assert_eq!(Challenge::parse("Digest realm=\"x\""), None);
    }
}
