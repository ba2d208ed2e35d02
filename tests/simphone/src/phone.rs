//! The life of a phone: loader, SIP application, running, restart (phones.md §2.2, §2.4).

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::event::{Event, Stage};
use crate::firmware::Firmware;
use crate::flash::{Flash, Line};
use crate::shared::{Phase, Shared};
use crate::sip::Answered;
use crate::tftp::{Client, Fetched};
use crate::{Config, load, running};

/// What the handle asks of the task.
pub(crate) enum Command {
    Call { number: String, reply: Answered },
    HangUp,
    Key(char),
    Busy(bool),
    PowerCut { dark: Duration, address: Option<Ipv4Addr> },
    Stop { unregister: bool },
}

/// Why one life of the phone ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Restart(String),
    PowerCut { dark: Duration, address: Option<Ipv4Addr> },
    Stop,
}

/// How a boot ended, when nobody interfered.
pub(crate) enum Booted {
    Running,
    Restart(&'static str),
    Stuck,
}

/// The parts of a phone that outlive a restart.
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) shared: Arc<Shared>,
    pub(crate) flash: Flash,
    pub(crate) boots: u64,
    pub(crate) installed: Option<Firmware>,
}

/// Runs a phone until it is switched off.
pub(crate) async fn run(config: Config, shared: Arc<Shared>, mut inbox: mpsc::Receiver<Command>) {
    let flash = config.flash.clone();
    let installed = config.installed.clone();
    shared.change(|state| state.installed.clone_from(&installed));
    let mut core = Core { config, shared, flash, boots: 0, installed };
    let mut reason = "power on".to_owned();
    let mut exit = life(&mut core, &reason, &mut inbox).await;
    while exit != Exit::Stop {
        let (why, dark) = match exit {
            Exit::Restart(why) => (why, Duration::ZERO),
            Exit::PowerCut { dark, address } => {
                core.move_to(address);
                ("power cycle".to_owned(), dark)
            }
            Exit::Stop => break,
        };
        core.shared.tell(Event::Restart { reason: why.clone() });
        reason = why;
        let woken = match dark {
            Duration::ZERO => None,
            dark => timeout(dark, interrupted(&mut inbox)).await.ok(),
        };
        exit = match woken {
            Some(other) => other,
            None => life(&mut core, &reason, &mut inbox).await,
        };
    }
    core.shared.tell(Event::Stopped);
}

async fn life(core: &mut Core, reason: &str, inbox: &mut mpsc::Receiver<Command>) -> Exit {
    core.boots += 1;
    let boots = core.boots;
    core.shared.change(|state| state.boots = boots);
    let booted = tokio::select! {
        biased;
        exit = interrupted(inbox) => return exit,
        booted = core.boot(reason) => booted,
    };
    match booted {
        Booted::Running => running::run(core, inbox).await,
        Booted::Restart(why) => Exit::Restart(why.to_owned()),
        Booted::Stuck => {
            core.shared.change(|state| state.phase = Phase::Stuck);
            interrupted(inbox).await
        }
    }
}

/// Answers commands while there is no SIP, until one ends this life.
async fn interrupted(inbox: &mut mpsc::Receiver<Command>) -> Exit {
    loop {
        match inbox.recv().await {
            None | Some(Command::Stop { .. }) => return Exit::Stop,
            Some(Command::PowerCut { dark, address }) => {
                return Exit::PowerCut { dark, address };
            }
            Some(Command::Call { reply, .. }) => {
                let _ = reply.send(Err("the phone has no line yet".into()));
            }
            Some(Command::HangUp | Command::Key(_) | Command::Busy(_)) => {}
        }
    }
}

/// What a file in the loader's hunt means when it is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hunt {
    /// A trust list: looked at, and the hunt goes on.
    Trust,
    /// XML that names a load for each model.
    Loads,
    /// A file of the SIP application: the protocol is SIP.
    Sip,
    /// A file of MGCP: the phone is lost to SIP.
    Mgcp,
}

/// The loader's requests in order (observed); `#` stands for the MAC.
const HUNT: [(&str, Hunt); 7] = [
    ("CTLSEP#.tlv", Hunt::Trust),
    ("SEP#.cnf.xml", Hunt::Loads),
    ("SIP#.cnf", Hunt::Sip),
    ("MGC#.cnf", Hunt::Mgcp),
    ("XMLDefault.cnf.xml", Hunt::Loads),
    ("SIPDefault.cnf", Hunt::Sip),
    ("MGCDefault.cnf", Hunt::Mgcp),
];

/// How one hunt ended.
enum Found {
    Sip,
    Useless(&'static str),
    Silence,
    Stalled,
    Nothing,
    Wrote(Booted),
}

impl Core {
    fn move_to(&mut self, address: Option<Ipv4Addr>) {
        if let Some(address) = address {
            self.config.address = address;
            self.shared.set_address(address);
        }
    }

    /// The TFTP client, and what it tells.
    pub(crate) fn asker(&self) -> Asker {
        let Config { address, tftp, timing, .. } = self.config;
        let own = format!("SIP{}.cnf", self.config.mac_upper());
        let client = Client { address, server: tftp, timing };
        Asker { client, own, shared: Arc::clone(&self.shared) }
    }

    async fn boot(&mut self, reason: &str) -> Booted {
        sleep(self.config.timing.boot).await;
        if self.installed.is_some() {
            return self.boot_installed(reason).await;
        }
        if self.config.start == Stage::Ual {
            match self.loader(reason).await {
                Booted::Running => sleep(self.config.timing.app_start).await,
                other => return other,
            }
        }
        self.application(reason).await
    }

    /// The universal application loader: starts over until some file fixes the protocol.
    pub(crate) async fn loader(&mut self, reason: &str) -> Booted {
        let mut reason = reason.to_owned();
        loop {
            self.shared.tell(Event::Boot { stage: Stage::Ual, reason });
            let text = match self.hunt().await {
                Found::Sip => return Booted::Running,
                Found::Stalled => return Booted::Restart("a transfer stalled"),
                Found::Wrote(booted) => return booted,
                Found::Nothing => {
                    self.shared.tell(Event::Trouble { text: "TFTP file not found".into() });
                    return Booted::Stuck;
                }
                Found::Useless(text) => text,
                Found::Silence => "TFTP Timeout",
            };
            self.shared.tell(Event::Trouble { text: text.into() });
            sleep(self.config.timing.loader_pause).await;
            reason = format!("the loader starts over: {text}");
        }
    }

    async fn hunt(&mut self) -> Found {
        let asker = self.asker();
        for (name, hunt) in HUNT {
            let bytes = match asker.get(&name.replace('#', &self.config.mac_upper())).await {
                Fetched::File(bytes) => bytes,
                Fetched::Error(_) => continue,
                // Only the first name is given up alone; after the second the loader starts over.
                Fetched::TimedOut if hunt == Hunt::Trust => continue,
                Fetched::TimedOut => return Found::Silence,
                Fetched::Stalled => return Found::Stalled,
            };
            match hunt {
                Hunt::Trust => {}
                Hunt::Mgcp => return Found::Useless("Protocol Application Invalid"),
                Hunt::Loads => return self.take_load(load::named(&bytes, self.config.model)).await,
                Hunt::Sip => {
                    let mut read = Flash::default();
                    read.apply(name, &bytes);
                    let image = read.get("image_version");
                    if !image.is_empty() {
                        return self.take_load(Some(image.to_owned())).await;
                    }
                    return Found::Sip;
                }
            }
        }
        Found::Nothing
    }

    /// Fetches `<load>.loads`. Images are not simulated: the installed one goes on.
    async fn take_load(&mut self, load: Option<String>) -> Found {
        let Some(name) = load else { return Found::Useless("No Load Specified") };
        if self.installed.is_some() {
            return match self.take_listed(&name).await {
                Ok(()) => Found::Sip,
                Err(Some(booted)) => Found::Wrote(booted),
                Err(None) => Found::Useless("TFTP file not found"),
            };
        }
        let found = match self.asker().get(&format!("{name}.loads")).await {
            Fetched::File(_) => true,
            Fetched::Error(_) => false,
            Fetched::TimedOut => return Found::Silence,
            Fetched::Stalled => return Found::Stalled,
        };
        let sip = load::is_sip(&name);
        let running = self.config.firmware.clone();
        self.shared.tell(Event::Load { name, found, running });
        if sip { Found::Sip } else { Found::Useless("Protocol Application Invalid") }
    }

    /// The SIP application: reads its two files until there is a line.
    pub(crate) async fn application(&mut self, reason: &str) -> Booted {
        self.shared.tell(Event::Boot { stage: Stage::SipApp, reason: reason.to_owned() });
        let before = self.flash.clone();
        if self.read("SIPDefault.cnf").await == Fetched::Stalled {
            return Booted::Restart("a transfer stalled");
        }
        let own = format!("{}SIP{}.cnf", self.flash.get("tftp_cfg_dir"), self.config.mac_upper());
        loop {
            if self.read(&own).await == Fetched::Stalled {
                return Booted::Restart("a transfer stalled");
            }
            if !self.flash.lines(self.config.model).is_empty() {
                break;
            }
            self.keep_flash();
            self.shared.tell(Event::Unprovisioned);
            sleep(self.config.timing.unprovisioned).await;
        }
        self.keep_flash();
        self.tell_config(&before);
        match self.wanted_image().await {
            Some(booted) => booted,
            None => Booted::Running,
        }
    }

    /// Reads one file into the flash; what comes back holds no bytes.
    async fn read(&mut self, name: &str) -> Fetched {
        match self.asker().get(name).await {
            Fetched::File(bytes) => {
                for event in self.flash.apply(name, &bytes) {
                    self.shared.tell(event);
                }
                Fetched::File(Vec::new())
            }
            other => other,
        }
    }

    fn tell_config(&self, before: &Flash) {
        let lines = self.flash.lines(self.config.model).iter().map(Line::info).collect();
        let sync = self.flash.get("sync").to_owned();
        self.shared.tell(Event::Config { lines, sync, changed: self.flash.changed_since(before) });
    }

    fn keep_flash(&self) {
        self.shared.change(|state| state.flash = self.flash.clone());
        if let Some(path) = &self.config.flash_file
            && let Err(error) = self.flash.save(path)
        {
            self.shared.tell(Event::Trouble { text: format!("flash not written: {error}") });
        }
    }

    /// Another image is asked for, and the old one runs on.
    async fn wanted_image(&mut self) -> Option<Booted> {
        let image = self.flash.get("image_version").to_owned();
        let Some(installed) = self.installed.clone() else {
            if !image.is_empty() && image != self.config.firmware {
                // Whatever comes of it, the phone carries on.
                let _ = self.take_load(Some(image)).await;
            }
            return None;
        };
        if image.is_empty() || image == installed.app {
            return None;
        }
        if installed.major() < 7 {
            return self.take_image(&image).await;
        }
        self.take_listed(&image).await.err().flatten()
    }
}

/// Fetches files, and tells about it.
#[derive(Clone)]
pub(crate) struct Asker {
    client: Client,
    own: String,
    shared: Arc<Shared>,
}

impl Asker {
    pub(crate) fn tell(&self, event: Event) {
        self.shared.tell(event);
    }

    /// Fetches one file.
    pub(crate) async fn get(&self, name: &str) -> Fetched {
        let file = name.to_owned();
        self.shared.tell(Event::Request { file: file.clone() });
        let faults = self.shared.faults();
        let image = [".bin", ".sbn", ".sb2"].iter().any(|kind| name.ends_with(kind));
        let half =
            (faults.fetch_half && name.ends_with(&self.own)) || (faults.stall_images && image);
        let fetched = self.client.fetch(name, half).await;
        self.shared.tell(match &fetched {
            Fetched::File(bytes) => Event::Got { file, bytes: bytes.len() },
            Fetched::Error(code) => Event::NotFound { file, code: *code },
            Fetched::TimedOut => Event::TimedOut { file },
            Fetched::Stalled => Event::Stalled { file },
        });
        fetched
    }
}
