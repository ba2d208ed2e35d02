//! The same loop on Asterisk 22 with pjsip.conf.

use handset::control::State;

use crate::site::{SOON, Site, mac, quiet};

const HEAD: &str = "[global]
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
language=en

[login](!)
type=auth
auth_type=userpass

[contacts](!)
type=aor
max_contacts=1
remove_existing=yes
minimum_expiration=5
default_expiration=60
maximum_expiration=3600
qualify_frequency=2
qualify_timeout=1.0

";

fn endpoint(n: u8) -> String {
    let name = 100 + u32::from(n);
    format!(
        "[{name}](desk) ;MAC={}\nauth=auth{name}\naors={name}\ncallerid=\"User {n}\" <{name}>\n\
         [auth{name}](login)\nusername={name}\npassword=hush-{name}-hush\n[{name}](contacts)\n\n",
        mac(n)
    )
}

fn prepared(count: u8) -> Site {
    let text = HEAD.to_owned() + &(1..=count).map(endpoint).collect::<String>();
    let mut site = Site::prepare_version("22", &[("pjsip.conf", &text), ("pjsip_wizard.conf", "")]);
    site.top = "pjsip.conf".into();
    site
}

pub(crate) async fn office(count: u8) -> Site {
    let mut site = prepared(count);
    site.run().await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_boots_registers_and_follows() {
    let site = office(3).await;
    let desks = [site.boot(1).await, site.boot(2).await];
    let shown = site.phone(1);
    assert_eq!(shown.lines[0].user_agent.as_deref(), Some("Cisco-CP7960G/8.0"));
    assert!(shown.lines[0].registered);
    site.edit("\"User 1\"", "\"Ada Quill\"");
    desks[0]
        .wait(SOON, |s| s.boots == 2 && s.all_registered())
        .await
        .unwrap_or_else(|why| panic!("{why}\n{}", site.log()));
    site.until_current(1).await;
    assert_eq!(desks[0].state().lines[0].displayname, "Ada Quill");
    assert!(
        site.asterisk("pjsip show endpoint 101").contains("Ada Quill"),
        "Asterisk was asked to reload"
    );
    assert_eq!((desks[1].state().notifies, desks[1].state().boots), (0, 1));

    site.edit("hush-102-hush", "another");
    desks[1]
        .wait(SOON, |s| s.boots == 2 && s.all_registered())
        .await
        .unwrap_or_else(|why| panic!("{why}\n{}", site.log()));
    site.until_current(2).await;
    assert_eq!(desks[1].state().flash.get("line1_password"), "another");

    // A comment: nobody.
    site.save(&format!("; a comment\n{}", site.conf()));
    quiet(2.0).await;
    assert_eq!([desks[0].state().notifies, desks[1].state().notifies], [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_defers_and_a_current_phone_does_not_restart() {
    let site = office(1).await;
    let desk = site.boot(1).await;
    let out = site.handset_ok(&["push", "101", "--wait"]);
    assert!(out.contains("1 of 1 proved"), "{out}");
    assert_eq!((desk.state().notifies, desk.state().boots), (1, 1));
    desk.call("600").await.unwrap();
    site.edit("\"User 1\"", "\"Busy Bee\"");
    site.until("it is seen to talk", SOON, |site| site.phone(1).state == State::InCall).await;
    quiet(1.0).await;
    assert_eq!(desk.state().boots, 1);
    desk.hang_up().await;
    site.until_current(1).await;
    assert_eq!(desk.state().boots, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_files_change_nothing() {
    let site = office(2).await;
    let own = site.own_file(2).unwrap();
    let good = site.conf();
    for (broken, why) in
        [("", "no peer is left"), ("[global\n", "Asterisk would reject pjsip.conf")]
    {
        site.save(broken);
        site.until(why, SOON, |site| {
            site.status().held.as_deref().is_some_and(|held| held.contains(why))
        })
        .await;
        assert_eq!(site.own_file(2).as_ref(), Some(&own), "{broken}");
    }
    site.save(&good);
    site.until("it heals", SOON, |site| site.status().held.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_drivers_files_make_phones_on_one_host() {
    let sip = crate::site::phones(1);
    let mut site = Site::prepare(&sip);
    let pjsip = HEAD.to_owned() + &endpoint(2);
    std::fs::write(site.etc.join("pjsip.conf"), pjsip.replace("@SIP_PORT@", "5199")).unwrap();
    site.run().await;
    site.until("both are there", SOON, |site| site.status().phones.len() == 2).await;
    let first = site.boot(1).await;
    assert!(first.state().all_registered());
    assert!(
        site.own_file(2).unwrap().contains("proxy1_port: \"5199\""),
        "{}",
        site.own_file(2).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_between_save_and_reload_gets_what_asterisk_accepts() {
    let mut site = prepared(2);
    site.general = "asterisk_reload=wait".into();
    site.run().await;
    let desk = site.switch_on(1).await;
    site.asterisk("module reload res_pjsip.so");
    site.until("it is loaded", SOON, |site| site.status().reload == "loaded").await;
    site.edit("hush-101-hush", "new-secret");
    site.until("the change waits", SOON, |site| site.status().reload.contains("1 phones keep"))
        .await;
    desk.power_cycle().await;
    desk.wait(SOON, |s| s.boots == 2 && s.all_registered()).await.unwrap();
    assert_eq!(desk.state().flash.get("line1_password"), "hush-101-hush");
    site.asterisk("module reload res_pjsip.so");
    desk.wait(SOON, |s| s.boots == 3 && s.all_registered())
        .await
        .unwrap_or_else(|why| panic!("{why}\n{}", site.log()));
    assert_eq!(desk.state().flash.get("line1_password"), "new-secret");
    site.until_current(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asterisk_may_stop_and_come_back_and_so_may_we() {
    let mut site = office(2).await;
    let desks = [site.boot(1).await, site.boot(2).await];
    site.stop_asterisk();
    site.until("it is seen to be down", SOON, |site| site.status().ami.starts_with("down")).await;
    site.edit("\"User 1\"", "\"Meanwhile\"");
    assert!(site.own_file(2).is_some(), "files are served without Asterisk");
    site.kill();
    site.start_asterisk();
    site.run_with("info").await;
    site.until("both are current", SOON * 2, |site| {
        let phones = site.status().phones;
        phones.len() == 2 && phones.iter().all(|p| p.state == State::Current)
    })
    .await;
    assert_eq!(desks[0].state().lines[0].displayname, "Meanwhile");
    assert_eq!(desks[1].state().boots, 1, "a restart of ours tells nobody");
}
