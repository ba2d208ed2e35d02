//! REQUEST → ACK, NAK or silence (RFC 2131 §4.3.2).

use super::*;

/// In which of its states the client asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// It takes our offer up.
    Selecting,
    /// It boots and remembers an address.
    Rebooting,
    /// It uses the address (RENEWING, REBINDING).
    Using,
}

/// What an address is to a client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has or had it, was offered it, or it is reserved for it; nobody else has it.
    Mine,
    /// Nobody has it, and our pools give it out.
    Free,
    /// Nothing is known of it: in the right network, and outside of our pools.
    Unknown,
    /// It cannot have it.
    Not(Reason),
}

impl Server {
    pub(super) fn request(&mut self, ask: &Ask<'_>, reaction: &mut Reaction) {
        let message = ask.message;
        let wanted = message.options.address(option::REQUESTED);
        let own = Some(message.ciaddr).filter(|address| !address.is_unspecified());
        if let Some(server) = self.other_server(ask) {
            self.book.withdraw(ask.mac);
            return ask.tell(reaction, Said::Silent(Reason::ChoseServer(server)), wanted);
        }
        let asks = match (message.options.get(option::SERVER), own) {
            (Some(_), _) => Asks::Selecting,
            (None, Some(_)) => Asks::Using,
            (None, None) => Asks::Rebooting,
        };
        let address = if asks == Asks::Using { own } else { wanted.or(own) };
        let Some(address) = address else {
            return ask.tell(reaction, Said::Silent(Reason::Malformed), None);
        };
        match self.judge(ask, asks, address) {
            Ok(scope) => self.give(ask, address, scope, reaction),
            Err(Said::Nak(reason)) => self.refuse(ask, address, reason, reaction),
            Err(said) => ask.tell(reaction, said, Some(address)),
        }
    }

    /// The scope to give the address from, or what to say instead.
    fn judge(&self, ask: &Ask<'_>, asks: Asks, address: Ipv4Addr) -> Result<usize, Said> {
        if ask.scopes.is_empty() {
            let named = asks == Asks::Selecting;
            let said = if named { Said::Nak } else { Said::Silent };
            return Err(said(Reason::NoScope));
        }
        let Some(scope) = self.scope_of(ask, address) else {
            let refused = self.site.authoritative || asks == Asks::Selecting;
            let said = if refused { Said::Nak } else { Said::Silent };
            return Err(said(Reason::OtherNetwork));
        };
        match (self.standing(ask, address, scope), asks) {
            (Standing::Mine | Standing::Free, _) => Ok(scope),
            // What a phone talks through is not taken from it; its next boot will do.
            (Standing::Not(Reason::Reserved(_) | Reason::NotInPool), Asks::Using) => {
                let known = self.book.is_lessee(ask.mac, address);
                known.then_some(scope).ok_or(Said::Silent(Reason::NoRecord))
            }
            (Standing::Not(Reason::Exhausted), Asks::Rebooting | Asks::Using) => {
                Err(Said::Silent(Reason::Exhausted))
            }
            (Standing::Not(reason), _) => Err(Said::Nak(reason)),
            (Standing::Unknown, Asks::Selecting) => Err(Said::Nak(Reason::NotInPool)),
            (Standing::Unknown, Asks::Rebooting) if self.is_alone(ask) => {
                Err(Said::Nak(Reason::NotInPool))
            }
            (Standing::Unknown, _) => Err(Said::Silent(Reason::NoRecord)),
        }
    }

    /// Whether no other server is to be reckoned with, so that an address that is not ours to give is nobody's:
    /// the network is ours, and the client a phone. A stranger may have a fixed lease that we know nothing of.
    fn is_alone(&self, ask: &Ask<'_>) -> bool {
        self.site.mode == Mode::Full && self.site.authoritative && ask.boot().is_some()
    }

    fn standing(&self, ask: &Ask<'_>, address: Ipv4Addr, scope: usize) -> Standing {
        let (mac, book) = (ask.mac, &self.book);
        let host = self.site.scopes[scope].net.hosts(address);
        if !host || self.is_ours(ask, address) || book.is_anothers(mac, address) {
            return Standing::Not(Reason::Anothers);
        }
        if book.reserved_for(address) == Some(mac) {
            return Standing::Mine;
        }
        let here = |a: &Ipv4Addr| self.scope_of(ask, *a).is_some() && !book.is_anothers(mac, *a);
        if let Some(other) = book.reservations(mac).find(here) {
            return Standing::Not(Reason::Reserved(other));
        }
        let (had, pooled) = (book.is_lessee(mac, address), book.in_pool(address));
        match (had, pooled) {
            (true, true) => Standing::Mine,
            (true, false) => Standing::Not(Reason::NotInPool),
            (false, true) if !book.has_room(address) => Standing::Not(Reason::Exhausted),
            (false, true) => Standing::Free,
            (false, false) => Standing::Unknown,
        }
    }

    fn give(&mut self, ask: &Ask<'_>, address: Ipv4Addr, scope: usize, reaction: &mut Reaction) {
        let nets: Vec<_> = ask.scopes.iter().map(|at| self.site.scopes[*at].net).collect();
        let lease = self.lease(ask, address, &self.site.scopes[scope]);
        let changes = self.book.bind(lease, |old| nets.iter().any(|net| net.contains(old)));
        reaction.changes.extend(changes);
        self.looks.remove(&address);
        self.told.retain(|alert| !matches!(alert, Alert::ReservedHeld(a, ..) if *a == address));
        let reply = self.reply(Kind::Ack, ask, &self.site.scopes[scope], Some(address));
        ask.send(reaction, reply, Said::Ack, Some(address));
    }

    fn lease(&self, ask: &Ask<'_>, address: Ipv4Addr, scope: &Scope) -> Lease {
        let (options, since) = (&ask.message.options, self.book.now());
        let id = options.get(option::CLIENT).unwrap_or_default();
        Lease {
            address,
            mac: ask.mac,
            state: State::Bound,
            since,
            until: since.after(scope.span()),
            id: id[..id.len().min(255)].to_vec(),
            host: options.trimmed(option::HOST).map(clean).unwrap_or_default(),
        }
    }

    fn refuse(
        &mut self,
        ask: &Ask<'_>,
        address: Ipv4Addr,
        reason: Reason,
        reaction: &mut Reaction,
    ) {
        let scope = ask.scopes.first().map(|at| &self.site.scopes[*at]);
        let reply = Self::nak(ask, scope, reason);
        ask.send(reaction, reply, Said::Nak(reason), Some(address));
    }
}
