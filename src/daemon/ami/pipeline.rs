//! Actions on their way: what waits to be sent, what was sent, and what an answer belongs to.
//!
//! Asterisk runs one action of a session at a time and answers in order, so a few are sent
//! ahead, and an answer to a later one means that an earlier one gets none.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::{Lost, Timing};
use crate::base::{Mac, Tech};
use crate::wire::ami::action::variable;
use crate::wire::ami::message::clean;
use crate::wire::ami::{Action, BadHeader, Frame, List, Step};

/// Actions sent ahead of their answers.
const WINDOW: usize = 16;

/// One question or order to Asterisk.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Ping,
    /// When it started.
    Start,
    /// All peers.
    Peers,
    /// One peer; `listed` when the list of peers waits for it.
    Peer {
        name: Bytes,
        listed: bool,
    },
    /// All endpoints of chan_pjsip.
    Endpoints,
    /// All their registered contacts.
    Contacts,
    /// One endpoint with its contacts.
    Endpoint {
        name: Bytes,
        why: Why,
    },
    Channels,
    /// The states of all devices.
    Devices,
    Reload(Tech),
    Notify {
        mac: Mac,
        tech: Tech,
        name: Bytes,
        event: String,
    },
}

/// What an endpoint is asked for.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// The list of peers waits for it.
    Listed,
    /// An event, or its turn: its registration may have changed.
    Changed,
    /// It shall get a NOTIFY: PJSIPNotify says `NOTIFY sent` with no contact to send it to.
    Notify { mac: Mac, event: String },
}

impl Ask {
    fn encode(&self, id: &str) -> Result<Vec<u8>, BadHeader> {
        let action = |name| Action::new(name, id);
        match self {
            Ask::Ping => action("Ping"),
            Ask::Start => action("CoreStatus"),
            Ask::Peers => action("SIPpeers"),
            Ask::Peer { name, .. } => action("SIPshowpeer").with("Peer", name),
            Ask::Channels => action("CoreShowChannels"),
            Ask::Devices => action("DeviceStateList"),
            Ask::Endpoints => action("PJSIPShowEndpoints"),
            Ask::Contacts => action("PJSIPShowRegistrationInboundContactStatuses"),
            Ask::Endpoint { name, .. } => action("PJSIPShowEndpoint").with("Endpoint", name),
            Ask::Reload(tech) => action("Reload").with("Module", tech.module()),
            Ask::Notify { tech: Tech::Sip, name, event, .. } => action("SIPnotify")
                .with("Channel", [b"SIP/", &name[..]].concat())
                .with("Variable", variable("Event", event)),
            Ask::Notify { tech: Tech::Pjsip, name, event, .. } => action("PJSIPNotify")
                .with("Endpoint", name)
                .with("Variable", variable("Event", event)),
        }
        .encode()
    }

    fn is_list(&self) -> bool {
        use Ask::{Channels, Contacts, Devices, Endpoint, Endpoints, Peers};
        matches!(self, Peers | Channels | Devices | Endpoints | Contacts | Endpoint { .. })
    }
}

/// What came of an [`Ask`].
#[derive(Debug)]
pub(super) enum Reply {
    /// An item of its list.
    Item,
    /// Done: the answer, or the end of its list.
    Done,
    /// Asterisk's text, or ours when it could not be asked.
    Failed(String),
}

struct Flight {
    id: String,
    ask: Ask,
    list: Option<List>,
}

#[derive(Default)]
pub(super) struct Pipeline {
    urgent: VecDeque<Ask>,
    bulk: VecDeque<Ask>,
    flight: VecDeque<Flight>,
    last_id: u64,
    /// Since when the oldest one in flight may have been worked on.
    since: Option<Instant>,
}

impl Pipeline {
    pub(super) fn urgent(&mut self, ask: Ask) {
        self.urgent.push_back(ask);
    }

    pub(super) fn bulk(&mut self, ask: Ask) {
        self.bulk.push_back(ask);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.flight.is_empty() && self.urgent.is_empty() && self.bulk.is_empty()
    }

    /// Writes what may be sent. What cannot be written is returned with the reason.
    pub(super) fn send(&mut self, out: &mut BytesMut, now: Instant) -> Vec<(Ask, Reply)> {
        let mut unsent = Vec::new();
        while self.flight.len() < WINDOW {
            let Some(ask) = self.urgent.pop_front().or_else(|| self.bulk.pop_front()) else {
                break;
            };
            self.last_id += 1;
            let id = format!("hs{}", self.last_id);
            match ask.encode(&id) {
                Ok(bytes) => {
                    out.extend_from_slice(&bytes);
                    self.since.get_or_insert(now);
                    let list = ask.is_list().then(List::default);
                    self.flight.push_back(Flight { id, ask, list });
                }
                Err(error) => unsent.push((ask, Reply::Failed(error.to_string()))),
            }
        }
        unsent
    }

    /// What a frame answers. None when it is none of ours.
    pub(super) fn answered(&mut self, frame: &Frame, now: Instant) -> Option<Vec<(Ask, Reply)>> {
        let index = self.belongs(frame)?;
        self.since = Some(now);
        let mut replies = Vec::new();
        for skipped in self.flight.drain(..index) {
            replies.push((skipped.ask, Reply::Failed("Asterisk gave no answer".into())));
        }
        let flight = self.flight.front_mut()?;
        let reply = match &mut flight.list {
            Some(list) => match list.take(frame) {
                Step::More => return Some(replies),
                Step::Item => {
                    replies.push((flight.ask.clone(), Reply::Item));
                    return Some(replies);
                }
                Step::Complete => Reply::Done,
                Step::Failed(text) => Reply::Failed(text),
            },
            None => match frame.answer() {
                None => return Some(replies),
                Some(answer) => answer.map_or_else(Reply::Failed, |()| Reply::Done),
            },
        };
        replies.extend(self.flight.pop_front().map(|flight| (flight.ask, reply)));
        if self.flight.is_empty() {
            self.since = None;
        }
        Some(replies)
    }

    /// The place of the one that a frame belongs to. An answer without an id (Asterisk could not
    /// read the action) belongs to the only one that waits, if there is but one.
    fn belongs(&self, frame: &Frame) -> Option<usize> {
        match frame.get("ActionID") {
            Some(id) => self.flight.iter().position(|flight| flight.id.as_bytes() == id),
            None => (frame.get("Response").is_some() && self.flight.len() == 1).then_some(0),
        }
    }

    /// When the oldest one has waited too long.
    pub(super) fn deadline(&self, timing: &Timing) -> Option<Instant> {
        let oldest = self.flight.front()?;
        let patience =
            if matches!(oldest.ask, Ask::Reload(_)) { timing.reload } else { timing.answer };
        Some(self.since? + patience)
    }

    /// Gives up the connection when the oldest one has waited too long.
    pub(super) fn check(&self, timing: &Timing, now: Instant) -> Result<(), Lost> {
        match self.deadline(timing) {
            Some(deadline) if deadline <= now => Err(Lost::new("Asterisk does not answer")),
            _ => Ok(()),
        }
    }

    /// Everything that was not answered.
    pub(super) fn abandon(&mut self) -> Vec<Ask> {
        self.since = None;
        let flight = self.flight.drain(..).map(|flight| flight.ask);
        flight.chain(self.urgent.drain(..)).chain(self.bulk.drain(..)).collect()
    }
}

/// Whether the text of an error says that the module with this action is not loaded.
pub(super) fn is_unknown(text: &str) -> bool {
    text.starts_with("Invalid/unknown command")
}

/// What the text of an error means for people: a missing privilege says which.
pub(super) fn explain(text: &str) -> String {
    match text {
        "Permission denied" => "Permission denied: the AMI user needs write=system".into(),
        other => clean(other.as_bytes()),
    }
}
