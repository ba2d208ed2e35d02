//! The order with Asterisk: what it has loaded decides about credentials, and it may come and go.

use std::fs;
use std::time::{Duration, Instant};

use handset::control::State;

use crate::site::{SOON, Site, phones, quiet};

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_between_save_and_reload_gets_what_asterisk_accepts() {
    let mut site = Site::prepare(&phones(2));
    site.general = "asterisk_reload=wait".into();
    site.run().await;
    let first = site.switch_on(1).await;
    let _second = site.switch_on(2).await;
    site.asterisk("module reload chan_sip.so");
    site.until("it is loaded", SOON, |site| site.status().reload == "loaded").await;
    site.edit("hush-101-hush", "new-secret");
    site.until("the change waits", SOON, |site| site.status().reload.contains("1 phones keep"))
        .await;
    first.power_cycle().await;
    first.wait(SOON, |s| s.boots == 2 && s.all_registered()).await.unwrap();
    assert_eq!(first.state().flash.get("line1_password"), "hush-101-hush");
    quiet(1.0).await;
    assert_eq!(first.state().notifies, 0);
    site.asterisk("module reload chan_sip.so");
    first
        .wait(SOON, |s| s.boots == 3 && s.all_registered())
        .await
        .unwrap_or_else(|why| panic!("{why}\n{}", site.log()));
    assert_eq!(first.state().flash.get("line1_password"), "new-secret");
    site.until_current(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_reload_that_nothing_tells_of_is_noticed_by_what_it_shows() {
    let mut site = Site::prepare(&phones(1));
    site.general = "asterisk_reload=wait".into();
    site.run().await;
    let desk = site.switch_on(1).await;
    site.handset_ok(&["apply", "--loaded"]);
    site.edit("\"User 1\" <101>\nsecret=hush-101-hush", "\"Visible\" <101>\nsecret=new-secret");
    site.until("the change waits", SOON, |site| site.status().reload.starts_with("waiting")).await;
    site.asterisk("sip reload");
    site.until("it is loaded", SOON, |site| site.status().reload == "loaded").await;
    desk.wait(SOON, |s| s.boots == 2 && s.all_registered())
        .await
        .unwrap_or_else(|why| panic!("{why}\n{}", site.log()));
    site.until_current(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_costs_no_more_than_the_restart() {
    let site = Site::start(&phones(1)).await;
    let desk = site.boot(1).await;
    let mark = desk.mark();
    site.edit("hush-101-hush", "new-secret");
    let restart = desk
        .wait_event(mark, SOON, |e| matches!(e, simphone::Event::Restart { .. }))
        .await
        .unwrap();
    let back = desk
        .wait_event(restart.seq, SOON, |e| matches!(e, simphone::Event::Registered { .. }))
        .await
        .unwrap();
    let lost = |r: &&simphone::Report| {
        r.seq > mark && matches!(r.event, simphone::Event::RegisterFailed { .. })
    };
    let history = desk.history();
    assert_eq!(history.iter().filter(lost).count(), 0, "{history:?}");
    let off = Duration::from_millis(back.at - restart.at);
    assert!(off < Duration::from_secs(5), "off the air for {off:?}");
    site.until_current(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_is_undone_while_asterisk_loads_it_is_undone_in_asterisk_too() {
    let site = Site::start(&phones(1)).await;
    let desk = site.boot(1).await;
    let asked = |site: &Site| site.log().matches("asking Asterisk to reload").count();
    let (good, before) = (site.sip_conf(), asked(&site));
    site.edit("hush-101-hush", "new-secret");
    site.until("Asterisk is asked", SOON, |site| asked(site) > before).await;
    site.save(&good);
    site.until("it is asked again", SOON, |site| asked(site) > before + 1).await;
    site.until("it has loaded", SOON, |site| site.status().reload == "loaded").await;
    desk.power_cycle().await;
    desk.wait(SOON, |s| s.boots == 2 && s.all_registered())
        .await
        .unwrap_or_else(|why| panic!("{why}\n{}", site.log()));
    assert_eq!(desk.state().flash.get("line1_password"), "hush-101-hush");
}

#[tokio::test(flavor = "multi_thread")]
async fn asterisk_may_stop_and_come_back() {
    let site = Site::start(&phones(2)).await;
    let desks = [site.boot(1).await, site.boot(2).await];
    site.stop_asterisk();
    site.until("it is seen to be down", SOON, |site| site.status().ami.starts_with("down")).await;
    assert!(site.own_file(1).is_some(), "files are served without Asterisk");
    site.edit("\"User 1\"", "\"Meanwhile\"");
    site.start_asterisk();
    site.until("it is up again", SOON, |site| site.status().ami.starts_with("up")).await;
    site.until("both are current", SOON * 2, |site| {
        site.status().phones.iter().all(|p| p.state == State::Current)
    })
    .await;
    assert_eq!(desks[0].state().lines[0].displayname, "Meanwhile");
    assert_eq!(desks[1].state().boots, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_ami_password_is_healed_from_either_side() {
    let mut site = Site::prepare(&phones(1));
    site.ami_secret = "wrong".into();
    site.run().await;
    site.until("it is refused", SOON, |site| site.status().ami.contains("refused")).await;
    assert!(site.own_file(1).is_some(), "files are served without AMI");
    site.ami_secret = "lab-secret".into();
    site.write_config();
    site.until("it is in", SOON, |site| site.status().ami.starts_with("up")).await;

    // Asterisk's side: a refused login is tried again every minute.
    let manager = site.etc.join("manager.conf");
    let text = fs::read_to_string(&manager).unwrap();
    fs::write(&manager, text.replace("lab-secret", "other")).unwrap();
    site.asterisk("manager reload");
    site.stop_asterisk();
    site.start_asterisk();
    site.until("it is refused again", SOON, |site| site.status().ami.contains("refused")).await;
    fs::write(&manager, text).unwrap();
    site.asterisk("manager reload");
    let began = Instant::now();
    site.until("it is in again", Duration::from_secs(90), |site| {
        site.status().ami.starts_with("up")
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(75));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_sip_conf_is_never_loaded_by_us() {
    let site = Site::start(&phones(1)).await;
    site.until("it is loaded", SOON, |site| site.status().reload == "loaded").await;
    let reloads = |site: &Site| site.log().matches("asking Asterisk to reload").count();
    let before = reloads(&site);
    let good = site.sip_conf();
    site.save(&good.replace("[101](desk)", "[101](nobody)"));
    site.until("it is held", SOON, |site| site.status().held.is_some()).await;
    quiet(2.0).await;
    assert_eq!(reloads(&site), before);
}
