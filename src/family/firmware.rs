//! Which firmware files may name (design §6): only what the setting asks for, and only while all its
//! images lie in the static root, since a phone that is told of a load that is not there may end in
//! a loop (phones.md §2.6).

use crate::base::{Code, Diagnostic, Span, Spanned};

use super::Surroundings;
use super::key::Kind;
use super::manifest::{Family, FirmwareFacts};

/// Firmware that cannot be named.
pub(super) static FIRMWARE: Code = Code {
    id: "H0516",
    title: "firmware not named",
    explain: "No file names firmware until the setting `firmware` is the name of a load as its \
              file is called, without extension, and all images of that set lie in `[tftp] root`. \
              Phones keep what they run.",
};

/// Images that cannot be what they are called.
pub(super) static ODD: Code = Code {
    id: "H0519",
    title: "a firmware image looks wrong",
    explain: "An image in `[tftp] root` has a size that no such image has, lacks the signature that its \
              kind carries, or is cut short: probably a broken copy. No phone is led to it. Whether a \
              signature is genuine only the phone can tell.",
};

/// Firmware whose images are all there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Firmware {
    /// The name of the load.
    pub(super) load: String,
    /// Where the setting stands that asks for it.
    pub(super) at: Span,
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
    if !facts.ladder.is_empty() && facts.release(load).is_some_and(|r| r.major < facts.lowest) {
        let what =
            format!("no phone is led to `{}`: it is below release {}", load.value, facts.lowest);
        return wrong(what, "name a newer load".into());
    }
    let mut missing = facts.set(load);
    for image in missing.clone() {
        let lists = around.images.get(&image).and_then(|image| image.lists.as_ref());
        missing.extend(lists.into_iter().flat_map(|lists| lists.images.iter().cloned()));
    }
    missing.retain(|image| !around.statics.contains(image));
    missing.dedup();
    if missing.is_empty() {
        return Ok(Firmware { load: load.value.clone(), at: load.span });
    }
    let what = format!("the images of `{}` are not all there: {}", load.value, missing.join(", "));
    wrong(what, "put them into the `root` of `[tftp]`; until then no file names the load".into())
}

impl FirmwareFacts {
    /// The images of a load.
    pub fn set(&self, load: &str) -> Vec<String> {
        let loader = self.loader(load);
        let name = |i: &String| i.replace("{load}", load).replace("{loader}", &loader);
        self.images.iter().map(name).collect()
    }
}

/// What looks wrong about the images of a load that is named.
pub(super) fn odd(
    family: &Family,
    firmware: &Firmware,
    around: &Surroundings<'_>,
) -> Vec<Diagnostic> {
    let Some(facts) = &family.firmware else { return Vec::new() };
    let mut said = Vec::new();
    for name in facts.set(&firmware.load) {
        let Some(image) = around.images.get(&name) else { continue };
        for odd in image.odd(&name, facts) {
            let what = format!("`{name}`: {odd}");
            let diagnostic = match odd.bars() {
                true => Diagnostic::warning(&ODD, what).help("copy the image anew"),
                false => Diagnostic::note(&ODD, what).help("phones may refuse a renamed image"),
            };
            said.push(diagnostic.at(firmware.at));
        }
    }
    said
}
