//! `allow=` and `disallow=`: lists of formats, in order of preference (asterisk-conf.md §3.6;
//! tests/peers.rs asks a real Asterisk).

use super::callerid::strip;

/// Asterisk's formats in the order in which `all` adds them (Asterisk 16, `core show codecs`).
pub const FORMATS: &[&str] = &[
    "amr", "amrwb", "codec2", "g723", "ulaw", "alaw", "gsm", "g726", "g726aal2", "adpcm", "slin",
    "slin12", "slin16", "slin24", "slin32", "slin44", "slin48", "slin96", "slin192", "lpc10",
    "g729", "speex", "speex16", "speex32", "ilbc", "g722", "siren7", "siren14", "testlaw", "g719",
    "opus", "jpeg", "png", "h261", "h263", "h263p", "h264", "h265", "mpeg4", "vp8", "vp9", "red",
    "t140", "t38", "silk8", "silk12", "silk16", "silk24",
];

/// Accepted by name, and not a part of `all`.
const NONE: &str = "none";

/// What a peer may use when neither `[general]` nor the peer says anything.
pub const DEFAULT: &[&str] = &["ulaw", "alaw", "gsm", "h263"];

/// A list of formats, the most preferred one first.
pub type Codecs = Vec<&'static str>;

/// Applies one `allow=` (or, with `allowing` false, one `disallow=`) to a list, and gives the items
/// that Asterisk does not understand and skips.
pub fn update<'a>(list: &mut Codecs, value: &'a str, allowing: bool) -> Vec<&'a str> {
    let items = value.split([',', '|']).map(strip).filter(|item| !item.is_empty());
    items.filter(|item| !apply(list, item, allowing)).collect()
}

/// Applies one item and tells whether it was understood.
fn apply(list: &mut Codecs, item: &str, allowing: bool) -> bool {
    let (item, allowing) = match item.strip_prefix('!') {
        Some(rest) => (rest, !allowing),
        None => (item, allowing),
    };
    let name = match item.rsplit_once(':') {
        Some((name, time)) if is_time(time) => name,
        Some(_) => return false,
        None => item,
    };
    let formats: &[&'static str] = match find(name) {
        _ if name.eq_ignore_ascii_case("all") => FORMATS,
        Some(format) => &[format],
        None => return false,
    };
    if allowing {
        let new: Vec<_> = formats.iter().filter(|f| !list.contains(f)).copied().collect();
        list.extend(new);
    } else {
        // Unlike the other way round, `disallow=all` also takes `none` away.
        let all = formats.len() > 1;
        list.retain(|f| !all && !formats.contains(f));
    }
    true
}

/// Packet times are read as C does: nothing at all is fine, and so is text after the digits.
fn is_time(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let digits = text.strip_prefix('+').unwrap_or(text);
    text.is_empty()
        || digits.starts_with(|c: char| c.is_ascii_digit())
        || digits_of(text).is_some_and(|d| d.bytes().all(|b| b == b'0'))
}

/// The digits behind a minus sign: only `-0` is not negative.
fn digits_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('-')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

fn find(name: &str) -> Option<&'static str> {
    FORMATS.iter().chain([&NONE]).copied().find(|f| f.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: &str, unknown: &[&str]) {
        let mut list = DEFAULT.to_vec();
        let mut missed = Vec::new();
        for line in lines {
            let (key, value) = line.split_once('=').expect("key=value");
            missed.extend(update(&mut list, value, key == "allow"));
        }
        assert_eq!((list.join("|").as_str(), missed.as_slice()), (expected, unknown), "{lines:?}");
    }

    #[test]
    fn allow_appends_and_keeps_the_place_of_what_is_there() {
        check(&["allow=g729"], "ulaw|alaw|gsm|h263|g729", &[]);
        check(&["allow=gsm,ulaw"], "ulaw|alaw|gsm|h263", &[]);
        check(&["disallow=all", "allow= ulaw , ALAW | G722"], "ulaw|alaw|g722", &[]);
    }

    #[test]
    fn an_exclamation_mark_turns_one_item_round() {
        check(&["allow=!all,ulaw,g722"], "ulaw|g722", &[]);
        check(&["disallow=ulaw,!g729"], "alaw|gsm|h263|g729", &[]);
        check(&["disallow=all", "allow=! ulaw"], "", &["! ulaw"]);
    }

    #[test]
    fn an_ampersand_or_a_quote_is_no_separator() {
        check(&["disallow=all", "allow=ulaw&alaw"], "", &["ulaw&alaw"]);
        check(&["disallow=all", "allow=\"ulaw,alaw\""], "", &["\"ulaw", "alaw\""]);
    }

    #[test]
    fn packet_times_are_accepted_as_asterisk_does() {
        let line = "allow=ulaw:,alaw:x,gsm:-1,g722:20ms,g729:-0";
        check(&["disallow=all", line], "ulaw|g722|g729", &["alaw:x", "gsm:-1"]);
        check(&["disallow=all", "allow=ulaw : 40,alaw: 20"], "alaw", &["ulaw : 40"]);
    }

    #[test]
    fn empty_values_change_nothing() {
        check(&["disallow=", "allow="], "ulaw|alaw|gsm|h263", &[]);
    }

    #[test]
    fn all_is_every_format_but_none() {
        check(&["allow=none", "disallow=all"], "", &[]);
        let mut list = Vec::new();
        assert!(update(&mut list, "all", true).is_empty());
        assert_eq!(list, FORMATS);
    }
}
