//! The part of the session that is about chan_pjsip.

use super::*;

impl Session {
    /// Replaces what is polled.
    pub(super) fn poll(&mut self, peers: Vec<String>, now: Instant) {
        self.endpoints.polled = peers.into_iter().take(FOLLOW_MAX).collect();
        let at = now + self.timing.poll;
        let poll_at = self.endpoints.poll_at.unwrap_or(at).min(at);
        self.endpoints.poll_at = (!self.endpoints.polled.is_empty()).then_some(poll_at);
    }

    /// Asks the endpoints whose turn it is, when nothing else waits to be asked.
    pub(super) fn ask_polled(&mut self, now: Instant) {
        if self.endpoints.poll_at.is_none_or(|at| at > now) {
            return;
        }
        self.endpoints.poll_at = Some(now + self.timing.poll);
        let Some(known) = self.known.as_ref().filter(|_| self.pipeline.is_idle()) else { return };
        for peer in self.endpoints.polled.intersection(&self.follow) {
            if let Some((Tech::Pjsip, name)) = known.get(peer) {
                self.pipeline.bulk(Ask::Endpoint { name: name.clone(), why: Why::Changed });
            }
        }
    }

    /// Whether a name means the peer of this driver, as far as is known.
    pub(super) fn is_meant(&self, peer: &str, tech: Tech) -> bool {
        let known = self.known.as_ref().and_then(|known| known.get(peer)).map(|(tech, _)| *tech);
        self.techs.get(peer).copied().or(known).is_none_or(|meant| meant == tech)
    }

    pub(super) fn is_pjsip_reload(&self, frame: &Frame) -> bool {
        !self.absent.contains_key(&Tech::Pjsip) && pjsip::is_reload(frame)
    }

    /// chan_sip's peers are listed, or there are none.
    pub(super) fn list_endpoints(&mut self, now: Instant) {
        if self.absent.contains_key(&Tech::Pjsip) {
            self.lists_ended(now);
        } else {
            self.pipeline.urgent(Ask::Endpoints);
        }
    }

    pub(super) fn endpoints_reply(
        &mut self,
        reply: Reply,
        frame: &Frame,
        now: Instant,
    ) -> Result<(), Lost> {
        match reply {
            Reply::Item => {
                if let Some(relist) = &mut self.relist {
                    relist.item(frame);
                }
            }
            Reply::Done => self.pipeline.urgent(Ask::Contacts),
            // So an empty list is told.
            Reply::Failed(text) if text.starts_with("No endpoints found") => self.lists_ended(now),
            Reply::Failed(text) if is_unknown(&text) || text == "Permission denied" => {
                if self.absent.contains_key(&Tech::Sip) {
                    return Err(unlisted(&text));
                }
                self.absent.insert(Tech::Pjsip, text);
                self.lists_ended(now);
            }
            Reply::Failed(text) => return Err(unlisted(&text)),
        }
        Ok(())
    }

    pub(super) fn contacts_reply(&mut self, reply: &Reply, frame: &Frame, now: Instant) {
        match reply {
            Reply::Item => {
                if let Some(contact) = pjsip::contact(frame) {
                    let clock = (self.clock)();
                    if let Some(relist) = &mut self.relist {
                        relist.contact(&contact, clock);
                    }
                    self.endpoints.listed(&contact);
                }
            }
            Reply::Done => {
                self.endpoints.all_listed(self.follow.iter(), now);
                self.lists_ended(now);
            }
            // What is registered is not known: nothing is told, and all is listed again.
            Reply::Failed(_) => {
                self.relist = None;
                self.next_list = now + self.timing.second_look;
            }
        }
    }

    /// Nothing is to be listed any more but details.
    fn lists_ended(&mut self, now: Instant) {
        if let Some(relist) = &mut self.relist {
            let (follow, endpoints) = (self.follow.iter(), &self.endpoints);
            let known = relist.listed(follow, &self.techs, endpoints, &mut self.pipeline);
            self.known = Some(known);
        }
        self.finish_list(now);
    }

    pub(super) fn endpoint_reply(
        &mut self,
        name: &Bytes,
        why: &Why,
        reply: &Reply,
        frame: &Frame,
        now: Instant,
    ) {
        let peer = chars(name);
        let details = match reply {
            Reply::Item => return self.endpoints.item(frame),
            Reply::Done => self.endpoints.details(&peer, (self.clock)(), now),
            Reply::Failed(text) => {
                self.endpoints.failed();
                if let Why::Notify { mac, .. } = why {
                    return self.notified(*mac, Notified::Failed(explain(text)));
                }
                let gone = text.starts_with("Unable to retrieve endpoint");
                if gone { Details::Gone } else { Details::Unknown }
            }
        };
        if let Why::Notify { mac, event } = why {
            self.notify_endpoint(*mac, name, event, &details);
        }
        self.take_details((&peer, Tech::Pjsip), details, matches!(why, Why::Listed), now);
    }

    /// A NOTIFY to an endpoint without a contact would be answered like any other.
    fn notify_endpoint(&mut self, mac: Mac, name: &Bytes, event: &str, details: &Details) {
        match details {
            Details::Fresh(facts) if facts.address.is_some() => {
                let (name, event) = (name.clone(), event.to_owned());
                self.pipeline.urgent(Ask::Notify { mac, tech: Tech::Pjsip, name, event });
            }
            _ => self.notified(mac, Notified::NoAddress),
        }
    }
}

/// Without a list of peers a session is worth nothing.
pub(super) fn unlisted(text: &str) -> Lost {
    match text {
        "Permission denied" => Lost::refused(format!("cannot list peers: {}", explain(text))),
        unknown if is_unknown(unknown) => {
            Lost::new("cannot list peers: neither chan_sip nor chan_pjsip is loaded in Asterisk")
        }
        other => Lost::new(format!("cannot list peers: {}", explain(other))),
    }
}
