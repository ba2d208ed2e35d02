//! What must hold for any bytes. The fuzz targets call these, and `tests/fuzz.rs` does for what the
//! fuzzer knows already.
#![allow(dead_code, unreachable_pub, reason = "each target calls one")]

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use handset::base::{Sources, Span, Time};
use handset::conf::{self, Age, Conf, Memory, Place, Status, show};
use handset::directory::{self, Directory, Query};
use handset::model::tag::write::{self, Reading, Wish};
use handset::model::tag::{Tag, attach};
use handset::wire::http;
use handset::wire::sip::Answer;
use handset::wire::sip::notify::{Due, Notice, Transaction, belongs};
use handset::wire::tftp::{
    Bounds, Datagram, Mode, Pace, Packet, Transfer, parse, printable, settle,
};

mod agi;
mod dhcp;

pub use agi::agi;
pub use dhcp::dhcp;

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

/// Whatever comes back, a NOTIFY ends within its time, having been sent a few times, and only an answer
/// with its own branch is taken for one. The input is datagrams, an empty byte between them.
pub fn sip(data: &[u8]) {
    let notice = Notice {
        user: "201",
        to: ([192, 0, 2, 7], 5060).into(),
        local: ([192, 0, 2, 1], 40_000).into(),
        host: "192.0.2.1",
        event: "check-sync",
        id: 0x0123_4567_89ab_cdef,
    };
    let mut transaction = Transaction::begin(&notice, Time(0));
    let (mut now, mut sent, mut answered) = (Time(0), 0, false);
    let mut datagrams = data.split(|b| *b == 0).take(64);
    loop {
        match transaction.due(now) {
            Due::Send(packet) => {
                assert_eq!(packet, notice.encode());
                sent += 1;
            }
            Due::Wait(then) => {
                assert!(then > now);
                now = then;
            }
            Due::Over => break,
        }
        let Some(answer) = datagrams.next().and_then(Answer::parse) else { continue };
        answer.challenge();
        if belongs(&answer) == Some(notice.id) {
            assert!(
                answer
                    .all("via")
                    .chain(answer.all("v"))
                    .any(|via| { via.to_ascii_lowercase().contains("z9hg4bk0123456789abcdef") })
            );
            answered |= transaction.heard(&answer).is_some();
        }
    }
    assert!(sent <= 6 && now >= Time(8_000) && now < Time(8_001), "{sent} {now:?} {answered}");
}

/// Whatever is asked for names a file below the root or nothing; a query gives a page that a phone
/// reads, and no search is carried further than it was typed. The input is the target of a request,
/// its `Range`, `If-None-Match` and `If-Modified-Since`, a line each, and the file of the phone book.
pub fn http(data: &[u8]) {
    let mut parts = data.splitn(5, |b| *b == b'\n');
    let mut next = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (target, range, tags, since) = (next(), next(), next(), next());
    let book = parts.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    if let Some(name) = http::name(path) {
        let inside = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
        assert!(path.starts_with('/') && name.split(|b| *b == b'/').all(inside));
        assert!(!name.iter().any(|b| matches!(b, 0..=0x1f | b'\\' | 0x7f)));
        let joined = Path::new("/root").join(String::from_utf8_lossy(&name).as_ref());
        let up = joined.components().any(|part| part.as_os_str() == "..");
        assert!(joined.starts_with("/root") && !up);
        // Escaping once and taking apart once is nothing.
        let escaped: String = name.iter().map(|b| format!("%{b:02x}")).collect();
        assert!(
            escaped.len() >= http::MAX_PATH - 1 || http::name(&format!("/{escaped}")) == Some(name)
        );
    }
    for length in [0, 1, 600, usize::MAX] {
        if let http::Part::Bytes(part) = http::part(&range, length) {
            assert!(part.start < part.end && part.end <= length);
        }
    }
    http::matches(&tags, "\"a\"");
    http::modified(&since, 0);
    let pairs = http::query(query);
    assert!(pairs.len() <= 16 && pairs.iter().all(|(k, v)| k.len() + v.len() <= 2048));
    for (_, value) in &pairs {
        assert_eq!(&http::decode(http::encode(value).as_bytes()), value);
    }
    page(&pairs, book);
}

/// A page of the phone book is Latin-1, bounded, balanced, and leads to itself.
fn page(pairs: &[(String, String)], book: &[u8]) {
    let (listed, said) = directory::of_file(book, handset::base::FileId(0));
    assert!(said.len() <= 21 && listed.len() <= directory::MOST);
    let (directory, said) = Directory::new(None, listed);
    assert!(said.len() <= 2);
    let query = Query::read(pairs);
    let page = directory::book(&directory, &query, "http://192.0.2.1:8080");
    let text: String = page.iter().map(|b| char::from(*b)).collect();
    assert!(
        page.len() < 64_000 && !page.iter().any(|b| matches!(b, 0..=9 | 0x0b..=0x1f | 0x7f..=0x9f))
    );
    assert!(text.matches("<DirectoryEntry>").count() <= directory::PER_PAGE);
    assert_eq!(text.matches("</").count() * 2, text.matches('<').count() - 1);
    for link in text.split("<URL>").skip(1).filter_map(|rest| rest.split("</URL>").next()) {
        let link = link.replace("&amp;", "&");
        assert!(link.is_ascii() && link.len() <= 240 && !link.contains(['"', '<', ' ']));
        let Some((_, rest)) = link.split_once("/directory?") else { continue };
        let again = Query::read(&http::query(rest));
        let found = (again.find(&directory), query.find(&directory));
        assert_eq!(found.0, found.1, "{link}");
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
        firmware: text(&tag.firmware),
        ip: tag.ip.as_ref().map(|ip| ip.value),
        guest: tag.guest.as_ref().map(|g| g.value.clone()),
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
        firmware: None,
        ip: None,
        guest: None,
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

/// An input is a text of facts, one a line; or a row of the journal. Stories of it end, are the same when
/// told again, and no fact makes more than a few lines; a row gives back what was written.
pub fn trace(data: &[u8]) {
    use handset::plan::boot::story::{Kind, Narrator, Scene};
    use handset::plan::boot::{record, script, tracker::Tracker};
    static STAGES: std::sync::LazyLock<std::sync::Arc<handset::family::stage::Stages>> =
        std::sync::LazyLock::new(|| {
            let none = std::collections::BTreeMap::new();
            let all = handset::family::library::load(Path::new(""), &none, &mut Sources::default());
            let families = all.families.values().map(AsRef::as_ref);
            std::sync::Arc::new(handset::family::stage::Stages::new(families))
        });
    let mut facts = script::facts(&String::from_utf8_lossy(data));
    facts.extend(record::decode(data).unwrap_or_default());
    let peers = |mac: handset::base::Mac| (mac.bytes()[5] & 1 == 1).then(|| "201".to_owned());
    let scene =
        Scene { stages: &STAGES, peers: &peers, led: &|mac| mac.bytes()[5] & 2 == 2, hears: true };
    let tell = || {
        let mut narrator = Narrator::default();
        let mut lines = Vec::new();
        for fact in &facts {
            let before = lines.len();
            lines.extend(narrator.tell(fact, &scene));
            assert!(lines.len() - before <= 24, "{fact:?}");
        }
        let end = handset::base::Time(u64::MAX);
        lines.extend(narrator.tick(end, &scene));
        assert!(narrator.tick(end, &scene).is_empty());
        lines
    };
    let lines = tell();
    assert!(lines.len() <= 6 * facts.len());
    assert_eq!(lines, tell());
    let told = |kind| lines.iter().filter(|line| line.kind == kind).count();
    assert!(told(Kind::Boot) <= facts.len() && told(Kind::Step) <= facts.len());
    assert!(lines.iter().all(|line| !line.text.is_empty() && line.text.len() < 1000));
    let mut tracker = Tracker::new(STAGES.clone());
    for fact in &facts {
        if let (Some(address), handset::plan::boot::fact::What::File(file)) =
            (fact.address, &fact.what)
        {
            tracker.asked(address, fact.mac, &file.name, fact.at);
        }
    }
    let (_, row) = record::encode(&facts);
    let again = record::decode(&row).expect("what was written is read");
    assert!(again.len() <= facts.len());
    // Repeats are summed, nothing is lost.
    let sum = |facts: &[handset::plan::boot::fact::Fact]| -> u64 {
        let times = |fact: &handset::plan::boot::fact::Fact| match &fact.what {
            handset::plan::boot::fact::What::File(file) => u64::from(file.times),
            _ => 1,
        };
        facts.iter().map(times).sum()
    };
    if sum(&facts) < u64::from(u32::MAX) {
        assert_eq!(sum(&facts), sum(&again));
    }
}
