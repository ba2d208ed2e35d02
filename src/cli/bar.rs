//! A bar of done, on its way and waiting, on one line of the terminal.

use std::io::{IsTerminal, Write};

/// So many characters wide.
const WIDTH: usize = 30;

/// Draws it: `#` for what is done, `=` for what is on its way, `.` for the rest.
pub(super) fn bar(done: usize, moving: usize, total: usize) -> String {
    let part = |count: usize| count.min(total).saturating_mul(WIDTH) / total.max(1);
    let done_at = part(done);
    let moving_at = part(done.saturating_add(moving)).max(done_at);
    // What is on its way is seen, however little it is.
    let moving_at = if moving > 0 && moving_at == done_at { done_at + 1 } else { moving_at };
    let moving_at = moving_at.min(WIDTH);
    let draw = |at: usize| match at {
        at if at < done_at => '#',
        at if at < moving_at => '=',
        _ => '.',
    };
    format!("[{}]", (0..WIDTH).map(draw).collect::<String>())
}

/// A line that is drawn again and again where a person looks; nowhere else.
pub(super) struct Line(bool);

impl Line {
    /// On standard error, where both are a terminal.
    pub(super) fn new() -> Self {
        Self(std::io::stderr().is_terminal() && super::output::terminal())
    }

    /// Whether anybody sees it.
    pub(super) fn is_seen(&self) -> bool {
        self.0
    }

    /// Draws it anew; empty text takes it away.
    pub(super) fn draw(&self, text: &str) {
        if self.0 {
            let mut terminal = anstream::stderr();
            let _ = write!(terminal, "\r\u{1b}[K{text}");
            let _ = terminal.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(done: usize, moving: usize, total: usize, wanted: &str) {
        assert_eq!(bar(done, moving, total), wanted, "{done} {moving} {total}");
    }

    #[test]
    fn the_bar_shows_what_is_done_and_what_is_on_its_way() {
        check(0, 0, 300, "[..............................]");
        check(0, 1, 300, "[=.............................]");
        check(100, 100, 300, "[##########==========..........]");
        check(299, 1, 300, "[#############################=]");
        check(300, 0, 300, "[##############################]");
    }

    #[test]
    fn numbers_that_do_not_fit_draw_no_longer_bar() {
        check(0, 0, 0, "[..............................]");
        check(9, 9, 3, "[##############################]");
        check(usize::MAX, 1, 3, "[##############################]");
    }
}
