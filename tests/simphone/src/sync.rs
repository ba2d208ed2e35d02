//! `syncinfo.xml`: whether a check-sync ends in a restart (phones.md §2.11).

use roxmltree::Document;

use crate::config::latin1;

/// The phone's buffer for the file.
const MAX_BYTES: usize = 4096;
/// The longest `SYNC`.
const MAX_SYNC: usize = 32;

/// The `SYNC` that is meant for this image: the first entry that names it, or `*`; `None` when no
/// entry does.
///
/// # Errors
/// Why the phone cannot use the file.
pub(crate) fn wanted(bytes: &[u8], image: &str) -> Result<Option<String>, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("{} bytes, at most {MAX_BYTES} fit", bytes.len()));
    }
    let text = latin1(bytes);
    match Document::parse(&text) {
        Ok(document) => pick(&document, image),
        // The guide shows the bare element, and allows several: then there is no root.
        Err(error) => {
            let wrapped = format!("<SYNCINFO>{}</SYNCINFO>", without_declaration(&text));
            let Ok(document) = Document::parse(&wrapped) else {
                return Err(format!("not well formed: {error}"));
            };
            pick(&document, image)
        }
    }
}

fn without_declaration(text: &str) -> &str {
    let text = text.trim_start();
    match text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => rest,
        None => text,
    }
}

fn pick(document: &Document<'_>, image: &str) -> Result<Option<String>, String> {
    let images = document.root().descendants().filter(|n| n.has_tag_name("IMAGE"));
    for node in images {
        let version = node.attribute("VERSION").ok_or("an IMAGE without VERSION")?;
        if version != "*" && version != image {
            continue;
        }
        let sync = node.attribute("SYNC").ok_or("an IMAGE without SYNC")?;
        if sync.chars().count() > MAX_SYNC {
            return Err(format!("a SYNC of more than {MAX_SYNC} characters"));
        }
        return Ok(Some(sync.to_owned()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::wanted;

    fn check(text: &str, expected: Result<Option<&str>, ()>) {
        let got = wanted(text.as_bytes(), "P0S3-8-12-00").map_err(|_| ());
        assert_eq!(got.as_ref().map(Option::as_deref), expected.as_ref().map(|o| *o), "{text}");
    }

    #[test]
    fn both_the_wrapped_and_the_bare_form_are_read() {
        check(r#"<SYNCINFO><IMAGE VERSION="*" SYNC="7"/></SYNCINFO>"#, Ok(Some("7")));
        check(r#"<IMAGE VERSION="*" SYNC="7"/>"#, Ok(Some("7")));
        let two = r#"<?xml version="1.0"?>
            <IMAGE VERSION="P0S3-8-4-00" SYNC="a"/><IMAGE VERSION="*" SYNC="b"/>"#;
        check(two, Ok(Some("b")));
    }

    #[test]
    fn only_the_own_image_or_the_star_counts() {
        check(r#"<IMAGE VERSION="P0S3-8-12-00" SYNC="x"/>"#, Ok(Some("x")));
        check(r#"<IMAGE VERSION="P0S3-8-11-00" SYNC="x"/>"#, Ok(None));
        check(r#"<image version="*" sync="x"/>"#, Ok(None));
    }

    #[test]
    fn the_first_entry_that_fits_decides() {
        let text = r#"<SYNCINFO><IMAGE VERSION="P0S3-8-12-00" SYNC="1"/>
            <IMAGE VERSION="*" SYNC="2"/></SYNCINFO>"#;
        check(text, Ok(Some("1")));
    }

    #[test]
    fn what_does_not_fit_or_is_no_xml_is_refused() {
        check(
            &format!(r#"<IMAGE VERSION="*" SYNC="{}"/>"#, "s".repeat(32)),
            Ok(Some(&"s".repeat(32))),
        );
        check(&format!(r#"<IMAGE VERSION="*" SYNC="{}"/>"#, "s".repeat(33)), Err(()));
        let padding = |n: usize| format!(r#"<IMAGE VERSION="*" SYNC="1"/>{}"#, " ".repeat(n - 29));
        assert_eq!(padding(4096).len(), 4096);
        check(&padding(4096), Ok(Some("1")));
        check(&padding(4097), Err(()));
        check("<IMAGE VERSION=\"*\" SYNC=1/>", Err(()));
        check("", Ok(None));
    }
}
