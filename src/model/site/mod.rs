//! handset.conf: the site's own settings. Every key has a default; an unknown key is an error with
//! the nearest known key.
//!
//! [`KEYS`] is the one list of keys: it drives the reading, the messages and the manual page.

mod agi;
mod dhcp;
mod keys;
mod manual;
mod read;
mod value;
mod window;

#[cfg(test)]
mod tests;

pub use agi::Agi;
pub use dhcp::{Dhcp, DhcpMode, Net4, Scope, SnippetKind};
pub use keys::{KEYS, Key, Kind};
pub use manual::manual;
pub use read::{CODES, read};
pub use window::Window;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::{Cidr, Secret, Spanned};

/// Any address of the host, and a port that the kernel chooses.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The whole of handset.conf.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// `sip_conf`, default `/etc/asterisk/sip.conf`.
    pub sip_conf: PathBuf,
    /// `pjsip_conf`, default `pjsip.conf` beside `sip_conf`.
    pub pjsip_conf: Option<PathBuf>,
    /// `server_address`: what phones reach us (and Asterisk) on. Unset: see [`crate::daemon`].
    pub server_address: Option<Spanned<IpAddr>>,
    /// `state_dir`, default `/var/lib/handset`.
    pub state_dir: PathBuf,
    /// `control_socket`, default `/run/handset/control`.
    pub control_socket: PathBuf,
    /// `export_dir`.
    pub export_dir: Option<PathBuf>,
    /// `timezone`, an IANA name.
    pub timezone: Option<Spanned<String>>,
    /// `site_key`: the file of the site key, default `handset.key` beside handset.conf.
    pub site_key: PathBuf,
    /// `unknown_file`: a SIP phone without a tag gets a file that shows its MAC.
    pub unknown_file: bool,
    /// `journal_days`: what happened is kept for so long, default 14 days.
    pub journal_age: Duration,
    /// `journal_size`: bytes that it may take, default 32 MB.
    pub journal_bytes: u64,
    /// `default_family`, default `cisco-79x0`.
    pub default_family: String,
    /// `families_dir`, default `families` beside handset.conf: overrides of the built-in families.
    pub families_dir: PathBuf,
    /// `ntp_server`: default `server_address`.
    pub ntp_server: Option<Spanned<String>>,
    /// `push`.
    pub push: PushMode,
    /// `asterisk_reload`.
    pub reload: ReloadMode,
    /// `guard`: who gets the files with passwords.
    pub guard: GuardMode,
    /// `trusted_nets`: whoever asks from there gets them.
    pub trusted_nets: Vec<Cidr>,
    /// `[push]`: how single phones are told.
    pub pacing: Pacing,
    /// `[push]`: how a change comes to many.
    pub waves: Waves,
    /// `[push] notify_from`: where our own NOTIFYs come from, default any address and port.
    pub notify_from: SocketAddr,
    /// `[ami]`; without the section no AMI connection is made.
    pub ami: Option<Ami>,
    /// `[tftp]`.
    pub tftp: Tftp,
    /// `[http]`.
    pub http: Http,
    /// `[dhcp]` and its scopes.
    pub dhcp: Dhcp,
    /// `[agi]`.
    pub agi: Agi,
    /// Sections named after a family, or `[family/profile]`: settings and raw keys. The names are in
    /// lower case.
    pub families: BTreeMap<String, FamilySettings>,
}

impl Site {
    /// Whether phones stand by these settings as they do by others.
    pub fn stands_as(&self, other: &Self) -> bool {
        let rules = |site: &Self| (site.push, site.pacing.clone(), site.tftp.listen);
        rules(self) == rules(other)
    }
}

/// `push=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushMode {
    /// Changed phones are told by themselves.
    Auto,
    /// Only `handset push` tells them.
    Manual,
}

/// `asterisk_reload=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReloadMode {
    /// We ask Asterisk to reload.
    Ask,
    /// We wait until somebody else's reload is seen.
    Wait,
    /// Files are offered at once, whatever Asterisk has loaded.
    Ignore,
}

/// `guard=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GuardMode {
    /// Only to askers that are known to be the phone.
    #[default]
    Strict,
    /// To anybody who is not known to be somebody else.
    Lenient,
    /// To anybody.
    Off,
}

/// `[push]`: how phones are told.
#[derive(Clone, PartialEq, Debug)]
pub struct Pacing {
    /// `rate`: NOTIFYs a second, default 5.
    pub rate: f64,
    /// `retry`: seconds until a phone that fetched nothing is told again, doubled each time,
    /// default 60 (a 7940 idles 20 s first, phones.md §2.11).
    pub retry: Duration,
    /// `retry_max`: the longest such wait, default 900 s.
    pub retry_max: Duration,
    /// `proof`: seconds from the fetch of the phone's own file to its registration, default 180.
    pub proof: Duration,
    /// `unknown`: seconds between two phones that are asked only because what they run is not
    /// known, default 30.
    pub unknown: Duration,
    /// `direct`: when we send a NOTIFY ourselves.
    pub direct: DirectMode,
}

/// `[push] direct=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DirectMode {
    /// To a registered phone that Asterisk takes for unreachable.
    #[default]
    Unreachable,
    /// Not at all.
    Never,
}

/// `[push]`: how a change comes to many phones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waves {
    /// `canaries`: how many phones have a change first, default 3.
    pub canaries: usize,
    /// `growth`: every wave has so many times the phones of the one before, default 4.
    pub growth: u8,
    /// `in_flight`: so many phones may be on their way to a new configuration at a time, default 100.
    pub in_flight: usize,
    /// `failures`: percent of the phones that fetched the change and did not come back, beyond which
    /// it ends, default 5; among the canaries one is too many.
    pub failures: u8,
    /// `window`: the hours in which changes begin, default always.
    pub window: Option<Window>,
    /// `keep`: how many generations can be brought back, default 5.
    pub keep: usize,
}

impl Default for Waves {
    fn default() -> Self {
        Self { canaries: 3, growth: 4, in_flight: 100, failures: 5, window: None, keep: 5 }
    }
}

/// `[ami]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Ami {
    /// `host`, default 127.0.0.1.
    pub host: String,
    /// `port`, default 5038.
    pub port: u16,
    /// `username`.
    pub username: String,
    /// `secret`.
    pub secret: Secret,
    /// `login`: `md5` (default) or `plain`.
    pub md5: bool,
}

/// `[tftp]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tftp {
    /// `listen`, default `0.0.0.0:69`; `off` gives none.
    pub listen: Option<SocketAddr>,
    /// `root`: the folder of static files (firmware, rings), default none.
    pub root: Option<PathBuf>,
}

/// `[http]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Http {
    /// `listen`, default none: no HTTP.
    pub listen: Option<Spanned<SocketAddr>>,
    /// `tls_listen`, default none: no HTTPS.
    pub tls_listen: Option<SocketAddr>,
    /// `certificate`: with its chain, PEM.
    pub certificate: Option<PathBuf>,
    /// `key`: of the certificate, PEM.
    pub key: Option<PathBuf>,
    /// `phonebook`: a CSV or vCard file beside the peers, default none.
    pub phonebook: Option<PathBuf>,
    /// `logo`: the name of a picture in `[tftp] root`, default none.
    pub logo: Option<Spanned<String>>,
    /// `metrics`: who may read `/metrics`, default loopback.
    pub metrics: Vec<Cidr>,
}

impl Http {
    /// What URLs begin with that lead phones to us: `http://192.0.2.1:8080`; none without HTTP.
    pub fn base(&self, server: IpAddr) -> Option<String> {
        Some(base(SocketAddr::new(server, self.listen.as_ref()?.port())))
    }
}

/// What the URLs of an HTTP server begin with.
pub fn base(address: SocketAddr) -> String {
    let text = format!("http://{address}");
    text.strip_suffix(":80").map(str::to_owned).unwrap_or(text)
}

/// A section of handset.conf that belongs to a family.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FamilySettings {
    /// `firmware`: the load that phones shall run.
    pub firmware: Option<Spanned<String>>,
    /// Every other key as written, last one wins: raw keys of the phone's own files, and the
    /// settings that the family's manifest declares.
    pub keys: BTreeMap<String, Spanned<String>>,
}

impl Site {
    /// What holds when `path` (handset.conf) says nothing, or is not there.
    pub fn at(path: &Path) -> Self {
        let beside = |name| path.parent().unwrap_or(Path::new("")).join(name);
        Self {
            sip_conf: "/etc/asterisk/sip.conf".into(),
            pjsip_conf: None,
            server_address: None,
            state_dir: "/var/lib/handset".into(),
            control_socket: "/run/handset/control".into(),
            export_dir: None,
            timezone: None,
            site_key: beside("handset.key"),
            unknown_file: false,
            journal_age: Duration::from_secs(14 * 86_400),
            journal_bytes: 32_000_000,
            default_family: "cisco-79x0".into(),
            families_dir: beside("families"),
            ntp_server: None,
            push: PushMode::Auto,
            reload: ReloadMode::Ask,
            guard: GuardMode::Strict,
            trusted_nets: Vec::new(),
            pacing: Pacing::default(),
            waves: Waves::default(),
            notify_from: ANYWHERE,
            ami: None,
            tftp: Tftp::default(),
            http: Http { metrics: Cidr::loopback().to_vec(), ..Http::default() },
            dhcp: Dhcp::default(),
            agi: Agi::default(),
            families: BTreeMap::new(),
        }
    }
}

impl Default for Site {
    /// What holds without `/etc/asterisk/handset.conf`.
    fn default() -> Self {
        Self::at(Path::new("/etc/asterisk/handset.conf"))
    }
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            rate: 5.0,
            retry: Duration::from_secs(60),
            retry_max: Duration::from_secs(900),
            proof: Duration::from_secs(180),
            unknown: Duration::from_secs(30),
            direct: DirectMode::Unreachable,
        }
    }
}

impl Default for Ami {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 5038,
            username: String::new(),
            secret: Secret::new(""),
            md5: true,
        }
    }
}

impl Default for Tftp {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 69))), root: None }
    }
}
