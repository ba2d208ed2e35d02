//! The task under test, its orders and its news.

use std::net::SocketAddr;
use std::time::Duration;

use handset::base::Secret;
use handset::daemon::ami::{Timing, run_with};
use handset::daemon::event::{AmiNews, Event, Order};
use handset::model::site::Ami;
use handset::plan::observed::{Notified, PeerFacts};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Nothing that a test waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Rig {
    orders: mpsc::Sender<Order>,
    pub(crate) events: mpsc::Receiver<Event>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// An account of the lab.
pub(crate) fn account(address: SocketAddr, username: &str, secret: &str, md5: bool) -> Ami {
    Ami {
        host: address.ip().to_string(),
        port: address.port(),
        username: username.into(),
        secret: Secret::new(secret),
        md5,
    }
}

/// Times that suit a test.
pub(crate) fn quick() -> Timing {
    Timing {
        refused: Duration::from_millis(500),
        retry: (Duration::from_millis(50), Duration::from_millis(400)),
        booted: Duration::from_millis(500),
        ..Timing::default()
    }
}

impl Rig {
    pub(crate) fn start(settings: Ami, timing: Timing) -> Self {
        let (orders, their_orders) = mpsc::channel(64);
        let (their_events, events) = mpsc::channel(64);
        let shutdown = CancellationToken::new();
        let run = run_with(settings, their_orders, their_events, shutdown.clone(), timing);
        Self { orders, events, shutdown, task: tokio::spawn(run) }
    }

    pub(crate) async fn order(&self, order: Order) {
        self.orders.send(order).await.expect("the task has ended");
    }

    pub(crate) async fn follow_all(&self, peers: Vec<String>) {
        self.order(Order::Follow(peers)).await;
    }

    pub(crate) async fn follow(&self, peers: &[&str]) {
        self.order(Order::Follow(peers.iter().map(|&peer| peer.into()).collect())).await;
    }

    pub(crate) async fn notify(&self, peer: &str, event: &str) {
        let (mac, peer) = ("001122334455".parse().expect("a MAC"), peer.to_owned());
        let lines = vec![peer.clone()];
        self.order(Order::Notify { mac, peer, lines, event: event.into(), own: None }).await;
    }

    /// The first news that `pick` wants; what comes before it is dropped.
    pub(crate) async fn until<T>(&mut self, what: &str, pick: impl Fn(&AmiNews) -> Option<T>) -> T {
        let mut seen = Vec::new();
        let search = async {
            loop {
                match self.events.recv().await {
                    Some(Event::Ami(news)) => match pick(&news) {
                        Some(found) => return found,
                        None => seen.push(format!("{news:?}")),
                    },
                    other => panic!("waiting for {what}: {other:?}"),
                }
            }
        };
        match timeout(PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => panic!("no {what}, but {seen:#?}"),
        }
    }

    pub(crate) async fn up(&mut self) -> String {
        let version = |news: &AmiNews| match news {
            AmiNews::Up { version } => Some(version.clone()),
            _ => None,
        };
        self.until("Up", version).await
    }

    pub(crate) async fn down(&mut self) -> (String, bool) {
        let down = |news: &AmiNews| match news {
            AmiNews::Down { reason, refused } => Some((reason.clone(), *refused)),
            _ => None,
        };
        self.until("Down", down).await
    }

    pub(crate) async fn started(&mut self) -> u64 {
        let started = |news: &AmiNews| match news {
            AmiNews::Started(at) => Some(*at),
            _ => None,
        };
        self.until("Started", started).await
    }

    pub(crate) async fn peers(&mut self) -> Vec<PeerFacts> {
        let peers = |news: &AmiNews| match news {
            AmiNews::Peers(peers) => Some(peers.clone()),
            _ => None,
        };
        self.until("Peers", peers).await
    }

    /// The next registration.
    pub(crate) async fn registered(&mut self) -> String {
        let registered = |news: &AmiNews| match news {
            AmiNews::Registered { peer } => Some(peer.clone()),
            AmiNews::Peer(facts) => panic!("details before the registration: {facts:?}"),
            _ => None,
        };
        self.until("Registered", registered).await
    }

    /// The next single facts.
    pub(crate) async fn peer(&mut self) -> PeerFacts {
        let peer = |news: &AmiNews| match news {
            AmiNews::Peer(facts) => Some(facts.clone()),
            _ => None,
        };
        self.until("Peer", peer).await
    }

    pub(crate) async fn notified(&mut self) -> Notified {
        let notified = |news: &AmiNews| match news {
            AmiNews::Notified { result, .. } => Some(result.clone()),
            _ => None,
        };
        self.until("Notified", notified).await
    }

    /// Stops the task in order.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("the task goes on").expect("the task panicked");
    }
}
