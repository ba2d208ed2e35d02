//! The HTTP client of a 7940/7960: plain GETs from the phone's own address, one a connection.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::Flash;
use crate::screen::Screen;

/// How long the phone waits for a page.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any page.
const MAX_BYTES: u64 = 1 << 20;

/// The services and directories keys of a phone.
#[derive(Clone, Debug)]
pub struct Browser {
    address: Ipv4Addr,
    flash: Flash,
}

impl Browser {
    /// Asks from `address`, and begins at the addresses in `flash`.
    pub fn new(address: Ipv4Addr, flash: Flash) -> Self {
        Self { address, flash }
    }

    /// Presses `services`.
    ///
    /// # Errors
    /// Why there is nothing to see.
    pub async fn services(&self) -> Result<Screen, String> {
        self.open(self.flash.get("services_url")).await
    }

    /// Presses `directories`, and chooses the external one.
    ///
    /// # Errors
    /// Why there is nothing to see.
    pub async fn directory(&self) -> Result<Screen, String> {
        self.open(self.flash.get("directory_url")).await
    }

    /// The picture that the phone shows.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn logo(&self) -> Result<Vec<u8>, String> {
        Ok(self.get(self.flash.get("logo_url")).await?.1)
    }

    /// Shows a page.
    ///
    /// # Errors
    /// The phone would show an error, with its reason.
    pub async fn open(&self, url: &str) -> Result<Screen, String> {
        let (media, body) = self.get(url).await?;
        Screen::read(&media, &body).map_err(|why| format!("{url}: {why}"))
    }

    /// The media type and the body of a page.
    async fn get(&self, url: &str) -> Result<(String, Vec<u8>), String> {
        let whole = timeout(PATIENCE, self.fetch(url)).await;
        let whole = whole.map_err(|_| format!("{url}: no answer"))?;
        let whole = whole.map_err(|error| format!("{url}: {error}"))?;
        let end = whole.windows(4).position(|w| w == b"\r\n\r\n").ok_or("no end of the headers")?;
        let head = String::from_utf8_lossy(&whole[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(format!("{url}: {status}"));
        }
        let fields: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
        let field = |name: &str| {
            let found = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let body = whole[end + 4..].to_vec();
        if field("connection") != "close" || field("content-length") != body.len().to_string() {
            return Err(format!("{url}: {head}"));
        }
        Ok((field("content-type"), body))
    }

    async fn fetch(&self, url: &str) -> std::io::Result<Vec<u8>> {
        let wrong = |why: &str| std::io::Error::other(why.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(|| wrong("no http address"))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let server: SocketAddr = match host.parse() {
            Ok(server) => server,
            Err(_) => (host.parse::<Ipv4Addr>().map_err(|_| wrong("no address"))?, 80).into(),
        };
        let mut stream = self.connect(server).await?;
        let request = format!(
            "GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Allegro-Software-WebClient/3.12\r\n\
             Accept: x-CiscoIPPhone/*, text/*, image/png, */*\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_BYTES).read_to_end(&mut answer).await?;
        Ok(answer)
    }

    async fn connect(&self, server: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.address, 0).into())?;
        socket.connect(server).await
    }
}
