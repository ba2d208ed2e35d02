//! Text → [`Conf`] for the tests of the model.

use std::path::Path;

use bytes::Bytes;

use crate::base::{Diagnostic, FileId, Sources, Span, Spanned, Text, report};
use crate::conf::{Conf, Entry, Section, Status};
use crate::model::tag::Tag;

/// A configuration, its file, and its tags.
pub(crate) struct Read {
    pub(crate) conf: Conf,
    pub(crate) sources: Sources,
    pub(crate) tags: Vec<Option<Tag>>,
}

impl Read {
    /// The diagnostics, one a line, without the folder.
    pub(crate) fn short(&self, diagnostics: &[Diagnostic]) -> Vec<String> {
        let short = |d| report::short(d, &self.sources).replace("/etc/asterisk/", "");
        diagnostics.iter().map(short).collect()
    }
}

/// Reads one file.
pub(crate) fn read(text: &str) -> Read {
    let mut sources = Sources::default();
    let file = sources.add(Path::new("/etc/asterisk/sip.conf"), Bytes::from(text.to_owned()));
    let mut conf = Conf {
        status: Status::Ok,
        sections: Vec::new(),
        comments: Vec::new(),
        diagnostics: Vec::new(),
        abandoned: false,
        exec: false,
    };
    let mut tags = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let span = |part: &str| {
            let start = u32::try_from(part.as_ptr() as usize - line.as_ptr() as usize).unwrap();
            Span { file, line: number, start, end: start + u32::try_from(part.len()).unwrap() }
        };
        let (live, comment) = line.split_at(line.find(';').unwrap_or(line.len()));
        if let Some((name, options)) = live.strip_prefix('[').and_then(|l| l.split_once(']')) {
            conf.sections.push(section(name, options, span(name), &conf.sections));
            tags.push(None);
        } else if let (Some((key, value)), Some(to)) =
            (live.split_once('='), conf.sections.last_mut())
        {
            let (key, value) = (key.trim(), value.trim());
            to.entries.push(Entry {
                name: key.into(),
                value: value.into(),
                name_span: span(key),
                span: span(value),
                inherited: false,
            });
        }
        if let (Some(tag), Some(to)) = (tag(comment, &span), tags.last_mut()) {
            *to = Some(tag);
        }
    }
    let _ = FileId(0);
    Read { conf, sources, tags }
}

fn section(name: &str, options: &str, span: Span, known: &[Section]) -> Section {
    let options = options.trim().trim_matches(['(', ')']).split(',').filter(|o| !o.is_empty());
    let bases: Vec<Text> = options.clone().filter(|o| *o != "!").map(Text::from).collect();
    let base = |name: &Text| known.iter().find(|s| s.name == *name).unwrap();
    let inherited = bases.iter().flat_map(|name| &base(name).entries);
    let entries = inherited.map(|entry| Entry { inherited: true, ..entry.clone() }).collect();
    let template = options.clone().any(|o| o == "!");
    Section { name: name.into(), template, bases, span, entries }
}

fn tag<'a>(comment: &'a str, span: &dyn Fn(&str) -> Span) -> Option<Tag> {
    let mut words = comment.strip_prefix(';')?.split_whitespace().map(|w| w.split_once('='));
    let mac = words.next()??.1;
    let mut tag = Tag {
        mac: Spanned::new(mac.parse().unwrap(), span(mac)),
        model: None,
        line: None,
        label: None,
        profile: None,
    };
    for (key, value) in words.map(Option::unwrap) {
        let text = Some(Spanned::new(value.to_owned(), span(value)));
        match key {
            "model" => tag.model = text,
            "label" => tag.label = text,
            "profile" => tag.profile = text,
            _ => tag.line = Some(Spanned::new(value.parse().unwrap(), span(value))),
        }
    }
    Some(tag)
}
