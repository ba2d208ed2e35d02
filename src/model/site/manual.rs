//! handset.conf(5), written from the table of keys.

use std::fmt::Write as _;

use super::keys::{KEYS, Key, Kind};

const HEAD: &str = r#".TH HANDSET.CONF 5
.SH NAME
handset.conf \- settings of handset, which lets desk phones follow Asterisk
.SH DESCRIPTION
The file is written in the language of Asterisk's own files: sections, templates,
.B #include
and
.B ;
comments work as in sip.conf. Every key has a default, and the file may be missing. An unknown key
or section is an error; as long as there is one, handsetd goes on with the settings that it had. A
relative path starts at the folder of handset.conf. A duration is a number of seconds, or a number
with
.BR s ", " m ", " h " or " d .
"#;

const FAMILIES: &str = r".SH SECTIONS OF FAMILIES
.B [cisco-79x0]
and the like hold what concerns one family of phones,
.B [cisco-79x0/lobby]
what concerns the phones whose tag says
.BR profile=lobby .
.TP
.B firmware
The firmware that the phones shall run. Unset: no file names any.
.TP
.B default_model
The model of phones whose tag names none. Unset: the first one with enough lines.
.PP
Any other key is written into the phones' own files as it stands.
.SH FILES
.I /etc/asterisk/handset.conf
.SH SEE ALSO
.BR handsetd (8),
.BR handset (1)
";

/// The manual page in roff.
pub fn manual() -> String {
    let mut page = HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let _ = writeln!(page, ".SH [{}]", escape(section));
        }
        entry(&mut page, key);
    }
    page + FAMILIES
}

fn entry(page: &mut String, key: &Key) {
    let (name, form) = (escape(key.name), form(key.kind));
    let default = escape(key.default);
    let _ = writeln!(page, ".TP\n.BR {name} \" = \" \\fI{form}\\fR\n{}", escape(key.doc));
    let _ = writeln!(page, "Default: {default}.");
}

/// What a value looks like, in roff.
fn form(kind: Kind) -> String {
    match kind {
        Kind::Path => "path".into(),
        Kind::File => "file".into(),
        Kind::Address => "address".into(),
        Kind::Host => "host".into(),
        Kind::Listen => "address:port".into(),
        Kind::Port => "port".into(),
        Kind::Duration => "duration".into(),
        Kind::Rate | Kind::Count => "number".into(),
        Kind::Percent => "number%".into(),
        Kind::Window => "hh:mm\\-hh:mm".into(),
        Kind::Zone => "zone".into(),
        Kind::Family => "family".into(),
        Kind::Nets => "network, ...".into(),
        Kind::Addresses => "address, ...".into(),
        Kind::Ranges => "address\\-address, ...".into(),
        Kind::Names => "name, ...".into(),
        Kind::Vlan => "1..4094".into(),
        Kind::Choice(words) => words.join("|"),
        Kind::Text | Kind::Secret => "text".into(),
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
