//! A site with the shipped dial plan.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use simphone::Phone;

use crate::site::{SOON, Site};

pub(crate) const TOKEN: &str = "0123456789abcdef-lab";

/// The dial plan that is shipped, for a service on a port.
fn dial_plan(port: u16) -> String {
    let shipped = include_str!("../../contrib/asterisk/extensions.conf");
    let text = shipped.replace("127.0.0.1:4573", &format!("127.0.0.1:{port}"));
    text.replace("REPLACE-WITH-SOMETHING-RANDOM", TOKEN)
}

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) struct Office {
    pub(crate) site: Site,
    pub(crate) agi: SocketAddr,
}

impl Office {
    /// Starts Asterisk with `top` and the dial plan, and the daemon with `settings` in [agi] beside listen and token.
    pub(crate) async fn open(
        version: &str,
        top: (&str, &str),
        general: &str,
        settings: &str,
    ) -> Self {
        let port = port();
        let mut files = vec![top, ("pjsip_wizard.conf", "")];
        let plan = dial_plan(port);
        files.push(("extensions.conf", &plan));
        let mut site = Site::prepare_version(version, &files);
        site.top = top.0.into();
        site.general = general.into();
        let settings = settings.replace("@DIR@", site.dir.path().to_str().unwrap());
        site.sections = format!("[agi]\nlisten=127.0.0.1:{port}\ntoken={TOKEN}\n{settings}\n");
        site.run().await;
        Self { site, agi: (Ipv4Addr::LOCALHOST, port).into() }
    }

    pub(crate) async fn sip(conf: &str, general: &str, settings: &str) -> Self {
        Self::open("16", ("sip.conf", conf), general, settings).await
    }

    /// What the dial plan was told at the end of calls, in order.
    pub(crate) fn told(&self) -> Vec<String> {
        let log = fs::read(self.site.path("pbx/log/full")).unwrap_or_default();
        let end = |line: &str| {
            let line = clean(line);
            let (_, text) = line.split_once("handset: ").filter(|_| line.contains("NoOp("))?;
            text.split_once("\") in new stack").map(|(text, _)| text.to_owned())
        };
        String::from_utf8_lossy(&log).lines().filter_map(end).collect()
    }

    /// Dials a code and waits until the dial plan is at its end; what it was told.
    pub(crate) async fn dial(&self, phone: &Phone, code: &str, keys: &str) -> String {
        let before = self.told().len();
        phone.call(code).await.unwrap_or_else(|why| panic!("{code}: {why}\n{}", self.site.log()));
        phone.press(keys).await;
        self.site.until("the dial plan is at its end", SOON, |_| self.told().len() > before).await;
        self.told().remove(before)
    }
}

/// Without the colours of a console.
fn clean(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.filter_map(|part| part.split_once('m')).map(|(_, text)| text).collect::<String>()
}
