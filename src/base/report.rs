//! Diagnostics as text: with the lines they speak of for people, or on one line for editors and logs.
//! Secrets in the lines are masked ([`super::mask`]).

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{
    AnnotationKind, Element, Group, Level as Shown, Origin, Renderer, Snippet,
};

use super::diagnostic::{Diagnostic, Level};
use super::mask::{Masked, mask};
use super::span::{Sources, Span};

/// How much of a long line is shown before and after the place.
const AROUND: usize = 120;

/// The message with its code, the line with the place marked, other places, and what to do.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> String {
    let (level, message) = (level(diagnostic.level), clean(&diagnostic.message));
    let main = diagnostic.span.map(|span| Place::new(span, "", sources));
    let related: Vec<Place> =
        diagnostic.related.iter().map(|(span, text)| Place::new(*span, text, sources)).collect();
    let title = level.primary_title(message).id(diagnostic.code.id);
    let mut group = Group::with_title(title);
    for (place, kind) in main
        .iter()
        .map(|place| (place, AnnotationKind::Primary))
        .chain(related.iter().map(|place| (place, AnnotationKind::Context)))
    {
        group = group.element(place.element(kind));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Shown::HELP.message(clean(help)));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.decor_style(DecorStyle::Ascii).render(&[group])
}

/// `file:line:column: error[H0201]: message`, on one line.
pub fn short(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let place = diagnostic.span.map_or_else(String::new, |s| sources.place(s) + ": ");
    let level = match diagnostic.level {
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    clean(&format!("{place}{level}[{}]: {}", diagnostic.code.id, diagnostic.message))
}

fn level(level: Level) -> Shown<'static> {
    match level {
        Level::Note => Shown::NOTE,
        Level::Warning => Shown::WARNING,
        Level::Error => Shown::ERROR,
    }
}

/// A place and the masked line around it.
struct Place {
    path: String,
    line: usize,
    text: String,
    range: Range<usize>,
    label: String,
}

impl Place {
    fn new(span: Span, label: &str, sources: &Sources) -> Self {
        let path = clean(&sources.get(span.file).path.display().to_string());
        let (text, range) = cut(&mask(sources.line(span.file, span.line)), span);
        Self { path, line: span.line as usize, text, range, label: clean(label) }
    }

    fn element(&self, kind: AnnotationKind) -> Element<'_> {
        if self.line == 0 {
            return Origin::path(self.path.as_str()).into();
        }
        let mut mark = kind.span(self.range.clone());
        if !self.label.is_empty() {
            mark = mark.label(self.label.as_str());
        }
        let snippet = Snippet::source(self.text.as_str());
        snippet.line_start(self.line).path(self.path.as_str()).annotation(mark).into()
    }
}

/// The part of a line around a place, with the place in it.
fn cut(line: &Masked, span: Span) -> (String, Range<usize>) {
    let start = line.column(span.start as usize);
    let end = line.column(span.end as usize).max(start);
    let from = boundary(&line.text, start.saturating_sub(AROUND));
    let to = boundary(&line.text, end.min(start + 2 * AROUND) + AROUND);
    let range = start - from..end.min(to) - from;
    (clean(&line.text[from..to]), range)
}

/// The nearest start of a character at or before a byte.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Control characters must not reach a terminal. The text keeps its length in bytes.
fn clean(text: &str) -> String {
    let plain = |c: char| match c {
        '\0'..='\x1f' | '\x7f' => ' ',
        // C1 controls have two bytes in UTF-8, as the middle dot has.
        '\u{80}'..='\u{9f}' => '·',
        c => c,
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;

    use super::*;
    use crate::base::{Code, FileId};

    static CODE: Code = Code { id: "H0201", title: "t", explain: "e" };

    fn sources(text: &'static str) -> (Sources, FileId) {
        let mut sources = Sources::default();
        let file =
            sources.add(Path::new("/etc/asterisk/sip.conf"), Bytes::from_static(text.as_bytes()));
        (sources, file)
    }

    fn at(file: FileId, line: u32, start: u32, end: u32) -> Span {
        Span { file, line, start, end }
    }

    #[test]
    fn shows_both_places_and_what_to_do() {
        let (mut sources, one) = sources("[general]\n[101] ;MAC=00:18:b9:00:00:01 line=2\n");
        let two = sources
            .add(Path::new("/etc/asterisk/more.conf"), Bytes::from_static(b"[102] ;MAC=x line=2"));
        let diagnostic = Diagnostic::error(&CODE, "line 2 is claimed twice")
            .at(at(one, 2, 29, 35))
            .see(at(two, 1, 13, 19), "also here")
            .help("give one of them another line");
        insta::assert_snapshot!(render(&diagnostic, &sources, false), @r"
        error[H0201]: line 2 is claimed twice
         --> /etc/asterisk/sip.conf:2:30
          |
        2 | [101] ;MAC=00:18:b9:00:00:01 line=2
          |                              ^^^^^^
          |
         ::: /etc/asterisk/more.conf:1:14
          |
        1 | [102] ;MAC=x line=2
          |              ------ also here
          |
          = help: give one of them another line
        ");
        assert_eq!(
            short(&diagnostic, &sources),
            "/etc/asterisk/sip.conf:2:30: error[H0201]: line 2 is claimed twice"
        );
        assert!(render(&diagnostic, &sources, true).contains('\u{1b}'));
    }

    #[test]
    fn a_file_as_a_whole_and_no_place_at_all_can_be_meant() {
        let (sources, file) = sources("x");
        let whole = Diagnostic::warning(&CODE, "the file is empty").at(Span::whole(file));
        insta::assert_snapshot!(render(&whole, &sources, false), @r"
        warning[H0201]: the file is empty
         --> /etc/asterisk/sip.conf
        ");
        assert_eq!(
            short(&whole, &sources),
            "/etc/asterisk/sip.conf: warning[H0201]: the file is empty"
        );
        let none = Diagnostic::note(&CODE, "no server address");
        insta::assert_snapshot!(render(&none, &sources, false), @"note[H0201]: no server address");
    }

    #[test]
    fn no_secret_is_shown_whatever_is_pointed_at() {
        let text = "secret=geheim\n;secret=geheim\nsecret=>geheim\nsecret+=geheim\n\
                    secret = geheim ; c\nsecret geheim\nsecert=geheim ;MAC=1\nregister => a:geheim@b\n";
        let (sources, file) = sources(text);
        for line in 1..=9 {
            for (start, end) in [(0, 6), (0, 13), (7, 13), (9, 9), (13, 40), (60, 70), (20, 3)] {
                let diagnostic = Diagnostic::error(&CODE, "m")
                    .at(at(file, line, start, end))
                    .see(at(file, line, end, start), "here");
                let shown = render(&diagnostic, &sources, false) + &short(&diagnostic, &sources);
                assert!(!shown.contains("geheim") && !shown.contains("heim"), "{shown}");
            }
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let (sources, file) = sources("a\u{1b}[31m=\u{9b}1\tb");
        let diagnostic = Diagnostic::error(&CODE, "m\u{1b}").at(at(file, 1, 0, 1));
        let shown = render(&diagnostic, &sources, false) + &short(&diagnostic, &sources);
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_line_and_no_place_can_break_a_report(
            text: Vec<u8>, line in 0_u32..4, start in 0_u32..300, end in 0_u32..300,
        ) {
            let mut sources = Sources::default();
            let file = sources.add(Path::new("x"), Bytes::from(text));
            let span = at(file, line, start, end);
            let diagnostic = Diagnostic::error(&CODE, "m").at(span).see(span, "here");
            let shown = render(&diagnostic, &sources, false) + &short(&diagnostic, &sources);
            assert!(shown.contains("error[H0201]"));
        }

        #[test]
        fn what_follows_a_secret_is_never_shown(
            lead in "[ ;\\t\\\\]{0,3}", key in "(secret|Password|pin|auth|line1_password|vmsecret)",
            operator in "[ \\t]{0,2}(=|=>|\\+=|:)[ \\t]{0,2}", value in "[A-Z;\"=<> -]{0,20}GEHEIM",
        ) {
            let shown = mask(format!("{lead}{key}{operator}{value}").as_bytes()).text;
            assert!(!shown.contains("GEHEIM"), "{shown}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line: &'static str =
            Box::leak(format!("{}é!{}", "é".repeat(2000), "b".repeat(4000)).into());
        let (sources, file) = sources(line);
        let shown =
            render(&Diagnostic::error(&CODE, "m").at(at(file, 1, 4002, 4003)), &sources, false);
        assert!(shown.len() < 1500 && shown.contains("é!bbb"), "{shown}");
    }
}
