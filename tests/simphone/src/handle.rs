//! A phone as its user sees it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::event::{Event, Report};
use crate::phone::{self, Command};
use crate::shared::{Shared, State};
use crate::{Browser, Config, Faults, Flash};

/// How long a call may ring before it is given up.
const CALL_LIMIT: Duration = Duration::from_secs(40);
/// How long a phone may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A phone that runs; it loses its power when this is dropped.
pub struct Phone {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

/// Switches a phone on. Call it inside of a tokio runtime.
pub async fn spawn(mut config: Config) -> Phone {
    if let Some(path) = &config.flash_file
        && let Ok(flash) = Flash::load(path)
    {
        config.flash = flash;
    }
    let shared = Arc::new(Shared::new(&config));
    let (commands, inbox) = mpsc::channel(16);
    let task = tokio::spawn(phone::run(config, Arc::clone(&shared), inbox));
    Phone { shared, commands, task }
}

impl Phone {
    /// Every event from now on.
    pub fn events(&self) -> broadcast::Receiver<Report> {
        self.shared.events()
    }

    /// The last events: as many as the configuration says.
    pub fn history(&self) -> Vec<Report> {
        self.shared.history(0)
    }

    /// What the phone is at now.
    pub fn state(&self) -> State {
        self.shared.watch().borrow().clone()
    }

    /// The number of the newest event, for [`Phone::wait_event`].
    pub fn mark(&self) -> u64 {
        self.shared.mark()
    }

    /// Waits until the state is as wanted.
    ///
    /// # Errors
    /// A text with the last state and events when `limit` has passed.
    pub async fn wait(
        &self,
        limit: Duration,
        mut wanted: impl FnMut(&State) -> bool,
    ) -> Result<State, String> {
        let mut states = self.shared.watch();
        let outcome = timeout(limit, states.wait_for(|state| wanted(state))).await;
        if let Ok(Ok(state)) = outcome {
            return Ok(state.clone());
        }
        Err(self.story(limit))
    }

    /// Waits for an event after number `after` (0: since power-on).
    ///
    /// # Errors
    /// A text with the last state and events when `limit` has passed.
    pub async fn wait_event(
        &self,
        after: u64,
        limit: Duration,
        mut wanted: impl FnMut(&Event) -> bool,
    ) -> Result<Report, String> {
        let mut states = self.shared.watch();
        let search = async {
            let mut seen = after;
            loop {
                states.mark_unchanged();
                for report in self.shared.history(seen) {
                    if wanted(&report.event) {
                        return Some(report);
                    }
                    seen = report.seq;
                }
                states.changed().await.ok()?;
            }
        };
        match timeout(limit, search).await {
            Ok(Some(report)) => Ok(report),
            _ => Err(self.story(limit)),
        }
    }

    fn story(&self, limit: Duration) -> String {
        let history = self.history();
        let last = &history[history.len().saturating_sub(30)..];
        let events: Vec<String> = last.iter().map(|r| format!("{:?}", r.event)).collect();
        let state = serde_json::to_string(&self.state()).unwrap_or_default();
        format!("not within {limit:?}; state {state}; last events:\n{}", events.join("\n"))
    }

    /// Dials on line 1, and returns when the other side has answered.
    ///
    /// # Errors
    /// Why there is no call: the status of the refusal, a phone that boots or talks already.
    pub async fn call(&self, number: &str) -> Result<(), String> {
        let (reply, answered) = oneshot::channel();
        self.send(Command::Call { number: number.to_owned(), reply }).await;
        match timeout(CALL_LIMIT, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("the phone went down".into()),
            Err(_) => {
                self.hang_up().await;
                Err("no answer".into())
            }
        }
    }

    /// Hangs up; [`Event::Call`] tells when the other side knows.
    pub async fn hang_up(&self) {
        self.send(Command::HangUp).await;
    }

    /// Presses keys during a call, one after the other.
    pub async fn press(&self, keys: &str) {
        for key in keys.chars() {
            self.send(Command::Key(key)).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Lifts the handset without a call (`true`), or lays it down.
    pub async fn set_in_call(&self, busy: bool) {
        self.send(Command::Busy(busy)).await;
    }

    /// Cuts the power and gives it back: nothing is unregistered.
    pub async fn power_cycle(&self) {
        self.power_cut(Duration::ZERO, None).await;
    }

    /// Cuts the power for so long; with `address`, the phone has that one when it comes back.
    pub async fn power_cut(&self, dark: Duration, address: Option<Ipv4Addr>) {
        self.send(Command::PowerCut { dark, address }).await;
    }

    /// Where the phone is.
    pub fn address(&self) -> Ipv4Addr {
        self.shared.address()
    }

    /// What the phone has instead of a web browser, and the addresses in its flash to begin at.
    pub fn browser(&self) -> Browser {
        Browser::new(self.address(), self.state().flash)
    }

    /// Changes the faults.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        self.shared.set_faults(change);
    }

    /// Whether NOTIFYs are left without any answer.
    pub fn ignore_notify(&self, on: bool) {
        self.set_faults(|faults| faults.ignore_notify = on);
    }

    /// Whether the transfer of the phone's own file stalls.
    pub fn fetch_half(&self, on: bool) {
        self.set_faults(|faults| faults.fetch_half = on);
    }

    /// Whether the phone stays silent after its next boot.
    pub fn never_register_after_fetch(&self, on: bool) {
        self.set_faults(|faults| faults.never_register_after_fetch = on);
    }

    /// Whether OPTIONS are answered.
    pub fn answer_options(&self, on: bool) {
        self.set_faults(|faults| faults.mute_options = !on);
    }

    /// Switches the phone off, with `unregister` after taking its lines off (2 s at most).
    pub async fn stop(mut self, unregister: bool) -> State {
        self.send(Command::Stop { unregister }).await;
        if timeout(STOP_LIMIT, &mut self.task).await.is_err() {
            self.task.abort();
        }
        self.state()
    }

    /// A phone that has stopped takes no commands, and needs none.
    async fn send(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.task.abort();
    }
}
