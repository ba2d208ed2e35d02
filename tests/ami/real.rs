//! What a real Asterisk 16 and the task make of each other.

use std::time::{SystemTime, UNIX_EPOCH};

use handset::daemon::event::{AmiNews, Order};
use handset::plan::observed::Notified;

use crate::lab::Asterisk;
use crate::phone::Phone;
use crate::rig::{Rig, account, quick};

const AGENT: &str = "Cisco-CP7960G/8.0";

fn provision(asterisk: &Asterisk) -> Rig {
    Rig::start(account(asterisk.ami(), "provision", "lab-secret", true), quick())
}

#[tokio::test]
async fn both_kinds_of_login_are_accepted_and_all_peers_are_listed() {
    let asterisk = Asterisk::start();
    for md5 in [true, false] {
        let settings = account(asterisk.ami(), "provision", "lab-secret", md5);
        let mut rig = Rig::start(settings, quick());
        rig.follow(&["201"]).await;
        rig.up().await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        let started = rig.started().await;
        assert!(started.abs_diff(now) < 60, "started {started}, now {now}");
        let peers = rig.peers().await;
        let names: Vec<&str> = peers.iter().map(|peer| peer.peer.as_str()).collect();
        assert_eq!(names, ["201", "202", "203", "204", "205", "301", "trunk"]);
        let shown = |at: usize| peers[at].visible.as_ref().map(|v| v.callerid.as_str());
        assert_eq!(shown(0), Some("\"Ada Quill\" <201>"));
        assert_eq!(shown(1), None, "202 is not followed");
        assert!(peers[..5].iter().all(|peer| peer.address.is_none()));
        rig.stop().await;
    }
}

#[tokio::test]
async fn an_account_that_sees_no_events_still_begins_and_learns_the_start() {
    let asterisk = Asterisk::start();
    let manager = asterisk.file("manager.conf");
    let text = std::fs::read_to_string(&manager).expect("manager.conf");
    let blind = text + "[blind]\nsecret=blind\nread=\nwrite=reporting\n";
    std::fs::write(&manager, blind).expect("written");
    asterisk.rx("manager reload");
    let mut rig = Rig::start(account(asterisk.ami(), "blind", "blind", true), quick());
    rig.up().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    assert!(rig.started().await.abs_diff(now) < 60);
    assert_eq!(rig.peers().await.len(), 7);
    rig.notify("201", "check-sync").await;
    let text = "Permission denied: the AMI user needs write=system";
    assert_eq!(rig.notified().await, Notified::Failed(text.into()));
    rig.stop().await;
}

#[tokio::test]
async fn a_wrong_secret_is_refused_until_somebody_corrects_it() {
    let asterisk = Asterisk::start();
    let manager = asterisk.file("manager.conf");
    let good = std::fs::read_to_string(&manager).expect("manager.conf");
    std::fs::write(&manager, good.replace("lab-secret", "changed")).expect("written");
    asterisk.rx("manager reload");
    let mut rig = provision(&asterisk);
    let (reason, refused) = rig.down().await;
    assert!(refused, "{reason}");
    assert!(!reason.contains("lab-secret"), "{reason}");
    std::fs::write(&manager, good).expect("written");
    asterisk.rx("manager reload");
    rig.up().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_phone_registers_gets_its_notify_and_leaves() {
    let asterisk = Asterisk::start();
    let mut rig = provision(&asterisk);
    rig.follow(&["203"]).await;
    rig.peers().await;
    rig.notify("203", "check-sync").await;
    assert_eq!(rig.notified().await, Notified::NoAddress);

    let mut phone = Phone::new(asterisk.sip(), "203", "phone-secret").await;
    phone.register(AGENT, 60).await;
    assert_eq!(rig.registered().await, "203");
    let facts = rig.peer().await;
    assert_eq!(facts.address, Some(phone.address()));
    assert_eq!(facts.user_agent.as_deref(), Some(AGENT));
    // Asterisk waits ten seconds longer than it tells the phone.
    assert!(facts.expires.is_some_and(|left| (60..=70).contains(&left)), "{:?}", facts.expires);

    rig.notify("203", "check-sync;reboot=\"a,b\"").await;
    assert_eq!(rig.notified().await, Notified::Sent);
    let packet = phone.request("NOTIFY").await;
    assert!(packet.contains("\r\nEvent: check-sync;reboot=\"a,b\"\r\n"), "{packet}");

    phone.register("another agent", 60).await;
    assert_eq!(rig.registered().await, "203");
    assert_eq!(rig.peer().await.user_agent.as_deref(), Some("another agent"));

    phone.register(AGENT, 0).await;
    let facts = rig.peer().await;
    assert_eq!((facts.address, facts.user_agent), (None, None));
    rig.stop().await;
}

#[tokio::test]
async fn a_phone_in_a_call_gets_no_notify() {
    let asterisk = Asterisk::start();
    let mut rig = provision(&asterisk);
    rig.follow(&["203"]).await;
    rig.peers().await;
    let mut phone = Phone::new(asterisk.sip(), "203", "phone-secret").await;
    phone.register(AGENT, 60).await;
    rig.registered().await;
    asterisk.admin(
        "Action: Originate\r\nChannel: SIP/203\r\nApplication: Wait\r\nData: 30\r\nAsync: true",
    );
    phone.request("INVITE").await;
    rig.notify("203", "check-sync").await;
    assert_eq!(rig.notified().await, Notified::InCall);
    rig.stop().await;
}

#[tokio::test]
async fn a_reload_shows_what_was_changed() {
    let asterisk = Asterisk::start();
    let mut rig = provision(&asterisk);
    rig.follow(&["201"]).await;
    rig.peers().await;
    let conf = asterisk.file("sip.conf");
    let text = std::fs::read_to_string(&conf).expect("sip.conf");
    std::fs::write(&conf, text.replace("Ada Quill", "Ada Changed")).expect("written");
    rig.order(Order::Reload).await;
    let answer = |news: &AmiNews| match news {
        AmiNews::ReloadAnswered(result) => Some(result.clone()),
        _ => None,
    };
    assert_eq!(rig.until("the answer", answer).await, Ok(()));
    let changed = |news: &AmiNews| match news {
        AmiNews::Peers(peers) => {
            let shown = peers[0].visible.as_ref()?;
            shown.callerid.contains("Ada Changed").then_some(())
        }
        _ => None,
    };
    rig.until("the new caller ID", changed).await;

    let reloaded = |news: &AmiNews| matches!(news, AmiNews::Reloaded).then_some(());
    asterisk.rx("module reload chan_sip.so");
    rig.until("somebody's reload", reloaded).await;
    rig.peers().await;
    rig.stop().await;
}

#[tokio::test]
async fn asterisk_may_stop_and_start_again() {
    let mut asterisk = Asterisk::start();
    let mut rig = provision(&asterisk);
    let first = rig.started().await;
    rig.peers().await;
    asterisk.stop();
    let (reason, refused) = rig.down().await;
    assert!(!refused, "{reason}");
    rig.notify("201", "check-sync").await;
    assert_eq!(rig.notified().await, Notified::Failed("no AMI session".into()));
    asterisk.again();
    rig.up().await;
    assert!(rig.started().await >= first);
    assert_eq!(rig.peers().await.len(), 7);
    rig.stop().await;
}
