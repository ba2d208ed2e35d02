//! The programs in a phone's flash, and how they replace each other (phones.md §2.2, §2.6).
//!
//! Images are the tests' own: [`image`] and [`list`] make them, with the maker's header for signed
//! files and a line that says which load it is. A phone takes an image only where a real one is known
//! to, and anything else leaves it dead: a step that no source allows shall not pass a test.

use serde::Serialize;
use tokio::time::sleep;

use crate::Stage;
use crate::event::Event;
use crate::phone::{Booted, Core};
use crate::tftp::Fetched;

/// What is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Firmware {
    /// The application's load, as `P00303020214` (SCCP 3.2) or `P0S3-06-3-00`; empty: none.
    pub app: String,
    /// The universal loader's load, from the time that one is installed.
    pub loader: Option<String>,
    /// The application was written by the last restart, which then starts it at once.
    pub fresh: bool,
}

impl Firmware {
    /// A phone as it leaves the factory: SCCP 3.2.
    pub fn factory() -> Self {
        Self::running("P00303020214")
    }

    /// A phone that runs this application, without a universal loader.
    pub fn running(app: &str) -> Self {
        Self { app: app.into(), ..Self::default() }
    }

    pub(crate) fn is_sip(&self) -> bool {
        self.app.starts_with("P0S3")
    }

    /// The major release of the application.
    pub(crate) fn major(&self) -> u32 {
        major(&self.app)
    }

    /// It takes signed images only.
    pub(crate) fn signed(&self) -> bool {
        self.loader.is_some() || self.major() >= 5
    }

    /// What it says in `User-Agent`.
    pub(crate) fn agent(&self, model: &str) -> String {
        match self.major() {
            8 => format!("Cisco-CP{model}G/8.0"),
            major => format!("CSCO/{major}"),
        }
    }
}

/// `P0S3-08-11-00` and `P00308…` are of release 8.
fn major(load: &str) -> u32 {
    let digits = match load.split_once('-') {
        Some((_, rest)) => rest.split('-').next().unwrap_or_default(),
        None => load.get(4..6).unwrap_or_default(),
    };
    digits.parse().unwrap_or(0)
}

const SIGNED: &[u8] = &[1, 0, 2, 1, 0, 2, 0, 2];

/// A file with the maker's header for signed files; the signature in it is nobody's.
fn sign(name: &str, body: &[u8]) -> Vec<u8> {
    let mut tags = Vec::new();
    let mut tag = |number: u8, value: &[u8]| {
        tags.push(number);
        tags.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        tags.extend_from_slice(value);
    };
    tag(4, b"CN=simphone\0");
    tag(5, &[1]);
    tag(6, b"CN=simphone\0");
    tag(8, &[1]);
    tag(12, &[0x5a; 128]);
    tag(14, format!("{name}\0").as_bytes());
    tag(15, &[0; 4]);
    let length = SIGNED.len() + 2 + tags.len();
    let length = u16::try_from(length).unwrap_or_default().to_be_bytes();
    [SIGNED, &length, &tags, body].concat()
}

/// An image called `name` that is this load, of about the size of the maker's.
pub fn image(name: &str) -> Vec<u8> {
    let (load, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    let size = if load.starts_with("P003-") { 130_000 } else { 690_000 };
    let mut body = format!("LOAD {load}\n").into_bytes();
    body.resize(size, 0xa5);
    if kind == "bin" { body } else { sign(name, &body) }
}

/// The `.loads` file of a set.
pub fn list(load: &str, loader: &str) -> Vec<u8> {
    let text = format!("{loader}.sbn\n{load}.sb2\nLA_VERSION=1\n");
    sign(&format!("{load}.loads"), text.as_bytes())
}

/// The body of a signed file, or of an unsigned one.
fn body(bytes: &[u8], signed: bool) -> Option<&[u8]> {
    let has = bytes.starts_with(SIGNED);
    match (signed, has) {
        (false, false) => Some(bytes),
        (true, true) => {
            let length = u16::from_be_bytes([*bytes.get(8)?, *bytes.get(9)?]);
            bytes.get(usize::from(length)..)
        }
        _ => None,
    }
}

/// The load that an image is; none for one that this phone refuses.
fn load_in(bytes: &[u8], signed: bool) -> Option<String> {
    let line = body(bytes, signed)?.split(|b| *b == b'\n').next()?;
    Some(std::str::from_utf8(line).ok()?.strip_prefix("LOAD ")?.to_owned())
}

impl Core {
    /// One start of a phone whose firmware is simulated.
    pub(crate) async fn boot_installed(&mut self, reason: &str) -> Booted {
        let Some(installed) = self.installed.clone() else { return Booted::Stuck };
        if self.fresh() || installed.loader.is_none() {
            if !installed.is_sip() {
                return self.sccp(reason).await;
            }
            if installed.major() <= 5
                && let Some(restart) = self.named_by_list().await
            {
                return restart;
            }
            return self.application(reason).await;
        }
        match self.loader(reason).await {
            Booted::Running if self.is_sip() => {
                sleep(self.config.timing.app_start).await;
                self.application(reason).await
            }
            Booted::Running => {
                self.shared.tell(Event::Trouble { text: "Protocol Application Invalid".into() });
                Booted::Stuck
            }
            other => other,
        }
    }

    fn fresh(&mut self) -> bool {
        self.installed.as_mut().is_some_and(|installed| std::mem::take(&mut installed.fresh))
    }

    /// What stands in `User-Agent`.
    pub(crate) fn agent(&self) -> String {
        match &self.installed {
            Some(installed) if self.config.user_agent.is_none() => {
                installed.agent(self.config.model.number())
            }
            _ => self.config.agent(),
        }
    }

    fn is_sip(&self) -> bool {
        self.installed.as_ref().is_some_and(Firmware::is_sip)
    }

    /// SCCP: asks its list again and again; `OS79XX.TXT` may name another image.
    async fn sccp(&mut self, reason: &str) -> Booted {
        let mut reason = reason.to_owned();
        loop {
            self.shared.tell(Event::Boot { stage: Stage::Sccp, reason });
            if let Some(restart) = self.named_by_list().await {
                return restart;
            }
            let mac = self.config.mac_upper();
            let names = [
                format!("SEP{mac}.cnf.xml"),
                "XMLDefault.cnf.xml".into(),
                format!("SEP{mac}.cnf"),
                "SEPDefault.cnf".into(),
            ];
            for name in &names {
                if let Fetched::File(_) = self.asker().get(name).await {
                    let text = format!("{name} is there, and means nothing to this release");
                    self.shared.tell(Event::Trouble { text });
                    return Booted::Stuck;
                }
            }
            self.shared.tell(Event::Trouble { text: "TFTP Timeout".into() });
            sleep(self.config.timing.loader_pause).await;
            reason = "the list begins anew".into();
        }
    }

    /// `OS79XX.TXT`, which must hold one line with a name.
    async fn named_by_list(&mut self) -> Option<Booted> {
        let Fetched::File(bytes) = self.asker().get("OS79XX.TXT").await else { return None };
        let text = String::from_utf8_lossy(&bytes);
        let load = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(&text);
        if load.is_empty() || load.contains(['\n', '\r', ' ', '.', '/']) {
            return Some(self.dead(&format!("OS79XX.TXT holds {text:?}")));
        }
        self.take_image(load).await
    }

    /// Takes another image, where it is another one; none: the phone goes on as it is.
    pub(crate) async fn take_image(&mut self, load: &str) -> Option<Booted> {
        let installed = self.installed.clone()?;
        if load == installed.app || Some(load) == installed.loader.as_deref() {
            return None;
        }
        let kind = if installed.signed() { "sbn" } else { "bin" };
        let Fetched::File(bytes) = self.asker().get(&format!("{load}.{kind}")).await else {
            return None;
        };
        self.shared.tell(Event::Load { name: load.into(), found: true, running: installed.app });
        let Some(found) = load_in(&bytes, installed.loader.is_some() || kind == "sbn") else {
            self.shared.tell(Event::Trouble { text: "Image Authentication Failed".into() });
            return None;
        };
        Some(self.install(found).await)
    }

    /// Writes a load over what is there, and restarts; a step that no source allows is the end.
    pub(crate) async fn install(&mut self, load: String) -> Booted {
        let Some(mut installed) = self.installed.clone() else { return Booted::Stuck };
        let (from, to) = (installed.major(), major(&load));
        if (!installed.signed() && to > 5) || (installed.signed() && to < 5) {
            return self.dead(&format!("{} was overwritten by {load}", installed.app));
        }
        if from == 6 && to == 7 && installed.loader.is_none() {
            return self.dead("6.3 loops with 7.2");
        }
        sleep(self.config.timing.flash).await;
        if !self.shared.faults().flash_fails {
            if load.starts_with("P003-") {
                installed = Firmware { loader: Some(load), ..Firmware::default() };
            } else {
                installed.app = load;
                installed.fresh = installed.loader.is_some();
            }
        }
        self.set_installed(installed);
        Booted::Restart("a load was written")
    }

    /// The loader's way: the list, then what of it is not installed.
    pub(crate) async fn take_listed(&mut self, load: &str) -> Result<(), Option<Booted>> {
        let Fetched::File(bytes) = self.asker().get(&format!("{load}.loads")).await else {
            return Err(None);
        };
        let installed = self.installed.clone().unwrap_or_default();
        let running = installed.app.clone();
        self.shared.tell(Event::Load { name: load.into(), found: true, running });
        let Some(text) = body(&bytes, true).map(String::from_utf8_lossy) else {
            self.shared.tell(Event::Trouble { text: "Image Authentication Failed".into() });
            return Err(None);
        };
        let have = [Some(installed.app.as_str()), installed.loader.as_deref()];
        for name in text.lines().filter(|line| !line.contains('=')) {
            let Some((listed, _)) = name.rsplit_once('.') else { continue };
            if have.contains(&Some(listed)) {
                continue;
            }
            let Fetched::File(bytes) = self.asker().get(name).await else { return Err(None) };
            let Some(found) = load_in(&bytes, true) else { return Err(None) };
            return Err(Some(self.install(found).await));
        }
        Ok(())
    }

    fn set_installed(&mut self, installed: Firmware) {
        self.installed = Some(installed.clone());
        self.shared.change(|state| state.installed = Some(installed));
    }

    fn dead(&mut self, text: &str) -> Booted {
        self.shared.tell(Event::Trouble { text: format!("dead: {text}") });
        Booted::Stuck
    }
}
