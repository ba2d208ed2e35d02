//! The asking side of the control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::{Answer, Ask, Request, VERSION};

/// Why the daemon could not be asked.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("handsetd does not answer on {}: {source}; is it running? (systemctl status handsetd)", .path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket may not be used.
    #[error("you may not ask handsetd on {}: become a member of the group handset, or use sudo", .0.display())]
    Denied(PathBuf),
    /// The conversation broke off.
    #[error("handsetd broke off: {0}")]
    Broken(io::Error),
}

/// An open conversation: one request, any number of answers.
#[derive(Debug)]
pub struct Conversation(BufReader<UnixStream>, String);

/// A healthy daemon answers within this time; waited-for pushes are exempt.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks. With `patient`, answers may take for ever.
pub fn ask(path: &Path, ask: Ask, patient: bool) -> Result<Conversation, ClientError> {
    let mut stream = UnixStream::connect(path).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => ClientError::Denied(path.to_owned()),
        _ => ClientError::Unreachable { path: path.to_owned(), source },
    })?;
    let broken = ClientError::Broken;
    stream.set_read_timeout((!patient).then_some(PATIENCE)).map_err(broken)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(broken)?;
    let mut line =
        serde_json::to_vec(&Request { version: VERSION, ask }).map_err(|e| broken(e.into()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(broken)?;
    Ok(Conversation(BufReader::new(stream), String::new()))
}

impl Conversation {
    /// From now on no answer is waited for longer than this: then comes an error that
    /// [`ClientError::is_late`], and the next one may be waited for.
    pub fn patience(&self, time: Duration) {
        let _ = self.0.get_ref().set_read_timeout(Some(time));
    }
}

impl ClientError {
    /// No answer came in time, and one may still come.
    pub fn is_late(&self) -> bool {
        use io::ErrorKind::{TimedOut, WouldBlock};
        matches!(self, Self::Broken(error) if matches!(error.kind(), WouldBlock | TimedOut))
    }
}

impl Iterator for Conversation {
    type Item = Result<Answer, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        // What was read of a line that is late stays for the next time.
        match self.0.read_line(&mut self.1) {
            Ok(0) => None,
            Ok(_) => {
                let line = std::mem::take(&mut self.1);
                Some(serde_json::from_str(&line).map_err(|e| ClientError::Broken(e.into())))
            }
            Err(error) => Some(Err(ClientError::Broken(error))),
        }
    }
}
