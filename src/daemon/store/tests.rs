use tempfile::TempDir;

use super::super::journal::{self, spawn_writer};
use super::*;
use crate::base::{Body, FileName, Key, Tech};
use crate::family::{Artifact, Audience, Role, Step, Variant};
use crate::plan::generation::{LinePart, PhonePart};
use crate::plan::observed::Visible;
use crate::plan::offer::{Passage, offer};

fn mac(n: u8) -> Mac {
    Mac::new([0, 0x18, 0xb9, 0, 0, n]).unwrap()
}

fn text(n: u8, name: &str) -> Vec<u8> {
    format!("{}line: {n}\nname: {name}\n", "what all phones have\n".repeat(20)).into_bytes()
}

/// A part whose file is held as a difference to `common`.
fn part(n: u8, name: &str, common: &Body) -> Arc<PhonePart> {
    let digest = Key::new([1; 32]).digest("test", [name.as_bytes(), &[n]]);
    let own = Artifact {
        name: FileName::new(&format!("SIP{}.cnf", mac(n).upper())).unwrap(),
        body: Body::from(text(n, name)).like(common),
        digest,
        audience: Audience::Phone,
        role: Role::Own,
        secret: true,
    };
    let line = LinePart {
        number: 1,
        peer: format!("peer{n}"),
        tech: Tech::Sip,
        label: String::new(),
        visible: Visible::default(),
    };
    Arc::new(PhonePart {
        mac: mac(n),
        family: "cisco-79x0".into(),
        model: "7940".into(),
        lines: vec![line],
        variants: vec![Variant { step: Step::default(), token: digest, artifacts: vec![own] }],
        credentials: digest,
        event: "check-sync".into(),
    })
}

fn generation(id: u64, parts: &[Arc<PhonePart>]) -> Arc<Generation> {
    let phones = parts.iter().map(|part| (part.mac, part.clone())).collect();
    Arc::new(Generation { id, made: Time(id), phones, ..Generation::default() })
}

/// A store that is closed and opened again between two steps.
struct Desk(TempDir);

impl Desk {
    fn with<T>(&self, work: impl FnOnce(&mut Store, &Restored, &Journal) -> T) -> T {
        let (journal, _) = journal::open(self.0.path()).unwrap();
        let (mut store, restored) =
            Store::restore(&journal, spawn_writer(journal.clone()).unwrap());
        let result = work(&mut store, &restored, &journal);
        store.writer.stop().unwrap();
        result
    }

    fn save(&self, newest: &Arc<Generation>, loaded: bool) {
        self.with(|store, restored, _| {
            let passage = Passage { loaded, ..Passage::FREE };
            store.save_offer(Arc::new(offer(newest, Some(&restored.offer), passage)));
        });
    }

    fn count(&self, table: Table) -> usize {
        self.with(|_, _, journal| journal.scan(table).unwrap().len())
    }

    fn check(&self, newest: &Generation, offered: &[(u8, &[u8])]) {
        self.with(|_, restored, _| {
            assert_eq!(restored.offer.newest.id, newest.id);
            assert_eq!(restored.offer.newest.phones, newest.phones);
            let bytes = |part: &PhonePart| part.variants[0].artifacts[0].bytes();
            let found = restored.offer.phones.iter().map(|(mac, part)| (*mac, bytes(part)));
            let expected = offered.iter().map(|(n, text)| (mac(*n), Bytes::copy_from_slice(text)));
            assert!(found.eq(expected), "{:?}", restored.offer.phones);
        });
    }
}

#[test]
fn a_restart_finds_the_newest_generation_and_what_was_offered_while_it_waits() {
    let desk = Desk(TempDir::new().unwrap());
    let common = Body::from(text(0, "nobody"));
    let (ada, bob, eve) =
        (part(1, "ada", &common), part(2, "bob", &common), part(3, "eve", &common));
    let first = generation(1, &[ada.clone(), bob.clone()]);
    desk.save(&first, true);
    desk.check(&first, &[(1, &text(1, "ada")), (2, &text(2, "bob"))]);
    // Other credentials, not loaded yet: the old part is offered; a new phone's at once.
    let second = generation(2, &[part(1, "ida", &common), bob, eve]);
    desk.save(&second, false);
    let rest = [(2, &*text(2, "bob")), (3, &text(3, "eve"))];
    desk.check(&second, &[&[(1, &*text(1, "ada"))], &rest[..]].concat());
    assert_eq!(desk.count(Table::Offers), 1);
    desk.save(&second, true);
    desk.check(&second, &[&[(1, &*text(1, "ida"))], &rest[..]].concat());
    assert_eq!(desk.count(Table::Offers), 0);
    let third = generation(3, &[part(3, "eve", &common)]);
    desk.save(&third, true);
    desk.check(&third, &[(3, &text(3, "eve"))]);
}

#[test]
fn what_was_replaced_is_kept_for_a_few_generations_and_a_text_as_long_as_it_is_used() {
    let desk = Desk(TempDir::new().unwrap());
    let (old, new) = (Body::from(text(0, "old")), Body::from(b"short\n".repeat(90)));
    let bob = part(2, "bob", &old);
    for id in 1..=3 {
        desk.save(&generation(id, &[part(1, &format!("name{id}"), &old), bob.clone()]), true);
    }
    assert_eq!((desk.count(Table::Parts), desk.count(Table::Before)), (2, 4));
    assert_eq!((desk.count(Table::Generations), desk.count(Table::Blobs)), (3, 1));
    let whole = |id| generation(id, &[part(1, &format!("name{id}"), &new)]);
    for id in 4..=8 {
        desk.save(&whole(id), true);
    }
    assert_eq!(desk.count(Table::Generations), Waves::default().keep);
    assert_eq!(desk.count(Table::Before), 6, "two of the fourth, one each of the others");
    assert_eq!(desk.count(Table::Blobs), 1, "what the fourth replaced refers to it");
    desk.save(&whole(9), true);
    assert_eq!((desk.count(Table::Before), desk.count(Table::Blobs)), (5, 0));
}

#[test]
fn a_part_that_cannot_be_read_is_unknown_and_the_others_stay() {
    let desk = Desk(TempDir::new().unwrap());
    let common = Body::from(text(0, "nobody"));
    let (ada, bob) = (part(1, "ada", &common), part(2, "bob", &common));
    desk.save(&generation(1, &[ada.clone(), bob]), true);
    desk.with(|_, _, journal| {
        let mut batch = Batch::new();
        batch.put(Table::Parts, mac(2).to_string(), "{\"what\":");
        journal.commit(&batch).unwrap();
    });
    desk.check(&generation(1, &[ada]), &[(1, &text(1, "ada"))]);
}
