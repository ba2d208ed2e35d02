//! A simulated phone that boots from hand-made files and registers at the lab's endpoints.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use simphone::{Config, Model, Phone, State, spawn};

use crate::tftp::Server;

/// Longer than anything takes here, and short enough to wait for.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
const OWN: &str = "SIP0018B9FF0001.cnf";

/// A loopback address that no other test, of this run or another, uses.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(2);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 128 | (high & 63), low, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What the phone fetches, and what it is.
pub(crate) struct Desk {
    pub(crate) server: Server,
    pub(crate) config: Config,
    registrar: SocketAddr,
}

impl Desk {
    /// A phone with the lines 201 and 202, and `more` in its own file.
    pub(crate) async fn new(registrar: SocketAddr, more: &str) -> Self {
        let server = Server::start(&[]).await;
        let mac = [0x00, 0x18, 0xb9, 0xff, 0x00, 0x01];
        let mut config = Config::new(mac, Model::M7960, own_address(), server.address());
        config.idle = Duration::from_millis(200);
        config.timing.register_retry = Duration::from_millis(300);
        let desk = Self { server, config, registrar };
        desk.write(more);
        desk
    }

    /// The phone's own file.
    pub(crate) fn write(&self, more: &str) {
        let text = format!(
            "proxy1_address: \"127.0.0.1\"\nproxy1_port: {}\nproxy_register: 1\n\
             timer_register_expires: 60\nuser_info: phone\n\
             line1_name: 201\nline1_authname: 201\nline1_password: phone-secret\n\
             line2_name: 202\nline2_authname: 202\nline2_password: other-secret-202\n{more}",
            self.registrar.port()
        );
        self.server.put(OWN, &text);
    }

    pub(crate) async fn boot(&self) -> Phone {
        spawn(self.config.clone()).await
    }

    /// Boots, and waits for both lines.
    pub(crate) async fn registered(&self) -> Phone {
        let phone = self.boot().await;
        phone.wait(LIMIT, State::all_registered).await.unwrap();
        phone
    }

    /// The same phone at another address.
    pub(crate) fn moved(&mut self) {
        self.config.address = own_address();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.config.address.into(), 5060)
    }
}
