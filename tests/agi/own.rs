//! A phone that dials acts on itself, and on no other.

use handset::control::State;

use crate::office::Office;
use crate::site::{SOON, mac, phones, quiet};

#[tokio::test(flavor = "multi_thread")]
async fn dialling_the_resync_code_provisions_exactly_that_phone() {
    let office = Office::sip(&phones(2), "push=manual", "").await;
    let site = &office.site;
    let desks = [site.switch_on(1).await, site.switch_on(2).await];
    site.until_current(1).await;
    site.until_current(2).await;
    let text = site.conf().replace("\"User 1\"", "\"Ada\"").replace("\"User 2\"", "\"Bob\"");
    site.save(&text);
    let pending = |n| site.phone(n).state == State::Pending;
    site.until("both have something new", SOON, |_| pending(1) && pending(2)).await;

    let told = office.dial(&desks[0], "*780", "").await;
    assert_eq!(told, "told: it fetches its configuration after this call");
    let changed = |state: &simphone::State| state.boots == 2 && state.all_registered();
    desks[0].wait(SOON, changed).await.unwrap();
    site.until_current(1).await;
    assert_eq!(desks[0].state().lines[0].displayname, "Ada");
    quiet(3.0).await;
    let other = desks[1].state();
    assert_eq!(
        (other.boots, other.notifies, other.lines[0].displayname.as_str()),
        (1, 0, "User 2")
    );
    assert_eq!(site.phone(2).state, State::Pending);

    // Dialled again it looks, and does not restart.
    let told = office.dial(&desks[0], "*780", "").await;
    assert_eq!(told, "current: it runs its newest configuration, and looks again");
    site.until("it was told again", SOON, |_| desks[0].state().notifies == 2).await;
    quiet(2.0).await;
    assert_eq!((desks[0].state().boots, desks[1].state().notifies), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_says_how_it_is_and_a_peer_without_one_is_told_so() {
    let untagged = phones(2).replace(&format!(";MAC={}", mac(2)), "");
    let tagged = phones(2);
    let office = Office::sip(&tagged, "", "").await;
    let site = &office.site;
    let desks = [site.boot(1).await, site.boot(2).await];
    let told = office.dial(&desks[0], "*781", "").await;
    assert_eq!(told, format!("current: {} {} 1 of 1 lines registered, current", "7940", mac(1)));
    site.save(&untagged);
    site.handset_ok(&["apply", "--accept-removals"]);
    site.until("it is no phone any more", SOON, |site| site.status().phones.len() == 1).await;
    for code in ["*780", "*781", "*783"] {
        let told = office.dial(&desks[1], code, "").await;
        assert_eq!(told, "unknown: 102 is no line of a phone with files", "{code}");
    }
    let told = office.dial(&desks[1], "*782", "").await;
    assert!(told.starts_with("unknown: "), "{told}");
    assert_eq!(desks[1].state().notifies, 0);
}

const PJSIP: &str = "[global]
type=global
endpoint_identifier_order=username,ip
[transport-udp]
type=transport
protocol=udp
bind=127.0.0.1:@SIP_PORT@
[desk](!)
type=endpoint
context=phones
disallow=all
allow=ulaw
direct_media=no
[login](!)
type=auth
auth_type=userpass
[contacts](!)
type=aor
max_contacts=1
remove_existing=yes
minimum_expiration=5
";

fn endpoint(n: u8) -> String {
    let name = 100 + u32::from(n);
    format!(
        "[{name}](desk) ;MAC={}\nauth=auth{name}\naors={name}\ncallerid=\"User {n}\" <{name}>\n\
         [auth{name}](login)\nusername={name}\npassword=hush-{name}-hush\n[{name}](contacts)\n\n",
        mac(n)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_with_chan_pjsip() {
    let conf = PJSIP.to_owned() + &endpoint(1) + &endpoint(2);
    let office = Office::open("22", ("pjsip.conf", &conf), "push=manual", "").await;
    let site = &office.site;
    let desks = [site.switch_on(1).await, site.switch_on(2).await];
    site.until_current(1).await;
    site.save(&site.conf().replace("\"User ", "\"Desk "));
    site.until("there is something new", SOON, |site| site.phone(1).state == State::Pending).await;
    let told = office.dial(&desks[0], "*780", "").await;
    assert_eq!(told, "told: it fetches its configuration after this call");
    let changed = |state: &simphone::State| state.boots == 2 && state.all_registered();
    desks[0].wait(SOON, changed).await.unwrap();
    assert_eq!(desks[0].state().lines[0].displayname, "Desk 1");
    quiet(2.0).await;
    assert_eq!((desks[1].state().boots, desks[1].state().notifies), (1, 0));
    let told = office.dial(&desks[1], "*781", "").await;
    assert!(told.starts_with("pending: "), "{told}");
}
