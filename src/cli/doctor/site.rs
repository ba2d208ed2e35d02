//! The configuration: what `handset check` says, in one line, and the site key.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use super::finding::Finding;
use crate::base::{Code, Diagnostic, Level, report};
use crate::daemon::sitekey::{self, SiteKeyError};
use crate::daemon::source::Reading;
use crate::model::site::Site;
use crate::plan::build::Built;

/// All codes of this step.
pub(crate) static CODES: &[&Code] = &[&UNREADABLE, &SOURCES, &NO_PHONE, &KEY];

static UNREADABLE: Code = Code {
    id: "H0901",
    title: "handset.conf may not be read by you",
    explain: "Whoever examines the system must be able to read its settings, Asterisk's files and the site key. \
              Nothing was examined.",
};

static SOURCES: Code = Code {
    id: "H0902",
    title: "the configuration has errors",
    explain: "A phone whose configuration has an error keeps its last good files, or has none; an error in \
              handset.conf holds back every change.",
};

static NO_PHONE: Code = Code {
    id: "H0903",
    title: "no peer is tagged",
    explain: "Without a tag there is no phone: handset makes no file for anybody.",
};

static KEY: Code = Code {
    id: "H0904",
    title: "the site key is not in order",
    explain: "Every phone's sync token and menu password are made with the site key. Without it handsetd does \
              not start; with another one every phone restarts.",
};

/// Why nothing can be examined.
pub(super) fn unreadable(config: &Path) -> Option<Finding> {
    let denied = File::open(config).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
    let text = || format!("you may not read {}", config.display());
    denied.then(|| Diagnostic::error(&UNREADABLE, text()).help("run it with sudo").into())
}

/// What reading the sources says.
pub(super) fn sources(
    reading: &Reading,
    built: Option<&Built>,
    basis: Option<&String>,
) -> Vec<Finding> {
    let all = reading.diagnostics.iter().chain(built.iter().flat_map(|b| &b.diagnostics));
    let errors: Vec<&Diagnostic> = all.filter(|d| d.level == Level::Error).collect();
    let phones = built.map_or(0, |b| b.generation.phones.len());
    let mut found = Vec::new();
    if let Some(first) = errors.first() {
        let first = report::short(first, &reading.sources);
        let text = match errors.len() {
            1 => first,
            many => format!("{many} errors, the first: {first}"),
        };
        let help = "run handset check, which shows each error with its line";
        found.push(Diagnostic::error(&SOURCES, text).help(help).into());
    }
    if let Some(why) = basis {
        found.push(
            Diagnostic::error(&SOURCES, why).help("set server_address in handset.conf").into(),
        );
    }
    if phones == 0 && found.is_empty() {
        let help = "write ;MAC= and the phone's address behind the [section] of its peer, or: handset tag PEER MAC";
        found.push(Diagnostic::error(&NO_PHONE, "no phone is tagged").help(help).into());
    }
    if found.is_empty() {
        let s = if phones == 1 { "" } else { "s" };
        found.push(Finding::fine(format!(
            "handset.conf and Asterisk's files: {phones} phone{s}, no error"
        )));
    }
    found
}

/// The site key, as far as we may look.
pub(super) fn key(site: &Site, running: bool) -> Finding {
    judged_key(sitekey::load(&site.site_key), &site.site_key, running)
}

fn judged_key(
    loaded: Result<sitekey::SiteKey, SiteKeyError>,
    path: &Path,
    running: bool,
) -> Finding {
    match loaded {
        Ok(key) => match key.warning {
            None => Finding::fine(format!("site key {}", path.display())),
            Some(why) => Diagnostic::warning(&KEY, why.to_string())
                .help(format!("chmod 600 {}", path.display()))
                .into(),
        },
        Err(SiteKeyError::Read { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            Finding::skipped(format!("you may not read the site key {}: use sudo", path.display()))
        }
        Err(SiteKeyError::Read { source, .. })
            if source.kind() == ErrorKind::NotFound && !running =>
        {
            Finding::skipped(format!(
                "handsetd makes the site key {} at its first start",
                path.display()
            ))
        }
        Err(error) => Diagnostic::error(&KEY, error.to_string())
            .help(format!("bring {} back from the backup of the configuration", path.display()))
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::testing::verdict;
    use super::*;

    #[test]
    fn a_key_that_is_not_made_yet_is_no_fault_and_one_that_is_gone_is() {
        let path = Path::new("/etc/handset/handset.key");
        let read = |kind: ErrorKind| SiteKeyError::Read {
            path: path.into(),
            source: io::Error::from(kind),
        };
        let check = |error, running, expected| {
            assert_eq!(verdict(&judged_key(Err(error), path, running)), expected);
        };
        check(read(ErrorKind::NotFound), false, "skipped");
        check(read(ErrorKind::NotFound), true, "error H0904");
        check(read(ErrorKind::PermissionDenied), true, "skipped");
        check(SiteKeyError::Malformed(path.into()), false, "error H0904");
    }
}
