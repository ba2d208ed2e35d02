//! Text → [`Conf`] for the tests of the model.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::base::{Diagnostic, Sources, report};
use crate::conf::{self, Conf, Files, Status};
use crate::model::tag::{self, Tags};

/// A configuration, its file, and its tags.
pub(crate) struct Read {
    pub(crate) conf: Conf,
    pub(crate) sources: Sources,
    pub(crate) tags: Tags,
}

impl Read {
    /// The diagnostics, one a line, without the folder.
    pub(crate) fn short(&self, diagnostics: &[Diagnostic]) -> Vec<String> {
        let short = |d| report::short(d, &self.sources).replace("/etc/asterisk/", "");
        diagnostics.iter().map(short).collect()
    }
}

/// One file, whatever is asked for.
struct One<'a>(&'a str);

impl Files for One<'_> {
    fn expand(&mut self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    fn read(&mut self, _: &Path) -> io::Result<Bytes> {
        Ok(Bytes::copy_from_slice(self.0.as_bytes()))
    }
}

/// Reads one file that Asterisk would take and whose tags are sound.
pub(crate) fn read(text: &str) -> Read {
    let (read, diagnostics) = read_any(text);
    assert_eq!(diagnostics, [], "{text}");
    read
}

/// Reads one file that Asterisk would take, and tells what is wrong with its tags.
pub(crate) fn read_any(text: &str) -> (Read, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let etc = Path::new("/etc/asterisk");
    let conf = conf::read(Path::new("sip.conf"), etc, &mut One(text), &mut sources);
    assert_eq!(conf.status, Status::Ok, "{:?}", conf.diagnostics);
    let (tags, diagnostics) = tag::attach(&conf);
    (Read { conf, sources, tags }, diagnostics)
}
