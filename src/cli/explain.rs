//! `handset explain`: where each value of a phone's own file comes from.

use std::path::{Path, PathBuf};

use super::args::Args;
use super::{DONE, NO, output, render};
use crate::base::nearest::nearest;
use crate::base::{Mac, Span};
use crate::conf::Conf;
use crate::daemon::source::{self, Basis, Reading};
use crate::family::{Context, Explained, Origin, Surroundings};
use crate::model::phone::Phone;

/// `handset explain`.
#[derive(clap::Args, Debug)]
pub struct Explain {
    /// The phone
    pub phone: String,
    /// Only this key of its file, as line1_displayname
    pub key: Option<String>,
    /// Another sip.conf than the configured one
    #[arg(long, value_name = "FILE")]
    pub sip_conf: Option<PathBuf>,
}

/// Runs it: code 1 when there is no such phone, or no such key in its file.
pub(super) fn run(args: &Args, options: &Explain) -> u8 {
    let (reading, _) = source::read(&args.config, options.sip_conf.as_deref());
    let told = render::basis(&reading).and_then(|basis| explain(&reading, &basis, options));
    match told {
        Ok(text) => {
            output::line(text);
            DONE
        }
        Err(why) => {
            output::complain(why);
            NO
        }
    }
}

fn explain(reading: &Reading, basis: &Basis, options: &Explain) -> Result<String, String> {
    let phones = find(reading, &options.phone)?;
    let many = phones.len() > 1;
    let one = |phone: &Phone| {
        let text = table(reading, phone, basis, options.key.as_deref())?;
        Ok(if many { format!("=== {}\n{text}", phone.mac) } else { text })
    };
    let tables: Result<Vec<_>, String> = phones.into_iter().map(one).collect();
    tables.map(|tables| tables.join("\n"))
}

/// The phones of that MAC, or with a peer or label of that name.
fn find<'a>(reading: &'a Reading, word: &str) -> Result<Vec<&'a Phone>, String> {
    let mac = word.parse::<Mac>().ok();
    let fits = |phone: &&Phone| {
        Some(phone.mac) == mac
            || phone.lines.iter().any(|line| line.peer.name.value == word || line.label == word)
    };
    let found: Vec<&Phone> = reading.phones.phones.values().filter(fits).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let held = mac.and_then(|mac| reading.phones.held.get(&mac).cloned());
    Err(held.unwrap_or_else(|| {
        format!("no phone is called '{word}': give a MAC, a peer or a label; see handset check")
    }))
}

fn table(
    reading: &Reading,
    phone: &Phone,
    basis: &Basis,
    key: Option<&str>,
) -> Result<String, String> {
    let family = reading.families.get(&phone.family).ok_or("the phone's family cannot be used")?;
    let around = Surroundings {
        site: &reading.site,
        registrar: &reading.asterisk.registrar,
        server: basis.server,
        timezone: &basis.timezone,
        key: &basis.key,
        statics: &reading.statics,
        images: &reading.images,
    };
    let keys = Context::new(family, &around).explain(phone).map_err(|trouble| trouble.message)?;
    let row = |e: &Explained| vec![e.key.clone(), shown(e), origin(reading, phone, e.origin)];
    let rows = only(&keys, key)?.into_iter().map(row).collect();
    Ok(output::table(&["KEY", "VALUE", "ORIGIN"], rows))
}

/// All keys, or the one that is asked for, in any case.
fn only<'a>(keys: &'a [Explained], key: Option<&str>) -> Result<Vec<&'a Explained>, String> {
    let Some(key) = key else { return Ok(keys.iter().collect()) };
    if let Some(found) = keys.iter().find(|e| e.key.eq_ignore_ascii_case(key)) {
        return Ok(vec![found]);
    }
    Err(match nearest(key, keys.iter().map(|e| e.key.as_str())) {
        Some(near) => format!("the phone's file has no key '{key}': did you mean {near}?"),
        None => format!("the phone's file has no key '{key}'"),
    })
}

fn shown(explained: &Explained) -> String {
    match &explained.value {
        value if value.is_empty() => "\"\"".into(),
        _ if explained.secret => "***".into(),
        value => value.chars().map(|c| if c.is_control() { '·' } else { c }).collect(),
    }
}

fn origin(reading: &Reading, phone: &Phone, origin: Origin) -> String {
    let place = |span| place(reading, span);
    let confs = reading.asterisk.confs();
    let owner = |span| owner(&confs, phone, span);
    match origin {
        Origin::Written(span) => match owner(span) {
            Some(owner) => format!("{} ({owner})", place(span)),
            None => place(span),
        },
        Origin::From(span) | Origin::Nearest(span) => {
            let word = if matches!(origin, Origin::From(_)) { "from" } else { "nearest to" };
            let owner = owner(span).map(|owner| format!(", {owner}")).unwrap_or_default();
            format!("computed ({word} {}{owner})", place(span))
        }
        Origin::Made(how) => format!("computed ({how})"),
        Origin::Default => "family default".into(),
        Origin::Unused => "family default (line not used)".into(),
    }
}

/// The file and the line; files beside sip.conf without their folder.
fn place(reading: &Reading, span: Span) -> String {
    let path = &reading.sources.get(span.file).path;
    let folder = reading.site.sip_conf.parent().unwrap_or(Path::new(""));
    let path = path.strip_prefix(folder).unwrap_or(path).display();
    format!("{path}:{}", span.line)
}

/// The section that a line stands in, when it is not the peer's own.
fn owner(confs: &[&Conf], phone: &Phone, span: Span) -> Option<String> {
    let sections = || confs.iter().flat_map(|conf| &conf.sections);
    let own = |entry: &crate::conf::Entry| !entry.inherited && entry.span == span;
    let section = sections().find(|section| section.entries.iter().any(own))?;
    let name = section.name.chars();
    if section.template {
        return Some(format!("template {name}"));
    }
    let peers = phone.lines.iter().map(|line| line.peer.name.value.as_str());
    let mine = peers.into_iter().any(|peer| peer.eq_ignore_ascii_case(&name));
    (!mine).then(|| format!("[{name}]"))
}

#[cfg(test)]
mod tests;
