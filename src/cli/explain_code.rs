//! `handset explain-code`: what a kind of message means.

use super::{DONE, NO, output};
use crate::base::Code;
use crate::base::nearest::nearest;

/// `handset explain-code`.
#[derive(clap::Args, Debug)]
pub struct ExplainCode {
    /// The code, as H0201; without it all are listed
    pub code: Option<String>,
}

/// Runs it: code 1 when there is no such code.
pub(super) fn run(options: &ExplainCode) -> u8 {
    match options.code.as_deref().map(explain) {
        None => output::line(list()),
        Some(Ok(text)) => output::line(text),
        Some(Err(why)) => {
            output::complain(why);
            return NO;
        }
    }
    DONE
}

/// Every code, in order.
fn all() -> Vec<&'static Code> {
    let mut codes: Vec<&Code> = crate::CODES.iter().copied().flatten().copied().collect();
    codes.sort_by_key(|code| code.id);
    codes
}

fn list() -> String {
    let row = |code: &&Code| format!("{}  {}", code.id, code.title);
    all().iter().map(row).collect::<Vec<_>>().join("\n")
}

fn explain(word: &str) -> Result<String, String> {
    let codes = all();
    match codes.iter().find(|code| code.id.eq_ignore_ascii_case(word)) {
        Some(code) => Ok(format!("{}: {}\n\n{}", code.id, code.title, wrapped(code.explain))),
        None => Err(match nearest(word, codes.iter().map(|code| code.id)) {
            Some(near) => format!("no message has the code '{word}': did you mean {near}?"),
            None => format!("no message has the code '{word}': handset explain-code lists all"),
        }),
    }
}

/// At most 80 characters a line.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let room = lines.last().is_some_and(|l| l.chars().count() + word.chars().count() < 80);
        if !room {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_explained_in_any_case() {
        let text = explain("h0407").unwrap();
        insta::assert_snapshot!(text, @r"
        H0407: no codec is left

        After all allow= and disallow= the list of codecs is empty: the phone registers,
        and every call fails.
        ");
    }

    #[test]
    fn an_unknown_code_names_the_nearest() {
        let why = |word: &str| explain(word).unwrap_err();
        assert_eq!(why("H407"), "no message has the code 'H407': did you mean H0407?");
        assert_eq!(why("mac"), "no message has the code 'mac': handset explain-code lists all");
    }

    #[test]
    fn the_list_has_every_code_once_in_order() {
        let list = list();
        let ids: Vec<&str> = list.lines().filter_map(|line| line.split("  ").next()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        assert_eq!(ids.len(), crate::CODES.iter().map(|codes| codes.len()).sum::<usize>());
    }

    #[test]
    fn no_explanation_is_wider_than_a_terminal() {
        for code in all() {
            assert!(wrapped(code.explain).lines().all(|l| l.chars().count() <= 80), "{}", code.id);
        }
    }
}
