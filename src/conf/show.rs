//! A configuration as JSON, in the shape of Asterisk's own answers.

use serde_json::{Value, json};

use super::{Conf, Section, Status};
use crate::base::Text;

/// `"missing"`, `"invalid"`, or the sections in order, each with `name`, `template`, `templates` and
/// `lines` (`name=value`). One character stands for one byte (Latin-1). Secrets are in it.
pub fn json(conf: &Conf) -> Value {
    match conf.status {
        Status::Missing => json!("missing"),
        Status::Invalid => json!("invalid"),
        Status::Ok => conf.sections.iter().map(section).collect(),
    }
}

fn section(section: &Section) -> Value {
    let lines = section.entries.iter().map(|e| format!("{}={}", bytes(&e.name), bytes(&e.value)));
    json!({
        "name": bytes(&section.name),
        "template": section.template,
        "templates": section.bases.iter().map(bytes).collect::<Vec<_>>(),
        "lines": lines.collect::<Vec<_>>(),
    })
}

fn bytes(text: &Text) -> String {
    text.as_bytes().iter().map(|b| char::from(*b)).collect()
}
