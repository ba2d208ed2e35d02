//! Files in the order and with the state that Asterisk reads them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::lex::{Blocks, Chunk, Joined, Lexer, Line, View};
use super::parse::{self, Fault, Item, Key};
use super::resolve::{NAME, Refusal, Store};
use super::{Comment, Conf, Entry, Files, Place, Status, codes};
use crate::base::{Code, Diagnostic, FileId, Level, Sources, Span, Text};

/// Levels below the top file.
const LEVELS: u32 = 10;

/// Bytes of a path that Asterisk keeps.
const PATH: usize = 255;

/// Files opened in one reading.
const FILES: usize = 1000;

/// Bytes read in one reading.
const BYTES: usize = 64 << 20;

/// Messages kept.
const MESSAGES: usize = 1000;

/// How the reading of one include (or of the top file) ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loaded {
    /// Not one file could be read.
    Nothing,
    Whole,
    /// An error stopped it half-way.
    Abandoned,
}

/// The file is abandoned (and the diagnostic is written).
struct Abandon;

struct Reader<'a> {
    etc: &'a Path,
    files: &'a mut dyn Files,
    sources: &'a mut Sources,
    store: Store,
    comments: Vec<Comment>,
    diagnostics: Vec<Diagnostic>,
    seen: HashSet<PathBuf>,
    /// Nesting level; an abandoned file never gives its own back.
    level: u32,
    opened: usize,
    bytes: usize,
    abandoned: bool,
    exec: bool,
    /// Asterisk hangs, or a limit is reached: nothing more is read.
    stopped: bool,
}

/// State that the files of one include share.
struct Chain {
    section: Option<usize>,
    blocks: Blocks,
    /// Asterisk's line counter is still at the first line.
    first: bool,
}

/// The file being read.
struct Current<'b> {
    id: FileId,
    bytes: &'b Bytes,
    /// Comments alone on their line that wait for what comes next.
    pending: Vec<usize>,
    top: bool,
}

pub(super) fn read(top: &Path, etc: &Path, files: &mut dyn Files, sources: &mut Sources) -> Conf {
    let mut reader = Reader {
        etc,
        files,
        sources,
        store: Store::new(),
        comments: Vec::new(),
        diagnostics: Vec::new(),
        seen: HashSet::new(),
        level: 0,
        opened: 0,
        bytes: 0,
        abandoned: false,
        exec: false,
        stopped: false,
    };
    let loaded = reader.chain(&[etc.join(top)], true, None);
    reader.finish(loaded)
}

impl Reader<'_> {
    fn finish(mut self, loaded: Loaded) -> Conf {
        let status = match loaded {
            Loaded::Whole => Status::Ok,
            Loaded::Abandoned => Status::Invalid,
            Loaded::Nothing => Status::Missing,
        };
        if status != Status::Ok {
            self.store.sections.clear();
            self.comments.clear();
        }
        Conf {
            status,
            sections: self.store.sections,
            comments: self.comments,
            diagnostics: self.diagnostics,
            abandoned: self.abandoned || status != Status::Ok,
            exec: self.exec,
        }
    }

    fn say(&mut self, diagnostic: Diagnostic) {
        let count = self.diagnostics.len();
        if count < MESSAGES || diagnostic.level == Level::Error {
            self.diagnostics.push(diagnostic);
        } else if self.diagnostics.last().is_none_or(|last| last.code != &codes::MANY) {
            let text = "there are more messages than are shown";
            self.diagnostics.push(Diagnostic::warning(&codes::MANY, text));
        }
    }

    fn warn(&mut self, code: &'static Code, text: impl Into<String>, at: Span, help: &str) {
        self.say(Diagnostic::warning(code, text).at(at).help(help));
    }

    /// Writes the message about what makes Asterisk abandon the file.
    fn abandon(&mut self, file: &Current<'_>, error: Diagnostic) -> Abandon {
        let effect = if file.top {
            "Asterisk rejects the whole configuration and keeps what it had"
        } else {
            "Asterisk loses the rest of this file and goes on in the one that includes it"
        };
        let help = match &error.help {
            Some(help) => format!("{help}; as it is, {effect}"),
            None => effect.to_owned(),
        };
        self.say(error.help(help));
        self.abandoned = true;
        Abandon
    }

    /// One include: counts the level, reads every file that the argument names.
    fn load(&mut self, argument: &[u8], at: Span) -> Loaded {
        if self.level >= LEVELS {
            let text = format!("includes are nested more than {LEVELS} deep");
            let help =
                "look for a file that includes itself; every abandoned file uses up a level, too";
            self.warn(&codes::TOO_DEEP, text, at, help);
            return Loaded::Nothing;
        }
        self.level += 1;
        let paths = self.files.expand(&self.path(argument));
        let loaded = self.chain(&paths, false, Some(at));
        if loaded != Loaded::Abandoned {
            self.level -= 1;
        }
        loaded
    }

    /// Relative to the configuration directory, cut as Asterisk's buffer does.
    fn path(&self, argument: &[u8]) -> PathBuf {
        let mut path = Vec::new();
        if argument.first() != Some(&b'/') {
            path.extend_from_slice(self.etc.as_os_str().as_bytes());
            path.push(b'/');
        }
        path.extend_from_slice(argument);
        path.truncate(PATH);
        PathBuf::from(OsStr::from_bytes(&path))
    }

    fn chain(&mut self, paths: &[PathBuf], top: bool, at: Option<Span>) -> Loaded {
        let mut loaded = Loaded::Nothing;
        let mut chain =
            Chain { section: self.store.current, blocks: Blocks::default(), first: true };
        for path in paths {
            let Some((id, bytes)) = self.open(path, top, at) else {
                if self.stopped {
                    return Loaded::Abandoned;
                }
                continue;
            };
            loaded = Loaded::Whole;
            let mut file = Current { id, bytes: &bytes, pending: Vec::new(), top };
            if self.file(&mut file, &mut chain).is_err() || self.stopped {
                return Loaded::Abandoned;
            }
            self.unterminated(&chain.blocks);
        }
        loaded
    }

    fn open(&mut self, path: &Path, top: bool, at: Option<Span>) -> Option<(FileId, Bytes)> {
        if self.opened >= FILES {
            self.too_much(at, format!("this include would be the file number {}", FILES + 1));
            return None;
        }
        self.opened += 1;
        let bytes = match self.files.read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.unreadable(path, top, at, &error);
                return None;
            }
        };
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > BYTES {
            self.too_much(at, format!("with {} more than 64 MiB would be read", path.display()));
            return None;
        }
        if !self.seen.insert(path.to_owned()) {
            let text = format!("{} is included more than once", path.display());
            self.say(located(Diagnostic::note(&codes::AGAIN, text), at));
        }
        let id = self.sources.add(path, bytes);
        Some((id, self.sources.get(id).bytes.clone()))
    }

    fn unreadable(&mut self, path: &Path, top: bool, at: Option<Span>, error: &std::io::Error) {
        self.abandoned = true;
        let text = format!("cannot read {}: {error}", path.display());
        let diagnostic = if top {
            let help = "give its path with sip_conf in handset.conf, and let handsetd read it";
            Diagnostic::error(&codes::TOP, text).help(help)
        } else {
            let help =
                "let handsetd's user read it; if Asterisk cannot either, it passes over the file";
            Diagnostic::error(&codes::UNREADABLE, text).help(help)
        };
        self.say(located(diagnostic, at));
    }

    fn too_much(&mut self, at: Option<Span>, text: String) {
        self.stopped = true;
        self.abandoned = true;
        let help = "handset takes the configuration as rejected; look for includes in a circle";
        self.say(located(Diagnostic::error(&codes::TOO_MUCH, text).help(help), at));
    }

    fn endless(&mut self, at: Span, text: &str) {
        self.stopped = true;
        let help = "Asterisk hangs on this line; handset takes the configuration as rejected";
        self.say(Diagnostic::error(&codes::ENDLESS, text).at(at).help(help));
    }

    fn unterminated(&mut self, blocks: &Blocks) {
        let Some(since) = blocks.since.filter(|_| blocks.depth != 0) else { return };
        if blocks.depth > 0 {
            let text = "this block comment is never closed and hides the rest of the file";
            self.warn(&codes::UNTERMINATED, text, since, "close it with `--;`");
        } else {
            let text = "this `--;` closes nothing and hides the rest of the file";
            self.warn(&codes::STRAY_CLOSE, text, since, "write `--\\;` if it is part of the text");
        }
    }

    fn file(&mut self, file: &mut Current<'_>, chain: &mut Chain) -> Result<(), Abandon> {
        for mut chunk in Lexer::new(file.id, file.bytes) {
            let first = std::mem::take(&mut chain.first);
            let Some(text) = chunk.text else {
                let at = chunk.line.span(chunk.column..chunk.column);
                let text = "this line is longer than 8190 bytes, Asterisk skips it";
                self.warn(&codes::TOO_LONG, text, at, "split it");
                continue;
            };
            let bom = if first && text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            chunk.column += bom;
            self.line(file, chain, &chunk, &text[bom..])?;
            if self.stopped {
                return Err(Abandon);
            }
        }
        // An empty file counts a line, too.
        chain.first = false;
        Ok(())
    }

    fn line(
        &mut self,
        file: &mut Current<'_>,
        chain: &mut Chain,
        chunk: &Chunk<'_>,
        text: &[u8],
    ) -> Result<(), Abandon> {
        let scanned = match chain.blocks.scan(chunk, text) {
            Ok(scanned) => scanned,
            Err(hang) => {
                let column = chunk.column + hang.at;
                let at = chunk.line.span(column..column + 3);
                self.endless(at, "block comments are nested more than 128 deep");
                return Err(Abandon);
            }
        };
        let Some(parts) = scanned.live else { return Ok(()) };
        let mut joined = Joined::default();
        let live = joined.view(text, chunk.column, parts).trim();
        let comment = scanned.comment.map(|at| comment(chunk, text, at));
        if live.bytes.is_empty() {
            if let Some(comment) = comment {
                file.pending.push(self.comments.len());
                self.comments.push(comment);
            }
            return Ok(());
        }
        let slot = comment.map(|comment| {
            self.comments.push(comment);
            self.comments.len() - 1
        });
        let place = self.item(file, chain, chunk.line, live)?;
        if let Place::Key(section) = place {
            for waiting in &file.pending {
                self.comments[*waiting].place = Place::BeforeKey(section);
            }
        }
        file.pending.clear();
        if let Some(slot) = slot {
            self.comments[slot].place = place;
        }
        Ok(())
    }

    /// One live line; says what a comment on it is tied to.
    fn item(
        &mut self,
        file: &Current<'_>,
        chain: &mut Chain,
        line: Line<'_>,
        live: View<'_>,
    ) -> Result<Place, Abandon> {
        let whole = live.span(line, line.span(0..0));
        match parse::parse(live) {
            Item::Header { name, options, detached } => {
                let index = self.header(file, line, whole, name, options)?;
                if detached {
                    let text = format!(
                        "what stands in parentheses does not count for [{}]",
                        name.text(line)
                    );
                    let help = "write `(` directly behind `]`";
                    self.warn(&codes::DETACHED, text, whole, help);
                }
                chain.section = Some(index);
                Ok(Place::Header(index))
            }
            Item::Directive { word, argument } => {
                self.directive(file, line, whole, word, argument)?;
                Ok(Place::Directive)
            }
            Item::Key(key) => self.key(file, chain.section, line, whole, key),
            Item::Fault(fault) => {
                let (code, text) = match fault {
                    Fault::NoBracket => (&codes::NO_BRACKET, "this section header has no `]`"),
                    Fault::NoParenthesis => {
                        (&codes::NO_PARENTHESIS, "this section header has no `)`")
                    }
                };
                Err(self.abandon(file, Diagnostic::error(code, text).at(whole)))
            }
        }
    }

    fn header(
        &mut self,
        file: &Current<'_>,
        line: Line<'_>,
        whole: Span,
        name: View<'_>,
        options: Option<View<'_>>,
    ) -> Result<usize, Abandon> {
        let opened = self.store.header(line, whole, name, options);
        if name.bytes.len() > NAME {
            self.say(codes::cut_name(name.span(line, whole)));
        }
        opened.map_err(|refusal| self.refuse(file, &name.text(line), refusal, whole))
    }

    fn refuse(
        &mut self,
        file: &Current<'_>,
        name: &Text,
        refusal: Refusal,
        whole: Span,
    ) -> Abandon {
        let error = match refusal {
            Refusal::NoBase(base, at) => {
                let text = format!("[{name}] inherits from [{base}], which does not exist (yet)");
                let help = self.base_help(&base);
                Diagnostic::error(&codes::NO_BASE, text).at(at).help(help)
            }
            Refusal::NoTarget(at) => {
                let text = format!("no section [{name}] that this `(+)` can append to");
                let help =
                    "the section must stand earlier; for a template write `(+TEMPLATES=include)`";
                Diagnostic::error(&codes::NO_TARGET, text).at(at).help(help)
            }
            Refusal::Endless(at) => {
                self.endless(at, "behind `(+)` the section inherits from itself");
                return Abandon;
            }
            Refusal::TooMuch => {
                self.too_much(
                    Some(whole),
                    "more values or more work than handset takes".to_owned(),
                );
                return Abandon;
            }
        };
        self.abandon(file, error)
    }

    fn base_help(&self, base: &Text) -> String {
        if base.is_empty() {
            "name the section, or drop the comma".to_owned()
        } else if base.as_bytes().trim_ascii().len() != base.as_bytes().len() {
            "blanks belong to the name: write the options without them".to_owned()
        } else if let Some(near) = self.store.nearest(base) {
            format!("did you mean [{near}]?")
        } else {
            "the section must stand earlier, in any file read so far".to_owned()
        }
    }

    fn directive(
        &mut self,
        file: &Current<'_>,
        line: Line<'_>,
        whole: Span,
        word: View<'_>,
        argument: Option<View<'_>>,
    ) -> Result<(), Abandon> {
        let name = word.bytes.to_ascii_lowercase();
        if !matches!(name.as_slice(), b"include" | b"tryinclude" | b"exec") {
            let text = format!("unknown directive `#{}`, Asterisk skips the line", word.text(line));
            let help = "only #include, #tryinclude and #exec exist, without a blank after the `#`";
            self.warn(&codes::DIRECTIVE, text, whole, help);
            return Ok(());
        }
        if name == b"exec" {
            self.exec(whole, argument.is_some());
            return Ok(());
        }
        let Some(argument) = argument else {
            let text = "this include names no file, Asterisk skips the line";
            self.warn(&codes::NO_ARGUMENT, text, whole, "name the file");
            return Ok(());
        };
        let argument = parse::unquote(argument);
        let at = argument.span(line, whole);
        let loaded = self.load(argument.bytes, at);
        if self.stopped {
            return Err(Abandon);
        }
        if loaded == Loaded::Nothing && name == b"include" {
            let path = self.path(argument.bytes);
            let text = format!("nothing to include: {}", path.display());
            let help = "create the file, correct the path (it is relative to Asterisk's configuration directory), or write #tryinclude";
            return Err(
                self.abandon(file, Diagnostic::error(&codes::NO_INCLUDE, text).at(at).help(help))
            );
        }
        Ok(())
    }

    fn exec(&mut self, whole: Span, argument: bool) {
        self.exec |= argument;
        let text = "handset never runs `#exec`: what Asterisk reads here is unknown";
        let help = "write what the command prints into a file, and include that";
        self.warn(&codes::EXEC, text, whole, help);
    }

    fn key(
        &mut self,
        file: &Current<'_>,
        section: Option<usize>,
        line: Line<'_>,
        whole: Span,
        key: Key<'_>,
    ) -> Result<Place, Abandon> {
        let Some(section) = section else {
            let error = Diagnostic::error(&codes::NO_SECTION, "no section is open here").at(whole);
            return Err(self.abandon(file, error.help("put a [section] above this line")));
        };
        let entry = |name: View<'_>, value: View<'_>| Entry {
            name: name.text(line),
            value: value.text(line),
            name_span: name.span(line, whole),
            span: value.span(line, whole),
            inherited: false,
        };
        let stored = match key {
            Key::Set { name, value } => self.store.set(section, entry(name, value)),
            Key::Append { name, more } => {
                self.store.append(section, entry(name, more.trim()), more.bytes)
            }
            Key::NoEquals => {
                let text = "this line has no `=`, Asterisk skips it";
                self.warn(
                    &codes::NO_EQUALS,
                    text,
                    whole,
                    "write name = value, or make it a comment",
                );
                return Ok(Place::Alone);
            }
            Key::NoName => {
                let text = "there is no name before the `=`, Asterisk skips the line";
                self.warn(&codes::NO_NAME, text, whole, "write name = value");
                return Ok(Place::Alone);
            }
            Key::BadEscape => {
                let text = "this `\\` escapes nothing";
                let error = Diagnostic::error(&codes::BAD_ESCAPE, text).at(whole);
                return Err(
                    self.abandon(file, error.help("drop it, or put the character behind it"))
                );
            }
        };
        match stored {
            Ok(()) => Ok(Place::Key(section)),
            Err(refusal) => Err(self.refuse(file, &Text::default(), refusal, whole)),
        }
    }
}

fn located(diagnostic: Diagnostic, at: Option<Span>) -> Diagnostic {
    match at {
        Some(at) => diagnostic.at(at),
        None => diagnostic,
    }
}

/// The comment from its `;` to the end of the line.
fn comment(chunk: &Chunk<'_>, text: &[u8], at: usize) -> Comment {
    let end = text.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(at, |last| last + 1);
    let (from, to) = (chunk.column + at, chunk.column + end);
    let line = chunk.line;
    let bytes = line.bytes.slice(line.start + from..line.start + to);
    Comment { span: line.span(from..to), text: Text::new(bytes), place: Place::Alone }
}
