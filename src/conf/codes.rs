//! The messages about the language.

use crate::base::{Code, Diagnostic, Span};

use super::resolve::NAME;

macro_rules! codes {
    ($($name:ident $id:literal $title:literal $explain:literal)*) => {
        $(pub(super) static $name: Code = Code { id: $id, title: $title, explain: $explain };)*
        /// Every kind of message about the language.
        pub(super) static CODES: &[&Code] = &[$(&$name),*];
    };
}

codes! {
    TOP "H0101" "the top file cannot be read"
        "Asterisk does not load a file that is missing or unreadable, and keeps what it had. Check the path and the permissions: handsetd reads as its own user."
    NO_BRACKET "H0102" "a section header without `]`"
        "Asterisk abandons the file at this line. In the top file the whole configuration is rejected; in an included file everything below the line is lost, and the includer goes on."
    NO_PARENTHESIS "H0103" "a section header without `)`"
        "Asterisk abandons the file at this line, as for a header without `]`."
    NO_BASE "H0104" "inheriting from an unknown section"
        "The section must stand earlier, in any file read so far. Blanks count: `(!, phones)` looks for a section called ` phones`. Asterisk abandons the file at this line."
    NO_TARGET "H0105" "`(+)` without a section to append to"
        "`(+)` finds the first section of the name that is no template; for templates write `(+TEMPLATES=include)`. Asterisk abandons the file at this line."
    NO_SECTION "H0106" "a key before any section"
        "A key needs a `[section]` above it, in this file or open in the file that includes it. Asterisk abandons the file at this line."
    BAD_ESCAPE "H0107" "a `\\` that escapes nothing"
        "`\\` at the start of a line lets a key begin with `[` or `#`; a printable ASCII character must follow. Asterisk abandons the file at this line."
    NO_INCLUDE "H0108" "an include that reads nothing"
        "Missing, unreadable, a directory, or a pattern that matches nothing. Asterisk abandons the including file at this line; `#tryinclude` would go on. Paths are relative to Asterisk's configuration directory, never to the including file."
    TOO_DEEP "H0109" "includes nested too deeply"
        "Asterisk reads the top file and ten levels below it; every file that it abandons uses up one level for good."
    NO_EQUALS "H0110" "a line without `=`"
        "Asterisk skips the line."
    NO_NAME "H0111" "a value without a name"
        "Asterisk skips the line."
    DIRECTIVE "H0112" "an unknown directive"
        "Only `#include`, `#tryinclude` and `#exec` exist, written without a blank after `#`. Asterisk skips the line."
    NO_ARGUMENT "H0113" "a directive without an argument"
        "Asterisk skips the line."
    EXEC "H0114" "a live `#exec`"
        "With `execincludes=yes` in asterisk.conf Asterisk runs the command and reads its output; without, it skips the line. handset never runs it and therefore cannot know what Asterisk reads."
    TOO_LONG "H0115" "a line that is too long"
        "Asterisk reads at most 8190 bytes a line and skips a longer one whole."
    UNTERMINATED "H0116" "a block comment that is never closed"
        "Everything from `;--` to the end of the file is hidden, and also the next files of the same `#include` pattern."
    STRAY_CLOSE "H0117" "`--;` without `;--`"
        "Outside a block comment `--;` makes Asterisk ignore every following line until a `;--`. Write `--\\;` for the plain text."
    ENDLESS "H0118" "Asterisk would hang here"
        "128 nested `;--` and one more, a section that inherits from itself behind `(+)`, or a path of more than 254 bytes included a second time: Asterisk loops for ever. handset takes the configuration as rejected."
    TOO_MUCH "H0119" "more than handset reads"
        "One configuration may have 1000 files, 64 MiB, four million values (twenty million, when what each section inherits counts) and two million comments. Two includes in a cycle soon reach that."
    UNREADABLE "H0120" "an included file that cannot be read"
        "Asterisk passes over the file. If Asterisk's own user can read it and handsetd's cannot, handset knows less than Asterisk: fix the permissions."
    DETACHED "H0121" "a blank before `(`"
        "`[name] (!)` is an ordinary section: what stands in parentheses counts only directly behind the `]`."
    CUT_NAME "H0122" "a section name that is too long"
        "Asterisk keeps 79 bytes of the name."
    AGAIN "H0123" "a file included more than once"
        "Its sections then exist more than once."
    MANY "H0124" "too many messages"
        "The first thousand are shown."
    VARIES "H0125" "a filter that Asterisk's versions read differently"
        "In `(+key=)` and `(+key=value&)` nothing stands at the end. Before 18.22, 20.7 and 21.2 the first matches no section, and the `&` of the second does not count; since then the first matches any value of the key, and the second matches no section. Say which is meant: `(+key=.*)`, `(+key=value)`."
}

/// A name cut by Asterisk.
pub(super) fn cut_name(span: Span) -> Diagnostic {
    Diagnostic::warning(&CUT_NAME, format!("this name is longer than {NAME} bytes and is cut"))
        .at(span)
        .help("shorten it: it can only be referred to by what is kept")
}
