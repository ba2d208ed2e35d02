use super::*;

fn change(month: u8, weekday: u8, week: Week, hour: i32) -> Change {
    Change { month, weekday, week, time: hour * 3600 }
}

fn check(zone: &str, offset: i32, dst: Option<(i32, Change, Change)>) {
    let dst = dst.map(|(delta, start, stop)| Dst { delta, start, stop });
    assert_eq!(rule(zone), Ok(ZoneRule { offset, dst }), "{zone}");
}

fn irregular(zone: &str, offset: i32) {
    assert_eq!(rule(zone), Err(ZoneError::Irregular { name: zone.into(), offset }), "{zone}");
}

#[test]
fn northern_zones_change_in_spring_and_autumn() {
    let last = |month, hour| change(month, 0, Week::Last, hour);
    check("Europe/Berlin", 3600, Some((3600, last(3, 2), last(10, 3))));
    check("Europe/London", 0, Some((3600, last(3, 1), last(10, 2))));
    let american = (change(3, 0, Week::Nth(2), 2), change(11, 0, Week::Nth(1), 2));
    check("America/New_York", -5 * 3600, Some((3600, american.0, american.1)));
    check("America/St_Johns", -12_600, Some((3600, american.0, american.1)));
}

#[test]
fn southern_zones_begin_in_their_spring() {
    let start = change(10, 0, Week::Nth(1), 2);
    let stop = change(4, 0, Week::Nth(1), 3);
    check("Australia/Sydney", 10 * 3600, Some((3600, start, stop)));
    let start = change(9, 0, Week::Last, 2);
    check("Pacific/Auckland", 12 * 3600, Some((3600, start, stop)));
}

#[test]
fn zones_without_summer_time_have_none() {
    check("America/Phoenix", -7 * 3600, None);
    check("Asia/Kolkata", 19_800, None);
    check("Asia/Kathmandu", 20_700, None);
    check("UTC", 0, None);
}

#[test]
fn a_negative_summer_time_is_a_summer_time() {
    let (start, stop) = (change(3, 0, Week::Last, 1), change(10, 0, Week::Last, 2));
    check("Europe/Dublin", 0, Some((3600, start, stop)));
}

#[test]
fn half_an_hour_and_two_hours_are_told() {
    let (start, stop) = (change(10, 0, Week::Nth(1), 2), change(4, 0, Week::Nth(1), 2));
    check("Australia/Lord_Howe", 37_800, Some((1800, start, stop)));
    let (start, stop) = (change(3, 0, Week::Last, 1), change(10, 0, Week::Last, 3));
    check("Antarctica/Troll", 0, Some((7200, start, stop)));
}

#[test]
fn the_midnight_that_ends_a_day_belongs_to_that_day() {
    let dst = rule("America/Santiago").unwrap().dst.unwrap();
    assert_eq!(dst.start, change(9, 6, Week::Nth(1), 24));
    assert_eq!(dst.stop, change(4, 6, Week::Nth(1), 24));
    let dst = rule("America/Havana").unwrap().dst.unwrap();
    assert_eq!((dst.start.weekday, dst.start.time, dst.stop.time), (0, 0, 3600));
}

#[test]
fn what_follows_no_weekday_of_a_month_is_said_to_be_irregular() {
    irregular("Asia/Jerusalem", 7200);
    irregular("Asia/Gaza", 7200);
    irregular("America/Nuuk", -7200);
}

#[test]
fn a_slip_in_the_name_finds_the_zone() {
    let error = rule("Europe/Berln").unwrap_err();
    let nearest = Some("Europe/Berlin".to_owned());
    assert_eq!(error, ZoneError::Unknown { name: "Europe/Berln".into(), nearest });
}

#[test]
fn every_zone_gives_a_rule_or_a_reason() {
    let names: Vec<String> =
        TimeZoneDatabase::bundled().available().map(|n| n.to_string()).collect();
    assert!(names.len() > 400);
    let mut irregular = 0;
    for name in &names {
        match rule(name) {
            Ok(rule) => assert!(rule.offset.abs() <= 14 * 3600, "{name}"),
            Err(ZoneError::Irregular { .. }) => irregular += 1,
            Err(error) => panic!("{name}: {error}"),
        }
    }
    assert!(irregular < 20, "{irregular}");
}
