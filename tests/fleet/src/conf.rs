//! A sip.conf as a model that can be edited and written: who has which phone, and what the phone must
//! run because of it.

use std::fmt::Write as _;

use crate::random::Random;

/// A whole sip.conf.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conf {
    /// Lines of `[general]` beyond those that the lab needs.
    pub general: Vec<(String, String)>,
    /// The templates.
    pub groups: Vec<Group>,
    /// The desks, in the order of the file.
    pub desks: Vec<Desk>,
    /// Text of comments; changes nothing.
    pub remark: String,
    /// Blank lines between sections; changes nothing.
    pub blanks: usize,
}

/// A template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Its section's name.
    pub name: String,
    /// Its settings.
    pub values: Vec<(String, String)>,
}

/// A desk: a phone and its peers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Desk {
    /// Which phone is tagged: its number in the fleet.
    pub phone: usize,
    /// Whether the desk is in the file.
    pub present: bool,
    /// Index of its template.
    pub group: usize,
    /// Line 1 first.
    pub lines: Vec<Line>,
}

/// A peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The section.
    pub peer: String,
    /// The password.
    pub secret: String,
    /// The name in `callerid`.
    pub name: String,
    /// Whether it has a mailbox.
    pub mailbox: bool,
    /// The label in the tag.
    pub label: Option<String>,
}

/// The MAC of phone `index`.
pub fn mac(index: usize) -> [u8; 6] {
    let [.., high, middle, low] = index.to_be_bytes();
    // A locally known maker: Cisco, whose phones these are.
    [0x00, 0x18, 0xb9, high, middle, low]
}

/// The same as status and reports write it, with `separator` between the bytes.
pub fn mac_text(index: usize, separator: &str) -> String {
    mac(index).map(|byte| format!("{byte:02x}")).join(separator)
}

/// Whether phone `index` is a 7960: every third, and so is every one with two lines.
pub fn is_7960(index: usize) -> bool {
    index.is_multiple_of(3)
}

impl Conf {
    /// A site with so many phones: one peer each, two for every fourth.
    pub fn new(phones: usize, seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let count = (phones / 40).clamp(2, 8);
        let value = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let group = |n: usize| Group {
            name: format!("desk{n}"),
            values: vec![
                value("language", "en"),
                value("allow", "ulaw"),
                value("dtmfmode", "rfc2833"),
            ],
        };
        let desk = |phone: usize| {
            let lines = if phone.is_multiple_of(4) { 2 } else { 1 };
            let group = random.below(count);
            let lines = (1..=lines).map(|n| Line::new(10_000 * n + phone, &mut random)).collect();
            Desk { phone, present: true, group, lines }
        };
        Self {
            desks: (0..phones).map(desk).collect(),
            general: vec![value("vmexten", "8500"), value("useragent", "Fleet")],
            groups: (0..count).map(group).collect(),
            remark: "as delivered".into(),
            blanks: 1,
        }
    }

    /// The text of the file; `@SIP_PORT@` stands for Asterisk's port.
    pub fn text(&self, pbx: &Pbx) -> String {
        let mut out = format!("; {}\n[general]\n{}", self.remark, pbx.general());
        for (key, value) in &self.general {
            let _ = writeln!(out, "{key}={value}");
        }
        for group in &self.groups {
            let _ = write!(
                out,
                "\n[{}](!)\ntype=friend\nhost=dynamic\ncontext=phones\ndisallow=all\n",
                group.name
            );
            for (key, value) in &group.values {
                let _ = writeln!(out, "{key}={value}");
            }
        }
        for desk in self.desks.iter().filter(|desk| desk.present) {
            out.push_str(&"\n".repeat(self.blanks));
            desk.write(&self.groups[desk.group].name, &mut out);
        }
        out
    }

    /// What the tagged phones must run, by the number of the phone.
    pub fn wanted(&self) -> Vec<(usize, Wanted)> {
        let mut all: Vec<_> = self
            .desks
            .iter()
            .filter(|desk| desk.present)
            .map(|desk| (desk.phone, self.wanted_of(desk)))
            .collect();
        all.sort_by_key(|(phone, _)| *phone);
        all
    }

    fn wanted_of(&self, desk: &Desk) -> Wanted {
        let value = |key: &str| {
            let values = &self.groups[desk.group].values;
            values.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).unwrap_or_default()
        };
        let codec = if value("allow").starts_with("alaw") { "g711alaw" } else { "g711ulaw" };
        let mut keys = vec![("preferred_codec".to_owned(), codec.to_owned())];
        for (n, line) in (1..).zip(&desk.lines) {
            keys.push((format!("line{n}_name"), line.peer.clone()));
            keys.push((format!("line{n}_password"), line.secret.clone()));
            keys.push((format!("line{n}_displayname"), line.name.clone()));
            if let Some(label) = &line.label {
                keys.push((format!("line{n}_shortname"), label.clone()));
            }
        }
        Wanted { keys, lines: desk.lines.len() }
    }
}

/// What a phone must run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Keys of its flash, and their values.
    pub keys: Vec<(String, String)>,
    /// How many lines it must have.
    pub lines: usize,
}

/// What Asterisk is told beside the peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pbx {
    /// Seconds between two OPTIONS to a phone; 0 for none.
    pub qualify: u32,
    /// Seconds that a registration lasts.
    pub expires: u32,
}

impl Pbx {
    fn general(&self) -> String {
        let qualify = match self.qualify {
            0 => "qualify=no\n".to_owned(),
            seconds => format!("qualify=yes\nqualifyfreq={seconds}\n"),
        };
        format!(
            "context=phones\nudpbindaddr=127.0.0.1:@SIP_PORT@\nallowguest=no\nalwaysauthreject=yes\n\
             srvlookup=no\nrealm=fleet\nnat=no\nminexpiry=5\nmaxexpiry=7200\ndefaultexpiry={}\n{qualify}\
             t1min=100\n",
            self.expires
        )
    }
}

impl Desk {
    fn write(&self, group: &str, out: &mut String) {
        for (n, line) in (1..).zip(&self.lines) {
            let model = if is_7960(self.phone) { " model=7960" } else { " model=7940" };
            let label = line.label.as_ref().map(|l| format!(" label=\"{l}\"")).unwrap_or_default();
            let tag = mac_text(self.phone, ":");
            let _ = writeln!(out, "[{}]({group}) ;MAC={tag}{model} line={n}{label}", line.peer);
            let _ =
                writeln!(out, "callerid=\"{}\" <{}>\nsecret={}", line.name, line.peer, line.secret);
            if line.mailbox {
                let _ = writeln!(out, "mailbox={}@default", line.peer);
            }
        }
    }
}

impl Line {
    fn new(number: usize, random: &mut Random) -> Self {
        Self {
            peer: format!("{number}"),
            secret: random.word(12),
            name: format!("User {number}"),
            mailbox: random.chance(30),
            label: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Conf, Pbx, mac_text};

    const PBX: Pbx = Pbx { qualify: 0, expires: 60 };

    #[test]
    fn a_site_is_the_same_for_the_same_seed() {
        assert_eq!(Conf::new(50, 3), Conf::new(50, 3));
        assert_ne!(Conf::new(50, 3).text(&PBX), Conf::new(50, 4).text(&PBX));
    }

    #[test]
    fn every_present_desk_is_tagged_and_wanted() {
        let mut conf = Conf::new(50, 3);
        conf.desks[7].present = false;
        let text = conf.text(&PBX);
        let tags = |n: usize| text.matches(&mac_text(n, ":")).count();
        assert_eq!((tags(4), tags(5), tags(7)), (2, 1, 0));
        let wanted = conf.wanted();
        assert_eq!(wanted.len(), 49);
        assert_eq!(wanted[4].1.lines, 2);
        assert!(wanted[5].1.keys.contains(&("line1_name".into(), "10005".into())));
    }
}
