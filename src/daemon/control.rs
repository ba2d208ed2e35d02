//! The control socket: who may ask, one request line, answer lines.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::control::{Answer, Ask, ErrorKind, OwnWish, Request, VERSION};

/// A request on its way to the core, with the way back.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub ask: Ask,
    /// Where the answers go; the last one is followed by closing.
    pub answers: mpsc::Sender<Answer>,
}

/// A request line may have so many bytes.
const LINE_MAX: u64 = 64 * 1024;
/// So many askers are served at once.
const ASKERS_MAX: usize = 32;
/// A request must arrive within this time, and each answer be taken within it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Binds the socket 0660: the group `handset` may ask. A socket left by a daemon that was killed is
/// replaced; one that a living daemon answers is an error.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another handsetd answers on it"));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    if let Ok(Some(group)) = nix::unistd::Group::from_name("handset") {
        // Outside an installed system the group may not be ours to give: the owner still may ask.
        let _ = std::os::unix::fs::chown(path, None, Some(group.gid.as_raw()));
    }
    Ok(listener)
}

/// Serves until told to stop.
pub async fn serve(listener: UnixListener, calls: mpsc::Sender<Call>, stop: CancellationToken) {
    let permits = std::sync::Arc::new(Semaphore::new(ASKERS_MAX));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (calls, stop) = (calls.clone(), stop.clone());
                tokio::spawn(async move {
                    let _permit = permit;
                    tokio::select! {
                        () = stop.cancelled() => {}
                        result = converse(stream, calls) => if let Err(error) = result {
                            debug!(%error, "control: the asker went away");
                        },
                    }
                });
            }
            Err(error) => {
                warn!(%error, "control: cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, calls: mpsc::Sender<Call>) -> io::Result<()> {
    let may_change = may_change(&stream);
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(LINE_MAX));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let ask = match read(&line, may_change) {
        Ok(ask) => ask,
        Err(refusal) => return write(&mut writer, &refusal).await,
    };
    let (answers, mut answered) = mpsc::channel(16);
    if calls.send(Call { ask, answers }).await.is_err() {
        let gone = Answer::Error {
            kind: ErrorKind::Unavailable,
            message: "the daemon is stopping".into(),
        };
        return write(&mut writer, &gone).await;
    }
    while let Some(answer) = answered.recv().await {
        write(&mut writer, &answer).await?;
    }
    Ok(())
}

async fn write(writer: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    tokio::time::timeout(PATIENCE, writer.write_all(&line)).await?
}

fn read(line: &str, may_change: bool) -> Result<Ask, Answer> {
    let refuse = |kind, message: String| Answer::Error { kind, message };
    let request: Request = serde_json::from_str(line).map_err(|error| {
        refuse(ErrorKind::BadRequest, format!("the request cannot be read: {error}"))
    })?;
    if request.version != VERSION {
        let text = format!(
            "the daemon speaks version {VERSION}, the command line {}: update both",
            request.version
        );
        return Err(refuse(ErrorKind::BadRequest, text));
    }
    let changes = match &request.ask {
        Ask::Status { .. }
        | Ask::Diff
        | Ask::Plan
        | Ask::Rollouts
        | Ask::Opened
        | Ask::Trace { .. }
        | Ask::Unknown
        | Ask::Firmware
        | Ask::Leases => false,
        Ask::Push { dry_run, .. } => !dry_run,
        Ask::Own { wish, .. } => *wish != OwnWish::State,
        Ask::Rollout(_)
        | Ask::Rollback { .. }
        | Ask::Apply { .. }
        | Ask::Open { .. }
        | Ask::Close { .. }
        | Ask::FirmwareRetry { .. } => true,
    };
    if changes && !may_change {
        let text = "only root and members of the group handset-admin may do this".into();
        return Err(refuse(ErrorKind::Denied, text));
    }
    Ok(request.ask)
}

/// Root, the daemon's own user, and members of `handset-admin` may change things.
fn may_change(stream: &UnixStream) -> bool {
    let Ok(peer) = stream.peer_cred() else { return false };
    if peer.uid() == 0 || peer.uid() == nix::unistd::geteuid().as_raw() {
        return true;
    }
    let Ok(Some(admin)) = nix::unistd::Group::from_name("handset-admin") else { return false };
    let member = nix::unistd::User::from_uid(peer.uid().into())
        .ok()
        .flatten()
        .is_some_and(|user| admin.mem.contains(&user.name));
    peer.gid() == admin.gid.as_raw() || member
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Open;

    fn request(ask: &Ask) -> String {
        serde_json::to_string(&Request { version: VERSION, ask: ask.clone() }).unwrap()
    }

    #[test]
    fn strangers_may_look_and_not_touch() {
        let push = |dry_run| Ask::Push { phones: vec![], all: true, dry_run, wait: false };
        assert!(
            read(&request(&Ask::Status { phone: None, select: Default::default() }), false).is_ok()
        );
        assert!(read(&request(&push(true)), false).is_ok());
        let refused = read(&request(&push(false)), false);
        assert!(matches!(refused, Err(Answer::Error { kind: ErrorKind::Denied, .. })));
        assert!(read(&request(&push(false)), true).is_ok());
        let net = || Open::Net("192.0.2.0/24".parse().unwrap());
        for ask in [Ask::Open { what: net(), seconds: 9 }, Ask::Close { what: net() }] {
            let refused = read(&request(&ask), false);
            assert!(matches!(refused, Err(Answer::Error { kind: ErrorKind::Denied, .. })));
            assert!(read(&request(&ask), true).is_ok());
        }
        assert!(read(&request(&Ask::Opened), false).is_ok());
    }

    #[test]
    fn another_version_is_told_so() {
        let refused = read(r#"{"version":99,"ask":"diff"}"#, true);
        assert!(matches!(refused, Err(Answer::Error { kind: ErrorKind::BadRequest, .. })));
        assert!(read("garbage", true).is_err());
    }
}
