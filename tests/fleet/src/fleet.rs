//! The phones of a site, and the account of each.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use simphone::{Config, Faults, Model, Observer, Phone, Timing};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::conf::{is_7960, mac, mac_text};
use crate::fault::{Fault, Misbehaviour};
use crate::ledger::Ledger;
use crate::random::Random;
use crate::site::PHONE_PORT;

/// One phone of so many obeys a check-sync at once, also in the middle of a call.
const IMPATIENT: usize = 10;

/// How the phones are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many.
    pub phones: usize,
    /// Where they fetch their files.
    pub tftp: SocketAddr,
    /// How long a phone must be idle before it obeys a check-sync: 20 s on a real one.
    pub idle: Duration,
    /// Seconds that they ask to be registered for.
    pub expires: u32,
    /// Phones switched on a second.
    pub boot_rate: u32,
    /// The other pauses: a tenth of the real ones unless said.
    pub timing: Timing,
}

impl Options {
    /// Phones whose pauses are a tenth of the real ones, and that are idle after half a second.
    pub fn quick(phones: usize, tftp: SocketAddr) -> Self {
        let idle = Duration::from_millis(500);
        Self { phones, tftp, idle, expires: 60, boot_rate: 100, timing: Timing::fast() }
    }
}

/// Phones that run.
#[derive(Clone)]
pub struct Fleet {
    slots: Arc<[Slot]>,
    net: [u8; 2],
}

struct Slot {
    phone: Phone,
    ledger: Arc<Mutex<Ledger>>,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fleet({})", self.len())
    }
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Lets this process open as many sockets as the system allows; how many that are.
///
/// # Errors
/// The system does not say.
pub fn raise_file_limit() -> std::io::Result<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// One of 64 networks, by process and by fleet, in which no other fleet listens.
fn own_net() -> [u8; 2] {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let [.., low] = std::process::id().to_be_bytes();
    let mut nets = (0..64).map(|_| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(37);
        [127, 128 + (low.wrapping_add(next) & 63)]
    });
    let free = |net: &[u8; 2]| UdpSocket::bind((address(*net, 0), PHONE_PORT)).is_ok();
    nets.find(free).unwrap_or([127, 128])
}

fn address(net: [u8; 2], index: usize) -> Ipv4Addr {
    let part = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    Ipv4Addr::new(net[0], net[1], part(index / 250), part(1 + index % 250))
}

impl Fleet {
    /// Switches the phones on, at their rate.
    pub async fn start(options: &Options) -> Self {
        let net = own_net();
        let began = Instant::now();
        let mut slots = Vec::with_capacity(options.phones);
        for index in 0..options.phones {
            let turn = u32::try_from(index).unwrap_or(u32::MAX);
            sleep_until(began + Duration::from_secs(1) * turn / options.boot_rate.max(1)).await;
            slots.push(Slot::start(options, index, address(net, index)).await);
        }
        Self { slots: slots.into(), net }
    }

    /// How many phones there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Phone `index`.
    pub fn phone(&self, index: usize) -> &Phone {
        &self.slots[index].phone
    }

    /// The account of phone `index`.
    pub fn ledger(&self, index: usize) -> MutexGuard<'_, Ledger> {
        self.slots[index].ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All accounts, as they are now.
    pub fn ledgers(&self) -> Vec<Ledger> {
        (0..self.len()).map(|index| self.ledger(index).clone()).collect()
    }

    /// How many phones have all their lines registered.
    pub fn on_air(&self) -> usize {
        (0..self.len()).filter(|&index| self.ledger(index).on_air()).count()
    }

    /// Waits until all phones have their lines registered; how many have, when `limit` is over.
    pub async fn until_on_air(&self, limit: Duration) -> usize {
        let began = Instant::now();
        loop {
            let count = self.on_air();
            if count == self.len() || began.elapsed() > limit {
                return count;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Carries out a plan, in the background; counted from now.
    pub fn misbehave(&self, plan: &[Misbehaviour], seed: u64) -> Vec<JoinHandle<()>> {
        let began = Instant::now();
        let one = |one: &Misbehaviour| {
            let (fleet, one) = (self.clone(), *one);
            tokio::spawn(async move { fleet.go_wrong(one, began, seed).await })
        };
        plan.iter().map(one).collect()
    }

    async fn go_wrong(&self, one: Misbehaviour, began: Instant, seed: u64) {
        let phone = self.phone(one.phone);
        let mut random = Random::new(seed, 1000 + u64::try_from(one.phone).unwrap_or_default());
        sleep_until(began + one.from).await;
        let until = began + one.until;
        let left = one.until.saturating_sub(one.from);
        match one.fault {
            Fault::NeverReturns => phone.set_faults(|f| f.never_register_after_fetch = true),
            Fault::FetchHalf => phone.set_faults(|f| f.fetch_half = true),
            Fault::IgnoresNotify => phone.set_faults(|f| f.ignore_notify = true),
            Fault::Mute => phone.set_faults(|f| f.mute_options = true),
            Fault::Unplugged => phone.power_cut(left, None).await,
            Fault::ChangesAddress => {
                // The upper half of the network is for phones that moved.
                let new = address([self.net[0], self.net[1] + 64], one.phone);
                phone.power_cut(Duration::from_millis(random.between(0, 5000)), Some(new)).await;
            }
            Fault::Loops => {
                while Instant::now() < until {
                    phone.power_cut(Duration::ZERO, None).await;
                    sleep(Duration::from_millis(random.between(500, 6000))).await;
                }
            }
        }
        sleep_until(until).await;
        phone.set_faults(|faults| {
            *faults = Faults { impatient: faults.impatient, ..Faults::default() };
        });
        if one.fault == Fault::NeverReturns {
            phone.power_cut(Duration::ZERO, None).await;
        }
    }

    /// `talkers` phones at a time dial `number`, talk for some seconds and hang up, until the task is
    /// aborted.
    pub fn talk(&self, talkers: usize, number: &str, seed: u64) -> Vec<JoinHandle<()>> {
        let talker = |n: usize| {
            let (fleet, number) = (self.clone(), number.to_owned());
            let random = Random::new(seed, 5000 + u64::try_from(n).unwrap_or_default());
            tokio::spawn(async move { fleet.talker(&number, random).await })
        };
        (0..talkers).map(talker).collect()
    }

    async fn talker(&self, number: &str, mut random: Random) {
        loop {
            let phone = self.phone(random.below(self.len()));
            if phone.call(number).await.is_ok() {
                sleep(Duration::from_millis(random.between(1000, 8000))).await;
                phone.hang_up().await;
            }
            sleep(Duration::from_millis(random.between(100, 1000))).await;
        }
    }

    /// What phone `index` told last, a line each: what it runs comes first. Holds no password.
    pub fn story(&self, index: usize) -> String {
        let (phone, state) = (self.phone(index), self.phone(index).state());
        let mut out =
            format!("{} at {}: {:?}\n", mac_text(index, ":"), phone.address(), state.phase);
        for line in &state.lines {
            let _ = writeln!(
                out,
                "  {line:?}, registered: {}",
                state.registered.contains_key(&line.line)
            );
        }
        for report in phone.history() {
            let _ = writeln!(out, "  {} {:?}", report.at, report.event);
        }
        out
    }

    /// Ends all calls.
    pub async fn hang_up(&self) {
        for slot in self.slots.iter() {
            if slot.phone.state().in_call {
                slot.phone.hang_up().await;
            }
        }
    }
}

impl Slot {
    async fn start(options: &Options, index: usize, address: Ipv4Addr) -> Self {
        let model = if is_7960(index) { Model::M7960 } else { Model::M7940 };
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let mut config = Config::new(mac(index), model, address, options.tftp);
        config.idle = options.idle;
        config.register_expires = Some(options.expires);
        config.timing = options.timing;
        config.history = 100;
        let book = Arc::clone(&ledger);
        config.observer = Some(Observer::new(move |report| {
            book.lock().unwrap_or_else(PoisonError::into_inner).take(report);
        }));
        let phone = simphone::spawn(config).await;
        phone.set_faults(|faults| faults.impatient = index % IMPATIENT == 5);
        Self { phone, ledger }
    }
}
