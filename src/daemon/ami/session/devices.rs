//! Who is in a call, as the states of devices and the ends of channels tell.
//!
//! Only for peers that are followed: whatever else an account that reads calls is told of ends here. The
//! account may not be allowed to hear of calls at all, or to ask; then nothing is known of them, and
//! every NOTIFY is preceded by a look at the channels all the same.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::pipeline::{Ask, Reply};
use super::Session;
use crate::base::Tech;
use crate::daemon::event::AmiNews;
use crate::plan::observed::DeviceState;
use crate::wire::ami::message::chars;
use crate::wire::ami::{Frame, device};

#[derive(Default)]
pub(super) struct Devices {
    /// The list was asked for since it was last found missing.
    known: bool,
    /// The account may not ask for it, or the module for it is not loaded.
    refused: bool,
    /// The list that is coming in.
    listed: Option<BTreeMap<String, DeviceState>>,
    /// What events told meanwhile, which is newer.
    newer: BTreeMap<String, DeviceState>,
}

impl Devices {
    /// There was no session for a while.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Something was missed.
    pub(super) fn missing(&mut self) {
        self.known = false;
    }
}

impl Session {
    /// Asks for all states, where they are not known.
    pub(super) fn ask_devices(&mut self) {
        if !self.devices.known && !self.devices.refused && self.devices.listed.is_none() {
            self.devices.known = true;
            self.devices.listed = Some(BTreeMap::new());
            self.pipeline.urgent(Ask::Devices);
        }
    }

    pub(super) fn devices_reply(&mut self, reply: &Reply, frame: &Frame) {
        match reply {
            Reply::Item => {
                let found = device::device(frame);
                let found =
                    found.and_then(|(tech, name, s)| Some((self.followed(tech, &name)?, s)));
                self.devices.listed.as_mut().into_iter().for_each(|all| all.extend(found.clone()));
            }
            Reply::Done => {
                let mut all = self.devices.listed.take().unwrap_or_default();
                all.append(&mut self.devices.newer);
                self.news.push(AmiNews::Devices(all.into_iter().collect()));
            }
            Reply::Failed(text) => {
                tracing::debug!(text, "the states of devices are not told");
                self.devices.refused = true;
                self.devices.listed = None;
                self.devices.newer.clear();
            }
        }
    }

    /// An event that may tell of a call.
    pub(super) fn device_event(&mut self, frame: &Frame) {
        if let Some((tech, name, state)) = device::device(frame) {
            let Some(peer) = self.followed(tech, &name) else { return };
            if self.devices.listed.is_some() {
                self.devices.newer.insert(peer.clone(), state);
            }
            self.news.push(AmiNews::Device { peer, state });
        } else if let Some((tech, name)) = device::hangup(frame)
            && let Some(peer) = self.followed(tech, &name)
        {
            self.news.push(AmiNews::HungUp { peer });
        }
    }

    /// The peer's name, when it is followed and of the driver that is meant.
    fn followed(&self, tech: Tech, name: &Bytes) -> Option<String> {
        let peer = chars(name);
        let wanted = self.follow.contains(&*peer) && self.is_meant(&peer, tech);
        wanted.then(|| peer.into_owned())
    }
}
