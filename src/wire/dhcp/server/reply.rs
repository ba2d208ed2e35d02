//! What a reply says (RFC 2131 table 3).

use super::*;

/// The options that are computed, or belong to the protocol: no setting changes them.
const COMPUTED: [u8; 17] = [
    0,
    option::MASK,
    option::BROADCAST,
    option::REQUESTED,
    option::LEASE,
    option::OVERLOAD,
    option::KIND,
    option::SERVER,
    option::WANTED,
    option::MAX_SIZE,
    option::RENEW,
    option::REBIND,
    option::CLIENT,
    option::TFTP_NAME,
    option::RELAY,
    option::TFTP_ADDRESSES,
    255,
];

/// Values by number, and whether they are sent unasked.
type Values<'a> = BTreeMap<u8, (std::borrow::Cow<'a, [u8]>, bool)>;

impl Server {
    /// An OFFER or ACK of an address; without one, the ACK of an INFORM.
    pub(super) fn reply(
        &self,
        kind: Kind,
        ask: &Ask<'_>,
        scope: &Scope,
        address: Option<Ipv4Addr>,
    ) -> Message {
        let identity = Self::identity(ask, Some(scope));
        let boot = scope.boot.unwrap_or(identity);
        let mut reply = blank(kind, ask, identity);
        if kind == Kind::Ack {
            reply.ciaddr = ask.message.ciaddr;
        }
        let mut values = values(ask, scope);
        if let Some(address) = address {
            reply.yiaddr = address;
            reply.options.set(option::LEASE, seconds(scope.span()));
            values.insert(option::RENEW, (seconds(scope.span() / 2).into(), true));
            values.insert(option::REBIND, (seconds(scope.span() / 8 * 7).into(), true));
        }
        if let Some(phone) = ask.boot() {
            reply.siaddr = boot;
            let name = match &phone.url {
                Some(url) => url.replace("{server}", &boot.to_string()),
                None => boot.to_string(),
            };
            values.insert(option::TFTP_NAME, (name.into_bytes().into(), true));
            values.insert(option::TFTP_ADDRESSES, (boot.octets().to_vec().into(), true));
        }
        arrange(ask, &values, &mut reply);
        echo(ask, &mut reply);
        reply
    }

    /// A NAK with its reason as text (option 56). A relay is told to broadcast it.
    pub(super) fn nak(ask: &Ask<'_>, scope: Option<&Scope>, reason: Reason) -> Message {
        let mut reply = blank(Kind::Nak, ask, Self::identity(ask, scope));
        reply.broadcast |= ask.relayed();
        reply.options.set(option::MESSAGE, reason.to_string());
        echo(ask, &mut reply);
        reply
    }
}

fn blank(kind: Kind, ask: &Ask<'_>, identity: Ipv4Addr) -> Message {
    let mut reply = Message::new(kind, ask.mac, ask.message.xid);
    reply.broadcast = ask.message.broadcast;
    reply.giaddr = ask.message.giaddr;
    reply.options.set(option::SERVER, identity.octets());
    reply
}

/// What the client's own number was (RFC 6842), and what the relay wants to see again, byte for byte.
fn echo(ask: &Ask<'_>, reply: &mut Message) {
    for code in [option::CLIENT, option::SUBNET, option::RELAY] {
        if let Some(value) = ask.message.options.get(code) {
            reply.options.set(code, value);
        }
    }
}

fn seconds(span: Duration) -> Vec<u8> {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX).to_be_bytes().to_vec()
}

/// The values of the network, and over them those of the family and the phone.
fn values<'a>(ask: &'a Ask<'_>, scope: &'a Scope) -> Values<'a> {
    let mut values = Values::new();
    values.insert(option::MASK, (scope.net.mask().octets().to_vec().into(), true));
    values.insert(option::BROADCAST, (scope.net.broadcast().octets().to_vec().into(), false));
    let own = ask.boot().map_or(&[][..], |boot| &boot.settings);
    for setting in scope.settings.iter().chain(own).filter(|s| !COMPUTED.contains(&s.code)) {
        let always = setting.always || setting.code == option::ROUTER;
        values.insert(setting.code, (setting.value.as_slice().into(), always));
    }
    if let Some(host) = ask.boot().and_then(|boot| boot.host.as_deref()) {
        values.insert(option::HOST, (host.as_bytes().into(), false));
    }
    values
}

/// In the order that the client asks in (RFC 2131 §4.3.1), then what it needs and did not ask for. Who has no
/// list gets all.
fn arrange(ask: &Ask<'_>, values: &Values<'_>, reply: &mut Message) {
    let list = ask.message.options.get(option::WANTED);
    for code in list.unwrap_or_default() {
        if let Some((value, _)) = values.get(code) {
            reply.options.set(*code, value.as_ref());
        }
    }
    for (code, (value, always)) in values {
        if *always || list.is_none() {
            reply.options.set(*code, value.as_ref());
        }
    }
}
