//! The session with chan_pjsip, alone and beside chan_sip.

use super::*;

fn endpoint(name: &str) -> String {
    format!("Event: EndpointList\nObjectName: {name}\nDeviceState: Unavailable")
}

/// A contact of an endpoint, registered for so many seconds from now.
fn contact(name: &str, ip: &str, seconds: u64) -> String {
    let until = STARTED + 10 + seconds;
    format!(
        "Event: ContactStatusDetail\nURI: sip:{name}@{ip}:5060\nEndpointName: {name}\n\
         RegExpire: {until}\nUserAgent: agent"
    )
}

fn has(name: &str, ip: &str) -> String {
    format!(
        "Event: ContactStatus\nURI: sip:{name}@{ip}:5060\nContactStatus: NonQualified\n\
         EndpointName: {name}"
    )
}

impl Rig {
    /// Asterisk 22, following `follow`, with endpoints 201 to 203 of which 201 is registered.
    fn pjsip(follow: &[&str]) -> Self {
        let mut rig = Self::new();
        rig.order(Order::Follow(follow.iter().map(|&peer| peer.into()).collect()));
        rig.login();
        rig.hear("Event: FullyBooted\nUptime: 10");
        rig.answer("SIPpeers", &[UNKNOWN]);
        rig.endpoints(&[contact("201", "10.0.0.1", 60)]);
        follow.iter().for_each(|peer| rig.show(peer, &[]));
        rig.news();
        rig
    }

    fn endpoints(&mut self, contacts: &[String]) {
        let names = ["201", "202", "203"].map(endpoint);
        self.answer_list("PJSIPShowEndpoints", &names);
        self.answer_list("PJSIPShowRegistrationInboundContactStatuses", contacts);
    }

    /// Answers a PJSIPShowEndpoint.
    fn show(&mut self, name: &str, contacts: &[String]) {
        let detail =
            "Event: EndpointDetail\nCallerid: \"Ada\" <1>\nMailboxes: \nLanguage: en".to_owned();
        let auth = "Event: AuthDetail\nPassword: geheim".to_owned();
        let aor = format!("Event: AorDetail\nObjectName: {name}\nMailboxes: 7@x");
        let items = [vec![detail, auth, aor], contacts.to_vec()].concat();
        self.answer_list(&format!("PJSIPShowEndpoint {name}"), &items);
    }
}

#[test]
fn endpoints_and_contacts_are_listed_and_those_followed_are_shown() {
    let mut rig = Rig::new();
    rig.order(Order::Follow(vec!["201".into()]));
    rig.login();
    rig.hear("Event: FullyBooted\nUptime: 10");
    rig.answer("SIPpeers", &[UNKNOWN]);
    let contacts =
        [contact("201", "10.0.0.1", 60), contact("202", "10.0.0.2", 60), contact("gone", "::1", 9)];
    rig.endpoints(&contacts);
    let one = rig.asked[0].1.clone();
    assert_eq!(one, "PJSIPShowEndpoint 201");
    rig.show("201", &contacts[..1]);
    let news = rig.session.news.drain();
    let Some(AmiNews::Peers(peers)) = news.last() else { panic!("{news:?}") };
    assert_eq!(show(&news[2]), "201@10.0.0.1/agent 202@10.0.0.2/agent 203@-/-");
    assert!(peers.iter().all(|facts| facts.tech == Tech::Pjsip));
    assert_eq!(peers[0].expires, Some(60));
    let shown = peers[0].visible.as_ref().unwrap();
    assert_eq!((shown.callerid.as_str(), shown.mailbox.as_str()), ("\"Ada\" <1>", "7@x"));
    assert_eq!(peers[1].visible, None, "202 is not followed");
}

#[test]
fn what_an_endpoint_shows_is_asked_again_only_after_a_reload() {
    let mut rig = Rig::pjsip(&["201"]);
    rig.order(Order::Relist);
    rig.endpoints(&[contact("201", "10.0.0.1", 60)]);
    assert!(rig.asked.is_empty());
    assert_eq!(rig.news(), ["201@10.0.0.1/agent 202@-/- 203@-/-"]);
    rig.hear("Event: Reload\nModule: res_pjsip.so\nStatus: 0");
    assert_eq!(rig.news(), ["reloaded"]);
    rig.endpoints(&[]);
    assert_eq!(rig.asked(), ["PJSIPShowEndpoint 201"]);
}

#[test]
fn the_first_register_of_a_contact_is_told_at_once_and_its_details_once() {
    let mut rig = Rig::pjsip(&["201", "202"]);
    rig.hear(&has("202", "10.0.0.2"));
    rig.hear("Event: PeerStatus\nPeer: PJSIP/202\nPeerStatus: Reachable");
    rig.hear(&has("202", "10.0.0.2"));
    rig.hear(&has("203", "10.0.0.3"));
    assert_eq!(rig.news(), ["registered 202"], "203 is not followed");
    rig.wait(100).unwrap();
    rig.show("202", &[contact("202", "10.0.0.2", 60)]);
    assert_eq!(rig.news(), ["peer 202@10.0.0.2/agent"]);
    assert!(rig.asked.is_empty());
}

#[test]
fn a_move_is_a_register_and_the_old_contact_that_goes_is_no_farewell() {
    let mut rig = Rig::pjsip(&["201"]);
    rig.hear(&has("201", "10.0.0.9"));
    rig.hear(&has("201", "10.0.0.1").replace("NonQualified", "Removed"));
    assert_eq!(rig.news(), ["registered 201"]);
    rig.wait(100).unwrap();
    rig.show("201", &[contact("201", "10.0.0.9", 60)]);
    assert_eq!(rig.news(), ["peer 201@10.0.0.9/agent"]);
    rig.hear(&has("201", "10.0.0.9").replace("NonQualified", "Removed"));
    rig.wait(100).unwrap();
    rig.show("201", &[]);
    assert_eq!(rig.news(), ["peer 201@-/-"]);
}

#[test]
fn endpoints_that_are_waited_for_are_asked_every_few_seconds() {
    let mut rig = Rig::pjsip(&["201"]);
    rig.order(Order::Poll(vec!["201".into(), "202".into(), "nobody".into()]));
    rig.wait(2_999).unwrap();
    assert!(rig.asked.is_empty());
    rig.wait(1).unwrap();
    assert_eq!(rig.asked(), ["PJSIPShowEndpoint 201"], "202 is not followed");
    rig.wait(6_000).unwrap();
    assert_eq!(rig.asked().len(), 1, "the first answer is not there yet");
    rig.show("201", &[contact("201", "10.0.0.1", 90)]);
    let news = rig.session.news.drain();
    let [AmiNews::Peer(facts)] = &news[..] else { panic!("{news:?}") };
    assert_eq!(facts.expires, Some(90), "it rose: there was a refresh");
    rig.order(Order::Poll(Vec::new()));
    rig.wait(6_000).unwrap();
    assert!(rig.asked.is_empty());
}

#[test]
fn a_notify_goes_to_an_endpoint_that_has_a_contact() {
    let mut rig = Rig::pjsip(&[]);
    rig.notify("201", &["201"]);
    rig.channels(&["PJSIP/2012-00000001"]);
    rig.show("201", &[contact("201", "10.0.0.1", 60)]);
    let action = r"PJSIPNotify 201 Event=check-sync;x=\(1\)";
    rig.answer(action, &["Response: Success\nMessage: NOTIFY sent"]);
    assert_eq!(rig.news().last().unwrap(), "notify Sent");

    rig.notify("201", &["201"]);
    rig.show("201", &[contact("201", "10.0.0.1", 60)]);
    rig.answer(action, &[UNKNOWN]);
    let told = rig.news().pop().unwrap();
    assert!(told.contains("res_pjsip_notify.so"), "{told}");
}

#[test]
fn no_notify_is_sent_without_a_contact_or_into_a_call() {
    let mut rig = Rig::pjsip(&[]);
    rig.notify("202", &["202"]);
    rig.channels(&[]);
    rig.show("202", &[]);
    assert_eq!(rig.news()[0], "notify NoAddress");
    assert!(rig.asked.is_empty());

    let mut rig = Rig::pjsip(&[]);
    rig.notify("201", &["201", "202"]);
    rig.channels(&["PJSIP/202-00000001"]);
    assert_eq!(rig.news(), ["notify InCall"]);

    let mut rig = Rig::pjsip(&[]);
    rig.notify("202", &["202"]);
    rig.channels(&[]);
    let gone = "Response: Error\nMessage: Unable to retrieve endpoint 202";
    rig.answer("PJSIPShowEndpoint 202", &[gone]);
    assert_eq!(rig.news(), [r#"notify Failed("Unable to retrieve endpoint 202")"#]);
}

#[test]
fn only_what_is_there_is_reloaded() {
    let mut rig = Rig::pjsip(&[]);
    rig.order(Order::Reload);
    rig.answer("Reload res_pjsip.so", &["Response: Success\nMessage: Module Reloaded"]);
    assert_eq!(rig.news(), ["reload Ok(())"]);
}

/// Both drivers, with 201 in both.
fn both(techs: &[(&str, Tech)]) -> Rig {
    let mut rig = Rig::new();
    let techs = techs.iter().map(|(name, tech)| ((*name).to_owned(), *tech)).collect();
    rig.order(Order::Techs(techs));
    rig.order(Order::Follow(vec!["201".into()]));
    rig.login();
    rig.hear("Event: FullyBooted\nUptime: 10");
    let entry = "Event: PeerEntry\nObjectName: 201\nIPaddress: -none-\nIPport: 0".to_owned();
    rig.answer_list("SIPpeers", &[entry]);
    rig
}

#[test]
fn of_two_peers_of_one_name_the_registered_one_is_told_unless_one_is_meant() {
    let mut rig = both(&[]);
    rig.endpoints(&[contact("201", "10.0.0.1", 60)]);
    rig.show("201", &[contact("201", "10.0.0.1", 60)]);
    assert_eq!(rig.news()[2], "201@10.0.0.1/agent 202@-/- 203@-/-");

    let mut rig = both(&[("201", Tech::Sip)]);
    rig.endpoints(&[contact("201", "10.0.0.1", 60)]);
    rig.details("(null)");
    assert_eq!(rig.news()[2], "201@-/- 202@-/- 203@-/-");
    rig.hear(&has("201", "10.0.0.9"));
    assert!(rig.news().is_empty(), "that is the other one");
}

#[test]
fn both_are_reloaded_and_told_once() {
    let mut rig = both(&[]);
    rig.endpoints(&[]);
    rig.details("(null)");
    rig.news();
    rig.order(Order::Reload);
    rig.answer("Reload chan_sip.so", &["Response: Success"]);
    assert!(rig.news().is_empty());
    let refused = "Response: Error\nMessage: A reload is in progress";
    let at = rig.asked.iter().position(|(_, asked)| asked == "Reload res_pjsip.so").unwrap();
    let reload = rig.asked.remove(at);
    rig.asked.insert(0, reload);
    rig.answer("Reload res_pjsip.so", &[refused]);
    assert!(rig.news().contains(&r#"reload Err("A reload is in progress")"#.to_owned()));
}

#[test]
fn an_empty_list_of_endpoints_is_told_as_an_error_and_is_none() {
    let mut rig = both(&[]);
    rig.answer("PJSIPShowEndpoints", &["Response: Error\nMessage: No endpoints found"]);
    rig.details("(null)");
    assert_eq!(rig.news()[2], "201@-/-");
}
