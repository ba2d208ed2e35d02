//! DISCOVER → OFFER: which address, and whether to look first whether it is free.

use super::*;

/// An address for a client, and whether the client has had it or owns it by reservation.
#[derive(Clone, Copy)]
struct Choice {
    address: Ipv4Addr,
    scope: usize,
    own: bool,
}

impl Server {
    pub(super) fn discover(&mut self, ask: &Ask<'_>, looks: usize, reaction: &mut Reaction) {
        if ask.scopes.is_empty() {
            return ask.tell(reaction, Said::Silent(Reason::NoScope), None);
        }
        self.check_reservations(ask, reaction);
        let Some(choice) = self.choose(ask) else {
            let net = self.site.scopes[ask.scopes[0]].net;
            self.alert(Alert::Exhausted(net), reaction);
            return ask.tell(reaction, Said::Silent(Reason::Exhausted), None);
        };
        let net = self.site.scopes[choice.scope].net;
        self.told.remove(&Alert::Exhausted(net));
        if self.must_look(ask, choice, looks) {
            self.look(ask, choice, looks, reaction);
        } else {
            self.make_offer(ask, choice.address, choice.scope, reaction);
        }
    }

    /// A reservation that another client's lease stands in the way of is told once.
    fn check_reservations(&mut self, ask: &Ask<'_>, reaction: &mut Reaction) {
        let here = |address: &Ipv4Addr| self.scope_of(ask, *address).is_some();
        let held = |address| Some((address, self.book.held_by(ask.mac, address)?));
        let all: Vec<_> = self.book.reservations(ask.mac).filter(here).filter_map(held).collect();
        for (address, holder) in all {
            self.alert(Alert::ReservedHeld(address, ask.mac, holder), reaction);
        }
    }

    /// The reservation, else what the client has or had, else what it asks for, else the next of a pool.
    fn choose(&self, ask: &Ask<'_>) -> Option<Choice> {
        let free = |address: &Ipv4Addr| {
            let usable = !self.book.is_anothers(ask.mac, *address) && !self.is_ours(ask, *address);
            usable && self.book.has_room(*address)
        };
        let found = |address: Ipv4Addr, own| {
            let scope = self.scope_of(ask, address)?;
            Some(Choice { address, scope, own }).filter(|_| free(&address))
        };
        let reserved = || self.book.reservations(ask.mac).find_map(|a| found(a, true));
        let pooled = |address: &Ipv4Addr| self.book.in_pool(*address);
        let had = |address: &Ipv4Addr| self.book.is_lessee(ask.mac, *address);
        let offered = |address: &Ipv4Addr| self.book.is_offered(ask.mac, *address);
        let mine = || self.book.owned(ask.mac).filter(pooled);
        let wanted = || ask.message.options.address(option::REQUESTED).filter(pooled);
        reserved()
            .or_else(|| mine().filter(had).find_map(|a| found(a, true)))
            .or_else(|| mine().filter(offered).find_map(|a| found(a, true)))
            .or_else(|| wanted().and_then(|a| found(a, false)))
            .or_else(|| self.fresh(ask))
    }

    fn fresh(&self, ask: &Ask<'_>) -> Option<Choice> {
        let next = |scope: &usize| {
            let address = self.book.next(*scope)?;
            Some(Choice { address, scope: *scope, own: false })
        };
        ask.scopes.iter().find_map(next).filter(|choice| !self.is_ours(ask, choice.address))
    }

    fn must_look(&self, ask: &Ask<'_>, choice: Choice, looks: usize) -> bool {
        if let Some(look) = self.looks.get(&choice.address) {
            // The client repeats its DISCOVER while the look goes on, or the answer was lost.
            return self.book.now().since(look.since) < PATIENCE;
        }
        let local = !ask.relayed() && !ask.routed;
        let room = self.looks.len() < MAX_PROBES && looks < MAX_LOOKS;
        self.site.probe && local && room && !choice.own
    }

    fn look(&mut self, ask: &Ask<'_>, choice: Choice, looks: usize, reaction: &mut Reaction) {
        let Choice { address, scope, .. } = choice;
        self.book.offer(address, ask.mac, OFFER);
        let (since, count) = (self.book.now(), looks + 1);
        let fresh =
            || Look { arrival: ask.arrival.clone(), message: ask.message.clone(), since, count };
        match self.looks.get_mut(&address) {
            // The newest DISCOVER is the one that is answered.
            Some(look) => *look = Look { since: look.since, count: look.count, ..fresh() },
            None => {
                let from = Self::identity(ask, Some(&self.site.scopes[scope]));
                reaction.probe = Some(Probe { address, from });
                self.looks.insert(address, fresh());
            }
        }
        ask.tell(reaction, Said::Silent(Reason::Probing), Some(address));
    }

    fn make_offer(
        &mut self,
        ask: &Ask<'_>,
        address: Ipv4Addr,
        scope: usize,
        reaction: &mut Reaction,
    ) {
        self.looks.remove(&address);
        self.book.offer(address, ask.mac, OFFER);
        let reply = self.reply(Kind::Offer, ask, &self.site.scopes[scope], Some(address));
        ask.send(reaction, reply, Said::Offer, Some(address));
    }

    /// Goes on with an offer after its address was looked at.
    pub fn probed(
        &mut self,
        address: Ipv4Addr,
        found: Found,
        clients: &dyn Clients,
        now: Time,
    ) -> Reaction {
        let changes = self.book.read_clock(now);
        let mut reaction = Reaction { changes, ..Reaction::default() };
        let Some(look) = self.looks.remove(&address) else { return reaction };
        let ask = self.ask(&look.arrival, &look.message, clients);
        let scope = self.scope_of(&ask, address);
        // Much may have happened meanwhile: another look, another server, other settings.
        let (true, Some(scope)) = (self.book.is_offered(ask.mac, address), scope) else {
            return reaction;
        };
        match found {
            Found::Taken(other) if other != ask.mac => {
                let span = self.site.quarantine;
                self.book.withdraw(ask.mac);
                reaction.changes.push(self.book.quarantine(address, other, span));
                reaction.alerts.push(Alert::Conflict(address, other));
                if look.count < MAX_LOOKS {
                    self.discover(&ask, look.count, &mut reaction);
                } else {
                    ask.tell(&mut reaction, Said::Silent(Reason::Anothers), Some(address));
                }
            }
            Found::Free | Found::Taken(_) => {
                self.make_offer(&ask, address, scope, &mut reaction);
            }
        }
        reaction
    }
}
