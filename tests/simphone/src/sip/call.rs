//! One call, in either direction: a dialog without media.

use std::net::SocketAddr;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Ctx;
use super::digest::{Challenge, Credentials};
use super::message::{self, Message, Start, parameter, uri_of};
use super::transaction::{Due, Transaction};
use crate::event::{CallState, Event};
use crate::flash::Line;

/// Told to whoever placed the call: answered, or why not.
pub(crate) type Answered = oneshot::Sender<Result<(), String>>;

/// A call from its INVITE to its BYE.
#[derive(Debug)]
pub(crate) struct Call {
    line: Line,
    /// The other side's number.
    with: String,
    to: SocketAddr,
    call_id: String,
    /// Our From (or To) value, with its tag.
    local: String,
    /// The other side's To (or From) value.
    remote: String,
    /// Where requests inside of the dialog are addressed.
    target: String,
    cseq: u32,
    challenged: bool,
    state: State,
    reply: Option<Answered>,
}

#[derive(Debug)]
enum State {
    /// Our INVITE waits; `quiet` once a provisional answer has come.
    Dialing {
        sent: Transaction,
        quiet: bool,
        cancelled: bool,
    },
    /// Their INVITE waits for us to lift the handset.
    Ringing(Box<Message>),
    /// We answered; the 200 is repeated until the ACK comes.
    Answering(Transaction),
    Talking,
    Ending(Transaction),
    Over,
}

const SDP: &str = "application/sdp";

impl Call {
    /// Dials `number` on `line`.
    pub(crate) fn dial(
        line: Line,
        to: SocketAddr,
        number: &str,
        reply: Answered,
        ctx: &mut Ctx<'_>,
    ) -> Self {
        let uri = format!("sip:{number}@{}", line.host);
        let tag = ctx.id.tag();
        let name = line.displayname.replace(['"', '\\'], "");
        let local = format!("\"{name}\" <sip:{}@{}>;tag={tag}", line.name, line.host);
        let mut call = Self {
            with: number.to_owned(),
            to,
            call_id: ctx.id.call_id(),
            local,
            remote: format!("<{uri}>"),
            target: uri,
            cseq: 100,
            challenged: false,
            state: State::Over,
            reply: Some(reply),
            line,
        };
        call.invite(ctx, None);
        call.tell(ctx, CallState::Dialing, None);
        call
    }

    /// A call that comes in: rings, and is answered at once when `answer` says so.
    pub(crate) fn ring(
        line: Line,
        invite: &Message,
        from: SocketAddr,
        answer: bool,
        ctx: &mut Ctx<'_>,
    ) -> Self {
        let caller = invite.header("From").unwrap_or_default();
        let contact = invite.header("Contact").unwrap_or(caller);
        let tag = ctx.id.tag();
        let mut call = Self {
            with: message::user_of(uri_of(caller)).unwrap_or_default().to_owned(),
            to: from,
            call_id: invite.header("Call-ID").unwrap_or_default().to_owned(),
            local: format!("{};tag={tag}", invite.header("To").unwrap_or_default()),
            remote: caller.to_owned(),
            target: uri_of(contact).to_owned(),
            cseq: 100,
            challenged: false,
            state: State::Ringing(Box::new(invite.clone())),
            reply: None,
            line,
        };
        let contact = ctx.id.contact(&call.line.contact);
        ctx.answer(invite, 180, call.local_tag(), &[("Contact", &contact)], "");
        call.tell(ctx, CallState::Ringing, None);
        if answer {
            call.lift(ctx);
        }
        call
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether a message belongs to this call.
    pub(crate) fn owns(&self, message: &Message) -> bool {
        message.header("Call-ID") == Some(self.call_id.as_str())
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Dialing { quiet: true, cancelled: false, .. } => None,
            State::Dialing { sent: t, .. } | State::Answering(t) | State::Ending(t) => {
                Some(t.deadline())
            }
            State::Ringing(_) | State::Talking | State::Over => None,
        }
    }

    /// Does what is due at `ctx.now`.
    pub(crate) fn tick(&mut self, ctx: &mut Ctx<'_>) {
        let quiet = matches!(self.state, State::Dialing { quiet: true, .. });
        let (State::Dialing { sent: t, .. } | State::Answering(t) | State::Ending(t)) =
            &mut self.state
        else {
            return;
        };
        match t.due(ctx.times, ctx.now) {
            Due::Nothing => {}
            Due::Repeat if quiet => {}
            Due::Repeat => ctx.send(t.to, t.bytes.clone()),
            Due::GiveUp => self.end(ctx, CallState::Failed, None),
        }
    }

    /// Hangs up, whatever the call has come to.
    pub(crate) fn hang_up(&mut self, ctx: &mut Ctx<'_>) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Dialing { sent, .. } => self.cancel(&sent.branch, ctx),
            State::Ringing(invite) => {
                ctx.answer(&invite, 486, self.local_tag(), &[], "");
                self.end(ctx, CallState::Ended, Some(486));
            }
            State::Answering(_) | State::Talking => {
                let (bytes, branch) = self.request("BYE", &[], "", ctx);
                ctx.send(self.to, bytes.clone());
                let bye = Transaction::new(self.to, bytes, branch, ctx.times, ctx.now);
                self.state = State::Ending(bye);
            }
            other => self.state = other,
        }
    }

    /// Presses a key while talking, as `application/dtmf-relay`.
    pub(crate) fn key(&mut self, key: char, ctx: &mut Ctx<'_>) {
        if !matches!(self.state, State::Talking) {
            return;
        }
        let body = format!("Signal={key}\r\nDuration=160\r\n");
        let more = [("Content-Type", "application/dtmf-relay")];
        let (bytes, _) = self.request("INFO", &more, &body, ctx);
        ctx.send(self.to, bytes);
    }

    /// Lifts the handset.
    fn lift(&mut self, ctx: &mut Ctx<'_>) {
        let State::Ringing(invite) = std::mem::replace(&mut self.state, State::Over) else {
            return;
        };
        let contact = ctx.id.contact(&self.line.contact);
        let more = [("Contact", contact.as_str()), ("Content-Type", SDP)];
        let bytes = ctx.answer(&invite, 200, self.local_tag(), &more, &sdp(ctx));
        let to = super::reply_to(&invite, self.to);
        self.state =
            State::Answering(Transaction::new(to, bytes, String::new(), ctx.times, ctx.now));
    }

    /// Handles a request inside of the call.
    pub(crate) fn request_in(&mut self, request: &Message, ctx: &mut Ctx<'_>) {
        let tag = self.local_tag().to_owned();
        match request.method().unwrap_or_default() {
            "ACK" => {
                if matches!(self.state, State::Answering(_)) {
                    self.state = State::Talking;
                    self.tell(ctx, CallState::Talking, None);
                }
            }
            "BYE" => {
                ctx.answer(request, 200, &tag, &[], "");
                self.end(ctx, CallState::Ended, None);
            }
            "CANCEL" => {
                ctx.answer(request, 200, &tag, &[], "");
                if let State::Ringing(invite) = std::mem::replace(&mut self.state, State::Over) {
                    ctx.answer(&invite, 487, &tag, &[], "");
                    self.end(ctx, CallState::Ended, Some(487));
                }
            }
            "INVITE" => {
                let contact = ctx.id.contact(&self.line.contact);
                let more = [("Contact", contact.as_str()), ("Content-Type", SDP)];
                ctx.answer(request, 200, &tag, &more, &sdp(ctx));
            }
            _ => {
                ctx.answer(request, 200, &tag, &[], "");
            }
        }
    }

    /// Handles an answer to our INVITE or BYE.
    pub(crate) fn response_in(&mut self, response: &Message, ctx: &mut Ctx<'_>) {
        let Start::Response { status } = response.start else { return };
        let method = response.cseq().map(|(_, method)| method.to_owned()).unwrap_or_default();
        match (&mut self.state, method.as_str(), status) {
            (State::Dialing { quiet, .. }, "INVITE", 100..=199) => *quiet = true,
            (State::Dialing { .. }, "INVITE", 401 | 407) if !self.challenged => {
                self.challenged(response, status, ctx);
            }
            (State::Dialing { cancelled, .. }, "INVITE", 200..=299) => {
                let cancelled = *cancelled;
                self.answered(response, ctx);
                if cancelled {
                    self.hang_up(ctx);
                }
            }
            (State::Dialing { cancelled, .. }, "INVITE", 300..) => {
                let end = if *cancelled { CallState::Ended } else { CallState::Failed };
                self.acknowledge_refusal(response, ctx);
                self.end(ctx, end, Some(status));
            }
            // The 200 came again: its ACK was lost.
            (State::Talking, "INVITE", 200..=299) => self.acknowledge(ctx),
            (State::Ending(_), "BYE", 200..) => self.end(ctx, CallState::Ended, None),
            _ => {}
        }
    }

    fn answered(&mut self, response: &Message, ctx: &mut Ctx<'_>) {
        self.remote = response.header("To").unwrap_or(&self.remote).to_owned();
        if let Some(contact) = response.header("Contact") {
            self.target = uri_of(contact).to_owned();
        }
        self.acknowledge(ctx);
        self.state = State::Talking;
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(Ok(()));
        }
        self.tell(ctx, CallState::Talking, None);
    }

    fn challenged(&mut self, response: &Message, status: u16, ctx: &mut Ctx<'_>) {
        self.acknowledge_refusal(response, ctx);
        self.challenged = true;
        let (asks, answers) = match status {
            401 => ("WWW-Authenticate", "Authorization"),
            _ => ("Proxy-Authenticate", "Proxy-Authorization"),
        };
        match response.header(asks).and_then(Challenge::parse) {
            None => self.end(ctx, CallState::Failed, Some(status)),
            Some(challenge) => {
                let who = Credentials { user: &self.line.authname, password: &self.line.password };
                let cnonce = &ctx.id.fresh()[..16];
                let value = challenge.answer(&who, "INVITE", &self.target, cnonce);
                self.invite(ctx, Some((answers, &value)));
            }
        }
    }

    fn invite(&mut self, ctx: &mut Ctx<'_>, auth: Option<(&str, &str)>) {
        self.cseq += 1;
        let contact = ctx.id.contact(&self.line.contact);
        let mut more = vec![("Contact", contact.as_str()), ("Content-Type", SDP)];
        more.extend(auth);
        let body = sdp(ctx);
        let (bytes, branch) = self.request_with("INVITE", self.cseq, &more, &body, ctx);
        ctx.send(self.to, bytes.clone());
        let sent = Transaction::new(self.to, bytes, branch, ctx.times, ctx.now)
            .repeats(ctx.times.invite_retx);
        self.state = State::Dialing { sent, quiet: false, cancelled: false };
    }

    /// The CANCEL has the branch and the number of the INVITE (RFC 3261 §9.1).
    fn cancel(&mut self, branch: &str, ctx: &mut Ctx<'_>) {
        let bytes = self.on_branch("CANCEL", branch, &self.remote, ctx);
        ctx.send(self.to, bytes.clone());
        let sent = Transaction::new(self.to, bytes, branch.to_owned(), ctx.times, ctx.now);
        self.state = State::Dialing { sent, quiet: false, cancelled: true };
    }

    fn acknowledge_refusal(&self, response: &Message, ctx: &mut Ctx<'_>) {
        let to = response.header("To").unwrap_or(&self.remote);
        let ack = self.on_branch("ACK", response.branch().unwrap_or_default(), to, ctx);
        ctx.send(self.to, ack);
    }

    fn acknowledge(&self, ctx: &mut Ctx<'_>) {
        let (ack, _) = self.request_with("ACK", self.cseq, &[], "", ctx);
        ctx.send(self.to, ack);
    }

    fn request(
        &mut self,
        method: &str,
        more: &[(&str, &str)],
        body: &str,
        ctx: &mut Ctx<'_>,
    ) -> (Vec<u8>, String) {
        self.cseq += 1;
        self.request_with(method, self.cseq, more, body, ctx)
    }

    fn request_with(
        &self,
        method: &str,
        cseq: u32,
        more: &[(&str, &str)],
        body: &str,
        ctx: &mut Ctx<'_>,
    ) -> (Vec<u8>, String) {
        let (via, branch) = ctx.id.via();
        let cseq = format!("{cseq} {method}");
        let agent = ctx.id.user_agent.clone();
        let mut headers = vec![
            ("Via", via.as_str()),
            ("From", &self.local),
            ("To", &self.remote),
            ("Call-ID", &self.call_id),
            ("Max-Forwards", "70"),
            ("CSeq", &cseq),
            ("User-Agent", &agent),
        ];
        headers.extend(more);
        (message::request(method, &self.target, &headers, body), branch)
    }

    /// A request of the INVITE's own transaction.
    fn on_branch(&self, method: &str, branch: &str, to: &str, ctx: &Ctx<'_>) -> Vec<u8> {
        let via = format!("SIP/2.0/UDP {}:{};branch={branch}", ctx.id.host, ctx.id.port);
        let cseq = format!("{} {method}", self.cseq);
        let headers = [
            ("Via", via.as_str()),
            ("From", &self.local),
            ("To", to),
            ("Call-ID", &self.call_id),
            ("Max-Forwards", "70"),
            ("CSeq", &cseq),
        ];
        message::request(method, &self.target, &headers, "")
    }

    fn local_tag(&self) -> &str {
        parameter(&self.local, "tag").unwrap_or_default()
    }

    fn end(&mut self, ctx: &mut Ctx<'_>, how: CallState, status: Option<u16>) {
        self.state = State::Over;
        if let Some(reply) = self.reply.take() {
            let why = status.map_or("no answer".to_owned(), |s| format!("answered {s}"));
            let _ = reply.send(Err(why));
        }
        self.tell(ctx, how, status);
    }

    fn tell(&self, ctx: &mut Ctx<'_>, state: CallState, status: Option<u16>) {
        ctx.tell(Event::Call { state, with: self.with.clone(), status });
    }
}

/// Offers µ-law and A-law at the first media port; nobody listens there.
fn sdp(ctx: &Ctx<'_>) -> String {
    let (address, port) = (ctx.id.address, ctx.media_port);
    format!(
        "v=0\r\no=Cisco-SIPUA 1 1 IN IP4 {address}\r\ns=SIP Call\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
    )
}
