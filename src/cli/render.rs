//! `handset render`: a phone's files as they would be made from what is on disk.

use std::path::Path;

use super::args::{Args, Render};
use super::{DENIED, DONE, NO, output};
use crate::base::{Key, Mac, Time};
use crate::daemon::source::{self, Basis, Reading};
use crate::daemon::{decide, sitekey};
use crate::family::{Artifact, Family};
use crate::plan::build::{Built, Cache};
use crate::plan::generation::{Generation, PhonePart};

/// Reads the sources and makes a generation of them; none where there is no phone to make one for.
pub(super) fn made(
    config: &Path,
    sip_conf: Option<&Path>,
) -> Result<(Reading, Option<Built>), String> {
    let (reading, _) = source::read(config, sip_conf);
    match basis(&reading) {
        Ok(basis) => {
            let (none, mut cache) = (Generation::default(), Cache::default());
            let built = reading.build(&basis, 1, Time::default(), &none, &mut cache);
            Ok((reading, Some(built)))
        }
        Err(_) if reading.phones.phones.is_empty() => Ok((reading, None)),
        Err(why) => Err(why),
    }
}

/// What files are made from beside the sources, with a key of zeros where the site key may not be read
/// (or does not exist yet): its values are masked then anyway.
pub(super) fn basis(reading: &Reading) -> Result<Basis, String> {
    let key =
        sitekey::load(&reading.site.site_key).map_or_else(|_| Key::new([0; 32]), |found| found.key);
    let (timezone, _) = decide::timezone(&reading.site, None);
    let (server, _) = decide::server_address(&reading.site, &reading.asterisk.registrar, None)?;
    Ok(Basis { server, timezone, key })
}

/// Runs it.
pub(super) fn run(args: &Args, options: &Render) -> u8 {
    let (reading, built) = match made(&args.config, options.sip_conf.as_deref()) {
        Ok((reading, Some(built))) => (reading, built),
        Ok((_, None)) => {
            output::complain("no phone is tagged: write ;MAC=… behind a [section] of sip.conf");
            return NO;
        }
        Err(why) => {
            output::complain(why);
            return NO;
        }
    };
    if options.show_secrets && sitekey::load(&reading.site.site_key).is_err() {
        output::complain(format!(
            "the site key {} cannot be read: tokens and passwords made from it would be wrong",
            reading.site.site_key.display()
        ));
        return DENIED;
    }
    let parts = find(&built, &options.phone);
    if parts.is_empty() {
        let why = options
            .phone
            .parse::<Mac>()
            .ok()
            .and_then(|mac| reading.phones.held.get(&mac).cloned());
        output::complain(why.unwrap_or_else(|| {
            format!(
                "no phone is called '{}': give a MAC, a peer or a label; see handset check",
                options.phone
            )
        }));
        return NO;
    }
    let mut shown = 0;
    for part in parts {
        let Some(family) = reading.families.get(&part.family) else { continue };
        shown += print(family, part, &built.generation, options);
    }
    if shown == 0 {
        output::complain("the phone has no such file");
        return NO;
    }
    DONE
}

pub(super) fn find<'a>(built: &'a Built, word: &str) -> Vec<&'a PhonePart> {
    let mac = word.parse::<Mac>().ok();
    let fits = |part: &&PhonePart| {
        Some(part.mac) == mac || part.lines.iter().any(|l| l.peer == word || l.label == word)
    };
    built.generation.phones.values().map(AsRef::as_ref).filter(fits).collect()
}

fn print(family: &Family, part: &PhonePart, generation: &Generation, options: &Render) -> usize {
    let variants =
        part.variants.iter().flat_map(|v| v.artifacts.iter().map(move |a| (v.step.0.as_str(), a)));
    let shared = generation.shared.iter().map(|a| ("", a));
    let wanted = |(_, artifact): &(&str, &Artifact)| {
        options.file.as_deref().is_none_or(|name| artifact.name.as_str().eq_ignore_ascii_case(name))
    };
    let mut shown = 0;
    for (step, artifact) in variants.chain(shared).filter(wanted) {
        if options.file.is_none() {
            let step = if step.is_empty() {
                String::new()
            } else {
                format!(" (on the way to firmware {step})")
            };
            output::line(format!("=== {}{step}", artifact.name));
        }
        let masked =
            if options.show_secrets { artifact.bytes().to_vec() } else { mask(family, artifact) };
        output::bytes(&masked);
        shown += 1;
    }
    shown
}

/// The file with the values of its secret keys starred.
fn mask(family: &Family, artifact: &Artifact) -> Vec<u8> {
    let secret: Vec<String> = family
        .keys(artifact)
        .into_iter()
        .filter(|(.., secret)| *secret)
        .map(|(key, ..)| key)
        .collect();
    let line = |line: &[u8]| {
        let key = secret.iter().find(|key| {
            line.starts_with(key.as_bytes())
                && line[key.len()..].trim_ascii_start().starts_with(b":")
        });
        let end = &line[line.trim_ascii_end().len()..];
        key.map_or_else(|| line.to_vec(), |key| [key.as_bytes(), b": \"***\"", end].concat())
    };
    artifact.bytes().split_inclusive(|b| *b == b'\n').flat_map(line).collect()
}
