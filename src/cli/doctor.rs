//! `handset doctor`: plays a phone that boots, against the live system, and names the first step that is
//! broken, with its cure. It changes nothing: DHCP ends with the offers, and the REGISTER only asks.
//!
//! One file a step: what is found out, and a pure function that judges it.

pub(crate) mod ami;
pub(crate) mod clock;
pub(crate) mod daemon;
pub(crate) mod dhcp;
mod finding;
pub(crate) mod http;
pub(crate) mod https;
mod net;
pub(crate) mod permission;
pub(crate) mod sip;
pub(crate) mod site;
#[cfg(test)]
mod testing;
pub(crate) mod tftp;

use std::net::IpAddr;
use std::sync::Arc;

use super::args::Args;
use super::{DONE, NO, output, render};
use crate::control::Status;
use crate::daemon::source::{self, Reading};
use crate::plan::build::{Built, Cache};
use crate::plan::generation::{Generation, PhonePart};
use finding::{Report, Stage};

/// `handset doctor`.
#[derive(clap::Args, Debug)]
pub struct Doctor {
    /// The phone to play: with its MAC for DHCP, and with its own file [default: the first phone's passwords,
    /// and for DHCP one that nobody knows]
    pub phone: Option<String>,
    /// Ask for DHCP offers here [default: the interface that has server_address]
    #[arg(long, value_name = "IF")]
    pub interface: Option<String>,
    /// Print an array of findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// What is known before anything is asked over the network.
struct Case {
    reading: Reading,
    built: Built,
    server: IpAddr,
    timezone: (String, Option<String>),
    status: Option<Box<Status>>,
    phone: Arc<PhonePart>,
    /// The operator named it: then what counts as a sign of its life may be asked for.
    named: bool,
}

/// Runs it: code 1 when something is broken.
pub(super) fn run(args: &Args, options: &Doctor) -> u8 {
    let report = match examine(args, options) {
        Ok(report) => report,
        Err(why) => {
            output::complain(why);
            return NO;
        }
    };
    output::line(if options.json { report.json() } else { report.text() });
    if report.broken() { NO } else { DONE }
}

/// All steps; an error when there is no such phone.
fn examine(args: &Args, options: &Doctor) -> Result<Report, String> {
    let mut report = Report::default();
    if let Some(finding) = site::unreadable(&args.config) {
        report.add(Stage::Configuration, finding);
        return Ok(report);
    }
    let (reading, _) = source::read(&args.config, None);
    let (answered, status, user) = daemon::ask(&reading.site);
    let basis = render::basis(&reading);
    let built = basis.as_ref().ok().map(|basis| {
        let (none, mut cache) = (Generation::default(), Cache::default());
        reading.build(basis, 1, crate::base::Time::default(), &none, &mut cache)
    });
    report.all(Stage::Configuration, site::sources(&reading, built.as_ref(), basis.as_ref().err()));
    report.add(Stage::Configuration, site::key(&reading.site, status.is_some()));
    report.all(Stage::Configuration, permission::examine(&reading, user.as_ref()));
    report.all(Stage::Daemon, answered);
    let (Ok(basis), Some(built)) = (basis, built) else {
        report.rest("the configuration is broken");
        return Ok(report);
    };
    let found = match &options.phone {
        Some(word) => Some(
            render::find(&built, word)
                .first()
                .map(|part| Arc::new((*part).clone()))
                .ok_or_else(|| format!("no phone is called '{word}': give a MAC, a peer or a label; see handset check"))?,
        ),
        None => built.generation.phones.values().next().cloned(),
    };
    let Some(phone) = found else {
        report.rest("there is no phone to play");
        return Ok(report);
    };
    let timezone = crate::daemon::decide::timezone(&reading.site, None);
    let case = Case {
        reading,
        built,
        server: basis.server,
        timezone,
        status,
        phone,
        named: options.phone.is_some(),
    };
    network(&case, options, &mut report);
    Ok(report)
}

/// The steps of a boot that go over the network.
fn network(case: &Case, options: &Doctor, report: &mut Report) {
    report.all(Stage::Dhcp, dhcp::examine(case, options));
    report.all(Stage::Tftp, tftp::examine(case));
    report.all(Stage::Http, http::examine(case));
    let (ami, peers) = ami::examine(case);
    report.all(Stage::Sip, sip::examine(case, &peers));
    report.all(Stage::Ami, ami);
    report.all(Stage::Clock, clock::examine(case));
}

impl Case {
    /// Whether the daemon offers what is on disk, so that the same bytes are to be expected.
    fn settled(&self) -> bool {
        self.status.as_ref().is_none_or(|s| s.held.is_none() && s.reload == "loaded")
    }
}
