//! Where log lines go: the journal under systemd, with fields (`journalctl HANDSET_MAC=…`); else
//! stderr, with a time.

use std::io::{self, IsTerminal as _};
use std::os::unix::fs::MetadataExt as _;

use thiserror::Error;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

/// The variable that holds the filter when `--log` does not.
pub const VARIABLE: &str = "HANDSET_LOG";

const DEFAULT: &str = "info";

/// Why nothing is logged.
#[derive(Debug, Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("the log filter {filter:?} is not right: {why}; try info, debug or handset=debug,warn")]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        why: String,
    },
    /// Logs were set up before.
    #[error("logging is set up already")]
    Twice,
}

/// Sets logging up for the process, once. `filter` is what `--log` says: levels, and targets with
/// levels (`info`, `handset::daemon::tftp=debug,warn`); else `HANDSET_LOG` says it, else `info`.
pub fn init(filter: Option<&str>) -> Result<(), LogError> {
    let variable = std::env::var(VARIABLE).ok();
    let filter = choose(filter, variable.as_deref());
    let filter = parse(filter)?;
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let is_journal = stream.is_some_and(|stream| is_stderr(&stream));
    let output = is_journal.then(journal).flatten().unwrap_or_else(stderr);
    Registry::default().with(output).with(filter).try_init().map_err(|_| LogError::Twice)
}

fn choose<'a>(argument: Option<&'a str>, variable: Option<&'a str>) -> &'a str {
    argument.or(variable).filter(|text| !text.trim().is_empty()).unwrap_or(DEFAULT)
}

fn parse(filter: &str) -> Result<Targets, LogError> {
    let wrong = |why: String| LogError::Filter { filter: filter.to_owned(), why };
    filter.parse::<Targets>().map_err(|e| wrong(e.to_string()))
}

type Output = Box<dyn Layer<Registry> + Send + Sync>;

/// None when there is no journal to talk to.
fn journal() -> Option<Output> {
    let layer = tracing_journald::layer().ok()?;
    Some(layer.with_field_prefix(Some("HANDSET".into())).boxed())
}

fn stderr() -> Output {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    fmt::layer().with_writer(io::stderr).with_ansi(colour).boxed()
}

/// Whether stderr still is the stream that systemd made (`device:inode`, systemd.exec(5)): a shell
/// below a service inherits the variable and not the stream.
fn is_stderr(stream: &str) -> bool {
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|meta| stream == format!("{}:{}", meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_argument_wins_over_the_variable() {
        assert_eq!(choose(Some("debug"), Some("warn")), "debug");
        assert_eq!(choose(None, Some("warn")), "warn");
        assert_eq!(choose(None, Some(" ")), DEFAULT);
        assert_eq!(choose(None, None), DEFAULT);
    }

    #[test]
    fn a_wrong_filter_is_told() {
        for good in ["info", "handset=debug,warn", "off"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        let error = parse("handset=loud").unwrap_err();
        assert!(error.to_string().contains("\"handset=loud\""), "{error}");
    }

    #[test]
    fn a_stream_of_somebody_else_is_not_ours() {
        let meta = std::fs::metadata("/proc/self/fd/2").unwrap();
        assert!(is_stderr(&format!("{}:{}", meta.dev(), meta.ino())));
        assert!(!is_stderr(&format!("{}:{}", meta.dev(), meta.ino() + 1)));
        assert!(!is_stderr(""));
    }

    /// The child of the next test.
    #[test]
    #[ignore = "runs as the child process of the test below"]
    fn child_logs() {
        init(None).unwrap();
        tracing::info!(mac = "00:18:b9:ff:ff:ff", "quiet");
        tracing::warn!(mac = "00:18:b9:ff:ff:ff", text = "\x1b[31mred", "loud");
        assert!(init(None).is_err(), "a second time is refused");
    }

    #[test]
    fn without_a_terminal_lines_are_plain_and_have_a_time() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::tests::child_logs", "--ignored", "--nocapture"])
            .env(VARIABLE, "warn")
            .env("JOURNAL_STREAM", "1:1")
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        let text = String::from_utf8(child.stderr).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1, "{text}");
        let time = lines[0].split(' ').next().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{text}");
        assert!(text.contains("WARN") && text.contains("loud"), "{text}");
        assert!(text.contains("mac=\"00:18:b9:ff:ff:ff\"") && !text.contains('\x1b'), "{text}");
    }
}
