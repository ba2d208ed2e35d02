//! Tagging a section and taking its tag away: which line of which file changes, and how. Every edit is
//! proved before anybody writes it: the changed text is read again, and must mean the same to Asterisk
//! and give exactly the wanted tags.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{Tag, attach, codes, parse};
use crate::base::nearest::nearest;
use crate::base::{Diagnostic, Mac, Sources, Span};
use crate::conf::{self, Comment, Conf, Files, Overlay, Place, Status, edit};

/// Lines tried for a tag before giving up: each is proved by reading everything again.
const ATTEMPTS: usize = 8;

/// What a tag shall say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    /// The phone.
    pub mac: Mac,
    /// `model=`.
    pub model: Option<String>,
    /// `line=`.
    pub line: Option<u8>,
    /// `label=`.
    pub label: Option<String>,
    /// `profile=`.
    pub profile: Option<String>,
    /// `firmware=`.
    pub firmware: Option<String>,
    /// `ip=`.
    pub ip: Option<Ipv4Addr>,
    /// `guest=`.
    pub guest: Option<String>,
}

/// One line of one file that changes.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The file, as the configuration names it.
    pub path: PathBuf,
    /// All of it as it was read.
    pub old: Bytes,
    /// All of it as it shall be; the same when nothing needs to change.
    pub new: Bytes,
    /// The line, from 1.
    pub line: u32,
}

/// A configuration as it was read, and how to read it again.
pub struct Reading<'a> {
    /// The top file.
    pub top: &'a Path,
    /// Asterisk's configuration directory.
    pub etc: &'a Path,
    /// What was read.
    pub conf: &'a Conf,
    /// Its files.
    pub sources: &'a Sources,
}

impl Wish {
    /// As it stands in a file. Values are quoted where they must be.
    pub fn text(&self) -> String {
        let mut text = format!(";MAC={}", self.mac);
        let line = self.line.map(|line| line.to_string());
        let ip = self.ip.map(|ip| ip.to_string());
        for (name, value) in [
            ("model", &self.model),
            ("line", &line),
            ("label", &self.label),
            ("profile", &self.profile),
            ("firmware", &self.firmware),
            ("ip", &ip),
            ("guest", &self.guest),
        ] {
            if let Some(value) = value {
                text += &format!(" {name}={}", quoted(value));
            }
        }
        text
    }

    /// In the charset of the file: UTF-8, or Latin-1 where other text in it is.
    fn bytes(&self, file: &[u8]) -> Vec<u8> {
        let text = self.text();
        let latin1 = || text.chars().map(|c| u8::try_from(c).ok()).collect::<Option<Vec<u8>>>();
        let utf8 = std::str::from_utf8(file).is_ok();
        (!utf8).then(latin1).flatten().unwrap_or_else(|| text.into_bytes())
    }

    fn is(&self, tag: &Tag) -> bool {
        let same = |a: &Option<String>, b: &Option<crate::base::Spanned<String>>| {
            a.as_deref() == b.as_ref().map(|b| b.value.as_str())
        };
        tag.mac.value == self.mac
            && same(&self.model, &tag.model)
            && self.line == tag.line.as_ref().map(|line| line.value)
            && same(&self.label, &tag.label)
            && same(&self.profile, &tag.profile)
            && same(&self.firmware, &tag.firmware)
            && self.ip == tag.ip.as_ref().map(|ip| ip.value)
            && same(&self.guest, &tag.guest)
    }
}

fn quoted(value: &str) -> String {
    let plain = |b: u8| b > 32 && b != b'"' && b != b';';
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The section that a peer's name means: spelt so, else the only one spelt so but for case; of several
/// the one with a tag, else an endpoint, else the first.
pub fn section(conf: &Conf, peer: &str) -> Result<usize, Diagnostic> {
    if conf.status != Status::Ok {
        let text = "Asterisk would not load this configuration";
        return Err(
            Diagnostic::error(&codes::NO_EDIT, text).help("correct it first: handset check")
        );
    }
    let named = |exact: bool| {
        let wanted = move |at: &usize| {
            let name = &conf.sections[*at].name;
            if exact { name.as_bytes() == peer.as_bytes() } else { name.is(peer) }
        };
        (0..conf.sections.len()).filter(wanted).collect::<Vec<_>>()
    };
    let mut all = named(true);
    if all.is_empty() {
        all = named(false);
    }
    let Some(first) = all.first().copied() else {
        let names = conf.sections.iter().filter(|s| !s.template).map(|s| s.name.chars());
        let names: Vec<_> = names.take(2000).collect();
        let near = nearest(peer, names.iter().map(AsRef::as_ref)).map(str::to_owned);
        let help = near.map_or_else(
            || "handset conf shows all".to_owned(),
            |n| format!("did you mean [{n}]?"),
        );
        let text = format!("there is no section [{peer}]");
        return Err(Diagnostic::error(&codes::NO_EDIT, text).help(help));
    };
    all.retain(|at| !conf.sections[*at].template);
    if all.is_empty() {
        let text = format!("[{peer}] is a template");
        let help = "a tag is not inherited: tag the section of each phone";
        let error = Diagnostic::error(&codes::NO_EDIT, text).at(conf.sections[first].span);
        return Err(error.help(help));
    }
    let endpoint = |at: &usize| {
        conf.sections[*at].all("type").next().is_some_and(|t| t.value.as_bytes() == b"endpoint")
    };
    let tagged = all.iter().find(|at| !tags(conf, **at).is_empty());
    Ok(tagged.or_else(|| all.iter().find(|at| endpoint(at))).copied().unwrap_or(all[0]))
}

/// The comments meant as tags of a section.
fn tags(conf: &Conf, section: usize) -> Vec<&Comment> {
    let of = |comment: &&Comment| match comment.place {
        Place::Header(at) | Place::Key(at) | Place::BeforeKey(at) => {
            at == section && parse::is_tag(comment.text.as_bytes())
        }
        Place::Alone | Place::Directive => false,
    };
    conf.comments.iter().filter(of).collect()
}

/// The edit that gives a section this tag: in the place of the one that it has, else on the line of its
/// header, else (where that line has a comment or ends inside a block comment) on the line of one of
/// its own keys, else on the header's with the older comment wrapped in a block. `files` reads what is
/// around the edit once more.
pub fn tag(
    reading: &Reading<'_>,
    section: usize,
    wish: &Wish,
    files: &mut dyn Files,
) -> Result<Edit, Diagnostic> {
    editable(reading, section)?;
    if let Some(old) = only(reading.conf, section)? {
        let file = &reading.sources.get(old.span.file).bytes;
        let columns = old.span.start..old.span.end;
        let edited = edit::replace(file, old.span.line, columns, &wish.bytes(file));
        return proved(reading, section, old.span, edited, Some(wish), files);
    }
    let mut error = None;
    for span in spots(reading.conf, section) {
        let file = &reading.sources.get(span.file).bytes;
        let edited = edit::append(file, span.line, &wish.bytes(file));
        match proved(reading, section, span, edited, Some(wish), files) {
            Ok(edit) => return Ok(edit),
            Err(why) => error.get_or_insert(why),
        };
    }
    let header = reading.conf.sections[section].span;
    if let Some(older) = on_line(reading.conf, header) {
        let file = &reading.sources.get(header.file).bytes;
        let edited = edit::append_behind(file, header.line, older.span.start, &wish.bytes(file));
        return proved(reading, section, header, edited, Some(wish), files);
    }
    Err(error.unwrap_or_else(|| unproved(reading, section, header)))
}

/// The edit that takes a section's tag away.
pub fn untag(
    reading: &Reading<'_>,
    section: usize,
    files: &mut dyn Files,
) -> Result<Edit, Diagnostic> {
    editable(reading, section)?;
    let Some(old) = only(reading.conf, section)? else {
        let section = &reading.conf.sections[section];
        let text = format!("[{}] has no tag", section.name);
        return Err(Diagnostic::error(&codes::NO_EDIT, text)
            .at(section.span)
            .help("nothing to do"));
    };
    let file = &reading.sources.get(old.span.file).bytes;
    let edited = edit::remove(file, old.span.line, old.span.start..old.span.end);
    proved(reading, section, old.span, edited, None, files)
}

/// A header that is read more than once stands for several sections: no line belongs to one alone. The
/// same file may be read under several names, so the same content counts as the same file.
fn editable(reading: &Reading<'_>, section: usize) -> Result<(), Diagnostic> {
    let sections = &reading.conf.sections;
    let span = sections[section].span;
    let bytes = &reading.sources.get(span.file).bytes;
    let once = sections.iter().filter(|s| s.span == span).count() == 1;
    if once && reading.sources.iter().filter(|f| f.bytes == bytes).count() == 1 {
        return Ok(());
    }
    let text = format!("the file of [{}] is included more than once", sections[section].name);
    let help = "its line is the line of several sections: include the file once";
    Err(Diagnostic::error(&codes::NO_EDIT, text).at(span).help(help))
}

/// The tag that a section has, if it has one.
fn only(conf: &Conf, section: usize) -> Result<Option<&Comment>, Diagnostic> {
    match tags(conf, section).as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        [first, second, ..] => {
            let text = format!("[{}] has several tags", conf.sections[section].name);
            let error = Diagnostic::error(&codes::NO_EDIT, text).at(second.span);
            Err(error.see(first.span, "the other tag").help("take one away by hand"))
        }
    }
}

/// The lines that may take a comment: the header's, then those of the section's own keys in that file.
fn spots(conf: &Conf, section: usize) -> Vec<Span> {
    let section = &conf.sections[section];
    let header = section.span;
    let own = section.entries.iter().filter(|e| !e.inherited).map(|e| e.name_span);
    let near = own.filter(|span| span.file == header.file && span.line > header.line);
    let free = std::iter::once(header).chain(near).filter(|span| on_line(conf, *span).is_none());
    free.take(ATTEMPTS).collect()
}

fn on_line(conf: &Conf, span: Span) -> Option<&Comment> {
    conf.comments.iter().find(|c| c.span.file == span.file && c.span.line == span.line)
}

/// Reads everything again with the change in it: Asterisk must see the same, this section must have
/// the wanted tag and every other one the tag that it had.
fn proved(
    reading: &Reading<'_>,
    section: usize,
    at: Span,
    edited: Option<edit::Edited>,
    wish: Option<&Wish>,
    files: &mut dyn Files,
) -> Result<Edit, Diagnostic> {
    let Some(edited) = edited else { return Err(unproved(reading, section, at)) };
    let source = reading.sources.get(at.file);
    let new = Bytes::from(edited.bytes);
    let mut overlay = Overlay::new(files, &source.path, new.clone());
    let conf = conf::read(reading.top, reading.etc, &mut overlay, &mut Sources::default());
    let ((before, _), (after, diagnostics)) = (attach(reading.conf), attach(&conf));
    let same = conf::fingerprint(&conf) == conf::fingerprint(reading.conf)
        && before.len() == after.len()
        && before.iter().zip(&after).enumerate().all(|(n, (a, b))| n == section || a == b);
    let done = match (wish, after.get(section)) {
        (Some(wish), Some(Some(tag))) => wish.is(tag),
        (None, Some(None)) => true,
        _ => false,
    };
    if same && done {
        return Ok(Edit {
            path: source.path.clone(),
            old: source.bytes.clone(),
            new,
            line: at.line,
        });
    }
    let error = unproved(reading, section, at);
    match diagnostics.into_iter().find(|d| d.level == crate::base::Level::Error) {
        // What is wrong with the tag that was wished for; its place is in a text that is nowhere.
        Some(why) if same => Err(Diagnostic { help: Some(why.message), ..error }),
        _ => Err(error),
    }
}

fn unproved(reading: &Reading<'_>, section: usize, at: Span) -> Diagnostic {
    let name = &reading.conf.sections[section].name;
    let text =
        format!("no line of [{name}] can be changed without changing what Asterisk or others read");
    let help = "edit it by hand: end a block comment before the line, or shorten the line";
    Diagnostic::error(&codes::NO_EDIT, text).at(at).help(help)
}
