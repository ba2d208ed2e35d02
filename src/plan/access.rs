//! Whether a file with a secret goes to an asker: what is known about its address, in a fixed rank.
//! Who vouches first decides; the kernel's neighbour table, and a lease of our own DHCP service where it is silent,
//! alone can say that the address is another's.

use std::time::Duration;

use crate::base::Mac;
use crate::model::site::GuardMode;

/// A (MAC, address) pair that was proved vouches for so long: longer than a phone stays switched off,
/// shorter than an address stays with one phone for certain.
pub const PROVED_FOR: Duration = Duration::from_secs(30 * 86_400);

/// What is known about the address that asks for a phone's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
    /// Whom the kernel's neighbour table has at the address, on our own link.
    pub neighbour: Option<Mac>,
    /// Whom our DHCP service gave the address to, while the lease holds.
    pub lease: Option<Mac>,
    /// All lines of the phone are registered from the address now.
    pub registered: bool,
    /// How long ago the phone was proved to be there, unless a neighbour contradicted since.
    pub proved: Option<Duration>,
    /// The address lies in `trusted_nets`.
    pub trusted: bool,
    /// The operator opened the phone or the network for a while.
    pub opened: bool,
}

/// Who vouched for the asker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Voucher {
    /// The neighbour table.
    Neighbour,
    /// Our lease.
    Lease,
    /// The registration of all its lines.
    Registration,
    /// A proof from before.
    Proof,
    /// `trusted_nets`.
    Trusted,
    /// `handset open`.
    Opened,
}

/// What the evidence says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The asker is the phone, or the operator lets it be taken for it.
    Vouched(Voucher),
    /// The address is this one's.
    Anothers(Mac),
    /// Nobody knows.
    Unknown,
}

/// Weighs the evidence about an asker of `phone`'s file.
pub fn verdict(phone: Mac, evidence: &Evidence) -> Verdict {
    match evidence.neighbour {
        Some(mac) if mac == phone => Verdict::Vouched(Voucher::Neighbour),
        Some(other) => Verdict::Anothers(other),
        None => leased(phone, evidence).unwrap_or_else(|| remembered(evidence)),
    }
}

fn leased(phone: Mac, evidence: &Evidence) -> Option<Verdict> {
    let owner = evidence.lease?;
    Some(if owner == phone { Verdict::Vouched(Voucher::Lease) } else { Verdict::Anothers(owner) })
}

fn remembered(evidence: &Evidence) -> Verdict {
    let fresh = evidence.proved.is_some_and(|age| age <= PROVED_FOR);
    match () {
        () if evidence.registered => Verdict::Vouched(Voucher::Registration),
        () if fresh => Verdict::Vouched(Voucher::Proof),
        () if evidence.trusted => Verdict::Vouched(Voucher::Trusted),
        () if evidence.opened => Verdict::Vouched(Voucher::Opened),
        () => Verdict::Unknown,
    }
}

impl Verdict {
    /// Whether the file is given.
    pub fn gives(self, mode: GuardMode) -> bool {
        match (mode, self) {
            (GuardMode::Off, _) | (_, Self::Vouched(_)) => true,
            (_, Self::Anothers(_)) => false,
            (mode, Self::Unknown) => mode == GuardMode::Lenient,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn mac(last: u8) -> Mac {
        Mac::new([0, 0x18, 0xb9, 0, 0, last]).unwrap()
    }

    /// What is known, one letter each: `n` neighbour, `o` another neighbour, `l` our lease, `a` another's lease, `r` registered, `p` proved
    /// 30 days ago, `P` longer ago, `t` trusted, `O` opened.
    fn evidence(letters: &str) -> Evidence {
        let is = |letter| letters.contains(letter);
        Evidence {
            neighbour: if is('n') { Some(mac(1)) } else { is('o').then(|| mac(2)) },
            lease: if is('l') { Some(mac(1)) } else { is('a').then(|| mac(3)) },
            registered: is('r'),
            proved: if is('p') { Some(30 * DAY) } else { is('P').then_some(31 * DAY) },
            trusted: is('t'),
            opened: is('O'),
        }
    }

    #[test]
    fn who_vouches_first_decides_and_only_a_neighbour_or_a_lease_can_say_anothers() {
        use Voucher::*;
        let anothers = Verdict::Anothers(mac(2));
        let table = [
            ("", Verdict::Unknown),
            ("n", Verdict::Vouched(Neighbour)),
            ("nrptO", Verdict::Vouched(Neighbour)),
            ("o", anothers),
            ("or", anothers),
            ("op", anothers),
            ("ot", anothers),
            ("oO", anothers),
            ("orptO", anothers),
            ("ol", anothers),
            ("na", Verdict::Vouched(Neighbour)),
            ("l", Verdict::Vouched(Lease)),
            ("lrptO", Verdict::Vouched(Lease)),
            ("a", Verdict::Anothers(mac(3))),
            ("arptO", Verdict::Anothers(mac(3))),
            ("r", Verdict::Vouched(Registration)),
            ("rptO", Verdict::Vouched(Registration)),
            ("p", Verdict::Vouched(Proof)),
            ("ptO", Verdict::Vouched(Proof)),
            ("P", Verdict::Unknown),
            ("Pt", Verdict::Vouched(Trusted)),
            ("t", Verdict::Vouched(Trusted)),
            ("tO", Verdict::Vouched(Trusted)),
            ("O", Verdict::Vouched(Opened)),
            ("PO", Verdict::Vouched(Opened)),
        ];
        for (letters, expected) in table {
            assert_eq!(verdict(mac(1), &evidence(letters)), expected, "{letters:?}");
        }
    }

    #[test]
    fn the_setting_decides_about_the_unknown_alone() {
        use GuardMode::*;
        let verdicts =
            [Verdict::Vouched(Voucher::Opened), Verdict::Unknown, Verdict::Anothers(mac(2))];
        let check = |mode, expected: [bool; 3]| {
            assert_eq!(verdicts.map(|v| v.gives(mode)), expected, "{mode:?}");
        };
        check(Strict, [true, false, false]);
        check(Lenient, [true, true, false]);
        check(Off, [true, true, true]);
    }
}
