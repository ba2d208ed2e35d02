//! Command lines.

/// Bytes of a command line at most, with its line feed (res_agi's buffer; it drops what is longer).
pub const COMMAND_MAX: usize = 8191;

/// Words of a command line at most (`MAX_ARGS` of res_agi, one for its end).
const WORDS: usize = 127;

/// Why a command cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unwritable {
    /// It would end early, and begin another command.
    #[error("an argument has a line end or a NUL")]
    Ends,
    /// Asterisk would not read all of it.
    #[error("the command is too long")]
    Long,
}

/// One command as it is sent: `verb` as it stands, each argument in quotes, where a backslash makes the next
/// byte mean itself.
///
/// # Errors
/// When Asterisk would read something else.
pub fn command(verb: &str, arguments: &[&[u8]]) -> Result<Vec<u8>, Unwritable> {
    let ends = |b: &u8| matches!(b, b'\n' | b'\r' | 0);
    let all = || arguments.iter().copied().chain([verb.as_bytes()]);
    if all().any(|word| word.iter().any(ends)) {
        return Err(Unwritable::Ends);
    }
    let mut line = verb.as_bytes().to_vec();
    for argument in arguments {
        line.extend_from_slice(b" \"");
        for byte in *argument {
            if matches!(byte, b'"' | b'\\') {
                line.push(b'\\');
            }
            line.push(*byte);
        }
        line.push(b'"');
    }
    line.push(b'\n');
    let words = verb.split_whitespace().count() + arguments.len();
    if line.len() > COMMAND_MAX || words > WORDS { Err(Unwritable::Long) } else { Ok(line) }
}
