//! A line between two programs that can be cut: a TCP relay on loopback.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the line is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// Carries everything.
    Whole,
    /// Open connections end at once, new ones too.
    Cut,
    /// Connections stay open and carry nothing.
    Frozen,
}

/// A relay; it ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    line: watch::Sender<Line>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Relays from a free port of 127.0.0.1 to `to`.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start(to: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (line, seen) = watch::channel(Line::Whole);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, to, seen.clone()));
            }
        });
        Ok(Self { port, line, task })
    }

    /// Where to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the line.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.line.send_replace(Line::Cut);
    }
}

/// Carries one connection until either side ends it or the line is cut. What was under way when it
/// froze goes on when it thaws.
async fn relay(mut client: TcpStream, to: SocketAddr, mut line: watch::Receiver<Line>) {
    if *line.borrow() == Line::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(to).await else { return };
    // A copy that is dropped in a pause of both sides has nothing in its hands but what it read and
    // could not write, which loopback takes at once.
    loop {
        let now = *line.borrow_and_update();
        match now {
            Line::Cut => return,
            Line::Frozen => {
                if line.changed().await.is_err() {
                    return;
                }
            }
            Line::Whole => tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => return,
                changed = line.changed() => if changed.is_err() { return },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::{Line, Proxy};

    #[tokio::test]
    async fn a_line_carries_freezes_and_is_cut() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = echo.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        let proxy = Proxy::start(to).await.unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        let mut byte = [0];
        client.write_all(b"a").await.unwrap();
        client.read_exact(&mut byte).await.unwrap();
        proxy.set(Line::Frozen);
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.write_all(b"b").await.unwrap();
        let silent = timeout(Duration::from_millis(200), client.read(&mut byte)).await;
        assert!(silent.is_err(), "{silent:?}");
        proxy.set(Line::Whole);
        client.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
        proxy.set(Line::Cut);
        let ended = timeout(Duration::from_secs(5), client.read(&mut byte)).await.unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)));
    }
}
