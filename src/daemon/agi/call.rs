//! One call's connection: a prelude, then one command after the other, each within its time.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::Limits;
use crate::wire::agi::{Answer, Broken, Item, Prelude, Reader, Unwritable, command};

/// Why a connection is of no use any more.
#[derive(Debug, Error)]
pub(super) enum Ended {
    #[error("{0}")]
    Broken(#[from] Broken),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a command cannot be written: {0}")]
    Unwritable(#[from] Unwritable),
    #[error("Asterisk closed it")]
    Closed,
    #[error("Asterisk fell silent")]
    Slow,
}

/// The digits that one may type meanwhile.
const KEYS: &[u8] = b"0123456789*#";

/// Digits of one entry at most.
const DIGITS: usize = 32;

/// The connection.
pub(super) struct Line<S> {
    stream: S,
    reader: Reader,
    limits: Limits,
    /// The caller is gone; Asterisk still answers.
    pub(super) hung_up: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    pub(super) fn new(stream: S, limits: Limits) -> Self {
        Self { stream, reader: Reader::default(), limits, hung_up: false }
    }

    /// What Asterisk says first.
    pub(super) async fn begin(&mut self) -> Result<Prelude, Ended> {
        let limit = self.limits.head;
        let first = async {
            loop {
                if let Item::Begun(prelude) = self.item().await? {
                    return Ok(prelude);
                }
            }
        };
        timeout(limit, first).await.map_err(|_| Ended::Slow)?
    }

    /// Carries out one command.
    pub(super) async fn ask(&mut self, verb: &str, arguments: &[&[u8]]) -> Result<Answer, Ended> {
        let line = command(verb, arguments)?;
        let limit = self.limits.answer;
        let exchange = async {
            self.stream.write_all(&line).await?;
            loop {
                match self.item().await? {
                    Item::Answer(answer) => return Ok(answer),
                    Item::Hangup => self.hung_up = true,
                    Item::Begun(_) => {}
                }
            }
        };
        timeout(limit, exchange).await.map_err(|_| Ended::Slow)?
    }

    async fn item(&mut self) -> Result<Item, Ended> {
        let mut bytes = [0; 2048];
        loop {
            if let Some(item) = self.reader.next()? {
                return Ok(item);
            }
            match self.stream.read(&mut bytes).await? {
                0 => return Err(Ended::Closed),
                length => self.reader.push(&bytes[..length]),
            }
        }
    }

    /// What is typed after a prompt, up to `#` or a pause. A prompt that is not there is silence.
    pub(super) async fn digits(&mut self, prompt: &str) -> Result<String, Ended> {
        let mut typed = String::new();
        let mut next = self.ask("STREAM FILE", &[prompt.as_bytes(), KEYS]).await?.digit();
        let pause = self.limits.digit.as_millis().to_string();
        while !self.hung_up && typed.len() < DIGITS {
            let digit = match next.take() {
                Some(digit) => digit,
                None => match self.ask("WAIT FOR DIGIT", &[pause.as_bytes()]).await?.digit() {
                    Some(digit) => digit,
                    None => break,
                },
            };
            if digit == '#' {
                break;
            }
            typed.push(digit);
        }
        Ok(typed)
    }
}
