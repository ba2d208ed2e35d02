//! `handset open` and `handset close`.

use super::args::Args;
use super::{DONE, daemon, output};
use crate::base::Cidr;
use crate::control::{Answer, Ask, Open as What, Opened};

/// `handset open`.
#[derive(clap::Args, Debug)]
pub struct Open {
    /// A phone, and for how long: seconds, or a number with s, m, h or d [default: 5m]
    #[arg(value_names = ["PHONE", "TIME"], num_args = 0..=2)]
    pub words: Vec<String>,
    /// All phones in this network instead, as 192.0.2.0/24; TIME is then 2h unless it is given
    #[arg(long, value_name = "CIDR")]
    pub net: Option<Cidr>,
}

/// `handset close`.
#[derive(clap::Args, Debug)]
pub struct Close {
    /// The phone
    #[arg(required_unless_present = "net", conflicts_with = "net")]
    pub phone: Option<String>,
    /// The network
    #[arg(long, value_name = "CIDR")]
    pub net: Option<Cidr>,
}

const PHONE_SECONDS: u64 = 5 * 60;
const NET_SECONDS: u64 = 2 * 3600;

/// Runs `handset open`.
pub(super) fn open(args: &Args, options: &Open) -> u8 {
    let ask = match question(options) {
        Ok(ask) => ask,
        Err(word) => {
            output::complain(format!("{word:?} is no time: write 300, 5m, 2h or 1d"));
            return super::USAGE;
        }
    };
    told(args, ask)
}

/// Runs `handset close`.
pub(super) fn close(args: &Args, options: &Close) -> u8 {
    let phone = || What::Phone(options.phone.clone().unwrap_or_default());
    told(args, Ask::Close { what: options.net.map_or_else(phone, What::Net) })
}

fn told(args: &Args, ask: Ask) -> u8 {
    match daemon::once(args, ask) {
        Ok(Answer::Done(text)) => {
            output::line(text);
            DONE
        }
        Ok(Answer::Opened(all)) => {
            output::line(list(&all));
            DONE
        }
        Ok(other) => output::refused(Some(other)),
        Err(code) => code,
    }
}

/// What is asked; else the word that is no time.
fn question(options: &Open) -> Result<Ask, String> {
    let time = |word: Option<&String>, default| match word {
        None => Ok(default),
        Some(word) => seconds(word).ok_or_else(|| word.clone()),
    };
    match (options.net, options.words.as_slice()) {
        (None, []) => Ok(Ask::Opened),
        (Some(net), rest) => match rest {
            [] | [_] => {
                let seconds = time(rest.first(), NET_SECONDS)?;
                Ok(Ask::Open { what: What::Net(net), seconds })
            }
            [phone, ..] => Err(phone.clone()),
        },
        (None, [phone, rest @ ..]) => {
            let seconds = time(rest.first(), PHONE_SECONDS)?;
            Ok(Ask::Open { what: What::Phone(phone.clone()), seconds })
        }
    }
}

/// Seconds, or a whole number with `s`, `m`, `h` or `d`.
pub(super) fn seconds(word: &str) -> Option<u64> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let unit = units.iter().find_map(|(unit, size)| Some((word.strip_suffix(unit)?, *size)));
    let (digits, size) = unit.unwrap_or((word, 1));
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(size)
}

/// What is open, for people.
pub(super) fn list(all: &[Opened]) -> String {
    if all.is_empty() {
        return "nothing is open".into();
    }
    let left = |opened: &Opened| {
        let (minutes, seconds) = (opened.seconds / 60, opened.seconds % 60);
        format!("{} is open for another {minutes} min {seconds} s", opened.what)
    };
    all.iter().map(left).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_question_and_a_wrong_time_is_named() {
        let check = |words: &[&str], net: Option<&str>, expected: &str| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            let options = Open { words, net: net.map(|net| net.parse().unwrap()) };
            let found = match question(&options) {
                Ok(Ask::Opened) => "list".into(),
                Ok(Ask::Open { what: What::Phone(phone), seconds }) => format!("{phone} {seconds}"),
                Ok(Ask::Open { what: What::Net(net), seconds }) => format!("{net} {seconds}"),
                Ok(other) => format!("{other:?}"),
                Err(word) => format!("bad {word}"),
            };
            assert_eq!(found, expected);
        };
        check(&[], None, "list");
        check(&["201"], None, "201 300");
        check(&["201", "90"], None, "201 90");
        check(&["201", "2h"], None, "201 7200");
        check(&["201", "+2h"], None, "bad +2h");
        check(&["201", "m"], None, "bad m");
        check(&["201", "99999999999999999999d"], None, "bad 99999999999999999999d");
        check(&[], Some("192.0.2.0/24"), "192.0.2.0/24 7200");
        check(&["1d"], Some("192.0.2.0/24"), "192.0.2.0/24 86400");
        check(&["201", "1d"], Some("192.0.2.0/24"), "bad 201");
    }
}
