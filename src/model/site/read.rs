//! handset.conf → [`Site`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use super::keys::{KEYS, Key, Kind, SCOPE, set_raw};
use super::value::Context;
use super::{Ami, Net4, Scope, Site, agi, dhcp};
use crate::base::nearest::nearest;
use crate::base::{Code, Diagnostic, Span, Spanned};
use crate::conf::{Conf, Entry, Section};

/// All codes of this module.
pub static CODES: &[&Code] = &[
    &UNKNOWN_KEY,
    &UNKNOWN_SECTION,
    &BAD_VALUE,
    &AMI_ACCOUNT,
    &AMI_CLEAR,
    &dhcp::SCOPE,
    &dhcp::IDLE,
    &agi::TOKEN,
    &agi::IDLE,
];

static UNKNOWN_KEY: Code = Code {
    id: "H0301",
    title: "unknown key in handset.conf",
    explain: "handset.conf has no such key in this section; handset.conf(5) lists them all. Keys \
              of the phone's own files go into the section of its family, as [cisco-79x0].",
};

static UNKNOWN_SECTION: Code = Code {
    id: "H0302",
    title: "unknown section in handset.conf",
    explain: "The sections of handset.conf are [general], [push], [ami], [tftp], [http], [agi], [dhcp], \
              one for each network of phones, as [dhcp 192.0.2.0/24], one for each family, as [cisco-79x0], and one for each profile, as [cisco-79x0/lobby].",
};

static BAD_VALUE: Code = Code {
    id: "H0303",
    title: "bad value in handset.conf",
    explain: "The value is not of the form that the key takes. As long as handset.conf has an \
              error, the daemon goes on with the settings that it had.",
};

static AMI_ACCOUNT: Code = Code {
    id: "H0304",
    title: "the manager account is incomplete",
    explain: "The section [ami] needs `username` and `secret` of an account in Asterisk's \
              manager.conf.",
};

static AMI_CLEAR: Code = Code {
    id: "H0305",
    title: "the manager interface is on another host",
    explain: "The connection is not encrypted: who can listen on the way sees every event, and \
              with login=plain the secret. Run handsetd on Asterisk's host, or use a tunnel.",
};

/// Reads handset.conf from `path` (which relative paths in it refer to). Settings with an error keep
/// their default: a caller that has better ones keeps those as long as there is an error among the
/// diagnostics. A file that is missing gives the defaults.
pub fn read(conf: &Conf, path: &Path, known_families: &[&str]) -> (Site, Vec<Diagnostic>) {
    let mut reading = Reading {
        site: Site::at(path),
        folder: path.parent().unwrap_or(Path::new("")),
        families: known_families,
        diagnostics: Vec::new(),
        reported: BTreeSet::new(),
    };
    for section in conf.sections.iter().filter(|section| !section.template) {
        reading.section(section);
    }
    reading.check_dhcp(conf);
    reading.check_agi(conf);
    (reading.site, reading.diagnostics)
}

struct Reading<'a> {
    site: Site,
    folder: &'a Path,
    families: &'a [&'a str],
    diagnostics: Vec<Diagnostic>,
    /// A line of a template is reported once.
    reported: BTreeSet<Span>,
}

impl Reading<'_> {
    fn section(&mut self, section: &Section) {
        let name = section.name.chars().to_ascii_lowercase();
        if let Some(net) = name.strip_prefix("dhcp ") {
            self.scope(section, net.trim());
        } else if sections().any(|known| known == name) {
            section.entries.iter().for_each(|entry| self.setting(&name, entry, None));
            if name == "ami" {
                self.check_ami(section);
            }
        } else if self.is_family(&name) {
            let settings = self.site.families.entry(name).or_default();
            for entry in &section.entries {
                let value = Spanned::new(entry.value.chars().into_owned(), entry.span);
                set_raw(settings, entry.name.chars().into_owned(), value);
            }
        } else {
            self.unknown_section(&name, section.span);
        }
    }

    /// `[dhcp 192.0.2.0/24]`; one with a bad network is read no further.
    fn scope(&mut self, section: &Section, net: &str) {
        let net = match Net4::parse(net) {
            Ok(net) => net,
            Err(text) => {
                let help = "write the network of the phones, as [dhcp 192.0.2.0/24]";
                let trouble = Diagnostic::error(&dhcp::SCOPE, text).at(section.span).help(help);
                return self.report(trouble);
            }
        };
        let scopes = &mut self.site.dhcp.scopes;
        if !scopes.iter().any(|scope| scope.net == net) {
            scopes.push(Scope::new(net, section.span));
        }
        section.entries.iter().for_each(|entry| self.setting(SCOPE, entry, Some(net)));
    }

    /// What does not fit together in the settings of the DHCP service.
    fn check_dhcp(&mut self, conf: &Conf) {
        let real = || conf.sections.iter().filter(|section| !section.template);
        let of_scope = |section: &&Section, net: Net4| {
            let name = section.name.chars().to_ascii_lowercase();
            name.strip_prefix("dhcp ").is_some_and(|n| Net4::parse(n.trim()) == Ok(net))
        };
        let place = |scope: &Scope, key: &str| {
            let sections = real().filter(|section| of_scope(section, scope.net));
            sections.filter_map(|s| s.last(key)).next_back().map_or(scope.span, |entry| entry.span)
        };
        let top = real().find(|section| section.name.is("dhcp")).map(|section| section.span);
        for trouble in dhcp::check(&self.site.dhcp, top, &place) {
            self.report(trouble);
        }
    }

    /// What does not fit together in the settings of the FastAGI service.
    fn check_agi(&mut self, conf: &Conf) {
        let real = conf.sections.iter().filter(|section| !section.template);
        let top = real.filter(|section| section.name.is("agi")).map(|section| section.span).next();
        let trouble = top.and_then(|at| agi::check(&self.site.agi, at));
        trouble.into_iter().for_each(|trouble| self.report(trouble));
    }

    /// `[family]` or `[family/profile]`.
    fn is_family(&self, section: &str) -> bool {
        let (family, profile) = section.split_once('/').unwrap_or((section, "-"));
        !profile.is_empty() && self.families.iter().any(|f| f.eq_ignore_ascii_case(family))
    }

    fn setting(&mut self, section: &str, entry: &Entry, scope: Option<Net4>) {
        let in_section = || KEYS.iter().filter(|key| key.section == section);
        let Some(key) = in_section().find(|key| entry.name.is(key.name)) else {
            return self.unknown_key(section, entry, in_section().map(|key| key.name).collect());
        };
        let value = entry.value.chars();
        let context = Context {
            value: &value,
            span: entry.span,
            folder: self.folder,
            families: self.families,
            scope,
        };
        if let Err(fault) = (key.set)(&mut self.site, &context) {
            let text = format!("{}: {}", key.name, shown(key, &fault.message));
            let trouble = Diagnostic::error(&BAD_VALUE, text).at(entry.span).help(fault.help);
            self.report(trouble);
        }
    }

    fn unknown_key(&mut self, section: &str, entry: &Entry, known: Vec<&str>) {
        let name = entry.name.chars();
        let elsewhere = KEYS.iter().find(|key| entry.name.is(key.name)).map(|key| key.section);
        let help = match (nearest(&name, known), elsewhere) {
            (Some(near), _) => format!("did you mean {near}?"),
            (None, Some(section)) => format!("it belongs into [{section}]"),
            (None, None) => "handset.conf(5) lists all keys".to_owned(),
        };
        let text = format!("[{section}] has no key {name:?}");
        self.report(Diagnostic::error(&UNKNOWN_KEY, text).at(entry.name_span).help(help));
    }

    fn unknown_section(&mut self, name: &str, span: Span) {
        let known: Vec<&str> = sections().chain(self.families.iter().copied()).collect();
        let help = match nearest(name, known) {
            Some(near) => format!("did you mean [{near}]?"),
            None => "handset.conf(5) lists all sections".to_owned(),
        };
        let text = format!("handset.conf has no section [{name}]");
        self.report(Diagnostic::error(&UNKNOWN_SECTION, text).at(span).help(help));
    }

    fn check_ami(&mut self, section: &Section) {
        let ami = self.site.ami.get_or_insert_default();
        let near = is_near(&ami.host);
        let host = section.last("host").map_or(section.span, |entry| entry.span);
        // An empty value has its own message.
        let said = |key| section.last(key).is_some();
        let whole = has_account(ami) || said("username") && said("secret");
        if !whole {
            let text = "[ami] needs username and secret";
            let help = "give those of an account in Asterisk's manager.conf";
            self.report(Diagnostic::error(&AMI_ACCOUNT, text).at(section.span).help(help));
        }
        if !near {
            let text =
                "the manager interface is on another host, and the connection is not encrypted";
            let help = "run handsetd on Asterisk's host, or use a tunnel";
            self.report(Diagnostic::warning(&AMI_CLEAR, text).at(host).help(help));
        }
    }

    fn report(&mut self, trouble: Diagnostic) {
        if trouble.span.is_none_or(|span| self.reported.insert(span)) {
            self.diagnostics.push(trouble);
        }
    }
}

fn sections<'a>() -> impl Iterator<Item = &'a str> {
    ["general", "push", "ami", "tftp", "http", "dhcp", "agi"].into_iter()
}

/// A message about a secret never repeats it: those that begin so do not.
fn shown<'a>(key: &Key, message: &'a str) -> &'a str {
    let safe = key.kind != Kind::Secret || message.starts_with("the value ");
    if safe { message } else { "the value is bad" }
}

fn has_account(ami: &Ami) -> bool {
    !ami.username.is_empty() && !ami.secret.reveal().is_empty()
}

fn is_near(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
