//! What a real Asterisk 22, the AMI session and a phone make of each other.

use std::time::Duration;

use handset::base::Tech;
use handset::daemon::ami::Timing;
use handset::daemon::event::{AmiNews, Order};
use handset::plan::observed::{DeviceState, Notified, PeerFacts};
use simphone::{Event, State};

use crate::pbx::Pbx;
use crate::phone::{Desk, LIMIT};
use crate::rig::{Rig, account, quick};

const AGENT: &str = "Cisco-CP7960G/8.0";
const SAME: &str = "<IMAGE VERSION=\"*\" SYNC=\"1\"/>";

fn session(pbx: &Pbx) -> Rig {
    let timing = Timing { poll: Duration::from_millis(500), ..quick() };
    Rig::start(account(pbx.ami, "provision", "lab-secret", true), timing)
}

/// The next facts of one peer.
async fn facts_of(rig: &mut Rig, peer: &str, wanted: impl Fn(&PeerFacts) -> bool) -> PeerFacts {
    let pick = |news: &AmiNews| match news {
        AmiNews::Peer(facts) if facts.peer == peer && wanted(facts) => Some(facts.clone()),
        _ => None,
    };
    rig.until(&format!("facts of {peer}"), pick).await
}

async fn registered(rig: &mut Rig, peer: &str) {
    let pick = |news: &AmiNews| match news {
        AmiNews::Registered { peer: name } if name == peer => Some(()),
        _ => None,
    };
    rig.until(&format!("Registered of {peer}"), pick).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_endpoints_are_listed_and_those_followed_are_shown() {
    let pbx = Pbx::start();
    for md5 in [true, false] {
        let mut rig = Rig::start(account(pbx.ami, "provision", "lab-secret", md5), quick());
        rig.follow(&["201", "nobody"]).await;
        assert_eq!(rig.up().await, "11.0.0");
        // The first list may be from before the order.
        let peers = match rig.peers().await {
            early if early.iter().all(|peer| peer.visible.is_none()) => {
                rig.order(Order::Relist).await;
                rig.peers().await
            }
            peers => peers,
        };
        let names: Vec<&str> = peers.iter().map(|peer| peer.peer.as_str()).collect();
        assert_eq!(names, ["201", "202", "203", "204", "301"]);
        assert!(peers.iter().all(|peer| peer.tech == Tech::Pjsip && peer.address.is_none()));
        let shown = peers[0].visible.as_ref().unwrap();
        assert_eq!(shown.callerid, "\"Ada Quill\" <201>");
        assert_eq!((shown.mailbox.as_str(), shown.language.as_str()), ("", "en"));
        assert_eq!(peers[1].visible, None, "202 is not followed");
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_registers_gets_its_notify_moves_and_leaves() {
    let pbx = Pbx::start();
    let mut rig = session(&pbx);
    rig.follow(&["201", "202"]).await;
    rig.peers().await;
    rig.notify("201", "check-sync").await;
    assert_eq!(rig.notified().await, Notified::NoAddress, "nobody would get it");

    let mut desk = Desk::new(pbx.sip, "nat_enable: 1\n").await;
    let phone = desk.registered().await;
    registered(&mut rig, "201").await;
    let facts = facts_of(&mut rig, "201", |facts| facts.address.is_some()).await;
    assert_eq!(facts.address, Some(desk.address()));
    assert_eq!(facts.user_agent.as_deref(), Some(AGENT));
    assert!(facts.expires.is_some_and(|left| (50..=60).contains(&left)), "{:?}", facts.expires);

    desk.server.put("syncinfo.xml", SAME);
    let mark = phone.mark();
    rig.notify("201", "check-sync").await;
    assert_eq!(rig.notified().await, Notified::Sent);
    let package = Some("check-sync".to_owned());
    let arrived = Event::Notify { package, answered: Some(200) };
    phone.wait_event(mark, LIMIT, |event| *event == arrived).await.unwrap();

    phone.call("600").await.unwrap();
    // A list of channels from just before the call may still decide.
    tokio::time::sleep(Timing::default().channels).await;
    rig.notify("202", "check-sync").await;
    assert_eq!(rig.notified().await, Notified::Sent, "another endpoint's call is no matter");
    rig.notify("201", "check-sync").await;
    assert_eq!(rig.notified().await, Notified::InCall);
    phone.hang_up().await;

    // Without a farewell: the cable is pulled and plugged in elsewhere.
    drop(phone);
    desk.moved();
    let phone = desk.registered().await;
    registered(&mut rig, "201").await;
    let there = |facts: &PeerFacts| facts.address == Some(desk.address());
    facts_of(&mut rig, "201", there).await;

    phone.stop(true).await;
    let facts = facts_of(&mut rig, "201", |facts| facts.address.is_none()).await;
    assert_eq!((facts.user_agent, facts.expires), (None, None));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_refresh_is_seen_by_polling() {
    let pbx = Pbx::start();
    let mut rig = session(&pbx);
    rig.follow(&["201"]).await;
    rig.peers().await;
    let mut desk = Desk::new(pbx.sip, "nat_enable: 1\ntimer_register_delta: 3\n").await;
    desk.config.register_expires = Some(8);
    let phone = desk.registered().await;
    registered(&mut rig, "201").await;
    rig.order(Order::Poll(vec!["201".into()])).await;
    let first = facts_of(&mut rig, "201", |facts| facts.expires.is_some()).await.expires.unwrap();
    let lower = facts_of(&mut rig, "201", |facts| facts.expires < Some(first)).await.expires;
    phone.wait(LIMIT, |state| state.registrations >= 4).await.unwrap();
    facts_of(&mut rig, "201", |facts| facts.expires > lower).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_shows_what_was_changed() {
    let pbx = Pbx::start();
    let mut rig = session(&pbx);
    rig.follow(&["201", "204"]).await;
    rig.peers().await;
    pbx.write("pjsip.conf", &pbx.read("pjsip.conf").replace("Ada Quill", "Ada Changed"));
    let wizard = pbx.read("pjsip_wizard.conf").replace("Di Voss", "Di Changed");
    pbx.write("pjsip_wizard.conf", &wizard);
    rig.order(Order::Reload).await;
    let answer = |news: &AmiNews| match news {
        AmiNews::ReloadAnswered(result) => Some(result.clone()),
        _ => None,
    };
    assert_eq!(rig.until("the answer", answer).await, Ok(()));
    let shows = |peers: &[PeerFacts], name: &str, text: &str| {
        let peer = peers.iter().find(|peer| peer.peer == name);
        let shown = peer.and_then(|peer| peer.visible.as_ref());
        shown.is_some_and(|shown| shown.callerid.contains(text))
    };
    let changed = |news: &AmiNews| match news {
        AmiNews::Peers(peers) => {
            let all = shows(peers, "201", "Ada Changed") && shows(peers, "204", "Di Changed");
            all.then_some(())
        }
        _ => None,
    };
    rig.until("the new caller IDs", changed).await;

    let reloaded = |news: &AmiNews| matches!(news, AmiNews::Reloaded).then_some(());
    pbx.rx("module reload res_pjsip.so");
    rig.until("somebody's reload", reloaded).await;
    rig.peers().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_drivers_of_one_asterisk_are_followed_by_one_session() {
    let (pbx, pjsip) = Pbx::both();
    let mut rig = session(&pbx);
    let techs = [("201", Tech::Pjsip), ("202", Tech::Sip)];
    let techs = techs.map(|(name, tech)| (name.to_owned(), tech)).into_iter().collect();
    rig.order(Order::Techs(techs)).await;
    rig.follow(&["201", "202"]).await;
    // The first list may be from before the orders.
    let meant = |news: &AmiNews| match news {
        AmiNews::Peers(peers) if peers[0].tech == Tech::Pjsip => Some(peers.clone()),
        _ => None,
    };
    let peers = rig.until("a list with 201 of chan_pjsip", meant).await;
    let told: Vec<_> = peers.iter().map(|peer| (peer.peer.as_str(), peer.tech)).collect();
    let (sip, pj) = (Tech::Sip, Tech::Pjsip);
    let all = [("201", pj), ("202", sip), ("203", sip), ("204", sip), ("205", sip), ("301", sip)];
    assert_eq!(told, [&all[..], &[("trunk", sip)]].concat());

    // Its first line at chan_pjsip, the second one at chan_sip.
    let proxy2 =
        format!("nat_enable: 1\nproxy2_address: \"127.0.0.1\"\nproxy2_port: {}\n", pbx.sip.port());
    let desk = Desk::new(pjsip, &proxy2).await;
    let phone = desk.registered().await;
    let at = |tech| move |facts: &PeerFacts| facts.tech == tech && facts.address.is_some();
    let first = facts_of(&mut rig, "201", at(pj)).await;
    rig.order(Order::Relist).await;
    let listed = |news: &AmiNews| match news {
        AmiNews::Peers(peers) => peers.get(1).filter(|facts| at(sip)(facts)).cloned(),
        _ => None,
    };
    let second = rig.until("the second line", listed).await;
    let addresses = [first.address, second.address];
    assert_eq!(addresses, [Some(desk.address()), Some(desk.address())]);

    desk.server.put("syncinfo.xml", SAME);
    for peer in ["201", "202"] {
        let mark = phone.mark();
        rig.notify(peer, "check-sync").await;
        assert_eq!(rig.notified().await, Notified::Sent, "{peer}");
        let notify = |event: &Event| matches!(event, Event::Notify { .. });
        phone.wait_event(mark, LIMIT, notify).await.unwrap();
    }
    rig.order(Order::Reload).await;
    let answer = |news: &AmiNews| match news {
        AmiNews::ReloadAnswered(result) => Some(result.clone()),
        _ => None,
    };
    assert_eq!(rig.until("the answer", answer).await, Ok(()));
    rig.stop().await;
}

/// `force_rport` is on unless set, and a 7940 with `nat_enable: 0` sends from a port on which it does
/// not listen (phones.md §2.16): so `nat_enable: 1` is what its file must say for such an endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn with_forced_rport_a_phone_registers_only_with_nat_enable() {
    let mut pbx = Pbx::start();
    let desk = Desk::new(pbx.sip, "nat_enable: 0\nsip_retx: 2\n").await;
    let phone = desk.boot().await;
    let silence = |event: &Event| matches!(event, Event::RegisterFailed { status: None, .. });
    phone.wait_event(0, LIMIT, silence).await.unwrap();
    assert!(phone.state().registered.is_empty());

    desk.write("nat_enable: 1\nsip_retx: 2\n");
    phone.power_cycle().await;
    phone.wait(LIMIT, |s| s.boots == 2 && s.all_registered()).await.unwrap();
    phone.stop(true).await;

    let off = pbx.read("pjsip.conf").replace("force_rport=yes", "force_rport=no");
    let marker = "[marker]\ntype=endpoint\n";
    pbx.write("pjsip.conf", &format!("{off}\n{marker}"));
    pbx.reload_until("marker");
    let desk = Desk::new(pbx.sip, "nat_enable: 0\nsip_retx: 2\n").await;
    let mut rig = session(&pbx);
    rig.follow(&["201"]).await;
    rig.peers().await;
    let phone = desk.registered().await;
    registered(&mut rig, "201").await;
    desk.server.put("syncinfo.xml", SAME);
    rig.notify("201", "check-sync").await;
    assert_eq!(rig.notified().await, Notified::Sent);
    let notify = |event: &Event| matches!(event, Event::Notify { .. });
    phone.wait_event(0, LIMIT, notify).await.unwrap();

    // Requests then go where the REGISTER came from, and are lost.
    let rewritten = off.replace("force_rport=no", "force_rport=no\nrewrite_contact=yes");
    pbx.write("pjsip.conf", &format!("{rewritten}\n{marker}[marker2]\ntype=endpoint\n"));
    pbx.reload_until("marker2");
    phone.power_cycle().await;
    phone.wait(LIMIT, |s: &State| s.boots == 2 && s.all_registered()).await.unwrap();
    let mark = phone.mark();
    registered(&mut rig, "201").await;
    rig.notify("201", "check-sync").await;
    assert_eq!(rig.notified().await, Notified::Sent);
    let lost = phone.wait_event(mark, Duration::from_secs(3), notify).await;
    assert!(lost.is_err(), "the contact's port is not the one that the phone listens on");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_seen_to_talk_and_to_be_idle() {
    let pbx = Pbx::start();
    let mut rig = Rig::start(account(pbx.ami, "companion", "lab-companion", true), quick());
    rig.follow(&["201"]).await;
    let listed = |news: &AmiNews| match news {
        AmiNews::Devices(all) => Some(all.clone()),
        _ => None,
    };
    let all = rig.until("the states of all devices", listed).await;
    assert!(all.iter().all(|(peer, state)| peer == "201" && !state.in_call()), "{all:?}");
    let desk = Desk::new(pbx.sip, "nat_enable: 1\n").await;
    let phone = desk.registered().await;
    let facts = facts_of(&mut rig, "201", |facts| facts.rtt.is_some()).await;
    assert!(facts.rtt.is_some_and(|rtt| rtt < 1000), "{facts:?}");
    phone.call("600").await.unwrap();
    let state = |wanted: DeviceState| {
        move |news: &AmiNews| match news {
            AmiNews::Device { peer, state } if peer == "201" && *state == wanted => Some(()),
            _ => None,
        }
    };
    rig.until("a call", state(DeviceState::InUse)).await;
    phone.hang_up().await;
    rig.until("its end", state(DeviceState::Idle)).await;
    rig.stop().await;
}
