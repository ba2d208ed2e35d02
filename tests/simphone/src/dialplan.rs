//! What a phone takes of a `dialplan.xml` (phones.md §2.13). It has its own small parser: double
//! quotes only, no entities, and a comment ends at the first `>`.

use crate::config::{Bad, latin1};

/// The phone's buffer for the file.
const MAX_BYTES: usize = 8192;
/// The longest attribute value.
const MAX_VALUE: usize = 63;
const ATTRIBUTES: &[&str] = &["match", "line", "timeout", "user", "rewrite", "route", "tone"];

/// The `MATCH` of each entry that the phone takes, and what it refuses.
pub(crate) fn check(bytes: &[u8]) -> (Vec<String>, Vec<Bad>) {
    if bytes.len() > MAX_BYTES {
        let why = format!("{} bytes, at most {MAX_BYTES} fit", bytes.len());
        return (Vec::new(), vec![Bad { line: 0, key: "dialplan".into(), why }]);
    }
    let text = latin1(bytes);
    let (mut taken, mut bad) = (Vec::new(), Vec::new());
    let (mut inside, mut line) = (false, 1);
    let mut rest = text.as_str();
    while let Some(start) = rest.find('<') {
        let end = tag_end(&rest[start..]).map_or(rest.len(), |n| start + n);
        line += newlines(&rest[..start]);
        let tag = rest[start + 1..end].trim_end_matches('/').trim();
        match element(tag, &mut inside) {
            Ok(Some(pattern)) => taken.push(pattern),
            Ok(None) => {}
            Err(why) => bad.push(Bad { line, key: short(tag), why }),
        }
        line += newlines(&rest[start..end]);
        rest = rest.get(end + 1..).unwrap_or("");
    }
    (taken, bad)
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

fn short(tag: &str) -> String {
    tag.chars().take(60).collect()
}

/// Where the tag ends: a comment at the first `>`, an element at the first one outside of quotes.
fn tag_end(text: &str) -> Option<usize> {
    if text.starts_with("<!--") {
        return text.find('>');
    }
    let mut quoted = false;
    text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '>' && !quoted).then_some(at)
    })
}

fn element(tag: &str, inside: &mut bool) -> Result<Option<String>, String> {
    if tag.starts_with(['!', '?']) {
        return Ok(None);
    }
    let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    if name.eq_ignore_ascii_case("DIALTEMPLATE") {
        *inside = true;
        return Ok(None);
    }
    if name.eq_ignore_ascii_case("/DIALTEMPLATE") {
        *inside = false;
        return Ok(None);
    }
    match name {
        "/TEMPLATE" => Ok(None),
        "TEMPLATE" if *inside => entry(attributes).map(Some),
        "TEMPLATE" => Err("an entry outside of DIALTEMPLATE".into()),
        _ => Err("an unknown element (TEMPLATE is written in capitals)".into()),
    }
}

fn entry(mut rest: &str) -> Result<String, String> {
    let (mut pattern, mut tones) = (None, 0);
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let (name, after) = rest.split_once('=').ok_or("an attribute without a value")?;
        let name = name.trim().to_ascii_lowercase();
        let after = after.trim_start().strip_prefix('"').ok_or("a value without double quotes")?;
        let (value, after) = after.split_once('"').ok_or("a quote that is never closed")?;
        attribute(&name, value)?;
        tones += usize::from(name == "tone");
        if name == "match" {
            pattern = Some(value.to_owned());
        }
        rest = after;
    }
    if tones > 3 {
        return Err("more than three tones".into());
    }
    pattern.ok_or_else(|| "an entry without MATCH".into())
}

fn attribute(name: &str, value: &str) -> Result<(), String> {
    if !ATTRIBUTES.contains(&name) {
        return Err(format!("unknown attribute {name}"));
    }
    if value.chars().count() > MAX_VALUE {
        return Err(format!("a value of more than {MAX_VALUE} characters"));
    }
    if value.contains('&') {
        return Err("the phone knows no entities".into());
    }
    let one_of = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(value));
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let sound = match name {
        "match" => !value.is_empty() && !value.contains(['[', ']', '!', 'X', 'x', 'N', 'n']),
        "timeout" | "line" => digits,
        "user" => one_of(&["Phone", "IP"]),
        "route" => one_of(&["Default", "Emergency", "FQDN"]),
        "tone" => value.starts_with("Bellcore-") || value.starts_with("Cisco-"),
        _ => true,
    };
    if sound { Ok(()) } else { Err(format!("{name}=\"{value}\" means nothing to the phone")) }
}

#[cfg(test)]
mod tests {
    use super::check;

    /// Puts `entry` between the root's tags; an error is shown by its text.
    fn one(entry: &str, expected: Result<&str, &str>) {
        let text = format!("<DIALTEMPLATE>\n{entry}\n</DIALTEMPLATE>\n");
        let (taken, bad) = check(text.as_bytes());
        match expected {
            Ok(pattern) => assert_eq!((taken, bad), (vec![pattern.to_owned()], vec![]), "{entry}"),
            Err(why) => {
                assert!(taken.is_empty(), "{entry}: {taken:?}");
                assert!(bad.len() == 1 && bad[0].why.contains(why), "{entry}: {bad:?}");
                assert_eq!(bad[0].line, 2);
            }
        }
    }

    #[test]
    fn an_entry_needs_known_attributes_in_double_quotes() {
        one(r#"<TEMPLATE MATCH="*" Timeout="5"/>"#, Ok("*"));
        one(
            r#"<TEMPLATE match="9,." TIMEOUT="0" User="Phone" Tone="Bellcore-Outside"/>"#,
            Ok("9,."),
        );
        one(r#"<TEMPLATE MATCH="*" Delay="5"/>"#, Err("unknown attribute"));
        one(r#"<TEMPLATE MATCH='*' Timeout="5"/>"#, Err("double quotes"));
        one(r#"<TEMPLATE Timeout="5"/>"#, Err("without MATCH"));
        one(r#"<TEMPLATE MATCH="*" Timeout="soon"/>"#, Err("timeout"));
        one(r#"<TEMPLATE MATCH="*" Route="Nearest"/>"#, Err("route"));
        one(r#"<Template MATCH="*"/>"#, Err("capitals"));
    }

    #[test]
    fn asterisk_patterns_and_entities_mean_nothing_to_the_phone() {
        one(r#"<TEMPLATE MATCH="9NXX"/>"#, Err("means nothing"));
        one(r#"<TEMPLATE MATCH="[2-9].."/>"#, Err("means nothing"));
        one(r#"<TEMPLATE MATCH="1" Rewrite="a&amp;b"/>"#, Err("entities"));
    }

    #[test]
    fn a_value_may_have_63_characters() {
        one(&format!(r#"<TEMPLATE MATCH="{}"/>"#, "1".repeat(63)), Ok(&"1".repeat(63)));
        one(&format!(r#"<TEMPLATE MATCH="{}"/>"#, "1".repeat(64)), Err("63"));
    }

    #[test]
    fn a_comment_ends_at_the_first_greater_than() {
        one("<!-- a > <TEMPLATE MATCH=\"1\"/> -->", Ok("1"));
        one("<!-- <TEMPLATE MATCH=\"1\"/> -->\n<TEMPLATE MATCH=\"2\"/>", Ok("2"));
    }

    #[test]
    fn the_root_is_known_in_any_case_and_8192_bytes_fit() {
        let text = "<DialTemplate><TEMPLATE MATCH=\"*\"/></DialTemplate>";
        assert_eq!(check(text.as_bytes()).0, ["*"]);
        let fits = format!("{text}{}", " ".repeat(8192 - text.len()));
        assert_eq!(check(fits.as_bytes()).0, ["*"]);
        assert_eq!(check(format!("{fits} ").as_bytes()).0.len(), 0);
        assert_eq!(check(b"<TEMPLATE MATCH=\"*\"/>").1.len(), 1);
    }

    #[test]
    fn no_bytes_can_upset_it() {
        for text in ["<", "<!--", "<TEMPLATE", "<DIALTEMPLATE><TEMPLATE MATCH=\"", "\u{ff}<\u{ff}="]
        {
            check(text.as_bytes());
        }
    }
}
