//! `handset tag` and `handset untag`: one line of sip.conf changes, and nothing else.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{DONE, NO, USAGE, output};
use crate::base::nearest::nearest;
use crate::base::{Diagnostic, Mac, Sources, mask, report};
use crate::conf::{self, Status};
use crate::daemon::disk::Disk;
use crate::daemon::rewrite::{Written, rewrite};
use crate::model::tag::write::{self, Edit, Reading, Wish};

/// Lines shown around the changed one.
const AROUND: usize = 3;

/// `handset tag`.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub struct Tag {
    /// The peer: the name of its section
    pub peer: String,
    /// The phone's MAC, in any spelling
    pub mac: Mac,
    /// model=7960 line=2 "label=Front desk" profile=NAME firmware=LOAD ip=192.0.2.7
    #[arg(value_name = "NAME=VALUE")]
    pub attributes: Vec<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Another sip.conf than the configured one
    #[arg(long, value_name = "FILE")]
    pub sip_conf: Option<PathBuf>,
}

/// `handset untag`.
#[derive(clap::Args, Debug)]
pub struct Untag {
    /// The peer: the name of its section
    pub peer: String,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Another sip.conf than the configured one
    #[arg(long, value_name = "FILE")]
    pub sip_conf: Option<PathBuf>,
}

const HELP: &str = "\
The tag goes onto the line of the peer's [section], or into the place of the tag that the peer has. Where that line \
has a comment already, the tag goes behind the first of the peer's own keys that has none; where there is no such key, \
the older comment becomes a block comment. Every other byte of the file, its owner, mode and symbolic links stay. \
Nothing is written when the file changed meanwhile, or when Asterisk would read it differently.";

/// Runs `handset tag`: `tops` are the files that hold peers (sip.conf, pjsip.conf), of which the first
/// with such a section counts; `etc` is Asterisk's configuration directory.
pub(super) fn tag(tops: &[PathBuf], etc: &Path, options: &Tag) -> u8 {
    let wish = match wish(options.mac, &options.attributes) {
        Ok(wish) => wish,
        Err(why) => {
            output::complain(why);
            return USAGE;
        }
    };
    change(tops, etc, &options.peer, Some(&wish), options.dry_run)
}

/// Runs `handset untag`, with the same files.
pub(super) fn untag(tops: &[PathBuf], etc: &Path, options: &Untag) -> u8 {
    change(tops, etc, &options.peer, None, options.dry_run)
}

/// The attributes of the command line.
fn wish(mac: Mac, attributes: &[String]) -> Result<Wish, String> {
    let mut wish = Wish {
        mac,
        model: None,
        line: None,
        label: None,
        profile: None,
        firmware: None,
        ip: None,
        guest: None,
    };
    for attribute in attributes {
        let Some((name, value)) = attribute.split_once('=') else {
            return Err(format!("'{attribute}' is not name=value"));
        };
        let value = value.to_owned();
        let twice = match name {
            "model" => wish.model.replace(value).is_some(),
            "label" => wish.label.replace(value).is_some(),
            "profile" => wish.profile.replace(value).is_some(),
            "firmware" => wish.firmware.replace(value).is_some(),
            "line" => {
                let line = value.parse().ok().filter(|line| (1..=99).contains(line));
                let line: u8 = line.ok_or("line is a number from 1 to 99")?;
                wish.line.replace(line).is_some()
            }
            "ip" => {
                let ip = value.parse().map_err(|_| "ip is an IPv4 address")?;
                wish.ip.replace(ip).is_some()
            }
            _ => {
                let near = nearest(name, ["model", "line", "label", "profile", "firmware", "ip"]);
                let near = near.map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
                return Err(format!("a tag has no attribute '{name}'{near}"));
            }
        };
        if twice {
            return Err(format!("{name} is given twice"));
        }
    }
    Ok(wish)
}

fn change(tops: &[PathBuf], etc: &Path, peer: &str, wish: Option<&Wish>, dry_run: bool) -> u8 {
    let edit = match plan(tops, etc, peer, wish) {
        Ok(edit) => edit,
        Err(why) => {
            let _ = writeln!(anstream::stderr(), "{why}");
            return NO;
        }
    };
    if dry_run {
        output::line(diff(&edit).trim_end());
        return DONE;
    }
    let place = format!("{}:{}", edit.path.display(), edit.line);
    match rewrite(&edit.path, &edit.old, &edit.new) {
        Ok(Written::Not) => output::line(format!("{place}: nothing to change")),
        Ok(Written::Renamed | Written::InPlace) => output::line(diff(&edit).trim_end()),
        Err(why) => {
            output::complain(why.to_string());
            return NO;
        }
    }
    DONE
}

/// The edit in the first file that has the section; else why there is none.
fn plan(tops: &[PathBuf], etc: &Path, peer: &str, wish: Option<&Wish>) -> Result<Edit, String> {
    let mut told = None;
    for top in tops {
        let mut sources = Sources::default();
        let conf = conf::read(top, etc, &mut Disk::new(), &mut sources);
        if conf.status == Status::Missing && tops.len() > 1 {
            continue;
        }
        let say = |why: &Diagnostic| {
            report::render(why, &sources, output::colour()).trim_end().to_owned()
        };
        let section = match write::section(&conf, peer) {
            Ok(section) => section,
            Err(why) => {
                told.get_or_insert(say(&why));
                continue;
            }
        };
        let reading = Reading { top, etc, conf: &conf, sources: &sources };
        let edit = match wish {
            Some(wish) => write::tag(&reading, section, wish, &mut Disk::new()),
            None => write::untag(&reading, section, &mut Disk::new()),
        };
        return edit.map_err(|why| say(&why));
    }
    Err(told.unwrap_or_else(|| "there is no file with peers".to_owned()))
}

/// A unified diff; secrets in the lines around are masked.
fn diff(edit: &Edit) -> String {
    let lines = |bytes: &[u8]| {
        let mut lines: Vec<_> =
            bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        // What ends without a line feed is told as diff tells it.
        if let Some(last) = lines.last_mut().filter(|last| !last.ends_with(b"\n")) {
            last.extend_from_slice(b"\n\\ No newline at end of file");
        }
        lines
    };
    let (old, new) = (lines(&edit.old), lines(&edit.new));
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().max(new.len()) - head;
    let tail =
        old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let tail = tail.min(old.len() - head).min(new.len() - head);
    if head == old.len() && head == new.len() {
        return format!("{}: nothing to change", edit.path.display());
    }
    let (from, upto) = (head.saturating_sub(AROUND), tail.saturating_sub(AROUND));
    let range = |all: &[Vec<u8>]| format!("{},{}", from + 1, all.len() - upto - from);
    let path = edit.path.display();
    let mut text = format!("--- {path}\n+++ {path}\n@@ -{} +{} @@\n", range(&old), range(&new));
    let mut show = |sign: char, lines: &[Vec<u8>]| {
        for line in lines {
            text.push(sign);
            text += &shown(line);
        }
    };
    show(' ', &old[from..head]);
    show('-', &old[head..old.len() - tail]);
    show('+', &new[head..new.len() - tail]);
    show(' ', &old[old.len() - tail..old.len() - upto]);
    text
}

/// A line for a terminal.
fn shown(line: &[u8]) -> String {
    let (line, note) = match line.strip_suffix(b"\n") {
        Some(line) => (line, ""),
        None => {
            let at = line.iter().position(|b| *b == b'\n').unwrap_or(line.len());
            (&line[..at], "\n\\ No newline at end of file")
        }
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let calm = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
    let text: String = mask::mask(line).text.chars().map(calm).collect();
    format!("{text}{note}\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tags(attributes: &[&str]) -> Result<String, String> {
        let mac = "0018b9123456".parse().expect("a MAC");
        let attributes: Vec<_> = attributes.iter().map(|a| (*a).to_owned()).collect();
        wish(mac, &attributes).map(|wish| wish.text())
    }

    #[test]
    fn attributes_become_a_tag() {
        assert_eq!(tags(&[]).expect("a tag"), ";MAC=00:18:b9:12:34:56");
        let all = tags(&["label=Front desk", "line=2", "model=7960"]);
        assert_eq!(
            all.expect("a tag"),
            ";MAC=00:18:b9:12:34:56 model=7960 line=2 label=\"Front desk\""
        );
        for (attribute, why) in [
            ("line=0", "line is a number from 1 to 99"),
            ("modell=1", "a tag has no attribute 'modell' (did you mean model?)"),
            ("x", "'x' is not name=value"),
        ] {
            assert_eq!(tags(&[attribute]).expect_err("refused"), why);
        }
        assert_eq!(tags(&["line=1", "line=2"]).expect_err("refused"), "line is given twice");
    }

    struct Lab(tempfile::TempDir);

    impl Lab {
        fn new(text: &str) -> Self {
            let lab = Self(tempfile::tempdir().expect("a folder"));
            fs::write(lab.top(), text).expect("write");
            lab
        }

        fn top(&self) -> PathBuf {
            self.0.path().join("sip.conf")
        }

        fn text(&self) -> String {
            fs::read_to_string(self.top()).expect("read")
        }

        fn tag(&self, peer: &str, attributes: &[&str], dry_run: bool) -> u8 {
            let mac = "0018b9123456".parse().expect("a MAC");
            let attributes = attributes.iter().map(|a| (*a).to_owned()).collect();
            let options = Tag { peer: peer.into(), mac, attributes, dry_run, sip_conf: None };
            tag(&[self.top()], self.0.path(), &options)
        }

        fn untag(&self, peer: &str, dry_run: bool) -> u8 {
            let options = Untag { peer: peer.into(), dry_run, sip_conf: None };
            untag(&[self.top()], self.0.path(), &options)
        }
    }

    const SIP: &str =
        "[t](!)\ntype=friend\n[101](t)\nsecret=geheim\r\n\n[102](t) ; lobby\nsecret=x\n";

    #[test]
    fn a_peer_is_tagged_and_untagged() {
        let lab = Lab::new(SIP);
        assert_eq!(lab.tag("101", &["model=7960"], true), DONE);
        assert_eq!(lab.text(), SIP);
        assert_eq!(lab.tag("101", &["model=7960"], false), DONE);
        let tagged = SIP.replace("[101](t)", "[101](t) ;MAC=00:18:b9:12:34:56 model=7960");
        assert_eq!(lab.text(), tagged);
        assert_eq!(lab.tag("101", &["line=2"], false), DONE);
        assert_eq!(lab.text(), tagged.replace("model=7960", "line=2"));
        assert_eq!(lab.untag("101", false), DONE);
        assert_eq!(lab.text(), SIP);
    }

    #[test]
    fn a_comment_on_the_header_sends_the_tag_to_a_key() {
        let lab = Lab::new(SIP);
        assert_eq!(lab.tag("102", &[], false), DONE);
        assert_eq!(lab.text(), SIP.replace("secret=x", "secret=x ;MAC=00:18:b9:12:34:56"));
        assert_eq!(lab.untag("102", false), DONE);
        assert_eq!(lab.text(), SIP);
    }

    #[test]
    fn a_label_is_written_in_the_charset_of_the_file() {
        let lab = Lab::new("");
        for (text, label) in
            [(&b"[101]\nk=\xfc\n"[..], &b"\xfc"[..]), (b"[101]\nk=\xc3\xbc\n", b"\xc3\xbc")]
        {
            fs::write(lab.top(), text).expect("write");
            assert_eq!(lab.tag("101", &["label=B\u{fc}ro"], false), DONE);
            let written = fs::read(lab.top()).expect("read");
            let wanted = [b"label=B", label, b"ro\n"].concat();
            assert!(
                written.windows(wanted.len()).any(|w| w == wanted),
                "{}",
                written.escape_ascii()
            );
            assert_eq!(lab.untag("101", false), DONE);
            assert_eq!(fs::read(lab.top()).expect("read"), text);
        }
    }

    #[test]
    fn what_cannot_be_tagged_is_refused() {
        let lab = Lab::new(SIP);
        for (peer, attributes) in [("t", &[][..]), ("103", &[]), ("101", &["label=a;b"])] {
            assert_eq!(lab.tag(peer, attributes, false), NO, "{peer}");
        }
        assert_eq!((lab.untag("101", false), lab.tag("101", &["x"], false)), (NO, USAGE));
        assert_eq!(lab.text(), SIP);
    }

    #[test]
    fn the_difference_shows_the_line_and_no_secret() {
        let lab = Lab::new(SIP);
        let mac = "0018b9123456".parse().expect("a MAC");
        let wish = wish(mac, &[]).expect("a wish");
        let edit = plan(&[lab.top()], lab.0.path(), "101", Some(&wish)).expect("an edit");
        let told = diff(&edit);
        let told = told.split_once("@@").expect("a hunk").1;
        insta::assert_snapshot!(told, @r"
         -1,6 +1,6 @@
         [t](!)
         type=friend
        -[101](t)
        +[101](t) ;MAC=00:18:b9:12:34:56
         secret=***
         
         [102](t) ; lobby
        ");
    }
}
