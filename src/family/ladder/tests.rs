use super::*;

fn runs(text: &str) -> Option<Runs> {
    let (program, release) = text.split_once(' ').unwrap_or((text, ""));
    let (program, signed) = match program {
        "sccp" => (Program::Sccp, (release == "signed").then_some(true)),
        "loader" => (Program::Loader, Some(true)),
        "sip" => (Program::Sip, None),
        _ => return None,
    };
    Some(Runs { program, signed, release: Release::read(release) })
}

fn ladder(target: &str, missing: &str) -> Ladder {
    let rung = |at: &str, load: &str| Rung {
        at: At::read(at).unwrap(),
        load: load.into(),
        key: None,
        digest: crate::base::Key::new([1; 32]).digest("ladder", []),
        files: Vec::new(),
        without_own: false,
        missing: if load == missing { vec!["it is not there".into()] } else { Vec::new() },
    };
    Ladder {
        family: "f".into(),
        target: target.into(),
        loader: "P003-8-11-00".into(),
        top: 7,
        signs: Vec::new(),
        rungs: vec![
            rung("sccp signed", "P003-8-11-00"),
            rung("sccp", "P0S3-05-3-00"),
            rung("sip 2..4", "P0S3-05-3-00"),
            rung("sip 5..6", "P003-8-11-00"),
            rung("loader", target),
        ],
        never: Release::read("6.3").into_iter().collect(),
    }
}

fn check(ladder: &Ladder, at: &str, expected: &str) {
    let found = match ladder.next(runs(at).as_ref()) {
        Next::Take(_, rung) => rung.load.clone(),
        Next::Top => "top".into(),
        Next::Not(why) => format!("not: {why}"),
    };
    assert_eq!(found, expected, "{at}");
}

#[test]
fn each_stage_has_its_own_next_step_and_none_leads_back() {
    let ladder = ladder("P0S3-8-11-00", "");
    check(&ladder, "", "not: what it runs is not known: it shows when it starts");
    check(&ladder, "sccp", "P0S3-05-3-00");
    check(&ladder, "sccp signed", "P003-8-11-00");
    check(&ladder, "sip 4.4", "P0S3-05-3-00");
    check(&ladder, "sip 5", "P003-8-11-00");
    check(&ladder, "sip 6.1", "P003-8-11-00");
    check(&ladder, "loader", "P0S3-8-11-00");
    check(&ladder, "sip 7.5", "top");
    check(&ladder, "sip 8", "top");
    check(&ladder, "sip 1", "not: no step leads on from SIP 1");
    check(&ladder, "sip", "not: no step leads on from SIP");
    check(&ladder, "sip 6.3", "not: there is no safe way from 6.3 to P0S3-8-11-00");
    // Only the major number is known: it may be that one.
    check(&ladder, "sip 6", "not: there is no safe way from 6.3 to P0S3-8-11-00");
}

#[test]
fn a_missing_image_keeps_a_phone_where_it_is() {
    let ladder = ladder("P0S3-8-11-00", "P0S3-05-3-00");
    check(&ladder, "sccp", "not: not sent to P0S3-05-3-00: it is not there");
    check(&ladder, "sip 5", "P003-8-11-00");
}

#[test]
fn releases_are_read_and_compared_as_far_as_they_are_known() {
    let check = |text: &str, expected: Option<&str>| {
        let found = Release::read(text).map(|r| r.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    };
    check("8-11-00", Some("8.11"));
    check("08-11-00", Some("8.11"));
    check("5.3", Some("5.3"));
    check("5", Some("5"));
    check("30203x", None);
    check("8-x", None);
    check("", None);
    check("99999", None);
    let release = |text| Release::read(text).unwrap();
    assert!(release("6").may_be(&release("6.3")) && release("5.3").may_be(&release("05-3-00")));
    assert!(!release("6.1").may_be(&release("6.3")));
}

#[test]
fn a_row_is_read_or_its_fault_is_named() {
    let check = |at: &str, text: &str, expected: Result<&str, &str>| {
        let found = Row::read(at, text).map(|row| format!("{} {:?}", row.at, row.told));
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{at} => {text}");
    };
    check("sip 5..6", "A B, loader, needs {load}.sbn", Ok(r#"SIP 5 to 6 ["A", "B"]"#));
    check("sccp signed", "A, release 5.3", Ok(r#"SCCP, signed ["A"]"#));
    let where_ = "a phone stands at `sccp`, `sip A..B` or `loader`";
    check("mgcp", "A, load", Err(where_));
    check("sip x", "A, load", Err(where_));
    check("sip", "A, release five", Err("it is told `load`, `loader` or `release N.N`"));
    check("sip", "A, load, with B", Err("`with B` is neither `needs` nor `without`"));
}

#[test]
fn a_file_gets_another_value_of_one_key_and_keeps_the_rest() {
    let text = b"# a\nimage_version: \"\"\r\nimage_versions: \"x\"\nIMAGE_VERSION : \"y\"";
    let found = with_value(text, "image_version", "P003-8-11-00");
    let expected = "# a\nimage_version: \"P003-8-11-00\"\r\nimage_versions: \"x\"\n\
                    IMAGE_VERSION : \"P003-8-11-00\"";
    assert_eq!(String::from_utf8(found).unwrap(), expected);
    assert_eq!(replaced(b"xabxabx", b"ab", b"-"), b"x-x-x");
}
