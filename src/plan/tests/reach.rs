//! Phones that Asterisk does not reach, and phones in calls.

use super::*;
use crate::plan::observed::{DeviceState, Seen};

const SECOND: Duration = Duration::from_secs(1);

impl Desk {
    /// One phone that shall run something new and that Asterisk has no address of, with its status.
    fn unreachable(status: &str) -> Self {
        let mut desk = Desk::running(1);
        desk.edit(1, "new", "s", true);
        for seen in desk.observed.peers.values_mut() {
            seen.facts.status = status.into();
        }
        desk
    }

    /// Seconds until the first NOTIFY of our own, when Asterisk never has an address; none within `limit`.
    fn first_own(&mut self, limit: u64) -> Option<u64> {
        for second in 0..limit {
            let told = self.via(&Notified::NoAddress);
            if told.iter().any(|via| matches!(via, Via::Direct { .. })) {
                return Some(second);
            }
            self.wait(SECOND);
        }
        None
    }

    fn device(&mut self, state: DeviceState) {
        self.observed.device(&peer(1, 2), state, self.now);
    }
}

#[test]
fn a_phone_that_asterisk_has_no_address_of_for_half_a_minute_is_told_by_ourselves() {
    let mut desk = Desk::unreachable("UNREACHABLE");
    let seconds = desk.first_own(300).unwrap();
    assert!((28..=32).contains(&seconds), "{seconds}");
}

#[test]
fn our_own_notify_goes_to_the_contact_with_the_name_that_is_registered_there() {
    let mut desk = Desk::unreachable("UNREACHABLE");
    desk.first_own(300);
    desk.wait(MINUTE);
    let to = desk.observed.contact(&peer(1, 1)).unwrap();
    assert_eq!(desk.via(&Notified::Silent), [Via::Direct { to, user: peer(1, 1) }]);
}

#[test]
fn where_that_is_switched_off_only_asterisk_tells() {
    let mut desk = Desk::unreachable("UNREACHABLE");
    desk.pacing.direct = DirectMode::Never;
    assert_eq!(desk.first_own(300), None);
}

#[test]
fn a_phone_that_says_yes_is_told_and_waited_for() {
    let mut desk = Desk::unreachable("LAGGED (2100 ms)");
    desk.first_own(300);
    desk.wait(MINUTE);
    assert_eq!(desk.via(&Notified::Answered(200)).len(), 1);
    assert_eq!(desk.state(1), State::Pushing);
    desk.wait(SECOND * 59);
    assert_eq!(desk.via(&Notified::Sent), []);
    desk.wait(SECOND * 2);
    assert_eq!(desk.via(&Notified::Sent), [Via::Asterisk], "what failed before counts anew");
}

#[test]
fn a_refusal_is_a_failure_and_silence_is_none_and_both_are_tried_again_rarely() {
    let check = |result: Notified, state: State| {
        let mut desk = Desk::unreachable("UNREACHABLE");
        desk.first_own(300);
        desk.wait(MINUTE);
        assert_eq!(desk.via(&result).len(), 1);
        assert_eq!(desk.state(1), state, "{result:?}");
        desk.wait(SECOND * 59);
        assert_eq!(desk.via(&result), [], "{result:?}");
        desk.wait(MINUTE * 15);
        assert!(matches!(desk.via(&result)[..], [Via::Direct { .. }]), "{result:?}");
    };
    check(Notified::Answered(404), State::Failed);
    check(Notified::Answered(401), State::Failed);
    check(Notified::Silent, State::Pending);
}

#[test]
fn once_asterisk_reaches_it_again_asterisk_tells_it() {
    let mut desk = Desk::unreachable("UNREACHABLE");
    desk.first_own(300);
    desk.wait(MINUTE);
    desk.via(&Notified::Silent);
    desk.observed.peers.values_mut().for_each(|seen| seen.facts.status = "OK (2 ms)".into());
    desk.wait(SECOND * 16);
    assert_eq!(desk.via(&Notified::Sent), [Via::Asterisk], "and soon");
}

#[test]
fn a_phone_in_a_call_is_not_told_and_told_at_once_when_the_call_ends() {
    for state in [DeviceState::Ringing, DeviceState::InUse, DeviceState::OnHold, DeviceState::Busy]
    {
        let mut desk = Desk::running(1);
        desk.device(state);
        desk.edit(1, "new", "s", true);
        assert_eq!(desk.via(&Notified::Sent), [], "{state:?}");
        assert_eq!(desk.state(1), State::InCall, "{state:?}");
        desk.wait(SECOND * 50);
        assert_eq!(desk.via(&Notified::Sent), [], "{state:?}");
        desk.device(DeviceState::Idle);
        assert_eq!(desk.via(&Notified::Sent), [Via::Asterisk], "{state:?}");
    }
}

#[test]
fn a_call_whose_end_was_missed_is_asked_for_now_and_then() {
    let mut desk = Desk::running(1);
    desk.device(DeviceState::InUse);
    desk.edit(1, "new", "s", true);
    desk.wait(MINUTE);
    assert_eq!(desk.via(&Notified::InCall), [Via::Asterisk]);
    desk.wait(SECOND * 59);
    assert_eq!(desk.via(&Notified::InCall), []);
    desk.wait(SECOND);
    assert_eq!(desk.via(&Notified::Sent), [Via::Asterisk]);
}

#[test]
fn a_call_that_only_the_channels_show_is_asked_for_again_soon_after_its_end() {
    let mut desk = Desk::running(1);
    desk.edit(1, "new", "s", true);
    assert_eq!(desk.via(&Notified::InCall).len(), 1);
    desk.wait(SECOND);
    assert_eq!(desk.via(&Notified::InCall), []);
    desk.observed.hung_up(&peer(1, 2), desk.now);
    desk.wait(Duration::from_millis(400));
    assert_eq!(desk.via(&Notified::InCall).len(), 1, "the channel is still there");
    desk.wait(Duration::from_millis(400));
    assert_eq!(desk.via(&Notified::Sent).len(), 1);
}

#[test]
fn a_list_of_devices_replaces_what_was_known() {
    let mut observed = Observed::default();
    observed.device("201", DeviceState::InUse, Time(1));
    observed.device("202", DeviceState::InUse, Time(1));
    observed.devices(vec![("201".into(), DeviceState::InUse)], Time(5));
    assert_eq!(observed.peers["201"].device, Some((DeviceState::InUse, Time(1))));
    assert_eq!(observed.peers["202"].device, None);
}

#[test]
fn rows_of_before_and_of_now_are_read() {
    let old =
        r#"{"told":{"token":"00112233445566778899aabbccddeeff","sent":1,"at":5,"result":"sent"}}"#;
    let looked = r#"{"sync":{"token":"00112233445566778899aabbccddeeff","at":5}}"#;
    let seen: Seen = serde_json::from_str(looked).unwrap();
    assert!(seen.sync.unwrap().from.is_unspecified());
    let seen: Seen = serde_json::from_str(old).unwrap();
    let mut told = seen.told.unwrap();
    assert_eq!(told.result, Notified::Sent);
    told.result = Notified::Answered(489);
    let row = serde_json::to_string(&told).unwrap();
    assert_eq!(serde_json::from_str::<crate::plan::observed::Told>(&row).unwrap(), told, "{row}");
}

#[test]
fn a_phone_that_was_taken_back_and_is_nowhere_registered_is_told_where_it_was() {
    let mut desk = Desk::running(1);
    desk.edit(1, "bad", "s", true).wait(MINUTE).fetch(1);
    desk.observed.unlisted();
    assert_eq!(desk.wait(MINUTE * 4).via(&Notified::Sent), []);
    desk.edit(1, "old", "s", true);
    let to = ([127, 0, 1, 1], 5060).into();
    let own = Via::Direct { to, user: peer(1, 1) };
    assert_eq!(desk.via(&Notified::Answered(200)), std::slice::from_ref(&own));
    assert_eq!(desk.wait(SECOND * 59).via(&Notified::Answered(200)), []);
    assert_eq!(desk.wait(SECOND).via(&Notified::Answered(200)), [own], "it may have missed it");
    desk.boot(1);
    assert_eq!(desk.state(1), State::Current);
}

#[test]
fn a_phone_that_lost_its_registration_to_a_new_password_is_told_where_it_was() {
    let mut desk = Desk::running(1);
    desk.edit(1, "old", "changed", true);
    desk.observed.unlisted();
    let to = ([127, 0, 1, 1], 5060).into();
    assert_eq!(desk.wait(MINUTE).via(&Notified::Silent), [Via::Direct { to, user: peer(1, 1) }]);
    let stand = desk.standing(&desk.offer.phones[&mac(1)]);
    assert_eq!((stand.state, stand.slow), (State::Pending, true));
    assert!(stand.detail.contains("not where it was"), "{}", stand.detail);
    desk.pacing.direct = DirectMode::Never;
    assert_eq!(desk.wait(MINUTE * 60).via(&Notified::Silent), []);
}

#[test]
fn a_clock_that_is_set_back_keeps_nobody_waiting() {
    let mut desk = Desk::running(1);
    desk.edit(1, "new", "s", true).wait(MINUTE * 1440);
    assert_eq!(desk.via(&Notified::InCall).len(), 1);
    desk.now = Time(desk.now.0 - 86_400_000);
    desk.observed.set_back(desk.now);
    desk.pace = Pace::default();
    assert_eq!(desk.wait(SECOND * 6).via(&Notified::Sent).len(), 1);
}

#[test]
fn a_phone_that_is_asked_again_and_again_is_still_proved_by_its_silence() {
    let mut desk = Desk::new(1);
    desk.register(1, 1).register(1, 2).sync(1);
    for _ in 0..5 {
        desk.wait(SECOND * 20).sync(1);
    }
    desk.register(1, 1).register(1, 2);
    assert_eq!(desk.state(1), State::Current);
}
