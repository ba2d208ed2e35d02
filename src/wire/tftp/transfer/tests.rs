//! Wire transcripts, and a bad link played through with many seeds.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::options::{Bounds, settle};
use super::super::packet::parse;
use super::*;

const BOUNDS: Bounds = Bounds { block: 1428, window: 16 };

fn body(length: usize) -> Bytes {
    (0..length).map(|i| u8::try_from((i * 7 + i / 251) % 256).unwrap()).collect()
}

fn request(words: &str) -> Vec<u8> {
    let mut datagram = vec![0, 1];
    for word in words.split_whitespace() {
        datagram.extend_from_slice(word.as_bytes());
        datagram.push(0);
    }
    datagram
}

fn begin(body: &Bytes, rrq: &[u8], pace: Pace) -> Transfer {
    let Ok(Packet::Read(request)) = parse(rrq) else { panic!("no RRQ: {}", rrq.escape_ascii()) };
    let terms = settle(&request, body.len() as u64, BOUNDS);
    Transfer::new(body.clone(), request.mode, terms, pace)
}

fn shown(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Data { block, payload } => format!("DATA {block} ({})", payload.len()),
        Packet::Error { code, text } => format!("ERROR {code} {}", text.escape_ascii()),
        Packet::Oack(options) => options.fold("OACK".to_owned(), |all, (name, value)| {
            format!("{all} {}={}", name.escape_ascii(), value.escape_ascii())
        }),
        other => format!("{other:?}"),
    }
}

/// Plays the lines with `>` (from the client) and `+` (time that passes) of a transcript, adds what
/// the machine does, and compares the whole. `> RRQ …` a second time is the repeated request.
fn check_with(body: &Bytes, pace: Pace, transcript: &str) {
    let mut played = String::new();
    let mut machine: Option<Transfer> = None;
    let mut now = Duration::ZERO;
    for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let is_input = line.starts_with(['>', '+']);
        if !is_input {
            continue;
        }
        writeln!(played, "{line}").unwrap();
        let input = line.trim_start_matches('>').trim();
        let (word, rest) = input.split_once(' ').unwrap_or((input, ""));
        match (word, &mut machine) {
            ("RRQ", None) => machine = Some(begin(body, &request(rest), pace)),
            ("RRQ", Some(machine)) => machine.repeat(now),
            ("ACK", Some(machine)) => {
                machine.receive(&datagram(Packet::Ack(rest.parse().unwrap())), now);
            }
            ("ERROR", Some(machine)) => {
                let (code, text) = rest.split_once(' ').unwrap();
                let (code, text) = (code.parse().unwrap(), text.as_bytes());
                machine.receive(&datagram(Packet::Error { code, text }), now);
            }
            ("DATA", Some(machine)) => {
                machine.receive(&datagram(Packet::Data { block: 1, payload: b"" }), now);
            }
            ("garbage", Some(machine)) => machine.receive(b"\xff\0garbage", now),
            (span, Some(machine)) => {
                let seconds = span.trim_start_matches('+').trim_end_matches('s').parse().unwrap();
                let until = now + Duration::from_secs_f64(seconds);
                while machine.end().is_none() && machine.deadline() <= until {
                    now = machine.deadline();
                    machine.tick(now);
                    drain(machine, now, &mut played);
                }
                now = until;
                continue;
            }
            other => panic!("{other:?}"),
        }
        drain(machine.as_mut().unwrap(), now, &mut played);
    }
    let expected: String = transcript.lines().map(|line| line.trim().to_owned() + "\n").collect();
    assert_eq!(played.trim(), expected.trim());
}

fn drain(machine: &mut Transfer, now: Duration, played: &mut String) {
    while let Some(packet) = machine.next_packet(now) {
        writeln!(played, "< {}", shown(&packet)).unwrap();
    }
    let ended = machine.end().map(|end| format!("= {end:?}, {} bytes", machine.bytes()));
    if let Some(ended) = ended.filter(|ended| !played.contains(ended.as_str())) {
        writeln!(played, "{ended}").unwrap();
    }
}

fn datagram(packet: Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    packet.write(&mut out);
    out
}

fn check(length: usize, transcript: &str) {
    check_with(&body(length), Pace::default(), transcript);
}

#[test]
fn sends_one_block_after_the_other() {
    check(
        1100,
        "> RRQ f octet
         < DATA 1 (512)
         > ACK 1
         < DATA 2 (512)
         > ACK 2
         < DATA 3 (76)
         > ACK 3
         = Complete, 1100 bytes",
    );
}

#[test]
fn ends_exact_multiples_with_an_empty_block() {
    check(
        512,
        "> RRQ f octet
         < DATA 1 (512)
         > ACK 1
         < DATA 2 (0)
         > ACK 2
         = Complete, 512 bytes",
    );
    check(
        0,
        "> RRQ f octet
         < DATA 1 (0)
         > ACK 1
         = Complete, 0 bytes",
    );
}

#[test]
fn answers_options_before_data() {
    check(
        1500,
        "> RRQ f octet tsize 0 blksize 1000 foo bar
         < OACK tsize=1500 blksize=1000
         > ACK 0
         < DATA 1 (1000)
         > ACK 1
         < DATA 2 (500)
         > ACK 2
         = Complete, 1500 bytes",
    );
}

#[test]
fn sends_no_oack_when_it_accepts_nothing() {
    check(
        3,
        "> RRQ f octet blksize 4 multicast 1
         < DATA 1 (3)",
    );
}

#[test]
fn clamps_blksize_to_what_the_path_carries() {
    check(
        9000,
        "> RRQ f octet blksize 65464
         < OACK blksize=1428
         > ACK 0
         < DATA 1 (1428)",
    );
}

#[test]
fn is_no_sorcerers_apprentice() {
    check(
        2000,
        "> RRQ f octet
         < DATA 1 (512)
         > ACK 1
         < DATA 2 (512)
         > ACK 1
         > ACK 1
         > ACK 0
         > ACK 2
         < DATA 3 (512)
         > ACK 1
         > ACK 2
         > ACK 9
         > ACK 3
         < DATA 4 (464)",
    );
}

#[test]
fn sends_four_packets_in_all_to_a_peer_that_never_acknowledges() {
    check(
        2000,
        "> RRQ f octet
         < DATA 1 (512)
         +1.9s
         +0.1s
         < DATA 1 (512)
         +3.9s
         +0.1s
         < DATA 1 (512)
         +7.9s
         +0.1s
         < DATA 1 (512)
         +7.9s
         +0.1s
         = TimedOut, 0 bytes
         +200s",
    );
}

#[test]
fn repeats_the_oack_as_slowly() {
    check(
        2000,
        "> RRQ f octet windowsize 8
         < OACK windowsize=8
         +2s
         < OACK windowsize=8
         +4s
         < OACK windowsize=8
         +8s
         < OACK windowsize=8
         +8s
         = TimedOut, 0 bytes",
    );
}

#[test]
fn waits_for_the_measured_round_trip_and_twice_as_long_each_time() {
    check(
        2000,
        "> RRQ f octet
         < DATA 1 (512)
         +0.001s
         > ACK 1
         < DATA 2 (512)
         +0.19s
         +0.01s
         < DATA 2 (512)
         +0.39s
         +0.01s
         < DATA 2 (512)
         +0.8s
         < DATA 2 (512)
         > ACK 2
         < DATA 3 (512)",
    );
}

#[test]
fn a_slow_peer_is_not_sent_everything_twice() {
    check(
        2000,
        "> RRQ f octet
         < DATA 1 (512)
         +1s
         > ACK 1
         < DATA 2 (512)
         +1s
         > ACK 2
         < DATA 3 (512)
         +1s
         > ACK 3
         < DATA 4 (464)",
    );
}

#[test]
fn gives_up_on_a_client_that_fell_silent() {
    check(
        2000,
        "> RRQ f octet
         < DATA 1 (512)
         > ACK 1
         < DATA 2 (512)
         +60s
         < DATA 2 (512)
         < DATA 2 (512)
         < DATA 2 (512)
         < DATA 2 (512)
         < DATA 2 (512)
         < DATA 2 (512)
         < DATA 2 (512)
         < DATA 2 (512)
         = TimedOut, 512 bytes",
    );
}

#[test]
fn keeps_to_the_timeout_that_the_client_chose() {
    check(
        2000,
        "> RRQ f octet timeout 3
         < OACK timeout=3
         +2.9s
         +0.1s
         < OACK timeout=3
         > ACK 0
         < DATA 1 (512)
         +2.9s
         +0.1s
         < DATA 1 (512)",
    );
}

#[test]
fn ends_after_the_time_for_the_whole_transfer_though_the_client_is_alive() {
    check(
        9000,
        "> RRQ f octet timeout 100
         < OACK timeout=100
         +90s
         > ACK 0
         < DATA 1 (512)
         +31s
         = TimedOut, 0 bytes",
    );
    check(
        9000,
        "> RRQ f octet
         < DATA 1 (512)
         > ACK 1
         < DATA 2 (512)
         > ACK 2
         < DATA 3 (512)
         > ERROR 0 bored
         = Aborted(0, \"bored\"), 1024 bytes
         +120s
         > ACK 3",
    );
}

#[test]
fn a_lost_last_acknowledgement_is_not_an_error() {
    check(
        600,
        "> RRQ f octet
         < DATA 1 (512)
         > ACK 1
         < DATA 2 (88)
         +0.2s
         < DATA 2 (88)
         +60s
         < DATA 2 (88)
         < DATA 2 (88)
         < DATA 2 (88)
         < DATA 2 (88)
         < DATA 2 (88)
         < DATA 2 (88)
         < DATA 2 (88)
         = Unconfirmed, 512 bytes",
    );
    // Some clients never send it, and a small file has only this one.
    check(
        5,
        "> RRQ f octet
         < DATA 1 (5)
         +60s
         < DATA 1 (5)
         < DATA 1 (5)
         < DATA 1 (5)
         = Unconfirmed, 0 bytes",
    );
}

#[test]
fn a_clients_error_ends_it_and_its_text_is_cleaned() {
    check(
        2000,
        "> RRQ f octet tsize 0
         < OACK tsize=2000
         > ERROR 8 no\u{1b}[1m thanks
         = Aborted(8, \"no?[1m thanks\"), 0 bytes
         > ACK 0
         +9s",
    );
}

#[test]
fn passes_over_what_has_no_place_in_a_transfer() {
    check(
        600,
        "> RRQ f octet
         < DATA 1 (512)
         > garbage
         > DATA
         > ACK 1
         < DATA 2 (88)",
    );
}

#[test]
fn a_repeated_request_gets_the_current_packet_again_unless_it_has_only_just_left() {
    check(
        600,
        "> RRQ f octet
         < DATA 1 (512)
         +0.1s
         > RRQ f octet
         +0.5s
         > RRQ f octet
         < DATA 1 (512)
         > ACK 1
         < DATA 2 (88)
         +0.3s
         > RRQ f octet
         < DATA 2 (88)",
    );
}

#[test]
fn requests_repeated_by_the_client_take_the_place_of_our_repeats() {
    check(
        600,
        "> RRQ f octet
         < DATA 1 (512)
         +1s
         > RRQ f octet
         < DATA 1 (512)
         +3.9s
         > RRQ f octet
         < DATA 1 (512)
         +7.9s
         > RRQ f octet
         < DATA 1 (512)
         +8s
         = TimedOut, 0 bytes",
    );
}

#[test]
fn netascii_goes_on_right_after_a_block_border() {
    check_with(
        &Bytes::from_static(b"1234567\n\r"),
        Pace::default(),
        "> RRQ f netascii blksize 8 tsize 0
         < OACK blksize=8
         > ACK 0
         < DATA 1 (8)
         +0.2s
         < DATA 1 (8)
         > ACK 1
         < DATA 2 (3)
         > ACK 1
         > ACK 2
         = Complete, 11 bytes",
    );
}

#[test]
fn a_window_is_acknowledged_once_and_only_flows_to_a_proved_peer() {
    check(
        2500,
        "> RRQ f octet windowsize 3
         < OACK windowsize=3
         > ACK 0
         < DATA 1 (512)
         < DATA 2 (512)
         < DATA 3 (512)
         > ACK 3
         < DATA 4 (512)
         < DATA 5 (452)
         > ACK 5
         = Complete, 2500 bytes",
    );
}

#[test]
fn an_acknowledgement_inside_a_window_sends_again_what_was_lost() {
    check(
        5000,
        "> RRQ f octet windowsize 3
         < OACK windowsize=3
         > ACK 0
         < DATA 1 (512)
         < DATA 2 (512)
         < DATA 3 (512)
         > ACK 1
         < DATA 2 (512)
         < DATA 3 (512)
         < DATA 4 (512)
         > ACK 1
         > ACK 4
         < DATA 5 (512)
         < DATA 6 (512)
         < DATA 7 (512)",
    );
}

#[test]
fn a_client_that_says_again_where_it_stands_gets_the_window_again_but_not_at_once() {
    check(
        5000,
        "> RRQ f octet windowsize 3
         < OACK windowsize=3
         > ACK 0
         < DATA 1 (512)
         < DATA 2 (512)
         < DATA 3 (512)
         > ACK 3
         < DATA 4 (512)
         < DATA 5 (512)
         < DATA 6 (512)
         > ACK 3
         +0.2s
         < DATA 4 (512)
         < DATA 5 (512)
         < DATA 6 (512)
         > ACK 3",
    );
}

#[test]
fn who_acknowledges_only_the_options_gets_one_window_and_three_blocks() {
    check(
        5000,
        "> RRQ f octet windowsize 3
         < OACK windowsize=3
         > ACK 0
         < DATA 1 (512)
         < DATA 2 (512)
         < DATA 3 (512)
         +0.3s
         < DATA 1 (512)
         > ACK 0
         +60s
         < DATA 1 (512)
         < DATA 1 (512)
         = TimedOut, 0 bytes",
    );
}

#[test]
fn block_numbers_wrap_in_files_of_more_than_32_mib() {
    for window in ["", "windowsize 16"] {
        let body = body(70_000 * 512 + 5);
        let mut machine = begin(&body, &request(&format!("f octet {window}")), Pace::default());
        let (mut got, mut last) = (0_u64, 0);
        while machine.end().is_none() {
            while let Some(packet) = machine.next_packet(Duration::ZERO) {
                if let Packet::Data { block, payload } = packet {
                    assert_eq!(block, wire(got / 512 + 1));
                    let at = usize::try_from(got).unwrap();
                    assert!(body[at..].starts_with(payload));
                    got += payload.len() as u64;
                    last = block;
                }
            }
            machine.receive(&datagram(Packet::Ack(last)), Duration::ZERO);
        }
        assert_eq!((machine.end(), machine.bytes()), (Some(&End::Complete), body.len() as u64));
        assert_eq!((got, last), (body.len() as u64, wire(70_001)));
    }
}

#[test]
fn strangers_get_error_5_and_their_errors_no_answer() {
    let answer = |packet| stranger(&datagram(packet)).map(|p| shown(&p));
    assert_eq!(answer(Packet::Ack(1)).as_deref(), Some("ERROR 5 unknown transfer"));
    assert_eq!(answer(Packet::Error { code: 5, text: b"" }), None);
    assert_eq!(stranger(b"junk"), None);
}

/// Numbers that look random and are the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A link with up to 30 % loss, 10 % doubled packets, and delays that reorder.
struct Link {
    dice: Dice,
    loss: u64,
    /// When, where to (the client?), what.
    air: Vec<(Duration, bool, Vec<u8>)>,
}

impl Link {
    fn send(&mut self, now: Duration, to_client: bool, packet: &[u8]) {
        let copies = 1 + u64::from(self.dice.below(10) == 0);
        for _ in 0..copies {
            if self.dice.below(100) >= self.loss {
                let delay = Duration::from_millis(1 + self.dice.below(40));
                self.air.push((now + delay, to_client, packet.to_vec()));
            }
        }
    }

    fn arrival(&mut self) -> Option<usize> {
        (0..self.air.len()).min_by_key(|i| self.air[*i].0)
    }
}

/// A client that takes blocks in order, acknowledges a window or a gap, and repeats its last word.
#[derive(Default)]
struct Client {
    got: Vec<u8>,
    blocks: u64,
    unacked: u64,
    block: usize,
    window: u64,
    done: bool,
}

impl Client {
    fn take(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        match parse(packet).unwrap() {
            Packet::Oack(options) => {
                for (name, value) in options {
                    let value: u64 = std::str::from_utf8(value).unwrap().parse().unwrap();
                    match name {
                        b"blksize" => self.block = usize::try_from(value).unwrap(),
                        b"windowsize" => self.window = value,
                        _ => {}
                    }
                }
                (self.blocks == 0).then(|| self.ack())
            }
            Packet::Data { block, payload } if block == wire(self.blocks + 1) && !self.done => {
                self.got.extend_from_slice(payload);
                self.blocks += 1;
                self.unacked += 1;
                self.done = payload.len() < self.block;
                (self.done || self.unacked >= self.window).then(|| self.ack())
            }
            Packet::Data { .. } => Some(self.ack()),
            other => panic!("{other:?}"),
        }
    }

    fn ack(&mut self) -> Vec<u8> {
        self.unacked = 0;
        datagram(Packet::Ack(wire(self.blocks)))
    }
}

fn fetch_over_bad_link(body: &Bytes, rrq: &str, loss: u64, dice: Dice) -> (Client, End) {
    // Enough patience for a link that loses a third of everything, both ways.
    let pace =
        Pace { unproved: 30, repeats: 30, whole: Duration::from_secs(9000), ..Pace::default() };
    let mut machine = begin(body, &request(rrq), pace);
    let mut link = Link { dice, loss, air: Vec::new() };
    let mut client = Client { block: 512, window: 1, ..Client::default() };
    let mut now = Duration::ZERO;
    let mut client_repeats = Duration::from_secs(1);
    while machine.end().is_none() {
        while let Some(packet) = machine.next_packet(now) {
            let packet = datagram(packet);
            link.send(now, true, &packet);
        }
        let arrival = link.arrival();
        let at = arrival.map_or(Duration::MAX, |i| link.air[i].0);
        now = at.min(machine.deadline()).min(client_repeats).max(now);
        if let Some(i) = arrival.filter(|_| at <= now) {
            let (_, to_client, packet) = link.air.swap_remove(i);
            if !to_client {
                machine.receive(&packet, now);
            } else if let Some(answer) = client.take(&packet) {
                client_repeats = now + Duration::from_secs(1);
                link.send(now, false, &answer);
            }
        } else if client_repeats <= now {
            client_repeats = now + Duration::from_secs(1);
            if client.blocks == 0 {
                machine.repeat(now);
            } else {
                let answer = client.ack();
                link.send(now, false, &answer);
            }
        } else {
            machine.tick(now);
        }
    }
    (client, machine.end().cloned().unwrap())
}

#[test]
fn a_bad_link_delivers_every_byte() {
    const OPTIONS: [&str; 6] = [
        "",
        "blksize 1428",
        "blksize 8",
        "windowsize 8",
        "blksize 100 windowsize 16 tsize 0",
        "timeout 1",
    ];
    for seed in 1_u64..400 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let options = OPTIONS[usize::try_from(dice.below(6)).unwrap()];
        let most = if options == "blksize 8" { 1500 } else { 60_000 };
        let length = [0, 511, 512, 1024, dice.below(most)][usize::try_from(dice.below(5)).unwrap()];
        let loss = dice.below(30);
        let body = body(usize::try_from(length).unwrap());
        let (client, end) = fetch_over_bad_link(&body, &format!("f octet {options}"), loss, dice);
        let case = format!("seed {seed}: {length} bytes, loss {loss} %, options {options:?}");
        assert!(matches!(end, End::Complete | End::Unconfirmed), "{case}: {end:?}");
        assert!(client.done && client.got == body, "{case}: {} arrived", client.got.len());
    }
}

proptest! {
    #[test]
    fn nothing_that_a_peer_sends_makes_it_panic(
        inputs in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..8), 0u8..7, 0u64..3000), 0..60),
        rrq in prop_oneof![Just("f octet"), Just("f netascii blksize 8"), Just("f octet windowsize 4")],
    ) {
        let mut machine = begin(&body(5000), &request(rrq), Pace::default());
        let mut now = Duration::ZERO;
        for (bytes, opcode, millis) in inputs {
            now += Duration::from_millis(millis);
            machine.receive(&[&[0, opcode], &bytes[..]].concat(), now);
            machine.receive(&[0, 4, 0, bytes.first().copied().unwrap_or(0)], now);
            machine.tick(now);
            let burst = std::iter::from_fn(|| machine.next_packet(now).map(|_| ())).count();
            prop_assert!(burst <= 4);
            prop_assert!(machine.bytes() <= 10_000);
        }
    }
}
