//! Secrets in lines that are shown: the rest of a line after a secret-like word becomes `***`, also in
//! comments, on broken lines, and after a misspelt key. Too much may be hidden, never too little.

use super::nearest::distance;

/// Words that make what follows them secret wherever they stand, also inside longer words.
const STRONG: [&str; 7] =
    ["secret", "password", "passwd", "passphrase", "md5_cred", "digest", "pwd"];

/// Words that do so before an operator or at the start of a line.
const WEAK: [&str; 6] = ["auth", "register", "pin", "mwi", "key", "credentials"];

/// A line that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// The text.
    pub text: String,
    /// For each byte of the original line, and for its end, the byte of the text that stands for it.
    columns: Vec<usize>,
}

impl Masked {
    /// Where a byte of the original line is now.
    pub fn column(&self, byte: usize) -> usize {
        self.columns.get(byte).or(self.columns.last()).copied().unwrap_or(0)
    }
}

/// Masks one line. Bytes that are not UTF-8 are read as Latin-1.
pub fn mask(line: &[u8]) -> Masked {
    let hidden = hidden(line);
    let mut masked = Masked { text: String::with_capacity(line.len()), columns: Vec::new() };
    let utf8 = std::str::from_utf8(line).is_ok();
    for (at, byte) in line.iter().enumerate() {
        let (inside, first) = hidden.map_or((false, false), |(s, e)| (s <= at && at < e, at == s));
        if utf8 && !inside && (0x80..0xc0).contains(byte) {
            // The rest of a character, which was pushed whole.
            masked.columns.push(masked.columns.last().copied().unwrap_or(0));
            continue;
        }
        masked.columns.push(masked.text.len());
        match inside {
            true if first => masked.text.push_str("***"),
            true => {
                let start = masked.text.len() - 3;
                masked.columns.pop();
                masked.columns.push(start);
            }
            false if utf8 => masked.text.extend(char_at(line, at)),
            false => masked.text.push(char::from(*byte)),
        }
    }
    masked.columns.push(masked.text.len());
    masked
}

fn char_at(line: &[u8], at: usize) -> Option<char> {
    std::str::from_utf8(&line[at..]).ok()?.chars().next()
}

/// The part of a line that must not be seen, if any: never empty.
fn hidden(line: &[u8]) -> Option<(usize, usize)> {
    let start = words(line).find_map(|(from, to)| secret_start(line, from, to))?;
    let end = tag_start(line, start).unwrap_or(line.len());
    let end = start + line[start..end].trim_ascii_end().len();
    (start < end).then_some((start, end))
}

/// The words of a line: runs of letters, digits and `_`.
fn words(line: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80;
    let mut at = 0;
    std::iter::from_fn(move || {
        let from = at + line.get(at..)?.iter().position(is_word)?;
        at = from + line[from..].iter().position(|b| !is_word(b)).unwrap_or(line.len() - from);
        Some((from, at))
    })
}

/// Where the secret after the word begins, if the word makes one.
fn secret_start(line: &[u8], from: usize, to: usize) -> Option<usize> {
    let word = String::from_utf8_lossy(&line[from..to]).to_ascii_lowercase();
    let rest = &line[to..];
    let gap = rest.iter().position(|b| !b" \t\"'+=:>".contains(b)).unwrap_or(rest.len());
    let operator = rest[..gap].iter().any(|b| b"=:".contains(b));
    let leads = line[..from].iter().all(|b| b"; \t\\\"'#".contains(b));
    let strong = STRONG.iter().any(|s| word.contains(s));
    let weak = WEAK.iter().any(|w| word == *w || word.ends_with(&format!("_{w}")));
    let slip = word.len() > 4 && STRONG.iter().any(|s| s.len() > 4 && distance(&word, s) <= 2);
    (strong || (operator || leads) && weak || operator && slip).then_some(to + gap)
}

/// Where a tag's comment begins behind a secret: tags are shown, or nobody could see what is wrong
/// with them.
fn tag_start(line: &[u8], from: usize) -> Option<usize> {
    (from.max(1)..line.len()).find(|at| {
        let rest = &line[*at..];
        let after = rest.get(1..).unwrap_or_default().trim_ascii_start();
        let is_mac = after.get(..3).is_some_and(|w| w.eq_ignore_ascii_case(b"mac"));
        let assigned = after.get(3..).is_some_and(|w| w.trim_ascii_start().starts_with(b"="));
        rest[0] == b';' && b" \t".contains(&line[at - 1]) && is_mac && assigned
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        assert_eq!(mask(line.as_bytes()).text, expected, "{line}");
    }

    #[test]
    fn hides_the_value_of_every_secret_key() {
        for key in [
            "secret",
            "SECRET",
            "md5secret",
            "remotesecret",
            "vmsecret",
            "password",
            "md5_cred",
            "password_digest",
            "pin",
            "phone_password",
            "line1_password",
            "line2_PASSWORD",
            "auth",
            "register",
            "setvar=SIP_SECRET",
            "mwi",
            "site_key",
        ] {
            for operator in ["=", " = ", "=>", " => ", "+=", " += ", ": ", "\t=\t"] {
                for lead in ["", ";", "  ;", "\\", ";;--", "  "] {
                    check(
                        &format!("{lead}{key}{operator}geheim"),
                        &format!("{lead}{key}{operator}***"),
                    );
                }
            }
        }
    }

    #[test]
    fn hides_it_on_broken_lines_and_after_misspelt_keys() {
        check("secret geheim", "secret ***");
        check("register user:geheim@host", "register ***");
        check("register => user:geheim@host/1", "register => ***");
        check("secert=geheim", "secert=***");
        check("pasword = geheim", "pasword = ***");
        check("[101]secret=geheim", "[101]secret=***");
        check("\"secret\": \"geheim\"", "\"secret\": \"***");
        check("secret=", "secret=");
        check("secret", "secret");
    }

    #[test]
    fn hides_comments_behind_a_secret_but_shows_tags() {
        check("secret = x ; comment", "secret = ***");
        check("secret=ge;heim", "secret=***");
        check("secret=x ;MAC=00:18:b9:00:00:01", "secret=*** ;MAC=00:18:b9:00:00:01");
        check("secret=x;MAC=geheim", "secret=***");
        check("auth=user:geheim@realm", "auth=***");
    }

    #[test]
    fn leaves_other_lines_alone() {
        for line in [
            "",
            "[101](phones) ;MAC=00:18:b9:00:00:01 model=7960",
            "callerid=\"Ada\" <201>",
            "mailbox=201@default",
            "; the register of phones",
            "authuser=ada",
            "second=1",
            "a = 1",
        ] {
            check(line, line);
        }
    }

    #[test]
    fn keeps_columns_sensible() {
        let masked = mask("secret=geheim ;MAC=1".as_bytes());
        assert_eq!(masked.text, "secret=*** ;MAC=1");
        assert_eq!([0, 7, 9, 13, 14, 20, 99].map(|c| masked.column(c)), [0, 7, 7, 10, 11, 17, 17]);
        let masked = mask("é=ü".as_bytes());
        assert_eq!((masked.text.as_str(), masked.column(2), masked.column(5)), ("é=ü", 2, 5));
        let masked = mask(b"\xe9=\xfc!");
        assert_eq!((masked.text.as_str(), masked.column(1), masked.column(3)), ("é=ü!", 2, 5));
    }
}
