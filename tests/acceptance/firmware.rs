//! The firmware ladder: simulated phones whose flash holds real steps, against the real daemon and a
//! real Asterisk. The images are made here.

use std::time::Duration;

use handset::control::{Firmware, FirmwarePhone};
use simphone::{Event, Phase, Phone};

use crate::site::{HEAD, SOON, Site, phones};

/// A way up has several restarts, each with a fetch, a registration and a NOTIFY.
pub(crate) const WAY: Duration = Duration::from_secs(120);
const TARGET: &str = "P0S3-8-11-00";
const LOADER: &str = "P003-8-11-00";
/// With a trap: an unsigned phone would take the loader's unsigned image, and must not be sent there.
pub(crate) const ALL: [&str; 6] = [
    "P0S3-05-3-00.bin",
    "P003-8-11-00.bin",
    "P003-8-11-00.sbn",
    "P0S3-8-11-00.sb2",
    "P0S3-8-11-00.loads",
    "P0S3-8-11-00.bin",
];

fn put(site: &Site, images: &[&str]) {
    for name in images {
        let bytes = match name.strip_suffix(".loads") {
            Some(load) => simphone::list(load, LOADER),
            None => simphone::image(name),
        };
        std::fs::write(site.path("tftp").join(name), bytes).unwrap();
    }
}

pub(crate) async fn site(sip_conf: &str, images: &[&str]) -> Site {
    let mut site = Site::prepare(sip_conf);
    put(&site, images);
    site.sections = format!("firmware={TARGET}\n");
    site.run().await;
    site
}

pub(crate) async fn switch_on(site: &Site, n: u8, installed: simphone::Firmware) -> Phone {
    let mut config = site.phone_config(n);
    config.model = simphone::Model::M7940;
    config.installed = Some(installed);
    config.timing.loader_pause = Duration::from_secs(1);
    config.timing.flash = Duration::from_secs(1);
    simphone::spawn(config).await
}

/// The images that a phone fetched, in order.
pub(crate) fn fetched(phone: &Phone) -> Vec<String> {
    let image = |name: &String| [".bin", ".sbn", ".sb2"].iter().any(|kind| name.ends_with(kind));
    let got = phone.history().into_iter().filter_map(|report| match report.event {
        Event::Got { file, .. } => Some(file),
        _ => None,
    });
    got.filter(image).collect()
}

fn app(phone: &Phone) -> String {
    phone.state().installed.unwrap().app
}

pub(crate) async fn arrives(site: &Site, phone: &Phone) {
    let there = |state: &simphone::State| {
        let app = state.installed.as_ref().map(|installed| installed.app.as_str());
        app == Some(TARGET) && state.all_registered()
    };
    if let Err(why) = phone.wait(WAY, there).await {
        panic!("{why}\n{:?}\n{}", site.handset(&["firmware"]), site.log());
    }
}

fn firmware(site: &Site, n: u8) -> FirmwarePhone {
    let out = site.handset(&["firmware", "--json"]);
    let all: Firmware = serde_json::from_slice(&out.stdout).unwrap();
    all.phones.into_iter().find(|phone| phone.mac.to_string() == crate::site::mac(n)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_from_the_box_climbs_to_the_target_once_it_is_tagged() {
    let site = site(HEAD, &ALL).await;
    let desk = switch_on(&site, 1, simphone::Firmware::factory()).await;
    let looped = |state: &simphone::State| state.requests.get("OS79XX.TXT") >= Some(&3);
    desk.wait(SOON, looped).await.unwrap();
    assert_eq!(fetched(&desk), Vec::<String>::new(), "nobody knows it, and it is not converted");

    site.save(&phones(1));
    arrives(&site, &desk).await;
    let steps = ["P0S3-05-3-00.bin", "P003-8-11-00.sbn", "P0S3-8-11-00.sb2"];
    assert_eq!(fetched(&desk), steps);
    site.until_current(1).await;
    let runs = |site: &Site| firmware(site, 1).runs;
    site.until("it says so", SOON, |site| runs(site).as_deref() == Some("SIP 8.11")).await;
    let shown = firmware(&site, 1);
    assert_eq!((shown.next, shown.off, shown.detail), (None, false, None));

    // Its next start goes through the loader, and changes nothing.
    let boots = desk.state().boots;
    desk.power_cycle().await;
    desk.wait(SOON, |state| state.boots > boots && state.all_registered()).await.unwrap();
    site.until_current(1).await;
    assert_eq!(fetched(&desk), steps);
    assert_eq!(desk.state().boots, boots + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_on_6_3_takes_its_own_path() {
    let site = site(&phones(1), &ALL).await;
    let desk = switch_on(&site, 1, simphone::Firmware::running("P0S3-06-3-00")).await;
    arrives(&site, &desk).await;
    assert_eq!(fetched(&desk), ["P003-8-11-00.sbn", "P0S3-8-11-00.sb2"]);
    site.until_current(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_without_an_application_gets_one() {
    let site = site(&phones(1), &ALL).await;
    let installed = simphone::Firmware { loader: Some(LOADER.into()), ..Default::default() };
    let desk = switch_on(&site, 1, installed).await;
    arrives(&site, &desk).await;
    assert_eq!(fetched(&desk), ["P0S3-8-11-00.sb2"]);
    site.until_current(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_image_missing_a_phone_stays_and_it_is_said() {
    let some: Vec<&str> = ALL.into_iter().filter(|name| !name.starts_with("P0S3-05")).collect();
    let mut site = site(&phones(1), &some).await;
    let desk = switch_on(&site, 1, simphone::Firmware::factory()).await;
    let said = |site: &Site| site.phone(1).detail.unwrap_or_default();
    site.until("status says so", SOON, |site| said(site).contains("not sent to the next step"))
        .await;
    assert!(said(&site).contains("`.bin` image of P0S3-…5.3"), "{}", said(&site));
    let shown = firmware(&site, 1);
    assert_eq!((shown.runs.as_deref(), shown.next), (Some("SCCP"), None));
    assert!(shown.detail.unwrap().contains("`.bin` image"), "handset firmware says so");
    let requests = desk.state().requests["OS79XX.TXT"];
    desk.wait(SOON, |state| state.requests["OS79XX.TXT"] >= requests + 3).await.unwrap();
    assert_eq!((fetched(&desk), app(&desk)), (Vec::new(), "P00303020214".into()));

    // Nothing of it is lost with the daemon.
    site.kill();
    site.run_with("info").await;
    site.until("it still says so", SOON, |site| said(site).contains("`.bin` image of P0S3-…5.3"))
        .await;

    // A copy that is cut short does not count either; a whole one does.
    let image = simphone::image("P0S3-05-3-00.bin");
    std::fs::write(site.path("tftp/P0S3-05-3-00.bin"), &image[..10_000]).unwrap();
    site.until("the cut one is told", SOON, |site| said(site).contains("has 10000 bytes")).await;
    std::fs::write(site.path("tftp/P0S3-05-3-00.bin"), &image).unwrap();
    arrives(&site, &desk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_does_not_keep_an_image_is_taken_off_and_can_be_put_back() {
    let site = site(&phones(1), &ALL).await;
    let desk = switch_on(&site, 1, simphone::Firmware::factory()).await;
    desk.set_faults(|faults| faults.flash_fails = true);
    site.until("it is off", WAY, |site| firmware(site, 1).off).await;
    assert!(fetched(&desk).len() <= 5, "{:?}", fetched(&desk));
    let out = site.handset(&["firmware"]);
    let table = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(table.contains("off the ladder: it fetched P0S3-05-3-00.bin 3 times"), "{table}");
    assert_eq!(out.status.code(), Some(1));
    let detail = site.phone(1).detail.unwrap();
    assert!(detail.contains("handset firmware retry"), "{detail}");
    let alerts = site.handset_ok(&["status", "--alerts"]);
    assert!(alerts.contains("ALERT: 00:18:b9:00:00:01 is off the firmware ladder"), "{alerts}");
    let tries = fetched(&desk).len();
    let requests = desk.state().requests["OS79XX.TXT"];
    desk.wait(SOON, |state| state.requests["OS79XX.TXT"] >= requests + 3).await.unwrap();
    assert_eq!(fetched(&desk).len(), tries, "it is left alone");

    desk.set_faults(|faults| faults.flash_fails = false);
    site.handset_ok(&["firmware", "retry", "101"]);
    arrives(&site, &desk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_stalls_is_no_step_and_the_next_one_is() {
    let site = site(&phones(1), &ALL).await;
    let mut config = site.phone_config(1);
    config.installed = Some(simphone::Firmware::factory());
    config.timing.loader_pause = Duration::from_secs(1);
    config.timing.stall = Duration::from_millis(300);
    let desk = simphone::spawn(config).await;
    desk.set_faults(|faults| faults.stall_images = true);
    let stalled =
        |event: &Event| matches!(event, Event::Stalled { file } if file.ends_with(".bin"));
    desk.wait_event(0, SOON, stalled).await.unwrap();
    assert_eq!(fetched(&desk), Vec::<String>::new());
    desk.set_faults(|faults| faults.stall_images = false);
    arrives(&site, &desk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_names_another_load_or_none() {
    let tags =
        phones(2).replacen(";MAC=00:18:b9:00:00:01", ";MAC=00:18:b9:00:00:01 firmware=none", 1);
    let site = site(&tags, &ALL).await;
    let kept = switch_on(&site, 1, simphone::Firmware::factory()).await;
    let led = switch_on(&site, 2, simphone::Firmware::running("P0S3-04-4-00")).await;
    arrives(&site, &led).await;
    assert_eq!(fetched(&led), ["P0S3-05-3-00.bin", "P003-8-11-00.sbn", "P0S3-8-11-00.sb2"]);
    assert_eq!((fetched(&kept), kept.state().phase), (Vec::new(), Phase::Sccp));
    assert_eq!(firmware(&site, 1).target, None);
    site.until_current(2).await;
}
