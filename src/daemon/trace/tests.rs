use super::*;
use crate::base::Digest;
use crate::daemon::event::Ticket;
use crate::daemon::journal;
use crate::daemon::journal::spawn_writer;
use crate::daemon::store::Store;
use crate::plan::boot::script;

const ROOM: Bounds = Bounds { age: Duration::from_secs(86_400), bytes: 1 << 20 };

fn store(dir: &std::path::Path) -> Store {
    // The thread of the writer before may still have it for a moment.
    let open = || {
        (0..200).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            journal::open(dir).ok()
        })
    };
    let (journal, _) = open().unwrap();
    Store::restore(&journal, spawn_writer(journal.clone()).unwrap()).0
}

fn stages() -> Arc<Stages> {
    let none = std::collections::BTreeMap::new();
    let sources = &mut crate::base::Sources::default();
    let all = crate::family::library::load(std::path::Path::new(""), &none, sources);
    Arc::new(Stages::new(all.families.values().map(AsRef::as_ref)))
}

fn transfer(name: &str, millis: u64) -> Transfer {
    Transfer {
        asker: "10.0.0.23:50000".parse().unwrap(),
        name: name.to_owned(),
        ticket: None,
        outcome: Outcome::NotFound,
        bytes: 0,
        millis: 0,
        at: Time(millis),
        agent: None,
    }
}

fn on_disk(store: &Store) -> Vec<Fact> {
    let mut facts = Vec::new();
    let take = |_: &[u8], row: &[u8]| {
        facts.extend(record::decode(row).unwrap_or_default());
        true
    };
    store.journal().each(Table::Events, &[], take).unwrap();
    facts
}

fn names(facts: &[Fact]) -> Vec<(Option<Mac>, String)> {
    let name = |fact: &Fact| match &fact.what {
        What::File(file) => (fact.mac, file.name.clone()),
        other => (fact.mac, format!("{other:?}")),
    };
    facts.iter().map(name).collect()
}

#[tokio::test]
async fn a_request_without_a_mac_waits_for_the_one_that_tells_whose_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store(dir.path());
    let mut ledger = Ledger::new(store.journal());
    ledger.learn(stages());
    let mac: Mac = "0018b9ffffff".parse().unwrap();
    let mut ask = |name: &str| ledger.file(transfer(name, 5000), None, false, Time(5000));
    assert_eq!(ask("OS79XX.TXT"), None);
    assert_eq!(ask("SEP0018B9FFFFFF.cnf.xml"), Some(mac));
    assert_eq!(ask("XMLDefault.cnf.xml"), Some(mac));
    assert_eq!(ledger.stage(mac).unwrap().name, "sccp");
    ledger.look(&mut store, ROOM, true, Time(5500));
    assert!(on_disk(&store).is_empty());
    ledger.look(&mut store, ROOM, true, Time(6000));
    store.flush().await.unwrap();
    let whose = ["OS79XX.TXT", "SEP0018B9FFFFFF.cnf.xml", "XMLDefault.cnf.xml"];
    assert_eq!(names(&on_disk(&store)), whose.map(|name| (Some(mac), name.to_owned())));
}

#[tokio::test]
async fn behind_one_address_what_waits_for_its_phone_is_not_lost_when_another_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store(dir.path());
    let mut ledger = Ledger::new(store.journal());
    ledger.learn(stages());
    let mut ask = |name: &str| ledger.file(transfer(name, 5000), None, false, Time(5000));
    let phones: Vec<_> = (1..4).map(|n| format!("SEP0018B9FFFF0{n}.cnf.xml")).collect();
    let [first, _, third] = [0, 1, 2].map(|n| Mac::within(phones[n].as_bytes()));
    assert!(ask(&phones[0]) == first && ask(&phones[1]).is_some());
    assert_eq!(ask("OS79XX.TXT"), None);
    assert_eq!(ask("XMLDefault.cnf.xml"), first);
    assert_eq!(ask(&phones[2]), third);
    ledger.write(&mut store, ROOM, Time(6000));
    store.flush().await.unwrap();
    let all = names(&on_disk(&store));
    assert!(all.contains(&(third, "OS79XX.TXT".to_owned())), "{all:?}");
}

#[tokio::test]
async fn what_nobody_named_himself_for_is_kept_without_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store(dir.path());
    let mut ledger = Ledger::new(store.journal());
    ledger.learn(stages());
    ledger.file(transfer("OS79XX.TXT", 5000), None, false, Time(5000));
    assert!(ledger.expired(Time(20_000)).is_empty());
    let expired = ledger.expired(Time(40_000));
    assert_eq!(names(&expired), [(None, "OS79XX.TXT".to_owned())]);
    expired.into_iter().for_each(|fact| ledger.other(fact, Time(40_000)));
    ledger.write(&mut store, ROOM, Time(40_000));
    store.flush().await.unwrap();
    assert_eq!(on_disk(&store).len(), 1);
}

#[tokio::test]
async fn the_journal_keeps_within_its_size_and_age_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mac: Mac = "0018b9ffffff".parse().unwrap();
    let fact = |at: u64| Fact {
        at: Time(at),
        mac: Some(mac),
        address: None,
        what: What::Registered(format!("peer-{at}")),
    };
    {
        let mut store = store(dir.path());
        let mut ledger = Ledger::new(store.journal());
        for second in 1..=100 {
            ledger.other(fact(second * 1000), Time(second * 1000));
            ledger.write(&mut store, Bounds { bytes: 2000, ..ROOM }, Time(second * 1000));
        }
        store.flush().await.unwrap();
        let facts = on_disk(&store);
        assert!(facts.len() > 5 && facts.len() < 40, "{}", facts.len());
        assert_eq!(facts.last().unwrap().at, Time(100_000));
    }
    let mut store = store(dir.path());
    let mut ledger = Ledger::new(store.journal());
    assert!(ledger.bytes > 500 && ledger.bytes <= 2000, "{}", ledger.bytes);
    ledger.other(fact(110_000), Time(110_000));
    ledger.write(&mut store, Bounds { age: Duration::from_secs(12), ..ROOM }, Time(110_000));
    store.flush().await.unwrap();
    let times: Vec<Time> = on_disk(&store).iter().map(|fact| fact.at).collect();
    assert_eq!(times, [98_000, 99_000, 100_000, 110_000].map(Time));
}

#[tokio::test]
async fn who_follows_hears_all_once_and_who_does_not_take_it_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store(dir.path());
    let journal = store.journal().clone();
    let mut ledger = Ledger::new(&journal);
    ledger.learn(stages());
    let mut ask = |ledger: &mut Ledger, name: &str, now: u64| {
        ledger.file(transfer(name, now), None, false, Time(now));
        ledger.look(&mut store, ROOM, true, Time(now));
    };
    ask(&mut ledger, "SIP0018B9FFFF01.cnf", 1000);
    ask(&mut ledger, "SIP0018B9FFFF02.cnf", 2500);
    ask(&mut ledger, "SIP0018B9FFFF03.cnf", 2600);
    let mut news = ledger.follow(true).unwrap();
    let mut begins = Vec::new();
    let history = ledger.history(&journal);
    history.each(&[], None, |facts| (begins.push(facts.len()), true).1).unwrap();
    assert_eq!(begins, [2, 1]);
    ask(&mut ledger, "SIP0018B9FFFF04.cnf", 2700);
    assert_eq!(news.try_recv().unwrap().facts.len(), 1);
    assert!(news.try_recv().is_err());
    for number in 0..100 {
        ask(&mut ledger, "SIP0018B9FFFF05.cnf", 3000 + number);
    }
    assert!(ledger.followers.is_empty());
    let held: Vec<_> = (0..FOLLOWERS).map(|_| ledger.follow(true).unwrap()).collect();
    assert!(ledger.follow(true).is_none());
    drop(held);
    assert!(ledger.follow(true).is_some());
}

#[tokio::test]
async fn what_happened_last_is_read_from_disk_and_from_what_is_not_there_yet() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store(dir.path());
    let mut ledger = Ledger::new(store.journal());
    ledger.learn(stages());
    let facts = "0:0:1 0018b9ffff01 10.0.0.1 ack 10.0.0.1\n\
                 0:0:2 0018b9ffff01 10.0.0.1 get SIPDefault.cnf 171\n\
                 0:0:3 0018b9ffff02 10.0.0.2 get SIPDefault.cnf missing\n\
                 0:0:9 0018b9ffff01 10.0.0.1 get SIPDefault.cnf 99\n";
    for fact in script::facts(facts) {
        let now = fact.at;
        ledger.other(fact, now);
        ledger.look(&mut store, ROOM, true, now);
        if now == Time(3000) {
            ledger.write(&mut store, ROOM, now);
            store.flush().await.unwrap();
        }
    }
    let macs = ["0018b9ffff01", "0018b9ffff02", "0018b9ffff03"].map(|mac| mac.parse().unwrap());
    let last = ledger.history(store.journal()).last(&macs.into());
    assert_eq!(last[&macs[0]].dhcp.as_ref().map(|fact| fact.at), Some(Time(1000)));
    assert_eq!(last[&macs[0]].files["SIPDefault.cnf"].1.bytes, 99);
    assert_eq!(last[&macs[1]].files["SIPDefault.cnf"].1.end, End::Missing);
    assert!(!last.contains_key(&macs[2]));
}

#[test]
fn only_the_first_register_after_a_fetch_is_worth_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = journal::open(dir.path()).unwrap();
    let mut ledger = Ledger::new(&journal);
    assert!(!ledger.awaited("201"));
    ledger.awaits(["201", "202"].into_iter());
    assert!(ledger.awaited("201") && !ledger.awaited("201") && ledger.awaited("202"));
}

#[test]
fn the_own_file_is_told_apart() {
    let ticket = |role| {
        let digest: Digest = "0".repeat(32).try_into().unwrap();
        Transfer {
            ticket: Some(Ticket { mac: None, role, digest }),
            outcome: Outcome::Complete,
            ..transfer("x", 1)
        }
    };
    let own = |role| matches!(what(ticket(role), false), What::File(file) if file.own);
    assert!(own(Role::Own) && !own(Role::Plain));
    assert!(matches!(what(transfer("x", 1), true), What::File(file) if file.end == End::Hidden));
}

/// What a storm costs the core: 5,000 phones, nine requests each. Said with `--nocapture`.
#[tokio::test]
#[ignore = "measures"]
async fn what_a_storm_costs() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store(dir.path());
    let mut ledger = Ledger::new(store.journal());
    ledger.learn(stages());
    let (none, shared, own) = (None, Some(Role::Plain), Some(Role::Own));
    let names = [
        ("CTLSEP{}.tlv", none),
        ("SEP{}.cnf.xml", none),
        ("SIP{}.cnf", own),
        ("MGC{}.cnf", none),
        ("XMLDefault.cnf.xml", none),
        ("SIPDefault.cnf", shared),
        ("SIP{}.cnf", own),
        ("RINGLIST.DAT", none),
        ("dialplan.xml", shared),
    ];
    let mut all = Vec::new();
    for (round, (name, role)) in names.into_iter().enumerate() {
        for phone in 0..5000u32 {
            let [_, _, a, b] = phone.to_be_bytes();
            let name = name.replace("{}", &format!("0018B9FF{a:02X}{b:02X}"));
            let asker = std::net::SocketAddr::from(([10, 9, a, b], 50_000));
            let whose = if role == own { phone } else { u32::MAX };
            let digest: Digest = format!("{whose:032x}").try_into().unwrap();
            let ticket = role.map(|role| Ticket { mac: None, role, digest });
            let outcome = if role.is_some() { Outcome::Complete } else { Outcome::NotFound };
            let at = 1000 * (round as u64 + 1);
            all.push(Transfer { asker, ticket, outcome, ..transfer(&name, at) });
        }
    }
    let began = std::time::Instant::now();
    let room = Bounds { bytes: u64::MAX, ..ROOM };
    let mut now = Time(0);
    for transfer in all {
        now = now.max(transfer.at);
        ledger.file(transfer, None, false, now);
        ledger.look(&mut store, room, true, now);
    }
    ledger.write(&mut store, room, now);
    let took = began.elapsed();
    store.flush().await.unwrap();
    println!("45,000 requests: {took:?}, {} bytes in {} rows", ledger.bytes, ledger.rows.len());
    for mac in ["0018b9ff0001", "0018b9000001"] {
        let began = std::time::Instant::now();
        let known = ledger.history(store.journal()).last(&[mac.parse().unwrap()].into()).len();
        println!("what {known} of them had last: {:?}", began.elapsed());
    }
    assert_eq!(script::facts("").len(), 0);
}
