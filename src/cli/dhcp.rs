//! `handset dhcp snippet` and `handset dhcp leases`.

use std::net::{IpAddr, Ipv4Addr};

use clap::{Subcommand, ValueEnum};

use super::args::Args;
use super::{DONE, NO, daemon, output, render};
use crate::control::{Answer, Ask, LeaseLine};
use crate::daemon::dhcp::Wanted;
use crate::daemon::source;
use crate::model::site::SnippetKind;
use crate::plan::snippet::{Needs, snippet};

/// `handset dhcp`.
#[derive(clap::Args, Debug)]
pub struct Dhcp {
    /// What about it
    #[command(subcommand)]
    pub what: What,
}

/// The subcommands of `handset dhcp`.
#[derive(Subcommand, Debug)]
pub enum What {
    /// Print what another DHCP server needs in order to boot the phones from this machine
    Snippet(Snippet),
    /// List the leases of handsetd's own DHCP service
    Leases(Leases),
}

/// `handset dhcp snippet`.
#[derive(clap::Args, Debug)]
pub struct Snippet {
    /// Whose configuration
    pub kind: Kind,
    /// One entry for each vendor class instead of one for each phone
    #[arg(long)]
    pub by_class: bool,
}

/// `handset dhcp leases`.
#[derive(clap::Args, Debug)]
pub struct Leases {
    /// Print an array as JSON
    #[arg(long)]
    pub json: bool,
}

/// The servers that a snippet can be for.
#[derive(Clone, Copy, ValueEnum, Debug)]
pub enum Kind {
    /// ISC dhcpd
    Isc,
    /// Kea
    Kea,
    /// dnsmasq
    Dnsmasq,
    /// RouterOS 7
    Mikrotik,
    /// Cisco IOS
    CiscoIos,
}

impl From<Kind> for SnippetKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Isc => Self::Isc,
            Kind::Kea => Self::Kea,
            Kind::Dnsmasq => Self::Dnsmasq,
            Kind::Mikrotik => Self::Mikrotik,
            Kind::CiscoIos => Self::CiscoIos,
        }
    }
}

/// Runs it.
pub(super) fn run(args: &Args, options: &Dhcp) -> u8 {
    match &options.what {
        What::Snippet(options) => print(args, options),
        What::Leases(options) => leases(args, options),
    }
}

fn print(args: &Args, options: &Snippet) -> u8 {
    let (reading, _) = source::read(&args.config, None);
    let server = reading.site.dhcp.server.as_ref().map(|server| server.value);
    let server = match (server, render::basis(&reading)) {
        (Some(server), _) => server,
        (None, Ok(basis)) => match basis.server {
            IpAddr::V4(v4) => v4,
            IpAddr::V6(_) => {
                return refuse("server_address is no IPv4 address: set server in [dhcp]");
            }
        },
        (None, Err(why)) => return refuse(&why),
    };
    output::bytes(text(&reading, server, options).as_bytes());
    DONE
}

fn text(reading: &source::Reading, server: Ipv4Addr, options: &Snippet) -> String {
    let families = std::sync::Arc::new(reading.families.clone());
    let wanted =
        Wanted::new(&reading.site, &reading.phones, &families, (Some(server.into()), None));
    let needs = Needs {
        dhcp: &wanted.dhcp,
        server,
        families: &wanted.families,
        phones: &wanted.phones,
        reserved: &wanted.reserved,
    };
    snippet(options.kind.into(), &needs, options.by_class)
}

fn refuse(why: &str) -> u8 {
    output::complain(why);
    NO
}

fn leases(args: &Args, options: &Leases) -> u8 {
    let lines = match daemon::once(args, Ask::Leases) {
        Ok(Answer::Leases(lines)) => lines,
        Ok(other) => return output::refused(Some(other)),
        Err(code) => return code,
    };
    output::line(if options.json {
        serde_json::to_string_pretty(&lines).unwrap_or_default()
    } else {
        table(&lines)
    });
    DONE
}

fn table(lines: &[LeaseLine]) -> String {
    if lines.is_empty() {
        return "no leases".to_owned();
    }
    let row = |line: &LeaseLine| {
        let about = match (line.tagged, line.reserved) {
            (_, true) => "reserved",
            (true, false) => "phone",
            (false, false) => "",
        };
        let until = line.until.chars().take(19).collect();
        let parts = [line.state.clone(), until, line.host.clone(), about.to_owned()];
        [line.address.to_string(), line.mac.to_string()].into_iter().chain(parts).collect()
    };
    output::table(
        &["ADDRESS", "MAC", "STATE", "UNTIL", "NAME", ""],
        lines.iter().map(row).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_a_table_with_a_row_each() {
        assert_eq!(table(&[]), "no leases");
        let line = |last: u8, reserved, tagged| LeaseLine {
            address: [192, 0, 2, last].into(),
            mac: "0018b9000001".parse().unwrap(),
            state: "bound".into(),
            since: "2026-01-02T03:04:05Z".into(),
            until: "2026-01-02T15:04:05.123Z".into(),
            host: "SEP0018B9000001".into(),
            reserved,
            tagged,
        };
        let text = table(&[line(7, true, true), line(8, false, true), line(9, false, false)]);
        let expected = "\
ADDRESS    MAC                STATE  UNTIL                NAME
192.0.2.7  00:18:b9:00:00:01  bound  2026-01-02T15:04:05  SEP0018B9000001  reserved
192.0.2.8  00:18:b9:00:00:01  bound  2026-01-02T15:04:05  SEP0018B9000001  phone
192.0.2.9  00:18:b9:00:00:01  bound  2026-01-02T15:04:05  SEP0018B9000001";
        assert_eq!(text, expected);
    }
}
