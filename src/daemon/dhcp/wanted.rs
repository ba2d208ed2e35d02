//! What the DHCP service is to do, made of the settings, the phones and the families.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZoneDatabase;

use super::links::Links;
use crate::base::{Mac, Time};
use crate::family::{Family, Library};
use crate::model::phone::{Assembly, Reservations, reserved};
use crate::model::site::{self, Dhcp, DhcpMode};
use crate::wire::dhcp::{Boot, Client, Clients, Mode, Net, Range, Scope, Setting, Site, option};

/// What is wanted, whatever the host's interfaces are.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The settings.
    pub dhcp: Dhcp,
    /// The boot server where no setting names another one; none when the site's address is not IPv4.
    pub server: Option<Ipv4Addr>,
    /// The time server where it is an address.
    pub ntp: Option<Ipv4Addr>,
    /// The IANA zone of the phones.
    pub timezone: String,
    /// Tagged phones and their families.
    pub phones: BTreeMap<Mac, Arc<str>>,
    /// Their own addresses.
    pub reserved: Reservations,
    /// The families.
    pub families: Arc<Library>,
}

/// How long nobody gets an address that another machine was found at.
const QUARANTINE: Duration = Duration::from_secs(600);

impl Wanted {
    /// From one reading of the files. Phones that are held back are phones all the same.
    pub fn new(
        site: &site::Site,
        phones: &Assembly,
        families: &Arc<Library>,
        decided: (Option<IpAddr>, Option<&str>),
    ) -> Self {
        let (server, timezone) = decided;
        let default: Arc<str> = site.default_family.as_str().into();
        let whole = phones.phones.iter().map(|(mac, phone)| (*mac, phone.family.clone()));
        let held = phones.held.keys().map(|mac| (*mac, default.clone()));
        let server = match server {
            Some(IpAddr::V4(v4)) => Some(v4),
            _ => None,
        };
        Self {
            dhcp: site.dhcp.clone(),
            server,
            ntp: site.ntp_server.as_ref().and_then(|ntp| ntp.value.parse().ok()),
            timezone: timezone.unwrap_or_default().to_owned(),
            phones: held.chain(whole).collect(),
            reserved: reserved(phones.phones.values(), &site.dhcp).0,
            families: families.clone(),
        }
    }

    /// The boot server that clients in the network of `scope` are told.
    pub(super) fn boot(&self, scope: Option<&site::Scope>) -> Option<Ipv4Addr> {
        let set = self.dhcp.server.as_ref().map(|server| server.value);
        scope.and_then(|scope| scope.boot_server).or(set).or(self.server)
    }

    /// The scope of an address.
    pub(super) fn scope(&self, address: Ipv4Addr) -> Option<&site::Scope> {
        self.dhcp.scopes.iter().find(|scope| scope.net.contains(address))
    }

    /// For the server's decisions, on a host with these interfaces.
    pub(super) fn site(&self, links: &Links, now: Time) -> Site {
        let mut scopes: Vec<Scope> =
            self.dhcp.scopes.iter().map(|scope| self.configured(scope, now)).collect();
        if scopes.is_empty() {
            let nets: BTreeSet<Net> = links.nets().collect();
            scopes.extend(nets.into_iter().map(|net| self.attached(net, now)));
        }
        let mode = match self.dhcp.mode {
            DhcpMode::Full => Mode::Full,
            DhcpMode::Off | DhcpMode::Phones => Mode::Phones,
        };
        Site {
            mode,
            authoritative: self.dhcp.authoritative,
            scopes,
            reserved: self.reserved.iter().map(|(mac, ip)| (*ip, *mac)).collect(),
            ours: links.addresses().collect(),
            probe: true,
            quarantine: QUARANTINE,
        }
    }

    fn configured(&self, scope: &site::Scope, now: Time) -> Scope {
        let net = Net::around(scope.net.address(), scope.net.length());
        let range = |(first, last): &(Ipv4Addr, Ipv4Addr)| Range { first: *first, last: *last };
        let boot = self.boot(Some(scope));
        let mut settings = Vec::new();
        let mut addresses = |code, all: &[Ipv4Addr]| {
            if !all.is_empty() {
                settings.push(Setting::addresses(code, all));
            }
        };
        addresses(option::ROUTER, &scope.router);
        addresses(option::DNS, &scope.dns);
        // Clients that did not ask for a router go nowhere without it.
        settings.iter_mut().for_each(|setting| setting.always = true);
        if let Some(domain) = &scope.domain {
            settings.push(Setting::text(option::DOMAIN, domain).always());
        }
        if let Some(vlan) = scope.vlan {
            settings.push(Setting::text(option::VLAN, &vlan.to_string()));
        }
        settings.extend(self.times(&scope.ntp, boot, now));
        Scope {
            net,
            pools: scope.pool.iter().map(range).collect(),
            lease: scope.lease.unwrap_or(self.dhcp.lease),
            boot,
            settings,
            unknown: scope.unknown,
        }
    }

    /// A network that the host is attached to, where no section names any: reserved addresses only.
    fn attached(&self, net: Net, now: Time) -> Scope {
        let boot = self.boot(None);
        let settings = self.times(&[], boot, now);
        Scope { net, pools: Vec::new(), lease: self.dhcp.lease, boot, settings, unknown: true }
    }

    /// Where the time comes from, for those who ask: options 42, 4, 2.
    fn times(&self, ntp: &[Ipv4Addr], boot: Option<Ipv4Addr>, now: Time) -> Vec<Setting> {
        let ours: Vec<Ipv4Addr> = self.ntp.or(boot).into_iter().collect();
        let servers = if ntp.is_empty() { ours } else { ntp.to_vec() };
        let mut settings = Vec::new();
        if !servers.is_empty() {
            settings.push(Setting::addresses(option::NTP, &servers));
            settings.push(Setting::addresses(option::TIME_SERVER, &servers));
        }
        if let Some(offset) = self.offset(now) {
            settings.push(Setting::seconds(option::TIME_OFFSET, offset));
        }
        settings
    }

    /// Seconds east of UTC, now.
    pub(super) fn offset(&self, now: Time) -> Option<i32> {
        let zone = TimeZoneDatabase::bundled().get(&self.timezone).ok()?;
        let stamp = jiff::Timestamp::from_millisecond(i64::try_from(now.0).ok()?).ok()?;
        Some(zone.to_offset(stamp).seconds())
    }
}

/// Tells phones from others.
#[derive(Debug, Default)]
pub(super) struct People {
    phones: HashMap<Mac, Option<usize>>,
    families: Vec<(Arc<Family>, Arc<[Setting]>)>,
}

impl People {
    pub(super) fn new(wanted: &Wanted) -> Self {
        let own = |family: &Arc<Family>| {
            let vendor = &family.dhcp.vendor;
            let vendor =
                (!vendor.is_empty()).then(|| Setting::bytes(option::VENDOR, vendor.clone()));
            (family.clone(), vendor.into_iter().collect())
        };
        let families: Vec<_> = wanted.families.families.values().map(own).collect();
        let place = |name: &str| families.iter().position(|(family, _)| family.name == name);
        let phones = wanted.phones.iter().map(|(mac, name)| (*mac, place(name))).collect();
        Self { phones, families }
    }

    fn boot(&self, mac: Mac, family: Option<usize>) -> Boot {
        let Some((family, settings)) = family.and_then(|at| self.families.get(at)) else {
            return Boot { url: None, host: None, settings: Arc::default() };
        };
        Boot {
            url: family.dhcp.url.clone(),
            host: family.dhcp.host(mac),
            settings: settings.clone(),
        }
    }
}

impl Clients for People {
    fn client(&self, mac: Mac, class: Option<&[u8]>) -> Client {
        if let Some(family) = self.phones.get(&mac) {
            return Client::Known(self.boot(mac, *family));
        }
        let fits = |(family, _): &(Arc<Family>, _)| family.recognises(mac, class);
        match self.families.iter().position(fits) {
            Some(at) => Client::Recognised(self.boot(mac, Some(at))),
            None => Client::Stranger,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Sources;
    use crate::family::library;
    use crate::model::testing;

    fn wanted(text: &str) -> Wanted {
        let read = testing::read(text);
        let path = std::path::Path::new("/handset.conf");
        let (site, said) = site::read(&read.conf, path, &["cisco-79x0"]);
        assert!(said.is_empty(), "{said:?}");
        let none = BTreeMap::new();
        let families = library::load(std::path::Path::new(""), &none, &mut Sources::default());
        let decided = (Some([192, 0, 2, 10].into()), Some("Europe/Berlin"));
        let mut wanted = Wanted::new(&site, &Assembly::default(), &Arc::new(families), decided);
        wanted.phones.insert("0018b9000001".parse().unwrap(), "cisco-79x0".into());
        wanted
    }

    /// Summer in Berlin.
    const NOW: Time = Time(1_750_000_000_000);

    #[test]
    fn a_scope_tells_its_own_settings_and_else_those_of_the_service() {
        let wanted = wanted(
            "[dhcp]\nlease=1h\nserver=192.0.2.9\n[dhcp 192.0.2.0/24]\nrouter=192.0.2.1\nvlan=20\n\
             [dhcp 198.51.100.0/24]\nlease=2h\nboot_server=198.51.100.1\nntp=198.51.100.2\n",
        );
        let site = wanted.site(&Links::default(), NOW);
        let [one, two] = &site.scopes[..] else { panic!("{site:?}") };
        let get = |scope: &Scope, code| {
            scope.settings.iter().find(|s| s.code == code).map(|s| (s.value.clone(), s.always))
        };
        assert_eq!((one.lease.as_secs(), one.boot), (3600, Some([192, 0, 2, 9].into())));
        assert_eq!(get(one, option::ROUTER), Some((vec![192, 0, 2, 1], true)));
        assert_eq!(get(one, option::VLAN), Some((b"20".to_vec(), false)));
        assert_eq!(get(one, option::NTP), Some((vec![192, 0, 2, 9], false)));
        assert_eq!(get(one, option::TIME_OFFSET), Some((7200_i32.to_be_bytes().to_vec(), false)));
        assert_eq!((two.lease.as_secs(), two.boot), (7200, Some([198, 51, 100, 1].into())));
        assert_eq!(get(two, option::NTP), Some((vec![198, 51, 100, 2], false)));
        assert_eq!(get(two, option::ROUTER), None);
    }

    #[test]
    fn phones_are_known_by_their_tag_else_recognised_by_class_else_by_their_maker() {
        let wanted = wanted("");
        let people = People::new(&wanted);
        let check = |mac: &str, class: Option<&str>, expected: &str| {
            let found = match people.client(mac.parse().unwrap(), class.map(str::as_bytes)) {
                Client::Known(boot) => format!("known {}", boot.host.unwrap_or_default()),
                Client::Recognised(boot) => format!("recognised {}", boot.host.unwrap_or_default()),
                Client::Stranger => "stranger".to_owned(),
            };
            assert_eq!(found, expected, "{mac} {class:?}");
        };
        let class = "Cisco Systems, Inc. IP Phone";
        check("0018b9000001", Some("MSFT 5.0"), "known SEP0018B9000001");
        check("020000000001", Some(class), "recognised SEP020000000001");
        check("020000000001", Some(&format!("{class} CP-7960G")), "recognised SEP020000000001");
        check("0018b9000002", None, "recognised SEP0018B9000002");
        check("0018b9000002", Some("MSFT 5.0"), "stranger");
        check("020000000001", Some(&format!("{class} CP-7941G")), "stranger");
        check("0004f2000001", None, "stranger");
    }
}
