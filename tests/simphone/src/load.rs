//! Which load a `SEP<MAC>.cnf.xml` or `XMLDefault.cnf.xml` names (phones.md §2.5).

use roxmltree::Document;

use crate::Model;
use crate::config::latin1;

/// The load for `model`; `None` when the file is of no use to it.
pub(crate) fn named(bytes: &[u8], model: Model) -> Option<String> {
    let text = latin1(bytes);
    let document = Document::parse(&text).ok()?;
    let numbered = format!("loadInformation{}", model.ccm_number());
    let wanted = format!("IP Phone {}", model.number());
    let node = document.descendants().find(|node| {
        let name = node.tag_name().name();
        let model = node.attribute("model");
        name == numbered || (name == "loadInformation" && model.is_none_or(|m| m == wanted))
    })?;
    let load = node.text()?.trim();
    (!load.is_empty()).then(|| load.to_owned())
}

/// Whether a load is the SIP application rather than SCCP or the loader itself.
pub(crate) fn is_sip(load: &str) -> bool {
    load.starts_with("P0S3")
}

#[cfg(test)]
mod tests {
    use super::named;
    use crate::Model;

    fn check(text: &str, expected: [Option<&str>; 2]) {
        let got = [Model::M7940, Model::M7960].map(|model| named(text.as_bytes(), model));
        assert_eq!(got.each_ref().map(Option::as_deref), expected, "{text}");
    }

    #[test]
    fn the_numbered_element_of_the_model_counts() {
        let text = r#"<Default><loadInformation8 model="IP Phone 7940">A</loadInformation8>
            <loadInformation7 model="IP Phone 7960">B</loadInformation7></Default>"#;
        check(text, [Some("A"), Some("B")]);
        check(&text.replace('B', " "), [Some("A"), None]);
    }

    #[test]
    fn the_plain_element_counts_for_the_model_that_it_names() {
        let text = r#"<device><deviceProtocol>SIP</deviceProtocol>
            <loadInformation model="IP Phone 7960">B</loadInformation></device>"#;
        check(text, [None, Some("B")]);
        check("<device><loadInformation>C</loadInformation></device>", [Some("C"), Some("C")]);
    }

    #[test]
    fn a_useless_file_names_nothing() {
        for text in ["", "<device/>", "<device>", "<Default model=“x”/>"] {
            check(text, [None, None]);
        }
    }
}
