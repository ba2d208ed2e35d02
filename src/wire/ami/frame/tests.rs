use proptest::prelude::*;

use super::*;

/// Everything that a decoder says about pieces, as text.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut decoder = Decoder::new();
    let mut said = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(item) = decoder.next() {
            said.push(show(&item));
        }
    }
    said
}

fn show(item: &Result<Item, TooLarge>) -> String {
    match item {
        Ok(Item::Banner(line)) => format!("banner {}", line.escape_ascii()),
        Ok(Item::Frame(frame)) => {
            let headers = frame
                .headers
                .iter()
                .map(|(key, value)| format!("{}={}", key.escape_ascii(), value.escape_ascii()));
            let bare = frame.bare.iter().map(|line| format!("~{}", line.escape_ascii()));
            headers.chain(bare).collect::<Vec<_>>().join("|")
        }
        Err(error) => error.to_string(),
    }
}

fn check(wire: &[u8], expected: &[&str]) {
    let wire = [b"Asterisk Call Manager/5.0.4\r\n", wire].concat();
    let said = decode([wire.as_slice()]);
    assert_eq!(said[0], "banner Asterisk Call Manager/5.0.4");
    assert_eq!(said[1..], *expected);
}

#[test]
fn the_banner_has_no_blank_line_after_it() {
    check(b"Response: Success\r\n\r\n", &["Response=Success"]);
}

#[test]
fn keys_repeat_and_keep_their_order() {
    check(b"V: 1\r\nA: 2\r\nV: 3\r\n\r\n", &["V=1|A=2|V=3"]);
}

#[test]
fn a_line_feed_inside_a_value_ends_the_frame_early_and_the_empty_one_is_skipped() {
    check(
        b"Response: Error\r\nMessage: none\n\r\n\r\nEvent: X\r\n\r\n",
        &["Response=Error|Message=none", "Event=X"],
    );
}

#[test]
fn empty_frames_are_skipped() {
    check(b"\r\n\r\nA: 1\r\n\r\n\r\n\r\nB: 2\r\n\r\n", &["A=1", "B=2"]);
}

#[test]
fn lines_without_a_colon_are_kept() {
    check(
        b"Response: Success\r\nNo categories found\r\n\r\n",
        &["Response=Success|~No categories found"],
    );
}

#[test]
fn values_are_bytes() {
    check(b"K: \xe9\tx\ry: z \r\n\r\n", &["K=\\xe9\\tx\\ry: z "]);
    check(b"K:\r\nL:v\r\n\r\n", &["K=|L=v"]);
}

#[test]
fn the_old_style_of_command_output_breaks_nothing() {
    check(
        b"Response: Follows\r\nPrivilege: Command\r\nName  Host\n1 sip peers\n\
          --END COMMAND--\r\n\r\nEvent: X\r\n\r\n",
        &[
            "Response=Follows|Privilege=Command|~Name  Host|~1 sip peers|~--END COMMAND--",
            "Event=X",
        ],
    );
}

#[test]
fn a_line_over_the_limit_is_dropped_with_its_frame_and_the_next_frame_is_read() {
    let long =
        [b"A: 1\r\nB: ".as_slice(), &vec![b'x'; LINE_LIMIT], b"\r\nC: 2\r\n\r\nD: 3\r\n\r\n"];
    check(&long.concat(), &["a message of Asterisk is too large", "D=3"]);
    let wire = [b"hello\r\n".as_slice(), &long.concat()].concat();
    let pieces = decode(wire.chunks(1000));
    assert_eq!(pieces, ["banner hello", "a message of Asterisk is too large", "D=3"]);
}

#[test]
fn a_frame_over_the_limit_is_dropped_and_the_next_frame_is_read() {
    let many = b"a:b\r\n".repeat(FRAME_LIMIT / (3 + LINE_COST) + 1);
    check(
        &[&many, b"\r\nD: 3\r\n\r\n".as_slice()].concat(),
        &["a message of Asterisk is too large", "D=3"],
    );
    let fits = [b"hello\r\n".as_slice(), &many[5..], b"\r\n"].concat();
    assert_eq!(decode([fits.as_slice()])[1].len(), "a=b|".len() * (many.len() / 5 - 1) - 1);
}

#[test]
fn endless_bytes_without_a_line_end_are_not_kept() {
    let mut decoder = Decoder::new();
    let mut errors = 0;
    for _ in 0..64 {
        decoder.push(&[b'x'; 1 << 16]);
        while let Some(item) = decoder.next() {
            assert_eq!(item, Err(TooLarge));
            errors += 1;
        }
        assert!(decoder.buffer.len() <= LINE_LIMIT + (1 << 16), "{}", decoder.buffer.len());
    }
    assert_eq!(errors, 1);
}

#[test]
fn a_frame_prints_no_value() {
    let mut frame = Frame::default();
    frame.push(&Bytes::from_static(b"Password: geheim"));
    assert_eq!(format!("{frame:?}"), "Frame(1 headers, 0 other lines)");
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_give_the_same_items(
        wire in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), any::<u8>()], 0..400),
        size in 1_usize..40,
    ) {
        prop_assert_eq!(decode([wire.as_slice()]), decode(wire.chunks(size)));
    }
}
