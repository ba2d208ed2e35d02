//! Connecting and logging in.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::{Lost, Timing};
use crate::model::site;
use crate::wire::ami::action::login_key;
use crate::wire::ami::message::{banner_version, clean};
use crate::wire::ami::{Action, Decoder, Frame, Item};

/// More addresses of one name are not tried.
const ADDRESSES_MAX: usize = 8;

/// A connection that is logged in. The decoder may hold bytes that came after the login.
pub(super) struct Link {
    pub reader: OwnedReadHalf,
    pub writer: OwnedWriteHalf,
    pub decoder: Decoder,
    pub version: String,
}

/// The addresses of the host.
pub(super) async fn resolve(
    settings: &site::Ami,
    timing: &Timing,
) -> Result<Vec<SocketAddr>, Lost> {
    let host = &settings.host;
    let found = timeout(timing.connect, tokio::net::lookup_host((host.as_str(), settings.port)));
    match found.await {
        Ok(Ok(addresses)) => Ok(addresses.take(ADDRESSES_MAX).collect()),
        Ok(Err(error)) => Err(Lost::new(format!("cannot resolve {host}: {error}"))),
        Err(_) => Err(Lost::new(format!("cannot resolve {host}: no answer"))),
    }
}

/// Connects to the first address that answers, and logs in.
pub(super) async fn open(
    addresses: &[SocketAddr],
    settings: &site::Ami,
    timing: &Timing,
) -> Result<Link, Lost> {
    let (mut reader, mut writer) = connect(addresses, timing.connect).await?.into_split();
    let mut decoder = Decoder::new();
    let mut login = Login {
        reader: &mut reader,
        writer: &mut writer,
        decoder: &mut decoder,
        patience: timing.login,
    };
    let version = login.run(settings).await?;
    Ok(Link { reader, writer, decoder, version })
}

async fn connect(addresses: &[SocketAddr], patience: Duration) -> Result<TcpStream, Lost> {
    let mut lost = Lost::new("the host has no address");
    for address in addresses {
        let why = match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small actions shall not wait for each other; without it they only come later.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".into(),
        };
        lost = Lost::new(format!("cannot connect to {address}: {why}"));
    }
    Err(lost)
}

/// The dialogue up to the accepted login.
struct Login<'a, R, W> {
    reader: &'a mut R,
    writer: &'a mut W,
    decoder: &'a mut Decoder,
    patience: Duration,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Login<'_, R, W> {
    /// The version in the banner.
    async fn run(&mut self, settings: &site::Ami) -> Result<String, Lost> {
        let version = self.banner().await?;
        let login = Action::new("Login", "login")
            .with("Username", &settings.username)
            .with("Events", "system,call");
        let secret = settings.secret.reveal();
        let login = if settings.md5 {
            let key = login_key(&self.challenge().await?, secret);
            login.with("AuthType", "MD5").with("Key", key)
        } else {
            login.with("Secret", secret)
        };
        self.ask(login).await?;
        Ok(version)
    }

    async fn banner(&mut self) -> Result<String, Lost> {
        match self.item().await? {
            Item::Banner(line) => banner_version(&line).ok_or_else(|| {
                Lost::new(format!("this is no Asterisk manager: it greets with {:?}", clean(&line)))
            }),
            Item::Frame(_) => Err(Lost::new("this is no Asterisk manager: it does not greet")),
        }
    }

    async fn challenge(&mut self) -> Result<Vec<u8>, Lost> {
        let answer =
            self.ask(Action::new("Challenge", "challenge").with("AuthType", "MD5")).await?;
        let challenge = answer.get("Challenge");
        Ok(challenge.ok_or_else(|| Lost::new("the answer to Challenge has none"))?.to_vec())
    }

    /// Sends an action and waits for its answer; events in between are of no interest yet.
    async fn ask(&mut self, action: Action) -> Result<Frame, Lost> {
        let cannot_send = |error| Lost::refused(format!("cannot log in: {error}"));
        let bytes = action.encode().map_err(cannot_send)?;
        let wrote = timeout(self.patience, self.writer.write_all(&bytes)).await;
        wrote.map_err(|_| silent())?.map_err(|error| Lost::new(error.to_string()))?;
        loop {
            let Item::Frame(frame) = self.item().await? else { continue };
            match frame.answer() {
                Some(Ok(())) => return Ok(frame),
                Some(Err(text)) => return Err(refusal(&text)),
                None => {}
            }
        }
    }

    async fn item(&mut self) -> Result<Item, Lost> {
        let Self { reader, decoder, patience, .. } = self;
        let next = async {
            let mut buffer = [0; 1 << 12];
            loop {
                match decoder.next() {
                    Some(Ok(item)) => return Ok(item),
                    Some(Err(error)) => return Err(Lost::new(error.to_string())),
                    None => {}
                }
                match reader.read(&mut buffer).await {
                    Ok(0) => return Err(Lost::new("Asterisk closed the connection at the login")),
                    Ok(n) => decoder.push(&buffer[..n]),
                    Err(error) => return Err(Lost::new(error.to_string())),
                }
            }
        };
        timeout(*patience, next).await.map_err(|_| silent())?
    }
}

fn silent() -> Lost {
    Lost::new("no answer at the login")
}

/// A wrong secret, an unknown user and an address that is not permitted all get the same text, and
/// stay wrong until somebody changes them. Everything else passes.
fn refusal(text: &str) -> Lost {
    let reason = format!("Asterisk refuses the login: {text}");
    if text.eq_ignore_ascii_case("Authentication failed") {
        return Lost::refused(format!(
            "{reason} (username, secret and permit= of manager.conf must fit [ami] of handset.conf)"
        ));
    }
    Lost::new(reason)
}
