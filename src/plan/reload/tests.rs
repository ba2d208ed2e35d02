//! What counts as loaded, against a hand-set clock.

use super::*;
use crate::plan::observed::PeerFacts;

fn wanted(fit: bool) -> Wanted<'static> {
    Wanted { fingerprint: "new", since: Time(10_000), fit }
}

#[test]
fn asterisk_is_asked_once_and_believed_only_when_it_shows() {
    let mut loaded = Loaded { known: Some("old".into()), ..Loaded::default() };
    let mut step = |seen, session, seconds: u64, sign: Option<u64>| {
        if let Some(sign) = sign {
            loaded.sign = Some(Time(10_000 + sign * 1000));
        }
        next(
            ReloadMode::Ask,
            &mut loaded,
            &wanted(true),
            session,
            || seen,
            Time(10_000 + seconds * 1000),
        )
    };
    assert_eq!(step(Some(false), false, 0, None), Next::Wait, "no session");
    assert_eq!(step(Some(false), true, 1, None), Next::Ask);
    assert_eq!(step(Some(true), true, 2, None), Next::Look, "not before it answered");
    assert_eq!(
        step(Some(false), true, 3, Some(2)),
        Next::Look,
        "it answered and still shows the old"
    );
    assert_eq!(step(Some(true), true, 4, None), Next::Loaded);
    assert_eq!(loaded.known.as_deref(), Some("new"));
}

#[test]
fn a_text_that_comes_back_while_another_is_loaded_is_loaded_again() {
    let mut loaded = Loaded { known: Some("old".into()), ..Loaded::default() };
    let mut step = |text, since, seconds: u64| {
        let wanted = Wanted { fingerprint: text, since: Time(since), fit: true };
        let at = Time(10_000 + seconds * 1000);
        next(ReloadMode::Ask, &mut loaded, &wanted, true, || None, at)
    };
    assert_eq!(step("old", 1, 0), Next::Loaded);
    assert_eq!(step("new", 11_000, 1), Next::Ask);
    assert_eq!(step("old", 12_000, 2), Next::Ask, "it may have the new one");
    loaded.sign = Some(Time(12_500));
    let wanted = Wanted { fingerprint: "old", since: Time(12_000), fit: true };
    let next = next(ReloadMode::Ask, &mut loaded, &wanted, true, || None, Time(14_000));
    assert_eq!((next, loaded.is("old")), (Next::Loaded, true));
}

#[test]
fn a_reload_that_shows_nothing_settles_and_a_refused_one_is_told() {
    let mut quiet = Loaded { sign: Some(Time(11_000)), ..Loaded::default() };
    quiet.asked = Some(("new".into(), Time(10_500)));
    assert_eq!(
        next(ReloadMode::Ask, &mut quiet, &wanted(true), true, || None, Time(11_500)),
        Next::Look
    );
    assert_eq!(
        next(ReloadMode::Ask, &mut quiet, &wanted(true), true, || None, Time(12_000)),
        Next::Loaded
    );
    let mut refused = Loaded { sign: Some(Time(11_000)), ..Loaded::default() };
    refused.asked = Some(("new".into(), Time(10_500)));
    let late =
        next(ReloadMode::Ask, &mut refused, &wanted(true), true, || Some(false), Time(30_000));
    assert_eq!((late, refused.error.is_some()), (Next::Look, true));
    let later =
        next(ReloadMode::Ask, &mut refused, &wanted(true), true, || Some(false), Time(80_000));
    assert_eq!(later, Next::Ask, "it is asked again after a minute");
}

#[test]
fn a_reload_from_before_the_clock_was_set_back_is_asked_for_again() {
    let mut loaded = Loaded { sign: Some(Time(3_600_000)), ..Loaded::default() };
    loaded.asked = Some(("new".into(), Time(3_500_000)));
    let now = Time(20_000);
    let next =
        |loaded: &mut Loaded| next(ReloadMode::Ask, loaded, &wanted(true), true, || None, now);
    assert_eq!(next(&mut loaded), Next::Look);
    loaded.set_back(now);
    assert_eq!(next(&mut loaded), Next::Ask);
}

#[test]
fn nothing_unfit_is_loaded_and_waiting_only_watches() {
    let mut loaded = Loaded::default();
    assert_eq!(
        next(ReloadMode::Ask, &mut loaded, &wanted(false), true, || None, Time(20_000)),
        Next::Wait
    );
    assert_eq!(
        next(ReloadMode::Wait, &mut loaded, &wanted(true), true, || Some(false), Time(20_000)),
        Next::Look
    );
    loaded.sign = Some(Time(9_000));
    assert_eq!(
        next(ReloadMode::Wait, &mut loaded, &wanted(true), true, || None, Time(20_000)),
        Next::Look,
        "too old a sign"
    );
    assert_eq!(
        next(ReloadMode::Wait, &mut loaded, &wanted(true), true, || Some(true), Time(20_000)),
        Next::Loaded
    );
    assert_eq!(
        next(ReloadMode::Ignore, &mut Loaded::default(), &wanted(false), false, || None, Time(0)),
        Next::Loaded
    );
}

#[test]
fn a_peer_that_still_looks_as_before_was_not_reloaded() {
    let look = |callerid: &str| Visible { callerid: callerid.into(), ..Visible::default() };
    let shows = |callerid: Option<&str>| PeerSeen {
        facts: PeerFacts { visible: callerid.map(look), ..PeerFacts::default() },
        ..PeerSeen::default()
    };
    let check = |shown: Option<&str>, old: Option<&str>, expected: bool| {
        let (shown, old, new) = (shows(shown), old.map(look), look("new"));
        let change = Visibly { peer: "201", old: old.as_ref(), new: &new };
        assert_eq!(seen([change], |_| Some(&shown)), Some(expected), "{shown:?} {old:?}");
    };
    check(Some("new"), Some("old"), true);
    check(Some("old"), Some("old"), false);
    check(None, Some("old"), false);
    check(Some("new"), None, true);
    assert_eq!(seen([], |_| None), None);
}
