//! A phone with lines: SIP, and the files that it fetches meanwhile.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::config::Bad;
use crate::event::{CallState, Event};
use crate::flash::Line;
use crate::phone::{Asker, Command, Core, Exit};
use crate::sip::{Account, Agent, Identity, Output, Setup, SipTimes};
use crate::tftp::Fetched;
use crate::{dialplan, sync};

/// How long taking the lines off may last.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);
/// How long a DNS name may take.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
/// Longer datagrams are cut, and then no SIP.
const DATAGRAM: usize = 8192;

/// Files fetched beside SIP.
enum Background {
    /// `RINGLIST.DAT` and `dialplan.xml` after a boot.
    Extras,
    /// `syncinfo.xml` (and `dialplan.xml`) after a check-sync.
    Sync(Fetched),
}

type Fetching = Pin<Box<dyn Future<Output = Background> + Send>>;

/// The two sockets: with `nat_enable: 1` they are one (phones.md §2.16).
struct Sockets {
    listen: UdpSocket,
    /// Bound to an ephemeral port and never read: what is sent there is lost, as with the phone.
    send: Option<UdpSocket>,
}

struct Running<'a> {
    core: &'a mut Core,
    agent: Agent,
    sockets: Sockets,
    fetching: Option<Fetching>,
    /// When the check-sync came that still waits.
    check_sync: Option<Instant>,
    idle_since: Instant,
    /// What follows when the lines are off, and until when that is awaited.
    leaving: Option<(Exit, Instant)>,
}

/// Runs until a restart or the end.
pub(crate) async fn run(core: &mut Core, inbox: &mut mpsc::Receiver<Command>) -> Exit {
    let port = sip_port(core);
    let sockets = loop {
        match Sockets::open(core, port).await {
            Ok(sockets) => break sockets,
            Err(error) => {
                let text = format!("no SIP socket at port {port}: {error}");
                core.shared.tell(Event::Trouble { text });
            }
        }
        match timeout(core.config.timing.register_retry, inbox.recv()).await {
            Ok(None | Some(Command::Stop { .. })) => return Exit::Stop,
            Ok(Some(Command::PowerCut { dark, address })) => {
                return Exit::PowerCut { dark, address };
            }
            Ok(Some(_)) | Err(_) => {}
        }
    };
    let accounts = accounts(core).await;
    let now = Instant::now();
    let agent = Agent::new(setup(core, port, accounts), now);
    let fetching: Fetching =
        Box::pin(extras(core.asker(), core.config.timing.rings, dial_file(core)));
    let running = Running {
        core,
        agent,
        sockets,
        fetching: Some(fetching),
        check_sync: None,
        idle_since: now,
        leaving: None,
    };
    running.run(inbox).await
}

fn sip_port(core: &Core) -> u16 {
    match core.config.sip_port {
        0 => u16::try_from(core.flash.number("voip_control_port")).unwrap_or(5060),
        port => port,
    }
}

/// `dial_template` is the name without `.xml`.
fn dial_file(core: &Core) -> String {
    match core.flash.get("dial_template") {
        "" => "dialplan.xml".into(),
        name => format!("{name}.xml"),
    }
}

impl Sockets {
    async fn open(core: &Core, port: u16) -> std::io::Result<Self> {
        let address = core.config.address;
        let listen = UdpSocket::bind((address, port)).await?;
        let send = match core.flash.number("nat_enable") {
            0 => Some(UdpSocket::bind((address, 0)).await?),
            _ => None,
        };
        Ok(Self { listen, send })
    }

    async fn send(&self, to: SocketAddr, bytes: &[u8]) {
        // A send that fails is a packet that got lost.
        let _ = self.send.as_ref().unwrap_or(&self.listen).send_to(bytes, to).await;
    }
}

fn setup(core: &Core, port: u16, accounts: Vec<Account>) -> Setup {
    let flash = &core.flash;
    let ms = |key: &str| Duration::from_millis(u64::from(flash.number(key)));
    let host = match flash.get("nat_address") {
        "" | "UNPROVISIONED" => core.config.address.to_string(),
        other => other.to_owned(),
    };
    let register =
        flash.number("proxy_register") == 1 && !core.shared.faults().never_register_after_fetch;
    if !register {
        let text = "no line registers (proxy_register is not 1, or a fault is on)".into();
        core.shared.tell(Event::Trouble { text });
    }
    Setup {
        id: Identity {
            mac: core.config.mac,
            model: core.config.model,
            host,
            address: core.config.address,
            port,
            user_agent: core.agent(),
            user_info: flash.get("user_info").to_ascii_lowercase(),
            seed: RandomState::new().build_hasher().finish(),
            count: 0,
        },
        times: SipTimes {
            t1: ms("timer_t1"),
            t2: ms("timer_t2"),
            retx: flash.number("sip_retx"),
            invite_retx: flash.number("sip_invite_retx"),
            retry: core.config.timing.register_retry,
            expires: core.config.register_expires.unwrap_or(flash.number("timer_register_expires")),
            delta: flash.number("timer_register_delta"),
        },
        media_port: flash.number("start_media_port"),
        accounts,
        register,
        answer_calls: core.config.answer_calls,
    }
}

/// The lines whose proxy has an address.
async fn accounts(core: &Core) -> Vec<Account> {
    let mut out = Vec::new();
    for line in core.flash.lines(core.config.model) {
        let outbound = core.flash.get("outbound_proxy");
        let to = match outbound {
            "" | "UNPROVISIONED" => resolve(&line.host, line.port).await,
            host => {
                let port = core.flash.number("outbound_proxy_port");
                resolve(host, u16::try_from(port).unwrap_or(5060)).await
            }
        };
        match to {
            Some(to) => out.push(Account { line, to }),
            None => no_proxy(core, &line),
        }
    }
    out
}

fn no_proxy(core: &Core, line: &Line) {
    let why = format!("no address for the proxy \"{}\"", line.host);
    let (line, user) = (line.number, line.name.clone());
    core.shared.tell(Event::RegisterFailed { line, user, status: None, why });
}

async fn resolve(host: &str, port: u16) -> Option<SocketAddr> {
    if host.is_empty() {
        return None;
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port));
    }
    let mut found = timeout(RESOLVE_LIMIT, lookup_host((host, port))).await.ok()?.ok()?;
    found.find(SocketAddr::is_ipv4)
}

async fn extras(asker: Asker, pause: Duration, dial_file: String) -> Background {
    sleep(pause).await;
    tokio::join!(ring_list(&asker), dial_plan(&asker, &dial_file));
    Background::Extras
}

async fn check_sync(asker: Asker, dial_file: String) -> Background {
    let (sync, ()) = tokio::join!(asker.get("syncinfo.xml"), dial_plan(&asker, &dial_file));
    Background::Sync(sync)
}

/// A ring is a name, a TAB and a file (phones.md §2.14).
async fn ring_list(asker: &Asker) {
    const FILE: &str = "RINGLIST.DAT";
    let Fetched::File(bytes) = asker.get(FILE).await else { return };
    for (index, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
        if !line.trim().is_empty() && !line.contains('\t') {
            let why = "no TAB between name and file".to_owned();
            let key: String = line.chars().take(40).collect();
            asker.tell(Bad { line: index + 1, key, why }.event(FILE));
        }
    }
}

async fn dial_plan(asker: &Asker, file: &str) {
    let Fetched::File(bytes) = asker.get(file).await else { return };
    for bad in dialplan::check(&bytes).1 {
        asker.tell(bad.event(file));
    }
}

impl Running<'_> {
    async fn run(mut self, inbox: &mut mpsc::Receiver<Command>) -> Exit {
        let mut buffer = vec![0u8; DATAGRAM];
        self.agent.tick(Instant::now());
        loop {
            self.settle().await;
            if let Some(exit) = self.left() {
                return exit;
            }
            let deadline = self.deadline();
            let exit = tokio::select! {
                packet = self.sockets.listen.recv_from(&mut buffer) => {
                    match packet {
                        Ok((len, from)) => self.receive(&buffer[..len], from),
                        // An error repeats itself at once: do not spin on it.
                        Err(_) => sleep(Duration::from_millis(20)).await,
                    }
                    None
                }
                () = sleep_until(deadline) => {
                    self.agent.tick(Instant::now());
                    self.start_sync();
                    None
                }
                command = inbox.recv() => self.command(command),
                done = next(&mut self.fetching) => self.fetched(done),
            };
            if let Some(exit) = exit {
                return exit;
            }
        }
    }

    fn receive(&mut self, bytes: &[u8], from: SocketAddr) {
        self.trace(false, from, bytes);
        self.agent.faults = self.core.shared.faults();
        self.agent.receive(bytes, from, Instant::now());
    }

    /// Carries out what the SIP machine wants, and notes whether the phone is idle.
    async fn settle(&mut self) {
        for output in self.agent.take_output() {
            match output {
                Output::Send { to, bytes } => {
                    self.trace(true, to, &bytes);
                    self.sockets.send(to, &bytes).await;
                }
                Output::Tell(event) => self.tell(event),
                Output::CheckSync => {
                    self.check_sync.get_or_insert(Instant::now());
                }
                Output::Options => self.core.shared.change(|state| state.options += 1),
            }
        }
        if self.agent.in_call() {
            self.idle_since = Instant::now();
        }
    }

    fn tell(&mut self, event: Event) {
        if matches!(event, Event::Call { state: CallState::Ended | CallState::Failed, .. }) {
            self.idle_since = Instant::now();
        }
        let busy = self.agent.in_call();
        self.core.shared.tell(event);
        self.core.shared.change(|state| state.in_call = busy);
    }

    fn trace(&self, sent: bool, peer: SocketAddr, bytes: &[u8]) {
        if self.core.config.trace_sip {
            let text = String::from_utf8_lossy(bytes);
            let text = text.lines().next().unwrap_or_default().to_owned();
            self.core.shared.tell(Event::Sip { sent, peer: peer.to_string(), text });
        }
    }

    /// When something is due without anything coming in.
    fn deadline(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let leaving = self.leaving.as_ref().map(|(_, until)| *until);
        [self.agent.deadline(), self.sync_due(), leaving].into_iter().flatten().min().unwrap_or(far)
    }

    /// A check-sync waits until the phone has been idle long enough, since it came or since the
    /// last call.
    fn sync_due(&self) -> Option<Instant> {
        let free = self.fetching.is_none() && self.leaving.is_none();
        if self.core.shared.faults().impatient {
            return self.check_sync.filter(|_| free);
        }
        let free = free && !self.agent.in_call();
        self.check_sync.filter(|_| free).map(|at| at.max(self.idle_since) + self.core.config.idle)
    }

    fn start_sync(&mut self) {
        if self.sync_due().is_some_and(|due| due <= Instant::now()) {
            self.check_sync = None;
            let fetch = check_sync(self.core.asker(), dial_file(self.core));
            self.fetching = Some(Box::pin(fetch));
        }
    }

    fn fetched(&mut self, done: Background) -> Option<Exit> {
        self.fetching = None;
        let Background::Sync(fetched) = done else { return None };
        let mine = self.core.flash.get("sync").to_owned();
        let theirs = match fetched {
            Fetched::File(bytes) => sync::wanted(&bytes, &self.core.config.firmware),
            _ => Ok(None),
        };
        let theirs = theirs.unwrap_or_else(|why| {
            let (file, key) = ("syncinfo.xml".into(), "SYNC".into());
            self.core.shared.tell(Event::Refused { file, line: 0, key, why });
            None
        });
        let differs = theirs.as_ref().is_some_and(|theirs| *theirs != mine);
        if differs && self.agent.in_call() && !self.core.shared.faults().impatient {
            // A call began meanwhile: look again when it is over.
            self.check_sync = Some(Instant::now());
            return None;
        }
        self.core.shared.tell(Event::Sync { theirs, mine, restart: differs });
        if !differs {
            return None;
        }
        self.go(Exit::Restart("check-sync".into()), self.core.config.unregister_on_restart)
    }

    fn command(&mut self, command: Option<Command>) -> Option<Exit> {
        let now = Instant::now();
        match command {
            None => return Some(Exit::Stop),
            Some(Command::Call { number, reply }) => self.agent.dial(&number, reply, now),
            Some(Command::HangUp) => self.agent.hang_up(now),
            Some(Command::Key(key)) => self.agent.key(key, now),
            Some(Command::Busy(busy)) => {
                self.agent.busy = busy;
                self.idle_since = now;
                let busy = self.agent.in_call();
                self.core.shared.change(|state| state.in_call = busy);
            }
            Some(Command::PowerCut { dark, address }) => {
                return Some(Exit::PowerCut { dark, address });
            }
            Some(Command::Stop { unregister }) => return self.go(Exit::Stop, unregister),
        }
        None
    }

    /// Ends this life, at once or when the lines are off.
    fn go(&mut self, exit: Exit, unregister: bool) -> Option<Exit> {
        if !unregister {
            return Some(exit);
        }
        let now = Instant::now();
        self.agent.hang_up(now);
        self.agent.leave(now);
        self.leaving = Some((exit, now + LEAVE_LIMIT));
        None
    }

    fn left(&mut self) -> Option<Exit> {
        let (exit, until) = self.leaving.as_ref()?;
        (self.agent.all_gone() || *until <= Instant::now()).then(|| exit.clone())
    }
}

/// The end of what is fetched; never, when nothing is.
async fn next(fetching: &mut Option<Fetching>) -> Background {
    match fetching {
        Some(fetch) => fetch.await,
        None => std::future::pending().await,
    }
}
