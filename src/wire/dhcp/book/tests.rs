use super::super::net::Range;
use super::super::site::Scope;
use super::*;

const START: Time = Time(1_700_000_000_000);
const HOUR: u64 = 3_600_000;

fn mac(n: u32) -> Mac {
    let [_, a, b, c] = n.to_be_bytes();
    Mac::new([0, 0x18, 0xb9, a, b, c]).unwrap()
}

fn ip(n: u32) -> Ipv4Addr {
    (0x0a00_0000 + n).into()
}

fn site(first: u32, last: u32) -> Site {
    let scope = Scope {
        net: "10.0.0.0/8".parse().unwrap(),
        pools: vec![Range { first: ip(first), last: ip(last) }],
        lease: Duration::from_secs(12 * 3600),
        boot: None,
        settings: Vec::new(),
        unknown: true,
    };
    Site { scopes: vec![scope], ..Site::default() }
}

fn book(first: u32, last: u32) -> Book {
    let mut book = Book::default();
    book.configure(&site(first, last));
    assert!(book.read_clock(START).is_empty());
    book
}

fn bind(book: &mut Book, address: Ipv4Addr, mac: Mac) -> Vec<Change> {
    let (since, until) = (book.now(), book.now().after(Duration::from_secs(12 * 3600)));
    let (id, host) = (Vec::new(), String::new());
    let lease = Lease { address, mac, state: State::Bound, since, until, id, host };
    book.bind(lease, |_| true)
}

/// Reads the clock every minute for some hours.
fn pass(book: &mut Book, from: Time, hours: u64) -> Time {
    for minute in 1..=hours * 60 {
        assert!(book.read_clock(Time(from.0 + minute * 60_000)).is_empty());
    }
    Time(from.0 + hours * HOUR)
}

#[test]
fn never_used_comes_first_then_what_is_free_for_longest() {
    let mut book = book(1, 3);
    let mut now = START;
    for n in 1..=3 {
        assert_eq!(book.next(0), Some(ip(n)));
        bind(&mut book, ip(n), mac(n));
        now = pass(&mut book, now, 1);
    }
    assert_eq!(book.next(0), None);
    book.release(mac(2), ip(2));
    assert_eq!(book.next(0), Some(ip(2)));
    now = pass(&mut book, now, 9);
    assert_eq!(book.next(0), Some(ip(2)));
    bind(&mut book, ip(2), mac(9));
    pass(&mut book, now, 1);
    assert_eq!(book.next(0), Some(ip(1)));
}

#[test]
fn edges_reservations_and_our_own_addresses_are_not_picked() {
    let mut site = site(0, 6);
    site.scopes[0].net = "10.0.0.0/29".parse().unwrap();
    site.scopes[0].pools.push(Range { first: ip(3), last: ip(99) });
    site.reserved.insert(ip(1), mac(1));
    site.ours.insert(ip(4));
    let mut book = Book::default();
    book.configure(&site);
    book.read_clock(START);
    let mut picked = Vec::new();
    while let Some(address) = book.next(0) {
        bind(&mut book, address, mac(50 + u32::try_from(picked.len()).unwrap()));
        picked.push(address);
    }
    assert_eq!(picked, [ip(2), ip(3), ip(5), ip(6)]);
    let inside: Vec<_> = (0..9).map(ip).filter(|a| book.in_pool(*a)).collect();
    assert_eq!(inside, picked);
}

#[test]
fn pools_that_overlap_are_the_first_scope_s() {
    let mut site = site(10, 20);
    let mut second = site.scopes[0].clone();
    second.pools = vec![Range { first: ip(1), last: ip(30) }, Range { first: ip(9), last: ip(2) }];
    site.scopes.push(second);
    let mut book = Book::default();
    book.configure(&site);
    let count = |book: &mut Book, scope| {
        (0_u32..)
            .take_while(|n| {
                book.next(scope).is_some_and(|a| !bind(book, a, mac(n + 100)).is_empty())
            })
            .count()
    };
    assert_eq!((count(&mut book, 1), count(&mut book, 0)), (19, 11));
}

#[test]
fn an_offer_ends_by_itself_and_its_address_is_new_again() {
    let mut book = book(1, 2);
    book.offer(ip(1), mac(1), Duration::from_secs(60));
    assert!(book.is_anothers(mac(2), ip(1)) && !book.is_anothers(mac(1), ip(1)));
    assert_eq!(book.next(0), Some(ip(2)));
    book.read_clock(Time(START.0 + 60_000));
    assert!(!book.is_anothers(mac(2), ip(1)));
    book.tidy();
    assert_eq!((book.offers().count(), book.next(0)), (0, Some(ip(1))));
}

#[test]
fn a_clock_that_was_set_forward_ends_no_lease() {
    let mut book = book(1, 3);
    bind(&mut book, ip(1), mac(1));
    bind(&mut book, ip(2), mac(2));
    let later = Time(START.0 + 40 * 365 * 24 * HOUR);
    let changes = book.read_clock(later);
    assert_eq!(changes.len(), 2, "both are stored with their new ends");
    assert_eq!(book.get(ip(1)).unwrap().until, Time(later.0 + 12 * HOUR));
    assert!(book.is_anothers(mac(9), ip(1)));
    let now = pass(&mut book, later, 11);
    assert!(book.is_anothers(mac(9), ip(1)));
    pass(&mut book, now, 1);
    assert!(!book.is_anothers(mac(9), ip(1)));
}

#[test]
fn a_clock_that_was_set_back_keeps_no_lease_for_ever() {
    let mut book = book(1, 3);
    bind(&mut book, ip(1), mac(1));
    // A few seconds are nothing.
    assert!(book.read_clock(Time(START.0 - 30_000)).is_empty());
    assert_eq!(book.now(), START);
    let changes = book.read_clock(Time(5));
    let [Change::Put(row)] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(row.until, Time(5 + 12 * HOUR));
    let now = pass(&mut book, Time(5), 11);
    assert!(book.is_anothers(mac(9), ip(1)));
    pass(&mut book, now, 1);
    assert!(!book.is_anothers(mac(9), ip(1)));
}

#[test]
fn a_restart_under_a_wrong_clock_ends_no_lease() {
    let mut old = book(1, 9);
    let rows: Vec<Lease> = [bind(&mut old, ip(1), mac(1)), bind(&mut old, ip(2), mac(2))]
        .concat()
        .into_iter()
        .filter_map(|change| match change {
            Change::Put(lease) => Some(lease),
            Change::Remove(_) => None,
        })
        .collect();
    for clock in [Time(7), Time(START.0 + 9 * 365 * 24 * HOUR), Time(START.0 + HOUR / 10)] {
        let mut book = Book::default();
        book.configure(&site(1, 9));
        book.restore(rows.clone().into_iter(), clock);
        assert_eq!(book.now(), clock);
        assert!(book.is_anothers(mac(9), ip(1)) && book.is_anothers(mac(1), ip(2)));
        let left = book.get(ip(1)).unwrap().until.since(clock);
        assert!(left >= Duration::from_secs(11 * 3600) && left <= Duration::from_secs(12 * 3600));
        assert_eq!(book.next(0), Some(ip(3)));
        // And under a right one later.
        book.read_clock(START);
        assert!(book.is_anothers(mac(9), ip(1)));
    }
}

#[test]
fn fifty_thousand_leases_are_picked_and_found_quickly() {
    let mut book = book(1, 60_000);
    for n in 1..=50_000 {
        let address = book.next(0).unwrap();
        book.offer(address, mac(n), Duration::from_secs(60));
        assert_eq!(bind(&mut book, address, mac(n)).len(), 1);
    }
    assert_eq!(book.leases().count(), 50_000);
    let mut again = Book::default();
    again.configure(&site(1, 60_000));
    let rows: Vec<_> = book.leases().cloned().collect();
    assert!(again.restore(rows.into_iter(), START).is_empty());
    assert_eq!(again.next(0), book.next(0));
    assert_eq!(again.owned(mac(777)).collect::<Vec<_>>(), [ip(777)]);
}

#[test]
fn the_book_is_bounded() {
    let most = u32::try_from(MAX_LEASES).unwrap();
    let mut book = book(1, 2 * most);
    for n in 1..=most {
        book.offer(ip(n), mac(n), Duration::from_secs(60));
    }
    assert_eq!(book.next(0), None);
    assert!(!book.has_room(ip(most + 1)) && book.has_room(ip(1)));
    book.read_clock(Time(START.0 + 61_000));
    assert_eq!(book.next(0), Some(ip(1)));
    book.tidy();
    assert!(book.has_room(ip(most + 1)));
}

#[test]
fn every_address_is_counted_once_whatever_happens() {
    let mut book = book(1, 40);
    let mut seed = 5_u32;
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (n, who) = (1 + (seed >> 8) % 40, mac(1 + (seed >> 16) % 60));
        match seed >> 29 {
            0 | 1 if !book.is_anothers(who, ip(n)) => {
                book.offer(ip(n), who, Duration::from_secs(60));
            }
            2 | 3 if !book.is_anothers(who, ip(n)) => drop(bind(&mut book, ip(n), who)),
            4 => drop(book.release(who, ip(n))),
            5 if book.is_lessee(who, ip(n)) => {
                drop(book.decline(ip(n), who, Duration::from_secs(9 * 60)));
            }
            6 => book.withdraw(who),
            7 => {
                book.read_clock(Time(book.now().0 + u64::from(seed % 900_000)));
                book.tidy();
            }
            _ => {}
        }
        assert_eq!(book.pools.count(), (40 - book.entries.len(), book.entries.len()));
        if let Some(next) = book.next(0) {
            assert!(!book.is_anothers(mac(999), next));
        } else {
            assert!((1..=40).all(|n| book.is_anothers(mac(999), ip(n))));
        }
    }
}

#[test]
fn a_lease_is_forgotten_a_month_after_its_end() {
    let mut book = book(1, 9);
    bind(&mut book, ip(1), mac(1));
    let mut now = pass(&mut book, START, 12 + 30 * 24);
    assert!(book.tidy().is_empty() && book.is_lessee(mac(1), ip(1)));
    now = Time(now.0 + 1);
    book.read_clock(now);
    assert_eq!(book.tidy(), [Change::Remove(ip(1))]);
    assert!(book.get(ip(1)).is_none() && book.tidy().is_empty());
    assert_eq!(book.next(0), Some(ip(1)));
}
