//! What the core has to do with the DHCP service.

use std::sync::Arc;

use super::{Handle, Wanted};
use crate::daemon::core::Core;

impl Core {
    /// The DHCP service follows what is let through; without anything yet, what there is.
    pub(in crate::daemon) fn tell_dhcp(&self, passes: bool) {
        let Some(look) = &self.look else { return };
        if passes || self.out.dhcp.borrow().is_none() {
            let mut wanted = Wanted::clone(&look.dhcp);
            for (mac, part) in &self.offer.phones {
                wanted.phones.entry(*mac).or_insert_with(|| part.family.clone());
            }
            self.out.dhcp.send_replace(Some(Arc::new(wanted)));
        }
    }

    /// Where there is a DHCP service, its leases tell who is at an address.
    pub fn serves_dhcp(&mut self, service: Option<Handle>) {
        if let Some(service) = &service {
            self.access.believe(service.board());
        }
        self.dhcp = service;
    }
}
