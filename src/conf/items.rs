//! What each line of a file does.

use super::include::{Abandon, Chain, Current, LEVELS, Loaded, PATH, Reader};
use super::lex::{Chunk, Joined, Line, View};
use super::parse::{self, Fault, Item, Key};
use super::resolve::{self, NAME, Refusal};
use super::{Comment, Entry, Place, codes, filter};
use crate::base::{Diagnostic, Span, Text};

/// Comments kept (some 130 MiB).
const COMMENTS: usize = 2_000_000;

impl Reader<'_> {
    /// One line as it was cut from the file.
    pub(super) fn line(
        &mut self,
        file: &mut Current<'_>,
        chain: &mut Chain,
        chunk: &Chunk<'_>,
        text: &[u8],
    ) -> Result<(), Abandon> {
        if chain.blocks.passes(text) {
            let live = View::of(text, chunk.column).trim();
            return self.live(file, chain, chunk.line, live, None);
        }
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
        if comment.is_some() && self.comments.len() >= COMMENTS {
            self.too_much(
                Some(chunk.line.span(0..0)),
                "more comments than handset takes".to_owned(),
            );
            return Err(Abandon);
        }
        self.live(file, chain, chunk.line, live, comment)
    }

    /// What is live of a line, which may be nothing, and its comment.
    fn live(
        &mut self,
        file: &mut Current<'_>,
        chain: &mut Chain,
        line: Line<'_>,
        live: View<'_>,
        comment: Option<Comment>,
    ) -> Result<(), Abandon> {
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
        let place = self.item(file, chain, line, live).inspect_err(|_| {
            // What stands on a line that Asterisk chokes on is tied to nothing.
            if slot.is_some_and(|slot| slot + 1 == self.comments.len()) {
                self.comments.pop();
            }
        })?;
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
        for option in options.into_iter().flat_map(resolve::split) {
            if option.bytes.strip_prefix(b"+").is_some_and(filter::varies) {
                let text = "old and new Asterisks choose differently here".to_owned();
                let help = "leave out the `&` that nothing follows; for any value write `key=.*`";
                self.warn(&codes::VARIES, text, option.span(line, whole), help);
            }
        }
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
        if argument.bytes.len() >= PATH && !self.long.insert(argument.bytes.to_vec()) {
            // Asterisk looks for a name `path~~N` that is not taken, and has no room left for it. (Where
            // even the cut path is not taken it goes on; nobody can know that without its own place.)
            self.endless(at, "a path of more than 254 bytes is included a second time");
            return Err(Abandon);
        }
        let needed = name == b"include";
        if self.level >= LEVELS {
            return self.too_deep(file, needed, at);
        }
        let loaded = self.load(argument.bytes, at);
        if self.stopped {
            return Err(Abandon);
        }
        if loaded == Loaded::Nothing && needed {
            let text = format!("nothing to include: {}", self.path(argument.bytes).display());
            let error = Diagnostic::error(&codes::NO_INCLUDE, text).at(at);
            let help = "create the file, correct the path (relative to Asterisk's configuration \
                        directory), or write #tryinclude";
            return Err(self.abandon(file, error.help(help)));
        }
        Ok(())
    }

    fn too_deep(&mut self, file: &Current<'_>, needed: bool, at: Span) -> Result<(), Abandon> {
        let text = format!("includes are nested more than {LEVELS} deep");
        let help =
            "look for a file that includes itself; every abandoned file uses up a level, too";
        if needed {
            let error = Diagnostic::error(&codes::TOO_DEEP, text).at(at);
            return Err(self.abandon(file, error.help(help)));
        }
        self.warn(&codes::TOO_DEEP, text, at, help);
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

/// The comment from its `;` to the end of the line.
fn comment(chunk: &Chunk<'_>, text: &[u8], at: usize) -> Comment {
    let end = text.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(at, |last| last + 1);
    let (from, to) = (chunk.column + at, chunk.column + end);
    let line = chunk.line;
    let text = Text::part(line.bytes, line.start + from..line.start + to);
    Comment { span: line.span(from..to), text, place: Place::Alone }
}
