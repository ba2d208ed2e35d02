//! A phone that nobody has claimed becomes an extension with its PIN, and a guest again.

use std::fs;

use crate::office::Office;
use crate::site::{HEAD, SOON, mac, phone};

/// Two phones of guests, and two extensions without a phone.
fn conf() -> String {
    let peer = |name: &str, tag: &str| {
        format!(
            "[{name}](desk){tag}\ncallerid=\"{name}\" <{name}>\nsecret=hush-{name}-hush\ndtmfmode=info\n\n"
        )
    };
    let guests = (1..=2).map(|n| peer(&format!("guest{n}"), &format!(" ;MAC={}", mac(n))));
    HEAD.to_owned() + &guests.collect::<String>() + &peer("201", "") + &peer("202", "") + &phone(3)
}

async fn office() -> Office {
    let office = Office::sip(&conf(), "", "guests=guest*\npins=@DIR@/pins.conf").await;
    fs::write(office.site.path("pins.conf"), "[pins]\n201 = 4711\n202 = 9999\n103 = 1234\n")
        .unwrap();
    office
}

fn name(phone: &simphone::Phone) -> String {
    phone.state().lines.first().map(|line| line.name.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_claimed_with_a_pin_and_given_back() {
    let office = office().await;
    let site = &office.site;
    let before = site.conf();
    let desks = [site.boot(1).await, site.boot(2).await];
    assert_eq!(name(&desks[0]), "guest1");

    let told = office.dial(&desks[0], "*782", "201#4711#").await;
    assert_eq!(told, "claimed: 201 is here after this call");
    let is = |wanted: &'static str| {
        move |state: &simphone::State| {
            state.all_registered() && state.lines.first().is_some_and(|line| line.name == wanted)
        }
    };
    desks[0].wait(SOON, is("201")).await.unwrap_or_else(|why| panic!("{why}\n{}", site.log()));
    site.until_current(1).await;
    let tag = format!("[201](desk) ;MAC={} guest=guest1", mac(1));
    assert_eq!(site.conf(), before.replace("[201](desk)", &tag));

    site.handset_ok(&["check"]);

    // Nobody else gets it meanwhile, nor what has a phone of its own, and who has claimed claims no more.
    let told = office.dial(&desks[1], "*782201", "4711#").await;
    assert_eq!(told, "taken: 201 has a phone already");
    assert_eq!(office.dial(&desks[1], "*782", "103#1234#").await, "taken: 103 has a phone already");
    let told = office.dial(&desks[0], "*782202", "9999#").await;
    assert_eq!(told, "refused: 201 is no guest: log out first");
    assert_eq!(office.dial(&desks[1], "*783", "").await, "refused: guest2 is not logged in here");

    let told = office.dial(&desks[0], "*783", "").await;
    assert_eq!(told, "loggedout: 201 is not here any more after this call");
    desks[0].wait(SOON, is("guest1")).await.unwrap_or_else(|why| panic!("{why}\n{}", site.log()));
    site.until_current(1).await;
    assert_eq!(site.conf(), before);
    assert_eq!((desks[1].state().boots, name(&desks[1])), (1, "guest2".into()));
    let log = site.log();
    assert!(!log.contains("4711") && !log.contains("9999"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_pins_are_counted_told_and_lock() {
    let office = office().await;
    let site = &office.site;
    let before = site.conf();
    let desks = [site.boot(1).await, site.boot(2).await];
    for (extension, pin) in [("201", "4712"), ("999", "4711"), ("201", "")] {
        let told = office.dial(&desks[0], &format!("*782{extension}"), &format!("{pin}#")).await;
        assert_eq!(told, "wrong: wrong extension or PIN");
    }
    let told = office.dial(&desks[0], "*782201", "4711#").await;
    assert_eq!(told, "locked: too many wrong PINs, try later");
    assert_eq!(site.conf(), before);
    let address = site.phone_config(1).address;
    let line = format!("wrong PIN asker={address} phone={} extension=201 peer=guest1", mac(1));
    let log = site.log();
    assert!(log.contains(&line) && !log.contains("4712"), "{line}: {log}");
    // Another phone is not locked; without the file nobody can be claimed.
    fs::rename(site.path("pins.conf"), site.path("gone.conf")).unwrap();
    assert_eq!(office.dial(&desks[1], "*782202", "9999#").await, "wrong: wrong extension or PIN");
    assert!(site.log().contains("pins.conf cannot be read"));
}
