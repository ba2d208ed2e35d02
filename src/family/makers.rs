//! Makers of phones, by the beginnings of their MACs and of their DHCP vendor classes: for telling people
//! what an unknown machine seems to be.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use crate::base::{Mac, Sources, hex};
use crate::conf::{self, Conf, Memory};

/// The shipped table.
static TABLE: &str = include_str!("../families/makers.conf");

static SHIPPED: LazyLock<Makers> = LazyLock::new(|| Makers::read(TABLE).0);

/// Who makes what.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Makers {
    ouis: BTreeMap<[u8; 3], String>,
    classes: Vec<(String, String)>,
}

/// The maker of a machine: what its vendor class says (NULs at its end do not count), else its MAC.
pub fn maker(mac: Mac, class: Option<&[u8]>) -> Option<&'static str> {
    let by_class = class.and_then(|class| SHIPPED.by_class(class));
    by_class.or_else(|| SHIPPED.by_mac(mac))
}

impl Makers {
    /// Reads a table; with the lines that say nothing.
    fn read(text: &str) -> (Self, Vec<String>) {
        let (mut makers, mut bad) = (Self::default(), Vec::new());
        let conf = parse(text);
        for section in &conf.sections {
            for entry in &section.entries {
                let (name, maker) = (entry.name.chars(), entry.value.chars().into_owned());
                match (&*section.name.chars(), oui(&name)) {
                    ("ouis", Some(oui)) => drop(makers.ouis.insert(oui, maker)),
                    ("classes", _) => makers.classes.push((name.into_owned(), maker)),
                    _ => bad.push(name.into_owned()),
                }
            }
        }
        (makers, bad)
    }

    fn by_mac(&self, mac: Mac) -> Option<&str> {
        let [a, b, c, ..] = mac.bytes();
        self.ouis.get(&[a, b, c]).map(String::as_str)
    }

    fn by_class(&self, class: &[u8]) -> Option<&str> {
        let fits = |(prefix, _): &&(String, String)| class.starts_with(prefix.as_bytes());
        let best = self.classes.iter().filter(fits).max_by_key(|(prefix, _)| prefix.len());
        best.map(|(_, maker)| maker.as_str())
    }
}

fn parse(text: &str) -> Conf {
    let path = Path::new("/makers.conf");
    let mut files = Memory::default().with(path, text.as_bytes().to_vec());
    conf::read(path, Path::new("/"), &mut files, &mut Sources::default())
}

/// Six hexadecimal digits.
pub(super) fn oui(text: &str) -> Option<[u8; 3]> {
    hex::decode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_is_read_whole() {
        let (makers, bad) = Makers::read(TABLE);
        assert_eq!(bad, [""; 0]);
        assert_eq!(makers.ouis.len(), TABLE.lines().filter(|l| l.contains(" = ")).count());
        assert_eq!(makers.classes.len(), TABLE.lines().filter(|l| l.contains(" => ")).count());
        assert!(makers.ouis.len() > 40 && makers.classes.len() > 15);
    }

    #[test]
    fn a_class_says_more_than_the_mac_and_anything_else_is_nobodys() {
        let check = |mac: &str, class: Option<&str>, expected: Option<&str>| {
            let found = maker(mac.parse().unwrap(), class.map(str::as_bytes));
            assert_eq!(found, expected, "{mac} {class:?}");
        };
        check("0018b9000001", None, Some("Cisco"));
        check("0018b9000001", Some("Polycom-VVX400"), Some("Polycom"));
        check("020000000001", Some("Cisco Systems, Inc. IP Phone CP-7960G\0"), Some("Cisco"));
        check("020000000001", Some("Cisco SPA525G2"), Some("Cisco SPA"));
        check("020000000001", Some("MSFT 5.0"), None);
        check("0004f2000001", Some("MSFT 5.0"), Some("Polycom"));
        check("020000000001", None, None);
    }
}
