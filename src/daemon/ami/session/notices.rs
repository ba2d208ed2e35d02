//! Orders to tell a phone: first the channels, then the NOTIFY.

pub(super) use super::super::notify::Notify;
use super::*;

impl Session {
    pub(super) fn take_notify(&mut self, notify: Notify) {
        if !self.is_up() {
            return self.notified(notify.mac, Notified::Failed("no AMI session".into()));
        }
        if let Err(mac) = self.notifies.push(notify) {
            self.notified(mac, Notified::Failed("too many NOTIFYs wait".into()));
        }
    }

    pub(super) fn channels_reply(&mut self, reply: Reply, frame: &Frame, now: Instant) {
        match reply {
            Reply::Item => self.notifies.item(frame),
            Reply::Done => self.notifies.listed(now),
            Reply::Failed(text) => self.fail_notifies(&explain(&text)),
        }
    }

    pub(super) fn decide_notifies(&mut self, now: Instant) {
        if self.known.is_none() {
            return;
        }
        for (notify, busy) in self.notifies.decide(now, self.timing.channels) {
            if busy {
                self.notified(notify.mac, Notified::InCall);
            } else if let Some(own) = notify.own {
                self.news.push(AmiNews::Free(own));
            } else {
                self.send_notify(notify);
            }
        }
        if self.notifies.must_ask() {
            self.pipeline.urgent(Ask::Channels);
        }
    }

    fn send_notify(&mut self, notify: Notify) {
        let Notify { mac, peer, event, .. } = notify;
        let ask = match self.known.as_ref().and_then(|known| known.get(&peer)).cloned() {
            Some((tech @ Tech::Sip, name)) => Ask::Notify { mac, tech, name, event },
            Some((Tech::Pjsip, name)) => Ask::Endpoint { name, why: Why::Notify { mac, event } },
            // chan_sip takes an unknown name for a host, and would send there.
            None => {
                let why = format!("Asterisk has no peer {peer}");
                return self.notified(mac, Notified::Failed(why));
            }
        };
        self.pipeline.urgent(ask);
    }

    pub(super) fn fail_notifies(&mut self, text: &str) {
        for notify in self.notifies.abandon() {
            self.notified(notify.mac, Notified::Failed(text.into()));
        }
    }

    pub(super) fn notified(&mut self, mac: Mac, result: Notified) {
        self.news.push(AmiNews::Notified { mac, result });
    }
}
