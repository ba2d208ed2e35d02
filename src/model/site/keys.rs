//! The keys of handset.conf, as data.

mod agi;
mod dhcp;
mod push;

use super::value::{
    Context, Fault, address, choice, count, family, file, host, listen, nets, path, port, text,
    yes_no, zone,
};
use std::time::Duration;

use super::{Ami, FamilySettings, GuardMode, PushMode, ReloadMode, Site};
use crate::base::{Secret, Spanned};

/// One key of handset.conf.
#[derive(Clone, Copy)]
pub struct Key {
    /// Its section.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What values look like.
    pub kind: Kind,
    /// What holds when it is not set, as it would be written; `none` when nothing does.
    pub default: &'static str,
    /// What it does, for people.
    pub doc: &'static str,
    /// Reads a value into the settings.
    pub(super) set: fn(&mut Site, &Context<'_>) -> Result<(), Fault>,
}

/// What the values of a key look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A path; a relative one starts at the folder of handset.conf.
    Path,
    /// The name of a served file.
    File,
    /// An IP address.
    Address,
    /// A host name or an IP address.
    Host,
    /// `address:port`, an address, a port, or `off`.
    Listen,
    /// 1 to 65535.
    Port,
    /// Seconds, or a number with `ms`, `s`, `m`, `h` or `d`; a fraction is allowed.
    Duration,
    /// A number a second.
    Rate,
    /// A whole number from 1 on.
    Count,
    /// 0 to 100.
    Percent,
    /// The name of a time zone in the IANA database.
    Zone,
    /// The name of a family of phones.
    Family,
    /// Networks as 192.0.2.0/24, joined by commas.
    Nets,
    /// IPv4 addresses, joined by commas.
    Addresses,
    /// IPv4 addresses and ranges of them, joined by commas.
    Ranges,
    /// Names of interfaces, joined by commas.
    Names,
    /// 1 to 4094.
    Vlan,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Two times of the day, as 22:00-05:00.
    Window,
    /// Any text.
    Text,
    /// Any text; never shown.
    Secret,
}

/// Every key with a meaning of its own. Sections of families take any other key too.
pub static KEYS: &[Key] = &ALL;

pub(super) use dhcp::SCOPE;

/// The lists that it is made of, in the order of the manual page.
const LISTS: [&[Key]; 4] = [COMMON, &push::KEYS, &dhcp::KEYS, &agi::KEYS];

const COUNT: usize = COMMON.len() + push::KEYS.len() + dhcp::KEYS.len() + agi::KEYS.len();

const ALL: [Key; COUNT] = {
    let mut all = [COMMON[0]; COUNT];
    let (mut at, mut list) = (0, 0);
    while list < LISTS.len() {
        let mut key = 0;
        while key < LISTS[list].len() {
            all[at] = LISTS[list][key];
            (at, key) = (at + 1, key + 1);
        }
        list += 1;
    }
    all
};

const COMMON: &[Key] = &[
    Key {
        section: "general",
        name: "sip_conf",
        kind: Kind::Path,
        default: "/etc/asterisk/sip.conf",
        doc: "The sip.conf to follow, with everything that it includes.",
        set: |site, value| put(&mut site.sip_conf, path(value)),
    },
    Key {
        section: "general",
        name: "pjsip_conf",
        kind: Kind::Path,
        default: "none",
        doc: "The pjsip.conf to follow; pjsip_wizard.conf is looked for beside it. Unset: pjsip.conf \
              beside sip_conf, when there is one. sip.conf and pjsip.conf may both be followed; one of \
              them is enough.",
        set: |site, value| put(&mut site.pjsip_conf, path(value).map(Some)),
    },
    Key {
        section: "general",
        name: "server_address",
        kind: Kind::Address,
        default: "none",
        doc: "The address of this host and of Asterisk that is written into the files of the \
              phones. Unset: the bind address in sip.conf unless it is a wildcard, else the only \
              global address that the host had at the first start.",
        set: |site, value| {
            put(&mut site.server_address, address(value).map(|v| Some(value.spanned(v))))
        },
    },
    Key {
        section: "general",
        name: "state_dir",
        kind: Kind::Path,
        default: "/var/lib/handset",
        doc: "The folder in which handsetd keeps what must survive a restart. Holds secrets: mode \
              0700.",
        set: |site, value| put(&mut site.state_dir, path(value)),
    },
    Key {
        section: "general",
        name: "control_socket",
        kind: Kind::Path,
        default: "/run/handset/control",
        doc: "The socket on which handset(1) talks to handsetd(8).",
        set: |site, value| put(&mut site.control_socket, path(value)),
    },
    Key {
        section: "general",
        name: "export_dir",
        kind: Kind::Path,
        default: "none",
        doc: "A folder to which every file of the phones is also written, for another TFTP or web \
              server to serve.",
        set: |site, value| put(&mut site.export_dir, path(value).map(Some)),
    },
    Key {
        section: "general",
        name: "timezone",
        kind: Kind::Zone,
        default: "none",
        doc: "The time zone of the phones, as Europe/Berlin. Clock rules are computed from it. \
              Unset: the zone of the host at the first start.",
        set: |site, value| put(&mut site.timezone, zone(value).map(|v| Some(value.spanned(v)))),
    },
    Key {
        section: "general",
        name: "ntp_server",
        kind: Kind::Host,
        default: "none",
        doc: "The time server of the phones. Unset: server_address.",
        set: |site, value| put(&mut site.ntp_server, host(value).map(|v| Some(value.spanned(v)))),
    },
    Key {
        section: "general",
        name: "push",
        kind: Kind::Choice(&["auto", "manual"]),
        default: "auto",
        doc: "auto: phones whose files changed are told by themselves. manual: only `handset push` \
              tells them.",
        set: |site, value| {
            let modes = [("auto", PushMode::Auto), ("manual", PushMode::Manual)];
            put(&mut site.push, choice(value, &modes))
        },
    },
    Key {
        section: "general",
        name: "asterisk_reload",
        kind: Kind::Choice(&["ask", "wait", "ignore"]),
        default: "ask",
        doc: "How new files wait for Asterisk. ask: handsetd asks Asterisk to reload chan_sip, then \
              offers them. wait: they are offered once somebody else's reload is seen. ignore: they \
              are offered at once.",
        set: |site, value| {
            let modes = [
                ("ask", ReloadMode::Ask),
                ("wait", ReloadMode::Wait),
                ("ignore", ReloadMode::Ignore),
            ];
            put(&mut site.reload, choice(value, &modes))
        },
    },
    Key {
        section: "general",
        name: "site_key",
        kind: Kind::Path,
        default: "handset.key",
        doc: "The file of the site key, made once with mode 0600. Back it up with the \
              configuration: every phone restarts once when it is lost.",
        set: |site, value| put(&mut site.site_key, path(value)),
    },
    Key {
        section: "general",
        name: "default_family",
        kind: Kind::Family,
        default: "cisco-79x0",
        doc: "The family of phones whose tag names no model.",
        set: |site, value| put(&mut site.default_family, family(value)),
    },
    Key {
        section: "general",
        name: "families_dir",
        kind: Kind::Path,
        default: "families",
        doc: "A folder with families of your own, and with files that replace those of the built-in \
              families.",
        set: |site, value| put(&mut site.families_dir, path(value)),
    },
    Key {
        section: "general",
        name: "guard",
        kind: Kind::Choice(&["strict", "lenient", "off"]),
        default: "strict",
        doc: "Who gets the files that hold passwords. strict: only who is known to be the phone, by \
              the neighbour table, its registration or an earlier proof. lenient: also who is \
              unknown, as behind a router. off: anybody. `handset open` makes exceptions for a while.",
        set: |site, value| {
            let modes = [
                ("strict", GuardMode::Strict),
                ("lenient", GuardMode::Lenient),
                ("off", GuardMode::Off),
            ];
            put(&mut site.guard, choice(value, &modes))
        },
    },
    Key {
        section: "general",
        name: "trusted_nets",
        kind: Kind::Nets,
        default: "none",
        doc: "Networks whose askers get every phone's file, unless the neighbour table knows them to \
              be another machine: routed sites, or 127.0.0.0/8 to try by hand on the server.",
        set: |site, value| put(&mut site.trusted_nets, nets(value)),
    },
    Key {
        section: "general",
        name: "unknown_file",
        kind: Kind::Choice(&["yes", "no"]),
        default: "no",
        doc: "yes: a SIP phone without a tag that is surely itself gets a file without an account, which \
              shows its MAC and `not assigned`. It must be started again once it is adopted.",
        set: |site, value| put(&mut site.unknown_file, yes_no(value)),
    },
    Key {
        section: "general",
        name: "journal_days",
        kind: Kind::Count,
        default: "14",
        doc: "What phones did is kept for so many days, for `handset trace`.",
        set: |site, value| {
            let days = |days: u64| Duration::from_secs(days * 86_400);
            put(&mut site.journal_age, count(value, 3650).map(days))
        },
    },
    Key {
        section: "general",
        name: "journal_size",
        kind: Kind::Count,
        default: "32",
        doc: "It takes so many megabytes in state_dir at most; the oldest go first. A boot of a phone \
              takes about 250 bytes.",
        set: |site, value| {
            put(&mut site.journal_bytes, count(value, 100_000).map(|size| size * 1_000_000))
        },
    },
    Key {
        section: "ami",
        name: "host",
        kind: Kind::Host,
        default: "127.0.0.1",
        doc: "The host of Asterisk's manager interface. Without a section [ami] there is no \
              connection.",
        set: |site, value| put(&mut ami(site).host, host(value)),
    },
    Key {
        section: "ami",
        name: "port",
        kind: Kind::Port,
        default: "5038",
        doc: "Its port.",
        set: |site, value| put(&mut ami(site).port, port(value)),
    },
    Key {
        section: "ami",
        name: "username",
        kind: Kind::Text,
        default: "none",
        doc: "The account in manager.conf. It needs read=system and write=system; with read=call \
              and write=reporting it hears of calls, too.",
        set: |site, value| put(&mut ami(site).username, text(value)),
    },
    Key {
        section: "ami",
        name: "secret",
        kind: Kind::Secret,
        default: "none",
        doc: "Its secret.",
        set: |site, value| put(&mut ami(site).secret, text(value).map(Secret::new)),
    },
    Key {
        section: "ami",
        name: "login",
        kind: Kind::Choice(&["md5", "plain"]),
        default: "md5",
        doc: "md5: the secret is not sent, only an answer to a challenge. plain: it is sent.",
        set: |site, value| {
            put(&mut ami(site).md5, choice(value, &[("md5", true), ("plain", false)]))
        },
    },
    Key {
        section: "tftp",
        name: "listen",
        kind: Kind::Listen,
        default: "0.0.0.0:69",
        doc: "Where TFTP requests are answered; off: nowhere.",
        set: |site, value| put(&mut site.tftp.listen, listen(value, 69)),
    },
    Key {
        section: "tftp",
        name: "root",
        kind: Kind::Path,
        default: "none",
        doc: "The folder of files that are served as they are: firmware, ring tones.",
        set: |site, value| put(&mut site.tftp.root, path(value).map(Some)),
    },
    Key {
        section: "http",
        name: "listen",
        kind: Kind::Listen,
        default: "off",
        doc: "Where HTTP requests are answered; off: nowhere. The files of the phones then name the \
              phone book, the services and the logo there.",
        set: |site, value| {
            let spanned = |found: Option<_>| found.map(|address| value.spanned(address));
            put(&mut site.http.listen, listen(value, 80).map(spanned))
        },
    },
    Key {
        section: "http",
        name: "tls_listen",
        kind: Kind::Listen,
        default: "off",
        doc: "Where HTTPS requests are answered beside it; off: nowhere. The files of the phones never \
              name it.",
        set: |site, value| put(&mut site.http.tls_listen, listen(value, 443)),
    },
    Key {
        section: "http",
        name: "certificate",
        kind: Kind::Path,
        default: "none",
        doc: "The certificate for HTTPS with its chain, PEM. Read at the start.",
        set: |site, value| put(&mut site.http.certificate, path(value).map(Some)),
    },
    Key {
        section: "http",
        name: "key",
        kind: Kind::Path,
        default: "none",
        doc: "The private key of the certificate, PEM.",
        set: |site, value| put(&mut site.http.key, path(value).map(Some)),
    },
    Key {
        section: "http",
        name: "phonebook",
        kind: Kind::Path,
        default: "none",
        doc: "A file of more entries for the phone book, which has every peer with a caller's name \
              and number: CSV or vCard.",
        set: |site, value| put(&mut site.http.phonebook, path(value).map(Some)),
    },
    Key {
        section: "http",
        name: "logo",
        kind: Kind::File,
        default: "none",
        doc: "The picture that phones show: the name of a file in the root of [tftp].",
        set: |site, value| put(&mut site.http.logo, file(value).map(|v| Some(value.spanned(v)))),
    },
    Key {
        section: "http",
        name: "metrics",
        kind: Kind::Nets,
        default: "127.0.0.0/8, ::1/128",
        doc: "The networks from which /metrics, for Prometheus, may be read; off: from nowhere.",
        set: |site, value| {
            let is_off = value.value.eq_ignore_ascii_case("off");
            put(&mut site.http.metrics, if is_off { Ok(Vec::new()) } else { nets(value) })
        },
    },
];

fn put<T>(slot: &mut T, value: Result<T, Fault>) -> Result<(), Fault> {
    value.map(|value| *slot = value)
}

fn ami(site: &mut Site) -> &mut Ami {
    site.ami.get_or_insert_default()
}

/// Sets a key of a family's section: `firmware`, or any other, of which the last spelling stays.
pub(super) fn set_raw(settings: &mut FamilySettings, key: String, value: Spanned<String>) {
    if key.eq_ignore_ascii_case("firmware") {
        settings.firmware = Some(value);
        return;
    }
    settings.keys.retain(|known, _| !known.eq_ignore_ascii_case(&key));
    settings.keys.insert(key, value);
}
