//! Registering one line, and keeping it registered.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::Ctx;
use super::digest::{Challenge, Credentials};
use super::message::{self, Message, Start, parameter, uri_of};
use super::transaction::{Due, Transaction};
use crate::event::Event;
use crate::flash::Line;

/// The registration of one line.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) line: Line,
    to: SocketAddr,
    call_id: String,
    tag: String,
    cseq: u32,
    /// Challenges answered in this attempt.
    answered: u8,
    wanted: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Asking(Transaction),
    On { refresh: Instant },
    Failed { again: Instant },
    Leaving(Transaction),
    Gone,
}

impl Registration {
    /// A line that is not registered yet; [`Registration::tick`] starts it.
    pub(crate) fn new(line: Line, to: SocketAddr, ctx: &mut Ctx<'_>) -> Self {
        let (call_id, tag) = (ctx.id.call_id(), ctx.id.tag());
        let state = State::Failed { again: ctx.now };
        let wanted = ctx.times.expires;
        Self { line, to, call_id, tag, cseq: 100, answered: 0, wanted, state }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Asking(t) | State::Leaving(t) => Some(t.deadline()),
            State::On { refresh: at } | State::Failed { again: at } => Some(*at),
            State::Gone => None,
        }
    }

    /// Whether nothing more is to be awaited of a line that was taken off.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Does what is due at `ctx.now`.
    pub(crate) fn tick(&mut self, ctx: &mut Ctx<'_>) {
        match &mut self.state {
            State::On { refresh: at } | State::Failed { again: at } if *at <= ctx.now => {
                self.answered = 0;
                self.state = State::Asking(self.send(ctx, self.wanted, None));
            }
            State::Asking(t) | State::Leaving(t) => match t.due(ctx.times, ctx.now) {
                Due::Nothing => {}
                Due::Repeat => ctx.send(t.to, t.bytes.clone()),
                Due::GiveUp => self.fail(ctx, None, "no answer"),
            },
            State::On { .. } | State::Failed { .. } | State::Gone => {}
        }
    }

    /// Takes the line off: a REGISTER that expires at once.
    pub(crate) fn leave(&mut self, ctx: &mut Ctx<'_>) {
        self.answered = 0;
        self.state = match self.state {
            State::On { .. } | State::Asking(_) => State::Leaving(self.send(ctx, 0, None)),
            _ => State::Gone,
        };
    }

    /// Whether `response` belongs to this line.
    pub(crate) fn owns(&self, response: &Message) -> bool {
        response.header("Call-ID") == Some(self.call_id.as_str())
    }

    /// Handles an answer to the REGISTER that is under way.
    pub(crate) fn receive(&mut self, response: &Message, ctx: &mut Ctx<'_>) {
        let (State::Asking(waiting) | State::Leaving(waiting)) = &self.state else {
            return;
        };
        if response.branch() != Some(waiting.branch.as_str()) {
            return;
        }
        let leaving = matches!(self.state, State::Leaving(_));
        match response.start {
            Start::Response { status: 100..=199 } | Start::Request { .. } => {}
            Start::Response { status: 200..=299 } if leaving => self.left(ctx),
            Start::Response { status: 200..=299 } => self.accepted(response, ctx),
            Start::Response { status: status @ (401 | 407) } => {
                self.challenged(response, status, ctx);
            }
            Start::Response { status: 423 } if !leaving => self.too_brief(response, ctx),
            Start::Response { status } => self.fail(ctx, Some(status), "refused"),
        }
    }

    fn left(&mut self, ctx: &mut Ctx<'_>) {
        self.state = State::Gone;
        ctx.tell(Event::Unregistered { line: self.line.number, user: self.line.name.clone() });
    }

    fn accepted(&mut self, response: &Message, ctx: &mut Ctx<'_>) {
        let expires = self.granted(response).unwrap_or(self.wanted);
        let early = expires.saturating_sub(ctx.times.delta).max(expires.div_ceil(2));
        let refresh = ctx.now + Duration::from_secs(u64::from(early.max(1)));
        self.state = State::On { refresh };
        let (line, user) = (self.line.number, self.line.name.clone());
        ctx.tell(Event::Registered { line, user, expires });
    }

    /// The seconds that the registrar granted to our own Contact.
    fn granted(&self, response: &Message) -> Option<u32> {
        let own = |value: &&str| message::user_of(uri_of(value)) == Some(&self.line.contact);
        let contact = response.all("Contact").find(own);
        contact
            .and_then(|value| parameter(value, "expires"))
            .or_else(|| response.header("Expires"))
            .and_then(|text| text.parse().ok())
    }

    fn challenged(&mut self, response: &Message, status: u16, ctx: &mut Ctx<'_>) {
        let (asks, answers) = match status {
            401 => ("WWW-Authenticate", "Authorization"),
            _ => ("Proxy-Authenticate", "Proxy-Authorization"),
        };
        let challenge = response.header(asks).and_then(Challenge::parse);
        let stale =
            response.header(asks).is_some_and(|v| v.to_ascii_lowercase().contains("stale=true"));
        let Some(challenge) = challenge else {
            return self.fail(ctx, Some(status), "a challenge that the phone does not know");
        };
        // A second challenge means a wrong password, unless only the nonce was too old.
        if self.answered > 0 && !(stale && self.answered < 3) {
            return self.fail(ctx, Some(status), "the credentials were refused");
        }
        self.answered += 1;
        if matches!(self.state, State::Leaving(_)) {
            self.state = State::Leaving(self.send(ctx, 0, Some((answers, &challenge))));
        } else {
            self.state = State::Asking(self.send(ctx, self.wanted, Some((answers, &challenge))));
        }
    }

    fn too_brief(&mut self, response: &Message, ctx: &mut Ctx<'_>) {
        match response.header("Min-Expires").and_then(|text| text.parse().ok()) {
            Some(least) if least > self.wanted => {
                self.wanted = least;
                self.answered = 0;
                self.state = State::Asking(self.send(ctx, least, None));
            }
            _ => self.fail(ctx, Some(423), "refused"),
        }
    }

    fn fail(&mut self, ctx: &mut Ctx<'_>, status: Option<u16>, why: &str) {
        let leaving = matches!(self.state, State::Leaving(_));
        self.state =
            if leaving { State::Gone } else { State::Failed { again: ctx.now + ctx.times.retry } };
        let (line, user) = (self.line.number, self.line.name.clone());
        ctx.tell(Event::RegisterFailed { line, user, status, why: why.into() });
    }

    fn send(
        &mut self,
        ctx: &mut Ctx<'_>,
        expires: u32,
        auth: Option<(&str, &Challenge)>,
    ) -> Transaction {
        self.cseq += 1;
        let line = &self.line;
        let (via, branch) = ctx.id.via();
        let uri = format!("sip:{}", line.host);
        let to = format!("<sip:{}@{}>", line.name, line.host);
        let from = format!("{to};tag={}", self.tag);
        let (cseq, expires) = (format!("{} REGISTER", self.cseq), expires.to_string());
        let contact = ctx.id.register_contact(line);
        let agent = ctx.id.user_agent.clone();
        let mut headers = vec![
            ("Via", via.as_str()),
            ("From", &from),
            ("To", &to),
            ("Call-ID", &self.call_id),
            ("Max-Forwards", "70"),
            ("CSeq", &cseq),
            ("User-Agent", &agent),
            ("Contact", &contact),
        ];
        let answer = auth.map(|(name, challenge)| {
            let who = Credentials { user: &line.authname, password: &line.password };
            (name, challenge.answer(&who, "REGISTER", &uri, &ctx.id.fresh()[..16]))
        });
        if let Some((name, value)) = &answer {
            headers.push((name, value));
        }
        headers.push(("Expires", &expires));
        let bytes = message::request("REGISTER", &uri, &headers, "");
        ctx.send(self.to, bytes.clone());
        Transaction::new(self.to, bytes, branch, ctx.times, ctx.now)
    }
}
