//! Asterisk's two SIP channel drivers.

use serde::{Deserialize, Serialize};

/// A channel driver. Both can be loaded at once (up to Asterisk 20), and names may exist in both.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Tech {
    /// chan_sip: sip.conf, up to Asterisk 20.
    #[default]
    Sip,
    /// chan_pjsip: pjsip.conf.
    Pjsip,
}

impl Tech {
    /// As Asterisk names it in channels and devices: `SIP`, `PJSIP`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sip => "SIP",
            Self::Pjsip => "PJSIP",
        }
    }

    /// The module to reload.
    pub fn module(self) -> &'static str {
        match self {
            Self::Sip => "chan_sip.so",
            Self::Pjsip => "res_pjsip.so",
        }
    }
}
