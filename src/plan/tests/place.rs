//! Phones that swap accounts, and phones that move: whose contact is whose.

use std::net::SocketAddr;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn place(n: u8) -> SocketAddr {
    ([127, 0, 1, n], 5060).into()
}

/// Phone `n` with the lines of `other`.
fn with_lines_of(n: u8, other: u8, text: &str) -> Arc<PhonePart> {
    let mut new = (*part(n, text, "s")).clone();
    new.lines.iter_mut().for_each(|line| line.peer = peer(other, line.number));
    Arc::new(new)
}

impl Desk {
    /// Phones 1 and 2 shall run each other's accounts.
    fn swapped() -> Self {
        let mut desk = Desk::running(2);
        for n in [1, 2] {
            desk.leave(n);
        }
        desk.offers(&[with_lines_of(1, 2, "swapped"), with_lines_of(2, 1, "swapped")]);
        desk
    }

    /// Phone `n` shall run other peers than it is offered now.
    fn leave(&mut self, n: u8) {
        self.observed.phones.get_mut(&mac(n)).unwrap().leave(&self.offer.phones[&mac(n)]);
    }

    fn offers(&mut self, parts: &[Arc<PhonePart>]) {
        self.offer = offer(&generation(parts, "dial"), Some(&self.offer), Passage::FREE);
    }

    /// Asterisk's contact at all peers of account `n`; a REGISTER of them was seen, or only looked at.
    fn contact(&mut self, n: u8, address: Option<SocketAddr>, registered: bool) -> &mut Self {
        for line in [1, 2] {
            if registered {
                self.observed.registered(&peer(n, line), None, self.now);
            }
            let facts = PeerFacts { peer: peer(n, line), address, ..PeerFacts::default() };
            self.observed.told_about(facts, self.now);
        }
        for n in [1, 2] {
            self.observed.prove(mac(n), &self.offer, &|_| false, self.now);
            self.observed.settle(mac(n), &self.offer);
        }
        self
    }

    fn runs(&self, n: u8) -> Option<Digest> {
        self.observed.phones[&mac(n)].running.map(|running| running.token)
    }
}

#[test]
fn a_phone_that_shall_run_other_peers_is_told_at_those_that_it_runs() {
    let mut desk = Desk::swapped();
    let rules = desk.wait(MINUTE).actions();
    let told =
        rules.iter().map(|Action::Notify { mac, peer, lines, .. }| (*mac, &**peer, lines.len()));
    assert_eq!(told.collect::<Vec<_>>(), [(mac(1), "101", 4)]);
    // It boots with the account of the other one, and is found there.
    desk.fetch(1).wait(SECOND);
    desk.contact(2, Some(place(1)), true);
    assert_eq!(desk.state(1), State::Current);
    assert!(desk.observed.phones[&mac(1)].left.is_empty());
    // At the account that the other one leaves is now the first: it is told where it was itself.
    let own = Via::Direct { to: place(2), user: peer(2, 1) };
    assert_eq!(desk.wait(MINUTE).via(&Notified::Answered(200)), [own]);
}

#[test]
fn a_contact_of_the_phone_that_had_the_peer_before_is_not_where_the_new_one_is_told() {
    let mut desk = Desk::swapped();
    desk.wait(MINUTE).fetch(1).wait(SECOND).contact(2, Some(place(1)), true);
    // The other one has not restarted yet, and refreshes its registration.
    desk.wait(SECOND).contact(2, Some(place(2)), true);
    desk.offers(&[with_lines_of(1, 2, "newer"), with_lines_of(2, 1, "swapped")]);
    let mut told = desk.wait(MINUTE).via(&Notified::Silent);
    told.extend(desk.wait(SECOND).via(&Notified::Silent));
    let own = Via::Direct { to: place(1), user: peer(2, 1) };
    assert_eq!(told.len(), 2);
    assert!(told.contains(&own) && told.contains(&Via::Asterisk), "2 is at 2's: {told:?}");
    // It has restarted: Asterisk still has its contact at the peer that it left.
    desk.fetch(2).wait(SECOND).contact(1, Some(place(2)), true);
    assert_eq!(desk.state(2), State::Current);
    assert_eq!(desk.wait(MINUTE * 15).via(&Notified::Silent), [own]);
    desk.contact(2, Some(([127, 0, 7, 7], 5060).into()), true);
    assert_eq!(desk.wait(MINUTE * 15).via(&Notified::Sent), [Via::Asterisk], "nobody's place yet");
}

#[test]
fn a_phone_that_has_no_line_of_that_name_is_told_by_its_other_names() {
    let mut desk = Desk::swapped();
    desk.contact(1, None, false).contact(2, None, false).wait(MINUTE);
    let users = (0..4).map(|_| {
        let told = desk.wait(MINUTE * 15).via(&Notified::Answered(404));
        let to = |via| match via {
            Via::Direct { to, user } if to == place(1) => Some(user),
            _ => None,
        };
        told.into_iter().find_map(to).unwrap()
    });
    let (old, new) = (peer(1, 1), peer(2, 1));
    assert_eq!(users.collect::<Vec<_>>(), [old.clone(), new, old, peer(1, 2)]);
}

#[test]
fn a_phone_that_shall_have_its_peers_back_before_the_others_are_proved_is_told_at_those_that_it_fetched()
 {
    let back = |fetches: bool, user: String| {
        let mut desk = Desk::swapped();
        desk.wait(MINUTE);
        if fetches {
            desk.fetch(1);
        }
        desk.leave(1);
        desk.offers(&[part(1, "back", "s"), with_lines_of(2, 1, "swapped")]);
        desk.contact(1, None, false).contact(2, None, false);
        let told = desk.wait(MINUTE).via(&Notified::Answered(200));
        assert!(told.contains(&Via::Direct { to: place(1), user }), "{told:?}");
    };
    back(true, peer(2, 1));
    back(false, peer(1, 1));
}

#[test]
fn what_a_phone_does_not_fetch_is_not_proved_by_another_one_at_its_peer() {
    let mut desk = Desk::swapped();
    let token = desk.offer.phones[&mac(1)].variants[0].token;
    desk.wait(MINUTE).fetch(1).wait(SECOND).contact(2, Some(place(1)), true).wait(MINUTE);
    let parts = [with_lines_of(1, 2, "newer"), with_lines_of(2, 1, "swapped")];
    desk.offers(&parts);
    desk.sync(1).wait(MINUTE * 2).contact(2, Some(place(2)), true);
    assert_eq!(desk.runs(1), Some(token));
    desk.contact(2, Some(([127, 0, 7, 7], 5060).into()), true);
    assert_eq!(desk.runs(1), Some(token), "it looked from elsewhere");
    desk.contact(2, Some(place(1)), true);
    assert_eq!(desk.runs(1), Some(parts[0].variants[0].token));
}

#[test]
fn a_phone_that_moved_while_nobody_listened_is_told_where_asterisk_had_it_last() {
    let mut desk = Desk::running(1);
    let token = desk.offer.phones[&mac(1)].variants[0].token;
    let to: SocketAddr = ([127, 0, 7, 7], 5060).into();
    desk.observed.unlisted();
    desk.wait(MINUTE);
    let got = Got { role: Role::Own, name: "SIP.cnf", digest: token };
    desk.observed.fetched(mac(1), got, to.ip(), desk.now);
    let proved = desk.observed.phones[&mac(1)].running;
    desk.wait(SECOND * 20).contact(1, Some(to), false);
    assert_eq!(
        desk.observed.phones[&mac(1)].running,
        proved,
        "it may have registered before that fetch"
    );
    desk.edit(1, "old", "changed", true).contact(1, None, false);
    assert_eq!(desk.wait(MINUTE).via(&Notified::Silent), [Via::Direct { to, user: peer(1, 1) }]);
    let known = Observed::restored(desk.observed.phones.clone(), BTreeMap::new());
    assert_eq!(known.places, desk.observed.places);
}

#[test]
fn a_peer_that_asterisk_does_not_list_while_it_reloads_keeps_its_register_and_gets_none() {
    let mut desk = Desk::running(1);
    let facts = |desk: &Desk, seconds| PeerFacts {
        address: Some(place(1)),
        expires: Some(seconds),
        peer: desk.offer.phones[&mac(1)].peers().next().unwrap().to_owned(),
        ..PeerFacts::default()
    };
    let mut single = (*part(1, "new", "s")).clone();
    single.lines.truncate(1);
    desk.offers(&[Arc::new(single)]);
    let wanted = desk.offer.phones[&mac(1)].token();
    desk.wait(SECOND).fetch(1);
    // A reload takes it away and brings it back from what Asterisk wrote down.
    desk.wait(SECOND);
    desk.observed.listed(Vec::new(), desk.now);
    let back = facts(&desk, 56);
    desk.wait(SECOND);
    desk.observed.told_about(back, desk.now);
    desk.observed.prove(mac(1), &desk.offer, &|_| false, desk.now);
    assert_ne!(desk.runs(1), wanted, "it registered before that fetch");
    desk.wait(SECOND);
    desk.observed.registered(&peer(1, 1), Some(mac(1)), desk.now);
    desk.observed.listed(Vec::new(), desk.now);
    desk.observed.prove(mac(1), &desk.offer, &|_| false, desk.now);
    assert_ne!(desk.runs(1), wanted, "nobody knows from where");
    let back = facts(&desk, 60);
    desk.wait(SECOND);
    desk.observed.told_about(back, desk.now);
    desk.observed.prove(mac(1), &desk.offer, &|_| false, desk.now);
    assert_eq!(desk.runs(1), wanted);
}
