//! What a phone sends, and what it reads of an answer. Shares nothing with handset.

use std::net::Ipv4Addr;

const MAGIC: [u8; 4] = [99, 130, 83, 99];

pub(crate) const DISCOVER: u8 = 1;
pub(crate) const OFFER: u8 = 2;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const ACK: u8 = 5;
pub(crate) const NAK: u8 = 6;

/// What a phone says.
pub(crate) struct Ask<'a> {
    pub(crate) kind: u8,
    pub(crate) xid: u32,
    pub(crate) mac: u64,
    pub(crate) relay: Ipv4Addr,
    /// The address and the server that it chose.
    pub(crate) chosen: Option<(Ipv4Addr, Ipv4Addr)>,
    pub(crate) class: &'a [u8],
    pub(crate) secs: u16,
}

impl Ask<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mac = &self.mac.to_be_bytes()[2..];
        let mut p = vec![0; 240];
        p[..4].copy_from_slice(&[1, 1, 6, 1]);
        p[4..8].copy_from_slice(&self.xid.to_be_bytes());
        p[8..10].copy_from_slice(&self.secs.to_be_bytes());
        p[24..28].copy_from_slice(&self.relay.octets());
        p[28..34].copy_from_slice(mac);
        p[236..240].copy_from_slice(&MAGIC);
        p.extend([53, 1, self.kind, 61, 7, 1]);
        p.extend(mac);
        if let Some((address, server)) = self.chosen {
            p.extend([50, 4]);
            p.extend(address.octets());
            p.extend([54, 4]);
            p.extend(server.octets());
        }
        p.extend([60, self.class.len().min(255) as u8]);
        p.extend(&self.class[..self.class.len().min(255)]);
        p.extend([55, 9, 1, 3, 6, 15, 35, 43, 66, 150, 42, 255]);
        p.resize(p.len().max(300), 0);
        p
    }
}

/// What a server said.
pub(crate) struct Reply<'a> {
    pub(crate) kind: u8,
    pub(crate) xid: u32,
    pub(crate) mac: u64,
    pub(crate) address: Ipv4Addr,
    options: &'a [u8],
}

impl<'a> Reply<'a> {
    /// None for what no phone could read.
    pub(crate) fn read(p: &'a [u8]) -> Option<Self> {
        if p.first() != Some(&2) || p.get(236..240)? != MAGIC {
            return None;
        }
        let four = |at: usize| [p[at], p[at + 1], p[at + 2], p[at + 3]];
        let mac = p[28..34].iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
        let (xid, address) = (u32::from_be_bytes(four(4)), Ipv4Addr::from(four(16)));
        let mut reply = Self { kind: 0, xid, mac, address, options: &p[240..] };
        reply.kind = *reply.get(53)?.first()?;
        Some(reply)
    }

    pub(crate) fn get(&self, wanted: u8) -> Option<&'a [u8]> {
        let mut rest = self.options;
        loop {
            let (code, after) = rest.split_first()?;
            match code {
                0 => rest = after,
                255 => return None,
                _ => {
                    let (length, after) = after.split_first()?;
                    let (value, after) = after.split_at_checked(usize::from(*length))?;
                    if *code == wanted {
                        return Some(value);
                    }
                    rest = after;
                }
            }
        }
    }

    pub(crate) fn ip(&self, wanted: u8) -> Option<Ipv4Addr> {
        Some(<[u8; 4]>::try_from(self.get(wanted)?.get(..4)?).ok()?.into())
    }

    /// What is wrong with an ACK for a phone that boots from `boot`.
    pub(crate) fn complaints(&self, boot: Ipv4Addr) -> Vec<&'static str> {
        let name = self.get(66).map(|v| v.strip_suffix(b"\0").unwrap_or(v));
        let wrong = [
            (name != Some(boot.to_string().as_bytes()), "option 66"),
            (self.ip(150) != Some(boot), "option 150"),
            (self.ip(1).is_none(), "no netmask"),
            (self.get(51).is_none_or(|v| v == [0; 4]), "no lease time"),
        ];
        wrong.into_iter().filter(|(wrong, _)| *wrong).map(|(_, what)| what).collect()
    }
}
