//! Which firmware files may name (design §6): only what the setting asks for, and only while all its
//! images lie in the static root, since a phone that is told of a load that is not there may end in
//! a loop (phones.md §2.6).

use crate::base::{Code, Diagnostic, Spanned};

use super::Surroundings;
use super::key::Kind;
use super::manifest::Family;

/// Firmware that cannot be named.
pub(super) static FIRMWARE: Code = Code {
    id: "H0516",
    title: "firmware not named",
    explain: "No file names firmware until the setting `firmware` is the name of a load as its \
              file is called, without extension, and all images of that set lie in `[tftp] root`. \
              Phones keep what they run.",
};

/// Firmware whose images are all there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Firmware {
    /// The name of the load.
    pub(super) load: String,
}

/// Whether the load asked for may be named.
pub(super) fn check(
    family: &Family,
    load: &Spanned<String>,
    around: &Surroundings<'_>,
) -> Result<Firmware, Diagnostic> {
    let wrong = |what: String, help: String| {
        Err(Diagnostic::warning(&FIRMWARE, what).at(load.span).help(help))
    };
    let Some(facts) = &family.firmware else {
        let what = format!("files of {} name no firmware", family.name);
        return wrong(what, "take the setting out".into());
    };
    if Kind::Load(59).check(load).is_err() || !load.starts_with(&facts.load_prefix) {
        let what = format!("`{}` is no load of these phones", load.value);
        let help = format!("a load is called `{}…`, without extension", facts.load_prefix);
        return wrong(what, help);
    }
    let release = &load[facts.load_prefix.len()..];
    let loader = format!("{}{release}", facts.loader_prefix);
    let images = facts.images.iter();
    let missing: Vec<String> = images
        .map(|image| image.replace("{load}", load).replace("{loader}", &loader))
        .filter(|image| !around.statics.contains(image))
        .collect();
    if missing.is_empty() {
        return Ok(Firmware { load: load.value.clone() });
    }
    let what = format!("the images of `{}` are not all there: {}", load.value, missing.join(", "));
    wrong(what, "put them into the `root` of `[tftp]`; until then no file names the load".into())
}
