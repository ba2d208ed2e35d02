//! What is done for a call.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::Limits;
use super::call::{Ended, Line};
use super::claim::{self, Files, Refusal};
use super::script::{self, Step};
use super::tries::{Tries, Verdict};
use crate::base::{Secret, Tech, Text};
use crate::control::{Answer, Ask, ErrorKind, OwnWish, PhoneStatus};
use crate::daemon::control::Call;
use crate::daemon::now;
use crate::model::site::{Agi, Site};
use crate::wire::agi::{Prelude, account};

/// The core answers within this time, or is not there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything that calls need.
pub(super) struct Desk {
    calls: mpsc::Sender<Call>,
    settings: Agi,
    files: Files,
    tries: Mutex<Tries>,
    patience: Duration,
}

/// The account that a call comes from.
struct Caller {
    peer: String,
    tech: Tech,
}

/// How a call ends early, for people: a word for the dial plan and a text.
type No = (&'static str, String);

impl Desk {
    pub(super) fn new(site: &Site, calls: mpsc::Sender<Call>, limits: &Limits) -> Self {
        let (settings, files) = (site.agi.clone(), Files::of(site));
        let patience = PATIENCE.min(limits.total);
        Self { calls, settings, files, tries: Mutex::default(), patience }
    }

    /// Does what the path says, tells the caller, and sets the dial plan's variables.
    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        line: &mut Line<S>,
        prelude: &Prelude,
    ) -> Result<(), Ended> {
        let (_, name) = prelude.path();
        let Some(caller) = caller(line, prelude).await? else {
            let text = "the call comes from no account of chan_sip or chan_pjsip";
            return play(line, &script::refused("unknown", text)).await;
        };
        let done = match name {
            b"resync" => self.own(&caller, OwnWish::Resync).await.map(|p| script::resync(&p)),
            b"state" => self.own(&caller, OwnWish::State).await.map(|p| script::state(&p)),
            b"claim" => self.claim(line, prelude, &caller).await?,
            b"logout" => self.logout(&caller).await,
            _ => Err(("unknown", "the path names nothing that can be done".to_owned())),
        };
        let steps = done.unwrap_or_else(|(result, text)| script::refused(result, &text));
        let result = steps.iter().find_map(|step| match step {
            Step::Set("HANDSET_RESULT", result) => Some(result.as_str()),
            _ => None,
        });
        let what = Text::new(name.to_vec());
        info!(peer = caller.peer, what = ?what.chars(), result, "a phone called");
        play(line, &steps).await
    }

    /// Asks the core about the phone that calls.
    async fn own(&self, caller: &Caller, wish: OwnWish) -> Result<PhoneStatus, No> {
        let ask = Ask::Own { peer: caller.peer.clone(), tech: caller.tech, wish };
        let (answers, mut answered) = mpsc::channel(1);
        let exchange = async {
            self.calls.send(Call { ask, answers }).await.ok()?;
            answered.recv().await
        };
        match tokio::time::timeout(self.patience, exchange).await.ok().flatten() {
            Some(Answer::Own(phone)) => Ok(*phone),
            Some(Answer::Error { kind: ErrorKind::NoSuchPhone, message }) => {
                Err(("unknown", message))
            }
            Some(Answer::Error { message, .. }) => Err(("failed", message)),
            _ => Err(("failed", "handsetd does not answer".to_owned())),
        }
    }

    /// A guest's phone becomes an extension.
    async fn claim<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        line: &mut Line<S>,
        prelude: &Prelude,
        caller: &Caller,
    ) -> Result<Result<Vec<Step>, No>, Ended> {
        let phone = match self.may_claim(caller).await {
            Ok(phone) => phone,
            Err(no) => return Ok(Err(no)),
        };
        line.ask("ANSWER", &[]).await?;
        let dialled = prelude.arguments.first().map(|a| Text::new(a.clone()).chars().into_owned());
        let extension = match dialled.filter(|extension| !extension.is_empty()) {
            Some(extension) => extension,
            None => line.digits("vm-extension").await?,
        };
        let typed = Secret::new(line.digits("vm-password").await?);
        if line.hung_up {
            return Ok(Err(("failed", "the caller hung up".to_owned())));
        }
        Ok(self.decide(caller, &phone, &extension, typed).await)
    }

    async fn may_claim(&self, caller: &Caller) -> Result<PhoneStatus, No> {
        let phone = self.own(caller, OwnWish::State).await?;
        if !self.settings.is_guest(&caller.peer) || self.settings.pins.is_none() {
            return Err(("refused", format!("{} is no guest: log out first", caller.peer)));
        }
        let tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        match tries.may_call(&caller.peer, now()) {
            true => Ok(phone),
            false => Err(("locked", "too many wrong PINs, try later".to_owned())),
        }
    }

    /// With the right PIN, the claim is made.
    async fn decide(
        &self,
        caller: &Caller,
        phone: &PhoneStatus,
        extension: &str,
        typed: Secret,
    ) -> Result<Vec<Step>, No> {
        let known = self.pin(extension).await;
        // An extension without a PIN costs as much as a wrong one, and is none to remember.
        let (fits, whose) = match &known {
            Some(pin) => (pin.is(typed.reveal().as_bytes()), extension),
            None => (false, "?"),
        };
        let verdict = {
            let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
            tries.judge(&caller.peer, whose, fits, now())
        };
        match verdict {
            Verdict::Right => {}
            Verdict::Locked => {
                return Err(("locked", "too many wrong PINs, try later".to_owned()));
            }
            Verdict::Wrong => {
                let address = phone.lines.iter().find_map(|line| line.address.as_deref());
                let asker = address.map_or("-", |a| a.rsplit_once(':').map_or(a, |(ip, _)| ip));
                warn!(target: "handset::guard", "wrong PIN asker={asker} phone={} extension={whose} peer={}", phone.mac, caller.peer);
                return Err(("wrong", "wrong extension or PIN".to_owned()));
            }
        }
        let (files, mac) = (self.files.clone(), phone.mac);
        let (wanted, guest) = (extension.to_owned(), caller.peer.clone());
        on_disk(move || files.claim(&wanted, mac, &guest)).await?;
        info!(phone = %mac, extension, guest = caller.peer, "claimed");
        self.own(caller, OwnWish::Move).await?;
        let mut steps = script::done("claimed", &format!("{extension} is here after this call"));
        steps.push(Step::Set("HANDSET_EXTENSION", extension.to_owned()));
        steps.push(Step::Digits(extension.to_owned()));
        Ok(steps)
    }

    async fn pin(&self, extension: &str) -> Option<Secret> {
        let digits = !extension.is_empty() && extension.bytes().all(|b| b.is_ascii_digit());
        let (file, extension) = (self.settings.pins.clone()?, extension.to_owned());
        let read = move || claim::pin(&file, &extension);
        match tokio::task::spawn_blocking(read).await.ok().filter(|_| digits)? {
            Ok(pin) => pin,
            Err(why) => {
                warn!(why, "an extension cannot be claimed");
                None
            }
        }
    }

    /// A claimed phone becomes its guest again.
    async fn logout(&self, caller: &Caller) -> Result<Vec<Step>, No> {
        let phone = self.own(caller, OwnWish::State).await?;
        let (files, mac, peer) = (self.files.clone(), phone.mac, caller.peer.clone());
        on_disk(move || files.leave(&peer, mac)).await?;
        info!(phone = %mac, extension = caller.peer, "logged out");
        self.own(caller, OwnWish::Move).await?;
        Ok(script::done(
            "loggedout",
            &format!("{} is not here any more after this call", caller.peer),
        ))
    }
}

/// Changes a file away from the tasks that must not wait.
async fn on_disk(change: impl FnOnce() -> Result<(), Refusal> + Send + 'static) -> Result<(), No> {
    let done = tokio::task::spawn_blocking(change).await;
    let refusal = match done {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(refusal)) => refusal,
        Err(_) => return Err(("failed", "it broke off".to_owned())),
    };
    let result = match &refusal {
        Refusal::Taken(_) => "taken",
        Refusal::NotIn(_) => "refused",
        Refusal::Conf(_) | Refusal::Disk(_) => {
            warn!(why = %refusal, "a claim or logout could not be written");
            "failed"
        }
    };
    Err((result, refusal.to_string()))
}

/// The account that a call comes from, by Asterisk's word and not by the caller's; none for a guest of chan_sip,
/// and for other channels.
async fn caller<S: AsyncRead + AsyncWrite + Unpin>(
    line: &mut Line<S>,
    prelude: &Prelude,
) -> Result<Option<Caller>, Ended> {
    let Some(tech) = prelude.tech() else { return Ok(None) };
    let variable = match tech {
        Tech::Sip => "CHANNEL(peername)",
        Tech::Pjsip => "CHANNEL(endpoint)",
    };
    let answer = line.ask("GET VARIABLE", &[variable.as_bytes()]).await?;
    let Some(peer) = answer.value().filter(|peer| !peer.is_empty()) else { return Ok(None) };
    // The name of the channel, where it has its usual form, must say the same.
    if account(&prelude.channel, tech).is_some_and(|name| name != &peer[..]) {
        return Ok(None);
    }
    Ok(Some(Caller { peer: Text::new(peer.clone()).chars().into_owned(), tech }))
}

/// Carries out steps: variables first, since a caller may hang up at the first sound.
async fn play<S: AsyncRead + AsyncWrite + Unpin>(
    line: &mut Line<S>,
    steps: &[Step],
) -> Result<(), Ended> {
    for step in steps {
        if let Step::Set(name, value) = step {
            line.ask("SET VARIABLE", &[name.as_bytes(), value.as_bytes()]).await?;
        }
    }
    line.ask("ANSWER", &[]).await?;
    for step in steps {
        if line.hung_up {
            break;
        }
        match step {
            Step::Set(..) => continue,
            Step::Play(sound) => line.ask("STREAM FILE", &[sound.as_bytes(), b"#"]).await?,
            Step::Digits(text) => line.ask("SAY DIGITS", &[text.as_bytes(), b"#"]).await?,
            Step::Alpha(text) => line.ask("SAY ALPHA", &[text.as_bytes(), b"#"]).await?,
            Step::Text(text) => line.ask("EXEC", &[b"SendText", text.as_bytes()]).await?,
        };
    }
    Ok(())
}
