//! The values of single options, as chan_sip reads them.

use std::net::{IpAddr, SocketAddr};

use super::callerid::strip;
use super::{Dtmf, Nat, Transport};

/// The longest name of an option that a peer's reading asks for.
pub(super) const LONGEST: usize = 12;

/// The name of an option in lower case; a longer one is none.
pub(super) fn folded<'b>(name: &[u8], buffer: &'b mut [u8; LONGEST]) -> &'b [u8] {
    let Some(folded) = buffer.get_mut(..name.len()) else { return &[] };
    folded.copy_from_slice(name);
    folded.make_ascii_lowercase();
    folded
}

/// Asterisk's words for yes.
pub(super) fn is_true(value: &str) -> bool {
    one_of(value, &["yes", "true", "y", "t", "1", "on"])
}

/// Asterisk's words for no; whatever is neither is usually taken for no as well.
pub(super) fn is_false(value: &str) -> bool {
    one_of(value, &["no", "false", "n", "f", "0", "off"])
}

fn one_of(value: &str, words: &[&str]) -> bool {
    words.iter().any(|w| value.eq_ignore_ascii_case(w))
}

/// The values of `dtmfmode=` that chan_sip knows.
pub(super) const DTMF: &[(&str, Dtmf)] = &[
    ("rfc2833", Dtmf::Rfc2833),
    ("inband", Dtmf::Inband),
    ("info", Dtmf::Info),
    ("shortinfo", Dtmf::Info),
    ("auto", Dtmf::Auto),
];

/// `dtmfmode=`; nothing for a value that chan_sip takes for `rfc2833` with a warning.
pub(super) fn dtmf(value: &str) -> Option<Dtmf> {
    DTMF.iter().find(|(word, _)| value.eq_ignore_ascii_case(word)).map(|(_, mode)| *mode)
}

/// The four flags of `nat=`. Within one section they add up over lines, and what a section says at
/// all replaces what was before it.
#[derive(Clone, Copy, Default)]
pub(super) struct NatFlags {
    force: bool,
    comedia: bool,
    auto_force: bool,
    auto_comedia: bool,
}

impl NatFlags {
    /// Applies one `nat=`. Items are not trimmed, and unknown ones do nothing.
    pub(super) fn apply(&mut self, value: &str) {
        for item in value.split(',') {
            match item.to_ascii_lowercase().as_str() {
                _ if is_false(item) => return *self = Self::default(),
                "yes" => return *self = Self { force: true, comedia: true, ..Self::default() },
                "force_rport" => self.force |= !self.auto_force,
                "comedia" => self.comedia |= !self.auto_comedia,
                "auto_force_rport" => (self.auto_force, self.force) = (true, false),
                "auto_comedia" => (self.auto_comedia, self.comedia) = (true, false),
                _ => {}
            }
        }
    }

    pub(super) fn nat(self) -> Nat {
        Nat {
            force_rport: self.force,
            auto_force_rport: self.auto_force,
            comedia: self.comedia || self.auto_comedia,
        }
    }
}

/// The transports of a `transport=` list in order, by their first letters; unknown items are left
/// out.
pub(super) fn transports(value: &str) -> impl Iterator<Item = Transport> {
    value.split(',').filter_map(|item| transport(item.trim_start_matches(|c: char| c <= ' ')))
}

fn transport(item: &str) -> Option<Transport> {
    const PREFIXES: [(&str, Transport); 4] = [
        ("udp", Transport::Udp),
        ("tcp", Transport::Tcp),
        ("tls", Transport::Tls),
        ("ws", Transport::Ws),
    ];
    let starts = |prefix: &str| {
        item.as_bytes()
            .get(..prefix.len())
            .is_some_and(|s| s.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    PREFIXES.into_iter().find(|(prefix, _)| starts(prefix)).map(|(_, transport)| transport)
}

/// The boxes of a `mailbox=` list.
pub(super) fn mailboxes(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(strip).filter(|mailbox| !mailbox.is_empty())
}

/// An address with or without a port, IPv6 with or without brackets. Port 0 is none.
pub(super) fn address(value: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(socket) = value.parse::<SocketAddr>() {
        return Some((socket.ip(), Some(socket.port()).filter(|port| *port != 0)));
    }
    let bare = value.strip_prefix('[').and_then(|v| v.strip_suffix(']')).unwrap_or(value);
    bare.parse().ok().map(|ip| (ip, None))
}

/// The number at the start of a value, 0 without one: `atoi` of the C library, which keeps the lower
/// 32 bits of what is too large.
pub(super) fn number(value: &str) -> i32 {
    let text = value.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let size = digits[..end].parse::<i64>().unwrap_or(if end == 0 { 0 } else { i64::MAX });
    let [a, b, c, d, ..] = (sign * size).to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nat(values: &[&str]) -> (bool, bool, bool) {
        let mut flags = NatFlags::default();
        values.iter().for_each(|v| flags.apply(v));
        let nat = flags.nat();
        (nat.force_rport, nat.auto_force_rport, nat.comedia)
    }

    #[test]
    fn nat_lines_of_one_section_add_up() {
        assert_eq!(nat(&["force_rport", "comedia"]), (true, false, true));
        assert_eq!(nat(&["yes", "auto_force_rport"]), (false, true, true));
        assert_eq!(nat(&["auto_force_rport,force_rport"]), (false, true, false));
        assert_eq!(nat(&["yes", "no"]), (false, false, false));
        assert_eq!(nat(&["no,yes"]), (false, false, false));
        assert_eq!(nat(&["force_rport, comedia"]), (true, false, false));
        assert_eq!(nat(&["true", "route"]), (false, false, false));
    }

    #[test]
    fn transports_match_by_their_first_letters() {
        use Transport::{Tcp, Tls, Udp, Ws};
        let read = |value| transports(value).collect::<Vec<_>>();
        assert_eq!(read("UDPlite, tcp,tls, wss,ws"), [Udp, Tcp, Tls, Ws, Ws]);
        assert_eq!(read("sctp,,u"), []);
    }

    #[test]
    fn addresses_come_with_and_without_ports_and_brackets() {
        let check = |value, expected: Option<(&str, Option<u16>)>| {
            let expected = expected.map(|(ip, port)| (ip.parse().unwrap(), port));
            assert_eq!(address(value), expected, "{value}");
        };
        check("192.0.2.1", Some(("192.0.2.1", None)));
        check("192.0.2.1:5070", Some(("192.0.2.1", Some(5070))));
        check("192.0.2.1:0", Some(("192.0.2.1", None)));
        check("::1", Some(("::1", None)));
        check("[::1]", Some(("::1", None)));
        check("[::1]:5070", Some(("::1", Some(5070))));
        check("pbx.example", None);
        check("", None);
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        assert_eq!([number("60s"), number(" -5"), number("x"), number("+7")], [60, -5, 0, 7]);
        assert_eq!([number("99999999999"), number("99999999999999999999")], [1_215_752_191, -1]);
    }
}
