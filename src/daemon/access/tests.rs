//! Where phones are: 1 is a neighbour at 192.0.2.1, 2 at 192.0.2.2; 198.51.100.0/24 is beyond a router.

use super::*;
use crate::daemon::askers::Whereabouts;

fn mac(last: u8) -> Mac {
    Mac::new([0, 0x18, 0xb9, 0, 0, last]).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn access(mode: GuardMode, trusted: &str) -> Access {
    let access = Access::new(|address| match address {
        IpAddr::V4(v4) if v4.is_loopback() => Place::Own,
        IpAddr::V4(v4) => match v4.octets() {
            [192, 0, 2, 99] => Place::Sought,
            [192, 0, 2, last] => Place::Near(mac(last)),
            _ => Place::Beyond,
        },
        IpAddr::V6(_) => Place::Beyond,
    });
    let nets: Vec<Cidr> = trusted.split_whitespace().map(|net| net.parse().unwrap()).collect();
    access.set(mode, &nets);
    access
}

fn told(access: &Access) -> Vec<String> {
    let word = |a: Alert| {
        let of = |mac: Option<Mac>| mac.map_or("-".into(), |mac| mac.to_string());
        format!("{} {} {} {} {}", a.reason, a.address, of(a.phone), of(a.owner), a.count)
    };
    access.alerts().into_iter().map(word).collect()
}

#[test]
fn a_file_goes_to_its_phone_and_the_setting_decides_about_the_unknown() {
    use Pass::{Give, Hide, Ignore};
    let check = |mode, trusted: &str, expected: [Pass; 5]| {
        let access = access(mode, trusted);
        let from = ["192.0.2.1", "192.0.2.2", "198.51.100.1", "127.0.0.1", "192.0.2.99"];
        let found = from.map(|from| access.pass(mac(1), ip(from), &Askers::default()));
        assert_eq!(found, expected, "{mode:?} {trusted}");
    };
    check(GuardMode::Strict, "", [Give, Hide, Hide, Hide, Ignore]);
    check(GuardMode::Lenient, "", [Give, Hide, Give, Give, Ignore]);
    check(GuardMode::Off, "", [Give, Give, Give, Give, Give]);
    check(GuardMode::Strict, "198.51.100.0/24", [Give, Hide, Give, Hide, Ignore]);
    check(GuardMode::Strict, "127.0.0.0/8 192.0.2.0/24", [Give, Hide, Hide, Give, Give]);
}

#[test]
fn registrations_and_proofs_vouch_beyond_a_router_until_a_neighbour_contradicts() {
    let (access, askers, far) =
        (access(GuardMode::Strict, ""), Askers::default(), ip("198.51.100.1"));
    let day = |days: u64| Time(now().0 - days * 86_400_000);
    let set = |whole: Option<&str>, proved: Option<(&str, u64)>| {
        let proved = proved.map(|(address, days)| (ip(address), day(days)));
        let whole = whole.map(ip);
        askers.set(mac(1), Whereabouts { whole, proved, ..Whereabouts::default() });
    };
    let check = |expected| assert_eq!(access.pass(mac(1), far, &askers), expected);
    check(Pass::Hide);
    set(Some("198.51.100.1"), None);
    check(Pass::Give);
    set(Some("198.51.100.2"), None);
    check(Pass::Hide);
    set(None, Some(("198.51.100.1", 29)));
    check(Pass::Give);
    set(None, Some(("198.51.100.1", 31)));
    check(Pass::Hide);
    set(None, Some(("192.0.2.2", 1)));
    assert_eq!(access.pass(mac(1), ip("192.0.2.2"), &askers), Pass::Hide);
    set(None, Some(("198.51.100.1", 1)));
    check(Pass::Hide);
    set(Some("127.0.0.1"), Some(("127.0.0.1", 0)));
    assert_eq!(access.pass(mac(1), ip("127.0.0.1"), &askers), Pass::Hide, "our own address");
}

#[test]
fn what_is_opened_is_given_until_its_end_and_never_to_another_neighbour() {
    let (access, askers, far) =
        (access(GuardMode::Strict, ""), Askers::default(), ip("198.51.100.1"));
    let pass = |phone, from| access.pass(mac(phone), from, &askers);
    assert_eq!(pass(1, far), Pass::Hide);
    assert!(access.open(Opening::Phone(mac(1)), Duration::from_secs(60)));
    assert_eq!([pass(1, far), pass(3, far)], [Pass::Give, Pass::Hide]);
    assert_eq!(pass(1, ip("192.0.2.2")), Pass::Hide);
    assert_eq!(access.all_open().len(), 1);
    assert!(access.close(&Opening::Phone(mac(1))) && !access.close(&Opening::Phone(mac(1))));
    assert_eq!(pass(1, far), Pass::Hide);
    let net = Opening::Net("198.51.100.0/24".parse().unwrap());
    assert!(access.open(net.clone(), Duration::from_secs(60)));
    assert_eq!([pass(1, far), pass(3, ip("198.51.101.1"))], [Pass::Give, Pass::Hide]);
    assert!(access.open(net, Duration::ZERO), "the time is set anew");
    assert_eq!((pass(1, far), access.all_open().len()), (Pass::Hide, 0));
    for number in 0..OPEN_MAX {
        let net = format!("10.0.{}.{}", number / 200, number % 200).parse().unwrap();
        assert!(access.open(Opening::Net(net), Duration::from_secs(60)));
    }
    assert!(!access.open(Opening::Phone(mac(9)), Duration::from_secs(60)));
}

#[test]
fn refusals_are_alerts_and_a_phone_that_is_let_in_waits_no_more() {
    let (access, askers) = (access(GuardMode::Strict, ""), Askers::default());
    for _ in 0..3 {
        access.pass(mac(1), ip("192.0.2.2"), &askers);
    }
    access.pass(mac(3), ip("198.51.100.1"), &askers);
    let mut both = told(&access);
    both.sort();
    let anothers = "another's 192.0.2.2 00:18:b9:00:00:01 00:18:b9:00:00:02 3";
    assert_eq!(both, [anothers, "unknown 198.51.100.1 00:18:b9:00:00:03 - 1"]);
    access.open(Opening::Phone(mac(3)), Duration::from_secs(60));
    access.pass(mac(3), ip("198.51.100.1"), &askers);
    assert_eq!(told(&access), [anothers]);
}

#[test]
fn ten_thousand_guesses_are_one_alert_and_the_phone_at_that_address_is_served_all_the_same() {
    let (access, askers, from) =
        (access(GuardMode::Strict, ""), Askers::default(), ip("192.0.2.2"));
    let mut answered = 0;
    for number in 0..10_000_u32 {
        let [.., a, b] = number.to_be_bytes();
        let guess = Mac::new([0, 0x18, 0xb9, 1, a, b]).unwrap();
        // Every fifth is a phone of ours.
        let pass = match number % 5 {
            0 => access.pass(guess, from, &askers),
            _ => access.guessed(guess, from, &askers),
        };
        assert_ne!(pass, Pass::Give);
        answered += u32::from(pass == Pass::Hide);
    }
    assert_eq!(told(&access), ["scan 192.0.2.2 - - 9988"]);
    assert!((17..60).contains(&answered), "{answered} were answered");
    assert_eq!(access.pass(mac(2), from, &askers), Pass::Give);
    assert_eq!(access.guessed(mac(2), from, &askers), Pass::Hide);
    assert_eq!(access.guessed(mac(2), ip("192.0.2.3"), &askers), Pass::Hide);
}

#[test]
fn where_the_operator_trusts_or_guards_nothing_many_macs_are_no_scan() {
    let check = |access: &Access| {
        for number in 0..100 {
            let pass = access.guessed(mac(number), ip("198.51.100.1"), &Askers::default());
            assert_eq!(pass, Pass::Hide);
        }
        assert_eq!(told(access), [""; 0]);
    };
    check(&access(GuardMode::Off, ""));
    check(&access(GuardMode::Strict, "198.51.100.0/24"));
    let open = access(GuardMode::Strict, "");
    open.open(Opening::Net("198.51.100.0/24".parse().unwrap()), Duration::from_secs(60));
    check(&open);
}

#[test]
fn a_site_behind_one_address_whose_phones_are_known_there_is_no_scanner() {
    let (access, askers, home) =
        (access(GuardMode::Strict, ""), Askers::default(), ip("198.51.100.1"));
    for number in 1..=60 {
        let proved = (number % 2 == 0).then(|| (home, now()));
        let registered = if proved.is_none() { [home].into() } else { [].into() };
        askers.set(mac(number), Whereabouts { proved, registered, ..Whereabouts::default() });
        assert_eq!(access.guessed(mac(number), home, &askers), Pass::Hide);
    }
    assert_eq!(told(&access), [""; 0]);
    for number in 101..=117 {
        access.guessed(mac(number), home, &askers);
    }
    assert_eq!(told(&access), ["scan 198.51.100.1 - - 1"]);
    assert_eq!(access.guessed(mac(1), home, &askers), Pass::Hide);
}
