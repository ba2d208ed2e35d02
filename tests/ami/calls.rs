//! What an account that hears of calls learns from a real Asterisk 16.

use std::time::Duration;

use handset::daemon::event::{AmiNews, Order};
use handset::plan::observed::{DeviceState, Notified};

use crate::lab::Asterisk;
use crate::phone::Phone;
use crate::rig::{Rig, account, quick};

const AGENT: &str = "Cisco-CP7960G/8.0";
const RING: &str =
    "Action: Originate\r\nChannel: SIP/203\r\nApplication: Wait\r\nData: 30\r\nAsync: true";
const HANG_UP: &str = "Action: Hangup\r\nChannel: /^SIP/203-.*$/";

fn companion(asterisk: &Asterisk) -> Rig {
    Rig::start(account(asterisk.ami(), "companion", "lab-companion", true), quick())
}

async fn device(rig: &mut Rig, wanted: DeviceState) {
    let pick = |news: &AmiNews| match news {
        AmiNews::Device { peer, state } => {
            assert_eq!(peer, "203", "others are not told of");
            (*state == wanted).then_some(())
        }
        _ => None,
    };
    rig.until(wanted.text(), pick).await;
}

async fn devices(rig: &mut Rig) -> Vec<(String, DeviceState)> {
    let pick = |news: &AmiNews| match news {
        AmiNews::Devices(all) => Some(all.clone()),
        _ => None,
    };
    rig.until("the states of all devices", pick).await
}

#[tokio::test]
async fn a_phone_is_seen_to_ring_to_talk_to_hold_and_to_be_idle() {
    let asterisk = Asterisk::start();
    let mut rig = companion(&asterisk);
    rig.follow(&["203"]).await;
    let listed = devices(&mut rig).await;
    assert!(listed.iter().all(|(peer, state)| peer == "203" && !state.in_call()), "{listed:?}");

    let mut phone = Phone::new(asterisk.sip(), "203", "phone-secret").await;
    phone.register(AGENT, 60).await;
    device(&mut rig, DeviceState::Idle).await;
    asterisk.admin(RING);
    let invite = phone.request("INVITE").await;
    device(&mut rig, DeviceState::Ringing).await;

    phone.lift(&invite).await;
    device(&mut rig, DeviceState::InUse).await;
    phone.hold(&invite, true).await;
    device(&mut rig, DeviceState::OnHold).await;
    phone.hold(&invite, false).await;
    device(&mut rig, DeviceState::InUse).await;

    asterisk.admin(HANG_UP);
    let ended = |news: &AmiNews| match news {
        AmiNews::HungUp { peer } => Some(("hung up", peer == "203")),
        AmiNews::Device { state: DeviceState::Idle, .. } => Some(("idle", true)),
        _ => None,
    };
    let mut told = [rig.until("an end", ended).await, rig.until("the other end", ended).await];
    told.sort_unstable();
    assert_eq!(told, [("hung up", true), ("idle", true)]);
    rig.stop().await;
}

#[tokio::test]
async fn a_call_that_began_before_the_connection_is_known_after_it() {
    let asterisk = Asterisk::start();
    let mut phone = Phone::new(asterisk.sip(), "203", "phone-secret").await;
    phone.register(AGENT, 60).await;
    asterisk.admin(RING);
    phone.request("INVITE").await;
    let mut rig = companion(&asterisk);
    rig.follow(&["203", "201"]).await;
    let ringing = |news: &AmiNews| match news {
        AmiNews::Devices(all) => all.contains(&("203".into(), DeviceState::Ringing)).then_some(()),
        _ => None,
    };
    rig.until("the list with the ringing phone", ringing).await;
    rig.notify("203", "check-sync").await;
    assert_eq!(rig.notified().await, Notified::InCall);
    rig.stop().await;
}

#[tokio::test]
async fn an_account_without_the_class_hears_of_no_call_and_cuts_none() {
    let asterisk = Asterisk::start();
    let settings = account(asterisk.ami(), "provision", "lab-secret", true);
    let mut rig = Rig::start(settings, quick());
    rig.follow(&["203"]).await;
    rig.peers().await;
    let mut phone = Phone::new(asterisk.sip(), "203", "phone-secret").await;
    phone.register(AGENT, 60).await;
    rig.registered().await;
    asterisk.admin(RING);
    phone.request("INVITE").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.notify("203", "check-sync").await;
    let told = |news: &AmiNews| match news {
        AmiNews::Notified { result, .. } => Some(result.clone()),
        AmiNews::Device { .. } | AmiNews::Devices(_) | AmiNews::HungUp { .. } => panic!("{news:?}"),
        _ => None,
    };
    assert_eq!(rig.until("the answer", told).await, Notified::InCall);
    rig.order(Order::Relist).await;
    rig.peers().await;
    rig.stop().await;
}
