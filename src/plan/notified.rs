//! What comes of a NOTIFY, and what a phone means by it.

use serde::{Deserialize, Serialize};

/// What came of a NOTIFY.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notified {
    /// Ordered, not answered yet.
    Ordered,
    /// Handed to Asterisk's stack: no proof of anything.
    Sent,
    /// Not sent: one of the phone's peers has a channel.
    InCall,
    /// Not sent: `Could not create address` (unregistered, UNREACHABLE or LAGGED).
    NoAddress,
    /// Not sent: no session, no permission, or another answer, with the text.
    Failed(String),
    /// Our own NOTIFY: the phone's final answer. 200 to 299: it took it.
    Answered(u16),
    /// Our own NOTIFY: no final answer in time.
    Silent,
}

impl Notified {
    /// Whether the phone was told, as far as is known: handed to Asterisk, or the phone said yes.
    pub fn is_sent(&self) -> bool {
        matches!(self, Notified::Sent | Notified::Answered(200..=299))
    }
}

/// What a phone means by the final answer with which it refuses a NOTIFY.
pub fn refusal(code: u16) -> String {
    let why = match code {
        401 | 407 => "it wants a password for it",
        403 => "it takes none from this address",
        404 => "it has no line of that name",
        400 | 481 => "it wants a subscription, or the request displeased it",
        489 => "it does not know the event",
        405 | 501 => "it knows no NOTIFY",
        408 | 480 | 486 => "it cannot now",
        _ => "it does not say why",
    };
    format!("{code}, {why}")
}
