//! Claims on disk: a tag with `guest=` on the extension's section makes it stand in for the phone's guest peer,
//! and taking that tag away gives the phone back. One line of one file changes, so nothing can be half done.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::base::{Diagnostic, Mac, Secret, Sources, report};
use crate::conf::{self, Conf, Status};
use crate::daemon::asterisk;
use crate::daemon::disk::Disk;
use crate::daemon::rewrite::{RewriteError, rewrite};
use crate::model::site::Site;
use crate::model::tag::write::{self, Edit, Reading, Wish};
use crate::model::tag::{Tag, attach};

/// The files that hold peers.
#[derive(Clone, Debug)]
pub(super) struct Files {
    tops: Vec<PathBuf>,
    etc: PathBuf,
}

/// Why nothing was changed.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    /// The extension has a phone.
    #[error("{0} has a phone already")]
    Taken(String),
    /// The phone has claimed nothing.
    #[error("{0} is not logged in here")]
    NotIn(String),
    /// The files do not let us.
    #[error("{0}")]
    Conf(String),
    /// The file cannot be written.
    #[error("{0}; handsetd must be allowed to write it, see docs/agi.md")]
    Disk(#[from] RewriteError),
}

/// Digits that a PIN has at least.
const PIN: usize = 4;

/// The PIN of an extension; none where it may not be claimed. With what is wrong with the file.
pub(super) fn pin(file: &Path, extension: &str) -> Result<Option<Secret>, String> {
    let etc = file.parent().unwrap_or(Path::new("/"));
    let conf = conf::read(file, etc, &mut Disk::new(), &mut Sources::default());
    if conf.status != Status::Ok {
        return Err(format!("{} cannot be read", file.display()));
    }
    let sections = conf.sections.iter().filter(|s| !s.template && s.name.is("pins"));
    let entries = sections.flat_map(|section| section.all(extension));
    let pin = entries.last().map(|entry| entry.value.chars().into_owned());
    let fits = |pin: &str| pin.len() >= PIN && pin.bytes().all(|b| b.is_ascii_digit());
    match pin {
        Some(pin) if !fits(&pin) => {
            Err(format!("the PIN of {extension} is not {PIN} digits or more"))
        }
        pin => Ok(pin.map(Secret::new)),
    }
}

impl Files {
    pub(super) fn of(site: &Site) -> Self {
        let etc = site.sip_conf.parent().unwrap_or(Path::new("/")).to_owned();
        let tops = asterisk::tops(site).into_iter().map(|(_, path)| path).collect();
        Self { tops, etc }
    }

    /// Lets an extension stand in for a guest peer on its phone.
    pub(super) fn claim(&self, extension: &str, mac: Mac, guest: &str) -> Result<(), Refusal> {
        let wish = Wish {
            mac,
            model: None,
            line: None,
            label: None,
            profile: None,
            firmware: None,
            ip: None,
            guest: Some(guest.to_owned()),
        };
        self.change(extension, |reading, section, tag| match tag {
            Some(_) => Err(Refusal::Taken(extension.to_owned())),
            None => write::tag(reading, section, &wish, &mut Disk::new())
                .map_err(|why| refusal(&why, reading.sources)),
        })
    }

    /// Gives the phone back to its guest peer.
    pub(super) fn leave(&self, extension: &str, mac: Mac) -> Result<(), Refusal> {
        self.change(extension, |reading, section, tag| match tag {
            Some(tag) if tag.guest.is_some() && tag.mac.value == mac => {
                write::untag(reading, section, &mut Disk::new())
                    .map_err(|why| refusal(&why, reading.sources))
            }
            _ => Err(Refusal::NotIn(extension.to_owned())),
        })
    }

    fn change(
        &self,
        peer: &str,
        edit: impl Fn(&Reading<'_>, usize, Option<&Tag>) -> Result<Edit, Refusal>,
    ) -> Result<(), Refusal> {
        let mut told = None;
        for top in self.tops.iter().filter(|top| top.exists()) {
            let mut sources = Sources::default();
            let conf = conf::read(top, &self.etc, &mut Disk::new(), &mut sources);
            let section = match write::section(&conf, peer) {
                Ok(section) => section,
                Err(why) => {
                    told.get_or_insert(refusal(&why, &sources));
                    continue;
                }
            };
            let reading = Reading { top, etc: &self.etc, conf: &conf, sources: &sources };
            let edit = edit(&reading, section, tag(&conf, section).as_ref())?;
            rewrite(&edit.path, &edit.old, &edit.new)?;
            return Ok(());
        }
        Err(told.unwrap_or_else(|| Refusal::Conf("there is no file with peers".to_owned())))
    }
}

fn refusal(why: &Diagnostic, sources: &Sources) -> Refusal {
    Refusal::Conf(report::short(why, sources))
}

fn tag(conf: &Conf, section: usize) -> Option<Tag> {
    attach(conf).0.get(section).cloned().flatten().map(|tag| Tag::clone(&tag))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Lab(tempfile::TempDir);

    const SIP: &str = "[general]\n[guest1] ;MAC=0018b9000001 model=7960\nsecret=a\n[201]\nsecret=b\n[202] ;MAC=0018b9000002\n";

    impl Lab {
        fn new() -> (Self, Files) {
            let lab = Self(tempfile::tempdir().unwrap());
            fs::write(lab.path("sip.conf"), SIP).unwrap();
            let site = Site { sip_conf: lab.path("sip.conf"), ..Site::default() };
            (lab, Files::of(&site))
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn text(&self) -> String {
            fs::read_to_string(self.path("sip.conf")).unwrap()
        }
    }

    fn mac(n: u8) -> Mac {
        format!("0018b90000{n:02x}").parse().unwrap()
    }

    #[test]
    fn a_claim_is_one_line_and_leaving_takes_it_back() {
        let (lab, files) = Lab::new();
        files.claim("201", mac(1), "guest1").unwrap();
        let claimed = SIP.replace("[201]", "[201] ;MAC=00:18:b9:00:00:01 guest=guest1");
        assert_eq!(lab.text(), claimed);
        // Another phone can neither take it nor end it.
        let again = files.claim("201", mac(3), "guest3").unwrap_err();
        assert_eq!(again.to_string(), "201 has a phone already");
        assert!(matches!(files.leave("201", mac(3)), Err(Refusal::NotIn(_))));
        files.leave("201", mac(1)).unwrap();
        assert_eq!(lab.text(), SIP);
    }

    #[test]
    fn what_is_not_to_be_claimed_stays_as_it_is() {
        let (lab, files) = Lab::new();
        assert!(matches!(files.claim("202", mac(1), "guest1"), Err(Refusal::Taken(_))));
        assert!(matches!(files.leave("202", mac(2)), Err(Refusal::NotIn(_))));
        assert!(matches!(files.claim("999", mac(1), "guest1"), Err(Refusal::Conf(_))));
        assert_eq!(lab.text(), SIP);
        fs::remove_file(lab.path("sip.conf")).unwrap();
        assert!(matches!(files.claim("201", mac(1), "guest1"), Err(Refusal::Conf(_))));
    }

    #[test]
    fn a_pin_is_four_digits_or_more() {
        let (lab, _) = Lab::new();
        let path = lab.path("pins.conf");
        assert!(pin(&path, "201").is_err());
        let text = "[pins]\n201 = 4711 ; Ada\n202=12\n203=47x1\n[other]\n204=4711\n";
        fs::write(&path, text).unwrap();
        assert!(pin(&path, "201").unwrap().unwrap().is(b"4711"));
        for extension in ["204", "999", ""] {
            assert_eq!(pin(&path, extension).unwrap(), None, "{extension}");
        }
        for extension in ["202", "203"] {
            let told = pin(&path, extension).unwrap_err();
            assert!(!told.contains("12 ") && !told.contains("47x1"), "{told}");
        }
    }
}
