//! `handset check`: what the daemon would say about the sources, without it.

use super::args::{Args, Check};
use super::{DONE, NO, output};
use crate::base::{Level, report};
use crate::cli::render::made;

/// Runs it: code 1 when there are errors, with `--strict` also on warnings.
pub(super) fn run(args: &Args, options: &Check) -> u8 {
    let (reading, built) = match made(&args.config, options.file.as_deref()) {
        Ok(found) => found,
        Err(why) => {
            output::complain(why);
            return NO;
        }
    };
    let mut all = reading.diagnostics;
    let phones = built.as_ref().map_or(0, |b| b.generation.phones.len());
    all.extend(built.into_iter().flat_map(|b| b.diagnostics));
    for diagnostic in &all {
        let text = if options.short {
            report::short(diagnostic, &reading.sources)
        } else {
            report::render(diagnostic, &reading.sources, output::colour())
        };
        output::line(text.trim_end());
    }
    let count = |level| all.iter().filter(|d| d.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    if !options.short {
        output::line(format!("{phones} phones, {errors} errors, {warnings} warnings"));
    }
    if errors > 0 || (options.strict && warnings > 0) { NO } else { DONE }
}
