//! What must hold for any bytes. The fuzz targets call these, and `tests/fuzz.rs` does for what the
//! fuzzer knows already.
#![allow(dead_code, unreachable_pub, reason = "each target calls one")]

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use handset::base::{Sources, Span};
use handset::conf::{self, Age, Conf, Memory, Place, Status, show};
use handset::model::tag::write::{self, Reading, Wish};
use handset::model::tag::{Tag, attach};
use handset::wire::tftp::{
    Bounds, Datagram, Mode, Pace, Packet, Transfer, parse, printable, settle,
};

/// Between the files of one input (the control character "record separator").
pub const BETWEEN: u8 = 0x1e;

/// The files of an input, the first of which is the top.
pub const NAMES: [&str; 5] = ["m.conf", "x.conf", "y.conf", "d/a.conf", "d/b.conf"];

const ETC: &str = "/etc/asterisk";

fn read(files: &mut Memory, age: Age) -> (Conf, Sources) {
    let mut sources = Sources::default();
    let conf = conf::read_as(age, Path::new("m.conf"), Path::new(ETC), files, &mut sources);
    (conf, sources)
}

fn several(data: &[u8]) -> Memory {
    let parts = data.split(|b| *b == BETWEEN).zip(NAMES);
    parts.fold(Memory::default(), |files, (text, name)| {
        files.with(Path::new(ETC).join(name), text.to_vec())
    })
}

fn one(data: &[u8]) -> Memory {
    Memory::default().with(Path::new(ETC).join("m.conf"), data.to_vec())
}

/// Every place lies inside its line, and a comment is what is written there.
fn sound(conf: &Conf, sources: &Sources) {
    let written = |span: Span| {
        let file = sources.get(span.file);
        let line = file.bytes.split(|b| *b == b'\n').nth(span.line as usize - 1).expect("a line");
        line.get(span.start as usize..span.end as usize).expect("inside the line").to_vec()
    };
    for section in conf.sections.iter().take(300) {
        written(section.span);
        for entry in section.entries.iter().take(300) {
            let name = written(entry.name_span);
            assert!(name.contains(&b';') || name == entry.name.as_bytes());
            written(entry.span);
        }
    }
    for comment in conf.comments.iter().take(300) {
        assert_eq!(written(comment.span), comment.text.as_bytes());
        if let Place::Header(at) | Place::Key(at) | Place::BeforeKey(at) = comment.place {
            assert!(at < conf.sections.len());
        }
    }
    for diagnostic in conf.diagnostics.iter().take(300) {
        diagnostic.span.filter(|span| span.line > 0).map(written);
    }
    assert_eq!(conf.status == Status::Ok, show::json(conf).is_array());
    assert!(conf.status == Status::Ok || conf.abandoned && conf.sections.is_empty());
}

/// One file is read without a panic, and every place is sound.
pub fn lexer(data: &[u8]) {
    let (conf, sources) = read(&mut one(data), Age::New);
    sound(&conf, &sources);
    // What stands in comments, and a last line's end, mean nothing.
    let again = conf::fingerprint(&conf);
    if !data.ends_with(b"\n") && !data.is_empty() && conf.status == Status::Ok && data.len() < 8000
    {
        let more = read(&mut one(&[data, b"\n"].concat()), Age::New).0;
        assert_eq!(again, conf::fingerprint(&more));
    }
}

/// Several files that may include each other are read alike twice, by both kinds of Asterisk, within
/// bounds.
pub fn resolver(data: &[u8]) {
    for age in [Age::Old, Age::New] {
        let (conf, sources) = read(&mut several(data), age);
        sound(&conf, &sources);
        let again = read(&mut several(data), age).0;
        assert_eq!(conf::fingerprint(&conf), conf::fingerprint(&again));
        let values: usize = conf.sections.iter().map(|section| section.entries.len()).sum();
        assert!(values <= 20_000_000 && conf.diagnostics.len() < 3000);
    }
}

fn wish(tag: &Tag) -> Wish {
    let text =
        |value: &Option<handset::base::Spanned<String>>| value.as_ref().map(|v| v.value.clone());
    Wish {
        mac: tag.mac.value,
        model: text(&tag.model),
        line: tag.line.as_ref().map(|line| line.value),
        label: text(&tag.label),
        profile: text(&tag.profile),
    }
}

/// A comment is read without a panic, and a tag that was read and written again is the same tag.
pub fn tag(data: &[u8]) {
    let line = [b"[a] ;", data, b"\nk=1\n"].concat();
    let (conf, _) = read(&mut one(&line), Age::New);
    for tag in attach(&conf).0.iter().flatten() {
        let text = format!("[a] {}\n", wish(tag).text());
        let (conf, _) = read(&mut one(text.as_bytes()), Age::New);
        let (again, diagnostics) = attach(&conf);
        assert_eq!(again[0].as_ref(), Some(tag), "{text:?} {diagnostics:?}");
    }
}

/// Whatever can be tagged means the same to Asterisk afterwards, and untagged it is what it was.
pub fn editor(data: &[u8]) {
    let wish = Wish {
        mac: "00:18:b9:12:34:56".parse().expect("a MAC"),
        model: None,
        line: Some(2),
        label: Some("\"Mü\\ller\" =1".to_owned()),
        profile: None,
    };
    let (conf, sources) = read(&mut one(data), Age::default());
    if conf.status != Status::Ok {
        return;
    }
    let (top, etc) = (Path::new("m.conf"), Path::new(ETC));
    let reading = Reading { top, etc, conf: &conf, sources: &sources };
    for section in 0..conf.sections.len().min(6) {
        let fresh = write::untag(&reading, section, &mut one(data)).is_err();
        let Ok(edit) = write::tag(&reading, section, &wish, &mut one(data)) else { continue };
        assert!(!conf.sections[section].template && edit.old == Bytes::copy_from_slice(data));
        let (after, sources) = read(&mut one(&edit.new), Age::default());
        assert_eq!(conf::fingerprint(&conf), conf::fingerprint(&after));
        let reading = Reading { top, etc, conf: &after, sources: &sources };
        let back = write::untag(&reading, section, &mut one(&edit.new));
        if fresh {
            assert_eq!(back.expect("can be untagged").new, data);
        }
    }
}

/// A datagram, and what its client does afterwards: never a panic, never a byte that is not the file's,
/// never more than was agreed on the way, and never more than four packets to who acknowledged nothing.
///
/// An input is the length of the request, the request, then steps: `A` and two bytes is an ACK, `N` the
/// ACK that is waited for, `D` and a length a datagram, `T` the next deadline, `R` the request again,
/// and any other byte so many milliseconds.
pub fn tftp(data: &[u8]) {
    let (length, rest) = data.split_first_chunk::<2>().unwrap_or((&[0, 0], data));
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (request, mut steps) = rest.split_at(length);
    printable(request);
    let Ok(Packet::Read(request)) = parse(request) else { return };
    let body: Bytes = (0..request.name.len() * 700)
        .map(|i| u8::try_from((i * 7 + i / 251) % 256).unwrap_or(0))
        .collect();
    let bounds = Bounds { block: 1428, window: 16 };
    let terms = settle(&request, body.len() as u64, bounds);
    assert!((8..=1428).contains(&terms.block) && (1..=16).contains(&terms.window));
    assert!(terms.oack.len() < 200);
    let (block, window) = (usize::from(terms.block), u64::from(terms.window));
    let mut transfer = Transfer::new(body.clone(), request.mode, terms, Pace::default());
    let (mut now, mut unproved, mut asked) = (Duration::ZERO, 0, 1);
    let mut last = 0_u16;
    for _ in 0..3000 {
        let before = transfer.progress();
        let mut burst = 0;
        while let Some(datagram) = transfer.next_datagram(now) {
            burst += 1;
            unproved += u32::from(!transfer.proved());
            last = readable(&datagram, &body, request.mode, block).unwrap_or(last);
        }
        assert!(burst <= window && unproved <= 4 + asked, "{burst} {unproved}");
        assert!(transfer.bytes() <= 2 * body.len() as u64);
        if transfer.end().is_some() {
            assert!(transfer.next_datagram(now).is_none());
            return;
        }
        assert!(transfer.deadline() <= Pace::default().whole);
        let Some((step, more)) = steps.split_first() else { break };
        steps = more;
        match step {
            b'A' if steps.len() >= 2 => {
                transfer.receive(&[0, 4, steps[0], steps[1]], now);
                steps = &steps[2..];
            }
            b'N' => {
                let [high, low] = last.to_be_bytes();
                transfer.receive(&[0, 4, high, low], now);
            }
            b'D' if !steps.is_empty() => {
                let length = usize::from(steps[0]).min(steps.len() - 1);
                transfer.receive(&steps[1..=length], now);
                steps = &steps[1 + length..];
            }
            b'T' => {
                now = transfer.deadline().max(now);
                transfer.tick(now);
            }
            b'R' => {
                asked += 1;
                transfer.repeat(now);
            }
            other => now += Duration::from_millis(u64::from(*other)),
        }
        assert!(transfer.progress() >= before);
    }
}

/// A datagram is one that a client can read, and in octet mode its payload is the file's. Gives the
/// number of a block.
fn readable(datagram: &Datagram, body: &[u8], mode: Mode, block: usize) -> Option<u16> {
    let whole = [datagram.head(), &datagram.body].concat();
    let Ok(Packet::Data { block: number, payload }) = parse(&whole) else {
        assert!(matches!(parse(&whole), Ok(Packet::Oack(_))));
        return Some(0);
    };
    assert!(payload.len() <= block && number > 0);
    let start = (usize::from(number) - 1) * block;
    assert!(mode == Mode::Netascii || body.get(start..start + payload.len()) == Some(payload));
    Some(number)
}
