//! Tables, colours, and sentences to the terminal.

use std::io::{IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};

use crate::control::client::ClientError;
use crate::control::{Answer, ErrorKind};

/// Writes a line; a reader that is gone (`handset status | head`) is no error.
pub(super) fn line(text: impl AsRef<str>) {
    let _ = writeln!(anstream::stdout(), "{}", text.as_ref());
}

/// What was written is seen now, also by a pipe.
pub(super) fn flush() {
    let _ = std::io::stdout().flush();
}

/// Writes bytes as they are.
pub(super) fn bytes(bytes: &[u8]) {
    let _ = std::io::stdout().write_all(bytes);
}

/// Writes a complaint.
pub(super) fn complain(text: impl AsRef<str>) {
    let _ = writeln!(anstream::stderr(), "handset: {}", text.as_ref());
}

/// Whether colours make sense.
pub(super) fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A table with a head; never wrapped when nobody looks at it in a terminal.
pub(super) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head.to_vec()).add_rows(rows);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Tells why the daemon could not be asked, and gives the exit code.
pub(super) fn unreachable(error: &ClientError) -> u8 {
    complain(error.to_string());
    if matches!(error, ClientError::Denied(_)) { super::DENIED } else { super::UNREACHABLE }
}

/// Tells what the daemon refused or answered unexpectedly, and gives the exit code.
pub(super) fn refused(answer: Option<Answer>) -> u8 {
    match answer {
        Some(Answer::Error { kind, message }) => {
            complain(message);
            match kind {
                ErrorKind::Denied => super::DENIED,
                ErrorKind::NoSuchPhone | ErrorKind::Unavailable => super::NO,
                ErrorKind::BadRequest => super::UNREACHABLE,
            }
        }
        Some(_) => {
            complain("the daemon gave an answer that does not fit: update both");
            super::UNREACHABLE
        }
        None => {
            complain("handsetd broke off without an answer");
            super::UNREACHABLE
        }
    }
}

/// Whether a person looks at standard output.
pub(super) fn terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// A person is shown so many rows.
const ROWS: usize = 40;

/// How many rows of a long list are worth showing: a program that reads the output gets all.
pub(super) fn rows() -> usize {
    if terminal() { ROWS } else { usize::MAX }
}
