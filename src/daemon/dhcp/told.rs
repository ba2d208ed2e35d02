//! What the server decided, in words and for the control socket.

use crate::base::Time;
use crate::control::LeaseLine;
use crate::plan::boot::{Exchange, Said};
use crate::wire::dhcp::{self, Alert, Fact, Lease, Reason, State};

use super::wanted::Wanted;

/// The leases as they are listed.
pub(super) fn leases<'a>(
    all: impl Iterator<Item = &'a Lease>,
    wanted: Option<&Wanted>,
    now: Time,
) -> Vec<LeaseLine> {
    let line = |lease: &Lease| LeaseLine {
        address: lease.address,
        mac: lease.mac,
        state: word(lease, now).to_owned(),
        since: lease.since.to_string(),
        until: lease.until.to_string(),
        host: lease.host.clone(),
        reserved: wanted.is_some_and(|w| w.reserved.get(&lease.mac) == Some(&lease.address)),
        tagged: wanted.is_some_and(|w| w.phones.contains_key(&lease.mac)),
    };
    all.map(line).collect()
}

fn word(lease: &Lease, now: Time) -> &'static str {
    match lease.state {
        State::Released => "released",
        _ if !lease.holds(now) => "expired",
        State::Bound => "bound",
        State::Declined => "declined",
    }
}

/// For the core. Machines that are none of ours are not told of: silence is all that they are met with.
pub(super) fn exchanges(facts: Vec<Fact>, interface: &str, at: Time) -> Vec<Exchange> {
    let strange = |fact: &Fact| fact.said == dhcp::Said::Silent(Reason::Stranger);
    if facts.iter().any(strange) {
        return Vec::new();
    }
    let exchange = |fact: Fact| Exchange {
        mac: fact.mac,
        at,
        said: said(fact.said),
        address: fact.address,
        class: fact.class,
        interface: Some(interface.to_owned()),
    };
    facts.into_iter().map(exchange).collect()
}

fn said(said: dhcp::Said) -> Said {
    match said {
        dhcp::Said::Discover => Said::Discover,
        dhcp::Said::Request => Said::Request,
        dhcp::Said::Decline => Said::Decline,
        dhcp::Said::Release => Said::Release,
        dhcp::Said::Inform => Said::Inform,
        dhcp::Said::Offer => Said::Offer,
        dhcp::Said::Ack => Said::Ack,
        dhcp::Said::Nak(why) => Said::Nak(why.to_string()),
        dhcp::Said::Silent(why) => Said::Silent(why.to_string()),
    }
}

/// For the administrator.
pub(super) fn alert(alert: &Alert) -> String {
    match alert {
        Alert::Exhausted(net) => format!("no address is left in {net}: enlarge its pool"),
        Alert::Declined(address, mac) => {
            format!("{mac} found {address} in use by another machine and gave it back")
        }
        Alert::Conflict(address, mac) => {
            format!("{address} was to be given and is in use by {mac}: it is left out for a while")
        }
        Alert::ReservedHeld(address, mac, holder) => {
            format!("{address} is reserved for {mac} and held by {holder}")
        }
    }
}
