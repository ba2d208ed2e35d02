//! The values of handset.conf.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZoneDatabase;

use super::dhcp::Net4;
use super::window::Window;
use crate::base::nearest::nearest;
use crate::base::{Cidr, FileName, Span, Spanned};

/// A value and what is needed to make sense of it.
pub(super) struct Context<'a> {
    /// The value as Asterisk would have it.
    pub(super) value: &'a str,
    pub(super) span: Span,
    /// The folder of handset.conf.
    pub(super) folder: &'a Path,
    pub(super) families: &'a [&'a str],
    /// The network of a section `[dhcp NETWORK]`.
    pub(super) scope: Option<Net4>,
}

impl Context<'_> {
    pub(super) fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(value, self.span)
    }
}

/// What is wrong with a value, and what to write instead. Holds no part of the value unless it is
/// worth showing, and never of a secret.
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) help: String,
}

fn fault<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { message: message.into(), help: help.into() })
}

/// A text that is not empty.
pub(super) fn text(context: &Context<'_>) -> Result<String, Fault> {
    match context.value {
        "" => fault("the value is empty", "give a value, or take the line out"),
        value => Ok(value.to_owned()),
    }
}

/// A path; a relative one starts at the folder of handset.conf.
pub(super) fn path(context: &Context<'_>) -> Result<PathBuf, Fault> {
    let value = text(context)?;
    match value.contains('\0') {
        true => fault("a path holds no NUL", "write a path"),
        false => Ok(context.folder.join(value)),
    }
}

/// The name of a file that is served, of letters that need no escape in a URL.
pub(super) fn file(context: &Context<'_>) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    match FileName::new(context.value) {
        Ok(name) if name.as_str().bytes().all(plain) => Ok(name.into()),
        _ => fault(
            format!("{:?} is no name of a served file", context.value),
            "write the name that it has in the root of [tftp], as logo.bmp",
        ),
    }
}

/// An address that a phone can be told.
pub(super) fn address(context: &Context<'_>) -> Result<IpAddr, Fault> {
    const HELP: &str = "write the address on which the phones reach this host, as 192.0.2.10";
    match context.value.parse::<IpAddr>() {
        Err(_) => fault(format!("{:?} is no IP address", context.value), HELP),
        Ok(ip) if ip.is_unspecified() || ip.is_multicast() => {
            fault(format!("{ip} is not the address of one host"), HELP)
        }
        Ok(ip) => Ok(ip),
    }
}

/// Networks, joined by commas.
pub(super) fn nets(context: &Context<'_>) -> Result<Vec<Cidr>, Fault> {
    const MANY: usize = 256;
    let words: Vec<&str> = context.value.split(',').map(str::trim).collect();
    if words.len() > MANY {
        return fault("too many networks", format!("write at most {MANY}"));
    }
    let net = |word: &&str| {
        word.parse::<Cidr>().map_err(|error| Fault {
            message: format!("{word:?} is no network: {error}"),
            help: "write networks as 192.0.2.0/24, 198.51.100.0/24".into(),
        })
    };
    words.iter().map(net).collect()
}

/// A host name or an address: letters, digits, `.`, `-`, `_`, `:`.
pub(super) fn host(context: &Context<'_>) -> Result<String, Fault> {
    let value = text(context)?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b".-_:".contains(&b);
    match value.len() <= 253 && value.bytes().all(fits) {
        true => Ok(value),
        false => fault(
            format!("{value:?} is no host name and no address"),
            "write a name as ntp.example.org or an address as 192.0.2.10",
        ),
    }
}

/// Where to listen; `off` gives none.
pub(super) fn listen(context: &Context<'_>, port: u16) -> Result<Option<SocketAddr>, Fault> {
    let value = context.value;
    if value.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let whole = value.parse::<SocketAddr>().ok();
    let bare = || value.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
    let only = || value.parse().ok().map(|port: u16| (Ipv4Addr::UNSPECIFIED, port).into());
    match whole.or_else(bare).or_else(only) {
        Some(address) => Ok(Some(address)),
        None => fault(
            format!("{value:?} is no address to listen on"),
            format!("write ADDRESS:PORT, as 0.0.0.0:{port} or [::]:{port}, or off"),
        ),
    }
}

/// A port that one can connect to.
pub(super) fn port(context: &Context<'_>) -> Result<u16, Fault> {
    match context.value.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => fault(format!("{:?} is no port", context.value), "write a number from 1 to 65535"),
    }
}

/// The longest duration that makes sense here: a year.
const LONGEST: f64 = 366.0 * 86400.0;

/// Seconds, or a number with a unit.
pub(super) fn duration(context: &Context<'_>) -> Result<Duration, Fault> {
    const UNITS: [(&str, f64); 5] =
        [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];
    let value = context.value.to_ascii_lowercase();
    let unit = UNITS.iter().find_map(|(unit, size)| Some((value.strip_suffix(unit)?, *size)));
    let (digits, size) = unit.unwrap_or((&value, 1.0));
    match number(digits.trim_end()).map(|n| n * size) {
        Some(seconds) if seconds <= LONGEST => Ok(Duration::from_secs_f64(seconds)),
        _ => fault(
            format!("{:?} is no duration", context.value),
            "write seconds, or a number with s, m, h or d, as 90s or 0.5s",
        ),
    }
}

/// More than nothing, and at most 1000 a second.
pub(super) fn rate(context: &Context<'_>) -> Result<f64, Fault> {
    match number(context.value) {
        Some(rate) if rate > 0.0 && rate <= 1000.0 => Ok(rate),
        _ => fault(
            format!("{:?} is no rate", context.value),
            "write how many in a second, more than 0 and at most 1000",
        ),
    }
}

/// A whole number from 1 on.
pub(super) fn count(context: &Context<'_>, most: u64) -> Result<u64, Fault> {
    match context.value.parse::<u64>() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => fault(
            format!("{:?} is no number here", context.value),
            format!("write a whole number from 1 to {most}"),
        ),
    }
}

/// 0 to 100, with or without the sign.
pub(super) fn percent(context: &Context<'_>) -> Result<u8, Fault> {
    let digits = context.value.strip_suffix('%').unwrap_or(context.value).trim_end();
    match digits.parse() {
        Ok(number @ 0..=100) if !digits.starts_with('+') => Ok(number),
        _ => fault(format!("{:?} is no share", context.value), "write 0% to 100%"),
    }
}

/// Two times of the day.
pub(super) fn window(context: &Context<'_>) -> Result<Window, Fault> {
    Window::parse(context.value).ok_or_else(|| Fault {
        message: format!("{:?} is no part of the day", context.value),
        help: "write two times that differ, as 22:00-05:00".into(),
    })
}

/// Digits with at most one point: no sign, no exponent, no `inf`.
fn number(text: &str) -> Option<f64> {
    let plain = |b: u8| b.is_ascii_digit() || b == b'.';
    if text.is_empty() || !text.bytes().all(plain) {
        return None;
    }
    text.parse().ok()
}

/// The name of an IANA zone, in the database's own spelling.
pub(super) fn zone(context: &Context<'_>) -> Result<String, Fault> {
    let zones = TimeZoneDatabase::bundled();
    if let Some(name) = zones.get(context.value).ok().and_then(|z| z.iana_name().map(str::to_owned))
    {
        return Ok(name);
    }
    let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
    let help = match nearest(context.value, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => "write a name of the IANA database, as Europe/Berlin".to_owned(),
    };
    fault(format!("{:?} is no time zone", context.value), help)
}

/// The name of a known family.
pub(super) fn family(context: &Context<'_>) -> Result<String, Fault> {
    let is = |family: &&&str| family.eq_ignore_ascii_case(context.value);
    match context.families.iter().find(is) {
        Some(family) => Ok((*family).to_owned()),
        None => fault(
            format!("there is no family {:?}", context.value),
            format!("write one of {}", context.families.join(", ")),
        ),
    }
}

/// One of some words.
pub(super) fn choice<T: Copy>(context: &Context<'_>, words: &[(&str, T)]) -> Result<T, Fault> {
    if let Some((_, value)) = words.iter().find(|(w, _)| w.eq_ignore_ascii_case(context.value)) {
        return Ok(*value);
    }
    let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    fault(format!("{:?} is not known here", context.value), format!("write {}", all.join(" or ")))
}

/// `yes` or `no`, and what Asterisk takes for them.
pub(super) fn yes_no(context: &Context<'_>) -> Result<bool, Fault> {
    let (yes, no) = (["yes", "true", "on", "1"], ["no", "false", "off", "0"]);
    let is = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(context.value));
    match (is(&yes), is(&no)) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => fault(format!("{:?} is not known here", context.value), "write yes or no"),
    }
}

/// An IPv4 address of one host.
pub(super) fn ipv4(context: &Context<'_>) -> Result<Ipv4Addr, Fault> {
    match address(context)? {
        IpAddr::V4(v4) if !v4.is_broadcast() => Ok(v4),
        _ => fault(
            format!("{:?} is no IPv4 address of one host", context.value),
            "these phones speak IPv4 only: write an address as 192.0.2.10",
        ),
    }
}

/// So many addresses, ranges or names make sense in one value.
const LIST: usize = 16;

fn list<T>(
    context: &Context<'_>,
    item: impl Fn(&str) -> Option<T>,
    what: &str,
    help: &str,
) -> Result<Vec<T>, Fault> {
    let words: Vec<&str> = context.value.split(',').map(str::trim).collect();
    if words.len() > LIST {
        return fault(format!("more than {LIST} are too many"), format!("write at most {LIST}"));
    }
    let one = |word: &&str| {
        item(word)
            .ok_or_else(|| Fault { message: format!("{word:?} is no {what}"), help: help.into() })
    };
    words.iter().map(one).collect()
}

fn host4(word: &str) -> Option<Ipv4Addr> {
    let address: Ipv4Addr = word.parse().ok()?;
    (!address.is_unspecified() && !address.is_multicast() && !address.is_broadcast())
        .then_some(address)
}

/// IPv4 addresses, joined by commas.
pub(super) fn addresses(context: &Context<'_>) -> Result<Vec<Ipv4Addr>, Fault> {
    list(context, host4, "IPv4 address of one host", "write addresses as 192.0.2.1, 192.0.2.2")
}

/// Ranges of IPv4 addresses, joined by commas; a single address is a range of one.
pub(super) fn ranges(context: &Context<'_>) -> Result<Vec<(Ipv4Addr, Ipv4Addr)>, Fault> {
    let range = |word: &str| {
        let (from, to) = word.split_once('-').unwrap_or((word, word));
        let (from, to) = (host4(from.trim())?, host4(to.trim())?);
        (from <= to).then_some((from, to))
    };
    list(context, range, "range of addresses", "write ranges as 192.0.2.100-192.0.2.200")
}

/// Names of interfaces, joined by commas (IFNAMSIZ: 15 bytes).
pub(super) fn interfaces(context: &Context<'_>) -> Result<Vec<String>, Fault> {
    let name = |word: &str| {
        let fits = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b':';
        let good = (1..=15).contains(&word.len()) && word.bytes().all(fits) && word != "lo";
        good.then(|| word.to_owned())
    };
    list(context, name, "name of an interface", "write names as eth0, eth1.20")
}

/// The time of a lease: what clients take for "for ever" is not meant here.
pub(super) fn lease(context: &Context<'_>) -> Result<Duration, Fault> {
    match duration(context)? {
        span if span >= Duration::from_secs(30) => Ok(span),
        _ => fault(
            format!("{:?} is too short for a lease", context.value),
            "write at least 30s; 12h suits phones",
        ),
    }
}

/// The number of a VLAN.
pub(super) fn vlan(context: &Context<'_>) -> Result<u16, Fault> {
    match context.value.parse::<u16>() {
        Ok(vlan) if (1..=4094).contains(&vlan) => Ok(vlan),
        _ => fault(format!("{:?} is no VLAN", context.value), "write a number from 1 to 4094"),
    }
}

/// A program by its whole path, and its arguments.
pub(super) fn words(context: &Context<'_>) -> Result<Vec<String>, Fault> {
    let words: Vec<String> = context.value.split_whitespace().map(str::to_owned).collect();
    match words.first() {
        Some(program) if program.starts_with('/') && !context.value.contains('\0') => Ok(words),
        _ => fault(
            format!("{:?} is no program with its path", context.value),
            "write a path and arguments, as /usr/bin/systemctl reload dnsmasq",
        ),
    }
}

/// A word that stands in a URL as it is, and that nobody guesses. What is wrong with it is told without it.
pub(super) fn token(context: &Context<'_>) -> Result<String, Fault> {
    const HELP: &str = "write 16 to 128 letters and digits: openssl rand -hex 16 makes some";
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    match context.value {
        "" => fault("the value is empty", HELP),
        value if !value.bytes().all(fits) => fault("the value has other signs", HELP),
        value if !(16..=128).contains(&value.len()) => fault("the value has another length", HELP),
        value => Ok(value.to_owned()),
    }
}

/// Names of peers, joined by commas; one may end in `*`.
pub(super) fn peers(context: &Context<'_>) -> Result<Vec<String>, Fault> {
    const MANY: usize = 256;
    let words: Vec<&str> = context.value.split(',').map(str::trim).collect();
    let bad = |word: &&&str| {
        let name = word.strip_suffix('*').unwrap_or(word);
        name.is_empty() || name.len() > 80 || name.contains(|c: char| c == '*' || c.is_control())
    };
    match words.iter().find(bad) {
        _ if words.len() > MANY => fault("too many names", format!("write at most {MANY}")),
        Some(word) => {
            fault(format!("{word:?} is no name of a peer"), "write names as guest1, desk-*")
        }
        None => Ok(words.into_iter().map(str::to_owned).collect()),
    }
}
