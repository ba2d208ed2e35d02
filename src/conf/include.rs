//! Files in the order and with the state that Asterisk reads them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::lex::{Blocks, Lexer};
use super::resolve::Store;
use super::{Age, Comment, Conf, Files, Status, codes};
use crate::base::{Code, Diagnostic, FileId, Level, Sources, Span};

/// Levels below the top file.
pub(super) const LEVELS: u32 = 10;

/// Bytes of a path that Asterisk keeps.
pub(super) const PATH: usize = 255;

/// Files opened in one reading.
const FILES: usize = 1000;

/// Bytes read in one reading.
const BYTES: usize = 64 << 20;

/// Messages kept.
const MESSAGES: usize = 1000;

/// How the reading of one include (or of the top file) ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Loaded {
    /// Not one file could be read.
    Nothing,
    Whole,
    /// An error stopped it half-way.
    Abandoned,
}

/// The file is abandoned (and the diagnostic is written).
pub(super) struct Abandon;

/// One reading.
pub(super) struct Reader<'a> {
    etc: &'a Path,
    files: &'a mut dyn Files,
    sources: &'a mut Sources,
    pub(super) store: Store,
    pub(super) comments: Vec<Comment>,
    pub(super) diagnostics: Vec<Diagnostic>,
    seen: HashSet<PathBuf>,
    /// Arguments of includes that fill Asterisk's buffer for a path.
    pub(super) long: HashSet<Vec<u8>>,
    /// Nesting level; an abandoned file never gives its own back.
    pub(super) level: u32,
    opened: usize,
    bytes: usize,
    pub(super) abandoned: bool,
    pub(super) exec: bool,
    /// Asterisk hangs, or a limit is reached: nothing more is read.
    pub(super) stopped: bool,
    /// [`MESSAGES`] were written.
    muted: bool,
}

/// State that the files of one include share.
pub(super) struct Chain {
    pub(super) section: Option<usize>,
    pub(super) blocks: Blocks,
    /// Asterisk's line counter is still at the first line.
    first: bool,
}

/// The file being read.
pub(super) struct Current<'b> {
    id: FileId,
    bytes: &'b Arc<Bytes>,
    /// Comments alone on their line that wait for what comes next.
    pub(super) pending: Vec<usize>,
    pub(super) top: bool,
}

pub(super) fn read(
    age: Age,
    top: &Path,
    etc: &Path,
    files: &mut dyn Files,
    sources: &mut Sources,
) -> Conf {
    let mut reader = Reader {
        etc,
        files,
        sources,
        store: Store::new(age),
        comments: Vec::new(),
        diagnostics: Vec::new(),
        seen: HashSet::new(),
        long: HashSet::new(),
        level: 0,
        opened: 0,
        bytes: 0,
        abandoned: false,
        exec: false,
        stopped: false,
        muted: false,
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

    pub(super) fn say(&mut self, diagnostic: Diagnostic) {
        if diagnostic.level == Level::Error || self.diagnostics.len() < MESSAGES {
            self.diagnostics.push(diagnostic);
        } else if !std::mem::replace(&mut self.muted, true) {
            let text = "there are more messages than are shown";
            self.diagnostics.push(Diagnostic::warning(&codes::MANY, text));
        }
    }

    pub(super) fn warn(
        &mut self,
        code: &'static Code,
        text: impl Into<String>,
        at: Span,
        help: &str,
    ) {
        self.say(Diagnostic::warning(code, text).at(at).help(help));
    }

    /// Writes the message about what makes Asterisk abandon the file.
    pub(super) fn abandon(&mut self, file: &Current<'_>, error: Diagnostic) -> Abandon {
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
    pub(super) fn load(&mut self, argument: &[u8], at: Span) -> Loaded {
        self.level += 1;
        let paths = self.files.expand(&self.path(argument));
        let loaded = self.chain(&paths, false, Some(at));
        if loaded != Loaded::Abandoned {
            self.level -= 1;
        }
        loaded
    }

    /// Relative to the configuration directory, cut as Asterisk's buffer does.
    pub(super) fn path(&self, argument: &[u8]) -> PathBuf {
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

    fn open(&mut self, path: &Path, top: bool, at: Option<Span>) -> Option<(FileId, Arc<Bytes>)> {
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
        Some((id, Arc::new(self.sources.get(id).bytes.clone())))
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

    pub(super) fn too_much(&mut self, at: Option<Span>, text: String) {
        self.stopped = true;
        self.abandoned = true;
        let help = "handset takes the configuration as rejected; look for includes in a circle";
        self.say(located(Diagnostic::error(&codes::TOO_MUCH, text).help(help), at));
    }

    pub(super) fn endless(&mut self, at: Span, text: &str) {
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
}

fn located(diagnostic: Diagnostic, at: Option<Span>) -> Diagnostic {
    match at {
        Some(at) => diagnostic.at(at),
        None => diagnostic,
    }
}
