//! Keeps the file for another DHCP server current (`snippet_file`), and has that server read it again.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Handle, Wanted};
use crate::plan::snippet::{Needs, snippet};

/// The command may take so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// So much of what it says goes to the log, bytes.
const OUTPUT: usize = 4096;

/// Why the file is not current.
#[derive(Debug, Error)]
enum Failure {
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: io::Error },
    #[error("{0} cannot be run: {1}")]
    Run(String, io::Error),
    #[error("{0} did not end within {1} s and was stopped")]
    Late(String, u64),
    #[error("{0} failed: {1}")]
    Failed(String, String),
}

/// Passes on what is wanted to the service, and keeps the file like it.
pub async fn follow(
    mut wanted: watch::Receiver<Option<Arc<Wanted>>>,
    service: Option<Handle>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = wanted.changed() => if changed.is_err() { return },
        }
        let Some(now) = wanted.borrow_and_update().clone() else { continue };
        if let Some(service) = &service {
            service.set(now.clone());
        }
        tokio::select! {
            () = stop.cancelled() => return,
            done = keep(&now) => if let Err(why) = done { error!("{why}") },
        }
    }
}

/// Writes the file if it differs, and runs the command if it was written.
async fn keep(wanted: &Wanted) -> Result<(), Failure> {
    let dhcp = &wanted.dhcp;
    let (Some(path), Some(kind)) = (dhcp.snippet_file.clone(), dhcp.snippet_kind) else {
        return Ok(());
    };
    let Some(server) = wanted.boot(None) else {
        warn!("snippet_file is not written: the boot server's IPv4 address is not known");
        return Ok(());
    };
    let needs = Needs {
        dhcp,
        server,
        families: &wanted.families,
        phones: &wanted.phones,
        reserved: &wanted.reserved,
    };
    let text = snippet(kind, &needs, false);
    let shown = path.display().to_string();
    let written = tokio::task::spawn_blocking(move || write(&path, text.as_bytes())).await;
    let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
    match written {
        Ok(false) => Ok(()),
        Ok(true) => {
            info!(file = shown, "wrote the snippet for the DHCP server");
            reload(&dhcp.snippet_reload).await
        }
        Err(source) => Err(Failure::Write { path: shown, source }),
    }
}

/// Beside it, synced, renamed; only when it differs. No secret is in it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(true)
}

/// Runs the command; no shell reads it.
async fn reload(command: &[String]) -> Result<(), Failure> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let named = command.join(" ");
    let (program, arguments) = (program.clone(), arguments.to_vec());
    let run = move || run(&program, &arguments);
    let ran = tokio::task::spawn_blocking(run).await.map_err(io::Error::other);
    match ran.and_then(|ran| ran) {
        Err(source) => Err(Failure::Run(named, source)),
        Ok(None) => Err(Failure::Late(named, PATIENCE.as_secs())),
        Ok(Some((true, said))) => {
            info!(command = named, said, "the DHCP server was told");
            Ok(())
        }
        Ok(Some((false, said))) => Err(Failure::Failed(named, said)),
    }
}

/// Whether it went well and what it said; none when it took too long.
fn run(program: &str, arguments: &[String]) -> io::Result<Option<(bool, String)>> {
    // To a file: a pipe that is full, or that a child of it keeps open, would have to be waited for.
    let mut output = tempfile::tempfile()?;
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()?;
    let until = std::time::Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if std::time::Instant::now() >= until => {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    Ok(Some((status.success(), tail(&mut output)?)))
}

fn tail(output: &mut std::fs::File) -> io::Result<String> {
    use std::io::{Read as _, Seek as _};
    output.rewind()?;
    let mut bytes = Vec::new();
    output.take(OUTPUT as u64).read_to_end(&mut bytes)?;
    let text: String = String::from_utf8_lossy(&bytes).trim().replace(char::is_control, " ");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_whole_and_only_when_it_differs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("handset.conf");
        assert!(write(&path, b"one\n").unwrap());
        assert!(!write(&path, b"one\n").unwrap());
        assert!(write(&path, b"two\n").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"two\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write(Path::new("/nonexistent/a"), b"").is_err());
    }

    #[test]
    fn the_command_gets_its_words_as_they_are_and_what_it_says_is_told() {
        let words = |all: &[&str]| all.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let said = run("/bin/echo", &words(&["$HOME", "; ls"])).unwrap();
        assert_eq!(said, Some((true, "$HOME ; ls".to_owned())));
        assert_eq!(run("/bin/false", &[]).unwrap(), Some((false, String::new())));
        assert!(run("/nonexistent", &[]).is_err());
    }
}
