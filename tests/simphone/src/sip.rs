//! The SIP side of a phone as a state machine without sockets: datagrams and time go in, datagrams
//! and events come out (phones.md §2.16).

mod call;
mod digest;
mod identity;
mod message;
mod register;
mod requests;
mod transaction;

use std::collections::VecDeque;
use std::net::SocketAddr;

use tokio::time::Instant;

pub(crate) use self::call::Answered;
use self::call::Call;
pub(crate) use self::identity::Identity;
use self::message::{Message, parameter};
use self::register::Registration;
pub(crate) use self::transaction::SipTimes;
use crate::Faults;
use crate::event::Event;
use crate::flash::Line;

/// Answers kept for requests that come again.
const REMEMBERED: usize = 32;

/// What the state machine wants done.
#[derive(Debug)]
pub(crate) enum Output {
    Send {
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Tell(Event),
    /// A check-sync was accepted.
    CheckSync,
    /// An OPTIONS came in.
    Options,
}

/// What every part of the machine needs while it handles one input.
pub(crate) struct Ctx<'a> {
    pub(crate) now: Instant,
    pub(crate) id: &'a mut Identity,
    pub(crate) times: &'a SipTimes,
    pub(crate) media_port: u32,
    out: &'a mut Vec<Output>,
    sent: &'a mut VecDeque<(String, Vec<u8>)>,
    source: Option<SocketAddr>,
}

impl Ctx<'_> {
    fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.out.push(Output::Send { to, bytes });
    }

    fn tell(&mut self, event: Event) {
        self.out.push(Output::Tell(event));
    }

    /// Answers a request, and remembers the answer in case that it is lost.
    fn answer(
        &mut self,
        request: &Message,
        status: u16,
        tag: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Vec<u8> {
        let agent = self.id.user_agent.clone();
        let mut headers = vec![("Server", agent.as_str())];
        headers.extend(more);
        let bytes = request.answer(status, tag, &headers, body);
        if let Some(to) = self.source.map(|from| reply_to(request, from)) {
            self.send(to, bytes.clone());
        }
        let key = transaction_key(request);
        self.sent.retain(|(known, _)| *known != key);
        self.sent.push_back((key, bytes.clone()));
        if self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
        bytes
    }
}

fn transaction_key(request: &Message) -> String {
    let branch = request.branch().unwrap_or_default();
    let call = request.header("Call-ID").unwrap_or_default();
    format!("{branch} {call} {}", request.header("CSeq").unwrap_or_default())
}

/// Where an answer goes: the sender's address, at the port that Via names, or the port it came
/// from when Via asks for that (RFC 3261 §18.2.2, RFC 3581).
fn reply_to(request: &Message, from: SocketAddr) -> SocketAddr {
    let via = request.header("Via").unwrap_or_default();
    if parameter(via, "rport").is_some() {
        return from;
    }
    let by = via.split(';').next().and_then(|v| v.split_whitespace().nth(1)).unwrap_or_default();
    let port = by.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(5060);
    SocketAddr::new(from.ip(), port)
}

/// A line and the address of its proxy.
pub(crate) struct Account {
    pub(crate) line: Line,
    pub(crate) to: SocketAddr,
}

/// All of one phone's SIP.
pub(crate) struct Agent {
    id: Identity,
    times: SipTimes,
    media_port: u32,
    accounts: Vec<Account>,
    registrations: Vec<Registration>,
    call: Option<Call>,
    /// Off the hook without a call of its own.
    pub(crate) busy: bool,
    answer_calls: bool,
    pub(crate) faults: Faults,
    out: Vec<Output>,
    sent: VecDeque<(String, Vec<u8>)>,
}

/// How an [`Agent`] is made.
pub(crate) struct Setup {
    pub(crate) id: Identity,
    pub(crate) times: SipTimes,
    pub(crate) media_port: u32,
    pub(crate) accounts: Vec<Account>,
    pub(crate) register: bool,
    pub(crate) answer_calls: bool,
}

/// Borrows the parts of `$agent` that a [`Ctx`] is made of.
macro_rules! ctx {
    ($agent:ident, $now:expr, $source:expr) => {
        Ctx {
            now: $now,
            id: &mut $agent.id,
            times: &$agent.times,
            media_port: $agent.media_port,
            out: &mut $agent.out,
            sent: &mut $agent.sent,
            source: $source,
        }
    };
}

impl Agent {
    pub(crate) fn new(setup: Setup, now: Instant) -> Self {
        let mut agent = Self {
            id: setup.id,
            times: setup.times,
            media_port: setup.media_port,
            accounts: setup.accounts,
            registrations: Vec::new(),
            call: None,
            busy: false,
            answer_calls: setup.answer_calls,
            faults: Faults::default(),
            out: Vec::new(),
            sent: VecDeque::new(),
        };
        if setup.register {
            let mut ctx = ctx!(agent, now, None);
            for Account { line, to } in &agent.accounts {
                agent.registrations.push(Registration::new(line.clone(), *to, &mut ctx));
            }
        }
        agent
    }

    /// What is to be done since the last time.
    pub(crate) fn take_output(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// When [`Agent::tick`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let lines = self.registrations.iter().filter_map(Registration::deadline);
        lines.chain(self.call.as_ref().and_then(Call::deadline)).min()
    }

    /// Whether the phone is off the hook.
    pub(crate) fn in_call(&self) -> bool {
        self.busy || self.call.is_some()
    }

    /// Does everything that is due at `now`.
    pub(crate) fn tick(&mut self, now: Instant) {
        let mut ctx = ctx!(self, now, None);
        for registration in &mut self.registrations {
            registration.tick(&mut ctx);
        }
        if let Some(call) = &mut self.call {
            call.tick(&mut ctx);
        }
        self.tidy();
    }

    /// Takes every line off; [`Agent::all_gone`] tells when that is done.
    pub(crate) fn leave(&mut self, now: Instant) {
        let mut ctx = ctx!(self, now, None);
        for registration in &mut self.registrations {
            registration.leave(&mut ctx);
        }
    }

    /// Whether no line waits for the answer to its leaving.
    pub(crate) fn all_gone(&self) -> bool {
        self.registrations.iter().all(Registration::is_gone)
    }

    /// Dials on line 1.
    pub(crate) fn dial(&mut self, number: &str, reply: Answered, now: Instant) {
        let refuse = |why: &str| Err(why.to_owned());
        let outcome = match self.accounts.first() {
            _ if self.in_call() => refuse("the phone is in a call"),
            None => refuse("the phone has no line"),
            Some(account) => Ok((account.line.clone(), account.to)),
        };
        match outcome {
            Err(why) => {
                let _ = reply.send(Err(why));
            }
            Ok((line, to)) => {
                let mut ctx = ctx!(self, now, None);
                self.call = Some(Call::dial(line, to, number, reply, &mut ctx));
            }
        }
    }

    /// Hangs up whatever call there is.
    pub(crate) fn hang_up(&mut self, now: Instant) {
        if let Some(call) = &mut self.call {
            call.hang_up(&mut ctx!(self, now, None));
        }
        self.tidy();
    }

    /// Presses a key during the call.
    pub(crate) fn key(&mut self, key: char, now: Instant) {
        if let Some(call) = &mut self.call {
            call.key(key, &mut ctx!(self, now, None));
        }
    }

    /// Handles one datagram.
    pub(crate) fn receive(&mut self, bytes: &[u8], from: SocketAddr, now: Instant) {
        let Some(message) = Message::parse(bytes) else { return };
        match message.method() {
            None => self.response(&message, from, now),
            Some(_) => self.request(&message, from, now),
        }
        self.tidy();
    }

    fn response(&mut self, message: &Message, from: SocketAddr, now: Instant) {
        let mut ctx = ctx!(self, now, Some(from));
        if let Some(call) = self.call.as_mut().filter(|call| call.owns(message)) {
            call.response_in(message, &mut ctx);
        } else if let Some(line) = self.registrations.iter_mut().find(|r| r.owns(message)) {
            line.receive(message, &mut ctx);
        }
    }

    fn request(&mut self, message: &Message, from: SocketAddr, now: Instant) {
        let key = transaction_key(message);
        if message.method() != Some("ACK")
            && let Some((_, bytes)) = self.sent.iter().find(|(known, _)| *known == key)
        {
            let (to, bytes) = (reply_to(message, from), bytes.clone());
            return self.out.push(Output::Send { to, bytes });
        }
        let mut ctx = ctx!(self, now, Some(from));
        if let Some(call) = self.call.as_mut().filter(|call| call.owns(message)) {
            return call.request_in(message, &mut ctx);
        }
        let lines: Vec<&Line> = self.accounts.iter().map(|account| &account.line).collect();
        match message.method().unwrap_or_default() {
            "OPTIONS" => requests::options(message, self.faults, &mut ctx),
            "NOTIFY" => requests::notify(message, &lines, self.faults, &mut ctx),
            "INVITE" if self.busy || self.call.is_some() => {
                requests::refuse(message, 486, &mut ctx);
            }
            "INVITE" => match requests::line_of(message, &lines) {
                None => requests::refuse(message, 404, &mut ctx),
                Some(line) => {
                    let line = line.clone();
                    let call = Call::ring(line, message, from, self.answer_calls, &mut ctx);
                    self.call = Some(call);
                }
            },
            "ACK" => {}
            "BYE" | "CANCEL" => requests::refuse(message, 481, &mut ctx),
            _ => requests::refuse(message, 501, &mut ctx),
        }
    }

    fn tidy(&mut self) {
        if self.call.as_ref().is_some_and(Call::is_over) {
            self.call = None;
        }
    }
}
