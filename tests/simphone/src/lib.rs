//! A simulated Cisco 7940/7960, for handset's tests and demo.
//!
//! It boots over TFTP, reads its files by the phone's own rules, registers its lines with SIP
//! digest, and obeys `check-sync`, as `docs` of the real phone and captures of it say (facts and
//! their sources: phones.md §2; section numbers in this crate mean that text). It shares no code
//! with handset on purpose: it is the judge of what handset serves.
//!
//! Every phone has an address of its own (127.x.y.z), so that servers can tell the askers apart,
//! and runs as one task: some thousands fit into one process. Reading order: [`Config`] and
//! [`Phone`] (what a test uses), `phone` (its life from boot to restart), `tftp`, `config` and
//! `flash` (the files), `sip`, `sync`.
//!
//! The directories key is a [`Browser`]: pages through XML services by the phone's own limits.
//!
//! What it does not do: DHCP, media.

mod config;
mod dialplan;
mod event;
mod firmware;
mod flash;
mod handle;
mod load;
mod observer;
mod phone;
mod running;
mod screen;
mod services;
mod shared;
mod sip;
mod sync;
mod tftp;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use event::{CallState, Event, LineInfo, Report, Stage};
pub use firmware::{Firmware, image, list};
pub use flash::Flash;
pub use handle::{Phone, spawn};
pub use observer::Observer;
pub use screen::{Field, Screen, SoftKey};
pub use services::Browser;
pub use shared::{Phase, State};

/// Which of the two phones this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Model {
    /// Two lines.
    M7940,
    /// Six lines.
    M7960,
}

impl Model {
    /// How many line keys the phone has (phones.md §2.1).
    pub fn lines(self) -> u8 {
        match self {
            Self::M7940 => 2,
            Self::M7960 => 6,
        }
    }

    /// `7940` or `7960`.
    pub fn number(self) -> &'static str {
        match self {
            Self::M7940 => "7940",
            Self::M7960 => "7960",
        }
    }

    /// The maker's own number of the model, in Contact and in `loadInformationN`.
    pub(crate) fn ccm_number(self) -> u8 {
        match self {
            Self::M7940 => 8,
            Self::M7960 => 7,
        }
    }
}

/// How long the phone's own pauses last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// From power-on or a restart to the first request.
    pub boot: Duration,
    /// From the loader's last file to the SIP application's first request (23 s observed).
    pub app_start: Duration,
    /// From the phone's own file to `RINGLIST.DAT` and `dialplan.xml` (2 s observed).
    pub rings: Duration,
    /// Between two sends of a read request that nobody answers (4 s observed).
    pub rrq_repeat: Duration,
    /// Sends from one source port (5 observed).
    pub rrq_sends: u32,
    /// Source ports tried for one file (3 observed).
    pub ports: u32,
    /// How long a started transfer may be silent (13 s observed).
    pub stall: Duration,
    /// Before the loader starts over (62 to 72 s observed).
    pub loader_pause: Duration,
    /// Between two requests for `SIP<MAC>.cnf` of a phone without lines (31 s observed).
    pub unprovisioned: Duration,
    /// From a refused REGISTER to the next one (a guess).
    pub register_retry: Duration,
    /// Writing a load to the flash, until the restart (45 to 65 s observed, with the restart).
    pub flash: Duration,
}

impl Timing {
    /// As the real phones were seen to behave (phones.md §2.3, §2.4).
    pub fn real() -> Self {
        let seconds = Duration::from_secs;
        Self {
            boot: seconds(30),
            app_start: seconds(23),
            rings: seconds(2),
            rrq_repeat: seconds(4),
            rrq_sends: 5,
            ports: 3,
            stall: seconds(13),
            loader_pause: seconds(65),
            unprovisioned: seconds(31),
            register_retry: seconds(30),
            flash: seconds(25),
        }
    }

    /// The real pauses times `factor`; the counts stay.
    pub fn scaled(factor: f64) -> Self {
        let real = Self::real();
        Self {
            boot: real.boot.mul_f64(factor),
            app_start: real.app_start.mul_f64(factor),
            rings: real.rings.mul_f64(factor),
            rrq_repeat: real.rrq_repeat.mul_f64(factor),
            stall: real.stall.mul_f64(factor),
            loader_pause: real.loader_pause.mul_f64(factor),
            unprovisioned: real.unprovisioned.mul_f64(factor),
            register_retry: real.register_retry.mul_f64(factor),
            flash: real.flash.mul_f64(factor),
            ..real
        }
    }

    /// For tests: a boot of a tenth of a second, and a tenth of every other pause.
    pub fn fast() -> Self {
        let tiny = Duration::from_millis(50);
        let flash = Duration::from_millis(500);
        Self { boot: tiny, app_start: tiny, rings: tiny, flash, ..Self::scaled(0.1) }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::fast()
    }
}

/// What is wrong with a phone, switched on and off while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Does not even answer a NOTIFY.
    pub ignore_notify: bool,
    /// Takes one block of `SIP<MAC>.cnf` and never acknowledges it: the transfer stalls.
    pub fetch_half: bool,
    /// Boots, reads its files, and registers nothing.
    pub never_register_after_fetch: bool,
    /// Does not answer OPTIONS, so that Asterisk thinks it unreachable.
    pub mute_options: bool,
    /// Obeys a check-sync at once, also in the middle of a call.
    pub impatient: bool,
    /// Fetches images, and runs on with the old ones.
    pub flash_fails: bool,
    /// Takes one block of an image and never acknowledges it.
    pub stall_images: bool,
}

/// Everything that makes a phone.
#[derive(Clone, Debug)]
pub struct Config {
    /// The phone's MAC.
    pub mac: [u8; 6],
    /// 7940 or 7960.
    pub model: Model,
    /// The phone's own address: every packet, TFTP or SIP, is sent from it.
    pub address: Ipv4Addr,
    /// The TFTP server.
    pub tftp: SocketAddr,
    /// The SIP port; 0 means what `voip_control_port` says.
    pub sip_port: u16,
    /// Where a boot begins.
    pub start: Stage,
    /// How long the phone must be idle before it acts on a check-sync (20 s on a real one).
    pub idle: Duration,
    /// The other pauses.
    pub timing: Timing,
    /// The image that the phone runs.
    pub firmware: String,
    /// What is in its flash, where that is simulated, too: `start` and `firmware` mean nothing then.
    pub installed: Option<Firmware>,
    /// Instead of `Cisco-CP7960G/8.0`.
    pub user_agent: Option<String>,
    /// Instead of `timer_register_expires`, in seconds.
    pub register_expires: Option<u32>,
    /// What the phone remembers from before.
    pub flash: Flash,
    /// Where the flash is kept, read at [`spawn`] when it exists.
    pub flash_file: Option<PathBuf>,
    /// Whether the phone lifts the handset when it is called, else it rings.
    pub answer_calls: bool,
    /// Whether the lines are taken off before a restart for a check-sync.
    pub unregister_on_restart: bool,
    /// Whether to tell every SIP message ([`Event::Sip`]).
    pub trace_sip: bool,
    /// Events kept for [`Phone::history`] and [`Phone::wait_event`].
    pub history: usize,
    /// Told every event at once, beside the history.
    pub observer: Option<Observer>,
}

impl Config {
    /// A phone on firmware 8.12, fresh from the factory, that starts at its SIP application.
    pub fn new(mac: [u8; 6], model: Model, address: Ipv4Addr, tftp: SocketAddr) -> Self {
        Self {
            mac,
            model,
            address,
            tftp,
            sip_port: 0,
            start: Stage::SipApp,
            idle: Duration::from_secs(20),
            timing: Timing::default(),
            firmware: "P0S3-8-12-00".into(),
            installed: None,
            user_agent: None,
            register_expires: None,
            flash: Flash::default(),
            flash_file: None,
            answer_calls: true,
            unregister_on_restart: false,
            trace_sip: false,
            history: 8192,
            observer: None,
        }
    }

    /// The MAC as in file names: twelve upper-case digits.
    pub(crate) fn mac_upper(&self) -> String {
        self.mac.iter().map(|b| format!("{b:02X}")).collect()
    }

    /// What stands in `User-Agent` (phones.md §2.16).
    pub(crate) fn agent(&self) -> String {
        let usual = || format!("Cisco-CP{}G/8.0", self.model.number());
        self.user_agent.clone().unwrap_or_else(usual)
    }
}
