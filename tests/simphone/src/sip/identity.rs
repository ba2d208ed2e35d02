//! How a phone names itself in SIP (phones.md §2.16).

use std::net::Ipv4Addr;

use super::digest::hex;
use crate::Model;
use crate::flash::Line;

/// Everything that is the same in every message of one phone, and the source of its tags.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) mac: [u8; 6],
    pub(crate) model: Model,
    /// What stands in Via and Contact: `nat_address`, else the own address.
    pub(crate) host: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) user_agent: String,
    /// `user_info`: `none`, `phone` or `ip`.
    pub(crate) user_info: String,
    /// Differs from boot to boot.
    pub(crate) seed: u64,
    pub(crate) count: u32,
}

impl Identity {
    /// Twelve lower-case digits.
    fn mac(&self) -> String {
        self.mac.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// 32 hex digits that were not used before.
    pub(crate) fn fresh(&mut self) -> String {
        self.count += 1;
        hex(&format!("{}/{}/{}", self.mac(), self.seed, self.count))
    }

    /// A Via with a new branch; never with `rport`.
    pub(crate) fn via(&mut self) -> (String, String) {
        let branch = format!("z9hG4bK{}", &self.fresh()[..8]);
        (format!("SIP/2.0/UDP {}:{};branch={branch}", self.host, self.port), branch)
    }

    /// `xxxxxxxx-xxxx0002-…@ip`: begins with the MAC.
    pub(crate) fn call_id(&mut self) -> String {
        let (mac, fresh) = (self.mac(), self.fresh());
        let count = self.count & 0xffff;
        let (a, b) = (&fresh[..8], &fresh[8..16]);
        format!("{}-{}{count:04x}-{a}-{b}@{}", &mac[..8], &mac[8..], self.address)
    }

    /// A From or To tag; begins with the MAC too.
    pub(crate) fn tag(&mut self) -> String {
        let fresh = self.fresh();
        format!("{}{}-{}", self.mac(), &fresh[..8], &fresh[8..16])
    }

    /// The Contact of a line in REGISTER.
    pub(crate) fn register_contact(&self, line: &Line) -> String {
        let user = match self.user_info.as_str() {
            "phone" => ";user=phone",
            "ip" => ";user=ip",
            _ => "",
        };
        let number = self.model.ccm_number();
        format!(
            "<sip:{}@{}:{}{user};transport=udp>\
             ;+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-{}>\"\
             ;+u.sip!model.ccm.cisco.com=\"{number}\"",
            line.contact,
            self.host,
            self.port,
            self.mac()
        )
    }

    /// The Contact of a line in a call.
    pub(crate) fn contact(&self, user: &str) -> String {
        format!("<sip:{user}@{}:{};transport=udp>", self.host, self.port)
    }
}
