use super::super::encode::{Room, encode};
use super::*;

fn mac() -> Mac {
    "00:18:b9:ff:ff:fe".parse().unwrap()
}

/// The header of a client's message, its options to be appended.
fn header() -> Vec<u8> {
    let mut bytes = vec![0; OPTIONS];
    bytes[..3].copy_from_slice(&[1, 1, 6]);
    bytes[4..8].copy_from_slice(&[0xb9, 0xff, 0xff, 0xfe]);
    bytes[10] = 0x80;
    bytes[CHADDR..CHADDR + 6].copy_from_slice(&mac().bytes());
    bytes[COOKIE..].copy_from_slice(&MAGIC);
    bytes
}

fn with(options: &[u8]) -> Vec<u8> {
    [header().as_slice(), options].concat()
}

#[test]
fn reads_what_a_7940_sends() {
    let mut bytes = with(&[53, 1, 3, 61, 7, 1]);
    bytes.extend_from_slice(&mac().bytes());
    bytes.extend_from_slice(b"\x0c\x0fSEP0018B9FFFFFE\x3c\x1dCisco Systems, Inc. IP Phone\0");
    bytes.extend_from_slice(&[50, 4, 192, 0, 2, 7, 55, 7, 1, 66, 6, 3, 15, 150, 35, 255, 9, 9]);
    let message = parse(&bytes).unwrap();
    assert_eq!((message.kind, message.xid, message.mac), (Kind::Request, 0xb9ff_fffe, mac()));
    assert!(message.broadcast);
    assert_eq!(message.class(), Some(b"Cisco Systems, Inc. IP Phone".as_slice()));
    assert_eq!(message.options.get(option::HOST), Some(b"SEP0018B9FFFFFE".as_slice()));
    assert_eq!(message.options.address(option::REQUESTED), Some([192, 0, 2, 7].into()));
    assert_eq!(message.options.get(option::WANTED), Some(&[1, 66, 6, 3, 15, 150, 35][..]));
    assert_eq!(message.options.get(option::KIND), None);
}

#[test]
fn the_vendor_class_is_the_same_with_and_without_nul() {
    let check = |class: &[u8], expected: Option<&[u8]>| {
        let mut bytes = with(&[53, 1, 1, 60, u8::try_from(class.len()).unwrap()]);
        bytes.extend_from_slice(class);
        assert_eq!(parse(&bytes).unwrap().class(), expected, "{class:?}");
    };
    check(b"snom300", Some(b"snom300"));
    check(b"snom300\0\0", Some(b"snom300"));
    check(b"\0", Some(b""));
    check(b"", Some(b""));
    assert_eq!(parse(&with(&[53, 1, 1])).unwrap().class(), None);
}

#[test]
fn options_in_file_and_sname_are_joined_to_the_others() {
    let mut bytes = with(&[53, 1, 1, 52, 1, 3, 60, 2, b'a', b'b', 255]);
    bytes[FILE..FILE + 7].copy_from_slice(&[60, 2, b'c', b'd', 0, 255, 7]);
    bytes[SNAME..SNAME + 7].copy_from_slice(&[60, 1, b'e', 12, 1, b'h', 255]);
    let message = parse(&bytes).unwrap();
    assert_eq!(message.class(), Some(b"abcde".as_slice()));
    assert_eq!(message.options.get(option::HOST), Some(b"h".as_slice()));
    assert!(message.sname.is_empty() && message.file.is_empty());
    assert_eq!(message.options.get(option::OVERLOAD), None);
}

#[test]
fn fields_without_options_are_names() {
    let mut bytes = with(&[53, 1, 1, 52, 1, 2]);
    bytes[FILE..FILE + 5].copy_from_slice(b"boot\0");
    bytes[SNAME] = 255;
    let message = parse(&bytes).unwrap();
    assert_eq!((message.sname.as_slice(), message.file.as_slice()), (&b""[..], &b"boot"[..]));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let check = |bytes: &[u8], at, flaw| {
        assert_eq!(parse(bytes), Err(Fault { at, flaw }), "{flaw:?}");
    };
    let edited = |at: usize, byte: u8| {
        let mut bytes = with(&[53, 1, 1, 255]);
        bytes[at] = byte;
        bytes
    };
    check(&[], 0, Flaw::Short);
    check(&header()[..239], 239, Flaw::Short);
    check(&[0; MAX_DATAGRAM + 1], MAX_DATAGRAM, Flaw::Long);
    check(&edited(0, 0), 0, Flaw::Op);
    check(&edited(0, 2), 0, Flaw::Op);
    check(&edited(1, 6), 1, Flaw::Hardware);
    check(&edited(2, 16), 1, Flaw::Hardware);
    check(&edited(CHADDR, 1), CHADDR, Flaw::Address);
    check(&edited(COOKIE, 0), COOKIE, Flaw::Cookie);
    check(&header(), OPTIONS, Flaw::NoKind);
    check(&with(&[255]), OPTIONS, Flaw::NoKind);
    check(&with(&[0, 53, 1, 0]), 241, Flaw::Kind);
    check(&with(&[53, 1, 9]), 240, Flaw::Kind);
    check(&with(&[53, 1, 2]), 0, Flaw::Op);
    check(&with(&[53, 2, 1, 1]), 240, Flaw::Length(53));
    check(&with(&[53, 0]), 240, Flaw::Length(53));
    check(&with(&[53, 1, 1, 53, 1, 1]), 240, Flaw::Length(53));
    check(&with(&[53]), 240, Flaw::Cut);
    check(&with(&[53, 1, 1, 60, 4, 1, 2, 3]), 243, Flaw::Cut);
    check(&with(&[53, 1, 1, 50, 3, 1, 2, 3]), 243, Flaw::Length(50));
    check(&with(&[53, 1, 1, 54, 0]), 243, Flaw::Length(54));
    check(&with(&[53, 1, 1, 57, 1, 9]), 243, Flaw::Length(57));
    let mut bytes = with(&[53, 1, 1, 52, 1, 1]);
    bytes[COOKIE - 2..COOKIE].copy_from_slice(&[60, 1]);
    check(&bytes, COOKIE - 2, Flaw::Cut);
    assert_eq!(
        parse(&with(&[53, 1, 1, 50, 3, 1, 2, 3])).unwrap_err().to_string(),
        "option 50 has a wrong length at byte 243"
    );
}

#[test]
fn what_is_written_is_read_again() {
    let mut message = Message::new(Kind::Ack, mac(), 7);
    (message.hops, message.secs, message.broadcast) = (3, 9, true);
    message.ciaddr = [192, 0, 2, 1].into();
    message.yiaddr = [192, 0, 2, 2].into();
    message.siaddr = [192, 0, 2, 3].into();
    message.giaddr = [192, 0, 2, 4].into();
    message.sname = b"name".to_vec();
    message.file = vec![b'f'; 128];
    message.options.set(option::LEASE, 3600_u32.to_be_bytes());
    message.options.set(43, vec![9; 300]);
    message.options.set(44, []);
    let bytes = encode(&message, Room::LARGEST);
    assert_eq!(bytes.windows(2).filter(|w| *w == [43, 255] || *w == [43, 45]).count(), 2);
    assert_eq!(parse(&bytes), Ok(message));
}

#[test]
fn a_short_message_is_filled_up() {
    let bytes = encode(&Message::new(Kind::Discover, mac(), 7), Room::LARGEST);
    assert_eq!((bytes.len(), bytes[0], &bytes[240..244]), (300, 1, &[53, 1, 1, 255][..]));
}

#[test]
fn what_a_phone_needs_is_left_out_last() {
    let mut asked = Message::new(Kind::Request, mac(), 7);
    let room = |asked: &Message| Room::of(asked).bytes();
    assert_eq!(room(&asked), 548);
    for (said, expected) in [(300_u16, 548), (600, 572), (9000, 1472)] {
        asked.options.set(option::MAX_SIZE, said.to_be_bytes());
        assert_eq!(room(&asked), expected);
    }
    let mut reply = Message::new(Kind::Ack, mac(), 7);
    reply.options.set(option::RELAY, vec![1; 100]);
    reply.options.set(option::SERVER, [1; 4]);
    reply.options.set(43, vec![2; 200]);
    reply.options.set(44, vec![3; 40]);
    reply.options.set(option::TFTP_NAME, vec![b'6'; 60]);
    reply.options.set(option::ROUTER, [4; 4]);
    let codes = |reply: &Message, room| -> Vec<u8> {
        let bytes = encode(reply, room);
        assert!(bytes.len() <= room.bytes());
        parse(&bytes).unwrap().options.iter().map(|(code, _)| code).collect()
    };
    assert_eq!(codes(&reply, Room::LARGEST), [54, 43, 44, 66, 3, 82]);
    let least = Room::of(&Message::new(Kind::Request, mac(), 7));
    assert_eq!(codes(&reply, least), [54, 44, 66, 3, 82]);
    reply.options.set(option::TFTP_NAME, vec![b'6'; 250]);
    assert_eq!(codes(&reply, least), [54, 3, 82]);
    reply.options.set(option::RELAY, vec![1; 400]);
    assert_eq!(codes(&reply, least), [54]);
}
