use super::*;
use crate::base::Tech;

const HEAD: &str = "agi_network: yes\nagi_network_script: token/resync?x\nagi_request: agi://127.0.0.1/token/resync\n\
    agi_channel: SIP/front-desk-0000002a\nagi_language: en\nagi_type: SIP\nagi_uniqueid: 1\n\
    agi_callerid: 201\nagi_calleridname: B\u{fc}ro\nagi_extension: *780\nagi_arg_1: 201\nagi_arg_2: \n\n";

/// Everything that comes of some bytes, given in pieces of `size`.
fn items(bytes: &[u8], size: usize) -> Result<Vec<Item>, Broken> {
    let (mut reader, mut all) = (Reader::default(), Vec::new());
    for piece in bytes.chunks(size) {
        reader.push(piece);
        while let Some(item) = reader.next()? {
            all.push(item);
        }
    }
    Ok(all)
}

/// What follows a prelude, the same in whatever pieces it comes.
fn answers(text: &str) -> Vec<Item> {
    let bytes = [HEAD.as_bytes(), text.as_bytes()].concat();
    let whole = items(&bytes, bytes.len()).unwrap();
    for size in [1, 2, 7, 100] {
        assert_eq!(items(&bytes, size).unwrap(), whole);
    }
    whole[1..].to_vec()
}

fn done(result: &str, data: Option<&str>) -> Item {
    let bytes = |text: &str| bytes::Bytes::copy_from_slice(text.as_bytes());
    Item::Answer(Answer::Done { result: bytes(result), data: data.map(bytes) })
}

#[test]
fn a_prelude_tells_channel_type_path_and_arguments() {
    let Item::Begun(prelude) = items(HEAD.as_bytes(), 5).unwrap().remove(0) else { panic!() };
    assert_eq!(prelude.path(), (&b"token"[..], &b"resync"[..]));
    assert_eq!(
        (&prelude.channel[..], &prelude.extension[..]),
        (&b"SIP/front-desk-0000002a"[..], &b"*780"[..])
    );
    assert_eq!((prelude.tech(), prelude.arguments.len()), (Some(Tech::Sip), 2));
}

#[test]
fn the_first_line_of_a_name_counts_and_others_are_kept_out() {
    let text = "agi_network: yes\nagi_channel: SIP/201-00000001\nagi_nonsense: x\nno colon\n\
                agi_channel: SIP/999-00000001\n\n";
    let Item::Begun(prelude) = items(text.as_bytes(), 9).unwrap().remove(0) else { panic!() };
    assert_eq!(&prelude.channel[..], b"SIP/201-00000001");
    assert_eq!((prelude.path(), prelude.tech()), ((&b""[..], &b""[..]), None));
}

#[test]
fn an_account_is_cut_at_the_last_hyphen() {
    for (channel, tech, wanted) in [
        ("SIP/201-0000002a", Tech::Sip, Some("201")),
        ("SIP/front-desk-0000002a", Tech::Sip, Some("front-desk")),
        ("PJSIP/201-0000002a", Tech::Pjsip, Some("201")),
        ("PJSIP/201-0000002a", Tech::Sip, None),
        ("SIP/201", Tech::Sip, None),
        ("SIP/201-short", Tech::Sip, None),
        ("SIP/-0000002a", Tech::Sip, None),
        ("Local/201@phones-0000002a;1", Tech::Sip, None),
    ] {
        assert_eq!(account(channel.as_bytes(), tech), wanted.map(str::as_bytes), "{channel}");
    }
}

#[test]
fn results_are_texts_with_data_that_may_hold_anything() {
    for (text, result, data) in [
        ("200 result=0\n", "0", None),
        ("200 result=-1\n", "-1", None),
        ("200 result=*99\n", "*99", None),
        ("200 result= (timeout)\n", "", Some("timeout")),
        ("200 result=012345678901234567890 (timeout)\n", "012345678901234567890", Some("timeout")),
        ("200 result=1 (a (b) c)\n", "1", Some("a (b) c")),
        ("200 result=1 ()\n", "1", Some("")),
        ("200 result=1 (two\nlines)\n", "1", Some("two\nlines")),
        ("200 result=0 endpos=1234\n", "0", None),
        ("200 result=0 (x) endpos=12\n", "0", Some("x")),
    ] {
        assert_eq!(answers(text), [done(result, data)], "{text}");
    }
}

#[test]
fn refusals_are_told_apart() {
    for (text, wanted) in [
        ("510 Invalid or unknown command\n", Answer::Unknown),
        ("511 Command Not Permitted on a dead channel or intercept routine\n", Answer::Dead),
        ("520 Invalid command syntax.  Proper usage not available.\n", Answer::Usage),
        (
            "520-Invalid command syntax.  Proper usage follows:\nUsage: ANSWER\n200 result=1\n\n520 End of proper usage.\n",
            Answer::Usage,
        ),
        ("200 fine\n", Answer::Other(200)),
        ("503 busy\n", Answer::Other(503)),
    ] {
        assert_eq!(answers(text), [Item::Answer(wanted)], "{text}");
    }
}

#[test]
fn a_hangup_comes_before_the_answer_and_stray_lines_are_nothing() {
    let text = "HANGUP\n511 dead\n\nnonsense\n20\n200 result=1\nHANGUP\n";
    let wanted = [Item::Hangup, Item::Answer(Answer::Dead), done("1", None), Item::Hangup];
    assert_eq!(answers(text), wanted);
}

#[test]
fn digits_numbers_and_values_are_read_out_of_answers() {
    let one = |text: &str| match answers(text).remove(0) {
        Item::Answer(answer) => answer,
        other => panic!("{other:?}"),
    };
    assert_eq!(one("200 result=49\n").digit(), Some('1'));
    assert_eq!((one("200 result=0\n").digit(), one("200 result=-1\n").digit()), (None, None));
    assert_eq!((one("200 result=65585\n").digit(), one("510 x\n").number()), (None, None));
    assert_eq!(one("200 result=1 (101)\n").value().map(|v| &v[..]), Some(&b"101"[..]));
    assert_eq!((one("200 result=0\n").value(), one("200 result=0 (x)\n").value()), (None, None));
}

#[test]
fn what_is_no_fastagi_or_too_much_ends_the_reading() {
    let check = |bytes: &[u8], broken| {
        for size in [1, 4096] {
            assert_eq!(items(bytes, size), Err(broken), "{:?}", &bytes[..20.min(bytes.len())]);
        }
    };
    check(b"GET / HTTP/1.1\r\n\r\n", Broken::Foreign);
    check(b"agi_network: yes\r\n", Broken::Foreign);
    check(b"\n", Broken::Foreign);
    check(&[b'a'; 20_000], Broken::TooMuch);
    check(
        format!("agi_network: yes\n{}", "agi_arg_1: x\n".repeat(200)).as_bytes(),
        Broken::TooMuch,
    );
    let line = format!("agi_arg_1: {}\n", "x".repeat(9000));
    check(format!("agi_network: yes\n{}", line.repeat(9)).as_bytes(), Broken::TooMuch);
    check(format!("{HEAD}520-usage\n{}", "usage\n".repeat(200)).as_bytes(), Broken::TooMuch);
    check(format!("{HEAD}200 result=1 (x\n{}", "more\n".repeat(200)).as_bytes(), Broken::TooMuch);
    let mut reader = Reader::default();
    reader.push(b"x\n");
    assert_eq!(reader.next(), Err(Broken::Foreign));
    reader.push(HEAD.as_bytes());
    assert_eq!(reader.next(), Err(Broken::Foreign));
}

#[test]
fn commands_are_quoted_and_never_two() {
    let line = |verb, arguments: &[&str]| {
        let arguments: Vec<&[u8]> = arguments.iter().map(|a| a.as_bytes()).collect();
        command(verb, &arguments).map(|line| String::from_utf8(line).unwrap())
    };
    assert_eq!(line("ANSWER", &[]), Ok("ANSWER\n".into()));
    assert_eq!(line("STREAM FILE", &["beep", ""]), Ok("STREAM FILE \"beep\" \"\"\n".into()));
    assert_eq!(
        line("SET VARIABLE", &["A", "a \"b\" \\c"]),
        Ok("SET VARIABLE \"A\" \"a \\\"b\\\" \\\\c\"\n".into())
    );
    for bad in ["a\nb", "a\r", "\0"] {
        assert_eq!(line("VERBOSE", &[bad]), Err(Unwritable::Ends));
    }
    assert_eq!(line("VERBOSE", &[&"x".repeat(8191)]), Err(Unwritable::Long));
    assert_eq!(line("VERBOSE", &["x"; 127]), Err(Unwritable::Long));
    assert!(line("VERBOSE", &[&"x".repeat(8190 - 10)]).is_ok());
}
